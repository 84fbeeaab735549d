import StorageEngine
import Testing

/// ``LayeredCursor/seekNewest(_:prefixCount:)`` beside the merge, over rows that keep its rule: of those with one
/// beginning, what is written later comes first; rows are only deleted, never written again.
struct SeekNewestTests {
    @Test(arguments: 1...40 as ClosedRange<UInt64>)
    func `the newest layer's row is the first of all`(seed: UInt64) throws {
        var random = SplitMix(seed)
        let engine = MemoryEngine()
        var store = try LayeredStore(engine: engine)
        var live: [[UInt8]] = []
        var revision: UInt8 = 0
        var fromTrees = 0
        var found = 0
        for _ in 0..<240 {
            let name = UInt8(random.next() % 6)
            switch random.next() % 10 {
            case 0..<5:
                revision += 1
                let key: [UInt8] = [name, 0, 255 - revision]
                store.put(.versions, key: key, value: [revision])
                live.append(key)
            case 5..<7 where !live.isEmpty:
                store.delete(.versions, key: live.remove(at: Int(random.next() % UInt64(live.count))))
            case 7:
                if let layer = store.freeze() {
                    // Between the commit and the retirement too.
                    if random.next() % 2 == 0 { try check(store, name, &random, &fromTrees, &found) }
                    try layer.commit(to: engine)
                    try check(store, name, &random, &fromTrees, &found)
                    try store.retire()
                }
            default: break
            }
            try check(store, name, &random, &fromTrees, &found)
        }
        #expect(fromTrees > 20 && found > fromTrees, "\(fromTrees) of \(found)")
    }

    private func check(
        _ store: LayeredStore, _ name: UInt8, _ random: inout SplitMix, _ fromTrees: inout Int, _ found: inout Int
    ) throws {
        let view = store.view
        // From the first row on, and from somewhere inside of the key's rows.
        for key in [[name, 0], [name, 0, UInt8(truncatingIfNeeded: random.next())]] as [[UInt8]] {
            let merged = view.makeCursor(.versions)
            let isThere =
                key.withUnsafeBytes { merged.seek($0) } && Array(merged.key.prefix(2)) == Array(key.prefix(2))
            let newest = view.makeCursor(.versions)
            let isFound = key.withUnsafeBytes { newest.seekNewest($0, prefixCount: 2) }
            #expect(isFound == isThere)
            guard isFound, isThere else { continue }
            #expect(Array(newest.key) == Array(merged.key))
            #expect(Array(newest.value) == Array(merged.value))
            found += 1
            if newest.isFromTree { fromTrees += 1 }
            // The cursor is as good as new for a merge.
            #expect(key.withUnsafeBytes { newest.seek($0) } && Array(newest.key) == Array(merged.key))
            let (isNext, isMergedNext) = (newest.next(), merged.next())
            #expect(isNext == isMergedNext)
            if isNext, isMergedNext { #expect(Array(newest.key) == Array(merged.key)) }
        }
    }
}
