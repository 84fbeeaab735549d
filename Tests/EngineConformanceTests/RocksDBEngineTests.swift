import Foundation
import RocksDBEngine
import StorageEngine
import Synchronization
import Testing

/// What is RocksDB's own: its directory, what a power cut and bit rot leave of it, and how it ends.
struct RocksDBEngineTests {
    private static func copy(_ directory: TestDirectory) throws -> TestDirectory {
        let copy = TestDirectory()
        try FileManager.default.copyItem(atPath: directory.path, toPath: copy.path)
        return copy
    }

    private static func names(_ directory: TestDirectory, _ suffix: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: directory.path).filter { $0.hasSuffix(suffix) }.sorted()
    }

    private static func change(
        _ directory: TestDirectory, _ name: String, _ change: (inout Data) -> Void
    ) throws {
        let url = URL(fileURLWithPath: "\(directory.path)/\(name)")
        var data = try Data(contentsOf: url)
        change(&data)
        try data.write(to: url)
    }

    private func isCorrupt(_ error: any Error) -> Bool {
        if case EngineError.corrupt = error { true } else { false }
    }

    /// Commit n writes row n, and n to a row that all of them write.
    private static func commit(_ number: Int, to engine: RocksDBEngine, valueBytes: Int = 300) throws {
        var random = SplitMix(UInt64(number))
        try engine.commit([
            .put(.meta, key: [1], value: EngineConformanceTests.number(number)),
            .put(.versions, key: EngineConformanceTests.number(number), value: random.bytes(valueBytes)),
        ])
    }

    /// How many commits the state holds, having seen to it that it holds them whole and in order.
    private static func commits(in engine: RocksDBEngine, valueBytes: Int = 300) throws -> Int {
        let snapshot = try engine.snapshot()
        let rows = snapshot.rows(.versions)
        for (index, row) in rows.enumerated() {
            var random = SplitMix(UInt64(index + 1))
            #expect(row.key == number(index + 1) && row.value == random.bytes(valueBytes))
        }
        #expect(snapshot.value(.meta, [1]) == (rows.isEmpty ? nil : number(rows.count)))
        return rows.count
    }

    @Test func `what was committed is there when the process is gone without a word`() throws {
        let directory = TestDirectory()
        let engine = try RocksDBEngine(path: directory.path)
        for number in 1...40 { try Self.commit(number, to: engine) }
        // As the disk is now.
        let left = try Self.copy(directory)
        let again = try RocksDBEngine(path: left.path)
        #expect(try Self.commits(in: again) == 40)
        try Self.commit(41, to: again)
        again.close()
        #expect(try Self.commits(in: RocksDBEngine(path: left.path)) == 41)
    }

    @Test func `a log that is cut or damaged anywhere leaves whole commits, up to some one`() throws {
        let directory = TestDirectory()
        let engine = try RocksDBEngine(path: directory.path)
        for number in 1...30 { try Self.commit(number, to: engine) }
        let log = try #require(try Self.names(directory, ".log").last)
        var random = SplitMix(4)
        var found: Set<Int> = []
        for round in 0..<40 {
            let left = try Self.copy(directory)
            try Self.change(left, log) { data in
                if round % 2 == 0 {
                    data = data.prefix(random.below(data.count))
                } else {
                    data[random.below(data.count)] ^= 1 << UInt8(random.below(8))
                }
            }
            do {
                let engine = try RocksDBEngine(path: left.path)
                let count = try Self.commits(in: engine)
                found.insert(count)
                // And it goes on from there.
                try Self.commit(count + 1, to: engine)
                engine.close()
                #expect(try Self.commits(in: RocksDBEngine(path: left.path)) == count + 1)
            } catch {
                #expect(isCorrupt(error), "\(error)")
            }
        }
        #expect(found.count > 10)
    }

    @Test func `a file that is missing is damage, and no reason to begin anew`() throws {
        let directory = TestDirectory()
        let engine = try RocksDBEngine(path: directory.path)
        for number in 1...20 { try Self.commit(number, to: engine) }
        engine.close()
        let tables = try Self.names(directory, ".sst")
        #expect(!tables.isEmpty)
        let manifest = try FileManager.default.contentsOfDirectory(atPath: directory.path)
            .first { $0.hasPrefix("MANIFEST") }
        for name in ["CURRENT", try #require(manifest), tables[0], "martlet-engine"] {
            let left = try Self.copy(directory)
            try FileManager.default.removeItem(atPath: "\(left.path)/\(name)")
            do {
                _ = try RocksDBEngine(path: left.path)
                Issue.record("\(name) is missing, and it opened")
            } catch {
                #expect(isCorrupt(error), "\(name): \(error)")
                #expect(try Self.names(left, ".sst") == tables.filter { $0 != name })
                #expect(RocksDBEngine.exists(at: left.path))
            }
        }
    }

    @Test func `damage in the list of tables is found when it is opened`() throws {
        let directory = TestDirectory()
        let engine = try RocksDBEngine(path: directory.path)
        for number in 1...20 { try Self.commit(number, to: engine) }
        engine.close()
        let manifest = try #require(
            try FileManager.default.contentsOfDirectory(atPath: directory.path).first { $0.hasPrefix("MANIFEST") })
        var random = SplitMix(9)
        var refused = 0
        for _ in 0..<30 {
            let left = try Self.copy(directory)
            try Self.change(left, manifest) { $0[random.below($0.count)] ^= 1 << UInt8(random.below(8)) }
            do {
                // A length that leads beyond the end looks like a record that was not written whole.
                let count = try Self.commits(in: RocksDBEngine(path: left.path))
                #expect(count == 0 || count == 20)
            } catch {
                #expect(isCorrupt(error), "\(error)")
                refused += 1
            }
        }
        #expect(refused > 20)
    }

    @Test func `damage in a table ends the process with a sentence, and not with another answer`() async throws {
        let result = await #expect(processExitsWith: .exitCode(1), observing: [\.standardErrorContent]) {
            let directory = TestDirectory()
            let engine = try RocksDBEngine(path: directory.path)
            for number in 1...500 { try RocksDBEngineTests.commit(number, to: engine) }
            engine.close()
            let table = try #require(try RocksDBEngineTests.names(directory, ".sst").first)
            try RocksDBEngineTests.change(directory, table) { $0[$0.count / 3] ^= 4 }
            let rows = try RocksDBEngine(path: directory.path).snapshot().rows(.versions)
            // Not reached.
            _exit(rows.isEmpty ? 3 : 2)
        }
        let text = String(decoding: try #require(result).standardErrorContent, as: UTF8.self)
        #expect(text.contains("the state in") && text.contains("is damaged: Corruption"), "\(text)")
    }

    @Test func `another format and another engine are refused by name`() throws {
        for (mark, words) in [("rocksdb 2\n", "format 2"), ("granite 1\n", "rocksdb 1"), ("", "rocksdb 1")] {
            let directory = TestDirectory()
            try RocksDBEngine(path: directory.path).close()
            try Self.change(directory, "martlet-engine") { $0 = Data(mark.utf8) }
            do {
                _ = try RocksDBEngine(path: directory.path)
                Issue.record("opened in spite of \(mark)")
            } catch {
                #expect(isCorrupt(error) && "\(error)".contains(words), "\(error)")
            }
        }
    }

    @Test func `making one that was cut off is done again`() throws {
        let directory = TestDirectory()
        #expect(!RocksDBEngine.exists(at: directory.path))
        try FileManager.default.createDirectory(atPath: directory.path, withIntermediateDirectories: true)
        #expect(!RocksDBEngine.exists(at: directory.path))
        try RocksDBEngine(path: directory.path).close()
        #expect(RocksDBEngine.exists(at: directory.path))
        // The mark is written last.
        for missing in [["martlet-engine"], ["martlet-engine", "CURRENT"]] {
            for name in missing { try FileManager.default.removeItem(atPath: "\(directory.path)/\(name)") }
            #expect(!RocksDBEngine.exists(at: directory.path))
            try RocksDBEngine(path: directory.path).close()
            #expect(RocksDBEngine.exists(at: directory.path))
        }
    }

    @Test func `a directory is opened once at a time`() throws {
        let directory = TestDirectory()
        let engine = try RocksDBEngine(path: directory.path)
        #expect(throws: EngineError.self) { try RocksDBEngine(path: directory.path) }
        engine.close()
        try RocksDBEngine(path: directory.path).close()
    }

    @Test func `files go when the last snapshot has gone`() throws {
        let directory = TestDirectory()
        let engine = try RocksDBEngine(path: directory.path)
        for number in 1...20 { try Self.commit(number, to: engine) }
        var snapshot: (any EngineSnapshot)? = try engine.snapshot()
        let (path, flag) = (directory.path, Flag())
        engine.close {
            try? FileManager.default.removeItem(atPath: path)
            flag.set()
        }
        #expect(!flag.isSet)
        #expect(snapshot?.rows(.versions).count == 20)
        snapshot = nil
        #expect(flag.isSet && !FileManager.default.fileExists(atPath: path))
        #expect(throws: EngineError.self) { try engine.snapshot() }
    }

    @Test func `size follows what is written`() throws {
        let directory = TestDirectory()
        let engine = try RocksDBEngine(path: directory.path)
        let before = engine.size()
        for number in 1...200 { try Self.commit(number, to: engine, valueBytes: 5_000) }
        let after = engine.size()
        #expect(after.inUse - before.inUse > 900_000)
        #expect(after.total >= after.inUse)
        engine.close()
        #expect(engine.size() == (0, 0))
        let again = try RocksDBEngine(path: directory.path).size()
        #expect(again.inUse > 900_000 && again.inUse < 1_500_000 && again.total >= again.inUse)
    }
}

private final class Flag: Sendable {
    private let value = Atomic(false)
    var isSet: Bool { value.load(ordering: .sequentiallyConsistent) }
    func set() { value.store(true, ordering: .sequentiallyConsistent) }
}
