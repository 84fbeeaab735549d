import Logging
import PeerTransport
import RaftCore
import Synchronization

/// Lines in the log for snapshots: where they go and come from, how large they are, how long they take.
struct SnapshotReports: Sendable {
    private let logger: Logger

    init(logger: Logger) { self.logger = logger }

    /// The transport, with a report of what it sends.
    func reporting(_ transport: any PeerTransport) -> any PeerTransport { ReportingTransport(transport, self) }

    /// The receiver, with a report of what arrives.
    func reporting(_ receiver: any PeerReceiver) -> any PeerReceiver { ReportingReceiver(receiver, self) }

    func installed(_ snapshot: SnapshotDescription) {
        logger.info("installed a snapshot: it is this member's state now", metadata: Self.place(snapshot))
    }

    fileprivate func note(
        _ message: Logger.Message, level: Logger.Level = .info, _ peer: NodeID, _ snapshot: SnapshotDescription,
        _ progress: SnapshotProgress? = nil
    ) {
        var fields = Self.place(snapshot)
        fields["remote-peer-id"] = "\(hex(peer.rawValue))"
        if let progress {
            fields["bytes"] = "\(progress.bytes.load(ordering: .relaxed))"
            fields["seconds"] = "\(progress.seconds)"
        }
        logger.log(level: level, message, metadata: fields)
    }

    private static func place(_ snapshot: SnapshotDescription) -> Logger.Metadata {
        ["snapshot-index": "\(snapshot.index.rawValue)", "snapshot-term": "\(snapshot.term.rawValue)"]
    }
}

private final class SnapshotProgress: Sendable {
    let bytes = Atomic(0)
    private let begin = ContinuousClock.now

    /// In milliseconds' precision.
    var seconds: Double {
        let (seconds, attoseconds) = (ContinuousClock.now - begin).components
        return Double(seconds) + Double(attoseconds / 1_000_000_000_000_000) / 1_000
    }
}

private final class ReportingTransport: PeerTransport {
    private let base: any PeerTransport
    private let reports: SnapshotReports

    init(_ base: any PeerTransport, _ reports: SnapshotReports) {
        self.base = base
        self.reports = reports
    }

    func send(_ messages: [Message]) { base.send(messages) }
    func setPeers(_ peers: [PeerAddress]) { base.setPeers(peers) }
    func stop() { base.stop() }

    func sendSnapshot(
        _ description: Message, from source: any SnapshotSource, completion: @escaping @Sendable (Bool) -> Void
    ) {
        guard case .installSnapshot(let snapshot) = description.body else {
            return base.sendSnapshot(description, from: source, completion: completion)
        }
        let progress = SnapshotProgress()
        let reported = ReportingSource(source, progress) { [reports] in
            reports.note("sending a snapshot", description.to, snapshot)
        }
        base.sendSnapshot(description, from: reported) { [reports] succeeded in
            // Why one failed is the transport's to say.
            if succeeded { reports.note("sent a snapshot", description.to, snapshot, progress) }
            completion(succeeded)
        }
    }
}

private final class ReportingSource: SnapshotSource {
    private let base: any SnapshotSource
    private let progress: SnapshotProgress
    /// Not before the receiver has agreed and the first chunk is wanted: attempts are many when a member is away.
    private let begun: @Sendable () -> Void
    private let hasBegun = Atomic(false)

    init(_ base: any SnapshotSource, _ progress: SnapshotProgress, begun: @escaping @Sendable () -> Void) {
        self.base = base
        self.progress = progress
        self.begun = begun
    }

    func nextChunk() throws -> [UInt8]? {
        if !hasBegun.exchange(true, ordering: .relaxed) { begun() }
        let chunk = try base.nextChunk()
        progress.bytes.add(chunk?.count ?? 0, ordering: .relaxed)
        return chunk
    }
}

private final class ReportingReceiver: PeerReceiver {
    private let base: any PeerReceiver
    private let reports: SnapshotReports

    init(_ base: any PeerReceiver, _ reports: SnapshotReports) {
        self.base = base
        self.reports = reports
    }

    func received(_ messages: [Message]) { base.received(messages) }
    func unreachable(_ node: NodeID) { base.unreachable(node) }

    func beginSnapshot(_ description: Message) -> (any SnapshotSink)? {
        guard let sink = base.beginSnapshot(description), case .installSnapshot(let snapshot) = description.body else {
            return nil
        }
        reports.note("receiving a snapshot", description.from, snapshot)
        return ReportingSink(sink, from: description.from, snapshot, reports)
    }
}

private final class ReportingSink: SnapshotSink {
    private let base: any SnapshotSink
    private let peer: NodeID
    private let snapshot: SnapshotDescription
    private let reports: SnapshotReports
    private let progress = SnapshotProgress()

    init(_ base: any SnapshotSink, from peer: NodeID, _ snapshot: SnapshotDescription, _ reports: SnapshotReports) {
        self.base = base
        self.peer = peer
        self.snapshot = snapshot
        self.reports = reports
    }

    func write(_ chunk: [UInt8]) throws {
        try base.write(chunk)
        progress.bytes.add(chunk.count, ordering: .relaxed)
    }

    func finish() throws {
        try base.finish()
        reports.note("received a snapshot", peer, snapshot, progress)
    }

    func abort() {
        base.abort()
        reports.note("a snapshot did not arrive whole", level: .warning, peer, snapshot, progress)
    }
}
