/// Builds bytes in one growing array: fixed integers little-endian, varints as protobuf has them.
public struct ByteWriter: Sendable {
    @usableFromInline var storage: [UInt8]
    /// What has been written so far.
    @inlinable public var bytes: [UInt8] { storage }

    @inlinable public var count: Int { storage.count }

    @inlinable public init(reservingCapacity capacity: Int = 0) {
        storage = []
        storage.reserveCapacity(capacity)
    }

    /// The bytes written so far; the writer is used up.
    @inlinable public consuming func finish() -> [UInt8] { storage }

    /// Forgets what was written and keeps the memory.
    @inlinable public mutating func removeAll() { storage.removeAll(keepingCapacity: true) }

    @inlinable public mutating func write(_ byte: UInt8) { storage.append(byte) }

    @inlinable public mutating func write(_ value: UInt32) {
        let littleEndian = value.littleEndian
        unsafe withUnsafeBytes(of: littleEndian) { unsafe storage.append(contentsOf: $0) }
    }

    @inlinable public mutating func write(_ value: UInt64) {
        let littleEndian = value.littleEndian
        unsafe withUnsafeBytes(of: littleEndian) { unsafe storage.append(contentsOf: $0) }
    }

    @inlinable public mutating func writeBigEndian(_ value: UInt64) {
        let bigEndian = value.bigEndian
        unsafe withUnsafeBytes(of: bigEndian) { unsafe storage.append(contentsOf: $0) }
    }

    @inlinable public mutating func write(_ raw: UnsafeRawBufferPointer) { unsafe storage.append(contentsOf: raw) }

    @inlinable public mutating func write(_ raw: [UInt8]) { storage.append(contentsOf: raw) }

    @inlinable public mutating func writeVarint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            storage.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        storage.append(UInt8(truncatingIfNeeded: rest))
    }

    /// A varint length, then the bytes.
    @inlinable public mutating func writeLengthPrefixed(_ raw: UnsafeRawBufferPointer) {
        writeVarint(UInt64(raw.count))
        unsafe write(raw)
    }

    @inlinable public mutating func writeLengthPrefixed(_ raw: [UInt8]) {
        writeVarint(UInt64(raw.count))
        write(raw)
    }

    /// Overwrites four bytes that were written before, at `offset`.
    @inlinable public mutating func replace(at offset: Int, with value: UInt32) {
        precondition(offset + 4 <= storage.count, "replacing past the end")
        for byte in 0..<4 { storage[offset + byte] = UInt8(truncatingIfNeeded: value >> (8 * UInt32(byte))) }
    }
}

/// How many bytes `value` takes as a varint: 1 to 10.
@inlinable public func varintLength(_ value: UInt64) -> Int {
    (70 - (value | 1).leadingZeroBitCount) / 7
}
