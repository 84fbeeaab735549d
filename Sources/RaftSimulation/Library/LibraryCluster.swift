import PeerTransport
import Platform
import PlatformSimulation
import Raft
import RaftCore

/// Members that each run what a `RaftMember` runs, in one virtual world; and what is looked at while they run.
final class LibraryCluster<Machine: StateMachine> {
    typealias Member = LibraryMember<Machine>
    typealias Watched = WatchedMachine<Machine>

    /// What a seed draws, where the user has left it open.
    struct Settings {
        var raft = RaftOptions()
        var segmentBytes = 64 << 10
        var logPace = SimulatedWorld.Pace(least: 50_000, most: 3_000_000)
        var driftMillionths: Int64 = 100_000
    }

    let queue: EventQueue
    let network: SimulatedNetwork
    let settings: Settings
    private(set) var members: [Member] = []
    private(set) var failure: String?
    private(set) var digest = Digest()
    var counts = SimulationCounts()
    private(set) var newestLeader: NodeID?
    /// Told of elections, in the midst of them: what it does to members must wait for the next event.
    var onElection: ((NodeID) -> Void)?
    /// By their numbers, which are places in the clients' list, what became of commands.
    private(set) var places: [LogIndex?] = []

    private let makeMachine: () -> Machine
    private var leaders: [Term: NodeID] = [:]
    /// What was applied at each place of the log, by whoever applied it first.
    private var applied: [AppliedCommand<Machine.Response>?] = []

    init(seed: UInt64, members count: Int, settings: Settings, makeMachine: @escaping () -> Machine) throws {
        self.settings = settings
        self.makeMachine = makeMachine
        queue = EventQueue(seed: seed)
        network = SimulatedNetwork(queue: queue)
        let roster = (1...UInt64(count)).map { RaftPeer(id: NodeID($0), address: "sim://\($0)") }
        for peer in roster {
            let bound = 2 * Int(settings.driftMillionths) + 1
            let member = Member(
                id: peer.id, disk: SimulatedDisk(seed: queue.random.next()),
                driftMillionths: Int64(queue.random.below(bound)) - settings.driftMillionths,
                logPace: settings.logPace)
            try bootstrap(member, roster)
            members.append(member)
        }
    }

    /// As `RaftMember` does it on the first start of a new cluster's member.
    private func bootstrap(_ member: Member, _ roster: [RaftPeer]) throws {
        let store = SnapshotStore(directory: Self.snapshotDirectory, fileSystem: member.disk)
        _ = try store.open()
        _ = try store.bootstrap(roster, try watched(by: member).snapshot())
    }

    private static var snapshotDirectory: String { "/raft/snapshots" }

    private func watched(by member: Member) -> Watched {
        let id = member.id
        return Watched(makeMachine()) { [unowned self] command in noteApplied(command, by: id) }
    }

    func member(_ id: NodeID) -> Member { members[Int(id.rawValue) - 1] }

    func fail(_ reason: String) {
        if failure == nil { failure = "at \(queue.now / 1_000_000) ms: \(reason)" }
    }

    func record(_ word: UInt64) { digest.add(word) }

    // MARK: Life and death

    func start(_ member: Member) {
        precondition(member.process == nil, "started twice")
        member.incarnation += 1
        let world = SimulatedWorld(
            queue: queue, paces: [("log", member.logPace), ("flush", settings.logPace)],
            driftMillionths: member.driftMillionths)
        let files = ProcessFiles(member.disk)
        do {
            let store = SnapshotStore(directory: Self.snapshotDirectory, fileSystem: files)
            guard let found = try store.open() else {
                return fail("member \(member.id) has lost its snapshot")
            }
            // Stays on this thread, as everything here does.
            nonisolated(unsafe) let watched = watched(by: member)
            let cluster = OneThread(self)
            nonisolated(unsafe) let machine = try LibraryMachine(
                box: StateBox(watched), store: store, found: found,
                policy: .init(entries: settings.raft.snapshotEntries, bytes: settings.raft.snapshotBytes),
                membershipChanged: { _, _ in },
                snapshotDone: { happening, index in cluster.value.noteSnapshot(happening == .taken, index) })
            let node = try Member.Node(
                options: settings.raft.nodeOptions(
                    id: member.id, randomSeed: queue.random.next(), firstSequence: member.incarnation << 40),
                machine: machine, environment: environment(of: member, world, files, store))
            member.process = .init(node: node, world: world, files: files)
            digest.add(member.id.rawValue)
        } catch {
            world.stop()
            files.end()
            network.detach(member.id)
            guard member.hasReasonToFail else { return fail("member \(member.id) cannot start again: \(error)") }
            // The power went, or the disk failed, while it started.
            member.repair(losingPower: true)
            scheduleRestart(member)
        }
    }

    private func environment(
        of member: Member, _ world: SimulatedWorld, _ files: ProcessFiles, _ store: SnapshotStore
    ) -> Member.Node.Environment {
        let incarnation = member.incarnation
        let id = member.id
        let cluster = OneThread(self)
        let network = OneThread(self.network)
        var environment = Member.Node.Environment(
            world: world, fileSystem: files, logDirectory: "/raft/log",
            identity: [UInt8](repeating: UInt8(member.id.rawValue), count: 16),
            makeTransport: { receiver in
                network.value.attach(id, receiver: receiver, world: world)
                return SimulatedTransport(network: network.value)
            },
            snapshotReceiver: SnapshotFileReceiver(store: store),
            trace: { event in cluster.value.trace(event, of: id) },
            failed: { failure in
                let member = cluster.value.member(id)
                if member.incarnation == incarnation { cluster.value.stopped(member, failure) }
            })
        environment.segmentBytes = settings.segmentBytes
        return environment
    }

