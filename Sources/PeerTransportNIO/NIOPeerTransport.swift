internal import NIOCore
internal import NIOPosix
package import PeerTransport
internal import Platform
package import RaftCore
internal import SocketSupport
internal import Synchronization

/// Messages between members over TCP: `Documentation/formats/peer-protocol.md`.
///
/// Each member dials one connection to every other for the messages it sends, and accepts one from each for those it
/// gets; a snapshot travels on a connection of its own. Both ends check who the other is before anything else is said.
///
/// A transport is started once, must be stopped, and must not be stopped on its own threads (event loops, or from
/// within the receiver, a source, a sink or a completion).
package final class NIOPeerTransport: PeerTransport {
    private struct Running: Sendable {
        var context: TransportContext
        var group: any EventLoopGroup
        var ownGroup: MultiThreadedEventLoopGroup?
        var listeners: [any Channel]
        /// In order of node ids.
        var links: [PeerLink]
        var random: RandomSource
    }

    private enum Phase: Sendable {
        case new([PeerAddress])
        case starting([PeerAddress])
        case running(Running)
        case stopped(TransportStatistics)
    }

    private let options: NIOPeerTransportOptions
    private let eventLoops: TransportEventLoops
    private let phase = Mutex(Phase.new([]))

    package init(_ options: NIOPeerTransportOptions, eventLoops: TransportEventLoops) {
        self.options = options
        self.eventLoops = eventLoops
    }

    // MARK: Life

    /// Listens, and begins to dial the peers that were set. The receiver is called from now on, and let go by
    /// ``stop()``.
    package func start(receiver: any PeerReceiver) throws(PeerTransportError) {
        let initialPeers = phase.withLock { phase -> [PeerAddress]? in
            guard case .new(let peers) = phase else { return nil }
            phase = .starting(peers)
            return peers
        }
        guard let initialPeers else { throw .alreadyStarted }
        let context = TransportContext(options: options, receiver: receiver)
        // Who dials as soon as the port is open is known already.
        context.setPeers(initialPeers)
        let group: any EventLoopGroup
        var ownGroup: MultiThreadedEventLoopGroup?
        switch eventLoops {
        case .shared(let shared): group = shared
        case .own(let threads):
            let own = MultiThreadedEventLoopGroup(numberOfThreads: max(1, threads))
            group = own
            ownGroup = own
        }
        var listeners: [any Channel] = []
        do throws(PeerTransportError) {
            for socket in options.listeningSockets {
                listeners.append(try listen(with: socket, group: group, context: context))
            }
            for address in options.listenAddresses where options.listeningSockets.isEmpty {
                listeners.append(try listen(on: address, group: group, context: context))
            }
        } catch {
            end(context, listeners: listeners, links: [], ownGroup: ownGroup)
            phase.withLock { $0 = .stopped(TransportStatistics()) }
            throw error
        }
        let running = Running(
            context: context, group: group, ownGroup: ownGroup, listeners: listeners, links: [],
            random: RandomSource(seed: options.seed))
        let peers = phase.withLock { phase -> [PeerAddress] in
            defer { phase = .running(running) }
            if case .starting(let peers) = phase { return peers }
            return initialPeers
        }
        setPeers(peers)
    }

    private func listen(
        on address: String, group: any EventLoopGroup, context: TransportContext
    ) throws(PeerTransportError) -> any Channel {
        guard let endpoint = Endpoint(address) else { throw .invalidAddress(address) }
        do {
            return try bootstrap(group, context).bind(host: endpoint.host, port: endpoint.port).wait()
        } catch let error as IOError where error.errnoCode == EADDRINUSE {
            throw .addressInUse(address)
        } catch {
            throw .cannotListen(address, reason: SocketFailure.text(error))
        }
    }

    private func listen(
        with socket: Int32, group: any EventLoopGroup, context: TransportContext
    ) throws(PeerTransportError) -> any Channel {
        do {
            return try bootstrap(group, context).withBoundSocket(socket).wait()
        } catch {
            throw .cannotListen("a socket that is open already", reason: SocketFailure.text(error))
        }
    }

    private func bootstrap(_ group: any EventLoopGroup, _ context: TransportContext) -> ServerBootstrap {
        let limits = options.limits
        return ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: limits.listenBacklog)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(minimum: 2_048, initial: 16_384, maximum: limits.readBytes)
            )
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try AcceptedConnection(eventLoop: channel.eventLoop, context: context).attach(to: channel)
                }
            }
    }

    /// The ports that are listened on, in the order of the addresses.
    package var boundPorts: [Int] {
        phase.withLock { phase in
            guard case .running(let running) = phase else { return [] }
            return running.listeners.map { $0.localAddress?.port ?? 0 }
        }
    }

    package func stop() {
        let running = phase.withLock { phase -> Running? in
            guard case .running(let running) = phase else {
                if case .new = phase { phase = .stopped(TransportStatistics()) }
                return nil
            }
            phase = .stopped(running.context.statistics)
            return running
        }
        guard let running else { return }
        end(running.context, listeners: running.listeners, links: running.links, ownGroup: running.ownGroup)
    }

    /// Closes everything and waits until it is closed.
    private func end(
        _ context: TransportContext, listeners: [any Channel], links: [PeerLink], ownGroup: MultiThreadedEventLoopGroup?
    ) {
        for listener in listeners { try? listener.close().wait() }
        let pending = context.stop() + links.map { $0.stop() }
        for future in pending { try? future.wait() }
        context.workers.shutDown()
        try? ownGroup?.syncShutdownGracefully()
    }

    // MARK: Peers

    /// Addresses of this member itself are passed over. Not to be called from two threads at once.
    package func setPeers(_ peers: [PeerAddress]) {
        var wanted: [PeerAddress] = []
        for peer in peers.sorted(by: { $0.node < $1.node })
        where peer.node != options.node && peer.node != wanted.last?.node { wanted.append(peer) }
        let context = phase.withLock { phase -> TransportContext? in
            switch phase {
            case .new: phase = .new(wanted)
            case .starting: phase = .starting(wanted)
            case .running(let running): return running.context
            case .stopped: break
            }
            return nil
        }
        guard let context else { return }
        // Outside the lock: it asks the caller's `isKnown`.
        context.setPeers(wanted)
        phase.withLock { phase in
            guard case .running(var running) = phase else { return }
            let before = running.links
            running.links = wanted.map { peer in
                let link =
                    before.first { $0.node == peer.node }
                    ?? PeerLink(
                        node: peer.node, eventLoop: running.group.next(), context: context,
                        random: running.random.fork())
                link.setEndpoints(peer.endpoints)
                return link
            }
            for link in before where !wanted.contains(where: { $0.node == link.node }) { context.leave(link) }
            phase = .running(running)
        }
    }

    // MARK: Sending

    package func send(_ messages: [Message]) {
        let links = phase.withLock { phase in
            guard case .running(let running) = phase else { return [PeerLink]() }
            return running.links
        }
        for link in links { link.enqueue(messages) }
    }

    /// The completion is called on a thread of the transport's, or, when the stream cannot even begin, at once.
    package func sendSnapshot(
        _ description: Message, from source: any SnapshotSource, completion: @escaping @Sendable (Bool) -> Void
    ) {
        let running = phase.withLock { phase -> (TransportContext, any EventLoop)? in
            guard case .running(let running) = phase else { return nil }
            return (running.context, running.group.next())
        }
        guard let (context, eventLoop) = running, case .installSnapshot = description.body else {
            return completion(false)
        }
        context.supersedeStreams(to: description.to)
        guard let peer = context.peer(description.to), let worker = context.workers.acquire(.outgoing) else {
            return completion(false)
        }
        let counters = context.counters(of: description.to)
        let stream = context.register {
            OutgoingSnapshot(
                description, endpoints: peer.endpoints.compactMap { Endpoint($0) }, source: source, worker: worker,
                eventLoop: eventLoop, context: context, counters: counters, completion: completion)
        }
        guard let stream else {
            // Stopped in between.
            context.workers.release(worker, .outgoing)
            return completion(false)
        }
        stream.start()
    }

    /// The figures up to now; those of a stopped transport are its last.
    package var statistics: TransportStatistics {
        phase.withLock { phase in
            switch phase {
            case .new, .starting: TransportStatistics()
            case .running(let running): running.context.statistics
            case .stopped(let last): last
            }
        }
    }
}
