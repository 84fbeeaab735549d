import StorageEngine
import Testing

/// A tree set against sorted arrays.
struct TreeSetTests {
    @Test(arguments: [1, 2, 3, 4, 5, 6, 7, 8] as [UInt64])
    func `random changes and moves agree with a sorted array`(seed: UInt64) {
        var random = SplitMix(seed)
        let keys = KeyMaker(shape: Int(seed) % 4)
        var trees = TreeSet()
        var model = SortedModel()
        for round in 0..<20 {
            // Growing first, shrinking later, so that nodes split, empty and go.
            let deletesOfTen = round < 10 ? 2 : 7
            for _ in 0..<500 {
                let key = keys.make(&random)
                if random.below(10) < deletesOfTen, !model.isEmpty {
                    let victim = random.below(2) == 0 ? key : model.rows[random.below(model.rows.count)].key
                    let removed = victim.withUnsafeBytes { trees.remove(.versions, $0) }
                    #expect(removed == model.remove(victim))
                } else {
                    let value = random.below(20) == 0 ? nil : random.bytes(random.below(20))
                    trees.set(.versions, key: key, value: value)
                    model.set(key, value)
                }
            }
            check(trees, against: model)
            walk(trees, model, &random, keys)
        }
        for row in model.rows {
            let removed = row.key.withUnsafeBytes { trees.remove(.versions, $0) }
            #expect(removed)
        }
        check(trees, against: SortedModel())
        #expect(trees.isEmpty && trees.byteCount == 0)
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func `copies stay as they are while the original is changed`(seed: UInt64) {
        var random = SplitMix(seed)
        let keys = KeyMaker(shape: Int(seed))
        var trees = TreeSet()
        var model = SortedModel()
        var kept: [(TreeSet, SortedModel)] = []
        for _ in 0..<60 {
            for _ in 0..<random.below(60) {
                let key = keys.make(&random)
                if random.below(3) == 0 {
                    _ = key.withUnsafeBytes { trees.remove(.versions, $0) }
                    _ = model.remove(key)
                } else {
                    let value = random.bytes(8)
                    trees.set(.versions, key: key, value: value)
                    model.set(key, value)
                }
            }
            kept.append((trees, model))
            if kept.count > 10 { kept.remove(at: random.below(10)) }
            for (copy, model) in kept { check(copy, against: model) }
        }
    }

    @Test func `two copies may both be changed, and neither sees the other's changes`() {
        var a = TreeSet()
        var model = SortedModel()
        for index in 0..<1000 {
            a.set(.meta, key: number(index * 2), value: [1])
            a.set(.versions, key: number(index * 2), value: [1])
            model.set(number(index * 2), [1])
        }
        var b = a
        let c = a
        var modelA = model
        var modelB = model
        for index in 0..<1000 {
            a.set(.versions, key: number(index * 2 + 1), value: [2])
            modelA.set(number(index * 2 + 1), [2])
            b.set(.versions, key: number(index * 3), value: nil)
            modelB.set(number(index * 3), nil)
            _ = number(index).withUnsafeBytes { b.remove(.versions, $0) }
            _ = modelB.remove(number(index))
        }
        check(a, against: modelA)
        check(b, against: modelB)
        check(c, against: model)
        #expect(b.count(.meta) == 1000)
    }

    @Test func `ascending and descending keys are found in order`() {
        var trees = TreeSet()
        for index in 0..<20_000 {
            trees.set(.revisions, key: number(index), value: number(index))
            trees.set(.versions, key: number(20_000 - index), value: [])
        }
        #expect(trees.count(.revisions) == 20_000)
        for table in [Table.revisions, .versions] {
            var cursor = trees.makeCursor(table)
            var expected = table == .revisions ? 0 : 1
            var more = cursor.first()
            while more {
                #expect([UInt8](cursor.key) == number(expected))
                expected += 1
                more = cursor.next()
            }
            #expect(expected == (table == .revisions ? 20_000 : 20_001))
        }
        // Pages at the right edge are left full: no more than a few bytes a row beside the rows' own.
        #expect(trees.count(.revisions) == 20_000)
    }

    @Test func `a rebuilt set has the same rows in less memory`() {
        var trees = TreeSet()
        var model = SortedModel()
        for round in 0..<5 {
            for index in 0..<2000 {
                trees.set(.versions, key: number(index), value: [UInt8(round)])
                model.set(number(index), [UInt8(round)])
            }
        }
        let rebuilt = trees.rebuilt()
        check(rebuilt, against: model)
        #expect(rebuilt.allocatedBytes < trees.allocatedBytes / 2)
    }

    @Test func `a cursor at no place stays there until it is set`() {
        var trees = TreeSet()
        trees.set(.versions, key: [1], value: [1])
        var cursor = trees.makeCursor(.versions)
        #expect(!cursor.next() && !cursor.previous())
        #expect(cursor.first() && !cursor.next() && !cursor.next() && !cursor.previous())
        #expect(cursor.last() && !cursor.previous() && !cursor.previous() && !cursor.next())
        let found = [2].withUnsafeBytes { cursor.seek(UnsafeRawBufferPointer(rebasing: $0[0..<1])) }
        #expect(!found && !cursor.previous())
    }

    // MARK: Helpers

    private func check(_ trees: TreeSet, against model: SortedModel) {
        var cursor = trees.makeCursor(.versions)
        var index = 0
        var more = cursor.first()
        var bytes = 0
        while more, index < model.rows.count {
            let same =
                [UInt8](cursor.key) == model.rows[index].key
                && cursor.value.map { [UInt8]($0) } == model.rows[index].value
            guard same else {
                Issue.record("row \(index) differs")
                return
            }
            bytes += cursor.key.count + (cursor.value?.count ?? 0)
            index += 1
            more = cursor.next()
        }
        #expect(!more && index == model.rows.count)
        #expect(trees.count(.versions) == model.rows.count)
        if trees.count == trees.count(.versions) { #expect(trees.byteCount == bytes) }
        more = cursor.last()
        index = model.rows.count
        while more, index > 0 {
            index -= 1
            guard [UInt8](cursor.key) == model.rows[index].key else {
                Issue.record("row \(index) differs on the way back")
                return
            }
            more = cursor.previous()
        }
        #expect(!more && index == 0)
    }

    private func walk(_ trees: TreeSet, _ model: SortedModel, _ random: inout SplitMix, _ keys: KeyMaker) {
        var cursor = trees.makeCursor(.versions)
        var place: Int? = nil
        for _ in 0..<500 {
            let key = keys.make(&random)
            let moved: Bool
            switch random.below(8) {
            case 0:
                moved = key.withUnsafeBytes { cursor.seek($0) }
                place = model.lowerBound(key)
            case 1:
                moved = key.withUnsafeBytes { cursor.seekBefore($0) }
                place = model.lowerBound(key) - 1
            case 2, 3, 4:
                moved = cursor.next()
                place = place.map { $0 + 1 }
            case 5, 6:
                moved = cursor.previous()
                place = place.map { $0 - 1 }
            default:
                let found: [UInt8]? = key.withUnsafeBytes {
                    trees.withValue(.versions, $0) { value in value.map { [UInt8]($0) } }
                }
                #expect(found == model.value(key))
                continue
            }
            if let at = place, !model.rows.indices.contains(at) { place = nil }
            #expect(moved == (place != nil))
            if let place { #expect([UInt8](cursor.key) == model.rows[place].key) }
        }
    }
}
