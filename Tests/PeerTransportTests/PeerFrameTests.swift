import ByteCodec
import PeerTransport
import Platform
import RaftCore
import Testing

@Suite struct `Peer frames` {
    let hello = PeerHello(
        versions: 1...3, purpose: .snapshot, features: PeerFeatures(rawValue: 5), cluster: 77, from: NodeID(1),
        to: NodeID(2), directory: DirectoryID(9))

    func frames(seed: UInt64) -> [PeerFrame] {
        var samples = MessageSamples(seed: seed)
        var totals = SnapshotTotals()
        totals.add([1, 2, 3])
        totals.add(samples.bytes(upTo: 100))
        return [
            .hello(hello),
            .welcome(
                PeerWelcome(
                    version: 1, features: PeerFeatures(rawValue: 1), cluster: 9, node: NodeID(4), dialler: NodeID(5),
                    directory: DirectoryID(0))),
            .refusal(PeerRefusal(.unknownMember, "who are you?")),
            .messages((0..<20).map { _ in samples.message() }),
            .ping(samples.number()), .pong(samples.number()),
            .snapshotBegin(samples.message(9)),
            .snapshotReady(window: 8, chunkBytes: 1 << 20),
            .snapshotChunk(index: 3, samples.bytes(upTo: 500)),
            .snapshotAcknowledged(17), .snapshotEnd(totals), .snapshotStored,
            .snapshotOpen(
                SnapshotOpening(stream: samples.number(), firstChunk: samples.number(), message: samples.message(9))),
            .snapshotReadyAfter(window: 8, chunkBytes: 1 << 20, totals), .snapshotAbandoned,
        ]
    }

    /// What a receiver makes of bytes that came in one piece.
    func decodeAll(_ bytes: [UInt8], limit: Int = 64 << 20) throws(PeerWireError) -> [PeerFrame] {
        // A copy of exact size, so that reading past the end would be found by the address sanitizer.
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
        defer { copy.deallocate() }
        copy.copyBytes(from: bytes)
        var rest = UnsafeRawBufferPointer(copy)
        var frames: [PeerFrame] = []
        while let range = try PeerFrame.firstBody(in: rest, limit: limit) {
            frames.append(try PeerFrame(body: UnsafeRawBufferPointer(rebasing: rest[range])))
            rest = UnsafeRawBufferPointer(rebasing: rest[range.upperBound...])
        }
        return frames
    }

    @Test func `every frame comes back as it was`() throws {
        for seed in 0..<50 {
            let frames = frames(seed: UInt64(seed))
            #expect(try decodeAll(frames.flatMap { $0.encoded() }) == frames)
        }
    }

