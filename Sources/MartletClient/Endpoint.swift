/// Where a server is found: `host:port` or `http://host:port`.
package struct Endpoint: Hashable, Sendable, CustomStringConvertible {
    package static let defaultPort = 2379

    package let host: String
    package let port: Int
    /// As it was written: what is printed beside answers.
    package let text: String

    package var description: String { text }

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
        text = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }

    /// Reads an endpoint. Without a port it is etcd's.
    package init(parsing text: String) throws(ClientError) {
        var rest = text[...]
        if rest.hasPrefix("http://") {
            rest = rest.dropFirst("http://".count)
        } else if rest.hasPrefix("https://") {
            throw .badEndpoint("\"\(text)\" asks for TLS, which is not available yet; use http://host:port")
        } else if rest.hasPrefix("unix:") || rest.hasPrefix("unixs:") {
            throw .badEndpoint("\"\(text)\" is a unix socket, which is not available yet; use host:port")
        } else if rest.contains("/") {
            throw .badEndpoint("\"\(text)\" is not an endpoint; write it as host:port")
        }
        if rest.hasSuffix("/") { rest = rest.dropLast() }
        var host = rest
        var portText: Substring?
        if rest.hasPrefix("["), let close = rest.firstIndex(of: "]") {
            host = rest[rest.index(after: rest.startIndex)..<close]
            let tail = rest[rest.index(after: close)...]
            guard tail.isEmpty || tail.hasPrefix(":") else {
                throw .badEndpoint("\"\(text)\" is not an endpoint; write it as [address]:port")
            }
            portText = tail.isEmpty ? nil : tail.dropFirst()
        } else if let colon = rest.firstIndex(of: ":") {
            host = rest[..<colon]
            portText = rest[rest.index(after: colon)...]
        }
        guard !host.isEmpty, host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "/") }) else {
            throw .badEndpoint("\"\(text)\" is not an endpoint; write it as host:port")
        }
        var port = Self.defaultPort
        if let portText {
            guard portText.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(portText),
                (1...65_535).contains(number)
            else { throw .badEndpoint("\"\(text)\" has \"\(portText)\" for a port; a port is a number up to 65535") }
            port = number
        }
        self.host = String(host)
        self.port = port
        self.text = text
    }

    /// Reads `host:port,host:port`.
    package static func list(parsing text: String) throws(ClientError) -> [Endpoint] {
        var endpoints: [Endpoint] = []
        for part in text.split(separator: ",") {
            let blanks: (Character) -> Bool = { $0 == " " || $0 == "\t" }
            let trimmed = String(String(part.drop(while: blanks).reversed()).drop(while: blanks).reversed())
            let endpoint = try Endpoint(parsing: trimmed)
            if !endpoints.contains(endpoint) { endpoints.append(endpoint) }
        }
        guard !endpoints.isEmpty else { throw .badEndpoint("no endpoint is named; write them as host:port,host:port") }
        return endpoints
    }
}
