@testable import RaftCore

/// Steps of single members, each computed once: the same member's state and the same step give the same outcome, so
/// that exploring the cluster is mostly a matter of looking up numbers.
///
/// Members' states are compared as a whole (``CanonicalBytes``), not by a digest.
struct ModelWorld {
    let model: Model
    var forest = LogForest()
    private(set) var facts: [ModelFacts] = []
    private(set) var messages: [ModelMessage] = []
    private var members: [ModelMember] = []
    private var knownMembers: [[UInt8]: UInt32] = [:]
    private var knownMessages: [ModelMessage: UInt32] = [:]
    private var outcomes: [ModelOutcome] = []
    private var knownOutcomes: [UInt64: UInt32] = [:]
    private var configurations: [LogForest.Node: Configuration] = [:]
    private let beginning: LogForest.Node

    var memberStates: Int { members.count }
    var memberSteps: Int { outcomes.count }

    init(_ model: Model) {
        self.model = model
        beginning = forest.append(
            Entry(index: LogIndex(1), term: Term(1), payload: []), to: LogForest.root)
    }

    /// The members at the start.
    mutating func start() -> [UInt32] {
        let first = Configuration(
            voters: model.voters.map { NodeID($0) }, learners: model.learners.map { NodeID($0) })
        configurations = [LogForest.root: Configuration(), beginning: first]
        return (0..<model.members).map { place in
            let id = UInt64(place + 1)
            var member: ModelMember
            if first.contains(NodeID(id)) {
                let terms = place < model.logs.count ? model.logs[place] : []
                var log = beginning
                for (offset, term) in terms.enumerated() {
                    // Different leaders' entries are different, the same one's the same.
                    let entry = Entry(
                        index: LogIndex(UInt64(offset) + 2), term: Term(term), payload: [UInt8(100 + term)])
                    log = forest.append(entry, to: log)
                }
                let term = place < model.terms.count ? model.terms[place] : max(terms.last ?? 1, 1)
                let disk = ModelMember.Disk(
                    hardState: HardState(term: Term(term), commit: LogIndex(1)), log: log, base: 1)
                member = ModelMember(
                    core: core(id, disk, machine: beginning), disk: disk, machine: beginning, released: 1)
            } else {
                let disk = ModelMember.Disk(hardState: HardState(), log: LogForest.root, base: 0)
                member = ModelMember(
                    core: core(id, disk, machine: LogForest.root), disk: disk, machine: LogForest.root, released: 0)
            }
            member.normalize()
            return number(of: member)
        }
    }

    private mutating func restored(
        _ disk: ModelMember.Disk, machine: LogForest.Node
    ) -> RaftCore.Restored {
        let entries = forest.entries(of: disk.log, after: disk.base, through: forest.length(disk.log))
        return RaftCore.Restored(
            hardState: disk.hardState, configuration: configuration(of: machine),
            snapshotIndex: LogIndex(disk.base),
            snapshotTerm: Term(forest.term(forest.prefix(of: disk.log, length: disk.base))),
            entries: entries.map {
                EntrySummary(
                    term: $0.term, payloadBytes: $0.payload.count, isConfiguration: $0.kind == .configuration)
            }, applied: LogIndex(forest.length(machine)))
    }

    private mutating func core(_ id: UInt64, _ disk: ModelMember.Disk, machine: LogForest.Node) -> RaftCore {
        RaftCore(options: model.options(of: id), restored: restored(disk, machine: machine))
    }

    /// The configuration that a state with these entries applied has.
    private mutating func configuration(of node: LogForest.Node) -> Configuration {
        if let known = configurations[node] { return known }
        var result = configuration(of: forest.parent(node))
        let entry = forest.entry(node)
        if entry.kind == .configuration, let change = try? ConfigurationChange(decoding: entry.payload),
            let next = try? result.applying(change)
        {
            result = next
        }
        configurations[node] = result
        return result
    }

    private mutating func number(of member: ModelMember) -> UInt32 {
        let bytes = member.canonicalBytes
        if let known = knownMembers[bytes] { return known }
        let number = UInt32(members.count)
        precondition(number < 1 << 24, "more states of members than numbers")
        knownMembers[bytes] = number
        let log = view(of: member)
        facts.append(
            ModelFacts(
                term: member.core.term.rawValue, role: member.core.role.name, log: log,
                committed: forest.prefix(of: log, length: member.core.commit.rawValue), machine: member.machine,
                durableLog: member.disk.log, durableTerm: member.disk.hardState.term.rawValue,
                durableVote: member.disk.hardState.votedFor?.rawValue ?? 0, base: member.disk.base,
                released: member.released, pendingWrites: member.writes.count, reports: member.reports,
                configuration: member.core.configuration))
        members.append(member)
        return number
    }

