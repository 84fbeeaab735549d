import ByteCodec
import PeerTransport
import Platform
import RaftCore
import Testing

@Suite struct `Message codec` {
    func encode(_ message: Message) -> [UInt8] {
        let size = MessageCodec.encodedSize(of: message)
        var bytes = [UInt8](repeating: 0xee, count: size)
        let written = bytes.withUnsafeMutableBytes { MessageCodec.encode(message, into: $0) }
        #expect(written == size)
        return bytes
    }

    func decode(_ bytes: [UInt8], limits: PeerWireLimits = PeerWireLimits()) throws(ByteCodec.DecodingError) -> Message
    {
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
        defer { copy.deallocate() }
        copy.copyBytes(from: bytes)
        var reader = ByteReader(UnsafeRawBufferPointer(copy))
        var allowance = MessageCodec.Allowance(limits)
        let message = try MessageCodec.decode(&reader, allowance: &allowance)
        try reader.expectEnd()
        return message
    }

    @Test func `every shape of message comes back as it was`() throws {
        var samples = MessageSamples(seed: 1)
        for round in 0..<300 {
            for shape in 0..<MessageSamples.shapes {
                let message = samples.message(shape)
                #expect(try decode(encode(message)) == message, "round \(round), shape \(shape)")
            }
        }
    }

    @Test func `the largest numbers come back`() throws {
        let entry = Entry(index: LogIndex(.max), term: Term(.max), payload: [])
        let after = Entry(index: LogIndex(0), term: Term(.max), payload: [1])
        let message = Message(
            from: NodeID(.max), to: NodeID(.max), term: Term(.max),
            body: .appendEntries(
                AppendEntries(
                    previousIndex: LogIndex(.max), previousTerm: Term(.max), commit: LogIndex(.max),
                    entries: [entry, after])))
        #expect(try decode(encode(message)) == message)
    }

    @Test func `an append is written as the document says`() {
        let message = Message(
            from: NodeID(1), to: NodeID(2), term: Term(3),
            body: .appendEntries(
                AppendEntries(
                    previousIndex: LogIndex(299), previousTerm: Term(2), commit: LogIndex(7),
                    entries: [
                        Entry(index: LogIndex(300), term: Term(3), payload: [0xaa, 0xbb]),
                        Entry(index: LogIndex(301), term: Term(3), kind: .configuration, payload: []),
                    ])))
        #expect(
            encode(message) == [
                0x01, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3,
                0xab, 0x02, 2, 7, 2,
                0x80, 3, 2, 0xaa, 0xbb,
                0xc1, 0,
            ])
    }

    @Test func `a message cut short anywhere is an error`() {
        var samples = MessageSamples(seed: 2)
        for shape in 0..<MessageSamples.shapes {
            let bytes = encode(samples.message(shape))
            for length in 0..<bytes.count {
                #expect(throws: ByteCodec.DecodingError.self) { try decode(Array(bytes[..<length])) }
            }
        }
    }

    @Test func `changed and random bytes never trap, and what decodes can be encoded`() {
        var samples = MessageSamples(seed: 3)
        var decoded = 0
        for _ in 0..<20_000 {
            var bytes = encode(samples.message())
            for _ in 0...samples.random.below(3) {
                bytes[samples.random.below(bytes.count)] = UInt8(truncatingIfNeeded: samples.random.next())
            }
            if samples.random.oneIn(4) { bytes += samples.bytes(upTo: 20) }
            if let message = try? decode(bytes) {
                decoded += 1
                #expect(try! decode(encode(message)) == message)
            }
        }
        for _ in 0..<20_000 {
            var bytes = samples.bytes(upTo: 64)
            if !bytes.isEmpty { bytes[0] = UInt8(samples.random.below(17)) }
            if let message = try? decode(bytes) {
                decoded += 1
                #expect(try! decode(encode(message)) == message)
            }
        }
        #expect(decoded > 1_000)
    }

    @Test func `counts beyond what is there are refused before memory is taken`() {
        // An append that claims 2^62 entries, and one that claims as many as a frame could hold.
        for count in [UInt64(1) << 62, 1 << 30, 5] {
            var writer = ByteWriter()
            writer.write(1 as UInt8)
            writer.write(1 as UInt64)
            writer.write(2 as UInt64)
            for _ in 0..<4 { writer.writeVarint(1) }
            writer.writeVarint(count)
            writer.write([0xc0, 0, 0xc0, 0])
            let bytes = writer.bytes
            #expect(throws: ByteCodec.DecodingError.self) { try decode(bytes) }
        }
    }

    @Test func `more entries than allowed are refused`() throws {
        let entries = (1...10).map { Entry(index: LogIndex(UInt64($0)), term: Term(1), payload: []) }
        let append = AppendEntries(previousIndex: .zero, previousTerm: .zero, commit: .zero, entries: entries)
        let message = Message(from: NodeID(1), to: NodeID(2), term: Term(1), body: .appendEntries(append))
        var limits = PeerWireLimits()
        limits.entriesPerFrame = 10
        #expect(try decode(encode(message), limits: limits) == message)
        limits.entriesPerFrame = 9
        #expect(throws: ByteCodec.DecodingError.invalid("10 entries are too many")) {
            try decode(encode(message), limits: limits)
        }
    }

    @Test func `members out of order or repeated are refused`() {
        var configuration = Configuration(voters: [NodeID(1), NodeID(2)])
        configuration.voters = [NodeID(2), NodeID(2)]
        let description = SnapshotDescription(index: .zero, term: .zero, configuration: configuration)
        let message = Message(from: NodeID(1), to: NodeID(2), term: Term(1), body: .installSnapshot(description))
        #expect(throws: ByteCodec.DecodingError.invalid("members out of order")) { try decode(encode(message)) }
    }
}
