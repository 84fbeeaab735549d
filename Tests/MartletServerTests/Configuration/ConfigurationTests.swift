import RaftCore
import Testing

@testable import MartletServer

/// Reads arguments with no environment and no files unless the test gives them.
private func parse(
    _ arguments: [String], environment: [String: String] = [:], files: [String: String] = [:]
) throws(ConfigurationError) -> ServerConfiguration {
    let parser = ConfigurationParser(environment: environment) { (path) throws(ConfigurationError) in
        guard let text = files[path] else { throw ConfigurationError("--config-file: \(path) cannot be read") }
        return text
    }
    guard case .run(let configuration) = try parser.parse(arguments) else {
        throw ConfigurationError("something was printed instead")
    }
    return configuration
}

private func message(
    _ arguments: [String], environment: [String: String] = [:], files: [String: String] = [:]
) -> String {
    do throws(ConfigurationError) {
        _ = try parse(arguments, environment: environment, files: files)
        return "no error"
    } catch {
        return error.message
    }
}

struct ConfigurationSourcesTests {
    @Test func `without anything, etcd's defaults hold`() throws {
        let configuration = try parse([])
        #expect(configuration.name == "default")
        #expect(configuration.dataDirectory == "default.martlet")
        #expect(configuration.walDirectory == nil)
        #expect(configuration.listenClientURLs == [ServerURL(host: "localhost", port: 2379)])
        #expect(configuration.listenPeerURLs == [ServerURL(host: "localhost", port: 2380)])
        #expect(configuration.heartbeatIntervalMilliseconds == 100)
        #expect(configuration.electionTimeoutMilliseconds == 1_000)
        #expect(configuration.strictReconfigCheck)
        #expect(configuration.maxLearners == 1)
        #expect(configuration.snapshotCount == 10_000)
        #expect(configuration.maxRequestBytes == 1_572_864)
        #expect(configuration.maxTxnOps == 128)
        #expect(configuration.maxConcurrentStreams == .max)
        #expect(configuration.grpcKeepaliveInterval == .seconds(7_200))
        #expect(configuration.watchProgressNotifyInterval == .seconds(600))
        #expect(configuration.preVote)
        #expect(configuration.initialClusterState == .new)
        #expect(configuration.logOutputs == [.standardError])
        #expect(configuration.ownMember.peerURLs == [ServerURL(host: "localhost", port: 2380)])
        #expect(configuration.warnings == [])
    }

