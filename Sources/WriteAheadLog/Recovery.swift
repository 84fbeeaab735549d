import ByteCodec
import Glibc
import Platform

/// Opening a log that may have been cut off at any instant: finds its end, or says why it must not be used.
///
/// The one hard question is what damage at the log's end means. A batch that was being written when the power went
/// may be there in any part, later sectors without earlier ones: nothing in it was acknowledged, and it is cut. The
/// same bytes might be an acknowledged batch that has rotted since: that must stop the member. Batches are written
/// one at a time, each after the one before was synchronized, and every record tells where its batch began. So one
/// intact record header whose batch began after the damage proves that the damaged batch had been synchronized, and
/// without such a proof it is the last batch.
enum Recovery {
    struct Found {
        var report: OpenReport
        var position: WriteAheadLog.Position
        var seeds: [UInt32]
        var file: any File
        var fileBytes: Int
    }

    /// Where the valid records of a segment end, and why there.
    private struct Scan {
        var position: WriteAheadLog.Position
        var records = 0
        var bytes = 0
        /// Why the bytes at the end are no record.
        var reason = ""
    }

    /// What lies after the valid records.
    private struct Tail {
        /// The end of the last byte that is not zero.
        var end: Int
        /// A header that proves the damage to be older than the last batch.
        var laterBatch: Int?
    }

    typealias Replay = (RecordKind, UnsafeRawBufferPointer, RecordLocation) throws -> Void

    /// Nil if there is no log yet.
    static func run(
        directory: String, fileSystem: any FileSystem, options: WALOptions, replay: Replay
    ) throws(WALError) -> Found? {
        let sequences: [UInt64]
        do throws(FileError) {
            try fileSystem.createDirectory(directory)
            let names = try fileSystem.list(directory)
            // Segments that never got their name hold nothing that was acknowledged.
            for name in names where name.hasSuffix(SegmentFormat.preparingSuffix) {
                try fileSystem.removeFile(directory + "/" + name)
            }
            sequences = names.compactMap(SegmentFormat.sequence(ofName:)).sorted()
            // An earlier process may have made the directory and died before it was durable.
            if sequences.isEmpty { try fileSystem.synchronizeDirectory(parent(of: directory)) }
        } catch {
            throw .io(error)
        }
        guard let first = sequences.first else { return nil }
        for (index, sequence) in sequences.enumerated() where sequence != first + UInt64(index) {
            throw .missingSegment(first + UInt64(index))
        }

        func open(_ sequence: UInt64, _ mode: OpenMode) throws(WALError) -> SegmentWindow {
            let file: any File
            do throws(FileError) {
                file = try fileSystem.open(directory + "/" + SegmentFormat.name(sequence), mode)
            } catch {
                throw .io(error)
            }
            return try SegmentWindow(file)
        }

        // All headers before the first record, so that nothing of a foreign log is replayed.
        var headers: [(header: SegmentHeader, checksum: UInt32)] = []
        for sequence in sequences {
            var window = try open(sequence, .read)
            headers.append(try header(of: sequence, &window, options))
        }

        var report = OpenReport(firstSegment: first)
        for (index, sequence) in sequences.dropLast().enumerated() {
            var window = try open(sequence, .read)
            let scan = unsafe try self.replay(sequence, headers[index], &window, replay)
            try checkWhole(sequence, scan, &window, next: headers[index + 1].header)
            report.recordsRead += scan.records
            report.bytesRead += scan.bytes
        }

        let last = sequences[sequences.count - 1]
        var window = try open(last, .readWrite)
        let scan = unsafe try self.replay(last, headers[headers.count - 1], &window, replay)
        let tail = try tail(&window, from: scan.position.offset, seed: scan.position.seed)
        if let proof = tail.laterBatch {
            let reason = "\(scan.reason); a later batch has a record at \(proof)"
            throw .corrupt(segment: last, offset: scan.position.offset, reason: reason)
        }
        do throws(FileError) {
            try settle(window.file, scan.position, tailEnd: tail.end)
            try fileSystem.synchronizeDirectory(directory)
        } catch {
            throw .io(error)
        }
        report.segment = last
        report.offset = scan.position.offset
        report.recordsRead += scan.records
        report.bytesRead += scan.bytes
        report.tornTailBytesCut = tail.end - scan.position.offset
        report.wasSealed = scan.position.lastIsSeal
        return Found(
            report: report, position: scan.position, seeds: headers.map(\.checksum), file: window.file,
            fileBytes: window.size)
    }

    private static func parent(of directory: String) -> String {
        guard let slash = directory.dropLast().lastIndex(of: "/") else { return "." }
        return slash == directory.startIndex ? "/" : String(directory[..<slash])
    }

