import HTTP2
import NIOCore
import NIOPosix
import SocketSupport

/// One check of one instance. Whatever is at the other end, there is an outcome in time, and no more of its bytes are
/// read than an answer may have.
enum ServiceProbe {
    enum Outcome: Hashable, Sendable {
        case passed
        case failed(String)
    }

    static func run(
        _ check: ServiceCheck, host: String, port: UInt16, on eventLoop: any EventLoop
    ) -> EventLoopFuture<Outcome> {
        let timeout = TimeAmount.milliseconds(check.timeoutMilliseconds)
        let outcome = eventLoop.makePromise(of: Outcome.self)
        let late = Outcome.failed("no answer within \(JSONReading.text(milliseconds: check.timeoutMilliseconds))")
        let timer = eventLoop.scheduleTask(in: timeout) { outcome.succeed(late) }
        outcome.futureResult.whenComplete { _ in timer.cancel() }
        let place = HostAndPort(host: host, port: Int(port))
        switch check.kind {
        case .tcp: connect(place, timeout, eventLoop, outcome) { _ in outcome.succeed(.passed) }
        case .http(let path):
            connect(
                place, timeout, eventLoop, outcome, handler: { HTTPProbe(path: path, host: place.text, outcome) }
            ) { _ in }
        case .grpc(let service): askGRPC(service, place, timeout, eventLoop, outcome)
        }
        return outcome.futureResult
    }

    private static func connect(
        _ place: HostAndPort, _ timeout: TimeAmount, _ eventLoop: any EventLoop, _ outcome: EventLoopPromise<Outcome>,
        handler: (@Sendable () -> any ChannelHandler)? = nil,
        _ connected: @escaping @Sendable (any Channel) -> Void
    ) {
        let connecting = ClientBootstrap(group: eventLoop)
            .connectTimeout(timeout)
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 2_048))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let handler { try channel.pipeline.syncOperations.addHandler(handler()) }
                }
            }
            .connect(host: place.host, port: place.port)
        connecting.whenSuccess(connected)
        connecting.whenFailure { outcome.succeed(.failed(SocketFailure.text($0))) }
        outcome.futureResult.whenComplete { _ in connecting.whenSuccess { $0.close(promise: nil) } }
    }

    // MARK: gRPC

    private static func askGRPC(
        _ service: String, _ place: HostAndPort, _ timeout: TimeAmount, _ eventLoop: any EventLoop,
        _ outcome: EventLoopPromise<Outcome>
    ) {
        var options = GRPCClientConnection.Options()
        options.connectTimeout = timeout
        options.messageBytesMax = DiscoveryLimits.checkAnswerBytesMax
        let connecting = GRPCClientConnection.connect(
            host: place.host, port: place.port, on: eventLoop, options: options)
        connecting.whenFailure { outcome.succeed(.failed(SocketFailure.text($0))) }
        connecting.whenSuccess { connection in
            connection.unary("/grpc.health.v1.Health/Check", request(of: service), timeout: timeout) { result in
                switch result {
                case .success(let message): outcome.succeed(judge(message))
                case .failure(let status): outcome.succeed(.failed("gRPC status \(status.code): \(status.message)"))
                }
            }
        }
        outcome.futureResult.whenComplete { _ in connecting.whenSuccess { $0.close() } }
    }

    /// HealthCheckRequest: field 1, the service.
    private static func request(of service: String) -> ByteBuffer {
        guard !service.isEmpty else { return ByteBuffer() }
        // At most 255 bytes: two of a varint.
        let count = service.utf8.count
        let length: [UInt8] = count < 0x80 ? [UInt8(count)] : [UInt8(count & 0x7f | 0x80), UInt8(count >> 7)]
        return ByteBuffer(bytes: [0x0a] + length + Array(service.utf8))
    }

    /// HealthCheckResponse: field 1, the status, of which 1 is SERVING. Nothing else is known in it.
    private static func judge(_ message: ByteBuffer) -> Outcome {
        let bytes = Array(message.readableBytesView)
        if bytes == [0x08, 0x01] { return .passed }
        let names: [[UInt8]: String] = [[]: "UNKNOWN", [0x08, 0x00]: "UNKNOWN", [0x08, 0x02]: "NOT_SERVING"]
        return .failed("the health service answers \(names[bytes] ?? "something else than SERVING")")
    }
}

/// `GET`, and the first line of the answer.
private final class HTTPProbe: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let request: String
    private let outcome: EventLoopPromise<ServiceProbe.Outcome>
    private var received = ByteBuffer()

    init(path: String, host: String, _ outcome: EventLoopPromise<ServiceProbe.Outcome>) {
        request =
            "GET \(path) HTTP/1.1\r\nHost: \(host)\r\nUser-Agent: martlet-check\r\nAccept: */*\r\n"
            + "Connection: close\r\n\r\n"
        self.outcome = outcome
    }

    func channelActive(context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: request)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var piece = unwrapInboundIn(data)
        received.writeBuffer(&piece)
        if let end = received.readableBytesView.firstIndex(of: UInt8(ascii: "\n")) {
            let line = String(decoding: received.readableBytesView[..<end], as: UTF8.self)
            finish(context, Self.judge(line))
        } else if received.readableBytes > DiscoveryLimits.checkAnswerBytesMax {
            finish(context, .failed("the answer has no first line"))
        }
    }

    static func judge(_ line: String) -> ServiceProbe.Outcome {
        let words = line.split(whereSeparator: \.isWhitespace)
        guard words.count >= 2, words[0].hasPrefix("HTTP/1."), words[1].count == 3, let status = Int(words[1]) else {
            return .failed("the answer is not HTTP")
        }
        return (200..<300).contains(status) ? .passed : .failed("HTTP status \(status)")
    }

    func channelInactive(context: ChannelHandlerContext) {
        outcome.succeed(.failed("the connection was closed without an answer"))
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        finish(context, .failed(SocketFailure.text(error)))
    }

    private func finish(_ context: ChannelHandlerContext, _ result: ServiceProbe.Outcome) {
        outcome.succeed(result)
        context.close(promise: nil)
    }
}
