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
