import EtcdAPI
import HTTP2
import NIOCore
import SwiftProtobuf

// How the services' messages come out of a call and go into it.

extension GRPCMethods {
    mutating func register(_ method: EtcdMethod, _ handler: GRPCMethodHandler) { register(method.rawValue, handler) }
}

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
        if let bytes = serialize(message) { reply(bytes) }
    }

    /// One message of many.
    func send(serializing message: some SwiftProtobuf.Message) {
        if let bytes = serialize(message) { send(bytes) }
    }

    private func serialize(_ message: some SwiftProtobuf.Message) -> ByteBuffer? {
        do {
            let bytes: [UInt8] = try message.serializedBytes()
            return ByteBuffer(bytes: bytes)
        } catch {
            finish(GRPCStatus(.internalError, "the answer cannot be encoded: \(error)"))
            return nil
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
