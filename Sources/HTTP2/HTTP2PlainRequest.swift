package import NIOCore

/// An HTTP/2 request that is not gRPC's, with its whole body.
package struct HTTP2PlainRequest: Sendable {
    private let call: GRPCCall
    /// Who has read it may let go of it here.
    package var body: ByteBuffer

    init(_ call: GRPCCall, body: ByteBuffer = ByteBuffer()) {
        self.call = call
        self.body = body
    }

    package var eventLoop: any EventLoop { call.eventLoop }
    package var method: String { call.plainMethod }
    package var path: String { call.path }
    package var fields: [(name: String, value: String)] { call.allMetadata }
    package var remoteAddress: SocketAddress? { call.remoteAddress }

    /// Is called once if the client goes away before the whole answer was given. On the event loop.
    package func onCancel(_ body: @escaping () -> Void) { call.onPlainCancel(body) }

    /// Answers as a whole. On the event loop. Names of fields must be lower case. An answer to HEAD goes without its
    /// body, which nghttp2's peers take for an error (RFC 9113 section 8.1.1).
    package func respond(status: Int, fields: [(name: String, value: String)], body: ByteBuffer) {
        var all = [(":status", String(status))] + fields
        let isHead = method == "HEAD"
        if isHead { all.append(("content-length", String(body.readableBytes))) }
        call.respond(Self.block(all), isHead ? ByteBuffer() : body)
    }

    private static func block(_ fields: [(name: String, value: String)]) -> HTTP2HeaderBlock {
        HTTP2HeaderBlock(fields.map { ($0.name, Array($0.value.utf8)) })
    }

    // MARK: An answer piece by piece, instead of ``respond(status:fields:body:)``; on the event loop

    /// Names of fields must be lower case.
    package func begin(status: Int, fields: [(name: String, value: String)]) {
        call.beginPlain(Self.block([(":status", String(status))] + fields))
    }

    package func write(_ bytes: ByteBuffer) { call.writePlain(bytes) }

    package func end() { call.endPlain() }

    /// The client is told that what it has got is not the whole answer.
    package func abort() { call.abortPlain() }

    /// What the client has not taken: bounding that is the sender's part.
    package var pendingBytes: Int { call.pendingBytes }

    /// Calls back once, as soon as no more than `bytes` wait; not when the client has gone first.
    package func whenPendingBytes(atMost bytes: Int, _ body: @escaping () -> Void) {
        call.whenPendingBytes(atMost: bytes, body)
    }
}
