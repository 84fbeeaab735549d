import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import ServiceLifecycle

/// Just enough of an HTTP/1.1 server: one task a connection, one request after the other.
struct HTTPServer: Service {
    private typealias Connection = NIOAsyncChannel<HTTPServerRequestPart, HTTPPart<HTTPResponseHead, ByteBuffer>>
    private static let bodyBytesMax = 64 << 20

    let port: Int
    let handler: Handler
    let logger: Logger

    func run() async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let server = try await ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .bind(host: "0.0.0.0", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline(withErrorHandling: false)
                    try channel.pipeline.syncOperations.addHandler(UnreadableRequestHandler())
                    try channel.pipeline.syncOperations.addHandler(ResponsePartHandler())
                    return try Connection(wrappingChannelSynchronously: channel)
                }
            }
        logger.info("serving keys and values", metadata: ["port": "\(port)"])
        do {
            try await cancelWhenGracefulShutdown {
                try await withThrowingDiscardingTaskGroup { group in
                    try await server.executeThenClose { connections in
                        for try await connection in connections {
                            group.addTask { await serve(connection) }
                        }
                    }
                }
            }
        } catch is CancellationError {
            logger.info("no longer serving")
        }
    }

    private func serve(_ connection: Connection) async {
        do {
            try await connection.executeThenClose { parts, output in
                var head: HTTPRequestHead?
                var body: [UInt8]? = []
                for try await part in parts {
                    switch part {
                    case .head(let new):
                        head = new
                        body = []
                        if new.headers[canonicalForm: "expect"].contains("100-continue") {
                            try await output.write(.head(HTTPResponseHead(version: new.version, status: .continue)))
                        }
                    case .body(let buffer):
                        // A body that is too long is read to its end, and not kept.
                        if let known = body?.count, known + buffer.readableBytes <= Self.bodyBytesMax {
                            body?.append(contentsOf: buffer.readableBytesView)
                        } else {
                            body = nil
                        }
                    case .end:
                        guard let request = head else { return }
                        let response = await handler.respond(
                            method: request.method.rawValue, uri: request.uri, body: body)
                        try await write(response, to: request, output)
                        if !request.isKeepAlive { return }
                    }
                }
            }
        } catch {
            logger.debug("a connection ended", metadata: ["reason": "\(error)"])
        }
    }

    private func write(
        _ response: Handler.Response, to request: HTTPRequestHead,
        _ output: NIOAsyncChannelOutboundWriter<HTTPPart<HTTPResponseHead, ByteBuffer>>
    ) async throws {
        var headers = HTTPHeaders(response.headers.map { ($0.name, $0.value) })
        if response.status != 204 { headers.add(name: "Content-Length", value: "\(response.body.count)") }
        let head = HTTPResponseHead(
            version: request.version, status: HTTPResponseStatus(statusCode: response.status), headers: headers)
        try await output.write(.head(head))
        if !response.body.isEmpty, request.method != .HEAD {
            try await output.write(.body(ByteBuffer(bytes: response.body)))
        }
        try await output.write(.end(nil))
    }
}

/// `NIOAsyncChannel` writes one type; the pipeline's response parts hold `IOData`.
private final class ResponsePartHandler: ChannelOutboundHandler {
    typealias OutboundIn = HTTPPart<HTTPResponseHead, ByteBuffer>
    typealias OutboundOut = HTTPServerResponsePart

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let part: HTTPServerResponsePart =
            switch unwrapOutboundIn(data) {
            case .head(let head): .head(head)
            case .body(let buffer): .body(.byteBuffer(buffer))
            case .end(let trailers): .end(trailers)
            }
        context.write(wrapOutboundOut(part), promise: promise)
    }
}

/// Answers a request that is no HTTP, or whose body is not, before its connection ends.
private final class UnreadableRequestHandler: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    /// Of the request that is being read.
    private var method: HTTPMethod?
    private var isAnswering = false

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): method = head.method
        case .body: break
        case .end: method = nil
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(let head): isAnswering = head.status.code >= 200
        case .body: break
        case .end: isAnswering = false
        }
        context.write(data, promise: promise)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if error is HTTPParserError, !isAnswering {
            let text = method.map { "Failed on \($0.rawValue)\n" } ?? "Bad request\n"
            let headers = HTTPHeaders([("Connection", "close"), ("Content-Length", "\(text.utf8.count)")])
            let head = HTTPResponseHead(version: .http1_1, status: .badRequest, headers: headers)
            context.write(wrapOutboundOut(.head(head)), promise: nil)
            context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: text)))), promise: nil)
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        }
        // The connection ends with it.
        context.fireErrorCaught(error)
    }
}
