/// What can be wrong with the bytes of a message.
public enum WireError: Error, Equatable, Sendable {
    /// The bytes end before the value does, or a length says more than there is.
    case truncated
    /// A varint of more than ten bytes, or beyond 64 bits.
    case varintTooLong
    /// A field number of 0 or beyond 2^29 - 1, or a wire type that does not exist.
    case invalidTag
    /// The field is known, and its type is another one. etcd's own decoder refuses this too.
    case wrongWireType(field: Int)
    /// The end of a group that was not begun, or of another one.
    case unmatchedEndGroup
    /// Messages inside messages, deeper than `WireLimits.messageDepthMax`.
    case nestedTooDeeply
    /// A string that is not UTF-8.
    case invalidUTF8(field: Int)
    /// A repeated field with more elements than the reader was told to accept.
    case tooManyElements(field: Int)
}

extension WireError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .truncated: "unexpected EOF"
        case .varintTooLong: "an integer of more than 64 bits"
        case .invalidTag: "an invalid field number or wire type"
        case .wrongWireType(let field): "field \(field) has the wrong wire type"
        case .unmatchedEndGroup: "the end of a group that was not begun"
        case .nestedTooDeeply: "messages are nested too deeply"
        case .invalidUTF8(let field): "field \(field) is a string that contains invalid UTF-8"
        case .tooManyElements(let field): "field \(field) has too many elements"
        }
    }
}

/// What the codecs accept at most.
public enum WireLimits {
    /// How deep messages may lie inside messages. A level of nested transactions costs two (`RequestOp`, then
    /// `TxnRequest`). The same as SwiftProtobuf's and C++'s default, so that the generated code agrees;
    /// protobuf-go stops at 10,000, for stacks that grow.
    public static let messageDepthMax = 100
    /// The highest field number that a tag can hold.
    public static let fieldNumberMax = (1 << 29) - 1
}
