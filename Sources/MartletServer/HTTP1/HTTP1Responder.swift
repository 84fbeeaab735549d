import HTTP2
import NIOCore
import NIOHTTP1

/// A request of HTTP/1.1, or one that came over HTTP/2 and is not gRPC's, with its whole body.
struct PlainRequest: Sendable {
    var method: String
    /// Without the query.
    var path: String
    var query: String
    var body: ByteBuffer
}

struct PlainResponse: Sendable {
    var status: Int
    var fields: [(name: String, value: String)] = []
    var body: ByteBuffer

    init(status: Int, contentType: String, body: String, fields: [(name: String, value: String)] = []) {
        self.status = status
        self.fields = [("content-type", contentType)] + fields
        self.body = ByteBuffer(string: body)
    }
}

/// Answers plain HTTP requests by path.
struct PlainRouter: Sendable {
    typealias Handler = @Sendable (PlainRequest, any EventLoop, @escaping @Sendable (PlainResponse) -> Void) -> Void

    private var routes: [(path: String, methods: [String], handler: Handler)] = []

    mutating func on(_ methods: [String], _ path: String, _ handler: @escaping Handler) {
        routes.append((path, methods, handler))
    }

    /// The answer is given on `eventLoop`.
    func handle(
        _ request: PlainRequest, on eventLoop: any EventLoop, _ respond: @escaping @Sendable (PlainResponse) -> Void
    ) {
        guard let route = routes.first(where: { $0.path == request.path }) else {
            return respond(
                PlainResponse(
                    status: 404, contentType: "application/json", body: #"{"code":5,"message":"Not Found"}"#))
        }
        guard route.methods.contains(request.method) else {
            return respond(
                PlainResponse(
                    status: 405, contentType: "text/plain; charset=utf-8", body: "Method Not Allowed\n",
                    fields: [("allow", route.methods.joined(separator: ", "))]))
        }
        route.handler(request, eventLoop, respond)
    }
}

/// One HTTP/1.1 connection: gathers a request, has it answered, keeps the connection if the client wants it.
final class HTTP1Responder: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    /// The longest body that is gathered; beyond it the answer is 413 and the connection ends.
    static let bodyBytesMax = 2 << 20

    private let router: PlainRouter
    private var head: HTTPRequestHead?
    private var body = ByteBuffer()
    private var isTooLarge = false

    init(router: PlainRouter) { self.router = router }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            body.clear()
            isTooLarge = false
        case .body(var part):
            guard !isTooLarge else { return }
            if body.readableBytes + part.readableBytes > Self.bodyBytesMax {
                isTooLarge = true
                body.clear()
            } else {
                body.writeBuffer(&part)
            }
        case .end:
            guard let head else { return }
            self.head = nil
            answer(head, context)
        }
    }

    private func answer(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        guard !isTooLarge else {
            let response = PlainResponse(
                status: 413, contentType: "text/plain; charset=utf-8",
                body: "the body is larger than \(Self.bodyBytesMax) bytes\n")
            return write(response, head, keepAlive: false, context)
        }
        let parts = head.uri.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let request = PlainRequest(
            method: head.method.rawValue, path: String(parts.first ?? "/"),
            query: parts.count > 1 ? String(parts[1]) : "", body: body)
        router.handle(request, on: context.eventLoop) { response in
            let (responder, context) = bound.value
            responder.write(response, head, keepAlive: head.isKeepAlive, context)
        }
    }

    private func write(
        _ response: PlainResponse, _ head: HTTPRequestHead, keepAlive: Bool, _ context: ChannelHandlerContext
    ) {
        guard context.channel.isActive else { return }
        var headers = HTTPHeaders(response.fields.map { ($0.name, $0.value) })
        headers.replaceOrAdd(name: "content-length", value: String(response.body.readableBytes))
        if !keepAlive { headers.replaceOrAdd(name: "connection", value: "close") }
        context.write(
            wrapOutboundOut(
                .head(
                    HTTPResponseHead(
                        version: head.version, status: HTTPResponseStatus(statusCode: response.status),
                        headers: headers))), promise: nil)
        if head.method != .HEAD { context.write(wrapOutboundOut(.body(.byteBuffer(response.body))), promise: nil) }
        let channel = context.channel
        context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in
            if !keepAlive { channel.close(promise: nil) }
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
