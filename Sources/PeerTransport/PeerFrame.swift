internal import ByteCodec
package import RaftCore

/// One frame of a connection between members: `Documentation/formats/peer-protocol.md`, "Frames".
///
/// `length u32 · checksum u32 · body`, both numbers little-endian, the checksum CRC-32C of the body, whose first byte
/// is the kind.
package enum PeerFrame: Equatable, Sendable {
    case hello(PeerHello)
    case welcome(PeerWelcome)
    case refusal(PeerRefusal)
    case messages([Message])
    /// Sent when nothing else says that the sender lives. The number comes back in a ``pong(_:)``.
    case ping(UInt64)
    case pong(UInt64)
    /// An ``Message/Body/installSnapshot(_:)``: what the chunks that follow make up.
    case snapshotBegin(Message)
    /// The receiver takes it: as many chunks may be unacknowledged, each of at most so many bytes.
    case snapshotReady(window: UInt32, chunkBytes: UInt32)
    case snapshotChunk(index: UInt64, [UInt8])
    /// So many chunks have been written.
    case snapshotAcknowledged(UInt64)
    case snapshotEnd(SnapshotTotals)
    /// All of it is stored.
    case snapshotStored
    /// As ``snapshotBegin(_:)``, for a stream that can go on on another connection.
    case snapshotOpen(SnapshotOpening)
    /// As ``snapshotReady(window:chunkBytes:)``, with what has been written already: the stream goes on after it.
    case snapshotReadyAfter(window: UInt32, chunkBytes: UInt32, SnapshotTotals)
    /// The sender will not go on with a stream that was opened.
    case snapshotAbandoned

    /// Both directions of every connection begin with these four bytes.
    package static let magic: [UInt8] = Array("MRTL".utf8)
    package static let headerBytes = 8
    /// The versions that this code speaks.
    package static let versions: ClosedRange<UInt8> = 1...1

    package enum Kind: UInt8, Sendable {
        case hello = 0x01
        case welcome = 0x02
        case refusal = 0x03
        case messages = 0x10
        case ping = 0x11
        case pong = 0x12
        case snapshotBegin = 0x20
        case snapshotReady = 0x21
        case snapshotChunk = 0x22
        case snapshotAcknowledged = 0x23
        case snapshotEnd = 0x24
        case snapshotStored = 0x25
        case snapshotOpen = 0x26
        case snapshotReadyAfter = 0x27
        case snapshotAbandoned = 0x28
    }

    package var kind: Kind {
        switch self {
        case .hello: .hello
        case .welcome: .welcome
        case .refusal: .refusal
        case .messages: .messages
        case .ping: .ping
        case .pong: .pong
        case .snapshotBegin: .snapshotBegin
        case .snapshotReady: .snapshotReady
        case .snapshotChunk: .snapshotChunk
        case .snapshotAcknowledged: .snapshotAcknowledged
        case .snapshotEnd: .snapshotEnd
        case .snapshotStored: .snapshotStored
        case .snapshotOpen: .snapshotOpen
        case .snapshotReadyAfter: .snapshotReadyAfter
        case .snapshotAbandoned: .snapshotAbandoned
        }
    }
}

/// The beginning of a snapshot's stream, or of what is left of it.
package struct SnapshotOpening: Hashable, Sendable {
    /// Tells the streams of one sender apart; drawn at random for each, so that a restarted sender names none of
    /// those from before.
    package var stream: UInt64
    /// The first chunk that the sender can still send: those before were acknowledged, and it has let them go.
    package var firstChunk: UInt64
    /// An ``Message/Body/installSnapshot(_:)``: what all chunks make up.
    package var message: Message

    package init(stream: UInt64, firstChunk: UInt64, message: Message) {
        self.stream = stream
        self.firstChunk = firstChunk
        self.message = message
    }
}

