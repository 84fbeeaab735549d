package import NIOCore

/// An HTTP/2 request that is not gRPC's, with its whole body.
package struct HTTP2PlainRequest: Sendable {
    private let call: GRPCCall

    init(_ call: GRPCCall) { self.call = call }

    package var eventLoop: any EventLoop { call.eventLoop }
    package var method: String { call.plainMethod }
    package var path: String { call.path }
    package var fields: [(name: String, value: String)] { call.allMetadata }
    package var body: ByteBuffer { call.plainBody }
    package var remoteAddress: SocketAddress? { call.remoteAddress }

    /// Is called once if the client goes away before there was an answer. On the event loop.
    package func onCancel(_ body: @escaping () -> Void) { call.onPlainCancel(body) }

    /// On the event loop. Names of fields must be lower case. An answer to HEAD goes without its body, which nghttp2's
    /// peers take for an error (RFC 9113 section 8.1.1).
    package func respond(status: Int, fields: [(name: String, value: String)], body: ByteBuffer) {
        var all = [(":status", String(status))] + fields
        let isHead = method == "HEAD"
        if isHead { all.append(("content-length", String(body.readableBytes))) }
        call.respond(HTTP2HeaderBlock(all.map { ($0.0, Array($0.1.utf8)) }), isHead ? ByteBuffer() : body)
    }
}