    @Test(arguments: [
        ("5s", Duration.seconds(5)), ("1ms", .milliseconds(100)), ("0s", .seconds(600)),
    ])
    func `the interval of watch progress is at least etcd's, and none is the default`(
        text: String, expected: Duration
    ) throws {
        #expect(
            try parse(["--watch-progress-notify-interval", text]).watchProgressNotifyInterval == expected)
    }

    @Test(arguments: [
        ["--name", "a"], ["--name=a"], ["-name", "a"], ["-name=a"], ["--name", "b", "--name", "a"],
    ])
    func `a flag has one dash or two, and its value behind a blank or an equals sign; the last one counts`(
        arguments: [String]
    ) throws {
        #expect(try parse(arguments).name == "a")
    }

    @Test(arguments: [
        (["--pre-vote"], true), (["--pre-vote=true"], true), (["--pre-vote=false"], false), (["-pre-vote=F"], false),
        (["--pre-vote=0"], false), ([], true),
    ])
    func `a boolean stands alone for true, or has Go's spellings behind an equals sign`(
        arguments: [String], expected: Bool
    ) throws {
        #expect(try parse(arguments).preVote == expected)
    }

    @Test func `every flag that is available is taken`() throws {
        let configuration = try parse([
            "--name", "a", "--data-dir", "/d", "--wal-dir", "/w", "--listen-client-urls",
            "http://0.0.0.0:2379,http://[::1]:2379", "--advertise-client-urls", "http://node-a:2379",
            "--listen-peer-urls", "http://10.0.0.1:2380", "--initial-advertise-peer-urls", "http://10.0.0.1:2380",
            "--initial-cluster", "a=http://10.0.0.1:2380,b=http://10.0.0.2:2380", "--initial-cluster-state", "existing",
            "--initial-cluster-token", "t", "--heartbeat-interval", "50", "--election-timeout", "500",
            "--snapshot-count", "7", "--quota-backend-bytes", "-1", "--max-request-bytes", "4096", "--max-txn-ops", "5",
            "--max-concurrent-streams", "9", "--grpc-keepalive-min-time", "1s", "--grpc-keepalive-interval", "1h30m",
            "--grpc-keepalive-timeout", "1500ms", "--pre-vote=false", "--logger", "zap", "--log-level", "warn",
            "--log-format", "console", "--log-outputs", "stdout,/var/log/martlet.log,stderr",
            "--strict-reconfig-check=false", "--max-learners", "3",
        ])
        #expect(configuration.name == "a")
        #expect(configuration.dataDirectory == "/d")
        #expect(configuration.walDirectory == "/w")
        #expect(
            configuration.listenClientURLs == [
                ServerURL(host: "0.0.0.0", port: 2379), ServerURL(host: "::1", port: 2379),
            ])
        #expect(configuration.advertiseClientURLs == [ServerURL(host: "node-a", port: 2379)])
        #expect(configuration.initialCluster.members.map(\.name).sorted() == ["a", "b"])
        #expect(configuration.initialCluster.token == "t")
        #expect(configuration.initialClusterState == .existing)
        #expect(configuration.heartbeatIntervalMilliseconds == 50)
        #expect(configuration.electionTimeoutMilliseconds == 500)
        #expect(configuration.snapshotCount == 7)
        #expect(configuration.quotaBackendBytes == -1)
        #expect(configuration.maxRequestBytes == 4_096)
        #expect(configuration.maxTxnOps == 5)
        #expect(configuration.maxConcurrentStreams == 9)
        #expect(configuration.grpcKeepaliveMinTime == .seconds(1))
        #expect(configuration.grpcKeepaliveInterval == .seconds(5_400))
        #expect(configuration.grpcKeepaliveTimeout == .milliseconds(1_500))
        #expect(!configuration.preVote)
        #expect(!configuration.strictReconfigCheck)
        #expect(configuration.maxLearners == 3)
        #expect(configuration.logLevel == .warn)
        #expect(configuration.logFormat == .console)
        #expect(configuration.logOutputs == [.standardOutput, .file(path: "/var/log/martlet.log"), .standardError])
    }

    @Test func `a flag beats MARTLET_, which beats ETCD_`() throws {
        let environment = ["ETCD_NAME": "e", "MARTLET_NAME": "m", "ETCD_DATA_DIR": "/e"]
        #expect(try parse([], environment: environment).name == "m")
        #expect(try parse(["--name", "f"], environment: environment).name == "f")
        #expect(try parse([], environment: environment).dataDirectory == "/e")
    }

    @Test func `a wrong value that is beaten does not matter`() throws {
        let environment = ["ETCD_ELECTION_TIMEOUT": "soon", "MARTLET_ELECTION_TIMEOUT": "2000"]
        #expect(try parse([], environment: environment).electionTimeoutMilliseconds == 2_000)
    }

    @Test func `a variable that belongs to no flag is a warning, one that is empty is nothing`() throws {
        let environment = ["ETCD_NAMES": "x", "ETCD_NAME": "", "ETCDCTL_API": "3", "HOME": "/root"]
        let configuration = try parse([], environment: environment)
        #expect(configuration.name == "default")
        #expect(configuration.warnings == ["the environment variable ETCD_NAMES belongs to no flag and is ignored"])
    }

    @Test func `a file makes all flags and the environment ignored, as in etcd`() throws {
        let yaml = """
            name: 'f'
            election-timeout: 2000
            pre-vote: false
            listen-client-urls: http://127.0.0.1:1,http://127.0.0.1:2
            advertise-client-urls: http://127.0.0.1:1
            grpc-keepalive-timeout: 1000000000
            log-outputs: [stdout, stderr]
            wal-dir:
            client-transport-security:
              cert-file:
              auto-tls: false
            peer-transport-security:
            proxy: 'off'
            """
        let configuration = try parse(
            ["--name", "a", "--config-file", "c.yml"], environment: ["ETCD_DATA_DIR": "/e"], files: ["c.yml": yaml])
        #expect(configuration.name == "f")
        #expect(configuration.dataDirectory == "f.martlet")
        #expect(configuration.electionTimeoutMilliseconds == 2_000)
        #expect(!configuration.preVote)
        #expect(configuration.listenClientURLs.map(\.port) == [1, 2])
        #expect(configuration.grpcKeepaliveTimeout == .seconds(1))
        #expect(configuration.logOutputs == [.standardOutput, .standardError])
        #expect(configuration.warnings == ["--config-file is given, so these flags are ignored: --name"])
    }

    @Test func `a file may be JSON, and be named by the environment`() throws {
        let json = #"{"name": "j", "max-txn-ops": 7, "pre-vote": true}"#
        let configuration = try parse([], environment: ["ETCD_CONFIG_FILE": "c.json"], files: ["c.json": json])
        #expect(configuration.name == "j")
        #expect(configuration.maxTxnOps == 7)
    }

    @Test func `wrong files are refused with what is wrong in them`() {
        func read(_ text: String) -> String { message(["--config-file=c"], files: ["c": text]) }
        #expect(read("nam: a") == "nam in c is not a key that is known; did you mean name?")
        #expect(
            read("- a")
                == "c is not a list of keys and values; write a line as name: value (TOML, with name = value, is read "
                + "where the file's name ends in .toml)")
        #expect(read("name: {a: b}") == "name in c holds a block; it takes one value")
        let noYAML = "c is neither YAML nor JSON: "
        #expect(
            read("name: a\nb: [c")
                == noYAML + "line 3, column 1: did not find expected ',' or ']' while parsing a flow sequence")
        #expect(
            read("name: a\n\tb: c")
                == noYAML + "line 2, column 1: found a tab character that violates indentation while scanning a plain "
                + "scalar")
        #expect(read("é: a\r\nü: \u{1}") == noYAML + "line 2, column 4: control characters are not allowed")
        #expect(read("name: a\nname: b") == noYAML + "line 1, column 1: more than one value for \"name\"")
        #expect(read("election-timeout: soon") == "election-timeout in c: \"soon\" is not a whole number of at least 1")
        #expect(
            read("client-transport-security: {cert-file: /c}")
                == "client-transport-security.cert-file in c is not available yet: TLS")
        #expect(
            read("peer-transport-security: {allowed-cn: x}")
                == "peer-transport-security.allowed-cn in c is not available yet: TLS")
        #expect(message(["--config-file", "none"]) == "--config-file: none cannot be read")
        #expect(read("") == "no error")
    }

    @Test func `the real reader says that a file is not there, and reads one that is`() throws {
        #expect(throws: ConfigurationError.self) { try ConfigurationParser.readFromDisk("/nonexistent/martlet.yml") }
        #expect(throws: ConfigurationError.self) { try ConfigurationParser.readFromDisk("/") }
        #expect(try ConfigurationParser.readFromDisk("/proc/self/status").isEmpty == false)
    }
}

