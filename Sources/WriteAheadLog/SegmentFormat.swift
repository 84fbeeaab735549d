import ByteCodec
import Glibc

/// The bytes of a segment; `Documentation/formats/write-ahead-log.md` is the specification.
enum SegmentFormat {
    static let magic: UInt64 = 0x4c41_574c_5452_414d  // "MARTLWAL" as little-endian bytes
    static let version: UInt32 = 1
    /// A block to itself, so that no write of records rewrites it.
    static let headerBytes = 4096
    static let recordHeaderBytes = 24
    static let alignment = 8
    /// Offsets have 32 bits, and one record beyond `segmentBytes` must fit.
    static let segmentBytesMax = 1 << 30
    static let fileBytesMax = Int(UInt32.max)

    /// `bytes` rounded up to the alignment.
    static func padded(_ bytes: Int) -> Int { (bytes + alignment - 1) & ~(alignment - 1) }

    /// What a record with a payload of `bytes` takes.
    static func recordBytes(_ bytes: Int) -> Int { recordHeaderBytes + padded(bytes) }

    // MARK: Names

    static let suffix = ".wal"
    /// A segment that is being filled, and has no name of its own before it is whole.
    static let preparingSuffix = ".preparing"

    static func name(_ sequence: UInt64) -> String {
        let digits = String(sequence, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits + suffix
    }

    static func preparingName(_ sequence: UInt64) -> String { name(sequence) + preparingSuffix }

    /// The sequence number that a file name stands for; nil if it is not a segment's.
    static func sequence(ofName name: String) -> UInt64? {
        guard name.utf8.count == 16 + suffix.utf8.count, name.hasSuffix(suffix) else { return nil }
        guard let sequence = UInt64(name.prefix(16), radix: 16), sequence > 0 else { return nil }
        return Self.name(sequence) == name ? sequence : nil
    }
}

/// The first block of a segment.
struct SegmentHeader: Equatable {
    var sequence: UInt64
    var salt: UInt64
    /// The file was at least this long before it got its name; a shorter one has been truncated.
    var allocatedBytes: UInt64
    /// The checksum of the last record in the segment before.
    var chain: UInt32
    var identity: [UInt8]

    /// Writes the block, and returns its checksum, which seeds those of the segment's records.
    func encode(into block: UnsafeMutableRawBufferPointer) -> UInt32 {
        precondition(block.count == SegmentFormat.headerBytes, "a header block of \(block.count) bytes")
        if let base = block.baseAddress { unsafe memset(base, 0, block.count) }
        unsafe block.put(SegmentFormat.magic, at: 0)
        unsafe block.put(SegmentFormat.version, at: 8)
        unsafe block.put(sequence, at: 16)
        unsafe block.put(salt, at: 24)
        unsafe block.put(allocatedBytes, at: 32)
        unsafe block.put(chain, at: 40)
        unsafe block.put(UInt32(identity.count), at: 44)
        unsafe UnsafeMutableRawBufferPointer(rebasing: block[48..<48 + identity.count]).copyBytes(from: identity)
        let checksum = unsafe CRC32C.checksum(UnsafeRawBufferPointer(block))
        unsafe block.put(checksum, at: 12)
        return checksum
    }

