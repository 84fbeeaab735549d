/// `etcdserverpb.ResponseHeader`: who answered, and at which revision.
public struct WireHeader: Equatable, Sendable {
    public var clusterID: UInt64 = 0
    public var memberID: UInt64 = 0
    public var revision: Int64 = 0
    public var raftTerm: UInt64 = 0

    public init() {}

    public init(clusterID: UInt64, memberID: UInt64, revision: Int64, raftTerm: UInt64) {
        self.clusterID = clusterID
        self.memberID = memberID
        self.revision = revision
        self.raftTerm = raftTerm
    }
}

extension WireHeader: WireDecodable, WireEncodable {
    public mutating func merge(from reader: inout WireReader) throws(WireError) {
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1: clusterID = try reader.uint64(tag)
            case 2: memberID = try reader.uint64(tag)
            case 3: revision = try reader.int64(tag)
            case 4: raftTerm = try reader.uint64(tag)
            default: try reader.skip(tag)
            }
        }
    }

    @inlinable public var encodedSize: Int {
        WireSize.uint64(1, clusterID) + WireSize.uint64(2, memberID) + WireSize.int64(3, revision)
            + WireSize.uint64(4, raftTerm)
    }

    @inlinable public func encode<Output: WireOutput>(into output: inout Output) {
        output.uint64(1, clusterID)
        output.uint64(2, memberID)
        output.int64(3, revision)
        output.uint64(4, raftTerm)
    }
}

/// A response that is its header and nothing else: `CompactionResponse`, `LeaseRevokeResponse`, `DefragmentResponse`
/// and others.
public struct WireHeaderOnlyResponse: Equatable, Sendable {
    public var header: WireHeader?

    public init() {}
    public init(header: WireHeader?) { self.header = header }
}

extension WireHeaderOnlyResponse: WireDecodable, WireEncodable {
    public mutating func merge(from reader: inout WireReader) throws(WireError) {
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1: try reader.mergeHeader(tag, into: &header)
            default: try reader.skip(tag)
            }
        }
    }

    @inlinable public var encodedSize: Int { WireSize.message(1, header) }

    @inlinable public func encode<Output: WireOutput>(into output: inout Output) { output.message(1, header) }
}

extension WireReader {
    mutating func mergeHeader(_ tag: WireTag, into header: inout WireHeader?) throws(WireError) {
        var merged = header ?? WireHeader()
        try merge(tag, into: &merged)
        header = merged
    }
}
