internal import CZlib
internal import NIOCore

/// Undoes gzip (and zlib's own format), up to a size.
enum Inflater {
    enum Failure: Error {
        case corrupt
        case tooLarge
    }

    private static let stepBytes = 16 << 10

    static func inflate(_ compressed: UnsafeRawBufferPointer, atMost limit: Int) throws(Failure) -> ByteBuffer {
        var stream = z_stream()
        // 15 bits of window, and 32: find out which of the two formats it is.
        guard inflateInit2_(&stream, 15 + 32, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
            throw .corrupt
        }
        defer { inflateEnd(&stream) }
        guard let base = compressed.baseAddress else { throw .corrupt }
        stream.next_in = UnsafeMutablePointer(mutating: base.assumingMemoryBound(to: UInt8.self))
        stream.avail_in = UInt32(clamping: compressed.count)
        var output = ByteBuffer()
        while true {
            var result = Z_OK
            // One byte more than is allowed, to tell "just fits" from "too large".
            let step = min(stepBytes, limit + 1 - output.readableBytes)
            output.writeWithUnsafeMutableBytes(minimumWritableBytes: step) { room in
                stream.next_out = room.baseAddress!.assumingMemoryBound(to: UInt8.self)
                stream.avail_out = UInt32(step)
                result = CZlib.inflate(&stream, Z_NO_FLUSH)
                return step - Int(stream.avail_out)
            }
            if output.readableBytes > limit { throw .tooLarge }
            switch result {
            case Z_STREAM_END:
                // What follows the end is no part of the message.
                guard stream.avail_in == 0 else { throw .corrupt }
                return output
            case Z_OK:
                // No progress is possible without more input, and there is none.
                if stream.avail_in == 0, stream.avail_out > 0 { throw .corrupt }
            default:
                throw .corrupt
            }
        }
    }
}
