import Testing

@testable import RaftCore

/// Plays upstream's whole-cluster scenarios on our cores, in upstream's framing (a `Ready` at a time), and writes down
/// what can be compared by meaning.
struct ScenarioCluster {
    /// What happened in the course of one command.
    struct Transcript: Equatable {
        /// Messages as they leave and as they are delivered or dropped, by pair of nodes, in order.
        var sent: [String: [String]] = [:]
        var delivered: [String: [String]] = [:]
        /// Term and vote made durable, entries applied, configurations and roles taken, by node.
        var durable: [UInt64: [String]] = [:]
        var applied: [UInt64: [String]] = [:]
        var configurations: [UInt64: [String]] = [:]
        var roles: [UInt64: [String]] = [:]
        /// What a query prints.
        var output: [String] = []
        /// A proposal was not taken.
        var isDropped = false
        /// All of it in the order in which it happened, for our own scenarios.
        var events: [String] = []

        mutating func note(_ event: String) { events.append(event) }
    }

    struct Node {
        var core: RaftCore
        var isAsync = false
        /// Payload bytes of what one Ready may give out for applying; one entry always goes.
        var committedBytesMax = Int.max
        var log: [Entry] = []
        var firstIndex: UInt64 = 1
        var durable = HardState()
        /// The state after each applied entry; the last one is what a snapshot gives.
        var state: SnapshotDescription
        /// Effects that no Ready has taken up yet.
        var waiting: [Effect] = []
        var appendWork: [AppendWork] = []
        var applyWork: [[Entry]] = []
        /// Replies that may leave as far as our core is concerned. In upstream's framing each belongs to an item of the
        /// append thread's work, even where nothing is left to be written.
        var freeReplies: [Message] = []
        var heldBefore = 0
        /// Requests for votes that have left as early as upstream's do with asynchronous storage; our core sends them
        /// when the candidacy is durable (see Divergences). They are not to leave twice.
        var earlyRequests: [Message] = []
        var commitBefore: LogIndex
        /// Entries that may be applied, and those that a Ready has taken up.
        var committed: UInt64
        var handed: UInt64

        func entry(_ index: UInt64) -> Entry? {
            guard let first = log.first?.index.rawValue, index >= first else { return nil }
            let place = Int(index - first)
            return place < log.count ? log[place] : nil
        }
    }

    /// What upstream hands to the append thread at a time: a Ready's writes, and the replies that wait for them.
    struct AppendWork {
        var id: WriteID?
        var writes: [Write]
        var replies: Int
    }

    enum Traffic {
        case message(Message)
        /// The append thread has told the node; what it may apply in consequence.
        case appendThread(UInt64, WriteID?, commit: UInt64)
        case applyThread(UInt64, [Entry])

        var to: UInt64 {
            switch self {
            case .message(let message): message.to.rawValue
            case .appendThread(let node, _, _), .applyThread(let node, _): node
            }
        }
    }

    var nodes: [Node] = []
    var traffic: [Traffic] = []
    var transcript = Transcript()

    // MARK: Commands

    mutating func run(_ each: DataDrivenCase) throws -> Transcript {
        transcript = Transcript()
        switch each.command {
        case "add-nodes": try addNodes(each)
        case "campaign": step(try node(each), .campaign)
        case "propose":
            // Without text, an empty one.
            let text = each.arguments.dropFirst().first?.key ?? ""
            step(try node(each), .propose([Proposal(payload: Array(text.utf8))]))
        case "propose-conf-change": try proposeChange(each)
        case "process-ready": for id in try nodes(each) { processReady(id) }
        case "process-append-thread": for id in try nodes(each) { processAppendThread(id) }
        case "process-apply-thread": for id in try nodes(each) { processApplyThread(id) }
        case "deliver-msgs": try deliver(each)
        case "stabilize": stabilize(try nodes(each, atLeast: 0, known: ["log-level"]))
        case "tick-heartbeat": try tick(node(each), times: core(each).options.heartbeatTicks)
        case "tick-election": try tick(node(each), times: core(each).options.electionTicks)
        case "set-randomized-election-timeout":
            let id = try node(each, known: ["timeout"])
            guard let ticks = try each.number("timeout") else { throw ScenarioError("\(each.line): no timeout") }
            nodes[at(id)].core.overrideElectionTimeout(ticks: Int(ticks))
        case "transfer-leadership": try transfer(each)
        case "forget-leader": step(try node(each), .forgetLeader)
        case "report-unreachable":
            let ids = try nodes(each, atLeast: 2)
            step(ids[0], .unreachable(NodeID(ids[1])))
        case "send-snapshot":
            let ids = try nodes(each, atLeast: 2)
            sendSnapshot(from: ids[0], to: ids[1])
        case "compact":
            let ids = try each.ids(2)
            compact(try node(each), through: ids[1])
            printLog(ids[0])
        case "raft-log": printLog(try node(each))
        case "raft-state": printState()
        case "status": transcript.output = try core(each).status.peers.map(\.rendered)
        case "log-level":
            guard let level = each.arguments.first?.key.lowercased(), Self.levels.contains(level) else {
                throw ScenarioError("\(each.line): unknown level")
            }
        case "_breakpoint": break  // A place to stop at in a debugger.
        default: try runOwn(each)
        }
        return transcript
    }

