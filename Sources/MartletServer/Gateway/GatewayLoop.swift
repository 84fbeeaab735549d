import HTTP2
import NIOCore

/// One event loop's way to the server's methods: a connection that is made when it is first needed, and again when it
/// has broken, and what may be open on it. On its event loop only.
final class GatewayLoop: @unchecked Sendable {
    let eventLoop: any EventLoop
    private let limits: GatewayLimits
    private var server: GRPCServer?
    private var connection: GRPCClientConnection?
    private var waiting: [(Result<GRPCClientConnection, GRPCStatus>) -> Void] = []
    private var isConnecting = false
    private var calls = 0
    private var callBytes = 0
    private var streams = 0

    init(eventLoop: any EventLoop, limits: GatewayLimits) {
        self.eventLoop = eventLoop
        self.limits = limits
    }

    func start(_ server: GRPCServer) { self.server = server }

    // MARK: Calls

    /// A call of one message and one answer. The completion is called once.
    func call(
        _ path: String, _ message: ByteBuffer, timeout: TimeAmount?, metadata: [(String, String)],
        _ cancellation: RequestCancellation,
        _ completion: @escaping @Sendable (Result<ByteBuffer, GRPCStatus>) -> Void
    ) {
        let size = message.readableBytes
        guard calls < limits.callsMax, callBytes + size <= limits.callBytesMax else {
            return completion(.failure(GRPCStatus(.resourceExhausted, "etcdserver: too many requests")))
        }
        calls += 1
        callBytes += size
        withConnection { [self] result in
            let done: @Sendable (Result<ByteBuffer, GRPCStatus>) -> Void = { [self] answer in
                calls -= 1
                callBytes -= size
                completion(answer)
            }
            switch result {
            case .failure(let status): done(.failure(status))
            case .success(let connection):
                let call = connection.unary(path, message, timeout: timeout, metadata: metadata, completion: done)
                cancellation.onCancel { call.cancel() }
            }
        }
    }

    /// Room for one stream more; nil when there is none. Whoever gets it gives it back with ``endStream()``.
    func beginStream() -> Bool {
        guard streams < limits.streamsMax else { return false }
        streams += 1
        return true
    }

    func endStream() { streams -= 1 }

    // MARK: The connection

    func withConnection(_ body: @escaping (Result<GRPCClientConnection, GRPCStatus>) -> Void) {
        if let connection, connection.isOpen { return body(.success(connection)) }
        waiting.append(body)
        guard !isConnecting else { return }
        isConnecting = true
        guard let server else { return connected(.failure(GRPCStatus(.unavailable, "the server is starting"))) }
        server.connectInProcess(on: eventLoop, options: options).whenComplete { [self] result in
            switch result {
            case .success(let connection):
                self.connection = connection
                connected(.success(connection))
            case .failure(let error):
                connected(.failure(GRPCStatus(.unavailable, "the gateway cannot reach its own server: \(error)")))
            }
        }
    }

    /// For tests of what follows.
    func breakConnection() { connection?.close() }

    private func connected(_ result: Result<GRPCClientConnection, GRPCStatus>) {
        isConnecting = false
        let waiting = waiting
        self.waiting = []
        for body in waiting { body(result) }
    }

    private var options: GRPCClientConnection.Options {
        var options = GRPCClientConnection.Options()
        options.userAgent = "martlet-gateway"
        options.messageBytesMax = limits.answerBytesMax
        options.http2.keepAliveInterval = nil
        options.http2.concurrentStreamsMax = UInt32(limits.callsMax + limits.streamsMax)
        options.http2.streamWindowBytes = limits.streamWindowBytes
        // Streams whose readers are slow hold what they have got: all of them together leave room for the others.
        options.http2.connectionWindowBytes = Int32(limits.streamsMax) * limits.streamWindowBytes + 16 << 20
        return options
    }
}
