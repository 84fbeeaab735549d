import ByteCodec
package import Platform

/// An append-only log of opaque records in segment files, with group commit: any number of appends, one write and one
/// fdatasync.
///
/// One thread at a time owns it; ``reader`` may be used from others. The directory must be locked by the caller
/// against a second process. The bytes are specified in `Documentation/formats/write-ahead-log.md`.
package struct WriteAheadLog: ~Copyable, Sendable {
    /// A run of the buffer that goes to one segment as one batch.
    struct Part {
        var segment: UInt64
        var fileOffset: Int
        var bufferOffset: Int
        /// For a segment that does not exist yet: how long its file must be before it gets its name. Its header leads
        /// the run.
        var newSegment: (allocatedBytes: Int, seed: UInt32)?
    }

    /// Where the next record goes, and what its header must say.
    struct Position {
        var segment: UInt64
        var offset: Int
        /// The checksum of the record before.
        var chain: UInt32
        var seed: UInt32
        var batchStart: Int
        /// There is more than a preamble in the segment.
        var holdsRecords: Bool
        var lastIsSeal = false
    }

    package let openReport: OpenReport
    /// Reads durable records, from any thread.
    package let reader: LogReader
    /// What every new segment begins with. To be set whenever one of these (the hard state, say) changes, so that
    /// ``cut(before:)`` can let go of the segments with the originals.
    package var preamble: [PreambleRecord] = []
    /// The next segment could not be prepared, most likely for want of space. The log still works; its next segment
    /// may not.
    package private(set) var preparationFailure: FileError?

    private let fileSystem: any FileSystem
    private let directory: String
    private let options: WALOptions
    private var firstSegment: UInt64
    private var position: Position
    private var parts: [Part] = []
    private var buffer = AppendBuffer()
    /// The newest segment that exists, and how far its file is filled.
    private var file: (any File)?
    private var filledBytes: Int
    private var next: SegmentPreparation?
    private var isPoisoned = false

    // MARK: Opening

    /// Opens the log in `directory`, or makes one, and replays every record in order. What is replayed is durable.
    ///
    /// The payload is borrowed for the call only. An error that `replay` throws ends the opening: a `WALError` as it
    /// is, any other as ``WALError/rejected(_:reason:)``.
    package static func open(
        directory: String, fileSystem: any FileSystem, options: WALOptions,
        replay: (RecordKind, UnsafeRawBufferPointer, RecordLocation) throws -> Void
    ) throws(WALError) -> WriteAheadLog {
        options.check()
        let found = unsafe try Recovery.run(
            directory: directory, fileSystem: fileSystem, options: options, replay: replay)
        guard let found else {
            var log = WriteAheadLog(newIn: directory, fileSystem, options)
            log.beginSegment(1, chain: 0)
            try log.synchronize()
            return log
        }
        return WriteAheadLog(recovered: found, directory, fileSystem, options)
    }

    /// Whose log is in the directory: what ``WALOptions/identity`` was when it was made. nil if there is none. Changes
    /// nothing; the log must not be open.
    package static func identity(
        in directory: String, _ fileSystem: any FileSystem
    ) throws(WALError) -> [UInt8]? {
        try Recovery.identity(in: directory, fileSystem)
    }

    private init(newIn directory: String, _ fileSystem: any FileSystem, _ options: WALOptions) {
        self.directory = directory
        self.fileSystem = fileSystem
        self.options = options
        firstSegment = 1
        position = Position(segment: 0, offset: 0, chain: 0, seed: 0, batchStart: 0, holdsRecords: false)
        filledBytes = 0
        reader = LogReader(
            fileSystem: fileSystem, directory: directory, firstSegment: 1,
            openSegmentsMax: options.limits.openSegmentsMax)
        openReport = OpenReport(isNew: true, segment: 1, offset: SegmentFormat.headerBytes)
    }

    private init(
        recovered found: Recovery.Found, _ directory: String, _ fileSystem: any FileSystem, _ options: WALOptions
    ) {
        self.directory = directory
        self.fileSystem = fileSystem
        self.options = options
        firstSegment = found.report.firstSegment
        position = found.position
        file = found.file
        filledBytes = found.fileBytes
        openReport = found.report
        reader = LogReader(
            fileSystem: fileSystem, directory: directory, firstSegment: found.report.firstSegment,
            openSegmentsMax: options.limits.openSegmentsMax)
        for (index, seed) in found.seeds.enumerated() {
            reader.add(segment: firstSegment + UInt64(index), seed: seed)
        }
        reader.setDurableEnd(found.position.offset)
    }

    /// A thread that still fills the next segment must not meet the log's next life.
    deinit { _ = next?.take() }

    // MARK: Appending

    /// Appends a record in memory; it is durable after the next ``synchronize()``.
    package mutating func append(
        kind: RecordKind, _ payload: UnsafeRawBufferPointer
    ) throws(WALError) -> RecordLocation {
        unsafe try append(kind: kind, byteCount: payload.count) { unsafe $0.copyMemory(from: payload) }
    }

    /// Appends a record whose payload is in two pieces: the caller's own header, and bytes that it only passes on.
    package mutating func append(
        kind: RecordKind, _ head: UnsafeRawBufferPointer, _ body: UnsafeRawBufferPointer
    ) throws(WALError) -> RecordLocation {
        unsafe try append(kind: kind, byteCount: head.count + body.count) { target in
            unsafe target.copyMemory(from: head)
            unsafe UnsafeMutableRawBufferPointer(rebasing: target[head.count...]).copyMemory(from: body)
        }
    }

    package mutating func append(kind: RecordKind, _ payload: [UInt8]) throws(WALError) -> RecordLocation {
        unsafe try append(kind: kind, byteCount: payload.count) { unsafe $0.copyBytes(from: payload) }
    }

    /// Appends a record of `byteCount` bytes, which `write` puts straight into the batch. All of them must be written.
    @inline(__always)
    package mutating func append(
        kind: RecordKind, byteCount: Int, writing write: (UnsafeMutableRawBufferPointer) -> Void
    ) throws(WALError) -> RecordLocation {
        precondition(kind != .seal, "record kind 0 is the log's own")
        try makeRoom(for: byteCount)
        return unsafe place(kind, byteCount, write)
    }

    /// Bytes that wait for ``synchronize()``.
    package var pendingBytes: Int { buffer.count }

    private mutating func makeRoom(for byteCount: Int) throws(WALError) {
        guard !isPoisoned else { throw .poisoned }
        guard byteCount <= options.limits.recordBytesMax else {
            throw .recordTooLarge(bytes: byteCount, limit: options.limits.recordBytesMax)
        }
        let bytes = SegmentFormat.recordBytes(byteCount)
        guard parts.isEmpty || buffer.count + bytes <= options.limits.batchBytesMax else {
            throw .batchFull(limit: options.limits.batchBytesMax)
        }
        if position.offset + bytes > options.segmentBytes, position.holdsRecords {
            beginSegment(position.segment + 1, chain: position.chain)
        }
        position.holdsRecords = true
    }

    @inline(__always)
    private mutating func place(
        _ kind: RecordKind, _ byteCount: Int, _ write: (UnsafeMutableRawBufferPointer) -> Void
    ) -> RecordLocation {
        if parts.isEmpty {
            parts.append(Part(segment: position.segment, fileOffset: position.offset, bufferOffset: buffer.count))
            position.batchStart = position.offset
        }
        let headerBytes = SegmentFormat.recordHeaderBytes
        let record = unsafe buffer.extend(by: SegmentFormat.recordBytes(byteCount))
        let body = unsafe UnsafeMutableRawBufferPointer(rebasing: record[headerBytes...])
        // The last word first, for the padding in it; the payload then covers the rest.
        if unsafe !body.isEmpty { unsafe body.put(UInt64(0), at: body.count - 8) }
        unsafe write(UnsafeMutableRawBufferPointer(rebasing: body[..<byteCount]))
        let header = unsafe RecordHeader(
            byteCount: UInt32(byteCount), kind: kind.rawValue,
            batchDistance: UInt32(position.offset - position.batchStart), previous: position.chain,
            payloadChecksum: CRC32C.checksum(UnsafeRawBufferPointer(body)))
        position.chain = unsafe header.encode(into: record, seed: position.seed)
        position.lastIsSeal = kind == .seal
        let location = RecordLocation(
            segment: position.segment, offset: UInt32(position.offset), byteCount: UInt32(byteCount))
        position.offset += record.count
        return location
    }

    /// Starts a segment in the buffer: its header and the preamble. The file comes with ``synchronize()``.
    private mutating func beginSegment(_ segment: UInt64, chain: UInt32) {
        let prepared = next?.filledBytes ?? 0
        let allocated = prepared > 0 ? prepared : min(options.fillSliceBytes, options.segmentBytes)
        let header = SegmentHeader(
            sequence: segment, salt: options.salt, allocatedBytes: UInt64(allocated), chain: chain,
            identity: options.identity)
        let start = buffer.count
        let seed = unsafe header.encode(into: buffer.extend(by: SegmentFormat.headerBytes))
        parts.append(Part(segment: segment, fileOffset: 0, bufferOffset: start, newSegment: (allocated, seed)))
        position = Position(
            segment: segment, offset: SegmentFormat.headerBytes, chain: chain, seed: seed,
            batchStart: SegmentFormat.headerBytes, holdsRecords: false)
        for record in preamble {
            precondition(record.kind != .seal, "record kind 0 is the log's own")
            precondition(
                record.payload.count <= options.limits.recordBytesMax, "a preamble of \(record.payload.count) bytes")
            _ = unsafe place(record.kind, record.payload.count) { unsafe $0.copyBytes(from: record.payload) }
        }
    }

    // MARK: Making durable

    /// Writes all that was appended, with one write and one fdatasync (more where a segment begins), and returns when
    /// it is durable. After a failure the log is poisoned: nothing is known about what the disk holds, and nothing is
    /// tried twice.
    package mutating func synchronize() throws(WALError) {
        guard !isPoisoned else { throw .poisoned }
        do throws(FileError) {
            for index in parts.indices {
                let part = parts[index]
                let end = index + 1 < parts.count ? parts[index + 1].bufferOffset : buffer.count
                let bytes = unsafe UnsafeRawBufferPointer(rebasing: buffer.bytes[part.bufferOffset..<end])
                if let new = part.newSegment {
                    unsafe try create(part.segment, bytes, allocatedBytes: new.allocatedBytes)
                    reader.add(segment: part.segment, seed: new.seed)
                } else {
                    unsafe try write(bytes, at: part.fileOffset)
                }
                reader.setDurableEnd(part.fileOffset + bytes.count)
            }
        } catch {
            isPoisoned = true
            throw .io(error)
        }
        parts.removeAll(keepingCapacity: true)
        buffer.removeAll(keeping: options.limits.keptBufferBytesMax)
        prepareNext()
    }

    private mutating func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) {
        guard let file else { preconditionFailure("no segment to write to") }
        unsafe try file.write(bytes, at: offset)
        let end = offset + bytes.count
        if end > filledBytes {
            // Only a segment that was put to use before it was filled comes here. For want of space beyond the batch
            // itself nothing is lost yet.
            let target = max(end, min(options.segmentBytes, end + options.fillSliceBytes))
            do throws(FileError) {
                try file.fill(upTo: target)
                filledBytes = target
            } catch {
                preparationFailure = error
                filledBytes = end
            }
        }
        try file.synchronize()
    }

    /// Makes a segment with its first batch durable before it gets its name, so that a segment with a name always has
    /// a whole header and preamble. The segment before is complete and synchronized by then: parts are written in
    /// order.
    private mutating func create(
        _ segment: UInt64, _ bytes: UnsafeRawBufferPointer, allocatedBytes: Int
    ) throws(FileError) {
        let preparing = directory + "/" + SegmentFormat.preparingName(segment)
        let made: any File
        if let next, next.path == preparing, let prepared = next.take() {
            made = prepared
        } else {
            if fileSystem.exists(preparing) { try fileSystem.removeFile(preparing) }
            made = try fileSystem.open(preparing, .create)
        }
        next = nil
        try made.fill(upTo: allocatedBytes)
        unsafe try made.write(bytes, at: 0)
        try made.synchronize()
        let path = directory + "/" + SegmentFormat.name(segment)
        try fileSystem.rename(preparing, to: path)
        try fileSystem.synchronizeDirectory(directory)
        // Opened again, so that a later error names the file that is there.
        let file = try fileSystem.open(path, .readWrite)
        self.file = file
        filledBytes = try file.size()
    }

    /// Keeps the next segment's file ready, from when the current one is half full.
    private mutating func prepareNext() {
        if let next {
            if let failure = next.failure { preparationFailure = failure }
            if options.runInBackground == nil { _ = next.fillSlice() }
            return
        }
        guard position.offset > options.segmentBytes / 2 else { return }
        let preparation = SegmentPreparation(
            path: directory + "/" + SegmentFormat.preparingName(position.segment + 1), fileSystem: fileSystem,
            targetBytes: options.segmentBytes, sliceBytes: options.fillSliceBytes)
        next = preparation
        if let runInBackground = options.runInBackground {
            runInBackground { preparation.fillAll() }
        } else {
            _ = preparation.fillSlice()
        }
    }

    // MARK: The rest

    /// The durable record at `location`. See ``LogReader/read(at:)``.
    package func read(at location: RecordLocation) throws(WALError) -> (kind: RecordKind, payload: [UInt8]) {
        try reader.read(at: location)
    }

    /// Removes the segments that end before `location`, the oldest first and each durably, so that a power cut in the
    /// middle leaves no gap. Never removes the newest segment.
    package mutating func cut(before location: RecordLocation) throws(WALError) {
        guard !isPoisoned else { throw .poisoned }
        // Segments that exist only in the buffer are not there to be kept.
        let newest = parts.first.map { $0.newSegment == nil ? $0.segment : $0.segment - 1 } ?? position.segment
        let end = min(location.segment, newest)
        while firstSegment < end {
            do throws(FileError) {
                try fileSystem.removeFile(directory + "/" + SegmentFormat.name(firstSegment))
                try fileSystem.synchronizeDirectory(directory)
            } catch {
                isPoisoned = true
                throw .io(error)
            }
            firstSegment += 1
            reader.removeSegments(before: firstSegment)
        }
    }

    /// The oldest segment that is still there, and the one that is appended to.
    package var segments: ClosedRange<UInt64> { firstSegment...max(firstSegment, position.segment) }

    /// Synchronizes, then appends and synchronizes the proof that everything before had been synchronized: with it,
    /// damage to the last batch is told from a write that the power cut short. For the end, and for idle moments.
    package mutating func seal() throws(WALError) {
        try synchronize()
        guard position.holdsRecords, !position.lastIsSeal else { return }
        try makeRoom(for: 0)
        _ = unsafe place(.seal, 0) { _ in }
        try synchronize()
    }

    /// Seals the log and lets go of it.
    package consuming func close() throws(WALError) { try seal() }
}
