extension RaftCore {
    /// Terms and indexes beyond this cannot come about by counting: they are damage or malice, and would sooner or
    /// later overflow.
    private static let numberMax: UInt64 = 1 << 62

    /// Nothing that a message says may stop the process: it may come from a confused, damaged or hostile peer. What
    /// makes no sense is passed over, with a trace.
    mutating func onMessage(_ message: consuming Message, into effects: inout Effects) {
        if let reason = nonsense(in: message) {
            ignore(message, reason, into: &effects)
            return
        }
        if message.belongsToTerm, !adopt(termOf: message, into: &effects) { return }

        switch message.body {
        case .vote(let request): onVoteRequest(request, isPreVote: false, message, into: &effects)
        case .preVote(let request): onVoteRequest(request, isPreVote: true, message, into: &effects)
        case .voteReply(let reply): onVoteReply(reply, isPreVote: false, message, into: &effects)
        case .preVoteReply(let reply): onVoteReply(reply, isPreVote: true, message, into: &effects)
        case .appendEntries(let append):
            if follow(message, into: &effects) { onAppendEntries(append, from: message.from, into: &effects) }
        case .heartbeat(let heartbeat):
            if follow(message, into: &effects) { onHeartbeat(heartbeat, message, into: &effects) }
        case .installSnapshot(let snapshot):
            if follow(message, into: &effects) { onInstallSnapshot(snapshot, message, into: &effects) }
        case .appendEntriesReply(let reply): onAppendEntriesReply(reply, message, into: &effects)
        case .heartbeatReply(let reply): onHeartbeatReply(reply, message, into: &effects)
        case .propose(let proposals): onForwarded(proposals, message, into: &effects)
        case .readIndex(let id): onForwardedRead(id, message, into: &effects)
        case .readIndexReply(let id, let index): effects.emit(.readReady(id, at: index))
        case .timeoutNow: onTimeoutNow(message, into: &effects)
        case .transferLeadership(let target):
            // Zero names nobody: the best one is asked for.
            onTransfer(to: target.rawValue == 0 ? nil : target, from: message.from, into: &effects)
        case .forwardAnswer(let answer): effects.emit(.forwardAnswered(answer))
        }
    }

    func ignore(_ message: borrowing Message, _ reason: String, into effects: inout Effects) {
        effects.emit(.trace(.messageIgnored(from: message.from, message.term, reason)))
    }

    /// Compares terms (§5.1). True if the message is to be looked at further.
    private mutating func adopt(termOf message: borrowing Message, into effects: inout Effects) -> Bool {
        if message.term == term { return true }
        if message.term > term {
            switch message.body {
            case .vote(let request), .preVote(let request):
                // "If a server receives a RequestVote request within the minimum election timeout of hearing from a
                // current leader, it does not update its term or grant its vote" (thesis, §4.2.3). A campaign that the
                // leader itself has asked for is meant to pass.
                if !request.isTransfer, isWithinLease {
                    ignore(message, "a leader was heard of within the election timeout", into: &effects)
                    return false
                }
                if case .preVote = message.body { return true }  // It never changes a term.
            case .preVoteReply(let reply) where reply.isGranted:
                // In the term that would be campaigned in; it is entered when a quorum has granted it.
                return true
            case .readIndexReply:
                // A read index stays good in later terms, and this is the first word of this one.
                break
            default: break
            }
            let isCandidate = if case .vote = message.body { true } else { false }
            becomeFollower(
                in: message.term, of: message.isFromLeader ? message.from : nil, keepsClock: isCandidate,
                into: &effects)
            return true
        }
        switch message.body {
        case .appendEntries where !freesItselfFromOldTerms, .heartbeat where !freesItselfFromOldTerms:
            // Only delayed, perhaps. But if this node has moved its term on while it was cut off, it cannot win (the
            // others ignore its votes) and cannot follow: the leader has to hear of the higher term, to step down and
            // let the next election free this node. Pre-vote prevents this from arising.
            sendWhenDurable(.appendEntriesReply(AppendEntriesReply(index: .zero, outcome: .accepted)), to: message.from)
        case .vote:
            // As the paper has it: a candidate learns the term that it has to surpass. Where somebody whom it does not
            // know moves the others' terms on, it would never catch up with them.
            sendWhenDurable(.voteReply(VoteReply(isGranted: false)), to: message.from)
        case .preVote:
            // Before pre-vote was switched on, a node with a short log may have got to a higher term: without an
            // answer, the cluster could stand still.
            sendWhenDurable(.preVoteReply(VoteReply(isGranted: false)), to: message.from)
        default:
            ignore(message, "an older term", into: &effects)
        }
        return false
    }

