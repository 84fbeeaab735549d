import Platform
import PlatformSimulation
import Testing
import WriteAheadLog

@Suite struct WriteAheadLogTests {
    @Test func `an empty directory is a new log, and it stays empty`() throws {
        let disk = SimulatedDisk(seed: 1)
        let first = inspect(disk)
        #expect(try first.result.get() == OpenReport(isNew: true, segment: 1, offset: 4096))
        disk.crash()
        let second = inspect(disk)
        #expect(try second.result.get() == OpenReport(segment: 1, offset: 4096))
        #expect(second.records == [])
    }

    @Test func `what was synchronized is replayed in order, with its kinds and locations`() throws {
        let disk = SimulatedDisk(seed: 1)
        let batches = try writtenLog(disk, batches: 20)
        disk.crash()
        let found = inspect(disk)
        #expect(found.records == batches.flatMap { $0 })
        let report = try found.result.get()
        #expect(report.recordsRead == 60)
        #expect(report.bytesRead == found.records.reduce(0) { $0 + $1.payload.count })
        #expect(report.segment == found.records.last?.location.segment)
        #expect(report.segment > 1)
        #expect(report.tornTailBytesCut == 0)
    }

    @Test func `records of every small length survive`() throws {
        let disk = SimulatedDisk(seed: 1)
        var kept: [Kept] = []
        var log = try openLog(disk, into: &kept)
        for length in 0..<70 { try log.keep(1, payload(length, length), in: &kept) }
        try log.synchronize()
        #expect(try replayed(disk) == kept)
    }

    @Test func `a payload in two pieces, or written in place, is the same record`() throws {
        let disk = SimulatedDisk(seed: 1)
        var log = try WriteAheadLog.open(directory: "wal", fileSystem: disk, options: testOptions()) { _, _, _ in }
        let head: [UInt8] = [1, 2, 3]
        let body: [UInt8] = [4, 5, 6, 7, 8, 9]
        try head.withUnsafeBytes { head in
            try body.withUnsafeBytes { body in
                _ = try log.append(kind: RecordKind(1), head, body)
                _ = try log.append(kind: RecordKind(2), UnsafeRawBufferPointer(start: nil, count: 0), body)
                _ = try log.append(kind: RecordKind(3), head, UnsafeRawBufferPointer(start: nil, count: 0))
            }
        }
        _ = try log.append(kind: RecordKind(4), byteCount: 9) { target in
            for index in 0..<9 { target[index] = UInt8(index + 1) }
        }
        try log.synchronize()
        #expect(try replayed(disk).map(\.payload) == [[1, 2, 3, 4, 5, 6, 7, 8, 9], body, head, Array(1...9)])
    }

    @Test func `many appends are one write and one fdatasync`() throws {
        let disk = SimulatedDisk(seed: 1)
        var kept: [Kept] = []
        var log = try openLog(disk, testOptions(segmentBytes: 1 << 20, slice: 1 << 20), into: &kept)
        let calls = (disk.changingCalls, disk.synchronizeCalls)
        for number in 0..<100 { try log.keep(1, payload(number, 200), in: &kept) }
        #expect(log.pendingBytes == 100 * 224)
        #expect(disk.changingCalls == calls.0)
        try log.synchronize()
        #expect(disk.changingCalls - calls.0 == 2)
        #expect(disk.synchronizeCalls - calls.1 == 1)
        try log.synchronize()
        #expect(disk.synchronizeCalls - calls.1 == 1)
        #expect(log.pendingBytes == 0)
    }

    @Test func `a record larger than a segment gets a larger segment`() throws {
        let disk = SimulatedDisk(seed: 1)
        var kept: [Kept] = []
        var log = try openLog(disk, into: &kept)
        for length in [50_000, 10, 20_000, 20_000, 4000, 5] { try log.keep(1, payload(length, length), in: &kept) }
        try log.synchronize()
        #expect(kept.map(\.location.segment) == [1, 2, 3, 4, 5, 5])
        for record in kept { #expect(try log.read(at: record.location).payload == record.payload) }
        disk.crash()
        #expect(try replayed(disk) == kept)
    }

    @Test func `what is too large is refused, and the log goes on`() throws {
        let disk = SimulatedDisk(seed: 1)
        var options = testOptions()
        options.limits.recordBytesMax = 1000
        options.limits.batchBytesMax = 3000
        var kept: [Kept] = []
        var log = try openLog(disk, options, into: &kept)
        #expect(throws: WALError.recordTooLarge(bytes: 1001, limit: 1000)) {
            _ = try log.append(kind: RecordKind(1), payload(1, 1001))
        }
        try log.keep(1, payload(1, 1000), in: &kept)
        try log.keep(1, payload(2, 1000), in: &kept)
        #expect(throws: WALError.batchFull(limit: 3000)) { _ = try log.append(kind: RecordKind(1), payload(3, 1000)) }
        try log.synchronize()
        try log.keep(1, payload(3, 1000), in: &kept)
        try log.synchronize()
        #expect(try replayed(disk, options) == kept)
    }

