/// The relation that a transaction's condition asks for. Open, as proto3 enums are.
public struct WireCompareResult: RawRepresentable, Hashable, Sendable {
    public var rawValue: Int32
    @inlinable public init(rawValue: Int32) { self.rawValue = rawValue }

    public static let equal = WireCompareResult(rawValue: 0)
    public static let greater = WireCompareResult(rawValue: 1)
    public static let less = WireCompareResult(rawValue: 2)
    public static let notEqual = WireCompareResult(rawValue: 3)
}

/// What a transaction's condition looks at. Open, as proto3 enums are.
public struct WireCompareTarget: RawRepresentable, Hashable, Sendable {
    public var rawValue: Int32
    @inlinable public init(rawValue: Int32) { self.rawValue = rawValue }

    public static let version = WireCompareTarget(rawValue: 0)
    public static let create = WireCompareTarget(rawValue: 1)
    public static let mod = WireCompareTarget(rawValue: 2)
    public static let value = WireCompareTarget(rawValue: 3)
    public static let lease = WireCompareTarget(rawValue: 4)
}

/// What a transaction's condition compares with: the oneof `target_union`. It is sent beside the target and may
/// contradict it; what then counts is the server's affair.
public enum WireCompareOperand<Bytes: WireBytes> {
    case version(Int64)
    case createRevision(Int64)
    case modRevision(Int64)
    case value(Bytes)
    case lease(Int64)
}

extension WireCompareOperand: Equatable where Bytes: Equatable {}
extension WireCompareOperand: Sendable where Bytes: Sendable {}

/// `etcdserverpb.Compare`: one condition of a transaction.
public struct WireCompare<Bytes: WireBytes> {
    public var result = WireCompareResult.equal
    public var target = WireCompareTarget.version
    public var key: Bytes = .wireEmpty
    public var operand: WireCompareOperand<Bytes>?
    public var rangeEnd: Bytes = .wireEmpty

    @inlinable public init() {}

    @inlinable public init(
        result: WireCompareResult, target: WireCompareTarget, key: Bytes, operand: WireCompareOperand<Bytes>?,
        rangeEnd: Bytes = .wireEmpty
    ) {
        self.result = result
        self.target = target
        self.key = key
        self.operand = operand
        self.rangeEnd = rangeEnd
    }
}

public typealias CompareView = WireCompare<UnsafeRawBufferPointer>

extension WireCompare: Equatable where Bytes: Equatable {}
extension WireCompare: Sendable where Bytes: Sendable {}

extension WireCompare {
    /// The same with its bytes copied.
    public var owned: WireCompare<[UInt8]> {
        let operand: WireCompareOperand<[UInt8]>? =
            switch self.operand {
            case nil: nil
            case .version(let number): .version(number)
            case .createRevision(let number): .createRevision(number)
            case .modRevision(let number): .modRevision(number)
            case .value(let bytes): .value(bytes.wireArray)
            case .lease(let number): .lease(number)
            }
        return WireCompare<[UInt8]>(
            result: result, target: target, key: key.wireArray, operand: operand, rangeEnd: rangeEnd.wireArray)
    }
}

extension WireCompare: WireDecodable where Bytes == UnsafeRawBufferPointer {
    public mutating func merge(from reader: inout WireReader) throws(WireError) {
        while let tag = try reader.nextTag() {
            switch tag.field {
            case 1: result = WireCompareResult(rawValue: try reader.enumeration(tag))
            case 2: target = WireCompareTarget(rawValue: try reader.enumeration(tag))
            case 3: key = try reader.bytes(tag)
            case 4: operand = .version(try reader.int64(tag))
            case 5: operand = .createRevision(try reader.int64(tag))
            case 6: operand = .modRevision(try reader.int64(tag))
            case 7: operand = .value(try reader.bytes(tag))
            case 8: operand = .lease(try reader.int64(tag))
            case 64: rangeEnd = try reader.bytes(tag)
            default: try reader.skip(tag)
            }
        }
    }
}

extension WireCompare: WireEncodable {
    @inlinable public var encodedSize: Int {
        var size = WireSize.enumeration(1, result.rawValue) + WireSize.enumeration(2, target.rawValue)
        size += WireSize.bytes(3, key) + WireSize.bytes(64, rangeEnd)
        switch operand {
        case nil: break
        case .version(let number): size += WireSize.presentInt64(4, number)
        case .createRevision(let number): size += WireSize.presentInt64(5, number)
        case .modRevision(let number): size += WireSize.presentInt64(6, number)
        case .value(let bytes): size += WireSize.delimited(7, bytes.wireCount)
        case .lease(let number): size += WireSize.presentInt64(8, number)
        }
        return size
    }

    @inlinable public func encode<Output: WireOutput>(into output: inout Output) {
        output.enumeration(1, result.rawValue)
        output.enumeration(2, target.rawValue)
        output.bytes(3, key)
        switch operand {
        case nil: break
        case .version(let number): output.presentInt64(4, number)
        case .createRevision(let number): output.presentInt64(5, number)
        case .modRevision(let number): output.presentInt64(6, number)
        case .value(let bytes): output.presentBytes(7, bytes)
        case .lease(let number): output.presentInt64(8, number)
        }
        output.bytes(64, rangeEnd)
    }
}
