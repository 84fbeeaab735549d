@testable import RaftCore

/// The cluster: which steps a state allows, what they lead to, and what must hold in every state.
///
/// A state is a row of numbers:
///
///     members' states · what was committed · who led which term (4 bits each) · what has been used up of the bounds
///     · open reads · messages, ascending
///
/// The network is a *set* of messages that only grows: what was once sent can arrive at any later time, any number of
/// times, in any order, or never. Loss, delay, duplication and reordering need no steps of their own. Forwarded reads
/// alone are consumed. Messages that can never again have an effect are dropped from the set (``isDead(_:for:)``).
///
/// What was committed, who led and which reads are open is history that no member's state need show; it is part of the
/// state, so that nothing is merged that differs in it.
struct ModelCluster {
    let model: Model
    var world: ModelWorld
    private(set) var initial: [UInt32] = []
    private var histories: [History] = [History(node: LogForest.root, terms: [])]
    private var knownHistories: [HistoryKey: UInt32] = [:]

    /// Committed entries, and the term in which each was first known to be.
    private struct History {
        var node: LogForest.Node
        var terms: [UInt64]
    }

    private struct HistoryKey: Hashable {
        var before: UInt32
        var node: LogForest.Node
        var term: UInt64
    }

    private enum Bound: UInt32 {
        case proposals = 0
        case crashes = 4
        case transfers = 8
        case compactions = 12
        case changes = 16
        case ticks = 20
        case reads = 24
    }

    private let historyAt: Int
    private let leadersAt: Int
    private let boundsAt: Int
    private let readsAt: Int
    private let messagesAt: Int

    init(_ model: Model) {
        precondition(model.termMax < 16 && model.proposals < 16 && model.crashes < 16 && model.reads <= 4)
        self.model = model
        world = ModelWorld(model)
        historyAt = model.members
        leadersAt = historyAt + 1
        boundsAt = leadersAt + 2
        readsAt = boundsAt + 1
        messagesAt = readsAt + 1
        initial = world.start() + [0, 0, 0, 0, 0]
        // The place at which the cluster begins is committed.
        let node = world.facts[0].committed
        initial[historyAt] = history(after: 0, node: node, term: 1)
    }

    private mutating func history(after before: UInt32, node: LogForest.Node, term: UInt64) -> UInt32 {
        let key = HistoryKey(before: before, node: node, term: term)
        if let known = knownHistories[key] { return known }
        let number = UInt32(histories.count)
        var terms = histories[Int(before)].terms
        while UInt64(terms.count) < world.forest.length(node) { terms.append(term) }
        histories.append(History(node: node, terms: terms))
        knownHistories[key] = number
        return number
    }

    private func used(_ bound: Bound, _ state: borrowing [UInt32]) -> Int {
        Int(state[boundsAt] >> bound.rawValue & 15)
    }

    private func use(_ bound: Bound, _ state: inout [UInt32]) { state[boundsAt] += 1 << bound.rawValue }

    // MARK: Steps

    func steps(from state: borrowing [UInt32], into steps: inout [Step]) {
        steps.removeAll(keepingCapacity: true)
        if model.isSymmetric, state == initial {
            // All members are alike, and nothing else can happen before somebody campaigns.
            steps.append(Step(kind: .timeout, member: 0))
            return
        }
        for member in 0..<model.members {
            let facts = world.facts[Int(state[member])]
            let isLeader = facts.role == .leader
            if !isLeader, facts.term < model.termMax || model.preVote && facts.role == .follower {
                steps.append(Step(kind: .timeout, member: member))
            }
            if facts.pendingWrites > 0 {
                steps.append(Step(kind: .persist, member: member, argument: 1))
                if facts.pendingWrites > 1 {
                    steps.append(Step(kind: .persist, member: member, argument: UInt32(facts.pendingWrites)))
                }
            }
            if used(.crashes, state) < model.crashes {
                for survivors in 0...facts.pendingWrites {
                    steps.append(Step(kind: .crash, member: member, argument: UInt32(survivors)))
                    if model.stateMaySurvive {
                        steps.append(Step(kind: .crashKeepingState, member: member, argument: UInt32(survivors)))
                    }
                }
            }
            if model.checkQuorum ? used(.ticks, state) < model.ticks : isLeader && model.ticks > 0 {
                steps.append(Step(kind: .tick, member: member))
            }
            if isLeader, used(.proposals, state) < model.proposals {
                steps.append(Step(kind: .propose, member: member, argument: UInt32(used(.proposals, state)) + 1))
            }
            if isLeader, model.change != nil, used(.changes, state) == 0 {
                steps.append(Step(kind: .change, member: member))
            }
            if isLeader || model.forwardsReads, used(.reads, state) < model.reads {
                steps.append(Step(kind: .read, member: member, argument: UInt32(used(.reads, state))))
            }
            if isLeader, used(.transfers, state) < model.transfers {
                for target in 0..<model.members where target != member {
                    steps.append(Step(kind: .transfer, member: member, argument: UInt32(target) + 1))
                }
            }
            let applied = world.forest.length(facts.machine)
            if applied > facts.base, used(.compactions, state) < model.compactions {
                steps.append(Step(kind: .compact, member: member))
            }
            if model.appliesLate, applied < facts.released { steps.append(Step(kind: .apply, member: member)) }
            for report in facts.reports {
                steps.append(Step(kind: .snapshotArrived, member: member, argument: UInt32(report.rawValue)))
                steps.append(Step(kind: .snapshotFailed, member: member, argument: UInt32(report.rawValue)))
            }
        }
        for place in messagesAt..<state.count {
            let member = Int(world.messages[Int(state[place])].message.to.rawValue) - 1
            steps.append(Step(kind: .deliver, member: member, argument: state[place]))
        }
    }

