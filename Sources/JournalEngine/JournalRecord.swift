import ByteCodec
import StorageEngine

/// A journal's record: a head of 24 bytes, then changes of rows.
///
/// The head has a checksum of its own, so that a record's length is known to be right before it is believed.
struct JournalRecord {
    enum Kind: UInt8 {
        /// Rows that were there when the journal was begun.
        case base = 1
        /// All of those have come.
        case baseEnd = 2
        case commit = 3
    }

    struct Head {
        static let bytes = 24

        var kind: Kind
        var payloadBytes: Int
        var payloadChecksum: UInt32
    }

    private static let put: UInt8 = 1
    private static let delete: UInt8 = 0

    private var writer = ByteWriter(reservingCapacity: 4_096)
    private let kind: Kind

    init(_ kind: Kind) {
        self.kind = kind
        writer.write([UInt8](repeating: 0, count: Head.bytes))
    }

    var payloadBytes: Int { writer.count - Head.bytes }

    /// No value: the row is deleted.
    mutating func add(_ table: Table, _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer?) {
        writer.write(table.rawValue)
        writer.write(value == nil ? Self.delete : Self.put)
        writer.writeLengthPrefixed(key)
        if let value { writer.writeLengthPrefixed(value) }
    }

    mutating func add(_ mutation: Mutation) {
        switch mutation {
        case .put(let table, let key, let value):
            key.withUnsafeBytes { key in value.withUnsafeBytes { value in add(table, key, value) } }
        case .delete(let table, let key): key.withUnsafeBytes { add(table, $0, nil) }
        }
    }

    /// The record as it is written, but for its number.
    consuming func finish() throws(EngineError) -> [UInt8] {
        let count = payloadBytes
        guard count <= Int(Int32.max) else { throw .io("a commit of \(count) bytes is too large for a journal") }
        writer.replace(at: 0, with: UInt32(count))
        writer.replace(at: 12, with: UInt32(kind.rawValue))
        let sum = writer.bytes.withUnsafeBytes { bytes in
            CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[Head.bytes...]))
        }
        writer.replace(at: 16, with: sum)
        return writer.finish()
    }

    /// Numbers a finished record. Numbers follow each other within a journal, so that no record can be missed or come
    /// twice.
    static func number(_ record: inout [UInt8], _ sequence: UInt64) {
        for place in 0..<8 { record[4 + place] = UInt8(truncatingIfNeeded: sequence >> UInt64(8 * place)) }
        let sum = record.withUnsafeBytes { bytes in CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[..<20])) }
        for place in 0..<4 { record[20 + place] = UInt8(truncatingIfNeeded: sum >> UInt32(8 * place)) }
    }

    /// nil if these are not the head of a record of that number.
    static func head(_ bytes: UnsafeRawBufferPointer, sequence: UInt64) throws(DecodingError) -> Head? {
        guard bytes.count >= Head.bytes else { return nil }
        var reader = ByteReader(bytes)
        let count = try reader.readUInt32()
        let number = try reader.readUInt64()
        let kind = try reader.readUInt32()
        let payloadChecksum = try reader.readUInt32()
        let sum = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[..<20]))
        guard try reader.readUInt32() == sum, number == sequence, let kind = Kind(rawValue: UInt8(clamping: kind))
        else { return nil }
        return Head(kind: kind, payloadBytes: Int(count), payloadChecksum: payloadChecksum)
    }

    /// Makes the changes of a payload, in their order.
    static func apply(_ payload: UnsafeRawBufferPointer, to rows: inout TreeSet) throws(DecodingError) {
        var reader = ByteReader(payload)
        while !reader.isAtEnd {
            let number = try reader.readByte()
            guard let table = Table(rawValue: number) else { throw .invalid("a row of unknown table \(number)") }
            let operation = try reader.readByte()
            let key = try reader.readLengthPrefixed()
            switch operation {
            case put: rows.set(table, key, try reader.readLengthPrefixed())
            case delete: rows.remove(table, key)
            default: throw .invalid("a change of unknown kind \(operation)")
            }
        }
    }
}
