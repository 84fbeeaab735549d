import Yams

/// Riot's TOML (R20 to R25): sections of addresses and ports, and paths for each of its stores. What becomes of each is
/// in the table of Documentation/joining.md.
enum RiotFile {
    /// What has no meaning here, and why.
    private static let ignored: [String: String] = [
        "raft.peer_storage": "the members are in the state",
        "raft.snapshot_storage": "the engine is the snapshot",
        "raft.apply_log_path": "what was applied is in the state",
    ]
    private static let backends = ["leveldb", "boltdb", "bitcask"]

    private struct Section {
        let name: String
        let path: String
        var mapping: Node.Mapping

        mutating func take(_ key: String) throws(ConfigurationError) -> String? {
            guard let node = ConfigurationFile.take(key, from: &mapping) else { return nil }
            guard let text = ConfigurationFile.scalar(node) else {
                throw ConfigurationError("\(name).\(key) in \(path) is more than a word")
            }
            return text.isEmpty ? nil : text
        }

        mutating func takeList(_ key: String) throws(ConfigurationError) -> [String] {
            guard let node = ConfigurationFile.take(key, from: &mapping) else { return [] }
            guard case .sequence(let items) = node else {
                throw ConfigurationError("\(name).\(key) in \(path) is not a list")
            }
            return items.compactMap(ConfigurationFile.scalar)
        }

        /// `addr` and `port`; nil where neither is there.
        mutating func takeAddress() throws(ConfigurationError) -> ServerURL? {
            let (host, port) = (try take("addr"), try take("port"))
            if host == nil, port == nil { return nil }
            guard let host, let port else {
                throw ConfigurationError("\(name) in \(path) has one of addr and port; both are needed")
            }
            let text = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
            return try ConfigurationFile.url(text, "\(name) in \(path)")
        }

        func finish() throws(ConfigurationError) {
            guard let key = mapping.keys.first?.string else { return }
            throw ConfigurationError("\(name).\(key) in \(path) is not a key that is known")
        }
    }

    static func translate(
        _ mapping: inout Node.Mapping, _ path: String, joins: Bool
    ) throws(ConfigurationError) -> ConfigurationFile.Translation? {
        guard let raftNode = mapping["raft"], case .mapping(let raftMapping) = raftNode else { return nil }
        _ = ConfigurationFile.take("raft", from: &mapping)
        func section(_ name: String) throws(ConfigurationError) -> Section {
            guard let node = ConfigurationFile.take(name, from: &mapping) else {
                return Section(name: name, path: path, mapping: Node.Mapping([]))
            }
            guard case .mapping(let keys) = node else {
                throw ConfigurationError("\(name) in \(path) is not a section of keys and values")
            }
            return Section(name: name, path: path, mapping: keys)
        }
        var translation = ConfigurationFile.Translation()
        func set(_ flag: String, _ text: String, _ key: String) {
            translation.settings[flag] = .init(text: text, source: "\(key) in \(path)")
        }

        var raft = Section(name: "raft", path: path, mapping: raftMapping)
        guard let own = try raft.takeAddress() else {
            throw ConfigurationError("raft in \(path) has no addr and port, which say where this member is")
        }
        set("name", own.hostAndPort, "raft.addr")
        set("listen-peer-urls", ConfigurationFile.listenURL(own).description, "raft.addr")
        set("initial-advertise-peer-urls", own.description, "raft.addr")

        let peers = try raft.takeList("peers")
        let single = try raft.take("enable_single_node").map(FlagText.boolean) ?? false
        if joins {
            if !peers.isEmpty {
                translation.warnings.append("--join is given, so raft.peers in \(path) is ignored: the cluster tells")
            }
        } else {
            var urls: [ServerURL] = []
            for peer in peers { urls.append(try ConfigurationFile.url(peer, "raft.peers in \(path)")) }
            if urls.isEmpty, single { urls = [own] }
            guard urls.contains(own) else {
                throw ConfigurationError(
                    "raft.peers in \(path) does not have this member, \(own.hostAndPort); list it, or give --join "
                        + "host:port to join a cluster that runs, or enable_single_node = true to begin alone")
            }
            set("initial-cluster", urls.map { "\($0.hostAndPort)=\($0)" }.joined(separator: ","), "raft.peers")
        }

        if let backend = try raft.take("store_backend") {
            guard backends.contains(backend) else {
                throw ConfigurationError(
                    "raft.store_backend in \(path) is \"\(backend)\", which is none of "
                        + backends.joined(separator: ", "))
            }
            translation.warnings.append("raft.store_backend in \(path) has no effect here: the engine is LMDB")
        }
        if let directory = try raft.take("storage_backend_path") {
            set("data-dir", directory, "raft.storage_backend_path")
        }
        if let directory = try raft.take("raft_log_path") { set("wal-dir", directory, "raft.raft_log_path") }
        for (key, reason) in ignored.sorted(by: { $0.key < $1.key }) {
            guard try raft.take(String(key.dropFirst("raft.".count))) != nil else { continue }
            translation.warnings.append("\(key) in \(path) has no effect here: \(reason)")
        }
        try raft.finish()

        var clients: [ServerURL] = []
        var server = try section("server")
        if let url = try server.takeAddress() { clients.append(url) }
        try server.finish()
        var rpc = try section("rpc")
        // Riot takes raft's address in any case.
        _ = try rpc.take("addr")
        if let port = try rpc.take("port") {
            let url = try ConfigurationFile.url(ServerURL(host: own.host, port: 0).hostAndPort.dropLast() + port, "rpc")
            if !clients.contains(url) { clients.append(url) }
        }
        try rpc.finish()
        if !clients.isEmpty {
            let listened = clients.map { ConfigurationFile.listenURL($0).description }.joined(separator: ",")
            // Nobody can be found at every address.
            let found = clients.map {
                ["0.0.0.0", "::"].contains($0.host) ? ServerURL(host: own.host, port: $0.port) : $0
            }
            set("listen-client-urls", listened, "server")
            set("advertise-client-urls", found.map(\.description).joined(separator: ","), "server")
        }
        var monitor = try section("server_monitor")
        if let url = try monitor.takeAddress() {
            set("listen-metrics-urls", ConfigurationFile.listenURL(url).description, "server_monitor")
        }
        try monitor.finish()
        var log = try section("log")
        let (directory, file, level) = (try log.take("log_dir"), try log.take("log_name"), try log.take("log_level"))
        if directory != nil || file != nil {
            translation.makesLogDirectory = true
            set("log-outputs", (directory.map { $0 + "/" } ?? "") + (file ?? "martlet.log"), "log")
        }
        if let level { set("log-level", level.lowercased(), "log.log_level") }
        try log.finish()
        return translation
    }
}
