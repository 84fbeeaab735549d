import Logging
import PeerTransport
import PeerTransportNIO
import Platform
import PlatformPOSIX
import RaftCore
public import ServiceLifecycle
import Synchronization
import WriteAheadLog

extension RaftMember: Service {
    /// Runs the member until the task is cancelled, the service is asked to shut down in order (then a leader hands
    /// over first), or the member ends by itself. It is stopped when this returns.
    ///
    /// - Throws: what kept it from starting; ``RaftError/failed(_:)`` and ``RaftError/removed`` where it ended by
    ///   itself.
    public func run() async throws {
        try await start()
        let end = await cancelWhenGracefulShutdown { await self.ended.wait() }
        await stop(handingOver: end == nil && options.handsOverOnShutdown && !Task.isCancelled)
        switch end {
        case nil, .stopped: return
        case .removed: throw RaftError.removed
        case .failed(let failure): throw RaftError.failed(failure)
        }
    }
}

extension RaftMember {
    /// Opens the log, restores the state, and begins to take part. Returns when the member can be asked, which may be
    /// before there is a leader.
    public func start() async throws(RaftError) {
        let isFirst = phase.withLock { phase in
            guard case .idle = phase else { return false }
            phase = .starting
            return true
        }
        guard isFirst else { throw .alreadyStarted }
        do throws(RaftError) {
            // Files are read and threads waited for on a thread that may block.
            let running = try await onOwnThread { () throws(RaftError) in try self.open() }
            phase.withLock { $0 = .running(running) }
            logger.info(
                "started",
                metadata: [
                    "applied-index": "\(running.node.recovery.applied.rawValue)",
                    "last-index": "\(running.node.recovery.lastIndex.rawValue)",
                ])
        } catch {
            phase.withLock { $0 = .stopped }
            finish(.stopped)
            throw error
        }
    }

    /// Ends the member. Requests under way end with ``RaftError/stopped``. May be called at any time, and again.
    ///
    /// - Parameter handingOver: whether a leader passes leadership on first, for as long as an election timeout at
    ///   most.
    public func stop(handingOver: Bool = false) async {
        if handingOver, ended.value == nil, running?.node.published.status.role == .leader, members.count > 1 {
            do {
                try await transferLeadership(to: nil, timeout: options.electionTimeout)
            } catch {
                logger.info("leadership was not handed over", metadata: ["reason": "\(error)"])
            }
        }
        // A start that is under way ends first.
        await wait { if case .starting = $0 { true } else { false } }
        let running = phase.withLock { phase -> Running? in
            switch phase {
            case .running(let running):
                phase = .stopping
                return running
            case .idle:
                phase = .stopped
                return nil
            case .starting, .stopping, .stopped: return nil
            }
        }
        guard let running else { return await wait { if case .stopping = $0 { true } else { false } } }
        running.background.cancel()
        await onOwnThread {
            running.node.stop()
            running.lock.release()
        }
        directory.detach()
        finish(.stopped)
        phase.withLock { $0 = .stopped }
        logger.info("stopped")
    }

    /// While somebody else starts or stops the member. In a task of its own: a cancelled one could not wait.
    private func wait(while isUnderWay: @escaping @Sendable (Phase) -> Bool) async {
        guard phase.withLock({ isUnderWay($0) }) else { return }
        await Task.detached { [self] in
            while phase.withLock({ isUnderWay($0) }) { try? await Task.sleep(for: .milliseconds(2)) }
        }.value
    }

    /// Says to all who wait that there is nothing more to come.
    private func finish(_ end: MemberEnd) {
        ended.set(end)
        let error = (ended.value ?? end).error
        endRequests(error)
        hub.finish()
    }

    /// Those under way, and those that are still to come.
    private func endRequests(_ error: RaftError) {
        proposals.end(error)
        reads.end(error)
        transfers.end(error)
        snapshots.end(error)
        optionChanges.end(error)
    }

    // MARK: Opening

    private func open() throws(RaftError) -> Running {
        try checkArguments()
        let storage = log.storage
        do throws(FileError) {
            try storage.fileSystem.createDirectory(storage.root)
        } catch {
            throw .cannotOpen(storage.root, reason: "\(error)")
        }
        let lock = try storage.takeLock()
        do {
            return try open(storage, lock: lock)
        } catch {
            lock.release()
            throw error
        }
    }

