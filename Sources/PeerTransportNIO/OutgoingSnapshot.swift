internal import ByteCodec
internal import NIOCore
internal import NIOPosix
internal import PeerTransport
internal import RaftCore
internal import SocketSupport

/// A snapshot on its way out: a connection of its own, a thread that reads the source, and as many chunks under way as
/// the receiver allows. Confined to its event loop but for ``cancel(_:)`` and ``done``, and for the reader, which is
/// the worker's.
///
/// When the connection breaks after the receiver has agreed, and both ends can, another one is dialled, and the stream
/// goes on after what the receiver has written. That is never before what it has acknowledged, and what it has not is
/// still here, so the source is read once, from its start to its end.
final class OutgoingSnapshot: PeerConnectionOwner, @unchecked Sendable {
    private enum Stage {
        case dialling(Dial)
        /// Up to the receiver's consent.
        case opening
        case streaming
        /// The last frame is sent; the receiver makes it durable.
        case ending
        /// The connection has broken, and the next attempt waits.
        case pausing
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
    /// Sent and not acknowledged: as many as the window at most.
    private var unacknowledged: [SnapshotReader.Chunk] = []
    private var isReading = false
    private var isSourceAtEnd = false
    private var totals = SnapshotTotals()
    private var sent: UInt64 = 0
    private var acknowledged: UInt64 { acknowledgedTotals.chunks }
    private var acknowledgedTotals = SnapshotTotals()
    private var lastProgress = NIODeadline.now()
    /// With a rate limit: when the next chunk may go.
    private var nextChunkAt = NIODeadline.distantPast
    private var isPaused = false
    private var isSucceeded = false
    private var isWorkerReleased = false
    private var isDialling = false
    private var report: SnapshotReport?
    // For going on after a break. The number must not come again after a restart, so it is not the seed's.
    private let number = UInt64.random(in: .min ... .max)
    /// What this connection's ends have agreed on.
    private var isResumable = false
    /// Of the first: what was compressed for it stays so.
    private var mayCompress = false
    /// The description has gone out on this connection.
    private var isOpened = false
    /// The receiver has agreed, on whichever connection.
    private var isAgreed = false
    private var isEndSent = false
    /// When the connection broke after which nothing more was written.
    private var brokenSince: NIODeadline?
    private var backOff: TimeAmount
    private var nextAttempt: Scheduled<Void>?

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
        backOff = context.options.timings.shortestBackOff
        reader = SnapshotReader(source)
        donePromise = eventLoop.makePromise()
    }

    /// Complete when the completion was called and the connection is closed.
    var done: EventLoopFuture<Void> { donePromise.futureResult }

    func start() { eventLoop.execute { if self.stage == nil { self.dial("no endpoint is known") } } }

    func cancel(_ reason: CloseReason) { eventLoop.execute { self.end("\(reason)") } }

    /// Ends it if its connection broke and it does not go on yet: a newer snapshot is on its way.
    func supersede() {
        eventLoop.execute {
            guard self.isAgreed else { return }
            switch self.stage {
            case .pausing, .dialling, .opening: self.end("another snapshot takes its place")
            case .streaming, .ending, .over, nil: break
            }
        }
    }

    // MARK: Connecting

    /// Each endpoint is tried once: whoever wants the snapshot sent begins anew, or the next attempt does.
    private func dial(_ lastFailure: String) {
        guard let endpoint = endpoints.popFirst() else { return broken(lastFailure) }
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
        let isResumable = welcome.features.contains(.resumableSnapshots)
        if isAgreed, !isResumable { return end("the receiver does not resume snapshots any more") }
        let mayCompress = welcome.features.contains(.compressedSnapshots)
        if isAgreed, self.mayCompress, !mayCompress { return end("the receiver does not decompress any more") }
        if !isAgreed { self.mayCompress = mayCompress }
        self.isResumable = isResumable
        isOpened = true
        lastProgress = .now()
        connection.write(
            isResumable
                ? .snapshotOpen(SnapshotOpening(stream: number, firstChunk: acknowledged, message: description))
                : .snapshotBegin(description))
    }

    func received(
        _ kind: PeerFrame.Kind, body: UnsafeRawBufferPointer, on connection: PeerConnection
    ) throws(PeerWireError) {
        switch (stage, try PeerFrame(body: body)) {
        case (.opening, .snapshotReady(let window, let chunkBytes)) where isOpened && !isResumable:
            try agree(window: window, chunkBytes: chunkBytes)
        case (.opening, .snapshotReadyAfter(let window, let chunkBytes, let written)) where isOpened && isResumable:
            try rewind(to: written)
            try agree(window: window, chunkBytes: chunkBytes)
        case (.streaming, .snapshotAcknowledged(let count)), (.ending, .snapshotAcknowledged(let count)):
            guard count > acknowledged, count <= sent else { throw .unexpectedFrame(kind.rawValue) }
            wasWritten(count)
            lastProgress = .now()
            pump()
        case (.ending, .snapshotStored):
            guard acknowledged == sent else { throw .unexpectedFrame(kind.rawValue) }
            isSucceeded = true
            end("")
        case (.opening, .snapshotStored) where isOpened && isResumable && isEndSent:
            // It was, before the connection broke.
            isSucceeded = true
            end("")
        case (.over, _): break
        default: throw .unexpectedFrame(kind.rawValue)
        }
    }

