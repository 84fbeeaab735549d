import RaftCore

// Mistakes made on purpose (see `RaftCore.Faults`): the shell's places ask here. In production builds the answer is a
// constant.
extension NodeOptions {
    #if MARTLET_MUTATIONS
        var votesAreNotPersisted: Bool { faults.contains(.votesAreNotPersisted) }
        var leaseIgnoresPause: Bool { faults.contains(.leaseIgnoresPause) }
        var snapshotWithoutLogReset: Bool { faults.contains(.snapshotWithoutLogReset) }
        var cutsLogBeyondState: Bool { faults.contains(.cutsLogBeyondState) }
        var reusesProposalNumbers: Bool { faults.contains(.reusesProposalNumbers) }
        var appliesWholeLogAtStart: Bool { faults.contains(.appliesWholeLogAtStart) }
        var acknowledgesFailedWrites: Bool { faults.contains(.acknowledgesFailedWrites) }
        var forwardsProposalsTwice: Bool { faults.contains(.forwardsProposalsTwice) }
        var readsBeforeApplied: Bool { faults.contains(.readsBeforeApplied) }
    #else
        @inline(__always) var votesAreNotPersisted: Bool { false }
        @inline(__always) var leaseIgnoresPause: Bool { false }
        @inline(__always) var snapshotWithoutLogReset: Bool { false }
        @inline(__always) var cutsLogBeyondState: Bool { false }
        @inline(__always) var reusesProposalNumbers: Bool { false }
        @inline(__always) var appliesWholeLogAtStart: Bool { false }
        @inline(__always) var acknowledgesFailedWrites: Bool { false }
        @inline(__always) var forwardsProposalsTwice: Bool { false }
        @inline(__always) var readsBeforeApplied: Bool { false }
    #endif
}
