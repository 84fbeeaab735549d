internal import ByteCodec
internal import NIOCore
internal import NIOPosix
internal import PeerTransport
internal import RaftCore
internal import SocketSupport

/// A snapshot on its way out: a connection of its own, a thread that reads the source, and as many chunks under way as
/// the receiver allows. Confined to its event loop but for ``cancel(_:)`` and ``done``, and for the reader, which is
/// the worker's.
final class OutgoingSnapshot: PeerConnectionOwner, @unchecked Sendable {
    private enum Stage {
        case dialling(Dial)
        /// Up to the receiver's consent.
        case opening
        case streaming
        /// The last frame is sent; the receiver makes it durable.
        case ending
        case over
    }

    let target: NodeID
    private let description: Message
    private let eventLoop: any EventLoop
    private let context: TransportContext
    private let counters: PeerCounters
    private let worker: NIOThreadPool
    private let reader: SnapshotReader
    private let completion: @Sendable (Bool) -> Void
    private let donePromise: EventLoopPromise<Void>

    private var endpoints: ArraySlice<Endpoint>
    private var connection: PeerConnection?
    private var stage: Stage?
    private var window = 1
    private var chunkBytes = 1
    /// Read and not sent yet.
    private var waiting: [SnapshotReader.Chunk] = []
    private var isReading = false
    private var isSourceAtEnd = false
    private var totals = SnapshotTotals()
    private var sent: UInt64 = 0
    private var acknowledged: UInt64 = 0
    private var lastProgress = NIODeadline.now()
    /// With a rate limit: when the next chunk may go.
    private var nextChunkAt = NIODeadline.distantPast
    private var isPaused = false
    private var isSucceeded = false
    private var isWorkerReleased = false
    private var isDialling = false
    private var report: SnapshotReport?

    init(
        _ description: Message, endpoints: [Endpoint], source: any SnapshotSource, worker: NIOThreadPool,
        eventLoop: any EventLoop, context: TransportContext, counters: PeerCounters,
        completion: @escaping @Sendable (Bool) -> Void
    ) {
        self.description = description
        target = description.to
        self.endpoints = endpoints[...]
        self.worker = worker
        self.eventLoop = eventLoop
        self.context = context
        self.completion = completion
        self.counters = counters
        reader = SnapshotReader(source)
        donePromise = eventLoop.makePromise()
    }

    /// Complete when the completion was called and the connection is closed.
    var done: EventLoopFuture<Void> { donePromise.futureResult }

    func start() { eventLoop.execute { if self.stage == nil { self.dial("no endpoint is known") } } }

    func cancel(_ reason: CloseReason) { eventLoop.execute { self.end("\(reason)") } }

    // MARK: Connecting

    /// Each endpoint is tried once: whoever wants the snapshot sent begins anew.
    private func dial(_ lastFailure: String) {
        guard let endpoint = endpoints.popFirst() else { return end(lastFailure) }
        isDialling = true
        stage = .dialling(
            Dial(endpoint, eventLoop: eventLoop, options: context.options) { self.dialled(endpoint, $0) })
    }

    private func dialled(_ endpoint: Endpoint, _ result: Result<any Channel, any Error>) {
        isDialling = false
        guard case .dialling = stage else {
            if case .success(let channel) = result { channel.close(promise: nil) }
            return finishIfDone()
        }
        switch result {
        case .failure(let error): dial("cannot connect to \(endpoint): \(SocketFailure.text(error))")
        case .success(let channel):
            let options = context.options
            let connection = PeerConnection(
                role: .dialler(
                    PeerHello(
                        versions: options.versions, purpose: .snapshot, features: options.features,
                        cluster: options.cluster, from: options.node, to: target, directory: options.directory)),
                owner: self, eventLoop: eventLoop, timings: options.timings, wire: options.wire)
            stage = .opening
            lastProgress = .now()
            self.connection = connection
            do {
                try channel.pipeline.syncOperations.addHandler(connection)
                if !channel.isActive { connection.close(.closedByPeer) }
            } catch {
                channel.close(promise: nil)
                connection.close(.socket(SocketFailure.text(error)))
            }
        }
    }

