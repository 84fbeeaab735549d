// More mistakes made on purpose: each breaks one rule at one place, which asks here whether to. In production builds
// the answer is a constant. `Documentation/mutations.md` says in how many seeds the simulator finds each.
#if MARTLET_MUTATIONS
    extension RaftCore.Faults {
        /// While the configuration is joint, the new half alone decides.
        public static let jointNewHalfDecides = Self(rawValue: 1 << 5)
        /// A follower replaces its log by what an append holds, though it held the same, and more.
        public static let truncatesOnLateAppend = Self(rawValue: 1 << 6)
        /// A heartbeat tells the leader's whole commit index, whatever the follower holds.
        public static let heartbeatsTellWholeCommit = Self(rawValue: 1 << 7)
        /// A vote is given whatever the candidate's log holds.
        public static let votesForOlderLogs = Self(rawValue: 1 << 8)
        /// A leader answers reads before anything of its term is committed.
        public static let readsBeforeFirstCommit = Self(rawValue: 1 << 9)
        /// A change of the configuration is taken while the one before is not applied.
        public static let takesChangesTooEarly = Self(rawValue: 1 << 10)
        /// After a restart nobody keeps the lease that the leader counts on.
        public static let forgetsLeaseAtRestart = Self(rawValue: 1 << 11)
        /// Reads by lease go on after somebody was told to campaign in spite of it.
        public static let leaseOutlivesTransfer = Self(rawValue: 1 << 12)

        // In the shell (`Raft`) and the state (`Replica`).

        /// The vote is left out of the hard state that is written.
        public static let votesAreNotPersisted = Self(rawValue: 1 << 13)
        /// A leader that was stopped does not count the time that it was.
        public static let leaseIgnoresPause = Self(rawValue: 1 << 14)
        /// A snapshot is installed without the log being told to start behind it.
        public static let snapshotWithoutLogReset = Self(rawValue: 1 << 15)
        /// The log is cut behind what is applied, durable or not.
        public static let cutsLogBeyondState = Self(rawValue: 1 << 16)
        /// A restarted member numbers its proposals from the beginning again.
        public static let reusesProposalNumbers = Self(rawValue: 1 << 17)
        /// A restarted member takes all of its log for committed.
        public static let appliesWholeLogAtStart = Self(rawValue: 1 << 18)
        /// A write that failed is acknowledged, and the member goes on.
        public static let acknowledgesFailedWrites = Self(rawValue: 1 << 19)
        /// The engine gets the applied index one batch after the data.
        public static let appliedIndexOutsideBatch = Self(rawValue: 1 << 20)
        /// A proposal is forwarded to the leader a second time, to be on the safe side.
        public static let forwardsProposalsTwice = Self(rawValue: 1 << 21)
        /// A read is answered from the newest view, though its index is not applied yet.
        public static let readsBeforeApplied = Self(rawValue: 1 << 22)

        /// All of them, by name.
        public static let names: [(name: String, fault: Self)] = [
            ("answersBeforePersisting", .answersBeforePersisting),
            ("commitsOlderTermsByCount", .commitsOlderTermsByCount),
            ("readIndexWithoutQuorumRound", .readIndexWithoutQuorumRound),
            ("grantsVoteTwice", .grantsVoteTwice),
            ("asksForVotesBeforePersisting", .asksForVotesBeforePersisting),
            ("jointNewHalfDecides", .jointNewHalfDecides),
            ("truncatesOnLateAppend", .truncatesOnLateAppend),
            ("heartbeatsTellWholeCommit", .heartbeatsTellWholeCommit),
            ("votesForOlderLogs", .votesForOlderLogs),
            ("readsBeforeFirstCommit", .readsBeforeFirstCommit),
            ("takesChangesTooEarly", .takesChangesTooEarly),
            ("forgetsLeaseAtRestart", .forgetsLeaseAtRestart),
            ("leaseOutlivesTransfer", .leaseOutlivesTransfer),
            ("votesAreNotPersisted", .votesAreNotPersisted),
            ("leaseIgnoresPause", .leaseIgnoresPause),
            ("snapshotWithoutLogReset", .snapshotWithoutLogReset),
            ("cutsLogBeyondState", .cutsLogBeyondState),
            ("reusesProposalNumbers", .reusesProposalNumbers),
            ("appliesWholeLogAtStart", .appliesWholeLogAtStart),
            ("acknowledgesFailedWrites", .acknowledgesFailedWrites),
            ("appliedIndexOutsideBatch", .appliedIndexOutsideBatch),
            ("forwardsProposalsTwice", .forwardsProposalsTwice),
            ("readsBeforeApplied", .readsBeforeApplied),
        ]
    }
#endif

extension RaftCore {
    /// The configuration whose quorums decide.
    @inline(__always) var deciding: Configuration {
        #if MARTLET_MUTATIONS
            if options.faults.contains(.jointNewHalfDecides) { return Configuration(voters: configuration.voters) }
        #endif
        return configuration
    }

    #if MARTLET_MUTATIONS
        var truncatesOnLateAppend: Bool { options.faults.contains(.truncatesOnLateAppend) }
        var heartbeatsTellWholeCommit: Bool { options.faults.contains(.heartbeatsTellWholeCommit) }
        var votesForOlderLogs: Bool { options.faults.contains(.votesForOlderLogs) }
        var readsBeforeFirstCommit: Bool { options.faults.contains(.readsBeforeFirstCommit) }
        var takesChangesTooEarly: Bool { options.faults.contains(.takesChangesTooEarly) }
        var leaseOutlivesTransfer: Bool { options.faults.contains(.leaseOutlivesTransfer) }
    #else
        @inline(__always) var truncatesOnLateAppend: Bool { false }
        @inline(__always) var heartbeatsTellWholeCommit: Bool { false }
        @inline(__always) var votesForOlderLogs: Bool { false }
        @inline(__always) var readsBeforeFirstCommit: Bool { false }
        @inline(__always) var takesChangesTooEarly: Bool { false }
        @inline(__always) var leaseOutlivesTransfer: Bool { false }
    #endif
}

extension RaftCore.Options {
    #if MARTLET_MUTATIONS
        var forgetsLeaseAtRestart: Bool { faults.contains(.forgetsLeaseAtRestart) }
    #else
        @inline(__always) var forgetsLeaseAtRestart: Bool { false }
    #endif
}
