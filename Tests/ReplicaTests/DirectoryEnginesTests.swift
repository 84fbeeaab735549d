import Foundation
import JournalEngine
import LMDBEngine
import Platform
import PlatformPOSIX
import PlatformSimulation
import RocksDBEngine
import StorageEngine
import Testing

@testable import Replica

/// Engines in directories: which is the current one, and how a state comes to another kind of engine.
@Suite struct DirectoryEnginesTests {
    private static let names = ["lmdb", "rocksdb", "memory"]

    private static func kind(_ name: String) -> DirectoryEngineKind {
        let fileSystem = POSIXFileSystem()
        return switch name {
        case "lmdb":
            DirectoryEngineKind(
                name: name, open: { try LMDBEngine(path: $0) }, isMade: { LMDBEngine.exists(at: $0) })
        case "rocksdb":
            DirectoryEngineKind(
                name: name, open: { try RocksDBEngine(path: $0) }, isMade: { RocksDBEngine.exists(at: $0) })
        default:
            DirectoryEngineKind(
                name: name, open: { try JournalEngine(path: $0, fileSystem: fileSystem) },
                isMade: { JournalEngine.exists(at: $0, fileSystem) })
        }
    }

    private static func engines(_ name: String, _ directory: String) -> DirectoryEngines {
        DirectoryEngines(
            directory: directory, fileSystem: POSIXFileSystem(), chosen: kind(name), others: names.map { kind($0) })
    }

    private static func rows(_ engine: any StorageEngine) throws -> [Mutation] {
        let snapshot = try engine.snapshot()
        return Table.allCases.flatMap { table in
            let cursor = snapshot.makeCursor(table)
            var rows: [Mutation] = []
            var more = cursor.first()
            while more {
                rows.append(.put(table, key: Array(cursor.key), value: Array(cursor.value)))
                more = cursor.next()
            }
            return rows
        }
    }

    /// Rows in all tables, with an empty key and one that LMDB cannot hold.
    private static let someRows: [Mutation] =
        Table.allCases.flatMap { table in
            (0..<400).map { .put(table, key: Array("key \(1000 + $0)".utf8), value: Array("value \($0 * 7)".utf8)) }
        } + [.put(.auth, key: [UInt8](repeating: 0x70, count: 3_000), value: [UInt8](repeating: 5, count: 100_000))]

