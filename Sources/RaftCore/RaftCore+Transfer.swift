extension RaftCore {
    /// Leadership goes to `target` (thesis, §3.10): it is brought up to date, then told to campaign at once.
    mutating func onTransfer(to target: NodeID, into effects: inout Effects) {
        guard var leader = takeLeadership() else {
            if case .follower(let known?) = role {
                send(.transferLeadership(to: target), to: known, into: &effects)
            }
            return
        }
        defer { role = .leader(leader) }
        guard let place = leader.slot(of: target), !leader.peers[place].isLearner, leader.transferee != target else {
            return
        }
        leader.transferee = nil
        guard target != options.id else { return }
        // It has one election timeout from now.
        electionElapsed = 0
        leader.transferee = target
        if leader.peers[place].match == trail.lastIndex {
            sendTimeoutNow(to: target, &leader, into: &effects)
        } else {
            sendAppend(to: place, evenIfEmpty: true, &leader, into: &effects)
        }
    }

    /// That member has acknowledged something: perhaps it is the one to take over, and has everything now.
    func continueTransfer(to place: Int, _ leader: inout LeaderState, into effects: inout Effects) {
        guard leader.peers[place].id == leader.transferee, leader.peers[place].match == trail.lastIndex else { return }
        sendTimeoutNow(to: leader.peers[place].id, &leader, into: &effects)
    }

    private func sendTimeoutNow(to target: NodeID, _ leader: inout LeaderState, into effects: inout Effects) {
        leader.hasSentTimeoutNow = true
        send(.timeoutNow, to: target, into: &effects)
    }

    mutating func onTimeoutNow(_ message: borrowing Message, into effects: inout Effects) {
        guard case .follower = role else {
            ignore(message, "asked to campaign while campaigning", into: &effects)
            return
        }
        campaignIfAllowed(.transfer, into: &effects)
    }
}