    private mutating func number(of message: ModelMessage) -> UInt32 {
        if let known = knownMessages[message] { return known }
        let number = UInt32(messages.count)
        precondition(number < 1 << 24, "more messages than numbers")
        knownMessages[message] = number
        messages.append(message)
        return number
    }

    /// The log as the core has it, durable or not.
    private mutating func view(of member: ModelMember) -> LogForest.Node {
        var disk = member.disk
        for pending in member.unsynced { disk.store(pending, &forest) }
        for pending in member.writes { disk.store(pending, &forest) }
        return disk.log
    }

    // MARK: Steps

    mutating func outcome(of step: Step, by number: UInt32) -> ModelOutcome {
        let key = UInt64(number) << 40 | step.code
        if let known = knownOutcomes[key] { return outcomes[Int(known)] }
        let outcome = play(step, number)
        knownOutcomes[key] = UInt32(outcomes.count)
        outcomes.append(outcome)
        return outcome
    }

    /// A step that is going on.
    private struct Run {
        var member: ModelMember
        var outcome = ModelOutcome(member: 0)
        /// What the disk has said in the course of the step: a promise that leaves in it must rest on one of these.
        var disks: [ModelMember.Disk]

        mutating func fail(_ reason: String) { if outcome.violation == nil { outcome.violation = reason } }
    }

    private mutating func play(_ step: Step, _ number: UInt32) -> ModelOutcome {
        let before = members[Int(number)]
        var run = Run(member: before, disks: [before.disk])
        let isCrash = step.kind == .crash || step.kind == .crashKeepingState
        switch step.kind {
        case .deliver: deliver(messages[Int(step.argument)], &run)
        case .timeout: feed(.campaign, &run)
        case .tick: feed(.tick, &run)
        case .propose: feed(.propose([Proposal(payload: [UInt8(step.argument)])]), &run)
        case .change:
            feed(.propose([Proposal(kind: .configuration, payload: model.change!.encode())]), &run)
        case .read: feed(.read(ReadID(UInt64(step.argument))), &run)
        case .transfer: feed(.transferLeadership(to: NodeID(UInt64(step.argument))), &run)
        case .persist: persist(Int(step.argument), &run)
        case .crash, .crashKeepingState:
            crash(survivors: Int(step.argument), keepsState: step.kind == .crashKeepingState, &run)
        case .apply: applyOne(&run)
        case .compact:
            run.member.disk.base = forest.length(run.member.machine)
            feed(.compacted(upTo: LogIndex(run.member.disk.base)), &run)
        case .snapshotArrived, .snapshotFailed:
            let id = NodeID(UInt64(step.argument))
            run.member.reports.removeAll { $0 == id }
            feed(.snapshotFinished(id, succeeded: step.kind == .snapshotArrived), &run)
        }
        if run.outcome.violation == nil { check(before, &run, isCrash: isCrash) }
        if run.outcome.violation == nil {
            run.member.normalize()
            run.outcome.member = self.number(of: run.member)
        }
        return run.outcome
    }

    private mutating func deliver(_ arrival: ModelMessage, _ run: inout Run) {
        var message = arrival.message
        if model.mistakes.contains(.appendNotCompared), case .appendEntries(var append) = message.body,
            let term = run.member.core.trail.term(at: append.previousIndex), term <= message.term
        {
            append.previousTerm = min(term, append.entries.first?.term ?? term)
            if append.previousTerm == term { message.body = .appendEntries(append) }
        }
        if model.mistakes.contains(.votesForAnyLog), case .vote(var request) = message.body,
            run.member.core.trail.lastTerm <= message.term
        {
            request.lastTerm = run.member.core.trail.lastTerm
            request.lastIndex = max(request.lastIndex, run.member.core.trail.lastIndex)
            message.body = .vote(request)
        }
        feed(.received(message), snapshot: arrival.snapshot, &run)
    }

    private mutating func feed(_ input: Input, snapshot: LogForest.Node? = nil, _ run: inout Run) {
        var effects = Effects()
        run.member.core.step(input, into: &effects)
        for effect in effects.list { carryOut(effect, snapshot, &run) }
        let id = run.member.core.options.id.rawValue
        if !model.slowDisks.contains(id), !run.member.writes.isEmpty { persist(run.member.writes.count, &run) }
        if !model.appliesLate {
            while run.outcome.violation == nil, forest.length(run.member.machine) < run.member.released {
                applyOne(&run)
            }
        }
    }