    /// Ends a member: with the power (what was not synchronized is lost, torn or kept at random) or as kill -9 does.
    func crash(_ member: Member, powerCut: Bool) {
        guard let process = member.process else { return }
        network.detach(member.id)
        process.node.stop()
        process.files.end()
        member.process = nil
        member.incarnation += 1
        member.repair(losingPower: powerCut)
        counts.crashes += 1
        digest.add(member.id.rawValue << 8)
    }

    func scheduleRestart(_ member: Member, after delay: UInt64? = nil) {
        let incarnation = member.incarnation
        queue.schedule(after: delay ?? 10_000_000 + queue.random.next() % 3_000_000_000) { [self] in
            if member.process == nil, member.incarnation == incarnation { start(member) }
        }
    }

    /// A member has stopped by itself.
    private func stopped(_ member: Member, _ failure: NodeFailure) {
        guard member.hasReasonToFail else {
            return fail("member \(member.id) has stopped by itself: \(failure)")
        }
        let incarnation = member.incarnation
        queue.schedule(after: 1) { [self] in
            guard member.incarnation == incarnation else { return }
            crash(member, powerCut: true)
            scheduleRestart(member)
        }
    }

    func setLogPace(_ pace: SimulatedWorld.Pace, of member: Member) {
        member.logPace = pace
        member.process?.world.setPace(pace, of: "log")
    }

    // MARK: What is looked at

    private func trace(_ event: TraceEvent, of id: NodeID) {
        guard case .becameLeader(let term) = event else { return }
        counts.elections += 1
        newestLeader = id
        digest.add(term.rawValue)
        digest.add(id.rawValue)
        if let other = leaders[term], other != id {
            fail("term \(term.rawValue) has two leaders, members \(other) and \(id)")
        }
        leaders[term] = id
        onElection?(id)
    }

    private func noteSnapshot(_ wasTaken: Bool, _ index: LogIndex) {
        if wasTaken { counts.snapshotsTaken += 1 } else { counts.snapshotsInstalled += 1 }
        digest.add(index.rawValue << 1)
    }

    /// The number of a command that is about to be proposed.
    func takeCommandID() -> UInt64 {
        places.append(nil)
        return UInt64(places.count - 1)
    }

    private func noteApplied(_ command: AppliedCommand<Machine.Response>, by member: NodeID) {
        digest.add(command.chain)
        let place = Int(command.index.rawValue)
        while applied.count <= place { applied.append(nil) }
        guard let known = applied[place] else {
            applied[place] = command
            return noteFirst(command, by: member)
        }
        guard known.chain == command.chain else {
            return fail(
                "member \(member) has applied other commands up to entry \(place) than another member before it")
        }
        if let reason = difference(known.answer, command.answer) {
            fail("the machine of member \(member) answers command \(place) otherwise than another did: \(reason)")
        }
    }

    private func noteFirst(_ command: AppliedCommand<Machine.Response>, by member: NodeID) {
        guard command.id < UInt64(places.count) else {
            return fail("member \(member) has applied a command that nobody has proposed")
        }
        if let before = places[Int(command.id)] {
            return fail("one command was applied twice: at entry \(before.rawValue) and at \(command.index.rawValue)")
        }
        places[Int(command.id)] = command.index
    }

    /// What the first member that applied the command answered to it.
    func answer(at index: LogIndex) -> MachineAnswer<Machine.Response>? { applied[Int(index.rawValue)]?.answer }

    /// How two answers to one command differ; nil where they do not, or nobody can tell.
    func difference(
        _ one: MachineAnswer<Machine.Response>, _ other: MachineAnswer<Machine.Response>
    ) -> String? {
        switch (one, other) {
        case (.response(let one), .response(let other)):
            areEqual(one, other) == false ? "\(other) instead of \(one)" : nil
        case (.rejected(let one), .rejected(let other)): one == other ? nil : "\(other) instead of \(one)"
        case (.response, .rejected(let reason)), (.rejected(let reason), .response):
            "only one of them refuses it: \(reason)"
        default: nil
        }
    }

    /// Members that have applied the same must hold the same: where the user's machine can be compared.
    func compareMachines() {
        var seen: [(index: LogIndex, member: NodeID, machine: Machine)] = []
        for member in members {
            guard let node = member.node else { continue }
            let (index, machine) = node.published.view.read { ($0.index, $0.machine) }
            if let other = seen.first(where: { $0.index == index }) {
                if areEqual(other.machine, machine) == false {
                    fail(
                        "after entry \(index.rawValue) the machines of members \(other.member) and \(member.id) differ")
                }
            } else {
                seen.append((index, member.id, machine))
            }
        }
    }

    /// Where it cannot, its snapshots must be the same: once, at the end, when all have applied the same.
    func compareSnapshots() {
        var first: (member: NodeID, bytes: [UInt8])?
        for member in members {
            guard let node = member.node else { continue }
            do {
                let (isComparable, state) = try node.published.view.read {
                    (($0.machine as Any) is any Equatable, try $0.snapshot())
                }
                if isComparable { return }
                let disk = SimulatedDisk(seed: 1)
                let store = SnapshotStore(directory: "/", fileSystem: disk)
                _ = try store.bootstrap([], state)
                let bytes = try disk.list("/").first.flatMap { disk.bytes(of: "/\($0)") } ?? []
                if let first, first.bytes != bytes {
                    fail("members \(first.member) and \(member.id) have applied the same, and their snapshots differ")
                }
                first = first ?? (member.id, bytes)
            } catch {
                fail("member \(member.id) gives no snapshot: \(error)")
            }
        }
    }
}
