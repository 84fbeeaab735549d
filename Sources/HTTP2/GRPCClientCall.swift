package import NIOCore

/// Takes what a streaming call receives, on the connection's event loop.
package protocol GRPCClientStreamHandler: AnyObject, Sendable {
    func onMessage(_ message: ByteBuffer)
    /// Called once, as the last.
    func onEnd(_ status: GRPCStatus)
}

/// A call that a client has made. `send`, `halfClose` and `cancel` may be called from any thread, and take effect in
/// order.
package final class GRPCClientCall: HTTP2Stream, @unchecked Sendable {  // as its superclass
    private let client: GRPCClientConnection
    private let handler: (any GRPCClientStreamHandler)?
    var completion: (@Sendable (Result<ByteBuffer, GRPCStatus>) -> Void)?
    private(set) var hasEnded = false
    private var inbound = ByteBuffer()
    private var expected = -1
    private var answer: ByteBuffer?
    private var httpStatus = 0
    private var isGRPC = false
    private var grpcStatus: GRPCCode?
    private var grpcMessage = ""
    private var details: [UInt8] = []
    private var hasHeaders = false
    private var headerListBytes = 0
    /// Fields of the answer, headers and trailers, that are not gRPC's own; for a handler or a completion to read.
    package private(set) var metadata: [(name: String, value: String)] = []

    init(client: GRPCClientConnection, completion: (@Sendable (Result<ByteBuffer, GRPCStatus>) -> Void)?) {
        self.client = client
        self.completion = completion
        handler = nil
        super.init(connection: client.http2)
    }

    init(client: GRPCClientConnection, handler: any GRPCClientStreamHandler) {
        self.client = client
        self.handler = handler
        super.init(connection: client.http2)
    }

    // MARK: For users

    /// Queues a message. What has not been sent is `pendingBytes`, on the event loop.
    package func send(_ message: ByteBuffer) {
        onLoop { call in
            guard !call.hasEnded, case .notYet = call.end else { return }
            call.outbound.appendMessage(message)
            guard call.isOpen else { return }
            call.connection?.pendingBytes += message.readableBytes + 5
            call.queueChanged()
        }
    }

    /// No more messages follow.
    package func halfClose() {
        onLoop { call in
            guard !call.hasEnded, case .notYet = call.end else { return }
            call.end = .now
            if call.isOpen { call.queueChanged() }
        }
    }

    /// Gives the call up; it ends with CANCELLED.
    package func cancel() {
        onLoop { $0.abandon(GRPCStatus(.cancelled, "context canceled")) }
    }

    private func onLoop(_ body: @escaping @Sendable (GRPCClientCall) -> Void) {
        if eventLoop.inEventLoop { body(self) } else { eventLoop.execute { body(self) } }
    }

    // MARK: Ends

    private func abandon(_ status: GRPCStatus) {
        guard !hasEnded else { return }
        connection?.reset(self, .cancel)
        complete(status)
    }

    func failBeforeStart(_ status: GRPCStatus) {
        complete(status)
        connection = nil
    }

    private func complete(_ status: GRPCStatus) {
        guard !hasEnded else { return }
        hasEnded = true
        clearDeadline()
        if let handler {
            handler.onEnd(status)
        } else if let completion {
            self.completion = nil
            if status.code != .ok {
                completion(.failure(status))
            } else if let answer {
                completion(.success(answer))
            } else {
                completion(.failure(GRPCStatus(.internalError, "the server ended the call without an answer")))
            }
        }
    }

    // MARK: Events

    override func receivedField(_ name: HTTP2Bytes, _ value: HTTP2Bytes, isTrailer: Bool) {
        let bytes = value.bytes
        if name.equals("grpc-status") {
            grpcStatus = UInt8(value.string).flatMap { GRPCCode(rawValue: $0) } ?? .unknown
        } else if name.equals("grpc-message") {
            if !bytes.isEmpty { grpcMessage = PercentEncoding.decode(bytes) }
        } else if name.equals(":status") {
            httpStatus = Int(value.string) ?? 0
        } else if name.equals("content-type") {
            isGRPC = value.string.hasPrefix("application/grpc")
        } else if name.equals("grpc-status-details-bin") {
            details = Base64.decode(bytes) ?? []
        } else {
            headerListBytes += name.bytes.count + bytes.count + 32
            if headerListBytes <= client.options.http2.headerListBytesMax {
                metadata.append((name.string, value.string))
            }
        }
    }

    override func receivedFields(isTrailer: Bool, isLast: Bool) {
        if httpStatus >= 200 { hasHeaders = true }  // 1xx are not the answer yet
        if hasHeaders, !isLast, httpStatus != 200 || !isGRPC {
            abandon(
                httpStatus == 200
                    ? GRPCStatus(.unknown, "the answer is not gRPC's") : GRPCStatus(httpStatus: httpStatus))
        }
    }

    override func receivedBytes(_ bytes: UnsafeRawBufferPointer) {
        consume(bytes.count)
        guard !hasEnded else { return }
        inbound.writeBytes(bytes)
        while true {
            if expected < 0, inbound.readableBytes >= 5 {
                let index = inbound.readerIndex
                let length = Int(inbound.getInteger(at: index + 1, as: UInt32.self) ?? 0)
                guard inbound.getInteger(at: index, as: UInt8.self) == 0 else {
                    abandon(GRPCStatus(.internalError, "the server compresses, which was not asked for"))
                    return
                }
                guard length <= client.options.messageBytesMax else {
                    abandon(
                        GRPCStatus(
                            .resourceExhausted,
                            "grpc: received message larger than max (\(length) vs. \(client.options.messageBytesMax))"))
                    return
                }
                expected = length + 5
            }
            guard expected >= 0, inbound.readableBytes >= expected else { break }
            inbound.moveReaderIndex(forwardBy: 5)
            let message = inbound.readSlice(length: expected - 5) ?? ByteBuffer()
            expected = -1
            if let handler {
                handler.onMessage(message)
                guard !hasEnded else { return }
            } else if answer == nil {
                answer = message
            } else {
                abandon(GRPCStatus(.internalError, "the server sent more than one answer to a unary call"))
                return
            }
        }
        if handler != nil, inbound.readableBytes == 0 { inbound.clear() }
        inbound.discardReadBytes()
    }

    override func receivedEnd() {
        peerHasEnded = true
        // The server's last word; it may not care for the rest of ours.
        if case .notYet = end { connection?.reset(self, .noError) }
        complete(status(orElse: GRPCStatus(.internalError, "server closed the stream without sending trailers")))
    }

    private func status(orElse other: GRPCStatus) -> GRPCStatus {
        if let grpcStatus { return GRPCStatus(grpcStatus, grpcMessage, details: details) }
        return httpStatus != 0 && httpStatus != 200 ? GRPCStatus(httpStatus: httpStatus) : other
    }

    override func deadlineReached() {
        abandon(GRPCStatus(.deadlineExceeded, "context deadline exceeded"))
    }

    override func closed(_ code: HTTP2ErrorCode) {
        complete(
            connection?.codec == nil
                ? GRPCStatus(.unavailable, client.lossReason) : status(orElse: GRPCStatus(resetBy: code)))
    }
}
