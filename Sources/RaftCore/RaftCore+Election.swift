/// Why somebody campaigns.
enum CampaignKind: Sendable {
    case preElection, election
    /// The leader has asked for it: no pre-vote, since nothing was cut off, and no lease holds it up.
    case transfer
    /// Others need this node, which has no vote any more, to lead for a while.
    case caretaker
}

extension RaftCore {
    // MARK: Time

    /// "A server remains in follower state as long as it receives valid RPCs from a leader or candidate" (§5.2).
    mutating func tickElection(into effects: inout Effects) {
        electionElapsed += 1
        if isLeaderGone, electionElapsed > options.heartbeatTicks { abandonLeader() }
        let isEarly = earlyCampaignAt.map { now >= $0 } ?? false
        if options.campaignsOnTimeout, mayCampaign, isEarly || electionElapsed >= electionTimeout {
            electionElapsed = 0
            earlyCampaignAt = nil
            hasWaitedInVain = isCampaigning && !wasEarly
            wasEarly = isEarly
            campaignIfAllowed(options.preVote ? .preElection : .election, into: &effects)
        } else if isCampaigning, !mayCampaign, electionElapsed >= electionTimeout {
            // A caretaker that nobody has answered. It is for the others to ask again.
            becomeFollower(in: term, of: nil, into: &effects)
        }
    }

    private var isCampaigning: Bool {
        switch role {
        case .preCandidate, .candidate: true
        case .follower, .leader: false
        }
    }

    /// "Election timeouts are chosen randomly from a fixed interval" (§5.2). Those who should not lead as long as
    /// others can take a later one, so that the others come first; there is an end to it, so that somebody always
    /// comes.
    mutating func drawElectionTimeout() {
        let chance = Int(random.next() % UInt64(options.electionTicks))
        electionTimeout = options.electionTicks * (1 + preferredRanks) + chance
    }

    /// A candidate that is not elected asks again sooner than a follower would, the first time: the leader is known to
    /// be lost, only the vote was split or a message was, and a whole timeout more is felt by every client. Still by
    /// chance, so that the next vote is not split too. From then on it waits as long as the paper says: it may be that
    /// votes take that long, over slow disks, and would never be waited for.
    private mutating func drawRetryTimeout() {
        let shortest = (options.electionTicks + 1) / 2
        electionTimeout = shortest + Int(random.next() % UInt64(options.electionTicks - shortest + 1))
    }

    /// How many election timeouts later than the most preferred voters this one campaigns.
    private var preferredRanks: Int {
        guard !options.priorities.isEmpty else { return 0 }
        // Its log may be too short. Without pre-votes, each of its campaigns sets the others' clocks back: they would
        // never get to theirs if it always came first.
        if hasCampaignedInVain { return Self.preferredRanksMax }
        let own = options.priority(of: options.id)
        var above: [Int] = []
        for voter in configuration.allVoters {
            let priority = options.priority(of: voter)
            if priority > own, !above.contains(priority) { above.append(priority) }
        }
        return min(above.count, Self.preferredRanksMax)
    }

    private static let preferredRanksMax = 3

    /// A leader was heard of within the minimum election timeout, or may have been before a restart.
    ///
    /// Where reads rest on leases, this is a promise to that leader, and outlives what this node knows of it: neither a
    /// restart nor a stray message of a higher term may end it, or another leader could be elected while the first
    /// still answers reads.
    var isWithinLease: Bool {
        guard options.checkQuorum else { return false }
        if options.readMode == .lease {
            if isLeaseForgotten, now < UInt64(options.electionTicks) { return true }
            if let heard = leaderHeardAt, now - heard < UInt64(options.electionTicks) { return true }
        }
        return knownLeader != nil && electionElapsed < options.electionTicks
    }

    /// Voters that have a state. (A node that waits for a snapshot has none.)
    var mayCampaign: Bool { configuration.isVoter(options.id) && durability.snapshot == nil }

    // MARK: Transitions

