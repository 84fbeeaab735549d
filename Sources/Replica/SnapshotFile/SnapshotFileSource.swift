import ByteCodec
import Digests
package import MVCC
import StorageEngine

/// Writes a snapshot file, piece by piece, from one view of the state: on any thread, one at a time, with no more in
/// memory than a piece. Nobody who writes waits for it.
///
/// The state is walked twice: how long the file becomes stands at its front, and is told to clients ahead. A view does
/// not change, so the second walk finds what the first did.
package final class SnapshotFileSource: @unchecked Sendable {
    // Used by one thread at a time, in turns.
    private let view: ReadView
    private let clusterID: UInt64
    private let memberID: UInt64
    private let writer: String

    private var measured: StateRows?
    private var layout = ChunkLayout()
    /// Known when the first walk is over.
    package private(set) var header: SnapshotFileHeader?

    private enum Part {
        case header
        case rows(StateRows)
        case end
        case padding
        case digest
        case over
    }
    private var part = Part.header
    private var checksum = CRC32C()
    private var rowCount: UInt64 = 0
    private var hash = SHA256()
    /// Of the file, so far.
    package private(set) var writtenBytes: UInt64 = 0

    /// - Parameter writer: the program's version.
    package init(_ view: ReadView, clusterID: UInt64, memberID: UInt64, writer: String) {
        self.view = view
        self.clusterID = clusterID
        self.memberID = memberID
        self.writer = writer
        measured = StateRows(view)
    }

    // MARK: The first walk

    /// Looks at up to `maxRows` rows; true when the walk is over and ``header`` is known.
    package func measure(maxRows: Int) throws(StateError) -> Bool {
        guard var rows = measured else { return true }
        measured = nil
        for _ in 0..<maxRows {
            guard try rows.next() else {
                header = SnapshotFileHeader(
                    chunkBytes: layout.finished(), rowCount: layout.rowCount, keyCount: rows.keyCount,
                    clusterID: clusterID, memberID: memberID, view: view, writer: writer)
                return true
            }
            layout.add(rows.withRow { _, key, value in ChunkLayout.rowBytes(key.count, value.count) })
        }
        measured = rows
        return false
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
            part = .rows(StateRows(view))
        case .rows(var rows):
            // Moved out and back, so that it is not copied while it changes.
            part = .end
            piece = try nextChunk(&rows)
        case .end:
            var writer = ByteWriter(reservingCapacity: SnapshotFileChunk.endBytes)
            writer.write(SnapshotChunk.end)
            writer.write(rowCount)
            writer.write(checksum.value)
            piece = SnapshotFileChunk.framed(writer.bytes)
            part = .padding
        case .padding:
            guard writtenBytes == UInt64(SnapshotFileHeader.blockBytes) + header.chunkBytes,
                rowCount == header.rowCount
            else { throw disagreement(header) }
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

    private func nextChunk(_ rows: inout StateRows) throws(StateError) -> [UInt8] {
        var writer = ByteWriter(reservingCapacity: SnapshotChunk.targetBytes + 4_096)
        // Length and checksum, when they are known.
        writer.write(UInt64(0))
        writer.write(SnapshotChunk.rows)
        while writer.count - SnapshotFileChunk.frameBytes < SnapshotChunk.targetBytes {
            guard try rows.next() else { return SnapshotFileChunk.frame(&writer) }
            rows.withRow { table, key, value in
                checksum.update(key)
                checksum.update(value)
                writer.write(table.rawValue)
                writer.writeLengthPrefixed(key)
                writer.writeLengthPrefixed(value)
            }
            rowCount += 1
        }
        part = .rows(rows)
        return SnapshotFileChunk.frame(&writer)
    }

    private func disagreement(_ header: SnapshotFileHeader) -> StateError {
        .corrupt(
            "a second walk over the same view found \(rowCount) rows and \(writtenBytes) bytes, the first "
                + "\(header.rowCount) and \(UInt64(SnapshotFileHeader.blockBytes) + header.chunkBytes)")
    }
}

/// Where the chunks of a file end, counted and not written.
struct ChunkLayout {
    private(set) var rowCount: UInt64 = 0
    private var bytes: UInt64 = 0
    /// The payload of the chunk that is being filled: its kind, and rows.
    private var payload = 1

    static func rowBytes(_ key: Int, _ value: Int) -> Int {
        1 + varintLength(UInt64(key)) + key + varintLength(UInt64(value)) + value
    }

    mutating func add(_ rowBytes: Int) {
        rowCount += 1
        payload += rowBytes
        if payload >= SnapshotChunk.targetBytes { endChunk() }
    }

    private mutating func endChunk() {
        bytes += UInt64(SnapshotFileChunk.frameBytes + payload)
        payload = 1
    }

    /// How long all chunks are together: a chunk of rows is there even if it is empty, and the end is a chunk.
    func finished() -> UInt64 {
        bytes + UInt64(2 * SnapshotFileChunk.frameBytes + payload + SnapshotFileChunk.endBytes)
    }
}

/// How a chunk stands in a file: the length of its payload, a checksum of both, the payload.
enum SnapshotFileChunk {
    static let frameBytes = 8
    /// The payload of the last one.
    static let endBytes = 13

    /// Fills in the frame that was left free at the writer's front.
    static func frame(_ writer: inout ByteWriter) -> [UInt8] {
        let length = UInt32(writer.count - frameBytes)
        writer.replace(at: 0, with: length)
        let sum = writer.bytes.withUnsafeBytes { bytes in
            checksum(length, UnsafeRawBufferPointer(rebasing: bytes[frameBytes...]))
        }
        writer.replace(at: 4, with: sum)
        return writer.bytes
    }

    static func framed(_ payload: [UInt8]) -> [UInt8] {
        var writer = ByteWriter(reservingCapacity: frameBytes + payload.count)
        writer.write(UInt64(0))
        writer.write(payload)
        return frame(&writer)
    }

    static func checksum(_ length: UInt32, _ payload: UnsafeRawBufferPointer) -> UInt32 {
        var sum = CRC32C()
        withUnsafeBytes(of: length.littleEndian) { sum.update($0) }
        sum.update(payload)
        return sum.value
    }
}
