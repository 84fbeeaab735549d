internal import NIOCore
internal import PeerTransport
internal import RaftCore

/// A snapshot on its way, for the log: to or from whom, how large it is, how long it takes.
struct SnapshotReport {
    private let peer: NodeID
    private let snapshot: SnapshotDescription
    private let begin = NIODeadline.now()

    /// nil for what is no snapshot's description.
    init?(_ description: Message, peer: NodeID) {
        guard case .installSnapshot(let snapshot) = description.body else { return nil }
        self.peer = peer
        self.snapshot = snapshot
    }

    /// - Parameter bytes: nil when it begins.
    func log(
        _ message: String, bytes: UInt64? = nil, level: PeerTransportLogLevel = .info, to context: TransportContext
    ) {
        var fields = [
            ("remote-peer-id", hexadecimal(peer.rawValue)), ("snapshot-index", "\(snapshot.index.rawValue)"),
            ("snapshot-term", "\(snapshot.term.rawValue)"),
        ]
        if let bytes {
            let milliseconds = (NIODeadline.now() - begin).nanoseconds / 1_000_000
            fields += [("bytes", "\(bytes)"), ("seconds", "\(Double(milliseconds) / 1_000)")]
        }
        context.log(level, message, fields)
    }
}
