/// What can be wrong with bytes that were to be decoded.
public enum DecodingError: Error, Equatable, Sendable {
    /// The bytes end before the value does.
    case truncated(needed: Int, available: Int)
    /// A varint of more than ten bytes, or beyond 64 bits.
    case varintTooLong
    /// A value that its field cannot hold.
    case invalid(String)
    /// Bytes are left over after the last field.
    case trailingBytes(Int)
}

extension DecodingError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .truncated(let needed, let available): "\(needed) bytes are needed where \(available) are left"
        case .varintTooLong: "a number of more than 64 bits"
        case .invalid(let what): what
        case .trailingBytes(let count): "\(count) bytes are left over"
        }
    }
}

/// Reads values off borrowed bytes, each checked against what is left. The bytes must outlive the reader.
@safe public struct ByteReader {
    @usableFromInline let base: UnsafeRawBufferPointer
    @usableFromInline var position: Int
    /// How many bytes have been read.
    @inlinable public var offset: Int { position }

    @inlinable public init(_ bytes: UnsafeRawBufferPointer) {
        unsafe base = bytes
        position = 0
    }

    @inlinable public var remaining: Int { unsafe base.count - offset }
    @inlinable public var isAtEnd: Bool { remaining == 0 }

    @inlinable public mutating func readByte() throws(DecodingError) -> UInt8 {
        guard remaining >= 1 else { throw .truncated(needed: 1, available: 0) }
        defer { position += 1 }
        return unsafe base[offset]
    }

    @inlinable public mutating func readUInt32() throws(DecodingError) -> UInt32 {
        guard remaining >= 4 else { throw .truncated(needed: 4, available: remaining) }
        defer { position += 4 }
        return unsafe UInt32(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    @inlinable public mutating func readUInt64() throws(DecodingError) -> UInt64 {
        guard remaining >= 8 else { throw .truncated(needed: 8, available: remaining) }
        defer { position += 8 }
        return unsafe UInt64(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    @inlinable public mutating func readUInt64BigEndian() throws(DecodingError) -> UInt64 {
        guard remaining >= 8 else { throw .truncated(needed: 8, available: remaining) }
        defer { position += 8 }
        return unsafe UInt64(bigEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }

    @inlinable public mutating func readVarint() throws(DecodingError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            guard remaining >= 1 else { throw .truncated(needed: 1, available: 0) }
            let byte = unsafe base[offset]
            position += 1
            if shift == 63, byte > 1 { throw .varintTooLong }
            value |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 { return value }
            shift += 7
            if shift > 63 { throw .varintTooLong }
        }
    }

    /// The next `count` bytes, still borrowed.
    @inlinable public mutating func readBytes(_ count: Int) throws(DecodingError) -> UnsafeRawBufferPointer {
        guard count >= 0, remaining >= count else { throw .truncated(needed: count, available: remaining) }
        defer { position += count }
        return unsafe UnsafeRawBufferPointer(rebasing: base[offset..<offset + count])
    }

    /// A varint length, then that many bytes, still borrowed.
    @inlinable public mutating func readLengthPrefixed() throws(DecodingError) -> UnsafeRawBufferPointer {
        let length = try readVarint()
        guard length <= UInt64(remaining) else {
            throw .truncated(needed: Int(clamping: length), available: remaining)
        }
        return unsafe try readBytes(Int(length))
    }

    @inlinable public mutating func readLengthPrefixedArray() throws(DecodingError) -> [UInt8] {
        unsafe Array(try readLengthPrefixed())
    }

    @inlinable public func expectEnd() throws(DecodingError) {
        guard isAtEnd else { throw .trailingBytes(remaining) }
    }
}
