import Platform

/// A segment's file, read through a window that moves forward, so that replaying needs no more memory than a slice or
/// the largest record.
@safe struct SegmentWindow: ~Copyable {
    private static let sliceBytes = 1 << 20

    let file: any File
    private(set) var size: Int
    private var memory: UnsafeMutableRawBufferPointer
    private var start = 0
    private var count = 0

    init(_ file: any File) throws(WALError) {
        self.file = file
        do throws(FileError) { size = try file.size() } catch { throw .io(error) }
        unsafe memory = .allocate(byteCount: min(Self.sliceBytes, max(size, 1)), alignment: 64)
    }

    deinit { unsafe memory.deallocate() }

    /// The bytes at `offset`, valid until the next call; nil if the file ends before them.
    mutating func bytes(at offset: Int, count wanted: Int) throws(WALError) -> UnsafeRawBufferPointer? {
        guard offset >= 0, wanted >= 0, wanted <= size, offset <= size - wanted else { return nil }
        if offset < start || offset + wanted > start + count {
            try load(offset, wanted)
            guard wanted <= count else { return nil }
        }
        return unsafe UnsafeRawBufferPointer(rebasing: memory[offset - start..<offset - start + wanted])
    }

    /// As much as fits the window at `offset`; empty at the file's end.
    mutating func slice(at offset: Int) throws(WALError) -> UnsafeRawBufferPointer {
        let wanted = min(Self.sliceBytes, max(0, size - offset))
        return unsafe try bytes(at: offset, count: wanted) ?? UnsafeRawBufferPointer(start: nil, count: 0)
    }

    private mutating func load(_ offset: Int, _ wanted: Int) throws(WALError) {
        let capacity = min(max(wanted, Self.sliceBytes), size - offset)
        if unsafe memory.count < capacity {
            unsafe memory.deallocate()
            unsafe memory = .allocate(byteCount: capacity, alignment: 64)
        }
        start = offset
        count = 0
        let target = unsafe UnsafeMutableRawBufferPointer(rebasing: memory[..<capacity])
        do throws(FileError) { count = unsafe try file.read(into: target, at: offset) } catch { throw .io(error) }
        // The file became shorter under our hands.
        if count < capacity { size = offset + count }
    }
}