    /// What the first segment's header names as the log's owner; nil if there is no segment.
    static func identity(in directory: String, _ fileSystem: any FileSystem) throws(WALError) -> [UInt8]? {
        let opened: Result<(sequence: UInt64, file: any File)?, FileError> = Result { () throws(FileError) in
            guard fileSystem.exists(directory) else { return nil }
            let sequences = try fileSystem.list(directory).compactMap(SegmentFormat.sequence(ofName:))
            guard let first = sequences.min() else { return nil }
            return (first, try fileSystem.open(directory + "/" + SegmentFormat.name(first), .read))
        }
        let found: (sequence: UInt64, file: any File)?
        do throws(FileError) { found = try opened.get() } catch { throw .io(error) }
        guard let (sequence, file) = found else { return nil }
        var window = try SegmentWindow(file)
        guard let block = unsafe try window.bytes(at: 0, count: SegmentFormat.headerBytes) else {
            throw .corrupt(segment: sequence, offset: window.size, reason: "the segment ends inside its header")
        }
        return unsafe try SegmentHeader.decode(block, segment: sequence).header.identity
    }

    private static func header(
        of sequence: UInt64, _ window: inout SegmentWindow, _ options: WALOptions
    ) throws(WALError) -> (header: SegmentHeader, checksum: UInt32) {
        func corrupt(_ offset: Int, _ reason: String) -> WALError {
            .corrupt(segment: sequence, offset: offset, reason: reason)
        }
        guard window.size <= SegmentFormat.fileBytesMax else { throw corrupt(0, "a file of \(window.size) bytes") }
        guard let block = unsafe try window.bytes(at: 0, count: SegmentFormat.headerBytes) else {
            throw corrupt(window.size, "the segment ends inside its header")
        }
        let (header, checksum) = unsafe try SegmentHeader.decode(block, segment: sequence)
        guard header.identity == options.identity else {
            throw .foreign(segment: sequence, expected: options.identity, found: header.identity)
        }
        guard header.sequence == sequence else { throw corrupt(16, "this is segment \(header.sequence)") }
        guard UInt64(window.size) >= header.allocatedBytes else {
            throw corrupt(window.size, "the segment was \(header.allocatedBytes) bytes long and is \(window.size)")
        }
        return (header, checksum)
    }

    /// Hands the segment's records to `replay`, as far as they are valid.
    private static func replay(
        _ sequence: UInt64, _ header: (header: SegmentHeader, checksum: UInt32), _ window: inout SegmentWindow,
        _ replay: Replay
    ) throws(WALError) -> Scan {
        let headerBytes = SegmentFormat.recordHeaderBytes
        var scan = Scan(
            position: WriteAheadLog.Position(
                segment: sequence, offset: SegmentFormat.headerBytes, chain: header.header.chain,
                seed: header.checksum, batchStart: -1, holdsRecords: false))
        while true {
            let offset = scan.position.offset
            guard let prefix = unsafe try window.bytes(at: offset, count: headerBytes) else {
                scan.reason = "the segment ends inside a record's header"
                return scan
            }
            guard let (record, checksum) = unsafe RecordHeader.decode(prefix, seed: header.checksum) else {
                scan.reason = "no record, or one whose header does not match its checksum"
                return scan
            }
            guard record.previous == scan.position.chain else {
                scan.reason = "the record does not follow the one before it"
                return scan
            }
            let isFirstOfBatch = record.batchDistance == 0
            guard isFirstOfBatch || Int(record.batchDistance) == offset - scan.position.batchStart else {
                scan.reason = "the record says that its batch began elsewhere"
                return scan
            }
            let bytes = SegmentFormat.recordBytes(Int(record.byteCount))
            guard let whole = unsafe try window.bytes(at: offset, count: bytes) else {
                scan.reason = "the segment ends inside a record"
                return scan
            }
            let body = unsafe UnsafeRawBufferPointer(rebasing: whole[headerBytes...])
            guard unsafe CRC32C.checksum(body) == record.payloadChecksum else {
                scan.reason = "the payload does not match its checksum"
                return scan
            }
            let kind = RecordKind(record.kind)
            if kind != .seal {
                let location = RecordLocation(segment: sequence, offset: UInt32(offset), byteCount: record.byteCount)
                let payload = unsafe UnsafeRawBufferPointer(rebasing: body[..<Int(record.byteCount)])
                do {
                    unsafe try replay(kind, payload, location)
                } catch {
                    throw error as? WALError ?? .rejected(location, reason: "\(error)")
                }
                scan.records += 1
                scan.bytes += Int(record.byteCount)
            }
            if isFirstOfBatch { scan.position.batchStart = offset }
            scan.position.offset = offset + bytes
            scan.position.chain = checksum
            scan.position.holdsRecords = true
            scan.position.lastIsSeal = kind == .seal
        }
    }

