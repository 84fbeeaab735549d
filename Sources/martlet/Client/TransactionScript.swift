import ArgumentParser
import EtcdAPI
import MartletClient

/// The text that `txn` reads: three blocks, ended by a blank line each.
enum TransactionScript {
    static func read(
        prompt: (String) -> Void, nextLine: () -> String?
    ) throws(CommandFailure) -> WireTxnRequest<[UInt8]> {
        func block<Line>(_ parse: (String) throws(CommandFailure) -> Line) throws(CommandFailure) -> [Line] {
            var lines: [Line] = []
            while true {
                guard let line = nextLine() else {
                    throw .badInput("EOF; each of the three blocks of a transaction ends with a blank line")
                }
                let trimmed = trim(line)
                if trimmed.isEmpty { return lines }
                lines.append(try parse(trimmed))
            }
        }
        var request = WireTxnRequest<[UInt8]>()
        prompt("compares:")
        request.compare = try block(compare)
        prompt("success requests (get, put, del):")
        request.success = try block(operation)
        prompt("failure requests (get, put, del):")
        request.failure = try block(operation)
        return request
    }

    private static func trim(_ line: String) -> String {
        let blanks: (Character) -> Bool = { $0.isWhitespace }
        return String(String(line.drop(while: blanks).reversed()).drop(while: blanks).reversed())
    }

    // MARK: Conditions

    /// Reads `mod("key") > "0"`.
    static func compare(_ line: String) throws(CommandFailure) -> WireCompare<[UInt8]> {
        guard let parenthesis = line.firstIndex(of: "(") else { throw .badInput("malformed comparison: \(line)") }
        let target = line[..<parenthesis]
        let parts = Parts(line[line.index(after: parenthesis)...])
        guard let key = parts.key, let relation = parts.relation, let operand = parts.operand else {
            throw .badInput("malformed comparison: \(line); got \(target)\(parts)")
        }
        var compare = WireCompare<[UInt8]>()
        compare.key = key
        switch relation {
        case "=": compare.result = .equal
        case "!=": compare.result = .notEqual
        case ">": compare.result = .greater
        case "<": compare.result = .less
        default: throw .badInput("malformed comparison: \(line) (unknown relation \(relation); use =, !=, > or <)")
        }
        func number(radix: Int = 10) throws(CommandFailure) -> Int64 {
            guard let number = Int64(ArgumentBytes.text(operand), radix: radix) else {
                throw .badInput("invalid txn compare request: \(line)")
            }
            return number
        }
        switch target {
        case "ver", "version": (compare.target, compare.operand) = (.version, .version(try number()))
        case "c", "create": (compare.target, compare.operand) = (.create, .createRevision(try number()))
        case "m", "mod": (compare.target, compare.operand) = (.mod, .modRevision(try number()))
        case "val", "value": (compare.target, compare.operand) = (.value, .value(operand))
        // Hexadecimal, as leases are everywhere in the commands. (etcdctl 3.5 and 3.6 crash on it.)
        case "lease": (compare.target, compare.operand) = (.lease, .lease(try number(radix: 16)))
        default: throw .badInput("malformed comparison: \(line) (unknown target \(target))")
        }
        return compare
    }

    /// What stands after the parenthesis: `"key") > "operand"`, as far as it is there. By the rules of Go's
    /// `Sscanf("%q) %s %q")`, because those are etcdctl's: blanks before what is quoted, at least one after the
    /// parenthesis, whatever follows is not looked at.
    private struct Parts: CustomStringConvertible {
        var key: [UInt8]?
        var relation: String?
        var operand: [UInt8]?

        init(_ text: Substring) {
            var rest = Array(ArgumentBytes.bytes(String(text)))[...]
            guard let quoted = Self.quoted(&rest) else { return }
            key = quoted
            guard rest.first == UInt8(ascii: ")"), let blank = rest.dropFirst().first,
                CommandLineWords.isBlank(blank)
            else { return }
            rest = rest.dropFirst().drop(while: CommandLineWords.isBlank)
            let word = rest.prefix { !CommandLineWords.isBlank($0) }
            guard !word.isEmpty else { return }
            relation = ArgumentBytes.text(Array(word))
            rest = rest.dropFirst(word.count)
            operand = Self.quoted(&rest)
        }

        private static func quoted(_ rest: inout ArraySlice<UInt8>) -> [UInt8]? {
            rest = rest.drop(while: CommandLineWords.isBlank)
            guard let (bytes, length) = GoText.unquoted(rest) else { return nil }
            rest = rest.dropFirst(length)
            return bytes
        }

        var description: String {
            "(\(GoText.quoted(key ?? []))) \(relation ?? "") \(GoText.quoted(operand ?? []))"
        }
    }

    // MARK: Operations

    /// Reads `put key value`, `get key` or `del key`, with the flags of the commands.
    static func operation(_ line: String) throws(CommandFailure) -> WireRequestOp<[UInt8]> {
        let words = try CommandLineWords.split(line)
        guard let name = words.first, words.count > 1 else { throw .badInput("invalid txn compare request: \(line)") }
        // As it would be without the command itself, which `normalize` would move to the front.
        let arguments = Array(ArgumentNormalization.normalize(words).dropFirst())
        switch name {
        case "put":
            let command = try parse(PutCommand.self, arguments, line)
            try checkGlobal(command.global, line)
            guard command.arguments.count > 1 || command.ignoreValue else {
                throw .badArguments("put command needs 1 argument and input from stdin or 2 arguments")
            }
            return .put(try command.request { [] })
        case "get":
            let command = try parse(GetCommand.self, arguments, line)
            try checkGlobal(command.global, line)
            return .range(try command.request())
        case "del":
            let command = try parse(DelCommand.self, arguments, line)
            try checkGlobal(command.global, line)
            return .deleteRange(try command.request())
        default: throw .badInput("invalid txn request: \(line); a transaction has put, get and del")
        }
    }

    private static func parse<Command: ParsableCommand>(
        _ type: Command.Type, _ arguments: [String], _ line: String
    ) throws(CommandFailure) -> Command {
        do {
            return try type.parse(arguments)
        } catch {
            throw .badInput("invalid txn request: \(line); \(type.message(for: error))")
        }
    }

    private static func checkGlobal(_ global: GlobalOptions, _ line: String) throws(CommandFailure) {
        guard global.isUntouched else {
            throw .badInput("invalid txn request: \(line); flags of the whole command stand after txn")
        }
    }
}
