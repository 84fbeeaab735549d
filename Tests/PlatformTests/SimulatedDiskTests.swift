import Platform
import PlatformSimulation
import Testing

@Suite struct SimulatedDiskTests {
    private func durableFile(_ disk: SimulatedDisk, _ path: String, _ bytes: [UInt8] = []) throws -> any File {
        let file = try disk.open(path, .create)
        try file.write(bytes, at: 0)
        try file.synchronize()
        try disk.synchronizeDirectory("/")
        return file
    }

    /// The outcomes of many power cuts from one moment.
    private func outcomes<Outcome: Hashable>(_ disk: SimulatedDisk, _ look: (SimulatedDisk) -> Outcome) -> Set<Outcome>
    {
        Set(
            (0..<1500).map { seed in
                let fork = disk.fork(seed: UInt64(seed))
                fork.crash()
                return look(fork)
            })
    }

    @Test func `what was synchronized survives every power cut`() throws {
        let disk = SimulatedDisk(seed: 1)
        let file = try durableFile(disk, "a", [1, 2, 3])
        try file.write([9], at: 1)
        try file.synchronize()
        #expect(outcomes(disk) { $0.bytes(of: "a") } == [[1, 9, 3]])
    }

    @Test func `a write that was not synchronized survives, or not, and never as anything else`() throws {
        let disk = SimulatedDisk(seed: 1)
        let file = try durableFile(disk, "a", [1, 2, 3])
        try file.write([7, 8], at: 1)
        #expect(try file.read(3, at: 0) == [1, 7, 8])
        #expect(outcomes(disk) { $0.bytes(of: "a") } == [[1, 2, 3], [1, 7, 8]])
    }

    @Test func `a later write can survive without an earlier one`() throws {
        let disk = SimulatedDisk(seed: 1)
        let file = try durableFile(disk, "a", [0, 0])
        try file.write([1], at: 0)
        try file.write([1], at: 1)
        #expect(outcomes(disk) { $0.bytes(of: "a") } == [[0, 0], [0, 1], [1, 0], [1, 1]])
    }

    @Test func `a write tears at sectors only, in any combination, unless it may tear anywhere`() throws {
        func sectors(_ disk: SimulatedDisk) throws -> Set<[Bool]> {
            let file = try durableFile(disk, "a", [UInt8](repeating: 0, count: 1536))
            try file.write([UInt8](repeating: 1, count: 1536), at: 0)
            return outcomes(disk) { fork in
                (0..<3).map { sector in
                    let bytes = fork.bytes(of: "a")![sector * 512..<sector * 512 + 512]
                    return !Set(bytes).isSuperset(of: [0, 1])
                }
            }
        }
        #expect(try sectors(SimulatedDisk(seed: 1)) == [[true, true, true]])
        #expect(try sectors(SimulatedDisk(seed: 1, model: CrashModel(tearsWithinSectors: true))).count > 1)
        let disk = SimulatedDisk(seed: 1)
        let file = try durableFile(disk, "a", [UInt8](repeating: 0, count: 1536))
        try file.write([UInt8](repeating: 1, count: 1536), at: 0)
        #expect(outcomes(disk) { fork in [0, 512, 1024].map { fork.bytes(of: "a")![$0] } }.count == 8)
    }

    @Test func `a name survives for sure only once its directory was synchronized`() throws {
        let disk = SimulatedDisk(seed: 1)
        let file = try disk.open("a", .create)
        try file.write([1], at: 0)
        try file.synchronize()
        #expect(outcomes(disk) { $0.bytes(of: "a") } == [nil, [1]])
        try disk.synchronizeDirectory("")
        #expect(outcomes(disk) { $0.bytes(of: "a") } == [[1]])
        try disk.rename("a", to: "b")
        // All or nothing: never both, never neither.
        #expect(outcomes(disk) { try? $0.list("/") } == [["a"], ["b"]])
        try disk.removeFile("b")
        #expect(!disk.exists("b"))
        #expect(outcomes(disk) { try? $0.list("/") } == [["a"], ["b"], []])
        try disk.synchronizeDirectory("/")
        #expect(outcomes(disk) { try? $0.list("/") } == [[]])
        #expect(disk.usedBytes == 1)  // Still open.
        file.close()
        #expect(disk.usedBytes == 0)
    }

    @Test func `the same seed gives the same fate`() throws {
        func fate(_ seed: UInt64) throws -> [UInt8] {
            let disk = SimulatedDisk(seed: seed)
            let file = try durableFile(disk, "a")
            for offset in 0..<64 { try file.write([1], at: offset) }
            disk.crash()
            return disk.bytes(of: "a")!
        }
        #expect(try fate(5) == fate(5))
        #expect(try Set((0..<20).map { try fate($0) }).count > 5)
    }

