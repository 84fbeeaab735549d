/// `etcdserverpb.CompactionRequest`. Its answer is a `WireHeaderOnlyResponse`.
public struct WireCompactionRequest: Equatable, Sendable {
    public var revision: Int64 = 0
    public var physical = false

    public init() {}

    public init(revision: Int64, physical: Bool = false) {
        self.revision = revision
        self.physical = physical
    }
}

extension WireCompactionRequest: WireDecodable, WireEncodable {
    public mutating func merge(from reader: inout WireReader) throws(WireError) {
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1: revision = try reader.int64(tag)
            case 2: physical = try reader.bool(tag)
            default: try reader.skip(tag)
            }
        }
    }

    @inlinable public var encodedSize: Int { WireSize.int64(1, revision) + WireSize.bool(2, physical) }

    @inlinable public func encode<Output: WireOutput>(into output: inout Output) {
        output.int64(1, revision)
        output.bool(2, physical)
    }
}
