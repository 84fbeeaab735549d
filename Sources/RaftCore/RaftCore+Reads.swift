extension RaftCore {
    mutating func onRead(_ id: ReadID, into effects: inout Effects) {
        guard var leader = takeLeadership() else { return forward(id, into: &effects) }
        admit(id, from: options.id, &leader, into: &effects)
        startRoundIfDue(&leader, into: &effects)
        role = .leader(leader)
    }

    mutating func onRead(many ids: [ReadID], into effects: inout Effects) {
        guard var leader = takeLeadership() else {
            for id in ids { forward(id, into: &effects) }
            return
        }
        for id in ids { admit(id, from: options.id, &leader, into: &effects) }
        startRoundIfDue(&leader, into: &effects)
        role = .leader(leader)
    }

    /// Another member asks on behalf of its caller.
    mutating func onForwardedRead(_ id: ReadID, _ message: borrowing Message, into effects: inout Effects) {
        guard var leader = takeLeadership() else {
            // Not passed on: the answer would come here, and the id is not ours.
            ignore(message, "a read, and not the leader", into: &effects)
            return
        }
        admit(id, from: message.from, &leader, into: &effects)
        startRoundIfDue(&leader, into: &effects)
        role = .leader(leader)
    }

    private func forward(_ id: ReadID, into effects: inout Effects) {
        guard let known = knownLeader else {
            effects.emit(.readRefused(id, reason: .noLeader))
            return
        }
        effects.emit(.send(Message(from: options.id, to: known, term: .zero, body: .readIndex(id))))
    }

    private func admit(
        _ id: ReadID, from origin: NodeID, _ leader: inout LeaderState, into effects: inout Effects
    ) {
        let read = ReadQueue.Read(from: origin, id: id, index: commit)
        guard hasCommittedInTerm || readsBeforeFirstCommit else {
            // "A leader must have the latest information on which entries are committed" (§8): not before its first.
            guard hasRoom(for: read, leader, into: &effects) else { return }
            leader.reads.postponed.append(read)
            return
        }
        if isAlone || readsWithoutQuorumRound || hasLease(leader) {
            answer(read, into: &effects)
            return
        }
        guard hasRoom(for: read, leader, into: &effects) else { return }
        leader.reads.board(read)
    }

    private func hasRoom(
        for read: ReadQueue.Read, _ leader: borrowing LeaderState, into effects: inout Effects
    ) -> Bool {
        if leader.reads.count < options.maxPendingReads { return true }
        if read.from == options.id { effects.emit(.readRefused(read.id, reason: .tooManyReads)) }
        return false
    }

    private func answer(_ read: ReadQueue.Read, into effects: inout Effects) {
        if read.from == options.id {
            effects.emit(.readReady(read.id, at: read.index))
        } else {
            send(.readIndexReply(read.id, read.index), to: read.from, into: &effects)
        }
    }

    var hasCommittedInTerm: Bool { trail.term(at: commit) == term }

    private var isAlone: Bool { !configuration.isJoint && configuration.voters == [options.id] }

    // MARK: Rounds

    private func startRoundIfDue(_ leader: inout LeaderState, into effects: inout Effects) {
        guard leader.reads.hasBoarding, !leader.reads.isRoundUnderWay else { return }
        depart(&leader)
        broadcastHeartbeat(&leader, into: &effects)
        advanceReads(&leader, into: &effects)
    }

    private func depart(_ leader: inout LeaderState) {
        leader.reads.depart()
        if options.readMode == .lease {
            leader.reads.noteDeparture(at: now, keeping: options.electionTicks)
        }
    }

    /// The regular heartbeat takes the waiting reads along, so that the loss of a round delays them and no more.
    func heartbeatOnTick(_ leader: inout LeaderState, into effects: inout Effects) {
        let takesReads = leader.reads.hasBoarding
        if takesReads || options.readMode == .lease || handoverAfter != nil { depart(&leader) }
        broadcastHeartbeat(&leader, into: &effects)
        if takesReads { advanceReads(&leader, into: &effects) }
    }

    private func broadcastHeartbeat(_ leader: inout LeaderState, into effects: inout Effects) {
        let isAsking = leader.reads.isRoundUnderWay || options.readMode == .lease || handoverAfter != nil
        let sequence = isAsking ? leader.reads.sequence : 0
        for place in leader.peers.indices where leader.peers[place].id != options.id {
            sendHeartbeat(to: place, sequence: sequence, &leader, into: &effects)
            noteHandover(in: sequence, to: place, &leader)
        }
    }

    /// Answers what a quorum has confirmed, and sends the next round off.
    func advanceReads(_ leader: inout LeaderState, into effects: inout Effects) {
        guard leader.reads.isRoundUnderWay || options.readMode == .lease else {
            return startRoundIfDue(&leader, into: &effects)
        }
        let newest = leader.reads.sequence
        let confirmed = leader.reached(in: deciding) { place in
            leader.peers[place].id == options.id ? newest : leader.peers[place].answeredSequence
        }
        if options.readMode == .lease { leader.reads.noteConfirmation(of: confirmed) }
        while let read = leader.reads.land(upTo: confirmed) { answer(read, into: &effects) }
        startRoundIfDue(&leader, into: &effects)
    }

    /// The first commit in this term: the commit index is now the newest that any leader can have answered with.
    func releasePostponedReads(_ leader: inout LeaderState, into effects: inout Effects) {
        guard !leader.reads.postponed.isEmpty, hasCommittedInTerm else { return }
        for read in leader.reads.takePostponed() { admit(read.id, from: read.from, &leader, into: &effects) }
        startRoundIfDue(&leader, into: &effects)
    }

    // MARK: Lease

    /// Whether a quorum has answered a heartbeat that was sent less than an election timeout ago: until that has passed
    /// since, those members vote for nobody else, wherever the answer has been meanwhile (thesis, §6.4.1).
    ///
    /// The time is that of sending, not of the answer. Ticks are coarse: n of them between two events mean any time
    /// between n-1 and n+1; so one is lost on each side. Members whose clocks run faster than this one's are what
    /// ``Options/leaseMarginTicks`` is for.
    private func hasLease(_ leader: borrowing LeaderState) -> Bool {
        guard options.readMode == .lease, !leader.hasSentTimeoutNow || leaseOutlivesTransfer,
            let sent = leader.reads.confirmedTick
        else {
            return false
        }
        return now - sent + 2 + UInt64(options.leaseMarginTicks) <= UInt64(options.electionTicks)
    }
}
