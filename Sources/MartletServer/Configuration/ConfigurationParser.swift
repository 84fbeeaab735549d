import EtcdAPI
import Foundation
import Yams

/// Reads what the server is told by arguments, environment and file.
///
/// A flag beats `MARTLET_MY_FLAG`, which beats `ETCD_MY_FLAG`. Where `--config-file` is given, by any of the three,
/// the file says everything, as in etcd.
package struct ConfigurationParser {
    /// The contents of a file; an error's message says why there are none.
    package typealias FileReader = (_ path: String) throws(ConfigurationError) -> String

    /// A configuration file is no place for data.
    static let fileSizeBytesMax = 1 << 20

    private let environment: [String: String]
    private let readFile: FileReader

    /// - Parameters:
    ///   - environment: the process's, unless a test gives another.
    ///   - readFile: reads from the disk, unless a test gives another.
    package init(
        environment: [String: String] = ProcessInfo.processInfo.environment,
        readFile: @escaping FileReader = ConfigurationParser.readFromDisk
    ) {
        self.environment = environment
        self.readFile = readFile
    }

    /// Reads the arguments of `martlet serve`, those before it not among them.
    package func parse(_ arguments: [String]) throws(ConfigurationError) -> ServerInvocation {
        var flags: [String: Setting] = [:]
        switch try readArguments(arguments, into: &flags) {
        case .help: return .print(ServerHelp.text)
        case .version: return .print(Self.versionText)
        case nil: break
        }
        var warnings: [String] = []
        var makesLogDirectory = false
        let surroundings = try readEnvironment(&warnings)
        var settings = surroundings.merging(flags) { _, flag in flag }
        if let file = settings[ServerFlags.configFileName], !file.text.isEmpty {
            let kept = ServerFlags.besidesFile
            let ignored = flags.keys.filter { $0 != ServerFlags.configFileName && !kept.contains($0) }.sorted()
            if !ignored.isEmpty {
                warnings.append(
                    "--config-file is given, so these flags are ignored: "
                        + ignored.map { "--" + $0 }.joined(separator: ", "))
            }
            let beside = settings.filter { kept.contains($0.key) && !$0.value.text.isEmpty }
            let joins = beside[ServerFlags.joinName] != nil
            let contents = try readConfigurationFile(at: file.text, joins: joins)
            warnings += contents.warnings
            makesLogDirectory = contents.makesLogDirectory
            settings = contents.settings.merging(beside) { _, flag in flag }
        }
        var configuration = try configure(settings, &warnings)
        configuration.warnings = warnings
        configuration.makesLogDirectory = makesLogDirectory
        return .run(configuration)
    }

    /// What `martlet serve --version` prints. Programs that drive an etcd binary read the first line.
    package static let versionText = """
        etcd Version: \(MartletVersion.etcd)
        Martlet Version: \(MartletVersion.martlet)
        """

    // MARK: Sources

    /// A flag's text and where it came from, for errors.
    struct Setting: Hashable {
        var text: String
        var source: String
    }

    private enum Special {
        case help
        case version
    }

    /// Arguments as Go's flag package takes them: one dash or two, `=value` or the next argument, a boolean alone for
    /// true.
    private func readArguments(
        _ arguments: [String], into flags: inout [String: Setting]
    ) throws(ConfigurationError) -> Special? {
        var index = 0
        while index < arguments.count {
            let argument = arguments[index]
            index += 1
            guard argument.hasPrefix("-"), argument != "-", argument != "--" else {
                throw ConfigurationError(
                    "\"\(argument)\" is not a flag; flags are written --flag value or --flag=value, booleans "
                        + "only --flag=false"
                )
            }
            let body = argument.drop { $0 == "-" }
            let equals = body.firstIndex(of: "=")
            let name = String(body[..<(equals ?? body.endIndex)])
            guard argument.count - body.count <= 2, !name.isEmpty else {
                throw ConfigurationError("\"\(argument)\" is not a flag; a flag has one dash or two")
            }
            switch name {
            case "h", "help": return .help
            case "version": return .version
            default: break
            }
            let flag = try known(name, written: "--" + name)
            let text: String
            if let equals {
                text = String(body[body.index(after: equals)...])
            } else if case .boolean = flag.kind {
                text = "true"
            } else if index < arguments.count {
                text = arguments[index]
                index += 1
            } else {
                throw ConfigurationError("--\(name) needs a value; write it as --\(name) value or --\(name)=value")
            }
            flags[flag.name] = Setting(text: text, source: "--" + flag.name)
        }
        return nil
    }

    private func readEnvironment(_ warnings: inout [String]) throws(ConfigurationError) -> [String: Setting] {
        var settings: [String: Setting] = [:]
        for prefix in ["ETCD_", "MARTLET_"] {
            for flag in ServerFlags.all {
                let variable = prefix + flag.environmentSuffix
                guard let text = environment[variable], !text.isEmpty else { continue }
                settings[flag.name] = Setting(text: text, source: variable)
            }
            let names = Set(ServerFlags.all.map { prefix + $0.environmentSuffix })
            for variable in environment.keys.sorted() where variable.hasPrefix(prefix) && !names.contains(variable) {
                warnings.append("the environment variable \(variable) belongs to no flag and is ignored")
            }
        }
        return settings
    }

    /// - Parameter joins: whether this start joins a cluster, which then says who the others are.
    private func readConfigurationFile(
        at path: String, joins: Bool
    ) throws(ConfigurationError) -> ConfigurationFile.Translation {
        guard var mapping = try ConfigurationFile.read(try readFile(path), at: path) else { return .init() }
        // Cluster files of other systems, which may hold keys of ours besides.
        var translation = try NodeListFile.translate(&mapping, path, joins: joins)
        if translation == nil { translation = try RiotFile.translate(&mapping, path, joins: joins) }
        var contents = translation ?? ConfigurationFile.Translation()
        for (keyNode, valueNode) in mapping {
            guard let key = keyNode.string else {
                throw ConfigurationError("\(path) has a key that is not a word; keys are flags without their dashes")
            }
            if let block = ConfigurationFileBlocks.prefixes[key] {
                try readBlock(key, valueNode, prefix: block, path, into: &contents.settings)
                continue
            }
            if ConfigurationFileBlocks.leftovers[key]?.contains(scalar(valueNode) ?? "") == true { continue }
            let flag = try known(key, written: "\(key) in \(path)", isFileKey: true)
            contents.settings[flag.name] = Setting(
                text: try value(of: flag, valueNode, path), source: "\(key) in \(path)")
        }
        return contents
    }

    /// A block such as `client-transport-security:`, whose keys are flags under another name.
    private func readBlock(
        _ block: String, _ node: Node, prefix: String, _ path: String, into settings: inout [String: Setting]
    ) throws(ConfigurationError) {
        if scalar(node) == "" { return }
        guard case .mapping(let mapping) = node else {
            throw ConfigurationError("\(block) in \(path) is not a block of keys and values")
        }
        for (keyNode, valueNode) in mapping {
            let key = keyNode.string ?? ""
            let name = ConfigurationFileBlocks.flagName(of: key, in: block, prefix: prefix)
            let flag = try known(name, written: "\(block).\(key) in \(path)", isFileKey: true)
            settings[flag.name] = Setting(
                text: try value(of: flag, valueNode, path), source: "\(block).\(key) in \(path)")
        }
    }

    /// A key's value as the flag's text would be.
    private func value(of flag: ServerFlag, _ node: Node, _ path: String) throws(ConfigurationError) -> String {
        if case .sequence(let items) = node {
            var texts: [String] = []
            for item in items {
                guard let text = scalar(item) else {
                    throw ConfigurationError("\(flag.name) in \(path) holds a list of more than words")
                }
                texts.append(text)
            }
            return texts.joined(separator: ",")
        }
        guard let text = scalar(node) else {
            throw ConfigurationError("\(flag.name) in \(path) holds a block; it takes one value")
        }
        // etcd's files have durations as integer nanoseconds.
        if case .duration = flag.kind, text != "0", Int64(text) != nil { return text + "ns" }
        return text
    }

    private func scalar(_ node: Node) -> String? { ConfigurationFile.scalar(node) }

    /// The flag of that name, or an error that says which one may have been meant.
    private func known(
        _ name: String, written: String, isFileKey: Bool = false
    ) throws(ConfigurationError) -> ServerFlag {
        if let flag = ServerFlags.byName[name] { return flag }
        // Up to 3.6, etcd knows many flags under such a name too.
        let experimental = "experimental-"
        if name.hasPrefix(experimental), let flag = ServerFlags.byName[String(name.dropFirst(experimental.count))] {
            return flag
        }
        let what = isFileKey ? "\(written) is not a key that is known" : "\(written) is not a flag that is known"
        guard let near = Suggestion.nearest(to: name, among: ServerFlags.all.map(\.name)) else {
            throw ConfigurationError(what + "; martlet serve --help lists all")
        }
        throw ConfigurationError(what + "; did you mean \(isFileKey ? near : "--" + near)?")
    }

    // MARK: Meaning

    private func configure(
        _ settings: [String: Setting], _ warnings: inout [String]
    ) throws(ConfigurationError) -> ServerConfiguration {
        var draft = try ConfigurationDraft()
        // In the order of the table, so that the first error is the same each time.
        for flag in ServerFlags.all {
            guard let setting = settings[flag.name] else { continue }
            draft.given.insert(flag.name)
            switch flag.effect {
            case .set(let set):
                do throws(ConfigurationError) {
                    try set(&draft, setting.text)
                } catch {
                    throw ConfigurationError("\(setting.source): \(error.message)")
                }
            case .notYet(let what):
                if Self.isDefault(setting.text, of: flag) { continue }
                throw ConfigurationError("\(setting.source) is not available yet: \(what)")
            case .refused(let advice):
                if Self.isDefault(setting.text, of: flag) { continue }
                throw ConfigurationError("\(setting.source) is refused: \(advice)")
            case .ignored(let reason):
                // What is no boolean would be an error in etcd too.
                if case .boolean = flag.kind {
                    do throws(ConfigurationError) {
                        _ = try FlagText.boolean(setting.text)
                    } catch {
                        throw ConfigurationError("\(setting.source): \(error.message)")
                    }
                }
                if Self.isDefault(setting.text, of: flag) { continue }
                warnings.append("\(setting.source) has no effect here: \(reason)")
            }
        }
        return try draft.finished()
    }

    /// A flag that is not there yet may be given the value that says what is done anyway.
    private static func isDefault(_ text: String, of flag: ServerFlag) -> Bool {
        if text == flag.defaultText { return true }
        guard case .boolean = flag.kind, let value = try? FlagText.boolean(text) else { return false }
        return String(value) == flag.defaultText
    }

    package static func readFromDisk(_ path: String) throws(ConfigurationError) -> String {
        guard let handle = FileHandle(forReadingAtPath: path) else {
            throw ConfigurationError("--config-file: \(path) cannot be read; check that it is there and readable")
        }
        defer { try? handle.close() }
        let data: Data?
        do {
            data = try handle.read(upToCount: fileSizeBytesMax + 1)
        } catch {
            throw ConfigurationError("--config-file: \(path) cannot be read; check that it is a readable file")
        }
        guard (data?.count ?? 0) <= fileSizeBytesMax else {
            throw ConfigurationError(
                "--config-file: \(path) has more than \(fileSizeBytesMax) bytes, which no configuration has")
        }
        guard let text = String(validating: data ?? Data(), as: UTF8.self) else {
            throw ConfigurationError("--config-file: \(path) is not UTF-8 text")
        }
        return text
    }
}

/// Where the keys of a configuration file differ from the flags.
enum ConfigurationFileBlocks {
    /// Blocks, and what stands before their keys in the flags.
    static let prefixes = [
        "client-transport-security": "", "peer-transport-security": "peer-", "discovery-config": "discovery-",
        "socket-options": "socket-",
    ]

    /// Keys of etcd's sample file that outlived what they configured, with the values that mean nothing.
    static let leftovers: [String: Set<String>] = [
        "proxy": ["off", ""], "proxy-failure-wait": ["5000"], "proxy-refresh-interval": ["30000"],
        "proxy-dial-timeout": ["1000"], "proxy-write-timeout": ["5000"], "proxy-read-timeout": ["0"],
        "enable-v2": ["false"],
    ]

    static func flagName(of key: String, in block: String, prefix: String) -> String {
        switch (block, key) {
        case ("peer-transport-security", "allowed-cn"): "peer-cert-allowed-cn"
        case ("peer-transport-security", "allowed-hostname"): "peer-cert-allowed-hostname"
        case ("client-transport-security", "allowed-hostname"): "client-cert-allowed-hostname"
        case ("peer-transport-security", "skip-client-san-verification"): "peer-skip-client-san-verification"
        default: prefix + key
        }
    }
}
