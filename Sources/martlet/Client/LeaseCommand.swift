import ArgumentParser
import EtcdAPI
import MartletClient

struct LeaseCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lease", abstract: "Grants leases, keeps them alive and ends them: keys that go when it goes.",
        discussion: """
            Example:
              martlet lease grant 60                     prints the lease's id, 32695410dcc0ca06 for one
              martlet put --lease=32695410dcc0ca06 service/a up
              martlet lease keep-alive 32695410dcc0ca06  until it is stopped
            """,
        subcommands: [
            LeaseGrantCommand.self, LeaseRevokeCommand.self, LeaseTimeToLiveCommand.self, LeaseListCommand.self,
            LeaseKeepAliveCommand.self,
        ])

    /// The one id that a command has for an argument.
    static func onlyID(_ arguments: [String], _ complaint: String) throws(CommandFailure) -> Int64 {
        guard arguments.count == 1 else { throw .badArguments(complaint) }
        guard let id = Int64(arguments[0], radix: 16) else {
            throw .badArguments("bad lease ID arg (\(arguments[0])), expecting ID in Hex")
        }
        return id
    }
}

struct LeaseGrantCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "grant", abstract: "Grants a lease.",
        usage: "martlet lease grant <ttl> [options]")

    @Argument(help: ArgumentHelp("How many seconds it lives without being kept alive.", valueName: "ttl"))
    var arguments: [String] = []
    @OptionGroup(title: "Options of every command") var global: GlobalOptions

    func run() async throws {
        guard arguments.count == 1 else { throw CommandFailure.badArguments("lease grant command needs TTL argument") }
        guard let ttl = Int64(arguments[0]) else {
            throw CommandFailure.badArguments("bad TTL (\"\(arguments[0])\" is not a number of seconds)")
        }
        let format = try global.format(noneOf: [.table])
        let response: Etcdserverpb_LeaseGrantResponse
        do throws(CommandFailure) {
            response = try await global.call(isWrite: true) { (client) throws(ClientError) in
                try await client.leaseGrant(ttl: ttl)
            }
        } catch {
            throw CommandFailure(message: "failed to grant lease (\(error.message))", exitCode: error.exitCode)
        }
        try global.write { () throws(UnsupportedFormat) in try LeaseOutput.grant(response, format) }
    }
}

struct LeaseRevokeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "revoke", abstract: "Ends a lease; its keys are deleted.",
        usage: "martlet lease revoke <lease-id> [options]")

    @Argument(help: ArgumentHelp("The lease's id, in hexadecimal.", valueName: "lease-id"))
    var arguments: [String] = []
    @OptionGroup(title: "Options of every command") var global: GlobalOptions

    func run() async throws {
        let id = try LeaseCommand.onlyID(arguments, "lease revoke command needs 1 argument")
        let format = try global.format(noneOf: [.table, .protobuf])
        let response: WireHeaderOnlyResponse
        do throws(CommandFailure) {
            response = try await global.call(isWrite: true) { (client) throws(ClientError) in
                try await client.leaseRevoke(id)
            }
        } catch {
            throw CommandFailure(message: "failed to revoke lease (\(error.message))", exitCode: error.exitCode)
        }
        try global.write { () throws(UnsupportedFormat) in try LeaseOutput.revoke(response, id: id, format) }
    }
}

struct LeaseTimeToLiveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "timetolive", abstract: "Prints how long a lease lives, and which keys it has.",
        usage: "martlet lease timetolive <lease-id> [--keys] [options]")

    @Argument(help: ArgumentHelp("The lease's id, in hexadecimal.", valueName: "lease-id"))
    var arguments: [String] = []
    @Flag(help: "Print the lease's keys as well.") var keys = false
    @OptionGroup(title: "Options of every command") var global: GlobalOptions

    func run() async throws {
        let id = try LeaseCommand.onlyID(arguments, "lease timetolive command needs lease ID as argument")
        let format = try global.format(noneOf: [.table])
        let keys = keys
        let response = try await LeaseListCommand.asking { () throws(CommandFailure) in
            try await global.call { (client) throws(ClientError) in try await client.leaseTimeToLive(id, keys: keys) }
        }
        try global.write { () throws(UnsupportedFormat) in
            try LeaseOutput.timeToLive(response, keys: keys, format)
        }
    }
}

struct LeaseListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "Lists all leases.",
        usage: "martlet lease list [options]")

    @OptionGroup(title: "Options of every command") var global: GlobalOptions

    func run() async throws {
        let format = try global.format(noneOf: [.table])
        let response = try await Self.asking { () throws(CommandFailure) in
            try await global.call { (client) throws(ClientError) in try await client.leaseList() }
        }
        try global.write { () throws(UnsupportedFormat) in try LeaseOutput.list(response, format) }
    }

    /// etcdctl has another exit code where it is only asked for leases.
    static func asking<Answer>(
        _ body: () async throws(CommandFailure) -> Answer
    ) async throws(CommandFailure) -> Answer {
        do {
            return try await body()
        } catch {
            guard error.exitCode == CommandFailure.errorCode else { throw error }
            throw CommandFailure(message: error.message, exitCode: CommandFailure.badConnectionCode)
        }
    }
}

struct LeaseKeepAliveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keep-alive", abstract: "Keeps a lease alive for as long as it runs, and says so each time.",
        usage: "martlet lease keep-alive <lease-id> [--once] [options]")

    @Argument(help: ArgumentHelp("The lease's id, in hexadecimal.", valueName: "lease-id"))
    var arguments: [String] = []
    @Flag(help: "Renew it once.") var once = false
    @OptionGroup(title: "Options of every command") var global: GlobalOptions

    func run() async throws {
        let id = try LeaseCommand.onlyID(arguments, "lease keep-alive command needs lease ID as argument")
        let format = try global.format(noneOf: [.table])
        if once {
            let response = try await LeaseListCommand.asking { () throws(CommandFailure) in
                let response = try await global.call { (client) throws(ClientError) in
                    try await client.leaseKeepAliveOnce(id)
                }
                guard response.ttl > 0 else { throw .failed(EtcdError.leaseNotFound.message) }
                return response
            }
            return try global.write { () throws(UnsupportedFormat) in try LeaseOutput.keepAlive(response, format) }
        }
        let client = try global.client()
        let keeper = LeaseKeeper(client, id)
        let result: Result<Void, ClientError>
        do throws(ClientError) {
            while let response = try await keeper.next() {
                do {
                    Output.write(try LeaseOutput.keepAlive(response, format))
                } catch {
                    break
                }
            }
            result = .success(())
        } catch {
            result = .failure(error)
        }
        await client.shutdown()
        if case .failure(let error) = result {
            let failure = CommandFailure(error, timeout: try global.timeout())
            throw CommandFailure(message: failure.message, exitCode: CommandFailure.badConnectionCode)
        }
        if format == .simple { Output.print(LeaseOutput.gone(id: id)) }
    }
}
