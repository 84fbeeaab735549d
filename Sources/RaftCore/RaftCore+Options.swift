extension RaftCore {
    public enum ReadMode: UInt8, Sendable {
        /// A read waits until a quorum has answered a heartbeat (thesis, §6.4).
        case quorum
        /// A leader that a quorum has answered within the election timeout reads at once. It rests on the clocks of all
        /// members running at about the same rate. Requires ``Options/checkQuorum`` on all members.
        case lease
    }

    /// What a leader does when it has applied a change that takes its vote, by removing it or making it a learner.
    public enum LeaderWithoutVote: UInt8, Sendable {
        /// It takes no more proposals, goes on leading until everything in its log is committed and a majority of the
        /// voters know of the change, asks the best of them to campaign, and steps down (see Divergences: a cluster
        /// that was left earlier may be unable to elect).
        case handsOver
        /// "The leader steps down (returns to follower state) once it has committed the C_new log entry" (§6).
        case stepsDown
        /// It goes on leading. The caller sees to it that somebody takes over.
        case leads
    }

    /// A member's place in the order of those that should lead.
    public struct MemberPriority: Hashable, Sendable {
        public var id: NodeID
        /// Higher is better. Members that are not listed have zero.
        public var priority: Int

        public init(id: NodeID, priority: Int) {
            self.id = id
            self.priority = priority
        }
    }

    public struct Options: Sendable {
        public var id: NodeID
        /// Without a word from the leader for this long, up to twice as long, a follower campaigns.
        public var electionTicks = 10
        public var heartbeatTicks = 1
        /// Ask whether an election could be won before disturbing anyone with a new term (thesis, §9.6).
        public var preVote = true
        /// A leader that a quorum has not answered for an election timeout steps down; followers that have a leader do
        /// not vote for another (thesis, §6.2 and §4.2.3).
        public var checkQuorum = true
        /// Payload bytes in one append. One entry always goes, however large.
        public var maxMessageBytes = 1 << 20
        /// Appends on their way to one peer, and their payload bytes.
        public var maxInflightMessages = 256
        public var maxInflightBytes = 64 << 20
        /// Payload bytes in a leader's log that are not yet applied: beyond it, proposals are refused, not queued. One
        /// entry always goes, however large.
        public var maxUncommittedBytes = 64 << 20
        /// Reads that wait for their index on a leader: beyond it, they are refused.
        public var maxPendingReads = 1 << 16
        public var readMode = ReadMode.quorum
        /// In ``ReadMode/lease``, how many ticks before its end a lease is no longer trusted: what the fastest member's
        /// clock may gain on this one's in an election timeout, and a pause between a look at the clock and a step.
        public var leaseMarginTicks = 1
        /// Followers pass proposals on to the leader.
        public var forwardsProposals = true
        public var whenVoteIsLost = LeaderWithoutVote.handsOver
        /// A leader refuses configuration changes that could not be applied, or that follow another one too closely.
        /// Without it, the caller vouches for them.
        public var validatesConfigurationChanges = true
        /// A leader refuses to remove or update who is not a member: most likely somebody mistyped an id.
        public var refusesUnknownMembers = true
        /// A leader refuses changes after which too many of the voters would be ones that it has not heard of for an
        /// election timeout. Members that the change brings in count as present: they may be started after it.
        public var refusesQuorumLoss = true
        /// A leader refuses to make a voter of a learner whose log has less than nine tenths of its own: a majority
        /// that needs it would wait for it.
        public var promotesOnlyCaughtUp = true
        /// Who should rather lead than others. It decides who campaigns first and who is handed the leadership, never
        /// who is voted for, so that it costs time when the preferred are dead, and no election. The same table belongs
        /// on all members; ``Input/optionsChanged(_:)`` changes it.
        public var priorities: [MemberPriority] = []
        /// A leader hands over, by itself, to a voter of higher priority that has everything committed.
        public var returnsLeadership = true
        /// False keeps this node from campaigning by itself; ``Input/campaign`` and transfers still make it.
        public var campaignsOnTimeout = true
        /// A new commit index is sent at once, if need be in an append without entries. Without it, followers learn it
        /// with the next append or heartbeat: fewer messages, later applying.
        public var announcesCommit = true
        /// How many committed entries may be given out for applying before they are durable here. They are safe with a
        /// majority; but a crash leaves this node's log behind such a state, and a state that is ahead of its log is
        /// not taken back (see ``Restored/inconsistency``). So, if not zero, the state must not be made durable ahead
        /// of ``Status/stableIndex``.
        public var maxUnpersistedApplied = 0
        /// Differs from member to member, or they would campaign at the same times.
        public var randomSeed: UInt64
        #if MARTLET_MUTATIONS
            public var faults: Faults = []
        #endif

        public init(id: NodeID, randomSeed: UInt64) {
            self.id = id
            self.randomSeed = randomSeed
        }

        /// What is wrong with them, if anything is.
        public var inconsistency: String? {
            if id.rawValue == 0 { return "zero is not a member's id" }
            if heartbeatTicks < 1 { return "heartbeatTicks is \(heartbeatTicks)" }
            if electionTicks <= heartbeatTicks { return "electionTicks is not above heartbeatTicks" }
            if maxInflightMessages < 1 { return "maxInflightMessages is \(maxInflightMessages)" }
            if maxMessageBytes < 0 || maxUncommittedBytes < 0 || maxPendingReads < 0 { return "a limit below zero" }
            if maxInflightBytes < max(maxMessageBytes, 1) { return "maxInflightBytes is below maxMessageBytes" }
            if readMode == .lease, !checkQuorum { return "reads by lease without checkQuorum" }
            if leaseMarginTicks < 0 { return "leaseMarginTicks is \(leaseMarginTicks)" }
            if maxUnpersistedApplied < 0 { return "maxUnpersistedApplied is \(maxUnpersistedApplied)" }
            for place in priorities.indices
            where priorities[..<place].contains(where: { $0.id == priorities[place].id }) {
                return "two priorities of member \(priorities[place].id.rawValue)"
            }
            return nil
        }

        /// Why a running node cannot take these options in place of `old`; nil if it can. What promises to others rest
        /// on stays as it is until a restart (which waits out the promises that it has forgotten).
        public func inconsistency(replacing old: Options) -> String? {
            if let reason = inconsistency { return reason }
            if id != old.id { return "another member's id" }
            if readMode != old.readMode || checkQuorum != old.checkQuorum {
                return "readMode and checkQuorum change with a restart only"
            }
            if readMode == .lease, electionTicks != old.electionTicks {
                return "where reads rest on leases, electionTicks changes with a restart only"
            }
            return nil
        }

        func priority(of id: NodeID) -> Int {
            for each in priorities where each.id == id { return each.priority }
            return 0
        }
    }

    /// What a node finds on its disk when it starts.
    public struct Restored: Sendable {
        public var hardState: HardState
        /// The one in force at `applied`. Empty on a member that is to join: it learns it by a snapshot.
        public var configuration: Configuration
        /// The place before the first entry that the log holds, and its term.
        public var snapshotIndex: LogIndex
        public var snapshotTerm: Term
        /// All entries after `snapshotIndex`.
        public var entries: [EntrySummary]
        /// The state contains everything up to here. It may be ahead of `hardState.commit`.
        public var applied: LogIndex

        public init(
            hardState: HardState = HardState(), configuration: Configuration = Configuration(),
            snapshotIndex: LogIndex = .zero, snapshotTerm: Term = .zero, entries: [EntrySummary] = [],
            applied: LogIndex = .zero
        ) {
            self.hardState = hardState
            self.configuration = configuration
            self.snapshotIndex = snapshotIndex
            self.snapshotTerm = snapshotTerm
            self.entries = entries
            self.applied = applied
        }

        /// What every member of a new cluster starts with: as if a snapshot of an empty state had been installed.
        ///
        /// The place is not zero, for the sake of those that join later with nothing: their log cannot be brought up to
        /// date from entries, which would tell them the changes of a configuration that they do not know.
        public static func bootstrap(_ configuration: Configuration) -> Restored {
            Restored(
                hardState: HardState(term: Term(1), commit: LogIndex(1)), configuration: configuration,
                snapshotIndex: LogIndex(1), snapshotTerm: Term(1), applied: LogIndex(1))
        }

        /// What does not fit together, if anything does not: then the disk has lost or damaged something, and the node
        /// must not start. ``RaftCore/init(options:restored:)`` stops the process over it; callers that read a disk ask
        /// before.
        public var inconsistency: String? {
            let end = snapshotIndex.advanced(by: entries.count)
            if hardState.commit > end {
                return "commit \(hardState.commit.rawValue) is past the log's end \(end.rawValue)"
            }
            if applied > end { return "applied \(applied.rawValue) is past the log's end \(end.rawValue)" }
            if applied < snapshotIndex {
                return "applied \(applied.rawValue) is before the log's start \(snapshotIndex.next.rawValue)"
            }
            var last = snapshotTerm
            for (offset, entry) in entries.enumerated() {
                let index = snapshotIndex.advanced(by: offset + 1)
                if entry.term < last || entry.term == .zero {
                    return "term \(entry.term.rawValue) follows \(last.rawValue) at \(index.rawValue)"
                }
                if entry.payloadBytes < 0 { return "a payload of \(entry.payloadBytes) bytes at \(index.rawValue)" }
                last = entry.term
            }
            if (snapshotIndex == .zero) != (snapshotTerm == .zero) {
                return "snapshot at \(snapshotIndex.rawValue) in term \(snapshotTerm.rawValue)"
            }
            // A log's last term above the node's own: a hard state was lost.
            if last > hardState.term, !entries.isEmpty {
                return "term \(hardState.term.rawValue) is below the log's last, \(last.rawValue)"
            }
            return configuration.inconsistency
        }
    }

    #if MARTLET_MUTATIONS
        /// Mistakes made on purpose, to see whether the checkers find them. Not in production builds.
        public struct Faults: OptionSet, Sendable {
            public let rawValue: UInt32
            public init(rawValue: UInt32) { self.rawValue = rawValue }

            /// Votes and acknowledgements leave before the write that they rest on, and leaders count themselves at
            /// once.
            public static let answersBeforePersisting = Faults(rawValue: 1 << 0)
            /// A leader counts replicas for entries of older terms too (figure 8).
            public static let commitsOlderTermsByCount = Faults(rawValue: 1 << 1)
            /// A leader answers reads without asking whether it still leads.
            public static let readIndexWithoutQuorumRound = Faults(rawValue: 1 << 2)
            /// A vote once cast in a term does not prevent another.
            public static let grantsVoteTwice = Faults(rawValue: 1 << 3)
            /// A candidate asks for votes before its term and its log are durable.
            public static let asksForVotesBeforePersisting = Faults(rawValue: 1 << 4)
        }
    #endif
}

// The places where faults are put in ask here; in production builds the answer is a constant.
extension RaftCore {
    #if MARTLET_MUTATIONS
        var answersBeforePersisting: Bool { options.faults.contains(.answersBeforePersisting) }
        var commitsOlderTermsByCount: Bool { options.faults.contains(.commitsOlderTermsByCount) }
        var readsWithoutQuorumRound: Bool { options.faults.contains(.readIndexWithoutQuorumRound) }
        var grantsVoteTwice: Bool { options.faults.contains(.grantsVoteTwice) }
        var asksForVotesBeforePersisting: Bool { options.faults.contains(.asksForVotesBeforePersisting) }
    #else
        @inline(__always) var answersBeforePersisting: Bool { false }
        @inline(__always) var commitsOlderTermsByCount: Bool { false }
        @inline(__always) var readsWithoutQuorumRound: Bool { false }
        @inline(__always) var grantsVoteTwice: Bool { false }
        @inline(__always) var asksForVotesBeforePersisting: Bool { false }
    #endif
}