struct ConfigurationErrorTests {
    @Test func `a flag that is not known brings the one that may be meant`() {
        #expect(message(["--nmae", "a"]) == "--nmae is not a flag that is known; did you mean --name?")
        #expect(message(["--listen-client-url", "x"]).hasSuffix("did you mean --listen-client-urls?"))
        #expect(message(["--advertise-urls", "x"]).hasSuffix("did you mean --advertise-client-urls?"))
        #expect(message(["--frobnicate"]).hasSuffix("is not a flag that is known; martlet serve --help lists all"))
    }

    @Test func `what is no flag, or has no value, is refused`() {
        #expect(message(["a"]).hasPrefix("\"a\" is not a flag; "))
        #expect(message(["--pre-vote", "false"]).hasPrefix("\"false\" is not a flag; "))
        #expect(message(["--name"]) == "--name needs a value; write it as --name value or --name=value")
        #expect(message(["---name", "a"]).hasPrefix("\"---name\" is not a flag"))
        #expect(message(["--"]).hasPrefix("\"--\" is not a flag"))
        #expect(message(["--=a"]).hasPrefix("\"--=a\" is not a flag"))
    }

    @Test(arguments: [
        (["--cert-file", "/c"], "--cert-file is not available yet: TLS"),
        (["--auto-tls"], "--auto-tls is not available yet: TLS"),
        (
            ["--discovery=http://x"],
            "--discovery is not available yet: discovery; list the members in --initial-cluster"
        ),
    ])
    func `a flag of etcd that is not there yet is refused with the reason`(arguments: [String], expected: String) {
        #expect(message(arguments) == expected)
    }