    private func agree(window: UInt32, chunkBytes: UInt32) throws(PeerWireError) {
        guard window > 0, chunkBytes > 0 else { throw .malformed(.invalid("a window of nothing")) }
        // What was cut for the first connection goes out on the next one as it is.
        guard !isAgreed || chunkBytes >= self.chunkBytes else {
            throw .malformed(.invalid("chunks of \(chunkBytes) bytes, after larger ones"))
        }
        self.window = min(Int(clamping: window), context.options.limits.snapshotWindow)
        if !isAgreed { self.chunkBytes = min(Int(clamping: chunkBytes), context.options.wire.chunkBytes) }
        stage = .streaming
        lastProgress = .now()
        if isAgreed {
            counters.update { $0.snapshotsResumed += 1 }
            report?.log("a snapshot goes on being sent", bytes: acknowledgedTotals.bytes, to: context)
        } else {
            // Not before the receiver has agreed: attempts are many when a member is away.
            isAgreed = true
            report = SnapshotReport(description, peer: target)
            report?.log("sending a snapshot", to: context)
        }
        pump()
    }

    /// Goes on after what the receiver has written, if that is what was sent to it.
    private func rewind(to written: SnapshotTotals) throws(PeerWireError) {
        guard written.chunks >= acknowledged, written.chunks <= sent else {
            throw .misplacedMessage(
                "the receiver has \(written.chunks) chunks of a snapshot; \(acknowledged) were acknowledged, and "
                    + "\(sent) were sent")
        }
        let count = Int(written.chunks - acknowledged)
        let own = count == 0 ? acknowledgedTotals : unacknowledged[count - 1].totals
        guard own == written else {
            throw .misplacedMessage("the receiver has other chunks of a snapshot than those that were sent")
        }
        if count > 0 { wasWritten(written.chunks) }
        waiting.insert(contentsOf: unacknowledged, at: 0)
        unacknowledged = []
        sent = written.chunks
    }

    private func wasWritten(_ count: UInt64) {
        let position = Int(count - acknowledged)
        acknowledgedTotals = unacknowledged[position - 1].totals
        unacknowledged.removeFirst(position)
        brokenSince = nil
        backOff = context.options.timings.shortestBackOff
    }

    // MARK: Streaming

    /// Sends what may be sent and reads what may be needed next.
    private func pump() {
        guard case .streaming = stage, let connection else { return }
        while !waiting.isEmpty, sent - acknowledged < UInt64(window), mayGoNow() {
            let chunk = waiting.removeFirst()
            unacknowledged.append(chunk)
            sent += 1
            let bytes = chunk.frame.reduce(0) { $0 + $1.readableBytes }
            counters.update { $0.sentBytes += UInt64(bytes) }
            if let rate = context.options.limits.snapshotBytesPerSecond, rate > 0 {
                let pause = Int64(Double(bytes) / Double(rate) * 1e9)
                nextChunkAt = max(nextChunkAt, .now()) + .nanoseconds(pause)
            }
            guard connection.write(chunk.frame) else { return }
        }
        if waiting.isEmpty, isSourceAtEnd {
            stage = .ending
            isEndSent = true
            lastProgress = .now()
            connection.write(.snapshotEnd(totals))
        } else if waiting.isEmpty, !isReading, !isSourceAtEnd {
            read()
        }
    }

    func wrote(_ connection: PeerConnection, succeeded: Bool) {
        if succeeded { connection.noteProgress() }
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
        worker.submit { [reader, chunkBytes, mayCompress] _ in
            let result = Result { try reader.next(chunkBytes: chunkBytes, mayCompress: mayCompress) }
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
            // The receiver lives and does not write: another connection would not change that.
            end("\(CloseReason.timedOut("no chunk was acknowledged"))")
        case .ending where now - lastProgress > context.options.timings.snapshotFinishTimeout:
            end("\(CloseReason.timedOut("the snapshot was not stored"))")
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
        isOpened = false
        if case .over = stage { return finishIfDone() }
        // Another endpoint may do where this one was not the member at all.
        if case .opening = stage, case .wrongIdentity = reason { return dial("\(reason)") }
        if reason.mayPass { broken("\(reason)") } else { end("\(reason)") }
        finishIfDone()
    }

    /// There is no connection (any more): the next attempt is made soon, if the receiver keeps what it has.
    private func broken(_ reason: String) {
        guard isAgreed, isResumable else { return end(reason) }
        let now = NIODeadline.now()
        if brokenSince == nil {
            report?.log(
                "a snapshot's connection broke (\(reason)); trying to go on", bytes: acknowledgedTotals.bytes,
                to: context)
        }
        let since = brokenSince ?? now
        brokenSince = since
        guard now - since < context.options.timings.snapshotResumeTimeout else {
            return end("\(reason); nothing more was written since the connection broke")
        }
        stage = .pausing
        let pause = backOff
        backOff = min(.nanoseconds(backOff.nanoseconds * 2), context.options.timings.longestBackOff)
        nextAttempt = eventLoop.scheduleTask(in: .nanoseconds(.random(in: pause.nanoseconds / 2...pause.nanoseconds))) {
            guard case .pausing = self.stage else { return }
            // It may have moved.
            self.endpoints = (self.context.peer(self.target)?.endpoints.compactMap { Endpoint($0) } ?? [])[...]
            self.dial("no endpoint is known")
        }
    }

    private func end(_ reason: String) {
        if case .over = stage { return }
        let before = stage
        stage = .over
        waiting = []
        unacknowledged = []
        nextAttempt?.cancel()
        if case .dialling(let dial) = before { dial.cancel() }
        // Nothing has to be kept for us. If this does not arrive, it is for a while.
        if isOpened, isResumable, !isSucceeded { connection?.write(.snapshotAbandoned) }
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

extension CloseReason {
    /// Whether the member may still be there, with what it has written of the snapshot.
    fileprivate var mayPass: Bool {
        switch self {
        case .closedByPeer, .timedOut, .socket, .malformed(.wrongChecksum): true
        case .refused(let refusal): refusal.code == .busy
        case .stopped, .malformed, .wrongIdentity, .replaced, .removed, .done: false
        }
    }
}
