import EtcdAPI
import RaftCore
import Replica

/// What etcd has no call for: members that join by themselves, and replacements in one step.
extension MembershipRules {
    /// A learner that asked for its place itself. It takes nobody's majority away, so it need not wait, as `member add`
    /// does, until all voters have been connected for a while: one may be dead, and this the one that is to stand in.
    func welcome(peerURLs: [String], now: Int64, in view: ReplicaView) throws(EtcdError) -> Plan {
        let urls = try parse(peerURLs)
        try checkFree(urls, besides: nil, in: view)
        try checkLearners(in: view)
        let member = try newcomer(at: urls, now: now, in: view)
        return plan([MemberChange(.addLearner, member.id)], member.id, member, in: view)
    }

    /// The same, at the address of a member that is dead and goes with the same change: nobody can be at one address
    /// twice. Of three voters, two are left until the learner votes; with the dead one, too, both had to answer.
    func swap(_ old: NodeID, peerURLs: [String], now: Int64, in view: ReplicaView) throws(EtcdError) -> Plan {
        // What a removal must not do, this must not either.
        _ = try remove(old, in: view)
        guard old != own, connectedFor(old) == nil else { throw .peerURLExists }
        let urls = try parse(peerURLs)
        try checkFree(urls, besides: old, in: view)
        if !view.configuration.learners.contains(old) { try checkLearners(in: view) }
        let member = try newcomer(at: urls, now: now, in: view)
        return plan(
            [MemberChange(.remove, old), MemberChange(.addLearner, member.id)], member.id, member, in: view)
    }

    /// A learner votes, and the member that it replaces goes, in one change: there are never more voters than before,
    /// nor fewer. (The leader judges whether the learner has caught up, and whether both majorities are there.)
    func replace(_ old: NodeID, by new: NodeID, in view: ReplicaView) throws(EtcdError) -> Plan {
        _ = try find(old, in: view)
        _ = try find(new, in: view)
        guard view.configuration.learners.contains(new), old != new else { throw .memberNotLearner }
        if isStrict {
            let after = voters(in: view).filter { $0.id != old }
            // The learner counts as started: it has caught up, or the leader refuses.
            guard after.count(where: \.isStarted) + 1 >= (after.count + 1) / 2 + 1 else {
                throw .memberNotEnoughStarted
            }
        }
        return plan([MemberChange(.addVoter, new), MemberChange(.remove, old)], new, nil, in: view)
    }
}

extension ReplicaView {
    /// The member that somebody means by its name or by its id, in hexadecimal. An id is never mistaken for a name: who
    /// is named like another one's id is found by his own only.
    func members(called text: String) -> [Member] {
        if let id = UInt64(text, radix: 16), let member = members.first(where: { $0.id.rawValue == id }) {
            return [member]
        }
        return members.filter { !text.isEmpty && $0.name == text }
    }
}
