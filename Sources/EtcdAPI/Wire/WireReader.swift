/// The six ways in which protobuf lays a value on the wire.
public enum WireType: UInt8, Sendable {
    case varint = 0
    case fixed64 = 1
    case lengthDelimited = 2
    case startGroup = 3
    case endGroup = 4
    case fixed32 = 5
}

/// A field's number and how its value lies on the wire.
public struct WireTag: Equatable, Sendable {
    public let field: Int
    public let type: WireType

    public init(field: Int, type: WireType) {
        self.field = field
        self.type = type
    }
}

/// Reads protobuf fields off borrowed bytes, each checked against what is left. The bytes must outlive the reader and
/// every view that was read from it.
///
/// `ByteCodec.ByteReader` reads single values; this one adds tags, types, unknown fields and depth.
public struct WireReader {
    private let base: UnsafeRawBufferPointer
    private var position = 0
    /// How many messages this one lies in.
    private let depth: Int
    /// How many elements a repeated field of a request may have.
    public let elementsMax: Int

    public init(_ bytes: UnsafeRawBufferPointer, elementsMax: Int = .max) {
        self.init(bytes, depth: 0, elementsMax: elementsMax)
    }

    private init(_ bytes: UnsafeRawBufferPointer, depth: Int, elementsMax: Int) {
        base = bytes
        self.depth = depth
        self.elementsMax = elementsMax
    }

    public var isAtEnd: Bool { position == base.count }

    // MARK: Raw values

    @inline(__always)
    public mutating func readVarint() throws(WireError) -> UInt64 {
        guard position < base.count else { throw .truncated }
        let first = base[position]
        if first < 0x80 {
            position += 1
            return UInt64(first)
        }
        return try readLongVarint()
    }

    private mutating func readLongVarint() throws(WireError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            guard position < base.count else { throw .truncated }
            let byte = base[position]
            position += 1
            // The tenth byte holds the last of 64 bits and nothing else.
            if shift == 63, byte > 1 { throw .varintTooLong }
            value |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
    }

    private mutating func readLengthDelimited() throws(WireError) -> UnsafeRawBufferPointer {
        let length = try readVarint()
        guard length <= UInt64(base.count - position) else { throw .truncated }
        let count = Int(length)
        defer { position += count }
        return UnsafeRawBufferPointer(rebasing: base[position..<position + count])
    }

    // MARK: Fields

    /// The next field's tag, or nil at the end of the message.
    @inline(__always)
    public mutating func nextTag() throws(WireError) -> WireTag? {
        guard position < base.count else { return nil }
        let raw = try readVarint()
        let field = raw >> 3
        guard field >= 1, field <= UInt64(WireLimits.fieldNumberMax),
            let type = WireType(rawValue: UInt8(truncatingIfNeeded: raw & 7))
        else { throw .invalidTag }
        return WireTag(field: Int(field), type: type)
    }

    @inline(__always)
    private func expect(_ type: WireType, _ tag: WireTag) throws(WireError) {
        guard tag.type == type else { throw .wrongWireType(field: tag.field) }
    }

    public mutating func uint64(_ tag: WireTag) throws(WireError) -> UInt64 {
        try expect(.varint, tag)
        return try readVarint()
    }

    public mutating func int64(_ tag: WireTag) throws(WireError) -> Int64 {
        Int64(bitPattern: try uint64(tag))
    }

    public mutating func bool(_ tag: WireTag) throws(WireError) -> Bool {
        try uint64(tag) != 0
    }

    /// An enum's number; proto3 enums are open, and what is beyond 32 bits is cut off.
    public mutating func enumeration(_ tag: WireTag) throws(WireError) -> Int32 {
        Int32(truncatingIfNeeded: try uint64(tag))
    }

    /// The bytes of the field, still borrowed.
    public mutating func bytes(_ tag: WireTag) throws(WireError) -> UnsafeRawBufferPointer {
        try expect(.lengthDelimited, tag)
        return try readLengthDelimited()
    }

    public mutating func string(_ tag: WireTag) throws(WireError) -> String {
        guard let text = String(validating: try bytes(tag), as: UTF8.self) else { throw .invalidUTF8(field: tag.field) }
        return text
    }

    /// The numbers of a repeated enum: one, or a packed run of them.
    public mutating func enumerations(_ tag: WireTag, _ each: (Int32) -> Void) throws(WireError) {
        if tag.type == .varint { return each(try enumeration(tag)) }
        var run = WireReader(try bytes(tag), depth: depth, elementsMax: elementsMax)
        while !run.isAtEnd { each(Int32(truncatingIfNeeded: try run.readVarint())) }
    }

    /// A reader for the message in this field.
    public mutating func message(_ tag: WireTag) throws(WireError) -> WireReader {
        let body = try bytes(tag)
        guard depth < WireLimits.messageDepthMax else { throw .nestedTooDeeply }
        return WireReader(body, depth: depth + 1, elementsMax: elementsMax)
    }

    /// Merges the message in this field into `message`: what is set in both is the later one's, as proto3 asks.
    public mutating func merge<Message: WireDecodable>(
        _ tag: WireTag, into message: inout Message
    ) throws(WireError) {
        var nested = try self.message(tag)
        try message.merge(from: &nested)
    }

    /// The message in this field, as one more element of a repeated field that has `count` already.
    public mutating func element<Message: WireDecodable>(
        _ tag: WireTag, after count: Int
    ) throws(WireError) -> Message {
        guard count < elementsMax else { throw .tooManyElements(field: tag.field) }
        var message = Message()
        try merge(tag, into: &message)
        return message
    }

    /// Steps over a field that this version does not know.
    public mutating func skip(_ tag: WireTag) throws(WireError) {
        try skip(tag, depth: depth)
    }

    private mutating func skip(_ tag: WireTag, depth: Int) throws(WireError) {
        switch tag.type {
        case .varint: _ = try readVarint()
        case .fixed64: try skip(8)
        case .fixed32: try skip(4)
        case .lengthDelimited: _ = try readLengthDelimited()
        case .endGroup: throw .unmatchedEndGroup
        case .startGroup:
            guard depth < WireLimits.messageDepthMax else { throw .nestedTooDeeply }
            while true {
                guard let inner = try nextTag() else { throw .truncated }
                if inner.type == .endGroup {
                    guard inner.field == tag.field else { throw .unmatchedEndGroup }
                    return
                }
                try skip(inner, depth: depth + 1)
            }
        }
    }

    private mutating func skip(_ count: Int) throws(WireError) {
        guard base.count - position >= count else { throw .truncated }
        position += count
    }
}

/// A message that can be read off borrowed bytes.
public protocol WireDecodable {
    /// The message with no field set.
    init()
    /// Takes over every field that is left in `reader`.
    mutating func merge(from reader: inout WireReader) throws(WireError)
}

extension WireDecodable {
    /// The message in `bytes`. What it shows as borrowed is valid while `bytes` is.
    public init(decoding bytes: UnsafeRawBufferPointer) throws(WireError) {
        self.init()
        var reader = WireReader(bytes)
        try merge(from: &reader)
    }

    /// The message in `bytes`, in which no repeated field may have more than `elementsMax` elements.
    public init(decoding bytes: UnsafeRawBufferPointer, elementsMax: Int) throws(WireError) {
        self.init()
        var reader = WireReader(bytes, elementsMax: elementsMax)
        try merge(from: &reader)
    }
}
