import ArgumentParser
import EtcdAPI
import MartletClient

struct EndpointCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "endpoint", abstract: "Asks each endpoint for itself: status, health, hashkv.",
        subcommands: [EndpointStatusCommand.self, EndpointHealthCommand.self, EndpointHashKVCommand.self])
}

/// Which endpoints are asked.
struct EndpointOptions: ParsableArguments {
    @Flag(help: "Ask all members of the cluster, not only the endpoints that are named.") var cluster = false
    @OptionGroup(title: "Options of every command") var global: GlobalOptions

    func endpoints() async throws(CommandFailure) -> [Endpoint] {
        guard cluster else { return try global.servers() }
        let members = try await global.call { (client) throws(ClientError) in try await client.memberList() }
        do {
            return try members.members.flatMap(\.clientUrls).map { text throws(ClientError) in
                try Endpoint(parsing: text)
            }
        } catch {
            throw CommandFailure(error, timeout: .zero)
        }
    }

    /// Asks all endpoints at once; the answers come in the order of the endpoints.
    func askAll<Answer: Sendable>(
        _ ask: @escaping @Sendable (EtcdClient) async throws(ClientError) -> Answer
    ) async throws(CommandFailure) -> [(endpoint: Endpoint, result: Result<Answer, ClientError>, took: Duration)] {
        let endpoints = try await endpoints()
        guard !endpoints.isEmpty else { throw .failed("no member tells where clients find it; name the endpoints") }
        let base = try global.client(of: endpoints)
        let answers = await withTaskGroup(of: (Int, Result<Answer, ClientError>, Duration).self) { group in
            for (index, endpoint) in endpoints.enumerated() {
                group.addTask {
                    let client = base.only(endpoint)
                    let start = ContinuousClock.now
                    let result: Result<Answer, ClientError>
                    do throws(ClientError) {
                        result = .success(try await ask(client))
                    } catch {
                        result = .failure(error)
                    }
                    let took = start.duration(to: .now)
                    await client.shutdown()
                    return (index, result, took)
                }
            }
            var answers: [(Int, Result<Answer, ClientError>, Duration)] = []
            for await answer in group { answers.append(answer) }
            return answers
        }
        return answers.sorted { $0.0 < $1.0 }.map { (endpoints[$0.0], $0.1, $0.2) }
    }
}

struct EndpointStatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Prints how each endpoint is.",
        usage: "martlet endpoint status [--cluster] [options]")
    @OptionGroup var options: EndpointOptions
    func run() async throws { try await StatusCommand.run(options) }
}

/// `martlet status` is short for `martlet endpoint status`.
struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Prints how each endpoint is; short for endpoint status.",
        usage: "martlet status [--cluster] [options]")
    @OptionGroup var options: EndpointOptions
    func run() async throws { try await Self.run(options) }

    static func run(_ options: EndpointOptions) async throws(CommandFailure) {
        let format = try options.global.format()
        var statuses: [ClusterOutput.Status] = []
        var failed = false
        for answer in try await options.askAll({ (client) throws(ClientError) in try await client.status() }) {
            switch answer.result {
            case .success(let response):
                statuses.append(.init(endpoint: answer.endpoint.text, response: response))
            case .failure(let error):
                failed = true
                Output.error("Failed to get the status of endpoint \(answer.endpoint) (\(error))\n")
            }
        }
        try options.global.write { () throws(UnsupportedFormat) in
            Array(try ClusterOutput.status(statuses, format).utf8)
        }
        if failed { throw CommandFailure(message: "", exitCode: CommandFailure.errorCode) }
    }
}

struct EndpointHealthCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "health", abstract: "Asks each endpoint for a read that all members agree on, and for alarms.",
        usage: "martlet endpoint health [--cluster] [options]")
    @OptionGroup var options: EndpointOptions

    func run() async throws {
        let format = try options.global.format()
        let answers = try await options.askAll { (client) throws(ClientError) in try await Self.check(client) }
        let healths = answers.map { answer in
            let error: String? =
                switch answer.result {
                case .success(let complaint): complaint
                case .failure(let error): error.description
                }
            return ClusterOutput.Health(endpoint: answer.endpoint.text, took: answer.took, error: error)
        }
        try options.global.write { () throws(UnsupportedFormat) in
            let text = try ClusterOutput.health(healths, format)
            Output.error(text.errors)
            return Array(text.output.utf8)
        }
        if healths.contains(where: { $0.error != nil }) { throw CommandFailure.failed("unhealthy cluster") }
    }

    /// What is wrong with an endpoint that answers; nil if nothing is. That a read is not permitted is an answer too.
    static func check(_ client: EtcdClient) async throws(ClientError) -> String? {
        do throws(ClientError) {
            _ = try await client.get("health")
        } catch {
            guard error == .etcd(.permissionDenied) else { throw error }
        }
        let alarms = try await client.alarmList().alarms
        guard !alarms.isEmpty else { return nil }
        return "Active Alarm(s): " + alarms.map { AlarmOutput.name($0.alarm) }.joined(separator: ", ")
    }
}

struct EndpointHashKVCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hashkv", abstract: "Prints the hash of each endpoint's history.",
        usage: "martlet endpoint hashkv [--cluster] [--rev <rev>] [options]")
    @Option(help: "The revision to hash up to; 0 for all.") var rev: Int64 = 0
    @OptionGroup var options: EndpointOptions

    func run() async throws {
        let format = try options.global.format()
        let rev = rev
        var hashes: [ClusterOutput.HashKV] = []
        var failure: ClientError?
        for answer in try await options.askAll({ (client) throws(ClientError) in try await client.hashKV(revision: rev)
        }) {
            switch answer.result {
            case .success(let response): hashes.append(.init(endpoint: answer.endpoint.text, response: response))
            case .failure(let error):
                failure = failure ?? error
                Output.error("Failed to get the hash of endpoint \(answer.endpoint) (\(error))\n")
            }
        }
        if let failure { throw CommandFailure(failure, timeout: try options.global.timeout()) }
        try options.global.write { () throws(UnsupportedFormat) in
            Array(try ClusterOutput.hashKV(hashes, format).utf8)
        }
    }
}