    func connectionUp(_ connection: PeerConnection, welcome: PeerWelcome) {
        if let objection = context.objection(to: welcome) { return connection.close(objection) }
        connection.write(.snapshotBegin(description))
    }

    func received(
        _ kind: PeerFrame.Kind, body: UnsafeRawBufferPointer, on connection: PeerConnection
    ) throws(PeerWireError) {
        switch (stage, try PeerFrame(body: body)) {
        case (.opening, .snapshotReady(let window, let chunkBytes)):
            guard window > 0, chunkBytes > 0 else { throw .malformed(.invalid("a window of nothing")) }
            self.window = min(Int(window), context.options.limits.snapshotWindow)
            self.chunkBytes = min(Int(chunkBytes), context.options.wire.chunkBytes)
            stage = .streaming
            lastProgress = .now()
            // Not before the receiver has agreed: attempts are many when a member is away.
            report = SnapshotReport(description, peer: target)
            report?.log("sending a snapshot", to: context)
            pump()
        case (.streaming, .snapshotAcknowledged(let count)), (.ending, .snapshotAcknowledged(let count)):
            guard count > acknowledged, count <= sent else { throw .unexpectedFrame(kind.rawValue) }
            acknowledged = count
            lastProgress = .now()
            pump()
        case (.ending, .snapshotStored):
            guard acknowledged == sent else { throw .unexpectedFrame(kind.rawValue) }
            isSucceeded = true
            end("")
        case (.over, _): break
        default: throw .unexpectedFrame(kind.rawValue)
        }
    }

    // MARK: Streaming

    /// Sends what may be sent and reads what may be needed next.
    private func pump() {
        guard case .streaming = stage, let connection else { return }
        while !waiting.isEmpty, sent - acknowledged < UInt64(window), mayGoNow() {
            let chunk = waiting.removeFirst()
            sent += 1
            let bytes = chunk.frame.reduce(0) { $0 + $1.readableBytes }
            counters.update { $0.sentBytes += UInt64(bytes) }
            if let rate = context.options.limits.snapshotBytesPerSecond, rate > 0 {
                let pause = Int64(Double(bytes) / Double(rate) * 1e9)
                nextChunkAt = max(nextChunkAt, .now()) + .nanoseconds(pause)
            }
            let isOpen = connection.write(chunk.frame) { [weak connection] succeeded in
                if succeeded { connection?.noteProgress() }
            }
            guard isOpen else { return }
        }
        if waiting.isEmpty, isSourceAtEnd {
            stage = .ending
            lastProgress = .now()
            connection.write(.snapshotEnd(totals))
        } else if waiting.isEmpty, !isReading, !isSourceAtEnd {
            read()
        }
    }

    private func mayGoNow() -> Bool {
        guard context.options.limits.snapshotBytesPerSecond != nil else { return true }
        let now = NIODeadline.now()
        if now >= nextChunkAt { return true }
        if !isPaused {
            isPaused = true
            eventLoop.scheduleTask(deadline: nextChunkAt) {
                self.isPaused = false
                self.lastProgress = .now()
                self.pump()
            }
        }
        return false
    }

    private func read() {
        isReading = true
        let eventLoop = eventLoop
        worker.submit { [reader, chunkBytes] _ in
            let result = Result { try reader.next(chunkBytes: chunkBytes) }
            eventLoop.execute { self.didRead(result) }
        }
    }

    private func didRead(_ result: Result<(chunks: [SnapshotReader.Chunk], totals: SnapshotTotals)?, any Error>) {
        isReading = false
        // However long the source took, it was not the receiver's doing.
        lastProgress = .now()
        switch result {
        case .failure(let error): end("the source failed: \(error)")
        case .success(nil): isSourceAtEnd = true
        case .success(let read?):
            waiting += read.chunks
            totals = read.totals
        }
        pump()
    }

