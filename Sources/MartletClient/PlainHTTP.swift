import NIOCore
import NIOPosix

/// A request of plain HTTP at a member, for what it serves beside its API: metrics, and Martlet's own admin calls.
package enum PlainHTTP {
    package struct Answer: Hashable, Sendable {
        package var status: Int
        package var body: [UInt8]
    }

    /// The largest answer that is taken.
    static let bytesMax = 16 << 20

    /// Nil where there is none, or it does not come in time.
    /// - Parameter json: what is sent; nil to ask only.
    package static func send(
        _ path: String, json: [UInt8]? = nil, to endpoint: Endpoint, timeout: Duration
    ) async -> Answer? {
        let group = MultiThreadedEventLoopGroup.singleton
        let answer = group.next().makePromise(of: Answer?.self)
        let timer = answer.futureResult.eventLoop.scheduleTask(in: TimeAmount(timeout)) { answer.succeed(nil) }
        let host = "\(endpoint.host):\(endpoint.port)"
        var request = ByteBuffer(
            string: "\(json == nil ? "GET" : "POST") \(path) HTTP/1.0\r\nHost: \(host)\r\n")
        if let json {
            request.writeString("Content-Type: application/json\r\nContent-Length: \(json.count)\r\n")
        }
        request.writeString("\r\n")
        request.writeBytes(json ?? [])
        let sent = request
        let connecting = ClientBootstrap(group: group)
            .connectTimeout(TimeAmount(timeout))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Reader(sent, answer))
                }
            }
            .connect(host: endpoint.host, port: endpoint.port)
        connecting.whenFailure { _ in answer.succeed(nil) }
        let result = try? await answer.futureResult.get()
        timer.cancel()
        connecting.whenSuccess { $0.close(promise: nil) }
        return result ?? nil
    }

    /// Asks by HTTP/1.0, so that the answer ends with the connection.
    private final class Reader: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let request: ByteBuffer
        private let answer: EventLoopPromise<Answer?>
        private var received = ByteBuffer()

        init(_ request: ByteBuffer, _ answer: EventLoopPromise<Answer?>) {
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

        func channelInactive(context: ChannelHandlerContext) { answer.succeed(PlainHTTP.read(received)) }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }

    /// `HTTP/1.1 200 OK`, fields, an empty line, and the body.
    static func read(_ bytes: ByteBuffer) -> Answer? {
        let view = bytes.readableBytesView
        let separator = Array("\r\n\r\n".utf8)
        guard String(decoding: view.prefix(7), as: UTF8.self) == "HTTP/1.",
            let status = Int(String(decoding: view.dropFirst(9).prefix(3), as: UTF8.self)),
            let end = view.indices.first(where: { view[$0...].starts(with: separator) })
        else { return nil }
        return Answer(status: status, body: Array(view[(end + separator.count)...]))
    }
}
