import ByteCodec
import Platform
import Synchronization

/// Reads durable records by their location, from any thread, beside the one that appends.
package final class LogReader: Sendable {
    private struct State {
        var firstSegment: UInt64
        /// Of each segment from the first, what seeds its records' checksums.
        var seeds: [UInt32] = []
        var lastSegment: UInt64
        /// The end of what is durable in the last segment.
        var durableEnd = 0
        /// Least recently opened first.
        var open: [(segment: UInt64, file: any File)] = []
    }

    private let fileSystem: any FileSystem
    private let directory: String
    private let openSegmentsMax: Int
    private let state: Mutex<State>

    init(fileSystem: any FileSystem, directory: String, firstSegment: UInt64, openSegmentsMax: Int) {
        self.fileSystem = fileSystem
        self.directory = directory
        self.openSegmentsMax = openSegmentsMax
        state = Mutex(State(firstSegment: firstSegment, lastSegment: firstSegment - 1))
    }

    /// The oldest segment that is still there.
    package var firstSegment: UInt64 { state.withLock { $0.firstSegment } }

    /// The record at `location`, with its checksums verified.
    package func read(at location: RecordLocation) throws(WALError) -> (kind: RecordKind, payload: [UInt8]) {
        guard let place = state.withLock({ Self.find(location, in: $0) }) else { throw .notFound(location) }
        let segment = location.segment
        let offset = Int(location.offset)
        let count = SegmentFormat.recordBytes(Int(location.byteCount))
        let record = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 8)
        defer { unsafe record.deallocate() }
        let got: Int
        do throws(FileError) {
            let file = if let file = place.file { file } else { try open(segment) }
            got = unsafe try file.read(into: record, at: offset)
        } catch {
            // Cut between looking and opening.
            if segment < firstSegment { throw .notFound(location) }
            throw .io(error)
        }
        guard got == count else {
            throw .corrupt(segment: segment, offset: offset, reason: "the segment ends inside the record")
        }
        return unsafe try Self.decode(UnsafeRawBufferPointer(record), place.seed, location)
    }

    private static func find(_ location: RecordLocation, in state: State) -> (seed: UInt32, file: (any File)?)? {
        guard (state.firstSegment...max(state.firstSegment, state.lastSegment)).contains(location.segment) else {
            return nil
        }
        let index = Int(location.segment - state.firstSegment)
        guard index < state.seeds.count, location.offset >= SegmentFormat.headerBytes else { return nil }
        let end = Int(location.offset) + SegmentFormat.recordBytes(Int(location.byteCount))
        if location.segment == state.lastSegment, end > state.durableEnd { return nil }
        return (state.seeds[index], state.open.first { $0.segment == location.segment }?.file)
    }

    private static func decode(
        _ record: UnsafeRawBufferPointer, _ seed: UInt32, _ location: RecordLocation
    ) throws(WALError) -> (kind: RecordKind, payload: [UInt8]) {
        func corrupt(_ reason: String) -> WALError {
            .corrupt(segment: location.segment, offset: Int(location.offset), reason: reason)
        }
        let headerBytes = SegmentFormat.recordHeaderBytes
        let headerRange = unsafe UnsafeRawBufferPointer(rebasing: record[..<headerBytes])
        guard let (header, _) = unsafe RecordHeader.decode(headerRange, seed: seed) else {
            throw corrupt("the record's header does not match its checksum")
        }
        guard header.byteCount == location.byteCount else { throw corrupt("the record has another length") }
        let body = unsafe UnsafeRawBufferPointer(rebasing: record[headerBytes...])
        guard unsafe CRC32C.checksum(body) == header.payloadChecksum else {
            throw corrupt("the payload does not match its checksum")
        }
        return unsafe (RecordKind(header.kind), Array(body[..<Int(header.byteCount)]))
    }

    /// Opened outside the lock: the appending thread must not wait for it.
    private func open(_ segment: UInt64) throws(FileError) -> any File {
        let file = try fileSystem.open(directory + "/" + SegmentFormat.name(segment), .read)
        remember(segment, file)
        return file
    }

    private func remember(_ segment: UInt64, _ file: any File) {
        state.withLock { state in
            guard segment >= state.firstSegment, !state.open.contains(where: { $0.segment == segment }) else { return }
            if state.open.count == openSegmentsMax { state.open.removeFirst() }
            state.open.append((segment, file))
        }
    }

    // MARK: Told by the log

    func add(segment: UInt64, seed: UInt32) {
        state.withLock { state in
            precondition(segment == state.lastSegment + 1, "segment \(segment) after \(state.lastSegment)")
            state.seeds.append(seed)
            state.lastSegment = segment
            state.durableEnd = SegmentFormat.headerBytes
        }
    }

    func setDurableEnd(_ end: Int) { state.withLock { $0.durableEnd = end } }

    func removeSegments(before segment: UInt64) {
        state.withLock { state in
            guard segment > state.firstSegment else { return }
            state.seeds.removeFirst(Int(segment - state.firstSegment))
            state.firstSegment = segment
            state.open.removeAll { $0.segment < segment }
        }
    }
}