    /// Its next campaign will be heard, and end the older term that it now ignores. Nothing but an answer helps a node
    /// whose requests for votes are passed over, or that never makes any: a learner keeps the term that it was told of.
    private var freesItselfFromOldTerms: Bool {
        !options.checkQuorum && !options.preVote && options.campaignsOnTimeout && mayCampaign
    }

    /// A message that only the leader of this term sends: whoever campaigns has lost (§5.2). False on that very leader.
    private mutating func follow(_ message: borrowing Message, into effects: inout Effects) -> Bool {
        if !isLeader {
            leaderHeardAt = now
            isLeaderGone = false
            earlyCampaignAt = nil
            hasCampaignedInVain = false
        }
        switch role {
        case .follower(let leader):
            electionElapsed = 0
            if leader != message.from { role = .follower(leader: message.from) }
            return true
        case .preCandidate, .candidate:
            becomeFollower(in: term, of: message.from, into: &effects)
            return true
        case .leader:
            ignore(message, "a second leader of this term", into: &effects)
            return false
        }
    }

    private func nonsense(in message: borrowing Message) -> String? {
        if message.to != options.id { return "addressed to another node" }
        if message.from == options.id || message.from.rawValue == 0 { return "from nobody else" }
        if message.term.rawValue > Self.numberMax { return "a term beyond counting" }
        if message.isReply, !configuration.contains(message.from) { return "an answer from no member" }
        switch message.body {
        case .appendEntries(let append):
            if message.term == .zero { return "a leader without a term" }
            if append.previousIndex.rawValue > Self.numberMax { return "an index beyond counting" }
            if append.previousTerm > message.term { return "a previous term above the sender's" }
            var index = append.previousIndex
            var last = append.previousTerm
            for entry in append.entries {
                index = index.next
                if entry.index != index { return "entries that are not consecutive" }
                if entry.term < last || entry.term > message.term || entry.term == .zero {
                    return "entries whose terms are out of order"
                }
                last = entry.term
            }
        case .appendEntriesReply(let reply):
            if reply.index.rawValue > Self.numberMax { return "an index beyond counting" }
            if case .rejected(let hint, _) = reply.outcome, hint.rawValue > Self.numberMax {
                return "an index beyond counting"
            }
        case .heartbeat, .timeoutNow:
            if message.term == .zero { return "a leader without a term" }
        case .installSnapshot(let snapshot):
            if message.term == .zero || snapshot.term == .zero || snapshot.term > message.term {
                return "a snapshot of an impossible term"
            }
            if snapshot.index == .zero || snapshot.index.rawValue > Self.numberMax {
                return "a snapshot at an impossible index"
            }
            if snapshot.configuration.inconsistency != nil || snapshot.configuration.voters.isEmpty {
                return "a snapshot with an impossible configuration"
            }
        case .vote(let request), .preVote(let request):
            if message.term == .zero { return "a candidate without a term" }
            if request.lastTerm > message.term { return "a candidate whose log is ahead of its term" }
        case .readIndexReply(_, let index):
            if index.rawValue > Self.numberMax { return "an index beyond counting" }
        case .voteReply, .preVoteReply, .heartbeatReply, .propose, .readIndex, .transferLeadership, .forwardAnswer:
            break
        }
        return nil
    }
}

extension Message {
    /// Proposals and reads on their way to a leader, and answers to proposals, are good in any term.
    fileprivate var belongsToTerm: Bool {
        switch body {
        case .propose, .readIndex, .forwardAnswer: false
        default: true
        }
    }

    fileprivate var isFromLeader: Bool {
        switch body {
        case .appendEntries, .heartbeat, .installSnapshot: true
        default: false
        }
    }

    fileprivate var isReply: Bool {
        switch body {
        case .appendEntriesReply, .heartbeatReply, .voteReply, .preVoteReply, .readIndexReply, .forwardAnswer: true
        default: false
        }
    }
}
