/// `etcdserverpb.LeaseKeepAliveResponse`. Its request, and `LeaseRevokeRequest`, are a `WireNumberRequest`.
public struct WireLeaseKeepAliveResponse: Equatable, Sendable {
    public var header: WireHeader?
    public var id: Int64 = 0
    /// In seconds; 0 when the lease is gone.
    public var ttl: Int64 = 0

    public init() {}

    public init(header: WireHeader?, id: Int64, ttl: Int64) {
        self.header = header
        self.id = id
        self.ttl = ttl
    }
}

extension WireLeaseKeepAliveResponse: WireDecodable, WireEncodable {
    public mutating func merge(from reader: inout WireReader) throws(WireError) {
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1: try reader.mergeHeader(tag, into: &header)
            case 2: id = try reader.int64(tag)
            case 3: ttl = try reader.int64(tag)
            default: try reader.skip(tag)
            }
        }
    }

    @inlinable public var encodedSize: Int {
        WireSize.message(1, header) + WireSize.int64(2, id) + WireSize.int64(3, ttl)
    }

    @inlinable public func encode<Output: WireOutput>(into output: inout Output) {
        output.message(1, header)
        output.int64(2, id)
        output.int64(3, ttl)
    }
}
