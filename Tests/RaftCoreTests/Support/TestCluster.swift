@testable import RaftCore

/// Several cores, their disks and a first-in first-out network, all played by hand.
///
/// Writes are durable and entries applied at once, unless a member's disk or state machine is told to wait.
struct TestCluster {
    struct Disk {
        var hardState = HardState()
        var snapshot = SnapshotDescription(index: .zero, term: .zero, configuration: Configuration())
        var log: [Entry] = []

        mutating func store(_ write: Write) {
            if let new = write.snapshot {
                snapshot = new
                log = []
            }
            if let first = write.entries.first?.index {
                log.removeAll { $0.index >= first }
                precondition(
                    log.last.map { $0.index.next == first } ?? (first == snapshot.index.next), "a gap in the log")
                log += write.entries
            }
            if let new = write.hardState { hardState = new }
        }
    }

    struct Member {
        var core: RaftCore
        var disk = Disk()
        /// What was asked for and is not durable.
        var writes: [(id: WriteID, write: Write)] = []
        var diskWaits = false
        var appliesLate = false
        var isApplying = false
        /// Entries that are not in memory are read when somebody says so (``TestCluster/sendPages(_:)``).
        var readsLate = false
        var pages: [Message] = []
        var isDown = false
        /// Given out for applying.
        var committed: UInt64 = 0
        var applied: UInt64 = 0
        /// The entries that the state machine has seen since the start, by index.
        var history: [UInt64: Entry] = [:]
        /// Configurations, with the index at which each came into force.
        var configurations: [(index: UInt64, configuration: Configuration)] = []
        var reads: [UInt64: UInt64] = [:]
        var refusedReads: [UInt64: RefusalReason] = [:]
        var refusals: [(count: Int, reason: RefusalReason)] = []
        var refusedChanges: [(offset: Int, reason: ConfigurationRefusal)] = []
        var refusedTransfers: [TransferRefusal] = []
        var refusedForwards: [(what: RefusedForward, from: UInt64)] = []
        var answers: [ForwardAnswer] = []
        var transfers: [(to: UInt64, outcome: TransferOutcome)] = []
        var traces: [TraceEvent] = []
        var roles: [RoleSummary] = []

        /// The log as it is, durable or not.
        var log: [Entry] {
            var view = disk
            for (_, write) in writes { view.store(write) }
            return view.log
        }
    }

    var members: [Member] = []
    var network: [Message] = []
    /// Members that nothing gets to or comes from.
    var isolated: Set<UInt64> = []
    /// Pairs that are cut in one direction.
    var cut: Set<[UInt64]> = []
    /// Messages for which this is true are lost.
    var loses: ((Message) -> Bool)?
    /// All messages that were sent, lost or not.
    var sent: [Message] = []

    // MARK: Building

    /// Members 1, 2, 3, ... of one configuration.
    init(
        _ count: Int, learners: [UInt64] = [], log terms: [[UInt64]] = [],
        configure: (inout RaftCore.Options) -> Void = { _ in }
    ) {
        let ids = (1...UInt64(count)).map { NodeID($0) }
        let learners = learners.map { NodeID($0) }
        let configuration = Configuration(voters: ids.filter { !learners.contains($0) }, learners: learners)
        for (place, id) in ids.enumerated() {
            add(id, configuration, log: place < terms.count ? terms[place] : [], configure: configure)
        }
    }

    /// A member that starts with a log of entries of these terms.
    mutating func add(
        _ id: NodeID, _ configuration: Configuration, log terms: [UInt64] = [], term: UInt64? = nil,
        configure: (inout RaftCore.Options) -> Void = { _ in }
    ) {
        var options = RaftCore.Options(id: id, randomSeed: id.rawValue &* 7919)
        options.preVote = false
        options.checkQuorum = false
        options.promotesOnlyCaughtUp = false
        configure(&options)
        var disk = Disk()
        disk.snapshot.configuration = configuration
        disk.log = terms.enumerated().map {
            Entry(index: LogIndex(UInt64($0.offset) + 1), term: Term($0.element), payload: [UInt8($0.element)])
        }
        disk.hardState.term = Term(term ?? terms.last ?? 0)
        var member = Member(
            core: RaftCore(options: options, restored: Self.restored(disk, configuration, applied: 0)), disk: disk)
        member.configurations = [(0, configuration)]
        members.append(member)
    }

