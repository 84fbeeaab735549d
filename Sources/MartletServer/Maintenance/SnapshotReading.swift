import EtcdAPI
import HTTP2
import MVCC
import NIOCore
import NIOPosix
import Raft
import Replica

/// Reads a snapshot's file (Documentation/formats/snapshot-file.md) for a client: on a worker, never on the event loop,
/// one piece at a time and only when it is asked for. So what a slow client holds is a view and a piece, however large
/// the state is. On its event loop only.
final class SnapshotReading {
    private let context: ServiceContext
    private let eventLoop: any EventLoop
    private let limits: SnapshotLimits
    /// nil when it is over.
    private var source: SnapshotFileSource?
    /// Whether a worker is at it, or it waits for one.
    private(set) var isReading = false
    /// What the file has besides the digest at its end; known when it has been measured.
    private(set) var contentBytes: UInt64 = 0

    /// nil when too many are being sent.
    init?(_ context: ServiceContext, limits: SnapshotLimits, eventLoop: any EventLoop) {
        guard context.snapshots.take() else { return nil }
        self.context = context
        self.eventLoop = eventLoop
        self.limits = limits
        source = SnapshotFileSource(
            context.node.published.view.store, clusterID: context.clusterID, memberID: context.memberID.rawValue,
            writer: MartletVersion.martlet)
    }

    static func tooMany(_ limits: SnapshotLimits) -> GRPCStatus {
        GRPCStatus(
            .resourceExhausted,
            "martlet: \(limits.concurrentMax) snapshots are being sent already; ask again when one is done")
    }

    /// Nothing is called any more, and the next one may begin. As often as one likes.
    func letGo() {
        guard source != nil else { return }
        source = nil
        context.snapshots.giveBack()
    }

    /// Finds out how large the file is.
    func measure(_ done: @escaping (Swift.Result<Void, GRPCStatus>) -> Void) {
        // A chunk at a time: a few milliseconds.
        read({ source throws(StateError) in try source.measure() }) { [self] result in
            switch result {
            case .failure(let status): done(.failure(status))
            case .success(false): measure(done)
            case .success(true):
                contentBytes = source?.header?.contentBytes ?? 0
                done(.success(()))
            }
        }
    }

    /// The next piece; nil at the end.
    func next(_ done: @escaping (Swift.Result<ByteBuffer?, GRPCStatus>) -> Void) {
        read({ source throws(StateError) in try source.nextPiece().map { ByteBuffer(bytes: $0) } }, done)
    }

    private func read<Answer: Sendable>(
        _ work: @escaping @Sendable (SnapshotFileSource) throws(StateError) -> Answer,
        _ then: @escaping (Swift.Result<Answer, GRPCStatus>) -> Void
    ) {
        guard let source else { return }
        isReading = true
        let held = NIOLoopBound((self, then), eventLoop: eventLoop)
        context.workers.submit { [context, eventLoop] state in
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
                let (reading, then) = held.value
                reading.isReading = false
                if reading.source != nil { then(result) }
            }
        }
    }
}
