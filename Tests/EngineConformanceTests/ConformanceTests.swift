import Foundation
import StorageEngine
import Synchronization
import Testing

/// What every engine owes, asked of each in the same words.
struct ConformanceTests {
    @Test(arguments: Kind.allCases, [1, 2, 3] as [UInt64])
    func `random batches agree with sorted arrays, in all snapshots held`(kind: Kind, seed: UInt64) throws {
        let subject = try Subject(kind)
        var random = SplitMix(seed)
        var model = Model()
        var held: [(any EngineSnapshot, Model)] = []
        for round in 0..<40 {
            let batch = random.batch(model)
            try subject.engine.commit(batch)
            model.apply(batch)
            held.append((try subject.engine.snapshot(), model))
            if held.count > 4 { held.remove(at: random.below(4)) }
            for (snapshot, model) in held { compare(snapshot, model) }
            if round % 13 == 12 {
                held.removeAll()
                try subject.reopen()
                compare(try subject.engine.snapshot(), model)
            }
        }
    }

    @Test(arguments: Kind.allCases, [1, 2] as [UInt64])
    func `cursors go both ways, and turn in mid-way`(kind: Kind, seed: UInt64) throws {
        let subject = try Subject(kind)
        var random = SplitMix(seed &* 77)
        var model = Model()
        for _ in 0..<25 {
            let batch = random.batch(model)
            try subject.engine.commit(batch)
            model.apply(batch)
            for table in Table.allCases { walk(try subject.engine.snapshot(), model, table, &random) }
        }
    }

    @Test(arguments: Kind.allCases)
    func `a cursor is at no place before the first move and after one that said false`(kind: Kind) throws {
        let subject = try Subject(kind)
        try subject.engine.commit([.put(.meta, key: [1], value: [1]), .put(.meta, key: [3], value: [3])])
        let cursor = try subject.engine.snapshot().makeCursor(.meta)
        #expect(!cursor.next())
        #expect(!cursor.previous())
        #expect(cursor.last())
        #expect(!cursor.next())
        #expect(!cursor.previous())
        #expect(!cursor.seek([4]))
        #expect(!cursor.previous())
        #expect(!cursor.seekBefore([1]))
        #expect(!cursor.next())
        #expect(cursor.seekBefore([]) == false)
        #expect(cursor.seek([]) && [UInt8](cursor.key) == [1])
        #expect(cursor.seekBefore([9, 9]) && [UInt8](cursor.key) == [3])
        let empty = try subject.engine.snapshot().makeCursor(.auth)
        #expect(!empty.first() && !empty.last() && !empty.seek([]) && !empty.seekBefore([255]))
    }

