import Platform
import PlatformSimulation
import Testing
import WriteAheadLog

private final class Holder {
    var log: WriteAheadLog

    init(_ log: consuming WriteAheadLog) { self.log = log }
}

/// One simulated machine with a log, and what a correct log must still hold.
private struct World {
    let disk: SimulatedDisk
    var random: RandomSource
    var holder: Holder?
    /// All that was appended and can still be there, preambles too.
    var records: [Kept] = []
    /// How many of them must be there.
    var durable = 0
    /// The log may be cut up to here, and must not be cut further.
    var cutAllowed: UInt64 = 1
    /// The log was cut up to here, for sure.
    var cutDone: UInt64 = 1
    var preamble: [PreambleRecord] = []
    var counter = 0
    var tornTails = 0
    let options: WALOptions

    init(seed: UInt64) {
        random = RandomSource(seed: seed)
        disk = SimulatedDisk(seed: random.next(), model: CrashModel(tearsWithinSectors: random.oneIn(3)))
        options = testOptions(
            segmentBytes: 4096 + [1024, 2048, 8192][random.below(3)], slice: [512, 1024, 16_384][random.below(3)],
            salt: random.next())
    }

    mutating func open() throws {
        holder = nil
        // The power may go while the log is being recovered, again and again.
        while random.oneIn(4) {
            disk.inject(FaultPlan(powerCutAfter: random.below(8)))
            let attempt = inspect(disk, options)
            if case .success = attempt.result { try check(attempt) }
            disk.crash()
        }
        let attempt = inspect(disk, options)
        try check(attempt)
        tornTails += try attempt.result.get().tornTailBytesCut > 0 ? 1 : 0
        var found: [Kept] = []
        holder = Holder(try openLog(disk, options, into: &found))
        holder!.log.preamble = preamble
        records = found
        durable = found.count
        // What was replayed must be durable, whatever happened before.
        if random.oneIn(3) {
            disk.crash()
            try check(inspect(disk, options))
            holder = Holder(try openLog(disk, options, into: &found))
            holder!.log.preamble = preamble
        }
    }

    mutating func check(_ attempt: (result: Result<OpenReport, WALError>, records: [Kept])) throws {
        let report = try attempt.result.get()
        let found = attempt.records
        #expect(report.firstSegment >= cutDone && report.firstSegment <= cutAllowed)
        cutDone = report.firstSegment
        let dropped = records.prefix { $0.location.segment < report.firstSegment }.count
        records.removeFirst(dropped)
        durable = max(0, durable - dropped)
        // The prefix rule: all that was synchronized, then some of the rest in order, and nothing else.
        #expect(found.count >= durable)
        #expect(found.count <= records.count)
        #expect(found == Array(records.prefix(found.count)))
        records.removeLast(max(0, records.count - found.count))
        durable = found.count
    }

    mutating func append() throws {
        let count = random.oneIn(20) ? 2000 + random.below(12_000) : random.below(400)
        counter += 1
        let bytes = payload(counter, count)
        let before = holder!.log.segments.upperBound
        let location = try holder!.log.append(kind: RecordKind(1), bytes)
        notePreamble(after: before)
        records.append(Kept(kind: 1, payload: bytes, location: location))
    }

    /// What a new segment begins with is in the log too.
    mutating func notePreamble(after segment: UInt64) {
        let newest = holder!.log.segments.upperBound
        guard newest != segment else { return }
        var offset = 4096
        for record in preamble {
            let place = RecordLocation(segment: newest, offset: UInt32(offset), byteCount: UInt32(record.payload.count))
            records.append(Kept(kind: record.kind.rawValue, payload: record.payload, location: place))
            offset += 24 + (record.payload.count + 7) / 8 * 8
        }
    }

    /// Does what may fail; false if it did, and then the log must be poisoned.
    mutating func attempt(_ body: (inout World) throws(WALError) -> Void) -> Bool {
        do throws(WALError) {
            try body(&self)
            return true
        } catch {
            guard case .io = error else {
                Issue.record("\(error)")
                return false
            }
            #expect(throws: WALError.poisoned) { _ = try holder!.log.append(kind: RecordKind(1), [1]) }
            #expect(throws: WALError.poisoned) { try holder!.log.synchronize() }
            #expect(throws: WALError.poisoned) { try holder!.log.cut(before: records[0].location) }
            return false
        }
    }

    mutating func step() throws {
        switch random.below(20) {
        case 0..<9: try append()
        case 9..<13:
            if attempt({ world throws(WALError) in try world.holder!.log.synchronize() }) {
                durable = records.count
            } else {
                try recover()
            }
        case 13:
            guard durable > 0 else { return }
            let location = records[random.below(durable)].location
            cutAllowed = max(cutAllowed, location.segment)
            if attempt({ world throws(WALError) in try world.holder!.log.cut(before: location) }) {
                cutDone = max(cutDone, location.segment)
                #expect(holder!.log.segments.lowerBound == cutDone)
                let dropped = records.prefix { $0.location.segment < cutDone }.count
                records.removeFirst(dropped)
                durable -= dropped
            } else {
                try recover()
            }
        case 14:
            counter += 1
            preamble = (0..<random.below(3)).map { _ in
                PreambleRecord(kind: RecordKind(9), payload: payload(counter, random.below(60)))
            }
            holder!.log.preamble = preamble
        case 15:
            guard durable > 0 else { return }
            let record = records[random.below(durable)]
            guard disk.isPowered else { return }
            let (kind, bytes) = try holder!.log.read(at: record.location)
            #expect(kind.rawValue == record.kind && bytes == record.payload)
        case 16: try recover()
        case 17:
            // Something fails within the next calls; if nothing does, the fault waits.
            let operations: [FaultPlan.Operation] = [
                .write, .synchronize, .synchronizeDirectory, .create, .rename, .remove,
            ]
            disk.inject(
                FaultPlan(faults: [.init(operations[random.below(operations.count)], occurrence: 1 + random.below(3))]))
        case 18: disk.inject(FaultPlan(powerCutAfter: random.below(12)))
        default:
            let before = holder!.log.segments.upperBound
            let isSealed = attempt({ world throws(WALError) in try world.holder!.log.seal() })
            notePreamble(after: before)
            if isSealed {
                durable = records.count
            } else {
                try recover()
            }
        }
    }

