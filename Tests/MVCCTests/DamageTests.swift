import StorageEngine
import Testing

@testable import MVCC

/// Bits that flip in a row's key: the row is then not where it is looked for.
@Suite struct DamageTests {
    private func member() throws -> Member {
        var member = try Member()
        for command in [
            put("a", "1"), put("b", "2"), put("a", "3"), put("c\0", "4"), delete("b"), put("a", "5"), put("b", "6"),
        ] {
            _ = try member.apply(command)
        }
        try member.flushAll()
        return member
    }

    /// The member's engine with one row under another key.
    private func moved(_ member: Member, _ table: Table, row: Int, bit: Int) throws -> MemoryEngine? {
        let engine = MemoryEngine(image: member.engine.image)
        let cursor = try engine.snapshot().makeCursorAt(table, row)
        var key = Array(cursor.key)
        guard bit < key.count * 8 else { return nil }
        let before = key
        key[bit / 8] ^= 1 << UInt8(bit % 8)
        try engine.commit([
            .delete(table, key: before), .put(table, key: key, value: Array(cursor.value)),
        ])
        return engine
    }

    @Test func `no flipped bit in a row of the tables of keys is overlooked when a state is checked`() throws {
        let member = try member()
        try member.reopened().state.check()
        var count = 0
        for table in [Table.versions, .revisions] {
            for row in 0..<7 {
                for bit in 0..<200 {
                    if let engine = try moved(member, table, row: row, bit: bit) {
                        #expect(throws: StateError.self, "\(table) row \(row) bit \(bit)") {
                            try State(store: LayeredStore(engine: engine)).check()
                        }
                        count += 1
                    }
                    let engine = MemoryEngine(image: member.engine.image)
                    let cursor = try engine.snapshot().makeCursorAt(table, row)
                    var value = Array(cursor.value)
                    guard bit < value.count * 8 else { continue }
                    value[bit / 8] ^= 1 << UInt8(bit % 8)
                    try engine.commit([.put(table, key: Array(cursor.key), value: value)])
                    #expect(throws: StateError.self) { try State(store: LayeredStore(engine: engine)).check() }
                    count += 1
                }
            }
        }
        #expect(count > 2000)
    }

    @Test func `a row that only one of the two tables has is found`() throws {
        let member = try member()
        for table in [Table.versions, .revisions] {
            for row in 0..<7 {
                let engine = MemoryEngine(image: member.engine.image)
                let key = Array(try engine.snapshot().makeCursorAt(table, row).key)
                try engine.commit([.delete(table, key: key)])
                #expect(throws: StateError.self) { try State(store: LayeredStore(engine: engine)).check() }
            }
        }
    }

    @Test func `a state is sound after compactions, whole and half done`() throws {
        var member = try Member()
        var source = CommandSource(seed: 77)
        for number in 1...600 {
            source.revision = try member.apply(source.command()).revision.rawValue
            if number % 50 == 0 {
                let revision = member.state.revision.rawValue - 20
                _ = try member.apply(.compact(Compaction(revision: Revision(revision))))
                _ = try member.state.compactStep(maxRows: 7)
                try member.flushAll()
            }
            if number % 100 == 0 { try member.compactAll() }
            if number % 30 == 0 { try member.state.check() }
        }
        try member.flushAll()
        try member.reopened().state.check()
    }

    /// What a read that meets a row which is too new must do, whatever the read is.
    private func expectRefused(_ engine: MemoryEngine, _ key: String, at head: Int64) throws {
        let view = try State(store: LayeredStore(engine: engine)).view
        var counting = query("\0", to: "\0")
        counting.countOnly = true
        let all = query("\0", to: "\0")
        for read in [query(key), all, counting, query(key, at: head - 1), query("\0", to: "\0", at: 2)] {
            #expect(throws: ReadError.self, "\(read)") { try view.range(read) }
        }
        #expect(throws: ReadError.self) { try view.hash() }
        var member = try Member(engine: engine)
        #expect(throws: StateError.self) { try member.apply(put(key, "x")) }
        member = try Member(engine: engine)
        #expect(throws: StateError.self) { try member.apply(delete(key)) }
        #expect(throws: StateError.self) { try member.state.view }
    }

    @Test func `a row that is newer than the store stops every read that would pass it over`() throws {
        let member = try member()
        let head = member.state.revision.rawValue
        // The newest rows of "a" and "b": keys "a", 0, 1 and then the revision, inverted.
        for (row, key) in [(0, "a"), (3, "b")] {
            // All bits that make the revision greater, and the sign.
            var tried = 0
            for bit in 0..<64 {
                let place = (key.utf8.count + 2 + 7 - bit / 8) * 8 + bit % 8
                let engine = try #require(try moved(member, .versions, row: row, bit: place))
                let cursor = try engine.snapshot().makeCursor(.versions)
                var newest: Int64 = 0
                var more = cursor.first()
                while more {
                    let found = VersionKey.revision(cursor.key, cursor.key.count - VersionKey.changeBytes)
                    newest = found < 0 ? .max : max(newest, found)
                    more = cursor.next()
                }
                guard newest > head else { continue }
                try expectRefused(engine, key, at: head)
                tried += 1
            }
            #expect(tried > 55)
        }
    }

    @Test func `commands and views never meet a row that is newer than what they see`() throws {
        var member = try Member()
        var source = CommandSource(seed: 5)
        var views: [(ReadView, HashAnswer)] = []
        for number in 1...400 {
            source.revision = try member.apply(source.command()).revision.rawValue
            if number % 3 == 0 { try member.flushStep() }
            let view = try member.state.view
            views.append((view, try view.hash()))
        }
        // Views of long ago are read while later commands and flushes have gone on.
        for (view, hash) in views {
            #expect(try view.hash() == hash)
            var counting = query("\0", to: "\0")
            counting.countOnly = true
            #expect(throws: Never.self) { try view.range(counting) }
        }
    }

    @Test func `a small value of others is believed only if its checksum is right`() throws {
        var member = try Member()
        try member.state.setMeta("members/1", [1, 2, 3])
        try member.flushAll()
        for bit in 0..<7 * 8 {
            let engine = MemoryEngine(image: member.engine.image)
            let cursor = try engine.snapshot().makeCursorAt(.meta, 1)
            var value = Array(cursor.value)
            #expect(value.count == 7)
            value[bit / 8] ^= 1 << UInt8(bit % 8)
            try engine.commit([.put(.meta, key: Array(cursor.key), value: value)])
            let state = try State(store: LayeredStore(engine: engine))
            #expect(throws: StateError.self) { try state.meta("members/1") }
            #expect(throws: StateError.self) { try state.metas(prefix: "members/") }
        }
        // Under another name it is not believed either.
        let engine = try #require(try moved(member, .meta, row: 1, bit: 9 * 8))
        let state = try State(store: LayeredStore(engine: engine))
        #expect(throws: StateError.self) { try state.metas(prefix: "members/") }
        let short = MemoryEngine(image: member.engine.image)
        try short.commit([.put(.meta, key: MetaName("members/1").rowKey, value: [1, 2])])
        #expect(throws: StateError.self) { try State(store: LayeredStore(engine: short)).meta("members/1") }
    }
}
