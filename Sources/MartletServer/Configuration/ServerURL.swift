/// A URL that a server listens on or is found at: `http://host:port`.
package struct ServerURL: Hashable, Sendable, CustomStringConvertible {
    /// A name or an address; IPv6 without its brackets.
    package let host: String
    package let port: Int

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    package var description: String { "http://\(hostAndPort)" }

    /// As it stands in a URL: `127.0.0.1:2379`, `[::1]:2379`.
    package var hostAndPort: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// Reads one URL. Errors name the URL and not the flag: the caller does.
    package init(parsing text: String) throws(ConfigurationError) {
        let quoted = "\"\(text)\""
        guard let schemeEnd = text.utf8Range(of: "://") else {
            throw ConfigurationError("\(quoted) is not a URL; write it as http://host:port")
        }
        let scheme = text[..<schemeEnd.lowerBound].lowercased()
        switch scheme {
        case "http": break
        case "https":
            throw ConfigurationError("\(quoted) asks for TLS, which is not available yet; use http://host:port")
        case "unix", "unixs":
            throw ConfigurationError(
                "\(quoted) is a unix socket, which is not available yet; use http://host:port on loopback")
        default:
            throw ConfigurationError("\(quoted) has the scheme \"\(scheme)\"; use http://host:port")
        }
        var rest = text[schemeEnd.upperBound...]
        if rest.hasSuffix("/") { rest = rest.dropLast() }
        guard !rest.contains(where: { "/?#@".contains($0) }) else {
            throw ConfigurationError("\(quoted) has more than a host and a port; use http://host:port")
        }
        let host: Substring
        let portText: Substring
        if rest.hasPrefix("[") {
            guard let close = rest.firstIndex(of: "]") else {
                throw ConfigurationError("\(quoted) opens a bracket and does not close it; use http://[address]:port")
            }
            host = rest[rest.index(after: rest.startIndex)..<close]
            let tail = rest[rest.index(after: close)...]
            guard tail.hasPrefix(":") else {
                throw ConfigurationError("\(quoted) has no port; use http://host:port")
            }
            portText = tail.dropFirst()
            guard IPAddressText.isIPv6(host) else {
                throw ConfigurationError("\(quoted) has no IPv6 address between its brackets")
            }
        } else {
            guard let colon = rest.lastIndex(of: ":") else {
                throw ConfigurationError("\(quoted) has no port; use http://host:port")
            }
            host = rest[..<colon]
            portText = rest[rest.index(after: colon)...]
            guard !host.contains(":") else {
                throw ConfigurationError("\(quoted) has an IPv6 address without brackets; use http://[address]:port")
            }
        }
        guard !host.isEmpty else {
            throw ConfigurationError(
                "\(quoted) has no host; to listen on every address, use http://0.0.0.0:\(portText)")
        }
        guard host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
            throw ConfigurationError("\(quoted) has a host with characters that no host has; use http://host:port")
        }
        guard portText.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = Int(portText), port <= 65_535 else {
            throw ConfigurationError("\(quoted) has \"\(portText)\" for a port; a port is a number up to 65535")
        }
        self.init(host: String(host), port: port)
    }

    /// Reads a comma-separated list of URLs, none of them twice.
    package static func list(parsing text: String) throws(ConfigurationError) -> [ServerURL] {
        var urls: [ServerURL] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let url = try ServerURL(parsing: part.trimmed)
            guard !urls.contains(url) else { throw ConfigurationError("\"\(url)\" is listed twice; name it once") }
            urls.append(url)
        }
        return urls
    }

    /// Listening needs an address of this machine; a name would have to be looked up, and may mean another one.
    package var isBindable: Bool {
        host == "localhost" || IPAddressText.isIPv4(host[...]) || IPAddressText.isIPv6(host[...])
    }
}

/// Recognises addresses without looking anything up.
enum IPAddressText {
    static func isIPv4(_ text: Substring) -> Bool {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4
            && parts.allSatisfy { part in
                (1...3).contains(part.utf8.count) && part.utf8.allSatisfy { (0x30...0x39).contains($0) }
                    && Int(part)! <= 255
            }
    }

    static func isIPv6(_ text: Substring) -> Bool {
        let address = text.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)[0]
        guard address.contains(":") else { return false }
        var groups = address.split(separator: ":", omittingEmptySubsequences: false)
        if let last = groups.last, last.contains(".") {
            guard isIPv4(last) else { return false }
            groups[groups.count - 1] = "0"
            groups.append("0")
        }
        let doubled = address.utf8Range(of: "::") != nil
        guard doubled ? groups.count <= 9 : groups.count == 8 else { return false }
        guard groups.allSatisfy({ $0.utf8.count <= 4 && $0.allSatisfy(\.isHexDigit) }) else { return false }
        let empty = groups.count(where: \.isEmpty)
        return doubled ? empty >= 1 && empty <= 3 : empty == 0
    }
}

extension StringProtocol {
    /// Where `other` first stands. (Foundation's `range(of:)` would do more, and is not needed here.)
    func utf8Range(of other: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(other) { return start..<index(start, offsetBy: other.count) }
            formIndex(after: &start)
        }
        return nil
    }

    /// Without blanks at either end.
    var trimmed: String {
        var slice = self[...]
        while let first = slice.first, first.isWhitespace { slice = slice.dropFirst() }
        while let last = slice.last, last.isWhitespace { slice = slice.dropLast() }
        return String(slice)
    }
}
