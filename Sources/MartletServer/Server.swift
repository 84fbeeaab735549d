import Foundation
import HTTP2
import LMDBEngine
import Logging
import MVCC
import NIOCore
import NIOHTTP1
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
    private let grpc: GRPCServer
    private let watches: WatchService
    private let listeners: [any Channel]
    private let context: ServiceContext
    private let directory: DataDirectory

    /// How long open calls may go on after the server was asked to stop.
    private static let drainTime = TimeAmount.seconds(5)

    /// Runs a member until it is told to stop (SIGTERM, SIGINT) or has to stop by itself.
    /// - Throws: a ``ConfigurationError`` with one sentence that says what to do.
    package static func run(_ configuration: ServerConfiguration) throws {
        let handler = try ServerLogHandler(configuration: configuration)
        let logger = Logger(label: "martlet") { _ in handler }
        for warning in configuration.warnings { logger.warning("\(warning)") }
        let signals = StopSignals()
        let server = try Server(configuration: configuration, logger: logger, signals: signals)
        server.announce()
        let reason = signals.wait()
        switch reason {
        case .signal(let number):
            logger.info("received signal; shutting down", metadata: ["signal": "\(number)"])
            server.stop()
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
                "listen-client-urls": "\(configuration.listenClientURLs.map(\.description).joined(separator: ","))",
                "listen-peer-urls": "\(configuration.listenPeerURLs.map(\.description).joined(separator: ","))",
            ])

        // A directory in use says more than its ports in use; one that is not there yet is not made in vain.
        let existing = DataDirectory.exists(configuration) ? try DataDirectory(configuration: configuration) : nil
        let clientSockets = try configuration.listenClientURLs.map { url throws(ConfigurationError) in
            try ListeningSocket(url, for: "clients", flag: "--listen-client-urls")
        }
        let peerSockets = try configuration.listenPeerURLs.map { url throws(ConfigurationError) in
            try ListeningSocket(url, for: "peers", flag: "--listen-peer-urls")
        }
        let directory = try existing ?? DataDirectory(configuration: configuration)
        self.directory = directory
        let machine = try Self.openMachine(directory, configuration)
        let register = try directory.openRegister()
        let view = try machine.view
        let memberID = configuration.ownMember.id
        guard view.members.contains(where: { $0.id == memberID }) else {
            let members = view.members.map { hex($0.id.rawValue) }.joined(separator: ", ")
            throw ConfigurationError(
                "the data directory \(configuration.dataDirectory) belongs to another member or cluster (cluster "
                    + "\(hex(view.clusterID)), members \(members)), not to member \(hex(memberID.rawValue)) "
                    + "\"\(configuration.name)\"; use its own --data-dir, or the --name, --initial-cluster and "
                    + "--initial-cluster-token it was made with")
        }

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
        options.snapshotCount = configuration.snapshotCount
        options.requestTimeoutNanoseconds =
            5_000_000_000 + 2 * UInt64(configuration.electionTimeoutMilliseconds) * 1_000_000

        var transportOptions = NIOPeerTransportOptions(
            node: memberID, cluster: view.clusterID, listenAddresses: [], seed: entropy.next(),
            log: MemberLog.transport(logger))
        transportOptions.directory = register.own
        transportOptions.recognise = { register.recognise($0, $1) }
        transportOptions.disowned = { peer in
            signals.fail(
                NodeFailure(
                    part: .membership,
                    reason: "member \(Self.name(of: peer, view, configuration)) knows this member with another data "
                        + "directory. Without that one it has forgotten what it voted for and acknowledged, and must "
                        + "not take part: start it with its own data directory, or, where that is lost, remove the "
                        + "member from the cluster and add it again with an empty directory and "
                        + "--initial-cluster-state existing"))
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
        transport.setPeers(Self.peers(of: view, besides: memberID))

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
        environment.leaderChanged = { before, status, view in
            Self.log(leaderBefore: before, status, view, configuration, to: logger)
        }
        environment.runInBackground = { work in SystemThread.start(name: "wal-fill", work) }
        let leaseClock = machine.leaseClock
        nonisolated(unsafe) let handedOver = machine
        do {
            node = try RaftNode(options: options, machine: handedOver, environment: environment)
        } catch let error as WALError {
            throw ConfigurationError(Self.describe(error, in: directory, configuration))
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
                quotaBytes: configuration.quotaBackendBytes > 0 ? Int(configuration.quotaBackendBytes) : nil),
            eventLoops: Array(group.makeIterator()), workers: workers,
            sizes: StateSizes { directory.engines.size() }, leaseClock: leaseClock)

        var methods = GRPCMethods()
        KVService(context: context).register(in: &methods)
        LeaseService(
            context: context, electionTicks: options.electionTicks, tickNanoseconds: options.tickNanoseconds
        ).register(in: &methods)
        ClusterService(context: context).register(in: &methods)
        MaintenanceService(context: context).register(in: &methods)
        HealthService(context: context).register(in: &methods)
        var watchOptions = WatchService.Options()
        watchOptions.limits.fragmentBytesMax = configuration.maxRequestBytes
        watchOptions.progressInterval = TimeAmount(configuration.watchProgressNotifyInterval)
        watchOptions.electionTimeout = .milliseconds(Int64(configuration.electionTimeoutMilliseconds))
        watches = WatchService(
            context: context, feed: watchFeed, options: watchOptions, eventLoops: Array(group.makeIterator()))
        watches.register(in: &methods)
        var router = PlainRouter()
        StatusRoutes(context: context).register(in: &router)
        var grpcOptions = GRPCServer.Options()
        // etcd's allowance for what surrounds a request of the greatest size.
        grpcOptions.messageBytesMax = configuration.maxRequestBytes + 512 << 10
        grpcOptions.http2.concurrentStreamsMax = min(
            configuration.maxConcurrentStreams, grpcOptions.http2.concurrentStreamsMax)
        grpcOptions.http2.keepAliveInterval = TimeAmount(configuration.grpcKeepaliveInterval)
        grpcOptions.http2.keepAliveTimeout = TimeAmount(configuration.grpcKeepaliveTimeout)
        if configuration.grpcKeepaliveMinTime != ServerConfiguration.grpcKeepaliveMinTimeDefault {
            // As strict as etcd only where the operator asked for it: its default cuts off clients that ping every
            // second.
            grpcOptions.http2.pingIntervalMin = TimeAmount(configuration.grpcKeepaliveMinTime)
            grpcOptions.http2.pingStrikesMax = 2
        }
        let routes = router
        grpc = GRPCServer(methods: methods, options: grpcOptions) { request in
            let parts = request.path.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
            let plain = PlainRequest(
                method: request.method, path: String(parts.first ?? "/"),
                query: parts.count > 1 ? String(parts[1]) : "",
                body: request.body)
            routes.handle(plain, on: request.eventLoop) { response in
                request.respond(status: response.status, fields: response.fields, body: response.body)
            }
        }
        let port = SharedPort(server: grpc) { channel in
            channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                try channel.pipeline.syncOperations.addHandler(HTTP1Responder(router: routes))
            }
        }
        var listeners: [any Channel] = []
        for (socket, url) in zip(clientSockets, configuration.listenClientURLs) {
            do {
                listeners.append(try port.listen(socket: socket.take(), on: group).wait())
            } catch {
                node.stop()
                throw ConfigurationError("cannot listen on \(url) for clients: \(SocketFailure.text(error))")
            }
        }
        self.listeners = listeners
    }

    private static func openMachine(
        _ directory: DataDirectory, _ configuration: ServerConfiguration
    ) throws -> KeyValueMachine {
        do {
            return try directory.openMachine(configuration)
        } catch let error as ConfigurationError {
            throw error
        } catch {
            throw ConfigurationError(
                "the state in \(configuration.dataDirectory) cannot be opened: \(error). Nothing was changed; "
                    + "restore it "
                    + "from a copy, or remove the member from the cluster and add it again with an empty directory")
        }
    }

    private static func peers(of view: ReplicaView, besides own: NodeID) -> [PeerAddress] {
        view.members.filter { $0.id != own }.map { member in
            PeerAddress(
                node: member.id,
                endpoints: member.peerURLs.compactMap { text in
                    do throws(ConfigurationError) {
                        return try ServerURL(parsing: text).hostAndPort
                    } catch {
                        return nil
                    }
                })
        }
    }

    private static func describe(
        _ error: WALError, in directory: DataDirectory, _ configuration: ServerConfiguration
    ) -> String {
        switch error {
        case .foreign:
            "the log in \(directory.logDirectory) belongs to another member or cluster; use its own --data-dir, or the "
                + "--name, --initial-cluster and --initial-cluster-token it was made with"
        case .corrupt(let segment, let offset, let reason):
            "the log in \(directory.logDirectory) is damaged: segment \(segment), offset \(offset): \(reason). "
                + "Nothing was "
                + "changed; restore it from a copy, or remove the member from the cluster and add it again with an "
                + "empty directory"
        case .missingSegment(let segment):
            "segment \(segment) of the log in \(directory.logDirectory) is missing; restore it from a copy, or "
                + "remove the "
                + "member from the cluster and add it again with an empty directory"
        default:
            "the log in \(directory.logDirectory) cannot be opened: \(error)"
        }
    }

    private static func name(of id: NodeID, _ view: ReplicaView, _ configuration: ServerConfiguration) -> String {
        let known = view.members.first { $0.id == id }?.name ?? ""
        let configured = configuration.initialCluster.members.first { $0.id == id }?.name
        return known.isEmpty ? configured ?? hex(id.rawValue) : known
    }

    private static func log(
        leaderBefore before: NodeID?, _ status: NodeStatus, _ view: ReplicaView, _ configuration: ServerConfiguration,
        to logger: Logger
    ) {
        func name(_ id: NodeID) -> String { Self.name(of: id, view, configuration) }
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
        let own = configuration.ownMember
        let attributes = Member(
            id: own.id, name: configuration.name, peerURLs: own.peerURLs.map(\.description),
            clientURLs: configuration.advertiseClientURLs.map(\.description))
        let known = node.published.view.members.first { $0.id == own.id }
        if known?.name != attributes.name || known?.clientURLs != attributes.clientURLs {
            publish(attributes.encode())
        }
        Thread.detachNewThread { [self] in
            var isReported = false
            // Requests are served from the first moment on; "ready" is said when they can be answered.
            while !isReported {
                if node.published.status.leader != nil {
                    for (channel, url) in zip(listeners, configuration.listenClientURLs) {
                        let address = channel.localAddress?.port.map { "\(url.host):\($0)" } ?? url.hostAndPort
                        logger.info("ready to serve client requests", metadata: ["address": "\(address)"])
                    }
                    isReported = true
                } else if node.published.status.failure != nil {
                    return
                } else {
                    Thread.sleep(forTimeInterval: 0.005)
                }
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

    private func stop() {
        let deadline = NIODeadline.now() + Self.drainTime
        for listener in listeners { try? listener.close().wait() }
        watches.stop()
        grpc.drain(deadline: deadline)
        while grpc.connectionCount > 0, NIODeadline.now() < deadline { Thread.sleep(forTimeInterval: 0.01) }
        node.stop()
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

/// What ends a server: a signal, or its own failure.
final class StopSignals: Sendable {
    enum Reason: Sendable {
        case signal(Int32)
        case failure(NodeFailure)
    }

    private let failure = Mutex<NodeFailure?>(nil)

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
    }

    func fail(_ failure: NodeFailure) {
        self.failure.withLock { $0 = $0 ?? failure }
        var byte: UInt8 = 0
        _ = write(stopPipeWriteEnd, &byte, 1)
    }

    func wait() -> Reason {
        let end = stopPipe.withLock { $0.read }
        var byte: UInt8 = 0
        while read(end, &byte, 1) != 1 {}
        if let failure = failure.withLock({ $0 }) { return .failure(failure) }
        return .signal(Int32(byte))
    }
}

private let stopPipe = Mutex<(read: Int32, write: Int32)>((-1, -1))
/// Set once before the handlers are; read by them.
private nonisolated(unsafe) var stopPipeWriteEnd: Int32 = -1
