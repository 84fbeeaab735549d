import ArgumentParser
import EtcdAPI
import MartletClient

struct DelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "del", abstract: "Deletes a key or a range of keys.",
        usage: "martlet del <key> [<range-end>] [options]")

    @Argument(help: "The key, and the end of the range, which is not part of it.") var keys: [String] = []

    @Flag(help: "Delete all keys that begin with the key.") var prefix = false
    @Flag(help: "Print what was deleted.") var prevKv = false
    @Flag(help: "Delete all keys that are the key or come after it.") var fromKey = false
    @Flag(help: "Taken for etcdctl's sake, where it confirms a range.") var range = false
    @OptionGroup(title: "Options of every command") var global: GlobalOptions

    func request() throws(CommandFailure) -> WireDeleteRangeRequest<[UInt8]> {
        let range = try KeyRange(keys, prefix: prefix, fromKey: fromKey, command: "del")
        return WireDeleteRangeRequest(key: range.key, rangeEnd: range.end, prevKV: prevKv)
    }

    func run() async throws {
        let request = try request()
        let format = try global.format()
        // Before anything is deleted.
        if format == .table { throw CommandFailure.badFeature("\(UnsupportedFormat(format: format))") }
        let response = try await global.call(isWrite: true) { (client) throws(ClientError) in
            try await client.deleteRange(request)
        }
        try global.write { () throws(UnsupportedFormat) in
            try KeyValueOutput.delete(response, format, hex: global.prefersHex)
        }
    }
}
