import CZstd

/// What does not decompress to what it says.
package struct ZstandardError: Error, Equatable, Sendable, CustomStringConvertible {
    package let description: String
}

/// Compresses one piece after the other, each to a frame of its own.
///
/// A frame holds its raw size, and nothing of the pieces before it: whoever has one piece can read it. The same pieces
/// in the same order give the same bytes, as long as the library's version is the same.
@safe package final class ZstandardCompressor {
    private let context: OpaquePointer
    /// Where a frame is made before it is known how long it is; kept for the next one.
    private var scratch: [UInt8] = []

    /// - Parameter level: zstd's, from fast (1, and below 0) to small (19).
    package init(level: Int) {
        guard let context = unsafe ZSTD_createCCtx() else { fatalError("out of memory") }
        unsafe self.context = unsafe context
        unsafe ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, Int32(clamping: level))
        // Whoever carries frames has checksums of its own.
        unsafe ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 0)
    }

    deinit { unsafe ZSTD_freeCCtx(context) }

    /// Appends a frame to `output`; false, and `output` as it was, if it would not be shorter than `raw`.
    package func compress(_ raw: UnsafeRawBufferPointer, into output: inout [UInt8]) -> Bool {
        let room = raw.count
        if scratch.count < room { scratch = [UInt8](repeating: 0, count: room) }
        let written = unsafe scratch.withUnsafeMutableBytes { buffer in
            let result = unsafe ZSTD_compress2(context, buffer.baseAddress, room, raw.baseAddress, raw.count)
            // The one error that is expected: there is no room, since it does not get shorter.
            return ZSTD_isError(result) != 0 ? 0 : result
        }
        guard written > 0 else { return false }
        output.reserveCapacity(output.count + written)
        output += scratch[..<written]
        return true
    }
}

/// Reads frames, and believes none of them.
@safe package final class ZstandardDecompressor {
    private let context: OpaquePointer

    package init() {
        guard let context = unsafe ZSTD_createDCtx() else { fatalError("out of memory") }
        unsafe self.context = unsafe context
    }

    deinit { unsafe ZSTD_freeDCtx(context) }

    /// - Parameter count: how many bytes it must be, exactly. The caller has seen to it that this is not too much: no
    ///   other memory is taken, however large the frame says that its window is.
    package func decompress(_ frame: UnsafeRawBufferPointer, count: Int) throws(ZstandardError) -> [UInt8] {
        let declared = unsafe ZSTD_getFrameContentSize(frame.baseAddress, frame.count)
        let length = unsafe ZSTD_findFrameCompressedSize(frame.baseAddress, frame.count)
        guard ZSTD_isError(length) == 0, length == frame.count else {
            throw ZstandardError(description: "what should be compressed is not one frame of zstd")
        }
        guard declared == UInt64(count) else {
            throw ZstandardError(description: "a frame of zstd does not hold the \(count) bytes that it should")
        }
        var reason: String? = nil
        let raw = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            let result = unsafe ZSTD_decompressDCtx(context, buffer.baseAddress, count, frame.baseAddress, frame.count)
            if ZSTD_isError(result) != 0 {
                reason = unsafe ZSTD_getErrorName(result).map { unsafe String(cString: $0) } ?? "?"
            } else {
                filled = result
            }
        }
        if let reason { throw ZstandardError(description: "a frame of zstd cannot be read: \(reason)") }
        guard raw.count == count else {
            throw ZstandardError(description: "a frame of zstd does not hold the \(count) bytes that it should")
        }
        return raw
    }
}
