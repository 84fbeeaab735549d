import HTTP2
import NIOCore
import NIOPosix
import Raft
import RaftCore

/// What clients meet: gRPC, and beside it on the same ports HTTP with the gateway, health, metrics and versions.
final class FrontDoor: Sendable {
    let grpc: GRPCServer
    let metrics: MetricsRegistry
    private let http: HTTP1Server
    /// For ports that serve metrics and health only.
    private let metricsHTTP: HTTP1Server
    private let port: SharedPort

    struct Parts: Sendable {
        var methods: GRPCMethods
        var context: ServiceContext
        var eventLoops: [any EventLoop]
        var discovery: Discovery
        var httpAPI: HTTPAPI
        /// The alarms that are raised now.
        var alarms: @Sendable () -> [ActiveAlarm]
        /// Told for each scrape.
        var peers: @Sendable () -> [MetricFamily]
        var admin: AdminRoutes
        var console: ConsoleDesk
    }

    init(_ parts: Parts, configuration: ServerConfiguration) {
        let context = parts.context
        let metrics = MetricsRegistry()
        self.metrics = metrics
        let health = HealthCounts()
        let grpcOptions = Self.options(configuration)
        let gateway = Gateway(
            eventLoops: parts.eventLoops, limits: Self.gatewayLimits(configuration),
            requestTimeout: .nanoseconds(Int64(clamping: context.node.options.requestTimeoutNanoseconds)))

        func registerStatus(in router: inout PlainRouter) {
            HealthRoutes(context: context, counts: health, alarms: parts.alarms).register(in: &router)
            MetricsRoutes(registry: metrics).register(in: &router)
        }
        var router = PlainRouter(access: AccessRules(origins: configuration.cors, hosts: configuration.hostWhitelist))
        registerStatus(in: &router)
        InformationRoutes(context: context).register(in: &router)
        parts.admin.register(in: &router)
        JoinRoutes(desk: parts.admin.desk).register(in: &router)
        if configuration.enableGRPCGateway { gateway.register(in: &router) }
        parts.discovery.routes.register(in: &router)
        if configuration.enableConsole {
            let desk = parts.console
            ConsoleRoutes(members: { desk.members }, data: { desk.data(on: $0) }).register(in: &router)
        }
        parts.httpAPI.register(in: &router)
        var metricsRouter = PlainRouter()
        registerStatus(in: &metricsRouter)

        var httpLimits = HTTP1Limits()
        httpLimits.bodyBytesMax = grpcOptions.plainBodyBytesMax
        http = HTTP1Server(router: router, limits: httpLimits)
        metricsHTTP = HTTP1Server(router: metricsRouter, limits: httpLimits)

        let durations = configuration.metrics == .extensive ? GRPCDurations() : nil
        let routes = router
        grpc = GRPCServer(methods: parts.methods, options: grpcOptions, observer: durations) { request in
            HTTP2Exchange.serve(request, by: routes)
        }
        gateway.start(grpc)
        parts.console.start(grpc, router)
        port = SharedPort(server: grpc) { [http] channel in
            channel.eventLoop.makeCompletedFuture { try http.configure(channel) }
        }

        metrics.register(MemberMetrics.families(context, health: health, alarms: parts.alarms))
        if let durations { metrics.register(durations.family) }
        for family in parts.discovery.metrics { metrics.register(family) }
        metrics.register { [grpc] eventLoop in grpc.counters(on: eventLoop).map { GRPCMetrics.families($0) } }
        metrics.register { [peers = parts.peers] eventLoop in
            eventLoop.makeSucceededFuture(ProcessMetrics.families() + peers())
        }
        let servers = [http, metricsHTTP]
        metrics.register(
            MetricFamily(.gauge, "martlet_http_connections", "Connections of HTTP/1.1 that are open.") {
                Double(servers.reduce(0) { $0 + $1.connectionCount })
            })
        metrics.register(
            MetricFamily(.gauge, "martlet_http_watches", "Long polls and event streams that are open.") {
                Double(parts.httpAPI.openWatchCount + parts.discovery.routes.openCount)
            })
        metrics.register(
            MetricFamily(.gauge, "martlet_grpc_connections", "Connections of HTTP/2 that are open.") { [grpc] in
                Double(grpc.connectionCount)
            })
    }

    private static func options(_ configuration: ServerConfiguration) -> GRPCServer.Options {
        var options = GRPCServer.Options()
        // etcd's allowance for what surrounds a request of the greatest size.
        options.messageBytesMax = configuration.maxRequestBytes + 512 << 10
        options.plainBodyBytesMax = gatewayLimits(configuration).objectBytesMax
        options.http2.concurrentStreamsMax = min(
            configuration.maxConcurrentStreams, options.http2.concurrentStreamsMax)
        options.http2.keepAliveInterval = TimeAmount(configuration.grpcKeepaliveInterval)
        options.http2.keepAliveTimeout = TimeAmount(configuration.grpcKeepaliveTimeout)
        if configuration.grpcKeepaliveMinTime != ServerConfiguration.grpcKeepaliveMinTimeDefault {
            // As strict as etcd only where the operator asked for it: its default cuts off clients that ping every
            // second.
            options.http2.pingIntervalMin = TimeAmount(configuration.grpcKeepaliveMinTime)
            options.http2.pingStrikesMax = 2
        }
        return options
    }

    private static func gatewayLimits(_ configuration: ServerConfiguration) -> GatewayLimits {
        var limits = GatewayLimits()
        // Base64 makes four bytes of three; and then there are names, quotes and blanks.
        limits.objectBytesMax = (configuration.maxRequestBytes + 512 << 10) / 3 * 4 + 64 << 10
        return limits
    }

    /// Takes clients from a socket that listens already.
    func listen(socket: Int32, on group: any EventLoopGroup) -> EventLoopFuture<any Channel> {
        port.listen(socket: socket, on: group)
    }

    /// The same for HTTP alone.
    func listenForHTTP(socket: Int32, on group: any EventLoopGroup) -> EventLoopFuture<any Channel> {
        ServerBootstrap(group: group)
            .childChannelInitializer { [http] channel in
                channel.eventLoop.makeCompletedFuture { try http.configure(channel) }
            }
            .withBoundSocket(socket)
    }

    /// The same for metrics and health alone.
    func listenForMetrics(socket: Int32, on group: any EventLoopGroup) -> EventLoopFuture<any Channel> {
        ServerBootstrap(group: group)
            .childChannelInitializer { [metricsHTTP] channel in
                channel.eventLoop.makeCompletedFuture { try metricsHTTP.configure(channel) }
            }
            .withBoundSocket(socket)
    }

    /// Lets what is being worked on end until the deadline, and takes nothing new.
    func drain(deadline: NIODeadline) {
        grpc.drain(deadline: deadline)
        http.drain()
        metricsHTTP.drain()
    }

    var connectionCount: Int { grpc.connectionCount + http.connectionCount + metricsHTTP.connectionCount }
}