    func tick(_ connection: PeerConnection, now: NIODeadline) {
        switch stage {
        case .opening where now - lastProgress > context.options.timings.snapshotStallTimeout,
            .streaming where now - lastProgress > context.options.timings.snapshotStallTimeout && !isReading:
            connection.close(.timedOut("no chunk was acknowledged"))
        case .ending where now - lastProgress > context.options.timings.snapshotFinishTimeout:
            connection.close(.timedOut("the snapshot was not stored"))
        default: break
        }
    }

    func readCompleted(_ connection: PeerConnection) {
        let bytes = connection.takeReceivedBytes()
        counters.update { $0.receivedBytes += UInt64(bytes) }
    }

    // MARK: The end

    func connectionClosed(_ connection: PeerConnection, reason: CloseReason) {
        self.connection = nil
        // Another endpoint may do where this one was not the member at all.
        if case .opening = stage, case .wrongIdentity = reason { return dial("\(reason)") }
        end("\(reason)")
        finishIfDone()
    }

    private func end(_ reason: String) {
        if case .over = stage { return }
        let before = stage
        stage = .over
        waiting = []
        if case .dialling(let dial) = before { dial.cancel() }
        connection?.close(.done)
        counters.update { [isSucceeded] in
            if isSucceeded { $0.snapshotsSent += 1 } else { $0.snapshotsFailed += 1 }
        }
        if isSucceeded {
            report?.log("sent a snapshot", bytes: totals.bytes, to: context)
        } else {
            context.log(
                .warning, "could not send a snapshot to a peer",
                [("remote-peer-id", hexadecimal(target.rawValue)), ("reason", reason)])
        }
        let eventLoop = eventLoop
        worker.submit { [reader] _ in
            // The source is let go where it was read.
            reader.close()
            eventLoop.execute {
                self.context.workers.release(self.worker, .outgoing)
                self.isWorkerReleased = true
                self.completion(self.isSucceeded)
                self.finishIfDone()
            }
        }
    }

    private func finishIfDone() {
        guard isWorkerReleased, connection == nil, !isDialling else { return }
        context.unregister(self)
        donePromise.succeed()
    }
}

/// The worker's part of an outgoing snapshot. Used on one worker, one step after the other, which is why it may claim
/// to be `Sendable`.
final class SnapshotReader: @unchecked Sendable {
    /// A frame: its head, and the payload as it was read.
    struct Chunk: Sendable {
        var frame: [ByteBuffer]
    }

    private var source: (any SnapshotSource)?
    private var totals = SnapshotTotals()

    init(_ source: any SnapshotSource) { self.source = source }

    /// The source's next chunk, in pieces that the receiver takes; nil at the end.
    func next(chunkBytes: Int) throws -> (chunks: [Chunk], totals: SnapshotTotals)? {
        guard let bytes = try source?.nextChunk() else { return nil }
        var chunks: [Chunk] = []
        var start = 0
        while start < bytes.count {
            let end = min(bytes.count, start + chunkBytes)
            chunks.append(frame(start == 0 && end == bytes.count ? bytes : Array(bytes[start..<end])))
            start = end
        }
        return (chunks, totals)
    }

    private func frame(_ payload: [UInt8]) -> Chunk {
        var head = ByteWriter(reservingCapacity: 17)
        head.write(UInt32(1 + 8 + payload.count))
        head.write(0 as UInt32)
        head.write(PeerFrame.Kind.snapshotChunk.rawValue)
        head.write(totals.chunks)
        var checksum = CRC32C()
        checksum.update(Array(head.bytes[PeerFrame.headerBytes...]))
        checksum.update(payload)
        head.replace(at: 4, with: checksum.value)
        totals.add(payload)
        return Chunk(frame: [ByteBuffer(bytes: head.finish()), ByteBuffer(bytes: payload)])
    }

    func close() { source = nil }
}
