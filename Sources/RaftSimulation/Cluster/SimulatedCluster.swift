import MVCC
import PeerTransport
import Platform
package import PlatformSimulation
package import Raft
package import RaftCore
import Replica

/// Whole members, each the exact object that the server runs, in one virtual world; and the invariants that are looked
/// at while they run.
package final class SimulatedCluster {
    package struct Options: Sendable {
        package var members = 3
        package var segmentBytes = 32 << 10
        package var snapshotCount: UInt64 = 100
        package var catchUpEntries: UInt64 = 40
        package var flushIntervalNanoseconds: UInt64 = 100_000_000
        package var maxMessageBytes = 64 << 10
        package var tickNanoseconds: UInt64 = 100_000_000
        package var electionTicks = 10
        package var preVote = true
        package var checkQuorum = true
        package var maxInflightMessages = 64
        /// How long the log's stage takes to come round: a slow disk.
        package var logPace = SimulatedWorld.Pace(least: 50_000, most: 3_000_000)
        package var mutation: String?

        package init() {}
    }

    package struct Violation: Error, CustomStringConvertible {
        package var time: UInt64
        package var reason: String

        package var description: String { "at \(time / 1_000_000) ms: \(reason)" }
    }

    package final class SimulatedMember {
        package let id: NodeID
        package let disk: SimulatedDisk
        let engines = SimulatedEngines()
        package fileprivate(set) var node: RaftNode<ObservedMachine>?
        fileprivate(set) var world: SimulatedWorld?
        fileprivate var incarnation: UInt64 = 0
        /// A fault was injected: that the member stops by itself is what should happen.
        package var mayFail = false

        init(id: NodeID, disk: SimulatedDisk) {
            self.id = id
            self.disk = disk
        }

        package var isRunning: Bool { node != nil }
    }

    package let queue: EventQueue
    package let network: SimulatedNetwork
    package let options: Options
    package private(set) var members: [SimulatedMember] = []
    package private(set) var violation: Violation?
    package private(set) var digest = Digest()
    package private(set) var elections = 0
    package private(set) var snapshotsInstalled = 0

    private let clusterID: UInt64 = 0xC1
    private var leaders: [Term: NodeID] = [:]
    /// By index: the term and the digest of what was applied there, by whoever applied it first.
    private var appliedEntries: [UInt64: (term: Term, digest: UInt64, command: [UInt8])] = [:]

    package init(seed: UInt64, options: Options) throws {
        self.options = options
        queue = EventQueue(seed: seed)
        network = SimulatedNetwork(queue: queue)
        let ids = (1...options.members).map { NodeID(UInt64($0)) }
        let directory = ids.map { id in
            Member(id: id, name: "m\(id.rawValue)", peerURLs: ["sim://\(id.rawValue)"], clientURLs: [])
        }
        for id in ids {
            let member = SimulatedMember(id: id, disk: SimulatedDisk(seed: queue.random.next()))
            try member.disk.createDirectory("/member/wal")
            try member.disk.synchronizeDirectory("/")
            try member.disk.synchronizeDirectory("/member")
            try KeyValueMachine.bootstrap(engines: member.engines, clusterID: clusterID, members: directory)
            members.append(member)
        }
    }

    package func member(_ id: NodeID) -> SimulatedMember { members[Int(id.rawValue) - 1] }

    package func fail(_ reason: String) {
        if violation == nil { violation = Violation(time: queue.now, reason: reason) }
    }

    package func record(_ word: UInt64) { digest.add(word) }

    // MARK: Life and death

    package func start(_ member: SimulatedMember) {
        precondition(member.node == nil, "started twice")
        member.incarnation += 1
        let world = SimulatedWorld(queue: queue, paces: ["log": options.logPace])
        member.world = world
        do {
            guard let machine = try KeyValueMachine(engines: member.engines) else {
                return fail("member \(member.id.rawValue) has lost its state")
            }
            var nodeOptions = NodeOptions(
                id: member.id, randomSeed: queue.random.next(), firstSequence: member.incarnation << 40)
            nodeOptions.snapshotCount = options.snapshotCount
            nodeOptions.catchUpEntries = options.catchUpEntries
            nodeOptions.flushIntervalNanoseconds = options.flushIntervalNanoseconds
            nodeOptions.maxMessageBytes = options.maxMessageBytes
            nodeOptions.tickNanoseconds = options.tickNanoseconds
            nodeOptions.electionTicks = options.electionTicks
            nodeOptions.preVote = options.preVote
            nodeOptions.checkQuorum = options.checkQuorum
            nodeOptions.maxInflightMessages = options.maxInflightMessages
            // Small, so that followers that lag are served from the disk.
            nodeOptions.entryCacheBytes = 4 << 10
            #if MARTLET_MUTATIONS
                if let name = options.mutation { nodeOptions.faults = SeededMistake.named(name) }
            #endif
            let incarnation = member.incarnation
            let id = member.id
            let cluster = OneThread(self)
            let network = OneThread(self.network)
            // Stays on this thread, as everything here does.
            nonisolated(unsafe) let observed = ObservedMachine(machine) { [unowned self, unowned member] place, bytes in
                applied(place, bytes, by: member)
            }
            var environment = RaftNode<ObservedMachine>.Environment(
                world: world, fileSystem: member.disk, logDirectory: "/member/wal",
                identity: [UInt8](repeating: UInt8(member.id.rawValue), count: 16),
                makeTransport: { receiver in
                    network.value.attach(id, receiver: receiver, world: world)
                    return SimulatedTransport(network: network.value)
                },
                snapshotReceiver: StateSnapshotReceiver(engines: member.engines),
                trace: { event in cluster.value.trace(event, of: cluster.value.member(id)) },
                failed: { failure in
                    let member = cluster.value.member(id)
                    if member.incarnation == incarnation { cluster.value.stopped(member, failure) }
                })
            environment.segmentBytes = options.segmentBytes
            member.node = try RaftNode(options: nodeOptions, machine: observed, environment: environment)
            digest.add(member.id.rawValue)
        } catch {
            world.stop()
            network.detach(member.id)
            guard member.mayFail else {
                return fail("member \(member.id.rawValue) cannot start again: \(error)")
            }
            // The power went while it started.
            member.disk.crash()
            member.mayFail = false
            scheduleRestart(member)
        }
    }

    /// Ends a member: with the power (what was not synchronized is lost, torn or kept at random) or as kill -9 does.
    package func crash(_ member: SimulatedMember, powerCut: Bool) {
        guard let node = member.node else { return }
        network.detach(member.id)
        node.stop()
        member.node = nil
        member.incarnation += 1
        // Where the power was to go anyway, it goes now.
        if powerCut || member.mayFail { member.disk.crash() } else { member.disk.endProcess() }
        member.disk.inject(FaultPlan())
        member.mayFail = false
        digest.add(member.id.rawValue << 8)
    }

    package func scheduleRestart(_ member: SimulatedMember) {
        let incarnation = member.incarnation
        queue.schedule(after: 10_000_000 + queue.random.next() % 3_000_000_000) { [self] in
            if member.node == nil, member.incarnation == incarnation { start(member) }
        }
    }

    /// A member has stopped by itself.
    private func stopped(_ member: SimulatedMember, _ failure: NodeFailure) {
        guard member.mayFail else {
            return fail("member \(member.id.rawValue) stopped by itself: \(failure)")
        }
        queue.schedule(after: 1) { [self] in
            crash(member, powerCut: true)
            scheduleRestart(member)
        }
    }

    package func pause(_ member: SimulatedMember) { member.world?.pause() }
    package func resume(_ member: SimulatedMember) { member.world?.resume() }

    // MARK: Invariants

    private func trace(_ event: TraceEvent, of member: SimulatedMember) {
        guard case .becameLeader(let term) = event else { return }
        elections += 1
        digest.add(term.rawValue)
        digest.add(member.id.rawValue)
        if let other = leaders[term], other != member.id {
            fail("two leaders in term \(term.rawValue): \(other.rawValue) and \(member.id.rawValue)")
        }
        leaders[term] = member.id
    }

    private func applied(_ place: AppliedPlace, _ bytes: UnsafeRawBufferPointer, by member: SimulatedMember) {
        var content = Digest()
        content.add(bytes)
        digest.add(place.index.rawValue)
        digest.add(content.value)
        if let known = appliedEntries[place.index.rawValue] {
            if known.term != place.term || known.digest != content.value {
                fail(
                    "member \(member.id.rawValue) applied another entry \(place.index.rawValue) (term "
                        + "\(place.term.rawValue)) than was applied before (term \(known.term.rawValue))")
            }
        } else {
            appliedEntries[place.index.rawValue] = (place.term, content.value, Array(bytes))
        }
    }

    /// What was applied, in the log's order, by whichever member applied it first.
    package var appliedCommands: [[UInt8]] {
        appliedEntries.sorted { $0.key < $1.key }.map(\.value.command)
    }

    /// Members that stand at the same entry must hold the same.
    package func compareStates() {
        var seen: [(index: UInt64, member: NodeID, hash: UInt32, revision: Int64)] = []
        for member in members {
            guard let node = member.node else { continue }
            let view = node.published.view.store
            do {
                let answer = try view.hash()
                if let other = seen.first(where: { $0.index == view.applied.index }),
                    other.hash != answer.hash || other.revision != view.revision.rawValue
                {
                    fail(
                        "members \(other.member.rawValue) and \(member.id.rawValue) differ at entry \(other.index): "
                            + "hashes \(other.hash) and \(answer.hash), revisions \(other.revision) and "
                            + "\(view.revision.rawValue)")
                }
                seen.append((view.applied.index, member.id, answer.hash, view.revision.rawValue))
            } catch {
                fail("member \(member.id.rawValue) cannot hash its state: \(error)")
            }
        }
    }
}

/// The simulation runs on one thread: what it hands to APIs that are meant for many stays on it. Does not keep the
/// object.
struct OneThread<Value: AnyObject>: @unchecked Sendable {
    unowned let value: Value
    init(_ value: Value) { self.value = value }
}

#if MARTLET_MUTATIONS
    /// The seeded mistakes by name.
    package enum SeededMistake {
        package static let names = [
            "answersBeforePersisting", "commitsOlderTermsByCount", "readIndexWithoutQuorumRound", "grantsVoteTwice",
        ]

        static func named(_ name: String) -> RaftCore.Faults {
            switch name {
            case "answersBeforePersisting": .answersBeforePersisting
            case "commitsOlderTermsByCount": .commitsOlderTermsByCount
            case "readIndexWithoutQuorumRound": .readIndexWithoutQuorumRound
            case "grantsVoteTwice": .grantsVoteTwice
            default: []
            }
        }
    }
#endif
