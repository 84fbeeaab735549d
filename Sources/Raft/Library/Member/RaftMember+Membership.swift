public import RaftCore

/// One step of a change of the membership.
public enum MembershipStep: Hashable, Sendable {
    /// A new member that votes, or a learner that does from now on.
    case addVoter(RaftPeer)
    case addLearner(RaftPeer)
    /// A learner votes from now on.
    case promote(NodeID)
    /// A voter becomes a learner.
    case demote(NodeID)
    case remove(NodeID)
    /// A member moves to another address.
    case move(NodeID, to: String)
}

extension RaftMember {
    /// Adds a member that votes. Start it, with ``ClusterStart/join(_:)``, before or soon after: from now on it counts.
    public func addMember(_ peer: RaftPeer) async throws(RaftError) { try await change([.addVoter(peer)]) }

    /// Adds a member that gets everything and does not vote: the safe first step for a new voter, since a learner that
    /// is not there yet holds up nobody.
    public func addLearner(_ peer: RaftPeer) async throws(RaftError) { try await change([.addLearner(peer)]) }

    public func promote(_ id: NodeID) async throws(RaftError) { try await change([.promote(id)]) }

    public func demote(_ id: NodeID) async throws(RaftError) { try await change([.demote(id)]) }

    /// Removes a member, this one too. It ends with ``RaftError/removed`` when it hears of it.
    public func remove(_ id: NodeID) async throws(RaftError) { try await change([.remove(id)]) }

    /// Puts a new member in an old one's place, in one step.
    public func replace(_ id: NodeID, with peer: RaftPeer) async throws(RaftError) {
        try await change([.addVoter(peer), .remove(id)])
    }

    /// Changes the membership from any set to any other, in one step (joint consensus, §6 of the Raft paper): while
    /// the change is under way both sets have to agree, so that there is never a moment with two majorities.
    ///
    /// Returns when the new set is in force. One change is made at a time: another one that is under way is waited for.
    public func change(_ steps: [MembershipStep]) async throws(RaftError) {
        guard !steps.isEmpty else { return }
        let end = ContinuousClock.now + options.requestTimeout
        while true {
            let running = try requireRunning()
            try await waitUntilSettled(until: end)
            let change = try prepare(steps, running)
            do {
                _ = try await proposals.ask { ticket in running.node.change(change, ticket: ticket) }
                return try await waitUntilSettled(until: end)
            } catch {
                // Nothing was proposed: there is no leader yet, or the change before this one is not applied yet.
                guard ContinuousClock.now < end, isWorthRepeating(error) else { throw await explained(error) }
                try await pause()
            }
        }
    }

    private func isWorthRepeating(_ error: RaftError) -> Bool {
        switch error {
        case .noLeader, .overloaded: true
        case .membershipRefused(let reason): reason.contains("unapplied") || reason.contains("joint")
        default: false
        }
    }

    private func waitUntilSettled(until end: ContinuousClock.Instant) async throws(RaftError) {
        while directory.configuration.isJoint {
            guard ContinuousClock.now < end else { throw .timedOut }
            _ = try requireRunning()
            try await pause()
        }
    }

    /// What the steps mean for consensus, or why they cannot be meant.
    private func prepare(_ steps: [MembershipStep], _ running: Running) throws(RaftError) -> ConfigurationChange {
        let roster = directory.peers
        let configuration = directory.configuration
        guard !configuration.voters.isEmpty else { throw .membershipRefused("this member knows no cluster yet") }
        var changes: [MemberChange] = []
        var addresses: [RaftPeer] = []
        func known(_ id: NodeID) throws(RaftError) -> RaftPeer {
            guard let peer = roster.first(where: { $0.id == id }) else { throw .unknownMember(id) }
            return peer
        }
        func fresh(_ peer: RaftPeer, promotes: Bool) throws(RaftError) {
            guard peer.id.rawValue != 0 else { throw .membershipRefused("0 is no member's id") }
            guard peer.address.utf8.count <= RosterCodec.addressBytesMax else {
                throw .membershipRefused("the address of member \(peer.id) is too long")
            }
            if let old = roster.first(where: { $0.id == peer.id }), !(promotes && old.role == .learner) {
                throw .memberExists(peer.id)
            }
            addresses.append(peer)
        }
        for step in steps {
            switch step {
            case .addVoter(let peer):
                try fresh(peer, promotes: true)
                changes.append(MemberChange(.addVoter, peer.id))
            case .addLearner(let peer):
                try fresh(peer, promotes: false)
                changes.append(MemberChange(.addLearner, peer.id))
            case .promote(let id):
                guard try known(id).role == .learner else { throw .membershipRefused("member \(id) votes already") }
                changes.append(MemberChange(.addVoter, id))
            case .demote(let id):
                guard try known(id).role == .voter else { throw .membershipRefused("member \(id) does not vote") }
                changes.append(MemberChange(.addLearner, id))
            case .remove(let id):
                _ = try known(id)
                changes.append(MemberChange(.remove, id))
            case .move(let id, let address):
                var peer = try known(id)
                peer.address = address
                addresses.append(peer)
                changes.append(MemberChange(.update, id))
            }
        }
        guard Set(changes.map(\.node)).count == changes.count else {
            throw .membershipRefused("a member is named twice")
        }
        let change = ConfigurationChange(
            changes: changes, context: addresses.isEmpty ? [] : RosterCodec.encode(addresses))
        try check(change, configuration, running)
        return change
    }

    private func check(
        _ change: ConfigurationChange, _ before: Configuration, _ running: Running
    ) throws(RaftError) {
        let after: Configuration
        do {
            after = try before.applying(change)
        } catch {
            throw .membershipRefused(error.reason)
        }
        guard !after.voters.isEmpty else { throw .wouldLoseQuorum("nobody would vote any more") }
        guard options.guardsQuorum, before.voters != after.voters else { return }
        // Those that are new are trusted to come; those that are there and cannot be reached are not.
        let reached = after.voters.filter { voter in
            voter == id || !before.contains(voter) || running.attached.isConnected(voter) ?? true
        }
        let needed = after.voters.count / 2 + 1
        guard reached.count >= needed else {
            let missing = after.voters.filter { !reached.contains($0) }.map(\.description).joined(separator: ", ")
            throw .wouldLoseQuorum(
                "\(needed) of \(after.voters.count) voters are needed, and \(missing) cannot be reached")
        }
    }

    // MARK: Leadership

    /// Has another member lead.
    ///
    /// - Parameters:
    ///   - id: a voter; nil for any that can be reached.
    ///   - timeout: what an election may take; nil for two election timeouts.
    public func transferLeadership(to id: NodeID?, timeout: Duration? = nil) async throws(RaftError) {
        let running = try requireRunning()
        guard let leader = running.node.published.status.leader else { throw .noLeader }
        let voters = directory.configuration.voters
        if let id {
            guard directory.peers.contains(where: { $0.id == id }) else { throw .unknownMember(id) }
            guard voters.contains(id) else { throw .transferFailed("member \(id) does not vote") }
        }
        let reachable = voters.first { $0 != leader && ($0 == self.id || running.attached.isConnected($0) ?? true) }
        guard let target = id ?? reachable else { throw .transferFailed("nobody else can be reached") }
        if leader == target { return }
        let end = ContinuousClock.now + (timeout ?? options.electionTimeout * 2)
        running.node.transferLeadership(to: target)
        while ContinuousClock.now < end {
            let now = try requireRunning().node.published.status.leader
            if now == target || (id == nil && now != nil && now != leader) { return }
            try await pause()
        }
        throw .transferFailed("member \(target) did not take over in time")
    }
}
