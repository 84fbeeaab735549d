import StorageEngine
import Testing

@testable import MVCC

@Suite struct CompactionTests {
    private var member: Member

    init() throws { member = try Member() }

    private mutating func compact(_ revision: Int64) throws {
        #expect(try member.apply(.compact(Compaction(revision: Revision(revision)))).error == nil)
    }

    @Test mutating func `what is live at the compact revision stays, and all from it on`() throws {
        // Revisions 2 to 8.
        for command in [put("a"), put("b"), put("a"), delete("b"), put("c"), put("a"), delete("c")] {
            _ = try member.apply(command)
        }
        try compact(6)
        try member.compactAll()
        // Of a: 4 and 7. Of b nothing: its deletion is before 6. Of c: 6 and its deletion at 8.
        #expect(member.rows(.versions) == 4)
        #expect(member.rows(.revisions) == 4)
        #expect(member.state.finishedCompactRevision == Revision(6))
        #expect(try member.state.view.range(query("\0", to: "\0", at: 6)).keys == ["a", "c"])
        #expect(try member.state.view.range(query("\0", to: "\0", at: 8)).keys == ["a"])
    }

    @Test mutating func `a deletion at the compact revision stays for watches from there, until the next compaction`()
        throws
    {
        for command in [put("a"), delete("a"), put("b")] { _ = try member.apply(command) }
        try compact(3)
        try member.compactAll()
        #expect(member.rows(.versions) == 2)
        try compact(4)
        try member.compactAll()
        #expect(member.rows(.versions) == 1)
        #expect(member.rows(.revisions) == 1)
    }

    @Test mutating func `history is cut at once, rows go later, and views that are held keep theirs`() throws {
        for number in 0..<10 { _ = try member.apply(put("a", "\(number)")) }
        let before = try member.state.view
        try compact(11)
        #expect(member.state.needsCompaction)
        #expect(throws: ReadError.request(.compacted)) { try member.state.view.range(query("a", at: 10)) }
        #expect(member.rows(.versions) == 10)
        try member.compactAll()
        #expect(!member.state.needsCompaction)
        #expect(member.rows(.versions) == 1)
        for revision in 2...11 {
            #expect(try before.range(query("a", at: Int64(revision))).values == ["\(revision - 2)"])
        }
    }

    @Test mutating func `a step looks at no more than it may, and the next goes on from there`() throws {
        for number in 0..<100 { _ = try member.apply(put("k\(number % 10)")) }
        try compact(101)
        var steps = 0
        while try !member.state.compactStep(maxRows: 7) { steps += 1 }
        #expect(steps == 14)
        #expect(member.rows(.versions) == 10)
        #expect(try member.state.compactStep(maxRows: 7))
    }

    @Test mutating func `a compaction looks at what changed since the last one only`() throws {
        for number in 0..<500 { _ = try member.apply(put("k\(number)")) }
        try compact(501)
        try member.compactAll()
        for number in 0..<5 { _ = try member.apply(put("k\(number)")) }
        try compact(506)
        // The change at the last compact revision, and five more.
        #expect(try member.state.compactStep(maxRows: 6))
        #expect(member.rows(.versions) == 500)
    }

    @Test(arguments: 0..<30) mutating func `a compaction that meets another under way takes over`(stepsBefore: Int)
        throws
    {
        var other = try Member()
        for number in 0..<6 {
            // Three puts, then their deletions in one revision: the removal may stop among them.
            for command in [put("a"), put("b"), put("c"), delete(number == 5 ? "b" : "a", to: "d")] {
                _ = try member.apply(command)
                _ = try other.apply(command)
            }
        }
        try compact(13)
        for _ in 0..<stepsBefore { _ = try member.state.compactStep(maxRows: 1) }
        try compact(14)
        try member.compactAll()
        for revision in [13, 14] as [Int64] { _ = try other.apply(.compact(Compaction(revision: Revision(revision)))) }
        let hash = try other.state.view.hash()
        try other.compactAll()
        #expect(member.rows(.versions) == other.rows(.versions))
        #expect(member.rows(.revisions) == other.rows(.revisions))
        #expect(try member.state.view.hash() == hash)
        #expect(try other.state.view.hash() == hash)
    }

    @Test mutating func `all that happened to a key at the compact revision stays until the next`() throws {
        _ = try member.apply(put("a", "1"))
        // A put and a deletion of one key in one revision: the front lets a delete without an end through.
        _ = try member.apply(
            .transaction(
                Transaction(success: [
                    .put(PutOperation(key: bytes("a"), value: bytes("2"))),
                    .delete(DeleteOperation(KeyRange(key: bytes("a"), end: .fromKey))),
                ])))
        _ = try member.apply(put("b"))
        try compact(3)
        let hash = try member.state.view.hash()
        try member.compactAll()
        #expect(member.rows(.versions) == 3)
        #expect(try member.state.view.hash() == hash)
        #expect(hash.hash == member.rowsChecksum())
        try compact(4)
        try member.compactAll()
        #expect(member.rows(.versions) == 1)
    }

    @Test(arguments: 0..<12) mutating func `an unfinished compaction is finished after a restart`(steps: Int) throws {
        for number in 0..<20 { _ = try member.apply(number % 5 == 4 ? delete("a") : put(number % 2 == 0 ? "a" : "b")) }
        try compact(19)
        let hash = try member.state.view.hash()
        for _ in 0..<steps { _ = try member.state.compactStep(maxRows: 2) }
        try member.flushAll()
        var next = try member.reopened()
        #expect(next.state.compactRevision == Revision(19))
        #expect(try next.state.view.hash() == hash)
        try next.compactAll()
        try member.compactAll()
        #expect(next.rows(.versions) == member.rows(.versions))
        #expect(try next.state.view.hash() == hash)
        try next.flushAll()
        #expect(try next.reopened().state.finishedCompactRevision == Revision(19))
    }

    @Test mutating func `a compaction at revision zero removes nothing and finishes`() throws {
        try compact(0)
        #expect(try member.state.compactStep(maxRows: 1))
        _ = try member.apply(put("a"))
        try compact(2)
        try member.compactAll()
        #expect(member.rows(.versions) == 1)
    }

    @Test mutating func `the hash differs where a value, a revision or a key differs`() throws {
        func hash(_ commands: [Command]) throws -> UInt32 {
            var member = try Member()
            for command in commands { _ = try member.apply(command) }
            return try member.state.view.hash().hash
        }
        let hashes = [
            try hash([put("a", "1"), put("b", "1")]), try hash([put("a", "1"), put("b", "2")]),
            try hash([put("b", "1"), put("a", "1")]), try hash([put("a", "1"), put("c", "1")]),
            try hash([put("a", "1"), put("b", "1"), delete("b")]), try hash([]), try hash([put("a", "1")]),
        ]
        #expect(Set(hashes).count == hashes.count)
    }

    @Test(arguments: [1, 2, 3, 7, 1000]) mutating func `a hash in steps is the hash at once`(rows: Int) throws {
        var source = CommandSource(seed: 9)
        for _ in 0..<150 { _ = try member.apply(source.command()) }
        for revision in max(member.state.compactRevision.rawValue, 1)...member.state.revision.rawValue {
            var scan = try member.state.view.hashScan(at: Revision(revision))
            var answer: HashAnswer?
            while answer == nil { answer = try scan.step(maxRows: rows) }
            #expect(try answer == member.state.view.hash(at: Revision(revision)))
        }
    }
}
