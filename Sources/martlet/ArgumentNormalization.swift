/// Brings arguments as etcdctl takes them (Go's cobra) into the form that ArgumentParser takes: global flags may
/// stand before the command, a boolean may have `=true` or `=false`, and `-w` its value without a blank.
enum ArgumentNormalization {
    private static let globalsWithValue: Set<String> = [
        "--endpoints", "--write-out", "-w", "--command-timeout", "--dial-timeout",
    ]
    private static let booleans: Set<String> = [
        "--hex", "--prefix", "--from-key", "--keys-only", "--count-only", "--print-value-only", "--prev-kv",
        "--ignore-value", "--ignore-lease", "--range", "--cluster", "--learner",
    ]
    private static let groups: Set<String> = ["endpoint", "member"]

    static func normalize(_ arguments: [String]) -> [String] {
        let end = arguments.firstIndex(of: "--") ?? arguments.count
        var rest = arguments[..<end].compactMap(rewrite)[...]
        var path: [String] = []
        var leading: [String] = []
        while let argument = rest.first, path.count < 2 {
            if argument.hasPrefix("-") {
                let isKnown =
                    globalsWithValue.contains(argument) || booleans.contains(argument) || argument.contains("=")
                guard isKnown else { break }
                leading.append(rest.removeFirst())
                if globalsWithValue.contains(argument), !rest.isEmpty { leading.append(rest.removeFirst()) }
            } else if path.isEmpty || groups.contains(path[0]) {
                path.append(rest.removeFirst())
            } else {
                break
            }
        }
        return path + leading + rest + arguments[end...]
    }

    /// One argument in the other form; nil where it says nothing, as `--prefix=false` does.
    private static func rewrite(_ argument: String) -> String? {
        if argument.hasPrefix("-w"), argument.count > 2 {
            let value = argument.dropFirst(2)
            return "--write-out=" + (value.hasPrefix("=") ? value.dropFirst() : value)
        }
        guard let equals = argument.firstIndex(of: "="), booleans.contains(String(argument[..<equals])) else {
            return argument
        }
        switch argument[argument.index(after: equals)...] {
        case "true", "1", "t", "T", "TRUE", "True": return String(argument[..<equals])
        case "false", "0", "f", "F", "FALSE", "False": return nil
        default: return argument
        }
    }
}
