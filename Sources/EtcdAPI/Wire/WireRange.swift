/// The direction that a range is answered in. Open, as proto3 enums are: a number that is none of these reaches the
/// server, which answers "invalid sort option".
public struct WireSortOrder: RawRepresentable, Hashable, Sendable {
    public var rawValue: Int32
    @inlinable public init(rawValue: Int32) { self.rawValue = rawValue }

    public static let none = WireSortOrder(rawValue: 0)
    public static let ascend = WireSortOrder(rawValue: 1)
    public static let descend = WireSortOrder(rawValue: 2)
}

/// What a range is sorted by. Open, as `WireSortOrder` is.
public struct WireSortTarget: RawRepresentable, Hashable, Sendable {
    public var rawValue: Int32
    @inlinable public init(rawValue: Int32) { self.rawValue = rawValue }

    public static let key = WireSortTarget(rawValue: 0)
    public static let version = WireSortTarget(rawValue: 1)
    public static let create = WireSortTarget(rawValue: 2)
    public static let mod = WireSortTarget(rawValue: 3)
    public static let value = WireSortTarget(rawValue: 4)
}

/// `etcdserverpb.RangeRequest`.
public struct WireRangeRequest<Bytes: WireBytes> {
    public var key: Bytes = .wireEmpty
    public var rangeEnd: Bytes = .wireEmpty
    public var limit: Int64 = 0
    public var revision: Int64 = 0
    public var sortOrder = WireSortOrder.none
    public var sortTarget = WireSortTarget.key
    public var serializable = false
    public var keysOnly = false
    public var countOnly = false
    public var minModRevision: Int64 = 0
    public var maxModRevision: Int64 = 0
    public var minCreateRevision: Int64 = 0
    public var maxCreateRevision: Int64 = 0

    @inlinable public init() {}

    @inlinable public init(key: Bytes, rangeEnd: Bytes = .wireEmpty) {
        self.key = key
        self.rangeEnd = rangeEnd
    }
}

public typealias RangeRequestView = WireRangeRequest<UnsafeRawBufferPointer>

extension WireRangeRequest: Equatable where Bytes: Equatable {}
extension WireRangeRequest: Sendable where Bytes: Sendable {}

extension WireRangeRequest {
    /// The same with its bytes copied.
    public var owned: WireRangeRequest<[UInt8]> {
        var owned = WireRangeRequest<[UInt8]>(key: key.wireArray, rangeEnd: rangeEnd.wireArray)
        owned.limit = limit
        owned.revision = revision
        owned.sortOrder = sortOrder
        owned.sortTarget = sortTarget
        owned.serializable = serializable
        owned.keysOnly = keysOnly
        owned.countOnly = countOnly
        owned.minModRevision = minModRevision
        owned.maxModRevision = maxModRevision
        owned.minCreateRevision = minCreateRevision
        owned.maxCreateRevision = maxCreateRevision
        return owned
    }
}

extension WireRangeRequest: WireDecodable where Bytes == UnsafeRawBufferPointer {
    public mutating func merge(from reader: inout WireReader) throws(WireError) {
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1: key = try reader.bytes(tag)
            case 2: rangeEnd = try reader.bytes(tag)
            case 3: limit = try reader.int64(tag)
            case 4: revision = try reader.int64(tag)
            case 5: sortOrder = WireSortOrder(rawValue: try reader.enumeration(tag))
            case 6: sortTarget = WireSortTarget(rawValue: try reader.enumeration(tag))
            case 7: serializable = try reader.bool(tag)
            case 8: keysOnly = try reader.bool(tag)
            case 9: countOnly = try reader.bool(tag)
            case 10: minModRevision = try reader.int64(tag)
            case 11: maxModRevision = try reader.int64(tag)
            case 12: minCreateRevision = try reader.int64(tag)
            case 13: maxCreateRevision = try reader.int64(tag)
            default: try reader.skip(tag)
            }
        }
    }
}