    private mutating func carryOut(_ effect: Effect, _ snapshot: LogForest.Node?, _ run: inout Run) {
        switch effect {
        case .write(let id, let write):
            run.member.writes.append(
                ModelMember.PendingWrite(id: id, write: write, snapshot: write.snapshot == nil ? nil : snapshot!))
        case .send(let message): send(message, &run)
        case .sendEntries(var header, let first, let end):
            guard case .appendEntries(var append) = header.body else { preconditionFailure("no append") }
            let log = view(of: run.member)
            append.entries = forest.entries(of: log, after: first.rawValue - 1, through: end.rawValue - 1)
            header.body = .appendEntries(append)
            send(header, &run)
        case .sendSnapshot(let to, let atLeast, let term):
            precondition(forest.length(run.member.machine) >= atLeast.rawValue, "a snapshot of what is not applied")
            let index = forest.length(run.member.machine)
            let description = SnapshotDescription(
                index: LogIndex(index), term: Term(forest.term(run.member.machine)),
                configuration: configuration(of: run.member.machine))
            var state = run.member.machine
            if model.mistakes.contains(.snapshotLacksEntry), index > 1 {
                // Another entry in the place of the last one: the wrong state, under the right name.
                state = forest.append(
                    Entry(index: LogIndex(index), term: description.term, payload: [255]), to: forest.parent(state))
            }
            let message = Message(
                from: run.member.core.options.id, to: to, term: term, body: .installSnapshot(description))
            run.outcome.sent.append(number(of: ModelMessage(message: message, snapshot: state)))
            run.member.reports.insertSorted(to)
        case .commit(let index):
            if index.rawValue < run.member.released {
                run.fail("given out for applying goes back to \(index.rawValue)")
            }
            run.member.released = index.rawValue
        case .readReady(let id, let index): run.outcome.reads.append((id.rawValue, index.rawValue))
        case .trace(.becameLeader(let term)):
            run.outcome.hasBecomeLeader = true
            let own = run.member.core.options.id
            let isVoted = run.disks.contains { $0.hardState.term == term && $0.hardState.votedFor == own }
            if model.checksPromises, !isVoted {
                run.fail("leads term \(term.rawValue) without its own vote for it on its disk")
            }
        case .readRefused, .proposalsRefused, .configurationChangeRefused, .transferRefused, .transferEnded,
            .forwardRefused, .forwardAnswered, .roleChanged, .trace:
            break
        }
    }

    private mutating func send(_ original: Message, _ run: inout Run) {
        var message = original
        if model.mistakes.contains(.heartbeatTellsWholeCommit), case .heartbeat(var heartbeat) = message.body {
            heartbeat.commit = run.member.core.commit
            message.body = .heartbeat(heartbeat)
        }
        if model.checksPromises { checkPromise(message, &run) }
        run.outcome.sent.append(number(of: ModelMessage(message: message)))
    }

    private mutating func persist(_ count: Int, _ run: inout Run) {
        let done = run.member.writes.prefix(count)
        guard let newest = done.last?.id else { return }
        for pending in done {
            if model.mistakes.contains(.diskLies) {
                run.member.unsynced.append(pending)
            } else {
                let before = run.member.disk.hardState
                run.member.disk.store(pending, &forest)
                checkHardState(before, run.member.disk.hardState, &run)
                run.disks.append(run.member.disk)
            }
            if let node = pending.snapshot {
                run.member.machine = node
                run.member.released = max(run.member.released, forest.length(node))
            }
        }
        run.member.writes.removeFirst(done.count)
        feed(.persisted(newest), &run)
    }

    private mutating func applyOne(_ run: inout Run) {
        let log =
            model.faults.isEmpty && !model.mistakes.contains(.diskLies) ? run.member.disk.log : view(of: run.member)
        let index = forest.length(run.member.machine) + 1
        let node = forest.prefix(of: log, length: index)
        guard forest.length(node) == index else { return run.fail("told to apply \(index), which is not on the disk") }
        guard forest.parent(node) == run.member.machine else {
            return run.fail("state machine safety: entry \(index) does not follow on what was applied")
        }
        run.member.machine = node
        let entry = forest.entry(node)
        if entry.kind == .configuration, let change = try? ConfigurationChange(decoding: entry.payload) {
            if model.mistakes.contains(.changesWithoutJoint), !change.changes.isEmpty {
                // The end of the transition at once.
                var target = run.member.core.configuration
                if let joint = try? target.applying(change) { target = Configuration(voters: joint.voters) }
                configurations[node] = target
                run.member.core.configuration = target
                run.member.core.configurationIndex = entry.index
            } else {
                feedConfiguration(change, entry.index, &run)
            }
        }
        feed(.applied(LogIndex(index)), &run)
    }

    /// Like ``feed(_:snapshot:_:)``, without going on to apply: that is what is being done.
    private mutating func feedConfiguration(_ change: ConfigurationChange, _ index: LogIndex, _ run: inout Run) {
        var effects = Effects()
        run.member.core.step(.configurationApplied(change, at: index), into: &effects)
        for effect in effects.list { carryOut(effect, nil, &run) }
    }

