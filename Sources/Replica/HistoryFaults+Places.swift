import MVCC

// Mistakes made on purpose (see `HistoryFaults`): what watches and what ends leases asks here. In production builds the
// answer is a constant.
extension WatchLoop {
    #if MARTLET_MUTATIONS
        /// Where the live cohort goes on after a gap, beyond where it should.
        var offsetAfterGap: Int64 {
            faults.contains(.resumesLateAfterGap) ? 1 : faults.contains(.resumesEarlyAfterGap) ? -1 : 0
        }
        /// How many revisions may be missing still of who joins the live cohort.
        var missingAtJoin: Int64 { faults.contains(.joinsLiveTooEarly) ? 1 : 0 }
        var revisionsSkippedByParking: Int64 { faults.contains(.parksOneTooLate) ? 1 : 0 }
        var progressBeforeEvents: Bool { faults.contains(.progressBeforeEvents) }
        var ignoresFutureStart: Bool { faults.contains(.ignoresFutureStart) }
        var previousIsOneTooOld: Bool { faults.contains(.previousIsOneTooOld) }
        var hidesCompaction: Bool { faults.contains(.hidesCompaction) }
    #else
        @inline(__always) var offsetAfterGap: Int64 { 0 }
        @inline(__always) var missingAtJoin: Int64 { 0 }
        @inline(__always) var revisionsSkippedByParking: Int64 { 0 }
        @inline(__always) var progressBeforeEvents: Bool { false }
        @inline(__always) var ignoresFutureStart: Bool { false }
        @inline(__always) var previousIsOneTooOld: Bool { false }
        @inline(__always) var hidesCompaction: Bool { false }
    #endif
}

extension Lessor {
    #if MARTLET_MUTATIONS
        var endsWithoutGrace: Bool { faults.contains(.endsWithoutGrace) }
        var remainingTimeStartsAnew: Bool { faults.contains(.remainingTimeStartsAnew) }
    #else
        @inline(__always) var endsWithoutGrace: Bool { false }
        @inline(__always) var remainingTimeStartsAnew: Bool { false }
    #endif
}