    private mutating func leaveRole(to new: Role, into effects: inout Effects) {
        handoverAfter = nil
        if var leader = takeLeadership() {
            endTransfer(leader.isTransfereeTold ? .handedOver : .leadershipLost, &leader, into: &effects)
            // Nobody will answer these now: those of other members are asked again, our own can be told.
            for read in leader.reads.all where read.from == options.id {
                effects.emit(.readRefused(read.id, reason: .noLeader))
            }
        }
        role = new
    }

    /// - Parameter keepsClock: for a request for votes. Only granting it starts a follower's clock anew (figure 2): who
    ///   has the better log, and refuses, must get to its own campaign, however often the other one asks.
    mutating func becomeFollower(
        in newTerm: Term, of leader: NodeID?, keepsClock: Bool = false, into effects: inout Effects
    ) {
        if keepsClock, !isLeader { adopt(newTerm) } else { enter(newTerm) }
        leaveRole(to: .follower(leader: leader), into: &effects)
        effects.emit(.trace(.becameFollower(term, leader: leader)))
    }

    /// The clock starts anew.
    private mutating func enter(_ newTerm: Term) {
        adopt(newTerm)
        electionElapsed = 0
        drawElectionTimeout()
    }

    /// A vote is for one term only.
    private mutating func adopt(_ newTerm: Term) {
        precondition(newTerm >= term, "term \(term.rawValue) goes back to \(newTerm.rawValue)")
        guard newTerm > term else { return }
        term = newTerm
        votedFor = nil
    }

    mutating func campaignIfAllowed(_ kind: CampaignKind, into effects: inout Effects) {
        guard !isLeader, mayCampaign || kind == .caretaker else { return }
        // A committed change that is not applied yet may have made this node no voter, or a quorum out of others.
        guard !trail.hasConfiguration(after: applied, through: commit) else { return }
        campaign(kind, into: &effects)
    }

    private mutating func campaign(_ kind: CampaignKind, into effects: inout Effects) {
        hasCampaignedInVain = !options.priorities.isEmpty
        let campaignTerm: Term
        let asksFirst = kind == .preElection || kind == .caretaker && options.preVote
        if asksFirst {
            // Neither term nor vote nor clock change: a pre-candidate disturbs nobody, itself included.
            role = .preCandidate(Votes())
            campaignTerm = term.next
            effects.emit(.trace(.becamePreCandidate(term)))
        } else {
            enter(term.next)
            votedFor = options.id
            role = .candidate(Votes())
            campaignTerm = term
            effects.emit(.trace(.becameCandidate(term)))
        }
        // Where some are preferred, who campaigned in vain leaves the field to the others.
        if options.priorities.isEmpty {
            if hasWaitedInVain { drawElectionTimeout() } else { drawRetryTimeout() }
        }
        let request = VoteRequest(
            lastIndex: trail.lastIndex, lastTerm: trail.lastTerm, isTransfer: kind == .transfer)
        for voter in configuration.allVoters {
            if voter == options.id {
                // The own vote counts when it is durable, like anyone's.
                hold.add(.ownVote(term: campaignTerm, isPreVote: asksFirst))
                continue
            }
            let body: Message.Body = asksFirst ? .preVote(request) : .vote(request)
            if asksFirst || asksForVotesBeforePersisting {
                effects.emit(.send(Message(from: options.id, to: voter, term: campaignTerm, body: body)))
            } else {
                // A request is a promise too: that this term is the candidate's only one, with this log. If it left
                // before the term and the log's end are durable, a crash could take both back; the node would campaign
                // in the same term again, with a shorter log, and win it by the votes that the longer one was given.
                sendWhenDurable(body, to: voter, term: campaignTerm)
            }
        }
    }

    // MARK: Votes

