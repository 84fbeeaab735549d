import StorageEngine
import TestSupport
import Testing

@testable import MVCC

@Suite struct StateRowsTests {
    private typealias Row = [UInt8]

    private func rows(of view: ReadView) throws -> [Mutation] {
        var found: [Mutation] = []
        var rows = StateRows(view)
        while try rows.next() {
            found.append(rows.withRow { .put($0, key: Array($1), value: Array($2)) })
        }
        return found
    }

    private func keyCount(of view: ReadView) throws -> UInt64 {
        var rows = StateRows(view)
        while try rows.next() {}
        return rows.keyCount
    }

    /// A state whose rows lie in all three layers, with what has been deleted and compacted.
    private func lived(seed: UInt64) throws -> Member {
        var random = SeededRandom(seed: seed)
        var member = try Member()
        _ = try member.apply(.grant(LeaseID(7), ttl: 60), at: 500)
        for step in 0..<200 {
            let key = Array("k\(random.int(0...20))".utf8)
            switch random.int(0...9) {
            case 0...5:
                let lease = LeaseID(random.chance(20) ? 7 : 0)
                _ = try member.apply(.put(PutOperation(key: key, value: [UInt8(step)], lease: lease)))
            case 6, 7: _ = try member.apply(.delete(DeleteOperation(KeyRange(key: key))))
            case 8 where random.chance(20):
                _ = try member.apply(.compact(Compaction(revision: Revision(member.state.revision.rawValue / 2))))
                _ = try member.state.compactStep(maxRows: 30)
            default: try member.flushStep()
            }
        }
        return member
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `the rows are a state that reads the same`(seed: UInt64) throws {
        let member = try lived(seed: seed)
        let view = try member.state.view
        let engine = MemoryEngine()
        try engine.commit(rows(of: view))
        let copy = try State(store: LayeredStore(engine: engine))
        try copy.check()
        #expect(copy.applied == view.applied)
        #expect(copy.revision == view.revision)
        #expect(copy.compactRevision == view.compactRevision)
        #expect(try copy.view.leaseClock == view.leaseClock)
        #expect(try copy.view.hash() == view.hash())
        #expect(try copy.view.leases == view.leases)
        let all = try view.range(RangeQuery(KeyRange(key: [0], rangeEnd: [0])))
        #expect(try keyCount(of: view) == UInt64(all.count))
        // And again.
        #expect(try rows(of: copy.view) == rows(of: view))
        #expect(try StateRows.checksum(of: copy.view) == StateRows.checksum(of: view))
    }

    @Test func `the state's row is there once, and as of the view`() throws {
        var member = try Member()
        let fresh = try rows(of: member.state.view)
        #expect(fresh.count == 1)
        _ = try member.apply(put("a", "1"))
        try member.flushAll()
        // The row in the engine is older than the view now.
        _ = try member.apply(put("a", "2"))
        let found = try rows(of: member.state.view)
        let meta = found.filter { if case .put(.meta, [0], _) = $0 { true } else { false } }
        #expect(meta.count == 1)
        guard case .put(_, _, let value)? = meta.first else { return }
        #expect(try StateRow(decoding: value).revision == member.state.revision)
    }

    @Test func `a damaged version is not passed on`() throws {
        var member = try Member()
        _ = try member.apply(put("a", "1"))
        try member.flushAll()
        let engine = MemoryEngine()
        let damaged = try rows(of: member.state.view).map { row -> Mutation in
            guard case .put(.versions, let key, var value) = row else { return row }
            value[value.count - 1] ^= 1
            return .put(.versions, key: key, value: value)
        }
        try engine.commit(damaged)
        let view = try State(store: LayeredStore(engine: engine)).view
        #expect(throws: StateError.self) { try rows(of: view) }
    }

    // MARK: Another cluster's beginning

    @Test func `revisions move on, and what was before counts as compacted`() throws {
        var member = try Member()
        _ = try member.apply(.grant(LeaseID(7), ttl: 60), at: 500)
        for number in 1...5 { _ = try member.apply(put("a", "\(number)")) }
        _ = try member.apply(.delete(DeleteOperation(KeyRange(key: Array("a".utf8)))))
        _ = try member.apply(put("b", "1"))
        try member.flushAll()
        let before = member.state.revision.rawValue
        try member.state.beginAnew(at: LogPosition(index: 1, term: 1), movingRevisionsBy: 1_000)
        try member.flushAll()
        var back = try member.reopened()
        #expect(back.state.revision.rawValue == before + 1_000)
        #expect(back.state.compactRevision.rawValue == before + 1_000)
        #expect(back.state.applied == LogPosition(index: 1, term: 1))
        #expect(try back.state.view.range(query("b")).values == ["1"])
        #expect(try back.state.view.lease(LeaseID(7))?.deadline == LeaseTime(60_500))
        #expect(try back.state.view.leaseClock == LeaseTime(500))
        #expect(throws: ReadError.request(.compacted)) { try back.state.view.range(query("b", at: before)) }
        #expect(throws: RequestError.compacted) { try back.state.view.history(from: Revision(before + 1)) }
        // The rows of the past go as after any compaction, and the next write is the next revision.
        while try !back.state.compactStep(maxRows: 2) {}
        try back.state.check()
        #expect(try back.state.view.range(query("b")).values == ["1"])
        _ = try back.apply(put("b", "2"))
        #expect(back.state.revision.rawValue == before + 1_001)
        #expect(try back.state.view.history(from: Revision(before + 1_001)).isAtEnd == false)
    }

    @Test func `without a bump history stays`() throws {
        var member = try Member()
        for number in 1...3 { _ = try member.apply(put("a", "\(number)")) }
        try member.state.beginAnew(at: LogPosition(index: 1, term: 1), movingRevisionsBy: 0)
        #expect(member.state.revision == Revision(4))
        #expect(try member.state.view.range(query("a", at: 2)).values == ["1"])
    }
}
