import StorageEngine
import TestSupport
import Testing

@testable import MVCC

/// History as it is read afterwards, against the changes as they were recorded while they happened.
@Suite struct HistoryTests {
    /// Takes everything; full after so many changes.
    private struct Collector: HistoryVisitor {
        var changes: [Change] = []
        var previous: [KeyValue?] = []
        var only: KeyRange?
        var isFullAfter = Int.max
        private var sinceStep = 0

        init(only: KeyRange? = nil, isFullAfter: Int = .max) {
            self.only = only
            self.isFullAfter = isFullAfter
        }

        mutating func beginStep() { sinceStep = 0 }

        func interest(
            in key: UnsafeRawBufferPointer, _ kind: Change.Kind, at revision: Revision
        ) -> HistoryInterest {
            only?.contains(Array(key)) ?? true ? .changeAndPrevious : .none
        }

        mutating func visit(_ change: BorrowedChange, previous: BorrowedKeyValue?) {
            changes.append(Change(kind: change.kind, id: change.id, keyValue: KeyValue(change.keyValue)))
            self.previous.append(previous.map { KeyValue($0) })
            sinceStep += 1
        }

        var isFull: Bool { sinceStep >= isFullAfter }
    }

    private func read(_ view: ReadView, from: Int64, rowsMax: Int, _ collector: inout Collector) throws {
        var reader = try view.history(from: Revision(from))
        while !reader.isAtEnd {
            let before = reader.next
            collector.beginStep()
            let count = collector.changes.count
            try reader.step(rowsMax: rowsMax, into: &collector)
            #expect(reader.next > before)
            // A step ends with a whole revision.
            #expect(collector.changes[count...].allSatisfy { $0.id.revision >= before && $0.id.revision < reader.next })
        }
        #expect(reader.next.rawValue == view.revision.rawValue + 1)
    }

    @Test(arguments: 0..<30)
    func isWhatHappened(seed: UInt64) throws {
        var source = CommandSource(seed: seed)
        var member = try Member()
        member.state.recordsChanges = true
        var recorded: [Change] = []
        for step in 0..<300 {
            _ = try member.apply(source.command())
            source.revision = member.state.revision.rawValue
            recorded += member.state.takeChanges()
            if source.random.chance(10) { try member.flushStep() }
            if source.random.chance(10) { _ = try member.state.compactStep(maxRows: 3) }
            guard step % 20 == 19 else { continue }
            let view = try member.state.view
            let first = max(1, view.compactRevision.rawValue)
            let from = Int64.random(in: first...max(first, view.revision.rawValue + 1), using: &source.random)
            let only = source.random.chance(50) ? source.range() : nil
            var collector = Collector(only: only, isFullAfter: source.random.pick([1, 3, .max]))
            try read(view, from: from, rowsMax: source.random.pick([1, 2, 50, 10_000]), &collector)
            let expected = recorded.filter {
                $0.id.revision.rawValue >= from && only?.contains($0.keyValue.key) ?? true
            }
            #expect(collector.changes == expected)
            for (change, previous) in zip(collector.changes, collector.previous) {
                #expect(previous == (try view.previous(of: change)))
                if let previous {
                    #expect(previous.modRevision < change.id.revision && previous.key == change.keyValue.key)
                    let query = recorded.last {
                        $0.keyValue.key == change.keyValue.key && $0.id.revision < change.id.revision
                    }
                    #expect(query?.keyValue == previous)
                }
            }
        }
    }

    @Test func compactedHistoryIsRefused() throws {
        var member = try Member()
        for _ in 0..<5 { _ = try member.apply(.put(PutOperation(key: [97], value: []))) }
        _ = try member.apply(.compact(Compaction(revision: Revision(4))))
        let view = try member.state.view
        #expect(throws: RequestError.compacted) { try view.history(from: Revision(3)) }
        var collector = Collector()
        try read(view, from: 4, rowsMax: 10, &collector)
        #expect(collector.changes.map(\.id.revision.rawValue) == [4, 5, 6])
        // The revision before is compacted for the first, and not for the others (A6).
        #expect(collector.previous.map { $0?.modRevision.rawValue } == [nil, 4, 5])
    }

    @Test func aMissingVersionStopsTheMember() throws {
        var member = try Member()
        _ = try member.apply(.put(PutOperation(key: [97], value: [1])))
        try member.flushAll()
        let engine = MemoryEngine(image: member.engine.image)
        let snapshot = try engine.snapshot()
        let cursor = snapshot.makeCursor(.versions)
        #expect(cursor.first())
        try engine.commit([.delete(.versions, key: Array(cursor.key))])
        let damaged = try Member(engine: engine)
        var collector = Collector()
        let view = try damaged.state.view
        #expect(throws: StateError.self) { try read(view, from: 1, rowsMax: 10, &collector) }
    }
}