    static let levels = ["debug", "info", "warn", "error", "fatal", "none"]

    // Commands that upstream does not have.
    private mutating func runOwn(_ each: DataDrivenCase) throws {
        switch each.command {
        case "tick":
            let ids = try each.ids(2)
            tick(try node(each), times: Int(ids[1]))
        case "read":
            let ids = try each.ids(2)
            step(try node(each), .read(ReadID(ids[1])))
        case "cold":
            let ids = try each.ids(2)
            step(try node(each), .cold(before: LogIndex(ids[1])))
        case "page-sent":
            let ids = try nodes(each, atLeast: 2)
            step(ids[0], .pageSent(to: NodeID(ids[1])))
        case "restart": try restart(node(each))
        default: throw ScenarioError("\(each.line): unknown command \(each.command)")
        }
    }

    /// The node that a command names first.
    private func node(_ each: DataDrivenCase, known: [String] = []) throws -> UInt64 {
        let id = try each.ids(1, known: known)[0]
        guard id >= 1, id <= UInt64(nodes.count) else { throw ScenarioError("\(each.line): no node \(id)") }
        return id
    }

    private func nodes(_ each: DataDrivenCase, atLeast count: Int = 1, known: [String] = []) throws -> [UInt64] {
        let ids = try each.ids(count, known: known)
        for id in ids where id < 1 || id > UInt64(nodes.count) { throw ScenarioError("\(each.line): no node \(id)") }
        return ids
    }

    private func core(_ each: DataDrivenCase) throws -> RaftCore { nodes[at(try node(each))].core }

    private func at(_ id: UInt64) -> Int { Int(id) - 1 }

    private mutating func addNodes(_ each: DataDrivenCase) throws {
        let count = try each.ids(1, known: DataDrivenCase.nodeArguments)[0]
        let configuration = Configuration(voters: try each.members("voters"), learners: try each.members("learners"))
        let index = try each.number("index") ?? 0
        for _ in 0..<count {
            let options = try each.options(id: NodeID(UInt64(nodes.count) + 1), seed: UInt64(nodes.count))
            let term = index > 0 ? Term(1) : .zero
            let core = RaftCore(
                options: options,
                restored: .init(
                    hardState: HardState(commit: LogIndex(index)), configuration: configuration,
                    snapshotIndex: LogIndex(index), snapshotTerm: term, applied: LogIndex(index)))
            nodes.append(
                Node(
                    core: core, isAsync: try each.boolean("async-storage-writes") ?? false,
                    committedBytesMax: try each.number("max-committed-size-per-ready").map(Int.init) ?? .max,
                    firstIndex: index + 1,
                    state: SnapshotDescription(index: LogIndex(index), term: term, configuration: configuration),
                    commitBefore: LogIndex(index),
                    committed: index, handed: index))
            let id = UInt64(nodes.count)
            transcript.configurations[id, default: []].append(configuration.rendered)
            transcript.roles[id, default: []].append("became follower at term 0")
        }
    }

