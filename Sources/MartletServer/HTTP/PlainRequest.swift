import NIOCore

/// A request of HTTP/1.1, or one that came over HTTP/2 and is not gRPC's.
struct PlainRequest: Sendable {
    var method: String
    /// Without the query.
    var path: String
    var query: String
    /// Names as the client wrote them.
    var fields: [(name: String, value: String)] = []
    /// Whole; empty where the body is taken piece by piece.
    var body = ByteBuffer()
    let cancellation = RequestCancellation()

    init(
        method: String, target: String, fields: [(name: String, value: String)] = [], body: ByteBuffer = ByteBuffer()
    ) {
        self.method = method
        self.fields = fields
        self.body = body
        var target = target[...]
        // "http://host/path" is a target too (RFC 9112 section 3.2.2).
        if !target.hasPrefix("/"), let scheme = target.utf8Range(of: "://") {
            let rest = target[scheme.upperBound...]
            target = rest.firstIndex(of: "/").map { rest[$0...] } ?? "/"
        }
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        path = String(parts.first ?? "/")
        query = parts.count > 1 ? String(parts[1]) : ""
    }

    /// What a WebSocket asks for: its handshake is a GET, and what it carries is not.
    var asPost: PlainRequest {
        var request = self
        request.method = "POST"
        return request
    }

    /// The first field of the name, which is to be given in lower case.
    func field(_ name: String) -> String? { fields.first { $0.name.lowercased() == name }?.value }

    /// The values of an item of the query, in order; an item without a value has an empty one.
    func queryValues(_ name: String) -> [String] {
        query.split(separator: "&").compactMap { item in
            let parts = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard Self.decoded(parts[0]) == name else { return nil }
            return parts.count > 1 ? Self.decoded(parts[1]) : ""
        }
    }

    /// Without %XX and "+". What is no %XX stays as it is.
    private static func decoded(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "+") {
                bytes.append(UInt8(ascii: " "))
            } else if byte == UInt8(ascii: "%"), rest.count >= 2,
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// Tells who works on a request that its client has gone away. Used on the request's event loop only.
final class RequestCancellation: @unchecked Sendable {
    private var handler: (() -> Void)?
    private(set) var isCancelled = false

    /// Is called once, at once if the client has gone already.
    func onCancel(_ body: @escaping () -> Void) {
        if isCancelled { body() } else { handler = body }
    }

    func cancel() {
        guard !isCancelled else { return }
        isCancelled = true
        let body = handler
        handler = nil
        body?()
    }

    /// The request has been answered: nobody needs to be told any more.
    func forget() { handler = nil }
}
