internal import NIOCore
internal import NIOPosix
internal import PeerTransport
internal import RaftCore
internal import Synchronization

/// A stream that can go on on another connection.
struct SnapshotStreamID: Hashable, Sendable {
    var peer: NodeID
    var number: UInt64
}

/// What has come of a snapshot whose connection has broken.
struct KeptSnapshot: Sendable {
    var stream: SnapshotStreamID
    var message: Message
    /// The sink, open, and the thread that it is used on.
    var writer: SnapshotWriter
    var worker: NIOThreadPool
    /// All of it is in the sink.
    var progress: SnapshotTotals
    var report: SnapshotReport?
    /// That of the connection it came on.
    var eventLoop: any EventLoop
    /// Kept when the sink has been aborted, or goes on.
    var released: EventLoopPromise<Void>
}

/// Which streams arrive, and what is kept of one that has broken off. No more than one is kept, for a bounded time: it
/// takes up the receiver's one place for a snapshot, and its disk.
final class ArrivingSnapshots: Sendable {
    enum Claim {
        /// A stream from its start. What was kept of another has to be let go before it is begun.
        case fresh(replacing: KeptSnapshot?)
        case resumed(KeptSnapshot)
        /// It was stored, and its sender has not heard of it.
        case stored
        case refused(PeerRefusal)
    }

    private struct State {
        var isStopped = false
        /// Streams with a connection, and how to close it.
        var active: [SnapshotStreamID: @Sendable () -> Void] = [:]
        var kept: KeptSnapshot?
        var expiry: Scheduled<Void>?
        /// The last stream that was stored whole.
        var stored: SnapshotStreamID?
        /// What is to be let go, until it is.
        var leaving: [ObjectIdentifier: EventLoopFuture<Void>] = [:]

        mutating func takeKept() -> KeptSnapshot? {
            expiry?.cancel()
            expiry = nil
            defer { kept = nil }
            return kept
        }

        /// The caller lets it go; whoever stops the transport meanwhile waits for that.
        mutating func takeKeptToLetGo() -> KeptSnapshot? {
            guard let kept = takeKept() else { return nil }
            leaving[ObjectIdentifier(kept.writer)] = kept.released.futureResult
            return kept
        }
    }

    private let state = Mutex(State())

    // MARK: A stream's connection begins

    /// - Parameter close: closes the connection; may be called on any thread, at any time.
    func claim(
        _ stream: SnapshotStreamID, _ opening: SnapshotOpening, close: @escaping @Sendable () -> Void
    ) -> Claim {
        state.withLock { state in
            if state.stored == stream { return .stored }
            if let closeOlder = state.active[stream] {
                // A sender has one connection at a time: the older one is dead, and only we have not noticed yet. What
                // came on it has to reach the sink first, so the sender has to come again.
                closeOlder()
                return .refused(PeerRefusal(.busy, "this snapshot's stream has another connection here"))
            }
            guard let kept = state.kept, kept.stream == stream else {
                guard opening.firstChunk == 0 else {
                    return .refused(PeerRefusal(.unknownStream, "nothing is kept of this snapshot's stream"))
                }
                return Self.claimFresh(opening.message, &state) { $0.active[stream] = close }
            }
            guard kept.message == opening.message else {
                return .refused(PeerRefusal(.unknownStream, "another snapshot has this stream's number"))
            }
            guard opening.firstChunk <= kept.progress.chunks else {
                return .refused(
                    PeerRefusal(
                        .unknownStream,
                        "\(kept.progress.chunks) chunks are kept, and the sender begins at \(opening.firstChunk)"))
            }
            state.active[stream] = close
            _ = state.takeKept()
            return .resumed(kept)
        }
    }

    /// The same for a stream that cannot go on elsewhere.
    func claim(_ message: Message) -> Claim { state.withLock { Self.claimFresh(message, &$0) { _ in } } }

    private static func claimFresh(_ message: Message, _ state: inout State, then: (inout State) -> Void) -> Claim {
        if let kept = state.kept, message.term < kept.message.term {
            return .refused(PeerRefusal(.notWanted, "a newer leader's snapshot is arriving"))
        }
        then(&state)
        return .fresh(replacing: state.takeKeptToLetGo())
    }

    // MARK: It ends

    func stored(_ stream: SnapshotStreamID) { state.withLock { $0.stored = stream } }

    /// The connection has ended, and nothing is kept.
    func ended(_ stream: SnapshotStreamID) { state.withLock { _ = $0.active.removeValue(forKey: stream) } }

    /// The connection has ended, and what came on it is kept. What was kept before has to be let go; or this one, when
    /// the transport has been stopped.
    func keep(_ snapshot: KeptSnapshot, expiry: Scheduled<Void>) -> KeptSnapshot? {
        state.withLock { state in
            state.active[snapshot.stream] = nil
            if state.isStopped {
                expiry.cancel()
                return snapshot
            }
            let older = state.takeKeptToLetGo()
            state.kept = snapshot
            state.expiry = expiry
            return older
        }
    }

    /// Takes out what is kept, if its stream is meant, to be let go.
    func takeKept(where matches: (SnapshotStreamID) -> Bool) -> KeptSnapshot? {
        state.withLock { state in
            guard let kept = state.kept, matches(kept.stream) else { return nil }
            return state.takeKeptToLetGo()
        }
    }

    /// Aborts a sink that was taken out, on its own thread. Complete when that is done.
    func letGo(_ kept: KeptSnapshot, _ workers: SnapshotWorkers) -> EventLoopFuture<Void> {
        kept.worker.submit { _ in
            kept.writer.abort()
            workers.giveBack(kept.worker)
            kept.released.succeed()
            self.state.withLock { _ = $0.leaving.removeValue(forKey: ObjectIdentifier(kept.writer)) }
        }
        return kept.released.futureResult
    }

    /// From here on nothing is kept. The caller lets go what was, and waits for all that is being let go.
    func stop() -> (kept: KeptSnapshot?, leaving: [EventLoopFuture<Void>]) {
        state.withLock { state in
            state.isStopped = true
            return (state.takeKeptToLetGo(), Array(state.leaving.values))
        }
    }
}
