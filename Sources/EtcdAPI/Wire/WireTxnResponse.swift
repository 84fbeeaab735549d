/// `etcdserverpb.ResponseOp`: the answer to one operation of a transaction.
public enum WireResponseOp<Bytes: WireBytes> {
    case none
    case range(WireRangeResponse<Bytes>)
    case put(WirePutResponse<Bytes>)
    case deleteRange(WireDeleteRangeResponse<Bytes>)
    case txn(WireTxnResponse<Bytes>)
}

public typealias ResponseOpView = WireResponseOp<UnsafeRawBufferPointer>

extension WireResponseOp: Equatable where Bytes: Equatable {}
extension WireResponseOp: Sendable where Bytes: Sendable {}

extension WireResponseOp {
    /// The same with its bytes copied.
    public var owned: WireResponseOp<[UInt8]> {
        switch self {
        case .none: .none
        case .range(let response): .range(response.owned)
        case .put(let response): .put(response.owned)
        case .deleteRange(let response): .deleteRange(response.owned)
        case .txn(let response): .txn(response.owned)
        }
    }
}

extension WireResponseOp: WireDecodable where Bytes == UnsafeRawBufferPointer {
    public init() { self = .none }

    /// A oneof: another member replaces the one that was there, the same one is merged into it.
    public mutating func merge(from reader: inout WireReader) throws(WireError) {
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1:
                var response = RangeResponseView()
                if case .range(let earlier) = self { response = earlier }
                try reader.merge(tag, into: &response)
                self = .range(response)
            case 2:
                var response = PutResponseView()
                if case .put(let earlier) = self { response = earlier }
                try reader.merge(tag, into: &response)
                self = .put(response)
            case 3:
                var response = DeleteRangeResponseView()
                if case .deleteRange(let earlier) = self { response = earlier }
                try reader.merge(tag, into: &response)
                self = .deleteRange(response)
            case 4:
                var response = TxnResponseView()
                if case .txn(let earlier) = self { response = earlier }
                try reader.merge(tag, into: &response)
                self = .txn(response)
            default: try reader.skip(tag)
            }
        }
    }
}

extension WireResponseOp: WireEncodable {
    @inlinable public var encodedSize: Int {
        switch self {
        case .none: 0
        case .range(let response): WireSize.message(1, response)
        case .put(let response): WireSize.message(2, response)
        case .deleteRange(let response): WireSize.message(3, response)
        case .txn(let response): WireSize.message(4, response)
        }
    }

    @inlinable public func encode<Output: WireOutput>(into output: inout Output) {
        switch self {
        case .none: break
        case .range(let response): output.message(1, response)
        case .put(let response): output.message(2, response)
        case .deleteRange(let response): output.message(3, response)
        case .txn(let response): output.message(4, response)
        }
    }
}

/// `etcdserverpb.TxnResponse`.
public struct WireTxnResponse<Bytes: WireBytes> {
    public var header: WireHeader?
    public var succeeded = false
    public var responses: [WireResponseOp<Bytes>] = []

    @inlinable public init() {}

    @inlinable public init(header: WireHeader?, succeeded: Bool, responses: [WireResponseOp<Bytes>]) {
        self.header = header
        self.succeeded = succeeded
        self.responses = responses
    }
}

public typealias TxnResponseView = WireTxnResponse<UnsafeRawBufferPointer>

extension WireTxnResponse: Equatable where Bytes: Equatable {}
extension WireTxnResponse: Sendable where Bytes: Sendable {}

extension WireTxnResponse {
    /// The same with its bytes copied.
    public var owned: WireTxnResponse<[UInt8]> {
        WireTxnResponse<[UInt8]>(header: header, succeeded: succeeded, responses: responses.map(\.owned))
    }
}

extension WireTxnResponse: WireDecodable where Bytes == UnsafeRawBufferPointer {
    public mutating func merge(from reader: inout WireReader) throws(WireError) {
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1: try reader.mergeHeader(tag, into: &header)
            case 2: succeeded = try reader.bool(tag)
            case 3: responses.append(try reader.element(tag, after: responses.count))
            default: try reader.skip(tag)
            }
        }
    }
}

extension WireTxnResponse: WireEncodable {
    @inlinable public var encodedSize: Int {
        WireSize.message(1, header) + WireSize.bool(2, succeeded) + WireSize.messages(3, responses)
    }

    @inlinable public func encode<Output: WireOutput>(into output: inout Output) {
        output.message(1, header)
        output.bool(2, succeeded)
        output.messages(3, responses)
    }
}
