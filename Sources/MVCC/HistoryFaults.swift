// Mistakes made on purpose in what watches and leases rest on (see `RaftCore.Faults` for those in consensus): each
// breaks one rule at one place, which asks here whether to. In production builds there is nothing of it.
// `Documentation/mutations.md` says in how many seeds the simulator finds each.
#if MARTLET_MUTATIONS
    package struct HistoryFaults: OptionSet, Sendable {
        package let rawValue: UInt32
        package init(rawValue: UInt32) { self.rawValue = rawValue }

        // Watches.

        /// After a gap watchers go on one revision too late.
        package static let resumesLateAfterGap = Self(rawValue: 1 << 0)
        /// After a gap watchers go on with the revision that they had last.
        package static let resumesEarlyAfterGap = Self(rawValue: 1 << 1)
        /// Progress is told by the store's revision, whatever the watchers have been given (etcd issue 15220).
        package static let progressBeforeEvents = Self(rawValue: 1 << 2)
        /// Who comes from the past joins those who follow what happens now when one revision is missing still.
        package static let joinsLiveTooEarly = Self(rawValue: 1 << 3)
        /// A slow reader goes on one revision after what it had to wait for (issue 17529).
        package static let parksOneTooLate = Self(rawValue: 1 << 4)
        /// A watcher of a revision to come is given what happens until then (issue 20221).
        package static let ignoresFutureStart = Self(rawValue: 1 << 5)
        /// The pair before is the one before that.
        package static let previousIsOneTooOld = Self(rawValue: 1 << 6)
        /// A watcher from a compacted revision on is given what is left, and not told.
        package static let hidesCompaction = Self(rawValue: 1 << 7)

        // History and compaction.

        /// A compaction at the revision of a delete takes the delete with it (issues 18089, 19179).
        package static let dropsCompactedDelete = Self(rawValue: 1 << 8)
        /// Transactions read compacted revisions for as long as their rows are there (issue 18667).
        package static let readsWhatIsNotYetRemoved = Self(rawValue: 1 << 9)

        // Leases.

        /// A new leader's clock goes on from what it showed as a follower's, not from what the log says.
        package static let leaseEndsByFollowersClock = Self(rawValue: 1 << 10)
        /// A new leader gives every lease its whole TTL again (issue 9888).
        package static let remainingTimeStartsAnew = Self(rawValue: 1 << 11)
        /// An end that was proposed in an older term counts.
        package static let expiresForOlderTerms = Self(rawValue: 1 << 12)
        /// An end counts though the lease was renewed after it was proposed.
        package static let expiresRenewedLeases = Self(rawValue: 1 << 13)
        /// The keys of a lease are deleted at two revisions.
        package static let leaseKeysInTwoRevisions = Self(rawValue: 1 << 14)
        /// The last of a lease's keys is left behind.
        package static let leavesLeaseKeyBehind = Self(rawValue: 1 << 15)
        /// Leases end at their deadline, though renewals near it are answered without a place in the log.
        package static let endsWithoutGrace = Self(rawValue: 1 << 16)
        /// What a renewal moves is not written down: it is forgotten with the process.
        package static let renewsInMemoryOnly = Self(rawValue: 1 << 19)
        /// Renewals are answered without a place in the log though they matter.
        package static let renewsByShortCutTooMuch = Self(rawValue: 1 << 17)
        /// A put without a lease leaves the key with the lease that it had.
        package static let putKeepsLease = Self(rawValue: 1 << 18)

        /// All of them, by name.
        package static let names: [(name: String, fault: Self)] = [
            ("resumesLateAfterGap", .resumesLateAfterGap),
            ("resumesEarlyAfterGap", .resumesEarlyAfterGap),
            ("progressBeforeEvents", .progressBeforeEvents),
            ("joinsLiveTooEarly", .joinsLiveTooEarly),
            ("parksOneTooLate", .parksOneTooLate),
            ("ignoresFutureStart", .ignoresFutureStart),
            ("previousIsOneTooOld", .previousIsOneTooOld),
            ("hidesCompaction", .hidesCompaction),
            ("dropsCompactedDelete", .dropsCompactedDelete),
            ("readsWhatIsNotYetRemoved", .readsWhatIsNotYetRemoved),
            ("leaseEndsByFollowersClock", .leaseEndsByFollowersClock),
            ("remainingTimeStartsAnew", .remainingTimeStartsAnew),
            ("expiresForOlderTerms", .expiresForOlderTerms),
            ("expiresRenewedLeases", .expiresRenewedLeases),
            ("leaseKeysInTwoRevisions", .leaseKeysInTwoRevisions),
            ("leavesLeaseKeyBehind", .leavesLeaseKeyBehind),
            ("endsWithoutGrace", .endsWithoutGrace),
            ("renewsByShortCutTooMuch", .renewsByShortCutTooMuch),
            ("putKeepsLease", .putKeepsLease),
            ("renewsInMemoryOnly", .renewsInMemoryOnly),
        ]
    }
#endif

// The state's places ask here.
extension State {
    #if MARTLET_MUTATIONS
        var dropsCompactedDelete: Bool { faults.contains(.dropsCompactedDelete) }
        var readsWhatIsNotYetRemoved: Bool { faults.contains(.readsWhatIsNotYetRemoved) }
        var expiresForOlderTerms: Bool { faults.contains(.expiresForOlderTerms) }
        var expiresRenewedLeases: Bool { faults.contains(.expiresRenewedLeases) }
        var leaseKeysInTwoRevisions: Bool { faults.contains(.leaseKeysInTwoRevisions) }
        var leavesLeaseKeyBehind: Bool { faults.contains(.leavesLeaseKeyBehind) }
        var putKeepsLease: Bool { faults.contains(.putKeepsLease) }
        var renewsInMemoryOnly: Bool { faults.contains(.renewsInMemoryOnly) }
    #else
        @inline(__always) var dropsCompactedDelete: Bool { false }
        @inline(__always) var readsWhatIsNotYetRemoved: Bool { false }
        @inline(__always) var expiresForOlderTerms: Bool { false }
        @inline(__always) var expiresRenewedLeases: Bool { false }
        @inline(__always) var leaseKeysInTwoRevisions: Bool { false }
        @inline(__always) var leavesLeaseKeyBehind: Bool { false }
        @inline(__always) var putKeepsLease: Bool { false }
        @inline(__always) var renewsInMemoryOnly: Bool { false }
    #endif
}