    static func restored(_ disk: Disk, _ configuration: Configuration, applied: UInt64) -> RaftCore.Restored {
        RaftCore.Restored(
            hardState: disk.hardState, configuration: configuration, snapshotIndex: disk.snapshot.index,
            snapshotTerm: disk.snapshot.term,
            entries: disk.log.map {
                EntrySummary(
                    term: $0.term, payloadBytes: $0.payload.count, isConfiguration: $0.kind == .configuration)
            }, applied: LogIndex(applied))
    }

    subscript(id: UInt64) -> Member {
        get { members[place(id)] }
        set { members[place(id)] = newValue }
    }

    func core(_ id: UInt64) -> RaftCore { members[place(id)].core }
    func status(_ id: UInt64) -> RaftCore.Status { core(id).status }
    func role(_ id: UInt64) -> RoleName { core(id).currentRole }
    func term(_ id: UInt64) -> UInt64 { core(id).currentTerm.rawValue }
    func commit(_ id: UInt64) -> UInt64 { core(id).commitIndex.rawValue }
    func terms(_ id: UInt64) -> [UInt64] { self[id].log.map(\.term.rawValue) }
    func peer(_ id: UInt64, of leader: UInt64) -> RaftCore.PeerStatus {
        status(leader).peers.first { $0.id.rawValue == id }!
    }
    var leaders: [UInt64] {
        members.filter { !$0.isDown && $0.core.currentRole == .leader }.map { $0.core.options.id.rawValue }
    }

    func place(_ id: UInt64) -> Int { members.firstIndex { $0.core.options.id.rawValue == id }! }

    // MARK: Stepping

    mutating func step(_ id: UInt64, _ input: Input) {
        var effects = Effects()
        members[place(id)].core.step(input, into: &effects)
        carryOut(effects.list, id)
    }

    private mutating func carryOut(_ effects: [Effect], _ id: UInt64) {
        let at = place(id)
        for effect in effects {
            switch effect {
            case .write(let write, let content): members[at].writes.append((write, content))
            case .send(let message): post(message)
            case .sendEntries(let header, let first, let end):
                guard case .appendEntries(var append) = header.body else { preconditionFailure("no append") }
                append.entries = members[at].log.filter { $0.index >= first && $0.index < end }
                precondition(append.entries.count == Int(end.rawValue - first.rawValue), "the log lacks entries")
                var message = header
                message.body = .appendEntries(append)
                if first < members[at].core.coldBefore {
                    members[at].pages.append(message)
                } else {
                    post(message)
                }
            case .sendSnapshot(let to, let atLeast, let term):
                precondition(members[at].applied >= atLeast.rawValue)
                post(Message(from: NodeID(id), to: to, term: term, body: .installSnapshot(snapshot(of: id))))
            case .commit(let index): members[at].committed = index.rawValue
            case .readReady(let read, let index): members[at].reads[read.rawValue] = index.rawValue
            case .readRefused(let read, let reason): members[at].refusedReads[read.rawValue] = reason
            case .proposalsRefused(let count, let reason): members[at].refusals.append((count, reason))
            case .configurationChangeRefused(let offset, let reason):
                members[at].refusedChanges.append((offset, reason))
            case .transferRefused(_, let reason): members[at].refusedTransfers.append(reason)
            case .transferEnded(let to, let outcome): members[at].transfers.append((to.rawValue, outcome))
            case .forwardRefused(let refused, let from):
                members[at].refusedForwards.append((refused, from.rawValue))
            case .forwardAnswered(let answer): members[at].answers.append(answer)
            case .roleChanged(let summary): members[at].roles.append(summary)
            case .trace(let event): members[at].traces.append(event)
            }
        }
        if !members[at].readsLate { sendPages(id) }
        if !members[at].diskWaits, !members[at].writes.isEmpty { persist(id) }
        if !members[at].appliesLate { apply(id) }
    }

