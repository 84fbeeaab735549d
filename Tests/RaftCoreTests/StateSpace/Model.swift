import Testing

@testable import RaftCore

/// What is explored: a small cluster, and how much of each thing may happen to it.
struct Model: Sendable, CustomTestStringConvertible {
    var name: String
    var testDescription: String { name }
    var members = 3
    /// The configuration at the start. Members that are not in it start with nothing.
    var voters: [UInt64] = [1, 2, 3]
    var learners: [UInt64] = []
    /// What members have in their logs at the start, as terms, after the place at which every cluster begins (index 1,
    /// term 1); and the term that they are in.
    var logs: [[UInt64]] = []
    var terms: [UInt64] = []

    var preVote = false
    var checkQuorum = false
    /// Zero keeps an entry with a payload in a message of its own.
    var maxMessageBytes = 1 << 20

    // Bounds.

    /// States beyond this term are not explored. A cluster begins in term 1.
    var termMax: UInt64 = 3
    var proposals = 1
    var crashes = 1
    var reads = 0
    var transfers = 0
    var compactions = 0
    /// Ticks of a clock: with `checkQuorum`, of anybody's; else a leader's heartbeats, and not counted (the
    /// network being a set, a second one changes nothing).
    var ticks = 0
    var change: ConfigurationChange?

    /// Members whose writes become durable at a later step; those of the others do so at once.
    var slowDisks: Set<UInt64> = [1, 2, 3]
    /// Entries are applied one at a time, each in a step of its own.
    var appliesLate = false
    /// After a crash the state may be as new as before it, too; else it is as old as the log's beginning.
    var stateMaySurvive = false
    /// Reads may be asked of followers as well.
    var forwardsReads = false

    var depthMax = Int.max
    var statesMax = 1_000_000

    var mistakes: Set<Mistake> = []
    var faults: [CoreFault] = []
    /// The promises that single members make (votes, acknowledgements) are checked when they leave. Without, only what
    /// follows from them is.
    var checksPromises = true

    /// All members start alike and are treated alike: then the first campaign is member 1's without loss.
    var isSymmetric: Bool {
        logs.isEmpty && terms.isEmpty && voters.count == members && learners.isEmpty && change == nil
            && (slowDisks.isEmpty || slowDisks.count == members)
    }

    /// Mistakes of the world round the core, made on purpose, to see whether the checks find them.
    enum Mistake: String, CaseIterable, Sendable {
        /// A write is reported durable, and lost in a crash all the same.
        case diskLies
        /// After a crash the term is known, the vote is not.
        case crashForgetsVote
        /// A crash takes the last durable entry with it.
        case crashLosesLastEntry
        /// A change of members skips the joint configuration.
        case changesWithoutJoint
        /// A snapshot's state lacks the last entry that it should contain.
        case snapshotLacksEntry
        /// Heartbeats carry the leader's whole commit index, whatever the follower has.
        case heartbeatTellsWholeCommit
        /// An append is taken for one that follows on whatever the receiver's log holds.
        case appendNotCompared
        /// A candidate's log always counts as up to date.
        case votesForAnyLog
    }

    /// Mistakes that are built into the core (`MARTLET_MUTATIONS`).
    enum CoreFault: String, CaseIterable, Sendable {
        case answersBeforePersisting, commitsOlderTermsByCount, readIndexWithoutQuorumRound, grantsVoteTwice
        case asksForVotesBeforePersisting
    }

    func options(of id: UInt64) -> RaftCore.Options {
        var options = RaftCore.Options(id: NodeID(id), randomSeed: id)
        options.preVote = preVote
        options.checkQuorum = checkQuorum
        options.electionTicks = 2
        options.maxMessageBytes = maxMessageBytes
        options.maxInflightMessages = 4
        // The network may deliver a message again and again, which the shell rules out for forwarded proposals.
        options.forwardsProposals = false
        #if MARTLET_MUTATIONS
            for fault in faults {
                switch fault {
                case .answersBeforePersisting: options.faults.insert(.answersBeforePersisting)
                case .commitsOlderTermsByCount: options.faults.insert(.commitsOlderTermsByCount)
                case .readIndexWithoutQuorumRound: options.faults.insert(.readIndexWithoutQuorumRound)
                case .grantsVoteTwice: options.faults.insert(.grantsVoteTwice)
                case .asksForVotesBeforePersisting: options.faults.insert(.asksForVotesBeforePersisting)
                }
            }
        #endif
        return options
    }
}
