private import CByteCodec

/// CRC-32C (Castagnoli), the checksum of every record on disk and every frame between members.
public struct CRC32C: Sendable {
    /// The checksum of what has been added so far.
    public private(set) var value: UInt32

    public init(resuming value: UInt32 = 0) { self.value = value }

    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        value = unsafe martlet_crc32c(value, bytes.baseAddress, bytes.count)
    }

    public mutating func update(_ bytes: [UInt8]) {
        unsafe bytes.withUnsafeBytes { unsafe update($0) }
    }

    public mutating func update(_ word: UInt64) {
        let littleEndian = word.littleEndian
        unsafe withUnsafeBytes(of: littleEndian) { unsafe update($0) }
    }

    public static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        unsafe martlet_crc32c(0, bytes.baseAddress, bytes.count)
    }

    public static func checksum(_ bytes: [UInt8]) -> UInt32 {
        unsafe bytes.withUnsafeBytes { unsafe checksum($0) }
    }
}
