extension RaftCore {
    // MARK: Proposals

    mutating func onPropose(_ proposals: [Proposal], into effects: inout Effects) {
        guard !proposals.isEmpty else { return }
        let count = proposals.count
        guard var leader = takeLeadership() else {
            guard let known = knownLeader else {
                effects.emit(.proposalsRefused(count: count, reason: .noLeader))
                return
            }
            guard options.forwardsProposals else {
                effects.emit(.proposalsRefused(count: count, reason: .forwardingDisabled))
                return
            }
            effects.emit(
                .send(Message(from: options.id, to: known, term: .zero, body: .propose(proposals))))
            return
        }
        propose(proposals, from: nil, &leader, into: &effects)
        role = .leader(leader)
    }

    /// Proposals that another member passes on.
    mutating func onForwarded(
        _ proposals: [Proposal], _ message: borrowing Message, into effects: inout Effects
    ) {
        guard !proposals.isEmpty else { return }
        if var leader = takeLeadership() {
            propose(proposals, from: message.from, &leader, into: &effects)
            role = .leader(leader)
        } else if let known = knownLeader, known != message.from, options.forwardsProposals {
            effects.emit(
                .send(Message(from: options.id, to: known, term: .zero, body: .propose(proposals))))
        } else {
            ignore(message, "proposals, and no leader to pass them on to", into: &effects)
            effects.emit(.forwardRefused(.proposals(proposals, reason: .noLeader), from: message.from))
        }
    }

    private mutating func propose(
        _ offered: [Proposal], from sender: NodeID?, _ leader: inout LeaderState, into effects: inout Effects
    ) {
        var proposals = offered
        func refuse(_ count: Int, _ reason: RefusalReason) {
            if let sender {
                let refused = Array(offered.suffix(count))
                effects.emit(.forwardRefused(.proposals(refused, reason: reason), from: sender))
            } else {
                effects.emit(.proposalsRefused(count: count, reason: reason))
            }
        }
        guard leader.transferee == nil, handoverAfter == nil else { return refuse(proposals.count, .transferring) }
        guard leader.slot(of: options.id) != nil else { return refuse(proposals.count, .notMember) }

        // As many from the front as the limit allows; those without a payload cost nothing.
        var taken = 0
        var bytes = leader.uncommittedBytes
        for proposal in proposals {
            let size = proposal.payload.count
            if bytes > 0, size > 0, bytes + size > options.maxUncommittedBytes { break }
            bytes += size
            taken += 1
        }
        if taken < proposals.count {
            refuse(proposals.count - taken, .tooManyUncommitted)
            guard taken > 0 else { return }
            proposals.removeLast(proposals.count - taken)
        }
        for offset in proposals.indices where proposals[offset].kind == .configuration {
            let index = trail.lastIndex.advanced(by: offset + 1)
            if let reason = refusal(of: proposals[offset].payload, leader) {
                effects.emit(.trace(.configurationRefused(reason.description)))
                if let sender {
                    effects.emit(
                        .forwardRefused(.configurationChange(proposals[offset], reason: reason), from: sender))
                } else {
                    effects.emit(.configurationChangeRefused(offset: offset, reason: reason))
                }
                proposals[offset] = Proposal(payload: [])
            } else {
                leader.pendingConfigurationIndex = index
            }
        }
        append(proposals, &leader, into: &effects)
        broadcastAppend(&leader, into: &effects)
    }

    /// "If command received from client: append entry to local log" (figure 2).
    mutating func append(_ proposals: [Proposal], _ leader: inout LeaderState, into effects: inout Effects) {
        var entries: [Entry] = []
        entries.reserveCapacity(proposals.count)
        for proposal in proposals {
            entries.append(
                Entry(index: trail.lastIndex.next, term: term, kind: proposal.kind, payload: proposal.payload))
            trail.append(
                term: term, payloadBytes: proposal.payload.count, isConfiguration: proposal.kind == .configuration)
            leader.uncommittedBytes += proposal.payload.count
        }
        write(entries, into: &effects)
        if answersBeforePersisting, let own = leader.slot(of: options.id) {
            _ = leader.peers[own].acknowledge(trail.lastIndex)
            _ = advanceCommit(&leader)
        }
    }

    // MARK: Leader to follower

    /// What was committed is told to everyone, and what they lack goes along.
    private mutating func announceCommit(_ leader: inout LeaderState, into effects: inout Effects) {
        for place in leader.peers.indices where leader.peers[place].id != options.id {
            sendAppend(to: place, evenIfEmpty: options.announcesCommit, &leader, into: &effects)
        }
    }

    mutating func broadcastAppend(_ leader: inout LeaderState, into effects: inout Effects) {
        for place in leader.peers.indices where leader.peers[place].id != options.id {
            sendAppend(to: place, evenIfEmpty: true, &leader, into: &effects)
        }
    }

