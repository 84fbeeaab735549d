/// `etcdserverpb.DeleteRangeRequest`.
public struct WireDeleteRangeRequest<Bytes: WireBytes> {
    public var key: Bytes = .wireEmpty
    public var rangeEnd: Bytes = .wireEmpty
    public var prevKV = false

    @inlinable public init() {}

    @inlinable public init(key: Bytes, rangeEnd: Bytes = .wireEmpty, prevKV: Bool = false) {
        self.key = key
        self.rangeEnd = rangeEnd
        self.prevKV = prevKV
    }
}

public typealias DeleteRangeRequestView = WireDeleteRangeRequest<UnsafeRawBufferPointer>

extension WireDeleteRangeRequest: Equatable where Bytes: Equatable {}
extension WireDeleteRangeRequest: Sendable where Bytes: Sendable {}

extension WireDeleteRangeRequest {
    /// The same with its bytes copied.
    public var owned: WireDeleteRangeRequest<[UInt8]> {
        WireDeleteRangeRequest<[UInt8]>(key: key.wireArray, rangeEnd: rangeEnd.wireArray, prevKV: prevKV)
    }
}

extension WireDeleteRangeRequest: WireDecodable where Bytes == UnsafeRawBufferPointer {
    public mutating func merge(from reader: inout WireReader) throws(WireError) {
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1: key = try reader.bytes(tag)
            case 2: rangeEnd = try reader.bytes(tag)
            case 3: prevKV = try reader.bool(tag)
            default: try reader.skip(tag)
            }
        }
    }
}

extension WireDeleteRangeRequest: WireEncodable {
    @inlinable public var encodedSize: Int {
        WireSize.bytes(1, key) + WireSize.bytes(2, rangeEnd) + WireSize.bool(3, prevKV)
    }

    @inlinable public func encode<Output: WireOutput>(into output: inout Output) {
        output.bytes(1, key)
        output.bytes(2, rangeEnd)
        output.bool(3, prevKV)
    }
}

/// `etcdserverpb.DeleteRangeResponse`.
public struct WireDeleteRangeResponse<Bytes: WireBytes> {
    public var header: WireHeader?
    public var deleted: Int64 = 0
    public var prevKVs: [WireKeyValue<Bytes>] = []

    @inlinable public init() {}

    @inlinable public init(header: WireHeader?, deleted: Int64, prevKVs: [WireKeyValue<Bytes>] = []) {
        self.header = header
        self.deleted = deleted
        self.prevKVs = prevKVs
    }
}

public typealias DeleteRangeResponseView = WireDeleteRangeResponse<UnsafeRawBufferPointer>

extension WireDeleteRangeResponse: Equatable where Bytes: Equatable {}
extension WireDeleteRangeResponse: Sendable where Bytes: Sendable {}

extension WireDeleteRangeResponse {
    /// The same with its bytes copied.
    public var owned: WireDeleteRangeResponse<[UInt8]> {
        WireDeleteRangeResponse<[UInt8]>(header: header, deleted: deleted, prevKVs: prevKVs.map(\.owned))
    }
}

extension WireDeleteRangeResponse: WireDecodable where Bytes == UnsafeRawBufferPointer {
    public mutating func merge(from reader: inout WireReader) throws(WireError) {
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1: try reader.mergeHeader(tag, into: &header)
            case 2: deleted = try reader.int64(tag)
            case 3: prevKVs.append(try reader.element(tag, after: prevKVs.count))
            default: try reader.skip(tag)
            }
        }
    }
}

extension WireDeleteRangeResponse: WireEncodable {
    @inlinable public var encodedSize: Int {
        WireSize.message(1, header) + WireSize.int64(2, deleted) + WireSize.messages(3, prevKVs)
    }

    @inlinable public func encode<Output: WireOutput>(into output: inout Output) {
        output.message(1, header)
        output.int64(2, deleted)
        output.messages(3, prevKVs)
    }
}
