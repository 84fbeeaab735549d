import EtcdAPI
import RaftCore
import Replica

/// Which changes of the members are allowed, as etcd's server has it (C1, C2, C4), and what they mean for consensus.
/// It judges by one view of the cluster; the change carries that view's mark, so that it is made only if what it was
/// judged by still holds (``MembershipContext``).
///
/// Two rules are the leader's, who alone can judge them: whether a learner has caught up, and whether enough voters are
/// there (`ConfigurationRefusal`).
struct MembershipRules: Sendable {
    /// `--strict-reconfig-check`
    var isStrict: Bool
    /// `--max-learners`
    var learnersMax: Int
    /// This member.
    var own: NodeID
    /// For how many nanoseconds this member has been connected to another one; nil if it is not.
    var connectedFor: @Sendable (NodeID) -> UInt64?
    /// An id that was a member's once is never given again.
    var isRemoved: @Sendable (NodeID) -> Bool

    /// etcd's `HealthInterval`: a connection is trusted after it has held so long.
    static let healthyNanoseconds: UInt64 = 5_000_000_000
    static let urlsMax = 100
    /// Ids are made of the time in seconds: so many are tried.
    private static let idsTried: Int64 = 3_600

    struct Plan: Hashable {
        var change: ConfigurationChange
        /// The member that it is about.
        var member: NodeID
    }

    // MARK: The changes

    /// - Parameter now: in seconds since 1970. The new member's id is made of it, so that a member that is added again
    ///   at the same address is another one.
    func add(
        peerURLs: [String], asLearner: Bool, now: Int64, in view: ReplicaView
    ) throws(EtcdError) -> Plan {
        let urls = try parse(peerURLs)
        if isStrict {
            // A learner takes nobody's majority away.
            if !asLearner { try checkStarted(gaining: 1, in: view) }
            guard areConnected(voters(in: view)) else { throw .unhealthy }
        }
        try checkFree(urls, besides: nil, in: view)
        if asLearner { try checkLearners(in: view) }
        let member = try newcomer(at: urls, now: now, in: view)
        return plan([MemberChange(asLearner ? .addLearner : .addVoter, member.id)], member.id, member, in: view)
    }

    /// Somebody who has not been there before.
    func newcomer(at urls: [ServerURL], now: Int64, in view: ReplicaView) throws(EtcdError) -> Member {
        var id = NodeID(0)
        var second = now
        repeat {
            guard second - now < Self.idsTried else { throw .memberExists }
            // etcd's ids of added members are without the cluster's token.
            id = InitialCluster.memberID(peerURLs: urls, token: "", addedAtUnixSeconds: second)
            second += 1
        } while isRemoved(id)
        guard !view.members.contains(where: { $0.id == id }) else { throw .memberExists }
        return Member(id: id, name: "", peerURLs: urls.map(\.description), clientURLs: [])
    }

    func checkLearners(in view: ReplicaView) throws(EtcdError) {
        guard view.configuration.learners.count < learnersMax else { throw .tooManyLearners }
    }

    func remove(_ id: NodeID, in view: ReplicaView) throws(EtcdError) -> Plan {
        _ = try find(id, in: view)
        if isStrict, !view.configuration.learners.contains(id) {
            let left = voters(in: view).filter { $0.id != id }
            guard !left.isEmpty, left.count(where: \.isStarted) >= left.count / 2 + 1 else {
                throw .memberNotEnoughStarted
            }
            // Who is away anyway is no part of the majority that answers.
            if id == own || connectedFor(id) != nil {
                let voters = voters(in: view)
                let active = voters.count { isConnected($0.id) }
                guard active - 1 >= 1 + (voters.count - 1) / 2 else { throw .unhealthy }
            }
        } else if view.configuration.voters == [id] {
            // Nobody could decide anything any more.
            throw .memberNotEnoughStarted
        }
        return plan([MemberChange(.remove, id)], id, nil, in: view)
    }

    func update(_ id: NodeID, peerURLs: [String], in view: ReplicaView) throws(EtcdError) -> Plan {
        var member = try find(id, in: view)
        let urls = try parse(peerURLs)
        try checkFree(urls, besides: id, in: view)
        member.peerURLs = urls.map(\.description)
        return plan([MemberChange(.update, id)], id, member, in: view)
    }

    func promote(_ id: NodeID, in view: ReplicaView) throws(EtcdError) -> Plan {
        _ = try find(id, in: view)
        guard view.configuration.learners.contains(id) else { throw .memberNotLearner }
        // The learner counts as started: it has caught up, or the leader refuses.
        if isStrict { try checkStarted(gaining: 1, startedToo: 1, in: view) }
        return plan([MemberChange(.addVoter, id)], id, nil, in: view)
    }

    // MARK: What they have in common

    func plan(_ changes: [MemberChange], _ id: NodeID, _ member: Member?, in view: ReplicaView) -> Plan {
        let context = MembershipContext(member: member, basis: view.membershipMark)
        return Plan(change: ConfigurationChange(changes: changes, context: context.encode()), member: id)
    }

    func parse(_ texts: [String]) throws(EtcdError) -> [ServerURL] {
        guard !texts.isEmpty, texts.count <= Self.urlsMax else { throw .memberBadURLs }
        var urls: [ServerURL] = []
        for text in texts {
            do throws(ConfigurationError) {
                let url = try ServerURL(parsing: text)
                if !urls.contains(url) { urls.append(url) }
            } catch {
                throw .memberBadURLs
            }
        }
        return urls.sorted { $0.description < $1.description }
    }

    func checkFree(_ urls: [ServerURL], besides id: NodeID?, in view: ReplicaView) throws(EtcdError) {
        let texts = Set(urls.map(\.description))
        guard view.members.allSatisfy({ $0.id == id || texts.isDisjoint(with: $0.peerURLs) }) else {
            throw .peerURLExists
        }
    }

    func find(_ id: NodeID, in view: ReplicaView) throws(EtcdError) -> Member {
        guard let member = view.members.first(where: { $0.id == id }) else { throw .memberNotFound }
        return member
    }

    func voters(in view: ReplicaView) -> [Member] {
        view.members.filter { view.configuration.voters.contains($0.id) }
    }

    /// Whether those that have started would be a majority with as many voters more.
    private func checkStarted(gaining: Int, startedToo: Int = 0, in view: ReplicaView) throws(EtcdError) {
        let voters = voters(in: view)
        let started = voters.count(where: \.isStarted)
        // The second of two has to come from somewhere.
        if voters.count == 1, started == 1 { return }
        guard started + startedToo >= (voters.count + gaining) / 2 + 1 else { throw .memberNotEnoughStarted }
    }

    private func isConnected(_ id: NodeID) -> Bool {
        id == own || connectedFor(id).map { $0 >= Self.healthyNanoseconds } ?? false
    }

    private func areConnected(_ members: [Member]) -> Bool { members.allSatisfy { isConnected($0.id) } }
}

extension Member {
    /// It has told where clients reach it, as each does when it has started. (Those that a cluster began with have
    /// their names before that.)
    var isStarted: Bool { !clientURLs.isEmpty }
}
