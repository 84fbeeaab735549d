import SwiftProtobuf

/// `--write-out=protobuf`: the answer as it came.
enum Protobuf {
    static func bytes(_ message: some SwiftProtobuf.Message) -> [UInt8] {
        // Only messages of proto2 with required fields cannot be encoded, and there are none.
        (try? message.serializedBytes()) ?? []
    }
}
