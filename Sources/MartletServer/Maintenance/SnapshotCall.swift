import EtcdAPI
import HTTP2
import NIOCore
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

/// One snapshot on its way to a client: the file of Documentation/formats/snapshot-file.md, in etcd's stream (M8). A
/// piece is read only when the client has taken most of the last (``SnapshotReading``).
final class SnapshotCall: GRPCStreamReceiver {
    private let call: GRPCCall
    private let context: ServiceContext
    private let limits: SnapshotLimits
    /// From the first message until the end.
    private var reading: SnapshotReading?
    private var sentBytes: UInt64 = 0
    private var watchdog: RepeatedTask?
    /// What the watchdog saw last.
    private var progress: (sent: UInt64, pending: Int, isReading: Bool) = (0, 0, false)

    init(_ call: GRPCCall, context: ServiceContext, limits: SnapshotLimits) {
        self.call = call
        self.context = context
        self.limits = limits
    }

    // MARK: The client

    func onMessage(_ message: ByteBuffer) {
        guard let _: Etcdserverpb_SnapshotRequest = call.decode(message) else { return }
        guard reading == nil else {
            return end(GRPCStatus(.internalError, "cardinality violation: more than one request for a snapshot"))
        }
        guard let reading = SnapshotReading(context, limits: limits, eventLoop: call.eventLoop) else {
            return call.finish(SnapshotReading.tooMany(limits))
        }
        self.reading = reading
        let held = NIOLoopBound(self, eventLoop: call.eventLoop)
        watchdog = call.eventLoop.scheduleRepeatedTask(initialDelay: limits.stallTime, delay: limits.stallTime) { _ in
            held.value.watch()
        }
        reading.measure { [self] result in
            switch result {
            case .success: pump()
            case .failure(let status): end(status)
            }
        }
    }

    func onHalfClose() {
        if reading == nil {
            call.finish(GRPCStatus(.internalError, "cardinality violation: no request for a snapshot"))
        }
    }

    func onCancel() { letGo() }

    private func end(_ status: GRPCStatus) {
        guard reading != nil else { return }
        letGo()
        call.finish(status)
    }

    private func letGo() {
        reading?.letGo()
        reading = nil
        watchdog?.cancel()
        watchdog = nil
    }

    private func watch() {
        guard let reading else { return }
        let now = (sent: sentBytes, pending: call.pendingBytes, isReading: reading.isReading)
        // While a worker reads, or waits for its turn, it is not the client who is slow.
        if now == progress, !reading.isReading {
            end(
                GRPCStatus(
                    .aborted,
                    "martlet: the snapshot was given up: its client has taken nothing for "
                        + "\(limits.stallTime.nanoseconds / 1_000_000_000) seconds"))
        }
        progress = now
    }

    // MARK: The file

    private func pump() {
        reading?.next { [self] result in
            switch result {
            case .failure(let status): end(status)
            case .success(nil): end(.ok)
            case .success(let piece?):
                send(piece)
                let held = NIOLoopBound(self, eventLoop: call.eventLoop)
                call.whenPendingBytes(atMost: limits.drainedBytes) { held.value.pump() }
            }
        }
    }

    private func send(_ piece: ByteBuffer) {
        let contentBytes = reading?.contentBytes ?? 0
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
}
