internal import NIOCore
internal import NIOPosix
internal import PeerTransport

/// One attempt to connect to one endpoint. Confined to its event loop.
final class Dial: @unchecked Sendable {
    private let eventLoop: any EventLoop
    private let completion: (Result<any Channel, any Error>) -> Void
    /// More than one where a name has several addresses.
    private var channels: [any Channel] = []
    private var isCancelled = false

    /// Calls `completion` on the event loop, exactly once, later than this returns.
    init(
        _ endpoint: Endpoint, eventLoop: any EventLoop, options: NIOPeerTransportOptions,
        completion: @escaping (Result<any Channel, any Error>) -> Void
    ) {
        self.eventLoop = eventLoop
        self.completion = completion
        let configure = options.configureChannel
        let bootstrap = ClientBootstrap(group: eventLoop)
            .connectTimeout(options.timings.connectTimeout)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(
                    minimum: 1_024, initial: 4_096, maximum: options.limits.readBytes)
            )
            .channelInitializer { channel in
                eventLoop.makeCompletedFuture {
                    guard !self.isCancelled else { throw CloseReason.stopped }
                    self.channels.append(channel)
                    try configure?(channel, .dialled(host: endpoint.host))
                }
            }
        // An address needs no resolver, and no thread of one.
        let channel: EventLoopFuture<any Channel>
        if let address = try? SocketAddress(ipAddress: endpoint.host, port: endpoint.port) {
            channel = bootstrap.connect(to: address)
        } else {
            channel = bootstrap.connect(host: endpoint.host, port: endpoint.port)
        }
        channel.hop(to: eventLoop).whenComplete { self.finish($0) }
    }

    /// The attempt fails soon.
    func cancel() {
        isCancelled = true
        for channel in channels { channel.close(promise: nil) }
    }

    private func finish(_ result: Result<any Channel, any Error>) {
        channels = []
        if isCancelled, case .success(let channel) = result {
            channel.close(promise: nil)
            completion(.failure(CloseReason.stopped))
        } else {
            completion(result)
        }
    }
}
