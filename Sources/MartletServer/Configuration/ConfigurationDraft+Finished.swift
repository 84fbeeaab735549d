extension ConfigurationDraft {
    /// The longest that a cluster may take to notice that its leader is gone.
    static let electionTimeoutMillisecondsMax = 50_000

    /// Fills in what depends on other flags, and checks what flags must have in common.
    consuming func finished() throws(ConfigurationError) -> ServerConfiguration {
        try checkTimes()
        try checkURLs()
        try checkJoining()
        configuration.autoCompaction = try AutoCompaction.Rule(
            autoCompactionMode, retention: autoCompactionRetention)
        if configuration.dataDirectory.isEmpty { configuration.dataDirectory = configuration.name + ".martlet" }
        let name = configuration.name
        let advertised = configuration.initialAdvertisePeerURLs
        guard let text = initialClusterText, !text.isEmpty else {
            configuration.initialCluster = try InitialCluster([(name, advertised)], token: initialClusterToken)
            return configuration
        }
        let cluster = try InitialCluster(parsing: text, token: initialClusterToken)
        guard let own = cluster.member(named: name) else {
            let names = cluster.members.map(\.name).sorted().joined(separator: ", ")
            throw ConfigurationError(
                "--initial-cluster has no member named \"\(name)\", only \(names); --name must be one of these")
        }
        guard Set(own.peerURLs) == Set(advertised) else {
            let listed = own.peerURLs.map(\.description).joined(separator: ",")
            throw ConfigurationError(
                "--initial-cluster has \(name) at \(listed), but --initial-advertise-peer-urls says "
                    + advertised.map(\.description).joined(separator: ",") + "; both must name the same URLs")
        }
        configuration.initialCluster = cluster
        return configuration
    }

    /// What joining by oneself decides, and what it goes without.
    private mutating func checkJoining() throws(ConfigurationError) {
        let dead = configuration.autopilotRemoveDeadAfter
        let least = Duration.milliseconds(10 * Int64(configuration.electionTimeoutMilliseconds))
        guard dead == .zero || dead >= least else {
            throw ConfigurationError(
                "--autopilot-remove-dead-after is \(GoDuration.text(dead)), in which a member that only restarts would "
                    + "be removed; use ten election timeouts at least, \(GoDuration.text(least))")
        }
        let none = ServerConfiguration(initialCluster: try InitialCluster([], token: ""))
        configuration.tellsPeerURLs =
            given.contains(AddressFlag.advertisePeer.rawValue)
            && configuration.initialAdvertisePeerURLs != none.initialAdvertisePeerURLs
        guard !configuration.join.isEmpty else {
            let unused = [
                ServerFlags.replaceName: configuration.replaces != none.replaces,
                ServerFlags.joinTimeoutName: configuration.joinTimeout != none.joinTimeout,
                ServerFlags.joinLearnerName: configuration.joinLearner,
            ].filter(\.value).keys.sorted().first
            if let unused {
                throw ConfigurationError("--\(unused) is for a member that joins; add --join host:port")
            }
            return
        }
        for flag in ["initial-cluster", "initial-cluster-state"] where given.contains(flag) {
            throw ConfigurationError(
                "--join finds the members of the cluster by itself; leave --\(flag) away, or, to join in etcd's way, "
                    + "leave --join away")
        }
        configuration.initialClusterState = .existing
        configuration.tellsPeerURLs = true
        configuration.missingURLs = Set(AddressFlag.allCases.filter { !given.contains($0.rawValue) })
    }

    private func checkTimes() throws(ConfigurationError) {
        let heartbeat = configuration.heartbeatIntervalMilliseconds
        let election = configuration.electionTimeoutMilliseconds
        guard election <= Self.electionTimeoutMillisecondsMax else {
            throw ConfigurationError(
                "--election-timeout is \(election) ms, which is too long; use at most "
                    + "\(Self.electionTimeoutMillisecondsMax)"
            )
        }
        guard election >= 5 * heartbeat else {
            throw ConfigurationError(
                "--election-timeout is \(election) ms and --heartbeat-interval \(heartbeat) ms; "
                    + "use an election timeout of at least five heartbeats, \(5 * heartbeat) ms")
        }
    }

    private func checkURLs() throws(ConfigurationError) {
        guard !given.contains("listen-client-urls") || given.contains("advertise-client-urls")
            || !configuration.join.isEmpty
        else {
            let listened = configuration.listenClientURLs.map(\.description).joined(separator: ",")
            throw ConfigurationError(
                "--listen-client-urls is given, so --advertise-client-urls is required: say where clients find this "
                    + "member, for example --advertise-client-urls \(listened)")
        }
        for url in configuration.listenClientURLs where url.port != 0 && configuration.listenPeerURLs.contains(url) {
            throw ConfigurationError(
                "--listen-client-urls and --listen-peer-urls both have \(url); clients and members need different ports"
            )
        }
        for (flag, urls) in [
            ("--advertise-client-urls", configuration.advertiseClientURLs),
            ("--initial-advertise-peer-urls", configuration.initialAdvertisePeerURLs),
        ] {
            for url in urls where ["0.0.0.0", "::"].contains(url.host) {
                throw ConfigurationError(
                    "\(flag) has \(url), where nobody can be reached; use an address of this machine that "
                        + "others can reach"
                )
            }
        }
    }
}
