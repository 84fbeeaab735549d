import ByteCodec
import MVCC
import PeerTransport
package import Raft
package import RaftCore
import StorageEngine
import Synchronization
import Zstandard

/// Reads a state row by row, in order.
final class StateSnapshotSource: SnapshotSource, @unchecked Sendable {
    // Used by one thread at a time, the transport's.
    private let view: LayeredView
    private var tables = Table.allCases[...]
    private var cursor: LayeredCursor?
    private var isPositioned = false
    private var rows: UInt64 = 0
    private var checksum = CRC32C()
    private var hasEnded = false
    private let compressor = ZstandardCompressor(level: SnapshotChunk.compressionLevel)

    init(_ view: LayeredView) { self.view = view }

    func nextChunk() throws -> [UInt8]? { try nextChunk(mayCompress: true) }

    func nextChunk(mayCompress: Bool) throws -> [UInt8]? {
        if hasEnded { return nil }
        var writer = ByteWriter(reservingCapacity: SnapshotChunk.targetBytes)
        // The length comes first: transports may cut and join what they carry.
        writer.write(UInt32(0))
        writer.write(SnapshotChunk.rows)
        while writer.count < SnapshotChunk.targetBytes, let table = tables.first {
            if cursor == nil {
                let fresh = view.makeCursor(table)
                cursor = fresh
                isPositioned = fresh.first()
            }
            guard let cursor, isPositioned else {
                self.cursor = nil
                tables = tables.dropFirst()
                continue
            }
            let rowBytes = SnapshotChunk.rowBytesMax(cursor.key, cursor.value)
            guard writer.count == 5 || writer.count + rowBytes <= SnapshotChunk.targetBytes else { break }
            checksum.update(cursor.key)
            checksum.update(cursor.value)
            writer.write(table.rawValue)
            writer.writeLengthPrefixed(cursor.key)
            writer.writeLengthPrefixed(cursor.value)
            rows += 1
            isPositioned = cursor.next()
        }
        if writer.count > 5 {
            let bytes = writer.finish()
            guard mayCompress, let chunk = compressed(bytes) else { return framed(bytes) }
            return framed(chunk)
        }
        hasEnded = true
        writer.removeAll()
        writer.write(UInt32(0))
        writer.write(SnapshotChunk.end)
        writer.write(rows)
        writer.write(checksum.value)
        return framed(writer.finish())
    }

    /// With room for the length at its front; nil if it would not be shorter.
    private func compressed(_ bytes: [UInt8]) -> [UInt8]? {
        bytes.withUnsafeBytes { bytes in
            let rows = UnsafeRawBufferPointer(rebasing: bytes[5...])
            return SnapshotChunk.compressed(rows, by: compressor, behind: 4)
        }
    }

    private func framed(_ bytes: consuming [UInt8]) -> [UInt8] {
        let length = bytes.count - 4
        for place in 0..<4 { bytes[place] = UInt8(truncatingIfNeeded: length >> (8 * place)) }
        return bytes
    }
}

/// A snapshot that has arrived whole. One that is let go without having been installed is cleared away.
package final class StagedSnapshot: Sendable {
    package let engine: StagedEngine
    package let description: SnapshotDescription
    private let engines: any EngineProvider
    private let isInstalled = Atomic(false)

    init(engine: StagedEngine, description: SnapshotDescription, engines: any EngineProvider) {
        self.engine = engine
        self.description = description
        self.engines = engines
    }

    /// The engine is somebody else's now.
    func markInstalled() { isInstalled.store(true, ordering: .relaxed) }

    deinit { if !isInstalled.load(ordering: .relaxed) { engines.discard(engine) } }
}

/// Puts arriving snapshots into engines of their own.
package final class StateSnapshotReceiver: SnapshotReceiver {
    private let engines: any EngineProvider
    private let isBusy = Mutex(false)

    package init(engines: any EngineProvider) { self.engines = engines }

    package func begin(_ description: SnapshotDescription) throws -> any StagingSink<StagedSnapshot> {
        let isFree = isBusy.withLock { busy in
            defer { busy = true }
            return !busy
        }
        guard isFree else { throw NodeFailure(part: .snapshot, reason: "another snapshot is arriving") }
        do {
            return StateStagingSink(
                engines: engines, staged: try engines.makeStaging(), description: description,
                ended: { [self] in isBusy.withLock { $0 = false } })
        } catch {
            isBusy.withLock { $0 = false }
            throw error
        }
    }
}

