internal import NIOCore
internal import NIOPosix
internal import PeerTransport
internal import RaftCore

/// A snapshot on its way in: chunks go to the sink on a thread of their own, and are acknowledged when written.
/// Confined to its event loop, but for the writer, which is the worker's.
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
    private let connection: PeerConnection
    private let worker: NIOThreadPool
    private let context: TransportContext
    private let counters: PeerCounters
    private let writer = SnapshotWriter()
    private var stage = Stage.awaitingBegin
    private var received: UInt64 = 0
    private var written: UInt64 = 0
    private var receivedBytes: UInt64 = 0
    private var report: SnapshotReport?

    init(
        from peer: NodeID, connection: PeerConnection, worker: NIOThreadPool, context: TransportContext,
        counters: PeerCounters
    ) {
        self.peer = peer
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
        case (.awaitingBegin, .snapshotBegin(let message)): try begin(message)
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
        default: throw .unexpectedFrame(kind.rawValue)
        }
    }

    private func begin(_ message: Message) throws(PeerWireError) {
        guard case .installSnapshot = message.body, message.to == context.options.node, message.from == peer else {
            throw .misplacedMessage("a snapshot that is not for this member, or not from that one")
        }
        stage = .beginning
        let receiver = context.receiver
        let limits = context.options
        onWorker {
            try $0.begin(message, with: receiver)
        } then: {
            self.stage = .receiving
            self.report = SnapshotReport(message, peer: self.peer)
            self.report?.log("receiving a snapshot", to: self.context)
            self.connection.write(
                .snapshotReady(
                    window: UInt32(clamping: limits.limits.snapshotWindow),
                    chunkBytes: UInt32(clamping: limits.wire.chunkBytes)))
        }
    }

    private func wroteChunk() {
        written += 1
        connection.write(.snapshotAcknowledged(written))
    }

    /// The sink has it all: this holds even when the connection is gone, and the sender does not learn of it.
    private func finished() {
        stage = .over
        report?.log("received a snapshot", bytes: receivedBytes, to: context)
        counters.update { $0.snapshotsReceived += 1 }
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

    /// Ends the sink where nothing else has; `completion` is called when the worker has no more to do.
    func connectionClosed(completion: @escaping @Sendable () -> Void) {
        let isFinishing = stage == .finishing || stage == .over
        if !isFinishing {
            stage = .over
            counters.update { $0.snapshotsReceivedInPart += 1 }
            report?.log("a snapshot did not arrive whole", bytes: receivedBytes, level: .warning, to: context)
        }
        let eventLoop = connection.eventLoop
        worker.submit { [writer] _ in
            // After a finish there is nothing to abort.
            writer.abort()
            eventLoop.execute {
                self.context.workers.release(self.worker, .incoming)
                completion()
            }
        }
    }
}

/// The worker's part of an incoming snapshot: exactly one of the sink's `finish` (when it returns) and `abort` is its
/// last call. Used on one worker, one step after the other, which is why it may claim to be `Sendable`.
final class SnapshotWriter: @unchecked Sendable {
    enum Failure: Error, CustomStringConvertible {
        case notWanted
        case ended
        case wrongTotals(SnapshotTotals, expected: SnapshotTotals)

        var description: String {
            switch self {
            case .notWanted: "not wanted"
            case .ended: "the stream has ended"
            case .wrongTotals(let totals, let expected):
                "\(totals.chunks) chunks of \(totals.bytes) bytes, checksum \(totals.checksum), have come; the sender "
                    + "counts \(expected.chunks) of \(expected.bytes), checksum \(expected.checksum)"
            }
        }
    }

    private var sink: (any SnapshotSink)?
    private var totals = SnapshotTotals()

    func begin(_ message: Message, with receiver: any PeerReceiver) throws {
        guard let sink = receiver.beginSnapshot(message) else { throw Failure.notWanted }
        self.sink = sink
    }

    func write(_ chunk: [UInt8]) throws {
        guard let sink else { throw Failure.ended }
        totals.add(chunk)
        do {
            try sink.write(chunk)
        } catch {
            abort()
            throw error
        }
    }

    func finish(_ expected: SnapshotTotals) throws {
        guard let sink else { throw Failure.ended }
        do {
            guard totals == expected else { throw Failure.wrongTotals(totals, expected: expected) }
            try sink.finish()
            self.sink = nil
        } catch {
            abort()
            throw error
        }
    }

    func abort() {
        sink?.abort()
        sink = nil
    }
}
