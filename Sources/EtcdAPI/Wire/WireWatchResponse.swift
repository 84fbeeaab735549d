/// `mvccpb.Event`: one change of one key.
public struct WireEvent<Bytes: WireBytes> {
    public var isDelete = false
    public var kv: WireKeyValue<Bytes>?
    public var prevKV: WireKeyValue<Bytes>?

    @inlinable public init() {}

    @inlinable public init(isDelete: Bool, kv: WireKeyValue<Bytes>, prevKV: WireKeyValue<Bytes>? = nil) {
        self.isDelete = isDelete
        self.kv = kv
        self.prevKV = prevKV
    }
}

public typealias EventView = WireEvent<UnsafeRawBufferPointer>

extension WireEvent: Equatable where Bytes: Equatable {}
extension WireEvent: Sendable where Bytes: Sendable {}

extension WireEvent {
    /// The same with its bytes copied.
    public var owned: WireEvent<[UInt8]> {
        var owned = WireEvent<[UInt8]>()
        owned.isDelete = isDelete
        owned.kv = kv?.owned
        owned.prevKV = prevKV?.owned
        return owned
    }
}

extension WireEvent: WireDecodable where Bytes == UnsafeRawBufferPointer {
    public mutating func merge(from reader: inout WireReader) throws(WireError) {
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1: isDelete = try reader.enumeration(tag) == 1
            case 2: try reader.mergeKeyValue(tag, into: &kv)
            case 3: try reader.mergeKeyValue(tag, into: &prevKV)
            default: try reader.skip(tag)
            }
        }
    }
}

extension WireEvent: WireEncodable {
    @inlinable public var encodedSize: Int {
        WireSize.bool(1, isDelete) + WireSize.message(2, kv) + WireSize.message(3, prevKV)
    }

    @inlinable public func encode<Output: WireOutput>(into output: inout Output) {
        output.bool(1, isDelete)
        output.message(2, kv)
        output.message(3, prevKV)
    }
}

/// `etcdserverpb.WatchResponse`.
public struct WireWatchResponse<Bytes: WireBytes> {
    public var header: WireHeader?
    public var watchID: Int64 = 0
    public var created = false
    public var canceled = false
    public var compactRevision: Int64 = 0
    public var cancelReason = ""
    public var fragment = false
    public var events: [WireEvent<Bytes>] = []

    @inlinable public init() {}

    @inlinable public init(header: WireHeader?, watchID: Int64, events: [WireEvent<Bytes>] = []) {
        self.header = header
        self.watchID = watchID
        self.events = events
    }
}

public typealias WatchResponseView = WireWatchResponse<UnsafeRawBufferPointer>

extension WireWatchResponse: Equatable where Bytes: Equatable {}
extension WireWatchResponse: Sendable where Bytes: Sendable {}

extension WireWatchResponse {
    /// The same with its bytes copied.
    public var owned: WireWatchResponse<[UInt8]> {
        var owned = WireWatchResponse<[UInt8]>(header: header, watchID: watchID, events: events.map(\.owned))
        owned.created = created
        owned.canceled = canceled
        owned.compactRevision = compactRevision
        owned.cancelReason = cancelReason
        owned.fragment = fragment
        return owned
    }
}

extension WireWatchResponse: WireDecodable where Bytes == UnsafeRawBufferPointer {
    public mutating func merge(from reader: inout WireReader) throws(WireError) {
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1: try reader.mergeHeader(tag, into: &header)
            case 2: watchID = try reader.int64(tag)
            case 3: created = try reader.bool(tag)
            case 4: canceled = try reader.bool(tag)
            case 5: compactRevision = try reader.int64(tag)
            case 6: cancelReason = try reader.string(tag)
            case 7: fragment = try reader.bool(tag)
            case 11: events.append(try reader.element(tag, after: events.count))
            default: try reader.skip(tag)
            }
        }
    }
}

extension WireWatchResponse: WireEncodable {
    @inlinable public var encodedSize: Int {
        var size = WireSize.message(1, header) + WireSize.int64(2, watchID)
        size += WireSize.bool(3, created) + WireSize.bool(4, canceled) + WireSize.int64(5, compactRevision)
        size += WireSize.string(6, cancelReason) + WireSize.bool(7, fragment) + WireSize.messages(11, events)
        return size
    }

    @inlinable public func encode<Output: WireOutput>(into output: inout Output) {
        output.message(1, header)
        output.int64(2, watchID)
        output.bool(3, created)
        output.bool(4, canceled)
        output.int64(5, compactRevision)
        output.string(6, cancelReason)
        output.bool(7, fragment)
        output.messages(11, events)
    }
}

/// The events of a `WatchResponse`, encoded once for all the watches that see them. A response is its own head
/// (a `WireWatchResponse` without events) followed by the bytes that `append` wrote.
public enum WireWatchEvents {
    /// How many bytes `append` writes for this event.
    @inlinable public static func size<Bytes: WireBytes>(of event: WireEvent<Bytes>) -> Int {
        WireSize.message(11, event)
    }

    /// Writes one more event.
    @inlinable public static func append<Bytes: WireBytes, Output: WireOutput>(
        _ event: WireEvent<Bytes>, to output: inout Output
    ) {
        output.message(11, event)
    }
}