    private mutating func proposeChange(_ each: DataDrivenCase) throws {
        let id = try node(each, known: ["v1", "transition"])
        let isV1 = try each.boolean("v1") ?? false
        let transition: ConfigurationChange.Transition =
            switch each.value("transition") {
            case nil, "auto": .automatic
            case "implicit": .jointImplicit
            case "explicit": .jointExplicit
            case let other?: throw ScenarioError("\(each.line): transition \(other)")
            }
        // Upstream's older kind of entry is not ours; the context remembers how to print it.
        let change = ConfigurationChange(
            transition: transition, changes: try parseMemberChanges(each.input), context: isV1 ? [1] : [])
        step(id, .propose([Proposal(kind: .configuration, payload: change.encode())]))
    }

    private mutating func transfer(_ each: DataDrivenCase) throws {
        try each.require(arguments: ["from", "to"])
        guard let from = try each.number("from"), from >= 1, from <= UInt64(nodes.count) else {
            throw ScenarioError("\(each.line): a transfer from nobody")
        }
        // Ours: without a name, to the best one.
        step(from, .transferLeadership(to: try each.number("to").map { NodeID($0) }))
    }

    /// What is not durable is lost; so are the effects that nobody has looked at. The state is as of the last entry
    /// applied.
    private mutating func restart(_ id: UInt64) throws {
        let old = nodes[at(id)]
        let first = LogIndex(old.firstIndex)
        let before = try old.core.term(at: first.previous).orThrow("the log's start is not known")
        var hard = old.durable
        hard.commit = max(hard.commit, old.state.index)
        let restored = RaftCore.Restored(
            hardState: hard, configuration: old.state.configuration, snapshotIndex: first.previous,
            snapshotTerm: before,
            entries: old.log.map {
                EntrySummary(
                    term: $0.term, payloadBytes: $0.payload.count, isConfiguration: $0.kind == .configuration)
            }, applied: old.state.index)
        if let reason = restored.inconsistency { throw ScenarioError("node \(id) cannot start: \(reason)") }
        var node = Node(
            core: RaftCore(options: old.core.options, restored: restored), isAsync: old.isAsync,
            committedBytesMax: old.committedBytesMax, log: old.log, firstIndex: old.firstIndex, durable: old.durable,
            state: old.state, commitBefore: hard.commit, committed: old.state.index.rawValue,
            handed: old.state.index.rawValue)
        node.heldBefore = 0
        nodes[at(id)] = node
        // Entries that are known to be committed are given out by the next step.
        transcript.note("\(id) restarted at term \(hard.term.rawValue)")
    }

    private mutating func tick(_ id: UInt64, times: Int) {
        for _ in 0..<times { step(id, .tick) }
    }

    private mutating func compact(_ id: UInt64, through index: UInt64) {
        nodes[at(id)].log.removeAll { $0.index.rawValue <= index }
        nodes[at(id)].firstIndex = index + 1
        step(id, .compacted(upTo: LogIndex(index)))
    }

    private mutating func sendSnapshot(from: UInt64, to: UInt64) {
        let node = nodes[at(from)]
        let message = Message(
            from: NodeID(from), to: NodeID(to), term: node.core.currentTerm, body: .installSnapshot(node.state))
        transcript.output = lines(of: message)
        traffic.append(.message(message))
    }

    private mutating func printLog(_ id: UInt64) {
        let node = nodes[at(id)]
        if node.log.isEmpty {
            transcript.output = [
                "log is empty: first index=\(node.firstIndex), last index=\(node.firstIndex - 1)"
            ]
        } else {
            transcript.output = node.log.map(rendered)
        }
    }

    private mutating func printState() {
        transcript.output = nodes.map { node in
            let status = node.core.status
            return "\(status.id.rawValue): \(status.role.rendered) \(status.isVoter ? "(Voter)" : "(Non-Voter)") "
                + "Term:\(status.term.rawValue) Lead:\(status.leader?.rawValue ?? 0)"
        }
    }

    // MARK: Driving a node

    private mutating func step(_ id: UInt64, _ input: Input) {
        var effects = Effects()
        nodes[at(id)].core.step(input, into: &effects)
        take(effects.list, id)
    }

