/// The Raft consensus rules (Ongaro, Ousterhout: In search of an understandable consensus algorithm, 2014; Ongaro's
/// thesis of the same year), with what years of use have added to them: pre-vote, quorum checks, joint consensus,
/// learners, leadership transfer, read indexes, flow control.
///
/// A value: no clock, no thread, no file, no socket, no chance but what ``Options/randomSeed`` gives. Everything that
/// happens goes in through ``step(_:into:)``, and everything that should happen comes out as effects, in order.
///
/// The payloads of stored entries are not here. New ones pass through, from an input to an ``Effect/write(_:_:)``; what
/// is kept is a ``LogTrail``. An append to a peer leaves as a header and a range, which the caller fills from its log.
///
/// Writes are asynchronous: a vote or an acknowledgement leaves only when the write that it rests on was reported
/// durable by ``Input/persisted(_:)``, while entries go to the peers at once.
///
/// Where this differs from the paper and from other implementations is told in `Documentation/divergences.md`.
public struct RaftCore: Sendable {
    public private(set) var options: Options

    // Persistent state (figure 2). The log's durable part is `durability.stableIndex`.
    var term: Term
    var votedFor: NodeID?
    var trail: LogTrail

    // Volatile state (figure 2).
    var role: Role = .follower(leader: nil)
    /// The last entry known to be committed. It may not be durable here yet.
    var commit: LogIndex
    /// The last entry that the caller was told to apply.
    var released: LogIndex
    var applied: LogIndex

    /// The one that is applied (see Divergences: not the newest in the log).
    var configuration: Configuration
    /// The configuration contains every change up to here.
    var configurationIndex: LogIndex

    var durability: Durability
    var hold = OutgoingHold()

    /// On a leader that has lost its vote and hands over (``LeaderWithoutVote/handsOver``): the change's entry. Beside
    /// the role because every step looks at it.
    var handoverAfter: LogIndex?
    /// Entries before this one are not in the caller's memory.
    var coldBefore: LogIndex = .zero
    /// When this node, which has no vote, last campaigned for those who asked it for one.
    var caretakerAt: UInt64?
    /// This node has campaigned since there was a leader: being preferred has not helped.
    var hasCampaignedInVain = false

    /// Ticks since the leader was last heard of, or since the last campaign; on a leader, since the last quorum check.
    var electionElapsed = 0
    /// In `electionTicks ..< 2 * electionTicks`, drawn anew with each change of role; later where others are preferred.
    var electionTimeout = 0
    /// The leader's process has ended, it is said, and nothing has been heard of it since.
    var isLeaderGone = false
    /// When this node, which waits for no leader that is gone, campaigns: beside ``electionTimeout``, which a leader
    /// that is heard after all finds as it was.
    var earlyCampaignAt: UInt64?
    /// The last campaign was an early one. The others may not have known yet: it was not in vain.
    var wasEarly = false
    /// The last campaign was a second one, or a later one, in a row.
    var hasWaitedInVain = false
    /// Ticks since the start.
    var now: UInt64 = 0
    var random: SplitMix64
    /// A restarted node may have promised a leader its lease before (see ``isWithinLease``).
    let isLeaseForgotten: Bool
    /// When a leader was last heard of, whatever has become of it since.
    var leaderHeardAt: UInt64?

    private var announced: RoleSummary

    public init(options: Options, restored: Restored) {
        if let reason = options.inconsistency { preconditionFailure("options: \(reason)") }
        if let reason = restored.inconsistency { preconditionFailure("restored state: \(reason)") }
        self.options = options
        random = SplitMix64(seed: options.randomSeed)
        term = restored.hardState.term
        votedFor = restored.hardState.votedFor
        trail = LogTrail(snapshotIndex: restored.snapshotIndex, snapshotTerm: restored.snapshotTerm)
        for entry in restored.entries {
            trail.append(
                term: entry.term, payloadBytes: entry.payloadBytes, isConfiguration: entry.isConfiguration)
        }
        // The commit index is written only along with other things, so the state may be ahead of it.
        // Where the log holds two changes of the configuration, the first is committed. A node that did not know so
        // would go by a configuration two steps behind the others', and their majorities need have no member in common.
        // (While it runs it knows: whoever sends the second has applied the first, and says so with it.)
        commit = max(
            restored.hardState.commit, restored.applied, trail.lastSupersededConfiguration ?? restored.applied)
        released = restored.applied
        applied = restored.applied
        configuration = restored.configuration
        configurationIndex = restored.applied
        durability = Durability(hardState: restored.hardState, stableIndex: trail.lastIndex)
        isLeaseForgotten =
            options.readMode == .lease && restored.hardState.term > .zero && !options.forgetsLeaseAtRestart
        announced = RoleSummary(role: .follower, term: restored.hardState.term, leader: nil)
        drawElectionTimeout()
        checkInvariants()
    }

