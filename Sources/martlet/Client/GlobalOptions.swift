import ArgumentParser
import Foundation
import MartletClient
import MartletServer

/// The flags that every client command has. Each may come from the environment: `--write-out` from
/// `MARTLETCTL_WRITE_OUT` or `ETCDCTL_WRITE_OUT`; the flag beats the first, which beats the second.
struct GlobalOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Where the servers are: host:port, several with commas between them. (default: 127.0.0.1:2379)",
            valueName: "endpoints"))
    var endpoints: [String] = []

    @Option(
        name: [.customShort("w"), .customLong("write-out")],
        help: ArgumentHelp(
            "How answers are printed: simple, json, fields or table. (default: simple)", valueName: "format"))
    var writeOut: String?

    @Option(help: ArgumentHelp("How long a command may take. (default: 5s)", valueName: "duration"))
    var commandTimeout: String?

    @Option(help: ArgumentHelp("How long connecting may take. (default: 2s)", valueName: "duration"))
    var dialTimeout: String?

    @Flag(help: "Print keys and values as hexadecimal bytes.")
    var hex = false

    func environment(_ name: String) -> String? {
        let environment = ProcessInfo.processInfo.environment
        return ["MARTLETCTL_", "ETCDCTL_"].lazy.compactMap { environment[$0 + name] }.first { !$0.isEmpty }
    }

    func servers() throws(CommandFailure) -> [Endpoint] {
        let text = endpoints.isEmpty ? environment("ENDPOINTS") ?? "127.0.0.1:2379" : endpoints.joined(separator: ",")
        do {
            return try Endpoint.list(parsing: text)
        } catch {
            throw CommandFailure(error, timeout: .zero)
        }
    }

    func format() throws(CommandFailure) -> OutputFormat {
        let text = writeOut ?? environment("WRITE_OUT") ?? OutputFormat.simple.rawValue
        guard let format = OutputFormat(rawValue: text) else {
            throw .badFeature("unsupported output format \"\(text)\"; use simple, json, fields or table")
        }
        return format
    }

    var prefersHex: Bool { hex || ["1", "true"].contains(environment("HEX")) }

    func timeout() throws(CommandFailure) -> Duration {
        try duration(commandTimeout ?? environment("COMMAND_TIMEOUT") ?? "5s", "--command-timeout")
    }

    private func duration(_ text: String, _ flag: String) throws(CommandFailure) -> Duration {
        guard let duration = GoDuration.parse(text), duration > .zero else {
            throw .badArguments("\(flag): \"\(text)\" is not a duration; write it as 500ms, 20s or 2h")
        }
        return duration
    }

    func client(of endpoints: [Endpoint]) throws(CommandFailure) -> EtcdClient {
        var options = EtcdClient.Options()
        options.timeout = try timeout()
        options.dialTimeout = try duration(dialTimeout ?? environment("DIAL_TIMEOUT") ?? "2s", "--dial-timeout")
        return EtcdClient(endpoints: endpoints, options: options)
    }

    /// Makes one call at the endpoints, and says in a sentence why it failed.
    func call<Answer: Sendable>(
        isWrite: Bool = false, _ body: (EtcdClient) async throws(ClientError) -> Answer
    ) async throws(CommandFailure) -> Answer {
        let client = try client(of: try servers())
        let result: Result<Answer, ClientError>
        do throws(ClientError) {
            result = .success(try await body(client))
        } catch {
            result = .failure(error)
        }
        await client.shutdown()
        do {
            return try result.get()
        } catch {
            throw CommandFailure(error, timeout: try timeout(), isWrite: isWrite)
        }
    }

    /// Prints an answer, or says that the command has no such format.
    func write(_ output: () throws(UnsupportedFormat) -> [UInt8]) throws(CommandFailure) {
        do {
            Output.write(try output())
        } catch {
            throw .badFeature("\(error)")
        }
    }
}
