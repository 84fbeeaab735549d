import Foundation
import LMDBEngine
import StorageEngine
import Testing

/// Bits that flip in the engine's file: found before LMDB sees them, or else the process ends with a sentence.
struct LMDBDamageTests {
    /// A file with everything in it: trees of several levels, values with pages of their own, long keys, free pages.
    private static func fill(_ directory: TestDirectory) throws -> [(key: [UInt8], value: [UInt8])] {
        let engine = try LMDBEngine(path: directory.path)
        for round in 0..<6 {
            var batch: [Mutation] = []
            for row in 0..<300 {
                let size = row % 50 == 0 ? 5000 : 20 + row % 30
                let value = [UInt8](repeating: UInt8(row % 200), count: size)
                batch.append(.put(.versions, key: number(row * 6 + round), value: value))
                batch.append(.put(.revisions, key: number(round * 300 + row), value: [1, 2, 3]))
            }
            batch.append(.put(.versions, key: [UInt8](repeating: 7, count: 600 + round), value: [1]))
            try engine.commit(batch)
            try engine.commit((0..<200).map { .delete(.versions, key: number($0 * 6 + round)) })
        }
        let rows = try engine.snapshot().rows(.versions)
        engine.close()
        return rows
    }

    /// How many rows are not what they were, if there are as many.
    private static func differences(
        _ found: [(key: [UInt8], value: [UInt8])], _ rows: [(key: [UInt8], value: [UInt8])]
    ) -> Int {
        guard found.count == rows.count else { return .max }
        let values = Dictionary(rows.map { ($0.key, $0.value) }, uniquingKeysWith: { $1 })
        return found.count { values[$0.key] != $0.value }
    }

    private func isCorrupt(_ error: any Error) -> Bool {
        if case EngineError.corrupt = error { true } else { false }
    }

    @Test func `files of many histories are found sound`() throws {
        var random = SplitMix(11)
        for _ in 0..<4 {
            let directory = TestDirectory()
            let engine = try LMDBEngine(path: directory.path)
            var expected: [[UInt8]: [UInt8]] = [:]
            for round in 0..<30 {
                var batch: [Mutation] = []
                let keys = [10, 300, 5000][Int(random.next() % 3)]
                for _ in 0..<Int(random.next() % 400) {
                    let key = number(Int(random.next() % UInt64(keys)))
                    if random.next() % 3 == 0 {
                        batch.append(.delete(.versions, key: key))
                        expected[key] = nil
                    } else {
                        let size = random.next() % 20 == 0 ? random.next() % 20_000 : random.next() % 200
                        let value = random.bytes(Int(size))
                        batch.append(.put(.versions, key: key, value: value))
                        expected[key] = value
                    }
                }
                if round % 10 == 8 {
                    batch += expected.keys.map { .delete(.versions, key: $0) }
                    expected = [:]
                }
                // A snapshot that is held keeps pages from being used again, so that the free list grows and shrinks.
                let held = round % 4 == 0 ? nil : try engine.snapshot()
                try engine.commit(batch)
                try engine.commit([.put(.meta, key: [1], value: number(round))])
                withExtendedLifetime(held) {}
                let copy = TestDirectory()
                try FileManager.default.createDirectory(atPath: copy.path, withIntermediateDirectories: true)
                try FileManager.default.copyItem(atPath: directory.dataFile, toPath: copy.dataFile)
                #expect(try LMDBEngine(path: copy.path).snapshot().rows(.versions).count == expected.count)
            }
        }
    }

