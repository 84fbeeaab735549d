import ArgumentParser
import EtcdAPI
import Foundation
import MartletClient

struct PutCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "put", abstract: "Puts a key; its value is the second argument, or what standard input has.",
        usage: "martlet put <key> [<value>] [options]",
        discussion: "A key or a value that begins with a dash stands behind --: martlet put -- -key -value")

    @Argument(help: "The key and its value.") var arguments: [String] = []

    @Option(help: "The lease to bind the key to, in hexadecimal.") var lease = "0"
    @Flag(help: "Print what was there before.") var prevKv = false
    @Flag(help: "Keep the value that is there.") var ignoreValue = false
    @Flag(help: "Keep the lease that is there.") var ignoreLease = false
    @OptionGroup(title: "Options of every command") var global: GlobalOptions

    /// - Parameter readInput: the value where there is none among the arguments.
    func request(_ readInput: () -> [UInt8]) throws(CommandFailure) -> WirePutRequest<[UInt8]> {
        guard let key = arguments.first else {
            throw .badArguments("put command needs 1 argument and input from stdin or 2 arguments")
        }
        guard arguments.count <= 2 else {
            throw .badArguments("put takes a key and a value and nothing more; put a value with blanks in quotes")
        }
        if ignoreValue, arguments.count > 1 {
            throw .badArguments("put command needs only 1 argument when 'ignore-value' is set")
        }
        guard let lease = Int64(lease, radix: 16) else {
            throw .badArguments("bad lease ID \"\(lease)\", expecting ID in Hex")
        }
        var request = WirePutRequest<[UInt8]>(key: ArgumentBytes.bytes(key), value: [], lease: lease)
        if arguments.count == 2 {
            request.value = ArgumentBytes.bytes(arguments[1])
        } else if !ignoreValue {
            request.value = readInput()
        }
        request.prevKV = prevKv
        request.ignoreValue = ignoreValue
        request.ignoreLease = ignoreLease
        return request
    }

    func run() async throws {
        let format = try global.format()
        if format == .table { throw CommandFailure.badFeature("\(UnsupportedFormat(format: format))") }
        let request = try request { Array(FileHandle.standardInput.readDataToEndOfFile()) }
        let response = try await global.call(isWrite: true) { (client) throws(ClientError) in
            try await client.put(request)
        }
        try global.write { () throws(UnsupportedFormat) in
            try KeyValueOutput.put(response, format, hex: global.prefersHex)
        }
    }
}
