internal import NIOCore
internal import NIOPosix
internal import PeerTransport
internal import RaftCore

/// A snapshot on its way in: chunks go to the sink on a thread of their own, and are acknowledged when written.
/// Confined to its event loop, but for the writer, which is the worker's.
///
/// When its connection breaks, what has come is kept for another one (``ArrivingSnapshots``), if both ends can.
final class IncomingSnapshot: @unchecked Sendable {
    private enum Stage {
        case awaitingBegin
        /// The receiver is being asked.
        case beginning
        case receiving
        /// All chunks are in the worker's hands.
        case finishing
        case over
    }

    private let peer: NodeID
    private let isResumable: Bool
    private let connection: PeerConnection
    private let context: TransportContext
    private let counters: PeerCounters
    private var worker: NIOThreadPool
    private var writer = SnapshotWriter()
    private var stage = Stage.awaitingBegin
    private var stream: SnapshotStreamID?
    private var message: Message?
    private var received: UInt64 = 0
    private var written: UInt64 = 0
    private var receivedBytes: UInt64 = 0
    private var report: SnapshotReport?
    /// The sender itself has given it up.
    private var isAbandoned = false

    init(
        from peer: NodeID, isResumable: Bool, connection: PeerConnection, worker: NIOThreadPool,
        context: TransportContext, counters: PeerCounters
    ) {
        self.peer = peer
        self.isResumable = isResumable
        self.connection = connection
        self.worker = worker
        self.context = context
        self.counters = counters
    }

    /// A chunk with its index, or the description of a snapshot with as many members as may be.
    static func frameLimit(_ wire: PeerWireLimits) -> Int {
        max(wire.chunkBytes, 8 * wire.configurationMembers) + wire.handshakeBytes
    }

    func received(_ kind: PeerFrame.Kind, body: UnsafeRawBufferPointer) throws(PeerWireError) {
        switch (stage, try PeerFrame(body: body, limits: context.options.wire)) {
        case (.awaitingBegin, .snapshotBegin(let message)):
            try check(message)
            follow(context.arriving.claim(message))
        case (.awaitingBegin, .snapshotOpen(let opening)) where isResumable: try open(opening)
        case (.receiving, .snapshotChunk(let index, let chunk)):
            guard index == received, received - written < UInt64(context.options.limits.snapshotWindow) else {
                throw .misplacedMessage("chunk \(index) after \(received), \(written) of them acknowledged")
            }
            received += 1
            receivedBytes += UInt64(chunk.count)
            onWorker {
                try $0.write(chunk)
            } then: {
                self.wroteChunk()
            }
        case (.receiving, .snapshotEnd(let totals)):
            stage = .finishing
            onWorker {
                try $0.finish(totals)
            } then: {
                self.finished()
            }
        case (_, .snapshotAbandoned) where isResumable && stream != nil:
            isAbandoned = true
            connection.close(.closedByPeer)
        default: throw .unexpectedFrame(kind.rawValue)
        }
    }

    // MARK: The beginning

    private func check(_ message: Message) throws(PeerWireError) {
        guard case .installSnapshot = message.body, message.to == context.options.node, message.from == peer else {
            throw .misplacedMessage("a snapshot that is not for this member, or not from that one")
        }
        self.message = message
    }

    private func open(_ opening: SnapshotOpening) throws(PeerWireError) {
        try check(opening.message)
        let stream = SnapshotStreamID(peer: peer, number: opening.stream)
        let claim = context.arriving.claim(stream, opening) { [connection] in
            // Always later: the registry is locked.
            connection.eventLoop.execute { connection.close(.replaced) }
        }
        switch claim {
        case .fresh, .resumed: self.stream = stream
        case .stored, .refused: break
        }
        follow(claim)
    }

    private func follow(_ claim: ArrivingSnapshots.Claim) {
        switch claim {
        case .fresh(let replaced?):
            stage = .beginning
            // The receiver has one place, which that one holds until its sink has been aborted.
            context.letGo(replaced, "another snapshot takes its place").hop(to: connection.eventLoop).whenComplete {
                _ in
                if self.stage == .beginning { self.begin() }
            }
        case .fresh(nil): begin()
        case .resumed(let kept): resume(kept)
        case .stored:
            stage = .over
            connection.write(.snapshotStored)
        case .refused(let refusal):
            stage = .over
            context.refused(refusal, node: peer, address: connection.remoteAddress)
            connection.refuse(refusal)
        }
    }

    private func begin() {
        guard let message else { return }
        stage = .beginning
        let receiver = context.receiver
        onWorker {
            try $0.begin(message, with: receiver)
        } then: {
            self.stage = .receiving
            self.report = SnapshotReport(message, peer: self.peer)
            self.report?.log("receiving a snapshot", to: self.context)
            self.agree(SnapshotTotals())
        }
    }