    @Test func `a durable record is read by its location, a pending or invented one is not`() throws {
        let disk = SimulatedDisk(seed: 1)
        var kept: [Kept] = []
        var log = try openLog(disk, into: &kept)
        for number in 0..<60 {
            try log.keep(UInt8(1 + number % 3), payload(number, 200), in: &kept)
            let last = kept[number].location
            #expect(throws: WALError.notFound(last)) { _ = try log.read(at: last) }
            try log.synchronize()
        }
        // Backwards, so that the few files that may be open are opened and closed in turn.
        for record in kept.reversed() {
            let (kind, bytes) = try log.read(at: record.location)
            #expect(kind.rawValue == record.kind && bytes == record.payload)
        }
        for segment in [0, 1, log.segments.upperBound + 1] as [UInt64] {
            for offset in [0, 8, 4096, 4104, UInt32.max] as [UInt32] {
                let location = RecordLocation(segment: segment, offset: offset, byteCount: 77)
                #expect(throws: WALError.self) { _ = try log.read(at: location) }
            }
        }
        let place = kept[3].location
        disk.flip(segmentPath(place.segment), at: Int(place.offset) + 30)
        #expect { _ = try log.read(at: place) } throws: {
            if case .corrupt(place.segment, Int(place.offset), _)? = $0 as? WALError { true } else { false }
        }
    }

    @Test func `cutting removes whole segments and keeps the one with the location`() throws {
        let disk = SimulatedDisk(seed: 1)
        var kept: [Kept] = []
        var log = try openLog(disk, into: &kept)
        log.preamble = [PreambleRecord(kind: RecordKind(9), payload: [1, 2, 3])]
        while log.segments.upperBound < 6 {
            try log.keep(1, payload(kept.count, 300), in: &kept)
            try log.synchronize()
        }
        let keep = try #require(kept.first { $0.location.segment == 4 })
        try log.cut(before: keep.location)
        #expect(log.segments == 4...6)
        #expect(throws: WALError.notFound(kept[0].location)) { _ = try log.read(at: kept[0].location) }
        #expect(try log.read(at: keep.location).payload == keep.payload)
        disk.crash()
        let found = inspect(disk)
        #expect(try found.result.get().firstSegment == 4)
        #expect(found.records.filter { $0.kind == 1 } == kept.filter { $0.location.segment >= 4 })
        // The preamble is at the start of every segment that was begun with it.
        #expect(found.records.filter { $0.kind == 9 }.map(\.location.segment) == [4, 5, 6])
        #expect(found.records[0].kind == 9 && found.records[0].payload == [1, 2, 3])
    }

    @Test func `cutting beyond the end keeps the newest segment that exists`() throws {
        let disk = SimulatedDisk(seed: 1)
        var kept: [Kept] = []
        var log = try openLog(disk, into: &kept)
        for number in 0..<10 { try log.keep(1, payload(number, 300), in: &kept) }
        try log.synchronize()
        // These go to a segment that is only in memory yet.
        var pending: [Kept] = []
        for number in 10..<30 { try log.keep(1, payload(number, 300), in: &pending) }
        let newest = kept[kept.count - 1].location.segment
        try log.cut(before: pending[pending.count - 1].location)
        #expect(log.segments.lowerBound == newest)
        try log.synchronize()
        #expect(try replayed(disk) == (kept + pending).filter { $0.location.segment >= newest })
    }

    @Test func `the next segment is filled ahead, in slices`() throws {
        let disk = SimulatedDisk(seed: 1)
        var kept: [Kept] = []
        var log = try openLog(disk, testOptions(segmentBytes: 4096 + 16_384, slice: 4096), into: &kept)
        let next = segmentPath(2) + ".preparing"
        while !disk.exists(next) {
            try log.keep(1, payload(kept.count, 100), in: &kept)
            try log.synchronize()
        }
        #expect(kept.last!.location.offset > 4096 + 4096)
        var sizes: [Int] = []
        while log.segments.upperBound == 1 {
            sizes.append(disk.bytes(of: next)?.count ?? 0)
            try log.keep(1, payload(kept.count, 100), in: &kept)
            try log.synchronize()
        }
        #expect(sizes.prefix(5) == [4096, 8192, 12_288, 16_384, 20_480])
        #expect(disk.bytes(of: segmentPath(2))?.count == 20_480)
        disk.crash()
        #expect(try replayed(disk, testOptions(segmentBytes: 4096 + 16_384, slice: 4096)) == kept)
    }

    @Test func `a sealed log says so, is sealed once, and goes on`() throws {
        let disk = SimulatedDisk(seed: 1)
        var kept: [Kept] = []
        var log = try openLog(disk, into: &kept)
        try log.keep(1, [1], in: &kept)
        try log.close()
        for _ in 0..<3 {
            var found: [Kept] = []
            let again = try openLog(disk, into: &found)
            #expect(found == kept)
            #expect(again.openReport.wasSealed)
            #expect(again.openReport.offset == 4096 + 32 + 24)
            try again.close()
        }
        var more = try openLog(disk, into: &kept)
        try more.keep(1, [2], in: &kept)
        try more.synchronize()
        let found = inspect(disk)
        #expect(found.records == kept)
        #expect(try !found.result.get().wasSealed)
    }

    @Test func `an error of the replay closure ends the opening`() throws {
        struct Nonsense: Error {}
        let disk = SimulatedDisk(seed: 1)
        let kept = try writtenLog(disk, batches: 1)[0]
        #expect(throws: WALError.rejected(kept[1].location, reason: "Nonsense()")) {
            _ = try WriteAheadLog.open(directory: "wal", fileSystem: disk, options: testOptions()) { kind, _, _ in
                if kind == RecordKind(2) { throw Nonsense() }
            }.openReport
        }
    }
}
