import Platform
import RaftCore
import Testing

@testable import Raft

@Suite struct EntryCacheTests {
    /// The log as it should be, every entry under its index; what was evicted is not there.
    private struct Twin {
        var entries: [LogIndex: Entry] = [:]

        mutating func append(_ new: [Entry]) {
            guard let first = new.first else { return }
            truncate(from: first.index)
            for entry in new { entries[entry.index] = entry }
        }

        mutating func truncate(from index: LogIndex) { entries = entries.filter { $0.key < index } }

        mutating func keep(from index: LogIndex?) {
            entries = index.map { first in entries.filter { $0.key >= first } } ?? [:]
        }

        func slice(first: LogIndex, end: LogIndex) -> [Entry]? {
            guard first < end else { return [] }
            var found: [Entry] = []
            for raw in first.rawValue..<end.rawValue {
                guard let entry = entries[LogIndex(raw)] else { return nil }
                found.append(entry)
            }
            return found
        }
    }

    private func entries(from first: UInt64, count: Int, term: UInt64) -> [Entry] {
        (0..<UInt64(count)).map { offset in
            Entry(
                index: LogIndex(first + offset), term: Term(term),
                payload: [UInt8](repeating: UInt8(truncatingIfNeeded: term), count: 10 + Int(offset)))
        }
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func `every slice is what was appended, whatever was cut and evicted meanwhile`(seed: UInt64) throws {
        var random = RandomSource(seed: seed)
        var cache = EntryCache(limitBytes: 2_000)
        var twin = Twin()
        var last: UInt64 = 0
        for step in 1...2_000 as ClosedRange<UInt64> {
            switch random.below(10) {
            case 0 where last > 0:
                // A conflict: the new entries replace some of the last ones that are still here.
                let oldest = max(cache.firstIndex?.rawValue ?? last + 1, last > 4 ? last - 4 : 1)
                let first = oldest + UInt64(random.below(Int(last + 1 - oldest) + 1))
                let new = entries(from: first, count: 1 + random.below(3), term: step)
                cache.append(new)
                twin.append(new)
                last = first + UInt64(new.count) - 1
            case 1:
                let applied = LogIndex(last - UInt64(random.below(Int(min(last, 8)) + 1)))
                cache.evict(applied: applied)
                twin.keep(from: cache.firstIndex)
            case 2 where last > 8:
                let cut = LogIndex(last - UInt64(random.below(8)))
                cache.drop(upTo: cut)
                twin.keep(from: cut.next)
            default:
                let new = entries(from: last + 1, count: 1 + random.below(3), term: step)
                cache.append(new)
                twin.append(new)
                last += UInt64(new.count)
            }
            for _ in 0..<8 where last > 0 {
                let first = LogIndex(last + 1 - UInt64(random.below(Int(min(last, 12)) + 1)))
                let end = LogIndex(min(first.rawValue + UInt64(random.below(5)), last + 1))
                #expect(cache.slice(first: first, end: end) == twin.slice(first: first, end: end))
            }
        }
    }

    @Test func `what was appended last comes back without being copied`() throws {
        var cache = EntryCache(limitBytes: 1 << 20)
        let batches = [(1, 3), (4, 1), (5, 2)].map { entries(from: UInt64($0.0), count: $0.1, term: 1) }
        for batch in batches { cache.append(batch) }
        func address(_ entries: [Entry]) -> UnsafeRawPointer? {
            entries.withUnsafeBufferPointer { UnsafeRawPointer($0.baseAddress) }
        }
        for batch in batches.dropFirst() {
            let end = LogIndex(batch[0].index.rawValue + UInt64(batch.count))
            let slice = try #require(cache.slice(first: batch[0].index, end: end))
            #expect(address(slice) == address(batch))
        }
    }

    @Test func `a replaced entry is not handed out any more`() throws {
        var cache = EntryCache(limitBytes: 1 << 20)
        cache.append(entries(from: 1, count: 2, term: 1))
        cache.append(entries(from: 3, count: 2, term: 1))
        let new = entries(from: 2, count: 1, term: 2)
        cache.append(new)
        #expect(cache.slice(first: LogIndex(3), end: LogIndex(5)) == nil)
        #expect(cache.slice(first: LogIndex(2), end: LogIndex(3)) == new)
        #expect(cache.slice(first: LogIndex(1), end: LogIndex(3))?.map(\.term.rawValue) == [1, 2])
    }
}
