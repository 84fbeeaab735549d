import PeerTransport
import RaftCore
import Synchronization

/// Runs the consensus rules: turns what arrives into inputs of the core, and the core's effects into work for the log,
/// the transport and the apply stage. One batch of inputs makes one batch of each.
final class ConsensusStage<Machine: NodeMachine>: Stage {
    typealias Input = ConsensusInput<Machine>

    struct Outlets: Sendable {
        var log: any Mailbox<LogInput>
        var apply: any Mailbox<ApplyInput<Machine>>
        var transport: any PeerTransport
        var published: PublishedState<Machine.View>
        /// Calls back onto this stage's mailbox.
        var own: any Mailbox<ConsensusInput<Machine>>
        var stamp: (any LeaderStamp)?
        var trace: (@Sendable (TraceEvent) -> Void)?
        var failed: @Sendable (NodeFailure) -> Void
    }

    private var core: RaftCore
    private var options: NodeOptions
    private let outlets: Outlets
    private var cache: EntryCache
    private var effects = Effects()

    private var nextTick: UInt64?
    private var nextSequence: UInt64
    /// No earlier incarnation has used these numbers either: an answer that was on its way to it when it ended would
    /// tell of an index that is too old.
    private var nextReadID: UInt64
    private var pendingReads: [PendingRead] = []
    /// Proposals that found no leader. They were never sent, so sending them later is sending them once.
    private var parked: [ParkedProposals] = []
    private var hasFoundLeader = false
    private var transfers = TransferRequests()
    private var staged: [(description: SnapshotDescription, snapshot: Machine.Staged)] = []

    /// Entries up to here have been handed to the apply stage.
    private var handedOver: LogIndex
    /// Entries before this one are on the disk only, as the core knows.
    private var coldBefore = LogIndex.zero
    private var applied: LogIndex
    private var cutUpTo: LogIndex
    private var durable: LogIndex

    /// A snapshot is being installed: the state comes first, then its write; writes behind it wait here.
    private var installing: WriteID?
    private var heldWrites: [LogInput] = []
    /// Appends that wait for entries from the disk, in order, by peer: what follows them to that peer waits behind
    /// them.
    private var loading: [(peer: NodeID, waiting: [Message], isLoaded: Bool)] = []

    // What one batch brings in and puts out, kept between batches for its memory.
    private var gathered: [CommandProposal<Machine>] = []
    private var proposals: [Proposal] = []
    private var logBatch: [LogInput] = []
    private var messages: [Message] = []
    private var readsReady: [(index: LogIndex, read: PendingRead)] = []
    private var commit: LogIndex
    private var status: NodeStatus
    private var published: NodeStatus
    private var failure: NodeFailure?

    private struct ParkedProposals {
        var commands: [CommandProposal<Machine>]
        var deadline: UInt64
    }

    private struct PendingRead {
        var id: ReadID
        var tickets: [Ticket<Machine.View>]
        var retryAt: UInt64
        var deadline: UInt64
    }

    init(core: RaftCore, options: NodeOptions, recovered: [Entry], applied: LogIndex, base: LogIndex, outlets: Outlets)
    {
        self.core = core
        self.options = options
        self.outlets = outlets
        cache = EntryCache(limitBytes: options.entryCacheBytes)
        cache.append(recovered)
        nextSequence = options.reusesProposalNumbers ? 1 : options.firstSequence
        nextReadID = options.firstSequence
        handedOver = applied
        self.applied = applied
        durable = applied
        cutUpTo = base
        commit = applied
        status = outlets.published.status
        published = status
    }

    var wakeAt: UInt64? { failure == nil ? nextTick ?? 0 : nil }

    func process(_ inputs: inout [Input], now: UInt64) {
        guard failure == nil else { return refuseAll(inputs) }
        tick(now: now)
        var commands: [CommandProposal<Machine>] = []
        var reads: [Ticket<Machine.View>] = []
        swap(&commands, &gathered)
        for input in inputs {
            switch input {
            case .propose(let proposal): commands.append(proposal)
            case .proposeMany(let proposals): commands.append(contentsOf: proposals)
            case .read(let ticket): reads.append(ticket)
            case .readMany(let tickets): reads.append(contentsOf: tickets)
            case .failed(let failure):
                fail(failure)
                return refuseAll(inputs)
            default:
                // What came before keeps its place before this.
                propose(&commands, now: now)
                take(input, now: now)
            }
        }
        // Lets go of the payloads: whoever holds one alone can write into it.
        inputs.removeAll(keepingCapacity: true)
        propose(&commands, now: now)
        swap(&commands, &gathered)
        read(&reads, now: now)
        retryReads(now: now)
        transfers.expire(now: now)
        carryOutEffects()
        unpark(now: now)
        handOver()
        publishStatus()
    }

