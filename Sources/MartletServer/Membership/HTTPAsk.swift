import NIOCore
import NIOHTTP1
import NIOPosix
import SocketSupport

/// One plain request to another member, or to somebody who wants to be one, and the answer.
enum HTTPAsk {
    struct Request: Hashable, Sendable {
        enum Method: String, Sendable {
            case get = "GET"
            case post = "POST"
        }

        var method = Method.get
        var path: String
        /// JSON; none where it is empty.
        var body: [UInt8] = []
    }

    struct Answer: Hashable, Sendable {
        var status: Int
        var fields: [String: String]
        var body: [UInt8]

        /// By the field's name, whatever its case.
        subscript(name: String) -> String? { fields[name.lowercased()] }
    }

    struct Failure: Error, Hashable, Sendable, CustomStringConvertible {
        var description: String
    }

    /// A list of thousands of members fits.
    static let bodyBytesMax = 1 << 20

    /// Takes `timeout` at most.
    static func ask(
        _ url: ServerURL, _ request: Request, timeout: TimeAmount, on eventLoop: any EventLoop
    ) -> EventLoopFuture<Answer> {
        let promise = eventLoop.makePromise(of: Answer.self)
        let limit = eventLoop.scheduleTask(in: timeout) {
            promise.fail(Failure(description: "no answer within \(timeout.nanoseconds / 1_000_000) ms"))
        }
        let connecting = ClientBootstrap(group: eventLoop)
            .connectTimeout(timeout)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let handlers = channel.pipeline.syncOperations
                    try handlers.addHTTPClientHandlers()
                    try handlers.addHandler(Asker(request, host: url.hostAndPort, promise: promise))
                }
            }
            .connect(host: url.host, port: url.port)
        connecting.whenFailure { error in promise.fail(Failure(description: SocketFailure.text(error))) }
        promise.futureResult.whenComplete { _ in
            limit.cancel()
            // One that came up after the time was up, too.
            connecting.whenSuccess { $0.close(promise: nil) }
        }
        return promise.futureResult
    }

    /// Whether anybody takes connections there.
    static func touch(_ url: ServerURL, timeout: TimeAmount, on eventLoop: any EventLoop) -> EventLoopFuture<Void> {
        ClientBootstrap(group: eventLoop).connectTimeout(timeout).connect(host: url.host, port: url.port)
            .flatMapError { eventLoop.makeFailedFuture(Failure(description: SocketFailure.text($0))) }
            .map { $0.close(promise: nil) }
    }

    /// Blocks; not to be called on an event loop.
    static func ask(_ url: ServerURL, _ request: Request, timeout: TimeAmount) throws(Failure) -> Answer {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        defer { try? group.syncShutdownGracefully() }
        do {
            return try ask(url, request, timeout: timeout, on: group.next()).wait()
        } catch {
            throw failure(error)
        }
    }

    static func failure(_ error: any Error) -> Failure {
        error as? Failure ?? Failure(description: SocketFailure.text(error))
    }

    private final class Asker: ChannelInboundHandler {
        typealias InboundIn = HTTPClientResponsePart
        typealias OutboundOut = HTTPClientRequestPart

        private let request: Request
        private let host: String
        private let promise: EventLoopPromise<Answer>
        private var answer = Answer(status: 0, fields: [:], body: [])
        private var isOver = false

        init(_ request: Request, host: String, promise: EventLoopPromise<Answer>) {
            self.request = request
            self.host = host
            self.promise = promise
        }

        func channelActive(context: ChannelHandlerContext) {
            var headers: HTTPHeaders = ["host": host, "connection": "close", "accept": "application/json"]
            if request.method == .post {
                headers.add(name: "content-type", value: "application/json")
                headers.add(name: "content-length", value: "\(request.body.count)")
            }
            let head = HTTPRequestHead(
                version: .http1_1, method: HTTPMethod(rawValue: request.method.rawValue), uri: request.path,
                headers: headers)
            context.write(wrapOutboundOut(.head(head)), promise: nil)
            if !request.body.isEmpty {
                context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: request.body)))), promise: nil)
            }
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head):
                answer.status = Int(head.status.code)
                for (name, value) in head.headers { answer.fields[name.lowercased()] = value }
            case .body(let part):
                answer.body += part.readableBytesView
                if answer.body.count > HTTPAsk.bodyBytesMax {
                    fail("an answer of more than \(HTTPAsk.bodyBytesMax) bytes", context)
                }
            case .end:
                guard !isOver else { return }
                isOver = true
                promise.succeed(answer)
                context.close(promise: nil)
            }
        }

        func channelInactive(context: ChannelHandlerContext) { fail("the connection was closed", context) }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { fail("\(error)", context) }

        private func fail(_ reason: String, _ context: ChannelHandlerContext) {
            guard !isOver else { return }
            isOver = true
            promise.fail(Failure(description: reason))
            context.close(promise: nil)
        }
    }
}
