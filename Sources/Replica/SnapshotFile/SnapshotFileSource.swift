import ByteCodec
import Digests
package import MVCC
import StorageEngine
import Zstandard

/// Writes a snapshot file, piece by piece, from one view of the state: on any thread, one at a time, with no more in
/// memory than a piece. Nobody who writes waits for it.
///
/// All chunks are made twice: how long the file becomes stands at its front, and is told to clients ahead. A view does
/// not change, so the second walk makes the same bytes as the first; if it does not, writing fails.
package final class SnapshotFileSource: @unchecked Sendable {
    // Used by one thread at a time, in turns.
    private let view: ReadView
    private let clusterID: UInt64
    private let memberID: UInt64
    private let writer: String
    private let compresses: Bool

    /// The first walk, until it is over.
    private var measured: SnapshotFileChunks?
    private var measuredBytes: UInt64 = 0
    /// Known when the first walk is over.
    package private(set) var header: SnapshotFileHeader?

    private enum Part {
        case header
        case chunks
        case padding
        case digest
        case over
    }
    private var part = Part.header
    /// The second walk.
    private var chunks: SnapshotFileChunks?
    private var hash = SHA256()
    /// Of the file, so far.
    package private(set) var writtenBytes: UInt64 = 0

    /// - Parameters:
    ///   - writer: the program's version.
    ///   - compresses: false: the file is one of format 1, which versions before 0022's can read.
    package init(_ view: ReadView, clusterID: UInt64, memberID: UInt64, writer: String, compresses: Bool = true) {
        self.view = view
        self.clusterID = clusterID
        self.memberID = memberID
        self.writer = writer
        self.compresses = compresses
        measured = SnapshotFileChunks(view, compresses: compresses)
    }

    // MARK: The first walk

    /// Makes one chunk, for its length; true when the walk is over and ``header`` is known.
    package func measure() throws(StateError) -> Bool {
        guard let chunks = measured else { return true }
        if let chunk = try chunks.next() {
            measuredBytes += UInt64(chunk.count)
            return false
        }
        header = SnapshotFileHeader(
            format: compresses ? SnapshotFileHeader.formatVersion : 1, chunkBytes: measuredBytes,
            rowCount: chunks.rowCount, keyCount: chunks.keyCount, clusterID: clusterID, memberID: memberID, view: view,
            writer: writer)
        measured = nil
        return true
    }

    // MARK: The second

    /// The file's next bytes: the header, a chunk, the rest of the last block, or the digest, alone and last; nil after
    /// it.
    package func nextPiece() throws(StateError) -> [UInt8]? {
        guard let header else { preconditionFailure("a snapshot is written before it is measured") }
        let piece: [UInt8]
        switch part {
        case .header:
            piece = header.encode()
            chunks = SnapshotFileChunks(view, compresses: compresses)
            part = .chunks
        case .chunks:
            guard let chunk = try chunks?.next() else {
                guard writtenBytes == UInt64(SnapshotFileHeader.blockBytes) + header.chunkBytes,
                    chunks?.rowCount == header.rowCount
                else { throw disagreement(header) }
                chunks = nil
                part = .padding
                return try nextPiece()
            }
            piece = chunk
        case .padding:
            piece = [UInt8](repeating: 0, count: Int(header.contentBytes - writtenBytes))
            part = .digest
            if piece.isEmpty { return try nextPiece() }
        case .digest:
            part = .over
            piece = hash.digest
        case .over: return nil
        }
        writtenBytes += UInt64(piece.count)
        hash.update(piece)
        return piece
    }

    private func disagreement(_ header: SnapshotFileHeader) -> StateError {
        .corrupt(
            "a second walk over the same view made \(chunks?.rowCount ?? 0) rows and \(writtenBytes) bytes, the first "
                + "\(header.rowCount) and \(UInt64(SnapshotFileHeader.blockBytes) + header.chunkBytes)")
    }
}

/// The chunks of a file, one after the other. Used by one thread at a time.
final class SnapshotFileChunks {
    private enum Part {
        case rows, end, over
    }

    private var rows: StateRows
    private let compressor: ZstandardCompressor?
    /// The chunk at hand; kept for its memory.
    private var writer = ByteWriter(reservingCapacity: SnapshotChunk.targetBytes)
    /// The row that `rows` stands on belongs to the next chunk.
    private var isRowLeft = false
    private var part = Part.rows
    private var checksum = CRC32C()
    private(set) var rowCount: UInt64 = 0

    init(_ view: ReadView, compresses: Bool) {
        rows = StateRows(view)
        compressor = compresses ? ZstandardCompressor(level: SnapshotChunk.compressionLevel) : nil
    }

    /// Of the rows so far.
    var keyCount: UInt64 { rows.keyCount }

    /// In its frame; nil after the last.
    func next() throws(StateError) -> [UInt8]? {
        switch part {
        case .rows: return try nextRows()
        case .end:
            part = .over
            var writer = ByteWriter(reservingCapacity: 13)
            writer.write(SnapshotChunk.end)
            writer.write(rowCount)
            writer.write(checksum.value)
            return SnapshotFileChunk.framed(writer.bytes)
        case .over: return nil
        }
    }

    /// There is one, even without rows.
    private func nextRows() throws(StateError) -> [UInt8] {
        writer.removeAll()
        // Length and checksum, when they are known.
        writer.write(UInt64(0))
        writer.write(SnapshotChunk.rows)
        let emptyCount = writer.count
        while true {
            if !isRowLeft {
                guard try rows.next() else {
                    part = .end
                    break
                }
            }
            isRowLeft = !rows.withRow { table, key, value in
                let rowBytes = SnapshotChunk.rowBytesMax(key, value)
                guard writer.count == emptyCount || writer.count + rowBytes <= SnapshotChunk.targetBytes else {
                    return false
                }
                checksum.update(key)
                checksum.update(value)
                writer.write(table.rawValue)
                writer.writeLengthPrefixed(key)
                writer.writeLengthPrefixed(value)
                return true
            }
            if isRowLeft { break }
            rowCount += 1
        }
        let compressed = compressor.flatMap { compressor in
            writer.bytes.withUnsafeBytes { bytes in
                SnapshotChunk.compressed(
                    UnsafeRawBufferPointer(rebasing: bytes[emptyCount...]), by: compressor,
                    behind: SnapshotFileChunk.frameBytes)
            }
        }
        return SnapshotFileChunk.frame(compressed ?? writer.bytes)
    }
}

/// How a chunk stands in a file: the length of its payload, a checksum of both, the payload.
enum SnapshotFileChunk {
    static let frameBytes = 8

    /// Fills in the frame that was left free at the front.
    static func frame(_ bytes: consuming [UInt8]) -> [UInt8] {
        let length = UInt32(bytes.count - frameBytes)
        let sum = bytes.withUnsafeBytes { bytes in
            checksum(length, UnsafeRawBufferPointer(rebasing: bytes[frameBytes...]))
        }
        for place in 0..<4 {
            bytes[place] = UInt8(truncatingIfNeeded: length >> (8 * UInt32(place)))
            bytes[4 + place] = UInt8(truncatingIfNeeded: sum >> (8 * UInt32(place)))
        }
        return bytes
    }

    static func framed(_ payload: [UInt8]) -> [UInt8] { frame([UInt8](repeating: 0, count: frameBytes) + payload) }

    static func checksum(_ length: UInt32, _ payload: UnsafeRawBufferPointer) -> UInt32 {
        var sum = CRC32C()
        withUnsafeBytes(of: length.littleEndian) { sum.update($0) }
        sum.update(payload)
        return sum.value
    }
}
