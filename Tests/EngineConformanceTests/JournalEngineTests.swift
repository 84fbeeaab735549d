import JournalEngine
import Platform
import PlatformSimulation
import StorageEngine
import Testing

/// The journal: what a power cut, a full disk and bit rot leave of it.
struct JournalEngineTests {
    private static let path = "/state"

    private static func open(_ disk: SimulatedDisk, rewriteBytesMin: Int = 64 << 20) throws -> JournalEngine {
        var options = JournalEngine.Options()
        options.rewriteBytesMin = rewriteBytesMin
        return try JournalEngine(path: path, fileSystem: disk, options: options)
    }

    /// All tables' rows.
    private static func rows(_ engine: JournalEngine) throws -> [[UInt8]] {
        let snapshot = try engine.snapshot()
        return Table.allCases.flatMap { table in
            snapshot.rows(table).map { [table.rawValue] + $0.key + [0xFE] + $0.value }
        }
    }

    private static func journal(_ disk: SimulatedDisk) throws -> String {
        let name = try #require(try disk.list(path).last { !$0.hasSuffix(".new") })
        return "\(path)/\(name)"
    }

    private func isCorrupt(_ error: any Error) -> Bool {
        if case EngineError.corrupt = error { true } else { false }
    }

    /// Plays commits on a disk whose power goes after so many calls, and looks at what is left.
    /// - Returns: whether the power went before the end.
    private func playPowerCut(after calls: Int, seed: UInt64) throws -> Bool {
        let disk = SimulatedDisk(seed: seed)
        try disk.createDirectory("/")
        disk.inject(FaultPlan(powerCutAfter: calls))
        var random = SplitMix(seed)
        var model = Model()
        /// After each commit that was tried.
        var states: [[[UInt8]]] = [[]]
        var acknowledged = 0
        do {
            let engine = try Self.open(disk, rewriteBytesMin: 4_000)
            for _ in 0..<60 {
                let batch = random.batch(model)
                model.apply(batch)
                states.append(
                    Table.allCases.flatMap { table in
                        model.rows(table).map { [table.rawValue] + $0.key + [0xFE] + $0.value }
                    })
                try engine.commit(batch)
                acknowledged = states.count - 1
            }
        } catch {}
        let wasCut = !disk.isPowered
        disk.crash()
        let found = try Self.rows(Self.open(disk, rewriteBytesMin: 4_000))
        let place = states.lastIndex(of: found)
        #expect(place.map { $0 >= acknowledged } == true, "cut after \(calls), seed \(seed)")
        return wasCut
    }

    @Test func `a power cut at any call costs no commit that was acknowledged, and leaves no half of one`() throws {
        var calls = 0
        while try playPowerCut(after: calls, seed: UInt64(calls) &* 31 &+ 7) { calls += 1 }
        #expect(calls > 120)
    }

    @Test func `a journal is written anew when most of it is of the past`() throws {
        let disk = SimulatedDisk(seed: 1)
        var engine = try Self.open(disk, rewriteBytesMin: 10_000)
        var longest = 0
        for round in 0..<300 {
            let value = [UInt8](repeating: UInt8(round % 250), count: 500)
            try engine.commit([.put(.versions, key: [UInt8(round % 5)], value: value)])
            longest = max(longest, engine.size().total)
        }
        #expect(longest < 20_000)
        #expect(try disk.list(Self.path).count == 1)
        let expected = try Self.rows(engine)
        engine.close()
        engine = try Self.open(disk)
        #expect(try Self.rows(engine) == expected && expected.count == 5)
    }

    @Test func `a full disk refuses the commit, and the one before is there`() throws {
        let disk = SimulatedDisk(seed: 3)
        let engine = try Self.open(disk)
        for index in 0..<10 { try engine.commit([.put(.meta, key: [UInt8(index)], value: number(index))]) }
        let expected = try Self.rows(engine)
        disk.inject(FaultPlan(capacityBytes: disk.usedBytes + 100))
        let tooMuch: [Mutation] = [.put(.meta, key: [99], value: [UInt8](repeating: 1, count: 1_000))]
        var isFull = false
        do { try engine.commit(tooMuch) } catch { if case .full = error { isFull = true } }
        #expect(isFull)
        // Whatever is committed now would come behind something unknown.
        #expect(throws: EngineError.self) { try engine.commit([.delete(.meta, key: [1])]) }
        disk.endProcess()
        #expect(try Self.rows(Self.open(disk)) == expected)
    }

    @Test func `an fsync that failed is final`() throws {
        let disk = SimulatedDisk(seed: 4)
        let engine = try Self.open(disk)
        try engine.commit([.put(.meta, key: [1], value: [1])])
        disk.inject(FaultPlan(faults: [FaultPlan.Fault(.synchronize)]))
        #expect(throws: EngineError.self) { try engine.commit([.put(.meta, key: [2], value: [2])]) }
        #expect(throws: EngineError.self) { try engine.commit([.put(.meta, key: [3], value: [3])]) }
        #expect(try engine.snapshot().rows(.meta).count == 1)
    }

    @Test func `a journal that cannot be written anew goes on`() throws {
        let disk = SimulatedDisk(seed: 5)
        let engine = try Self.open(disk, rewriteBytesMin: 3_000)
        disk.inject(FaultPlan(faults: [FaultPlan.Fault(.rename)]))
        for round in 0..<40 {
            try engine.commit([.put(.meta, key: [1], value: [UInt8](repeating: UInt8(round), count: 400))])
        }
        let expected = try Self.rows(engine)
        engine.close()
        #expect(try Self.rows(Self.open(disk)) == expected)
    }

    @Test func `whatever bit is flipped, the journal is refused, or holds whole commits up to some one`() throws {
        let sound = SimulatedDisk(seed: 6)
        let engine = try Self.open(sound, rewriteBytesMin: 2_000)
        var states: [[[UInt8]]] = [[]]
        for index in 0..<30 {
            try engine.commit([
                .put(.versions, key: number(index % 7), value: number(index) + number(index)),
                .delete(.versions, key: number((index + 3) % 7)),
            ])
            states.append(try Self.rows(engine))
        }
        engine.close()
        let bytes = try #require(sound.bytes(of: Self.journal(sound)))
        var refused = 0
        for offset in bytes.indices {
            let disk = sound.fork(seed: 1)
            disk.flip(try Self.journal(disk), at: offset, mask: 1 << UInt8(offset % 8))
            do {
                let found = try Self.rows(Self.open(disk))
                #expect(states.contains(found), "at \(offset)")
            } catch {
                #expect(isCorrupt(error), "at \(offset): \(error)")
                refused += 1
            }
        }
        #expect(refused > bytes.count / 3)
    }

    @Test func `what is no journal, or a later one, is refused`() throws {
        let disk = SimulatedDisk(seed: 8)
        #expect(!JournalEngine.exists(at: Self.path, disk))
        try Self.open(disk).close()
        #expect(JournalEngine.exists(at: Self.path, disk))
        let path = try Self.journal(disk)
        for change in [{ (bytes: inout [UInt8]) in bytes = [] }, { $0 = Array("hello".utf8) }, { $0[3] = 0 }] {
            let other = disk.fork(seed: 2)
            other.replaceBytes(of: path, change)
            do {
                _ = try Self.open(other)
                Issue.record("opened")
            } catch {
                #expect(isCorrupt(error), "\(error)")
            }
        }
    }
}