    // MARK: Inputs

    private func tick(now: UInt64) {
        guard let due = nextTick else {
            nextTick = now + options.tickNanoseconds
            core.step(.tick, into: &effects)
            return
        }
        guard now >= due else { return }
        let missed = (now - due) / options.tickNanoseconds + 1
        // A leader that was stopped must learn how long it has heard nobody; a follower must not campaign for the time
        // in which it could not have heard anybody.
        let isCounting = status.role == .leader && !options.leaseIgnoresPause
        let ticks = isCounting ? min(missed, UInt64(options.electionTicks)) : 1
        for _ in 0..<ticks { core.step(.tick, into: &effects) }
        nextTick = due + missed * options.tickNanoseconds
    }

    private func take(_ input: Input, now: UInt64) {
        switch input {
        case .propose, .proposeMany, .read, .readMany, .failed:
            preconditionFailure("taken by the caller")
        case .changeConfiguration(let change, let ticket):
            propose(change, ticket: ticket, now: now)
        case .transferLeadership(let node, let ticket, let timeout):
            transfer(to: node, ticket, deadline: now.addingReportingOverflow(timeout).partialValue)
        case .campaign: core.step(.campaign, into: &effects)
        case .optionsChanged(let new, let ticket):
            let conclusion = change(to: new, now: now)
            ticket.sink.deliver([Reply(token: ticket.token, answer: .success(conclusion))])
        case .status(let ticket):
            ticket.sink.deliver([Reply(token: ticket.token, answer: .success(core.status))])
        case .received(let received):
            for message in received { receive(message) }
        case .receivedAlone(let message): receive(message)
        case .unreachable(let node): core.step(.unreachable(node), into: &effects)
        case .gone(let node): core.step(.gone(node), into: &effects)
        case .snapshotArrived(let message, let snapshot):
            guard case .installSnapshot(let description) = message.body else { return }
            staged.append((description, snapshot))
            let mark = effects.list.count
            core.step(.received(message), into: &effects)
            let isTaken = effects.list[mark...].contains { effect in
                if case .write(_, let write) = effect { return write.snapshot == description }
                return false
            }
            // Stale or refused: what was received goes.
            if !isTaken { staged.removeLast() }
        case .snapshotSent(let node, let succeeded):
            core.step(.snapshotFinished(node, succeeded: succeeded), into: &effects)
        case .persisted(let id): core.step(.persisted(id), into: &effects)
        case .loaded(let message):
            loadingEnded(for: message.to, with: message)
            core.step(.pageSent(to: message.to), into: &effects)
        case .loadFailed(let node):
            loadingEnded(for: node, with: nil)
            core.step(.unreachable(node), into: &effects)
        case .applied(let index):
            applied = max(applied, index)
            core.step(.applied(index), into: &effects)
        case .configurationApplied(let change, let index):
            core.step(.configurationApplied(change, at: index), into: &effects)
        case .durable(let index):
            durable = max(durable, index)
            cutLog()
        case .snapshotMade(let node, let description, let source):
            sendSnapshot(to: node, description, source)
        case .installed(let id): installed(id)
        }
    }

    private func change(to new: NodeOptions, now: UInt64) -> OptionsConclusion {
        if let reason = new.inconsistency(replacing: options) { return .refused(reason) }
        options = new
        core.step(.optionsChanged(new.core), into: &effects)
        cache.limitBytes = new.entryCacheBytes
        // What was to come later by the old measure comes by the new one.
        nextTick = nextTick.map { min($0, now + new.tickNanoseconds) }
        for place in pendingReads.indices {
            pendingReads[place].retryAt = min(pendingReads[place].retryAt, now + new.readRetryNanoseconds)
        }
        outlets.apply.post(.optionsChanged(new))
        return .taken
    }

