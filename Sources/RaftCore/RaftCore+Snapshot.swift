extension RaftCore {
    /// The log no longer holds what that member needs next.
    mutating func sendSnapshot(to place: Int, _ leader: inout LeaderState, into effects: inout Effects) -> Bool {
        // A member that is not there would make us read and send a snapshot for nothing.
        guard leader.peers[place].isRecentlyActive else { return false }
        effects.emit(.sendSnapshot(to: leader.peers[place].id, atLeast: applied, term: term))
        leader.peers[place].becomeSnapshot(atLeast: applied)
        return true
    }

    mutating func onSnapshotFinished(_ node: NodeID, succeeded: Bool) {
        guard var leader = takeLeadership() else { return }
        defer { role = .leader(leader) }
        guard let place = leader.slot(of: node), leader.peers[place].state == .snapshot else { return }
        // After a failure there is nothing to go on from.
        if !succeeded { leader.peers[place].pendingSnapshot = .zero }
        leader.peers[place].becomeProbe()
        // Its answer tells where it stands; after a failure, the next heartbeat's answer does.
        leader.peers[place].isFlowPaused = true
    }

    /// All chunks of a snapshot have arrived and were checked. If it is of use, a write says so; the caller drops it
    /// otherwise.
    mutating func onInstallSnapshot(
        _ snapshot: SnapshotDescription, _ message: borrowing Message, into effects: inout Effects
    ) {
        if restore(snapshot, message, into: &effects) {
            sendWhenDurable(
                .appendEntriesReply(AppendEntriesReply(index: trail.lastIndex, outcome: .accepted)), to: message.from)
        } else {
            sendWhenDurable(
                .appendEntriesReply(AppendEntriesReply(index: commit, outcome: .accepted)), to: message.from)
        }
    }

    private mutating func restore(
        _ snapshot: SnapshotDescription, _ message: borrowing Message, into effects: inout Effects
    ) -> Bool {
        guard snapshot.index > commit else { return false }
        guard snapshot.configuration.contains(options.id) else {
            ignore(message, "a snapshot of a cluster without this node", into: &effects)
            return false
        }
        if trail.matches(snapshot.index, snapshot.term) {
            // "If existing log entry has same index and term as snapshot's last included entry, retain log entries
            // following it" (figure 13): and the entries before it too, there is nothing to replace.
            commit = snapshot.index
            return false
        }
        trail.reset(to: snapshot.index, term: snapshot.term)
        commit = snapshot.index
        configuration = snapshot.configuration
        configurationIndex = snapshot.index
        write(snapshot: snapshot, into: &effects)
        effects.emit(.trace(.configurationChanged(configuration)))
        return true
    }
}
