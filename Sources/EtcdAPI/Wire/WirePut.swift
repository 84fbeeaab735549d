/// `etcdserverpb.PutRequest`.
public struct WirePutRequest<Bytes: WireBytes> {
    public var key: Bytes = .wireEmpty
    public var value: Bytes = .wireEmpty
    public var lease: Int64 = 0
    public var prevKV = false
    public var ignoreValue = false
    public var ignoreLease = false

    @inlinable public init() {}

    @inlinable public init(key: Bytes, value: Bytes, lease: Int64 = 0) {
        self.key = key
        self.value = value
        self.lease = lease
    }
}

public typealias PutRequestView = WirePutRequest<UnsafeRawBufferPointer>

extension WirePutRequest: Equatable where Bytes: Equatable {}
extension WirePutRequest: Sendable where Bytes: Sendable {}

extension WirePutRequest {
    /// The same with its bytes copied.
    public var owned: WirePutRequest<[UInt8]> {
        var owned = WirePutRequest<[UInt8]>(key: key.wireArray, value: value.wireArray, lease: lease)
        owned.prevKV = prevKV
        owned.ignoreValue = ignoreValue
        owned.ignoreLease = ignoreLease
        return owned
    }
}

extension WirePutRequest: WireDecodable where Bytes == UnsafeRawBufferPointer {
    public mutating func merge(from reader: inout WireReader) throws(WireError) {
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1: key = try reader.bytes(tag)
            case 2: value = try reader.bytes(tag)
            case 3: lease = try reader.int64(tag)
            case 4: prevKV = try reader.bool(tag)
            case 5: ignoreValue = try reader.bool(tag)
            case 6: ignoreLease = try reader.bool(tag)
            default: try reader.skip(tag)
            }
        }
    }
}

extension WirePutRequest: WireEncodable {
    @inlinable public var encodedSize: Int {
        WireSize.bytes(1, key) + WireSize.bytes(2, value) + WireSize.int64(3, lease) + WireSize.bool(4, prevKV)
            + WireSize.bool(5, ignoreValue) + WireSize.bool(6, ignoreLease)
    }

    @inlinable public func encode<Output: WireOutput>(into output: inout Output) {
        output.bytes(1, key)
        output.bytes(2, value)
        output.int64(3, lease)
        output.bool(4, prevKV)
        output.bool(5, ignoreValue)
        output.bool(6, ignoreLease)
    }
}

/// `etcdserverpb.PutResponse`.
public struct WirePutResponse<Bytes: WireBytes> {
    public var header: WireHeader?
    public var prevKV: WireKeyValue<Bytes>?

    @inlinable public init() {}

    @inlinable public init(header: WireHeader?, prevKV: WireKeyValue<Bytes>? = nil) {
        self.header = header
        self.prevKV = prevKV
    }
}

public typealias PutResponseView = WirePutResponse<UnsafeRawBufferPointer>

extension WirePutResponse: Equatable where Bytes: Equatable {}
extension WirePutResponse: Sendable where Bytes: Sendable {}

extension WirePutResponse {
    /// The same with its bytes copied.
    public var owned: WirePutResponse<[UInt8]> {
        WirePutResponse<[UInt8]>(header: header, prevKV: prevKV?.owned)
    }
}

extension WirePutResponse: WireDecodable where Bytes == UnsafeRawBufferPointer {
    public mutating func merge(from reader: inout WireReader) throws(WireError) {
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1: try reader.mergeHeader(tag, into: &header)
            case 2: try reader.mergeKeyValue(tag, into: &prevKV)
            default: try reader.skip(tag)
            }
        }
    }
}

extension WirePutResponse: WireEncodable {
    @inlinable public var encodedSize: Int { WireSize.message(1, header) + WireSize.message(2, prevKV) }

    @inlinable public func encode<Output: WireOutput>(into output: inout Output) {
        output.message(1, header)
        output.message(2, prevKV)
    }
}
