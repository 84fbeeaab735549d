import EtcdAPI
import NIOCore
import SwiftProtobuf

/// One path of the gateway: the gRPC method behind it, and how its messages go between JSON and bytes.
struct GatewayRoute: Sendable {
    /// What may stand in a request's body, and how long an answer may take.
    enum Kind: Equatable, Sendable {
        /// One object, one answer.
        case unary(Patience)
        /// One object, any number of answers.
        case serverStream
        /// Any number of both.
        case bidirectional
    }

    enum Patience: Sendable {
        /// The server's time limit for requests applies.
        case requestTimeout
        /// It takes as long as it takes: who waits for a lock, or for a walk through all of the state.
        case unlimited
    }

    let path: String
    let method: EtcdMethod
    let kind: Kind
    /// A message's bytes, from one JSON object.
    let decode: @Sendable (ByteBuffer) throws -> ByteBuffer
    /// JSON, from a message's bytes.
    let encode: @Sendable (ByteBuffer) throws -> ByteBuffer

    init<Request: SwiftProtobuf.Message, Response: SwiftProtobuf.Message>(
        _ path: String, _ method: EtcdMethod, _: Request.Type, _: Response.Type, _ patience: Patience = .requestTimeout
    ) {
        self.path = path
        self.method = method
        switch method.kind {
        case .unary: kind = .unary(patience)
        case .serverStream: kind = .serverStream
        case .bidirectional: kind = .bidirectional
        }
        decode = { json in
            // W2: fields and names that are not known are ignored, whatever their value.
            var options = JSONDecodingOptions()
            options.ignoreUnknownFields = true
            let request = try json.withUnsafeReadableBytes { bytes in
                try Request(jsonUTF8Bytes: Array(bytes), options: options)
            }
            let bytes: [UInt8] = try request.serializedBytes()
            return ByteBuffer(bytes: bytes)
        }
        encode = { bytes in
            // W3: the names of the protocol files; zero values are left out.
            var options = JSONEncodingOptions()
            options.preserveProtoFieldNames = true
            let response = try Response(serializedBytes: Array(bytes.readableBytesView))
            let json: [UInt8] = try response.jsonUTF8Bytes(options: options)
            return ByteBuffer(bytes: json)
        }
    }
}
