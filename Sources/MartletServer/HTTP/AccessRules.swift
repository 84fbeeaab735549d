/// Which pages of browsers may ask (CORS), and by which names this server may be asked for (W10).
struct AccessRules: Sendable {
    enum Allowed: Equatable, Sendable {
        case everything
        case only(Set<String>)

        func allows(_ text: String) -> Bool {
            switch self {
            case .everything: true
            case .only(let allowed): allowed.contains(text)
            }
        }
    }

    var origins = Allowed.everything
    var hosts = Allowed.everything

    /// The fields that tell a browser what it may do.
    func fields(for request: PlainRequest) -> [(name: String, value: String)] {
        let origin: String
        switch origins {
        case .everything: origin = "*"
        case .only(let allowed):
            guard let asked = request.field("origin"), allowed.contains(asked) else { return [] }
            origin = asked
        }
        return [
            ("access-control-allow-methods", "POST, GET, OPTIONS, PUT, DELETE"),
            ("access-control-allow-origin", origin),
            ("access-control-allow-headers", "accept, content-type, authorization"),
        ]
    }

    /// A page whose host name was made to point here (DNS rebinding, CVE-2018-5702) asks for its own name.
    func refusal(of request: PlainRequest) -> PlainResponse? {
        let host = Self.hostName(request.field("host") ?? request.field(":authority") ?? "")
        guard !hosts.allows(host) else { return nil }
        return .text(
            421,
            "The host \"\(host)\" that was asked for is not one of this server's names (--host-whitelist), so the "
                + "request was refused: it may come from a page that abuses a name it does not own (CVE-2018-5702).")
    }

    /// Without the port; IPv6 without its brackets.
    static func hostName(_ text: String) -> String {
        if text.hasPrefix("["), let close = text.firstIndex(of: "]") {
            return String(text[text.index(after: text.startIndex)..<close])
        }
        guard let colon = text.firstIndex(of: ":"), text[text.index(after: colon)...].allSatisfy(\.isNumber) else {
            return text
        }
        return String(text[..<colon])
    }
}
