import ByteCodec
import Platform
import PlatformSimulation
import Testing
import WriteAheadLog

/// What the log says about bytes that are not as they were written.
@Suite struct DamageTests {
    private func corruptAt(_ error: WALError?) -> (segment: UInt64, offset: Int)? {
        if case .corrupt(let segment, let offset, _)? = error { (segment, offset) } else { nil }
    }

    private func failure(_ disk: SimulatedDisk, _ options: WALOptions = testOptions()) -> WALError? {
        if case .failure(let error) = inspect(disk, options).result { error } else { nil }
    }

    @Test func `a flip of any byte before the last batch is corruption, and the place is named`() throws {
        let disk = SimulatedDisk(seed: 1)
        let batches = try writtenLog(disk, batches: 7, options: testOptions(segmentBytes: 4096 + 1088))
        let records = batches.flatMap { $0 }
        let lastBatch = batches[6][0].location
        #expect(lastBatch.segment == 3)
        let options = testOptions(segmentBytes: 4096 + 1088)
        var flips = 0
        for segment in 1...lastBatch.segment {
            let size = disk.bytes(of: segmentPath(segment))!.count
            let end = segment == lastBatch.segment ? Int(lastBatch.offset) : size
            let used = Int(records.last { $0.location.segment == segment }!.location.offset) + 24 + 104
            for offset in 0..<end {
                // The rest of the header block is all alike, and so are the zeros behind the records.
                if offset > 120 && offset < 4090 && offset % 131 != 0 { continue }
                if offset > used + 100 && offset % 131 != 0 { continue }
                flips += 1
                disk.flip(segmentPath(segment), at: offset, mask: 1 << UInt8(offset % 8))
                let place = corruptAt(failure(disk, options))
                disk.flip(segmentPath(segment), at: offset, mask: 1 << UInt8(offset % 8))
                #expect(place?.segment == segment, "flip at \(segment):\(offset)")
                guard offset >= 4096 else { continue }
                // The record that holds the byte; behind the last one, the end of the records.
                let holder = records.last { $0.location.segment == segment && Int($0.location.offset) <= offset }!
                let holderEnd = Int(holder.location.offset) + 24 + (holder.payload.count + 7) / 8 * 8
                #expect(place?.offset == (offset < holderEnd ? Int(holder.location.offset) : holderEnd))
            }
        }
        #expect(flips > 2000)
        #expect(try replayed(disk, options) == records)
    }

    @Test func `a flip in the last batch cannot be told from a torn write, and is cut and reported`() throws {
        let disk = SimulatedDisk(seed: 1)
        let batches = try writtenLog(disk, batches: 3)
        let records = batches.flatMap { $0 }
        let start = Int(batches[2][0].location.offset)
        let end = Int(batches[2][2].location.offset) + 24 + 104
        for offset in start..<end {
            let fork = disk.fork(seed: 1)
            fork.flip(segmentPath(1), at: offset, mask: 0x10)
            let found = inspect(fork)
            let report = try found.result.get()
            let index = records.lastIndex { Int($0.location.offset) <= offset }!
            #expect(found.records == Array(records[..<index]))
            #expect(report.offset == Int(records[index].location.offset))
            #expect(report.tornTailBytesCut > end - report.offset - 9 && report.tornTailBytesCut <= end - report.offset)
            // Once cut, it is cut for good.
            fork.crash()
            let again = inspect(fork)
            #expect(again.records == found.records)
            #expect(try again.result.get().tornTailBytesCut == 0)
        }
    }

    @Test func `after a seal, a flip anywhere before it is corruption`() throws {
        let disk = SimulatedDisk(seed: 1)
        var kept: [Kept] = []
        var log = try openLog(disk, into: &kept)
        for number in 0..<5 { try log.keep(1, payload(number, 50), in: &kept) }
        try log.close()
        for offset in 4096..<Int(kept[4].location.offset) + 24 + 50 {
            disk.flip(segmentPath(1), at: offset)
            #expect(corruptAt(failure(disk))?.segment == 1)
            disk.flip(segmentPath(1), at: offset)
        }
        #expect(try replayed(disk) == kept)
    }

    @Test func `a torn batch whose later sectors came first is cut, not called corrupt`() throws {
        let disk = SimulatedDisk(seed: 1)
        let options = testOptions(segmentBytes: 4096 + 65_536)
        var kept: [Kept] = []
        var log = try openLog(disk, options, into: &kept)
        for number in 0..<3 { try log.keep(1, payload(number, 100), in: &kept) }
        try log.synchronize()
        let end = Int(kept[2].location.offset) + 24 + 104
        var torn: [Kept] = []
        for number in 3..<40 { try log.keep(1, payload(number, 400), in: &torn) }
        try log.synchronize()
        for lost in [end..<end + 1, end..<end + 700, end + 430..<end + 500, end + 512..<end + 9000] {
            let fork = disk.fork(seed: 1)
            fork.replaceBytes(of: segmentPath(1)) { bytes in
                for offset in lost { bytes[offset] = 0 }
            }
            let found = inspect(fork, options)
            let report = try found.result.get()
            let whole = torn.prefix { Int($0.location.offset) + 24 + 400 <= lost.lowerBound }
            #expect(found.records == kept + whole)
            #expect(report.tornTailBytesCut > 0)
            #expect(report.offset == end + whole.count * 424)
            #expect(fork.bytes(of: segmentPath(1))![report.offset...].allSatisfy { $0 == 0 })
        }
    }