    /// Sends that member what it lacks, as far as one message and its state allow. An append without entries tells it
    /// the commit index. False if there was nothing to send.
    @discardableResult
    mutating func sendAppend(
        to place: Int, evenIfEmpty: Bool, _ leader: inout LeaderState, into effects: inout Effects
    ) -> Bool {
        guard !leader.peers[place].isPaused else { return false }
        let first = leader.peers[place].next
        let previous = first.previous
        guard let previousTerm = trail.term(at: previous) else {
            return sendSnapshot(to: place, &leader, into: &effects)
        }
        var end = first
        var bytes = 0
        // A member whose inflights are full gets empty appends only (a heartbeat's answer prompts one): if all that was
        // under way is lost, the answer to one of these gets things going again.
        if leader.peers[place].state != .replicate || !leader.peers[place].inflights.isFull {
            (end, bytes) = trail.batch(from: first, bytesMax: options.maxMessageBytes)
        }
        if end == first, !evenIfEmpty { return false }
        let header = message(
            to: leader.peers[place].id,
            .appendEntries(
                AppendEntries(previousIndex: previous, previousTerm: previousTerm, commit: commit, entries: [])))
        effects.emit(end == first ? .send(header) : .sendEntries(header, first: first, end: end))
        leader.peers[place].sent(to: end, bytes: bytes)
        if end > first, first < coldBefore { leader.peers[place].isPageUnderWay = true }
        leader.peers[place].sentCommit = commit
        return true
    }

    /// The entries that had to be read for that member are on their way: the next ones may be asked for.
    mutating func onPageSent(to node: NodeID, into effects: inout Effects) {
        guard var leader = takeLeadership() else { return }
        defer { role = .leader(leader) }
        guard let place = leader.slot(of: node), leader.peers[place].isPageUnderWay else { return }
        leader.peers[place].isPageUnderWay = false
        while sendAppend(to: place, evenIfEmpty: false, &leader, into: &effects) {}
    }

    func sendHeartbeat(
        to place: Int, sequence: UInt64, _ leader: inout LeaderState, into effects: inout Effects
    ) {
        // Not the whole commit index: what that member has beyond `match` may not be what is committed.
        let known = heartbeatsTellWholeCommit ? commit : min(leader.peers[place].match, commit)
        send(.heartbeat(Heartbeat(commit: known, readSequence: sequence)), to: leader.peers[place].id, into: &effects)
        leader.peers[place].sentCommit = known
    }

    // MARK: Follower

    mutating func onAppendEntries(_ append: AppendEntries, from leader: NodeID, into effects: inout Effects) {
        if append.previousIndex < commit {
            // An old one. What is committed matches, wherever it comes from.
            sendWhenDurable(.appendEntriesReply(AppendEntriesReply(index: commit, outcome: .accepted)), to: leader)
            return
        }
        guard trail.matches(append.previousIndex, append.previousTerm) else {
            // "Reply false if log doesn't contain an entry at prevLogIndex whose term matches prevLogTerm" (figure 2).
            // All that the leader has up to there has at most that term, so the logs cannot agree where this one's
            // terms are higher: whole terms are skipped (§5.3).
            let hint = trail.lastPlace(
                from: min(append.previousIndex, trail.lastIndex), termAtMost: append.previousTerm)
            sendWhenDurable(
                .appendEntriesReply(
                    AppendEntriesReply(
                        index: append.previousIndex, outcome: .rejected(hintIndex: hint.index, hintTerm: hint.term))),
                to: leader)
            return
        }
        // "If an existing entry conflicts with a new one, delete the existing entry and all that follow it" (figure 2),
        // and only then: a late message must not cut off what newer ones have brought.
        var known = 0
        while !truncatesOnLateAppend, known < append.entries.count,
            trail.matches(append.entries[known].index, append.entries[known].term)
        {
            known += 1
        }
        let lastNew = append.previousIndex.advanced(by: append.entries.count)
        if known < append.entries.count {
            adopt(known == 0 ? append.entries : Array(append.entries[known...]), into: &effects)
        }
        // "If leaderCommit > commitIndex, set commitIndex = min(leaderCommit, index of last new entry)" (figure 2).
        commit = max(commit, min(append.commit, lastNew))
        sendWhenDurable(.appendEntriesReply(AppendEntriesReply(index: lastNew, outcome: .accepted)), to: leader)
    }

    private mutating func adopt(_ entries: [Entry], into effects: inout Effects) {
        let first = entries[0].index
        precondition(first > commit, "entry \(first.rawValue) replaces a committed one; commit is \(commit.rawValue)")
        if first <= trail.lastIndex {
            trail.truncate(from: first)
            durability.truncate(from: first)
        }
        for entry in entries {
            trail.append(
                term: entry.term, payloadBytes: entry.payload.count, isConfiguration: entry.kind == .configuration)
        }
        write(entries, into: &effects)
    }

    mutating func onHeartbeat(
        _ heartbeat: Heartbeat, _ message: borrowing Message, into effects: inout Effects
    ) {
        guard heartbeat.commit <= trail.lastIndex else {
            // The leader counts on entries that this node has once acknowledged. Somebody has lost some.
            ignore(message, "a commit index past the log's end: entries were lost", into: &effects)
            return
        }
        commit = max(commit, heartbeat.commit)
        send(.heartbeatReply(HeartbeatReply(readSequence: heartbeat.readSequence)), to: message.from, into: &effects)
    }

