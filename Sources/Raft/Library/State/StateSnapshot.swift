/// A state machine's whole state at one moment, and how to write it out.
public struct StateSnapshot: Sendable {
    package let write: @Sendable (SnapshotWriter) throws -> Void

    /// - Parameter write: writes the state, in as many pieces as it likes. It is called on a thread of its own, perhaps
    ///   never, perhaps more than once. What it throws stops the member (or ends the transfer to another one).
    public init(writing write: @escaping @Sendable (SnapshotWriter) throws -> Void) { self.write = write }

    /// A state small enough to be in memory in one piece.
    public init(_ bytes: [UInt8]) { write = { writer in try writer.write(bytes) } }
}

/// Where a ``StateSnapshot`` is written to. It gathers what it is given and passes it on in checksummed blocks.
public final class SnapshotWriter {
    private let file: SnapshotFileWriter
    init(_ file: SnapshotFileWriter) { self.file = file }

    /// Writes bytes as they are: ``SnapshotReader/read(upTo:)`` gives them back, however they were cut.
    public func write(_ bytes: [UInt8]) throws { try file.write(bytes) }

    /// Writes bytes together with their length, for ``SnapshotReader/readRecord(limit:)``.
    public func writeRecord(_ bytes: [UInt8]) throws {
        var length = UInt64(bytes.count)
        var prefix: [UInt8] = []
        while length >= 0x80 {
            prefix.append(UInt8(truncatingIfNeeded: length) | 0x80)
            length >>= 7
        }
        prefix.append(UInt8(length))
        try file.write(prefix)
        try file.write(bytes)
    }
}

/// What a snapshot holds, from its start. Everything was checked against its checksums before it is handed out.
public final class SnapshotReader {
    private let file: SnapshotFileReader
    private var block: ArraySlice<UInt8> = []
    init(_ file: SnapshotFileReader) { self.file = file }

    /// Up to `count` bytes; none at the end only.
    public func read(upTo count: Int) throws -> [UInt8] {
        guard count > 0, try fill() else { return [] }
        let bytes = Array(block.prefix(count))
        block = block.dropFirst(bytes.count)
        return bytes
    }

    /// Everything that is left.
    public func readAll() throws -> [UInt8] {
        var bytes: [UInt8] = []
        while try fill() {
            bytes.append(contentsOf: block)
            block = []
        }
        return bytes
    }

    /// What one ``SnapshotWriter/writeRecord(_:)`` has written; nil at the end.
    /// - Parameter limit: a longer record is an error.
    public func readRecord(limit: Int = 256 << 20) throws -> [UInt8]? {
        guard try fill() else { return nil }
        var length: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            guard shift < 64, try fill(), let byte = block.popFirst() else {
                throw SnapshotDamage(reason: "a record without its length")
            }
            length |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 { break }
            shift += 7
        }
        guard length <= UInt64(max(0, limit)) else { throw SnapshotDamage(reason: "a record of \(length) bytes") }
        var record: [UInt8] = []
        record.reserveCapacity(Int(length))
        while record.count < Int(length) {
            guard try fill() else { throw SnapshotDamage(reason: "a record that is cut short") }
            let piece = block.prefix(Int(length) - record.count)
            record.append(contentsOf: piece)
            block = block.dropFirst(piece.count)
        }
        return record
    }

    private func fill() throws -> Bool {
        while block.isEmpty {
            guard let next = try file.nextBlock() else { return false }
            block = next[...]
        }
        return true
    }
}

/// Bytes that are no snapshot, or are not what was written.
struct SnapshotDamage: Error, Hashable, Sendable, CustomStringConvertible {
    var reason: String
    var description: String { reason }
}