    /// After a failure: the process ends or the power goes.
    mutating func recover() throws {
        let isOff = !disk.isPowered
        if isOff || random.oneIn(2) { disk.crash() } else { disk.endProcess() }
        disk.inject(FaultPlan())
        try open()
    }
}

@Suite struct CrashTests {
    /// A seed that fails is to be kept here by its number.
    @Test(arguments: 0..<8)
    func `whatever happens, what was synchronized is there, in order, and nothing else is`(part: Int) throws {
        var torn = 0
        for seed in part * 400..<(part + 1) * 400 {
            var world = World(seed: UInt64(seed))
            do {
                try world.open()
                for _ in 0..<60 { try world.step() }
                world.disk.inject(FaultPlan())
                world.disk.crash()
                try world.open()
            } catch {
                Issue.record("seed \(seed): \(error)")
            }
            torn += world.tornTails
        }
        // The runs reach what they are for.
        #expect(torn > 20)
    }

    @Test func `a failed write or synchronize poisons the log, and nothing is tried twice`() throws {
        for operation in [FaultPlan.Operation.write, .synchronize] {
            let disk = SimulatedDisk(seed: 1)
            var kept: [Kept] = []
            var log = try openLog(disk, into: &kept)
            try log.keep(1, [1], in: &kept)
            try log.synchronize()
            var lost: [Kept] = []
            try log.keep(1, [2], in: &lost)
            disk.inject(FaultPlan(faults: [.init(operation)]))
            #expect {
                try log.synchronize()
            } throws: { error in
                guard case .io(let cause)? = error as? WALError else { return false }
                return cause.errno == SimulatedErrno.io && cause.path == segmentPath(1)
            }
            let calls = disk.changingCalls
            #expect(throws: WALError.poisoned) { try log.synchronize() }
            #expect(throws: WALError.poisoned) { try log.seal() }
            #expect(throws: WALError.poisoned) { try log.keep(1, [3], in: &lost) }
            #expect(throws: WALError.poisoned) { try log.cut(before: kept[0].location) }
            #expect(disk.changingCalls == calls)
            // What is durable can still be read.
            #expect(try log.read(at: kept[0].location).payload == [1])
        }
    }

    @Test func `no space for the next segment is survived until the segment is needed`() throws {
        let disk = SimulatedDisk(seed: 1)
        let options = testOptions(segmentBytes: 4096 + 16_384, slice: 32_768)
        var kept: [Kept] = []
        var log = try openLog(disk, options, into: &kept)
        disk.inject(FaultPlan(capacityBytes: disk.usedBytes + 100))
        var failure: WALError?
        var pending: [Kept] = []
        while failure == nil {
            do throws(WALError) {
                pending = []
                try log.keep(1, payload(kept.count, 100), in: &pending)
                try log.synchronize()
                kept += pending
            } catch {
                failure = error
            }
            if kept.last!.location.offset > 12_000 { #expect(log.preparationFailure?.errno == SimulatedErrno.noSpace) }
        }
        guard case .io(let cause)? = failure else { return #expect(Bool(false), "\(String(describing: failure))") }
        #expect(cause.errno == SimulatedErrno.noSpace)
        #expect(pending[0].location.segment == 2)
        // With space again, and the process restarted, everything that was acknowledged is there.
        disk.endProcess()
        disk.inject(FaultPlan())
        #expect(try replayed(disk, options) == kept)
    }

    /// Every call that changes something, at birth, at a segment's end and in a cut, is the last one before the power
    /// goes.
    @Test func `the power may go at every step of making and cutting segments`() throws {
        for outcome in 0..<12 {
            var steps = 0
            while true {
                let disk = SimulatedDisk(seed: UInt64(outcome * 1000 + steps))
                disk.inject(FaultPlan(powerCutAfter: steps))
                var kept: [Kept] = []
                var durable = 0
                var isCut = false
                do throws(WALError) {
                    var none: [Kept] = []
                    var log = try openLog(disk, into: &none)
                    for number in 0..<28 {
                        try log.keep(1, payload(number, 400), in: &kept)
                        try log.synchronize()
                        durable += 1
                    }
                    isCut = true
                    try log.cut(before: kept[27].location)
                    break
                } catch {
                    guard case .io = error else { throw error }
                }
                disk.crash()
                let found = inspect(disk)
                let first = try found.result.get().firstSegment
                #expect(isCut || first == 1)
                let expected = kept.filter { $0.location.segment >= first }
                let gone = kept.count - expected.count
                #expect(found.records == Array(expected.prefix(found.records.count)))
                #expect(found.records.count >= durable - gone)
                steps += 1
            }
            #expect(steps > 60)
        }
    }

    @Test func `a first segment that was never finished is no log`() throws {
        let disk = SimulatedDisk(seed: 1)
        try disk.createDirectory("wal")
        let file = try disk.open(segmentPath(1) + ".preparing", .create)
        try file.fill(upTo: 100)
        try disk.synchronizeDirectory("wal")
        disk.crash()
        #expect(try inspect(disk).result.get().isNew)
        #expect(try disk.list("wal").count == 1)
    }
}
