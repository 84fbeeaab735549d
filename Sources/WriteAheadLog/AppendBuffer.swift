/// Memory that grows and is used again for every batch, so that a batch is one contiguous write and appending allocates
/// nothing.
///
/// Sendable: it is the only owner of its memory, and being noncopyable it has one owner itself.
@safe struct AppendBuffer: ~Copyable, @unchecked Sendable {
    private var memory: UnsafeMutableRawBufferPointer
    private(set) var count = 0

    init(capacity: Int = 1 << 16) {
        unsafe memory = .allocate(byteCount: capacity, alignment: 64)
    }

    deinit { unsafe memory.deallocate() }

    /// What has been appended. Not to be kept.
    var bytes: UnsafeRawBufferPointer { unsafe UnsafeRawBufferPointer(rebasing: memory[..<count]) }

    /// Makes room for `bytes` more, uninitialized, and returns it. Not to be kept.
    @inline(__always)
    mutating func extend(by bytes: Int) -> UnsafeMutableRawBufferPointer {
        if unsafe memory.count - count < bytes { grow(by: bytes) }
        let start = count
        count += bytes
        return unsafe UnsafeMutableRawBufferPointer(rebasing: memory[start..<count])
    }

    /// Forgets everything; memory beyond `limit` is given back.
    mutating func removeAll(keeping limit: Int) {
        count = 0
        if unsafe memory.count > limit { reallocate(limit) }
    }

    @inline(never)
    private mutating func grow(by bytes: Int) {
        unsafe reallocate(max(count + bytes, memory.count * 2))
    }

    private mutating func reallocate(_ capacity: Int) {
        let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: capacity, alignment: 64)
        unsafe larger.copyMemory(from: bytes)
        unsafe memory.deallocate()
        unsafe memory = larger
    }
}