    private mutating func take(_ effects: [Effect], _ id: UInt64) {
        for effect in effects {
            switch effect {
            case .trace(let event): note(event, id)
            case .commit(let index): nodes[at(id)].committed = index.rawValue
            case .send(let message) where nodes[at(id)].earlyRequests.contains(message):
                nodes[at(id)].earlyRequests.removeAll { $0 == message }
            case .write, .send, .sendEntries, .sendSnapshot: nodes[at(id)].waiting.append(effect)
            case .proposalsRefused(_, let reason):
                transcript.isDropped = true
                transcript.note("\(id) refuses the proposal: \(reason)")
            case .configurationChangeRefused(_, let reason): transcript.note("\(id) refuses the change: \(reason)")
            case .transferRefused(_, let reason): transcript.note("\(id) refuses the transfer: \(reason)")
            case .transferEnded(let to, let outcome):
                transcript.note("\(id) ends the transfer to \(to.rawValue): \(outcome)")
            case .readReady(let read, let index):
                transcript.note("\(id) answers read \(read.rawValue) at \(index.rawValue)")
            case .readRefused(let read, let reason):
                transcript.note("\(id) refuses read \(read.rawValue): \(reason)")
            // Upstream drops what it does not take; who had passed it on is told by our shell.
            case .forwardRefused, .forwardAnswered: break
            case .roleChanged: break
            }
        }
    }

    private mutating func note(_ event: TraceEvent, _ id: UInt64) {
        func role(_ text: String) {
            transcript.roles[id, default: []].append(text)
            transcript.note("\(id) \(text)")
        }
        switch event {
        case .becameFollower(let term, _): role("became follower at term \(term.rawValue)")
        case .becamePreCandidate(let term): role("became pre-candidate at term \(term.rawValue)")
        case .becameCandidate(let term): role("became candidate at term \(term.rawValue)")
        case .becameLeader(let term): role("became leader at term \(term.rawValue)")
        case .configurationChanged(let configuration):
            transcript.configurations[id, default: []].append(configuration.rendered)
            transcript.note("\(id) switched to configuration \(configuration.rendered)")
        default: break
        }
    }

    private func hasReady(_ id: UInt64) -> Bool {
        let node = nodes[at(id)]
        if node.isAsync {
            let status = node.core.status
            if status.heldMessages > node.heldBefore || status.commit != node.commitBefore { return true }
        }
        return !node.waiting.isEmpty || node.committed > node.handed
    }

    private mutating func processReady(_ id: UInt64) {
        let taken = nodes[at(id)].waiting
        nodes[at(id)].waiting = []
        var writes: [(id: WriteID, write: Write)] = []
        var messages: [Message] = []
        for effect in taken {
            switch effect {
            case .write(let id, let write): writes.append((id, write))
            case .send(let message): messages.append(message)
            case .sendEntries(let header, let first, let end):
                messages.append(fill(header, first, end, from: id, writes.map(\.write)))
            case .sendSnapshot(let to, _, let term):
                messages.append(
                    Message(from: NodeID(id), to: to, term: term, body: .installSnapshot(nodes[at(id)].state)))
            default: break
            }
        }
        if nodes[at(id)].isAsync {
            let replies = messages.filter(\.isHeldReply)
            nodes[at(id)].freeReplies += replies
            let held = nodes[at(id)].core.status.heldMessages
            let expected = max(0, held - nodes[at(id)].heldBefore) + replies.count
            nodes[at(id)].heldBefore = held
            let commit = nodes[at(id)].core.commitIndex
            if !writes.isEmpty || expected > 0 || commit != nodes[at(id)].commitBefore {
                nodes[at(id)].commitBefore = commit
                nodes[at(id)].appendWork.append(
                    AppendWork(id: writes.last?.id, writes: writes.map(\.write), replies: expected))
            }
            send(messages.filter { !$0.isHeldReply })
            let early = nodes[at(id)].core.hold.messages.filter {
                $0.isVoteRequest && !nodes[at(id)].earlyRequests.contains($0)
            }
            nodes[at(id)].earlyRequests += early
            send(early)
            let entries = takeCommitted(id)
            if !entries.isEmpty { nodes[at(id)].applyWork.append(entries) }
            return
        }
        for (_, write) in writes { store(write, id) }
        send(messages)
        if let newest = writes.last?.id {
            var effects = Effects()
            let wasLeader = nodes[at(id)].core.currentRole == .leader
            // What a leader commits by its own write is the next Ready's.
            if wasLeader { apply(takeCommitted(id), id) }
            nodes[at(id)].core.step(.persisted(newest), into: &effects)
            // Held replies leave with this Ready, and requests for votes, which upstream sends behind its sync as well;
            // everything else is the next one's.
            var replies: [Message] = []
            var rest: [Effect] = []
            for effect in effects.list {
                if case .send(let message) = effect, message.isHeldReply || message.isVoteRequest {
                    replies.append(message)
                } else {
                    rest.append(effect)
                }
            }
            send(replies)
            take(rest, id)
            if !wasLeader, nodes[at(id)].core.currentRole != .leader { apply(takeCommitted(id), id) }
        } else {
            apply(takeCommitted(id), id)
        }
    }

