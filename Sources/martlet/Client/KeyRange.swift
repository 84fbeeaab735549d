import MartletClient

/// The keys that a command is about: one, a range, a prefix, or all from one on.
struct KeyRange: Equatable {
    var key: [UInt8]
    var end: [UInt8] = []

    /// Reads `<key> [range_end]` with `--prefix` and `--from-key`, by etcdctl's rules and in its words.
    init(_ arguments: [String], prefix: Bool, fromKey: Bool, command: String) throws(CommandFailure) {
        guard (1...2).contains(arguments.count) else {
            throw .badArguments("\(command) command needs one argument as key and an optional argument as range_end")
        }
        if prefix, fromKey {
            throw .badArguments("`--prefix` and `--from-key` cannot be set at the same time, choose one")
        }
        if prefix || fromKey, arguments.count > 1 {
            throw .badArguments("too many arguments, only accept one argument when `--prefix` or `--from-key` is set")
        }
        key = ArgumentBytes.bytes(arguments[0])
        if arguments.count == 2 {
            end = ArgumentBytes.bytes(arguments[1])
        } else if prefix || fromKey {
            end = prefix && !key.isEmpty ? KeyPrefix.end(of: key) : [0]
            // The empty key is no key: all keys begin at the zero byte.
            if key.isEmpty { key = [0] }
        }
    }
}
