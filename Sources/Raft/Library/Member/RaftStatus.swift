import Platform
public import RaftCore

/// Where a member stands, as of a moment ago.
public struct RaftStatus: Hashable, Sendable {
    public enum Role: Sendable {
        case follower, candidate, leader
    }
    public var id: NodeID
    public var role: Role
    public var term: Term
    /// Whom this member takes for the leader.
    public var leader: NodeID?
    /// Everything up to here is durable on a majority.
    public var commit: LogIndex
    /// Everything up to here is in this member's state.
    public var applied: LogIndex
    public var lastIndex: LogIndex
    public var isLearner: Bool

    init(_ status: NodeStatus) {
        id = status.id
        role =
            switch status.role {
            case .follower: .follower
            case .preCandidate, .candidate: .candidate
            case .leader: .leader
            }
        term = status.term
        leader = status.leader
        commit = status.commit
        applied = status.applied
        lastIndex = status.lastIndex
        isLearner = status.isLearner
    }
}

/// What a member has seen happen.
public enum RaftEvent: Hashable, Sendable {
    /// A leader is known, or none is known any more. `isSelf`: it is this member.
    case leaderChanged(leader: NodeID?, term: Term, isSelf: Bool)
    /// A change of the membership has taken effect on this member. While `isJoint`, the old and the new set decide
    /// together, and another change follows.
    case membershipChanged([RaftPeer], isJoint: Bool)
    /// A snapshot was written, and the log before it can go.
    case snapshotTaken(LogIndex)
    /// This member was too far behind, and has got another member's state.
    case snapshotInstalled(LogIndex)
    /// This member is no longer part of the cluster: it stops.
    case removed
    /// This member has stopped by itself. The last event, as ``removed`` is.
    case failed(RaftFailure)
}

/// How a new member comes to its cluster. Looked at only while its log is empty: later, what is in the log and the
/// snapshots counts.
public enum ClusterStart: Sendable {
    /// A new cluster. All of its first members are given the same list, themselves included.
    case new([RaftPeer])
    /// A cluster that runs already. The list says where its members are (this one may be among them); one of them is
    /// asked, before or after, to add this member.
    case join([RaftPeer])

    var peers: [RaftPeer] {
        switch self {
        case .new(let peers), .join(let peers): peers
        }
    }
}

/// Where a member keeps its log and its snapshots.
public struct RaftLog: Sendable {
    enum Place: Sendable {
        case directory(String)
        case memory(any FileSystem)
    }
    let place: Place

    /// In a directory of this member's own, which is made if it is not there. What is acknowledged is on the disk.
    public static func directory(_ path: String) -> RaftLog { RaftLog(place: .directory(path)) }

    /// In memory: for tests, and for clusters that may lose everything. A member that starts again with a new one has
    /// forgotten what it voted for and acknowledged: it must come back under a **new id**, as a new member. To stop a
    /// member and start it again with the same memory, keep this value.
    public static func memory() -> RaftLog { RaftLog(place: .memory(MemoryFileSystem())) }
}
