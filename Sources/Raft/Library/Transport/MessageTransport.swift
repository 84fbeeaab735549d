import ByteCodec
import PeerTransport
import PlatformPOSIX
public import RaftCore

/// A way of your own for members to reach each other: it carries bytes that only members understand.
///
/// Delivery is best effort: messages may be lost, late or out of order, and the cluster copes. They must never be
/// changed, and **never be delivered twice**: a forwarded proposal that came twice would be carried out twice.
public protocol MessageTransport: AnyObject, Sendable {
    /// Begins to carry. Called once; what arrives for `id` goes to `inbox`.
    func start(as id: NodeID, inbox: TransportInbox) throws
    /// Who is there, and where, without this member itself. Called at the start and after each change.
    func setPeers(_ peers: [RaftPeer])
    /// Queues a message and returns at once. One that cannot be sent is dropped, and told to
    /// ``TransportInbox/unreachable(_:)``. The queue should be bounded.
    func send(_ message: [UInt8], to peer: NodeID)
    /// Sends a snapshot: its header to ``TransportInbox/beginSnapshot(_:from:)`` at the other end, then every chunk, in
    /// order. `chunks` is read on a thread that may block. `completion` is called once: true when the other end's
    /// ``SnapshotUpload/finish()`` has returned.
    func sendSnapshot(
        _ header: [UInt8], chunks: SnapshotChunks, to peer: NodeID, completion: @escaping @Sendable (Bool) -> Void)
    /// Ends it; nothing is delivered after this.
    func stop()
    /// Whether messages get to that member now; nil if that cannot be known.
    func isConnected(to peer: NodeID) -> Bool?
}

extension MessageTransport {
    public func isConnected(to peer: NodeID) -> Bool? { nil }
}

/// A snapshot on its way out, chunk by chunk (of half a MiB or so).
public final class SnapshotChunks: Sendable {
    private let source: any SnapshotSource
    init(_ source: any SnapshotSource) { self.source = source }

    /// nil at the end. For one thread at a time.
    public func next() throws -> [UInt8]? { try source.nextChunk() }
}

/// A snapshot on its way in. For one thread at a time, which it may block.
public final class SnapshotUpload: Sendable {
    private let sink: any SnapshotSink
    init(_ sink: any SnapshotSink) { self.sink = sink }

    public func write(_ chunk: [UInt8]) throws { try sink.write(chunk) }
    /// All chunks have come.
    public func finish() throws { try sink.finish() }
    /// No more chunks will come, or one of the other calls has thrown.
    public func abort() { sink.abort() }
}

/// What came that no member has sent to this one.
public struct MalformedMessage: Error, Hashable, Sendable, CustomStringConvertible {
    public var reason: String
    public var description: String { reason }
}

/// Where a ``MessageTransport`` delivers. Its methods may be called on any thread, and do not block.
public final class TransportInbox: Sendable {
    private let receiver: any PeerReceiver
    private let id: NodeID
    private let cluster: UInt64

    init(receiver: any PeerReceiver, id: NodeID, cluster: UInt64) {
        self.receiver = receiver
        self.id = id
        self.cluster = cluster
    }

    /// A message has come.
    /// - Parameters:
    ///   - message: as ``MessageTransport/send(_:to:)`` was given it.
    ///   - sender: who the transport knows to have sent it.
    public func receive(_ message: [UInt8], from sender: NodeID) throws(MalformedMessage) {
        receiver.received(try decode(message, from: sender))
    }

    /// Messages to that member do not get there.
    public func unreachable(_ peer: NodeID) { receiver.unreachable(peer) }

    /// That member's process has ended: connections to it are refused, say, at all of its addresses. If it led, and
    /// more than a heartbeat of it is missed as well, another leader is elected without waiting for an election
    /// timeout. Not to be said of one that only does not answer; said wrongly it does no harm to a leader that the
    /// others hear.
    public func gone(_ peer: NodeID) { receiver.gone(peer) }

    /// A snapshot begins to arrive; nil if it is not wanted.
    public func beginSnapshot(_ header: [UInt8], from sender: NodeID) throws(MalformedMessage) -> SnapshotUpload? {
        let message = try decode(header, from: sender)
        guard case .installSnapshot = message.body else { throw MalformedMessage(reason: "no snapshot's header") }
        return receiver.beginSnapshot(message).map(SnapshotUpload.init)
    }

    private func decode(_ bytes: [UInt8], from sender: NodeID) throws(MalformedMessage) -> Message {
        do {
            let message = try bytes.withUnsafeBytes { raw in
                var reader = ByteReader(raw)
                guard try reader.readByte() == MessageEnvelope.version else {
                    throw MalformedMessage(reason: "a message of another version")
                }
                guard try reader.readUInt64() == cluster else {
                    throw MalformedMessage(reason: "a message of another cluster")
                }
                var allowance = MessageCodec.Allowance(PeerWireLimits())
                let message = try MessageCodec.decode(&reader, allowance: &allowance)
                try reader.expectEnd()
                return message
            }
            guard message.from == sender, message.to == id else {
                throw MalformedMessage(reason: "a message from \(message.from) to \(message.to)")
            }
            return message
        } catch let error as MalformedMessage {
            throw error
        } catch {
            throw MalformedMessage(reason: "\(error)")
        }
    }
}

enum MessageEnvelope {
    static let version: UInt8 = 1
    static let headBytes = 9

    static func encode(_ message: Message, cluster: UInt64) -> [UInt8] {
        let size = MessageCodec.encodedSize(of: message)
        return [UInt8](unsafeUninitializedCapacity: headBytes + size) { buffer, count in
            let raw = UnsafeMutableRawBufferPointer(buffer)
            raw[0] = version
            raw.storeBytes(of: cluster.littleEndian, toByteOffset: 1, as: UInt64.self)
            count =
                headBytes
                + MessageCodec.encode(message, into: UnsafeMutableRawBufferPointer(rebasing: raw[headBytes...]))
        }
    }
}

/// Fits a ``MessageTransport`` to the node.
final class CustomTransport: PeerTransport {
    private let base: any MessageTransport
    private let cluster: UInt64
    private let roles: @Sendable (NodeID) -> RaftPeer.Role

    init(_ base: any MessageTransport, cluster: UInt64, roles: @escaping @Sendable (NodeID) -> RaftPeer.Role) {
        self.base = base
        self.cluster = cluster
        self.roles = roles
    }

    func send(_ messages: [Message]) {
        for message in messages { base.send(MessageEnvelope.encode(message, cluster: cluster), to: message.to) }
    }

    func sendSnapshot(
        _ description: Message, from source: any SnapshotSource, completion: @escaping @Sendable (Bool) -> Void
    ) {
        base.sendSnapshot(
            MessageEnvelope.encode(description, cluster: cluster), chunks: SnapshotChunks(source), to: description.to,
            completion: completion)
    }

    func setPeers(_ peers: [PeerAddress]) {
        base.setPeers(peers.map { RaftPeer(id: $0.node, address: $0.endpoints.first ?? "", role: roles($0.node)) })
    }

    func stop() { base.stop() }
}
