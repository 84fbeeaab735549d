package import NIOCore

/// One call that a client makes, on the server. Used on its connection's event loop only: `eventLoop`.
///
/// When a call has ended, its object takes another one, unless someone still holds it strongly; whoever does can ask
/// `isCancelled` and `path`, and what it sends goes nowhere. (A weak reference would not be noticed: hold none.)
package final class GRPCCall: HTTP2Stream, @unchecked Sendable {  // as its superclass
    enum Phase: UInt8 {
        /// Header fields arrive.
        case fields
        /// The service has it, or will when its message is complete.
        case open
        /// An HTTP request that is not gRPC's: its body is collected, then it is answered.
        case plain
        /// The status has been queued; what still comes from the client is dropped.
        case ended
    }

    private let server: GRPCServer
    private let counters: GRPCCounters
    private let messageBytesMax: Int
    private let headerListBytesMax: Int32
    /// Lives as long as its connection: only to be used in events that come from there.
    private unowned(unsafe) let session: GRPCServerSession
    @exclusivity(unchecked) private(set) var phase = Phase.fields
    /// Its place among the server's methods; one past the last for an unknown one.
    @exclusivity(unchecked) private var method = -1
    @exclusivity(unchecked) private var isStreaming = false
    @exclusivity(unchecked) private var hasSentHeaders = false
    @exclusivity(unchecked) private var isPost = false
    @exclusivity(unchecked) private var isGRPC = false
    @exclusivity(unchecked) private var isTimeoutMalformed = false
    @exclusivity(unchecked) private var encoding = RequestField.Encoding.identity
    @exclusivity(unchecked) private var timeoutNanoseconds: Int64 = -1
    @exclusivity(unchecked) private var headerListBytes: Int32 = 0
    @exclusivity(unchecked) private var rules = RequestRules()
    @exclusivity(unchecked) private var fields: ContiguousArray<(name: HTTP2Bytes, value: HTTP2Bytes)> = []
    /// Kept when the method is unknown.
    @exclusivity(unchecked) private var unknownPath: HTTP2Bytes?
    @exclusivity(unchecked) private var otherMethod: HTTP2Bytes?

    /// Received bytes of which no complete message has been made.
    @exclusivity(unchecked) private var inbound = ByteBuffer()
    /// The length of the message that arrives, with its prefix; -1 while that is not known.
    @exclusivity(unchecked) private var expected = -1
    @exclusivity(unchecked) private var held = 0
    @exclusivity(unchecked) private var discarded = 0
    @exclusivity(unchecked) private var receiver: (any GRPCStreamReceiver)?
    @exclusivity(unchecked) private var cancelHandler: (() -> Void)?
    /// Whether the call has ended without our doing: reset, deadline, lost connection.
    @exclusivity(unchecked) package private(set) var isCancelled = false
    /// When the client gives up, if it said so.
    @exclusivity(unchecked) package private(set) var timeLimit: NIODeadline?
    /// For the service, to whom it means what it likes; forgotten with the call.
    @exclusivity(unchecked) package var tag: UInt64 = 0
    /// For the server's observer: when the call began, where there is one.
    @exclusivity(unchecked) package private(set) var startedAt = NIODeadline.uptimeNanoseconds(0)

    init(session: GRPCServerSession, connection: HTTP2Connection) {
        self.session = session
        server = session.server
        counters = session.counters
        messageBytesMax = session.server.options.messageBytesMax
        headerListBytesMax = Int32(clamping: connection.limits.headerListBytesMax)
        super.init(connection: connection)
    }

    // MARK: The request

    package var path: String {
        let methods = server.methods
        if method >= 0, method < methods.all.count { return methods.all[method].path }
        return unknownPath?.string ?? ""
    }

    /// A metadata field of the request, or nil. Names are lower case. "-bin" fields are as they were sent: Base64.
    package func metadata(_ name: StaticString) -> String? {
        for field in fields where field.name.equals(name) { return field.value.string }
        return nil
    }

    /// Whether a metadata field, if it is there, is text: what is not is repaired where it is read.
    package func isText(_ name: StaticString) -> Bool {
        for field in fields where field.name.equals(name) { return field.value.isUTF8 }
        return true
    }

    /// All fields of the request that are not gRPC's own, in order.
    package var allMetadata: [(name: String, value: String)] {
        fields.map { ($0.name.string, $0.value.string) }
    }

    package var remoteAddress: SocketAddress? { connection?.remoteAddress }

    /// What flushes this call's connection: replies to many calls, from one task on their event loop, are best put
    /// between its `beginBatch` and `endBatch`.
    package var coordinator: FlushCoordinator? { connection?.coordinator }

    /// Is called once if the call ends without our doing, before there was a `reply` or `finish`.
    package func onCancel(_ body: @escaping () -> Void) {
        eventLoop.assertInEventLoop()
        if isCancelled { body() } else if phase != .ended, isOpen { cancelHandler = body }
    }

    // MARK: The answer

    /// The one answer to a unary call, which ends well.
    package func reply(_ message: ByteBuffer) {
        guard beginReply() else { return }
        outbound.appendMessage(message)
        completeReply(message.readableBytes)
    }

    /// The same, with the message written straight to where it is sent from.
    package func reply(writing body: (inout ByteBuffer) -> Void) {
        guard beginReply() else { return }
        completeReply(outbound.appendMessage(writing: body))
    }

    private func beginReply() -> Bool {
        eventLoop.assertInEventLoop()
        return isOpen && phase == .open && !hasSentHeaders
    }

    @inline(__always)
    private func completeReply(_ length: Int) {
        guard let connection else { return }
        connection.pendingBytes += length + 5
        counters.add(1, to: .messagesSent, method: method)
        counters.add(length, to: .bytesSent, method: method)
        end = .trailers(.grpcOK)
        hasSentHeaders = true
        connection.codec?.submitResponse(.grpcResponse, body: self)
        connection.needsFlush()
        if cancelHandler != nil { cancelHandler = nil }
        ended(.ok)
    }

    /// One message of many. What a slow client has not taken is `pendingBytes`: bounding that is the sender's part.
    package func send(_ message: ByteBuffer) {
        guard beginSend(), let connection else { return }
        outbound.appendMessage(message)
        sent(message.readableBytes, connection)
    }

    package func send(writing body: (inout ByteBuffer) -> Void) {
        guard beginSend(), let connection else { return }
        sent(outbound.appendMessage(writing: body), connection)
    }

    /// One message that is put together of parts. Large ones are not copied: they may wait on many streams at once.
    package func send(parts: [ByteBuffer]) {
        guard beginSend(), let connection else { return }
        sent(outbound.appendMessage(parts: parts), connection)
    }

    /// Response headers ahead of the first message.
    package func sendHeaders() {
        if beginSend() { connection?.needsFlush() }
    }

    private func beginSend() -> Bool {
        eventLoop.assertInEventLoop()
        guard isOpen, phase == .open else { return false }
        if !hasSentHeaders {
            hasSentHeaders = true
            connection?.codec?.submitResponse(.grpcResponse, body: self)
        }
        return true
    }

    private func sent(_ length: Int, _ connection: HTTP2Connection) {
        connection.pendingBytes += length + 5
        counters.add(1, to: .messagesSent, method: method)
        counters.add(length, to: .bytesSent, method: method)
        queueChanged()
    }

    /// Ends the call. Messages that are queued go first.
    package func finish(_ status: GRPCStatus) {
        eventLoop.assertInEventLoop()
        guard isOpen, phase == .open else { return }
        cancelHandler = nil
        finish(status, httpStatus: 200)
    }

    private func finish(_ status: GRPCStatus, httpStatus: Int, extra: [(name: String, value: [UInt8])] = []) {
        guard let connection else { return }
        if hasSentHeaders {
            end = .trailers(
                status.code == .ok && status.message.isEmpty && status.details.isEmpty
                    ? .grpcOK : HTTP2HeaderBlock(status.fields + extra))
            queueChanged()
        } else {
            let fields: [(name: String, value: [UInt8])] = [
                (":status", Array(String(httpStatus).utf8)), ("content-type", Array("application/grpc".utf8)),
            ]
            hasSentHeaders = true
            connection.codec?.submitResponseWithoutBody(
                HTTP2HeaderBlock(fields + status.fields + extra), stream: id)
            connection.needsFlush()
        }
        ended(status.code)
    }

    private func ended(_ code: GRPCCode) {
        phase = .ended
        clearDeadline()
        counters.handled(code, method: method)
        server.observer?.callEnded(self, code)
        guard !peerHasEnded else { return }
        releaseHeld()
        if isStreaming {
            connection?.resetAfterEnd(self)
        } else if let connection {
            // The client is in the middle of its request, and may not look for the answer before it has sent all of it.
            setDeadline(eventLoop.now + connection.limits.discardTimeout)
        }
    }

    private func notifyCancelled() {
        guard !isCancelled else { return }
        isCancelled = true
        let handler = cancelHandler
        cancelHandler = nil
        receiver?.onCancel()
        handler?()
    }

    // MARK: Events

    override func opened() {
        phase = .fields
        method = -1
        isCancelled = false
        timeLimit = nil
        tag = 0
    }

    override func receivedField(_ name: HTTP2Bytes, _ value: HTTP2Bytes, isTrailer: Bool) {
        let field = session.meaning(of: name, value)
        guard !isTrailer else { return rules.receiveTrailer(field.rule) }
        guard phase == .fields else { return }
        rules.receive(field.rule)
        headerListBytes &+= field.size
        guard headerListBytes <= headerListBytesMax else {
            // Counted on, kept no longer.
            headerListBytes = Int32.max / 2
            return
        }
        switch field.kind {
        case .ignored: break
        case .method:
            isPost = field.argument == 1
            if !isPost, otherMethod == nil {
                value.retain()
                otherMethod = value
            }
        case .path:
            method = Int(field.argument)
            if method < 0, unknownPath == nil {
                value.retain()
                unknownPath = value
            }
        case .contentType:
            isGRPC = field.argument == 1
            if !isGRPC { keep(name, value) }
        case .timeout:
            timeoutNanoseconds = field.argument
            isTimeoutMalformed = field.argument < 0
        case .encoding:
            encoding = RequestField.Encoding(rawValue: field.argument) ?? .unknown
            if encoding == .unknown { keep(name, value) }
        case .metadata: keep(name, value)
        }
    }

    private func keep(_ name: HTTP2Bytes, _ value: HTTP2Bytes) {
        name.retain()
        value.retain()
        fields.append((name, value))
    }

    override func receivedFields(isTrailer: Bool, isLast: Bool) {
        if isTrailer { rules.endTrailers(isLast: isLast) } else { rules.endHeaders() }
        guard !rules.isBroken else { return resetMalformed() }
        guard !isTrailer, phase == .fields, let connection else { return }
        phase = .open
        if server.observer != nil { startedAt = .now() }
        let methods = server.methods
        let isKnown = method >= 0
        if !isKnown { method = methods.all.count }
        if headerListBytes > headerListBytesMax {
            counters.add(1, to: .started, method: method)
            finish(GRPCStatus(.resourceExhausted, "header list is too large"), httpStatus: 431)
            return
        }
        if !isGRPC, server.plainHTTP != nil {
            phase = .plain
            if connection.pendingBytes > connection.limits.pendingBytesMax {
                HTTP2PlainRequest(self).respond(
                    status: 503, fields: [("content-type", "text/plain; charset=utf-8"), ("retry-after", "1")],
                    body: ByteBuffer(string: "too many answers on this connection wait to be read\n"))
            }
            return
        }
        counters.add(1, to: .started, method: method)
        server.observer?.callStarted(self)
        guard isGRPC else {
            let type = metadata("content-type") ?? ""
            finish(
                GRPCStatus(.invalidArgument, "invalid gRPC request content-type \"\(type)\""), httpStatus: 415)
            return
        }
        guard isPost else {
            let name = otherMethod?.string ?? ""
            finish(
                GRPCStatus(.internalError, "Received a HEADERS frame with :method \"\(name)\" which should be POST"),
                httpStatus: 405)
            return
        }
        guard !isTimeoutMalformed else {
            finish(GRPCStatus(.internalError, "malformed grpc-timeout"), httpStatus: 400)
            return
        }
        guard isKnown else {
            finish(methods.unknown(unknownPath?.string ?? ""), httpStatus: 200)
            return
        }
        guard encoding != .unknown else {
            finish(
                GRPCStatus(
                    .unimplemented,
                    "grpc: Decompressor is not installed for grpc-encoding \"\(metadata("grpc-encoding") ?? "")\""),
                httpStatus: 200, extra: [("grpc-accept-encoding", Array("identity,gzip".utf8))])
            return
        }
        guard connection.pendingBytes <= connection.limits.pendingBytesMax else {
            finish(
                GRPCStatus(.resourceExhausted, "too many answers on this connection wait to be read"),
                httpStatus: 200)
            return
        }
        if timeoutNanoseconds >= 0 {
            let limit = eventLoop.now + .nanoseconds(timeoutNanoseconds)
            timeLimit = limit
            guard timeoutNanoseconds > 0 else {
                deadlineReached()
                return
            }
            setDeadline(limit)
        }
        if case .streaming(let begin) = methods.all[method].handler {
            isStreaming = true
            let receiver = begin(self)
            // The service may have ended the call already.
            if phase == .open { self.receiver = receiver }
        }
    }

    override func receivedBytes(_ bytes: UnsafeRawBufferPointer) {
        consume(bytes.count)
        rules.receive(bytes: bytes.count)
        guard !rules.isBroken else { return resetMalformed() }
        guard phase != .ended, let connection else {
            discard(bytes.count)
            return
        }
        held += bytes.count
        connection.heldBytes += bytes.count
        inbound.writeBytes(bytes)
        guard connection.heldBytes <= connection.limits.heldRequestBytesMax else {
            fail(.resourceExhausted, "too many incomplete messages on this connection")
            return
        }
        guard phase == .open else {
            if inbound.readableBytes > server.options.plainBodyBytesMax {
                HTTP2PlainRequest(self).respond(status: 413, fields: [], body: ByteBuffer())
            }
            return
        }
        while checkPrefix(), isStreaming, expected >= 0, inbound.readableBytes >= expected {
            guard let message = takeMessage() else { return }
            releaseHeld(keeping: inbound.readableBytes)
            receiver?.onMessage(message)
            guard phase == .open, isOpen else { return }
        }
        if isStreaming, inbound.readableBytes == 0 { inbound.clear() }
    }

    /// Reads the prefix of the message that arrives, as soon as it is there. False when the call has been ended over
    /// it.
    private func checkPrefix() -> Bool {
        if expected < 0, inbound.readableBytes >= 5 {
            let index = inbound.readerIndex
            let flag = inbound.getInteger(at: index, as: UInt8.self) ?? 0
            let length = Int(inbound.getInteger(at: index + 1, as: UInt32.self) ?? 0)
            if flag > 1 { return fail(.internalError, "grpc: received unexpected payload format \(flag)") }
            if flag == 1, encoding == .identity {
                return fail(.internalError, "grpc: compressed flag set with identity or empty encoding")
            }
            if length > messageBytesMax {
                return fail(
                    .resourceExhausted,
                    "grpc: received message larger than max (\(length) vs. \(messageBytesMax))")
            }
            expected = length + 5
        }
        if !isStreaming, expected >= 0, inbound.readableBytes > expected {
            return fail(
                .internalError,
                "cardinality violation: received more than one message for a call that takes one")
        }
        return true
    }

    /// The complete message at the front of `inbound`; nil when the call has been ended because it cannot be read.
    private func takeMessage() -> ByteBuffer? {
        let length = expected - 5
        expected = -1
        guard let flag = inbound.readInteger(as: UInt8.self), inbound.readInteger(as: UInt32.self) != nil,
            let message = inbound.readSlice(length: length)
        else { return nil }
        counters.add(1, to: .messagesReceived, method: method)
        counters.add(length, to: .bytesReceived, method: method)
        guard flag == 1 else { return message }
        let limit = messageBytesMax
        do {
            return try message.withUnsafeReadableBytes { bytes throws(Inflater.Failure) in
                try Inflater.inflate(bytes, atMost: limit)
            }
        } catch Inflater.Failure.tooLarge {
            fail(.resourceExhausted, "grpc: received message after decompression larger than max \(limit)")
        } catch {
            fail(.internalError, "grpc: failed to decompress the received message: invalid gzip data")
        }
        return nil
    }

    @discardableResult
    private func fail(_ code: GRPCCode, _ message: String) -> Bool {
        guard phase == .open || phase == .plain else { return false }
        let receiver = receiver
        finish(GRPCStatus(code, message), httpStatus: 200)
        if receiver != nil { notifyCancelled() }
        return false
    }

    override func receivedEnd() {
        // Reset already, with its fields.
        guard !rules.isBroken else { return }
        rules.end()
        guard !rules.isBroken else { return resetMalformed() }
        peerHasEnded = true
        switch phase {
        case .fields: break
        case .ended: clearDeadline()
        case .plain:
            releaseHeld()
            // It may be answered for hours, and is not kept that long.
            let body = inbound
            inbound = ByteBuffer()
            server.plainHTTP?(HTTP2PlainRequest(self, body: body))
        case .open:
            guard !isStreaming else {
                if inbound.readableBytes > 0 {
                    fail(.internalError, "unexpected EOF")
                } else {
                    receiver?.onHalfClose()
                }
                return
            }
            guard inbound.readableBytes > 0 else {
                fail(.internalError, "cardinality violation: received no request message for a call that takes one")
                return
            }
            guard expected >= 0, inbound.readableBytes == expected else {
                fail(.internalError, "unexpected EOF")
                return
            }
            releaseHeld()
            guard let message = takeMessage(), case .unary(let handler) = server.methods.all[method].handler else {
                return
            }
            handler(self, message)
        }
    }

    /// RFC 9113 section 8.1.1: a malformed request is a stream error, whatever has been answered.
    private func resetMalformed() {
        releaseHeld()
        cancel()
        connection?.codecReceivedInvalidFrame()
        connection?.reset(self, .protocolError)
    }

    private func discard(_ count: Int) {
        guard let connection else { return }
        discarded += count
        if discarded > connection.limits.discardedBytesMax {
            discarded = Int.min / 2
            connection.resetAfterEnd(self)
            connection.needsFlush()
        }
    }

    private func releaseHeld(keeping bytes: Int = 0) {
        connection?.heldBytes -= held - bytes
        held = bytes
    }

    override func deadlineReached() {
        if phase == .ended {
            connection?.resetAfterEnd(self)
            connection?.needsFlush()
        } else if phase == .open {
            finish(GRPCStatus(.deadlineExceeded, "context deadline exceeded"), httpStatus: 200)
            notifyCancelled()
        }
    }

    override func closed(_ code: HTTP2ErrorCode) { cancel() }

    private func cancel() {
        let before = phase
        phase = .ended
        if before == .plain { notifyCancelled() }
        guard before == .open else { return }
        clearDeadline()
        counters.handled(.cancelled, method: method)
        server.observer?.callEnded(self, .cancelled)
        notifyCancelled()
    }

    override var hasCausedWork: Bool { isStreaming || peerHasEnded }

    override func letGo() {
        releaseHeld()
        phase = .ended
        isStreaming = false
        hasSentHeaders = false
        isPost = false
        isGRPC = false
        isTimeoutMalformed = false
        encoding = .identity
        timeoutNanoseconds = -1
        headerListBytes = 0
        rules = RequestRules()
        for field in fields {
            field.name.release()
            field.value.release()
        }
        fields.removeAll(keepingCapacity: fields.count <= 32)
        unknownPath?.release()
        unknownPath = nil
        otherMethod?.release()
        otherMethod = nil
        if inbound.capacity > server.options.http2.keptBufferBytesMax {
            inbound = ByteBuffer()
        } else {
            inbound.clear()
        }
        expected = -1
        discarded = 0
        if receiver != nil { receiver = nil }
        if cancelHandler != nil { cancelHandler = nil }
    }

    // MARK: Plain HTTP, for HTTP2PlainRequest

    var plainMethod: String { isPost ? "POST" : otherMethod?.string ?? "" }

    func onPlainCancel(_ body: @escaping () -> Void) {
        eventLoop.assertInEventLoop()
        if isCancelled { body() } else if phase == .plain, isOpen { cancelHandler = body }
    }

    func respond(_ block: HTTP2HeaderBlock, _ body: ByteBuffer) {
        eventLoop.assertInEventLoop()
        guard isOpen, phase == .plain, !hasSentHeaders, let connection else { return }
        phase = .ended
        cancelHandler = nil
        if body.readableBytes > 0 {
            outbound.append(body)
            connection.pendingBytes += body.readableBytes
            end = .now
            connection.codec?.submitResponse(block, body: self)
        } else {
            connection.codec?.submitResponseWithoutBody(block, stream: id)
        }
        connection.needsFlush()
        if !peerHasEnded { setDeadline(eventLoop.now + connection.limits.discardTimeout) }
    }

    func beginPlain(_ block: HTTP2HeaderBlock) {
        eventLoop.assertInEventLoop()
        guard isOpen, phase == .plain, !hasSentHeaders, let connection else { return }
        hasSentHeaders = true
        connection.codec?.submitResponse(block, body: self)
        connection.needsFlush()
    }

    func writePlain(_ bytes: ByteBuffer) {
        eventLoop.assertInEventLoop()
        guard isOpen, phase == .plain, hasSentHeaders, bytes.readableBytes > 0, let connection else { return }
        outbound.append(bytes)
        connection.pendingBytes += bytes.readableBytes
        queueChanged()
    }

    func endPlain() {
        eventLoop.assertInEventLoop()
        guard isOpen, phase == .plain, hasSentHeaders else { return }
        phase = .ended
        cancelHandler = nil
        end = .now
        queueChanged()
    }

    func abortPlain() {
        eventLoop.assertInEventLoop()
        guard isOpen, phase == .plain, let connection else { return }
        phase = .ended
        cancelHandler = nil
        connection.reset(self, .internalError)
        connection.needsFlush()
    }
}
