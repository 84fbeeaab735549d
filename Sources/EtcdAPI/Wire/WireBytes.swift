/// What can stand in a `bytes` field: borrowed memory where a message was decoded, arrays where it is built, or a
/// type of the server's own that it wants to encode without a copy.
public protocol WireBytes {
    /// No bytes: the default of the field.
    static var wireEmpty: Self { get }
    var wireCount: Int { get }
    func withWireBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result
}

extension UnsafeRawBufferPointer: WireBytes {
    @inlinable public static var wireEmpty: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: nil, count: 0) }
    @inlinable public var wireCount: Int { count }
    @inlinable public func withWireBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result { body(self) }
}

extension [UInt8]: WireBytes {
    @inlinable public static var wireEmpty: [UInt8] { [] }
    @inlinable public var wireCount: Int { count }
    @inlinable public func withWireBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        withUnsafeBytes(body)
    }
}

extension ArraySlice<UInt8>: WireBytes {
    @inlinable public static var wireEmpty: ArraySlice<UInt8> { [] }
    @inlinable public var wireCount: Int { count }
    @inlinable public func withWireBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        withUnsafeBytes(body)
    }
}

extension WireBytes {
    /// A copy that stands on its own.
    @inlinable public var wireArray: [UInt8] { withWireBytes { Array($0) } }
}
