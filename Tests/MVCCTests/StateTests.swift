import StorageEngine
import TestSupport
import Testing

@testable import MVCC

@Suite struct StateTests {
    // MARK: The engine and the log

    @Test func `the applied index is in the same batch as the data`() throws {
        var member = try Member()
        for number in 1...5 { _ = try member.apply(put("a", "\(number)")) }
        try member.flushAll()
        _ = try member.apply(put("a", "6"))
        let back = try member.reopened()
        #expect(back.state.applied == LogPosition(index: 5, term: 1))
        #expect(back.state.revision == Revision(6))
        #expect(try back.state.view.range(query("a")).values == ["5"])
    }

    @Test func `entries that ask nothing of the state are counted too`() throws {
        var member = try Member()
        // The first flush marks the engine as a state's.
        try member.flushAll()
        #expect(try member.state.freeze() == nil)
        try member.state.noteApplied(LogPosition(index: 3, term: 2))
        try member.flushAll()
        let back = try member.reopened()
        #expect(back.state.applied == LogPosition(index: 3, term: 2))
        #expect(back.state.revision == Revision(1))
        // Nothing new, nothing to flush.
        #expect(try member.state.freeze() == nil)
    }

    @Test func `a command that fails is applied all the same`() throws {
        var member = try Member()
        _ = try member.apply(.compact(Compaction(revision: Revision(99))))
        #expect(member.state.applied.index == 1)
        #expect(try member.state.view.applied.index == 1)
    }

    @Test func `one layer is flushed at a time, and reads see all layers`() throws {
        var member = try Member()
        _ = try member.apply(put("a", "1"))
        let layer = try #require(try member.state.freeze())
        _ = try member.apply(put("a", "2"))
        _ = try member.apply(put("b", "2"))
        #expect(try member.state.freeze() == nil)
        #expect(try member.state.view.range(query("a", at: 2)).values == ["1"])
        try layer.commit(to: member.engine)
        try member.state.retire()
        #expect(try member.state.view.range(query("a", to: "z")).values == ["2", "2"])
        #expect(try member.state.view.range(query("a", to: "z", at: 2)).values == ["1"])
        #expect(try member.reopened().state.applied.index == 1)
    }

