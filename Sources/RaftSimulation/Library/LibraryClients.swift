import Platform
import Raft
import RaftCore

/// Clients that propose the user's commands through any member, or read, and remember what they were told.
final class LibraryClients<Machine: StateMachine> {
    /// A client whose request was not answered for so long gives up. Where leaders fall one after the other, patient
    /// clients soon all wait for answers that were lost.
    private static var patienceNanoseconds: UInt64 { 2_000_000_000 }

    private(set) var commands: [ProposedCommand<Machine.Response>] = []
    private let cluster: LibraryCluster<Machine>
    private let options: SimulationOptions
    private let makeCommand: (inout SimulationRandom) -> [UInt8]
    private var random: RandomSource
    private var commandRandom: SimulationRandom
    private var isStopped = false
    /// The last place that was acknowledged to anybody.
    private var newestAcknowledged = LogIndex.zero

    init(
        cluster: LibraryCluster<Machine>, options: SimulationOptions,
        command: @escaping (inout SimulationRandom) -> [UInt8]
    ) {
        self.cluster = cluster
        self.options = options
        makeCommand = command
        random = cluster.queue.random.fork()
        commandRandom = SimulationRandom(cluster.queue.random.fork())
    }

    func start() { for _ in 0..<options.clients { think() } }

    func stop() { isStopped = true }

    private var now: Duration { .nanoseconds(Int64(cluster.queue.now)) }

    private func think() {
        cluster.queue.schedule(after: 1 + random.next() % options.pause.simulatedNanoseconds) { [self] in
            if !isStopped { act() }
        }
    }

    private func act() {
        let member = cluster.members[random.below(cluster.members.count)]
        guard let node = member.node else { return think() }
        // Whichever comes first: the answer, or the end of the patience.
        var isWaiting = true
        let goOn = { [self] in
            guard isWaiting else { return }
            isWaiting = false
            think()
        }
        cluster.queue.schedule(after: 1 + random.next() % Self.patienceNanoseconds, goOn)
        if random.oneIn(5) {
            read(node, of: member.id, then: goOn)
        } else {
            propose(to: node, of: member.id, then: goOn)
        }
    }

    private func read(_ node: LibraryMember<Machine>.Node, of member: NodeID, then goOn: @escaping () -> Void) {
        let acknowledged = newestAcknowledged
        let sink = SimulatedSink<StateBox<WatchedMachine<Machine>>> { [self] answer in
            defer { goOn() }
            guard case .success(let box) = answer else { return }
            let index = box.read { $0.index }
            cluster.counts.reads += 1
            cluster.record(index.rawValue)
            if index < acknowledged {
                cluster.fail(
                    "a read on member \(member) sees what was applied up to entry \(index.rawValue), and "
                        + "entry \(acknowledged.rawValue) was acknowledged before it began")
            }
        }
        node.read(Ticket(sink: sink, token: 0))
    }

    private func propose(
        to node: LibraryMember<Machine>.Node, of member: NodeID, then goOn: @escaping () -> Void
    ) {
        let command = makeCommand(&commandRandom)
        guard command.count <= cluster.settings.raft.maxCommandBytes else {
            return cluster.fail("a command of \(command.count) bytes is above maxCommandBytes")
        }
        let id = cluster.takeCommandID()
        let place = commands.count
        commands.append(ProposedCommand(command: command, member: member, proposed: now))
        let sink = SimulatedSink<MachineAnswer<Machine.Response>> { [self] answer in
            answered(place, answer)
            goOn()
        }
        var payload = [UInt8](repeating: 0, count: ProposalID.encodedBytes)
        payload.append(LibraryMachine<WatchedMachine<Machine>>.commandMark)
        payload += WatchedMachine<Machine>.encode(command, id: id)
        node.propose(CommandProposal(payload: payload, ticket: Ticket(sink: sink, token: 0)))
    }

    private func answered(_ place: Int, _ answer: Result<MachineAnswer<Machine.Response>, RequestFailure>) {
        commands[place].answered = now
        switch answer {
        case .failure(let failure): commands[place].outcome = .unknown("\(failure)")
        case .success(.membershipChanged): cluster.fail("a command was answered as a change of the membership")
        case .success(let answer):
            if case .response(let response) = answer { commands[place].outcome = .answered(response) }
            if case .rejected(let reason) = answer { commands[place].outcome = .rejected(reason) }
            cluster.counts.acknowledged += 1
            cluster.record(UInt64(place))
            acknowledge(place, answer)
        }
    }

    private func acknowledge(_ place: Int, _ answer: MachineAnswer<Machine.Response>) {
        guard let index = cluster.places[place] else {
            return cluster.fail("a command was acknowledged that no member has applied")
        }
        newestAcknowledged = max(newestAcknowledged, index)
        if let known = cluster.answer(at: index), let reason = cluster.difference(known, answer) {
            cluster.fail("the answer to command \(index.rawValue) is not the one that the machine gave: \(reason)")
        }
    }

    // MARK: When all is over

    /// - Returns: all that was proposed, with its places in the log.
    func conclude() -> [ProposedCommand<Machine.Response>] {
        for place in commands.indices { commands[place].index = cluster.places[place] }
        return commands
    }

    /// A command comes after all that were acknowledged before it was proposed.
    func checkOrder() {
        let commands = conclude()
        let acknowledged = commands.filter(\.isAcknowledged).sorted { ($0.answered ?? .zero) < ($1.answered ?? .zero) }
        var next = 0
        var newest = LogIndex.zero
        // They are in the order in which they were proposed.
        for command in commands {
            while next < acknowledged.count, let answered = acknowledged[next].answered, answered < command.proposed {
                newest = max(newest, acknowledged[next].index ?? .zero)
                next += 1
            }
            if let index = command.index, index <= newest {
                cluster.fail(
                    "the command at entry \(index.rawValue) was proposed after the one at entry \(newest.rawValue) "
                        + "was acknowledged")
            }
        }
    }

    /// What any member has applied in the course of the play, and so everything that was acknowledged, is in the state
    /// that all have in the end, and nothing else is.
    func checkNothingLost() {
        var chain: UInt64 = 0
        let applied = cluster.places.enumerated().compactMap { id, index in index.map { (id: id, index: $0) } }
        for (id, index) in applied.sorted(by: { $0.index < $1.index }) {
            let command = WatchedMachine<Machine>.encode(commands[id].command, id: UInt64(id))
            chain = WatchedMachine<Machine>.link(command, at: index, to: chain)
        }
        for member in cluster.members {
            guard let node = member.node, node.published.view.read({ $0.chain }) != chain else { continue }
            cluster.fail(
                "a command was lost: what member \(member.id) holds in the end is not all that members have applied")
        }
    }
}