    private mutating func takeCommitted(_ id: UInt64) -> [Entry] {
        let node = nodes[at(id)]
        guard node.committed > node.handed else { return [] }
        var entries: [Entry] = []
        var bytes = 0
        for entry in (node.handed + 1...node.committed).compactMap({ node.entry($0) }) {
            // Upstream counts the encoded entry: some bytes more than its payload, never none.
            bytes += entry.payload.count + 1
            if bytes > node.committedBytesMax, !entries.isEmpty { break }
            entries.append(entry)
        }
        nodes[at(id)].handed = entries.last?.index.rawValue ?? node.committed
        transcript.applied[id, default: []] += entries.map(rendered)
        for entry in entries { transcript.note("\(id) applies \(rendered(entry))") }
        return entries
    }

    private mutating func apply(_ entries: [Entry], _ id: UInt64) {
        guard let last = entries.last else { return }
        for entry in entries {
            if entry.kind == .configuration, let change = try? ConfigurationChange(decoding: entry.payload) {
                step(id, .configurationApplied(change, at: entry.index))
            }
            nodes[at(id)].state = SnapshotDescription(
                index: entry.index, term: entry.term, configuration: nodes[at(id)].core.configuration)
        }
        step(id, .applied(last.index))
    }

    private mutating func store(_ write: Write, _ id: UInt64) {
        if let hard = write.hardState {
            if hard.term != nodes[at(id)].durable.term || hard.votedFor != nodes[at(id)].durable.votedFor {
                transcript.durable[id, default: []].append("\(hard.term.rawValue)/\(hard.votedFor?.rawValue ?? 0)")
                transcript.note(
                    "\(id) makes durable Term:\(hard.term.rawValue) Vote:\(hard.votedFor?.rawValue ?? 0)")
            }
            nodes[at(id)].durable = hard
        }
        if let snapshot = write.snapshot {
            nodes[at(id)].log = []
            nodes[at(id)].firstIndex = snapshot.index.rawValue + 1
            nodes[at(id)].state = snapshot
            nodes[at(id)].committed = max(nodes[at(id)].committed, snapshot.index.rawValue)
            nodes[at(id)].handed = max(nodes[at(id)].handed, snapshot.index.rawValue)
        }
        if let first = write.entries.first {
            nodes[at(id)].log.removeAll { $0.index >= first.index }
            nodes[at(id)].log += write.entries
        }
    }

    private func fill(_ header: Message, _ first: LogIndex, _ end: LogIndex, from id: UInt64, _ fresh: [Write])
        -> Message
    {
        guard case .appendEntries(var append) = header.body else { return header }
        var log = nodes[at(id)].log
        for write in nodes[at(id)].appendWork.flatMap(\.writes) + fresh {
            if let first = write.entries.first { log.removeAll { $0.index >= first.index } }
            log += write.entries
        }
        append.entries = log.filter { $0.index >= first && $0.index < end }
        var message = header
        message.body = .appendEntries(append)
        return message
    }

    private mutating func send(_ messages: [Message]) {
        for message in messages {
            transcript.sent[pair(message), default: []].append(lines(of: message).joined(separator: " "))
            transcript.note(lines(of: message).joined(separator: " "))
            traffic.append(.message(message))
        }
    }

