import EtcdAPI
import HTTP2
import NIOCore
import SwiftProtobuf

// How the services' messages come out of a call and go into it.

extension GRPCCall {
    /// A request; nil where the bytes are none, which then is the call's end.
    func decode<Request: SwiftProtobuf.Message>(_ message: ByteBuffer) -> Request? {
        do {
            return try Request(serializedBytes: Array(message.readableBytesView))
        } catch {
            finish(.undecodable(error))
            return nil
        }
    }

    /// Answers with a message whose size is known before it is written.
    func reply(encoding message: some WireEncodable) { reply { $0.write(encoding: message) } }

    /// One message of many, whose size is known before it is written.
    func send(encoding message: some WireEncodable) { send { $0.write(encoding: message) } }

    func reply(serializing message: some SwiftProtobuf.Message) {
        do {
            let bytes: [UInt8] = try message.serializedBytes()
            reply(ByteBuffer(bytes: bytes))
        } catch {
            finish(GRPCStatus(.internalError, "the answer cannot be encoded: \(error)"))
        }
    }
}

extension ByteBuffer {
    fileprivate mutating func write(encoding message: some WireEncodable) {
        writeWithUnsafeMutableBytes(minimumWritableBytes: message.encodedSize) { memory in
            WireWriter.encode(message, into: memory)
        }
    }
}
