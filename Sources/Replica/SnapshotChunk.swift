import ByteCodec
import Zstandard

// A snapshot on its way between members (Documentation/formats/snapshot-stream.md), and one in a file
// (snapshot-file.md): chunks of rows in the tables' order, then a last chunk with what they must add up to. It names no
// engine: members may use different ones.

enum SnapshotChunk {
    static let rows: UInt8 = 1
    static let end: UInt8 = 2
    /// Rows as one frame of zstd, behind the number of their bytes.
    static let compressedRows: UInt8 = 3
    /// Of rows, before they are compressed. A chunk ends before the row with which it would pass it, unless it is a row
    /// alone.
    static let targetBytes = 512 << 10
    /// No row is larger than a log's record may be. Also of rows that were compressed: no more memory is taken for
    /// them, whatever a frame says.
    static let bytesMax = targetBytes + (65 << 20)
    /// The fastest of zstd's plain levels: it is no slower than a disk or a network that has to take what it saves
    /// (decision 0022).
    static let compressionLevel = 1

    /// What a row takes in a chunk, at most: its table, two lengths, its key and its value.
    static func rowBytesMax(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Int {
        11 + key.count + value.count
    }

    /// The chunk of kind ``compressedRows`` for these rows, behind as many zeros as its carrier's frame needs; nil if
    /// it would not be shorter than theirs of kind ``rows``.
    static func compressed(
        _ rows: UnsafeRawBufferPointer, by compressor: ZstandardCompressor, behind frameBytes: Int
    ) -> [UInt8]? {
        guard let count = UInt32(exactly: rows.count) else { return nil }
        var writer = ByteWriter(reservingCapacity: frameBytes + 5)
        for _ in 0..<frameBytes { writer.write(UInt8(0)) }
        writer.write(compressedRows)
        writer.write(count)
        var chunk = writer.finish()
        let isShorter = compressor.compress(rows, into: &chunk) && chunk.count - frameBytes < rows.count + 1
        return isShorter ? chunk : nil
    }

    /// The rows of a chunk of kind ``compressedRows``, whose kind was read.
    static func decompressed(
        _ reader: inout ByteReader, by decompressor: ZstandardDecompressor
    ) throws(DecodingError) -> [UInt8] {
        let count = Int(try reader.readUInt32())
        guard count <= bytesMax else { throw .invalid("a chunk of \(count) bytes, compressed") }
        let frame = try reader.readBytes(reader.remaining)
        do {
            return try decompressor.decompress(frame, count: count)
        } catch {
            throw .invalid("\(error)")
        }
    }
}
