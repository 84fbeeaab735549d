import ArgumentParser
import EtcdAPI
import Foundation
import MartletClient

struct ElectCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "elect", abstract: "Stands for an election and leads until it is stopped, or says who leads.",
        usage: "martlet elect <name> (<value> | --listen) [options]",
        discussion: """
            Examples:
              martlet elect scheduler "$(hostname)"    prints its key and value when it leads
              martlet elect --listen scheduler         prints each leader
            """)

    @Argument(help: ArgumentHelp("The election's name, and what to be known by.", valueName: "name and value"))
    var arguments: [String] = []
    @Flag(name: [.short, .long], help: "Do not stand, but say who leads.") var listen = false
    @OptionGroup(title: "Options of every command") var global: GlobalOptions

    func run() async throws {
        guard (1...2).contains(arguments.count) else {
            throw CommandFailure.badArguments(
                "elect takes one election name argument and an optional proposal argument")
        }
        if arguments.count == 1, !listen {
            throw CommandFailure.badArguments("no proposal argument but -l not set")
        }
        if arguments.count == 2, listen { throw CommandFailure.badArguments("proposal given but -l is set") }
        let format = try global.format(noneOf: [.table])
        let client = try global.client()
        let name = ArgumentBytes.bytes(arguments[0])
        let interruption = Interruption()
        let failure: CommandFailure?
        do throws(ClientError) {
            failure =
                listen
                ? try await observe(client, name, format, interruption)
                : try await campaign(client, name, ArgumentBytes.bytes(arguments[1]), format, interruption)
        } catch {
            failure = CommandFailure(error, timeout: try global.timeout())
        }
        await client.shutdown()
        if let failure { throw failure }
    }

    private func observe(
        _ client: EtcdClient, _ name: [UInt8], _ format: OutputFormat, _ interruption: Interruption
    ) async throws(ClientError) -> CommandFailure? {
        let hex = global.prefersHex
        let observing = Task {
            await Result { () async throws(ClientError) in
                try await Election.observe(client, name: name) { (leader) throws(ClientError) in
                    Output.write((try? KeyValueOutput.get(leader, format, hex: hex)) ?? [])
                }
            }
        }
        interruption.onSignal { _ in observing.cancel() }
        let result = await observing.value
        if interruption.received == nil { try result.get() }
        return nil
    }

    private func campaign(
        _ client: EtcdClient, _ name: [UInt8], _ value: [UInt8], _ format: OutputFormat, _ interruption: Interruption
    ) async throws(ClientError) -> CommandFailure? {
        let session = try await Session.open(client, ttl: LockCommand.defaultTTL)
        let election = Election(session, name: name)
        let campaigning = Task {
            await Result { () async throws(ClientError) in try await election.campaign(value) }
        }
        interruption.onSignal { _ in campaigning.cancel() }
        var outcome: Result<CommandFailure?, ClientError>
        do throws(ClientError) {
            try await campaigning.value.get()
            let won = try await client.range(WireRangeRequest(key: election.key))
            Output.write((try? KeyValueOutput.get(won, format, hex: global.prefersHex)) ?? [])
            let signal = await interruption.race { await session.waitForEnd() }
            outcome = .success(signal == nil ? .failed("elect: session expired") : nil)
        } catch {
            outcome = .failure(error)
        }
        do throws(ClientError) {
            try await election.resign()
        } catch {
            if case .success(nil) = outcome { outcome = .failure(error) }
        }
        await session.close()
        return try outcome.get()
    }
}