    private func receive(_ message: Message) {
        guard isAcceptable(message) else { return }
        core.step(.received(stamped(message)), into: &effects)
        if case .transferLeadership(let target) = message.body { passedOn(target, by: message.from) }
    }

    /// A forwarded proposal that nobody could apply must not get into the log, whoever sends it.
    private func isAcceptable(_ message: Message) -> Bool {
        guard case .propose(let proposals) = message.body else { return true }
        for proposal in proposals where proposal.kind == .command {
            let isCommand = proposal.payload.withUnsafeBytes {
                ProposalID.command(of: $0).map(Machine.accepts) ?? false
            }
            guard isCommand else {
                outlets.trace?(.messageIgnored(from: message.from, message.term, "a proposal that is no command"))
                return false
            }
        }
        return true
    }

    /// What other members pass on, with what only a leader can say filled in if this node leads. It is asked of the
    /// core, since the status is that of the last batch; a proposal changes no role.
    private func stamped(_ message: Message) -> Message {
        guard let stamp = outlets.stamp, case .propose(var proposals) = message.body, core.currentRole == .leader,
            proposals.contains(where: { $0.kind == .command && stamp.isMeant(for: $0.payload) })
        else { return message }
        for place in 0..<proposals.count where proposals[place].kind == .command {
            if stamp.isMeant(for: proposals[place].payload) {
                stamp.stamp(payload: &proposals[place].payload, leading: core.currentTerm)
            }
        }
        var message = message
        message.body = .propose(proposals)
        return message
    }

    private func propose(_ commands: inout [CommandProposal<Machine>], now: UInt64) {
        guard !commands.isEmpty else { return }
        propose(&commands, deadline: now + options.requestTimeoutNanoseconds)
        commands.removeAll(keepingCapacity: true)
    }

    private func propose(_ commands: inout [CommandProposal<Machine>], deadline: UInt64) {
        let pendingCount = outlets.published.pendingProposals.load(ordering: .relaxed)
        guard pendingCount + commands.count <= options.maxPendingRequests else {
            return answer(commands[...], .tooManyRequests, deadline: deadline)
        }
        var proposals: [Proposal] = []
        swap(&proposals, &self.proposals)
        proposals.reserveCapacity(commands.count)
        var pending: [PendingProposal<Machine>] = []
        pending.reserveCapacity(commands.count)
        let isLeader = core.currentRole == .leader
        let stamp = isLeader ? outlets.stamp : nil
        for place in 0..<commands.count {
            var payload: [UInt8] = []
            swap(&payload, &commands[place].payload)
            ProposalID(origin: options.id, sequence: nextSequence).write(into: &payload)
            if let stamp, stamp.isMeant(for: payload) { stamp.stamp(payload: &payload, leading: core.currentTerm) }
            commands[place].payload = payload
            proposals.append(Proposal(payload: payload))
            pending.append(PendingProposal(sequence: nextSequence, ticket: commands[place].ticket))
            nextSequence += 1
        }
        if let (count, refusal) = submit(proposals, pending: pending, deadline: deadline) {
            answer(commands.suffix(count), refusal, deadline: deadline)
        }
        // A follower passes on the very array.
        guard isLeader else { return }
        proposals.removeAll(keepingCapacity: true)
        swap(&proposals, &self.proposals)
    }

    private func answer(_ commands: ArraySlice<CommandProposal<Machine>>, _ failure: RequestFailure, deadline: UInt64) {
        let parkedCount = parked.reduce(0) { $0 + $1.commands.count }
        if failure == .noLeader || failure == .leaderChanging,
            parkedCount + commands.count <= options.maxPendingRequests
        {
            parked.append(ParkedProposals(commands: Array(commands), deadline: deadline))
            return
        }
        var replies = ReplyBatch<Machine.Result>()
        for command in commands { replies.add(command.ticket, .failure(failure)) }
        replies.flush()
    }

    /// Sends what found no leader, now that there is one; what has waited too long is told so.
    private func unpark(now: UInt64) {
        guard !parked.isEmpty else { return }
        if hasFoundLeader {
            let waiting = parked
            parked = []
            for var group in waiting { propose(&group.commands, deadline: group.deadline) }
            hasFoundLeader = false
            carryOutEffects()
        }
        var replies = ReplyBatch<Machine.Result>()
        parked.removeAll { group in
            guard now >= group.deadline else { return false }
            for command in group.commands { replies.add(command.ticket, .failure(.timedOutWithoutLeader)) }
            return true
        }
        replies.flush()
    }

