import ArgumentParser
import EtcdAPI
import MartletClient
import Testing

@testable import martlet

struct CommandTests {
    private func parse<Command>(_ type: Command.Type, _ arguments: String...) throws -> Command {
        try #require(try Martlet.parseAsRoot(ArgumentNormalization.normalize(arguments)) as? Command)
    }

    private func failure(_ body: () throws -> Void) -> CommandFailure? {
        do {
            try body()
            return nil
        } catch {
            return error as? CommandFailure
        }
    }

    // MARK: Arguments

    @Test(arguments: [
        (["get", "a"], ["get", "a"]),
        (["--endpoints", "x:1", "get", "a"], ["get", "--endpoints", "x:1", "a"]),
        (
            ["--endpoints=x:1", "-w", "json", "endpoint", "--cluster", "status"],
            ["endpoint", "status", "--endpoints=x:1", "-w", "json", "--cluster"]
        ),
        (["get", "-wjson", "a", "--prefix=true"], ["get", "--write-out=json", "a", "--prefix"]),
        (["get", "a", "--prefix=false", "-w=json"], ["get", "a", "--write-out=json"]),
        (["put", "--", "--prefix=false", "-w=x"], ["put", "--", "--prefix=false", "-w=x"]),
        (["--hex", "member", "list"], ["member", "list", "--hex"]),
        (
            ["--endpoints", "x:1", "member", "add", "n", "--learner=true", "--peer-urls", "http://h:1"],
            ["member", "add", "--endpoints", "x:1", "n", "--learner", "--peer-urls", "http://h:1"]
        ),
        (["-w", "json", "move-leader", "a1"], ["move-leader", "-w", "json", "a1"]),
        (["--version"], ["--version"]), (["--help"], ["--help"]), ([], []),
    ])
    func `global flags may stand before the command, as etcdctl allows`(arguments: [String], expected: [String]) {
        #expect(ArgumentNormalization.normalize(arguments) == expected)
    }