    enum Result {
        /// The step changes nothing.
        case same
        case new
        case outOfBounds
        case violation(String)
    }

    mutating func take(_ step: Step, from state: borrowing [UInt32], into next: inout [UInt32]) -> Result {
        let before = state[step.member]
        let outcome = world.outcome(of: step, by: before)
        if let violation = outcome.violation { return .violation("member \(step.member + 1): \(violation)") }
        next = copy state
        next[step.member] = outcome.member
        switch step.kind {
        case .propose: use(.proposals, &next)
        case .crash, .crashKeepingState:
            // Without anything lost, a crash is no news.
            if outcome.member == before { return .same }
            use(.crashes, &next)
        case .transfer: use(.transfers, &next)
        case .compact: use(.compactions, &next)
        case .change: use(.changes, &next)
        case .tick where model.checkQuorum: use(.ticks, &next)
        case .read:
            use(.reads, &next)
            let floor = UInt32(histories[Int(state[historyAt])].terms.count)
            next[readsAt] |= (floor + 1) << (8 * step.argument)
        case .deliver:
            if case .readIndex = world.messages[Int(step.argument)].message.body {
                let place = next[messagesAt...].firstIndex(of: step.argument)!
                next.remove(at: place)
            }
        default: break
        }
        let facts = world.facts[Int(outcome.member)]
        if facts.term > model.termMax { return .outOfBounds }
        updateMessages(outcome, step.member, facts, &next)
        if let violation = update(outcome, step.member, facts, &next) { return .violation(violation) }
        return next == state ? .same : .new
    }

    private func updateMessages(
        _ outcome: ModelOutcome, _ member: Int, _ facts: ModelFacts, _ next: inout [UInt32]
    ) {
        var write = messagesAt
        for read in messagesAt..<next.count {
            let number = next[read]
            let message = world.messages[Int(number)].message
            if Int(message.to.rawValue) - 1 == member, isDead(message, for: facts) { continue }
            next[write] = number
            write += 1
        }
        next.removeLast(next.count - write)
        for number in outcome.sent {
            let message = world.messages[Int(number)].message
            let receiver = Int(message.to.rawValue) - 1
            guard receiver < model.members, !isDead(message, for: world.facts[Int(next[receiver])]) else { continue }
            var place = next.count
            while place > messagesAt, next[place - 1] > number { place -= 1 }
            if place > messagesAt, next[place - 1] == number { continue }
            next.insert(number, at: place)
        }
    }

    /// Whether that message can do nothing to that member, now and for ever, crashes included: so it rests on what the
    /// disk says.
    private func isDead(_ message: Message, for facts: ModelFacts) -> Bool {
        let term = message.term.rawValue
        switch message.body {
        case .vote, .timeoutNow, .installSnapshot: return facts.durableTerm > term
        case .preVote: return false
        case .preVoteReply(let reply): return facts.durableTerm > (reply.isGranted ? term - 1 : term)
        case .appendEntries, .heartbeat:
            // Answered where terms may have moved on alone.
            return facts.durableTerm > term && !model.checkQuorum && !model.preVote
        case .voteReply:
            // Who is in that term, for good, and is not its candidate, will never be.
            return facts.durableTerm > term
                || facts.durableTerm == term && !(facts.term == term && facts.role == .candidate)
        case .appendEntriesReply, .heartbeatReply:
            return facts.durableTerm > term
                || facts.durableTerm == term
                    && !(facts.term == term && (facts.role == .candidate || facts.role == .leader))
        case .propose, .readIndex, .readIndexReply, .transferLeadership, .forwardAnswer: return false
        }
    }

