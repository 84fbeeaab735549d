import ArgumentParser
import EtcdAPI
import Foundation
import MartletClient

struct CheckDatascaleCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "datascale", abstract: "Puts keys, and says how much memory a member needed for them.",
        usage: "martlet check datascale [--load <load>] [options]",
        discussion: """
            By load: s 10000 keys by 50 clients, m 100000 by 200, l 1000000 by 500, xl 3000000 by 1000; a kilobyte \
            each. The memory is that of the first endpoint, as its /metrics has it. The keys are deleted at the end.

            Example:
              martlet check datascale --load s --auto-compact
            """)

    @Option(help: "s, m, l or xl.") var load = "s"
    @Option(help: "What its keys begin with.") var prefix = "/etcdctl-check-datascale/"
    @Flag(help: "Compact the history at the end.") var autoCompact = false
    @Flag(help: "Defragment the members at the end.") var autoDefrag = false
    @OptionGroup(title: "Options of every command") var global: GlobalOptions

    func run() async throws {
        let load = try CheckLoad(load)
        let room = try CheckRoom(global, prefix: prefix)
        try await room.checkEmpty()
        let before = try await residentBytes(room.client, "before")
        let pairs = load.pairs
        Output.print(
            "Start data scale check for work load [\(pairs) key-value pairs, 1024 bytes per key-value, "
                + "\(load.clients) concurrent clients].\n")
        let clients = (0..<load.clients).map { _ in room.client.another() }
        let run = CheckRun(keyPrefix: ArgumentBytes.bytes(prefix), keySize: 512, valueSize: 512, left: pairs)
        let interruption = Interruption()
        let working = Task { await run.run(clients, interval: nil, duration: nil) }
        interruption.onSignal { _ in working.cancel() }
        let progress = CheckRoom.showProgress { run.done * 100 / pairs }
        let figures = await working.value
        progress.cancel()
        await progress.value
        for client in clients { await client.shutdown() }
        let after = try? await residentBytes(room.client, "after")
        let revision = try await room.deleteKeys()
        if let number = interruption.received { Interruption.end(by: number) }
        if autoCompact { try await room.compact(revision) }
        if autoDefrag { try await room.defragment() }
        await room.client.shutdown()
        guard let after else { throw Self.noMetrics("after") }
        guard figures.errors.isEmpty else {
            Output.print("FAIL: too many errors\n")
            for (error, count) in figures.errors.sorted(by: { $0.key < $1.key }) {
                Output.print("FAIL: ERROR(\(error)) -> \(count)\n")
            }
            throw CommandFailure(message: "", exitCode: CommandFailure.errorCode)
        }
        let megabytes = String(format: "%.2f", (after - before) / 1_048_576)
        Output.print("PASS: Approximate system memory used : \(megabytes) MB.\n")
    }

    private func residentBytes(_ client: EtcdClient, _ when: String) async throws(CommandFailure) -> Double {
        guard let page = await MetricsPage.fetch(from: client.endpoints[0], timeout: try global.timeout()),
            let bytes = MetricsPage.value(of: "process_resident_memory_bytes", in: page), bytes > 0
        else { throw Self.noMetrics(when) }
        return bytes
    }

    private static func noMetrics(_ when: String) -> CommandFailure {
        Output.print("FAIL: Could not read process_resident_memory_bytes \(when) the put operations.\n")
        return CommandFailure(message: "", exitCode: CommandFailure.errorCode)
    }
}
