import ByteCodec
package import MVCC
package import PeerTransport
package import Raft
package import RaftCore
import StorageEngine

/// The state machine of a Martlet member: keys, members and configuration in one engine, with the applied index in the
/// same batch.
package final class KeyValueMachine: NodeMachine {
    package typealias Result = ReplicaResult
    package typealias View = ReplicaView
    package typealias Staged = StagedSnapshot

    /// Rows that one piece of compaction looks at: about a millisecond.
    private static let compactionRowsPerStep = 512

    /// Up to this size all rows of a state are looked at when it is opened: a quarter of a second (decision 0011).
    private static let checkedBytesMax = 256 << 20

    private let engines: any EngineProvider
    private var engine: any StorageEngine
    private var state: State
    /// Tells those who watch what has changed.
    package let watchFeed = WatchFeed()
    /// Up to where they were told.
    private var toldRevision: Revision
    private var members: [Member]
    /// Members that there were, by ascending id: who comes back under one of these ids is told that it is gone.
    private var removed: [NodeID]
    private var clusterID: UInt64
    /// How much waits for the engine, for any thread.
    package let growth = GrowthMeter()
    /// What `state.writtenBytes` was when the last flush began.
    private var writtenAtFlush: UInt64 = 0
    /// What the state's running hash was, for any thread.
    package let runningHashes = RunningHashes()
    package var runningHash: RunningHash { state.runningHash }
    /// After the entries since they were told last.
    private var untoldHashes: [RunningHash] = []
    /// What the lease clock shows, for any thread.
    package let leaseClock = LeaseClock()
    private var lessor = Lessor()
    package private(set) var origin: AppliedPlace
    package private(set) var configuration: Configuration
    #if MARTLET_MUTATIONS
        /// Mistakes made on purpose, to see whether the simulator finds them.
        package var faults: RaftCore.Faults = []
        package var historyFaults: HistoryFaults = [] {
            didSet {
                state.faults = historyFaults
                lessor.faults = historyFaults
                leaseClock.setFaults(historyFaults)
            }
        }
    #endif
    /// Called when a snapshot has become the state, on the thread that applies; must not block.
    package var installed: (@Sendable (SnapshotDescription) -> Void)?
    /// Called when there are other members, other parts, addresses or names, on the thread that applies; must not
    /// block.
    package var membershipChanged: (@Sendable (ReplicaMembership) -> Void)?
    /// Called when an alarm was raised or disarmed, on the thread that applies; must not block.
    package var alarmChanged: (@Sendable (AlarmOutcome) -> Void)?

    /// Opens the member's state as it is on disk.
    /// - Returns: nil if the engine is empty: the member has never been part of a cluster.
    package init?(engines: any EngineProvider) throws {
        self.engines = engines
        engine = try engines.openCurrent()
        state = try State(store: LayeredStore(engine: engine))
        toldRevision = state.revision
        guard let directory = try ClusterDirectory(reading: state) else {
            engine.close()
            return nil
        }
        if engine.size().total <= Self.checkedBytesMax { try state.check() }
        members = directory.members
        removed = directory.removed
        clusterID = directory.clusterID
        origin = directory.origin
        configuration = directory.configuration
        guard state.applied.index >= origin.index.rawValue else {
            throw NodeFailure(
                part: .stateMachine,
                reason: "the state stands at entry \(state.applied.index), and was born at \(origin.index.rawValue)")
        }
    }

    /// Writes the first state of a new cluster, the same on all of its first members, and makes it durable.
    package static func bootstrap(
        engines: any EngineProvider, clusterID: UInt64, members: [Member]
    ) throws {
        let engine = try engines.openCurrent()
        defer { engine.close() }
        var state = try State(store: LayeredStore(engine: engine))
        guard try ClusterDirectory(reading: state) == nil else {
            throw NodeFailure(part: .stateMachine, reason: "the state is already part of a cluster")
        }
        // The log starts after a first place that no member holds an entry for, so that whoever joins later gets this
        // state as a snapshot.
        let place = AppliedPlace(index: LogIndex(1), term: Term(1))
        let directory = ClusterDirectory(
            clusterID: clusterID, members: members.sorted { $0.id < $1.id }, origin: place,
            configuration: Configuration(voters: members.map(\.id)))
        try directory.write(to: &state)
        try state.noteApplied(LogPosition(place))
        if let layer = try state.freeze() {
            try layer.commit(to: engine)
            try state.retire()
        }
    }

    /// Writes the first state of a member that is to join a cluster: it belongs to it, knows no configuration and
    /// stands before every entry, so that it waits for a snapshot and neither votes nor campaigns until that has come
    /// (decision 3).
    package static func prepareToJoin(engines: any EngineProvider, clusterID: UInt64) throws {
        let engine = try engines.openCurrent()
        defer { engine.close() }
        var state = try State(store: LayeredStore(engine: engine))
        guard try ClusterDirectory(reading: state) == nil else {
            throw NodeFailure(part: .stateMachine, reason: "the state is already part of a cluster")
        }
        let directory = ClusterDirectory(
            clusterID: clusterID, members: [], origin: AppliedPlace(index: .zero, term: .zero),
            configuration: Configuration())
        try directory.write(to: &state)
        if let layer = try state.freeze() {
            try layer.commit(to: engine)
            try state.retire()
        }
    }

    /// Lets go of the engine, so that the state can be opened again in this process. The machine must not be used
    /// afterwards.
    package func close() { engine.close() }

    package var applied: AppliedPlace {
        AppliedPlace(index: LogIndex(state.applied.index), term: Term(state.applied.term))
    }

    package var view: ReplicaView {
        get throws {
            ReplicaView(
                store: try state.view, members: members, configuration: configuration, clusterID: clusterID,
                alarms: state.alarms.all)
        }
    }

    package func didPublish(_ view: ReplicaView) {
        watchFeed.publish(&state, view.store, after: &toldRevision)
        growth.note(waitingBytes: state.writtenBytes - writtenAtFlush)
        runningHashes.note(untoldHashes, upTo: applied.index)
        untoldHashes.removeAll(keepingCapacity: true)
    }

    package func apply(
        _ command: UnsafeRawBufferPointer, at place: AppliedPlace, isAwaited: Bool
    ) throws -> ReplicaResult {
        defer { untoldHashes.append(state.runningHash) }
        guard let first = command.first, let room = CommandRoom(rawValue: first) else {
            throw NodeFailure(
                part: .stateMachine,
                reason:
                    "entry \(place.index.rawValue) is of a kind that this version does not know (\(command.first ?? 0))"
            )
        }
        let body = UnsafeRawBufferPointer(rebasing: command[1...])
        switch room {
        case .keyValue:
            return .keyValue(try state.apply(encoded: body, at: LogPosition(place), wantsAnswer: isAwaited))
        case .memberAttributes:
            let attributes = try Member(decoding: body)
            if let position = members.firstIndex(where: { $0.id == attributes.id }) {
                members[position].name = attributes.name
                members[position].clientURLs = attributes.clientURLs
                try ClusterDirectory.write(members[position], to: &state)
            }
            state.noteMembership(mark: UInt64(CRC32C.checksum(Array(body))))
            try state.noteApplied(LogPosition(place))
            membershipChanged?(membership)
            return .membersChanged(members)
        case .lease:
            let outcome = try state.apply(leaseRecord: body, at: LogPosition(place), wantsAnswer: isAwaited)
            leaseClock.applied(state.leaseClock, in: place.term)
            switch outcome.result {
            case .granted(let lease): lessor.granted(lease)
            case .grantedWith(let lease, _): if let lease { lessor.granted(lease) }
            case .expired(let ends): lessor.expired(ends, in: state)
            case .revoked, .renewed, .ticked, .failed: break
            }
            return .lease(outcome)
        case .alarm:
            let outcome = try state.apply(alarmRecord: body, at: LogPosition(place))
            if outcome.result == .raised || outcome.result == .disarmed { alarmChanged?(outcome) }
            return .alarm(outcome)
        }
    }

    package func apply(
        _ configuration: Configuration, context: [UInt8], at place: AppliedPlace
    ) throws -> ReplicaResult {
        defer { untoldHashes.append(state.runningHash) }
        self.configuration = configuration
        if let member = try context.withUnsafeBytes({ try MembershipContext(decoding: $0) }).member {
            if let place = members.firstIndex(where: { $0.id == member.id }) {
                members[place].peerURLs = member.peerURLs
            } else {
                members.append(member)
            }
        }
        let present = configuration.members
        for member in members where !present.contains(member.id) {
            try ClusterDirectory.remove(member.id, from: &state)
            removed.insert(member.id, at: removed.firstIndex { $0 >= member.id } ?? removed.endIndex)
        }
        for id in removed where present.contains(id) { try ClusterDirectory.welcomeBack(id, to: &state) }
        removed.removeAll { present.contains($0) }
        members.removeAll { !present.contains($0.id) }
        // A change that adds several tells of one: the others tell of themselves when they start.
        for id in present where !members.contains(where: { $0.id == id }) {
            members.append(Member(id: id, name: "", peerURLs: [], clientURLs: []))
        }
        members.sort { $0.id < $1.id }
        for member in members { try ClusterDirectory.write(member, to: &state) }
        try ClusterDirectory.write(configuration, to: &state)
        state.noteMembership(mark: ReplicaView.membershipMark(configuration, members))
        try state.noteApplied(LogPosition(place))
        membershipChanged?(membership)
        return .membersChanged(members)
    }

    package func objection(to change: ConfigurationChange, context: [UInt8]) -> ReplicaResult? {
        let meant: MembershipContext
        do {
            meant = try context.withUnsafeBytes { try MembershipContext(decoding: $0) }
        } catch {
            // What cannot be read changes nothing: no reason for all members to stop.
            return .membershipOutdated
        }
        guard let basis = meant.basis, basis != ReplicaView.membershipMark(configuration, members) else { return nil }
        return .membershipOutdated
    }

    package var membership: ReplicaMembership {
        ReplicaMembership(members: members, removed: removed, configuration: configuration)
    }

    package static func accepts(_ command: UnsafeRawBufferPointer) -> Bool {
        guard let first = command.first, let room = CommandRoom(rawValue: first) else { return false }
        let body = UnsafeRawBufferPointer(rebasing: command[1...])
        do {
            switch room {
            case .keyValue: _ = try CommandCodec.decode(body)
            case .memberAttributes: _ = try Member(decoding: body)
            case .lease: _ = try LeaseCommandCodec.decode(body)
            case .alarm: _ = try AlarmCommandCodec.decode(body)
            }
            return true
        } catch {
            return false
        }
    }

    package static func isQuick(_ command: UnsafeRawBufferPointer) -> Bool {
        guard command.count > 1 else { return false }
        let body = UnsafeRawBufferPointer(rebasing: command[1...])
        switch CommandRoom(rawValue: command[0]) {
        case .keyValue: return CommandCodec.isPut(body)
        case .lease: return LeaseCommandCodec.isQuick(body)
        case .memberAttributes, .alarm, nil: return false
        }
    }

    package func skip(at place: AppliedPlace) throws {
        try state.noteApplied(LogPosition(place))
        untoldHashes.append(state.runningHash)
        // A leader's first entry is an empty one.
        leaseClock.applied(state.leaseClock, in: place.term)
    }

    // MARK: Leases

    package var stamp: (any LeaderStamp)? { leaseClock }

    package func begin(now: @escaping @Sendable () -> UInt64) {
        leaseClock.begin(now: now, time: state.leaseClock, in: applied.term)
    }

    package func proposals(leading term: Term?) -> MachineProposals {
        let time = term.flatMap { leaseClock.time(leading: $0) }
        let commands = lessor.look(leading: term, time: time, state: state, now: leaseClock.now)
        return MachineProposals(
            payloads: commands.map { command in
                var payload = LeaseCommandCodec.encode(command, prefixBytes: ProposalID.encodedBytes + 1)
                payload[ProposalID.encodedBytes] = CommandRoom.lease.rawValue
                return payload
            }, asksAgain: term != nil && state.leaseCount > 0)
    }

    // MARK: Flushing

    package var unflushedBytes: Int { state.waitingBytes }

    package func beginFlush() throws -> (any FlushJob)? {
        let applied = applied
        guard let layer = try state.freeze() else { return nil }
        writtenAtFlush = state.writtenBytes
        growth.noteFlush(isFlushing: true, waitingBytes: 0)
        #if MARTLET_MUTATIONS
            if faults.contains(.appliedIndexOutsideBatch) {
                return EngineFlushWithoutPlace(layer: layer, engine: engine, applied: applied)
            }
        #endif
        return EngineFlush(layer: layer, engine: engine, applied: applied)
    }

    package func endFlush() throws {
        try state.retire()
        growth.noteFlush(isFlushing: false, waitingBytes: state.writtenBytes - writtenAtFlush)
    }

    package func doHousekeeping() throws -> Bool {
        try !state.compactStep(maxRows: Self.compactionRowsPerStep)
    }

    // MARK: Snapshots

    package func makeSnapshotSource() throws -> any SnapshotSource {
        StateSnapshotSource(try state.layersForSnapshot())
    }

    package func install(_ staged: StagedSnapshot) throws {
        staged.markInstalled()
        engine = try engines.install(staged.engine)
        state = try State(store: LayeredStore(engine: engine))
        writtenAtFlush = 0
        growth.noteFlush(isFlushing: false, waitingBytes: 0)
        #if MARTLET_MUTATIONS
            state.faults = historyFaults
        #endif
        guard let directory = try ClusterDirectory(reading: state) else {
            throw NodeFailure(part: .snapshot, reason: "the snapshot holds no cluster")
        }
        members = directory.members
        removed = directory.removed
        clusterID = directory.clusterID
        origin = directory.origin
        configuration = directory.configuration
        lessor.reset()
        untoldHashes.removeAll()
        runningHashes.forget(upTo: applied.index)
        leaseClock.applied(state.leaseClock, in: applied.term)
        installed?(staged.description)
        membershipChanged?(membership)
    }
}

/// One batch of applied writes on its way to the engine.
private struct EngineFlush: FlushJob {
    let layer: FrozenLayer
    let engine: any StorageEngine
    let applied: AppliedPlace

    func run() throws { try layer.commit(to: engine) }
}

#if MARTLET_MUTATIONS
    /// The batch as it should not be: where the state stands is told with the next one.
    private struct EngineFlushWithoutPlace: FlushJob {
        let layer: FrozenLayer
        let engine: any StorageEngine
        let applied: AppliedPlace

        func run() throws {
            let place: [UInt8] = [0]
            let engineBefore = try engine.snapshot()
            let before = place.withUnsafeBytes { engineBefore.withValue(.meta, $0) { $0.map { [UInt8]($0) } } }
            try layer.commit(to: engine)
            if let before { try engine.commit([.put(.meta, key: place, value: before)]) }
        }
    }
#endif

extension LogPosition {
    init(_ place: AppliedPlace) { self.init(index: place.index.rawValue, term: place.term.rawValue) }
}
