import Logging
import NIOCore
import NIOPosix
import Raft
import Replica
import Synchronization

/// Service discovery of one member: its routes, and, where they are asked for, its checks and its DNS, each with a
/// thread of its own.
final class Discovery: Sendable {
    struct Options: Sendable {
        var checksAreOn = false
        var dnsListen: [HostAndPort] = []
        var dnsDomain = ServiceConfigurationDefaults.dnsDomain
        var dnsTTL = ServiceConfigurationDefaults.dnsTTL

        init() {}

        init(_ configuration: ServerConfiguration) {
            checksAreOn = configuration.enableServiceChecks
            dnsListen = configuration.dnsListen
            dnsDomain = configuration.dnsDomain
            dnsTTL = configuration.dnsTTL
        }
    }

    let routes: ServiceRoutes
    private let checks: CheckRunner?
    private let checkGroup: MultiThreadedEventLoopGroup?
    private let dns: DNSServer?
    private let logger: Logger

    /// - Throws: where DNS cannot listen.
    init(
        _ options: Options, context: ServiceContext, watches: WatchService, feed: WatchFeed, leaseTTLMin: Int64,
        eventLoops: [any EventLoop], logger: Logger, limits: DiscoveryLimits = DiscoveryLimits()
    ) throws(ConfigurationError) {
        self.logger = logger
        let registrar = ServiceRegistrar(
            context: context,
            layout: ServiceLayout(
                domain: options.dnsDomain.split(separator: ".").map(String.init), dnsTTL: options.dnsTTL),
            limits: limits, ttlMin: leaseTTLMin, checksAreOn: options.checksAreOn)
        routes = ServiceRoutes(
            context: context, registrar: registrar, watches: watches, limits: limits, eventLoops: eventLoops)
        dns =
            options.dnsListen.isEmpty
            ? nil
            : try DNSServer(
                options.dnsListen,
                DNSResponder(
                    domain: DNSName(options.dnsDomain), ttl: options.dnsTTL, source: DNSResponder.Source(context),
                    limits: limits),
                limits: limits)
        if options.checksAreOn {
            let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
            checkGroup = group
            checks = CheckRunner(
                context: context, registrar: registrar, feed: feed, eventLoop: group.next(), logger: logger)
        } else {
            checkGroup = nil
            checks = nil
        }
    }

    func start() {
        checks?.start()
        for address in dns?.addresses ?? [] {
            logger.info("serving DNS", metadata: ["address": "\(address.text)"])
        }
    }

    /// Nothing is begun after this.
    func stop() {
        checks?.stop()
        dns?.stop()
    }

    /// Once the replica has stopped, and so has answered everything.
    func shutdown() { try? checkGroup?.syncShutdownGracefully() }

    var metrics: [MetricFamily] {
        var families: [MetricFamily] = []
        if let counters = dns?.responder.counters {
            families += [
                MetricFamily(.counter, "martlet_dns_questions_total", "Questions of DNS that came.") {
                    Double(counters.questions.load(ordering: .relaxed))
                },
                MetricFamily(
                    .counter, "martlet_dns_errors_total", "Questions of DNS that were answered with an error."
                ) { Double(counters.errors.load(ordering: .relaxed)) },
                MetricFamily(
                    .counter, "martlet_dns_dropped_total",
                    "Datagrams of DNS that were not answered: no questions, or too many of one address."
                ) { Double(counters.dropped.load(ordering: .relaxed)) },
                MetricFamily(
                    .counter, "martlet_dns_truncated_total", "Answers of DNS that were cut, to be asked for over TCP."
                ) { Double(counters.truncated.load(ordering: .relaxed)) },
            ]
        }
        if let counters = checks?.counters {
            families += [
                MetricFamily(
                    .gauge, "martlet_service_checks", "Instances of services that this member checks: the leader's."
                ) { Double(counters.checked.load(ordering: .relaxed)) },
                MetricFamily(
                    .counter, "martlet_service_checks_total", "Checks of instances that were made.",
                    samples: {
                        [
                            .init([("result", "failed")], Double(counters.failed.load(ordering: .relaxed))),
                            .init([("result", "passed")], Double(counters.passed.load(ordering: .relaxed))),
                        ]
                    }),
            ]
        }
        return families
    }
}

/// What the flags are at if nobody sets them.
enum ServiceConfigurationDefaults {
    /// `.internal` is reserved for names like this one (ICANN, 2024); `.local` is multicast DNS's.
    static let dnsDomain = "martlet.internal"
    static let dnsTTL: UInt32 = 5
}