    @Test(arguments: [
        ["--cert-file="], ["--auto-tls=false"], ["--auto-compaction-mode", "periodic"],
        ["--enable-pprof=false"], ["--experimental-corrupt-check-time=0s"], ["--memory-mlock=f"],
    ])
    func `a flag that is not there yet may be given its default`(arguments: [String]) {
        #expect(message(arguments) == "no error")
    }

    @Test func `checks for corruption are off unless they are asked for, by either version's flags`() throws {
        let usual = try parse([])
        #expect(!usual.initialCorruptCheck && !usual.compactHashCheck && usual.corruptCheckTime == .zero)
        #expect(usual.compactHashCheckTime == .seconds(60))
        let old = try parse([
            "--experimental-initial-corrupt-check", "--experimental-corrupt-check-time=2s",
            "--experimental-compact-hash-check-enabled=true", "--experimental-compact-hash-check-time", "3s",
        ])
        #expect(old.initialCorruptCheck && old.compactHashCheck)
        #expect(old.corruptCheckTime == .seconds(2) && old.compactHashCheckTime == .seconds(3))
        let new = try parse([
            "--feature-gates", "InitialCorruptCheck=true, CompactHashCheck=true,LeaseCheckpoint=false",
            "--corrupt-check-time=2s",
        ])
        #expect(new.initialCorruptCheck && new.compactHashCheck && new.corruptCheckTime == .seconds(2))
        #expect(try parse(["--quota-backend-bytes=0"]).quotaBytes == 2 << 30)
        #expect(try parse(["--quota-backend-bytes=-5"]).quotaBytes == nil)
        #expect(try parse(["--quota-backend-bytes=5"]).quotaBytes == 5)
    }

    @Test(arguments: [
        ("--feature-gates=Nonsense=true", "there is no feature gate Nonsense"),
        ("--feature-gates=InitialCorruptCheck", "\"InitialCorruptCheck\" is not a feature gate; write it as name=true"),
        (
            "--feature-gates=LeaseCheckpoint=true",
            "the feature gate LeaseCheckpoint is false here and cannot be changed"
        ),
        ("--feature-gates=CompactHashCheck=maybe", "\"maybe\" is neither true nor false"),
        ("--corrupt-check-time=-1s", "\"-1s\" is not a duration"),
        ("--compact-hash-check-time=0s", "\"0s\" is no time at all"),
    ])
    func `what the checks for corruption cannot be is refused`(argument: String, expected: String) {
        #expect(message([argument]).contains(expected))
    }

    @Test func `the engine is one of three`() throws {
        #expect(try parse([]).engine == .lmdb)
        for engine in EngineChoice.allCases { #expect(try parse(["--engine", engine.rawValue]).engine == engine) }
        for name in ["bbolt", "LMDB", ""] {
            #expect(
                message(["--engine=\(name)"])
                    == "--engine: there is no engine \"\(name)\"; choose lmdb, rocksdb or memory")
        }
    }