    private func propose(_ change: ConfigurationChange, ticket: Ticket<Machine.Result>, now: UInt64) {
        var change = change
        var context = [UInt8](repeating: 0, count: ProposalID.encodedBytes)
        ProposalID(origin: options.id, sequence: nextSequence).write(into: &context)
        change.context = context + change.context
        let pending = PendingProposal<Machine>(sequence: nextSequence, ticket: ticket)
        nextSequence += 1
        let refusal = submit(
            [Proposal(kind: .configuration, payload: change.encode())], pending: [pending],
            deadline: now + options.requestTimeoutNanoseconds)
        if let (_, refusal) = refusal { ticket.sink.deliver([Reply(token: ticket.token, answer: .failure(refusal))]) }
    }

    /// Steps the core with proposals. They are taken from the front as far as they fit: says how many were not, and
    /// why.
    private func submit(
        _ proposals: [Proposal], pending: [PendingProposal<Machine>], deadline: UInt64
    ) -> (refused: Int, reason: RequestFailure)? {
        let mark = effects.list.count
        core.step(.propose(proposals), into: &effects)
        var refusal: (refused: Int, reason: RequestFailure)?
        for effect in effects.list[mark...] {
            switch effect {
            case .proposalsRefused(let count, let reason): refusal = (count, RequestFailure(reason))
            case .configurationChangeRefused(_, let reason): refusal = (1, .configurationRefused(reason))
            default: continue
            }
        }
        let taken = if let refusal { Array(pending.dropLast(refusal.refused)) } else { pending }
        if !taken.isEmpty {
            outlets.published.pendingProposals.add(taken.count, ordering: .relaxed)
            // Seen by the apply stage before the entries are: they are posted to the same mailbox later.
            outlets.apply.postQuietly(.expect(taken, deadline: deadline))
        }
        return refusal
    }

    private func transfer(to target: NodeID?, _ ticket: Ticket<TransferConclusion>?, deadline: UInt64) {
        let mark = effects.list.count
        core.step(.transferLeadership(to: target), into: &effects)
        guard let ticket else { return }
        var answer: Result<TransferConclusion, RequestFailure>?
        for case .transferRefused(_, let reason) in effects.list[mark...] where reason != .alreadyUnderWay {
            answer = .success(.refused(reason))
        }
        // What this request has put an end to is settled before it waits for its own.
        carryOutEffects()
        if answer == nil, !transfers.add(ticket, target: target, term: status.term, deadline: deadline) {
            answer = .failure(.tooManyRequests)
        }
        if let answer { ticket.sink.deliver([Reply(token: ticket.token, answer: answer)]) }
    }

    /// Another member has asked this one for a transfer: it is told if nothing comes of it.
    private func passedOn(_ target: NodeID, by member: NodeID) {
        carryOutEffects()
        if status.role == .leader { transfers.add(member: member, target: target.rawValue == 0 ? nil : target) }
    }

    private func read(_ tickets: inout [Ticket<Machine.View>], now: UInt64) {
        guard !tickets.isEmpty else { return }
        // One read index serves the whole batch: every one of these reads began before it is asked for.
        let id = ReadID(nextReadID)
        nextReadID += 1
        pendingReads.append(
            PendingRead(
                id: id, tickets: tickets, retryAt: now + options.readRetryNanoseconds,
                deadline: now + options.requestTimeoutNanoseconds))
        core.step(.read(id), into: &effects)
    }

    private func retryReads(now: UInt64) {
        guard !pendingReads.isEmpty, now >= pendingReads[0].retryAt else { return }
        var kept: [PendingRead] = []
        var again: [ReadID] = []
        var replies = ReplyBatch<Machine.View>()
        for var read in pendingReads {
            if now >= read.deadline {
                for ticket in read.tickets { replies.add(ticket, .failure(.timedOut)) }
                continue
            }
            if now >= read.retryAt {
                // Under a new id: an answer to the old one may still come, and is as good, but is not waited for.
                read.id = ReadID(nextReadID)
                nextReadID += 1
                read.retryAt = now + options.readRetryNanoseconds
                again.append(read.id)
            }
            kept.append(read)
        }
        pendingReads = kept
        replies.flush()
        for id in again { core.step(.read(id), into: &effects) }
    }

