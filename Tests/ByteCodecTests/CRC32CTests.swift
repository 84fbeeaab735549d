import ByteCodec
import CByteCodec
import Platform
import Testing

@Suite struct CRC32CTests {
    static let known: [(bytes: [UInt8], checksum: UInt32)] = [
        (Array("123456789".utf8), 0xe306_9283),
        ([UInt8](repeating: 0, count: 32), 0x8a91_36aa),
        ([UInt8](repeating: 0xff, count: 32), 0x62a8_ab43),
        (Array(0..<32), 0x46dd_794e),
        ((0..<32).reversed(), 0x113f_db5c),
        ([], 0),
    ]

    /// RFC 3720, appendix B.4, and the check value of the catalogue of parametrised CRC algorithms.
    @Test(arguments: known)
    func `known checksums come out`(bytes: [UInt8], expected: UInt32) {
        #expect(CRC32C.checksum(bytes) == expected)
        #expect(martlet_crc32c_portable(0, bytes, bytes.count) == expected)
    }

    @Test func `the processor's instruction and the tables agree at every length and alignment`() {
        var random = RandomSource(seed: 11)
        let bytes = (0..<4096).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        bytes.withUnsafeBytes { all in
            for length in Array(0...80) + [255, 256, 257, 1000, 4000] {
                for start in 0..<9 {
                    let seed = UInt32(truncatingIfNeeded: random.next())
                    let base = all.baseAddress! + start
                    #expect(martlet_crc32c(seed, base, length) == martlet_crc32c_portable(seed, base, length))
                }
            }
        }
    }

    @Test func `a checksum in pieces is that of the whole`() {
        var random = RandomSource(seed: 12)
        let bytes = (0..<700).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        for _ in 0..<200 {
            let first = random.below(bytes.count)
            let second = first + random.below(bytes.count - first)
            var pieces = CRC32C()
            pieces.update(Array(bytes[..<first]))
            pieces.update(Array(bytes[first..<second]))
            var resumed = CRC32C(resuming: pieces.value)
            resumed.update(Array(bytes[second...]))
            #expect(resumed.value == CRC32C.checksum(bytes))
        }
    }

    @Test func `a word counts as its little-endian bytes`() {
        var word = CRC32C()
        word.update(0x0807_0605_0403_0201 as UInt64)
        #expect(word.value == CRC32C.checksum([1, 2, 3, 4, 5, 6, 7, 8]))
    }

    @Test func `one flipped bit changes the checksum`() {
        var bytes = [UInt8](repeating: 0x3c, count: 100)
        let before = CRC32C.checksum(bytes)
        for bit in 0..<800 {
            bytes[bit / 8] ^= 1 << (bit % 8)
            #expect(CRC32C.checksum(bytes) != before)
            bytes[bit / 8] ^= 1 << (bit % 8)
        }
    }
}
