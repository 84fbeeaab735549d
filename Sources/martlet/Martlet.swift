import ArgumentParser
import EtcdAPI
import Foundation
import MartletServer

/// The program: one executable with subcommands.
@main
struct Martlet: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "martlet",
        abstract: "A replicated, strongly consistent key-value store that speaks etcd's v3 API.",
        discussion: """
            Try it:
              martlet dev                       three members on this machine
              martlet put greeting hello
              martlet get greeting

            The client commands are etcdctl's, with its flags and output, and work with any etcd v3 cluster.
            """,
        version: "martlet Version: \(MartletVersion.martlet)",
        groupedSubcommands: [
            CommandGroup(name: "Servers", subcommands: [ServeCommand.self, DevCommand.self]),
            CommandGroup(
                name: "Keys and values",
                subcommands: [
                    PutCommand.self, GetCommand.self, DelCommand.self, TxnCommand.self, WatchCommand.self,
                    LeaseCommand.self, CompactionCommand.self,
                ]),
            CommandGroup(name: "Coordination", subcommands: [LockCommand.self, ElectCommand.self, ServiceCommand.self]),
            CommandGroup(
                name: "Clusters",
                subcommands: [
                    StatusCommand.self, EndpointCommand.self, MemberCommand.self, MoveLeaderCommand.self,
                    SnapshotCommand.self, AlarmCommand.self, DefragCommand.self, MakeMirrorCommand.self,
                    CheckCommand.self, DowngradeCommand.self,
                ]),
            CommandGroup(
                name: "Other",
                subcommands: [
                    CompletionCommand.self, VersionCommand.self, AuthCommand.self, UserCommand.self, RoleCommand.self,
                ]),
        ])

    static func main() async {
        let arguments = ArgumentBytes.ofProcess()
        do {
            // The server has its own parser, because etcd's flags may have one dash, and Go's rules for booleans.
            if arguments.first == ServeCommand.name { return try await ServeCommand.run(Array(arguments.dropFirst())) }
            let normalized = ArgumentNormalization.normalize(arguments)
            try checkCommand(normalized)
            var command = try parseAsRoot(normalized)
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch {
            Self.leave(error)
        }
    }

    /// Refuses a command that there is not, with the one that may be meant.
    static func checkCommand(_ arguments: [String]) throws(CommandFailure) {
        var commands = configuration.subcommands
        var path = ""
        for name in arguments.prefix(2) {
            let names = commands.compactMap { $0.configuration.commandName } + ["help"]
            guard !name.hasPrefix("-"), !names.isEmpty else { return }
            guard let command = commands.first(where: { $0.configuration.commandName == name }) else {
                if name == "help" { return }
                let all = "martlet \(path.isEmpty ? "" : path + " ")--help lists all"
                let hint = Suggestion.nearest(to: name, among: names).map { "did you mean \($0)?" } ?? all
                throw .failed("unknown command \"\(name)\"\(path.isEmpty ? "" : " of \(path)"); \(hint)")
            }
            if name == WatchCommand.configuration.commandName { try WatchCommand.checkSeparator(arguments) }
            commands = command.configuration.subcommands
            path = name
            if commands.isEmpty { return }
        }
    }

    /// Prints why it ends, and ends with the exit code that etcdctl has for it.
    static func leave(_ error: any Error) -> Never {
        if let failure = error as? CommandFailure {
            if !failure.message.isEmpty { Output.error("Error: \(failure.message)\n") }
            Foundation.exit(failure.exitCode)
        }
        let code = exitCode(for: error)
        guard !code.isSuccess else { exit(withError: error) }
        Output.error(fullMessage(for: error) + "\n")
        Foundation.exit(code == .validationFailure ? CommandFailure.errorCode : code.rawValue)
    }
}

struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "version", abstract: "Prints the version of martlet.")

    @OptionGroup(title: "Options of every command") var global: GlobalOptions

    func run() throws {
        Output.print("martlet Version: \(MartletVersion.martlet)\nAPI version: 3.6\n")
    }
}
