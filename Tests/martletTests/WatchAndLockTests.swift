import ArgumentParser
import EtcdAPI
import MartletClient
import Testing

@testable import martlet

struct WatchArgumentTests {
    private func parse(_ arguments: String...) throws -> WatchCommand {
        try #require(try Martlet.parseAsRoot(ArgumentNormalization.normalize(arguments)) as? WatchCommand)
    }

    private let none = [String: String]()

    @Test func `keys, flags and a command for each event`() throws {
        let command = try parse(
            "watch", "a", "--rev", "5", "--prefix", "--prev-kv", "--progress-notify=true", "--", "echo", "--prefix")
        var expected = WireWatchCreateRequest<[UInt8]>()
        expected.key = [0x61]
        expected.rangeEnd = [0x62]
        expected.startRevision = 5
        expected.prevKV = true
        expected.progressNotify = true
        #expect(try command.request(.init(none)) == expected)
        #expect(command.command == ["echo", "--prefix"])
        #expect(try parse("watch", "a", "c").request(.init(none)).rangeEnd == [0x63])
        #expect(try parse("watch", "", "--prefix").request(.init(none)).rangeEnd == [0])
        #expect(try parse("watch", "-i").interactive)
    }

    @Test func `keys may come from the environment`() throws {
        let environment = try WatchCommand.EnvironmentKeys([
            "ETCDCTL_WATCH_KEY": "a", "ETCDCTL_WATCH_RANGE_END": "c",
        ])
        let request = try parse("watch", "--", "echo").request(environment)
        #expect(request.key == [0x61] && request.rangeEnd == [0x63])
        #expect(throws: CommandFailure.badArguments("bad number of arguments (found conflicting environment key)")) {
            try parse("watch", "b").request(environment)
        }
        #expect(throws: CommandFailure.self) { try WatchCommand.EnvironmentKeys(["ETCDCTL_WATCH_RANGE_END": "c"]) }
    }

    @Test func `what contradicts itself is refused`() throws {
        #expect(throws: CommandFailure.badArguments("bad number of arguments")) {
            try parse("watch").request(.init(none))
        }
        #expect(throws: CommandFailure.badArguments("`range_end` and `--prefix` are mutually exclusive")) {
            try parse("watch", "a", "b", "--prefix").request(.init(none))
        }
        #expect(throws: CommandFailure.self) { try Martlet.checkCommand(["watch", "a", "--"]) }
        #expect(throws: (any Error).self) { try parse("watch", "a", "b", "c") }
    }

    @Test func `a mistyped command of a group brings the one that may be meant`() throws {
        #expect(throws: CommandFailure.failed("unknown command \"grnat\" of lease; did you mean grant?")) {
            try Martlet.checkCommand(["lease", "grnat", "5"])
        }
        for arguments in [["lease"], ["lease", "--help"], ["lease", "help"], ["get", "grnat"], ["help", "lease"]] {
            try Martlet.checkCommand(arguments)
        }
    }

    @Test func `every command can be parsed, and has a help`() throws {
        func check(_ command: any ParsableCommand.Type) {
            #expect(!command.configuration.abstract.isEmpty)
            #expect(!command.helpMessage().isEmpty)
            for inner in command.configuration.subcommands { check(inner) }
        }
        check(Martlet.self)
    }
}

struct GlobalFlagTests {
    private func client(_ arguments: String...) throws -> EtcdClient {
        let command = try Martlet.parseAsRoot(ArgumentNormalization.normalize(["get", "a"] + arguments))
        return try #require(command as? GetCommand).global.client()
    }

    @Test func `connections are asked for signs of life as gRPC does, not more often`() throws {
        #expect(try client().options.keepAliveInterval == .seconds(10))
        #expect(try client("--keepalive-time=2s").options.keepAliveInterval == .seconds(10))
        #expect(try client("--keepalive-time=30s").options.keepAliveInterval == .seconds(30))
        #expect(try client("--keepalive-timeout=1s").options.keepAliveTimeout == .seconds(1))
    }

    @Test func `messages have sizes`() throws {
        #expect(try client().options.requestBytesMax == 2 << 20)
        #expect(try client("--max-request-bytes=5").options.requestBytesMax == 5)
        #expect(try client("--max-recv-bytes", "7").options.answerBytesMax == 7)
        #expect(throws: CommandFailure.self) { try client("--max-recv-bytes=0") }
    }

    @Test(arguments: [
        "--cert=x", "--key=x", "--cacert=x", "--insecure-transport=false", "--user=root", "--password=x", "-d=x",
        "--discovery-srv=x",
    ])
    func `what is not there yet is refused`(flag: String) throws {
        do {
            _ = try client(flag)
            Issue.record("\(flag) is taken")
        } catch {
            #expect((error as? CommandFailure)?.message.contains("not available yet") == true)
        }
    }

    @Test func `what changes nothing is taken`() throws {
        _ = try client("--insecure-transport", "--insecure-transport=true", "--insecure-skip-tls-verify=false")
    }
}

struct ChildProcessTests {
    @Test(
        arguments: [
            ("exit 0", .exited(0), nil), ("exit 7", .exited(7), "exit status 7"),
            ("kill -9 $$", .signalled(9), "signal: killed"), ("test \"$MARTLET_TEST\" = given", .exited(0), nil),
            ("read x", .exited(1), "exit status 1"), ("kill -INT $$", .signalled(2), "signal: interrupt"),
        ] as [(String, ChildProcess.Ending, String?)])
    func `a program's end is told as Go tells it`(
        script: String, ending: ChildProcess.Ending, complaint: String?
    ) async {
        let result = await ChildProcess.run(["sh", "-c", script], extra: ["MARTLET_TEST": "given"])
        #expect(result == ending)
        #expect(result.complaint == complaint)
    }

    @Test func `a program that is not there is named`() async {
        let path = await ChildProcess.run(["/nonexistent"], extra: [:])
        #expect(path.complaint == "fork/exec /nonexistent: no such file or directory")
        let name = await ChildProcess.run(["martlet-nonexistent"], extra: [:])
        #expect(name.complaint == "exec: \"martlet-nonexistent\": executable file not found in $PATH")
    }
}

struct CheckTests {
    @Test func `a check's verdict, in etcdctl's words`() {
        let good = CheckRun.Figures(times: Array(repeating: 0.001, count: 1_500), errors: [:], total: 10)
        #expect(
            CheckPerfCommand.verdict(good, putsPerSecond: 150) == (
                "PASS: Throughput is 151 writes/s\nPASS: Slowest request took 0.001000s\nPASS: Stddev is 0.000000s\n"
                    + "PASS\n", true
            ))
        let bad = CheckRun.Figures(times: [0, 2], errors: ["no": 3], total: 10)
        #expect(
            CheckPerfCommand.verdict(bad, putsPerSecond: 150) == (
                "FAIL: too many errors\nFAIL: ERROR(no) -> 3\nFAIL: Throughput too low: 1 writes/s\n"
                    + "Slowest request took too long: 2.000000s\nStddev too high: 1.000000s\nFAIL\n", false
            ))
    }

    @Test func `loads have etcdctl's names`() throws {
        for (text, puts) in [("s", 150), ("medium", 1_000), ("l", 8_000), ("xLarge", 15_000)] {
            #expect(try CheckLoad(text).putsPerSecond == puts)
        }
        #expect(throws: CommandFailure.badFeature("unknown load option zz; use s, m, l or xl")) {
            try CheckLoad("zz")
        }
    }
}
