/// Writes into memory whose size was computed beforehand, so that a message goes straight into the buffer that the
/// socket is handed. The memory must outlive the writer. Running past its end is a mistake of ours and traps.
@safe struct FixedWriter {
    private let base: UnsafeMutableRawBufferPointer
    private(set) var count = 0

    init(_ memory: UnsafeMutableRawBufferPointer) { unsafe base = memory }

    @inline(__always) private mutating func claim(_ bytes: Int) -> Int {
        let start = count
        unsafe precondition(bytes <= base.count - start, "a message is longer than its computed size")
        count = start + bytes
        return start
    }

    mutating func write(_ byte: UInt8) {
        let start = claim(1)
        unsafe base[start] = byte
    }

    mutating func write(_ value: UInt32) {
        let start = claim(4)
        unsafe base.storeBytes(of: value.littleEndian, toByteOffset: start, as: UInt32.self)
    }

    mutating func write(_ value: UInt64) {
        let start = claim(8)
        unsafe base.storeBytes(of: value.littleEndian, toByteOffset: start, as: UInt64.self)
    }

    mutating func writeVarint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            write(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        write(UInt8(truncatingIfNeeded: rest))
    }

    mutating func write(_ bytes: [UInt8]) {
        let start = claim(bytes.count)
        guard !bytes.isEmpty else { return }
        unsafe bytes.withUnsafeBytes { source in
            unsafe UnsafeMutableRawBufferPointer(rebasing: base[start..<start + source.count]).copyMemory(from: source)
        }
    }

    /// A varint length, then the bytes.
    mutating func writeLengthPrefixed(_ bytes: [UInt8]) {
        writeVarint(UInt64(bytes.count))
        write(bytes)
    }
}
