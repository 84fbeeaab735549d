import Testing

@testable import MartletServer

@Suite struct JoiningFlagsTests {
    private func parse(
        _ arguments: [String], files: [String: String] = [:]
    ) throws(ConfigurationError) -> ServerConfiguration {
        let parser = ConfigurationParser(environment: [:]) { (path) throws(ConfigurationError) in
            guard let text = files[path] else { throw ConfigurationError("no \(path)") }
            return text
        }
        guard case .run(let configuration) = try parser.parse(arguments) else {
            throw ConfigurationError("something was printed instead")
        }
        return configuration
    }

    private func message(_ arguments: [String], files: [String: String] = [:]) -> String {
        do throws(ConfigurationError) {
            _ = try parse(arguments, files: files)
            return "no error"
        } catch {
            return error.message
        }
    }

    // MARK: Flags

    @Test func `--join is all that is needed`() throws {
        let configuration = try parse(["--name=n4", "--join=10.0.0.1:2379, http://10.0.0.2:2379"])
        #expect(configuration.join == ["10.0.0.1", "10.0.0.2"].map { ServerURL(host: $0, port: 2379) })
        #expect(configuration.initialClusterState == .existing)
        #expect(configuration.missingURLs == Set(AddressFlag.allCases))
        #expect(configuration.ownMember.name == "n4" && configuration.tellsPeerURLs)
        #expect(configuration.joinTimeout == .seconds(300) && !configuration.joinLearner)
        let told = try parse(["--join=h:1", "--listen-client-urls=http://127.0.0.1:7", "--replace=n2"])
        #expect(told.missingURLs == [.listenPeer, .advertisePeer, .advertiseClient] && told.replaces == "n2")
        let plain = try parse([])
        #expect(plain.join.isEmpty && plain.missingURLs.isEmpty && !plain.tellsPeerURLs)
        #expect(plain.autopilotRemoveDeadAfter == .zero && plain.autopilotMinQuorum == 3)
    }

    @Test func `flags that do not go together are refused`() {
        #expect(message(["--join=h"]).contains("write it as host:port"))
        #expect(message(["--join=h:1,h:1"]).contains("listed twice"))
        #expect(message(["--join=h:1", "--initial-cluster=a=http://b:1"]).contains("leave --initial-cluster away"))
        #expect(message(["--join=h:1", "--initial-cluster-state=new"]).contains("leave --initial-cluster-state away"))
        #expect(message(["--replace=m2"]).contains("--replace is for a member that joins"))
        #expect(message(["--join-timeout=0s", "--join=h:1"]).contains("is no time at all"))
        #expect(message(["--autopilot-remove-dead-after=9s"]).contains("ten election timeouts at least, 10s"))
        #expect(message(["--autopilot-min-quorum=0"]).contains("from 1 to 1000"))
    }

    @Test func `durations are told as Go tells them`() {
        for (text, seconds) in [("1h30m0s", 5_400.0), ("5m0s", 300), ("10s", 10), ("1.5s", 1.5), ("0s", 0)] {
            #expect(GoDuration.text(.milliseconds(Int64(seconds * 1_000))) == text)
        }
        #expect(GoDuration.text(.milliseconds(250)) == "250ms")
    }

    // MARK: TOML

    @Test func `a TOML file has the same keys as a YAML one`() throws {
        let toml = """
            # one member
            name = "t"
            heartbeat-interval = 50
            pre-vote = false
            log-outputs = ["stdout", "stderr"]
            [client-transport-security]
            auto-tls = false
            """
        let configuration = try parse(["--config-file=c.toml"], files: ["c.toml": toml])
        #expect(configuration.name == "t" && configuration.heartbeatIntervalMilliseconds == 50)
        #expect(!configuration.preVote && configuration.logOutputs == [.standardOutput, .standardError])
        let broken = message(["--config-file=c.toml"], files: ["c.toml": "name = \"a\"\nname = = 2\n"])
        #expect(broken.contains("c.toml is not TOML: line 2"))
        #expect(message(["--config-file=c.toml"], files: ["c.toml": "a = 1\0"]).contains("zero byte"))
        #expect(message(["--config-file=c.toml"], files: ["c.toml": "nme = \"a\""]).contains("did you mean name?"))
        #expect(message(["--config-file=c"], files: ["c": "just words"]).contains("ends in .toml"))
    }

    // MARK: Files of other systems

    private let nodes = """
        {"ID": "n2", "Nodes": [{"ID": "n1", "Endpoint": "10.0.0.1:3332"}, {"ID": "n2", "Endpoint": "10.0.0.2:3333"}],
         "data-dir": "/d"}
        """