    @Test func `the layers for a snapshot say where they stand`() throws {
        var member = try Member()
        _ = try member.apply(put("a", "1"))
        try member.flushAll()
        _ = try member.apply(put("a", "2"))
        let layers = try member.state.layersForSnapshot()
        _ = try member.apply(put("a", "3"))
        let row = try StateRow(decoding: try #require(layers.value(.meta, StateRow.rowKey)))
        #expect(row.applied.index == 2)
        #expect(row.revision == Revision(3))
        // What is flushed later is what is applied then.
        try member.flushAll()
        #expect(try member.reopened().state.applied.index == 3)
    }

    @Test func `small values of others are kept beside the data`() throws {
        var member = try Member()
        try member.state.setMeta("raft/configuration", [1, 2])
        try member.state.setMeta("member/1", [3])
        try member.state.setMeta("member/2", [])
        try member.state.setMeta("member/3", [5])
        try member.state.setMeta("member/3", nil)
        try member.state.setMeta("", [9])
        #expect(try member.state.meta("raft/configuration") == [1, 2])
        #expect(try member.state.meta("raft") == nil)
        try member.flushAll()
        for state in [member.state, try member.reopened().state] {
            #expect(try state.meta("member/2") == [])
            #expect(try state.meta("member/3") == nil)
            #expect(try state.metas(prefix: "member/").map(\.name) == ["member/1", "member/2"])
            #expect(try state.metas(prefix: "").map(\.value) == [[9], [3], [], [1, 2]])
            #expect(try state.view.meta("member/1") == [3])
            #expect(try state.view.metas(prefix: "member/").map(\.value) == [[3], []])
        }
    }

    @Test func `changes are listed in the order in which they happened, if anyone asks`() throws {
        var member = try Member()
        _ = try member.apply(put("x"))
        #expect(member.state.takeChanges().isEmpty)
        member.state.recordsChanges = true
        _ = try member.apply(put("a", "1"))
        let operations: [MVCC.Operation] = [
            .put(PutOperation(key: bytes("b"), value: bytes("2"))),
            .delete(DeleteOperation(KeyRange(key: bytes("a")))),
            .put(PutOperation(key: bytes("x"), value: [], ignoreValue: true)),
        ]
        _ = try member.applyEncoded(.transaction(Transaction(success: operations)), wantsAnswer: false)
        _ = try member.apply(delete("nothing"))
        let changes = member.state.takeChanges()
        #expect(changes.map(\.kind) == [.put, .put, .delete, .put])
        #expect(changes.map(\.id.revision.rawValue) == [3, 4, 4, 4])
        #expect(changes.map(\.id.number) == [0, 0, 1, 2])
        #expect(changes.map(\.keyValue.key) == [bytes("a"), bytes("b"), bytes("a"), bytes("x")])
        #expect(changes[3].keyValue.value == bytes("v"))
        #expect(changes[3].keyValue.version == 2)
        #expect(changes[3].keyValue.createRevision == Revision(2))
        #expect(changes[2].keyValue.modRevision == Revision(4))
        #expect(changes[2].keyValue.version == 0)
        #expect(member.state.takeChanges().isEmpty)
    }

    @Test func `an answer that nobody waits for is not read, and the state is the same`() throws {
        var asked = try Member()
        var silent = try Member()
        var source = CommandSource(seed: 31)
        for _ in 0..<300 {
            let command = source.command()
            let answer = try asked.apply(command)
            let other = try silent.apply(command, wantsAnswer: false)
            #expect(answer.revision == other.revision)
            #expect(answer.error == other.error)
            source.revision = answer.revision.rawValue
        }
        #expect(try asked.state.view.hash() == silent.state.view.hash())
        _ = try silent.apply(put("p"))
        #expect(try silent.apply(put("p", prevKV: true), wantsAnswer: false).put?.previous == nil)
    }

    // MARK: Long keys, histories and ranges

    @Test func `keys and values of a megabyte`() throws {
        var member = try Member()
        let key = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0) }
        let value = [UInt8](repeating: 7, count: 1_500_000)
        _ = try member.applyEncoded(.put(PutOperation(key: key, value: value)))
        _ = try member.applyEncoded(.put(PutOperation(key: key + [0], value: value)))
        let view = try member.state.view
        #expect(try view.range(RangeQuery(KeyRange(key: key))).keyValues[0].value == value)
        #expect(try view.range(RangeQuery(KeyRange(key: key, end: .fromKey))).keyValues.map(\.key) == [key, key + [0]])
    }

    @Test func `every revision of long histories can be read`() throws {
        var member = try Member()
        for number in 0..<60 {
            for key in ["a", "a\0", "b"] { _ = try member.apply(put(key, "\(number)")) }
            if number % 20 == 10 { try member.flushAll() }
        }
        let view = try member.state.view
        for revision in 4...181 as ClosedRange<Int64> {
            let numbers = (0..<3).map { "\((Int(revision) - 2 - $0) / 3)" }
            #expect(try view.range(query("a", to: "c", at: revision)).values == numbers)
            #expect(try view.range(query("a\0", at: revision)).values == [numbers[1]])
        }
        var count = query("a", to: "\0", at: 50)
        count.countOnly = true
        #expect(try view.range(count).count == 3)
    }

    @Test func `the first of a sorted range are those of the whole range sorted`() throws {
        var member = try Member()
        var source = CommandSource(seed: 12)
        for _ in 0..<700 {
            let key = "k\(source.random.int(0...400))"
            _ = try member.apply(put(key, "\(source.random.int(0...50))"))
        }
        let view = try member.state.view
        for target in [SortTarget.key, .version, .createRevision, .modRevision, .value] {
            for order in [SortOrder.ascending, .descending] {
                var query = query("k", to: "l")
                query.sortTarget = target
                query.sortOrder = order
                let all = try view.range(query)
                #expect(!all.more)
                for limit in [1, 2, 10, 100, 300, 1000] {
                    query.limit = Int64(limit)
                    let some = try view.range(query)
                    #expect(some.keyValues == Array(all.keyValues.prefix(limit)))
                    #expect(some.more == (all.keyValues.count > limit))
                }
            }
        }
    }

    // MARK: What is wrong stops the member

    /// A member's engine with one row changed.
    private func damaged(
        _ member: Member, _ table: Table, _ change: (inout [UInt8]) -> Void, row: Int
    ) throws -> MemoryEngine {
        let engine = MemoryEngine(image: member.engine.image)
        let cursor = try engine.snapshot().makeCursor(table)
        _ = cursor.first()
        for _ in 0..<row { _ = cursor.next() }
        var value = Array(cursor.value)
        change(&value)
        try engine.commit([.put(table, key: Array(cursor.key), value: value)])
        return engine
    }

    @Test func `no flipped bit in a record is answered with`() throws {
        var member = try Member()
        for command in [put("a", "one"), put("b", "two"), delete("b"), put("a", "three"), put("c\0", "")] {
            _ = try member.apply(command)
        }
        try member.flushAll()
        let rightAnswers = try (1...6).map { try member.state.view.range(query("\0", to: "\0", at: $0)) }
        var stopped = 0
        for row in 0..<5 {
            let size = try member.engine.snapshot().makeCursorAt(.versions, row).value.count
            for bit in 0..<size * 8 {
                let engine = try damaged(member, .versions, { $0[bit / 8] ^= 1 << UInt8(bit % 8) }, row: row)
                let view = try State(store: LayeredStore(engine: engine)).view
                #expect(throws: ReadError.self) { try view.hash() }
                for revision in 1...6 {
                    do throws(ReadError) {
                        let answer = try view.range(query("\0", to: "\0", at: Int64(revision)))
                        #expect(answer == rightAnswers[revision - 1])
                    } catch {
                        guard case .state(.corrupt) = error else {
                            Issue.record("\(error)")
                            continue
                        }
                        stopped += 1
                    }
                }
                var count = query("\0", to: "\0")
                count.countOnly = true
                if let answer = try? view.range(count) { #expect(answer.count == 2) }
            }
        }
        #expect(stopped > 500)
    }

    @Test func `after an error nothing is applied, handed out or flushed`() throws {
        var member = try Member()
        _ = try member.apply(put("a", "one"))
        _ = try member.apply(put("b", "two"))
        try member.flushAll()
        let engine = try damaged(member, .versions, { $0[$0.count - 1] ^= 1 }, row: 1)
        var broken = try Member(engine: engine)
        let transaction = Transaction(success: [
            .put(PutOperation(key: bytes("c"), value: [])), .put(PutOperation(key: bytes("b"), value: [])),
        ])
        #expect(throws: StateError.self) { try broken.apply(.transaction(transaction)) }
        #expect(broken.state.failure != nil)
        #expect(throws: StateError.self) { try broken.apply(put("a")) }
        #expect(throws: StateError.self) { try broken.state.view }
        #expect(throws: StateError.self) { try broken.state.freeze() }
        #expect(throws: StateError.self) { try broken.state.setMeta("x", []) }
        #expect(throws: StateError.self) { try broken.state.compactStep(maxRows: 1) }
        #expect(throws: StateError.self) { try broken.state.noteApplied(LogPosition(index: 9, term: 9)) }
    }

    @Test func `a command that cannot be decoded stops the member`() throws {
        var member = try Member()
        func apply(_ record: [UInt8]) throws {
            _ = try record.withUnsafeBytes { try member.state.apply(encoded: $0, at: LogPosition(index: 1, term: 1)) }
        }
        #expect(throws: StateError.unknownCommand(tag: 77)) { try apply([1, 77]) }
        #expect(throws: StateError.unknownCommand(tag: 77)) { try apply(CommandCodec.encode(put("a"))) }
    }

    @Test func `a change that one table has and the other has not is found when history is removed`() throws {
        var member = try Member()
        for number in 0..<5 { _ = try member.apply(put("a", "\(number)")) }
        _ = try member.apply(.compact(Compaction(revision: Revision(6))))
        try member.flushAll()
        let otherKey = try damaged(member, .revisions, { $0[1] ^= 1 }, row: 2)
        var broken = try Member(engine: otherKey)
        #expect(throws: StateError.self) { try broken.compactAll() }
        let otherKind = try damaged(member, .revisions, { $0[0] = 1 }, row: 2)
        broken = try Member(engine: otherKind)
        #expect(throws: StateError.self) { try broken.compactAll() }
        let noKind = try damaged(member, .revisions, { $0[0] = 9 }, row: 2)
        broken = try Member(engine: noKind)
        #expect(throws: StateError.self) { try broken.compactAll() }
        #expect(throws: StateError.self) { try broken.state.view }
    }

    @Test func `a state's row that is damaged, or missing, or older than the data is not opened`() throws {
        var member = try Member()
        _ = try member.apply(put("a"))
        try member.flushAll()
        for bit in 0..<69 * 8 {
            let engine = try damaged(member, .meta, { $0[bit / 8] ^= 1 << UInt8(bit % 8) }, row: 0)
            #expect(throws: StateError.self) { try Member(engine: engine) }
        }
        let later = try damaged(member, .meta, { $0[0] = 4 }, row: 0)
        #expect(throws: StateError.unknownFormat(4)) { try Member(engine: later) }
        let empty = try damaged(member, .meta, { $0 = [] }, row: 0)
        #expect(throws: StateError.self) { try Member(engine: empty) }
        let old = try damaged(member, .meta, { $0 = StateRow().encode() }, row: 0)
        #expect(throws: StateError.self) { try Member(engine: old) }
        let without = MemoryEngine(image: member.engine.image)
        try without.commit([.delete(.meta, key: StateRow.rowKey)])
        #expect(throws: StateError.self) { try Member(engine: without) }
    }

    @Test func `a row's key that is none of ours is refused`() throws {
        var member = try Member()
        _ = try member.apply(put("a"))
        try member.flushAll()
        for key in [[], [97], [97, 0, 1], [97, 0, 2] + [UInt8](repeating: 255, count: 12)] as [[UInt8]] {
            let engine = MemoryEngine(image: member.engine.image)
            try engine.commit([.put(.versions, key: key, value: [])])
            let view = try State(store: LayeredStore(engine: engine)).view
            #expect(throws: ReadError.self) { try view.hash() }
        }
    }
}

extension EngineSnapshot {
    func makeCursorAt(_ table: Table, _ row: Int) -> any EngineCursor {
        let cursor = makeCursor(table)
        _ = cursor.first()
        for _ in 0..<row { _ = cursor.next() }
        return cursor
    }
}