    // MARK: What the cluster must keep

    private mutating func update(
        _ outcome: ModelOutcome, _ member: Int, _ facts: ModelFacts, _ next: inout [UInt32]
    ) -> String? {
        let forest = world.forest
        // Election safety (§5.2).
        if outcome.hasBecomeLeader || facts.role == .leader {
            let word = leadersAt + Int(facts.term / 8)
            let shift = UInt32(facts.term % 8) * 4
            let known = Int(next[word] >> shift & 15)
            if known != 0, known != member + 1 {
                return "election safety: members \(known) and \(member + 1) lead term \(facts.term)"
            }
            if known == 0 {
                next[word] |= UInt32(member + 1) << shift
                if model.checksPromises, !isElected(member, facts, next) {
                    return "member \(member + 1) leads term \(facts.term) without a quorum's durable votes"
                }
            }
        }
        // Log matching (§5.3).
        for other in 0..<model.members where other != member {
            let log = world.facts[Int(next[other])].log
            if !forest.match(facts.log, log) {
                return "log matching: \(forest.rendered(facts.log)) of member \(member + 1) and "
                    + "\(forest.rendered(log)) of member \(other + 1)"
            }
        }
        // State machine safety (§5.4.3): what one knows as committed, all that ever do know the same.
        var history = histories[Int(next[historyAt])]
        if !forest.isPrefix(facts.committed, of: history.node) {
            guard forest.isPrefix(history.node, of: facts.committed) else {
                return "state machine safety: member \(member + 1) takes \(forest.rendered(facts.committed)) for "
                    + "committed, where \(forest.rendered(history.node)) is"
            }
            // The commit index is news: who says so must know it from a quorum's disks.
            if model.checksPromises, !isDurable(facts.committed, in: facts.configuration, next) {
                return "\(forest.rendered(facts.committed)) is committed and not on the disks of a quorum"
            }
            next[historyAt] = self.history(after: next[historyAt], node: facts.committed, term: facts.term)
            history = histories[Int(next[historyAt])]
        }
        if !forest.isPrefix(facts.machine, of: history.node) {
            return "state machine safety: member \(member + 1) has applied \(forest.rendered(facts.machine)), "
                + "\(forest.rendered(history.node)) is committed"
        }
        // Leader completeness (§5.4): a leader has what was committed in earlier terms.
        for other in 0..<model.members {
            let leader = world.facts[Int(next[other])]
            guard leader.role == .leader else { continue }
            let owed = history.terms.lastIndex { $0 < leader.term }.map { UInt64($0) + 1 } ?? 0
            if !forest.isPrefix(forest.prefix(of: history.node, length: owed), of: leader.log) {
                return "leader completeness: member \(other + 1) leads term \(leader.term) with "
                    + "\(forest.rendered(leader.log)), \(forest.rendered(history.node)) is committed"
            }
        }
        // What is committed stays on a quorum's disks. (Which quorum, where members change, is another matter.)
        if model.checksPromises, model.change == nil, !isDurable(history.node, in: facts.configuration, next) {
            return "\(forest.rendered(history.node)) is committed and no longer on the disks of a quorum"
        }
        return checkReads(outcome, history, &next)
    }

    /// Linearizable reads (thesis, §6.4): the index is not before what was committed when the read was asked.
    private func checkReads(_ outcome: ModelOutcome, _ history: History, _ next: inout [UInt32]) -> String? {
        for read in outcome.reads {
            let shift = UInt32(8 * read.id)
            let floor = next[readsAt] >> shift & 255
            // Answered before: an answer that comes twice is passed over.
            if floor == 255 { continue }
            if floor == 0 { return "read \(read.id) is answered and was never asked" }
            if read.index < UInt64(floor) - 1 {
                return "read \(read.id) is answered at \(read.index); \(floor - 1) was committed before it was asked"
            }
            next[readsAt] |= 255 << shift
        }
        return nil
    }

    /// The checks' own arithmetic of quorums.
    private func isQuorum(_ configuration: Configuration, _ agrees: (Int) -> Bool) -> Bool {
        for voters in [configuration.voters, configuration.outgoingVoters] where !voters.isEmpty {
            let count = voters.count { agrees(Int($0.rawValue) - 1) }
            if count * 2 <= voters.count { return false }
        }
        return true
    }