    private mutating func crash(survivors: Int, keepsState: Bool, _ run: inout Run) {
        for pending in run.member.writes.prefix(survivors) {
            let before = run.member.disk.hardState
            run.member.disk.store(pending, &forest)
            checkHardState(before, run.member.disk.hardState, &run)
            if let node = pending.snapshot { run.member.machine = node }
        }
        run.member.writes = []
        run.member.unsynced = []
        run.member.reports = []
        if model.mistakes.contains(.crashForgetsVote) { run.member.disk.hardState.votedFor = nil }
        if model.mistakes.contains(.crashLosesLastEntry), forest.length(run.member.disk.log) > run.member.disk.base {
            run.member.disk.log = forest.parent(run.member.disk.log)
            let end = LogIndex(forest.length(run.member.disk.log))
            run.member.disk.hardState.commit = min(run.member.disk.hardState.commit, end)
        }
        let disk = run.member.disk
        if !keepsState || !model.mistakes.isEmpty && !forest.isPrefix(run.member.machine, of: disk.log) {
            run.member.machine = forest.prefix(of: disk.log, length: disk.base)
        }
        guard forest.isPrefix(run.member.machine, of: disk.log) else {
            return run.fail("what was applied is not on the disk after a crash")
        }
        let found = restored(disk, machine: run.member.machine)
        if let reason = found.inconsistency { return run.fail("cannot start again: \(reason)") }
        run.member.core = RaftCore(options: run.member.core.options, restored: found)
        run.member.released = forest.length(run.member.machine)
        // What its disk knows as committed is given out at once.
        feed(.unreachable(NodeID(99)), &run)
    }

    // MARK: What a member alone must keep

    private func checkHardState(_ before: HardState, _ after: HardState, _ run: inout Run) {
        guard model.checksPromises else { return }
        if after.term < before.term { run.fail("the durable term goes back") }
        if after.term == before.term, before.votedFor != nil, after.votedFor != before.votedFor {
            run.fail("the durable vote of term \(after.term.rawValue) changes")
        }
        if after.commit < before.commit { run.fail("the durable commit index goes back") }
    }

    private func checkPromise(_ message: Message, _ run: inout Run) {
        switch message.body {
        case .voteReply(let reply) where reply.isGranted:
            let isDurable = run.disks.contains {
                $0.hardState.term == message.term && $0.hardState.votedFor == message.to
            }
            if !isDurable { run.fail("a vote leaves that is not on the disk") }
        case .appendEntriesReply(let reply) where reply.outcome == .accepted:
            let isDurable = run.disks.contains { forest.length($0.log) >= reply.index.rawValue }
            if !isDurable { run.fail("entry \(reply.index.rawValue) is acknowledged and not on the disk") }
        case .vote(let request):
            let isDurable = run.disks.contains {
                $0.hardState.term == message.term && $0.hardState.votedFor == message.from
                    && forest.length($0.log) == request.lastIndex.rawValue
                    && forest.term($0.log) == request.lastTerm.rawValue
            }
            if !isDurable { run.fail("a vote is asked for with a log, or for a term, that is not on the disk") }
        default: break
        }
    }

    private mutating func check(_ before: ModelMember, _ run: inout Run, isCrash: Bool) {
        let after = run.member
        let log = view(of: after)
        if forest.length(log) != after.core.trail.lastIndex.rawValue
            || forest.term(log) != after.core.trail.lastTerm.rawValue
        {
            return run.fail("the core's log is not what it has asked to be written")
        }
        if !isCrash {
            if after.core.term < before.core.term { run.fail("the term goes back") }
            if after.core.commit < before.core.commit { run.fail("the commit index goes back") }
            let oldLog = view(of: before)
            // "A leader never overwrites or deletes entries in its log; it only appends new entries" (§5.3).
            if before.core.isLeader, after.core.isLeader, before.core.term == after.core.term,
                !forest.isPrefix(oldLog, of: log)
            {
                run.fail("leader append-only: \(forest.rendered(oldLog)) becomes \(forest.rendered(log))")
            }
            let committed = forest.prefix(of: oldLog, length: before.core.commit.rawValue)
            if !forest.isPrefix(committed, of: log) { run.fail("a committed entry leaves the log") }
        }
        if after.core.durability.snapshot == nil, !model.mistakes.contains(.snapshotLacksEntry) {
            if after.core.configuration != configuration(of: after.machine) {
                run.fail("the configuration in force is not the one that was applied")
            }
            if after.core.applied.rawValue != forest.length(after.machine) { run.fail("the applied index is wrong") }
        }
    }
}