    @Test func `a command that there is not brings the one that may be meant`() throws {
        #expect(throws: CommandFailure.failed("unknown command \"gte\"; did you mean get?")) {
            try Martlet.checkCommand(["gte"])
        }
        #expect(throws: CommandFailure.failed("unknown command \"frob\"; martlet --help lists all")) {
            try Martlet.checkCommand(["frob"])
        }
        for name in ["serve", "dev", "put", "get", "del", "status", "endpoint", "member", "version", "help", "--help"] {
            try Martlet.checkCommand([name])
        }
    }

    @Test func `member add wants a name and addresses`() throws {
        let whole = try parse(
            MemberAddCommand.self, "member", "add", "n", "--learner", "--peer-urls=http://h:1,http://h:2")
        #expect(try whole.checked() == ("n", ["http://h:1", "http://h:2"]))
        #expect(whole.learner)
        for arguments in [[], ["n"], ["n", "o", "--peer-urls", "http://h:1"]] {
            let command = try #require(
                try Martlet.parseAsRoot(ArgumentNormalization.normalize(["member", "add"] + arguments))
                    as? MemberAddCommand)
            #expect(failure { _ = try command.checked() }?.exitCode == 128)
        }
    }

    @Test func `ids are hexadecimal`() throws {
        #expect(try MemberCommand.id(MemberCommand.only(["8e9e05c52164694d"])) == 0x8e9e_05c5_2164_694d)
        for arguments in [[], ["8e", "8f"], ["xyz"], ["-1"], ["8e9e05c52164694d0"]] {
            #expect(failure { _ = try MemberCommand.id(MemberCommand.only(arguments)) }?.exitCode == 128)
        }
    }

    @Test func `member replace wants two members, addresses and a time`() throws {
        let whole = try parse(MemberReplaceCommand.self, "member", "replace", "m2", "m4", "--peer-urls=http://h:1")
        #expect(try whole.checked() == ("m2", "m4", .seconds(600)))
        for arguments in [
            [], ["m2"], ["m2", "m4"], ["m2", "m4", "m5", "--peer-urls=http://h:1"],
            ["m2", "m4", "--peer-urls=http://h:1", "--wait=soon"], ["m2", "m4", "--peer-urls=http://h:1", "--wait=0"],
        ] {
            let command = try #require(
                try Martlet.parseAsRoot(ArgumentNormalization.normalize(["member", "replace"] + arguments))
                    as? MemberReplaceCommand)
            #expect(failure { _ = try command.checked() }?.exitCode == 128)
        }
    }

    @Test func `a removal that is refused says what would be needed`() {
        func member(_ id: UInt64, _ name: String, isLearner: Bool = false) -> Etcdserverpb_Member {
            var member = Etcdserverpb_Member()
            (member.id, member.name, member.isLearner) = (id, name, isLearner)
            return member
        }
        let members = [member(1, "m1"), member(2, "m2"), member(3, ""), member(4, "m4", isLearner: true)]
        let sentence = RemovalAdvice.sentence(removing: 1, of: members, silent: [3, 4])
        #expect(sentence.hasPrefix("Without m1 the voters are m2, 3, and 2 of them have to answer; not answering: 3."))
        #expect(
            RemovalAdvice.sentence(removing: 1, of: members, silent: []).hasSuffix("ask again in a few seconds"))
        let alone = RemovalAdvice.sentence(removing: 1, of: [members[0]], silent: [])
        #expect(alone.contains("the only member that votes"))
    }

    @Test func `endpoints may be given several times or with commas`() throws {
        let command = try parse(GetCommand.self, "get", "a", "--endpoints", "x:1,y:2", "--endpoints", "z:3")
        #expect(try command.global.servers().map(\.text) == ["x:1", "y:2", "z:3"])
    }

    @Test func `wrong global flags are refused with what would be right`() throws {
        let format = try parse(GetCommand.self, "get", "a", "-w", "yaml")
        #expect(failure { _ = try format.global.format() }?.exitCode == 4)
        let timeout = try parse(GetCommand.self, "get", "a", "--command-timeout", "5")
        #expect(
            failure { _ = try timeout.global.timeout() }
                == .badArguments("--command-timeout: \"5\" is not a duration; write it as 500ms, 20s or 2h"))
        let endpoint = try parse(GetCommand.self, "get", "a", "--endpoints", "https://x:1")
        #expect(failure { _ = try endpoint.global.servers() }?.exitCode == 128)
    }

    // MARK: Requests

    @Test func `get makes the range that its flags say`() throws {
        let command = try parse(
            GetCommand.self, "get", "a", "--prefix", "--limit", "5", "--rev", "7", "--order", "descend", "--sort-by",
            "modify", "--consistency", "s", "--keys-only", "--min-create-rev", "1", "--max-create-rev", "2",
            "--min-mod-rev", "3", "--max-mod-rev", "4")
        var expected = WireRangeRequest<[UInt8]>(key: [0x61], rangeEnd: [0x62])
        expected.limit = 5
        expected.revision = 7
        expected.sortOrder = .descend
        expected.sortTarget = .mod
        expected.serializable = true
        expected.keysOnly = true
        expected.minCreateRevision = 1
        expected.maxCreateRevision = 2
        expected.minModRevision = 3
        expected.maxModRevision = 4
        #expect(try command.request() == expected)
    }

    @Test(
        arguments: [
            (["get"], "get command needs one argument as key and an optional argument as range_end", 128),
            (
                ["get", "a", "b", "c"], "get command needs one argument as key and an optional argument as range_end",
                128
            ),
            (
                ["get", "a", "--prefix", "--from-key"],
                "`--prefix` and `--from-key` cannot be set at the same time, choose one", 128
            ),
            (
                ["get", "a", "b", "--prefix"],
                "too many arguments, only accept one argument when `--prefix` or `--from-key` is set", 128
            ),
            (
                ["get", "a", "--keys-only", "--count-only"],
                "`--keys-only` and `--count-only` cannot be set at the same time, choose one", 128
            ),
            (["get", "a", "--order", "UP"], "bad sort order UP; use ASCEND or DESCEND", 4),
            (["get", "a", "--sort-by", "SIZE"], "bad sort target SIZE; use CREATE, KEY, MODIFY, VALUE or VERSION", 4),
            (["get", "a", "--consistency", "x"], "unknown consistency flag \"x\"; use l or s", 4),
        ] as [([String], String, Int32)])
    func `get refuses what contradicts itself, in etcdctl's words and with its codes`(
        arguments: [String], message: String, code: Int32
    ) throws {
        let command = try #require(try Martlet.parseAsRoot(arguments) as? GetCommand)
        #expect(failure { _ = try command.request() } == CommandFailure(message: message, exitCode: code))
    }

    @Test func `get has formats for some flags only`() throws {
        let count = try parse(GetCommand.self, "get", "a", "--count-only")
        #expect(
            failure { try count.checkFormat(.simple) } == .badArguments("--count-only is only for `--write-out=fields`")
        )
        #expect(failure { try count.checkFormat(.fields) } == nil)
        let values = try parse(GetCommand.self, "get", "a", "--print-value-only")
        #expect(failure { try values.checkFormat(.json) }?.exitCode == 128)
        #expect(failure { try values.checkFormat(.simple) } == nil)
        let plain = try parse(GetCommand.self, "get", "a")
        #expect(failure { try plain.checkFormat(.table) } == .badFeature("table not supported as output format"))
    }

    @Test func `put has its value from the second argument or from standard input`() throws {
        let input = Array("input\n".utf8)
        let both = try parse(PutCommand.self, "put", "k", "v", "--lease", "1f", "--prev-kv")
        var expected = WirePutRequest<[UInt8]>(key: Array("k".utf8), value: Array("v".utf8), lease: 0x1f)
        expected.prevKV = true
        #expect(try both.request { input } == expected)
        let one = try parse(PutCommand.self, "put", "k")
        #expect(try one.request { input }.value == input)
        let kept = try parse(PutCommand.self, "put", "k", "--ignore-value", "--ignore-lease")
        let request = try kept.request { input }
        #expect(request.value == [] && request.ignoreValue && request.ignoreLease)
        let dashes = try parse(PutCommand.self, "put", "--", "-k", "--v")
        #expect(try dashes.request { input } == WirePutRequest(key: Array("-k".utf8), value: Array("--v".utf8)))
    }

    @Test(arguments: [
        ["put"], ["put", "a", "b", "c"], ["put", "a", "b", "--ignore-value"], ["put", "a", "b", "--lease", "zz"],
    ])
    func `put refuses what contradicts itself`(arguments: [String]) throws {
        let command = try #require(try Martlet.parseAsRoot(arguments) as? PutCommand)
        #expect(failure { _ = try command.request { [] } }?.exitCode == 128)
    }

    @Test func `del makes the range that its flags say`() throws {
        #expect(
            try parse(DelCommand.self, "del", "a", "c", "--prev-kv", "--range").request()
                == WireDeleteRangeRequest(key: [0x61], rangeEnd: [0x63], prevKV: true))
        #expect(
            try parse(DelCommand.self, "del", "", "--from-key").request()
                == WireDeleteRangeRequest(key: [0], rangeEnd: [0]))
    }

    @Test(
        arguments: [
            ([0x61], [0x62]), ([0x61, 0xff], [0x62]), ([0xff], [0]), ([0xff, 0xff], [0]),
            ([0x61, 0xfe], [0x61, 0xff]),
        ] as [([UInt8], [UInt8])])
    func `a prefix ends at the first key after it`(prefix: [UInt8], end: [UInt8]) {
        #expect(KeyPrefix.end(of: prefix) == end)
    }

    @Test func `the empty key with --prefix or --from-key is everything`() throws {
        for (prefix, fromKey) in [(true, false), (false, true)] {
            let range = try KeyRange([""], prefix: prefix, fromKey: fromKey, command: "get")
            #expect(range.key == [0] && range.end == [0])
        }
        #expect(try KeyRange(["a"], prefix: false, fromKey: true, command: "get").end == [0])
        #expect(try KeyRange(["a", "b"], prefix: false, fromKey: false, command: "get").end == [0x62])
    }

    // MARK: Errors

    @Test func `errors of calls say what to do next`() throws {
        let endpoint = try Endpoint(parsing: "x:1")
        #expect(
            CommandFailure(
                .unreachable([.init(endpoint: endpoint, reason: "connection refused")]), timeout: .seconds(5))
                == .failed(
                    "no endpoint can be reached (x:1: connection refused); start a server with martlet serve or "
                        + "martlet dev, "
                        + "or name another with --endpoints"))
        #expect(
            CommandFailure(.deadlineExceeded, timeout: .seconds(5), isWrite: true)
                == .failed(
                    "no answer within 5s, the write may still be carried out; see martlet endpoint status for a "
                        + "leader, or "
                        + "wait longer with --command-timeout"))
        #expect(CommandFailure(.etcd(.emptyKey), timeout: .seconds(5)) == .failed("etcdserver: key is not provided"))
    }
}

