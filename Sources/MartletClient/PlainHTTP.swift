import NIOCore
import NIOPosix

/// One request of HTTP to a server's client port, for what its gRPC has not. The answer ends with the connection.
package enum PlainHTTP {
    package struct Answer: Hashable, Sendable {
        package var status: Int
        package var body: [UInt8]
    }

    enum Failure: Error, Sendable {
        /// Nothing was sent.
        case unreachable(String)
        /// It was sent, and there is no answer.
        case lost(String)
    }

    /// The largest answer that is taken.
    static let bytesMax = 64 << 20

    static func ask(
        _ endpoint: Endpoint, _ method: String, _ target: String, body: [UInt8] = [], dialTimeout: Duration,
        timeout: Duration
    ) async -> Result<Answer, Failure> {
        let group = MultiThreadedEventLoopGroup.singleton
        let answer = group.next().makePromise(of: Result<Answer, Failure>.self)
        let timer = answer.futureResult.eventLoop.scheduleTask(in: TimeAmount(timeout)) {
            answer.succeed(.failure(.lost("no answer in time")))
        }
        let connecting = ClientBootstrap(group: group)
            .connectTimeout(TimeAmount(dialTimeout))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        Exchange(request(endpoint, method, target, body), answer))
                }
            }
            .connect(host: endpoint.host, port: endpoint.port)
        connecting.whenFailure { answer.succeed(.failure(.unreachable("\($0)"))) }
        let result = await withTaskCancellationHandler {
            (try? await answer.futureResult.get()) ?? .failure(.lost("it was given up"))
        } onCancel: {
            answer.succeed(.failure(.lost("it was given up")))
        }
        timer.cancel()
        connecting.whenSuccess { $0.close(promise: nil) }
        return result
    }

    /// The same where all that counts is an answer: nil where there is none, or it does not come in time.
    /// - Parameter json: what is sent; nil to ask only.
    package static func send(
        _ path: String, json: [UInt8]? = nil, to endpoint: Endpoint, timeout: Duration
    ) async -> Answer? {
        let result = await ask(
            endpoint, json == nil ? "GET" : "POST", path, body: json ?? [], dialTimeout: timeout, timeout: timeout)
        return try? result.get()
    }

    private static func request(
        _ endpoint: Endpoint, _ method: String, _ target: String, _ body: [UInt8]
    ) -> ByteBuffer {
        let host = endpoint.host.contains(":") ? "[\(endpoint.host)]" : endpoint.host
        var head = "\(method) \(target) HTTP/1.0\r\nHost: \(host):\(endpoint.port)\r\nAccept: application/json\r\n"
        if !body.isEmpty { head += "Content-Type: application/json\r\nContent-Length: \(body.count)\r\n" }
        var buffer = ByteBuffer(string: head + "\r\n")
        buffer.writeBytes(body)
        return buffer
    }

    /// `HTTP/1.1 200 OK`, fields, an empty line, the body; nil for anything else.
    static func parse(_ bytes: [UInt8]) -> Answer? {
        let end = Array("\r\n\r\n".utf8)
        guard let blank = bytes.indices.first(where: { bytes[$0...].starts(with: end) }),
            let line = bytes.split(separator: UInt8(ascii: "\n"), maxSplits: 1).first
        else { return nil }
        let words = String(decoding: line, as: UTF8.self).split(separator: " ")
        guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let status = Int(words[1]) else { return nil }
        return Answer(status: status, body: Array(bytes[(blank + end.count)...]))
    }

    private final class Exchange: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let request: ByteBuffer
        private let answer: EventLoopPromise<Result<Answer, Failure>>
        private var received = ByteBuffer()

        init(_ request: ByteBuffer, _ answer: EventLoopPromise<Result<Answer, Failure>>) {
            self.request = request
            self.answer = answer
        }

        func channelActive(context: ChannelHandlerContext) {
            context.writeAndFlush(wrapOutboundOut(request), promise: nil)
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            var piece = unwrapInboundIn(data)
            received.writeBuffer(&piece)
            if received.readableBytes > PlainHTTP.bytesMax { context.close(promise: nil) }
        }

        func channelInactive(context: ChannelHandlerContext) {
            let parsed = PlainHTTP.parse(Array(received.readableBytesView))
            answer.succeed(parsed.map { .success($0) } ?? .failure(.lost("the connection was lost")))
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}