    // MARK: Effects

    private func carryOutEffects() {
        var place = 0
        // A loop by place: refusing a read steps the core no further, but handling may add effects.
        while place < effects.list.count {
            carryOut(effects.list[place])
            place += 1
        }
        effects.removeAll(keepingCapacity: true)
    }

    private func carryOut(_ effect: Effect) {
        switch effect {
        case .write(let id, let write): carryOut(write, id: id)
        case .send(let message): send(message)
        case .sendEntries(let header, let first, let end): send(header, first: first, end: end)
        case .sendSnapshot(let node, _, _):
            outlets.apply.post(.makeSnapshot(for: node))
        case .commit(let index): commit = max(commit, index)
        case .readReady(let id, let index):
            if let place = pendingReads.firstIndex(where: { $0.id == id }) {
                readsReady.append((index, pendingReads.remove(at: place)))
            }
        case .readRefused(let id, _):
            // Without a leader reads wait for one, as etcd's do: they are asked again until their time is up.
            if let place = pendingReads.firstIndex(where: { $0.id == id }) {
                pendingReads[place].retryAt = min(
                    pendingReads[place].retryAt, (nextTick ?? 0) + options.tickNanoseconds)
            }
        case .proposalsRefused, .configurationChangeRefused, .transferRefused:
            break  // Answered where the request was made.
        case .transferEnded(let target, let outcome):
            for member in transfers.ended(target, outcome) {
                send(
                    Message(
                        from: options.id, to: member, term: .zero,
                        body: .forwardAnswer(.transferEnded(to: target, outcome: outcome))))
            }
        case .forwardRefused(let refused, let sender):
            for message in ForwardAnswers(refused, from: sender, own: options.id).messages {
                if message.to != options.id {
                    send(message)
                } else if case .forwardAnswer(let answer) = message.body {
                    answered(answer)
                }
            }
        case .forwardAnswered(let answer): answered(answer)
        case .roleChanged(let summary):
            if let leader = summary.leader, leader != status.leader {
                status.leaderChanges += 1
                hasFoundLeader = true
            }
            status.role = summary.role
            status.term = summary.term
            status.leader = summary.leader
            if let leader = summary.leader { transfers.leads(leader, in: summary.term) }
        case .trace(let event): outlets.trace?(event)
        }
    }

    /// The leader says what it has not done of what this node had passed on: whoever waits for it here need not go on.
    private func answered(_ answer: ForwardAnswer) {
        switch answer {
        case .proposalsRefused(let numbers, let reason):
            outlets.apply.post(.refused(numbers, RequestFailure(passedOn: reason)))
        case .configurationChangeRefused(let number, let reason):
            outlets.apply.post(.refused([number], .configurationRefused(reason)))
        case .transferRefused(let target, let reason): transfers.refused(target, reason)
        case .transferEnded(let target, let outcome): _ = transfers.ended(target, outcome)
        }
    }

    private func carryOut(_ write: Write, id: WriteID) {
        if let description = write.snapshot {
            guard let place = staged.lastIndex(where: { $0.description == description }) else {
                return fail(NodeFailure(part: .snapshot, reason: "a snapshot was accepted that never arrived"))
            }
            let snapshot = staged[place].snapshot
            // A later one may have come in the same batch, and be next.
            staged.removeSubrange(...place)
            cache.removeAll()
            installing = id
            heldWrites.append(.write(id, write))
            handedOver = description.index
            commit = max(commit, description.index)
            cutUpTo = description.index
            outlets.apply.post(.install(snapshot, description, id))
        } else if installing != nil {
            heldWrites.append(.write(id, write))
        } else {
            logBatch.append(.write(id, write))
        }
        cache.append(write.entries)
    }

