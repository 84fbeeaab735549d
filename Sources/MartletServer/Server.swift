import Foundation
import HTTP2
import Logging
import MVCC
import NIOCore
import NIOPosix
import PeerTransport
import PeerTransportNIO
import Platform
import PlatformPOSIX
import Raft
import RaftCore
import Replica
import SocketSupport
import StorageEngine
import Synchronization
import WriteAheadLog

/// One member of a cluster: everything wired together, from the data directory to the ports.
package final class Server: Sendable {
    private let configuration: ServerConfiguration
    private let logger: Logger
    private let node: RaftNode<KeyValueMachine>
    private let group: MultiThreadedEventLoopGroup
    private let workers: NIOThreadPool
    private let door: FrontDoor
    private let watches: WatchService
    private let listeners: [any Channel]
    private let metricsListeners: [any Channel]
    /// Whether the end has begun: then nothing is announced any more.
    private let isStopping = Mutex(false)
    private let context: ServiceContext
    private let directory: DataDirectory
    private let roster: MemberRoster
    private let space: SpaceWatch
    private let corruption: CorruptionCheck
    private let compactor: AutoCompactor?
    private let autopilot: Autopilot
    private let changes: MemberChanges
    private let discovery: Discovery

    /// How long open calls may go on after the server was asked to stop.
    private static let drainTime = TimeAmount.seconds(5)
    /// How much of it is for telling those who still wait that the server stops.
    private static let refusalTime = TimeAmount.milliseconds(500)

    /// Runs a member until it is told to stop (SIGTERM, SIGINT) or has to stop by itself.
    /// - Throws: a ``ConfigurationError`` with one sentence that says what to do.
    package static func run(_ configuration: ServerConfiguration) throws {
        let handler = try ServerLogHandler(configuration: configuration)
        let logger = Logger(label: "martlet") { _ in handler }
        for warning in configuration.warnings { logger.warning("\(warning)") }
        let signals = StopSignals()
        var configuration = configuration
        try JoinAddresses().fill(&configuration)
        let server = try Server(configuration: configuration, logger: logger, signals: signals)
        server.announce()
        let reason = signals.wait()
        switch reason {
        case .signal(let number):
            logger.info("received signal; shutting down", metadata: ["signal": "\(number)"])
            server.handOver()
            server.stop()
            logger.info("closed member")
        case .removed:
            // etcd's words; as its own, the process ends in order.
            logger.warning(
                "server error", metadata: ["error": "the member has been permanently removed from the cluster"])
            server.finishLeading()
            server.stop()
            logger.warning(
                "data-dir used by this member must be removed",
                metadata: [
                    "data-dir": "\(configuration.dataDirectory)",
                    "to-come-back": "martlet member add \(configuration.name), then start with an empty directory",
                ])
            logger.info("closed member")
        case .failure(let failure):
            // Nothing is drained and nothing flushed: what this member holds in memory is not to be trusted.
            logger.critical("the member stops", metadata: ["reason": "\(failure)"])
            throw ConfigurationError("the member has stopped: \(failure)")
        }
    }

    private init(configuration: ServerConfiguration, logger: Logger, signals: StopSignals) throws {
        self.configuration = configuration
        self.logger = logger
        logger.info(
            "starting a member",
            metadata: [
                "name": "\(configuration.name)", "data-dir": "\(configuration.dataDirectory)",
                "engine": "\(configuration.engine.rawValue)",
                "listen-client-urls": "\(configuration.listenClientURLs.map(\.description).joined(separator: ","))",
                "listen-peer-urls": "\(configuration.listenPeerURLs.map(\.description).joined(separator: ","))",
            ])

        // A directory in use says more than its ports in use; one that is not there yet is not made in vain.
        let existing = DataDirectory.exists(configuration) ? try DataDirectory(configuration: configuration) : nil
        let clientSockets = try configuration.listenClientURLs.map { url throws(ConfigurationError) in
            try ListeningSocket(
                url, for: "clients", flag: "--listen-client-urls", isShared: configuration.socketReusePort)
        }
        let httpSockets = try configuration.listenClientHTTPURLs.map { url throws(ConfigurationError) in
            try ListeningSocket(
                url, for: "clients", flag: "--listen-client-http-urls", isShared: configuration.socketReusePort)
        }
        let peerSockets = try configuration.listenPeerURLs.map { url throws(ConfigurationError) in
            try ListeningSocket(
                url, for: "peers", flag: "--listen-peer-urls", isShared: configuration.socketReusePort)
        }
        let metricsSockets = try configuration.listenMetricsURLs.map { url throws(ConfigurationError) in
            try ListeningSocket(
                url, for: "metrics", flag: "--listen-metrics-urls", isShared: configuration.socketReusePort)
        }
        let finder = ClusterFinder(
            configuration, logger: logger, peerSockets: peerSockets, isStopping: { signals.isDue })
        // Nor where there is no cluster to join.
        let found =
            existing == nil && configuration.initialClusterState == .existing
            ? try finder.find(isPrepared: false) : nil
        let directory = try existing ?? DataDirectory(configuration: configuration)
        self.directory = directory
        finder.identity = try directory.logIdentity()
        directory.engines.whenMoving { EngineMoveLog.log($0, to: logger) }
        let start = try MemberStart(directory, configuration, finder, found: found)
        let (machine, memberID) = (start.machine, start.memberID)
        let register = try directory.openRegister()
        let view = try machine.view

        let watchFeed = machine.watchFeed
        let clock = SystemClock()
        var entropy = SystemRandomNumberGenerator()
        var options = NodeOptions(
            id: memberID, randomSeed: entropy.next(),
            firstSequence: clock.wallMilliseconds() << 20 | entropy.next() & 0xfffff)
        options.tickNanoseconds = UInt64(configuration.heartbeatIntervalMilliseconds) * 1_000_000
        options.electionTicks = max(
            2, configuration.electionTimeoutMilliseconds / configuration.heartbeatIntervalMilliseconds)
        options.preVote = configuration.preVote
        options.refusesQuorumLoss = configuration.strictReconfigCheck
        options.snapshotCount = configuration.snapshotCount
        options.catchUpEntries = configuration.snapshotCatchUpEntries
        options.requestTimeoutNanoseconds =
            5_000_000_000 + 2 * UInt64(configuration.electionTimeoutMilliseconds) * 1_000_000

        let roster = MemberRoster(
            clusterID: view.clusterID, own: memberID, membership: machine.membership, hints: start.hints,
            leaversKept: .milliseconds(5 * Int64(configuration.electionTimeoutMilliseconds)), logger: logger)
        self.roster = roster
        var transportOptions = NIOPeerTransportOptions(
            node: memberID, cluster: view.clusterID, listenAddresses: [], seed: entropy.next(),
            log: MemberLog.transport(logger))
        transportOptions.directory = register.own
        transportOptions.recognise = { register.recognise($0, $1) }
        transportOptions.disowned = { peer in
            signals.fail(
                NodeFailure(
                    part: .membership,
                    reason: "member \(roster.name(of: peer)) knows this member with another data "
                        + "directory. Without that one it has forgotten what it voted for and acknowledged, and must "
                        + "not take part: start it with its own data directory, or, where that is lost, remove the "
                        + "member from the cluster and add it again with an empty directory and "
                        + "--initial-cluster-state existing"))
        }
        transportOptions.isKnown = { roster.isKnown($0) }
        transportOptions.isRemoved = { roster.isRemoved($0) }
        transportOptions.removed = { _ in signals.remove() }
        let hashes = HashDesk()
        let runningHashes = machine.runningHashes
        transportOptions.configureHTTP = {
            try PeerRoutes(roster: roster, hashes: hashes, runningHashes: runningHashes).configure($0)
        }
        transportOptions.listeningSockets = peerSockets.map { $0.take() }
        let transport = NIOPeerTransport(transportOptions, eventLoops: .own(threads: 1))
        machine.installed = { snapshot in
            logger.info(
                "installed a snapshot: it is this member's state now",
                metadata: [
                    "snapshot-index": "\(snapshot.index.rawValue)", "snapshot-term": "\(snapshot.term.rawValue)",
                ])
        }
        roster.attach(transport)
        machine.alarmChanged = { AlarmLog.log($0, own: memberID, to: logger) }
        machine.membershipChanged = { [leaversKept = 5 * configuration.electionTimeoutMilliseconds] membership in
            let news = roster.update(membership)
            if news.hasLeavers {
                DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(leaversKept + 1)) {
                    roster.forgetLeavers()
                }
            }
            if news.isRemoved { signals.remove(after: configuration.heartbeatIntervalMilliseconds * 2) }
        }

        var environment = RaftNode<KeyValueMachine>.Environment(
            world: ThreadWorld(), fileSystem: directory.fileSystem, logDirectory: directory.logDirectory,
            identity: DataDirectory.identity(clusterID: view.clusterID, memberID: memberID),
            makeTransport: { receiver in
                try transport.start(receiver: receiver)
                return transport
            },
            snapshotReceiver: StateSnapshotReceiver(engines: directory.engines),
            trace: { event in MemberLog.log(event, to: logger) { hex($0.rawValue) } },
            failed: { failure in signals.fail(failure) })
        let connectedSince: @Sendable (NodeID) -> UInt64? = { peer in
            transport.statistics.peers.first { $0.node == peer }?.connectedSince
        }
        let timeouts = TimeoutCauses(
            own: memberID, requestNanoseconds: options.requestTimeoutNanoseconds,
            electionNanoseconds: UInt64(configuration.electionTimeoutMilliseconds) * 1_000_000,
            connectedSince: connectedSince)
        environment.leaderChanged = { before, status, _ in
            timeouts.leaderChanged(to: status.leader, at: NIODeadline.now().uptimeNanoseconds)
            Self.log(leaderBefore: before, status, roster, to: logger)
        }
        environment.runInBackground = { work in SystemThread.start(name: "wal-fill", work) }
        let leaseClock = machine.leaseClock
        let growth = machine.growth
        nonisolated(unsafe) let handedOver = machine
        do {
            node = try RaftNode(options: options, machine: handedOver, environment: environment)
        } catch let error as WALError {
            throw ConfigurationError(error, in: directory)
        } catch let refusal as ThreadRefusal {
            throw ConfigurationError("the member cannot start: \(refusal)")
        } catch let failure as NodeFailure {
            throw ConfigurationError("the data directory \(configuration.dataDirectory) cannot be used: \(failure)")
        }
        let recovery = node.recovery
        if recovery.tornTailBytes > 0 {
            logger.warning(
                "cut a write that was never acknowledged from the log's end",
                metadata: [
                    "bytes": "\(recovery.tornTailBytes)", "segment": "\(recovery.tornTailSegment)",
                    "offset": "\(recovery.tornTailOffset)",
                ])
        }
        logger.info(
            "recovered",
            metadata: [
                "cluster-id": "\(hex(view.clusterID))", "member-id": "\(hex(memberID.rawValue))",
                "applied-index": "\(recovery.applied.rawValue)", "last-index": "\(recovery.lastIndex.rawValue)",
                "revision": "\(view.store.revision.rawValue)",
            ])

        group = MultiThreadedEventLoopGroup(numberOfThreads: System.coreCount)
        workers = NIOThreadPool(numberOfThreads: 1)
        workers.start()
        context = ServiceContext(
            node: node, clusterID: view.clusterID,
            limits: .init(
                requestBytesMax: configuration.maxRequestBytes,
                transactionOperationsMax: configuration.maxTxnOps,
                quotaBytes: configuration.quotaBytes),
            eventLoops: Array(group.makeIterator()), workers: workers,
            sizes: StateSizes(growth: growth) { directory.engines.size() }, leaseClock: leaseClock,
            timeouts: timeouts)

        hashes.open(
            view: { [node] in node.published.status.isJoining ? nil : node.published.view.store },
            failed: { [node] in node.fail(NodeFailure(part: .engine, reason: "\($0)")) })
        space = SpaceWatch(context: context, eventLoop: group.next())
        space.start()
        corruption = CorruptionCheck(
            context: context, options: .init(configuration), runningHashes: runningHashes, logger: logger,
            eventLoop: group.next())
        if configuration.initialCorruptCheck {
            do throws(ConfigurationError) {
                try corruption.checkAtStart { signals.isDue }
            } catch {
                node.stop()
                throw error
            }
        }
        corruption.start()

        var methods = GRPCMethods()
        KVService(context: context).register(in: &methods)
        LeaseService(
            context: context, electionTicks: options.electionTicks, tickNanoseconds: options.tickNanoseconds
        ).register(in: &methods)
        let rules = MembershipRules(
            isStrict: configuration.strictReconfigCheck, learnersMax: configuration.maxLearners, own: memberID,
            connectedFor: { peer in connectedSince(peer).map { NIODeadline.now().uptimeNanoseconds - $0 } },
            isRemoved: { roster.isRemoved($0) })
        let changes = MemberChanges(context: context, rules: rules)
        ClusterService(changes: changes).register(in: &methods)
        let autopilot = Autopilot(
            changes: changes, options: Autopilot.Options(configuration), logger: logger, eventLoop: group.next())
        self.autopilot = autopilot
        self.changes = changes
        let desk = JoinDesk(changes: changes, configuration)
        MaintenanceService(context: context).register(in: &methods)
        HealthService(context: context).register(in: &methods)
        let compactionLoop = group.next()
        compactor = configuration.autoCompaction.map { [context] rule in
            AutoCompactor(
                rule, on: compactionLoop, world: AutoCompactor.World(context, on: compactionLoop), logger: logger)
        }
        var watchOptions = WatchService.Options()
        watchOptions.limits.fragmentBytesMax = configuration.maxRequestBytes
        watchOptions.progressInterval = TimeAmount(configuration.watchProgressNotifyInterval)
        watchOptions.electionTimeout = .milliseconds(Int64(configuration.electionTimeoutMilliseconds))
        watches = WatchService(
            context: context, feed: watchFeed, options: watchOptions, eventLoops: Array(group.makeIterator()))
        watches.register(in: &methods)
        LockService(context: context, watches: watches).register(in: &methods)
        ElectionService(context: context, watches: watches).register(in: &methods)
        // After the last service: whatever it is, a learner answers only what is good for one, and who wants a leader
        // is told that there is none.
        let callGate = CallGate(published: node.published)
        methods.gate { callGate.refusal($0, $1, $2) }
        do throws(ConfigurationError) {
            discovery = try Discovery(
                Discovery.Options(configuration), context: context, watches: watches, feed: watchFeed,
                leaseTTLMin: LeaseService.ttlMin(
                    electionTicks: options.electionTicks, tickNanoseconds: options.tickNanoseconds),
                eventLoops: Array(group.makeIterator()), logger: logger)
        } catch {
            node.stop()
            throw error
        }
        door = FrontDoor(
            FrontDoor.Parts(
                methods: methods, context: context, eventLoops: Array(group.makeIterator()), discovery: discovery,
                httpAPI: HTTPAPI(
                    context: context, watches: watches,
                    leaseTTLMin: LeaseService.ttlMin(
                        electionTicks: options.electionTicks, tickNanoseconds: options.tickNanoseconds),
                    eventLoops: Array(group.makeIterator())),
                alarms: { [context] in context.activeAlarms },
                peers: { PeerMetrics.families(transport.statistics, own: memberID) },
                admin: AdminRoutes(desk: desk, silence: { autopilot.silence(of: $0) }),
                console: ConsoleDesk(
                    context: context, dataDirectory: configuration.dataDirectory,
                    transport: { transport.statistics },
                    watchers: { [watches] in watches.watcherCount(on: $0) })),
            configuration: configuration)
        var listeners: [any Channel] = []
        for (socket, url) in zip(clientSockets, configuration.listenClientURLs) {
            do {
                listeners.append(try door.listen(socket: socket.take(), on: group).wait())
            } catch {
                node.stop()
                throw ConfigurationError("cannot listen on \(url) for clients: \(SocketFailure.text(error))")
            }
        }
        // Beside the client ports: what is said of those is not said of these.
        var httpListeners: [any Channel] = []
        for (socket, url) in zip(httpSockets, configuration.listenClientHTTPURLs) {
            do {
                httpListeners.append(try door.listenForHTTP(socket: socket.take(), on: group).wait())
            } catch {
                node.stop()
                throw ConfigurationError("cannot listen on \(url) for clients: \(SocketFailure.text(error))")
            }
        }
        var metricsListeners: [any Channel] = []
        for (socket, url) in zip(metricsSockets, configuration.listenMetricsURLs) {
            do {
                metricsListeners.append(try door.listenForMetrics(socket: socket.take(), on: group).wait())
            } catch {
                node.stop()
                throw ConfigurationError("cannot listen on \(url) for metrics: \(SocketFailure.text(error))")
            }
        }
        self.metricsListeners = metricsListeners + httpListeners
        self.listeners = listeners
        compactor?.start()
        autopilot.start()
        discovery.start()
    }

    private static func log(
        leaderBefore before: NodeID?, _ status: NodeStatus, _ roster: MemberRoster, to logger: Logger
    ) {
        func name(_ id: NodeID) -> String { roster.name(of: id) }
        let term = status.term.rawValue
        if let leader = status.leader {
            logger.info(
                "leader is \(name(leader)) at term \(term)",
                metadata: ["leader-id": "\(hex(leader.rawValue))", "term": "\(term)"])
        } else if let before {
            logger.info(
                "lost the leader \(name(before)), now at term \(term)",
                metadata: ["leader-id": "\(hex(before.rawValue))", "term": "\(term)"])
        }
    }

    /// Tells the cluster our name and addresses, and people that requests are welcome.
    private func announce() {
        let id = context.memberID
        let attributes = Member(
            id: id, name: configuration.name, peerURLs: configuration.ownMember.peerURLs.map(\.description),
            clientURLs: configuration.advertiseClientURLs.map(\.description))
        let known = node.published.view.members.first { $0.id == id }
        if known?.name != attributes.name || known?.clientURLs != attributes.clientURLs {
            publish(attributes.encode())
        }
        if configuration.tellsPeerURLs, configuration.initialClusterState == .existing, known != nil {
            AddressNews(
                changes: changes, urls: attributes.peerURLs, logger: logger, eventLoop: group.next()
            ).start()
        }
        if !configuration.join.isEmpty, !configuration.joinLearner {
            SelfPromotion(
                changes: changes, name: configuration.name, replaces: configuration.replaces, logger: logger,
                eventLoop: group.next()
            ).start()
        }
        Thread.detachNewThread { [self] in
            // Requests are served from the first moment on; "ready" is said when they can be answered.
            while node.published.status.failure == nil {
                // Held while it is said, so that nothing is said after "closed member".
                let isOver = isStopping.withLock { isStopping in
                    let status = node.published.status
                    guard !isStopping, status.leader != nil, !status.isJoining else { return isStopping }
                    for (channel, url) in zip(listeners, configuration.listenClientURLs) {
                        let address = channel.localAddress?.port.map { "\(url.host):\($0)" } ?? url.hostAndPort
                        logger.info("ready to serve client requests", metadata: ["address": "\(address)"])
                    }
                    return true
                }
                if isOver { return }
                Thread.sleep(forTimeInterval: 0.005)
            }
        }
    }

    private func publish(_ attributes: [UInt8]) {
        let eventLoop = group.next()
        eventLoop.execute { [self] in
            let payload = [UInt8](repeating: 0, count: LoopRequests.commandPrefixBytes) + attributes
            context.requests(on: eventLoop).propose(payload, in: .memberAttributes) { [self] result in
                if case .failure(let failure) = result, failure != .stopped {
                    // Without a leader or a quorum: again, until the cluster has heard it.
                    eventLoop.scheduleTask(in: .milliseconds(500)) { [self] in publish(attributes) }
                }
            }
        }
    }

    /// A leader that is stopped in order passes leadership on first, so that the others need not wait for an election
    /// timeout.
    private func handOver() {
        let view = node.published.view
        guard node.published.status.leader == context.memberID, view.configuration.voters.count > 1 else { return }
        logger.info("leadership transfer starting", metadata: ["local-member-id": "\(hex(context.memberID.rawValue))"])
        let outcome = HandOver()
        node.transferLeadership(
            to: nil, ticket: Ticket(sink: outcome, token: 0),
            timeoutNanoseconds: UInt64(configuration.electionTimeoutMilliseconds) * 1_000_000)
        switch outcome.wait(milliseconds: configuration.electionTimeoutMilliseconds + 500) {
        case .success(.leads(let leader)):
            logger.info("leadership transfer finished", metadata: ["transferee-member": "\(roster.name(of: leader))"])
        case let other:
            logger.warning(
                "leadership transfer failed",
                metadata: ["reason": "\(other.map { "\($0)" } ?? "nobody took over in time")"])
        }
    }

    /// A leader that was removed leads on, by itself, until the others can do without it.
    private func finishLeading() {
        let limit = NIODeadline.now() + .milliseconds(2 * Int64(configuration.electionTimeoutMilliseconds))
        while node.published.status.role == .leader, NIODeadline.now() < limit { Thread.sleep(forTimeInterval: 0.01) }
    }

    private func stop() {
        isStopping.withLock { $0 = true }
        space.stop()
        corruption.stop()
        autopilot.stop()
        let deadline = NIODeadline.now() + Self.drainTime
        for listener in listeners + metricsListeners { try? listener.close().wait() }
        compactor?.stop()
        discovery.stop()
        watches.stop()
        door.drain(deadline: deadline)
        func waitForClients(until limit: NIODeadline) {
            while door.connectionCount > 0, NIODeadline.now() < limit { Thread.sleep(forTimeInterval: 0.01) }
        }
        waitForClients(until: deadline - Self.refusalTime)
        context.refuseWaiting()
        waitForClients(until: deadline)
        node.stop()
        discovery.shutdown()
        try? group.syncShutdownGracefully()
        try? workers.syncShutdownGracefully()
    }
}