struct DevPlanTests {
    @Test func `three members have the ports of etcd's Procfile`() throws {
        let plan = try DevPlan(members: 3, dataDirectory: ".martlet", basePort: 2379)
        #expect(plan.members.map(\.clientPort) == [2379, 22379, 32379])
        #expect(plan.members.map(\.peerPort) == [2380, 22380, 32380])
        #expect(plan.members.map(\.dataDirectory) == [".martlet/m1", ".martlet/m2", ".martlet/m3"])
        #expect(plan.endpoints == "127.0.0.1:2379,127.0.0.1:22379,127.0.0.1:32379")
    }

    @Test func `the members are started as one cluster, with arguments that the server takes`() throws {
        let plan = try DevPlan(members: 2, dataDirectory: "/d", basePort: 100)
        let arguments = plan.arguments(of: plan.members[1])
        #expect(arguments.first == "serve")
        let pairs = stride(from: 1, to: arguments.count, by: 2).map { (arguments[$0], arguments[$0 + 1]) }
        let values = Dictionary(uniqueKeysWithValues: pairs)
        #expect(values["--name"] == "m2")
        #expect(values["--listen-client-urls"] == "http://127.0.0.1:20100")
        #expect(values["--listen-peer-urls"] == "http://127.0.0.1:20101")
        #expect(values["--initial-cluster"] == "m1=http://127.0.0.1:101,m2=http://127.0.0.1:20101")
        #expect(values["--data-dir"] == "/d/m2")
    }

