import NIOCore
import NIOWebSocket

/// One stream of the gateway over a WebSocket (W8), as etcd has it: each message of the client is a part
/// of the request's body, each line of the answer is a text message. On its event loop only.
final class WebSocketStream: ChannelDuplexHandler, RemovableChannelHandler, PlainStreamAnswer, @unchecked Sendable {
    typealias InboundIn = WebSocketFrame
    typealias OutboundIn = WebSocketFrame
    typealias OutboundOut = WebSocketFrame

    let eventLoop: any EventLoop
    private let limits: WebSocketLimits
    private let begin: (WebSocketStream) -> any PlainStreamReceiver
    private var context: ChannelHandlerContext?
    private var receiver: (any PlainStreamReceiver)?
    /// Messages that were read and wait until the receiver takes more: no more than one read of the socket brought.
    private var waiting = CircularBuffer<ByteBuffer>()
    /// A message of which more frames are to come.
    private var message: ByteBuffer?
    private var isPaused = false
    private var isTelling = false
    private var isReadHeld = false
    private var isFlushScheduled = false
    /// We, or the client, have said that it is over.
    private var hasEnded = false
    private var pings: RepeatedTask?
    private var unansweredPings = 0

    /// - Parameter begin: begins the stream, once frames can go.
    init(
        eventLoop: any EventLoop, limits: WebSocketLimits, begin: @escaping (WebSocketStream) -> any PlainStreamReceiver
    ) {
        self.eventLoop = eventLoop
        self.limits = limits
        self.begin = begin
    }

    // MARK: Events of the channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        let held = NIOLoopBound(self, eventLoop: eventLoop)
        pings = eventLoop.scheduleRepeatedTask(initialDelay: limits.pingInterval, delay: limits.pingInterval) { _ in
            held.value.ping()
        }
        receiver = begin(self)
    }

    func handlerRemoved(context: ChannelHandlerContext) { gone() }

    func channelInactive(context: ChannelHandlerContext) {
        gone()
        context.fireChannelInactive()
    }

    private func gone() {
        guard context != nil else { return }
        context = nil
        pings?.cancel()
        pings = nil
        waiting.removeAll()
        message = nil
        let receiver = receiver
        self.receiver = nil
        if !hasEnded {
            hasEnded = true
            receiver?.onCancel()
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        unansweredPings = 0
        guard !hasEnded else { return }
        let frame = unwrapInboundIn(data)
        guard frame.maskKey != nil else { return close(.protocolError) }
        switch frame.opcode {
        case .text, .binary:
            guard message == nil else { return close(.protocolError) }
            take(frame.unmaskedData, isLast: frame.fin)
        case .continuation:
            guard message != nil else { return close(.protocolError) }
            take(frame.unmaskedData, isLast: frame.fin)
        case .ping:
            context.writeAndFlush(
                wrapOutboundOut(WebSocketFrame(fin: true, opcode: .pong, data: frame.unmaskedData)), promise: nil)
        case .connectionClose: close(.normalClosure)
        default: break
        }
    }

    private func take(_ part: ByteBuffer, isLast: Bool) {
        var whole = message ?? ByteBuffer()
        message = nil
        guard whole.readableBytes + part.readableBytes <= limits.messageBytesMax else { return close(.messageTooLarge) }
        whole.writeImmutableBuffer(part)
        guard isLast else {
            message = whole
            return
        }
        // Objects may follow one another: a message ends what it holds.
        whole.writeString("\n")
        waiting.append(whole)
        tell()
    }

    private func tell() {
        guard !isTelling else { return }
        isTelling = true
        defer { isTelling = false }
        while !isPaused, !hasEnded, let message = waiting.popFirst() { receiver?.onBody(message) }
        if isReadHeld, isReadingWanted {
            isReadHeld = false
            context?.read()
        }
    }

    private var isReadingWanted: Bool { waiting.isEmpty && !isPaused }

    func read(context: ChannelHandlerContext) {
        if isReadingWanted { context.read() } else { isReadHeld = true }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { receiver?.onWritable() }
        context.fireChannelWritabilityChanged()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        close(error as? NIOWebSocketError == .invalidFrameLength ? .messageTooLarge : .protocolError)
    }

    private func ping() {
        guard let context, !hasEnded else { return }
        guard unansweredPings < 2 else { return context.close(promise: nil) }
        unansweredPings += 1
        context.writeAndFlush(
            wrapOutboundOut(WebSocketFrame(fin: true, opcode: .ping, data: ByteBuffer())), promise: nil)
    }

    /// The client has ended it, or must.
    private func close(_ code: WebSocketErrorCode) {
        guard !hasEnded else { return }
        hasEnded = true
        waiting.removeAll()
        receiver?.onCancel()
        sayGoodbye(code)
    }

    private func sayGoodbye(_ code: WebSocketErrorCode) {
        guard let context else { return }
        var data = ByteBuffer()
        data.write(webSocketErrorCode: code)
        let channel = context.channel
        context.writeAndFlush(wrapOutboundOut(WebSocketFrame(fin: true, opcode: .connectionClose, data: data)))
            .whenComplete { _ in channel.close(promise: nil) }
    }

    // MARK: Answers piece by piece

    var isWritable: Bool { context?.channel.isWritable ?? true }

    /// The connection has become a WebSocket with a head of its own: an error is told in a message.
    func begin(status: Int, fields: [(name: String, value: String)]) {}

    func write(_ bytes: ByteBuffer) {
        guard let context, !hasEnded else { return }
        var line = bytes
        if line.getInteger(at: line.writerIndex - 1, as: UInt8.self) == UInt8(ascii: "\n") {
            line.moveWriterIndex(to: line.writerIndex - 1)
        }
        context.write(wrapOutboundOut(WebSocketFrame(fin: true, opcode: .text, data: line)), promise: nil)
        guard !isFlushScheduled else { return }
        isFlushScheduled = true
        eventLoop.assumeIsolated().execute { [self] in
            isFlushScheduled = false
            self.context?.flush()
        }
    }

    func end() {
        guard !hasEnded else { return }
        hasEnded = true
        sayGoodbye(.normalClosure)
    }

    func abort() {
        guard !hasEnded else { return }
        hasEnded = true
        sayGoodbye(.unexpectedServerError)
    }

    func pauseBody() { isPaused = true }

    func resumeBody() {
        guard isPaused else { return }
        isPaused = false
        tell()
    }
}