func hex(_ number: UInt64) -> String { String(number, radix: 16) }

extension TimeAmount {
    init(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        self = .nanoseconds(seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
    }
}

/// Waits, on a thread that may, for what becomes of a transfer of leadership.
private final class HandOver: ReplySink {
    private let arrived = DispatchSemaphore(value: 0)
    private let answer = Mutex<Result<TransferConclusion, RequestFailure>?>(nil)

    func deliver(_ replies: [Reply<TransferConclusion>]) {
        answer.withLock { $0 = replies.first?.answer }
        arrived.signal()
    }

    func wait(milliseconds: Int) -> Result<TransferConclusion, RequestFailure>? {
        _ = arrived.wait(timeout: .now() + .milliseconds(milliseconds))
        return answer.withLock { $0 }
    }
}

/// What ends a server: a signal, its removal from the cluster, or its own failure.
final class StopSignals: Sendable {
    enum Reason: Sendable {
        case signal(Int32)
        case removed
        case failure(NodeFailure)
    }

    private let failure = Mutex<NodeFailure?>(nil)
    private let isRemoved = Mutex(false)

    init() {
        var ends: [Int32] = [0, 0]
        precondition(pipe(&ends) == 0, "no pipe for signals: errno \(errno)")
        stopPipe.withLock { $0 = (ends[0], ends[1]) }
        stopPipeWriteEnd = ends[1]
        for number in [SIGTERM, SIGINT] {
            signal(number) { number in
                // Only what is safe in a signal's handler: one write.
                var byte = UInt8(truncatingIfNeeded: number)
                _ = write(stopPipeWriteEnd, &byte, 1)
            }
        }
        signal(SIGPIPE, SIG_IGN)
        // Whoever started this process may have had them blocked, and that is inherited: it could not be stopped.
        var asked = sigset_t()
        sigemptyset(&asked)
        for number in [SIGTERM, SIGINT] { sigaddset(&asked, number) }
        pthread_sigmask(SIG_UNBLOCK, &asked, nil)
    }

