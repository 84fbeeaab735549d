import PeerTransport
import RaftCore
import Synchronization

/// Applies committed entries to the state machine, in order, and answers who waits for them; hands what was applied to
/// the flusher; answers reads whose index has been reached.
final class ApplyStage<Machine: NodeMachine>: Stage {
    typealias Input = ApplyInput<Machine>

    struct Outlets: Sendable {
        var consensus: any Mailbox<ConsensusInput<Machine>>
        var flush: any Mailbox<any FlushJob>
        var published: PublishedState<Machine.View>
    }

    /// Entries applied before their answers leave, and the view is published: a long batch must not hold back the
    /// answers at its head.
    private static var entriesPerPublication: Int { 512 }
    /// The machine is asked for proposals of its own no more often.
    private static var askingIntervalNanoseconds: UInt64 { 100_000_000 }

    private let machine: Machine
    private var options: NodeOptions
    private let outlets: Outlets
    private var replies = ReplyBatch<Machine.Result>()
    private var pending: [UInt64: Ticket<Machine.Result>] = [:]
    /// Soonest first. That is the order of the proposals, as long as all wait equally long.
    private var deadlines: [(deadline: UInt64, first: UInt64, last: UInt64)] = []
    private var waitingReads: [(index: LogIndex, tickets: [Ticket<Machine.View>], deadline: UInt64)] = []
    private var configuration: Configuration

    private var held: [Entry] = []
    private var isFlushing = false
    private var lastFlush: UInt64 = 0
    private var flushingUpTo = LogIndex.zero
    /// The state that a restart begins with includes everything up to here.
    private var durable: LogIndex
    /// Who waits for that to come to an index.
    private var waitingFlushes: [(index: LogIndex, ticket: Ticket<LogIndex>)] = []
    private var hasHousekeeping = true
    private var install: (staged: Machine.Staged, description: SnapshotDescription, id: WriteID)?
    private var now: UInt64 = 0
    private var askAt: UInt64 = 0
    /// The machine wants to be asked at ``askAt`` even if nothing arrives.
    private var isAsked = false
    private let nobody = NobodyWaiting<Machine.Result>()
    private var failure: NodeFailure?

    init(machine: Machine, options: NodeOptions, outlets: Outlets) {
        self.machine = machine
        self.options = options
        self.outlets = outlets
        configuration = machine.configuration
        durable = machine.applied.index
    }

    var wakeAt: UInt64? {
        guard failure == nil else { return nil }
        if hasHousekeeping { return now }
        let flushAt = now + options.flushIntervalNanoseconds
        return isAsked ? min(flushAt, max(now, askAt)) : flushAt
    }

    func process(_ inputs: inout [Input], now: UInt64) {
        self.now = now
        guard failure == nil else { return refuseAll(inputs) }
        do {
            for input in inputs { try take(input) }
            if inputs.isEmpty, hasHousekeeping {
                hasHousekeeping = try machine.doHousekeeping()
                if !hasHousekeeping { try publish() }
            }
            expire()
            try flushIfDue()
            if now >= askAt { askForProposals() }
        } catch let failure as NodeFailure {
            fail(failure)
        } catch {
            fail(NodeFailure(part: .stateMachine, reason: "\(error)"))
        }
    }

    private func take(_ input: Input) throws {
        switch input {
        case .expect(let proposals, let deadline):
            guard !proposals.isEmpty else { return }
            for place in 0..<proposals.count { pending[proposals[place].sequence] = proposals[place].ticket }
            var place = deadlines.count
            while place > 0, deadlines[place - 1].deadline > deadline { place -= 1 }
            deadlines.insert((deadline, proposals[0].sequence, proposals[proposals.count - 1].sequence), at: place)
        case .refused(let sequences, let failure):
            for sequence in sequences { settle(sequence, .failure(failure)) }
        case .apply(let entries):
            if held.isEmpty { held = entries } else { held.append(contentsOf: entries) }
            try applyHeld()
        case .read(let tickets, let index, let deadline):
            waitingReads.append((index, tickets, deadline))
            answerReads(from: try machine.view)
        case .makeSnapshot(let node):
            let description = SnapshotDescription(
                index: machine.applied.index, term: machine.applied.term, configuration: configuration)
            let source = try machine.makeSnapshotSource()
            outlets.consensus.post(.snapshotMade(to: node, description, source))
        case .install(let staged, let description, let id):
            install = (staged, description, id)
            try installIfPossible()
        case .flushed:
            try machine.endFlush()
            isFlushing = false
            becameDurable(flushingUpTo)
            try applyHeld()
            outlets.consensus.postQuietly(.durable(flushingUpTo))
            try installIfPossible()
        case .flush(let ticket):
            waitingFlushes.append((machine.applied.index, ticket))
            becameDurable(durable)
        case .optionsChanged(let new): options = new
        case .failed(let failure): throw failure
        }
    }

