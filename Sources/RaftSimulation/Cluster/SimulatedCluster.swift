import MVCC
import PeerTransport
import Platform
import PlatformSimulation
import Raft
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
        package var readMode = RaftCore.ReadMode.quorum
        package var maxInflightMessages = 64
        /// How long the log's stage takes to come round.
        package var logPace = SimulatedWorld.Pace(least: 50_000, most: 3_000_000)
        /// How long a batch takes to the engine.
        package var flushPace = SimulatedWorld.Pace(least: 50_000, most: 3_000_000)
        /// By how much members' clocks run fast or slow, at most, in millionths.
        package var driftMillionths: Int64 = 0
        package var mutation: String?

        package init() {}
    }

    package struct Violation: Error, CustomStringConvertible {
        package var time: UInt64
        package var reason: String

        package var description: String { "at \(time / 1_000_000) ms: \(reason)" }
    }

    /// What has come about, for the report.
    package struct Counts: Sendable {
        package var elections = 0
        package var configurations = 0
        package var snapshots = 0
        /// Members that stopped by themselves over a failing disk.
        package var stops = 0
        /// Members that refused to start on damaged disks.
        package var refusals = 0
    }

    package let queue: EventQueue
    package let network: SimulatedNetwork
    package let options: Options
    package private(set) var members: [SimulatedMember] = []
    package private(set) var violation: Violation?
    package private(set) var digest = Digest()
    package private(set) var counts = Counts()
    /// The member that was elected last.
    package private(set) var newestLeader: NodeID?
    /// Until then clients ask for nothing that changes anything.
    package var quietUntil: UInt64 = 0
    /// Told of occasions, in the midst of them: what it does to members must wait for the next event.
    package var onOccasion: ((Occasion, NodeID) -> Void)?
    /// Told what each member's consensus notes, as it happens: for people who want to know why.
    package var onTrace: ((TraceEvent, NodeID) -> Void)?

    private let clusterID: UInt64 = 0xC1
    private var leaders: [Term: NodeID] = [:]
    private var configurations: ConfigurationHistory
    /// By index, from ``firstIndex`` on: what was applied there, by whoever applied it first.
    private var appliedEntries: [AppliedEntry?] = []
    private static let firstIndex = 2

    private struct AppliedEntry {
        var term: Term
        var digest: UInt64
        /// nil for a change of the configuration.
        var command: [UInt8]?
        /// What every member must make of it; nil: neither about keys nor about leases.
        var expected: ReplicaResult?
        /// What all that was applied adds up to after it.
        var runningHash: RunningHash?
        /// The store's revision after it.
        var revision: Int64 = 0
    }

    /// What the log made of keys and leases so far.
    private(set) var model = StoreModel()

    package init(seed: UInt64, options: Options) throws {
        self.options = options
        queue = EventQueue(seed: seed)
        network = SimulatedNetwork(queue: queue)
        let ids = (1...options.members).map { NodeID(UInt64($0)) }
        let directory = ids.map { id in
            Member(id: id, name: "m\(id.rawValue)", peerURLs: ["sim://\(id.rawValue)"], clientURLs: [])
        }
        configurations = ConfigurationHistory(first: Configuration(voters: ids), at: LogIndex(1))
        for _ in ids {
            let member = try makeMember(hasJoined: true)
            try KeyValueMachine.bootstrap(engines: member.engines, clusterID: clusterID, members: directory)
        }
        network.onSend = { [unowned self] message in self.noteSent(message) }
    }

    private func makeMember(hasJoined: Bool) throws -> SimulatedMember {
        let member = SimulatedMember(
            id: NodeID(UInt64(members.count + 1)), disk: SimulatedDisk(seed: queue.random.next()),
            hasJoined: hasJoined, logPace: options.logPace)
        if options.driftMillionths > 0 {
            member.driftMillionths =
                Int64(queue.random.below(2 * Int(options.driftMillionths) + 1)) - options.driftMillionths
        }
        try member.disk.createDirectory("/member/wal")
        try member.disk.synchronizeDirectory("/")
        try member.disk.synchronizeDirectory("/member")
        let id = member.id
        member.engines.onCommit = { [unowned self] in self.onOccasion?(.flush, id) }
        members.append(member)
        return member
    }

    /// A machine with empty disks, started so that it can be added to the cluster: it waits for a snapshot.
    package func addMachine() -> SimulatedMember? {
        do {
            let member = try makeMember(hasJoined: false)
            try KeyValueMachine.prepareToJoin(engines: member.engines, clusterID: clusterID)
            start(member)
            return member
        } catch {
            fail("a new member cannot be made: \(error)")
            return nil
        }
    }

    package func member(_ id: NodeID) -> SimulatedMember { members[Int(id.rawValue) - 1] }

    /// The newest configuration that any member has applied.
    package var configuration: Configuration { configurations.newest }

    package func isPresent(_ member: SimulatedMember) -> Bool { configuration.contains(member.id) }

    package func fail(_ reason: String) {
        if violation == nil { violation = Violation(time: queue.now, reason: reason) }
    }

    package func record(_ word: UInt64) { digest.add(word) }

    // MARK: Life and death

    package func start(_ member: SimulatedMember) {
        precondition(member.node == nil, "started twice")
        guard !member.isLost else { return }
        member.incarnation += 1
        let world = SimulatedWorld(
            queue: queue, paces: [("log", member.logPace), ("flush", options.flushPace)],
            driftMillionths: member.driftMillionths)
        member.world = world
        do {
            guard let machine = try KeyValueMachine(engines: member.engines) else {
                return fail("member \(member.id.rawValue) has lost its state")
            }
            member.watchFeed = machine.watchFeed
            member.leaseClock = machine.leaseClock
            member.node = try RaftNode(
                options: nodeOptions(of: member), machine: observed(machine, of: member),
                environment: environment(of: member, in: world))
            digest.add(member.id.rawValue)
            onOccasion?(.start, member.id)
        } catch {
            world.stop()
            network.detach(member.id)
            return refused(member, error)
        }
        if let damage = member.damage {
            fail("member \(member.id.rawValue) has started on a damaged disk: \(damage)")
        }
    }

    private func nodeOptions(of member: SimulatedMember) -> NodeOptions {
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
        nodeOptions.readMode = options.readMode
        nodeOptions.maxInflightMessages = options.maxInflightMessages
        // Small, so that followers that lag are served from the disk.
        nodeOptions.entryCacheBytes = 4 << 10
        #if MARTLET_MUTATIONS
            if let name = options.mutation { nodeOptions.faults = SeededMistake.named(name) }
        #endif
        return nodeOptions
    }

    private func observed(_ machine: KeyValueMachine, of member: SimulatedMember) -> sending ObservedMachine {
        #if MARTLET_MUTATIONS
            if let name = options.mutation {
                machine.faults = SeededMistake.named(name)
                machine.historyFaults = SeededMistake.ofHistories(name)
                if machine.historyFaults.contains(.renewsByShortCutTooMuch) {
                    LeaseSlack.setExcess(2_000)
                }
            }
        #endif
        // Stays on this thread, as everything here does.
        nonisolated(unsafe) let observed = ObservedMachine(machine) { [unowned self, unowned member] place, what in
            self.observe(what, at: place, by: member)
        }
        return observed
    }

    private func environment(
        of member: SimulatedMember, in world: SimulatedWorld
    ) -> RaftNode<ObservedMachine>.Environment {
        let incarnation = member.incarnation
        let id = member.id
        let cluster = OneThread(self)
        let network = OneThread(self.network)
        var environment = RaftNode<ObservedMachine>.Environment(
            world: world, fileSystem: member.disk, logDirectory: "/member/wal",
            identity: [UInt8](repeating: UInt8(member.id.rawValue), count: 16),
            makeTransport: { receiver in
                network.value.attach(id, receiver: receiver, world: world)
                return SimulatedTransport(network: network.value)
            },
            snapshotReceiver: StateSnapshotReceiver(engines: member.engines),
            trace: { event in cluster.value.trace(event, of: id) },
            failed: { failure in
                let member = cluster.value.member(id)
                if member.incarnation == incarnation { cluster.value.stopped(member, failure) }
            })
        environment.segmentBytes = options.segmentBytes
        return environment
    }

    /// A member did not start.
    private func refused(_ member: SimulatedMember, _ error: any Error) {
        if member.damage != nil {
            member.isLost = true
            counts.refusals += 1
            digest.add(member.id.rawValue << 16)
        } else if member.hasReasonToFail {
            // The power went, or the disk failed, while it started.
            member.disk.crash()
            member.disk.inject(FaultPlan())
            member.mayFail = false
            scheduleRestart(member)
        } else {
            fail("member \(member.id.rawValue) cannot start again: \(error)")
        }
    }

    /// Ends a member: with the power (what was not synchronized is lost, torn or kept at random) or as kill -9 does.
    package func crash(_ member: SimulatedMember, powerCut: Bool) {
        guard let node = member.node else { return }
        network.detach(member.id)
        node.stop()
        member.node = nil
        member.watchFeed = nil
        member.incarnation += 1
        // Where the power was to go anyway, it goes now.
        if powerCut || member.mayFail { member.disk.crash() } else { member.disk.endProcess() }
        member.disk.inject(FaultPlan())
        member.mayFail = false
        digest.add(member.id.rawValue << 8)
    }

    package func scheduleRestart(_ member: SimulatedMember, after delay: UInt64? = nil) {
        let incarnation = member.incarnation
        queue.schedule(after: delay ?? 10_000_000 + queue.random.next() % 3_000_000_000) { [self] in
            if member.node == nil, member.incarnation == incarnation { start(member) }
        }
    }

    /// A member has stopped by itself.
    private func stopped(_ member: SimulatedMember, _ failure: NodeFailure) {
        guard member.hasReasonToFail else {
            return fail("member \(member.id.rawValue) stopped by itself: \(failure)")
        }
        counts.stops += 1
        let incarnation = member.incarnation
        queue.schedule(after: 1) { [self] in
            guard member.incarnation == incarnation else { return }
            crash(member, powerCut: true)
            scheduleRestart(member)
        }
    }

    package func pause(_ member: SimulatedMember) { member.world?.pause() }
    package func resume(_ member: SimulatedMember) { member.world?.resume() }

    package func setLogPace(_ pace: SimulatedWorld.Pace, of member: SimulatedMember) {
        member.logPace = pace
        member.world?.setPace(pace, of: "log")
    }

    // MARK: Invariants

    private func noteSent(_ message: Message) {
        guard let onOccasion else { return }
        switch message.body {
        case .voteReply(let reply) where reply.isGranted: onOccasion(.voteGiven, message.from)
        case .timeoutNow: onOccasion(.handover, message.from)
        case .appendEntries(let append) where append.entries.contains { $0.kind == .configuration }:
            onOccasion(.configurationSent, message.from)
        default: break
        }
    }

    private func trace(_ event: TraceEvent, of id: NodeID) {
        onTrace?(event, id)
        if case .becameCandidate = event { onOccasion?(.candidacy, id) }
        guard case .becameLeader(let term) = event else { return }
        defer { onOccasion?(.election, id) }
        counts.elections += 1
        newestLeader = id
        digest.add(term.rawValue)
        digest.add(id.rawValue)
        if let other = leaders[term], other != id {
            fail("two leaders in term \(term.rawValue): \(other.rawValue) and \(id.rawValue)")
        }
        leaders[term] = id
    }

    private func observe(_ what: Observation, at place: AppliedPlace, by member: SimulatedMember) {
        switch what {
        case .command(let bytes):
            var content = Digest()
            content.add(bytes)
            applied(
                AppliedEntry(term: place.term, digest: content.value, command: Array(bytes)), at: place.index,
                by: member)
        case .configuration(let configuration, let context):
            var content = Digest()
            content.add(context)
            configuration.encode().withUnsafeBytes { content.add($0) }
            applied(
                AppliedEntry(term: place.term, digest: content.value, command: nil), at: place.index, by: member)
            let newest = configurations.newestIndex
            if let reason = configurations.note(configuration, at: place.index) {
                fail("member \(member.id.rawValue): \(reason)")
            }
            if configurations.newestIndex > newest {
                counts.configurations += 1
                for id in configuration.members { self.member(id).hasJoined = true }
            }
            onOccasion?(.configurationApplied, member.id)
        case .outcome(let result, let isWhole, let runningHash):
            let place = Int(place.index.rawValue) - Self.firstIndex
            if let known = appliedEntries[place]?.runningHash, known != runningHash {
                fail("member \(member.id.rawValue) has another running hash at entry \(place + Self.firstIndex)")
            }
            appliedEntries[place]?.runningHash = runningHash
            guard let expected = appliedEntries[place]?.expected else { return }
            if !expected.agrees(with: result, isWhole: isWhole) {
                fail(
                    "member \(member.id.rawValue) made another thing of entry \(place + Self.firstIndex) than is due: "
                        + "\(result), not \(expected)")
            }
        case .installed(let configuration):
            counts.snapshots += 1
            onOccasion?(.snapshotInstalled, member.id)
            digest.add(place.index.rawValue << 1)
            if configurations.inForce(at: place.index) != configuration {
                fail(
                    "member \(member.id.rawValue) has installed a snapshot of entry \(place.index.rawValue) with "
                        + "\(configuration), where another configuration was in force")
            }
        }
    }

    private func applied(_ entry: AppliedEntry, at index: LogIndex, by member: SimulatedMember) {
        digest.add(index.rawValue)
        digest.add(entry.digest)
        let place = Int(index.rawValue) - Self.firstIndex
        while appliedEntries.count <= place { appliedEntries.append(nil) }
        guard let known = appliedEntries[place] else {
            var entry = entry
            if let command = entry.command {
                do {
                    entry.expected = try model.apply(command, term: entry.term.rawValue)
                } catch {
                    fail("entry \(index.rawValue) cannot be understood: \(error)")
                }
            }
            entry.revision = model.revision
            appliedEntries[place] = entry
            if entry.command != nil { onFirstApplied?(model, AppliedPlace(index: index, term: entry.term)) }
            return
        }
        if known.term != entry.term || known.digest != entry.digest {
            fail(
                "member \(member.id.rawValue) applied another entry \(index.rawValue) (term "
                    + "\(entry.term.rawValue)) than was applied before (term \(known.term.rawValue))")
        }
    }

    /// Told of each command when the first member applies it, in the log's order: what is the case then.
    var onFirstApplied: ((StoreModel, AppliedPlace) -> Void)?

    /// What was applied, in the log's order, by whichever member applied it first, and the revision after it.
    package var appliedCommands: [(command: [UInt8], revision: Int64)] {
        appliedEntries.compactMap { entry in entry?.command.map { ($0, entry?.revision ?? 0) } }
    }

    /// A member that stands at the newest entry that anybody has applied must hold what the log makes.
    private func compareWithModel(_ view: ReadView, _ leases: [Lease], of member: SimulatedMember) {
        guard Int(view.applied.index) == appliedEntries.count - 1 + Self.firstIndex else { return }
        func differs(_ what: String) {
            fail("member \(member.id.rawValue) has other \(what) at entry \(view.applied.index) than the log makes")
        }
        if view.revision.rawValue != model.revision { differs("revisions") }
        if leases != model.leasesByID || view.leaseClock != model.leaseClock { differs("leases") }
    }

    /// The same for all that it holds.
    package func compareContents(of member: SimulatedMember) {
        guard let view = member.node?.published.view.store,
            Int(view.applied.index) == appliedEntries.count - 1 + Self.firstIndex
        else { return }
        do {
            let pairs = try view.range(RangeQuery(KeyRange(key: [0], end: .fromKey))).keyValues
            if pairs != model.pairs { fail("member \(member.id.rawValue) holds other pairs than the log makes") }
            for lease in model.leasesByID where try view.keys(of: lease.id) != model.keys(of: lease.id) {
                fail("member \(member.id.rawValue) holds other keys of lease \(lease.id.rawValue) than the log makes")
            }
        } catch {
            fail("member \(member.id.rawValue) cannot read its state: \(error)")
        }
    }

    /// Members that stand at the same entry must hold the same.
    package func compareStates() {
        var seen: [(index: UInt64, member: NodeID, hash: UInt32, revision: Int64)] = []
        var seenLeases: [(index: UInt64, member: NodeID, clock: LeaseTime, leases: [Lease])] = []
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
                let leases = try view.leases
                if let other = seenLeases.first(where: { $0.index == view.applied.index }),
                    other.clock != view.leaseClock || other.leases != leases
                {
                    fail("members \(other.member.rawValue) and \(member.id.rawValue) have other leases at one entry")
                }
                seenLeases.append((view.applied.index, member.id, view.leaseClock, leases))
                compareWithModel(view, leases, of: member)
            } catch {
                fail("member \(member.id.rawValue) cannot hash its state: \(error)")
            }
        }
    }

    /// Whether, of those who decide now, so many have the newest configuration on their disks that the others are not
    /// needed any more.
    package var isConfigurationSettled: Bool {
        let newest = configurations.newest
        guard !newest.isJoint else { return false }
        let settled = newest.voters.count { id in
            guard let applied = try? member(id).engines.durableApplied() else { return false }
            return applied >= configurations.newestIndex.rawValue
        }
        return settled > newest.voters.count / 2
    }
}

/// The simulation runs on one thread: what it hands to APIs that are meant for many stays on it. Does not keep the
/// object.
struct OneThread<Value: AnyObject>: @unchecked Sendable {
    unowned let value: Value
    init(_ value: Value) { self.value = value }
}

extension ReplicaResult {
    /// - Parameter isWhole: the other one holds all that an answer says; otherwise only what decides is looked at.
    fileprivate func agrees(with other: ReplicaResult, isWhole: Bool) -> Bool {
        switch (self, other) {
        case (.lease(let due), .lease(let found)): return due == found
        case (.keyValue(let due), .keyValue(let found)):
            if isWhole { return due == found }
            guard due.revision == found.revision else { return false }
            switch (due.result, found.result) {
            case (.transaction(let due), .transaction(let found)): return due.succeeded == found.succeeded
            case (.put, .put): return true
            case (.delete(let due), .delete(let found)): return due.deleted == found.deleted
            case (.compacted, .compacted): return true
            case (.failed(let due), .failed(let found)): return due == found
            default: return false
            }
        default: return false
        }
    }
}
