/// The table of all flags. Parsing, environment, files, help and documentation are made from it.
enum ServerFlags {
    static let all: [ServerFlag] =
        member + storage + clustering + logging + file + security + auth + monitoring + tracing + features + corruption
        + joining + services
    static let byName: [String: ServerFlag] = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })

    static func flag(
        _ name: String, _ group: ServerFlag.Group, _ kind: ServerFlag.Kind, default defaultText: String, _ help: String,
        _ set: @escaping @Sendable (inout ConfigurationDraft, String) throws(ConfigurationError) -> Void
    ) -> ServerFlag {
        ServerFlag(name: name, group: group, kind: kind, defaultText: defaultText, help: help, effect: .set(set))
    }

    /// A flag that changes nothing here.
    private static func unset(
        _ name: String, _ group: ServerFlag.Group, _ defaultText: String, _ boolean: Bool, _ effect: ServerFlag.Effect
    ) -> ServerFlag {
        ServerFlag(
            name: name, group: group, kind: boolean ? .boolean : .value("value"),
            defaultText: boolean && defaultText.isEmpty ? "false" : defaultText, help: "", effect: effect)
    }

    private static func notYet(
        _ name: String, _ group: ServerFlag.Group, default defaultText: String = "", boolean: Bool = false,
        _ reason: String
    ) -> ServerFlag {
        unset(name, group, defaultText, boolean, .notYet(reason))
    }

    private static func refused(
        _ name: String, _ group: ServerFlag.Group, default defaultText: String = "", boolean: Bool = false,
        _ advice: String
    ) -> ServerFlag {
        unset(name, group, defaultText, boolean, .refused(advice))
    }

    private static func ignored(
        _ name: String, _ group: ServerFlag.Group, default defaultText: String = "", boolean: Bool = false,
        _ reason: String
    ) -> ServerFlag {
        unset(name, group, defaultText, boolean, .ignored(reason))
    }

    // MARK: What there is

    static let member: [ServerFlag] = [
        flag("name", .member, .value("name"), default: "default", "The name of this member; --initial-cluster uses it.")
        {
            (draft, text) throws(ConfigurationError) in
            guard !text.isEmpty else { throw ConfigurationError("a member needs a name that is not empty") }
            guard !text.contains(where: { $0 == "," || $0 == "=" }) else {
                throw ConfigurationError(
                    "\"\(text)\" has a comma or an equals sign, which --initial-cluster could not hold")
            }
            draft.configuration.name = text
        },
        flag(
            "data-dir", .member, .value("path"), default: "${name}.martlet",
            "The directory that holds everything this member keeps. It is made where there is none."
        ) { (draft, text) throws(ConfigurationError) in
            guard !text.isEmpty else { throw ConfigurationError("the path is empty; name a directory") }
            draft.configuration.dataDirectory = text
        },
        flag(
            "wal-dir", .member, .value("path"), default: "",
            "A directory of its own for the log, best on a disk of its own. Empty: inside the data directory."
        ) { (draft, text) throws(ConfigurationError) in
            draft.configuration.walDirectory = text.isEmpty ? nil : text
        },
        flag(
            "listen-client-urls", .member, .value("urls"), default: "http://localhost:2379",
            "Where clients are listened to: http://address:port, several with commas between them."
        ) { (draft, text) throws(ConfigurationError) in
            draft.configuration.listenClientURLs = try FlagText.listenURLs(text)
        },
        flag(
            "listen-peer-urls", .member, .value("urls"), default: "http://localhost:2380",
            "Where other members are listened to: http://address:port, several with commas between them."
        ) { (draft, text) throws(ConfigurationError) in
            draft.configuration.listenPeerURLs = try FlagText.listenURLs(text)
        },
        flag(
            "heartbeat-interval", .member, .value("ms"), default: "100",
            "Milliseconds between two heartbeats of the leader; about one round trip between the members."
        ) { (draft, text) throws(ConfigurationError) in
            draft.configuration.heartbeatIntervalMilliseconds = try FlagText.integer(text, 1...50_000)
        },
        flag(
            "election-timeout", .member, .value("ms"), default: "1000",
            "Milliseconds without a heartbeat after which a new leader is elected: at least five heartbeats, at "
                + "most 50000."
        ) { (draft, text) throws(ConfigurationError) in
            draft.configuration.electionTimeoutMilliseconds = try FlagText.integer(text, 1...Int.max)
        },
        flag(
            "snapshot-count", .member, .value("number"), default: "10000",
            "How many entries of the log are kept, at least, for members that are behind."
        ) { (draft, text) throws(ConfigurationError) in
            draft.configuration.snapshotCount = try FlagText.integer(text, 1...UInt64.max)
        },
        flag(
            "quota-backend-bytes", .member, .value("bytes"), default: "0",
            "The size at which the alarm NOSPACE is raised, and writes are refused with \"database space exceeded\". "
                + "0: 2147483648; below 0: none."
        ) { (draft, text) throws(ConfigurationError) in
            draft.configuration.quotaBackendBytes = try FlagText.integer(text, Int64.min...Int64.max)
        },
        flag("max-txn-ops", .member, .value("number"), default: "128", "How many operations a transaction may have.") {
            (draft, text) throws(ConfigurationError) in
            draft.configuration.maxTxnOps = try FlagText.integer(text, 1...100_000)
        },
        flag(
            "max-request-bytes", .member, .value("bytes"), default: "1572864",
            "How large a client's request may be. At most 62914560."
        ) { (draft, text) throws(ConfigurationError) in
            draft.configuration.maxRequestBytes = try FlagText.integer(text, 1...maxRequestBytesMax)
        },
        flag(
            "max-concurrent-streams", .member, .value("number"), default: "4294967295",
            "How many calls and watches one client connection may have open."
        ) { (draft, text) throws(ConfigurationError) in
            draft.configuration.maxConcurrentStreams = try FlagText.integer(text, 1...UInt32.max)
        },
        flag(
            "grpc-keepalive-min-time", .member, .duration, default: "5s",
            "How often, at most, a client may ping."
        ) { (draft, text) throws(ConfigurationError) in
            draft.configuration.grpcKeepaliveMinTime = try FlagText.duration(text)
        },
        flag(
            "grpc-keepalive-interval", .member, .duration, default: "2h",
            "After how much silence the server pings a client. 0 switches it off."
        ) { (draft, text) throws(ConfigurationError) in
            draft.configuration.grpcKeepaliveInterval = try FlagText.duration(text)
        },
        flag(
            "grpc-keepalive-timeout", .member, .duration, default: "20s",
            "How long the server waits for the answer to its ping before it closes the connection."
        ) { (draft, text) throws(ConfigurationError) in
            draft.configuration.grpcKeepaliveTimeout = try FlagText.duration(text)
        },
    ]

    /// A request is held in memory, replicated and logged as one piece.
    // A request becomes one record of the log and one frame between members; both hold 64 MiB.
    static let maxRequestBytesMax = 60 << 20

    /// Each learner is sent everything, by the leader.
    static let learnersMax = 100

    static let clustering: [ServerFlag] = [
        flag(
            "initial-cluster", .clustering, .value("members"), default: "${name}=${initial-advertise-peer-urls}",
            "The members that the cluster starts with: name=http://host:port for each, with commas between them."
        ) { (draft, text) throws(ConfigurationError) in
            draft.initialClusterText = text
        },
        flag(
            "initial-cluster-state", .clustering, .value("state"), default: "new",
            "new: the cluster is made now. existing: this member was added to a cluster that runs."
        ) { (draft, text) throws(ConfigurationError) in
            draft.configuration.initialClusterState = try FlagText.oneOf(text, ServerConfiguration.ClusterState.self)
        },
        flag(
            "initial-cluster-token", .clustering, .value("text"), default: "etcd-cluster",
            "A name for the cluster, the same for all its members; it keeps clusters with the same addresses apart."
        ) { (draft, text) throws(ConfigurationError) in
            draft.initialClusterToken = text
            // etcd's own says nothing of which cluster is meant.
            draft.configuration.givenClusterToken = text == ConfigurationDraft.clusterTokenDefault ? nil : text
        },
        flag(
            "initial-advertise-peer-urls", .clustering, .value("urls"), default: "http://localhost:2380",
            "Where other members find this one."
        ) { (draft, text) throws(ConfigurationError) in
            draft.configuration.initialAdvertisePeerURLs = try ServerURL.list(parsing: text)
        },
        flag(
            "advertise-client-urls", .clustering, .value("urls"), default: "http://localhost:2379",
            "Where clients find this member. Required where --listen-client-urls is given."
        ) { (draft, text) throws(ConfigurationError) in
            draft.configuration.advertiseClientURLs = try ServerURL.list(parsing: text)
        },
        flag(
            "pre-vote", .clustering, .boolean, default: "true",
            "Ask whether an election could be won before it is held, so that a member that comes back disturbs nobody."
        ) { (draft, text) throws(ConfigurationError) in
            draft.configuration.preVote = try FlagText.boolean(text)
        },
        flag(
            "strict-reconfig-check", .clustering, .boolean, default: "true",
            "Refuse changes of the members that could leave the cluster without a majority that answers."
        ) { (draft, text) throws(ConfigurationError) in
            draft.configuration.strictReconfigCheck = try FlagText.boolean(text)
        },
        flag(
            "max-learners", .clustering, .value("number"), default: "1",
            "How many learners there may be at a time. The same on all members."
        ) { (draft, text) throws(ConfigurationError) in
            draft.configuration.maxLearners = try FlagText.integer(text, 1...learnersMax)
        },
        flag(
            "auto-compaction-mode", .clustering, .value("mode"), default: "periodic",
            "What --auto-compaction-retention counts. periodic: time. revision: revisions."
        ) { (draft, text) throws(ConfigurationError) in
            draft.autoCompactionMode = try FlagText.oneOf(text, AutoCompaction.Mode.self)
        },
        flag(
            "auto-compaction-retention", .clustering, .value("length"), default: "0",
            "How much history the leader keeps when it compacts by itself: hours, or a duration such as 30m; with mode "
                + "revision, a number of revisions. 0: it does not."
        ) { (draft, text) throws(ConfigurationError) in
            draft.autoCompactionRetention = text
        },
    ]

    static let logging: [ServerFlag] = [
        flag(
            "logger", .logging, .value("name"), default: "zap", "Taken for etcd's sake; zap is the only name it knows."
        ) {
            (_, text) throws(ConfigurationError) in
            guard text == "zap" else { throw ConfigurationError("\"\(text)\" is not known; leave it out or use zap") }
        },
        flag(
            "log-level", .logging, .value("level"), default: "info", "debug, info, warn, error, dpanic, panic or fatal."
        ) {
            (draft, text) throws(ConfigurationError) in
            draft.configuration.logLevel = try FlagText.oneOf(text, ServerConfiguration.LogLevel.self)
        },
        flag("log-format", .logging, .value("format"), default: "json", "json or console.") {
            (draft, text) throws(ConfigurationError) in
            draft.configuration.logFormat = try FlagText.oneOf(text, ServerConfiguration.LogFormat.self)
        },
        flag(
            "log-outputs", .logging, .value("outputs"), default: "default",
            "default (which is stderr), stdout, stderr or the path of a file; several with commas between them."
        ) { (draft, text) throws(ConfigurationError) in
            draft.configuration.logOutputs = try FlagText.logOutputs(text)
        },
    ]

    static let file: [ServerFlag] = [
        flag(
            configFileName, .file, .value("path"), default: "",
            "A YAML, JSON or TOML file with these flags as its keys, or a cluster file of another system. All other "
                + "flags and the environment are then ignored, but for --join and what goes with it."
        ) { (_, _) throws(ConfigurationError) in
            // The parser reads it before anything else is set.
        }
    ]
    static let configFileName = "config-file"

    // MARK: What etcd has besides

    private static let tls = "TLS"
    static let security: [ServerFlag] = [
        notYet("cert-file", .security, tls), notYet("key-file", .security, tls),
        notYet("client-cert-auth", .security, boolean: true, tls), notYet("client-cert-file", .security, tls),
        notYet("client-key-file", .security, tls), notYet("client-crl-file", .security, tls),
        notYet("client-cert-allowed-hostname", .security, tls), notYet("trusted-ca-file", .security, tls),
        notYet("auto-tls", .security, boolean: true, tls), notYet("peer-cert-file", .security, tls),
        notYet("peer-key-file", .security, tls), notYet("peer-client-cert-auth", .security, boolean: true, tls),
        notYet("peer-client-cert-file", .security, tls), notYet("peer-client-key-file", .security, tls),
        notYet("peer-trusted-ca-file", .security, tls), notYet("peer-cert-allowed-cn", .security, tls),
        notYet("peer-cert-allowed-hostname", .security, tls), notYet("peer-auto-tls", .security, boolean: true, tls),
        notYet("self-signed-cert-validity", .security, default: "1", tls), notYet("peer-crl-file", .security, tls),
        notYet("cipher-suites", .security, tls), notYet("tls-min-version", .security, default: "TLS1.2", tls),
        notYet("tls-max-version", .security, tls),
        flag(
            "cors", .security, .value("origins"), default: "*",
            "Pages of which origins may send requests (CORS): http://host:port, several with commas between them; "
                + "* is any."
        ) { (draft, text) throws(ConfigurationError) in
            draft.configuration.cors = try FlagText.origins(text)
        },
        flag(
            "host-whitelist", .security, .value("names"), default: "*",
            "The host names that requests over HTTP may ask for, with commas between them; * is any. Against pages "
                + "that abuse a name they do not own."
        ) { (draft, text) throws(ConfigurationError) in
            draft.configuration.hostWhitelist = FlagText.names(text)
        },
        notYet("peer-skip-client-san-verification", .security, boolean: true, tls),
    ]

    static let auth: [ServerFlag] = [
        notYet("auth-token", .auth, default: "simple", "another kind of token than simple"),
        notYet("bcrypt-cost", .auth, default: "10", "another cost of password hashing"),
        notYet("auth-token-ttl", .auth, default: "300", "another life time of tokens"),
    ]

    static let monitoring: [ServerFlag] = [
        ignored(
            "enable-pprof", .monitoring, boolean: true,
            "there is no Go runtime to profile; the system's own tools, perf for one, see this process"),
        flag(
            "metrics", .monitoring, .value("kind"), default: "basic",
            "basic, or extensive: with a histogram of how long each method's calls take."
        ) { (draft, text) throws(ConfigurationError) in
            draft.configuration.metrics = try FlagText.oneOf(text, ServerConfiguration.MetricsKind.self)
        },
        flag(
            "listen-metrics-urls", .monitoring, .value("urls"), default: "",
            "Where /metrics, /health, /livez and /readyz are served besides the client port: http://address:port, "
                + "several with commas between them."
        ) { (draft, text) throws(ConfigurationError) in
            draft.configuration.listenMetricsURLs = text.isEmpty ? [] : try FlagText.listenURLs(text)
        },
        refused(
            "enable-log-rotation", .logging, boolean: true,
            "the log would grow, for it is not rotated here; let logrotate (with copytruncate) or journald do it"),
        ignored(
            "log-rotation-config-json", .logging,
            default: #"{"maxsize": 100, "maxage": 0, "maxbackups": 0, "localtime": false, "compress": false}"#,
            "the log is not rotated here; logrotate (with copytruncate) or journald can do it"),
        ignored("warning-unary-request-duration", .logging, default: "300ms", slowness),
    ]

    private static let slowness = "slow requests are not logged; --metrics extensive counts how long they take"
    private static let traces = "no traces are sent yet"
    static let tracing: [ServerFlag] = [
        ignored("enable-distributed-tracing", .tracing, boolean: true, traces),
        ignored("distributed-tracing-address", .tracing, default: "localhost:4317", traces),
        ignored("distributed-tracing-service-name", .tracing, default: "etcd", traces),
        ignored("distributed-tracing-instance-id", .tracing, traces),
        ignored("distributed-tracing-sampling-rate", .tracing, default: "0", traces),
    ]

    private static let compactionSteps = "compaction goes in small steps between other work, and holds nobody up"
    private static let bolt = "it tunes bbolt, which is not the engine here"
    private static let peerTimes = "a connection between members on which nothing comes for 5 s is closed in any case"
    private static let discovery = "discovery; list the members in --initial-cluster"
    static let features: [ServerFlag] = [
        ignored(
            "initial-election-tick-advance", .member, default: "true", boolean: true,
            "ticks are never advanced here: a start waits for a leader as long as any election does"),
        flag(
            "listen-client-http-urls", .member, .value("urls"), default: "",
            "Ports for HTTP alone, besides the client ports, which serve HTTP all the same: http://address:port, "
                + "several with commas between them."
        ) { (draft, text) throws(ConfigurationError) in
            draft.configuration.listenClientHTTPURLs = text.isEmpty ? [] : try FlagText.listenURLs(text)
        },
        ignored("max-snapshots", .member, default: "5", "the engine is the snapshot, and there is one of it"),
        ignored("max-wals", .member, default: "5", "--snapshot-count says how much of the log is kept"),
        refused(
            "memory-mlock", .member, boolean: true,
            "memory is not locked here; run the member without swap (systemd: MemorySwapMax=0)"),
        ignored("backend-bbolt-freelist-type", .member, default: "map", bolt),
        ignored("backend-batch-interval", .member, default: "0s", bolt),
        ignored("backend-batch-limit", .member, default: "0", bolt),
        flag(
            "socket-reuse-port", .member, .boolean, default: "false",
            "Let another process listen on the same ports (SO_REUSEPORT): the system deals connections out to both."
        ) { (draft, text) throws(ConfigurationError) in
            draft.configuration.socketReusePort = try FlagText.boolean(text)
        },
        flag(
            "socket-reuse-address", .member, .boolean, default: "false",
            "Taken for etcd's sake: a port whose last connections linger can always be used again."
        ) { (_, text) throws(ConfigurationError) in _ = try FlagText.boolean(text) },
        flag(
            "enable-grpc-gateway", .member, .boolean, default: "true",
            "Serve the JSON gateway, /v3/..., on the client ports."
        ) { (draft, text) throws(ConfigurationError) in
            draft.configuration.enableGRPCGateway = try FlagText.boolean(text)
        },
        flag(
            "enable-console", .member, .boolean, default: "true",
            "Serve the console, /console, on the client ports: pages for a browser. It can do what the gateway can, "
                + "and no more."
        ) { (draft, text) throws(ConfigurationError) in
            draft.configuration.enableConsole = try FlagText.boolean(text)
        },
        ignored("raft-read-timeout", .member, default: "5s", peerTimes),
        ignored("raft-write-timeout", .member, default: "5s", peerTimes),
        notYet("discovery", .clustering, discovery), notYet("discovery-token", .clustering, discovery),
        notYet("discovery-endpoints", .clustering, discovery),
        notYet("discovery-dial-timeout", .clustering, default: "2s", discovery),
        notYet("discovery-request-timeout", .clustering, default: "5s", discovery),
        notYet("discovery-keepalive-time", .clustering, default: "2s", discovery),
        notYet("discovery-keepalive-timeout", .clustering, default: "6s", discovery),
        notYet("discovery-insecure-transport", .clustering, default: "true", boolean: true, discovery),
        notYet("discovery-insecure-skip-tls-verify", .clustering, boolean: true, discovery),
        notYet("discovery-cert", .clustering, discovery), notYet("discovery-key", .clustering, discovery),
        notYet("discovery-cacert", .clustering, discovery), notYet("discovery-user", .clustering, discovery),
        notYet("discovery-password", .clustering, discovery),
        notYet("discovery-fallback", .clustering, default: "exit", discovery),
        notYet("discovery-proxy", .clustering, discovery), notYet("discovery-srv", .clustering, discovery),
        notYet("discovery-srv-name", .clustering, discovery),
        flag(
            "v2-deprecation", .clustering, .value("phase"), default: "write-only",
            "Taken for etcd's sake: there is no v2 API. not-yet, write-only, write-only-drop-data or gone."
        ) { (_, text) throws(ConfigurationError) in
            guard ["not-yet", "write-only", "write-only-drop-data", "gone"].contains(text) else {
                throw ConfigurationError(
                    "\"\(text)\" is not one of not-yet, write-only, write-only-drop-data and gone")
            }
        },
        ignored("compaction-batch-limit", .features, default: "1000", compactionSteps),
        ignored("compaction-sleep-interval", .features, default: "10ms", compactionSteps),
        flag(
            "watch-progress-notify-interval", .features, .duration, default: "10m",
            "After how long a watch that asked for it is told that nothing happened. At least 100ms."
        ) { (draft, text) throws(ConfigurationError) in
            let interval = try FlagText.duration(text)
            // As etcd has it: none is the default, too short a one the shortest.
            draft.configuration.watchProgressNotifyInterval =
                interval <= .zero
                ? ServerConfiguration.watchProgressNotifyIntervalDefault
                : max(interval, ServerConfiguration.watchProgressNotifyIntervalMin)
        },
        ignored("warning-apply-duration", .features, default: "100ms", slowness),
        ignored(
            "bootstrap-defrag-threshold-megabytes", .features, default: "0",
            "there is nothing to defragment: the engine uses freed space again"),
        ignored("downgrade-check-time", .features, default: "5s", "nothing happens by itself in a downgrade here"),
        flag(
            "snapshot-catchup-entries", .features, .value("number"), default: "5000",
            "How many applied entries the log keeps when it is cut, for members that are a little behind."
        ) { (draft, text) throws(ConfigurationError) in
            draft.configuration.snapshotCatchUpEntries = try FlagText.integer(text, 1...UInt64.max / 4)
        },
        refused(
            "force-new-cluster", .unsafe, boolean: true,
            "no cluster is made anew in place; save a snapshot of the member that is left, which it gives without a "
                + "leader too (martlet snapshot save), and make a cluster of it (martlet snapshot restore)"),
        ignored("unsafe-no-fsync", .unsafe, boolean: true, "writes are synchronized all the same"),
    ]
}