    /// What was read from the log goes out; each page makes room for the next.
    mutating func sendPages(_ id: UInt64) {
        let at = place(id)
        while !members[at].pages.isEmpty {
            let message = members[at].pages.removeFirst()
            if message.term == members[at].core.currentTerm { post(message) }
            step(id, .pageSent(to: message.to))
        }
    }

    private mutating func post(_ message: Message) {
        sent.append(message)
        network.append(message)
    }

    func snapshot(of id: UInt64) -> SnapshotDescription {
        let member = self[id]
        return SnapshotDescription(
            index: LogIndex(member.applied), term: member.core.term(at: LogIndex(member.applied))!,
            configuration: member.configurations.last!.configuration)
    }

    /// Makes the oldest `count` writes durable, all by default.
    mutating func persist(_ id: UInt64, count: Int? = nil) {
        let at = place(id)
        let done = members[at].writes.prefix(count ?? members[at].writes.count)
        guard let newest = done.last?.id else { return }
        for (_, write) in done {
            members[at].disk.store(write)
            if let snapshot = write.snapshot {
                members[at].applied = max(members[at].applied, snapshot.index.rawValue)
                members[at].committed = max(members[at].committed, snapshot.index.rawValue)
                members[at].configurations.append((snapshot.index.rawValue, snapshot.configuration))
            }
        }
        members[at].writes.removeFirst(done.count)
        step(id, .persisted(newest))
    }

    /// Applies up to `limit` of the entries that were given out.
    mutating func apply(_ id: UInt64, limit: Int = .max) {
        let at = place(id)
        // What applying one entry makes possible is applied after it, not in the midst of it.
        guard !members[at].isApplying else { return }
        members[at].isApplying = true
        defer { members[at].isApplying = false }
        var left = limit
        while members[at].applied < members[at].committed, left > 0 {
            left -= 1
            let index = members[at].applied + 1
            #if MARTLET_MUTATIONS
                let log = members[at].log
            #else
                // Only what is on the disk is given out.
                let log = members[at].disk.log
            #endif
            let entry = log.first { $0.index.rawValue == index }!
            members[at].applied = index
            members[at].history[index] = entry
            if entry.kind == .configuration, let change = try? ConfigurationChange(decoding: entry.payload) {
                step(id, .configurationApplied(change, at: entry.index))
                members[at].configurations.append((index, members[at].core.currentConfiguration))
            }
            step(id, .applied(LogIndex(index)))
        }
    }

    // MARK: Network

    func isLost(_ message: Message) -> Bool {
        let from = message.from.rawValue
        let to = message.to.rawValue
        return isolated.contains(from) || isolated.contains(to) || cut.contains([from, to])
            || !members.contains { $0.core.options.id == message.to && !$0.isDown } || loses?(message) == true
    }

    mutating func deliverOne(at place: Int = 0) {
        let message = network.remove(at: place)
        let arrives = !isLost(message)
        if arrives { step(message.to.rawValue, .received(message)) }
        reportSnapshot(message, arrived: arrives)
    }

    mutating func lose(at place: Int) {
        let message = network.remove(at: place)
        reportSnapshot(message, arrived: false)
    }

    /// The sender of a snapshot always hears what became of it.
    private mutating func reportSnapshot(_ message: Message, arrived: Bool) {
        guard case .installSnapshot = message.body, !self[message.from.rawValue].isDown else { return }
        step(message.from.rawValue, .snapshotFinished(message.to, succeeded: arrived))
    }

    /// Until nothing is under way.
    mutating func settle(limit: Int = 100_000) {
        var left = limit
        while !network.isEmpty {
            deliverOne()
            left -= 1
            precondition(left > 0, "the cluster does not come to rest")
        }
    }

    // MARK: Shorthands

    mutating func campaign(_ id: UInt64) {
        step(id, .campaign)
        settle()
    }

