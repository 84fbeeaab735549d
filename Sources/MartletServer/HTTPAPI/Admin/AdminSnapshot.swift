import EtcdAPI
import HTTP2
import NIOCore
import Raft

/// `GET /admin/snapshot` (R52): this member's snapshot, as `martlet snapshot save` writes it, its digest at its end.
/// A piece is read only when the client has taken most of the last. On its event loop only.
final class AdminSnapshot: PlainStreamReceiver {
    private let answer: any PlainStreamAnswer
    private var reading: SnapshotReading?
    private var hasBegun = false
    /// A piece was written, and the client has not taken it.
    private var isWaiting = false

    private static let digestBytes: UInt64 = 32

    init(_ answer: any PlainStreamAnswer, context: ServiceContext) {
        self.answer = answer
        let limits = SnapshotLimits()
        guard !context.node.published.status.isJoining else {
            refuse(GRPCStatus(EtcdError.noLeader))
            return
        }
        guard let reading = SnapshotReading(context, limits: limits, eventLoop: answer.eventLoop) else {
            refuse(SnapshotReading.tooMany(limits))
            return
        }
        self.reading = reading
        reading.measure { [self] result in
            switch result {
            case .failure(let status): refuse(status)
            case .success:
                hasBegun = true
                answer.begin(
                    status: 200,
                    fields: [
                        ("content-type", "application/octet-stream"),
                        ("content-disposition", "attachment; filename=\"martlet.db\""),
                        ("content-length", "\(reading.contentBytes + Self.digestBytes)"),
                    ])
                pump()
            }
        }
    }

    func onBody(_ part: ByteBuffer) {}
    func onBodyEnd() {}

    func onWritable() {
        guard isWaiting else { return }
        isWaiting = false
        pump()
    }

    func onCancel() { letGo() }

    private func pump() {
        reading?.next { [self] result in
            switch result {
            case .failure(let status): refuse(status)
            case .success(nil):
                letGo()
                answer.end()
            case .success(let piece?):
                answer.write(piece)
                if answer.isWritable { pump() } else { isWaiting = true }
            }
        }
    }

    private func refuse(_ status: GRPCStatus) {
        letGo()
        guard !hasBegun else { return answer.abort() }
        let response = JoinRoutes.response(to: JoinRefusal(.notReady, status.message))
        answer.begin(status: response.status, fields: response.fields)
        answer.write(response.body)
        answer.end()
    }

    private func letGo() {
        reading?.letGo()
        reading = nil
    }
}
