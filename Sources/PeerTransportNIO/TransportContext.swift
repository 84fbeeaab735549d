internal import NIOCore
internal import PeerTransport
internal import RaftCore
internal import Synchronization

/// What all parts of one transport share: who is known, which connections and streams are open, and the figures.
final class TransportContext: Sendable {
    let options: NIOPeerTransportOptions
    let receiver: any PeerReceiver
    let workers: SnapshotWorkers
    let arriving = ArrivingSnapshots()
    private let state: Mutex<State>

    private struct Accepted {
        var connection: AcceptedConnection
        /// Once its handshake is done.
        var peer: NodeID?
        var purpose: ConnectionPurpose?
    }

    private struct State {
        var isStopped = false
        var peers: [PeerAddress] = []
        var counters: [NodeID: PeerCounters] = [:]
        var accepted: [ObjectIdentifier: Accepted] = [:]
        var outgoing: [ObjectIdentifier: OutgoingSnapshot] = [:]
        /// Of members that were removed, until they have ended.
        var leaving: [ObjectIdentifier: PeerLink] = [:]
        var loggedRefusals: Set<String> = []
        var refusedConnections: UInt64 = 0
        var malformedConnections: UInt64 = 0
    }

    init(options: NIOPeerTransportOptions, receiver: any PeerReceiver) {
        self.options = options
        self.receiver = receiver
        workers = SnapshotWorkers(
            outgoing: options.limits.outgoingSnapshots, incoming: options.limits.incomingSnapshots)
        state = Mutex(State())
    }

    func log(_ level: PeerTransportLogLevel, _ message: String, _ fields: [(String, String)]) {
        options.log(level, message, fields)
    }

    /// Figures are kept for a member that was removed: a counter that starts over would mislead.
    func counters(of node: NodeID) -> PeerCounters {
        state.withLock { state in
            if let counters = state.counters[node] { return counters }
            let counters = PeerCounters(node)
            state.counters[node] = counters
            return counters
        }
    }

    // MARK: Peers

    func peer(_ node: NodeID) -> PeerAddress? {
        state.withLock { state in state.peers.first { $0.node == node } }
    }

    /// Replaces the list, and cuts off whoever is not known any more.
    func setPeers(_ peers: [PeerAddress]) {
        let open = state.withLock { state in
            state.peers = peers
            return state.accepted.values.compactMap { accepted in accepted.peer.map { (accepted.connection, $0) } }
        }
        for (connection, node) in open where !isKnown(node) { connection.close(.removed) }
        let streams = state.withLock { Array($0.outgoing.values) }
        for stream in streams where peer(stream.target) == nil { stream.cancel(.removed) }
        if let kept = arriving.takeKept(where: { !isKnown($0.peer) }) { letGo(kept, "\(CloseReason.removed)") }
    }

    func isKnown(_ node: NodeID) -> Bool {
        if peer(node) != nil { return true }
        return options.isKnown?(node) ?? false
    }

    func recognise(_ node: NodeID, _ directory: DirectoryID) -> DirectoryRecognition {
        options.recognise?(node, directory) ?? .known
    }

    /// Why a dialled member is not the one that is known; nil if it is.
    func objection(to welcome: PeerWelcome) -> CloseReason? {
        switch recognise(welcome.node, welcome.directory) {
        case .known: nil
        case .another:
            .wrongIdentity(
                "member \(hexadecimal(welcome.node.rawValue)) answers with another data directory than it had: it has "
                    + "lost its memory, and nothing is sent to it")
        case .unknown(let reason): .socket(reason)
        }
    }

    // MARK: Accepted connections

    /// False when there are too many, or the transport has been stopped.
    func register(_ connection: AcceptedConnection) -> Bool {
        state.withLock { state in
            guard !state.isStopped, state.accepted.count < options.limits.acceptedConnections else { return false }
            state.accepted[ObjectIdentifier(connection)] = Accepted(connection: connection)
            return true
        }
    }

    /// The handshake is done: a connection for messages takes the place of an older one from the same member.
    func identify(_ connection: AcceptedConnection, as node: NodeID, purpose: ConnectionPurpose) {
        let replaced = state.withLock { state in
            let older = state.accepted.values.filter {
                $0.peer == node && $0.purpose == purpose && purpose == .messages && $0.connection !== connection
            }
            state.accepted[ObjectIdentifier(connection)]?.peer = node
            state.accepted[ObjectIdentifier(connection)]?.purpose = purpose
            state.loggedRefusals = state.loggedRefusals.filter { !$0.hasPrefix("\(node.rawValue) ") }
            return older.map(\.connection)
        }
        for connection in replaced { connection.close(.replaced) }
    }

    func unregister(_ connection: AcceptedConnection) {
        state.withLock { _ = $0.accepted.removeValue(forKey: ObjectIdentifier(connection)) }
    }