    /// Reads a header block. The magic and the checksum stand at the same place in every version.
    static func decode(
        _ block: UnsafeRawBufferPointer, segment: UInt64
    ) throws(WALError) -> (header: SegmentHeader, checksum: UInt32) {
        func corrupt(_ offset: Int, _ reason: String) -> WALError {
            .corrupt(segment: segment, offset: offset, reason: reason)
        }
        guard block.count == SegmentFormat.headerBytes else { throw corrupt(0, "the header is cut short") }
        guard unsafe block.get(UInt64.self, at: 0) == SegmentFormat.magic else {
            throw corrupt(0, "not the beginning of a segment")
        }
        let checksum = unsafe block.get(UInt32.self, at: 12)
        var computed = CRC32C()
        unsafe computed.update(UnsafeRawBufferPointer(rebasing: block[..<12]))
        computed.update([0, 0, 0, 0])
        unsafe computed.update(UnsafeRawBufferPointer(rebasing: block[16...]))
        guard computed.value == checksum else { throw corrupt(12, "the header's checksum does not match") }
        let version = unsafe block.get(UInt32.self, at: 8)
        guard version == SegmentFormat.version else { throw .unsupportedVersion(segment: segment, version: version) }
        let identityBytes = unsafe Int(block.get(UInt32.self, at: 44))
        guard (16...64).contains(identityBytes) else { throw corrupt(44, "an identity of \(identityBytes) bytes") }
        let header = unsafe SegmentHeader(
            sequence: block.get(UInt64.self, at: 16), salt: block.get(UInt64.self, at: 24),
            allocatedBytes: block.get(UInt64.self, at: 32), chain: block.get(UInt32.self, at: 40),
            identity: Array(block[48..<48 + identityBytes]))
        return (header, checksum)
    }
}

/// The 24 bytes before a payload.
struct RecordHeader: Equatable {
    var byteCount: UInt32
    var kind: UInt8
    /// How far before this record's its batch's first header begins: 0 for the first. It is what tells a torn batch
    /// from damage to an older one.
    var batchDistance: UInt32
    /// The checksum of the record before.
    var previous: UInt32
    /// Of the payload and its padding.
    var payloadChecksum: UInt32

    /// Distinguishes a header from zeros.
    static let mark: UInt8 = 0xa7

    /// Writes the header, and returns its checksum, which covers the payload's and the previous record's.
    @inline(__always)
    func encode(into bytes: UnsafeMutableRawBufferPointer, seed: UInt32) -> UInt32 {
        unsafe bytes.put(UInt64(byteCount) | UInt64(kind) << 32 | UInt64(Self.mark) << 40, at: 0)
        unsafe bytes.put(batchDistance, at: 8)
        unsafe bytes.put(previous, at: 12)
        unsafe bytes.put(payloadChecksum, at: 16)
        let checksum = unsafe Self.checksum(UnsafeRawBufferPointer(bytes), seed: seed)
        unsafe bytes.put(checksum, at: 20)
        return checksum
    }

    /// Reads a header whose own checksum holds; nil if it does not.
    static func decode(_ bytes: UnsafeRawBufferPointer, seed: UInt32) -> (header: RecordHeader, checksum: UInt32)? {
        // The fixed bytes first: a damaged tail is searched at every eighth byte.
        guard unsafe bytes[5] == mark, unsafe bytes[6] == 0, unsafe bytes[7] == 0 else { return nil }
        let checksum = unsafe bytes.get(UInt32.self, at: 20)
        guard unsafe Self.checksum(bytes, seed: seed) == checksum else { return nil }
        let header = unsafe RecordHeader(
            byteCount: bytes.get(UInt32.self, at: 0), kind: bytes[4], batchDistance: bytes.get(UInt32.self, at: 8),
            previous: bytes.get(UInt32.self, at: 12), payloadChecksum: bytes.get(UInt32.self, at: 16))
        return (header, checksum)
    }

    @inline(__always)
    private static func checksum(_ bytes: UnsafeRawBufferPointer, seed: UInt32) -> UInt32 {
        var checksum = CRC32C(resuming: seed)
        unsafe checksum.update(UnsafeRawBufferPointer(rebasing: bytes[..<20]))
        return checksum.value
    }
}

extension UnsafeMutableRawBufferPointer {
    @inline(__always)
    func put<Value: FixedWidthInteger & BitwiseCopyable>(_ value: Value, at offset: Int) {
        unsafe storeBytes(of: value.littleEndian, toByteOffset: offset, as: Value.self)
    }
}

extension UnsafeRawBufferPointer {
    @inline(__always)
    func get<Value: FixedWidthInteger & BitwiseCopyable>(_: Value.Type, at offset: Int) -> Value {
        unsafe Value(littleEndian: loadUnaligned(fromByteOffset: offset, as: Value.self))
    }
}
