import EtcdAPI
import HTTP2
import MVCC
import NIOCore
import NIOPosix
import Raft
import RaftCore
import Replica
import Synchronization

/// What snapshots for clients may cost.
struct SnapshotLimits: Sendable {
    /// At a time. Each keeps a view, and with it the engine's pages of that moment.
    var concurrentMax = 4
    /// Of the file in one message, as in etcd (M8).
    var messageBytes = 32 << 10
    /// The next piece is made when no more than this waits for the client.
    var drainedBytes = 128 << 10
    /// A client that takes nothing for so long is let go, and the view with it.
    var stallTime = TimeAmount.seconds(60)
}

/// How many snapshots are on their way.
final class SnapshotSlots: Sendable {
    private let taken = Mutex(0)
    private let max: Int

    init(max: Int) { self.max = max }

    func take() -> Bool {
        taken.withLock { taken in
            guard taken < max else { return false }
            taken += 1
            return true
        }
    }

    func giveBack() { taken.withLock { $0 -= 1 } }

    var count: Int { taken.withLock { $0 } }
}

/// One snapshot on its way to a client: the file of Documentation/formats/snapshot-file.md, in etcd's stream (M8).
///
/// The state is read on a worker, never on the event loop, one piece at a time and only when the client has taken most
/// of the last: so what a slow client holds is a view and a piece, however large the state is.
final class SnapshotCall: GRPCStreamReceiver {
    private let call: GRPCCall
    private let context: ServiceContext
    private let slots: SnapshotSlots
    private let limits: SnapshotLimits
    /// From the first message until the end.
    private var source: SnapshotFileSource?
    /// All but the digest.
    private var contentBytes: UInt64 = 0
    private var sentBytes: UInt64 = 0
    private var watchdog: RepeatedTask?
    /// What the watchdog saw last.
    private var progress: (sent: UInt64, pending: Int, isReading: Bool) = (0, 0, false)
    /// Whether a worker is at it.
    private var isReading = false

    init(_ call: GRPCCall, context: ServiceContext, slots: SnapshotSlots, limits: SnapshotLimits) {
        self.call = call
        self.context = context
        self.slots = slots
        self.limits = limits
    }

    // MARK: The client

    func onMessage(_ message: ByteBuffer) {
        guard let _: Etcdserverpb_SnapshotRequest = call.decode(message) else { return }
        guard source == nil else {
            return end(GRPCStatus(.internalError, "cardinality violation: more than one request for a snapshot"))
        }
        guard slots.take() else {
            return call.finish(
                GRPCStatus(
                    .resourceExhausted,
                    "martlet: \(limits.concurrentMax) snapshots are being sent already; ask again when one is done"))
        }
        source = SnapshotFileSource(
            context.node.published.view.store, clusterID: context.clusterID, memberID: context.memberID.rawValue,
            writer: MartletVersion.martlet)
        let held = NIOLoopBound(self, eventLoop: call.eventLoop)
        watchdog = call.eventLoop.scheduleRepeatedTask(initialDelay: limits.stallTime, delay: limits.stallTime) { _ in
            held.value.watch()
        }
        measure()
    }

    func onHalfClose() {
        if source == nil {
            call.finish(GRPCStatus(.internalError, "cardinality violation: no request for a snapshot"))
        }
    }

    func onCancel() { letGo() }

    private func end(_ status: GRPCStatus) {
        guard source != nil else { return }
        letGo()
        call.finish(status)
    }

    private func letGo() {
        guard source != nil else { return }
        source = nil
        watchdog?.cancel()
        watchdog = nil
        slots.giveBack()
    }

    private func watch() {
        let now = (sent: sentBytes, pending: call.pendingBytes, isReading: isReading)
        // While a worker reads, or waits for its turn, it is not the client who is slow.
        if now == progress, !isReading {
            end(
                GRPCStatus(
                    .aborted,
                    "martlet: the snapshot was given up: its client has taken nothing for "
                        + "\(limits.stallTime.nanoseconds / 1_000_000_000) seconds"))
        }
        progress = now
    }

    // MARK: The file

    private func measure() {
        // A chunk at a time: a few milliseconds.
        read({ source throws(StateError) in try source.measure() }) { [self] isOver in
            if isOver {
                contentBytes = source?.header?.contentBytes ?? 0
                pump()
            } else {
                measure()
            }
        }
    }

    private func pump() {
        read({ source throws(StateError) in try source.nextPiece().map { ByteBuffer(bytes: $0) } }) { [self] piece in
            guard let piece else { return end(.ok) }
            send(piece)
            let held = NIOLoopBound(self, eventLoop: call.eventLoop)
            call.whenPendingBytes(atMost: limits.drainedBytes) { held.value.pump() }
        }
    }

    private func send(_ piece: ByteBuffer) {
        var rest = piece
        while let blob = rest.readSlice(length: min(rest.readableBytes, limits.messageBytes)), blob.readableBytes > 0 {
            sentBytes += UInt64(blob.readableBytes)
            // The digest is not counted, as in etcd.
            let remaining = contentBytes - min(contentBytes, sentBytes)
            var head: [UInt8] = []
            head.uint64(2, remaining)
            head.delimited(3, blob.readableBytes)
            var tail: [UInt8] = []
            tail.string(4, MaintenanceService.etcdClusterVersion)
            call.send(parts: [ByteBuffer(bytes: head), blob, ByteBuffer(bytes: tail)])
        }
    }

    /// Has a worker do `work`, and goes on with what it came to, unless the call has ended meanwhile.
    private func read<Answer: Sendable>(
        _ work: @escaping @Sendable (SnapshotFileSource) throws(StateError) -> Answer,
        _ then: @escaping (Answer) -> Void
    ) {
        guard let source else { return }
        isReading = true
        let eventLoop = call.eventLoop
        let held = NIOLoopBound((self, then), eventLoop: eventLoop)
        context.workers.submit { [context] state in
            let result: Swift.Result<Answer, GRPCStatus>
            if state == .cancelled {
                result = .failure(GRPCStatus(EtcdError.stopped))
            } else {
                do throws(StateError) {
                    result = .success(try work(source))
                } catch {
                    // A read has met damage: the member stops, as at any other.
                    result = .failure(context.status(of: .state(error)))
                }
            }
            eventLoop.execute {
                let (snapshot, then) = held.value
                snapshot.isReading = false
                guard snapshot.source != nil else { return }
                switch result {
                case .success(let answer): then(answer)
                case .failure(let status): snapshot.end(status)
                }
            }
        }
    }
}