    @Test func `a frame is written as the document says`() {
        let body: [UInt8] = [0x11, 8, 7, 6, 5, 4, 3, 2, 1]
        let checksum = CRC32C.checksum(body)
        let header: [UInt8] = [9, 0, 0, 0] + (0..<4).map { UInt8(truncatingIfNeeded: checksum >> (8 * $0)) }
        #expect(PeerFrame.ping(0x0102_0304_0506_0708).encoded() == header + body)
        #expect(
            PeerFrame.hello(hello).encoded()[8...] == [
                0x01, 1, 3, 2, 5, 0, 0, 0, 0, 0, 0, 0,
                77, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0,
                9, 0, 0, 0, 0, 0, 0, 0,
            ])
        var totals = SnapshotTotals()
        (totals.chunks, totals.bytes, totals.checksum) = (3, 0x0201, 0x0403_0201)
        #expect(
            PeerFrame.snapshotReadyAfter(window: 8, chunkBytes: 1 << 20, totals).encoded()[8...] == [
                0x27, 8, 0, 0, 0, 0, 0, 0x10, 0,
                3, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4,
            ])
        #expect(PeerFrame.snapshotAbandoned.encoded()[8...] == [0x28])
        let message = Message(
            from: NodeID(1), to: NodeID(2), term: Term(3),
            body: .installSnapshot(
                SnapshotDescription(
                    index: LogIndex(100), term: Term(2), configuration: Configuration(voters: [NodeID(1)]))))
        #expect(
            PeerFrame.snapshotOpen(SnapshotOpening(stream: 0x0807, firstChunk: 5, message: message)).encoded()[8...]
                == [0x26, 7, 8, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0]
                + PeerFrame.snapshotBegin(message).encoded()[9...])
    }

    @Test func `a frame that is not there yet is waited for`() throws {
        for frame in frames(seed: 3) {
            let bytes = frame.encoded()
            for length in 0..<bytes.count { #expect(try decodeAll(Array(bytes[..<length])) == []) }
        }
    }

    @Test func `any flipped bit is noticed`() {
        for frame in frames(seed: 4) {
            let bytes = frame.encoded()
            for bit in 0..<min(bytes.count, 100) * 8 {
                var changed = bytes
                changed[bit / 8] ^= 1 << (bit % 8)
                // A longer length waits for more; everything else is an error.
                let result = Result { () throws(PeerWireError) in try decodeAll(changed) }
                if case .success(let frames) = result { #expect(frames.isEmpty && bit < 32) }
            }
        }
    }

    @Test func `a frame over the limit is refused by its header alone`() {
        let header: [UInt8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]
        #expect(throws: PeerWireError.frameTooLarge(bytes: 0xffff_ffff, limit: 64 << 20)) { try decodeAll(header) }
        #expect(throws: PeerWireError.emptyFrame) { try decodeAll([UInt8](repeating: 0, count: 8)) }
    }

    @Test func `bodies of random bytes never trap`() {
        var samples = MessageSamples(seed: 5)
        let kinds: [UInt8] = [1, 2, 3, 0x10, 0x11, 0x12] + Array(0x20...0x29) + [0xff]
        for _ in 0..<40_000 {
            let body = [kinds[samples.random.below(kinds.count)]] + samples.bytes(upTo: 60)
            body.withUnsafeBytes { _ = try? PeerFrame(body: $0) }
        }
    }

    @Test func `later versions may add to the handshake, and to nothing else`() throws {
        for frame in frames(seed: 6) where frame.kind != .messages && frame.kind != .snapshotChunk {
            let body = frame.encoded()[8...] + [1, 2, 3]
            let decoded = body.withUnsafeBytes { body in
                Result { () throws(PeerWireError) in try PeerFrame(body: body) }
            }
            switch frame.kind {
            case .hello, .welcome, .refusal: #expect(try decoded.get() == frame)
            default: #expect(throws: PeerWireError.malformed(.trailingBytes(3))) { try decoded.get() }
            }
        }
    }

    @Test func `a refusal with an unknown code still refuses, and its text cannot break a log line`() throws {
        let body: [UInt8] = [3, 200, 3, 65, 10, 66]
        let frame = try body.withUnsafeBytes { body throws(PeerWireError) in try PeerFrame(body: body) }
        #expect(frame == .refusal(PeerRefusal(.other, "A B")))
        let long = PeerFrame.refusal(PeerRefusal(.busy, String(repeating: "x", count: 1_000))).encoded()
        #expect(try decodeAll(long) == [.refusal(PeerRefusal(.busy, String(repeating: "x", count: 256)))])
    }

    @Test func `the newest common version is chosen`() {
        #expect(hello.newestCommonVersion(with: 1...1) == 1)
        #expect(hello.newestCommonVersion(with: 2...9) == 3)
        #expect(hello.newestCommonVersion(with: 4...9) == nil)
    }

    @Test func `totals tell chunks apart`() {
        var one = SnapshotTotals()
        var other = SnapshotTotals()
        one.add([1, 2, 3])
        one.add([4])
        other.add([1, 2, 3, 4])
        #expect(one.checksum == other.checksum && one.checksum == CRC32C.checksum([1, 2, 3, 4]))
        #expect(one.chunks == 2 && other.chunks == 1 && one.bytes == 4)
    }
}
