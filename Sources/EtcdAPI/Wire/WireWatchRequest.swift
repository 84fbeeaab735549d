/// The events that a watch does not want.
public struct WireWatchFilters: OptionSet, Sendable {
    public let rawValue: UInt8
    @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let noPut = WireWatchFilters(rawValue: 1)
    public static let noDelete = WireWatchFilters(rawValue: 2)

    /// A number that names no filter filters nothing, as in etcd.
    mutating func insert(enumeration: Int32) {
        switch enumeration {
        case 0: insert(.noPut)
        case 1: insert(.noDelete)
        default: break
        }
    }
}

/// `etcdserverpb.WatchCreateRequest`.
public struct WireWatchCreateRequest<Bytes: WireBytes> {
    public var key: Bytes = .wireEmpty
    public var rangeEnd: Bytes = .wireEmpty
    public var startRevision: Int64 = 0
    public var progressNotify = false
    public var filters: WireWatchFilters = []
    public var prevKV = false
    public var watchID: Int64 = 0
    public var fragment = false

    @inlinable public init() {}
}

public typealias WatchCreateRequestView = WireWatchCreateRequest<UnsafeRawBufferPointer>

extension WireWatchCreateRequest: Equatable where Bytes: Equatable {}
extension WireWatchCreateRequest: Sendable where Bytes: Sendable {}

extension WireWatchCreateRequest {
    /// The same with its bytes copied.
    public var owned: WireWatchCreateRequest<[UInt8]> {
        var owned = WireWatchCreateRequest<[UInt8]>()
        owned.key = key.wireArray
        owned.rangeEnd = rangeEnd.wireArray
        owned.startRevision = startRevision
        owned.progressNotify = progressNotify
        owned.filters = filters
        owned.prevKV = prevKV
        owned.watchID = watchID
        owned.fragment = fragment
        return owned
    }
}

extension WireWatchCreateRequest: WireDecodable where Bytes == UnsafeRawBufferPointer {
    public mutating func merge(from reader: inout WireReader) throws(WireError) {
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1: key = try reader.bytes(tag)
            case 2: rangeEnd = try reader.bytes(tag)
            case 3: startRevision = try reader.int64(tag)
            case 4: progressNotify = try reader.bool(tag)
            case 5: try reader.enumerations(tag) { filters.insert(enumeration: $0) }
            case 6: prevKV = try reader.bool(tag)
            case 7: watchID = try reader.int64(tag)
            case 8: fragment = try reader.bool(tag)
            default: try reader.skip(tag)
            }
        }
    }
}

extension WireWatchCreateRequest: WireEncodable {
    @usableFromInline var filterCount: Int { filters.rawValue.nonzeroBitCount }

    @inlinable public var encodedSize: Int {
        var size = WireSize.bytes(1, key) + WireSize.bytes(2, rangeEnd) + WireSize.int64(3, startRevision)
        size += WireSize.bool(4, progressNotify)
        // Packed, as proto3 writes repeated numbers; each of these is one byte.
        size += filters.isEmpty ? 0 : WireSize.delimited(5, filterCount)
        size += WireSize.bool(6, prevKV) + WireSize.int64(7, watchID) + WireSize.bool(8, fragment)
        return size
    }

    @inlinable public func encode<Output: WireOutput>(into output: inout Output) {
        output.bytes(1, key)
        output.bytes(2, rangeEnd)
        output.int64(3, startRevision)
        output.bool(4, progressNotify)
        if !filters.isEmpty {
            output.delimited(5, filterCount)
            if filters.contains(.noPut) { output.append(byte: 0) }
            if filters.contains(.noDelete) { output.append(byte: 1) }
        }
        output.bool(6, prevKV)
        output.int64(7, watchID)
        output.bool(8, fragment)
    }
}

/// `etcdserverpb.WatchRequest`.
public enum WireWatchRequest<Bytes: WireBytes> {
    /// None was sent, or one of a version that is not known here.
    case none
    case create(WireWatchCreateRequest<Bytes>)
    case cancel(watchID: Int64)
    case progress
}

public typealias WatchRequestView = WireWatchRequest<UnsafeRawBufferPointer>

extension WireWatchRequest: Equatable where Bytes: Equatable {}
extension WireWatchRequest: Sendable where Bytes: Sendable {}

extension WireWatchRequest {
    /// The same with its bytes copied.
    public var owned: WireWatchRequest<[UInt8]> {
        switch self {
        case .none: .none
        case .create(let request): .create(request.owned)
        case .cancel(let watchID): .cancel(watchID: watchID)
        case .progress: .progress
        }
    }
}

extension WireWatchRequest: WireDecodable where Bytes == UnsafeRawBufferPointer {
    public init() { self = .none }

    public mutating func merge(from reader: inout WireReader) throws(WireError) {
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1:
                var request = WatchCreateRequestView()
                if case .create(let earlier) = self { request = earlier }
                try reader.merge(tag, into: &request)
                self = .create(request)
            case 2:
                var request = WireNumberRequest()
                if case .cancel(let earlier) = self { request = WireNumberRequest(earlier) }
                try reader.merge(tag, into: &request)
                self = .cancel(watchID: request.number)
            case 3:
                var request = WireEmpty()
                try reader.merge(tag, into: &request)
                self = .progress
            default: try reader.skip(tag)
            }
        }
    }
}

extension WireWatchRequest: WireEncodable {
    @inlinable public var encodedSize: Int {
        switch self {
        case .none: 0
        case .create(let request): WireSize.message(1, request)
        case .cancel(let watchID): WireSize.message(2, WireNumberRequest(watchID))
        case .progress: WireSize.message(3, WireEmpty())
        }
    }

    @inlinable public func encode<Output: WireOutput>(into output: inout Output) {
        switch self {
        case .none: break
        case .create(let request): output.message(1, request)
        case .cancel(let watchID): output.message(2, WireNumberRequest(watchID))
        case .progress: output.message(3, WireEmpty())
        }
    }
}
