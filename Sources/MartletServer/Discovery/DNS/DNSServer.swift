import Logging
import NIOCore
import NIOPosix
import SocketSupport
import Synchronization

/// The sockets of DNS, UDP and TCP, on a thread of their own: whatever comes here holds up nothing else.
final class DNSServer: Sendable {
    let responder: DNSResponder
    private let group: MultiThreadedEventLoopGroup
    private let limits: DiscoveryLimits
    private let channels: [any Channel]
    /// Where it listens; the port that the system chose, if it was to.
    let addresses: [HostAndPort]

    /// - Throws: a sentence that says what to do.
    init(
        _ listen: [HostAndPort], _ responder: DNSResponder, limits: DiscoveryLimits
    ) throws(ConfigurationError) {
        self.responder = responder
        self.limits = limits
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        var channels: [any Channel] = []
        var addresses: [HostAndPort] = []
        do {
            for place in listen {
                let streams = try Self.streams(place, responder, group, limits)
                channels.append(streams)
                var bound = place
                bound.port = streams.localAddress?.port ?? place.port
                channels.append(try Self.datagrams(bound, responder, group, limits))
                addresses.append(bound)
            }
        } catch {
            for channel in channels { try? channel.close().wait() }
            try? group.syncShutdownGracefully()
            throw ConfigurationError(
                "cannot listen on \(listen.map(\.text).joined(separator: ",")) for DNS: \(SocketFailure.text(error)); "
                    + "choose another --dns-listen, or stop what listens there")
        }
        self.channels = channels
        self.addresses = addresses
    }

    func stop() {
        for channel in channels { try? channel.close().wait() }
        try? group.syncShutdownGracefully()
    }

    private static func streams(
        _ place: HostAndPort, _ responder: DNSResponder, _ group: MultiThreadedEventLoopGroup, _ limits: DiscoveryLimits
    ) throws -> any Channel {
        let open = OpenStreams(countMax: limits.streamsMax)
        return try ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelOption(.backlog, value: 128)
            .childChannelOption(.writeBufferWaterMark, value: .init(low: 64 << 10, high: 256 << 10))
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(DNSStreamHandler(responder, open, limits))
                }
            }
            .bind(host: place.host, port: place.port).wait()
    }

    private static func datagrams(
        _ place: HostAndPort, _ responder: DNSResponder, _ group: MultiThreadedEventLoopGroup, _ limits: DiscoveryLimits
    ) throws -> any Channel {
        try DatagramBootstrap(group: group)
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 4_096))
            .channelOption(
                .writeBufferWaterMark,
                value: .init(low: limits.datagramQueueBytesMax / 2, high: limits.datagramQueueBytesMax)
            )
            // An answer leaves by the address that was asked, on hosts that have several.
            .channelOption(.receivePacketInfo, value: true)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(DNSDatagramHandler(responder, limits))
                }
            }
            .bind(host: place.host, port: place.port).wait()
    }
}

/// One datagram in, at most one out.
private final class DNSDatagramHandler: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    typealias OutboundOut = AddressedEnvelope<ByteBuffer>

    private let responder: DNSResponder
    private var rate: DNSRateLimit

    init(_ responder: DNSResponder, _ limits: DiscoveryLimits) {
        self.responder = responder
        rate = DNSRateLimit(limits: limits)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let envelope = unwrapInboundIn(data)
        let verdict = rate.judge(IPAddress(envelope.remoteAddress), at: context.eventLoop.now)
        guard verdict != .drop, context.channel.isWritable else {
            responder.counters.dropped.wrappingAdd(1, ordering: .relaxed)
            return
        }
        let answer = envelope.data.withUnsafeReadableBytes { question in
            verdict == .answer
                ? responder.respond(to: question, isStream: false) : responder.respondInShort(to: question)
        }
        guard let answer else { return }
        let metadata = envelope.metadata.map { metadata in
            AddressedEnvelope<ByteBuffer>.Metadata(
                ecnState: .transportNotCapable, packetInfo: metadata.packetInfo)
        }
        context.write(
            wrapOutboundOut(
                AddressedEnvelope(
                    remoteAddress: envelope.remoteAddress, data: ByteBuffer(bytes: answer), metadata: metadata)),
            promise: nil)
    }

    func channelReadComplete(context: ChannelHandlerContext) { context.flush() }

    /// A datagram that could not be sent is lost, as any may be; the socket goes on.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {}
}

/// How many streams there are. On the event loop of DNS.
private final class OpenStreams: @unchecked Sendable {  // used on its event loop only
    let countMax: Int
    var count = 0
    init(countMax: Int) { self.countMax = countMax }
}

/// Questions behind their lengths, one after the other (RFC 7766); answers likewise.
private final class DNSStreamHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let responder: DNSResponder
    private let open: OpenStreams
    private let limits: DiscoveryLimits
    private var received = ByteBuffer()
    private var idle: Scheduled<Void>?
    private var isCounted = false

    init(_ responder: DNSResponder, _ open: OpenStreams, _ limits: DiscoveryLimits) {
        self.responder = responder
        self.open = open
        self.limits = limits
    }

    func channelActive(context: ChannelHandlerContext) {
        guard open.count < open.countMax else { return context.close(promise: nil) }
        open.count += 1
        isCounted = true
        restartTimer(context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        if isCounted { open.count -= 1 }
        isCounted = false
        idle?.cancel()
    }

    /// A whole question is a sign of life; bytes that come one by one are not.
    private func restartTimer(_ context: ChannelHandlerContext) {
        idle?.cancel()
        let channel = context.channel
        idle = context.eventLoop.scheduleTask(in: limits.streamIdleTime) { channel.close(promise: nil) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var piece = unwrapInboundIn(data)
        received.writeBuffer(&piece)
        answer(context)
    }

    /// Nothing is answered, and so nothing more is read, while the client does not take what was.
    private func answer(_ context: ChannelHandlerContext) {
        while context.channel.isWritable,
            let length: UInt16 = received.getInteger(at: received.readerIndex)
        {
            guard (DNSQuery.headerBytes...limits.streamQuestionBytesMax).contains(Int(length)) else {
                return context.close(promise: nil)
            }
            guard received.readableBytes >= 2 + Int(length) else { break }
            received.moveReaderIndex(forwardBy: 2)
            guard let question = received.readSlice(length: Int(length)) else { break }
            guard let answer = question.withUnsafeReadableBytes({ responder.respond(to: $0, isStream: true) }) else {
                return context.close(promise: nil)
            }
            restartTimer(context)
            var frame = ByteBuffer()
            frame.writeInteger(UInt16(answer.count))
            frame.writeBytes(answer)
            context.write(wrapOutboundOut(frame), promise: nil)
        }
        received.discardReadBytes()
        context.flush()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        context.channel.setOption(.autoRead, value: context.channel.isWritable).whenComplete { _ in }
        if context.channel.isWritable { answer(context) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