    mutating func onVoteRequest(
        _ request: VoteRequest, isPreVote: Bool, _ message: borrowing Message, into effects: inout Effects
    ) {
        // Learners vote too: one may have been made a voter without knowing it yet, and its vote be needed. It is for
        // the candidate to know whom it asks.
        let isFree =
            votedFor == message.from || votedFor == nil && knownLeader == nil || isPreVote && message.term > term
            || grantsVoteTwice
        let isUpToDate = trail.isUpToDate(index: request.lastIndex, term: request.lastTerm) || votesForOlderLogs
        let isGranted = isFree && isUpToDate
        // A pre-vote is granted in the term that it was asked for, which this node has not entered; a candidate would
        // take an answer in this node's term for an old one.
        let answerTerm = isGranted ? message.term : term
        let reply = VoteReply(isGranted: isGranted)
        sendWhenDurable(isPreVote ? .preVoteReply(reply) : .voteReply(reply), to: message.from, term: answerTerm)
        if isGranted, !isPreVote {
            electionElapsed = 0
            earlyCampaignAt = nil
            drawElectionTimeout()
            votedFor = message.from
        }
        if !isGranted { takeCare(of: message.from, request, into: &effects) }
    }

    /// This node has lost its vote, and is asked for one by a voter that does not know of it: a leader that removed
    /// itself, say, and crashed before it could hand over. Its log is ahead, so it must refuse; and it may be that no
    /// majority comes about without it, in the configuration that the others still have. So it campaigns itself, in the
    /// one that it knows to be committed, as "a server that is not part of its own latest configuration" may (thesis,
    /// §4.2.2); if it wins, it tells them, and hands over.
    private mutating func takeCare(of candidate: NodeID, _ request: VoteRequest, into effects: inout Effects) {
        // Who asks for votes does not lead; and without a vote, no timeout of its own tells this node that nobody does.
        let isLeaderKnown = knownLeader != nil && knownLeader != candidate && electionElapsed < options.electionTicks
        guard options.whenVoteIsLost == .handsOver, !isLeaderKnown, durability.snapshot == nil,
            !configuration.isVoter(options.id), configuration.isVoter(candidate),
            !trail.isUpToDate(index: request.lastIndex, term: request.lastTerm)
        else { return }
        if let last = caretakerAt, now - last < UInt64(options.electionTicks) { return }
        caretakerAt = now
        campaignIfAllowed(.caretaker, into: &effects)
    }

    mutating func onVoteReply(
        _ reply: VoteReply, isPreVote: Bool, _ message: borrowing Message, into effects: inout Effects
    ) {
        count(reply.isGranted, by: message.from, isPreVote: isPreVote, into: &effects)
    }

    /// Called when the vote is durable; the campaign may be over by then.
    mutating func onOwnVote(in campaignTerm: Term, isPreVote: Bool, into effects: inout Effects) {
        guard campaignTerm == (isPreVote ? term.next : term) else { return }
        count(true, by: options.id, isPreVote: isPreVote, into: &effects)
    }

    private mutating func count(
        _ isGranted: Bool, by voter: NodeID, isPreVote: Bool, into effects: inout Effects
    ) {
        var votes: Votes
        switch role {
        case .preCandidate(let current) where isPreVote: votes = current
        case .candidate(let current) where !isPreVote: votes = current
        default: return  // The answer to a campaign that is over.
        }
        votes.record(voter, granted: isGranted)
        role = isPreVote ? .preCandidate(votes) : .candidate(votes)
        switch JointQuorum(deciding).outcome({ votes[$0] }) {
        case .won where isPreVote: campaign(.election, into: &effects)
        case .won: becomeLeader(into: &effects)
        case .lost: becomeFollower(in: term, of: nil, into: &effects)
        case .pending: break
        }
    }

    // MARK: Leading

