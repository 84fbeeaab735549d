internal import NIOCore
internal import PeerTransport
internal import RaftCore
internal import SocketSupport

/// The accepting end of a connection: checks who dials and hands on what comes. Confined to its event loop but for
/// ``close(_:)`` and ``done``.
final class AcceptedConnection: PeerConnectionOwner, @unchecked Sendable {
    private enum Mode {
        case handshake
        case messages
        case snapshot(IncomingSnapshot)
        case closed
    }

    private let eventLoop: any EventLoop
    private let context: TransportContext
    private let donePromise: EventLoopPromise<Void>
    private var connection: PeerConnection?
    private var mode = Mode.handshake
    private var peer: NodeID?
    private var counters: PeerCounters?
    /// What one read brought.
    private var batch: [Message] = []

    init(eventLoop: any EventLoop, context: TransportContext) {
        self.eventLoop = eventLoop
        self.context = context
        donePromise = eventLoop.makePromise()
    }

    /// Complete when the connection is closed and what it fed has ended.
    var done: EventLoopFuture<Void> { donePromise.futureResult }

    /// Takes the channel over, or throws, and the channel is closed.
    func attach(to channel: any Channel) throws {
        let options = context.options
        let connection = PeerConnection(
            role: .acceptor(
                options.configureHTTP.map { .init(configure: $0, bytesMax: options.limits.httpRequestBytes) }),
            owner: self, eventLoop: eventLoop, timings: options.timings, wire: options.wire)
        self.connection = connection
        guard context.register(self) else {
            connection.close(.stopped)
            throw CloseReason.refused(PeerRefusal(.busy, "too many connections"))
        }
        do {
            try options.configureChannel?(channel, .accepted)
            try channel.pipeline.syncOperations.addHandler(connection)
        } catch {
            connection.close(.socket(SocketFailure.text(error)))
            throw error
        }
    }

    func close(_ reason: CloseReason) {
        // Always later: the caller may hold a lock that the receiver wants too.
        eventLoop.execute { self.connection?.close(reason) }
    }

    // MARK: What comes

    func received(
        _ kind: PeerFrame.Kind, body: UnsafeRawBufferPointer, on connection: PeerConnection
    ) throws(PeerWireError) {
        switch mode {
        case .handshake:
            guard case .hello(let hello) = try PeerFrame(body: body, limits: context.options.wire) else {
                throw .unexpectedFrame(kind.rawValue)
            }
            onHello(hello, on: connection)
        case .messages:
            guard kind == .messages else { throw .unexpectedFrame(kind.rawValue) }
            try onMessages(body)
        case .snapshot(let snapshot): try snapshot.received(kind, body: body)
        case .closed: break
        }
    }

    private func onHello(_ hello: PeerHello, on connection: PeerConnection) {
        let options = context.options
        let refusal: PeerRefusal
        if let version = hello.newestCommonVersion(with: options.versions) {
            if hello.cluster != options.cluster {
                refusal = PeerRefusal(.wrongCluster, "this is cluster \(hexadecimal(options.cluster))")
            } else if hello.to != options.node || hello.from == options.node {
                refusal = PeerRefusal(.wrongMember, "this is member \(hexadecimal(options.node.rawValue))")
            } else if !context.isKnown(hello.from), options.isRemoved?(hello.from) == true {
                refusal = PeerRefusal(
                    .removedMember, "member \(hexadecimal(hello.from.rawValue)) was removed from the cluster")
            } else if !context.isKnown(hello.from) {
                refusal = PeerRefusal(.unknownMember, "member \(hexadecimal(hello.from.rawValue)) is not known here")
            } else if let purpose = ConnectionPurpose(rawValue: hello.purpose) {
                switch context.recognise(hello.from, hello.directory) {
                case .known: return accept(hello, purpose: purpose, version: version, on: connection)
                case .another:
                    refusal = PeerRefusal(
                        .anotherDirectory,
                        "member \(hexadecimal(hello.from.rawValue)) is known here with another data directory")
                case .unknown(let reason): refusal = PeerRefusal(.other, reason)
                }
            } else {
                refusal = PeerRefusal(.unknownPurpose, "purpose \(hello.purpose) is not known here")
            }
        } else {
            let own = options.versions
            refusal = PeerRefusal(
                .incompatibleVersion, "versions \(own.lowerBound) to \(own.upperBound) are spoken here")
        }
        refuse(refusal, node: hello.from, on: connection)
    }

    private func refuse(_ refusal: PeerRefusal, node: NodeID, on connection: PeerConnection) {
        context.refused(refusal, node: node, address: connection.remoteAddress)
        connection.refuse(refusal)
    }

    private func accept(
        _ hello: PeerHello, purpose: ConnectionPurpose, version: UInt8, on connection: PeerConnection
    ) {
        let options = context.options
        let features = hello.features.intersection(options.features)
        let counters = context.counters(of: hello.from)
        let frameLimit: Int
        switch purpose {
        case .messages:
            mode = .messages
            frameLimit = options.wire.frameBytes
        case .snapshot:
            guard let worker = context.workers.acquire(.incoming) else {
                return refuse(PeerRefusal(.busy, "too many snapshots at once"), node: hello.from, on: connection)
            }
            mode = .snapshot(
                IncomingSnapshot(
                    from: hello.from, isResumable: features.contains(.resumableSnapshots), connection: connection,
                    worker: worker, context: context, counters: counters))
            frameLimit = IncomingSnapshot.frameLimit(options.wire)
        }
        peer = hello.from
        self.counters = counters
        connection.accept(
            PeerWelcome(
                version: version, features: features, cluster: options.cluster, node: options.node,
                dialler: hello.from, directory: options.directory),
            frameLimit: frameLimit)
        context.identify(self, as: hello.from, purpose: purpose)
    }

    private func onMessages(_ body: UnsafeRawBufferPointer) throws(PeerWireError) {
        let before = batch.count
        do throws(PeerWireError) {
            try PeerFrame.decodeMessages(body: body, limits: context.options.wire, into: &batch)
            for position in before..<batch.count {
                guard batch[position].to == context.options.node else {
                    throw .misplacedMessage("a message for \(hexadecimal(batch[position].to.rawValue))")
                }
                // It would tell the core that a snapshot is here whose chunks never came.
                if case .installSnapshot = batch[position].body { throw .misplacedMessage("a snapshot") }
            }
        } catch {
            batch.removeSubrange(before...)
            throw error
        }
    }

    func readCompleted(_ connection: PeerConnection) {
        let bytes = connection.takeReceivedBytes()
        guard bytes > 0 || !batch.isEmpty else { return }
        let count = batch.count
        counters?.update {
            $0.receivedBytes += UInt64(bytes)
            $0.receivedMessages += UInt64(count)
        }
        guard count > 0 else { return }
        if count == 1 {
            let message = batch[0]
            batch.removeAll(keepingCapacity: true)
            return context.receiver.received(message)
        }
        let messages = batch
        batch = []
        batch.reserveCapacity(min(count, 64))
        context.receiver.received(messages)
    }

    func connectionClosed(_ connection: PeerConnection, reason: CloseReason) {
        if case .malformed(let error) = reason {
            context.malformed(error, node: peer, address: connection.remoteAddress)
        }
        let mode = mode
        self.mode = .closed
        if case .snapshot(let snapshot) = mode {
            snapshot.connectionClosed(reason) { self.finish() }
        } else {
            finish()
        }
    }

    private func finish() {
        connection = nil
        context.unregister(self)
        donePromise.succeed()
    }
}
