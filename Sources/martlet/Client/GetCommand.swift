import ArgumentParser
import EtcdAPI
import MartletClient

struct GetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "get", abstract: "Gets a key or a range of keys.",
        usage: "martlet get <key> [<range-end>] [options]")

    @Argument(help: "The key, and the end of the range, which is not part of it.") var keys: [String] = []

    @Option(help: "l: as of now, agreed with the others. s: what this member has.") var consistency = "l"
    @Option(help: "ASCEND or DESCEND.") var order = ""
    @Option(help: "CREATE, KEY, MODIFY, VALUE or VERSION.") var sortBy = ""
    @Option(help: "How many results at most; 0 for all.") var limit: Int64 = 0
    @Flag(help: "Get all keys that begin with the key.") var prefix = false
    @Flag(help: "Get all keys that are the key or come after it.") var fromKey = false
    @Option(help: "The revision to look at; 0 for the newest.") var rev: Int64 = 0
    @Flag(help: "Get the keys only.") var keysOnly = false
    @Flag(help: "Get the number of keys only; with --write-out=fields.") var countOnly = false
    @Flag(help: "Print the values only.") var printValueOnly = false
    @Option(help: "Only keys that were created at this revision or later.") var minCreateRev: Int64 = 0
    @Option(help: "Only keys that were created at this revision or before.") var maxCreateRev: Int64 = 0
    @Option(help: "Only keys that were changed at this revision or later.") var minModRev: Int64 = 0
    @Option(help: "Only keys that were changed at this revision or before.") var maxModRev: Int64 = 0
    @OptionGroup(title: "Options of every command") var global: GlobalOptions

    func request() throws(CommandFailure) -> WireRangeRequest<[UInt8]> {
        let range = try KeyRange(keys, prefix: prefix, fromKey: fromKey, command: "get")
        if keysOnly, countOnly {
            throw .badArguments("`--keys-only` and `--count-only` cannot be set at the same time, choose one")
        }
        var request = WireRangeRequest<[UInt8]>(key: range.key, rangeEnd: range.end)
        switch consistency {
        case "l": break
        case "s": request.serializable = true
        default: throw .badFeature("unknown consistency flag \"\(consistency)\"; use l or s")
        }
        switch order.uppercased() {
        case "": break
        case "ASCEND": request.sortOrder = .ascend
        case "DESCEND": request.sortOrder = .descend
        default: throw .badFeature("bad sort order \(order); use ASCEND or DESCEND")
        }
        switch sortBy.uppercased() {
        case "", "KEY": request.sortTarget = .key
        case "CREATE": request.sortTarget = .create
        case "MODIFY": request.sortTarget = .mod
        case "VALUE": request.sortTarget = .value
        case "VERSION": request.sortTarget = .version
        default: throw .badFeature("bad sort target \(sortBy); use CREATE, KEY, MODIFY, VALUE or VERSION")
        }
        request.limit = limit
        request.revision = rev
        request.keysOnly = keysOnly
        request.countOnly = countOnly
        request.minCreateRevision = minCreateRev
        request.maxCreateRevision = maxCreateRev
        request.minModRevision = minModRev
        request.maxModRevision = maxModRev
        return request
    }

    func checkFormat(_ format: OutputFormat) throws(CommandFailure) {
        if countOnly, format != .fields { throw .badArguments("--count-only is only for `--write-out=fields`") }
        if printValueOnly, format != .simple {
            throw .badArguments("print-value-only is only for `--write-out=simple`")
        }
        if format == .table { throw .badFeature("\(UnsupportedFormat(format: format))") }
    }

    func run() async throws {
        let request = try request()
        let format = try global.format()
        try checkFormat(format)
        let response = try await global.call { (client) throws(ClientError) in try await client.range(request) }
        try global.write { () throws(UnsupportedFormat) in
            try KeyValueOutput.get(response, format, hex: global.prefersHex, valuesOnly: printValueOnly)
        }
    }
}
