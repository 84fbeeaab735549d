import ArgumentParser

/// Brings arguments as etcdctl takes them (Go's cobra) into the form that ArgumentParser takes: global flags may
/// stand before the command, a boolean may have `=true` or `=false`, and `-w` its value without a blank.
enum ArgumentNormalization {
    private static let globalsWithValue: Set<String> = [
        "--endpoints", "--write-out", "-w", "--command-timeout", "--dial-timeout", "--keepalive-time",
        "--keepalive-timeout", "--max-request-bytes", "--max-recv-bytes", "--cert", "--key", "--cacert", "--user",
        "--password", "--discovery-srv", "-d", "--discovery-srv-name",
    ]
    private static let booleans: Set<String> = [
        "--hex", "--debug", "--insecure-skip-tls-verify", "--prefix", "--from-key", "--keys-only", "--count-only",
        "--print-value-only", "--prev-kv", "--ignore-value", "--ignore-lease", "--range", "--cluster", "--learner",
        "--interactive", "-i", "--progress-notify", "--physical", "--keys", "--once", "--listen", "-l",
        "--auto-compact", "--auto-defrag", "--no-dest-prefix", "--skip-hash-check",
        "--mark-compacted",
    ]
    /// Booleans that are true unless they are said to be false.
    private static let booleansByDefault: Set<String> = [
        "--insecure-transport", "--insecure-discovery", "--dest-insecure-transport",
    ]
    /// Flags that are booleans for some commands and have a value for others.
    private static let prefixWithValue: Set<String> = ["check", "make-mirror"]

    /// The commands that have commands.
    static var groups: Set<String> {
        Set(
            Martlet.configuration.subcommands.filter { !$0.configuration.subcommands.isEmpty }
                .compactMap { $0.configuration.commandName })
    }

    static func normalize(_ arguments: [String]) -> [String] {
        let end = arguments.firstIndex(of: "--") ?? arguments.count
        let groups = groups
        let hasPrefixValue = arguments[..<end].contains(where: prefixWithValue.contains)
        var rest = arguments[..<end].compactMap { argument in
            hasPrefixValue && argument.hasPrefix("--prefix=") ? argument : rewrite(argument)
        }[...]
        var path: [String] = []
        var leading: [String] = []
        while let argument = rest.first, path.count < 2 {
            if argument.hasPrefix("-") {
                let isKnown =
                    globalsWithValue.contains(argument) || booleans.contains(argument)
                    || booleansByDefault.contains(argument) || argument.contains("=")
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
        guard let equals = argument.firstIndex(of: "=") else { return argument }
        let flag = String(argument[..<equals])
        let isByDefault = booleansByDefault.contains(flag)
        guard isByDefault || booleans.contains(flag) else { return argument }
        switch argument[argument.index(after: equals)...] {
        case "true", "1", "t", "T", "TRUE", "True": return flag
        case "false", "0", "f", "F", "FALSE", "False": return isByDefault ? "--no-" + flag.dropFirst(2) : nil
        default: return argument
        }
    }
}