    private func resume(_ kept: KeptSnapshot) {
        stage = .receiving
        // A sink is used by one thread: that one takes the place of this connection's.
        context.workers.giveBack(worker)
        kept.released.succeed()
        worker = kept.worker
        writer = kept.writer
        report = kept.report
        (received, written, receivedBytes) = (kept.progress.chunks, kept.progress.chunks, kept.progress.bytes)
        counters.update { $0.snapshotsResumed += 1 }
        report?.log("a snapshot goes on arriving", bytes: receivedBytes, to: context)
        agree(kept.progress)
    }

    private func agree(_ progress: SnapshotTotals) {
        let window = UInt32(clamping: context.options.limits.snapshotWindow)
        let chunkBytes = UInt32(clamping: context.options.wire.chunkBytes)
        connection.write(
            stream == nil
                ? .snapshotReady(window: window, chunkBytes: chunkBytes)
                : .snapshotReadyAfter(window: window, chunkBytes: chunkBytes, progress))
    }

    // MARK: The middle

    private func wroteChunk() {
        written += 1
        connection.write(.snapshotAcknowledged(written))
    }

    /// The sink has it all: this holds even when the connection is gone, and the sender does not learn of it.
    private func finished() {
        stage = .over
        report?.log("received a snapshot", bytes: receivedBytes, to: context)
        counters.update { $0.snapshotsReceived += 1 }
        if let stream { context.arriving.stored(stream) }
        connection.write(.snapshotStored)
    }

    /// Runs a step on the worker, after all that came before; what it throws ends the stream.
    private func onWorker(
        _ step: @escaping @Sendable (SnapshotWriter) throws -> Void, then next: @escaping @Sendable () -> Void
    ) {
        let eventLoop = connection.eventLoop
        worker.submit { [writer] _ in
            do {
                try step(writer)
                eventLoop.execute { if self.stage != .over { next() } }
            } catch {
                eventLoop.execute { self.fail(error) }
            }
        }
    }

    private func fail(_ error: any Error) {
        guard stage != .over else { return }
        stage = .over
        counters.update { $0.snapshotsReceivedInPart += 1 }
        if case SnapshotWriter.Failure.notWanted = error {
            connection.refuse(PeerRefusal(.notWanted, "the snapshot is not wanted"))
            return
        }
        context.log(
            .warning, "could not store a snapshot from a peer",
            [("remote-peer-id", hexadecimal(peer.rawValue)), ("error", "\(error)")])
        connection.refuse(PeerRefusal(.failed, "\(error)"))
    }

    // MARK: The end

    /// Keeps what has come, or ends the sink where nothing else has; `completion` is called when the worker has no more
    /// to do.
    func connectionClosed(_ reason: CloseReason, completion: @escaping @Sendable () -> Void) {
        let isKept = stage == .receiving && stream != nil && !isAbandoned && reason.leavesSnapshot
        let isCut = isKept || stage == .receiving || stage == .beginning || stage == .awaitingBegin
        if isCut { stage = .over }
        let eventLoop = connection.eventLoop
        worker.submit { [writer] _ in
            // All that came has been written, or a write has failed, and there is nothing to keep.
            let progress = isKept ? writer.progress : nil
            // After a finish there is nothing to abort.
            if progress == nil { writer.abort() }
            eventLoop.execute { self.drained(isCut: isCut, progress, completion: completion) }
        }
    }

    private func drained(isCut: Bool, _ progress: SnapshotTotals?, completion: @escaping @Sendable () -> Void) {
        context.workers.vacate(.incoming)
        if let progress, let stream, let message {
            report?.log("a snapshot's connection broke; what has come is kept", bytes: progress.bytes, to: context)
            context.keep(
                KeptSnapshot(
                    stream: stream, message: message, writer: writer, worker: worker, progress: progress,
                    report: report, eventLoop: connection.eventLoop,
                    released: connection.eventLoop.makePromise()), completion: completion)
            return
        }
        if isCut {
            counters.update { $0.snapshotsReceivedInPart += 1 }
            report?.log("a snapshot did not arrive whole", bytes: receivedBytes, level: .warning, to: context)
        }
        context.workers.giveBack(worker)
        if let stream { context.arriving.ended(stream) }
        completion()
    }
}

extension CloseReason {
    /// Whether the other side may come back with what was lost.
    fileprivate var leavesSnapshot: Bool {
        switch self {
        case .closedByPeer, .timedOut, .socket, .replaced, .malformed(.wrongChecksum): true
        case .stopped, .refused, .malformed, .wrongIdentity, .removed, .done: false
        }
    }
}
