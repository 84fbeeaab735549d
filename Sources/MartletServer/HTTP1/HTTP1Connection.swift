import HTTP2
import NIOCore
import NIOHTTP1
import NIOWebSocket

/// One HTTP/1.1 connection: takes its requests one after the other, has each answered before the next one is looked at
/// (so that pipelined ones are answered in order), and reads no more from the client than can be worked on.
final class HTTP1Connection: ChannelDuplexHandler, RemovableChannelHandler, @unchecked Sendable {  // on its event loop
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    let eventLoop: any EventLoop
    private let server: HTTP1Server
    private let usage: HTTP1Usage
    private var context: ChannelHandlerContext?
    /// Parts that have been read and wait for their turn: no more than what one read of the socket brought.
    private var waiting = CircularBuffer<HTTPServerRequestPart>()
    private var exchange: HTTP1Exchange?
    private var isProcessing = false
    private var isReadHeld = false
    private var isFlushScheduled = false
    private var isDraining = false
    /// Nothing more is answered; the channel closes when what was written has gone.
    private var isClosing = false
    /// Whether the last answer has gone to the socket.
    private var lastWrite: EventLoopFuture<Void>?
    private let timer: HTTP1Timer
    /// How much waited for the client when it was last looked whether it takes anything.
    private var stalledBytes = 0

    init(server: HTTP1Server, usage: HTTP1Usage, eventLoop: any EventLoop) {
        self.server = server
        self.usage = usage
        self.eventLoop = eventLoop
        timer = HTTP1Timer(eventLoop: eventLoop)
    }