    private func withDirectory(_ body: (String) throws -> Void) throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        try body(path)
    }

    @Test func `a state goes from each engine to each other, and nothing of it changes`() throws {
        try withDirectory { directory in
            let first = try Self.engines("lmdb", directory).openCurrent()
            try first.commit(Self.someRows)
            first.close()
            var generation = 1
            for name in ["rocksdb", "memory", "lmdb", "memory", "rocksdb", "lmdb", "lmdb"] {
                let engines = Self.engines(name, directory)
                #expect(try engines.holdsState())
                let events = Events()
                engines.whenMoving { events.note($0) }
                let engine = try engines.openCurrent()
                #expect(try Self.rows(engine) == Self.someRows)
                if name == "lmdb", generation == 7 {
                    #expect(events.all.isEmpty)
                } else {
                    generation += 1
                    #expect(events.all.count == 2)
                }
                #expect(
                    try FileManager.default.contentsOfDirectory(atPath: directory) == ["state-\(generation)"])
                engine.close()
            }
        }
    }

    private final class Events: @unchecked Sendable {
        // Noted and read on one thread.
        private(set) var all: [String] = []
        func note(_ event: EngineMove.Event) { all.append("\(event)") }
    }

    @Test func `a directory with two engines in it is refused`() throws {
        try withDirectory { directory in
            let engine = try Self.engines("lmdb", directory).openCurrent()
            engine.close()
            try JournalEngine(path: "\(directory)/state-1", fileSystem: POSIXFileSystem()).close()
            for name in Self.names {
                let engines = Self.engines(name, directory)
                #expect(throws: EngineError.self) { try engines.holdsState() }
                #expect(throws: EngineError.self) { try engines.openCurrent() }
            }
        }
    }

    @Test func `an engine that is damaged is not moved, and stays`() throws {
        try withDirectory { directory in
            let engine = try Self.engines("rocksdb", directory).openCurrent()
            try engine.commit(Self.someRows)
            engine.close()
            try FileManager.default.removeItem(atPath: "\(directory)/state-1/CURRENT")
            func files() throws -> [String] {
                // RocksDB begins its report anew at each attempt.
                try FileManager.default.contentsOfDirectory(atPath: "\(directory)/state-1")
                    .filter { !$0.hasPrefix("LOG") }.sorted()
            }
            let before = try files()
            for _ in 0..<2 {
                #expect(throws: EngineMoveFailure.self) { try Self.engines("lmdb", directory).openCurrent() }
            }
            #expect(try files() == before)
        }
    }

    @Test func `a view of the state before an installed snapshot is read to its end`() throws {
        for name in Self.names {
            try withDirectory { directory in
                let engines = Self.engines(name, directory)
                let engine = try engines.openCurrent()
                try engine.commit(Self.someRows)
                var snapshot: (any EngineSnapshot)? = try engine.snapshot()
                let staged = try engines.makeStaging()
                try staged.engine.commit([.put(.meta, key: [1], value: [2])])
                let new = try engines.install(staged)
                #expect(try Self.rows(new) == [.put(.meta, key: [1], value: [2])])
                let cursor = try #require(snapshot).makeCursor(.auth)
                #expect(cursor.first())
                #expect(cursor.last())
                #expect(snapshot?.makeCursor(.versions).first() == true)
                _ = cursor
                new.close()
                snapshot = nil
            }
        }
    }

    // MARK: Power cuts

    /// Two kinds that differ in the place of their journal: a disk of the simulator's holds them.
    private static func simulatedKind(_ name: String, _ disk: SimulatedDisk) -> DirectoryEngineKind {
        DirectoryEngineKind(
            name: name, open: { try JournalEngine(path: "\($0)/\(name)", fileSystem: disk) },
            isMade: { JournalEngine.exists(at: "\($0)/\(name)", disk) })
    }

    private static func simulated(_ name: String, _ disk: SimulatedDisk) -> DirectoryEngines {
        DirectoryEngines(
            directory: "/member/state", fileSystem: disk, chosen: simulatedKind(name, disk),
            others: ["a", "b"].map { simulatedKind($0, disk) })
    }

    @Test func `a power cut at any step of a move leaves the state in one of the engines, whole`() throws {
        let before = SimulatedDisk(seed: 1)
        let engine = try Self.simulated("a", before).openCurrent()
        try engine.commit(Self.someRows)
        engine.close()
        var calls = 0
        var isOver = false
        while !isOver {
            let disk = before.fork(seed: UInt64(calls) + 100)
            disk.inject(FaultPlan(powerCutAfter: calls))
            do {
                _ = try Self.simulated("b", disk).openCurrent()
                isOver = disk.isPowered
            } catch {}
            disk.crash()
            // With either of them it goes on.
            for name in calls % 2 == 0 ? ["b", "a"] : ["a", "b"] {
                let engines = Self.simulated(name, disk)
                #expect(try engines.holdsState(), "after \(calls) calls")
                let engine = try engines.openCurrent()
                #expect(try Self.rows(engine) == Self.someRows, "after \(calls) calls, opened as \(name)")
                engine.close()
            }
            calls += 1
        }
        #expect(calls > 10)
    }

    @Test func `without room for a second copy the state stays where it is`() throws {
        let disk = SimulatedDisk(seed: 1)
        let engine = try Self.simulated("a", disk).openCurrent()
        try engine.commit(Self.someRows)
        engine.close()
        disk.inject(FaultPlan(capacityBytes: disk.usedBytes + 50_000))
        #expect(throws: EngineMoveFailure.self) { try Self.simulated("b", disk).openCurrent() }
        #expect(try disk.list("/member/state") == ["state-1"])
        #expect(try Self.rows(Self.simulated("a", disk).openCurrent()) == Self.someRows)
    }
}
