import Raft
import Synchronization

/// A transport as a user would write one: members in one process, each with a queue and a task that empties it.
final class Bus: Sendable {
    fileprivate let ends = Mutex<[NodeID: TransportInbox]>([:])
    func inbox(_ id: NodeID) -> TransportInbox? { ends.withLock { $0[id] } }
}

final class BusTransport: MessageTransport {
    private let bus: Bus
    private let own = Mutex<NodeID>(0)
    private let queue: AsyncStream<([UInt8], NodeID)>.Continuation
    private let task = Mutex<Task<Void, Never>?>(nil)
    private let messages: AsyncStream<([UInt8], NodeID)>
    let peers = Mutex<[RaftPeer]>([])

    init(_ bus: Bus) {
        self.bus = bus
        (messages, queue) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(1_000))
    }

    func start(as id: NodeID, inbox: TransportInbox) throws {
        own.withLock { $0 = id }
        bus.ends.withLock { $0[id] = inbox }
        let (bus, messages) = (bus, messages)
        task.withLock { task in
            task = Task {
                for await (message, peer) in messages {
                    guard let end = bus.inbox(peer) else {
                        inbox.unreachable(peer)
                        continue
                    }
                    try? end.receive(message, from: id)
                }
            }
        }
    }

    func setPeers(_ new: [RaftPeer]) { peers.withLock { $0 = new } }
    func send(_ message: [UInt8], to peer: NodeID) { queue.yield((message, peer)) }

    func sendSnapshot(
        _ header: [UInt8], chunks: SnapshotChunks, to peer: NodeID, completion: @escaping @Sendable (Bool) -> Void
    ) {
        let id = own.withLock { $0 }
        Task { [bus] in
            guard let upload = try? bus.inbox(peer)?.beginSnapshot(header, from: id) else { return completion(false) }
            do {
                while let chunk = try chunks.next() { try upload.write(chunk) }
                try upload.finish()
                completion(true)
            } catch {
                upload.abort()
                completion(false)
            }
        }
    }

    func stop() {
        queue.finish()
        task.withLock { $0?.cancel() }
        _ = bus.ends.withLock { $0.removeValue(forKey: own.withLock { $0 }) }
    }

    func isConnected(to peer: NodeID) -> Bool? { bus.inbox(peer) != nil }
}
