import ArgumentParser
import EtcdAPI
import MartletClient

struct CompactionCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compaction", abstract: "Forgets the history before a revision, for good.",
        usage: "martlet compaction <revision> [--physical] [options]",
        discussion: """
            What was the newest value of a key at that revision is kept, and everything after it.

            Example:
              martlet compaction 1000
            """)

    @Argument(help: ArgumentHelp("The revision.", valueName: "revision")) var arguments: [String] = []
    @Flag(help: "Wait until what is forgotten is removed from the disk.") var physical = false
    @OptionGroup(title: "Options of every command") var global: GlobalOptions

    func run() async throws {
        guard arguments.count == 1 else { throw CommandFailure.badArguments("compaction command needs 1 argument") }
        guard let revision = Int64(arguments[0]) else {
            throw CommandFailure.failed("\"\(arguments[0])\" is not a revision; a revision is a number")
        }
        _ = try global.format()
        let physical = physical
        _ = try await global.call(isWrite: true) { (client) throws(ClientError) in
            try await client.compact(WireCompactionRequest(revision: revision, physical: physical))
        }
        Output.print("compacted revision \(revision)\n")
    }
}
