import ByteCodec
import RaftCore
import WriteAheadLog

/// What a record of the write-ahead log holds. The kinds' numbers are on disk (Documentation/formats/raft-log.md).
enum LogRecordKind: UInt8 {
    /// term u64, vote u64 (0: none), commit u64. Repeated at the head of every segment.
    case hardState = 1
    /// index u64, term u64, kind u8, payload. An index that is not past the log's end cuts the log there first.
    case entry = 2
    /// index u64, term u64. The log starts after this place: the state was born there; what came before is void.
    case base = 3
    /// index u64, term u64. Entries up to this place are not needed any more; made durable before segments are removed.
    case cut = 4

    var record: RecordKind { RecordKind(rawValue: rawValue) }
}

struct LogPlace: Hashable, Sendable {
    var index: LogIndex
    var term: Term
}

enum LogRecord: Equatable {
    case hardState(HardState)
    case entry(Entry)
    case base(LogPlace)
    case cut(LogPlace)

    static let entryHeadBytes = 17
    static let hardStateBytes = 24

    static func encode(_ state: HardState) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: hardStateBytes) { memory, count in
            write(state, to: UnsafeMutableRawBufferPointer(memory))
            count = hardStateBytes
        }
    }

    /// Writes a hard state's record into memory of exactly its size.
    static func write(_ state: HardState, to memory: UnsafeMutableRawBufferPointer) {
        memory.storeBytes(of: state.term.rawValue.littleEndian, toByteOffset: 0, as: UInt64.self)
        memory.storeBytes(of: (state.votedFor?.rawValue ?? 0).littleEndian, toByteOffset: 8, as: UInt64.self)
        memory.storeBytes(of: state.commit.rawValue.littleEndian, toByteOffset: 16, as: UInt64.self)
    }

    static func encode(_ place: LogPlace) -> [UInt8] {
        var writer = ByteWriter(reservingCapacity: 16)
        writer.write(place.index.rawValue)
        writer.write(place.term.rawValue)
        return writer.finish()
    }

    /// Writes an entry's record into memory of exactly its size.
    static func write(_ entry: Entry, to memory: UnsafeMutableRawBufferPointer) {
        memory.storeBytes(of: entry.index.rawValue.littleEndian, toByteOffset: 0, as: UInt64.self)
        memory.storeBytes(of: entry.term.rawValue.littleEndian, toByteOffset: 8, as: UInt64.self)
        memory[16] = entry.kind.rawValue
        UnsafeMutableRawBufferPointer(rebasing: memory[entryHeadBytes...]).copyBytes(from: entry.payload)
    }

    init(kind: UInt8, payload: UnsafeRawBufferPointer) throws(DecodingError) {
        guard let kind = LogRecordKind(rawValue: kind) else { throw .invalid("a record of unknown kind \(kind)") }
        var reader = ByteReader(payload)
        switch kind {
        case .hardState:
            let term = Term(try reader.readUInt64())
            let vote = try reader.readUInt64()
            let commit = LogIndex(try reader.readUInt64())
            try reader.expectEnd()
            self = .hardState(HardState(term: term, votedFor: vote == 0 ? nil : NodeID(vote), commit: commit))
        case .entry:
            let index = LogIndex(try reader.readUInt64())
            let term = Term(try reader.readUInt64())
            let rawKind = try reader.readByte()
            guard let entryKind = EntryKind(rawValue: rawKind) else { throw .invalid("an entry of kind \(rawKind)") }
            let payload = [UInt8](try reader.readBytes(reader.remaining))
            self = .entry(Entry(index: index, term: term, kind: entryKind, payload: payload))
        case .base, .cut:
            let place = LogPlace(index: LogIndex(try reader.readUInt64()), term: Term(try reader.readUInt64()))
            try reader.expectEnd()
            self = kind == .base ? .base(place) : .cut(place)
        }
    }
}
