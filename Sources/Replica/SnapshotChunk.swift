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
    /// Of rows, before they are compressed.
    static let targetBytes = 512 << 10
    /// A chunk ends after the row with which it passes the target; no row is larger than a log's record may be. Also of
    /// rows that were compressed: no more memory is taken for them, whatever a frame says.
    static let bytesMax = targetBytes + (65 << 20)
    /// The fastest of zstd's plain levels: it is no slower than a disk or a network that has to take what it saves
    /// (decision 0022).
    static let compressionLevel = 1

    /// The chunk of kind ``compressedRows`` for these rows; nil if it would not be shorter than theirs of kind
    /// ``rows``.
    static func compressed(_ rows: UnsafeRawBufferPointer, by compressor: ZstandardCompressor) -> [UInt8]? {
        guard let count = UInt32(exactly: rows.count) else { return nil }
        var writer = ByteWriter(reservingCapacity: 8)
        writer.write(compressedRows)
        writer.write(count)
        var chunk = writer.finish()
        return compressor.compress(rows, into: &chunk) && chunk.count < rows.count + 1 ? chunk : nil
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
