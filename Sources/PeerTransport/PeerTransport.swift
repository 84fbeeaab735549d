package import RaftCore

/// Messages between members. Delivery is best effort: messages may be lost, late or out of order, never silently
/// changed, and never delivered twice: a forwarded proposal that came twice would be applied twice. The queue to each
/// peer is bounded, and what does not fit is dropped and reported as unreachable.
package protocol PeerTransport: AnyObject, Sendable {
    /// Queues the messages, in order, to the members they are addressed to, and starts sending. Never blocks.
    func send(_ messages: [Message])
    /// Streams a snapshot on a connection of its own; `source` is read on a thread of the transport's. `completion` is
    /// called once: true when the receiver has stored and checked all of it, false when the stream has failed for good.
    func sendSnapshot(
        _ description: Message, from source: any SnapshotSource, completion: @escaping @Sendable (Bool) -> Void)
    /// Who can be reached where. Members that are not in the list any more are cut off.
    func setPeers(_ peers: [PeerAddress])
    func stop()
}

package struct PeerAddress: Hashable, Sendable {
    package var node: NodeID
    /// `host:port` pairs, tried in turn.
    package var endpoints: [String]

    package init(node: NodeID, endpoints: [String]) {
        self.node = node
        self.endpoints = endpoints
    }
}

/// What arrives from other members. Called on the transport's threads; must not block.
package protocol PeerReceiver: AnyObject, Sendable {
    func received(_ messages: [Message])
    /// The same for a message that comes alone, as most do where little is going on.
    func received(_ message: Message)
    func unreachable(_ node: NodeID)
    /// All of its addresses refuse connections: there is no process of its any more, or not yet. May be said again.
    func gone(_ node: NodeID)
    /// Another member begins to stream a snapshot: where its chunks go, or nil to refuse it.
    func beginSnapshot(_ description: Message) -> (any SnapshotSink)?
}

extension PeerReceiver {
    package func received(_ message: Message) { received([message]) }
}

/// A snapshot that can be read from its start, chunk by chunk, on one thread.
package protocol SnapshotSource: AnyObject, Sendable {
    /// The next chunk, of at most about 1 MiB; nil at the end.
    func nextChunk() throws -> [UInt8]?
    /// The same for a receiver that can, or cannot, read chunks that are compressed. By default there are none.
    func nextChunk(mayCompress: Bool) throws -> [UInt8]?
}

extension SnapshotSource {
    package func nextChunk(mayCompress: Bool) throws -> [UInt8]? { try nextChunk() }
}

/// Where a snapshot that arrives is put, chunk by chunk, in order, on one thread.
package protocol SnapshotSink: AnyObject, Sendable {
    func write(_ chunk: [UInt8]) throws
    /// All chunks have come and their checksums were right: make it durable, then hand the message to the core.
    func finish() throws
    /// The stream ended early and does not go on, or ``write(_:)`` or ``finish()`` threw. This is the last call; a sink
    /// that has finished gets none.
    func abort()
}
