import ArgumentParser
import Foundation
import MartletClient
import MartletServer

/// The flags that every client command has, which are etcdctl's. Each may come from the environment: `--write-out` from
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
            "How answers are printed: simple, json, fields, table or protobuf. (default: simple)",
            valueName: "format"))
    var writeOut: String?

    @Option(help: ArgumentHelp("How long a command may take. (default: 5s)", valueName: "duration"))
    var commandTimeout: String?

    @Option(help: ArgumentHelp("How long connecting may take. (default: 2s)", valueName: "duration"))
    var dialTimeout: String?

    @Flag(help: "Print keys and values as hexadecimal bytes.")
    var hex = false

    @Flag(help: "Print the settings that a command has, to standard error.")
    var debug = false

    @Option(
        help: ArgumentHelp(
            "A silent connection is asked for a sign of life after so long, at least 10s. (default: 10s)",
            valueName: "duration"))
    var keepaliveTime: String?

    @Option(help: ArgumentHelp("How long it has to give one. (default: 6s)", valueName: "duration"))
    var keepaliveTimeout: String?

    @Option(help: ArgumentHelp("The largest request that is sent. (default: 2097152)", valueName: "bytes"))
    var maxRequestBytes: Int?

    @Option(help: ArgumentHelp("The largest answer that is taken. (default: 2147483647)", valueName: "bytes"))
    var maxRecvBytes: Int?

    // What etcdctl has and Martlet does not yet: taken, so that it can be refused with a reason.
    @Flag(inversion: .prefixedNo, help: .hidden) var insecureTransport = true
    @Flag(inversion: .prefixedNo, help: .hidden) var insecureDiscovery = true
    @Flag(help: .hidden) var insecureSkipTlsVerify = false
    @Option(help: .hidden) var cert: String?
    @Option(help: .hidden) var key: String?
    @Option(help: .hidden) var cacert: String?
    @Option(help: .hidden) var user: String?
    @Option(help: .hidden) var password: String?
    @Option(name: [.customShort("d"), .customLong("discovery-srv")], help: .hidden) var discoverySrv: String?
    @Option(help: .hidden) var discoverySrvName: String?

    /// What is set in one of the two ways.
    private func setting(_ flag: String?, _ name: String) -> String? {
        [flag, environment(name)].compactMap { $0 }.first { !$0.isEmpty }
    }

    /// Refuses what is not there yet, rather than connecting in another way than was asked for.
    private func checkAvailable() throws(CommandFailure) {
        let tls = [setting(cert, "CERT"), setting(key, "KEY"), setting(cacert, "CACERT")].contains { $0 != nil }
        if tls || !insecureTransport {
            throw .badArguments("TLS is not available yet; leave --cert, --key, --cacert and --insecure-transport away")
        }
        if setting(user, "USER") != nil || setting(password, "PASSWORD") != nil {
            throw .badArguments("users and passwords are not available yet; leave --user and --password away")
        }
        if setting(discoverySrv, "DISCOVERY_SRV") != nil {
            throw .badArguments("discovery by DNS is not available yet; name the members with --endpoints")
        }
    }

    /// Nothing was set among a command's own arguments, as within a transaction.
    var isUntouched: Bool {
        endpoints.isEmpty && writeOut == nil && commandTimeout == nil && dialTimeout == nil && !hex && !debug
            && keepaliveTime == nil && keepaliveTimeout == nil && maxRequestBytes == nil && maxRecvBytes == nil
            && cert == nil && key == nil && cacert == nil && user == nil && password == nil && discoverySrv == nil
    }

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
            throw .badFeature("unsupported output format \"\(text)\"; use simple, json, fields, table or protobuf")
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

    private func size(_ flag: Int?, _ name: String) throws(CommandFailure) -> Int? {
        guard let text = flag.map(String.init) ?? environment(name) else { return nil }
        guard let size = Int(text), (1...2_147_483_647).contains(size) else {
            let flag = "--" + name.lowercased().replacing("_", with: "-")
            throw .badArguments("\(flag): \"\(text)\" is not a number of bytes up to 2147483647")
        }
        return size
    }

    /// As the variables of the environment that would set them.
    private func printSettings(_ options: EtcdClient.Options) throws(CommandFailure) {
        let settings = [
            ("COMMAND_TIMEOUT", GoText.duration(options.timeout)), ("DEBUG", "true"),
            ("DIAL_TIMEOUT", GoText.duration(options.dialTimeout)),
            ("ENDPOINTS", "[" + (try servers().map(\.text).joined(separator: ",")) + "]"), ("HEX", "\(prefersHex)"),
            ("KEEPALIVE_TIME", options.keepAliveInterval.map(GoText.duration) ?? ""),
            ("KEEPALIVE_TIMEOUT", GoText.duration(options.keepAliveTimeout)),
            ("MAX_RECV_BYTES", "\(options.answerBytesMax)"), ("MAX_REQUEST_BYTES", "\(options.requestBytesMax)"),
            ("WRITE_OUT", try format().rawValue),
        ]
        for (name, value) in settings { Output.error("ETCDCTL_\(name)=\(value)\n") }
    }

    func client(of endpoints: [Endpoint]) throws(CommandFailure) -> EtcdClient {
        var options = EtcdClient.Options()
        options.timeout = try timeout()
        options.dialTimeout = try duration(dialTimeout ?? environment("DIAL_TIMEOUT") ?? "2s", "--dial-timeout")
        let silence = try duration(keepaliveTime ?? environment("KEEPALIVE_TIME") ?? "10s", "--keepalive-time")
        // gRPC's clients ask no more often, and servers close connections that do.
        options.keepAliveInterval = max(silence, .seconds(10))
        options.keepAliveTimeout = try duration(
            keepaliveTimeout ?? environment("KEEPALIVE_TIMEOUT") ?? "6s", "--keepalive-timeout")
        options.requestBytesMax = try size(maxRequestBytes, "MAX_REQUEST_BYTES") ?? 2 << 20
        options.answerBytesMax = try size(maxRecvBytes, "MAX_RECV_BYTES") ?? 2_147_483_647
        try checkAvailable()
        if debug || ["1", "true"].contains(environment("DEBUG")) { try printSettings(options) }
        return EtcdClient(endpoints: endpoints, options: options)
    }

    /// A client of the endpoints, for commands that make more than one call.
    func client() throws(CommandFailure) -> EtcdClient { try client(of: try servers()) }

    /// Refuses a format that a command does not have, before anything is done.
    func format(noneOf refused: [OutputFormat]) throws(CommandFailure) -> OutputFormat {
        let format = try format()
        if refused.contains(format) { throw .badFeature("\(UnsupportedFormat(format: format))") }
        return format
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
