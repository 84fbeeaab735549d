import ArgumentParser
import EtcdAPI
import MartletClient

struct DowngradeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "downgrade", abstract: "Takes an etcd cluster back to the minor version before.",
        discussion: "It is etcd's members that can do this; Martlet's have one format.",
        subcommands: [DowngradeValidateCommand.self, DowngradeEnableCommand.self, DowngradeCancelCommand.self])

    static func call(
        _ action: Etcdserverpb_DowngradeRequest.DowngradeAction, _ arguments: [String], _ global: GlobalOptions
    ) async throws(CommandFailure) -> String {
        if action == .cancel {
            guard arguments.isEmpty else { throw .badArguments("downgrade cancel takes no arguments") }
        } else if arguments.count != 1 {
            throw .badArguments(arguments.isEmpty ? "no target version given" : "too many arguments")
        }
        let version = arguments.first ?? ""
        let response = try await global.call(isWrite: action != .validate) { (client) throws(ClientError) in
            try await client.downgrade(action, version: version)
        }
        return response.version
    }
}

struct DowngradeValidateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "validate", abstract: "Asks whether it could.",
        usage: "martlet downgrade validate <version> [options]")
    @Argument(help: ArgumentHelp("The version, such as 3.5.", valueName: "version")) var arguments: [String] = []
    @OptionGroup(title: "Options of every command") var global: GlobalOptions

    func run() async throws {
        let version = try await DowngradeCommand.call(.validate, arguments, global)
        Output.print("Downgrade validate success, cluster version \(version)\n")
    }
}

struct DowngradeEnableCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "enable", abstract: "Begins it.",
        usage: "martlet downgrade enable <version> [options]")
    @Argument(help: ArgumentHelp("The version, such as 3.5.", valueName: "version")) var arguments: [String] = []
    @OptionGroup(title: "Options of every command") var global: GlobalOptions

    func run() async throws {
        let version = try await DowngradeCommand.call(.enable, arguments, global)
        Output.print("Downgrade enable success, cluster version \(version)\n")
    }
}

struct DowngradeCancelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel", abstract: "Leaves it.",
        usage: "martlet downgrade cancel [options]")
    @Argument(help: .hidden) var arguments: [String] = []
    @OptionGroup(title: "Options of every command") var global: GlobalOptions

    func run() async throws {
        let version = try await DowngradeCommand.call(.cancel, arguments, global)
        Output.print("Downgrade cancel success, cluster version \(version)\n")
    }
}