    mutating func propose(_ id: UInt64, _ payloads: [UInt8]...) {
        step(id, .propose(payloads.map { Proposal(payload: $0) }))
        settle()
    }

    mutating func change(
        _ id: UInt64, _ changes: String, _ transition: ConfigurationChange.Transition = .automatic
    ) {
        let change = ConfigurationChange(transition: transition, changes: memberChanges(changes))
        step(id, .propose([Proposal(kind: .configuration, payload: change.encode())]))
        settle()
    }

    mutating func tick(_ id: UInt64, _ count: Int = 1) {
        for _ in 0..<count { step(id, .tick) }
    }

    /// Everybody's clocks, with the messages in between.
    mutating func tickAll(_ count: Int = 1) {
        for _ in 0..<count {
            for member in members where !member.isDown { step(member.core.options.id.rawValue, .tick) }
            settle()
        }
    }

    mutating func read(_ id: UInt64, _ read: UInt64) {
        step(id, .read(ReadID(read)))
    }

    mutating func transfer(_ from: UInt64, to: UInt64? = nil) {
        step(from, .transferLeadership(to: to.map { NodeID($0) }))
        settle()
    }

    /// Compacts that member's log up to what it has applied.
    mutating func compact(_ id: UInt64, upTo index: UInt64? = nil) {
        let index = index ?? self[id].applied
        let at = place(id)
        members[at].disk.snapshot = SnapshotDescription(
            index: LogIndex(index), term: members[at].core.term(at: LogIndex(index))!,
            configuration: configuration(of: id, at: index))
        members[at].disk.log.removeAll { $0.index.rawValue <= index }
        step(id, .compacted(upTo: LogIndex(index)))
    }

    func configuration(of id: UInt64, at index: UInt64) -> Configuration {
        self[id].configurations.last { $0.index <= index }!.configuration
    }

    /// Loses what is not durable and starts again from the disk, with the state as it was at `applied`.
    /// - Returns: why it cannot start: what the disk has lost, nil if nothing.
    @discardableResult
    mutating func restart(_ id: UInt64, applied: UInt64? = nil, seed: UInt64 = 1) -> String? {
        let at = place(id)
        var options = members[at].core.options
        options.randomSeed = options.randomSeed &+ seed
        let applied = min(applied ?? members[at].applied, members[at].applied)
        let configuration = configuration(of: id, at: applied)
        members[at].writes = []
        members[at].pages = []
        members[at].isDown = true
        members[at].applied = applied
        members[at].committed = applied
        members[at].configurations.removeAll { $0.index > applied }
        let restored = Self.restored(members[at].disk, configuration, applied: applied)
        if let reason = restored.inconsistency { return reason }
        members[at].isDown = false
        members[at].core = RaftCore(options: options, restored: restored)
        return nil
    }
}

extension Message {
    var append: AppendEntries? {
        if case .appendEntries(let append) = body { append } else { nil }
    }
    var appendReply: AppendEntriesReply? {
        if case .appendEntriesReply(let reply) = body { reply } else { nil }
    }
    var heartbeat: Heartbeat? {
        if case .heartbeat(let heartbeat) = body { heartbeat } else { nil }
    }
    var voteReply: VoteReply? {
        switch body {
        case .voteReply(let reply), .preVoteReply(let reply): reply
        default: nil
        }
    }
    var isVoteRequest: Bool {
        switch body {
        case .vote, .preVote: true
        default: false
        }
    }
}

/// A core by itself, for tests of single steps.
struct Lone {
    var core: RaftCore
    private(set) var effects: [Effect] = []