extension WireRangeRequest: WireEncodable {
    @inlinable public var encodedSize: Int {
        var size = WireSize.bytes(1, key) + WireSize.bytes(2, rangeEnd)
        size += WireSize.int64(3, limit) + WireSize.int64(4, revision)
        size += WireSize.enumeration(5, sortOrder.rawValue) + WireSize.enumeration(6, sortTarget.rawValue)
        size += WireSize.bool(7, serializable) + WireSize.bool(8, keysOnly) + WireSize.bool(9, countOnly)
        size += WireSize.int64(10, minModRevision) + WireSize.int64(11, maxModRevision)
        size += WireSize.int64(12, minCreateRevision) + WireSize.int64(13, maxCreateRevision)
        return size
    }

    @inlinable public func encode<Output: WireOutput>(into output: inout Output) {
        output.bytes(1, key)
        output.bytes(2, rangeEnd)
        output.int64(3, limit)
        output.int64(4, revision)
        output.enumeration(5, sortOrder.rawValue)
        output.enumeration(6, sortTarget.rawValue)
        output.bool(7, serializable)
        output.bool(8, keysOnly)
        output.bool(9, countOnly)
        output.int64(10, minModRevision)
        output.int64(11, maxModRevision)
        output.int64(12, minCreateRevision)
        output.int64(13, maxCreateRevision)
    }
}

/// `etcdserverpb.RangeResponse`.
public struct WireRangeResponse<Bytes: WireBytes> {
    public var header: WireHeader?
    public var kvs: [WireKeyValue<Bytes>] = []
    public var more = false
    public var count: Int64 = 0

    @inlinable public init() {}

    @inlinable public init(header: WireHeader?, kvs: [WireKeyValue<Bytes>], more: Bool, count: Int64) {
        self.header = header
        self.kvs = kvs
        self.more = more
        self.count = count
    }
}

public typealias RangeResponseView = WireRangeResponse<UnsafeRawBufferPointer>

extension WireRangeResponse: Equatable where Bytes: Equatable {}
extension WireRangeResponse: Sendable where Bytes: Sendable {}

extension WireRangeResponse {
    /// The same with its bytes copied.
    public var owned: WireRangeResponse<[UInt8]> {
        WireRangeResponse<[UInt8]>(header: header, kvs: kvs.map(\.owned), more: more, count: count)
    }
}

extension WireRangeResponse: WireDecodable where Bytes == UnsafeRawBufferPointer {
    public mutating func merge(from reader: inout WireReader) throws(WireError) {
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1: try reader.mergeHeader(tag, into: &header)
            case 2: kvs.append(try reader.element(tag, after: kvs.count))
            case 3: more = try reader.bool(tag)
            case 4: count = try reader.int64(tag)
            default: try reader.skip(tag)
            }
        }
    }
}

extension WireRangeResponse: WireEncodable {
    @inlinable public var encodedSize: Int {
        WireSize.message(1, header) + WireSize.messages(2, kvs) + WireSize.bool(3, more) + WireSize.int64(4, count)
    }

    @inlinable public func encode<Output: WireOutput>(into output: inout Output) {
        output.message(1, header)
        output.messages(2, kvs)
        output.bool(3, more)
        output.int64(4, count)
    }
}

/// A `RangeResponse` that is written while the range is still being read: each pair as the cursor stands on it, and
/// what is known only at the end after them. Protobuf lets fields come in any order, and every decoder must take them
/// so (<https://protobuf.dev/programming-guides/encoding/#order>).
public enum WireRangeResponseStream {
    /// The field of the pairs.
    public static let pairField = 2

    /// How many bytes `append` writes for this pair.
    @inlinable public static func size<Bytes: WireBytes>(of pair: WireKeyValue<Bytes>) -> Int {
        WireSize.message(2, pair)
    }

    /// Writes one more pair.
    @inlinable public static func append<Bytes: WireBytes, Output: WireOutput>(
        _ pair: WireKeyValue<Bytes>, to output: inout Output
    ) {
        output.message(2, pair)
    }

    /// The most that `finish` writes: three varints and a header of four.
    public static let tailSizeMax = 2 + 4 * 11 + 2 + 11

    /// Writes what comes after the last pair.
    @inlinable public static func finish<Output: WireOutput>(
        header: WireHeader, more: Bool, count: Int64, to output: inout Output
    ) {
        output.message(1, header)
        output.bool(3, more)
        output.int64(4, count)
    }
}