    func fail(_ failure: NodeFailure) {
        self.failure.withLock { $0 = $0 ?? failure }
        var byte: UInt8 = 0
        _ = write(stopPipeWriteEnd, &byte, 1)
    }

    /// The member was removed from the cluster. What it has to tell the others, that it was removed among them, goes
    /// first.
    func remove(after milliseconds: Int = 0) {
        DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(milliseconds)) { [self] in
            isRemoved.withLock { $0 = true }
            var byte: UInt8 = 0
            _ = write(stopPipeWriteEnd, &byte, 1)
        }
    }

    /// Whether there is a reason to stop.
    var isDue: Bool {
        var end = pollfd(fd: stopPipe.withLock { $0.read }, events: Int16(POLLIN), revents: 0)
        return poll(&end, 1, 0) > 0
    }

    func wait() -> Reason {
        let end = stopPipe.withLock { $0.read }
        var byte: UInt8 = 0
        while read(end, &byte, 1) != 1 {}
        if let failure = failure.withLock({ $0 }) { return .failure(failure) }
        if isRemoved.withLock({ $0 }) { return .removed }
        return .signal(Int32(byte))
    }
}

private let stopPipe = Mutex<(read: Int32, write: Int32)>((-1, -1))
/// Set once before the handlers are; read by them.
private nonisolated(unsafe) var stopPipeWriteEnd: Int32 = -1
