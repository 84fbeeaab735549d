internal import CNghttp2
package import NIOCore
internal import NIOPosix

/// A gRPC client's connection to one server, over clear-text HTTP/2. Calls may be made from any thread; completions and
/// handlers are called on `eventLoop`. When the connection ends, so do all calls, with UNAVAILABLE; a new connection is
/// its user's to make.
package final class GRPCClientConnection: @unchecked Sendable {  // state is its event loop's
    package struct Options: Sendable {
        package var http2 = HTTP2Limits()
        package var connectTimeout: TimeAmount = .seconds(5)
        /// The largest message that is taken.
        package var messageBytesMax = 256 << 20
        package var userAgent = "grpc-swift-martlet/1"
        /// What `:authority` says, when it is not host and port.
        package var authority: String?
        /// Messages that an `AsyncSequence` holds for its reader before the server is held back, by size.
        package var unreadBytesMax = 1 << 20

        package init() { http2.keepAliveInterval = nil }
    }

    package let eventLoop: any EventLoop
    package let options: Options
    let http2: HTTP2Connection
    private let channel: any Channel
    private let authority: [UInt8]
    private let userAgent: [UInt8]
    private var scratch: [UInt8] = []
    private var fields: UnsafeMutableBufferPointer<nghttp2_nv> = .allocate(capacity: 32)
    private var goingAway: String?
    private let closing: EventLoopPromise<String>
    private let link = Link()

    private init(channel: any Channel, authority: String, options: Options) {
        eventLoop = channel.eventLoop
        self.channel = channel
        self.options = options
        self.authority = Array(authority.utf8)
        userAgent = Array(options.userAgent.utf8)
        closing = channel.eventLoop.makePromise()
        http2 = HTTP2Connection(role: .client, limits: options.http2, eventLoop: channel.eventLoop, delegate: link)
    }

    deinit { fields.deallocate() }

    /// The connection keeps its delegate until it ends, so that calls in progress keep their client.
    private final class Link: HTTP2ConnectionDelegate {
        var client: GRPCClientConnection?
        func makeStream() -> HTTP2Stream { preconditionFailure("a server opens no streams: push is off") }
        func connectionOpened() {}
        func connectionGoesAway(_ code: HTTP2ErrorCode, _ reason: String) {
            client?.connectionGoesAway(code, reason)
        }
        func connectionClosed(_ reason: String) {
            client?.connectionClosed(reason)
            client = nil
        }
    }

    package static func connect(
        host: String, port: Int, on group: any EventLoopGroup, options: Options = Options()
    ) -> EventLoopFuture<GRPCClientConnection> {
        let authority = options.authority ?? (host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)")
        return ClientBootstrap(group: group)
            .connectTimeout(options.connectTimeout)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(
                .recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 1024, initial: 4096, maximum: 64 << 10)
            )
            .channelOption(
                .writeBufferWaterMark,
                value: .init(low: options.http2.socketQueueBytesMax / 2, high: options.http2.socketQueueBytesMax)
            )
            // A server speaks first: what it sends must wait until there is somebody to take it.
            .channelOption(.autoRead, value: false)
            .connect(host: host, port: port)
            .flatMap { channel in
                attach(to: channel, authority: authority, options: options).flatMap { client in
                    channel.setOption(.autoRead, value: true).map { client }
                }
            }
    }

    /// On a channel that is connected (and has its TLS handler, if it is to have one), and from which nothing has been
    /// read yet: with `autoRead` off until this has succeeded.
    package static func attach(
        to channel: any Channel, authority: String, options: Options = Options()
    ) -> EventLoopFuture<GRPCClientConnection> {
        channel.eventLoop.submit {
            let client = GRPCClientConnection(channel: channel, authority: authority, options: options)
            do {
                try channel.pipeline.syncOperations.addHandler(client.http2)
            } catch {
                client.closing.fail(error)
                throw error
            }
            client.link.client = client
            guard client.http2.isOpen else {
                client.connectionClosed("the connection was closed")
                client.link.client = nil
                throw HTTP2Error.connectionClosed
            }
            return client
        }
    }

    /// Completes when the connection has ended, with the reason.
    package var closed: EventLoopFuture<String> { closing.futureResult }

    /// Whether new calls can be made; on the event loop.
    package var isOpen: Bool { http2.isOpen }

    /// Fails all calls and closes.
    package func close() {
        onLoop { $0.http2.closeNow("closed by the client") }
    }

    /// Lets the calls that are open end until the deadline, then closes.
    package func drain(deadline: NIODeadline) {
        onLoop { $0.http2.drain(deadline: deadline) }
    }

    // MARK: Calls

    /// A call of one message and one answer. `completion` is called once, on the event loop.
    /// - Returns: the call, to be cancelled.
    @discardableResult
    package func unary(
        _ path: String, _ message: ByteBuffer, timeout: TimeAmount? = nil, metadata: [(String, String)] = [],
        completion: @escaping @Sendable (Result<ByteBuffer, GRPCStatus>) -> Void
    ) -> GRPCClientCall {
        let call = GRPCClientCall(client: self, completion: completion)
        call.outbound.appendMessage(message)
        call.end = .now
        onLoop { $0.start(call, path, timeout, metadata) }
        return call
    }

    package func unary(
        _ path: String, _ message: ByteBuffer, timeout: TimeAmount? = nil, metadata: [(String, String)] = []
    ) async throws(GRPCStatus) -> ByteBuffer {
        let call = GRPCClientCall(client: self, completion: nil)
        call.outbound.appendMessage(message)
        call.end = .now
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation {
                (continuation: CheckedContinuation<Result<ByteBuffer, GRPCStatus>, Never>) in
                onLoop {
                    // A task that was cancelled before cancels the call first, when nobody waits for its end yet.
                    guard !call.hasEnded else {
                        return continuation.resume(returning: .failure(GRPCStatus(.cancelled, "context canceled")))
                    }
                    call.completion = { continuation.resume(returning: $0) }
                    $0.start(call, path, timeout, metadata)
                }
            }
        } onCancel: {
            call.cancel()
        }
        return try result.get()
    }

    /// A call whose messages come and go one by one. The handler is kept until the call ends.
    package func stream(
        _ path: String, timeout: TimeAmount? = nil, metadata: [(String, String)] = [],
        handler: any GRPCClientStreamHandler
    ) -> GRPCClientCall {
        let call = GRPCClientCall(client: self, handler: handler)
        onLoop { $0.start(call, path, timeout, metadata) }
        return call
    }

    /// The same, with the received messages as an `AsyncSequence`, which holds the server back when it is not read.
    package func stream(
        _ path: String, timeout: TimeAmount? = nil, metadata: [(String, String)] = []
    ) -> (call: GRPCClientCall, messages: GRPCMessages) {
        let messages = GRPCMessages(bytesMax: options.unreadBytesMax)
        let call = GRPCClientCall(client: self, handler: messages.reader)
        messages.reader.attach(call)
        onLoop { $0.start(call, path, timeout, metadata) }
        return (call, messages)
    }

    private func onLoop(_ body: @escaping @Sendable (GRPCClientConnection) -> Void) {
        if eventLoop.inEventLoop { body(self) } else { eventLoop.execute { body(self) } }
    }

    private func start(_ call: GRPCClientCall, _ path: String, _ timeout: TimeAmount?, _ metadata: [(String, String)]) {
        guard !call.hasEnded else { return }
        guard http2.isOpen else {
            call.failBeforeStart(GRPCStatus(.unavailable, lossReason))
            return
        }
        guard http2.openStreams < Int(http2.limits.concurrentStreamsMax) else {
            call.failBeforeStart(GRPCStatus(.resourceExhausted, "too many calls on one connection"))
            return
        }
        if let timeout, timeout <= .zero {
            call.failBeforeStart(GRPCStatus(.deadlineExceeded, "context deadline exceeded"))
            return
        }
        http2.pendingBytes += call.outbound.count
        let opened = http2.open(call) { codec in
            withFields(path, timeout, metadata) { codec.submitRequest($0, body: call) }
        }
        guard opened else {
            http2.pendingBytes -= call.outbound.count
            call.failBeforeStart(GRPCStatus(.unavailable, "the connection takes no more calls"))
            return
        }
        if let timeout { call.setDeadline(eventLoop.now + min(timeout, .nanoseconds(GRPCTimeout.nanosecondsMax))) }
    }

    private func withFields(
        _ path: String, _ timeout: TimeAmount?, _ metadata: [(String, String)],
        _ body: (UnsafeMutableBufferPointer<nghttp2_nv>) -> Int32?
    ) -> Int32? {
        let count = 8 + metadata.count
        if fields.count < count {
            fields.deallocate()
            fields = .allocate(capacity: count)
        }
        scratch.removeAll(keepingCapacity: true)
        var lengths: [(name: Int, value: Int)] = []
        lengths.reserveCapacity(count)
        func add(_ name: some Collection<UInt8>, _ value: some Collection<UInt8>) {
            scratch.append(contentsOf: name)
            scratch.append(contentsOf: value)
            lengths.append((name.count, value.count))
        }
        add(":method".utf8, "POST".utf8)
        add(":scheme".utf8, "http".utf8)
        add(":path".utf8, path.utf8)
        add(":authority".utf8, authority)
        add("te".utf8, "trailers".utf8)
        add("content-type".utf8, "application/grpc".utf8)
        add("user-agent".utf8, userAgent)
        if let timeout { add("grpc-timeout".utf8, GRPCTimeout.format(nanoseconds: timeout.nanoseconds).utf8) }
        for (name, value) in metadata { add(name.utf8, value.utf8) }
        return scratch.withUnsafeMutableBufferPointer { bytes in
            var offset = 0
            for (index, length) in lengths.enumerated() {
                fields.initializeElement(
                    at: index,
                    to: nghttp2_nv(
                        name: bytes.baseAddress! + offset, value: bytes.baseAddress! + offset + length.name,
                        namelen: length.name, valuelen: length.value, flags: 0))
                offset += length.name + length.value
            }
            return body(UnsafeMutableBufferPointer(rebasing: fields[..<lengths.count]))
        }
    }

    // MARK: Events

    private func connectionGoesAway(_ code: HTTP2ErrorCode, _ reason: String) {
        goingAway = "the server closes the connection (code \(code.rawValue)\(reason.isEmpty ? "" : ", \(reason)"))"
    }

    private func connectionClosed(_ reason: String) {
        closing.succeed(reason)
    }

    var lossReason: String { goingAway ?? "connection lost: \(http2.closeReason ?? "")" }
}
