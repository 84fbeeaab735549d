import Foundation
import NIOCore

/// JSON, written piece by piece.
struct JSONBuffer {
    private(set) var buffer: ByteBuffer

    init(capacity: Int = 512) { buffer = ByteBufferAllocator().buffer(capacity: capacity) }

    var count: Int { buffer.readableBytes }

    /// Goes in as it is.
    mutating func raw(_ text: String) { buffer.writeString(text) }
    mutating func raw(_ bytes: UnsafeRawBufferPointer) { buffer.writeBytes(bytes) }

    /// Bytes of any kind: as they are where they are UTF-8, otherwise as Base64. A second member says which it is.
    mutating func bytes(_ name: String, _ bytes: UnsafeRawBufferPointer) {
        raw("\"\(name)\":")
        let isText = String(validating: bytes, as: UTF8.self) != nil
        if isText {
            string(bytes)
        } else {
            base64(bytes)
        }
        raw(isText ? ",\"\(name)_encoding\":\"text\"" : ",\"\(name)_encoding\":\"base64\"")
    }

    mutating func bytes(_ name: String, _ array: [UInt8]) { array.withUnsafeBytes { bytes(name, $0) } }

    /// As a string.
    mutating func base64(_ bytes: UnsafeRawBufferPointer) {
        raw("\"")
        buffer.writeBytes(Data(bytes).base64EncodedData())
        raw("\"")
    }

    mutating func string(_ text: String) {
        var text = text
        text.withUTF8 { string(UnsafeRawBufferPointer($0)) }
    }

    /// A string of what is known to be UTF-8.
    mutating func string(_ bytes: UnsafeRawBufferPointer) {
        raw("\"")
        var start = 0
        for (place, byte) in bytes.enumerated() where byte < 0x20 || byte == 0x22 || byte == 0x5c {
            if place > start { buffer.writeBytes(UnsafeRawBufferPointer(rebasing: bytes[start..<place])) }
            start = place + 1
            switch byte {
            case UInt8(ascii: "\""): raw("\\\"")
            case UInt8(ascii: "\\"): raw("\\\\")
            case UInt8(ascii: "\n"): raw("\\n")
            case UInt8(ascii: "\r"): raw("\\r")
            case UInt8(ascii: "\t"): raw("\\t")
            default: raw(byte < 16 ? "\\u000\(String(byte, radix: 16))" : "\\u00\(String(byte, radix: 16))")
            }
        }
        if bytes.count > start { buffer.writeBytes(UnsafeRawBufferPointer(rebasing: bytes[start...])) }
        raw("\"")
    }
}