    private func checkArguments() throws(RaftError) {
        if let reason = options.inconsistency { throw .invalidOptions(reason) }
        if id.rawValue == 0 { throw .invalidOptions("0 is no member's id") }
        let peers = cluster.peers
        if peers.contains(where: { $0.id.rawValue == 0 }) { throw .invalidOptions("0 is no member's id") }
        if Set(peers.map(\.id)).count != peers.count { throw .invalidOptions("an id is in the cluster's list twice") }
        for peer in peers where peer.address.utf8.count > RosterCodec.addressBytesMax {
            throw .invalidOptions("the address of member \(peer.id) is too long")
        }
        if case .new(let peers) = cluster {
            guard peers.contains(where: { $0.id == id }) else {
                throw .invalidOptions("member \(id) is not in the list of the new cluster")
            }
            guard peers.contains(where: { $0.role == .voter }) else {
                throw .invalidOptions("a new cluster without a voter")
            }
        }
    }

    private func open(_ storage: StoragePlace, lock: any FileLock) throws(RaftError) -> Running {
        let options = options
        let store = SnapshotStore(directory: storage.snapshots, fileSystem: storage.fileSystem)
        let adapter: Adapter
        let register: DirectoryRegister
        do {
            // First, so that there is never a state or a log without it.
            register = try openRegister(storage)
            adapter = try openMachine(store, logDirectory: storage.log)
        } catch {
            throw RaftError(opening: storage.root, error)
        }
        directory.start(adapter.configuration, adapter.roster, hints: cluster.peers)
        if !adapter.configuration.members.isEmpty, !adapter.configuration.contains(id) { throw .removed }

        var entropy = SystemRandomNumberGenerator()
        let clock = SystemClock()
        let nodeOptions = options.nodeOptions(
            id: id, randomSeed: entropy.next(),
            firstSequence: clock.wallMilliseconds() << 20 | entropy.next() & 0xfffff)
        let relay = FailureRelay()
        let attached = try makeTransport(seed: entropy.next(), register: register, relay: relay)
        var environment = RaftNode<Adapter>.Environment(
            world: options.makeWorld(), fileSystem: storage.fileSystem, logDirectory: storage.log,
            identity: MemberIdentity(clusterID: options.clusterID, id: id).bytes,
            makeTransport: { receiver in
                try attached.start(receiver)
                return attached.attached.transport
            },
            snapshotReceiver: SnapshotFileReceiver(store: store),
            trace: { [logger] event in MemberLog.log(event, to: logger) { "\($0)" } },
            failed: { [weak self] failure in self?.nodeFailed(RaftFailure(failure)) })
        environment.segmentBytes = options.segmentBytes ?? storage.defaultSegmentBytes
        if !storage.isInMemory { environment.runInBackground = { work in SystemThread.start(name: "wal-fill", work) } }
        environment.leaderChanged = { [weak self] _, status, _ in self?.leaderChanged(status) }
        let node: RaftNode<Adapter>
        do {
            // Nobody else has it.
            nonisolated(unsafe) let handedOver = adapter
            node = try RaftNode(options: nodeOptions, machine: handedOver, environment: environment)
        } catch {
            attached.attached.transport.stop()
            throw RaftError(opening: storage.root, error)
        }
        relay.attach { [weak node] failure in node?.fail(failure) }
        if node.recovery.tornTailBytes > 0 {
            logger.warning(
                "cut a write that was never acknowledged from the log's end",
                metadata: ["bytes": "\(node.recovery.tornTailBytes)"])
        }
        directory.attach(attached.attached.transport)
        return Running(node: node, attached: attached.attached, lock: lock, background: startBackground(node))
    }

    /// Which directories this member and the others run on.
    private func openRegister(_ storage: StoragePlace) throws -> DirectoryRegister {
        let files = storage.fileSystem
        if let register = try DirectoryRegister.open(in: storage.root, files) { return register }
        guard try storage.isEmpty(files) else {
            throw SnapshotDamage(reason: "its file \"\(DirectoryRegister.fileName)\" is missing")
        }
        return try DirectoryRegister.make(in: storage.root, files)
    }

    /// The newest snapshot; for a new cluster, the state as it was given, written down as the first one.
    private func openMachine(_ store: SnapshotStore, logDirectory: String) throws -> Adapter {
        var found = try store.open()
        if found == nil {
            let files = store.fileSystem
            let holdsLog = try files.exists(logDirectory) && !files.list(logDirectory).isEmpty
            switch cluster {
            case .new(let peers):
                guard !holdsLog else { throw SnapshotDamage(reason: "there is a log, and its snapshot is missing") }
                found = try store.bootstrap(peers, try box.read { try $0.snapshot() })
            case .join: break
            }
        }
        return try LibraryMachine(
            box: box, store: store, found: found,
            policy: snapshotPolicy,
            membershipChanged: { [weak self] configuration, roster in self?.membershipChanged(configuration, roster) },
            snapshotDone: { [weak self] happening, index in self?.snapshotDone(happening == .taken, index) })
    }

