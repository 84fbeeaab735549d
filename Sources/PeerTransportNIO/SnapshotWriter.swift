internal import PeerTransport
internal import RaftCore

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

    /// What has been written, while more can be; nil when there is no sink (any more).
    var progress: SnapshotTotals? { sink == nil ? nil : totals }

    func abort() {
        sink?.abort()
        sink = nil
    }
}