    @Test(arguments: Kind.allCases)
    func `empty and very long keys lie in order among the others`(kind: Kind) throws {
        let subject = try Subject(kind)
        let a: [UInt8] = [0x61]
        let lengths = [0, 1, 2, 510, 511, 512, 513, 600, 10_000, 1_000_000]
        var keys = lengths.map { [UInt8](repeating: 0x61, count: $0) }
        keys += [number(1), [0x62], [UInt8](repeating: 0x60, count: 700), [UInt8](repeating: 0xFF, count: 512)]
        keys += [[UInt8](repeating: 0x61, count: 511) + [0], [UInt8](repeating: 0x61, count: 511) + [0xFF], a + [0xFF]]
        let sorted = keys.sorted { $0.lexicographicallyPrecedes($1) }
        for (index, key) in keys.enumerated() {
            try subject.engine.commit([.put(.versions, key: key, value: number(index))])
        }
        /// A function, so that the snapshot is gone when the engine is opened again.
        func look() throws {
            let snapshot = try subject.engine.snapshot()
            #expect(snapshot.rows(.versions).map(\.key) == sorted)
            for (index, key) in keys.enumerated() { #expect(snapshot.value(.versions, key) == number(index)) }
            let cursor = snapshot.makeCursor(.versions)
            for (index, key) in sorted.enumerated() {
                #expect(cursor.seek(key) && [UInt8](cursor.key) == key)
                #expect(cursor.seekBefore(key) == (index > 0))
                if index > 0 { #expect([UInt8](cursor.key) == sorted[index - 1]) }
            }
            #expect(snapshot.rows(.revisions).isEmpty)
        }
        try look()
        try subject.reopen()
        try look()
        // Replaced, deleted, put back.
        let long = [UInt8](repeating: 0x61, count: 10_000)
        let before = try subject.engine.snapshot()
        try subject.engine.commit([.delete(.versions, key: []), .put(.versions, key: long, value: [7])])
        #expect(try subject.engine.snapshot().value(.versions, long) == [7])
        #expect(try subject.engine.snapshot().value(.versions, []) == nil)
        try subject.engine.commit([.delete(.versions, key: long), .put(.versions, key: [], value: [8])])
        #expect(try subject.engine.snapshot().value(.versions, long) == nil)
        #expect(try subject.engine.snapshot().value(.versions, []) == [8])
        #expect(before.value(.versions, long) == number(8))
        #expect(before.value(.versions, []) == number(0))
    }

    @Test(arguments: Kind.allCases)
    func `values of megabytes come back whole`(kind: Kind) throws {
        let subject = try Subject(kind)
        var random = SplitMix(5)
        let values = [1_500_000, 4096, 0, 70_000].map { random.bytes($0) }
        for (index, value) in values.enumerated() {
            try subject.engine.commit([.put(.versions, key: number(index), value: value)])
        }
        try subject.reopen()
        let snapshot = try subject.engine.snapshot()
        #expect(snapshot.rows(.versions).map(\.value) == values)
    }

    @Test(arguments: Kind.allCases)
    func `the changes of a batch hold in their order, and the last one stays`(kind: Kind) throws {
        let subject = try Subject(kind)
        try subject.engine.commit([
            .put(.meta, key: [1], value: [1]), .delete(.meta, key: [1]), .put(.meta, key: [1], value: [2]),
            .put(.meta, key: [2], value: [1]), .delete(.meta, key: [2]), .delete(.meta, key: [3]),
        ])
        let rows = try subject.engine.snapshot().rows(.meta)
        #expect(rows.count == 1 && rows.first?.key == [1] && rows.first?.value == [2])
        try subject.engine.commit([Mutation]())
        #expect(try subject.engine.snapshot().rows(.meta).count == 1)
    }

    @Test(arguments: Kind.allCases)
    func `readers on other threads find only whole commits`(kind: Kind) throws {
        let subject = try Subject(kind)
        let engine = subject.engine
        let long = [UInt8](repeating: 0x6C, count: 600)
        let rowsEach = 50
        @Sendable func batch(_ counter: Int) -> [Mutation] {
            var batch: [Mutation] = [.put(.meta, key: long, value: number(counter))]
            for index in 0..<rowsEach {
                batch.append(.put(.versions, key: number(index), value: number(counter)))
            }
            batch.append(.put(.revisions, key: number(counter), value: number(counter)))
            if counter > 5 { batch.append(.delete(.revisions, key: number(counter - 5))) }
            return batch
        }
        try engine.commit(batch(1))

        let isOver = Atomic<Bool>(false)
        let wrong = Atomic<Int>(0)
        let reads = Atomic<Int>(0)
        /// One moment, looked at by all of these threads at once, and replaced by any of them.
        let shared = Mutex<any EngineSnapshot>(try engine.snapshot())
        withThreads(4) { thread in
            if thread == 0 {
                let end = Date(timeIntervalSinceNow: 0.6)
                var counter = 2
                while Date() < end {
                    do { try engine.commit(batch(counter)) } catch { wrong.add(1, ordering: .relaxed) }
                    counter += 1
                }
                isOver.store(true, ordering: .relaxed)
                return
            }
            var random = SplitMix(UInt64(thread))
            while !isOver.load(ordering: .relaxed) {
                if random.below(3) == 0, let new = try? engine.snapshot() { shared.withLock { $0 = new } }
                let snapshot = shared.withLock { $0 }
                let counter = snapshot.value(.meta, long)
                let rows = snapshot.rows(.versions)
                let cursor = snapshot.makeCursor(.revisions)
                let last = cursor.last() ? [UInt8](cursor.key) : []
                let isWhole =
                    counter == last && rows.count == rowsEach && rows.allSatisfy { $0.value == counter }
                    && snapshot.rows(.revisions).count <= 5
                if !isWhole { wrong.add(1, ordering: .relaxed) }
                reads.add(1, ordering: .relaxed)
            }
        }
        #expect(wrong.load(ordering: .relaxed) == 0)
        #expect(reads.load(ordering: .relaxed) > 10)
    }

    @Test(arguments: [Kind.memory, .lmdb, .rocksDB, .journal])
    func `a closed engine says so`(kind: Kind) throws {
        let subject = try Subject(kind)
        subject.engine.close()
        #expect(throws: EngineError.self) { try subject.engine.snapshot() }
        #expect(throws: EngineError.self) { try subject.engine.commit([.put(.meta, key: [1], value: [1])]) }
        subject.engine.close()
    }

    // MARK: Helpers

    private func compare(_ snapshot: any EngineSnapshot, _ model: Model) {
        for table in Table.allCases {
            let rows = snapshot.rows(table)
            let expected = model.rows(table)
            #expect(rows.elementsEqual(expected) { $0.key == $1.key && $0.value == $1.value })
            #expect(snapshot.isEmpty(table) == expected.isEmpty)
            for row in expected.prefix(20) { #expect(snapshot.value(table, row.key) == row.value) }
        }
    }

    private func walk(_ snapshot: any EngineSnapshot, _ model: Model, _ table: Table, _ random: inout SplitMix) {
        let cursor = snapshot.makeCursor(table)
        let rows = model.rows(table)
        var place: Int? = nil
        for _ in 0..<150 {
            let key = random.key()
            let moved: Bool
            switch random.below(10) {
            case 0:
                moved = cursor.seek(key)
                place = model.lowerBound(table, key)
            case 1:
                moved = cursor.seekBefore(key)
                place = model.lowerBound(table, key) - 1
            case 2:
                moved = cursor.first()
                place = 0
            case 3:
                moved = cursor.last()
                place = rows.count - 1
            case 4, 5, 6:
                moved = cursor.next()
                place = place.map { $0 + 1 }
            default:
                moved = cursor.previous()
                place = place.map { $0 - 1 }
            }
            if let at = place, !rows.indices.contains(at) { place = nil }
            #expect(moved == (place != nil))
            guard moved, let place else { continue }
            #expect([UInt8](cursor.key) == rows[place].key)
            #expect([UInt8](cursor.value) == rows[place].value)
        }
    }
}

/// Runs `body` on as many threads of its own, and waits for all.
func withThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
    let group = DispatchGroup()
    for index in 0..<count {
        group.enter()
        Thread.detachNewThread {
            body(index)
            group.leave()
        }
    }
    group.wait()
}