    @Test func `a list of nodes is a cluster`() throws {
        let configuration = try parse(["--config-file=c.json"], files: ["c.json": nodes])
        #expect(configuration.name == "n2" && configuration.dataDirectory == "/d")
        #expect(configuration.listenPeerURLs == [ServerURL(host: "10.0.0.2", port: 3333)])
        #expect(configuration.initialCluster.members.map(\.name).sorted() == ["n1", "n2"])
        #expect(configuration.warnings.isEmpty)
        // A name is nothing to listen on.
        let named = nodes.replacing("10.0.0.2", with: "two.example")
        #expect(
            try parse(["--config-file=c.json"], files: ["c.json": named]).listenPeerURLs
                == [ServerURL(host: "0.0.0.0", port: 3333)])
        let joining = try parse(["--config-file=c.json", "--join=h:1"], files: ["c.json": nodes])
        #expect(joining.join.count == 1 && joining.initialCluster.members.map(\.name) == ["n2"])
        #expect(joining.warnings == ["--join is given, so Nodes in c.json says only where this member is"])
    }

    @Test func `a list of nodes that says nothing clear is refused`() {
        func read(_ text: String) -> String { message(["--config-file=c"], files: ["c": text]) }
        #expect(read(nodes.replacing("\"ID\": \"n2\", \"Nodes\"", with: "\"ID\": \"n7\", \"Nodes\""))
            .contains("Nodes has no such node, only n1, n2"))
        #expect(read(#"{"ID": "a", "Nodes": "b"}"#).contains("is not a list"))
        #expect(read(#"{"ID": "a", "Nodes": [{"ID": "a"}]}"#).contains("has an element that is not"))
        #expect(read(#"{"ID": "a", "Nodes": [{"ID": "a", "Endpoint": "nowhere"}]}"#).contains("write it as host:port"))
        #expect(read(#"{"id": "a", "nodes": [{"id": "a", "endpoint": "h:1"}], "more": 1}"#).contains("not a key"))
    }

    private let riot = """
        [server]
        addr = "localhost"
        port = "8080"
        [server_monitor]
        addr = "127.0.0.1"
        port = 3780
        [raft]
        addr = "127.0.0.1"
        port = "12000"
        peers = ["127.0.0.1:12000"]
        peer_storage = "raft0/raft_peer_storage"
        snapshot_storage = "raft0/raft_snapshot_storage"
        store_backend = "leveldb"
        storage_backend_path = "raft0/storage_backend_path"
        raft_log_path = "raft0/raft_log_path"
        apply_log_path = "raft0/apply_log_path"
        enable_single_node = true
        [rpc]
        addr = "127.0.0.1"
        port = "32123"
        [log]
        log_dir = "raft0/log"
        log_name = "riot.log"
        log_level = "INFO"
        """

    @Test func `Riot's file is a member`() throws {
        let configuration = try parse(["--config-file=c.toml"], files: ["c.toml": riot])
        #expect(configuration.name == "127.0.0.1:12000")
        #expect(configuration.listenPeerURLs == [ServerURL(host: "127.0.0.1", port: 12_000)])
        #expect(
            configuration.listenClientURLs
                == [ServerURL(host: "localhost", port: 8_080), ServerURL(host: "127.0.0.1", port: 32_123)])
        #expect(configuration.advertiseClientURLs == configuration.listenClientURLs)
        #expect(configuration.listenMetricsURLs == [ServerURL(host: "127.0.0.1", port: 3_780)])
        #expect(configuration.dataDirectory == "raft0/storage_backend_path")
        #expect(configuration.walDirectory == "raft0/raft_log_path")
        #expect(configuration.logOutputs == [.file(path: "raft0/log/riot.log")] && configuration.makesLogDirectory)
        #expect(configuration.initialCluster.members.count == 1)
        #expect(configuration.warnings.count == 4)
        #expect(configuration.warnings[0].contains("the engine is LMDB"))
    }

    @Test func `Riot's file joins, and says what is wrong with it`() throws {
        let three = riot.replacing("[\"127.0.0.1:12000\"]", with: "[\"127.0.0.1:12000\", \"127.0.0.1:12001\"]")
        #expect(try parse(["--config-file=c.toml"], files: ["c.toml": three]).initialCluster.members.count == 2)
        let joining = try parse(["--config-file=c.toml", "--join", "127.0.0.1:8081"], files: ["c.toml": three])
        #expect(joining.initialCluster.members.count == 1 && joining.join.count == 1)
        func read(_ old: String, _ new: String) -> String {
            message(["--config-file=c.toml"], files: ["c.toml": riot.replacing(old, with: new)])
        }
        #expect(read("[\"127.0.0.1:12000\"]", "[\"127.0.0.1:1\"]").contains("does not have this member"))
        #expect(read("\"leveldb\"", "\"papyrus\"").contains("is none of leveldb, boltdb, bitcask"))
        #expect(read("peer_storage", "pear_storage").contains("raft.pear_storage in c.toml is not a key"))
        let harbour = "[rpc]\naddr = \"127.0.0.1\"\nharbour"
        #expect(read("[rpc]\naddr = \"127.0.0.1\"\nport", harbour).contains("rpc.harbour"))
        #expect(read("port = \"12000\"", "").contains("one of addr and port"))
        #expect(read("port = \"8080\"", "port = \"x\"").contains("server in c.toml"))
        #expect(read("true", "\"maybe\"").contains("neither true nor false"))
    }
}
