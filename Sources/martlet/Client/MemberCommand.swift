import ArgumentParser
import MartletClient

struct MemberCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "member", abstract: "Asks about the members of the cluster.", subcommands: [MemberListCommand.self]
    )
}

struct MemberListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "Lists the members.")

    @Option(help: "l: as of now, agreed with the others. s: what this member has.") var consistency = "l"
    @OptionGroup var global: GlobalOptions

    func run() async throws {
        guard consistency == "l" || consistency == "s" else {
            throw CommandFailure.badFeature("unknown consistency flag \"\(consistency)\"; use l or s")
        }
        let format = try global.format()
        let response = try await global.call { (client) throws(ClientError) in
            try await client.memberList(linearizable: consistency == "l")
        }
        Output.print(ClusterOutput.memberList(response, format, hex: global.prefersHex))
    }
}
