import ByteCodec
import Platform
import Testing

/// Copies `bytes` into memory of exactly that size, so that a sanitizer sees a read past the end.
private func withReader(_ bytes: [UInt8], _ body: (inout ByteReader) throws -> Void) throws {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
    defer { memory.deallocate() }
    memory.copyBytes(from: bytes)
    var reader = ByteReader(UnsafeRawBufferPointer(memory))
    try body(&reader)
}

@Suite struct ByteReaderTests {
    static let edges: [UInt64] = powers.flatMap { [$0 - 1, $0, $0 + 1] } + [.max, .max - 1]
    static let powers: [UInt64] = (0..<64).map { 1 << $0 }

    @Test func `a varint comes back, in the length that was foretold`() throws {
        for value in Self.edges {
            var writer = ByteWriter()
            writer.writeVarint(value)
            #expect(writer.count == varintLength(value))
            try withReader(writer.bytes) { reader throws in
                #expect(try reader.readVarint() == value)
                #expect(reader.isAtEnd)
            }
        }
    }

    @Test func `a varint that is cut short is truncated, at every place`() throws {
        var writer = ByteWriter()
        writer.writeVarint(.max)
        for count in 0..<writer.count {
            try withReader(Array(writer.bytes.prefix(count))) { reader throws in
                #expect(throws: DecodingError.truncated(needed: 1, available: 0)) { try reader.readVarint() }
            }
        }
    }

    @Test(arguments: [
        [UInt8](repeating: 0xff, count: 11),
        [UInt8](repeating: 0x80, count: 10) + [0],
        [UInt8](repeating: 0xff, count: 9) + [0x02],
        [UInt8](repeating: 0xff, count: 9) + [0x81, 0x00],
    ])
    func `a varint beyond 64 bits is refused`(bytes: [UInt8]) throws {
        try withReader(bytes) { reader throws in
            #expect(throws: DecodingError.varintTooLong) { try reader.readVarint() }
        }
    }

    /// Protobuf allows it, and old writers do it.
    @Test func `a varint with needless bytes is read`() throws {
        try withReader([0x81, 0x80, 0x00]) { reader throws in #expect(try reader.readVarint() == 1) }
        try withReader([UInt8](repeating: 0x80, count: 9) + [0x00]) { reader throws in
            #expect(try reader.readVarint() == 0)
        }
    }

    @Test func `fixed integers have the byte order that their names say`() throws {
        var writer = ByteWriter()
        writer.write(0x0403_0201 as UInt32)
        writer.write(0x0807_0605_0403_0201 as UInt64)
        writer.writeBigEndian(0x0102_0304_0506_0708)
        #expect(writer.bytes == [1, 2, 3, 4] + [1, 2, 3, 4, 5, 6, 7, 8] + [1, 2, 3, 4, 5, 6, 7, 8])
        try withReader(writer.bytes) { reader throws in
            #expect(try reader.readUInt32() == 0x0403_0201)
            #expect(try reader.readUInt64() == 0x0807_0605_0403_0201)
            #expect(try reader.readUInt64BigEndian() == 0x0102_0304_0506_0708)
            try reader.expectEnd()
        }
    }

    @Test func `a length prefix beyond the end is truncated, whatever it says`() throws {
        for length in Self.edges where length > 3 {
            var writer = ByteWriter()
            writer.writeVarint(length)
            writer.write([1, 2, 3])
            try withReader(writer.bytes) { reader throws in
                #expect(throws: DecodingError.truncated(needed: Int(clamping: length), available: 3)) {
                    try reader.readLengthPrefixedArray()
                }
            }
        }
    }

    @Test func `left-over bytes and negative counts are errors`() throws {
        try withReader([1, 2]) { reader throws in
            #expect(throws: DecodingError.truncated(needed: -1, available: 2)) { _ = try reader.readBytes(-1) }
            #expect(try reader.readByte() == 1)
            #expect(throws: DecodingError.trailingBytes(1)) { try reader.expectEnd() }
        }
    }

    @Test func `bytes can be put in later`() throws {
        var writer = ByteWriter(reservingCapacity: 16)
        writer.write([9, 9, 9, 9, 9, 9])
        writer.replace(at: 1, with: 0x0403_0201)
        #expect(writer.finish() == [9, 1, 2, 3, 4, 9])
    }

    @Test func `random calls on random bytes never read past the end and never lose their place`() throws {
        var random = RandomSource(seed: 21)
        for _ in 0..<20_000 {
            let bytes = (0..<random.below(24)).map { _ in
                random.oneIn(3) ? UInt8(0xff) : UInt8(truncatingIfNeeded: random.next())
            }
            try withReader(bytes) { reader throws in
                for _ in 0..<8 {
                    let before = reader.offset
                    do {
                        switch random.below(8) {
                        case 0: _ = try reader.readByte()
                        case 1: _ = try reader.readUInt32()
                        case 2: _ = try reader.readUInt64()
                        case 3: _ = try reader.readUInt64BigEndian()
                        case 4: _ = try reader.readVarint()
                        case 5: _ = Array(try reader.readBytes(random.below(30) - 3))
                        case 6: _ = try reader.readLengthPrefixedArray()
                        default: try reader.expectEnd()
                        }
                    } catch {}
                    #expect(reader.offset >= before && reader.offset <= bytes.count)
                    #expect(reader.remaining == bytes.count - reader.offset)
                }
            }
        }
    }

    @Test func `what a writer wrote a reader reads`() throws {
        var random = RandomSource(seed: 22)
        for _ in 0..<500 {
            let blobs = (0..<random.below(10)).map { _ in (0..<random.below(300)).map { UInt8(truncatingIfNeeded: $0) }
            }
            let numbers = blobs.map { _ in random.next() >> UInt64(random.below(64)) }
            var writer = ByteWriter()
            for (blob, number) in zip(blobs, numbers) {
                writer.writeLengthPrefixed(blob)
                writer.writeVarint(number)
            }
            try withReader(writer.bytes) { reader throws in
                for (blob, number) in zip(blobs, numbers) {
                    #expect(try reader.readLengthPrefixedArray() == blob)
                    #expect(try reader.readVarint() == number)
                }
                try reader.expectEnd()
            }
        }
    }
}
