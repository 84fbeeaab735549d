extension RaftCore {
    /// Leadership goes to `target`, or to the best member (thesis, §3.10): it is brought up to date, then told to
    /// campaign at once.
    /// - Parameter sender: who passed the request on; nil for this node's own caller.
    mutating func onTransfer(to target: NodeID?, from sender: NodeID?, into effects: inout Effects) {
        func refuse(_ reason: TransferRefusal) {
            if let sender {
                effects.emit(.forwardRefused(.transfer(to: target, reason: reason), from: sender))
            } else {
                effects.emit(.transferRefused(to: target, reason: reason))
            }
        }
        guard var leader = takeLeadership() else {
            guard case .follower(let known?) = role else { return refuse(.noLeader) }
            send(.transferLeadership(to: target ?? NodeID(0)), to: known, into: &effects)
            return
        }
        if let reason = beginTransfer(to: target, &leader, into: &effects) { refuse(reason) }
        role = .leader(leader)
    }

    /// Nil where a transfer is under way afterwards; else the reason why this request began none.
    private mutating func beginTransfer(
        to target: NodeID?, _ leader: inout LeaderState, into effects: inout Effects
    ) -> TransferRefusal? {
        guard handoverAfter == nil else { return .leaderRemoved }
        guard let target = target ?? successor(leader, where: { isPresent($0) }) else { return .nobodySuitable }
        guard let place = leader.slot(of: target), !leader.peers[place].isLearner else { return .notVoter }
        guard leader.transferee != target else { return .alreadyUnderWay }
        endTransfer(.superseded, &leader, into: &effects)
        guard target != options.id else { return .alreadyLeader }
        // It has one election timeout from now.
        electionElapsed = 0
        leader.transferee = target
        if leader.peers[place].match == trail.lastIndex {
            sendTimeoutNow(to: target, &leader, into: &effects)
        } else {
            sendAppend(to: place, evenIfEmpty: true, &leader, into: &effects)
        }
        return nil
    }

    /// That member has acknowledged something: perhaps it is the one to take over, and has everything now.
    func continueTransfer(to place: Int, _ leader: inout LeaderState, into effects: inout Effects) {
        guard leader.peers[place].id == leader.transferee, leader.peers[place].match == trail.lastIndex else { return }
        sendTimeoutNow(to: leader.peers[place].id, &leader, into: &effects)
    }

    private func sendTimeoutNow(to target: NodeID, _ leader: inout LeaderState, into effects: inout Effects) {
        leader.hasSentTimeoutNow = true
        leader.isTransfereeTold = leader.transferee == target
        send(.timeoutNow, to: target, into: &effects)
    }

    func endTransfer(_ outcome: TransferOutcome, _ leader: inout LeaderState, into effects: inout Effects) {
        guard let transferee = leader.transferee else { return }
        leader.transferee = nil
        leader.isTransfereeTold = false
        effects.emit(.transferEnded(to: transferee, outcome: outcome))
    }

    mutating func onTimeoutNow(_ message: borrowing Message, into effects: inout Effects) {
        guard case .follower = role else {
            ignore(message, "asked to campaign while campaigning", into: &effects)
            return
        }
        campaignIfAllowed(.transfer, into: &effects)
    }

    // MARK: The best one

    /// Of the other voters that fit, the one to lead: who has everything that is committed comes before who has not,
    /// then the higher priority counts, then the longer log, then the lower id.
    private func successor(_ leader: borrowing LeaderState, where fits: (borrowing Progress) -> Bool) -> NodeID? {
        var best: (id: NodeID, isCaughtUp: Bool, priority: Int, match: LogIndex)?
        for place in leader.peers.indices {
            let id = leader.peers[place].id
            // Not those of the outgoing half that the change takes the vote from.
            guard id != options.id, configuration.voters.contains(id), fits(leader.peers[place]) else { continue }
            let match = leader.peers[place].match
            let isCaughtUp = match >= commit && leader.peers[place].state == .replicate
            let priority = options.priority(of: id)
            if let best {
                if isCaughtUp != best.isCaughtUp {
                    if best.isCaughtUp { continue }
                } else if priority != best.priority {
                    if best.priority > priority { continue }
                } else if match <= best.match {
                    continue
                }
            }
            best = (id, isCaughtUp, priority, match)
        }
        return best?.id
    }

    /// At most so many quorum checks pass between two offers to preferred members.
    private static let preferenceWaitMax = 64

    /// Once in an election timeout: somebody who should rather lead may have come back. (As PD does for etcd, from
    /// outside.) An offer costs up to an election timeout without proposals when it fails, so offers get rarer.
    mutating func offerToPreferred(_ leader: inout LeaderState, into effects: inout Effects) {
        guard options.returnsLeadership, !options.priorities.isEmpty, handoverAfter == nil else { return }
        guard leader.preferenceWait == 0 else {
            leader.preferenceWait -= 1
            return
        }
        let own = options.priority(of: options.id)
        let preferred = successor(leader) { peer in
            options.priority(of: peer.id) > own && isPresent(peer) && peer.state == .replicate && peer.match >= commit
        }
        // A change of the configuration first comes to its end.
        guard hasCommittedInTerm, !configuration.isJoint, let preferred else { return }
        leader.preferenceFailures += 1
        leader.preferenceWait = min(4 << min(leader.preferenceFailures, 8), Self.preferenceWaitMax)
        _ = beginTransfer(to: preferred, &leader, into: &effects)
    }

    // MARK: A leader that has lost its vote

    /// A heartbeat with this sequence tells that member the commit index; if that covers the change that has taken this
    /// leader's vote, its answer says that it knows.
    func noteHandover(in sequence: UInt64, to place: Int, _ leader: inout LeaderState) {
        guard let change = handoverAfter, leader.peers[place].toldOfHandover == nil else { return }
        if min(leader.peers[place].match, commit) >= change { leader.peers[place].toldOfHandover = sequence }
    }

    /// That member has only now got the change, so that it can be told without waiting for the next heartbeat.
    func tellOfHandover(_ place: Int, _ leader: inout LeaderState, into effects: inout Effects) {
        guard let change = handoverAfter, leader.peers[place].toldOfHandover == nil,
            leader.peers[place].match >= change
        else { return }
        heartbeatOnTick(&leader, into: &effects)
    }

    /// Steps down as soon as the others can go on by themselves: when everything in the log is committed, so that
    /// nothing that was taken is lost and a majority's logs reach as far as this one, and when a majority of the voters
    /// know that the change is committed. Until they do, they may ask this node for its vote, and need it.
    mutating func finishHandover(into effects: inout Effects) {
        guard handoverAfter != nil, commit == trail.lastIndex, var leader = takeLeadership() else { return }
        let know = leader.reached(in: configuration) { place in
            guard let told = leader.peers[place].toldOfHandover else { return 0 }
            return leader.peers[place].answeredSequence >= told ? 1 : 0
        }
        let next = successor(leader) { $0.match == trail.lastIndex && $0.toldOfHandover != nil }
        guard know == 1, let next else {
            role = .leader(leader)
            return
        }
        // Lost or ignored (a committed change may still wait to be applied there), it costs an election timeout.
        let chosen = leader.transferee.flatMap { leader.slot(of: $0) }.map { leader.peers[$0] }
        sendTimeoutNow(to: chosen?.match == trail.lastIndex ? chosen?.id ?? next : next, &leader, into: &effects)
        role = .leader(leader)
        becomeFollower(in: term, of: nil, into: &effects)
    }
}