    private mutating func processAppendThread(_ id: UInt64) {
        guard !nodes[at(id)].appendWork.isEmpty else { return }
        let work = nodes[at(id)].appendWork.removeFirst()
        for write in work.writes { store(write, id) }
        if let write = work.id {
            if nodes[at(id)].core.currentRole == .follower {
                // Its replies leave from here. What it may apply it learns with the next delivery.
                var effects = Effects()
                nodes[at(id)].core.step(.persisted(write), into: &effects)
                nodes[at(id)].heldBefore = nodes[at(id)].core.status.heldMessages
                var commit = nodes[at(id)].committed
                var rest: [Effect] = []
                for effect in effects.list {
                    switch effect {
                    case .send(let message) where message.isHeldReply: nodes[at(id)].freeReplies.append(message)
                    case .commit(let index): commit = index.rawValue
                    default: rest.append(effect)
                    }
                }
                take(rest, id)
                traffic.append(.appendThread(id, nil, commit: commit))
            } else {
                // What a leader or candidate says to itself is delivered like a message.
                traffic.append(.appendThread(id, write, commit: 0))
            }
        }
        let leaving = min(work.replies, nodes[at(id)].freeReplies.count)
        send(Array(nodes[at(id)].freeReplies.prefix(leaving)))
        nodes[at(id)].freeReplies.removeFirst(leaving)
    }

    private mutating func processApplyThread(_ id: UInt64) {
        guard !nodes[at(id)].applyWork.isEmpty else { return }
        traffic.append(.applyThread(id, nodes[at(id)].applyWork.removeFirst()))
    }

    // MARK: The network

    private mutating func deliver(_ each: DataDrivenCase) throws {
        _ = try nodes(each, atLeast: 0, known: ["type", "drop"])
        let dropped = Set(try each.members("drop").map(\.rawValue))
        let type = each.value("type")
        if let type, !Message.kinds.contains(type) { throw ScenarioError("\(each.line): unknown type \(type)") }
        for argument in each.arguments {
            if argument.values.isEmpty, let id = UInt64(argument.key) { deliver(to: id, type: type) }
            if argument.key == "drop" { for id in dropped.sorted() { deliver(to: id, type: type, drop: true) } }
        }
    }

    private mutating func deliver(to id: UInt64, type: String? = nil, drop: Bool = false) {
        var matching: [Traffic] = []
        var others: [Traffic] = []
        for item in traffic {
            var fits = item.to == id
            if case .message(let message) = item, let type { fits = fits && message.kind == type }
            if case .message = item {} else if drop || type != nil { fits = false }
            if fits { matching.append(item) } else { others.append(item) }
        }
        traffic = others
        for item in matching {
            switch item {
            case .message(let message):
                let text = (drop ? "dropped: " : "") + lines(of: message).joined(separator: " ")
                transcript.delivered[pair(message), default: []].append(text)
                if drop { transcript.note(text) }
                if !drop { step(id, .received(message)) }
            case .appendThread(_, let write, let commit):
                nodes[at(id)].committed = max(nodes[at(id)].committed, commit)
                if let write { step(id, .persisted(write)) }
                nodes[at(id)].heldBefore = nodes[at(id)].core.status.heldMessages
            case .applyThread(_, let entries): apply(entries, id)
            }
        }
    }

    private mutating func stabilize(_ chosen: [UInt64]) {
        let ids = chosen.isEmpty ? Array(1...UInt64(nodes.count)) : chosen
        var isQuiet = false
        while !isQuiet {
            isQuiet = true
            for id in ids where hasReady(id) {
                processReady(id)
                isQuiet = false
            }
            for id in ids where traffic.contains(where: { $0.to == id }) {
                deliver(to: id)
                isQuiet = false
            }
            for id in ids where !nodes[at(id)].appendWork.isEmpty {
                while !nodes[at(id)].appendWork.isEmpty { processAppendThread(id) }
                isQuiet = false
            }
            for id in ids where !nodes[at(id)].applyWork.isEmpty {
                while !nodes[at(id)].applyWork.isEmpty { processApplyThread(id) }
                isQuiet = false
            }
        }
    }
}

// MARK: Upstream's words

private func pair(_ message: Message) -> String { "\(message.from.rawValue)->\(message.to.rawValue)" }