    @Test func `the environment is checked like flags, and named in the error`() {
        #expect(
            message([], environment: ["ETCD_CERT_FILE": "/c"]) == "ETCD_CERT_FILE is not available yet: TLS")
        #expect(
            message([], environment: ["MARTLET_MAX_TXN_OPS": "-1"])
                == "MARTLET_MAX_TXN_OPS: \"-1\" is not a whole number from 1 to 100000")
    }

    @Test(arguments: [
        (["--election-timeout", "x"], "--election-timeout: \"x\" is not a whole number of at least 1"),
        (["--pre-vote=maybe"], "--pre-vote: \"maybe\" is neither true nor false"),
        (
            ["--grpc-keepalive-timeout", "20"],
            "--grpc-keepalive-timeout: \"20\" is not a duration; write it as 500ms, 20s or 2h"
        ),
        (["--initial-cluster-state", "old"], "--initial-cluster-state: \"old\" is not one of new and existing"),
        (["--logger", "capnslog"], "--logger: \"capnslog\" is not known; leave it out or use zap"),
        (
            ["--log-level", "loud"],
            "--log-level: \"loud\" is not one of debug, info, warn, error, dpanic, panic and fatal"
        ),
        (["--name", ""], "--name: a member needs a name that is not empty"),
    ])
    func `a wrong value is refused with what would be right`(arguments: [String], expected: String) {
        #expect(message(arguments) == expected)
    }

    @Test func `the election timeout is five heartbeats at least and 50 s at most`() {
        #expect(
            message(["--election-timeout", "499"])
                == "--election-timeout is 499 ms and --heartbeat-interval 100 ms; "
                + "use an election timeout of at least five heartbeats, 500 ms")
        #expect(message(["--election-timeout", "500"]) == "no error")
        #expect(message(["--election-timeout", "50000"]) == "no error")
        #expect(
            message(["--election-timeout", "50001"])
                == "--election-timeout is 50001 ms, which is too long; use at most 50000")
    }

    @Test func `who says where to listen must say where clients find it`() {
        #expect(
            message(["--listen-client-urls", "http://127.0.0.1:1"])
                == "--listen-client-urls is given, so --advertise-client-urls is required: say where clients find this "
                + "member, for example --advertise-client-urls http://127.0.0.1:1")
    }

    @Test func `the initial cluster has this member's name and URLs`() {
        let peers = "a=http://10.0.0.1:2380,b=http://10.0.0.2:2380"
        #expect(
            message(["--initial-cluster", peers])
                == "--initial-cluster has no member named \"default\", only a, b; --name must be one of these")
        #expect(
            message(["--name=a", "--initial-cluster", peers])
                == "--initial-cluster has a at http://10.0.0.1:2380, but --initial-advertise-peer-urls says "
                + "http://localhost:2380; both must name the same URLs")
        #expect(
            message(["--initial-cluster", "http://x:1"])
                == "--initial-cluster: \"http://x:1\" has no name; write it as "
                + "name=http://host:port,name=http://host:port"
        )
        #expect(
            message(["--initial-cluster", "a=http://x:1,b=http://x:1"])
                == "--initial-cluster lists http://x:1 for both a and b; each member has peer URLs of its own")
        #expect(
            message(["--initial-cluster", "a=https://x:1"])
                == "--initial-cluster: \"https://x:1\" asks for TLS, which is not available yet; use http://host:port")
    }

    @Test func `addresses that cannot be listened on, or be reached, are refused`() {
        #expect(
            message(["--listen-peer-urls", "http://node-a:2380"])
                == "--listen-peer-urls: \"http://node-a:2380\" has a name where listening needs an address; "
                + "use http://0.0.0.0:2380 for every address")
        #expect(message(["--advertise-client-urls", "http://0.0.0.0:2379"]).contains("nobody can be reached"))
        #expect(
            message([
                "--listen-client-urls", "http://127.0.0.1:2380", "--advertise-client-urls", "http://127.0.0.1:2380",
                "--listen-peer-urls", "http://127.0.0.1:2380",
            ])
            .hasSuffix("clients and members need different ports"))
    }

    @Test(arguments: [
        ("http://a:1", "http://a:1"), ("http://[::1]:65535", "http://[::1]:65535"), ("HTTP://a:1/", "http://a:1"),
        ("https://a:1", "TLS"), ("unix:///tmp/x", "unix socket"), ("ftp://a:1", "scheme"), ("a:1", "not a URL"),
        ("http://a", "no port"), ("http://a:", "port is a number"), ("http://a:65536", "port is a number"),
        ("http://a:-1", "port is a number"), ("http://:1", "no host"), ("http://a:1/x", "more than a host"),
        ("http://u@a:1", "more than a host"), ("http://::1:1", "without brackets"), ("http://[::1", "bracket"),
        ("http://[a]:1", "no IPv6"), ("http://[::1]", "no port"), ("", "not a URL"), ("http://", "no port"),
        ("http://a b:1", "no host has"),
    ])
    func `a URL is http, host and port, and nothing else`(text: String, expected: String) {
        do throws(ConfigurationError) {
            #expect(try ServerURL(parsing: text).description == expected)
        } catch {
            #expect(error.message.contains(expected), "\(error.message)")
        }
    }

    @Test func `a URL is listed once`() {
        #expect(throws: ConfigurationError("\"http://a:1\" is listed twice; name it once")) {
            try ServerURL.list(parsing: "http://a:1, http://a:1")
        }
    }
}