    /// The one way in. Afterwards everything that the input calls for is in `effects`, behind what was there before.
    public mutating func step(_ input: consuming Input, into effects: inout Effects) {
        switch consume input {
        case .tick: onTick(into: &effects)
        case .received(let message): onMessage(message, into: &effects)
        case .propose(let proposals): onPropose(proposals, into: &effects)
        case .read(let id): onRead(id, into: &effects)
        case .readMany(let ids): onRead(many: ids, into: &effects)
        case .persisted(let id): onPersisted(id, into: &effects)
        case .applied(let index): onApplied(index, into: &effects)
        case .configurationApplied(let change, let index): onConfigurationApplied(change, at: index, into: &effects)
        case .compacted(let index): onCompacted(upTo: index)
        case .cold(let index): coldBefore = max(coldBefore, index)
        case .pageSent(let node): onPageSent(to: node, into: &effects)
        case .campaign: campaignIfAllowed(options.preVote ? .preElection : .election, into: &effects)
        case .transferLeadership(let target): onTransfer(to: target, from: nil, into: &effects)
        case .forgetLeader: onForgetLeader(into: &effects)
        case .optionsChanged(let new): onOptionsChanged(new)
        case .unreachable(let node): onUnreachable(node)
        case .gone(let node): onGone(node)
        case .snapshotFinished(let node, let succeeded): onSnapshotFinished(node, succeeded: succeeded)
        }
        if handoverAfter != nil { finishHandover(into: &effects) }
        settle(into: &effects)
        checkInvariants()
    }

    private mutating func onOptionsChanged(_ new: Options) {
        if let reason = new.inconsistency(replacing: options) { preconditionFailure("options: \(reason)") }
        let isNewTimeout = new.electionTicks != options.electionTicks || new.priorities != options.priorities
        options = new
        if isNewTimeout { drawElectionTimeout() }
        guard var leader = takeLeadership() else { return }
        for place in leader.peers.indices { leader.peers[place].limit(new) }
        role = .leader(leader)
    }

    /// The end of a step: what changed is written, promises are kept as far as they may be, the world is told.
    private mutating func settle(into effects: inout Effects) {
        repeat {
            if term != durability.hardState.term || votedFor != durability.hardState.votedFor {
                write(into: &effects)
            }
            hold.seal(after: durability.newest)
        } while keepPromises(into: &effects)

        // An entry is applied only when it is committed and durable here: a committed entry that this node loses would
        // otherwise be in its state and not in its log. While a snapshot is being written there is no state to apply
        // to.
        if durability.snapshot == nil {
            let safe = durability.stableIndex.advanced(by: options.maxUnpersistedApplied)
            let ready = answersBeforePersisting ? commit : min(commit, safe)
            if ready > released {
                released = ready
                effects.emit(.commit(ready))
            }
        }
        let summary = RoleSummary(role: role.name, term: term, leader: knownLeader)
        if summary != announced {
            announced = summary
            effects.emit(.roleChanged(summary))
        }
    }

    /// True if a promise made this node do something that is not settled yet.
    private mutating func keepPromises(into effects: inout Effects) -> Bool {
        let stable = answersBeforePersisting ? durability.newest : durability.stable
        while let promise = hold.release(upTo: stable) {
            switch promise {
            case .message(let message):
                effects.emit(.send(message))
            case .ownVote(let campaignTerm, let isPreVote):
                onOwnVote(in: campaignTerm, isPreVote: isPreVote, into: &effects)
                return true
            }
        }
        return false
    }