    @Test func `no flipped bit in a page's header or a node's is believed`() throws {
        let directory = TestDirectory()
        let rows = try Self.fill(directory)
        let sound = try Data(contentsOf: URL(fileURLWithPath: directory.dataFile))
        var places: [Int] = []
        for page in 2..<sound.count / 4096 {
            let start = page * 4096
            let kind = sound[start + 10]
            guard kind == 1 || kind == 2 else { continue }
            places += (0..<8).map { start + $0 } + (10..<16).map { start + $0 }
            let lower = Int(sound[start + 12]) | Int(sound[start + 13]) << 8
            // Of each page the first node, the last and one between.
            let count = (lower - 16) / 2
            guard count > 0 else { continue }
            for index in Set([0, count / 2, count - 1]).sorted() {
                let pointer = start + 16 + 2 * index
                let node = start + Int(sound[pointer]) + Int(sound[pointer + 1]) << 8
                places += [pointer, pointer + 1] + (0..<8).map { node + $0 }
            }
        }
        var refused = 0
        var random = SplitMix(5)
        for _ in 0..<300 {
            let place = places[Int(random.next() % UInt64(places.count))]
            var damaged = sound
            damaged[place] ^= 1 << UInt8(random.next() % 8)
            try damaged.write(to: URL(fileURLWithPath: directory.dataFile))
            do {
                let engine = try LMDBEngine(path: directory.path)
                // It is in a page that is free, or a length took in or left out the byte that fills a row up to an
                // even length: that is for the rows' own checksums.
                #expect(Self.differences(try engine.snapshot().rows(.versions), rows) <= 1, "at \(place)")
                try engine.commit((0..<50).map { .put(.versions, key: number($0 * 31), value: [1]) })
            } catch {
                #expect(isCorrupt(error), "at \(place): \(error)")
                #expect(try Data(contentsOf: URL(fileURLWithPath: directory.dataFile)) == damaged)
                refused += 1
            }
        }
        #expect(refused > 100)
    }

    @Test func `whatever bit is flipped, the file is refused or read and written without a crash`() throws {
        let directory = TestDirectory()
        let rows = try Self.fill(directory)
        let sound = try Data(contentsOf: URL(fileURLWithPath: directory.dataFile))
        var random = SplitMix(6)
        for _ in 0..<200 {
            var damaged = sound
            damaged[Int(random.next() % UInt64(sound.count))] ^= 1 << UInt8(random.next() % 8)
            try damaged.write(to: URL(fileURLWithPath: directory.dataFile))
            do {
                let engine = try LMDBEngine(path: directory.path)
                // A row may have changed where it stays in order: that is for the rows' own checksums.
                #expect(Self.differences(try engine.snapshot().rows(.versions), rows) <= 1)
                try engine.commit((0..<300).map { .put(.versions, key: number($0 * 7), value: [1, 2]) })
                try engine.commit((0..<300).map { .delete(.versions, key: number($0 * 7)) })
            } catch {
                #expect(isCorrupt(error), "\(error)")
            }
        }
    }

    @Test func `of a file over the limit the leaves are not looked at, and all else is`() throws {
        let directory = TestDirectory()
        _ = try Self.fill(directory)
        let sound = try Data(contentsOf: URL(fileURLWithPath: directory.dataFile))
        var options = LMDBEngine.Options()
        options.checkedBytesMax = 0
        var refused = 0
        for page in 2..<sound.count / 4096 where sound[page * 4096 + 10] == 1 {
            var damaged = sound
            // The number of the page's second child.
            let node = page * 4096 + Int(sound[page * 4096 + 18]) + Int(sound[page * 4096 + 19]) << 8
            damaged[node] ^= 0x80
            try damaged.write(to: URL(fileURLWithPath: directory.dataFile))
            do {
                _ = try LMDBEngine(path: directory.path, options: options)
            } catch {
                #expect(isCorrupt(error))
                refused += 1
            }
        }
        #expect(refused >= 2)
        try sound.write(to: URL(fileURLWithPath: directory.dataFile))
        let engine = try LMDBEngine(path: directory.path, options: options)
        #expect(try engine.snapshot().rows(.revisions).count == 1800)
    }

    @Test func `an older meta page that calls itself the newest is refused, or is whole`() throws {
        let directory = TestDirectory()
        let rows = try Self.fill(directory)
        let sound = try Data(contentsOf: URL(fileURLWithPath: directory.dataFile))
        var refused = 0
        for place in [144, 145, 151, 4096 + 144, 4096 + 145, 4096 + 151] {
            for bit in 0..<8 as Range<UInt8> {
                var damaged = sound
                damaged[place] ^= 1 << bit
                try damaged.write(to: URL(fileURLWithPath: directory.dataFile))
                do {
                    // One before the last commit can pass for the newest, if it is two ahead then.
                    let found = try LMDBEngine(path: directory.path).snapshot().rows(.versions)
                    #expect(found.count == rows.count || found.count == rows.count + 200)
                } catch {
                    #expect(isCorrupt(error))
                    refused += 1
                }
            }
        }
        #expect(refused >= 46)
    }