struct ConfigurationPiecesTests {
    @Test(arguments: [
        ("5s", Duration.seconds(5)), ("100ms", .milliseconds(100)), ("1h30m", .seconds(5_400)),
        ("1.5h", .seconds(5_400)),
        ("0", .zero), ("0s", .zero), ("20us", .microseconds(20)), ("7ns", .nanoseconds(7)),
    ])
    func `durations are Go's`(text: String, expected: Duration) {
        #expect(GoDuration.parse(text) == expected)
    }

    @Test(arguments: ["", "5", "s", "-5s", "5 s", "5x", "1e3s", "9999999h", "."])
    func `what is no duration is refused`(text: String) {
        #expect(GoDuration.parse(text) == nil)
    }

    @Test func `ids are those that etcd derives from the same flags`() throws {
        // What etcd 3.5.1 says of itself when it is started without flags, and of three members on loopback.
        let single = try InitialCluster(parsing: "default=http://localhost:2380", token: "etcd-cluster")
        #expect(single.members[0].id == NodeID(0x8e9e_05c5_2164_694d))
        #expect(single.clusterID == 0xcdf8_1819_4e3a_8c32)
        let three = try InitialCluster(
            parsing: "infra1=http://127.0.0.1:12380,infra2=http://127.0.0.1:22380,infra3=http://127.0.0.1:32380",
            token: "etcd-cluster-1")
        #expect(three.member(named: "infra1")?.id == NodeID(0x8211_f1d0_f64f_3269))
        #expect(three.member(named: "infra2")?.id == NodeID(0x91bc_3c39_8fb3_c146))
        #expect(three.member(named: "infra3")?.id == NodeID(0xfd42_2379_fda5_0e48))
        #expect(three.clusterID == 0xef37_ad9d_c622_a7c4)
    }

    @Test func `the order of the flag does not matter, the token does`() throws {
        let one = try InitialCluster(parsing: "a=http://x:1,b=http://y:1,a=http://z:1", token: "t")
        let other = try InitialCluster(parsing: "b=http://y:1,a=http://z:1,a=http://x:1", token: "t")
        #expect(one == other)
        #expect(one.member(named: "a")?.peerURLs.count == 2)
        #expect(one.members.map(\.id) == one.members.map(\.id).sorted())
        let elsewhere = try InitialCluster(parsing: "a=http://x:1,b=http://y:1,a=http://z:1", token: "u")
        #expect(Set(one.members.map(\.id)).isDisjoint(with: elsewhere.members.map(\.id)))
        #expect(one.clusterID != elsewhere.clusterID)
        #expect(
            InitialCluster.memberID(peerURLs: [ServerURL(host: "x", port: 1)], token: "t", addedAtUnixSeconds: 5)
                != InitialCluster.memberID(peerURLs: [ServerURL(host: "x", port: 1)], token: "t", addedAtUnixSeconds: 6)
        )
    }

    @Test func `the version is printed as programs that drive etcd look for it`() throws {
        let parser = ConfigurationParser(environment: [:])
        guard case .print(let text) = try parser.parse(["--version"]) else {
            Issue.record("nothing is printed")
            return
        }
        #expect(text.split(separator: "\n") == ["etcd Version: 3.6.14", "Martlet Version: 0.1.0"])
    }

    @Test func `help names every flag that is available, and the page of flags names all`() throws {
        let parser = ConfigurationParser(environment: [:])
        for argument in ["--help", "-h", "-help"] {
            #expect(try parser.parse(["--name", "a", argument]) == .print(ServerHelp.text))
        }
        for flag in ServerFlags.all {
            #expect(ServerHelp.text.contains("  --\(flag.name)") == flag.isAvailable, "\(flag.name)")
            #expect(ServerHelp.markdown.contains("`--\(flag.name)`"), "\(flag.name)")
            #expect(!flag.isAvailable || flag.help.hasSuffix("."), "\(flag.name)'s help is no sentence")
        }
        #expect(ServerHelp.text.split(separator: "\n").allSatisfy { $0.count <= 120 })
    }

    @Test func `the defaults that the help tells are the defaults`() throws {
        let defaults = try parse([])
        for flag in ServerFlags.all where !flag.defaultText.isEmpty && !flag.defaultText.contains("$") {
            var arguments = ["--\(flag.name)=\(flag.defaultText)"]
            if flag.name == "listen-client-urls" { arguments.append("--advertise-client-urls=http://localhost:2379") }
            #expect(try parse(arguments) == defaults, "\(flag.name)")
        }
    }
}