    /// One durable write, with the hard state if that is news. (A new commit index alone is not worth a write: it is
    /// learned again from the leader.)
    mutating func write(
        _ entries: [Entry] = [], snapshot: SnapshotDescription? = nil, into effects: inout Effects
    ) {
        let hardState = HardState(term: term, votedFor: votedFor, commit: commit)
        let isNews = hardState != durability.hardState
        let id = durability.write(hardState: hardState, entries: entries.last?.index, snapshot: snapshot?.index)
        effects.emit(.write(id, Write(hardState: isNews ? hardState : nil, entries: entries, snapshot: snapshot)))
    }

    private mutating func onPersisted(_ id: WriteID, into effects: inout Effects) {
        if let index = durability.persisted(id) {
            // The state is the snapshot's now.
            applied = max(applied, index)
            released = max(released, index)
        }
        if var leader = takeLeadership() {
            acknowledgeOwn(durability.stableIndex, &leader, into: &effects)
            role = .leader(leader)
        }
    }

    private mutating func onCompacted(upTo index: LogIndex) {
        precondition(
            index <= applied, "log compacted to \(index.rawValue), applied is only \(applied.rawValue)")
        precondition(
            index <= durability.stableIndex || answersBeforePersisting,
            "log compacted to \(index.rawValue), durable is only \(durability.stableIndex.rawValue)")
        trail.compact(to: index)
    }

    private mutating func onTick(into effects: inout Effects) {
        now += 1
        if case .leader = role { tickLeader(into: &effects) } else { tickElection(into: &effects) }
    }

    // MARK: Roles

    /// The leader as this node knows it; itself while it leads.
    var knownLeader: NodeID? {
        switch role {
        case .follower(let leader): leader
        case .preCandidate, .candidate: nil
        case .leader: options.id
        }
    }

    var isLeader: Bool {
        if case .leader = role { true } else { false }
    }

    /// Moves the leader's state out of the role, so that it can be changed in place while the rest of the core is at
    /// hand. Whoever takes it puts it back. Nil on a node that does not lead.
    @inline(__always)
    mutating func takeLeadership() -> LeaderState? {
        guard case .leader = role else { return nil }
        var taken = Role.follower(leader: nil)
        swap(&taken, &role)
        guard case .leader(let state) = consume taken else { preconditionFailure("a leader is a leader") }
        return state
    }

    // MARK: Sending

    func message(to peer: NodeID, _ body: Message.Body) -> Message {
        Message(from: options.id, to: peer, term: term, body: body)
    }

    func send(_ body: Message.Body, to peer: NodeID, into effects: inout Effects) {
        effects.emit(.send(message(to: peer, body)))
    }

    /// Sends when everything that this step writes, and what was to be written before it, is durable.
    mutating func sendWhenDurable(_ body: Message.Body, to peer: NodeID, term other: Term? = nil) {
        hold.add(.message(Message(from: options.id, to: peer, term: other ?? term, body: body)))
    }

    // MARK: Invariants

    /// Cheap enough to stay on in production. A core that has lost its way must not go on voting.
    private func checkInvariants() {
        precondition(
            commit <= trail.lastIndex, "commit \(commit.rawValue) is past the log's end \(trail.lastIndex.rawValue)")
        precondition(
            commit >= trail.snapshotIndex,
            "commit \(commit.rawValue) is before the log's start \(trail.firstIndex.rawValue)")
        precondition(
            released <= commit && applied <= released,
            "applied \(applied.rawValue), released \(released.rawValue), commit \(commit.rawValue)")
        precondition(
            durability.stableIndex <= trail.lastIndex,
            "durable \(durability.stableIndex.rawValue) is past the log's end \(trail.lastIndex.rawValue)")
        precondition(
            trail.lastTerm <= term || trail.lastIndex == trail.snapshotIndex,
            "term \(term.rawValue), last entry's \(trail.lastTerm.rawValue)")
        precondition(durability.stable <= durability.newest, "a write is durable that was never asked for")
        if isLeader {
            precondition(term > .zero, "a leader without a term")
            precondition(durability.snapshot == nil, "a leader that waits for a snapshot")
        }
    }
}