/// What a snapshot came to, the whole of it or its beginning: one end says it, and the other compares.
package struct SnapshotTotals: Hashable, Sendable {
    package var chunks: UInt64 = 0
    package var bytes: UInt64 = 0
    /// CRC-32C of all chunks' payloads, one after the other.
    package var checksum: UInt32 = 0

    package init() {}

    package mutating func add(_ chunk: [UInt8]) {
        chunks += 1
        bytes += UInt64(chunk.count)
        var running = CRC32C(resuming: checksum)
        running.update(chunk)
        checksum = running.value
    }

    init(_ reader: inout ByteReader) throws(DecodingError) {
        chunks = try reader.readUInt64()
        bytes = try reader.readUInt64()
        checksum = try reader.readUInt32()
    }

    func encode(into writer: inout ByteWriter) {
        writer.write(chunks)
        writer.write(bytes)
        writer.write(checksum)
    }
}

// MARK: Encoding

extension PeerFrame {
    /// The whole frame. The transport writes frames of messages by itself, straight into its buffers; this is for the
    /// rare frames, for tests and for the simulator.
    package func encoded(limits: PeerWireLimits = PeerWireLimits()) -> [UInt8] {
        var writer = ByteWriter(reservingCapacity: 64)
        writer.write(0 as UInt64)
        writer.write(kind.rawValue)
        switch self {
        case .hello(let hello): hello.encode(into: &writer)
        case .welcome(let welcome): welcome.encode(into: &writer)
        case .refusal(let refusal): refusal.encode(into: &writer, limits: limits)
        case .messages(let messages): for message in messages { Self.append(message, to: &writer) }
        case .ping(let number), .pong(let number), .snapshotAcknowledged(let number): writer.write(number)
        case .snapshotBegin(let message): Self.append(message, to: &writer)
        case .snapshotReady(let window, let chunkBytes):
            writer.write(window)
            writer.write(chunkBytes)
        case .snapshotChunk(let index, let payload):
            writer.write(index)
            writer.write(payload)
        case .snapshotEnd(let totals):
            totals.encode(into: &writer)
        case .snapshotStored, .snapshotAbandoned: break
        case .snapshotOpen(let opening):
            writer.write(opening.stream)
            writer.write(opening.firstChunk)
            Self.append(opening.message, to: &writer)
        case .snapshotReadyAfter(let window, let chunkBytes, let totals):
            writer.write(window)
            writer.write(chunkBytes)
            totals.encode(into: &writer)
        }
        var bytes = writer.finish()
        unsafe bytes.withUnsafeMutableBytes { unsafe Self.seal($0) }
        return bytes
    }

    private static func append(_ message: Message, to writer: inout ByteWriter) {
        let size = MessageCodec.encodedSize(of: message)
        writer.write(
            unsafe [UInt8](unsafeUninitializedCapacity: size) { memory, count in
                count = unsafe MessageCodec.encode(message, into: UnsafeMutableRawBufferPointer(memory))
            })
    }

    /// Fills in length and checksum of a frame whose body begins ``headerBytes`` after the start of `frame`.
    package static func seal(_ frame: UnsafeMutableRawBufferPointer) {
        precondition(frame.count > headerBytes, "a frame without a body")
        let body = unsafe UnsafeRawBufferPointer(rebasing: frame[headerBytes...])
        unsafe frame.storeBytes(of: UInt32(body.count).littleEndian, toByteOffset: 0, as: UInt32.self)
        unsafe frame.storeBytes(of: CRC32C.checksum(body).littleEndian, toByteOffset: 4, as: UInt32.self)
    }
}

// MARK: Decoding

