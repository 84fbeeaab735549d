package import RaftCore

/// How a node behaves; the same for every member of a cluster, except the id.
package struct NodeOptions: Sendable {
    package var id: NodeID
    /// One tick: the heartbeat's interval, in nanoseconds.
    package var tickNanoseconds: UInt64 = 100_000_000
    package var electionTicks = 10
    package var heartbeatTicks = 1
    package var preVote = true
    /// A leader that does not hear from a quorum for an election timeout steps down.
    package var checkQuorum = true
    package var readMode = RaftCore.ReadMode.quorum
    /// A leader refuses changes of the membership after which too few of the voters would be ones that it has heard of.
    package var refusesQuorumLoss = true
    /// A leader refuses to make a voter of a learner whose log has less than nine tenths of its own.
    package var promotesOnlyCaughtUp = true
    /// Who should rather lead than others; the same on all members.
    package var priorities: [RaftCore.MemberPriority] = []

    /// Seeds the election timeouts. Two members with one seed would campaign in step.
    package var randomSeed: UInt64
    /// Where this incarnation's proposal numbers start: no earlier incarnation of the node may have used the numbers
    /// that follow.
    package var firstSequence: UInt64

    /// A request without an answer after this long fails with ``RequestFailure/timedOut``.
    package var requestTimeoutNanoseconds: UInt64 = 7_000_000_000
    /// A read index that was not confirmed is asked for again after this long: the request may have been lost.
    package var readRetryNanoseconds: UInt64 = 500_000_000

    /// Payload bytes of one append message.
    package var maxMessageBytes = 1 << 20
    package var maxInflightMessages = 256
    package var maxInflightBytes = 64 << 20
    package var maxUncommittedBytes = 128 << 20
    /// Requests that this node has taken and not answered; beyond it they are refused.
    package var maxPendingRequests = 100_000
    /// Entries kept in memory for followers that are close behind; entries not yet applied are kept whatever they take.
    package var entryCacheBytes = 64 << 20

    /// The log is cut when this many entries were applied since the last cut...
    package var snapshotCount: UInt64 = 10_000
    /// ...and keeps this many behind the applied one, for followers that are a little behind.
    package var catchUpEntries: UInt64 = 5_000

    /// Applied writes reach the engine after this long, or when this many bytes have gathered.
    /// (A page of the engine that is changed by many of them is written once; what was not flushed is replayed.)
    package var flushIntervalNanoseconds: UInt64 = 1_000_000_000
    package var flushBytes = 64 << 20
    /// While so much waits in memory for a flusher that does not keep up, nothing more is applied.
    package var unflushedBytesMax = 256 << 20

    /// A batch with so few entries, none of them larger than that, is written and applied on the thread that made it,
    /// where the disk answers within ``quickSyncNanoseconds``: waking other threads would take longer.
    package var inlineEntries = 4
    package var inlineEntryBytes = 16 << 10
    package var quickSyncNanoseconds: UInt64 = 1_000_000

    #if MARTLET_MUTATIONS
        /// Mistakes made on purpose, to see whether the simulator finds them.
        package var faults: RaftCore.Faults = []
    #endif

    package init(id: NodeID, randomSeed: UInt64, firstSequence: UInt64) {
        self.id = id
        self.randomSeed = randomSeed
        self.firstSequence = firstSequence
    }

    /// Why a running node cannot take these in place of `old`; nil if it can.
    func inconsistency(replacing old: NodeOptions) -> String? { core.inconsistency(replacing: old.core) }

    /// What concerns the rules of consensus.
    var core: RaftCore.Options {
        var core = RaftCore.Options(id: id, randomSeed: randomSeed)
        core.electionTicks = electionTicks
        core.heartbeatTicks = heartbeatTicks
        core.preVote = preVote
        core.checkQuorum = checkQuorum
        core.readMode = readMode
        core.refusesQuorumLoss = refusesQuorumLoss
        core.promotesOnlyCaughtUp = promotesOnlyCaughtUp
        core.priorities = priorities
        core.maxMessageBytes = maxMessageBytes
        core.maxInflightMessages = maxInflightMessages
        core.maxInflightBytes = maxInflightBytes
        core.maxUncommittedBytes = maxUncommittedBytes
        #if MARTLET_MUTATIONS
            core.faults = faults
        #endif
        return core
    }
}