    private func makeTransport(
        seed: UInt64, register: DirectoryRegister, relay: FailureRelay
    ) throws(RaftError) -> (attached: AttachedTransport, start: @Sendable (any PeerReceiver) throws -> Void) {
        let id = id
        let cluster = options.clusterID
        let directory = directory
        switch transport.kind {
        case .tcp(let tcp):
            let nio = try tcp.make(
                node: id, cluster: cluster, seed: seed, ownAddress: directory.address(of: id),
                isKnown: { directory.isKnown($0) }, register: register, relay: relay, logger: logger)
            nio.setPeers(directory.addresses)
            let attached = AttachedTransport(
                transport: nio,
                isConnected: { peer in nio.statistics.peers.first { $0.node == peer }?.isConnected },
                port: { nio.boundPorts.first })
            return (attached, { try nio.start(receiver: $0) })
        case .inMemory(let network):
            let attached = AttachedTransport(
                transport: InMemoryTransport(id, network: network),
                isConnected: { network.isConnected(id, $0) }, port: { nil })
            return (attached, { try network.attach(id, $0) })
        case .custom(let base):
            let attached = AttachedTransport(
                transport: CustomTransport(base, cluster: cluster, roles: { directory.role(of: $0) }),
                isConnected: { base.isConnected(to: $0) }, port: { nil })
            return (
                attached,
                { try base.start(as: id, inbox: TransportInbox(receiver: $0, id: id, cluster: cluster)) }
            )
        }
    }

    // MARK: What the stages tell; on their threads

    private func leaderChanged(_ status: NodeStatus) {
        if let leader = status.leader {
            logger.info("leader is \(leader)", metadata: ["term": "\(status.term.rawValue)"])
        } else {
            logger.info("lost the leader", metadata: ["term": "\(status.term.rawValue)"])
        }
        hub.send(.leaderChanged(leader: status.leader, term: status.term, isSelf: status.leader == id))
    }

    private func membershipChanged(_ configuration: Configuration, _ roster: [RaftPeer]) {
        let until = monotonicNanoseconds() + options.electionTimeout.nanoseconds * 5
        let isRemoved = directory.update(configuration, roster, keepLeaversUntil: until)
        hub.send(.membershipChanged(roster, isJoint: configuration.isJoint))
        guard isRemoved else { return }
        logger.notice("this member was removed from the cluster")
        // A leader's last messages are on their way: that it was removed, among them.
        Task { [weak self, heartbeat = options.heartbeatInterval] in
            try? await Task.sleep(for: heartbeat * 2)
            self?.memberRemoved()
        }
    }

    private func memberRemoved() {
        guard ended.value == nil else { return }
        ended.set(.removed)
        hub.send(.removed)
        hub.finish()
        endRequests(.removed)
    }

    private func snapshotDone(_ isTaken: Bool, _ index: LogIndex) {
        logger.info("\(isTaken ? "took" : "installed") a snapshot", metadata: ["index": "\(index.rawValue)"])
        if isTaken { metrics.snapshotTaken() } else { metrics.snapshotInstalled() }
        hub.send(isTaken ? .snapshotTaken(index) : .snapshotInstalled(index))
    }

    private func nodeFailed(_ failure: RaftFailure) {
        logger.critical("the member has stopped by itself", metadata: ["reason": "\(failure)"])
        proposals.note(.failed(failure))
        reads.note(.failed(failure))
        transfers.note(.failed(failure))
        snapshots.note(.failed(failure))
        optionChanges.note(.failed(failure))
        ended.set(.failed(failure))
        hub.send(.failed(failure))
        hub.finish()
        endRequests(.failed(failure))
    }

    /// Figures for the metrics, and members that have left.
    private func startBackground(_ node: RaftNode<Adapter>) -> Task<Void, Never> {
        let (metrics, directory) = (metrics, directory)
        return Task {
            while !Task.isCancelled {
                metrics.record(
                    node.published.status,
                    pending: node.published.pendingProposals.load(ordering: .relaxed),
                    lastSyncNanoseconds: node.published.lastSyncNanoseconds.load(ordering: .relaxed))
                directory.forgetLeavers(now: monotonicNanoseconds())
                do { try await Task.sleep(for: .seconds(1)) } catch { return }
            }
        }
    }
}
