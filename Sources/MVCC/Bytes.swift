#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// Less than, equal to or greater than zero, as `a` is to `b` in lexicographic order.
func compareBytes(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Int {
    let common = min(a.count, b.count)
    if common > 0 {
        let order = unsafe memcmp(a.baseAddress!, b.baseAddress!, common)
        if order != 0 { return Int(order) }
    }
    return a.count - b.count
}

func haveEqualBytes(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
    guard a.count == b.count else { return false }
    guard let first = a.baseAddress, let second = b.baseAddress else { return true }
    return unsafe memcmp(first, second, a.count) == 0
}

/// Whether there is a zero byte in `bytes`: the only byte that the tables' keys escape.
func containsZero(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard let base = bytes.baseAddress else { return false }
    return unsafe memchr(base, 0, bytes.count) != nil
}

/// Memory that one scan reuses for one key after the other.
@safe struct ByteScratch: ~Copyable {
    private var base: UnsafeMutableRawPointer
    private var capacity: Int
    private(set) var count = 0

    init(capacity: Int = 128) {
        self.capacity = capacity
        unsafe base = .allocate(byteCount: capacity, alignment: 8)
    }

    deinit { unsafe base.deallocate() }

    /// Valid until the next change.
    var bytes: UnsafeRawBufferPointer { unsafe UnsafeRawBufferPointer(start: base, count: count) }

    /// Room for `count` bytes whose content is the caller's to write.
    mutating func resize(_ count: Int) -> UnsafeMutableRawPointer {
        if count > capacity {
            unsafe base.deallocate()
            capacity = max(count, capacity * 2)
            unsafe base = .allocate(byteCount: capacity, alignment: 8)
        }
        self.count = count
        return unsafe base
    }

    mutating func assign(_ bytes: UnsafeRawBufferPointer) {
        let target = unsafe resize(bytes.count)
        if let source = bytes.baseAddress { unsafe target.copyMemory(from: source, byteCount: bytes.count) }
    }

    /// More room, what is there stays.
    mutating func grow(to count: Int) -> UnsafeMutableRawPointer {
        if count > capacity {
            let wider = max(count, capacity * 2)
            let new = UnsafeMutableRawPointer.allocate(byteCount: wider, alignment: 8)
            unsafe new.copyMemory(from: base, byteCount: self.count)
            unsafe base.deallocate()
            unsafe base = unsafe new
            capacity = wider
        }
        self.count = count
        return unsafe base
    }

    mutating func shrink(to count: Int) { self.count = min(count, self.count) }

    mutating func setLast(_ byte: UInt8) {
        precondition(count > 0, "no byte to set")
        unsafe base.storeBytes(of: byte, toByteOffset: count - 1, as: UInt8.self)
    }
}
