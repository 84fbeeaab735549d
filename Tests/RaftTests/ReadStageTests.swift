import Platform
import RaftCore
import Synchronization
import Testing
import WriteAheadLog

@testable import Raft

@Suite struct ReadStageTests {
    typealias Machine = LibraryMachine<KeyValues>

    private let files = MemoryFileSystem()
    private let header = Message(
        from: NodeID(1), to: NodeID(2), term: Term(1),
        body: .appendEntries(
            AppendEntries(previousIndex: .zero, previousTerm: .zero, commit: .zero, entries: [])))

    private struct Filled: ~Copyable {
        var log: WriteAheadLog
        var locations: [RecordLocation]
    }

    /// A log of so many entries, some a segment.
    private func makeLog(entries count: UInt64) throws -> Filled {
        var options = WALOptions(identity: [UInt8](repeating: 1, count: 16), salt: 7)
        options.segmentBytes = 64 << 10
        options.fillSliceBytes = 64 << 10
        var log = try WriteAheadLog.open(directory: "/log", fileSystem: files, options: options) { _, _, _ in }
        var locations: [RecordLocation] = []
        for raw in 1...count {
            let entry = Entry(
                index: LogIndex(raw), term: Term(1), payload: [UInt8](repeating: UInt8(raw), count: 10_000))
            let bytes = LogRecord.entryHeadBytes + entry.payload.count
            locations.append(
                try log.append(kind: LogRecordKind.entry.record, byteCount: bytes) { LogRecord.write(entry, to: $0) })
        }
        try log.synchronize()
        return Filled(log: log, locations: locations)
    }

    private func answer(_ reader: LogReader, _ locations: ArraySlice<RecordLocation>) -> [ConsensusInput<Machine>] {
        let box = RecordingMailbox<ConsensusInput<Machine>>()
        let stage = ReadStage<Machine>(reader: reader, consensus: box)
        let first = LogIndex(UInt64(locations.startIndex) + 1)
        var inputs = [ReadInput(header: header, first: first, locations: Array(locations))]
        stage.process(&inputs, now: 0)
        return box.inputs.withLock { $0 }
    }

    @Test func `entries come back in order, over the ends of segments`() throws {
        let filled = try makeLog(entries: 40)
        #expect(Set(filled.locations.map(\.segment)).count > 3)
        guard case .loaded(let message)? = answer(filled.log.reader, filled.locations[5..<35]).first,
            case .appendEntries(let append) = message.body
        else {
            Issue.record("nothing was loaded")
            return
        }
        #expect(append.entries.map(\.index.rawValue) == Array(6...35))
        #expect(append.entries.allSatisfy { $0.payload == [UInt8](repeating: UInt8($0.index.rawValue), count: 10_000) })
    }

    @Test func `entries that are cut meanwhile are no failure`() throws {
        var filled = try makeLog(entries: 40)
        try filled.log.cut(before: filled.locations[30])
        guard case .loadFailed(NodeID(2))? = answer(filled.log.reader, filled.locations[..<10]).first else {
            Issue.record("cut entries were loaded, or the node was ended")
            return
        }
    }

    @Test func `an entry that is not what was written ends the node`() throws {
        let filled = try makeLog(entries: 40)
        let place = filled.locations[3]
        let names = try files.list("/log").filter { $0.count >= 16 }
        let file = try files.open("/log/\(names[Int(place.segment) - 1])", .readWrite)
        try [UInt8(99)].withUnsafeBytes { try file.write($0, at: Int(place.offset) + 1_000) }
        guard case .failed(let failure)? = answer(filled.log.reader, filled.locations[..<10]).first else {
            Issue.record("a damaged entry was loaded")
            return
        }
        #expect(failure.part == .log)
        // And entries at the places of others.
        guard case .failed? = answer(filled.log.reader, [filled.locations[9]][...]).first else {
            Issue.record("another entry was loaded")
            return
        }
    }
}