    @Test func `a record that was moved, doubled, dropped or replaced is found`() throws {
        let disk = SimulatedDisk(seed: 1)
        let batches = try writtenLog(disk, batches: 4, bytes: 96)
        let path = segmentPath(1)
        // Each record but the last of a batch has another length modulo 8; these all take 24 + 104 bytes but the first.
        let second = Int(batches[0][1].location.offset)
        let third = Int(batches[1][1].location.offset)
        let length = 24 + 104
        let changes: [(inout [UInt8]) -> Void] = [
            { $0.replaceSubrange(second..<second + length, with: $0[third..<third + length]) },
            { bytes in
                let moved = Array(bytes[second..<second + length])
                bytes.replaceSubrange(second..<second + length, with: bytes[third..<third + length])
                bytes.replaceSubrange(third..<third + length, with: moved)
            },
            {
                $0.removeSubrange(second..<second + length)
                $0 += [UInt8](repeating: 0, count: length)
            },
            {
                $0.insert(contentsOf: $0[second..<second + length], at: second)
                $0.removeLast(length)
            },
        ]
        for change in changes {
            let fork = disk.fork(seed: 1)
            fork.replaceBytes(of: path, change)
            let place = corruptAt(failure(fork))
            #expect(place?.segment == 1)
            #expect(place.map { [second, second + length].contains($0.offset) } == true)
        }
    }

    @Test func `a segment that is missing, has another's name, is another's or is cut short is not accepted`() throws {
        let disk = SimulatedDisk(seed: 1)
        let records = try writtenLog(disk, batches: 60).flatMap { $0 }
        let last = records[records.count - 1].location.segment
        #expect(last >= 5)

        var fork = disk.fork(seed: 1)
        try fork.removeFile(segmentPath(3))
        #expect(failure(fork) == .missingSegment(3))

        fork = disk.fork(seed: 1)
        try fork.rename(segmentPath(last), to: segmentPath(last + 3))
        #expect(failure(fork) == .missingSegment(last))

        fork = disk.fork(seed: 1)
        try fork.rename(segmentPath(2), to: "wal/x")
        try fork.rename(segmentPath(3), to: segmentPath(2))
        try fork.rename("wal/x", to: segmentPath(3))
        #expect(failure(fork) == .corrupt(segment: 2, offset: 16, reason: "this is segment 3"))

        // A segment of the same number from another log of the same member.
        let other = SimulatedDisk(seed: 2)
        _ = try writtenLog(other, batches: 60, bytes: 101)
        fork = disk.fork(seed: 1)
        fork.replaceBytes(of: segmentPath(3)) { $0 = other.bytes(of: segmentPath(3))! }
        #expect(corruptAt(failure(fork))?.segment == 2)

        for kept in [0, 100, 4095, 4096, 5000] {
            fork = disk.fork(seed: 1)
            fork.replaceBytes(of: segmentPath(2)) { $0.removeLast($0.count - kept) }
            #expect(corruptAt(failure(fork))?.segment == 2, "cut to \(kept)")
        }
        // The newest, shorter than it was made.
        fork = disk.fork(seed: 1)
        fork.replaceBytes(of: segmentPath(last)) { $0.removeLast($0.count - 4200) }
        #expect(corruptAt(failure(fork))?.segment == last)

        // Without the first ones the log begins later, which only the layer above can judge.
        fork = disk.fork(seed: 1)
        try fork.removeFile(segmentPath(1))
        #expect(try inspect(fork).result.get().firstSegment == 2)
    }

    @Test func `another's log is foreign, and nothing of it is replayed`() throws {
        let disk = SimulatedDisk(seed: 1)
        _ = try writtenLog(disk, batches: 2)
        var options = testOptions()
        options.identity = [UInt8]("cluster-1/node-2".utf8)
        let found = inspect(disk, options)
        #expect(throws: WALError.foreign(segment: 1, expected: options.identity, found: testIdentity)) {
            try found.result.get()
        }
        #expect(found.records == [])
        options.identity = testIdentity + [0]
        #expect(failure(disk, options) == .foreign(segment: 1, expected: options.identity, found: testIdentity))
    }

    @Test func `a later version is not guessed at`() throws {
        let disk = SimulatedDisk(seed: 1)
        _ = try writtenLog(disk, batches: 2)
        disk.replaceBytes(of: segmentPath(1)) { bytes in
            bytes[8] = 2
            bytes.replaceSubrange(12..<16, with: [0, 0, 0, 0])
            let checksum = CRC32C.checksum(Array(bytes[..<4096]))
            bytes.replaceSubrange(12..<16, with: (0..<4).map { UInt8(truncatingIfNeeded: checksum >> ($0 * 8)) })
        }
        #expect(failure(disk) == .unsupportedVersion(segment: 1, version: 2))
    }

    @Test func `the salt may change from one open to the next`() throws {
        let disk = SimulatedDisk(seed: 1)
        var kept: [Kept] = []
        for salt in 0..<5 {
            var found: [Kept] = []
            var log = try openLog(disk, testOptions(salt: UInt64(salt)), into: &found)
            #expect(found == kept)
            for number in 0..<15 { try log.keep(1, payload(salt * 100 + number, 200), in: &kept) }
            try log.synchronize()
        }
        #expect(try replayed(disk) == kept)
    }

    @Test func `files that are no segments are left alone, and half-made ones go`() throws {
        let disk = SimulatedDisk(seed: 1)
        let records = try writtenLog(disk, batches: 3).flatMap { $0 }
        for name in ["notes.txt", "1.wal", "00000000000000FF.wal", "0000000000000000.wal"] {
            _ = try disk.open("wal/" + name, .create)
        }
        #expect(disk.exists(segmentPath(2) + ".preparing"))
        #expect(try replayed(disk) == records)
        #expect(try disk.list("wal").count == 5)
    }
}