    @Test func `whether there is an environment is told without making one`() throws {
        let directory = TestDirectory()
        #expect(!LMDBEngine.exists(at: directory.path))
        try FileManager.default.createDirectory(atPath: directory.path, withIntermediateDirectories: true)
        #expect(!LMDBEngine.exists(at: directory.path))
        try Data().write(to: URL(fileURLWithPath: directory.dataFile))
        #expect(!LMDBEngine.exists(at: directory.path))
        #expect(try Data(contentsOf: URL(fileURLWithPath: directory.dataFile)).isEmpty)
        try LMDBEngine(path: directory.path).close()
        #expect(LMDBEngine.exists(at: directory.path))
    }

    // MARK: Damage that comes after the file was opened

    /// An open engine with one row of 16 bytes, and where in the file the row's node is.
    private static func openWithRow(_ directory: TestDirectory) throws -> (engine: LMDBEngine, node: Int) {
        let engine = try LMDBEngine(path: directory.path)
        let key = Array("a key to be found".utf8)
        try engine.commit([.put(.leases, key: key, value: [UInt8](repeating: 1, count: 16))])
        let data = try Data(contentsOf: URL(fileURLWithPath: directory.dataFile))
        let place = try #require(data.range(of: Data(key)))
        return (engine, place.lowerBound - 8)
    }

    /// Writes into the open file: the map shows it.
    private static func write(_ byte: UInt8, at place: Int, _ directory: TestDirectory) throws {
        let file = try FileHandle(forUpdating: URL(fileURLWithPath: directory.dataFile))
        try file.seek(toOffset: UInt64(place))
        try file.write(contentsOf: Data([byte]))
        try file.close()
    }

    @Test func `a length that leads out of the page ends the process with a sentence`() async throws {
        let result = try await #require(
            processExitsWith: .exitCode(1), observing: [\.standardErrorContent]
        ) {
            let directory = TestDirectory()
            let (engine, node) = try LMDBDamageTests.openWithRow(directory)
            // The second highest byte of the value's length.
            try LMDBDamageTests.write(0x10, at: node + 2, directory)
            let cursor = try engine.snapshot().makeCursor(.leases)
            _ = cursor.first()
        }
        let said = String(decoding: result.standardErrorContent, as: UTF8.self)
        #expect(said.contains("Error: the state in ") && said.contains("data.mdb is damaged: a row is said to have"))
    }

    @Test func `a file that gets shorter under its map ends the process with a sentence`() async throws {
        let result = try await #require(
            processExitsWith: .exitCode(1), observing: [\.standardErrorContent]
        ) {
            let directory = TestDirectory()
            let (engine, node) = try LMDBDamageTests.openWithRow(directory)
            let snapshot = try engine.snapshot()
            let file = try FileHandle(forUpdating: URL(fileURLWithPath: directory.dataFile))
            try file.truncate(atOffset: UInt64(node / 4096 * 4096))
            _ = snapshot.makeCursor(.leases).first()
        }
        let said = String(decoding: result.standardErrorContent, as: UTF8.self)
        #expect(said.contains("Error: the state in ") && said.contains("SIGBUS"))
    }

    @Test func `an assertion of LMDB's ends the process with a sentence`() async throws {
        let result = try await #require(
            processExitsWith: .exitCode(1), observing: [\.standardErrorContent]
        ) {
            let directory = TestDirectory()
            _ = try LMDBDamageTests.fill(directory)
            let engine = try LMDBEngine(path: directory.path)
            let data = try Data(contentsOf: URL(fileURLWithPath: directory.dataFile))
            // Every branch page says that it has one child.
            for page in 2..<data.count / 4096 where data[page * 4096 + 10] == 1 {
                try LMDBDamageTests.write(18, at: page * 4096 + 12, directory)
                try LMDBDamageTests.write(0, at: page * 4096 + 13, directory)
            }
            _ = try engine.snapshot().makeCursor(.versions).first()
        }
        let said = String(decoding: result.standardErrorContent, as: UTF8.self)
        #expect(said.contains("Error: the state in ") && said.contains("does not hold"))
    }
}