    init(
        _ id: UInt64 = 1, voters: [UInt64] = [1, 2, 3], learners: [UInt64] = [], log terms: [UInt64] = [],
        term: UInt64? = nil, votedFor: UInt64? = nil, commit: UInt64 = 0, snapshot: (UInt64, UInt64) = (0, 0),
        configure: (inout RaftCore.Options) -> Void = { _ in }
    ) {
        var options = RaftCore.Options(id: NodeID(id), randomSeed: id)
        options.preVote = false
        options.checkQuorum = false
        options.promotesOnlyCaughtUp = false
        configure(&options)
        core = RaftCore(
            options: options,
            restored: .init(
                hardState: HardState(
                    term: Term(term ?? terms.last ?? snapshot.1), votedFor: votedFor.map { NodeID($0) },
                    commit: LogIndex(commit)),
                configuration: Configuration(
                    voters: voters.map { NodeID($0) }, learners: learners.map { NodeID($0) }),
                snapshotIndex: LogIndex(snapshot.0), snapshotTerm: Term(snapshot.1),
                entries: terms.map { EntrySummary(term: Term($0), payloadBytes: 1, isConfiguration: false) },
                applied: LogIndex(snapshot.0)))
    }

    /// The effects of one step. What it writes becomes durable at once, unless told otherwise.
    @discardableResult
    mutating func step(_ input: Input, persisting: Bool = true) -> [Effect] {
        var effects = Effects()
        core.step(input, into: &effects)
        if persisting, core.durability.newest > core.durability.stable {
            core.step(.persisted(core.durability.newest), into: &effects)
        }
        return effects.list
    }

    @discardableResult
    mutating func receive(
        _ body: Message.Body, from: UInt64 = 2, term: UInt64, persisting: Bool = true
    ) -> [Effect] {
        step(
            .received(Message(from: NodeID(from), to: core.options.id, term: Term(term), body: body)),
            persisting: persisting)
    }

    /// Makes it leader of the next term, with the others' votes.
    mutating func lead() {
        step(.campaign)
        for voter in core.currentConfiguration.allVoters where voter != core.options.id {
            receive(.voteReply(VoteReply(isGranted: true)), from: voter.rawValue, term: core.currentTerm.rawValue)
        }
    }

    mutating func tick(_ count: Int) -> [Effect] {
        (0..<count).flatMap { _ in step(.tick) }
    }
}

extension [Effect] {
    var messages: [Message] {
        compactMap { effect in
            switch effect {
            case .send(let message): message
            case .sendEntries(let header, _, _): header
            default: nil
            }
        }
    }
    var writes: [Write] {
        compactMap { if case .write(_, let write) = $0 { write } else { nil } }
    }
    var commits: [UInt64] {
        compactMap { if case .commit(let index) = $0 { index.rawValue } else { nil } }
    }
    var ranges: [ClosedRange<UInt64>] {
        compactMap {
            if case .sendEntries(_, let first, let end) = $0 { first.rawValue...(end.rawValue - 1) } else { nil }
        }
    }
    var ignored: [String] {
        compactMap { if case .trace(.messageIgnored(_, _, let reason)) = $0 { reason } else { nil } }
    }
}

func entries(_ terms: [UInt64], from index: UInt64) -> [Entry] {
    terms.enumerated().map {
        Entry(
            index: LogIndex(index &+ UInt64($0.offset)), term: Term($0.element),
            payload: [UInt8(truncatingIfNeeded: $0.element)])
    }
}

func append(
    after previous: (term: UInt64, index: UInt64), _ terms: [UInt64] = [], commit: UInt64 = 0
) -> Message.Body {
    .appendEntries(
        AppendEntries(
            previousIndex: LogIndex(previous.index), previousTerm: Term(previous.term), commit: LogIndex(commit),
            entries: entries(terms, from: previous.index &+ 1)))
}

func accepted(_ index: UInt64) -> Message.Body {
    .appendEntriesReply(AppendEntriesReply(index: LogIndex(index), outcome: .accepted))
}

func rejected(_ index: UInt64, hint: UInt64, term: UInt64) -> Message.Body {
    .appendEntriesReply(
        AppendEntriesReply(
            index: LogIndex(index), outcome: .rejected(hintIndex: LogIndex(hint), hintTerm: Term(term))))
}

func voteRequest(_ last: (term: UInt64, index: UInt64), transfer: Bool = false) -> VoteRequest {
    VoteRequest(lastIndex: LogIndex(last.index), lastTerm: Term(last.term), isTransfer: transfer)
}
