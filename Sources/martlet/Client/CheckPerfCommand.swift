import ArgumentParser
import EtcdAPI
import Foundation
import MartletClient

struct CheckPerfCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "perf", abstract: "Puts keys for a minute, and says whether that was fast and even enough.",
        usage: "martlet check perf [--load <load>] [options]",
        discussion: """
            By load: s 150 puts a second by 50 clients, m 1000 by 200, l 8000 by 500, xl 15000 by 1000. It passes \
            with nine tenths of that, no put slower than half a second, and a standard deviation of 0.1 seconds at \
            most. Its keys are deleted at the end.

            Example:
              martlet check perf --load m
            """)

    @Option(help: "s, m, l or xl.") var load = "s"
    @Option(help: "What its keys begin with.") var prefix = "/etcdctl-check-perf/"
    @Flag(help: "Compact the history at the end.") var autoCompact = false
    @Flag(help: "Defragment the members at the end.") var autoDefrag = false
    @Option(help: .hidden) var seconds = 60
    @OptionGroup(title: "Options of every command") var global: GlobalOptions

    func run() async throws {
        let load = try CheckLoad(load)
        let room = try CheckRoom(global, prefix: prefix)
        try await room.checkEmpty()
        let clients = (0..<load.clients).map { _ in room.client.another() }
        let run = CheckRun(keyPrefix: ArgumentBytes.bytes(prefix), keySize: 256, valueSize: 1_024)
        let duration = Duration.seconds(seconds)
        let begin = ContinuousClock.now
        let interruption = Interruption()
        let working = Task {
            await run.run(clients, interval: .seconds(1) / load.putsPerSecond, duration: duration)
        }
        interruption.onSignal { _ in working.cancel() }
        let progress = CheckRoom.showProgress { Int(begin.duration(to: .now) / duration * 100) }
        let figures = await working.value
        progress.cancel()
        await progress.value
        for client in clients { await client.shutdown() }
        do throws(CommandFailure) {
            let revision = try await room.deleteKeys()
            if autoCompact { try await room.compact(revision) }
        } catch {
            Output.print("FAIL: Cleanup failed during key deletion: ERROR(\(error.message))\n")
        }
        if let number = interruption.received { Interruption.end(by: number) }
        if autoDefrag { try await room.defragment() }
        await room.client.shutdown()
        let (text, passed) = Self.verdict(figures, putsPerSecond: load.putsPerSecond)
        Output.print(text)
        if !passed { throw CommandFailure(message: "", exitCode: CommandFailure.errorCode) }
    }

    /// In etcdctl's words.
    static func verdict(_ figures: CheckRun.Figures, putsPerSecond: Int) -> (text: String, passed: Bool) {
        var lines: [String] = []
        var passed = true
        func judge(_ isGood: Bool, _ good: String, _ bad: String) {
            lines.append(isGood ? good : bad)
            if !isGood { passed = false }
        }
        if !figures.errors.isEmpty {
            judge(false, "", "FAIL: too many errors")
            lines += figures.errors.sorted { $0.key < $1.key }.map { "FAIL: ERROR(\($0.key)) -> \($0.value)" }
        }
        let rate = Int(figures.perSecond) + 1
        judge(
            figures.perSecond / Double(putsPerSecond) > 0.9, "PASS: Throughput is \(rate) writes/s",
            "FAIL: Throughput too low: \(rate) writes/s")
        let slowest = decimal(figures.slowest)
        judge(
            figures.slowest <= 0.5, "PASS: Slowest request took \(slowest)s",
            "Slowest request took too long: \(slowest)s")
        let deviation = decimal(figures.deviation)
        judge(figures.deviation <= 0.1, "PASS: Stddev is \(deviation)s", "Stddev too high: \(deviation)s")
        lines.append(passed ? "PASS" : "FAIL")
        return (lines.joined(separator: "\n") + "\n", passed)
    }

    /// `%f`: six decimals.
    private static func decimal(_ number: Double) -> String { String(format: "%.6f", number) }
}
