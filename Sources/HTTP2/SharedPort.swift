package import NIOCore
package import NIOPosix

/// What a connection turned out to speak.
package enum ConnectionProtocol: Sendable {
    case http1
    case http2
}

/// One listening port for HTTP/2 and HTTP/1.1. In clear text the first bytes of a connection decide; under TLS the
/// result of ALPN does, when there is one: whoever sets up the TLS handler calls ``configure(_:as:)`` with it, or
/// ``sniff(_:)`` when the client offered no protocol.
package struct SharedPort: Sendable {
    package let server: GRPCServer
    /// Sets up a channel's pipeline for HTTP/1.1, on the channel's event loop. The bytes that have been read are
    /// replayed when it is done. Without it, HTTP/1.1 connections are closed.
    package let configureHTTP1: (@Sendable (any Channel) -> EventLoopFuture<Void>)?

    package init(server: GRPCServer, configureHTTP1: (@Sendable (any Channel) -> EventLoopFuture<Void>)? = nil) {
        self.server = server
        self.configureHTTP1 = configureHTTP1
    }

    /// Listens. Connections are taken on the group's event loops.
    package func listen(host: String, port: Int, on group: any EventLoopGroup) -> EventLoopFuture<any Channel> {
        bootstrap(on: group).bind(host: host, port: port)
    }

    /// Takes over a socket that listens already, and closes it in the end.
    package func listen(socket: Int32, on group: any EventLoopGroup) -> EventLoopFuture<any Channel> {
        bootstrap(on: group).withBoundSocket(socket)
    }

    /// For other addresses or options than `listen` has.
    package func bootstrap(on group: any EventLoopGroup) -> ServerBootstrap {
        let limits = server.options.http2
        return ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            // A connection at rest keeps a small buffer, a busy one a large one.
            .childChannelOption(
                .recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 1024, initial: 4096, maximum: 64 << 10)
            )
            .childChannelOption(
                .writeBufferWaterMark,
                value: .init(low: limits.socketQueueBytesMax / 2, high: limits.socketQueueBytesMax)
            )
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try sniff(channel) }
            }
    }

    /// Lets the first bytes decide. On the channel's event loop.
    package func sniff(_ channel: any Channel) throws {
        try channel.pipeline.syncOperations.addHandler(ProtocolSniffer(port: self))
    }

    /// Sets the channel up for a protocol that is known. On the channel's event loop.
    package func configure(_ channel: any Channel, as kind: ConnectionProtocol) -> EventLoopFuture<Void> {
        switch kind {
        case .http2:
            return channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(server.makeConnection(on: channel.eventLoop))
            }
        case .http1:
            guard let configureHTTP1 else {
                return channel.eventLoop.makeFailedFuture(HTTP2Error.connectionClosed)
            }
            return configureHTTP1(channel)
        }
    }
}

/// Finds out from its first bytes what a connection speaks, puts the right handlers in place, and goes.
final class ProtocolSniffer: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// RFC 9113 section 3.4; what follows is the codec's to check.
    private static let preface = Array("PRI * HTTP/2.0\r\n".utf8)

    private let port: SharedPort
    private var buffered: ByteBuffer?
    private var timer: Scheduled<Void>?
    private var isDecided = false
    private var isReadHeld = false

    init(port: SharedPort) { self.port = port }

    func handlerAdded(context: ChannelHandlerContext) {
        let channel = context.channel
        timer = context.eventLoop.scheduleTask(in: port.server.options.http2.firstBytesTimeout) {
            channel.close(promise: nil)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) { timer?.cancel() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        if buffered == nil { buffered = bytes } else { buffered?.writeBuffer(&bytes) }
        guard !isDecided, let buffered else { return }
        let start = buffered.readableBytesView.prefix(Self.preface.count)
        if start.elementsEqual(Self.preface.prefix(start.count)) {
            if start.count == Self.preface.count { decide(context, .http2) }
            // "P" may yet become "POST".
        } else if let first = start.first, first >= UInt8(ascii: "A"), first <= UInt8(ascii: "Z") {
            decide(context, .http1)
        } else {
            isDecided = true
            context.close(promise: nil)
        }
    }

    private func decide(_ context: ChannelHandlerContext, _ kind: ConnectionProtocol) {
        isDecided = true
        timer?.cancel()
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let channel = context.channel
        port.configure(channel, as: kind).hop(to: context.eventLoop).whenComplete { result in
            let (sniffer, context) = bound.value
            switch result {
            case .success:
                guard let buffered = sniffer.buffered else { return }
                sniffer.buffered = nil
                context.fireChannelRead(sniffer.wrapInboundOut(buffered))
                context.fireChannelReadComplete()
                if sniffer.isReadHeld { context.read() }
                context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
            case .failure:
                context.close(promise: nil)
            }
        }
    }

    /// Once it is decided, nothing more is read before the new handlers are there to take it.
    func read(context: ChannelHandlerContext) {
        if isDecided, buffered != nil { isReadHeld = true } else { context.read() }
    }
}
