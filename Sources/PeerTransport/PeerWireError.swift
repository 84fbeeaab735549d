package import ByteCodec

/// What can be wrong with what another member sends. Each of them ends the connection that it came on.
package enum PeerWireError: Error, Equatable, Sendable {
    /// The connection did not begin with "MRTL".
    case notAPeer
    case frameTooLarge(bytes: Int, limit: Int)
    case emptyFrame
    case wrongChecksum
    case unknownFrame(UInt8)
    /// A frame that is well formed, at a time when it means nothing.
    case unexpectedFrame(UInt8)
    case malformed(DecodingError)
    /// A message for somebody else, or one that may not travel this way.
    case misplacedMessage(String)
}

extension PeerWireError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .notAPeer: "what came is not a member's"
        case .frameTooLarge(let bytes, let limit): "a frame of \(bytes) bytes, where \(limit) are the most"
        case .emptyFrame: "a frame without content"
        case .wrongChecksum: "a frame whose checksum is wrong"
        case .unknownFrame(let kind): "a frame of unknown kind \(kind)"
        case .unexpectedFrame(let kind): "a frame of kind \(kind) at a time when it means nothing"
        case .malformed(let error): "a frame that cannot be decoded: \(error)"
        case .misplacedMessage(let what): what
        }
    }
}