    /// Applies what waits, unless the flusher is too far behind.
    private func applyHeld() throws {
        guard !held.isEmpty, !(isFlushing && machine.unflushedBytes > options.unflushedBytesMax) else { return }
        let entries = held
        held = []
        try apply(entries)
    }

    private func apply(_ entries: [Entry]) throws {
        var sinceLastPublication = 0
        var hasConfiguration = false
        for entry in entries {
            precondition(
                entry.index == machine.applied.index.next,
                "entry \(entry.index.rawValue) after \(machine.applied.index.rawValue)")
            let place = AppliedPlace(index: entry.index, term: entry.term)
            switch entry.kind {
            case .command:
                if entry.payload.isEmpty {
                    try machine.skip(at: place)
                } else {
                    try entry.payload.withUnsafeBytes { try apply($0, at: place) }
                }
            case .configuration:
                try applyConfiguration(entry, at: place)
                hasConfiguration = true
            }
            sinceLastPublication += 1
            if sinceLastPublication == Self.entriesPerPublication {
                try publish()
                sinceLastPublication = 0
            }
        }
        try publish()
        hasHousekeeping = true
        // Nobody waits for this news, except when the configuration changed: consensus hears it with the next thing.
        if hasConfiguration {
            outlets.consensus.post(.applied(machine.applied.index))
        } else {
            outlets.consensus.postQuietly(.applied(machine.applied.index))
        }
    }

    private func apply(_ payload: UnsafeRawBufferPointer, at place: AppliedPlace) throws {
        guard let id = ProposalID(reading: payload), let command = ProposalID.command(of: payload) else {
            throw NodeFailure(part: .stateMachine, reason: "entry \(place.index.rawValue) is too short for a command")
        }
        let isAwaited = id.origin == options.id && pending[id.sequence] != nil
        let result = try machine.apply(command, at: place, isAwaited: isAwaited)
        if isAwaited { answer(id, result) }
    }

    private func answer(_ id: ProposalID, _ result: Machine.Result) {
        if id.origin == options.id { settle(id.sequence, .success(result)) }
    }

    /// Answers one of our proposals, if somebody still waits for it.
    private func settle(_ sequence: UInt64, _ answer: Result<Machine.Result, RequestFailure>) {
        guard let ticket = pending.removeValue(forKey: sequence) else { return }
        replies.add(ticket, answer)
        outlets.published.pendingProposals.subtract(1, ordering: .relaxed)
    }

    private func applyConfiguration(_ entry: Entry, at place: AppliedPlace) throws {
        var change: ConfigurationChange
        do {
            change = try ConfigurationChange(decoding: entry.payload)
        } catch {
            throw NodeFailure(
                part: .stateMachine, reason: "entry \(entry.index.rawValue) is no configuration change: \(error)")
        }
        let id = change.context.withUnsafeBytes { ProposalID(reading: $0) }
        var context = Array(change.context.dropFirst(ProposalID.encodedBytes))
        let objection = machine.objection(to: change, context: context)
        if objection != nil {
            // Zero names nobody: the entry has its place, and changes nothing.
            change.changes = change.changes.map { MemberChange($0.kind, NodeID(0)) }
            context = []
        }
        configuration = try configuration.applying(change)
        let result = try machine.apply(configuration, context: context, at: place)
        outlets.consensus.post(.configurationApplied(change, at: entry.index))
        if let id { answer(id, objection ?? result) }
    }

    private func askForProposals() {
        askAt = now + Self.askingIntervalNanoseconds
        let status = outlets.published.status
        let wanted = machine.proposals(leading: status.role == .leader ? status.term : nil)
        isAsked = wanted.asksAgain
        guard !wanted.payloads.isEmpty else { return }
        outlets.consensus.post(
            .proposeMany(
                wanted.payloads.map { CommandProposal(payload: $0, ticket: Ticket(sink: nobody, token: 0)) }))
    }