    private func installed(_ id: WriteID) {
        guard installing == id else { return }
        installing = nil
        for write in heldWrites {
            // A later snapshot behind this one waits for its own installation. An earlier one needs none any more: this
            // one has taken its place, and its write only has to come first.
            if case .write(let held, let content) = write, let snapshot = content.snapshot {
                if held > id { installing = held } else { applied = max(applied, snapshot.index) }
            }
            if installing == nil { logBatch.append(write) }
        }
        if let next = installing {
            heldWrites.removeAll { if case .write(let held, _) = $0 { held < next } else { false } }
        } else {
            heldWrites.removeAll()
        }
    }

    private func send(_ message: Message) {
        if let place = loading.firstIndex(where: { $0.peer == message.to }), message.body.isAppend {
            loading[place].waiting.append(message)
        } else {
            messages.append(message)
            if options.forwardsProposalsTwice, case .propose = message.body { messages.append(message) }
        }
    }

    private func send(_ header: Message, first: LogIndex, end: LogIndex) {
        let isBehind = loading.contains { $0.peer == header.to }
        if !isBehind, let entries = cache.slice(first: first, end: end) {
            messages.append(header.carrying(entries))
            return
        }
        if let place = loading.firstIndex(where: { $0.peer == header.to }) {
            if let entries = cache.slice(first: first, end: end) {
                loading[place].waiting.append(header.carrying(entries))
                return
            }
            // One read from the disk at a time for a peer: the core's flow control asks again after a loss.
            return
        }
        loading.append((header.to, [], false))
        logBatch.append(.load(header, first: first, end: end))
    }

    private func loadingEnded(for peer: NodeID, with message: Message?) {
        guard let place = loading.firstIndex(where: { $0.peer == peer }) else { return }
        let waiting = loading.remove(at: place).waiting
        // A term that has ended has nothing to say.
        if let message, message.term == status.term, status.role == .leader {
            messages.append(message)
            messages.append(contentsOf: waiting.filter { $0.term == status.term })
        }
    }

    private func sendSnapshot(to node: NodeID, _ description: SnapshotDescription, _ source: any SnapshotSource) {
        guard status.role == .leader else { return }
        let message = Message(
            from: options.id, to: node, term: status.term, body: .installSnapshot(description))
        outlets.transport.sendSnapshot(message, from: source) { [own = outlets.own] succeeded in
            own.post(.snapshotSent(to: node, succeeded: succeeded))
        }
    }

    // MARK: The end of a batch

    private func handOver() {
        // To the others first: their disks work beside ours.
        if !messages.isEmpty {
            outlets.transport.send(messages)
            messages.removeAll(keepingCapacity: true)
        }
        if !logBatch.isEmpty {
            if logBatch.count == 1, isSmall(logBatch[0]) {
                outlets.log.postAndRun(logBatch[0])
            } else {
                outlets.log.post(contentsOf: logBatch)
            }
            logBatch.removeAll(keepingCapacity: true)
        }
        if commit > handedOver {
            guard let entries = cache.slice(first: handedOver.next, end: commit.next) else {
                return fail(
                    NodeFailure(part: .log, reason: "committed entries after \(handedOver.rawValue) are not at hand"))
            }
            if isSmall(entries), entries.allSatisfy(isQuick) {
                outlets.apply.postAndRun(.apply(entries))
            } else {
                outlets.apply.post(.apply(entries))
            }
            handedOver = commit
        }
        if !readsReady.isEmpty { answerReads() }
        cache.evict(applied: applied)
        // What is not in memory is asked for page by page, so that a member that is far behind holds up nobody.
        if let first = cache.firstIndex, first > coldBefore {
            coldBefore = first
            core.step(.cold(before: first), into: &effects)
        }
    }

    private func answerReads() {
        for (index, read) in readsReady {
            if let view = outlets.published.view(ifAppliedUpTo: options.readsBeforeApplied ? .zero : index) {
                var replies = ReplyBatch<Machine.View>()
                for ticket in read.tickets { replies.add(ticket, .success(view)) }
                replies.flush()
            } else {
                outlets.apply.post(.read(read.tickets, at: index, deadline: read.deadline))
            }
        }
        readsReady.removeAll(keepingCapacity: true)
    }

    private func isSmall(_ input: LogInput) -> Bool {
        guard case .write(_, let write) = input, write.snapshot == nil else { return false }
        let lastSync = outlets.published.lastSyncNanoseconds.load(ordering: .relaxed)
        return isSmall(write.entries) && lastSync < options.quickSyncNanoseconds
    }

