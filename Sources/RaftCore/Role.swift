/// What a node is at the moment (§5.1), with the state that only that role has: it cannot outlive the role.
enum Role: Sendable {
    case follower(leader: NodeID?)
    case preCandidate(Votes)
    case candidate(Votes)
    case leader(LeaderState)

    var name: RoleName {
        switch self {
        case .follower: .follower
        case .preCandidate: .preCandidate
        case .candidate: .candidate
        case .leader: .leader
        }
    }
}

/// The answers to a campaign. A member's first one counts.
struct Votes: Sendable {
    private var answers: [(voter: NodeID, granted: Bool)] = []

    mutating func record(_ voter: NodeID, granted: Bool) {
        if self[voter] == nil { answers.append((voter, granted)) }
    }

    subscript(voter: NodeID) -> Bool? { answers.first { $0.voter == voter }?.granted }
}

/// What only a leader knows.
struct LeaderState: Sendable {
    /// All members, this node included where it is one, by ascending id.
    var peers: [Progress]
    var heartbeatElapsed = 0
    /// The member that leadership is being handed over to; proposals are refused meanwhile (thesis, §3.10).
    var transferee: NodeID?
    /// The transferee was told to campaign.
    var isTransfereeTold = false
    /// Quorum checks to let pass before leadership is offered to a preferred member (again), and how many such offers
    /// have failed.
    var preferenceWait = 0
    var preferenceFailures = 0
    /// Somebody may campaign in spite of this leader's lease, at any later time: a message can be slow. Reads by lease
    /// are over for this term.
    var hasSentTimeoutNow = false
    /// A configuration change may be in the log up to here, not yet applied: none is taken before that is done.
    var pendingConfigurationIndex: LogIndex
    /// An estimate, never too high, of the payload bytes in the log that are not yet applied.
    var uncommittedBytes = 0
    var reads = ReadQueue()

    func slot(of id: NodeID) -> Int? {
        // By index: an iteration would copy every member's progress.
        for place in peers.indices where peers[place].id == id { return place }
        return nil
    }

    /// The leader's view of the members follows the configuration; of `fresh` ones nothing is known any more.
    mutating func reconcile(
        with configuration: Configuration, fresh: [NodeID], lastIndex: LogIndex, now: UInt64 = 0,
        limits: RaftCore.Options
    ) {
        peers = configuration.members.map { id in
            let isLearner = configuration.learners.contains(id)
            if !fresh.contains(id), let place = slot(of: id) {
                var known = peers[place]
                known.isLearner = isLearner
                return known
            }
            var new = Progress(id: id, isLearner: isLearner, next: max(lastIndex, LogIndex(1)), limits: limits)
            // It counts as active for a start: or the leader could step down before it had a chance to speak.
            new.isRecentlyActive = true
            new.heardAt = now
            return new
        }
    }

    /// What a quorum has in common.
    @inline(__always)
    func reached(in configuration: Configuration, _ value: (Int) -> UInt64) -> UInt64 {
        JointQuorum(configuration).reached { id in slot(of: id).map(value) }
    }
}
