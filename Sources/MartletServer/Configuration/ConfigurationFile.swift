import TOMLKit
import Yams

/// A configuration file as keys and values: YAML, which JSON is too, or TOML where its name ends so.
enum ConfigurationFile {
    /// What a file of another system comes to.
    struct Translation {
        var settings: [String: ConfigurationParser.Setting] = [:]
        var warnings: [String] = []
        var makesLogDirectory = false
    }

    /// nil: there is nothing in it.
    static func read(_ text: String, at path: String) throws(ConfigurationError) -> Node.Mapping? {
        let isTOML = path.hasSuffix(".toml")
        let yaml = isTOML ? try json(ofTOML: text, at: path) : text
        let root: Node?
        do {
            root = try Yams.compose(yaml: yaml)
        } catch {
            throw ConfigurationError("\(path) is neither YAML nor JSON: \(YAMLProblem.describe(error))")
        }
        guard let root else { return nil }
        guard case .mapping(let mapping) = root else {
            throw ConfigurationError(
                "\(path) is not a list of keys and values; write a line as name: value (TOML, with name = value, is "
                    + "read where the file's name ends in .toml)")
        }
        return mapping
    }

    private static func json(ofTOML text: String, at path: String) throws(ConfigurationError) -> String {
        // The reader behind it would take that for the end.
        guard !text.utf8.contains(0) else { throw ConfigurationError("\(path) is not TOML: it has a zero byte") }
        do {
            return try TOMLTable(string: text).convert(to: .json, options: [])
        } catch let error as TOMLParseError {
            let (line, column) = (error.source.begin.line, error.source.begin.column)
            let problem = error.description.map { $0.isNewline ? " " : $0 }
            throw ConfigurationError("\(path) is not TOML: line \(line), column \(column): \(String(problem))")
        } catch {
            throw ConfigurationError("\(path) is not TOML: \(error)")
        }
    }

    /// nil for what is more than a word.
    static func scalar(_ node: Node) -> String? {
        guard case .scalar(let scalar) = node else { return nil }
        return scalar.style == .plain && ["~", "null", "Null", "NULL"].contains(scalar.string) ? "" : scalar.string
    }

    /// Takes the value of a key away, whatever the case of its letters.
    static func take(_ key: String, from mapping: inout Node.Mapping) -> Node? {
        let lower = key.lowercased()
        guard let found = mapping.keys.first(where: { $0.string?.lowercased() == lower }) else { return nil }
        defer { mapping = Node.Mapping(mapping.filter { $0.key != found }.map { ($0.key, $0.value) }) }
        return mapping[found]
    }

    /// A URL to listen on for a host and port, or a URL, at which others find it: a name is nothing to listen on.
    static func listenURL(_ url: ServerURL) -> ServerURL {
        url.isBindable ? url : ServerURL(host: "0.0.0.0", port: url.port)
    }

    static func url(_ text: String, _ what: String) throws(ConfigurationError) -> ServerURL {
        do throws(ConfigurationError) {
            return try ServerURL(parsing: text.utf8Range(of: "://") == nil ? "http://" + text : text)
        } catch {
            throw ConfigurationError("\(what): \"\(text)\" is not an address; write it as host:port")
        }
    }
}
