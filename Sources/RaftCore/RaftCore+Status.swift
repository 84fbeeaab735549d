extension RaftCore {
    /// What a node knows of itself and, while it leads, of the others.
    public struct Status: Sendable, Hashable {
        public var id: NodeID
        public var term: Term
        public var votedFor: NodeID?
        public var role: RoleName
        public var leader: NodeID?
        public var commit: LogIndex
        /// Everything up to here was given out for applying.
        public var released: LogIndex
        public var applied: LogIndex
        public var firstIndex: LogIndex
        public var lastIndex: LogIndex
        public var lastTerm: Term
        /// The end of the durable part of the log.
        public var stableIndex: LogIndex
        public var configuration: Configuration
        public var isVoter: Bool
        public var isLearner: Bool
        public var electionElapsedTicks: Int
        public var electionTimeoutTicks: Int
        /// On a leader, all members by ascending id; empty elsewhere.
        public var peers: [PeerStatus]
        public var leadTransferee: NodeID?
        /// This leader has lost its vote and hands over.
        public var isHandingOver: Bool
        public var uncommittedBytes: Int
        public var pendingReads: Int
        /// Messages that wait for a write.
        public var heldMessages: Int
    }

    public struct PeerStatus: Sendable, Hashable {
        public var id: NodeID
        public var isLearner: Bool
        public var match: LogIndex
        public var next: LogIndex
        public var state: ReplicationState
        public var isRecentlyActive: Bool
        public var isPaused: Bool
        public var pendingSnapshot: LogIndex
        public var inflightMessages: Int
        public var inflightBytes: Int
        public var isInflightFull: Bool
    }

    public var status: Status {
        var leaderState: LeaderState?
        if case .leader(let state) = role { leaderState = state }
        return Status(
            id: options.id, term: term, votedFor: votedFor, role: role.name, leader: knownLeader, commit: commit,
            released: released, applied: applied, firstIndex: trail.firstIndex, lastIndex: trail.lastIndex,
            lastTerm: trail.lastTerm, stableIndex: durability.stableIndex, configuration: configuration,
            isVoter: configuration.isVoter(options.id), isLearner: configuration.learners.contains(options.id),
            electionElapsedTicks: electionElapsed, electionTimeoutTicks: electionTimeout,
            peers: leaderState?.peers.map(PeerStatus.init) ?? [], leadTransferee: leaderState?.transferee,
            isHandingOver: handoverAfter != nil,
            uncommittedBytes: leaderState?.uncommittedBytes ?? 0, pendingReads: leaderState?.reads.count ?? 0,
            heldMessages: hold.count)
    }

    /// The term of the log's entry at `index`, or of the place before its first one; nil elsewhere.
    public func term(at index: LogIndex) -> Term? { trail.term(at: index) }

    // What callers ask often, without the cost of a whole status.

    public var currentTerm: Term { term }
    public var currentLeader: NodeID? { knownLeader }
    public var currentRole: RoleName { role.name }
    public var commitIndex: LogIndex { commit }
    public var appliedIndex: LogIndex { applied }
    public var lastIndex: LogIndex { trail.lastIndex }
    public var firstIndex: LogIndex { trail.firstIndex }
    public var currentConfiguration: Configuration { configuration }

    /// The last index that every member is known to have: what lies before it, no follower will ask for. Nil where
    /// this node does not lead.
    public var lowestMatch: LogIndex? {
        guard case .leader(let state) = role else { return nil }
        return state.peers.map(\.match).min()
    }

    /// For scenarios that need to say when an election comes.
    package mutating func overrideElectionTimeout(ticks: Int) { electionTimeout = ticks }
}

extension RaftCore.PeerStatus {
    init(_ progress: Progress) {
        self.init(
            id: progress.id, isLearner: progress.isLearner, match: progress.match, next: progress.next,
            state: progress.state, isRecentlyActive: progress.isRecentlyActive, isPaused: progress.isPaused,
            pendingSnapshot: progress.pendingSnapshot, inflightMessages: progress.inflights.count,
            inflightBytes: progress.inflights.bytes, isInflightFull: progress.inflights.isFull)
    }
}