    /// A segment with a successor was complete when the successor began: no tail of it may be torn.
    private static func checkWhole(
        _ sequence: UInt64, _ scan: Scan, _ window: inout SegmentWindow, next: SegmentHeader
    ) throws(WALError) {
        let end = scan.position.offset
        if try tail(&window, from: end, seed: scan.position.seed).end > end {
            throw .corrupt(segment: sequence, offset: end, reason: scan.reason)
        }
        guard next.chain == scan.position.chain else {
            let reason = "records are missing: segment \(sequence + 1) does not continue from here"
            throw .corrupt(segment: sequence, offset: end, reason: reason)
        }
    }

    /// Searches what follows the valid records, once and forward: every eighth byte could begin a header, and only
    /// headers are checked, so that the time grows with the bytes and not with what they pretend to be.
    private static func tail(
        _ window: inout SegmentWindow, from damage: Int, seed: UInt32
    ) throws(WALError) -> Tail {
        let headerBytes = SegmentFormat.recordHeaderBytes
        let blockBytes = 4096
        var tail = Tail(end: damage)
        var offset = damage
        while true {
            let slice = unsafe try window.slice(at: offset)
            var block = 0
            while block < slice.count {
                let blockEnd = min(block + blockBytes, slice.count)
                let bytes = unsafe UnsafeRawBufferPointer(rebasing: slice[block..<blockEnd])
                // No header begins in a block of zeros: its mark would be in it.
                if let last = unsafe bytes.lastNonZero {
                    tail.end = max(tail.end, offset + block + last + 1)
                    for candidate in stride(from: block, to: blockEnd, by: SegmentFormat.alignment) {
                        guard candidate + headerBytes <= slice.count else { break }
                        let place = unsafe UnsafeRawBufferPointer(rebasing: slice[candidate..<candidate + headerBytes])
                        guard let (record, _) = unsafe RecordHeader.decode(place, seed: seed) else { continue }
                        let batchStart = offset + candidate - Int(record.batchDistance)
                        if batchStart > damage, tail.laterBatch == nil { tail.laterBatch = offset + candidate }
                    }
                }
                block = blockEnd
            }
            let reached = offset + slice.count
            if unsafe reached >= window.size || slice.isEmpty { return tail }
            // The last two places were too near the slice's end to hold a whole header.
            offset = reached - (headerBytes - SegmentFormat.alignment)
        }
    }

    /// Makes what was read the durable truth: zeros over a torn tail, and the last batch written once more. Without the
    /// second an fdatasync that failed in an earlier life could be hidden: its data is in the page cache, clean, and
    /// not on the disk.
    private static func settle(
        _ file: any File, _ position: WriteAheadLog.Position, tailEnd: Int
    ) throws(FileError) {
        let start = position.batchStart < 0 ? position.offset : position.batchStart
        let chunkBytes = min(1 << 20, max(position.offset - start, tailEnd - position.offset, 1))
        let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: chunkBytes, alignment: 4096)
        defer { unsafe chunk.deallocate() }
        var offset = start
        while offset < position.offset {
            let wanted = unsafe UnsafeMutableRawBufferPointer(
                rebasing: chunk[..<min(chunkBytes, position.offset - offset)])
            let count = unsafe try file.read(into: wanted, at: offset)
            guard count > 0 else { break }
            unsafe try file.write(UnsafeRawBufferPointer(rebasing: wanted[..<count]), at: offset)
            offset += count
        }
        if let base = chunk.baseAddress { unsafe memset(base, 0, chunkBytes) }
        offset = position.offset
        while offset < tailEnd {
            let count = min(chunkBytes, tailEnd - offset)
            unsafe try file.write(UnsafeRawBufferPointer(rebasing: chunk[..<count]), at: offset)
            offset += count
        }
        try file.synchronize()
    }
}

extension UnsafeRawBufferPointer {
    /// Where the last byte that is not zero is.
    fileprivate var lastNonZero: Int? {
        guard let base = baseAddress, count > 0 else { return nil }
        // All bytes are equal to their left neighbour and the first is zero: at the library's speed, also in debug
        // builds.
        if unsafe self[0] == 0, unsafe memcmp(base, base + 1, count - 1) == 0 { return nil }
        return unsafe lastIndex { $0 != 0 }
    }
}
