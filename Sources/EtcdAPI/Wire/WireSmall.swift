/// A message that is one number in field 1: `WatchCancelRequest`, `LeaseKeepAliveRequest`, `LeaseRevokeRequest`.
public struct WireNumberRequest: Equatable, Sendable {
    public var number: Int64 = 0

    public init() {}
    public init(_ number: Int64) { self.number = number }
}

extension WireNumberRequest: WireDecodable, WireEncodable {
    public mutating func merge(from reader: inout WireReader) throws(WireError) {
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1: number = try reader.int64(tag)
            default: try reader.skip(tag)
            }
        }
    }

    @inlinable public var encodedSize: Int { WireSize.int64(1, number) }

    @inlinable public func encode<Output: WireOutput>(into output: inout Output) { output.int64(1, number) }
}

/// A message without fields: `WatchProgressRequest` and others.
public struct WireEmpty: Equatable, Sendable {
    public init() {}
}

extension WireEmpty: WireDecodable, WireEncodable {
    public mutating func merge(from reader: inout WireReader) throws(WireError) {
        while let tag = try reader.nextTag() { try reader.skip(tag) }
    }

    @inlinable public var encodedSize: Int { 0 }

    @inlinable public func encode<Output: WireOutput>(into output: inout Output) {}
}
