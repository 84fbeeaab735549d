import Foundation
import LMDBEngine
import StorageEngine
import Testing

/// What only a file can do: fill a disk, be damaged, be somebody else's.
struct LMDBEngineTests {
    @Test func `a full map refuses the batch whole, and the engine goes on`() throws {
        let directory = TestDirectory()
        var options = LMDBEngine.Options()
        options.mapBytes = 1 << 20
        let engine = try LMDBEngine(path: directory.path, options: options)
        let value = [UInt8](repeating: 1, count: 1000)
        let small = (0..<50).map { Mutation.put(.versions, key: number($0), value: value) }
        try engine.commit(small)
        let large = (0..<5000).map { Mutation.put(.revisions, key: number($0), value: value) }
        #expect {
            try engine.commit(large + [.put(.meta, key: [UInt8](repeating: 1, count: 600), value: [1])])
        } throws: { error in
            if case EngineError.full = error { true } else { false }
        }
        let snapshot = try engine.snapshot()
        #expect(snapshot.rows(.versions).count == 50)
        #expect(snapshot.isEmpty(.revisions) && snapshot.isEmpty(.meta))
        try engine.commit([.put(.meta, key: [1], value: [1])])
        #expect(try engine.snapshot().value(.meta, [1]) == [1])
    }

    @Test func `a map that the address space has no room for is made smaller`() throws {
        let directory = TestDirectory()
        var options = LMDBEngine.Options()
        options.mapBytes = 1 << 60
        let engine = try LMDBEngine(path: directory.path, options: options)
        try engine.commit([.put(.meta, key: [1], value: [1])])
        #expect(try engine.snapshot().value(.meta, [1]) == [1])
    }

    @Test func `a file of any length of a sound one's opens or is refused, and never crashes`() throws {
        let directory = TestDirectory()
        let page = 4096
        do {
            let engine = try LMDBEngine(path: directory.path)
            for round in 0..<10 {
                try engine.commit((0..<200).map { .put(.versions, key: number($0 * 7 + round), value: number($0)) })
                try engine.commit((0..<150).map { .delete(.versions, key: number($0 * 7 + round)) })
            }
            engine.close()
        }
        let whole = try Data(contentsOf: URL(fileURLWithPath: directory.dataFile))
        for length in [1, 100, page, page + 1, 2 * page - 1, 2 * page, 3 * page, whole.count / 2] {
            try whole.prefix(length).write(to: URL(fileURLWithPath: directory.dataFile))
            #expect("\(length) of \(whole.count)") {
                try LMDBEngine(path: directory.path)
            } throws: { error in
                if case EngineError.corrupt = error { true } else { false }
            }
        }
        try whole.write(to: URL(fileURLWithPath: directory.dataFile))
        let engine = try LMDBEngine(path: directory.path)
        #expect(try engine.snapshot().rows(.versions).isEmpty == false)
    }

    @Test func `a file may lack pages at its end that are free, and no others`() throws {
        let directory = TestDirectory()
        let value = [UInt8](repeating: 1, count: 300)
        var expected: [[UInt8]] = []
        do {
            let engine = try LMDBEngine(path: directory.path)
            try engine.commit((0..<3000).map { .put(.versions, key: number($0), value: value) })
            try engine.commit((20..<3000).map { .delete(.versions, key: number($0)) })
            // The last transaction's pages are free for the one after the next.
            for index in 0..<5 { try engine.commit([.put(.meta, key: [1], value: number(index))]) }
            expected = try engine.snapshot().rows(.versions).map(\.key)
            engine.close()
        }
        let whole = try Data(contentsOf: URL(fileURLWithPath: directory.dataFile))
        var accepted = 0
        var refused = 0
        for missing in 1...(whole.count / 4096 - 2) {
            try whole.dropLast(missing * 4096 - (missing % 2) * 100).write(to: URL(fileURLWithPath: directory.dataFile))
            do {
                let engine = try LMDBEngine(path: directory.path)
                #expect(try engine.snapshot().rows(.versions).map(\.key) == expected)
                try engine.commit((0..<20).map { .put(.leases, key: number($0), value: value) })
                #expect(try engine.snapshot().rows(.leases).count == 20)
                #expect(refused == 0, "more is missing than where it was refused")
                accepted += 1
            } catch {
                guard case EngineError.corrupt = error else { throw error }
                refused += 1
            }
        }
        #expect(accepted > 0 && refused > 0)
    }

    @Test func `a foreign file is refused`() throws {
        var random = SplitMix(3)
        let foreign = [Array("# not a store\n".utf8), random.bytes(20_000), [UInt8](repeating: 0, count: 8192)]
        for bytes in foreign {
            let directory = TestDirectory()
            try FileManager.default.createDirectory(atPath: directory.path, withIntermediateDirectories: true)
            try Data(bytes).write(to: URL(fileURLWithPath: directory.dataFile))
            #expect {
                try LMDBEngine(path: directory.path)
            } throws: { error in
                if case EngineError.corrupt = error { true } else { false }
            }
            #expect(try Data(contentsOf: URL(fileURLWithPath: directory.dataFile)) == Data(bytes))
        }
    }

    @Test func `damaged meta pages are refused or harmless`() throws {
        let directory = TestDirectory()
        do {
            let engine = try LMDBEngine(path: directory.path)
            try engine.commit([.put(.versions, key: [1], value: [1])])
            engine.close()
        }
        let sound = try Data(contentsOf: URL(fileURLWithPath: directory.dataFile))
        // Magic, version, page size, and the last page's number, in both meta pages.
        for offset in [16, 20, 40, 136, 143, 4096 + 16, 4096 + 20, 4096 + 40, 4096 + 136, 4096 + 143] {
            var damaged = sound
            damaged[offset] ^= 0x55
            try damaged.write(to: URL(fileURLWithPath: directory.dataFile))
            do {
                let engine = try LMDBEngine(path: directory.path)
                _ = try engine.snapshot().value(.versions, [1])
            } catch {
                guard case EngineError.corrupt = error else {
                    Issue.record("\(offset): \(error)")
                    continue
                }
            }
        }
    }

    @Test func `an environment is open once at a time, until its last snapshot has gone`() throws {
        let directory = TestDirectory()
        let engine = try LMDBEngine(path: directory.path)
        try engine.commit([.put(.meta, key: [1], value: [1])])
        #expect(throws: EngineError.self) { try LMDBEngine(path: directory.path) }
        var snapshot: (any EngineSnapshot)? = try engine.snapshot()
        engine.close()
        #expect(snapshot?.value(.meta, [1]) == [1])
        #expect(throws: EngineError.self) { try LMDBEngine(path: directory.path) }
        snapshot = nil
        let again = try LMDBEngine(path: directory.path)
        #expect(try again.snapshot().value(.meta, [1]) == [1])
    }

    @Test func `a built environment opens with all its rows, and is not built over another`() throws {
        let directory = TestDirectory()
        let long = [UInt8](repeating: 9, count: 2000)
        do {
            let engine = try LMDBEngine.build(at: directory.path) { engine throws(EngineError) in
                for start in stride(from: 0, to: 10_000, by: 1000) {
                    let rows = start..<start + 1000
                    try engine.commit(rows.map { .put(.revisions, key: number($0), value: number($0)) })
                }
                try engine.commit([.put(.versions, key: long, value: [1])])
            }
            // What is committed after it is synced again.
            try engine.commit([.put(.meta, key: [1], value: [1])])
            #expect(try engine.snapshot().rows(.revisions).count == 10_000)
        }
        #expect(throws: EngineError.self) { try LMDBEngine.build(at: directory.path) { _ in } }
        let engine = try LMDBEngine(path: directory.path)
        let snapshot = try engine.snapshot()
        #expect(snapshot.rows(.revisions).count == 10_000)
        #expect(snapshot.value(.versions, long) == [1])
        #expect(snapshot.value(.meta, [1]) == [1])
        // Ascending keys fill their pages: 16 bytes and LMDB's 10 a row.
        #expect(engine.size().inUse < 10_000 * 26 * 5 / 4)
    }

    @Test func `many more snapshots than are kept idle come and go`() throws {
        let directory = TestDirectory()
        var options = LMDBEngine.Options()
        options.snapshotsMax = 40
        let engine = try LMDBEngine(path: directory.path, options: options)
        try engine.commit([.put(.meta, key: [1], value: [1])])
        for _ in 0..<3 {
            var held: [any EngineSnapshot] = []
            for _ in 0..<40 { held.append(try engine.snapshot()) }
            #expect(throws: EngineError.self) { try engine.snapshot() }
            #expect(held.allSatisfy { $0.value(.meta, [1]) == [1] })
        }
        #expect(try engine.snapshot().value(.meta, [1]) == [1])
    }

    @Test func `size tells what deleting has freed`() throws {
        let directory = TestDirectory()
        let engine = try LMDBEngine(path: directory.path)
        let value = [UInt8](repeating: 1, count: 1000)
        try engine.commit((0..<2000).map { .put(.versions, key: number($0), value: value) })
        let full = engine.size()
        #expect(full.inUse > 2_000_000 && full.inUse <= full.total)
        try engine.commit((0..<2000).map { .delete(.versions, key: number($0)) })
        let empty = engine.size()
        #expect(empty.total >= full.total && empty.inUse < 200_000)
    }
}