/// Bytes that nobody wrote.
@Suite struct GarbageTests {
    @Test func `opening random bytes gives an error, never a crash`() throws {
        var random = RandomSource(seed: 31)
        for round in 0..<400 {
            let disk = SimulatedDisk(seed: 1)
            try disk.createDirectory("wal")
            for sequence in 1...UInt64(1 + random.below(3)) {
                _ = try disk.open(segmentPath(sequence), .create)
                disk.replaceBytes(of: segmentPath(sequence)) { bytes in
                    bytes = payload(round, random.oneIn(4) ? random.below(100) : 4000 + random.below(9000))
                    if random.oneIn(2) { bytes.replaceSubrange(0..<min(8, bytes.count), with: Array("MARTLWAL".utf8)) }
                }
            }
            #expect(throws: WALError.self) { _ = try inspect(disk).result.get() }
        }
    }

    /// Checksums find every change here but the one in 2^32, and these seeds do not meet it; in the last batch, what is
    /// left is still a prefix.
    @Test(arguments: 0..<4)
    func `opening a mutated log gives an error or a prefix, never a crash`(part: Int) throws {
        var random = RandomSource(seed: UInt64(41 + part))
        let options = testOptions(segmentBytes: 4096 + 2048)
        let disk = SimulatedDisk(seed: 1)
        let records = try writtenLog(disk, batches: 9, options: options).flatMap { $0 }
        let segments = records[records.count - 1].location.segment
        var prefixes = 0
        for _ in 0..<400 {
            let fork = disk.fork(seed: 1)
            for _ in 0...random.below(3) {
                let sequence = random.oneIn(2) ? segments : 1 + UInt64(random.below(Int(segments)))
                fork.replaceBytes(of: segmentPath(sequence)) { Self.mutate(&$0, &random) }
            }
            let found = inspect(fork, options)
            if case .success(let report) = found.result {
                prefixes += 1
                #expect(report.firstSegment == 1)
                #expect(found.records == Array(records.prefix(found.records.count)))
                // And it can be used.
                var again: [Kept] = []
                var log = try openLog(fork, options, into: &again)
                try log.keep(1, [1, 2, 3], in: &again)
                try log.synchronize()
                #expect(try replayed(fork, options) == again)
            }
        }
        #expect(prefixes > 5)
    }

    private static func mutate(_ bytes: inout [UInt8], _ random: inout RandomSource) {
        guard bytes.count > 4200 else { return }
        // Mostly where the records are.
        let start = random.oneIn(5) ? random.below(bytes.count) : 4096 + random.below(bytes.count - 4096)
        let range = start..<min(bytes.count, start + 1 + random.below(300))
        switch random.below(6) {
        case 0: bytes[start] ^= 1 << UInt8(random.below(8))
        case 1: for index in range { bytes[index] = 0 }
        case 2: for index in range { bytes[index] = UInt8(truncatingIfNeeded: random.next()) }
        case 3: bytes.removeSubrange(range)
        case 4: bytes.insert(contentsOf: bytes[range], at: start & ~7)
        default: bytes.removeLast(bytes.count - start)
        }
    }

    @Test func `a tail full of would-be headers is searched in linear time`() throws {
        let disk = SimulatedDisk(seed: 1)
        _ = try writtenLog(disk, batches: 1)
        disk.replaceBytes(of: segmentPath(1)) { bytes in
            bytes.removeLast(bytes.count - 4500)
            // Lengths of a megabyte, the mark in place, wrong checksums.
            let header: [UInt8] = [0, 0, 16, 0, 1, 0xa7, 0, 0] + [UInt8](repeating: 1, count: 16)
            for _ in 0..<100_000 { bytes += header }
        }
        let clock = ContinuousClock()
        var cut = 0
        let time = try clock.measure { cut = try inspect(disk).result.get().tornTailBytesCut }
        #expect(cut > 2_390_000)
        #expect(time < .seconds(10))
    }
}
