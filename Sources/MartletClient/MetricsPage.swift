import NIOCore
import NIOPosix

/// A member's `/metrics`, which it serves over HTTP/1 beside its API.
package enum MetricsPage {
    /// The largest page that is taken.
    static let bytesMax = 16 << 20

    /// Nil where there is none, or it does not come in time.
    package static func fetch(from endpoint: Endpoint, timeout: Duration) async -> String? {
        let group = MultiThreadedEventLoopGroup.singleton
        let page = group.next().makePromise(of: String?.self)
        let timer = page.futureResult.eventLoop.scheduleTask(in: TimeAmount(timeout)) { page.succeed(nil) }
        let connecting = ClientBootstrap(group: group)
            .connectTimeout(TimeAmount(timeout))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Reader(endpoint, page))
                }
            }
            .connect(host: endpoint.host, port: endpoint.port)
        connecting.whenFailure { _ in page.succeed(nil) }
        let text = try? await page.futureResult.get()
        timer.cancel()
        connecting.whenSuccess { $0.close(promise: nil) }
        return text ?? nil
    }

    /// The number of the first sample of this name.
    package static func value(of name: String, in page: String) -> Double? {
        for line in page.split(whereSeparator: \.isNewline) where line.hasPrefix(name + " ") {
            return Double(line.dropFirst(name.count + 1))
        }
        return nil
    }

    /// Asks by HTTP/1.0, so that the answer ends with the connection.
    private final class Reader: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let endpoint: Endpoint
        private let page: EventLoopPromise<String?>
        private var received = ByteBuffer()

        init(_ endpoint: Endpoint, _ page: EventLoopPromise<String?>) {
            self.endpoint = endpoint
            self.page = page
        }

        func channelActive(context: ChannelHandlerContext) {
            let request = "GET /metrics HTTP/1.0\r\nHost: \(endpoint.host):\(endpoint.port)\r\n\r\n"
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: request)), promise: nil)
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            var piece = unwrapInboundIn(data)
            received.writeBuffer(&piece)
            if received.readableBytes > MetricsPage.bytesMax { context.close(promise: nil) }
        }

        func channelInactive(context: ChannelHandlerContext) {
            let text = String(buffer: received)
            page.succeed(text.hasPrefix("HTTP/1.") && text.dropFirst(9).hasPrefix("200") ? text : nil)
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}
