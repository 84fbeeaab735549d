import ByteCodec
import Digests
import MVCC
import Raft
import RaftCore
import StorageEngine
import TestSupport
import Testing

@testable import Replica

@Suite struct SnapshotFileTests {
    private func state(keys: Int, valueBytes: Int = 20, seed: UInt64 = 1) throws -> State {
        var random = SeededRandom(seed: seed)
        var state = try State(store: LayeredStore(engine: MemoryEngine()))
        for number in 0..<keys {
            let value = (0..<random.int(0...valueBytes)).map { _ in UInt8(random.int(0...255)) }
            let put = PutOperation(key: Array("key\(random.int(0...max(1, keys)))".utf8), value: value)
            _ = try state.apply(.put(put), at: LogPosition(index: UInt64(number) + 2, term: 3))
        }
        return state
    }

    private func source(_ state: State, compresses: Bool = true) throws -> SnapshotFileSource {
        let source = SnapshotFileSource(
            try state.view, clusterID: 0xc1, memberID: 0x31, writer: "0.1.0", compresses: compresses)
        while try !source.measure() {}
        return source
    }

    private func pieces(_ source: SnapshotFileSource) throws -> [[UInt8]] {
        var pieces: [[UInt8]] = []
        while let piece = try source.nextPiece() { pieces.append(piece) }
        return pieces
    }

    private func file(_ state: State) throws -> [UInt8] { try pieces(source(state)).flatMap { $0 } }

    private func read(_ file: [UInt8], checksDigest: Bool = true) throws -> [Mutation] {
        let reader = try SnapshotFileReader(MemoryFile(file), checksDigest: checksDigest)
        var rows: [Mutation] = []
        _ = try reader.forEachRow { rows.append(.put($0, key: Array($1), value: Array($2))) }
        return rows
    }

    private func rows(_ state: State) throws -> [Mutation] {
        var rows = StateRows(try state.view)
        var found: [Mutation] = []
        while try rows.next() { found.append(rows.withRow { .put($0, key: Array($1), value: Array($2)) }) }
        return found
    }

    /// Why a file is refused; nil where it is not.
    private func refusal(_ file: [UInt8], checksDigest: Bool = true) -> SnapshotFileError? {
        do {
            _ = try read(file, checksDigest: checksDigest)
            return nil
        } catch let error as SnapshotFileError {
            return error
        } catch {
            Issue.record("\(error)")
            return nil
        }
    }

    // MARK: Whole files

    @Test(arguments: [0, 1, 100, 3_000])
    func `what is written is read`(keys: Int) throws {
        let state = try state(keys: keys)
        let file = try file(state)
        let expected = try rows(state)
        #expect(try read(file) == expected)
        let reader = try SnapshotFileReader(MemoryFile(file))
        let header = reader.header
        #expect(header.rowCount == UInt64(expected.count))
        #expect(header.revision == state.revision)
        #expect(header.applied == state.applied)
        #expect(header.clusterID == 0xc1 && header.memberID == 0x31 && header.writer == "0.1.0")
        #expect(header.fileBytes == UInt64(file.count))
        // What etcd's clients ask of a snapshot (M8).
        #expect(file.count % 512 == 32)
        #expect(Array(file.suffix(32)) == SHA256.hash(Array(file.dropLast(32))))
        #expect(try reader.check().digest == Array(file.suffix(32)))
        #expect(try reader.check().checksum == StateRows.checksum(of: state.view))
    }

    @Test(arguments: [true, false])
    func `the size is known before anything is written`(compresses: Bool) throws {
        let source = try source(state(keys: 500), compresses: compresses)
        let announced = try #require(source.header).fileBytes
        let pieces = try pieces(source)
        #expect(announced == UInt64(pieces.reduce(0) { $0 + $1.count }))
        #expect(pieces.last?.count == 32)
        #expect(source.writtenBytes == announced)
    }