private final class StateStagingSink: StagingSink, @unchecked Sendable {
    /// Rows are committed to the staging engine in batches of about this size.
    private static let batchBytes = 16 << 20

    // Used by one thread at a time, the transport's.
    private let engines: any EngineProvider
    private let staged: StagedEngine
    private let description: SnapshotDescription
    private let ended: () -> Void
    /// What has arrived of a chunk that is not whole yet.
    private var arrived: [UInt8] = []
    private var batch: [Mutation] = []
    private var batchBytes = 0
    private var rows: UInt64 = 0
    private var checksum = CRC32C()
    private var isWhole = false
    private var isOver = false
    private let decompressor = ZstandardDecompressor()

    init(
        engines: any EngineProvider, staged: StagedEngine, description: SnapshotDescription,
        ended: @escaping () -> Void
    ) {
        self.engines = engines
        self.staged = staged
        self.description = description
        self.ended = ended
    }

    deinit { if !isOver { abort() } }

    func write(_ piece: [UInt8]) throws {
        arrived.append(contentsOf: piece)
        var offset = 0
        while arrived.count - offset >= 4 {
            let length = (0..<4).reduce(0) { $0 | Int(arrived[offset + $1]) << (8 * $1) }
            guard length <= SnapshotChunk.bytesMax else { throw failure("a chunk of \(length) bytes") }
            guard arrived.count - offset - 4 >= length else { break }
            try writeChunk(arrived[(offset + 4)..<(offset + 4 + length)])
            offset += 4 + length
        }
        if offset > 0 { arrived.removeFirst(offset) }
    }

    private func writeChunk(_ chunk: ArraySlice<UInt8>) throws {
        try chunk.withUnsafeBytes { bytes in
            var reader = ByteReader(bytes)
            switch try reader.readByte() {
            case SnapshotChunk.rows: try writeRows(&reader)
            case SnapshotChunk.compressedRows:
                let rows = try SnapshotChunk.decompressed(&reader, by: decompressor)
                try rows.withUnsafeBytes { rows in
                    var reader = ByteReader(rows)
                    try writeRows(&reader)
                }
            case SnapshotChunk.end:
                let expectedRows = try reader.readUInt64()
                let expectedChecksum = try reader.readUInt32()
                guard expectedRows == rows, expectedChecksum == checksum.value else {
                    throw failure(
                        "\(rows) rows arrived where \(expectedRows) were sent, or they were changed on the way")
                }
                isWhole = true
            case let kind: throw failure("a chunk of unknown kind \(kind)")
            }
            try reader.expectEnd()
        }
    }

    private func writeRows(_ reader: inout ByteReader) throws {
        guard !isWhole else { throw failure("rows after the end") }
        while !reader.isAtEnd {
            let number = try reader.readByte()
            guard let table = Table(rawValue: number) else { throw failure("a row of unknown table \(number)") }
            let key = try reader.readLengthPrefixed()
            let value = try reader.readLengthPrefixed()
            checksum.update(key)
            checksum.update(value)
            rows += 1
            batchBytes += key.count + value.count
            // Where a state was born is each member's own.
            if table == .meta, key.elementsEqual(ClusterDirectory.originKey.rowKey) { continue }
            batch.append(.put(table, key: Array(key), value: Array(value)))
        }
        if batchBytes >= Self.batchBytes { try commit() }
    }

    private func commit() throws {
        try staged.engine.commit(batch)
        batch.removeAll(keepingCapacity: true)
        batchBytes = 0
    }

    func finish() throws -> StagedSnapshot {
        guard isWhole, arrived.isEmpty else { throw failure("the stream ended early") }
        let origin = AppliedPlace(index: description.index, term: description.term)
        batch.append(
            .put(
                .meta, key: ClusterDirectory.originKey.rowKey,
                value: ClusterDirectory.originKey.rowValue(ClusterDirectory.encode(origin: origin))))
        try commit()
        let state = try State(store: LayeredStore(engine: staged.engine))
        guard state.applied.index == description.index.rawValue, state.applied.term == description.term.rawValue else {
            throw failure("it stands at entry \(state.applied.index), not at \(description.index.rawValue) as it says")
        }
        // What was damaged at the sender is not passed on.
        try state.check()
        isOver = true
        ended()
        return StagedSnapshot(engine: staged, description: description, engines: engines)
    }

    func abort() {
        guard !isOver else { return }
        isOver = true
        engines.discard(staged)
        ended()
    }

    private func failure(_ reason: String) -> NodeFailure { NodeFailure(part: .snapshot, reason: reason) }
}