    // MARK: Follower to leader

    mutating func onAppendEntriesReply(
        _ reply: AppendEntriesReply, _ message: borrowing Message, into effects: inout Effects
    ) {
        guard var leader = takeLeadership() else { return }
        defer { role = .leader(leader) }
        guard let place = leader.slot(of: message.from) else { return }
        leader.peers[place].isRecentlyActive = true
        leader.peers[place].heardAt = now
        switch reply.outcome {
        case .rejected(let hintIndex, let hintTerm):
            // Where this log's terms are higher than the follower's at the hint, they cannot agree either.
            let probe = hintTerm > .zero ? trail.lastPlace(from: hintIndex, termAtMost: hintTerm).index : hintIndex
            guard leader.peers[place].reject(reply.index, hint: probe) else { return }
            if leader.peers[place].state == .replicate { leader.peers[place].becomeProbe() }
            sendAppend(to: place, evenIfEmpty: true, &leader, into: &effects)
        case .accepted:
            guard reply.index <= trail.lastIndex else {
                ignore(message, "acknowledges entries that were never sent", into: &effects)
                return
            }
            onAcknowledged(reply.index, by: place, &leader, into: &effects)
        }
    }

    private mutating func onAcknowledged(
        _ index: LogIndex, by place: Int, _ leader: inout LeaderState, into effects: inout Effects
    ) {
        // An answer without news still ends a probe: the member is there, and its log agrees.
        let isNews = leader.peers[place].acknowledge(index)
        guard isNews || leader.peers[place].match == index && leader.peers[place].state == .probe else { return }
        switch leader.peers[place].state {
        case .probe:
            leader.peers[place].becomeReplicate()
        case .snapshot:
            // Whichever snapshot got it there: what matters is that the log can take over from here.
            if leader.peers[place].match.next >= trail.firstIndex {
                leader.peers[place].becomeProbe()
                leader.peers[place].becomeReplicate()
            }
        case .replicate:
            leader.peers[place].inflights.free(through: index)
        }
        if advanceCommit(&leader) {
            releasePostponedReads(&leader, into: &effects)
            announceCommit(&leader, into: &effects)
        } else if options.announcesCommit, leader.peers[place].wantsCommit(commit) {
            sendAppend(to: place, evenIfEmpty: true, &leader, into: &effects)
        }
        // There may be room for several messages now.
        while sendAppend(to: place, evenIfEmpty: false, &leader, into: &effects) {}
        continueTransfer(to: place, &leader, into: &effects)
        tellOfHandover(place, &leader, into: &effects)
    }

    /// This node's log is durable up to `index`. A leader counts itself like any other member (§10.2.1 of the thesis).
    mutating func acknowledgeOwn(_ index: LogIndex, _ leader: inout LeaderState, into effects: inout Effects) {
        guard let own = leader.slot(of: options.id), leader.peers[own].acknowledge(index) else { return }
        if advanceCommit(&leader) {
            releasePostponedReads(&leader, into: &effects)
            announceCommit(&leader, into: &effects)
        }
    }

    mutating func onHeartbeatReply(
        _ reply: HeartbeatReply, _ message: borrowing Message, into effects: inout Effects
    ) {
        guard var leader = takeLeadership() else { return }
        defer { role = .leader(leader) }
        guard let place = leader.slot(of: message.from) else { return }
        leader.peers[place].isRecentlyActive = true
        leader.peers[place].heardAt = now
        // What is still being read for it cannot have been lost on the way.
        if !leader.peers[place].isPageUnderWay { leader.peers[place].isFlowPaused = false }
        if leader.peers[place].match < trail.lastIndex || leader.peers[place].state == .probe {
            sendAppend(to: place, evenIfEmpty: true, &leader, into: &effects)
        }
        guard reply.readSequence <= leader.reads.sequence else {
            ignore(message, "answers a heartbeat that was never sent", into: &effects)
            return
        }
        if reply.readSequence > leader.peers[place].answeredSequence {
            leader.peers[place].answeredSequence = reply.readSequence
            advanceReads(&leader, into: &effects)
        }
    }

    /// "If there exists an N such that N > commitIndex, a majority of matchIndex[i] ≥ N, and log[N].term ==
    /// currentTerm:
    /// set commitIndex = N" (figure 2; why the term matters: figure 8).
    mutating func advanceCommit(_ leader: inout LeaderState) -> Bool {
        let reached = leader.reached(in: deciding) { leader.peers[$0].match.rawValue }
        let index = LogIndex(rawValue: min(reached, trail.lastIndex.rawValue))
        guard index > commit else { return false }
        guard trail.term(at: index) == term || commitsOlderTermsByCount else { return false }
        commit = index
        return true
    }

    mutating func onUnreachable(_ node: NodeID) {
        guard var leader = takeLeadership() else { return }
        if let place = leader.slot(of: node) {
            // Appends that were sent on without waiting are probably lost.
            if leader.peers[place].state == .replicate { leader.peers[place].becomeProbe() }
            leader.peers[place].isPageUnderWay = false
        }
        role = .leader(leader)
    }
}
