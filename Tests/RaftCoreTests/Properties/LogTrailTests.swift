import Testing

@testable import RaftCore

@Suite struct `The log's trail against a plain array` {
    /// The same, kept entry by entry.
    private struct Twin {
        var snapshot: (index: UInt64, term: UInt64) = (0, 0)
        var entries: [EntrySummary] = []
        var last: UInt64 { snapshot.index + UInt64(entries.count) }

        func term(_ index: UInt64) -> UInt64? {
            if index == snapshot.index { return snapshot.term }
            guard index > snapshot.index, index <= last else { return nil }
            return entries[Int(index - snapshot.index) - 1].term.rawValue
        }

        func lastPlace(_ from: UInt64, _ term: UInt64) -> (UInt64, UInt64) {
            var index = from
            while index > 0 {
                guard let own = self.term(index) else { return (index, 0) }
                if own <= term { return (index, own) }
                index -= 1
            }
            return (0, 0)
        }
    }

    @Test func `every question has the same answer after any series of changes`() {
        var random = SplitMix64(seed: 3)
        func below(_ bound: UInt64) -> UInt64 { random.next() % bound }
        for _ in 0..<60 {
            var trail = LogTrail(snapshotIndex: .zero, snapshotTerm: .zero)
            var twin = Twin()
            for _ in 0..<300 {
                switch below(12) {
                case 0..<7:
                    let newest = max(trail.lastTerm.rawValue, 1) + (below(4) == 0 ? below(3) : 0)
                    for _ in 0...below(6) {
                        let entry = EntrySummary(
                            term: Term(newest), payloadBytes: Int(below(50)), isConfiguration: below(9) == 0)
                        trail.append(
                            term: entry.term, payloadBytes: entry.payloadBytes, isConfiguration: entry.isConfiguration)
                        twin.entries.append(entry)
                    }
                case 7...8:
                    guard twin.last > twin.snapshot.index else { continue }
                    let first = twin.snapshot.index + 1 + below(twin.last - twin.snapshot.index + 2)
                    trail.truncate(from: LogIndex(first))
                    if first <= twin.last { twin.entries.removeLast(Int(twin.last - first) + 1) }
                case 9...10:
                    let index = twin.snapshot.index + below(twin.last - twin.snapshot.index + 1)
                    trail.compact(to: LogIndex(index))
                    let term = twin.term(index)!
                    twin.entries.removeFirst(Int(index - twin.snapshot.index))
                    twin.snapshot = (index, term)
                default:
                    guard below(5) == 0 else { continue }
                    let term = trail.lastTerm.rawValue + 1
                    twin = Twin(snapshot: (twin.last + below(20), term))
                    trail.reset(to: LogIndex(twin.snapshot.index), term: Term(term))
                }
                compare(trail, twin, &random)
            }
        }
    }

    private func compare(_ trail: LogTrail, _ twin: Twin, _ random: inout SplitMix64) {
        #expect(trail.lastIndex.rawValue == twin.last)
        #expect(trail.firstIndex.rawValue == twin.snapshot.index + 1)
        #expect(trail.lastTerm.rawValue == twin.term(twin.last))
        for _ in 0..<3 {
            let index = random.next() % (twin.last + 3)
            let term = random.next() % (trail.lastTerm.rawValue + 2)
            #expect(trail.term(at: LogIndex(index))?.rawValue == twin.term(index))
            let place = trail.lastPlace(from: LogIndex(index), termAtMost: Term(term))
            let expected = twin.lastPlace(index, term)
            #expect(place.index.rawValue == expected.0 && place.term.rawValue == expected.1)
        }
        guard twin.last > twin.snapshot.index else { return }
        let offset = Int(random.next() % UInt64(twin.entries.count))
        let end = offset + Int(random.next() % UInt64(twin.entries.count - offset + 1))
        let first = LogIndex(twin.snapshot.index + 1).advanced(by: offset)
        let sizes = twin.entries.map(\.payloadBytes)
        #expect(
            trail.bytes(from: first, to: first.advanced(by: end - offset)) == sizes[offset..<end].reduce(0, +))
        let limit = Int(random.next() % 120)
        let batch = trail.batch(from: first, bytesMax: limit)
        var expected = 1
        while offset + expected < sizes.count, sizes[offset...(offset + expected)].reduce(0, +) <= limit {
            expected += 1
        }
        #expect(batch.end == first.advanced(by: expected))
        #expect(batch.bytes == sizes[offset..<(offset + expected)].reduce(0, +))
        #expect(
            trail.hasConfiguration(after: first.previous, through: first.advanced(by: end - offset).previous)
                == twin.entries[offset..<end].contains(where: \.isConfiguration))
    }

    @Test func `a long life of appending and compacting keeps memory for what is there only`() {
        var trail = LogTrail(snapshotIndex: .zero, snapshotTerm: .zero)
        for index in 1...200_000 as ClosedRange<UInt64> {
            trail.append(term: Term(1 + index / 1000), payloadBytes: 1, isConfiguration: false)
            if index % 100 == 0 { trail.compact(to: LogIndex(index - 50)) }
        }
        #expect(trail.bytes(from: trail.firstIndex, to: trail.lastIndex.next) == 50)
    }

    @Test func `inflights count what is under way, within both limits`() {
        var random = SplitMix64(seed: 4)
        for _ in 0..<200 {
            let most = 1 + Int(random.next() % 9)
            var inflights = Inflights(countMax: most, bytesMax: 30)
            var twin: [(last: UInt64, bytes: Int)] = []
            var next: UInt64 = 1
            for _ in 0..<100 {
                if random.next() % 3 > 0, !inflights.isFull {
                    let bytes = Int(random.next() % 12)
                    inflights.add(last: LogIndex(next), bytes: bytes)
                    twin.append((next, bytes))
                    next += 1 + random.next() % 3
                } else {
                    let index = random.next() % (next + 1)
                    inflights.free(through: LogIndex(index))
                    twin.removeAll { $0.last <= index }
                }
                #expect(inflights.count == twin.count)
                #expect(inflights.bytes == twin.map(\.bytes).reduce(0, +))
                #expect(inflights.isFull == (twin.count == most || twin.map(\.bytes).reduce(0, +) >= 30))
            }
        }
    }
}
