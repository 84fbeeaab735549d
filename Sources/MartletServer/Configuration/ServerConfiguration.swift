/// What a server is told before it starts. Every property is one of etcd's flags; `ServerFlags` has their texts.
package struct ServerConfiguration: Equatable, Sendable {
    /// Whether the cluster is made now, or joined.
    package enum ClusterState: String, Sendable, CaseIterable {
        case new
        case existing
    }

    package enum LogLevel: String, Sendable, CaseIterable {
        case debug, info, warn, error, dpanic, panic, fatal
    }

    package enum LogFormat: String, Sendable, CaseIterable {
        case json
        case console
    }

    package enum LogOutput: Hashable, Sendable {
        case standardError
        case standardOutput
        case file(path: String)
    }

    package enum MetricsKind: String, Sendable, CaseIterable {
        case basic
        /// With a histogram of every method's durations.
        case extensive
    }

    // Member
    package var name = "default"
    package var dataDirectory = ""
    /// Nil: inside the data directory.
    package var walDirectory: String?
    package var engine = EngineChoice.lmdb
    package var snapshotCount: UInt64 = 10_000
    package var snapshotCatchUpEntries: UInt64 = 5_000
    package var heartbeatIntervalMilliseconds = 100
    package var electionTimeoutMilliseconds = 1_000
    package var listenPeerURLs = [ServerURL(host: "localhost", port: 2380)]
    package var listenClientURLs = [ServerURL(host: "localhost", port: 2379)]
    /// 0: ``quotaBytesDefault``. Below 0: no limit.
    package var quotaBackendBytes: Int64 = 0
    /// etcd's (M1, decision 0018).
    package static let quotaBytesDefault = 2 << 30
    /// nil: no limit.
    package var quotaBytes: Int? {
        if quotaBackendBytes < 0 { return nil }
        return quotaBackendBytes == 0 ? Self.quotaBytesDefault : Int(clamping: quotaBackendBytes)
    }
    package var maxTxnOps = 128
    package var maxRequestBytes = 1_572_864
    package var maxConcurrentStreams = UInt32.max
    package static let grpcKeepaliveMinTimeDefault = Duration.seconds(5)
    package var grpcKeepaliveMinTime = grpcKeepaliveMinTimeDefault
    package var grpcKeepaliveInterval = Duration.seconds(7_200)
    package var grpcKeepaliveTimeout = Duration.seconds(20)

    package static let watchProgressNotifyIntervalDefault = Duration.seconds(600)
    package static let watchProgressNotifyIntervalMin = Duration.milliseconds(100)
    package var watchProgressNotifyInterval = watchProgressNotifyIntervalDefault

    // Corruption (M6): all of it is off unless asked for.
    /// Compare with the others before clients are served.
    package var initialCorruptCheck = false
    /// How often the leader compares the members; zero: never.
    package var corruptCheckTime = Duration.zero
    package var runningHashCheckTime = Duration.seconds(5)
    /// Compare what compactions have left.
    package var compactHashCheck = false
    package static let compactHashCheckTimeDefault = Duration.seconds(60)
    package var compactHashCheckTime = compactHashCheckTimeDefault

    /// Whether others may listen on the same ports.
    package var socketReusePort = false

    // HTTP
    /// Ports for HTTP alone, besides the client ports.
    package var listenClientHTTPURLs: [ServerURL] = []
    package var enableGRPCGateway = true
    package var enableConsole = true
    /// Pages of which origins may ask (CORS).
    var cors = AccessRules.Allowed.everything
    /// The names that this server may be asked for by.
    var hostWhitelist = AccessRules.Allowed.everything
    /// Ports that serve metrics and health only.
    package var listenMetricsURLs: [ServerURL] = []
    package var metrics = MetricsKind.basic

    // Service discovery
    /// Where DNS is answered; nowhere if empty.
    var dnsListen: [HostAndPort] = []
    package var dnsDomain = ServiceConfigurationDefaults.dnsDomain
    package var dnsTTL = ServiceConfigurationDefaults.dnsTTL
    package var enableServiceChecks = false

    // Clustering
    package var initialAdvertisePeerURLs = [ServerURL(host: "localhost", port: 2380)]
    package var advertiseClientURLs = [ServerURL(host: "localhost", port: 2379)]
    package var initialClusterState = ClusterState.new
    package var initialCluster: InitialCluster
    package var preVote = true
    package var strictReconfigCheck = true
    package var maxLearners = 1

    // Joining and autopilot (decision 0021): both off unless asked for.
    /// Client ports of members, one of which is asked for a place; empty: this member does not join by itself.
    package var join: [ServerURL] = []
    package static let joinTimeoutDefault = Duration.seconds(300)
    package var joinTimeout = joinTimeoutDefault
    /// Stay a learner.
    package var joinLearner = false
    /// The member, by name or id, whose place this one takes.
    package var replaces: String?
    /// What of its addresses a member that joins was not told (``JoinAddresses``).
    var missingURLs: Set<AddressFlag> = []
    /// Whether the flags say where the others find this member; else they are silent of it.
    package var tellsPeerURLs = false
    /// `--initial-cluster-token`, where it was given and is not the default.
    package var givenClusterToken: String?
    /// How long a member has to be silent before the leader removes it; zero: it is named only.
    package var autopilotRemoveDeadAfter = Duration.zero
    /// How many voters have to be left after that.
    package var autopilotMinQuorum = 3

    /// Nil: only clients compact.
    var autoCompaction: AutoCompaction.Rule?

    // Logging
    package var logLevel = LogLevel.info
    package var logFormat = LogFormat.json
    package var logOutputs = [LogOutput.standardError]
    /// Riot's files expect theirs to be made (R25); a flag that names a directory which is not there is a mistake.
    var makesLogDirectory = false

    /// What is odd but not wrong; to be logged once the log is open.
    package var warnings: [String] = []

    /// This member in the initial cluster. Validation has found it there.
    package var ownMember: InitialCluster.Member { initialCluster.member(named: name)! }
}

/// The flags that say where a member listens and is found.
enum AddressFlag: String, CaseIterable, Sendable {
    case listenPeer = "listen-peer-urls"
    case listenClient = "listen-client-urls"
    case advertisePeer = "initial-advertise-peer-urls"
    case advertiseClient = "advertise-client-urls"
}

/// What the arguments of `martlet serve` ask for.
package enum ServerInvocation: Equatable, Sendable {
    case run(ServerConfiguration)
    /// Print this to standard output, and be done.
    case print(String)
}