    /// Counts it, and logs it the first time: whoever is refused dials again every second.
    func refused(_ refusal: PeerRefusal, node: NodeID, address: String) {
        let isNew = state.withLock { state in
            state.refusedConnections += 1
            guard state.loggedRefusals.count < options.limits.rememberedReasons else { return false }
            return state.loggedRefusals.insert("\(node.rawValue) \(refusal.code)").inserted
        }
        guard isNew else { return }
        log(
            .warning, "refused a connection from a peer",
            [
                ("remote-peer-id", hexadecimal(node.rawValue)), ("remote-address", address),
                ("reason", "\(refusal.code)"), ("text", refusal.text),
            ])
    }

    func malformed(_ error: PeerWireError, node: NodeID?, address: String) {
        let isNew = state.withLock { state in
            state.malformedConnections += 1
            guard state.loggedRefusals.count < options.limits.rememberedReasons else { return false }
            return state.loggedRefusals.insert("\(node?.rawValue ?? 0) \(error)").inserted
        }
        guard isNew else { return }
        log(
            node == nil ? .debug : .error, "closed a connection for what came on it",
            [
                ("remote-peer-id", node.map { hexadecimal($0.rawValue) } ?? ""), ("remote-address", address),
                ("error", "\(error)"),
            ])
    }

    // MARK: Outgoing snapshots

    /// Nil when the transport has been stopped.
    func register(_ make: () -> OutgoingSnapshot) -> OutgoingSnapshot? {
        state.withLock { state in
            guard !state.isStopped else { return nil }
            let stream = make()
            state.outgoing[ObjectIdentifier(stream)] = stream
            return stream
        }
    }

    func unregister(_ stream: OutgoingSnapshot) {
        state.withLock { _ = $0.outgoing.removeValue(forKey: ObjectIdentifier(stream)) }
    }

    /// Another snapshot goes to that member: streams to it that wait for a connection will not be asked for any more.
    func supersedeStreams(to node: NodeID) {
        let streams = state.withLock { Array($0.outgoing.values) }
        for stream in streams where stream.target == node { stream.supersede() }
    }

    // MARK: Incoming snapshots

    /// Keeps what has come of a snapshot for a while; `completion` is called when that, or its end, is done.
    func keep(_ snapshot: KeptSnapshot, completion: @escaping @Sendable () -> Void) {
        let stream = snapshot.stream
        let expiry = snapshot.eventLoop.scheduleTask(in: options.timings.snapshotKeptTime) {
            if let kept = self.arriving.takeKept(where: { $0 == stream }) {
                self.letGo(kept, "its sender has not come back")
            }
        }
        guard let displaced = arriving.keep(snapshot, expiry: expiry) else { return completion() }
        letGo(displaced, "another one is kept, or the transport was stopped").whenComplete { _ in completion() }
    }

    /// Ends what was kept of a snapshot, with the sink it is in.
    @discardableResult
    func letGo(_ kept: KeptSnapshot, _ reason: String) -> EventLoopFuture<Void> {
        counters(of: kept.stream.peer).update { $0.snapshotsReceivedInPart += 1 }
        kept.report?.log(
            "a snapshot did not arrive whole: \(reason)", bytes: kept.progress.bytes, level: .warning, to: self)
        return arriving.letGo(kept, workers)
    }

    // MARK: The end

    func leave(_ link: PeerLink) {
        state.withLock { $0.leaving[ObjectIdentifier(link)] = link }
        link.stop().whenComplete { _ in
            self.state.withLock { _ = $0.leaving.removeValue(forKey: ObjectIdentifier(link)) }
        }
    }

    /// Closes all that was accepted and all streams; what is returned completes when they, and their sinks, are done.
    func stop() -> [EventLoopFuture<Void>] {
        let (accepted, outgoing, leaving) = state.withLock { state in
            state.isStopped = true
            return (state.accepted.values.map(\.connection), Array(state.outgoing.values), Array(state.leaving.values))
        }
        for connection in accepted { connection.close(.stopped) }
        for stream in outgoing { stream.cancel(.stopped) }
        let (kept, lettingGo) = arriving.stop()
        if let kept { letGo(kept, "\(CloseReason.stopped)") }
        return accepted.map(\.done) + outgoing.map(\.done) + leaving.map { $0.stop() } + lettingGo
    }

    var statistics: TransportStatistics {
        var result = TransportStatistics()
        let counters = state.withLock { state in
            result.refusedConnections = state.refusedConnections
            result.malformedConnections = state.malformedConnections
            result.acceptedConnections = state.accepted.count
            return Array(state.counters.values)
        }
        result.peers = counters.map(\.snapshot).sorted { $0.node < $1.node }
        (result.outgoingSnapshots, result.incomingSnapshots) = workers.inUse
        return result
    }
}
