import ArgumentParser
import EtcdAPI
import Foundation
import MartletClient

struct WatchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "watch", abstract: "Prints what happens to a key or a range of keys, until it is stopped.",
        usage: "martlet watch [<key>] [<range-end>] [options] [-- <command> ...]",
        discussion: """
            It goes on at another member, without a gap, when one is lost. A command after -- is run for each event, \
            with ETCD_WATCH_REVISION, ETCD_WATCH_EVENT_TYPE, ETCD_WATCH_KEY and ETCD_WATCH_VALUE in its environment, \
            the last three in quotes. The key and the end of the range may come from ETCDCTL_WATCH_KEY and \
            ETCDCTL_WATCH_RANGE_END instead.

            Examples:
              martlet watch config/ --prefix
              martlet watch config/ --prefix --rev 1 --prev-kv -w json
              martlet watch config/ --prefix -- sh -c 'echo $ETCD_WATCH_KEY changed'
              martlet watch -i      then lines such as: watch --prefix a/, or: progress
            """)

    @Argument(help: "The key.") var key: String?
    @Argument(help: "The end of the range, which is not part of it.") var rangeEnd: String?
    @Argument(parsing: .postTerminator, help: "After --: the command to run for each event.") var command: [String] = []

    @Flag(name: [.short, .long], help: "Read what to watch from standard input.") var interactive = false
    @Flag(help: "Watch all keys that begin with the key.") var prefix = false
    @Option(help: "The revision to begin at; 0 for now.") var rev: Int64 = 0
    @Flag(help: "Print what was there before, too.") var prevKv = false
    @Flag(help: "Have the server say how far it is when nothing happens.") var progressNotify = false
    @OptionGroup(title: "Options of every command") var global: GlobalOptions

    var keys: [String] { [key, rangeEnd].compactMap { $0 } }

    /// Refuses `--` with nothing after it, which the parser does not tell from none.
    static func checkSeparator(_ arguments: [String]) throws(CommandFailure) {
        guard arguments.last != "--" else {
            throw .badArguments("bad number of arguments (found separator --, but no commands)")
        }
    }

    /// The keys that the environment names.
    struct EnvironmentKeys {
        let keys: [String]

        init(_ environment: [String: String]) throws(CommandFailure) {
            func value(_ name: String) -> String? {
                ["MARTLETCTL_", "ETCDCTL_"].lazy.compactMap { environment[$0 + name] }.first { !$0.isEmpty }
            }
            let (key, end) = (value("WATCH_KEY"), value("WATCH_RANGE_END"))
            if key == nil, let end {
                throw .badArguments("ETCDCTL_WATCH_KEY is empty but got ETCDCTL_WATCH_RANGE_END=\(GoText.quoted(end))")
            }
            keys = [key, end].compactMap { $0 }
        }
    }

    func request(_ environment: EnvironmentKeys) throws(CommandFailure) -> WireWatchCreateRequest<[UInt8]> {
        if !environment.keys.isEmpty, !keys.isEmpty {
            throw .badArguments("bad number of arguments (found conflicting environment key)")
        }
        let keys = keys.isEmpty ? environment.keys : keys
        guard !keys.isEmpty else { throw .badArguments("bad number of arguments") }
        if prefix, keys.count > 1 { throw .badArguments("`range_end` and `--prefix` are mutually exclusive") }
        let range = try KeyRange(keys, prefix: prefix, fromKey: false, command: "watch")
        var request = WireWatchCreateRequest<[UInt8]>()
        request.key = range.key
        request.rangeEnd = range.end
        request.startRevision = rev
        request.prevKV = prevKv
        request.progressNotify = progressNotify
        return request
    }

    func run() async throws {
        let environment = try EnvironmentKeys(ProcessInfo.processInfo.environment)
        let format = try global.format(noneOf: [.table])
        let printer = WatchPrinter(format: format, hex: global.prefersHex)
        let interruption = Interruption()
        if interactive {
            let client = try global.client()
            interruption.onSignal { Interruption.end(by: $0) }
            throw await InteractiveWatch(client: client, printer: printer, environment: environment).run()
        }
        let request = try request(environment)
        let client = try global.client()
        let command = command
        let printing = Task {
            await Result { () async throws(CommandFailure) in
                try await printer.print(client.watch(request), command: command)
            }
        }
        interruption.onSignal { number in
            printing.cancel()
            // Where it waits for a connection.
            DispatchQueue.global().asyncAfter(deadline: .now() + 1) { Interruption.end(by: number) }
        }
        let result = await printing.value
        if let number = interruption.received { Interruption.end(by: number) }
        await client.shutdown()
        try result.get()
        throw CommandFailure(message: "watch is canceled by the server", exitCode: CommandFailure.interruptedCode)
    }
}