private func rendered(_ entry: Entry) -> String {
    let head = "\(entry.term.rawValue)/\(entry.index.rawValue) "
    guard entry.kind == .configuration else {
        return head + "EntryNormal \"" + String(decoding: entry.payload, as: UTF8.self) + "\""
    }
    guard let change = try? ConfigurationChange(decoding: entry.payload) else { return head + "?" }
    let name = change.context.isEmpty ? "EntryConfChangeV2" : "EntryConfChange"
    return head + name + (change.changes.isEmpty ? "" : " " + rendered(change.changes))
}

/// Upstream's lines for a message, trimmed.
private func lines(of message: Message) -> [String] {
    var place: (term: UInt64, index: UInt64) = (0, 0)
    var rest = ""
    var entries: [Entry] = []
    var snapshot: SnapshotDescription?
    switch message.body {
    case .appendEntries(let append):
        place = (append.previousTerm.rawValue, append.previousIndex.rawValue)
        if append.commit > .zero { rest = " Commit:\(append.commit.rawValue)" }
        entries = append.entries
    case .appendEntriesReply(let reply):
        place.index = reply.index.rawValue
        if case .rejected(let hint, let term) = reply.outcome {
            place.term = term.rawValue
            rest = " Rejected (Hint: \(hint.rawValue))"
        }
    case .heartbeat(let heartbeat):
        if heartbeat.commit > .zero { rest = " Commit:\(heartbeat.commit.rawValue)" }
    case .vote(let request), .preVote(let request): place = (request.lastTerm.rawValue, request.lastIndex.rawValue)
    case .voteReply(let reply), .preVoteReply(let reply): if !reply.isGranted { rest = " Rejected (Hint: 0)" }
    case .installSnapshot(let description): snapshot = description
    default: break
    }
    var lines = [
        "\(pair(message)) \(message.kind) Term:\(message.term.rawValue) Log:\(place.term)/\(place.index)\(rest)"
    ]
    if entries.count == 1 {
        lines[0] += " Entries:[" + rendered(entries[0]) + "]"
    } else if entries.count > 1 {
        lines[0] += " Entries:["
        lines += entries.map(rendered)
        lines.append("]")
    }
    if let snapshot {
        func list(_ ids: [NodeID]) -> String { "[" + ids.map { "\($0.rawValue)" }.joined(separator: " ") + "]" }
        let members = snapshot.configuration
        lines.append(
            "Snapshot: Index:\(snapshot.index.rawValue) Term:\(snapshot.term.rawValue) "
                + "ConfState:Voters:\(list(members.voters)) VotersOutgoing:\(list(members.outgoingVoters)) "
                + "Learners:\(list(members.learners)) LearnersNext:\(list(members.nextLearners)) "
                + "AutoLeave:\(members.leavesAutomatically)")
    }
    return lines
}

extension Optional {
    fileprivate func orThrow(_ reason: String) throws -> Wrapped {
        guard let value = self else { throw ScenarioError(reason) }
        return value
    }
}

extension Message {
    fileprivate static let kinds = [
        "MsgApp", "MsgAppResp", "MsgHeartbeat", "MsgHeartbeatResp", "MsgVote", "MsgVoteResp", "MsgPreVote",
        "MsgPreVoteResp", "MsgSnap", "MsgProp", "MsgReadIndex", "MsgReadIndexResp", "MsgTimeoutNow",
        "MsgTransferLeader",
    ]

    fileprivate var kind: String {
        switch body {
        case .appendEntries: "MsgApp"
        case .appendEntriesReply: "MsgAppResp"
        case .heartbeat: "MsgHeartbeat"
        case .heartbeatReply: "MsgHeartbeatResp"
        case .vote: "MsgVote"
        case .voteReply: "MsgVoteResp"
        case .preVote: "MsgPreVote"
        case .preVoteReply: "MsgPreVoteResp"
        case .installSnapshot: "MsgSnap"
        case .propose: "MsgProp"
        case .readIndex: "MsgReadIndex"
        case .readIndexReply: "MsgReadIndexResp"
        case .timeoutNow: "MsgTimeoutNow"
        case .transferLeadership: "MsgTransferLeader"
        case .forwardAnswer: "MsgForwardAnswer"
        }
    }

    fileprivate var isHeldReply: Bool {
        switch body {
        case .appendEntriesReply, .voteReply, .preVoteReply: true
        default: false
        }
    }
}
