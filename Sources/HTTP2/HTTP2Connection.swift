package import NIOCore
import SocketSupport

/// What a connection asks of whoever uses it. All on its event loop.
package protocol HTTP2ConnectionDelegate: AnyObject {
    /// A stream object for a stream that the peer opens (servers only); it may be used for others afterwards.
    func makeStream() -> HTTP2Stream
    /// The handler is in its pipeline, and the connection is up.
    func connectionOpened()
    /// The peer will take no new streams.
    func connectionGoesAway(_ code: HTTP2ErrorCode, _ reason: String)
    /// The connection has ended, and so have all of its streams.
    func connectionClosed(_ reason: String)
}

/// An HTTP/2 connection, as the one handler of its channel: received bytes go to the codec, streams are told what it
/// found, and everything that is to be sent is collected in one buffer and flushed once a batch.
///
/// A batch is what one round of reading brought, or what other threads' replies, run on the event loop, have queued
/// (see ``FlushCoordinator``).
package final class HTTP2Connection: ChannelDuplexHandler, @unchecked Sendable {  // used on its event loop only
    package typealias InboundIn = ByteBuffer
    package typealias OutboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    enum Phase {
        case notYetOpen
        case open
        /// GOAWAY has been sent or received; streams that are open may end.
        case draining
        /// The last bytes have been written, our half is closed, what the peer sends is dropped.
        case lingering
        case closed
    }

    let role: HTTP2Role
    let limits: HTTP2Limits
    package let eventLoop: any EventLoop
    /// Let go of when the connection has ended.
    @exclusivity(unchecked) private var delegate: (any HTTP2ConnectionDelegate)?
    @exclusivity(unchecked) private(set) var phase = Phase.notYetOpen
    @exclusivity(unchecked) private(set) var codec: NGHTTP2Codec?
    @exclusivity(unchecked) private(set) var coordinator: FlushCoordinator?
    @exclusivity(unchecked) private var context: ChannelHandlerContext?

    // Streams.
    @exclusivity(unchecked) private var streams: ContiguousArray<HTTP2Stream> = []
    /// Ended streams, oldest first: by the time that one is used again, whoever replied on it has let go of it.
    @exclusivity(unchecked) private var pool = CircularBuffer<HTTP2Stream>()
    @exclusivity(unchecked) var headersOf: UnsafeMutableRawPointer?
    @exclusivity(unchecked) var headersAreTrailers = false
    /// Bytes queued on all streams.
    @exclusivity(unchecked) var pendingBytes = 0
    /// Bytes of messages of which the end has not come.
    @exclusivity(unchecked) var heldBytes = 0
    /// Streams that we have ended, whose peer shall not go on: reset once our end has been sent.
    @exclusivity(unchecked) private var resetsAfterEnd: [Int32] = []
    @exclusivity(unchecked) private var drainedCallbacks: [() -> Void] = []

    // Output.
    @exclusivity(unchecked) var output = ByteBuffer()
    @exclusivity(unchecked) var outputIsFull = false
    @exclusivity(unchecked) private var isReading = false
    @exclusivity(unchecked) private var isDirty = false
    @exclusivity(unchecked) private var isFlushing = false
    /// The codec is on the stack: it must not be entered again or freed.
    @exclusivity(unchecked) private var isInCodec = false
    @exclusivity(unchecked) private var isReadHeld = false
    @exclusivity(unchecked) private var closesAfterFlush: String?
    @exclusivity(unchecked) var lastCodecError = ""
    /// Why the connection has ended.
    @exclusivity(unchecked) private(set) var closeReason: String?

    // Abuse.
    @exclusivity(unchecked) private var resets: TokenBucket
    @exclusivity(unchecked) private var settingsFrames: TokenBucket
    @exclusivity(unchecked) private var uselessFrames: TokenBucket
    @exclusivity(unchecked) private var lastPing: NIODeadline?
    @exclusivity(unchecked) private var pingStrikes = 0

    // Keep-alive and drain.
    @exclusivity(unchecked) private var lastHeard = NIODeadline.uptimeNanoseconds(0)
    @exclusivity(unchecked) private var timer: Scheduled<Void>?
    @exclusivity(unchecked) private var drainTimer: Scheduled<Void>?
    @exclusivity(unchecked) private var hasSentFinalGoAway = false
    @exclusivity(unchecked) private var lingerTimer: Scheduled<Void>?

    private static let keepAlivePayload: UInt64 = 0x6d61_7274_6c65_7401
    private static let drainPayload: UInt64 = 0x6d61_7274_6c65_7402

    init(role: HTTP2Role, limits: HTTP2Limits, eventLoop: any EventLoop, delegate: any HTTP2ConnectionDelegate) {
        self.role = role
        self.limits = limits
        self.eventLoop = eventLoop
        self.delegate = delegate
        resets = TokenBucket(capacity: limits.resetBudget, perSecond: limits.resetBudgetPerSecond)
        settingsFrames = TokenBucket(capacity: limits.settingsFramesMax, perSecond: 1)
        uselessFrames = TokenBucket(capacity: limits.uselessFramesMax, perSecond: 1000)
    }

    package var openStreams: Int { streams.count }
    package var remoteAddress: SocketAddress? { context?.channel.remoteAddress }
    /// Whether new streams can be opened (clients) or are taken (servers).
    package var isOpen: Bool { phase == .open }

    // MARK: Channel events

    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if context.channel.isActive { open(context) }
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        tearDown("the handler was removed")
        self.context = nil
    }

    package func channelActive(context: ChannelHandlerContext) {
        open(context)
        context.fireChannelActive()
    }

    private func open(_ context: ChannelHandlerContext) {
        guard phase == .notYetOpen else { return }
        coordinator = FlushCoordinator.on(eventLoop)
        output = context.channel.allocator.buffer(capacity: 2 << 10)
        do {
            codec = try NGHTTP2Codec(role: role, limits: limits, connection: self)
        } catch {
            tearDown("\(error)")
            context.close(promise: nil)
            return
        }
        phase = .open
        delegate?.connectionOpened()
        startKeepAlive()
        flush()
    }

    package func channelInactive(context: ChannelHandlerContext) {
        tearDown("the peer closed the connection")
        context.fireChannelInactive()
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        tearDown(SocketFailure.text(error))
        context.close(promise: nil)
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard let codec else { return }
        lastHeard = eventLoop.now
        isReading = true
        isInCodec = true
        let failure = unwrapInboundIn(data).withUnsafeReadableBytes { codec.receive($0) }
        isInCodec = false
        if let failure { closesAfterFlush = closesAfterFlush ?? failure }
    }

    package func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        flush()
        context.fireChannelReadComplete()
    }

    package func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable {
            flush()
            if isReadHeld {
                isReadHeld = false
                context.read()
            }
        }
        context.fireChannelWritabilityChanged()
    }

    /// A peer that does not read its answers is not read from: what it costs stays bounded. Only while the socket takes
    /// nothing, because what shuts a stream's window can only be opened by reading.
    package func read(context: ChannelHandlerContext) {
        if role == .server, !context.channel.isWritable, let codec,
            pendingBytes > limits.blockedPendingBytesMax || codec.queuedFrames > limits.blockedFramesMax
        {
            isReadHeld = true
        } else {
            context.read()
        }
    }

    // MARK: Output

    /// Something has been queued: it is sent at the end of the batch that is going on.
    @inline(__always)
    func needsFlush() {
        guard !isDirty else { return }
        isDirty = true
        if !isReading, !isFlushing { coordinator?.markDirty(self) }
    }

    func flushIfDirty() {
        if isDirty, !isReading { flush() }
    }

    private func flush() {
        guard !isFlushing, !isInCodec else { return }
        isFlushing = true
        var hasMore = true
        var rounds = 0
        while hasMore, rounds < limits.flushRoundsMax, let codec, let context {
            // While the socket is full, bytes stay with the streams, where they are counted.
            guard context.channel.isWritable else {
                hasMore = false
                break
            }
            rounds += 1
            isDirty = false
            outputIsFull = false
            output.clear()
            collectOutput(codec)
            let hasReset = resetEndedStreams(codec)
            if output.readableBytes > 0 {
                context.writeAndFlush(wrapOutboundOut(output), promise: nil)
                if output.capacity > limits.flushBytesMax * 2 { output = ByteBuffer() }
            }
            for callback in takeDrainedCallbacks() { callback() }
            hasMore = hasReset || outputIsFull || isDirty
        }
        isFlushing = false
        closeIfDone()
        isDirty = false
        // The rest has its turn behind the others'; or, when the socket is full, as soon as it is not.
        if hasMore, codec != nil { needsFlush() }
    }

    private func collectOutput(_ codec: NGHTTP2Codec) {
        isInCodec = true
        defer { isInCodec = false }
        while output.readableBytes < limits.flushBytesMax {
            switch codec.nextOutput() {
            case .bytes(let bytes): output.writeBytes(bytes)
            case .none: return
            case .failed(let reason):
                closesAfterFlush = closesAfterFlush ?? reason
                return
            }
        }
        outputIsFull = true
    }

    private func takeDrainedCallbacks() -> [() -> Void] {
        guard !drainedCallbacks.isEmpty else { return [] }
        defer { drainedCallbacks = [] }
        return drainedCallbacks
    }

    /// Once our end of the stream has been sent, it is reset without an error: the peer need not go on (RFC 9113
    /// section 8.1).
    func resetAfterEnd(_ stream: HTTP2Stream) { resetsAfterEnd.append(stream.id) }

    private func resetEndedStreams(_ codec: NGHTTP2Codec) -> Bool {
        guard !resetsAfterEnd.isEmpty else { return false }
        var any = false
        resetsAfterEnd.removeAll { id in
            guard let ended = codec.hasEnded(id) else { return true }
            if ended {
                codec.reset(id, .noError)
                any = true
            }
            return ended
        }
        return any
    }

    private func closeIfDone() {
        guard let codec, !isInCodec else { return }
        if let reason = closesAfterFlush {
            beginLinger(reason)
        } else if !codec.wantsRead, !codec.wantsWrite {
            beginLinger(lastCodecError.isEmpty ? "the connection was shut down" : lastCodecError)
        } else if phase == .draining, streams.isEmpty, hasSentFinalGoAway || role == .client, !codec.wantsWrite {
            beginLinger("the connection was shut down")
        }
    }

    // MARK: From the codec

    /// The stream's address for the codec.
    func codecOpenedStream(_ id: Int32) -> UnsafeMutableRawPointer? {
        guard let delegate else { return nil }
        let stream = takeFromPool() ?? delegate.makeStream()
        adopt(stream, id: id)
        return Unmanaged.passUnretained(stream).toOpaque()
    }

    private func takeFromPool() -> HTTP2Stream? {
        guard var stream = pool.popFirst() else { return nil }
        if isKnownUniquelyReferenced(&stream) { return stream }
        // Someone still holds it, and will find it closed for good.
        stream.connection = nil
        return nil
    }

    private func adopt(_ stream: HTTP2Stream, id: Int32) {
        stream.id = id
        stream.index = streams.count
        streams.append(stream)
        stream.opened()
    }

    func codecSends(_ length: Int, of stream: HTTP2Stream) {
        pendingBytes -= length
        stream.outbound.take(length, into: &output)
        pingStrikes = 0
        if let drained = stream.takeDrained() { drainedCallbacks.append(drained) }
    }

    func codecClosedStream(_ pointer: UnsafeMutableRawPointer, _ code: HTTP2ErrorCode) {
        let (index, work) = Unmanaged<HTTP2Stream>.fromOpaque(pointer)._withUnsafeGuaranteedRef {
            ($0.index, $0.hasCausedWork)
        }
        if role == .server {
            if code == .noError { resets.giveBack(1) } else { spendReset(work ? 4 : 1) }
        }
        release(index, code)
        if headersOf == pointer { headersOf = nil }
    }

    private func spendReset(_ units: Int) {
        if !resets.take(units, at: eventLoop.now) { refuseToGoOn(.enhanceYourCalm, "too_many_resets") }
    }

    private func release(_ index: Int, _ code: HTTP2ErrorCode) {
        let last = streams.count - 1
        if index != last {
            streams.swapAt(index, last)
            streams[index].index = index
        }
        let stream = streams.removeLast()
        stream.index = -1
        pendingBytes -= stream.outbound.count
        stream.closed(code)
        stream.forget()
        stream.letGo()
        if role == .server, pool.count < limits.streamPoolMax {
            pool.append(stream)
        } else {
            stream.connection = nil
        }
    }

    func codecReceivedPing(_ payload: UInt64, isAnswer: Bool) {
        if isAnswer {
            if payload == Self.drainPayload { sendFinalGoAway() }
            return
        }
        guard role == .server else { return }
        let now = eventLoop.now
        defer { lastPing = now }
        guard let lastPing else { return }
        let minimum =
            streams.isEmpty ? limits.pingIntervalMinWithoutStreams ?? limits.pingIntervalMin : limits.pingIntervalMin
        if now - lastPing >= minimum {
            pingStrikes = max(0, pingStrikes - 1)
        } else {
            pingStrikes += 1
            if pingStrikes > limits.pingStrikesMax { refuseToGoOn(.enhanceYourCalm, "too_many_pings") }
        }
    }

    func codecReceivedSettings() {
        if !settingsFrames.take(1, at: eventLoop.now) { refuseToGoOn(.enhanceYourCalm, "too_many_settings") }
    }

    func codecReceivedUselessFrame() {
        if !uselessFrames.take(1, at: eventLoop.now) { refuseToGoOn(.enhanceYourCalm, "too_many_empty_frames") }
    }

    /// The codec answers a breach with a reset or GOAWAY; who makes us reset streams spends the same budget as who
    /// resets.
    func codecReceivedInvalidFrame() { spendReset(1) }

    func codecReceivedGoAway(_ code: HTTP2ErrorCode, _ text: String) {
        if phase == .open, role == .client {
            phase = .draining
            delegate?.connectionGoesAway(code, text)
        }
    }

    private func refuseToGoOn(_ code: HTTP2ErrorCode, _ reason: StaticString) {
        guard closesAfterFlush == nil else { return }
        codec?.submitGoAway(code, reason)
        closesAfterFlush = "\(reason)"
        needsFlush()
    }

    // MARK: For clients

    /// Opens a stream for `stream`, whose queue follows the fields. False when the connection cannot take it.
    func open(_ stream: HTTP2Stream, _ fields: (NGHTTP2Codec) -> Int32?) -> Bool {
        guard phase == .open, let codec, let id = fields(codec) else { return false }
        adopt(stream, id: id)
        needsFlush()
        return true
    }

    func reset(_ stream: HTTP2Stream, _ code: HTTP2ErrorCode) {
        guard stream.isOpen else { return }
        codec?.reset(stream.id, code)
        needsFlush()
    }

    // MARK: Keep-alive

    // The timers hold the connection, and are cancelled with it. A weak reference would make every counting of
    // references to the connection, of which there are several in each request, take the slow way.

    private func startKeepAlive() {
        lastHeard = eventLoop.now
        scheduleKeepAlive()
    }

    private func scheduleKeepAlive() {
        guard let interval = limits.keepAliveInterval else { return }
        timer = eventLoop.scheduleTask(deadline: lastHeard + interval) { self.keepAliveDue(interval) }
    }

    private func keepAliveDue(_ interval: TimeAmount) {
        guard let codec else { return }
        let now = eventLoop.now
        if role == .client, streams.isEmpty, !limits.keepAliveWithoutCalls { lastHeard = now }
        guard now - lastHeard >= interval else {
            scheduleKeepAlive()
            return
        }
        codec.submitPing(Self.keepAlivePayload)
        needsFlush()
        timer = eventLoop.scheduleTask(in: limits.keepAliveTimeout) {
            if self.lastHeard >= now {
                self.scheduleKeepAlive()
            } else {
                self.closeNow("the peer did not answer within the keep-alive timeout")
            }
        }
    }

    // MARK: The end

    /// Lets open streams end until the deadline, takes no new ones, then closes.
    package func drain(deadline: NIODeadline) {
        eventLoop.preconditionInEventLoop()
        guard phase == .open, let codec else { return }
        phase = .draining
        drainTimer = eventLoop.scheduleTask(deadline: deadline) {
            self.closeNow("the time to drain is over")
        }
        if role == .client {
            codec.submitGoAway(.noError)
        } else {
            // RFC 9113 section 6.8: the first GOAWAY names no last stream, because requests may be on their way; the
            // second follows when the peer has seen the first.
            codec.submitShutdownNotice()
            codec.submitPing(Self.drainPayload)
            eventLoop.scheduleTask(in: limits.drainNoticeTimeout) { self.sendFinalGoAway() }
        }
        needsFlush()
    }

    private func sendFinalGoAway() {
        guard phase == .draining, !hasSentFinalGoAway, let codec else { return }
        hasSentFinalGoAway = true
        codec.submitGoAway(.noError)
        needsFlush()
    }

    /// Closes without waiting for streams; they end with an error.
    package func closeNow(_ reason: String) {
        eventLoop.preconditionInEventLoop()
        guard phase != .closed, phase != .lingering else { return }
        closesAfterFlush = closesAfterFlush ?? reason
        if isInCodec || isFlushing {
            needsFlush()
            return
        }
        let context = context
        tearDown(reason)
        context?.close(promise: nil)
    }

    /// Our half is closed, and what arrives is dropped for a moment: closing at once would make the kernel answer what
    /// the peer has sent with RST, which destroys our last frames on their way.
    private func beginLinger(_ reason: String) {
        guard let context else { return }
        tearDown(reason)
        phase = .lingering
        let channel = context.channel
        let timer = eventLoop.scheduleTask(in: limits.lingerTimeout) { channel.close(promise: nil) }
        lingerTimer = timer
        let closed = eventLoop.makePromise(of: Void.self)
        closed.futureResult.whenFailure { _ in
            timer.cancel()
            channel.close(promise: nil)
        }
        context.close(mode: .output, promise: closed)
    }

    private func tearDown(_ reason: String) {
        if phase == .lingering {
            phase = .closed
            lingerTimer?.cancel()
            return
        }
        guard phase != .closed else { return }
        let wasOpen = phase != .notYetOpen
        phase = .closed
        closeReason = reason
        timer?.cancel()
        drainTimer?.cancel()
        // The codec may be on the stack when a write fails at once; it is freed with the last reference to it.
        codec = nil
        while let last = streams.indices.last { release(last, .cancel) }
        for stream in pool { stream.connection = nil }
        pool.removeAll()
        drainedCallbacks = []
        resetsAfterEnd = []
        output = ByteBuffer()
        if wasOpen { delegate?.connectionClosed(reason) }
        delegate = nil
    }
}
