package import RaftCore

/// How a member behaves. What concerns the time should be the same on all members.
public struct RaftOptions: Sendable {
    /// Members of clusters with different names do not talk to each other, nor open each other's directories.
    public var clusterName = "raft"

    /// How often a leader lets its followers know that it is there.
    public var heartbeatInterval: Duration = .milliseconds(100)
    /// A follower that has heard nothing for this long, up to twice as long, stands for election. Ten heartbeats are
    /// a good measure; a few round trips of the network and fsyncs of the disk must fit in.
    public var electionTimeout: Duration = .seconds(1)
    /// Who should rather lead than others: higher is better, and members that are not listed have 0. The preferred
    /// stand for election first, and a leader hands over by itself to one that is preferred and has everything. While
    /// they are away it costs time, and no election. The same on all members.
    public var priorities: [NodeID: Int] = [:]
    /// Ask whether an election could be won before disturbing anyone with it.
    public var preVote = true

    /// How a leader makes sure that its reads are not stale.
    public var readMode = ReadMode.quorum

    public enum ReadMode: Sendable {
        /// A round of heartbeats for every batch of reads. Rests on no clock.
        case quorum
        /// A leader that a majority has answered within the election timeout reads at once. Rests on the clocks of all
        /// members running at about the same rate.
        case lease
    }

    /// A request that was not answered after this long ends with ``RaftError/timedOut``.
    public var requestTimeout: Duration = .seconds(7)
    /// Whether a follower passes proposals on to the leader. If not, they are refused with
    /// ``RaftError/notLeader(leader:)``.
    public var forwardsProposals = true
    /// Larger commands are refused; 32 MiB at most.
    public var maxCommandBytes = 1 << 20
    /// Requests that were taken and not answered; beyond it they are refused with ``RaftError/overloaded``.
    public var maxPendingRequests = 100_000
    /// Bytes of commands in a leader's log that are not applied yet; beyond it they are refused.
    public var maxUncommittedBytes = 128 << 20

    /// A snapshot is taken, and the log is cut, when so many entries...
    public var snapshotEntries: UInt64 = 10_000
    /// ...or so many bytes of them have been applied since the last one.
    public var snapshotBytes = 64 << 20
    /// Entries that stay in the log behind a snapshot, for followers that are a little behind.
    public var catchUpEntries: UInt64 = 5_000
    /// Bytes of the newest entries that are kept in memory for followers that are close behind; what is not applied yet
    /// is kept whatever it takes. Who is further behind gets entries from the log's files.
    public var logCacheBytes = 64 << 20
    /// The log is kept in files of this size; nil for 16 MiB on disk and 1 MiB in memory.
    public var segmentBytes: Int?

    /// Whether a leader that is asked to stop in order hands leadership over first, so that the others need not wait
    /// for an election timeout.
    public var handsOverOnShutdown = true
    /// Whether changes of the membership that would leave too few voters that can be reached are refused.
    public var guardsQuorum = true
    /// Whether a learner may vote only once it has nine tenths of the leader's log. A change that would make it vote
    /// sooner waits for it, for ``requestTimeout`` at most.
    public var promotesOnlyCaughtUp = true

    /// Tests have one in which threads run out.
    var makeWorld: @Sendable () -> any World = { ThreadWorld() }

    public init() {}

    /// What is wrong with them, if anything is.
    package var inconsistency: String? {
        if heartbeatInterval <= .zero { return "heartbeatInterval is \(heartbeatInterval)" }
        if electionTimeout < heartbeatInterval * 2 { return "electionTimeout is below two heartbeats" }
        if requestTimeout <= .zero { return "requestTimeout is \(requestTimeout)" }
        if maxCommandBytes < 0 || maxCommandBytes > 32 << 20 { return "maxCommandBytes is \(maxCommandBytes)" }
        if maxPendingRequests < 1 { return "maxPendingRequests is \(maxPendingRequests)" }
        if maxUncommittedBytes < maxCommandBytes { return "maxUncommittedBytes is below maxCommandBytes" }
        if snapshotEntries < 1 || snapshotBytes < 1 { return "a snapshot after nothing" }
        if logCacheBytes < 0 { return "logCacheBytes is \(logCacheBytes)" }
        if let segmentBytes, !(64 << 10...1 << 30).contains(segmentBytes) { return "segmentBytes is \(segmentBytes)" }
        if clusterName.isEmpty { return "clusterName is empty" }
        return nil
    }

    var clusterID: UInt64 { MemberIdentity.clusterID(ofName: clusterName) }

    package func nodeOptions(id: NodeID, randomSeed: UInt64, firstSequence: UInt64) -> NodeOptions {
        var options = NodeOptions(id: id, randomSeed: randomSeed, firstSequence: firstSequence)
        options.tickNanoseconds = max(1, heartbeatInterval.nanoseconds)
        options.electionTicks = max(2, Int(electionTimeout.nanoseconds / options.tickNanoseconds))
        options.heartbeatTicks = 1
        options.preVote = preVote
        options.readMode = readMode == .lease ? .lease : .quorum
        options.refusesQuorumLoss = guardsQuorum
        options.promotesOnlyCaughtUp = promotesOnlyCaughtUp
        options.priorities = priorities.keys.sorted().map { .init(id: $0, priority: priorities[$0] ?? 0) }
        options.requestTimeoutNanoseconds = requestTimeout.nanoseconds
        options.readRetryNanoseconds = min(options.readRetryNanoseconds, options.tickNanoseconds * 5)
        options.maxPendingRequests = maxPendingRequests
        options.maxUncommittedBytes = maxUncommittedBytes
        // The log is cut with every snapshot, and a snapshot is looked for every tenth of a second.
        options.snapshotCount = 1
        options.catchUpEntries = catchUpEntries
        options.entryCacheBytes = logCacheBytes
        options.flushIntervalNanoseconds = 100_000_000
        return options
    }
}

extension Duration {
    /// From 0 to about 584 years, where `UInt64` ends.
    var nanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        guard seconds < 1 << 33 else { return .max }
        return UInt64(seconds) * 1_000_000_000 + UInt64(attoseconds / 1_000_000_000)
    }
}
