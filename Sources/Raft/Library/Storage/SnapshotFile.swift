import ByteCodec
import Platform
package import RaftCore

// A snapshot's bytes, in a file and on the wire (Documentation/formats/library-snapshot.md). All integers are
// little-endian.
//
//     magic       8 bytes "RAFTSNAP"
//     blocks      length u32 · CRC-32C of the payload u32 · payload; the first one is the head, the others the state
//     end         0xffffffff u32 · CRC-32C of the next 8 bytes u32 · bytes of state u64

/// What a snapshot says of itself, beside the state.
package struct SnapshotHead: Hashable, Sendable {
    var place: AppliedPlace
    var configuration: Configuration
    var roster: [RaftPeer]

    func encode() -> [UInt8] {
        var writer = ByteWriter(reservingCapacity: 256)
        writer.write(SnapshotFormat.version)
        writer.write(place.index.rawValue)
        writer.write(place.term.rawValue)
        writer.writeLengthPrefixed(configuration.encode())
        writer.writeLengthPrefixed(RosterCodec.encode(roster))
        return writer.finish()
    }

    package init(place: AppliedPlace, configuration: Configuration, roster: [RaftPeer]) {
        self.place = place
        self.configuration = configuration
        self.roster = roster
    }

    init(decoding bytes: [UInt8]) throws(SnapshotDamage) {
        do {
            self = try bytes.withUnsafeBytes { raw in
                var reader = ByteReader(raw)
                let version = try reader.readByte()
                guard version == SnapshotFormat.version else {
                    throw SnapshotDamage(reason: "version \(version), which this program cannot read")
                }
                let place = AppliedPlace(index: LogIndex(try reader.readUInt64()), term: Term(try reader.readUInt64()))
                let configuration = try Configuration(decoding: try reader.readLengthPrefixedArray())
                let roster = try RosterCodec.decode(try reader.readLengthPrefixedArray())
                try reader.expectEnd()
                return SnapshotHead(place: place, configuration: configuration, roster: roster)
            }
        } catch {
            throw SnapshotDamage(reason: "its head makes no sense: \(error)")
        }
    }
}

enum SnapshotFormat {
    static let version: UInt8 = 1
    static let magic = Array("RAFTSNAP".utf8)
    static let blockBytes = 256 << 10
    static let blockBytesMax = 4 << 20
    static let endMark = UInt32.max
}

/// Writes a snapshot into a new file. It is durable after ``finish()``.
final class SnapshotFileWriter {
    private let file: any File
    private var offset = 0
    private var buffer: [UInt8] = []
    private var stateBytes: UInt64 = 0

    init(_ file: any File, head: SnapshotHead) throws {
        self.file = file
        try put(SnapshotFormat.magic)
        try putBlock(head.encode())
    }

    func write(_ bytes: [UInt8]) throws {
        stateBytes += UInt64(bytes.count)
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = rest.prefix(SnapshotFormat.blockBytes - buffer.count)
            buffer.append(contentsOf: piece)
            rest = rest.dropFirst(piece.count)
            if buffer.count == SnapshotFormat.blockBytes { try flush() }
        }
    }

    func finish() throws {
        try flush()
        var total = ByteWriter()
        total.write(stateBytes)
        var writer = ByteWriter()
        writer.write(SnapshotFormat.endMark)
        writer.write(CRC32C.checksum(total.bytes))
        writer.write(total.bytes)
        try put(writer.finish())
        try file.synchronize()
    }

    private func flush() throws {
        guard !buffer.isEmpty else { return }
        try putBlock(buffer)
        buffer.removeAll(keepingCapacity: true)
    }

    private func putBlock(_ payload: [UInt8]) throws {
        var writer = ByteWriter(reservingCapacity: payload.count + 8)
        writer.write(UInt32(payload.count))
        writer.write(CRC32C.checksum(payload))
        writer.write(payload)
        try put(writer.finish())
    }

    private func put(_ bytes: [UInt8]) throws {
        try bytes.withUnsafeBytes { try file.write($0, at: offset) }
        offset += bytes.count
    }
}

/// Reads a snapshot's file, block by block, and believes nothing without its checksum.
final class SnapshotFileReader {
    let head: SnapshotHead
    private let file: any File
    private var offset: Int
    private var stateBytes: UInt64 = 0
    private var isAtEnd = false

    init(_ file: any File) throws {
        self.file = file
        let magic = try Self.read(file, at: 0, count: SnapshotFormat.magic.count)
        guard magic == SnapshotFormat.magic else { throw SnapshotDamage(reason: "it is no snapshot") }
        offset = magic.count
        guard let first = try Self.block(file, at: &offset) else { throw SnapshotDamage(reason: "it has no head") }
        head = try SnapshotHead(decoding: first)
    }

    /// The next piece of the state; nil at the end, which was found where it should be.
    func nextBlock() throws -> [UInt8]? {
        guard !isAtEnd else { return nil }
        if let block = try Self.block(file, at: &offset) {
            stateBytes += UInt64(block.count)
            return block
        }
        isAtEnd = true
        let total = try Self.read(file, at: offset - 12, count: 12)
        let expected = total.withUnsafeBytes {
            (
                UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: 0, as: UInt32.self)),
                UInt64(littleEndian: $0.loadUnaligned(fromByteOffset: 4, as: UInt64.self))
            )
        }
        guard CRC32C.checksum(Array(total[4...])) == expected.0, expected.1 == stateBytes else {
            throw SnapshotDamage(reason: "it holds \(stateBytes) bytes, and should hold others")
        }
        return nil
    }

    /// Reads all of it, to see that it is whole.
    func check() throws {
        while try nextBlock() != nil {}
        guard try file.size() == offset else { throw SnapshotDamage(reason: "bytes after its end") }
    }

    func close() { file.close() }

    private static func read(_ file: any File, at offset: Int, count: Int) throws -> [UInt8] {
        var done = 0
        let bytes = try [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            done = try file.read(into: UnsafeMutableRawBufferPointer(buffer), at: offset)
            initialized = done
        }
        guard done == count else { throw SnapshotDamage(reason: "it is cut short") }
        return bytes
    }

    /// nil at the end's mark, with `offset` behind the end.
    private static func block(_ file: any File, at offset: inout Int) throws -> [UInt8]? {
        let frame = try read(file, at: offset, count: 8)
        let (length, checksum) = frame.withUnsafeBytes {
            (
                UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: 0, as: UInt32.self)),
                UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
            )
        }
        if length == SnapshotFormat.endMark {
            offset += 16
            return nil
        }
        guard length <= SnapshotFormat.blockBytesMax else { throw SnapshotDamage(reason: "a block of \(length) bytes") }
        let payload = try read(file, at: offset + 8, count: Int(length))
        guard CRC32C.checksum(payload) == checksum else {
            throw SnapshotDamage(reason: "the checksum at \(offset) is wrong")
        }
        offset += 8 + Int(length)
        return payload
    }
}
