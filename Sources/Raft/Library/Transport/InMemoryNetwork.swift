import PeerTransport
import PlatformPOSIX
public import RaftCore
import Synchronization

/// The way between members in one process. Connections can be cut, to see what happens then.
public final class InMemoryNetwork: Sendable {
    private struct State: Sendable {
        var members: [NodeID: any PeerReceiver] = [:]
        var cuts: Set<Link> = []
        var snapshotsUnderWay = 0
    }

    private struct Link: Hashable, Sendable {
        var from: NodeID
        var to: NodeID
    }

    /// Snapshots that are being sent at once; another one is refused, and asked for again.
    private static let snapshotsMax = 4

    private let state = Mutex(State())

    public init() {}

    /// Nothing goes from `a` to `b` any more; the other way is another call.
    public func cut(from a: NodeID, to b: NodeID) { state.withLock { _ = $0.cuts.insert(Link(from: a, to: b)) } }

    /// Cuts a member off from all others that are there now, both ways.
    public func isolate(_ id: NodeID) {
        state.withLock { state in
            for other in state.members.keys where other != id {
                state.cuts.insert(Link(from: id, to: other))
                state.cuts.insert(Link(from: other, to: id))
            }
        }
    }

    /// Mends all cuts.
    public func heal() { state.withLock { $0.cuts = [] } }

    func attach(_ id: NodeID, _ receiver: any PeerReceiver) throws(RaftError) {
        let isFree = state.withLock { state in
            guard state.members[id] == nil else { return false }
            state.members[id] = receiver
            return true
        }
        guard isFree else { throw .cannotListen("member \(id) is in this network already") }
    }

    func detach(_ id: NodeID) {
        let others = state.withLock { state in
            state.members.removeValue(forKey: id)
            return state.members.filter { !state.cuts.contains(Link(from: $0.key, to: id)) }.map(\.value)
        }
        for other in others { other.gone(id) }
    }

    fileprivate func receiver(from: NodeID, to: NodeID) -> (any PeerReceiver)? {
        state.withLock { state in
            guard state.members[from] != nil, !state.cuts.contains(Link(from: from, to: to)) else { return nil }
            return state.members[to]
        }
    }

    func isConnected(_ a: NodeID, _ b: NodeID) -> Bool {
        receiver(from: a, to: b) != nil && receiver(from: b, to: a) != nil
    }

    fileprivate func beginSnapshot() -> Bool {
        state.withLock { state in
            guard state.snapshotsUnderWay < Self.snapshotsMax else { return false }
            state.snapshotsUnderWay += 1
            return true
        }
    }

    fileprivate func endSnapshot() { state.withLock { $0.snapshotsUnderWay -= 1 } }
}

/// One member's side of an ``InMemoryNetwork``.
final class InMemoryTransport: PeerTransport {
    private let id: NodeID
    private let network: InMemoryNetwork

    init(_ id: NodeID, network: InMemoryNetwork) {
        self.id = id
        self.network = network
    }

    func send(_ messages: [Message]) {
        var place = 0
        while place < messages.count {
            // Runs to one member stay together.
            let to = messages[place].to
            var end = place + 1
            while end < messages.count, messages[end].to == to { end += 1 }
            if let receiver = network.receiver(from: id, to: to) {
                if end == place + 1 {
                    receiver.received(messages[place])
                } else {
                    // A copy even if it is all of them: the sender empties its array and uses it again.
                    receiver.received(messages[place..<end].map { $0 })
                }
            } else {
                network.receiver(from: id, to: id)?.unreachable(to)
            }
            place = end
        }
    }

    func sendSnapshot(
        _ description: Message, from source: any SnapshotSource, completion: @escaping @Sendable (Bool) -> Void
    ) {
        guard network.beginSnapshot() else { return completion(false) }
        SystemThread.start(name: "raft-snapshot") { [network, id] in
            defer { network.endSnapshot() }
            guard let sink = network.receiver(from: id, to: description.to)?.beginSnapshot(description) else {
                return completion(false)
            }
            do {
                while let chunk = try source.nextChunk() {
                    guard network.receiver(from: id, to: description.to) != nil else { throw CancellationError() }
                    try sink.write(chunk)
                }
                try sink.finish()
                completion(true)
            } catch {
                sink.abort()
                completion(false)
            }
        }
    }

    func setPeers(_ peers: [PeerAddress]) {}
    func stop() { network.detach(id) }
}