    private func publish() throws {
        let view = try machine.view
        outlets.published.publish(view, applied: machine.applied.index)
        machine.didPublish(view)
        replies.flush()
        answerReads(from: view)
    }

    private func answerReads(from view: Machine.View) {
        guard !waitingReads.isEmpty else { return }
        let applied = machine.applied.index
        var answers = ReplyBatch<Machine.View>()
        var kept: [(index: LogIndex, tickets: [Ticket<Machine.View>], deadline: UInt64)] = []
        for (index, tickets, deadline) in waitingReads {
            if index <= applied {
                for ticket in tickets { answers.add(ticket, .success(view)) }
            } else {
                kept.append((index, tickets, deadline))
            }
        }
        waitingReads = kept
        answers.flush()
    }

    private func flushIfDue() throws {
        guard !isFlushing, install == nil else { return }
        let isAsked = !waitingFlushes.isEmpty
        let isDue = now >= lastFlush + options.flushIntervalNanoseconds || machine.unflushedBytes >= options.flushBytes
        guard isAsked || isDue && machine.unflushedBytes > 0 else { return }
        guard let job = try machine.beginFlush() else {
            // Nothing waits: what was applied since has changed nothing that is to be kept.
            if isAsked { becameDurable(machine.applied.index) }
            return
        }
        lastFlush = now
        isFlushing = true
        flushingUpTo = job.applied.index
        outlets.flush.post(job)
    }

    private func becameDurable(_ index: LogIndex) {
        durable = max(durable, index)
        guard !waitingFlushes.isEmpty else { return }
        var answers = ReplyBatch<LogIndex>()
        for (index, ticket) in waitingFlushes where index <= durable { answers.add(ticket, .success(durable)) }
        waitingFlushes.removeAll { $0.index <= durable }
        answers.flush()
    }

    /// The flusher must not write the old state behind the new one's back: an installation waits for it.
    private func installIfPossible() throws {
        guard !isFlushing, let (staged, description, id) = install else { return }
        install = nil
        try machine.install(staged)
        configuration = description.configuration
        becameDurable(description.index)
        try publish()
        outlets.consensus.post(contentsOf: [.durable(description.index), .installed(id)])
    }

    private func expire() {
        if !waitingReads.isEmpty, waitingReads.contains(where: { now >= $0.deadline }) {
            var answers = ReplyBatch<Machine.View>()
            waitingReads.removeAll { read in
                guard now >= read.deadline else { return false }
                for ticket in read.tickets { answers.add(ticket, .failure(.timedOut)) }
                return true
            }
            answers.flush()
        }
        while let oldest = deadlines.first, now >= oldest.deadline {
            deadlines.removeFirst()
            for sequence in oldest.first...oldest.last { settle(sequence, .failure(.timedOut)) }
        }
        // Groups whose proposals have all been answered go as well, so that the list stays short.
        while deadlines.count > 64, let oldest = deadlines.first,
            !(oldest.first...oldest.last).contains(where: { pending[$0] != nil })
        {
            deadlines.removeFirst()
        }
        replies.flush()
    }

    private func fail(_ failure: NodeFailure) {
        guard self.failure == nil else { return }
        self.failure = failure
        for sequence in pending.keys.sorted() { replies.add(pending[sequence]!, .failure(.stopped)) }
        pending = [:]
        replies.flush()
        var answers = ReplyBatch<Machine.View>()
        for (_, tickets, _) in waitingReads { for ticket in tickets { answers.add(ticket, .failure(.stopped)) } }
        waitingReads = []
        answers.flush()
        var flushes = ReplyBatch<LogIndex>()
        for (_, ticket) in waitingFlushes { flushes.add(ticket, .failure(.stopped)) }
        waitingFlushes = []
        flushes.flush()
        outlets.consensus.post(.failed(failure))
    }

    private func refuseAll(_ inputs: [Input]) {
        var answers = ReplyBatch<Machine.View>()
        for input in inputs {
            switch input {
            case .expect(let proposals, _):
                for proposal in proposals { replies.add(proposal.ticket, .failure(.stopped)) }
            case .read(let tickets, _, _): for ticket in tickets { answers.add(ticket, .failure(.stopped)) }
            case .flush(let ticket):
                ticket.sink.deliver([Reply(token: ticket.token, answer: .failure(.stopped))])
            default: break
            }
        }
        replies.flush()
        answers.flush()
    }
}
