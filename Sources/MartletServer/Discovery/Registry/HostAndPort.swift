/// `host:port`, with the brackets that IPv6 needs.
struct HostAndPort: Equatable, Sendable {
    var host: String
    var port: Int

    init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Nil where it is not one. `[::1]:53`, `10.0.0.1:53`, `name:53`; with no host where that is allowed, `:53`.
    init?(_ text: String, mayLackHost: Bool = false) {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            return nil
        }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        guard mayLackHost || !host.isEmpty else { return nil }
        self.init(host: String(host), port: Int(port))
    }

    var text: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