    @Test func `handles and locks from before a crash or a kill are dead`() throws {
        for isCrash in [true, false] {
            let disk = SimulatedDisk(seed: 1)
            let file = try durableFile(disk, "a", [1])
            let lock = try #require(try disk.lock("LOCK"))
            #expect(try disk.lock("LOCK") == nil)
            try file.write([2], at: 0)
            if isCrash { disk.crash() } else { disk.endProcess() }
            #expect { try file.write([3], at: 0) } throws: { ($0 as? FileError)?.errno == SimulatedErrno.badDescriptor }
            let mine = try #require(try disk.lock("LOCK"))
            lock.release()
            #expect(try disk.lock("LOCK") == nil)
            mine.release()
            if !isCrash { #expect(disk.bytes(of: "a") == [2]) }
        }
    }

    @Test func `the planned call fails, once`() throws {
        let disk = SimulatedDisk(seed: 1)
        let file = try durableFile(disk, "a")
        disk.inject(
            FaultPlan(faults: [.init(.write, occurrence: 2), .init(.synchronize, errno: SimulatedErrno.noSpace)]))
        try file.write([1], at: 0)
        #expect { try file.write([2], at: 1) } throws: { ($0 as? FileError)?.errno == SimulatedErrno.io }
        try file.write([3], at: 1)
        #expect { try file.synchronize() } throws: { ($0 as? FileError)?.errno == SimulatedErrno.noSpace }
        try file.synchronize()
        #expect(disk.bytes(of: "a") == [1, 3])
        disk.inject(FaultPlan(faults: [.init(.write, pathSuffix: ".wal")]))
        try file.write([4], at: 2)
        let other = try durableFile(SimulatedDisk(seed: 1), "b.wal")
        try other.write([1], at: 0)
        #expect(throws: FileError.self) { try disk.open("b.wal", .create).write([1], at: 0) }
    }

    @Test func `after a failed synchronize a second one may succeed without the data`() throws {
        var lost = 0
        for seed in 0..<50 {
            let disk = SimulatedDisk(seed: UInt64(seed))
            let file = try durableFile(disk, "a", [0])
            try file.write([1], at: 0)
            disk.inject(FaultPlan(faults: [.init(.synchronize)]))
            #expect(throws: FileError.self) { try file.synchronize() }
            #expect(disk.bytes(of: "a") == [1])
            try file.synchronize()
            disk.crash()
            if disk.bytes(of: "a") == [0] { lost += 1 }
        }
        #expect(lost > 5 && lost < 45)
    }

    @Test func `beyond its capacity the disk writes what fits and says that it is full`() throws {
        let disk = SimulatedDisk(seed: 1)
        let file = try durableFile(disk, "a", [1, 2])
        disk.inject(FaultPlan(capacityBytes: 4))
        #expect { try file.write([3, 4, 5], at: 2) } throws: { ($0 as? FileError)?.errno == SimulatedErrno.noSpace }
        #expect(disk.bytes(of: "a") == [1, 2, 3, 4])
        #expect { try file.fill(upTo: 5) } throws: { ($0 as? FileError)?.errno == SimulatedErrno.noSpace }
        try file.write([9, 9, 9, 9], at: 0)
        try disk.removeFile("a")
        file.close()
        try disk.synchronizeDirectory("/")
        try disk.open("b", .create).write([1, 2, 3, 4], at: 0)
    }

    @Test func `when the power is off nothing works until the crash is over`() throws {
        let disk = SimulatedDisk(seed: 1)
        let file = try durableFile(disk, "a", [1])
        disk.inject(FaultPlan(powerCutAfter: 1))
        try file.write([2], at: 0)
        #expect(throws: FileError.self) { try file.synchronize() }
        #expect(throws: FileError.self) { _ = try file.read(1, at: 0) }
        #expect(throws: FileError.self) { _ = try disk.open("a", .read) }
        disk.crash()
        #expect(try disk.open("a", .read).read(1, at: 0) == disk.bytes(of: "a")!)
    }

    @Test func `a flipped bit stays flipped`() throws {
        let disk = SimulatedDisk(seed: 1)
        _ = try durableFile(disk, "a", [1, 2])
        disk.flip("a", at: 1, mask: 0x80)
        disk.crash()
        #expect(disk.bytes(of: "a") == [1, 0x82])
    }

    @Test func `directories nest, and a tree is removed whole`() throws {
        let disk = SimulatedDisk(seed: 1)
        try disk.createDirectory("/x/y")
        _ = try disk.open("/x/y/b", .create)
        _ = try disk.open("/x/a", .create)
        #expect(try disk.list("x") == ["a", "y"])
        try disk.rename("/x", to: "/z")
        #expect(try disk.list("z/y") == ["b"])
        try disk.removeTree("/z")
        #expect(try disk.list("/") == [])
        #expect(throws: FileError.self) { try disk.removeTree("/z") }
        #expect(throws: FileError.self) {
            try disk.createDirectory("/q")
            _ = try disk.open("/q", .read)
        }
    }

    @Test func `the virtual clock stands until it is moved`() {
        let clock = SimulatedClock(nanoseconds: 5, wallMilliseconds: 1000)
        #expect(clock.monotonicNanoseconds() == 5)
        clock.advance(by: 2_000_000)
        #expect(clock.monotonicNanoseconds() == 2_000_005)
        #expect(clock.wallMilliseconds() == 1002)
        clock.setWall(milliseconds: 10)
        #expect(clock.wallMilliseconds() == 10)
        clock.advance(to: 5_000_000)
        #expect(clock.wallMilliseconds() == 13)
    }

    @Test func `the random source gives its published numbers`() {
        // SplitMix64 seeded with 0 begins e220a839..., and xoshiro256** takes four of them.
        var random = RandomSource(seed: 0)
        let numbers = (0..<3).map { _ in random.next() }
        #expect(numbers == [0x99ec_5f36_cb75_f2b4, 0xbf6e_1f78_4956_452a, 0x1a5f_849d_4933_e6e0])
    }
}