    // MARK: Events of the channel

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        timer.expired = { [unowned self] in timerExpired() }
        timer.set(server.limits.firstHeadTimeout)
        server.opened(self)
    }

    func handlerRemoved(context: ChannelHandlerContext) { ended() }

    func channelInactive(context: ChannelHandlerContext) {
        ended()
        context.fireChannelInactive()
    }

    private func ended() {
        guard context != nil else { return }
        context = nil
        isClosing = true
        waiting.removeAll()
        timer.end()
        server.closed(self)
        guard let exchange else { return }
        abandon(exchange)
    }

    private func abandon(_ exchange: HTTP1Exchange) {
        release(exchange)
        exchange.connection = nil
        self.exchange = nil
        if case .streamed(let receiver) = exchange.body, !exchange.answerHasEnded { receiver.onCancel() }
        exchange.request.cancellation.cancel()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isClosing else { return }
        waiting.append(unwrapInboundIn(data))
        process()
    }

    /// Reading goes on when what was read has been taken.
    func read(context: ChannelHandlerContext) {
        if isReadingWanted { context.read() } else { isReadHeld = true }
    }

    private var isReadingWanted: Bool {
        guard waiting.isEmpty, !isClosing else { return false }
        guard let exchange else { return true }
        return !exchange.requestHasEnded && !exchange.isBodyPaused
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable {
            armTimer()
            if let exchange, case .streamed(let receiver) = exchange.body { receiver.onWritable() }
        } else {
            stalledBytes = pendingBytes
            timer.set(server.limits.stallTimeout)
        }
        context.fireChannelWritabilityChanged()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard !isClosing else { return }
        guard let error = error as? HTTPParserError else { return context.close(promise: nil) }
        if let exchange {
            // The parser takes nothing more. What it took before is answered, if that was all of a request.
            guard exchange.requestHasEnded else { return context.close(promise: nil) }
            exchange.keepsAlive = false
            return
        }
        var status = 400
        var text = "the request is not HTTP/1.1 as it should be"
        if case .headerOverflow = error {
            status = 431
            text = "the header is too large"
        }
        refuse(status, text, context)
        closeAfterWriting()
    }

    /// The last answer on this connection.
    private func refuse(_ status: Int, _ text: String, _ context: ChannelHandlerContext) {
        let response = PlainResponse.text(status, text)
        writeHead(
            status: response.status, fields: response.fields + [("connection", "close")],
            length: response.body.readableBytes, version: .http1_1, context)
        context.write(wrapOutboundOut(.body(.byteBuffer(response.body))), promise: nil)
        lastWrite = context.writeAndFlush(wrapOutboundOut(.end(nil)))
    }

    // MARK: Requests

    /// After something has changed that parts were waiting for.
    func goOn() {
        process()
        guard isReadHeld, isReadingWanted else { return }
        isReadHeld = false
        context?.read()
    }

    private func process() {
        guard !isProcessing else { return }
        isProcessing = true
        defer { isProcessing = false }
        while !isClosing, let part = waiting.first, take(part) { if !waiting.isEmpty { waiting.removeFirst() } }
    }

    /// - Returns: false when the part has to wait.
    private func take(_ part: HTTPServerRequestPart) -> Bool {
        guard let exchange else {
            // Nothing but a head can begin an exchange; what the decoder may say after an error has no owner.
            if case .head(let head) = part { begin(head) }
            return true
        }
        guard !exchange.requestHasEnded, !exchange.isBodyPaused else { return false }
        switch part {
        case .head: break
        case .body(let bytes): receive(bytes, of: exchange)
        case .end:
            exchange.requestHasEnded = true
            receiveEnd(of: exchange)
        }
        return true
    }

    private func begin(_ head: HTTPRequestHead) {
        let request = PlainRequest(
            method: head.method.rawValue, target: head.uri, fields: head.headers.map { ($0.name, $0.value) })
        if WebSocketHandshake.isAsked(by: head), case .stream(let begin) = server.router.match(request.asPost) {
            return becomeWebSocket(head, request, begin)
        }
        let match = server.router.match(request)
        var handler: PlainRouter.Handler?
        var rule: PlainRouter.BodyRule?
        if case .whole(let found, let foundRule) = match { (handler, rule) = (found, foundRule) }
        let exchange = HTTP1Exchange(
            head: head, request: request, handler: handler, bodyRule: rule,
            commonFields: server.router.commonFields(for: request), connection: self)
        // The parser stops behind a request that would leave HTTP/1.1 (h2c, CONNECT): this answer is the last.
        let isLast = isDraining || head.headers.contains(name: "upgrade") || head.method == .CONNECT
        if isLast { exchange.keepsAlive = false }
        self.exchange = exchange
        switch match {
        case .answer(let response): refuseBody(of: exchange, response)
        case .whole:
            let announced = head.headers.first(name: "content-length").flatMap { Int($0) } ?? 0
            if let rule, announced > rule.bytesMax { return refuseBody(of: exchange, rule.tooLarge) }
            timer.set(server.limits.bodyTimeout)
            expectContinue(exchange)
        case .stream(let begin):
            timer.cancel()
            expectContinue(exchange)
            let receiver = begin(request, exchange)
            if case .gathered = exchange.body { exchange.body = .streamed(receiver) }
        }
    }

    /// What will be answered is known from the head. A client that has asked whether to send its body hears it at once,
    /// others when they have sent it: they may not look before.
    private func refuseBody(of exchange: HTTP1Exchange, _ response: PlainResponse) {
        timer.set(server.limits.bodyTimeout)
        exchange.body = .discarded(0)
        if expectsContinue(exchange) {
            exchange.keepsAlive = false
            answer(response, exchange)
        } else {
            exchange.refusal = response
        }
    }

    private func expectsContinue(_ exchange: HTTP1Exchange) -> Bool {
        exchange.takesChunks && exchange.head.headers.first(name: "expect")?.lowercased() == "100-continue"
    }

    /// A client that asks before it sends its body waits for this.
    private func expectContinue(_ exchange: HTTP1Exchange) {
        guard let context, expectsContinue(exchange) else { return }
        context.writeAndFlush(
            wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .continue))), promise: nil)
    }

    private func receive(_ bytes: ByteBuffer, of exchange: HTTP1Exchange) {
        switch exchange.body {
        case .streamed(let receiver): receiver.onBody(bytes)
        case .discarded(let count):
            exchange.body = .discarded(count + bytes.readableBytes)
            guard count + bytes.readableBytes > server.limits.discardedBytesMax else { return }
            exchange.keepsAlive = false
            if let refusal = exchange.refusal { answer(refusal, exchange) }
            closeAfterWriting()
        case .gathered:
            let total = exchange.request.body.readableBytes + bytes.readableBytes
            let rule = exchange.bodyRule
            guard total <= min(server.limits.bodyBytesMax, rule?.bytesMax ?? .max) else {
                return refuse(
                    exchange,
                    rule?.tooLarge
                        ?? GatewayError(
                            .resourceExhausted,
                            "the request's body is larger than \(server.limits.bodyBytesMax) bytes"
                        ).response)
            }
            guard usage.bodyBytes + bytes.readableBytes <= server.limits.bodyBytesOfLoopMax else {
                return refuse(
                    exchange,
                    rule?.tooMany ?? GatewayError(.resourceExhausted, "etcdserver: too many requests").response)
            }
            usage.bodyBytes += bytes.readableBytes
            exchange.usedBytes += bytes.readableBytes
            exchange.request.body.writeImmutableBuffer(bytes)
        }
    }

    private func refuse(_ exchange: HTTP1Exchange, _ response: PlainResponse) {
        exchange.request.body = ByteBuffer()
        release(exchange)
        exchange.body = .discarded(0)
        exchange.keepsAlive = false
        exchange.refusal = response
    }

    private func receiveEnd(of exchange: HTTP1Exchange) {
        switch exchange.body {
        case .streamed(let receiver): receiver.onBodyEnd()
        case .discarded:
            if let refusal = exchange.refusal { answer(refusal, exchange) }
            finishIfDone(exchange)
        case .gathered:
            guard let handler = exchange.handler else { return }
            timer.cancel()
            let request = exchange.request
            exchange.request.body = ByteBuffer()
            handler(request, eventLoop) { [self] response in answer(response, exchange) }
        }
    }

    private func release(_ exchange: HTTP1Exchange) {
        usage.bodyBytes -= exchange.usedBytes
        exchange.usedBytes = 0
    }

    // MARK: WebSockets

    private func becomeWebSocket(
        _ head: HTTPRequestHead, _ request: PlainRequest, _ begin: @escaping PlainRouter.StreamHandler
    ) {
        guard let context else { return }
        // Nothing more is HTTP, whatever comes of it.
        isClosing = true
        waiting.removeAll()
        timer.set(server.limits.stallTimeout)
        WebSocketHandshake.agreement(to: head, on: context.channel).assumeIsolated().whenSuccess { [self] fields in
            guard let fields else {
                refuse(400, "the request for a WebSocket is not as RFC 6455 has it, version 13", context)
                isClosing = false
                return closeAfterWriting()
            }
            let common = server.router.commonFields(for: request)
            writeHead(
                status: 101, fields: common + fields.map { ($0.name, $0.value) }, length: nil, version: .http1_1,
                context)
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
            let stream = WebSocketStream(eventLoop: eventLoop, limits: server.webSocketLimits) { begin(request, $0) }
            // The decoder is in the middle of its work.
            eventLoop.assumeIsolated().execute { [self] in handOver(to: stream) }
        }
    }

    private func handOver(to stream: WebSocketStream) {
        guard let context else { return }
        let channel = context.channel
        let pipeline = channel.pipeline.syncOperations
        do {
            let decoder = try pipeline.context(handlerType: ByteToMessageHandler<HTTPRequestDecoder>.self)
            let encoder = try pipeline.context(handlerType: HTTPResponseEncoder.self)
            pipeline.removeHandler(context: decoder, promise: nil)
            pipeline.removeHandler(context: encoder, promise: nil)
            pipeline.removeHandler(context: context, promise: nil)
            try pipeline.addHandler(WebSocketFrameEncoder())
            try pipeline.addHandler(
                ByteToMessageHandler(WebSocketFrameDecoder(maxFrameSize: server.webSocketLimits.messageBytesMax)))
            try pipeline.addHandler(stream)
            channel.read()
        } catch {
            channel.close(promise: nil)
        }
    }

    // MARK: Answers

    private func answer(_ response: PlainResponse, _ exchange: HTTP1Exchange) {
        eventLoop.assertInEventLoop()
        guard exchange.connection === self, !exchange.answerHasBegun else { return }
        writeHead(status: response.status, fields: response.fields, length: response.body.readableBytes, of: exchange)
        if exchange.head.method != .HEAD { writeBody(response.body, of: exchange) }
        writeEnd(of: exchange)
    }

    func writeHead(
        status: Int, fields: [(name: String, value: String)], length: Int?, of exchange: HTTP1Exchange
    ) {
        guard let context else { return }
        exchange.answerHasBegun = true
        var fields = fields + exchange.commonFields
        if !exchange.keepsAlive {
            fields.append(("connection", "close"))
        } else if !exchange.takesChunks {
            fields.append(("connection", "keep-alive"))
        }
        writeHead(status: status, fields: fields, length: length, version: exchange.head.version, context)
    }

    private func writeHead(
        status: Int, fields: [(name: String, value: String)], length: Int?, version: HTTPVersion,
        _ context: ChannelHandlerContext
    ) {
        var headers = HTTPHeaders(fields.map { ($0.name, $0.value) })
        if let length { headers.replaceOrAdd(name: "content-length", value: String(length)) }
        let head = HTTPResponseHead(
            version: version, status: HTTPResponseStatus(statusCode: status), headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
    }

    func writeBody(_ bytes: ByteBuffer, of exchange: HTTP1Exchange) {
        guard let context, exchange.connection === self, bytes.readableBytes > 0 else { return }
        context.write(wrapOutboundOut(.body(.byteBuffer(bytes))), promise: nil)
        scheduleFlush()
    }

    func writeEnd(of exchange: HTTP1Exchange) {
        guard let context, exchange.connection === self else { return }
        exchange.answerHasEnded = true
        exchange.request.cancellation.forget()
        lastWrite = context.writeAndFlush(wrapOutboundOut(.end(nil)))
        if !exchange.requestHasEnded {
            // The client may not look for its answer before it has sent all of its body.
            exchange.body = .discarded(0)
            exchange.isBodyPaused = false
            exchange.keepsAlive = false
            timer.set(server.limits.bodyTimeout)
        }
        finishIfDone(exchange)
        goOn()
    }

    /// An answer was broken off.
    func abort() {
        context?.close(promise: nil)
    }

    private func finishIfDone(_ exchange: HTTP1Exchange) {
        guard exchange.requestHasEnded, exchange.answerHasEnded, exchange.connection === self else { return }
        release(exchange)
        exchange.connection = nil
        self.exchange = nil
        if !exchange.keepsAlive || isDraining { return closeAfterWriting() }
        armTimer()
    }

    /// What is written in one round of the event loop is flushed at its end.
    private func scheduleFlush() {
        guard !isFlushScheduled else { return }
        isFlushScheduled = true
        eventLoop.execute { [self] in
            isFlushScheduled = false
            context?.flush()
        }
    }

    var isWritable: Bool { context?.channel.isWritable ?? true }

    /// Bytes that wait for the client.
    private var pendingBytes: Int {
        guard let context, let options = context.channel.syncOptions else { return 0 }
        return (try? options.getOption(.bufferedWritableBytes)) ?? 0
    }

    // MARK: The end

    private func closeAfterWriting() {
        guard let context, !isClosing else { return }
        isClosing = true
        waiting.removeAll()
        if let exchange { abandon(exchange) }
        timer.set(server.limits.stallTimeout)
        stalledBytes = Int.max
        let channel = context.channel
        (lastWrite ?? eventLoop.makeSucceededVoidFuture()).whenComplete { _ in channel.close(promise: nil) }
    }

    /// Closes when the request that is worked on has been answered.
    func drain() {
        isDraining = true
        if let exchange { exchange.keepsAlive = false } else { closeAfterWriting() }
    }

    private func armTimer() {
        guard !isClosing else { return }
        guard let exchange else { return timer.set(server.limits.idleTimeout) }
        if case .gathered = exchange.body, !exchange.requestHasEnded {
            timer.set(server.limits.bodyTimeout)
        } else if case .discarded = exchange.body {
            timer.set(server.limits.bodyTimeout)
        } else {
            timer.cancel()
        }
    }

    private func timerExpired() {
        guard let context else { return }
        let pending = pendingBytes
        if pending > 0, pending < stalledBytes {
            // Slow, but it goes on.
            stalledBytes = pending
            return timer.set(server.limits.stallTimeout)
        }
        context.close(promise: nil)
    }
}
