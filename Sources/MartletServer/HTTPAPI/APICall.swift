import NIOCore

/// One request of the HTTP API, and how it is answered. On its event loop.
struct APICall: Sendable {
    let request: PlainRequest
    let eventLoop: any EventLoop
    let respond: @Sendable (PlainResponse) -> Void

    func fail(_ error: APIError) { respond(error.response) }

    /// The client would rather have JSON than raw bytes.
    var wantsJSON: Bool { request.accepts("application/json") }

    static let null = PlainResponse(status: 200, contentType: "application/json", body: "null")
}

extension PlainRequest {
    /// Whether the client names this type in `Accept`; `*/*` does not, which everybody sends.
    func accepts(_ type: String) -> Bool {
        values("accept").contains { value in
            value.lowercased().split(separator: ",").contains { range in
                let parts = range.split(separator: ";").map { $0.filter { $0 != " " && $0 != "\t" } }
                guard parts.first == type else { return false }
                return !parts.dropFirst().contains { $0 == "q=0" || $0 == "q=0.0" || $0 == "q=0.00" || $0 == "q=0.000" }
            }
        }
    }

    /// Of all fields of the name, which is to be given in lower case.
    func values(_ name: String) -> [String] {
        fields.filter { $0.name.lowercased() == name }.map(\.value)
    }
}

extension PlainStreamAnswer {
    /// All of an answer at once.
    func respond(_ response: PlainResponse) {
        begin(
            status: response.status,
            fields: response.fields + [("content-length", String(response.body.readableBytes))])
        write(response.body)
        end()
    }
}
