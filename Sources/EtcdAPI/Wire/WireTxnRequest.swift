/// `etcdserverpb.RequestOp`: one operation of a transaction.
public enum WireRequestOp<Bytes: WireBytes> {
    /// None was sent, or one of a version that is not known here.
    case none
    case range(WireRangeRequest<Bytes>)
    case put(WirePutRequest<Bytes>)
    case deleteRange(WireDeleteRangeRequest<Bytes>)
    case txn(WireTxnRequest<Bytes>)
}

public typealias RequestOpView = WireRequestOp<UnsafeRawBufferPointer>

extension WireRequestOp: Equatable where Bytes: Equatable {}
extension WireRequestOp: Sendable where Bytes: Sendable {}

extension WireRequestOp {
    /// The same with its bytes copied.
    public var owned: WireRequestOp<[UInt8]> {
        switch self {
        case .none: .none
        case .range(let request): .range(request.owned)
        case .put(let request): .put(request.owned)
        case .deleteRange(let request): .deleteRange(request.owned)
        case .txn(let request): .txn(request.owned)
        }
    }
}

extension WireRequestOp: WireDecodable where Bytes == UnsafeRawBufferPointer {
    public init() { self = .none }

    /// A oneof: another member replaces the one that was there, the same one is merged into it.
    public mutating func merge(from reader: inout WireReader) throws(WireError) {
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1:
                var request = RangeRequestView()
                if case .range(let earlier) = self { request = earlier }
                try reader.merge(tag, into: &request)
                self = .range(request)
            case 2:
                var request = PutRequestView()
                if case .put(let earlier) = self { request = earlier }
                try reader.merge(tag, into: &request)
                self = .put(request)
            case 3:
                var request = DeleteRangeRequestView()
                if case .deleteRange(let earlier) = self { request = earlier }
                try reader.merge(tag, into: &request)
                self = .deleteRange(request)
            case 4:
                var request = TxnRequestView()
                if case .txn(let earlier) = self { request = earlier }
                try reader.merge(tag, into: &request)
                self = .txn(request)
            default: try reader.skip(tag)
            }
        }
    }
}

extension WireRequestOp: WireEncodable {
    @inlinable public var encodedSize: Int {
        switch self {
        case .none: 0
        case .range(let request): WireSize.message(1, request)
        case .put(let request): WireSize.message(2, request)
        case .deleteRange(let request): WireSize.message(3, request)
        case .txn(let request): WireSize.message(4, request)
        }
    }

    @inlinable public func encode<Output: WireOutput>(into output: inout Output) {
        switch self {
        case .none: break
        case .range(let request): output.message(1, request)
        case .put(let request): output.message(2, request)
        case .deleteRange(let request): output.message(3, request)
        case .txn(let request): output.message(4, request)
        }
    }
}

/// `etcdserverpb.TxnRequest`. Decode it with `elementsMax` from an untrusted peer: an empty condition is two bytes on
/// the wire and fifty times as many here.
public struct WireTxnRequest<Bytes: WireBytes> {
    public var compare: [WireCompare<Bytes>] = []
    public var success: [WireRequestOp<Bytes>] = []
    public var failure: [WireRequestOp<Bytes>] = []

    @inlinable public init() {}

    @inlinable public init(
        compare: [WireCompare<Bytes>], success: [WireRequestOp<Bytes>], failure: [WireRequestOp<Bytes>]
    ) {
        self.compare = compare
        self.success = success
        self.failure = failure
    }
}

public typealias TxnRequestView = WireTxnRequest<UnsafeRawBufferPointer>

extension WireTxnRequest: Equatable where Bytes: Equatable {}
extension WireTxnRequest: Sendable where Bytes: Sendable {}

extension WireTxnRequest {
    /// The same with its bytes copied.
    public var owned: WireTxnRequest<[UInt8]> {
        WireTxnRequest<[UInt8]>(
            compare: compare.map(\.owned), success: success.map(\.owned), failure: failure.map(\.owned))
    }
}

extension WireTxnRequest: WireDecodable where Bytes == UnsafeRawBufferPointer {
    public mutating func merge(from reader: inout WireReader) throws(WireError) {
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1: compare.append(try reader.element(tag, after: compare.count))
            case 2: success.append(try reader.element(tag, after: success.count))
            case 3: failure.append(try reader.element(tag, after: failure.count))
            default: try reader.skip(tag)
            }
        }
    }
}

extension WireTxnRequest: WireEncodable {
    @inlinable public var encodedSize: Int {
        WireSize.messages(1, compare) + WireSize.messages(2, success) + WireSize.messages(3, failure)
    }

    @inlinable public func encode<Output: WireOutput>(into output: inout Output) {
        output.messages(1, compare)
        output.messages(2, success)
        output.messages(3, failure)
    }
}