    private func isSmall(_ entries: [Entry]) -> Bool {
        entries.count <= options.inlineEntries
            && entries.allSatisfy { $0.payload.count <= options.inlineEntryBytes }
    }

    private func isQuick(_ entry: Entry) -> Bool {
        guard entry.kind == .command else { return false }
        return entry.payload.withUnsafeBytes {
            $0.isEmpty || ProposalID.command(of: $0).map(Machine.isQuick) ?? false
        }
    }

    /// Cuts the log behind what the engine holds durably, less what followers that are a little behind still need.
    private func cutLog() {
        let needless = options.cutsLogBeyondState ? applied : durable
        guard needless.rawValue >= cutUpTo.rawValue + options.snapshotCount + options.catchUpEntries else { return }
        let target = LogIndex(needless.rawValue - options.catchUpEntries)
        cutUpTo = target
        core.step(.compacted(upTo: target), into: &effects)
        cache.drop(upTo: target)
        logBatch.append(.cut(upTo: target))
    }

    private func publishStatus() {
        status.commit = core.commitIndex
        status.applied = applied
        status.lastIndex = core.lastIndex
        let configuration = core.currentConfiguration
        status.isLearner = configuration.learners.contains(options.id)
        // The configuration is here before the state is that it came with.
        status.isJoining = configuration.voters.isEmpty || published.isJoining && installing != nil
        guard status != published else { return }
        published = status
        let status = status
        outlets.published.update { box in
            let failure = box.failure
            box = status
            box.failure = failure
        }
    }

    private func fail(_ failure: NodeFailure) {
        guard self.failure == nil else { return }
        self.failure = failure
        outlets.published.update { $0.failure = failure }
        outlets.apply.post(.failed(failure))
        var replies = ReplyBatch<Machine.View>()
        for read in pendingReads { for ticket in read.tickets { replies.add(ticket, .failure(.stopped)) } }
        pendingReads = []
        replies.flush()
        for group in parked { answer(group.commands[...], .stopped, deadline: 0) }
        parked = []
        transfers.stop()
        outlets.failed(failure)
    }

    private func refuseAll(_ inputs: [Input]) {
        var results = ReplyBatch<Machine.Result>()
        var views = ReplyBatch<Machine.View>()
        for input in inputs {
            switch input {
            case .propose(let proposal): results.add(proposal.ticket, .failure(.stopped))
            case .proposeMany(let proposals):
                for proposal in proposals { results.add(proposal.ticket, .failure(.stopped)) }
            case .changeConfiguration(_, let ticket): results.add(ticket, .failure(.stopped))
            case .transferLeadership(_, let ticket?, _):
                ticket.sink.deliver([Reply(token: ticket.token, answer: .failure(.stopped))])
            case .optionsChanged(_, let ticket):
                ticket.sink.deliver([Reply(token: ticket.token, answer: .failure(.stopped))])
            case .status(let ticket):
                ticket.sink.deliver([Reply(token: ticket.token, answer: .failure(.stopped))])
            case .read(let ticket): views.add(ticket, .failure(.stopped))
            case .readMany(let tickets): for ticket in tickets { views.add(ticket, .failure(.stopped)) }
            default: break
            }
        }
        results.flush()
        views.flush()
    }
}

extension RequestFailure {
    init(_ reason: RefusalReason) {
        self =
            switch reason {
            case .noLeader: .noLeader
            case .transferring: .leaderChanging
            case .tooManyUncommitted, .tooManyReads: .tooManyRequests
            case .notMember: .notMember
            case .forwardingDisabled: .noLeader
            }
    }

    /// Why the leader has not taken what was passed on to it.
    init(passedOn reason: RefusalReason) {
        // It is the leader that is leaving, not this node.
        self = reason == .notMember ? .leaderChanging : RequestFailure(reason)
    }
}

extension Message {
    /// The same append, with its entries filled in.
    func carrying(_ entries: [Entry]) -> Message {
        guard case .appendEntries(var append) = body else { preconditionFailure("entries for a message without") }
        append.entries = entries
        var filled = self
        filled.body = .appendEntries(append)
        return filled
    }
}

extension Message.Body {
    var isAppend: Bool {
        if case .appendEntries = self { true } else { false }
    }
}