    @Test(arguments: [(0, 2379), (7, 2379), (3, 0), (3, 35_535), (1, 65_535)])
    func `what leaves no ports is refused`(members: Int, port: Int) {
        #expect(throws: CommandFailure.self) { try DevPlan(members: members, dataDirectory: "d", basePort: port) }
    }

    @Test(arguments: [(1, 65_534), (3, 35_534), (6, 5_534)])
    func `the highest port that there is may be used`(members: Int, port: Int) throws {
        let plan = try DevPlan(members: members, dataDirectory: "d", basePort: port)
        #expect(plan.members.last?.peerPort == 65_535)
    }

    @Test func `data of another cluster is refused with the command that starts it`() throws {
        let three = try DevPlan(members: 3, dataDirectory: "d", basePort: 2379)
        let one = try DevPlan(members: 1, dataDirectory: "d", basePort: 4000)
        #expect(three.signature != one.signature)
        #expect(
            one.mismatch(with: three.signature).message
                == "d holds a cluster of 3 at port 2379; start that one with --members 3 --base-port 2379, or "
                + "name another "
                + "--data-dir")
    }

    @Test func `the greeting names every member and how to go on`() throws {
        let plan = try DevPlan(members: 3, dataDirectory: "d", basePort: 2379)
        for member in plan.members { #expect(plan.greeting.contains(member.clientURL)) }
        #expect(plan.greeting.contains("martlet put greeting hello\n"))
        #expect(plan.greeting.contains("etcdctl --endpoints \(plan.endpoints) get greeting"))
        let other = try DevPlan(members: 1, dataDirectory: "d", basePort: 4000)
        #expect(other.greeting.contains("1 member is ready"))
        #expect(other.greeting.contains("martlet put --endpoints 127.0.0.1:4000 greeting hello\n"))
    }
}
