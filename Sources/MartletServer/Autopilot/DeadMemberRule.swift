import NIOCore
import RaftCore
import Replica

/// Which dead member the leader may remove by itself, where the operator allowed it. One at a time, and never one whose
/// end could leave the cluster without a majority.
struct DeadMemberRule: Hashable, Sendable {
    /// Zero: nobody is removed.
    var removeAfter: TimeAmount
    /// Voters that have to be left.
    var votersMin: Int

    enum Verdict: Hashable, Sendable {
        case nobody
        case remove(NodeID)
        /// It is dead, and stays.
        case keep(NodeID, because: String)
    }

    /// - Parameters:
    ///   - silence: for how long this leader has not heard of a member while it led; nil if it does.
    ///   - isSteady: whether a member has been connected for some time, or is this one.
    func verdict(
        in view: ReplicaView, besides own: NodeID, silence: (NodeID) -> TimeAmount?, isSteady: (NodeID) -> Bool
    ) -> Verdict {
        guard removeAfter > .zero, !view.configuration.isJoint else { return .nobody }
        let dead = view.members.filter { member in
            member.id != own && silence(member.id).map { $0 >= removeAfter } ?? false
        }
        // A learner counts for nothing.
        if let learner = dead.first(where: { view.configuration.learners.contains($0.id) }) {
            return .remove(learner.id)
        }
        guard let member = dead.first else { return .nobody }
        let left = view.configuration.voters.filter { $0 != member.id }
        guard left.count >= votersMin else {
            return .keep(
                member.id,
                because: "\(left.count) voters would be left, fewer than --autopilot-min-quorum \(votersMin)")
        }
        let steady = left.count(where: isSteady)
        guard steady >= left.count / 2 + 1 else {
            return .keep(
                member.id,
                because: "of the \(left.count) voters that would be left, \(steady) are connected, which is no "
                    + "majority")
        }
        return .remove(member.id)
    }
}