extension PeerFrame {
    /// Where the first frame's body lies in `bytes`, once all of it is there; nil while it is not. A frame longer than
    /// `limit` is refused as soon as its length is known, and a body is given out only with the right checksum.
    package static func firstBody(
        in bytes: UnsafeRawBufferPointer, limit: Int
    ) throws(PeerWireError) -> Range<Int>? {
        guard bytes.count >= headerBytes else { return nil }
        let length = unsafe Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt32.self)))
        guard length > 0 else { throw .emptyFrame }
        guard length <= limit else { throw .frameTooLarge(bytes: length, limit: limit) }
        guard bytes.count - headerBytes >= length else { return nil }
        let expected = unsafe UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
        let range = headerBytes..<headerBytes + length
        guard unsafe CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[range])) == expected else {
            throw .wrongChecksum
        }
        return range
    }

    /// The kind of a frame, from its body.
    package static func kind(ofBody body: UnsafeRawBufferPointer) throws(PeerWireError) -> Kind {
        guard let first = unsafe body.first else { throw .emptyFrame }
        guard let kind = Kind(rawValue: first) else { throw .unknownFrame(first) }
        return kind
    }

    /// Reads a frame's body; the checksum was checked.
    package init(
        body: UnsafeRawBufferPointer, limits: PeerWireLimits = PeerWireLimits()
    ) throws(PeerWireError) {
        let kind = unsafe try Self.kind(ofBody: body)
        if kind == .messages {
            var messages: [Message] = []
            unsafe try Self.decodeMessages(body: body, limits: limits, into: &messages)
            self = .messages(messages)
            return
        }
        var reader = unsafe ByteReader(UnsafeRawBufferPointer(rebasing: body[1...]))
        do throws(DecodingError) {
            self = try Self.decode(kind, from: &reader, limits: limits)
            // What a later version adds to the handshake comes at its end, and is passed over by this one.
            if kind != .hello, kind != .welcome, kind != .refusal { try reader.expectEnd() }
        } catch {
            throw .malformed(error)
        }
    }

    private static func decode(
        _ kind: Kind, from reader: inout ByteReader, limits: PeerWireLimits
    ) throws(DecodingError) -> PeerFrame {
        switch kind {
        case .hello: return .hello(try PeerHello(&reader))
        case .welcome: return .welcome(try PeerWelcome(&reader))
        case .refusal: return .refusal(try PeerRefusal(&reader, limits: limits))
        case .messages: throw .invalid("messages are decoded apart")
        case .ping: return .ping(try reader.readUInt64())
        case .pong: return .pong(try reader.readUInt64())
        case .snapshotBegin:
            var allowance = MessageCodec.Allowance(limits)
            return .snapshotBegin(try MessageCodec.decode(&reader, allowance: &allowance))
        case .snapshotReady:
            let window = try reader.readUInt32()
            return .snapshotReady(window: window, chunkBytes: try reader.readUInt32())
        case .snapshotChunk:
            let index = try reader.readUInt64()
            guard reader.remaining <= limits.chunkBytes else {
                throw .invalid("a chunk of \(reader.remaining) bytes")
            }
            return .snapshotChunk(index: index, unsafe Array(try reader.readBytes(reader.remaining)))
        case .snapshotAcknowledged: return .snapshotAcknowledged(try reader.readUInt64())
        case .snapshotEnd: return .snapshotEnd(try SnapshotTotals(&reader))
        case .snapshotStored: return .snapshotStored
        case .snapshotOpen:
            let stream = try reader.readUInt64()
            let firstChunk = try reader.readUInt64()
            var allowance = MessageCodec.Allowance(limits)
            let message = try MessageCodec.decode(&reader, allowance: &allowance)
            return .snapshotOpen(SnapshotOpening(stream: stream, firstChunk: firstChunk, message: message))
        case .snapshotReadyAfter:
            let window = try reader.readUInt32()
            let chunkBytes = try reader.readUInt32()
            return .snapshotReadyAfter(window: window, chunkBytes: chunkBytes, try SnapshotTotals(&reader))
        case .snapshotAbandoned: return .snapshotAbandoned
        }
    }

    /// Reads the messages of a frame of that kind; what came before an error stays in `messages`.
    package static func decodeMessages(
        body: UnsafeRawBufferPointer, limits: PeerWireLimits, into messages: inout [Message]
    ) throws(PeerWireError) {
        var reader = unsafe ByteReader(UnsafeRawBufferPointer(rebasing: body.dropFirst()))
        var allowance = MessageCodec.Allowance(limits)
        var count = 0
        do throws(DecodingError) {
            while !reader.isAtEnd {
                count += 1
                if count > limits.messagesPerFrame { throw .invalid("too many messages in a frame") }
                messages.append(try MessageCodec.decode(&reader, allowance: &allowance))
            }
        } catch {
            throw .malformed(error)
        }
    }
}
