import ByteCodec
import Digests
import MVCC
package import Platform
package import StorageEngine
import Zstandard

/// Reads a snapshot file, and believes none of it: every length is bounded, every chunk has its checksum, the rows
/// must add up to what the last chunk says, and the whole file to the digest at its end.
package struct SnapshotFileReader {
    /// What a whole walk has shown.
    package struct Content: Hashable, Sendable {
        /// SHA-256 of the file but for the digest at its end.
        package var digest: [UInt8]
        /// CRC-32C of all rows, in their order.
        package var checksum: UInt32
    }

    package let header: SnapshotFileHeader
    package let fileBytes: UInt64
    private let file: any File
    private let checksDigest: Bool

    /// Reads the header, and holds the file's size against it.
    /// - Parameter checksDigest: false: a digest that is wrong, or that is not there, is no matter. Chunks keep their
    ///   checksums.
    package init(_ file: any File, checksDigest: Bool = true) throws(SnapshotFileError) {
        self.file = file
        self.checksDigest = checksDigest
        do throws(FileError) {
            fileBytes = UInt64(try file.size())
        } catch {
            throw .unreadable(error.reason)
        }
        header = try SnapshotFileHeader(
            decoding: Self.read(file, at: 0, min(Int(clamping: fileBytes), SnapshotFileHeader.blockBytes)))
        let bytesMin = checksDigest ? header.fileBytes : header.contentBytes
        guard fileBytes >= bytesMin else { throw .cut(has: fileBytes, of: header.fileBytes) }
        guard fileBytes <= header.fileBytes else { throw .tooLong(has: fileBytes, of: header.fileBytes) }
    }

    private static func read(_ file: any File, at offset: UInt64, _ count: Int) throws(SnapshotFileError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let read: Result<Int, FileError> = bytes.withUnsafeMutableBytes { buffer in
            Result { () throws(FileError) in try file.read(into: buffer, at: Int(offset)) }
        }
        switch read {
        case .success(count): return bytes
        case .success(let fewer): throw .cut(has: offset + UInt64(fewer), of: nil)
        case .failure(let error): throw .unreadable(error.reason)
        }
    }

    /// Walks the whole file. What `body` was given counts only if this ends well: the digest is looked at last.
    package func forEachRow(
        _ body: (_ table: Table, _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws -> Void
    ) throws -> Content {
        var hash = SHA256()
        hash.update(try Self.read(file, at: 0, SnapshotFileHeader.blockBytes))
        var sums = RowSums()
        let decompressor = ZstandardDecompressor()
        var offset = UInt64(SnapshotFileHeader.blockBytes)
        let end = offset + header.chunkBytes
        while offset < end {
            guard !sums.isWhole else { throw SnapshotFileError.damaged(at: offset, "something follows the end") }
            let chunk = try readChunk(at: offset, before: end)
            hash.update(chunk)
            try chunk.withUnsafeBytes { bytes in
                let payload = UnsafeRawBufferPointer(rebasing: bytes[SnapshotFileChunk.frameBytes...])
                try take(payload, at: offset, &sums, decompressor, body)
            }
            offset += UInt64(chunk.count)
        }
        guard sums.isWhole else { throw SnapshotFileError.damaged(at: offset, "its end is missing") }
        let padding = try Self.read(file, at: offset, Int(header.contentBytes - offset))
        guard padding.allSatisfy({ $0 == 0 }) else {
            throw SnapshotFileError.damaged(at: offset, "something stands where nothing should")
        }
        hash.update(padding)
        let digest = hash.digest
        if checksDigest, try Self.read(file, at: header.contentBytes, SHA256.digestBytes) != digest {
            throw SnapshotFileError.wrongDigest
        }
        return Content(digest: digest, checksum: sums.checksum.value)
    }

    /// The same for who wants to know only whether the file is whole.
    package func check() throws -> Content { try forEachRow { _, _, _ in } }

    private struct RowSums {
        var rowCount: UInt64 = 0
        var checksum = CRC32C()
        var isWhole = false
    }

    private func readChunk(at offset: UInt64, before end: UInt64) throws(SnapshotFileError) -> [UInt8] {
        let frameBytes = UInt64(SnapshotFileChunk.frameBytes)
        guard end - offset > frameBytes else { throw .damaged(at: offset, "a chunk has no room") }
        let frame = try Self.read(file, at: offset, SnapshotFileChunk.frameBytes)
        func number(_ place: Int) -> UInt32 {
            (0..<4).reduce(0) { $0 | UInt32(frame[place + $1]) << (8 * UInt32($1)) }
        }
        let (length, checksum) = (number(0), number(4))
        guard length > 0, length <= SnapshotChunk.bytesMax, UInt64(length) <= end - offset - frameBytes else {
            throw .damaged(at: offset, "a chunk of \(length) bytes")
        }
        let chunk = try Self.read(file, at: offset, SnapshotFileChunk.frameBytes + Int(length))
        let isRight = chunk.withUnsafeBytes { bytes in
            SnapshotFileChunk.checksum(
                length, UnsafeRawBufferPointer(rebasing: bytes[SnapshotFileChunk.frameBytes...])) == checksum
        }
        guard isRight else { throw .damaged(at: offset, "a chunk's checksum is wrong") }
        return chunk
    }

    private func take(
        _ payload: UnsafeRawBufferPointer, at offset: UInt64, _ sums: inout RowSums,
        _ decompressor: ZstandardDecompressor,
        _ body: (_ table: Table, _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws -> Void
    ) throws {
        var reader = ByteReader(payload)
        // Its checksum is right: what is wrong in it was written so.
        func damaged(_ what: String) -> SnapshotFileError { .damaged(at: offset, what) }
        do {
            switch try reader.readByte() {
            case SnapshotChunk.rows: try takeRows(&reader, at: offset, &sums, body)
            case SnapshotChunk.compressedRows where header.format >= 2:
                let rows = try SnapshotChunk.decompressed(&reader, by: decompressor)
                try rows.withUnsafeBytes { rows in
                    var reader = ByteReader(rows)
                    try takeRows(&reader, at: offset, &sums, body)
                }
            case SnapshotChunk.end:
                let rowCount = try reader.readUInt64()
                let checksum = try reader.readUInt32()
                try reader.expectEnd()
                guard rowCount == sums.rowCount, rowCount == header.rowCount, checksum == sums.checksum.value else {
                    throw damaged("\(sums.rowCount) rows where there should be \(rowCount), or other ones")
                }
                sums.isWhole = true
            case let kind: throw damaged("a chunk of unknown kind \(kind)")
            }
        } catch let error as DecodingError {
            throw damaged("\(error)")
        }
    }

    private func takeRows(
        _ reader: inout ByteReader, at offset: UInt64, _ sums: inout RowSums,
        _ body: (_ table: Table, _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) throws -> Void
    ) throws {
        while !reader.isAtEnd {
            guard let table = Table(rawValue: try reader.readByte()) else {
                throw SnapshotFileError.damaged(at: offset, "a row of an unknown table")
            }
            let key = try reader.readLengthPrefixed()
            let value = try reader.readLengthPrefixed()
            sums.checksum.update(key)
            sums.checksum.update(value)
            sums.rowCount += 1
            try body(table, key, value)
        }
    }
}
