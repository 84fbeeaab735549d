import NIOCore

/// A whole answer to a plain request.
struct PlainResponse: Sendable {
    var status: Int
    /// Names in lower case, as HTTP/2 wants them.
    var fields: [(name: String, value: String)]
    var body: ByteBuffer

    init(status: Int, contentType: String, body: String, fields: [(name: String, value: String)] = []) {
        self.init(status: status, contentType: contentType, body: ByteBuffer(string: body), fields: fields)
    }

    init(status: Int, contentType: String, body: ByteBuffer, fields: [(name: String, value: String)] = []) {
        self.status = status
        self.fields = [("content-type", contentType)] + fields
        self.body = body
    }

    /// As Go's `http.Error` writes it, which is what etcd's plain answers are written with.
    static func text(_ status: Int, _ text: String, fields: [(name: String, value: String)] = []) -> PlainResponse {
        PlainResponse(
            status: status, contentType: "text/plain; charset=utf-8", body: text + "\n",
            fields: [("x-content-type-options", "nosniff")] + fields)
    }

    static func methodNotAllowed(_ allowed: [String]) -> PlainResponse {
        .text(405, "Method Not Allowed", fields: [("allow", allowed.joined(separator: ", "))])
    }
}
