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
                // Nothing was proposed: there is no leader yet, or the change before this one is not applied yet, or
                // who is to vote has not caught up yet.
                guard ContinuousClock.now < end, isWorthRepeating(error) else { throw await explained(error) }
                try await pause()
            }
        }
    }

    private func isWorthRepeating(_ error: RaftError) -> Bool {
        switch error {
        case .noLeader, .overloaded, .membershipRefused(.anotherUnderWay), .membershipRefused(.notCaughtUp): true
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
        guard !configuration.voters.isEmpty else { throw .membershipRefused(.noCluster) }
        var changes: [MemberChange] = []
        var addresses: [RaftPeer] = []
        func known(_ id: NodeID) throws(RaftError) -> RaftPeer {
            guard let peer = roster.first(where: { $0.id == id }) else { throw .unknownMember(id) }
            return peer
        }
        func fresh(_ peer: RaftPeer, promotes: Bool) throws(RaftError) {
            guard peer.id.rawValue != 0 else { throw .membershipRefused(.invalidID) }
            guard peer.address.utf8.count <= RosterCodec.addressBytesMax else {
                throw .membershipRefused(.addressTooLong(peer.id))
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
                guard try known(id).role == .learner else { throw .membershipRefused(.votesAlready(id)) }
                changes.append(MemberChange(.addVoter, id))
            case .demote(let id):
                guard try known(id).role == .voter else { throw .membershipRefused(.doesNotVote(id)) }
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
        for place in changes.indices where changes[..<place].contains(where: { $0.node == changes[place].node }) {
            throw .membershipRefused(.namedTwice(changes[place].node))
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
            throw RaftError(error)
        }
        guard !after.voters.isEmpty else { throw .membershipRefused(.removesAllVoters) }
        guard options.guardsQuorum, before.voters != after.voters else { return }
        // Those that are new are trusted to come; those that are there and cannot be reached are not.
        let reached = after.voters.filter { voter in
            voter == id || !before.contains(voter) || running.attached.isConnected(voter) ?? true
        }
        let needed = after.voters.count / 2 + 1
        guard reached.count >= needed else {
            throw .wouldLoseQuorum(unreachable: after.voters.filter { !reached.contains($0) })
        }
    }

    // MARK: Leadership

    /// Has another member lead, and waits until it does. Can be asked of any member; the leader is the one to do it.
    ///
    /// - Parameters:
    ///   - id: a voter; nil for the best one: it has everything that is committed and can be reached.
    ///   - timeout: what all of it may take; nil for two election timeouts.
    /// - Returns: who leads now.
    /// - Throws: ``RaftError/transferFailed(_:)``, ``RaftError/unknownMember(_:)``, ``RaftError/noLeader``.
    @discardableResult
    public func transferLeadership(to id: NodeID?, timeout: Duration? = nil) async throws(RaftError) -> NodeID {
        if let id, !directory.peers.contains(where: { $0.id == id }) { throw .unknownMember(id) }
        let end = ContinuousClock.now + (timeout ?? options.electionTimeout * 2)
        while true {
            let leader = try await waitForLeader(timeout: end - ContinuousClock.now)
            if id == leader { return leader }
            switch try await askForTransfer(to: id, within: end - ContinuousClock.now) {
            case .leads(let now):
                if now == id || id == nil && now != leader { return now }
                throw .transferFailed(.anotherLeads(now))
            case .refused(.alreadyLeader): return id ?? leader
            case .refused(.noLeader) where ContinuousClock.now < end: try await pause()
            case .refused(let reason): throw RaftError(reason, target: id)
            case .ended(let target, let outcome): throw RaftError(outcome, target: target)
            }
        }
    }

    private func askForTransfer(
        to id: NodeID?, within patience: Duration
    ) async throws(RaftError) -> TransferConclusion {
        let running = try requireRunning()
        do throws(RaftError) {
            return try await transfers.ask { ticket in
                running.node.transferLeadership(to: id, ticket: ticket, timeoutNanoseconds: patience.nanoseconds)
            }
        } catch {
            if error == .timedOut { throw .transferFailed(.timedOut(id)) }
            throw await explained(error)
        }
    }
}

extension RaftError {
    fileprivate init(_ refusal: TransferRefusal, target: NodeID?) {
        self =
            switch refusal {
            case .noLeader: .noLeader
            case .notVoter: target.map { .transferFailed(.notVoter($0)) } ?? .transferFailed(.nobodySuitable)
            case .nobodySuitable: .transferFailed(.nobodySuitable)
            case .leaderRemoved: .transferFailed(.leaderIsLeaving)
            // Not told to those who wait: they wait with the others.
            case .alreadyLeader, .alreadyUnderWay: .transferFailed(.superseded)
            }
    }

    fileprivate init(_ outcome: TransferOutcome, target: NodeID) {
        self =
            switch outcome {
            case .timedOut: .transferFailed(.timedOut(target))
            case .targetRemoved: .transferFailed(.targetRemoved(target))
            case .superseded: .transferFailed(.superseded)
            // A hand-over is followed by a new leader.
            case .leadershipLost, .handedOver: .transferFailed(.leadershipLost)
            }
    }
}