    private func isDurable(
        _ node: LogForest.Node, in configuration: Configuration, _ state: borrowing [UInt32]
    ) -> Bool {
        let logs = (0..<model.members).map { world.facts[Int(state[$0])].durableLog }
        return isQuorum(configuration) { world.forest.isPrefix(node, of: logs[$0]) }
    }

    /// Votes of this term that were overtaken by later ones cannot be seen any more.
    private func isElected(_ leader: Int, _ facts: ModelFacts, _ state: borrowing [UInt32]) -> Bool {
        let votes = (0..<model.members).map { place in
            let voter = world.facts[Int(state[place])]
            return voter.durableTerm > facts.term
                || voter.durableTerm == facts.term && voter.durableVote == UInt64(leader) + 1
        }
        return isQuorum(facts.configuration) { votes[$0] }
    }

    // MARK: Telling

    func describe(_ step: Step) -> String {
        let who = "\(step.member + 1)"
        switch step.kind {
        case .deliver: return "\(who) receives " + describe(world.messages[Int(step.argument)].message)
        case .timeout: return "\(who) has waited for its election timeout"
        case .tick: return "\(who)'s clock ticks"
        case .propose: return "\(who) is asked to write \(step.argument)"
        case .change: return "\(who) is asked to change the members"
        case .read: return "\(who) is asked for read \(step.argument)"
        case .transfer: return "\(who) is asked to hand over to \(step.argument)"
        case .persist: return "\(who)'s disk has done \(step.argument) write(s)"
        case .crash: return "\(who) crashes (\(step.argument) of the waiting writes done) and starts again"
        case .crashKeepingState:
            return "\(who) crashes (\(step.argument) of the waiting writes done, its state is kept) and starts again"
        case .apply: return "\(who) applies an entry"
        case .compact: return "\(who) cuts its log"
        case .snapshotArrived: return "\(who) hears that the snapshot got to \(step.argument)"
        case .snapshotFailed: return "\(who) hears that the snapshot for \(step.argument) has failed"
        }
    }

    private func describe(_ message: Message) -> String {
        let head = "from \(message.from.rawValue), term \(message.term.rawValue): "
        switch message.body {
        case .appendEntries(let append):
            let terms = append.entries.map { "\($0.term.rawValue)" }.joined(separator: " ")
            return head + "append after \(append.previousIndex.rawValue) of term \(append.previousTerm.rawValue): "
                + "[\(terms)], commit \(append.commit.rawValue)"
        case .appendEntriesReply(let reply):
            switch reply.outcome {
            case .accepted: return head + "has everything up to \(reply.index.rawValue)"
            case .rejected(let hint, let term):
                return head + "refuses \(reply.index.rawValue), hint \(hint.rawValue) of term \(term.rawValue)"
            }
        case .vote(let request), .preVote(let request):
            let kind = if case .vote = message.body { "vote" } else { "pre-vote" }
            return head + "asks for a \(kind), log ends at \(request.lastIndex.rawValue) of term "
                + "\(request.lastTerm.rawValue)"
        case .voteReply(let reply): return head + (reply.isGranted ? "votes for it" : "does not vote for it")
        case .preVoteReply(let reply): return head + (reply.isGranted ? "would vote for it" : "would not vote for it")
        case .heartbeat(let heartbeat):
            return head + "heartbeat, commit \(heartbeat.commit.rawValue), reads \(heartbeat.readSequence)"
        case .heartbeatReply(let reply): return head + "answers a heartbeat, reads \(reply.readSequence)"
        case .installSnapshot(let snapshot): return head + "snapshot at \(snapshot.index.rawValue)"
        case .readIndex(let id): return head + "asks for read \(id.rawValue)"
        case .readIndexReply(let id, let index): return head + "read \(id.rawValue) at \(index.rawValue)"
        case .timeoutNow: return head + "campaign now"
        case .propose, .transferLeadership, .forwardAnswer: return head + "\(message.body)"
        }
    }

    func describe(member number: UInt32) -> String {
        let facts = world.facts[Int(number)]
        let forest = world.forest
        var text =
            "\(facts.role) in term \(facts.term), log \(forest.rendered(facts.log, after: 1)), "
            + "commit \(forest.length(facts.committed)); on disk: term \(facts.durableTerm)"
        if facts.durableVote != 0 { text += " vote \(facts.durableVote)" }
        return text + ", log \(forest.rendered(facts.durableLog, after: 1))"
    }
}