    /// Values that end chunks before, at and behind the place where a chunk is full.
    @Test(arguments: -3...3)
    func `chunks end where they were said to`(offset: Int) throws {
        var state = try State(store: LayeredStore(engine: MemoryEngine()))
        for (index, size) in [SnapshotChunk.targetBytes - 60 + offset, 100, 700 << 10, 0, 400 << 10].enumerated() {
            let put = PutOperation(key: [UInt8(index)], value: [UInt8](repeating: 7, count: size))
            _ = try state.apply(.put(put), at: LogPosition(index: UInt64(index) + 2, term: 1))
        }
        let source = try source(state)
        let pieces = try pieces(source)
        #expect(pieces.count >= 6)
        // A piece holds one row more than fits, at most.
        #expect(pieces.allSatisfy { $0.count <= SnapshotChunk.targetBytes + (700 << 10) + 100 })
        #expect(try read(pieces.flatMap { $0 }) == rows(state))
    }

    @Test func `text takes a fraction of its room, and a file of the first format is read as well`() throws {
        var state = try State(store: LayeredStore(engine: MemoryEngine()))
        for number in 0..<3_000 {
            let value = "{\"kind\": \"Pod\", \"namespace\": \"default\", \"name\": \"web-\(number)\"}"
            let put = PutOperation(key: Array("/registry/pods/\(number)".utf8), value: Array(value.utf8))
            _ = try state.apply(.put(put), at: LogPosition(index: UInt64(number) + 2, term: 1))
        }
        let compressed = try file(state)
        let plain = try pieces(source(state, compresses: false)).flatMap { $0 }
        #expect(compressed.count < plain.count / 4)
        #expect(compressed[16] == 2 && plain[16] == 1)
        let expected = try rows(state)
        #expect(try read(compressed) == expected)
        #expect(try read(plain) == expected)
        // The same rows, whatever carries them.
        #expect(
            try SnapshotFileReader(MemoryFile(compressed)).check().checksum
                == SnapshotFileReader(MemoryFile(plain)).check().checksum)
        // The first format has no compressed chunks.
        var mixed = compressed
        mixed[16] = 1
        mixed.replaceSubrange(20..<24, with: [0, 0, 0, 0])
        let sum = CRC32C.checksum(Array(mixed[..<512]))
        for place in 0..<4 { mixed[20 + place] = UInt8(truncatingIfNeeded: sum >> UInt32(8 * place)) }
        mixed.replaceSubrange(mixed.count - 32..<mixed.count, with: SHA256.hash(Array(mixed.dropLast(32))))
        guard case .damaged? = refusal(mixed) else {
            Issue.record("\(String(describing: refusal(mixed)))")
            return
        }
    }

    @Test func `the state goes on while a snapshot of it is written`() throws {
        var state = try state(keys: 300)
        let expected = try rows(state)
        let source = try source(state)
        var pieces = [try #require(try source.nextPiece())]
        for number in 0..<300 {
            let put = PutOperation(key: Array("key\(number)".utf8), value: [1])
            _ = try state.apply(.put(put), at: LogPosition(index: UInt64(number) + 1_000, term: 3))
        }
        pieces += try self.pieces(source)
        #expect(try read(pieces.flatMap { $0 }) == expected)
    }

    // MARK: Files that are not whole

    @Test func `a bit that differs is found wherever it is`() throws {
        let file = try file(state(keys: 6))
        for byte in file.indices {
            var damaged = file
            damaged[byte] ^= 1 << (byte % 8)
            #expect(refusal(damaged) != nil, "byte \(byte)")
        }
    }

    @Test func `without the digest the chunks' checksums still find it`() throws {
        let file = try file(state(keys: 6))
        let content = Array(file.dropLast(32))
        #expect(refusal(content) == .cut(has: UInt64(content.count), of: UInt64(file.count)))
        #expect(refusal(content, checksDigest: false) == nil)
        for byte in content.indices {
            var damaged = content
            damaged[byte] ^= 1 << (byte % 8)
            #expect(refusal(damaged, checksDigest: false) != nil, "byte \(byte)")
        }
        var wrong = file
        wrong[file.count - 1] ^= 1
        #expect(refusal(wrong) == .wrongDigest)
        #expect(refusal(wrong, checksDigest: false) == nil)
    }

    @Test func `a file that was cut anywhere is refused, and so is one with more`() throws {
        let file = try file(state(keys: 6))
        for count in file.indices {
            let part = Array(file[..<count])
            switch (count, refusal(part)) {
            case (..<16, .foreign?): break
            case (16..., .cut?): break
            case (_, let other): Issue.record("\(count) bytes: \(other.map { "\($0)" } ?? "taken")")
            }
        }
        #expect(refusal(file + [0]) == .tooLong(has: UInt64(file.count) + 1, of: UInt64(file.count)))
    }

    @Test func `other files are refused as what they are`() throws {
        #expect(refusal([]) == .foreign("an empty file"))
        #expect(refusal(Array("#!/bin/sh\n".utf8)) == .foreign(nil))
        // The first page of a database of bbolt's: a page header, and its mark.
        var bolt = [UInt8](repeating: 0, count: 4_096)
        bolt.replaceSubrange(8..<10, with: [4, 0])
        bolt.replaceSubrange(16..<20, with: [0xed, 0xda, 0x0c, 0xed])
        guard case .foreign(let what?) = refusal(bolt) else {
            Issue.record("not known")
            return
        }
        #expect(what.contains("bbolt"))
        var later = try file(state(keys: 1))
        later[16] = 3
        #expect(refusal(later) == .unknownFormat(3))
    }

    /// Whoever writes a file with right checksums can still write nonsense.
    @Test func `lengths are not believed`() throws {
        var header = try #require(try source(state(keys: 1)).header)
        func made(_ chunks: [UInt8]) -> [UInt8] {
            header.chunkBytes = UInt64(chunks.count)
            var content = header.encode() + chunks
            content += [UInt8](repeating: 0, count: Int(header.contentBytes) - content.count)
            return content + SHA256.hash(content)
        }
        func frame(_ payload: [UInt8]) -> [UInt8] { SnapshotFileChunk.framed(payload) }
        let isDamaged = { (file: [UInt8]) -> Bool in
            if case .damaged? = refusal(file) { true } else { false }
        }
        #expect(isDamaged(made([])))
        #expect(isDamaged(made([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 1])))
        #expect(isDamaged(made(frame([9]))))
        #expect(isDamaged(made(frame([1, 0, 200, 1, 2, 3]))))
        #expect(isDamaged(made(frame([1, 77, 0, 0]))))
        #expect(isDamaged(made(frame([1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]))))
        // Compressed: more than there may be, and frames that are none.
        #expect(isDamaged(made(frame([3, 0xff, 0xff, 0xff, 0xff, 0x28, 0xb5, 0x2f, 0xfd]))))
        #expect(isDamaged(made(frame([3, 1, 0, 0, 0, 1, 2, 3]))))
        #expect(isDamaged(made(frame([3]))))
        let end: [UInt8] = [2] + [UInt8](repeating: 0, count: 12)
        header.rowCount = 0
        #expect(refusal(made(frame([1]) + frame(end))) == nil)
        #expect(isDamaged(made(frame([1]) + frame(end) + frame(end))))
        #expect(isDamaged(made(frame(end + [0]))))
        header.rowCount = 5
        #expect(isDamaged(made(frame([1]) + frame(end))))
    }

    // MARK: Restoring

    private final class OneEngine: EngineProvider {
        let engine: MemoryEngine
        init(_ engine: MemoryEngine = MemoryEngine()) { self.engine = engine }
        func openCurrent() -> any StorageEngine { MemoryEngineHandle(engine) }
        func makeStaging() -> StagedEngine { preconditionFailure("no snapshot arrives") }
        func install(_ staged: StagedEngine) -> any StorageEngine { preconditionFailure("no snapshot arrives") }
        func discard(_ staged: StagedEngine) {}
    }

    /// Closing it leaves the engine open.
    private final class MemoryEngineHandle: StorageEngine {
        private let engine: MemoryEngine
        init(_ engine: MemoryEngine) { self.engine = engine }
        func snapshot() throws(EngineError) -> any EngineSnapshot { try engine.snapshot() }
        func commit(_ batch: [Mutation]) throws(EngineError) { try engine.commit(batch) }
        func size() -> (total: Int, inUse: Int) { engine.size() }
        func close() {}
    }

    private func plan(_ members: [UInt64] = [5, 3], bump: Int64 = 1_000) -> RestorePlan {
        RestorePlan(
            initialClusterID: 77,
            members: members.map { Member(id: NodeID($0), name: "", peerURLs: ["http://m\($0)"], clientURLs: []) },
            bump: bump)
    }

    private func restored(_ file: [UInt8], _ plan: RestorePlan) throws -> (OneEngine, Restoration) {
        let engines = OneEngine()
        let restoration = try KeyValueMachine.restore(
            SnapshotFileReader(MemoryFile(file)), by: plan, engines: engines)
        return (engines, restoration)
    }

    @Test func `a snapshot becomes the beginning of another cluster, the same for each of its members`() throws {
        let state = try state(keys: 100)
        let file = try file(state)
        let (first, restoration) = try restored(file, plan())
        let (second, again) = try restored(file, plan([3, 5]))
        #expect(restoration == again)
        #expect(
            try rows(State(store: LayeredStore(engine: first.engine)))
                == rows(State(store: LayeredStore(engine: second.engine))))

        let machine = try #require(try KeyValueMachine(engines: first))
        let view = try machine.view
        #expect(view.clusterID == restoration.clusterID)
        #expect(view.members.map(\.id) == [NodeID(3), NodeID(5)])
        #expect(view.configuration == Configuration(voters: [NodeID(3), NodeID(5)]))
        #expect(machine.applied == machine.origin && machine.applied.index == LogIndex(1))
        #expect(view.store.revision.rawValue == state.revision.rawValue + 1_000)
        #expect(try machine.restoration == restoration)
        #expect(restoration.initialClusterID == 77 && restoration.formerClusterID == 0xc1)
        let everything = RangeQuery(KeyRange(key: [0], rangeEnd: [0]))
        #expect(try view.store.range(everything).keyValues == state.view.range(everything).keyValues)
    }

    @Test func `another file, another bump or other members make another cluster`() throws {
        let file = try file(state(keys: 10))
        let one = try restored(file, plan()).1.clusterID
        #expect(try restored(file, plan(bump: 999)).1.clusterID != one)
        #expect(try restored(self.file(state(keys: 10, seed: 2)), plan()).1.clusterID != one)
        var other = plan()
        other.initialClusterID = 78
        #expect(try restored(file, other).1.clusterID != one)
        // And none of them is what its members would have with nothing.
        #expect(one != 77)
    }

    @Test func `what the old cluster was stays behind, also when it was restored itself`() throws {
        let (engines, first) = try restored(file(state(keys: 10)), plan())
        var state = try State(store: LayeredStore(engine: engines.engine))
        try state.setMeta("alarms", [1, 2, 3])
        try state.setMeta("removed/x", [0])
        try state.setMeta("something", [4])
        let (again, second) = try restored(file(state), plan([8], bump: 5))
        let machine = try #require(try KeyValueMachine(engines: again))
        #expect(try machine.view.members.map(\.id) == [NodeID(8)])
        #expect(try machine.restoration == second)
        #expect(second.formerClusterID == 0xc1 && second.clusterID != first.clusterID)
        #expect(try machine.view.store.meta("alarms") == nil)
        #expect(try machine.view.store.metas(prefix: "removed/").isEmpty)
        #expect(try machine.view.store.meta("something") == [4])
        #expect(machine.membership.removed.isEmpty)
    }

    @Test func `nothing is restored over a state`() throws {
        let file = try file(state(keys: 10))
        let (engines, _) = try restored(file, plan())
        #expect(throws: (any Error).self) {
            try KeyValueMachine.restore(SnapshotFileReader(MemoryFile(file)), by: plan(), engines: engines)
        }
    }
}
