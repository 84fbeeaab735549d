/// `mvccpb.KeyValue`: one version of one key.
public struct WireKeyValue<Bytes: WireBytes> {
    public var key: Bytes = .wireEmpty
    public var createRevision: Int64 = 0
    public var modRevision: Int64 = 0
    public var version: Int64 = 0
    public var value: Bytes = .wireEmpty
    public var lease: Int64 = 0

    @inlinable public init() {}

    @inlinable public init(
        key: Bytes, createRevision: Int64 = 0, modRevision: Int64 = 0, version: Int64 = 0, value: Bytes = .wireEmpty,
        lease: Int64 = 0
    ) {
        self.key = key
        self.createRevision = createRevision
        self.modRevision = modRevision
        self.version = version
        self.value = value
        self.lease = lease
    }
}

/// A key-value pair whose key and value lie in somebody else's memory.
public typealias KeyValueView = WireKeyValue<UnsafeRawBufferPointer>

extension WireKeyValue: Equatable where Bytes: Equatable {}
extension WireKeyValue: Sendable where Bytes: Sendable {}

extension WireKeyValue {
    /// The same with key and value copied.
    public var owned: WireKeyValue<[UInt8]> {
        WireKeyValue<[UInt8]>(
            key: key.wireArray, createRevision: createRevision, modRevision: modRevision, version: version,
            value: value.wireArray, lease: lease)
    }
}

extension WireKeyValue: WireDecodable where Bytes == UnsafeRawBufferPointer {
    public mutating func merge(from reader: inout WireReader) throws(WireError) {
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1: key = try reader.bytes(tag)
            case 2: createRevision = try reader.int64(tag)
            case 3: modRevision = try reader.int64(tag)
            case 4: version = try reader.int64(tag)
            case 5: value = try reader.bytes(tag)
            case 6: lease = try reader.int64(tag)
            default: try reader.skip(tag)
            }
        }
    }
}

extension WireKeyValue: WireEncodable {
    @inlinable public var encodedSize: Int {
        WireSize.bytes(1, key) + WireSize.int64(2, createRevision) + WireSize.int64(3, modRevision)
            + WireSize.int64(4, version) + WireSize.bytes(5, value) + WireSize.int64(6, lease)
    }

    @inlinable public func encode<Output: WireOutput>(into output: inout Output) {
        output.bytes(1, key)
        output.int64(2, createRevision)
        output.int64(3, modRevision)
        output.int64(4, version)
        output.bytes(5, value)
        output.int64(6, lease)
    }
}

extension WireReader {
    mutating func mergeKeyValue(_ tag: WireTag, into keyValue: inout KeyValueView?) throws(WireError) {
        var merged = keyValue ?? KeyValueView()
        try merge(tag, into: &merged)
        keyValue = merged
    }
}
