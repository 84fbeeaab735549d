/// The command line of etcd's raftexample.
struct Arguments {
    /// Peer URLs; the member with the id n is the n-th.
    var cluster = ["http://127.0.0.1:9021"]
    var id: UInt64 = 1
    var port = 9121
    var join = false

    static let usage = """
        usage: raftexample [--id n] [--cluster url,url,...] [--port port] [--join]
          --id       this node's place in --cluster, from 1 (default 1)
          --cluster  peer URLs, comma separated (default http://127.0.0.1:9021)
          --port     the key-value server's port (default 9121)
          --join     join a cluster that runs already (default false)
        """

    struct Problem: Error, CustomStringConvertible {
        var description: String
    }

    /// `--name value`, `--name=value`, and the same with one dash.
    init(_ arguments: [String]) throws {
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let name = parts[0].hasPrefix("--") ? String(parts[0].dropFirst(2)) : String(parts[0].dropFirst())
            guard argument.hasPrefix("-") else { throw Problem(description: "unexpected argument \(argument)") }
            func value() throws -> String {
                if parts.count == 2 { return parts[1] }
                guard let next = rest.popFirst() else { throw Problem(description: "--\(name) needs a value") }
                return next
            }
            switch name {
            case "cluster": cluster = try value().split(separator: ",").map(String.init)
            case "id":
                let text = try value()
                guard let number = UInt64(text), number > 0 else { throw Problem(description: "--id \(text)") }
                id = number
            case "port":
                let text = try value()
                guard let number = UInt16(text) else { throw Problem(description: "--port \(text)") }
                port = Int(number)
            case "join":
                guard let isOn = parts.count == 2 ? Bool(parts[1]) : true else {
                    throw Problem(description: "--join=\(parts[1])")
                }
                join = isOn
            default: throw Problem(description: "unknown flag --\(name)")
            }
        }
        guard id <= UInt64(cluster.count) else {
            throw Problem(description: "--id \(id) names none of the \(cluster.count) nodes of --cluster")
        }
    }
}

/// `http://host:port` as `host:port`.
func address(ofURL url: String) -> String? {
    var text = url[...]
    if text.hasPrefix("http://") { text = text.dropFirst("http://".count) }
    while text.hasSuffix("/") { text = text.dropLast() }
    guard let colon = text.lastIndex(of: ":"), UInt16(text[text.index(after: colon)...]) != nil else { return nil }
    return String(text)
}
