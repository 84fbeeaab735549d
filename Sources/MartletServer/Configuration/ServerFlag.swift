/// One flag of the server: how it is called, what it means, and what its text does to the configuration.
struct ServerFlag: Sendable {
    enum Group: String, CaseIterable, Sendable {
        case member = "Member"
        case storage = "Storage (Martlet's own)"
        case clustering = "Clustering"
        case security = "Security"
        case auth = "Auth"
        case monitoring = "Profiling and monitoring"
        case logging = "Logging"
        case tracing = "Distributed tracing"
        case features = "Features"
        case services = "Service discovery"
        case unsafe = "Unsafe features"
        case file = "Configuration file"
    }

    enum Kind: Sendable {
        /// May stand alone for true.
        case boolean
        /// The placeholder is for the help.
        case value(String)
        /// As a flag `5s`; in a file etcd has integer nanoseconds.
        case duration
    }

    enum Effect: Sendable {
        /// Sets something. Errors do not name the flag: the parser does.
        case set(@Sendable (inout ConfigurationDraft, String) throws(ConfigurationError) -> Void)
        /// etcd has it, and this server has not yet: refused with the reason, unless it is given its default.
        case notYet(String)
        /// etcd has it, and this server will not: refused with what to do instead, unless it is given its default.
        case refused(String)
        /// etcd has it, and it would change nothing here that anyone could miss: taken, with a warning that says why.
        case ignored(String)
    }

    let name: String
    let group: Group
    let kind: Kind
    /// As the help shows it and as etcd has it.
    let defaultText: String
    let help: String
    let effect: Effect

    /// `--data-dir` is `DATA_DIR` behind the prefix of the environment variable.
    var environmentSuffix: String { String(name.uppercased().map { $0 == "-" ? "_" : $0 }) }

    var isAvailable: Bool {
        if case .set = effect { true } else { false }
    }
}

/// A configuration that is being read: what depends on other flags is kept apart until all are known.
struct ConfigurationDraft: Sendable {
    var configuration: ServerConfiguration
    var initialClusterText: String?
    static let clusterTokenDefault = "etcd-cluster"
    var initialClusterToken = clusterTokenDefault
    var autoCompactionMode = AutoCompaction.Mode.periodic
    /// Its meaning hangs on the mode.
    var autoCompactionRetention = "0"
    /// The flags that were given, wherever.
    var given: Set<String> = []

    init() throws(ConfigurationError) {
        configuration = ServerConfiguration(initialCluster: try InitialCluster([], token: ""))
    }
}

/// Readers of flags' texts.
enum FlagText {
    static func boolean(_ text: String) throws(ConfigurationError) -> Bool {
        // The spellings of Go's strconv.ParseBool.
        switch text {
        case "1", "t", "T", "true", "TRUE", "True": return true
        case "0", "f", "F", "false", "FALSE", "False": return false
        default: throw ConfigurationError("\"\(text)\" is neither true nor false")
        }
    }

    static func integer<Number: FixedWidthInteger>(
        _ text: String, _ range: ClosedRange<Number>
    ) throws(ConfigurationError) -> Number {
        guard let number = Number(text), range.contains(number) else {
            let bounds =
                range.upperBound == .max
                ? "of at least \(range.lowerBound)" : "from \(range.lowerBound) to \(range.upperBound)"
            throw ConfigurationError("\"\(text)\" is not a whole number \(bounds)")
        }
        return number
    }

    static func duration(_ text: String) throws(ConfigurationError) -> Duration {
        guard let duration = GoDuration.parse(text) else {
            throw ConfigurationError("\"\(text)\" is not a duration; write it as 500ms, 20s or 2h")
        }
        return duration
    }

    static func oneOf<Choice: RawRepresentable<String> & CaseIterable>(
        _ text: String, _ type: Choice.Type
    ) throws(ConfigurationError) -> Choice {
        guard let choice = Choice(rawValue: text) else {
            let choices = Choice.allCases.map(\.rawValue)
            throw ConfigurationError(
                "\"\(text)\" is not one of \(choices.dropLast().joined(separator: ", ")) and \(choices.last!)")
        }
        return choice
    }

    static func listenURLs(_ text: String) throws(ConfigurationError) -> [ServerURL] {
        let urls = try ServerURL.list(parsing: text)
        for url in urls where !url.isBindable {
            throw ConfigurationError(
                "\"\(url)\" has a name where listening needs an address; use http://0.0.0.0:\(url.port) for "
                    + "every address"
            )
        }
        return urls
    }

    static func origins(_ text: String) throws(ConfigurationError) -> AccessRules.Allowed {
        let parts = text.split(separator: ",").map(\.trimmed)
        if parts.isEmpty || parts.contains("*") { return .everything }
        for part in parts {
            guard let scheme = part.utf8Range(of: "://"), ["http", "https"].contains(part[..<scheme.lowerBound]),
                !part[scheme.upperBound...].isEmpty, !part[scheme.upperBound...].contains("/"),
                part.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f })
            else {
                throw ConfigurationError("\"\(part)\" is not an origin; write it as http://host:port, or use *")
            }
        }
        return .only(Set(parts))
    }

    static func names(_ text: String) -> AccessRules.Allowed {
        let parts = text.split(separator: ",").map(\.trimmed)
        return parts.isEmpty || parts.contains("*") ? .everything : .only(Set(parts))
    }

    static func logOutputs(_ text: String) throws(ConfigurationError) -> [ServerConfiguration.LogOutput] {
        var outputs: [ServerConfiguration.LogOutput] = []
        for part in text.split(separator: ",").map(\.trimmed) {
            let output: ServerConfiguration.LogOutput
            switch part {
            case "default", "stderr": output = .standardError
            case "stdout": output = .standardOutput
            case "systemd/journal":
                throw ConfigurationError(
                    "systemd/journal is not available yet; systemd takes what goes to stderr into its journal too")
            default: output = .file(path: part)
            }
            if !outputs.contains(output) { outputs.append(output) }
        }
        guard !outputs.isEmpty else {
            throw ConfigurationError("no output is named; use default, stderr, stdout or the path of a file")
        }
        return outputs
    }
}