    private mutating func becomeLeader(into effects: inout Effects) {
        electionElapsed = 0
        hasCampaignedInVain = false
        drawElectionTimeout()
        // "nextIndex: initialized to leader last log index + 1; matchIndex: initialized to 0" (figure 2).
        var leader = LeaderState(
            peers: configuration.members.map { id in
                Progress(
                    id: id, isLearner: configuration.learners.contains(id), next: trail.lastIndex.next,
                    limits: options)
            },
            // There may be a change among the entries that are not applied yet. Looking for it is not worth the while:
            // they are all committed soon.
            pendingConfigurationIndex: trail.lastIndex)
        if let own = leader.slot(of: options.id) {
            leader.peers[own].match = durability.stableIndex
            leader.peers[own].becomeReplicate()
            leader.peers[own].next = trail.lastIndex.next
            leader.peers[own].isRecentlyActive = true
        }
        // Nobody has had a chance to be heard.
        for place in leader.peers.indices { leader.peers[place].heardAt = now }
        if !configuration.isVoter(options.id), options.whenVoteIsLost == .handsOver {
            handoverAfter = configurationIndex
        }
        effects.emit(.trace(.becameLeader(term)))
        // "A blank no-op entry into the log at the start of its term" (§8): it commits what older terms have left.
        append([Proposal(payload: [])], &leader, into: &effects)
        broadcastAppend(&leader, into: &effects)
        role = .leader(leader)
    }

    mutating func tickLeader(into effects: inout Effects) {
        guard var leader = takeLeadership() else { return }
        leader.heartbeatElapsed += 1
        electionElapsed += 1
        if electionElapsed >= options.electionTicks {
            electionElapsed = 0
            // Who has lost its vote leads until the others can do without it: if it went now, they might not even know
            // that its vote is not needed.
            if options.checkQuorum, !checkQuorum(&leader), handoverAfter == nil {
                role = .leader(leader)
                effects.emit(.trace(.steppedDownWithoutQuorum(term)))
                becomeFollower(in: term, of: nil, into: &effects)
                return
            }
            // Who has not taken over by now may never do so: go on.
            endTransfer(.timedOut, &leader, into: &effects)
            offerToPreferred(&leader, into: &effects)
        }
        if leader.heartbeatElapsed >= options.heartbeatTicks {
            leader.heartbeatElapsed = 0
            heartbeatOnTick(&leader, into: &effects)
        }
        role = .leader(leader)
    }

    /// "A leader steps down if an election timeout elapses without a successful round of heartbeats to a majority of
    /// its cluster" (thesis, §6.2).
    private func checkQuorum(_ leader: inout LeaderState) -> Bool {
        let outcome = JointQuorum(configuration).outcome { id in
            leader.slot(of: id).map { leader.peers[$0].isRecentlyActive }
        }
        for place in leader.peers.indices where leader.peers[place].id != options.id {
            leader.peers[place].isRecentlyActive = false
        }
        return outcome == .won
    }

    /// A follower lets go of its leader without a new term, so that it votes for another: for callers that know that
    /// the leader is gone. Not where reads may rest on the lease.
    mutating func onForgetLeader(into effects: inout Effects) {
        guard options.readMode == .quorum, case .follower(.some) = role else { return }
        role = .follower(leader: nil)
    }

    /// A leader whose process has ended is not waited for: what an election timeout is there to tell, a lost leader
    /// from a slow one, is known. One that was said to be gone by mistake is heard, hence the heartbeat that must have
    /// been missed as well.
    mutating func onGone(_ node: NodeID) {
        guard case .follower(let leader?) = role, leader == node else { return }
        isLeaderGone = mayAbandonLeaders
    }

    /// Where reads rest on leases, the promise to be silent stands. Without pre-votes, or if voters granted them while
    /// they hear a leader (they refuse by ``isWithinLease``), one who was told wrongly would depose it.
    private var mayAbandonLeaders: Bool {
        options.preVote && options.checkQuorum && options.readMode == .quorum
    }

    /// The others find out at about the same time, and are given a tick to: who still knows a leader refuses. Then by
    /// chance, and the preferred first, as after an election timeout.
    private mutating func abandonLeader() {
        isLeaderGone = false
        guard mayAbandonLeaders, case .follower(.some) = role else { return }
        role = .follower(leader: nil)
        let spread = UInt64(max(2, options.electionTicks / 3))
        earlyCampaignAt = now + 1 + UInt64(preferredRanks) * spread + random.next() % spread
    }
}
