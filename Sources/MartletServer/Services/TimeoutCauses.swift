import NIOCore
import Raft
import RaftCore
import Replica
import Synchronization

/// Why a proposal was not answered in time, told apart as etcd does it (`parseProposeCtxErr`): clients show the words
/// to their people. It may still take effect, whatever is said.
final class TimeoutCauses: Sendable {
    private let own: NodeID
    private let requestNanoseconds: UInt64
    private let electionNanoseconds: UInt64
    /// Since when this member has been connected to another one; nil if it is not.
    private let connectedSince: @Sendable (NodeID) -> UInt64?
    /// When this member last heard of a new leader; 0 if it never did.
    private let leaderSince = Atomic<UInt64>(0)

    /// By how much the end of a request's time may be noticed late: the stages look at it with their ticks.
    private static let latenessNanoseconds: UInt64 = 1_000_000_000

    init(
        own: NodeID, requestNanoseconds: UInt64, electionNanoseconds: UInt64,
        connectedSince: @escaping @Sendable (NodeID) -> UInt64?
    ) {
        self.own = own
        self.requestNanoseconds = requestNanoseconds
        self.electionNanoseconds = electionNanoseconds
        self.connectedSince = connectedSince
    }

    func leaderChanged(to leader: NodeID?, at now: UInt64) {
        if leader != nil { leaderSince.store(now, ordering: .relaxed) }
    }

    /// The cause, if it is the time that was up; any other failure as it is.
    func told(_ failure: RequestFailure, now: UInt64, leader: NodeID?, voters: [NodeID]) -> RequestFailure {
        guard failure == .timedOut else { return failure }
        let latest = now - min(now, requestNanoseconds)
        let start = latest - min(latest, Self.latenessNanoseconds)
        let found = leaderSince.load(ordering: .relaxed)
        // Asked while the leader before was dying: it is gone up to two election timeouts before there is another one.
        if start < found, latest + 2 * electionNanoseconds > found { return .timedOutByLeaderFailure }
        func wasConnected(_ id: NodeID) -> Bool { id == own || connectedSince(id).map { $0 <= start } ?? false }
        switch leader {
        case nil: return .timedOut
        case own: return voters.count(where: wasConnected) > voters.count / 2 ? .timedOut : .timedOutByLostConnection
        case let leader?: return wasConnected(leader) ? .timedOut : .timedOutByLostConnection
        }
    }
}

extension TimeoutCauses {
    func told(_ failure: RequestFailure, by node: RaftNode<KeyValueMachine>) -> RequestFailure {
        guard failure == .timedOut else { return failure }
        return told(
            failure, now: NIODeadline.now().uptimeNanoseconds, leader: node.published.status.leader,
            voters: node.published.view.configuration.voters)
    }
}
