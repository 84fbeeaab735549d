import ArgumentParser
import EtcdAPI
import MartletClient

struct TxnCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "txn", abstract: "Does one of two things, depending on how keys are: at once, and whole.",
        usage: "martlet txn [-i] [options]",
        discussion: """
            Reads three blocks from standard input, each ended by a blank line: conditions; what is done if all of \
            them hold; what is done otherwise. A condition is mod, create, version, value or lease of a key, compared \
            by =, !=, > or < with a text in quotes. What is done is put, get and del, with their flags.

            Example:
              martlet txn <<'END'
              mod("fruit/apple") > "0"

              put fruit/apple 4
              get fruit/ --prefix

              put fruit/apple 1

              END
            """)

    @Flag(name: [.short, .long], help: "Say which block is to be given next.") var interactive = false
    @Argument(help: .hidden) var arguments: [String] = []
    @OptionGroup(title: "Options of every command") var global: GlobalOptions

    func run() async throws {
        guard arguments.isEmpty else {
            throw CommandFailure.badArguments("txn command does not accept argument; it reads from standard input")
        }
        let format = try global.format(noneOf: [.table])
        var input = InputLines()
        let request = try TransactionScript.read(
            prompt: { if interactive { Output.print($0 + "\n") } }, nextLine: { input.nextLine() })
        let response = try await global.call(isWrite: true) { (client) throws(ClientError) in
            try await client.txn(request)
        }
        try global.write { () throws(UnsupportedFormat) in
            try KeyValueOutput.txn(response, format, hex: global.prefersHex)
        }
    }
}
