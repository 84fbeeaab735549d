import Testing
import Zstandard

/// Frames of zstd: what goes in comes out, and nothing that comes in is believed.
struct ZstandardTests {
    private func compress(_ raw: [UInt8], _ compressor: ZstandardCompressor) -> [UInt8]? {
        var output: [UInt8] = []
        return raw.withUnsafeBytes { compressor.compress($0, into: &output) } ? output : nil
    }

    private func decompress(_ frame: [UInt8], _ count: Int) throws -> [UInt8] {
        try frame.withUnsafeBytes { try ZstandardDecompressor().decompress($0, count: count) }
    }

    private func noise(_ count: Int) -> [UInt8] {
        var state: UInt64 = 88_172_645_463_325_252
        return (0..<count).map { _ in
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return UInt8(truncatingIfNeeded: state >> 32)
        }
    }

    @Test func `what was compressed comes back, piece by piece`() throws {
        let compressor = ZstandardCompressor(level: 1)
        for count in [100, 5_000, 524_288, 3_000_000] {
            let raw = (0..<count).map { UInt8(truncatingIfNeeded: $0 / 37) }
            let frame = try #require(compress(raw, compressor))
            #expect(frame.count < count)
            #expect(try decompress(frame, count) == raw)
        }
    }

    @Test func `the same pieces in the same order are the same bytes`() throws {
        let (first, second) = (ZstandardCompressor(level: 1), ZstandardCompressor(level: 1))
        for piece in 0..<20 {
            let raw = (0..<200_000).map { UInt8(truncatingIfNeeded: ($0 / 61) &* (piece + 3)) }
            #expect(compress(raw, first) == compress(raw, second))
        }
    }

    @Test func `what would not get shorter is left as it is`() {
        let compressor = ZstandardCompressor(level: 1)
        #expect(compress(noise(100_000), compressor) == nil)
        #expect(compress([], compressor) == nil)
        #expect(compress([1, 2, 3], compressor) == nil)
        var output: [UInt8] = [9]
        #expect(noise(1_000).withUnsafeBytes { compressor.compress($0, into: &output) } == false)
        #expect(output == [9])
    }

    @Test func `a frame of another size, with something behind it, cut or damaged is refused`() throws {
        let raw = (0..<50_000).map { UInt8(truncatingIfNeeded: $0 / 50) }
        let frame = try #require(compress(raw, ZstandardCompressor(level: 1)))
        #expect(throws: ZstandardError.self) { try decompress(frame, raw.count - 1) }
        #expect(throws: ZstandardError.self) { try decompress(frame, raw.count + 1) }
        #expect(throws: ZstandardError.self) { try decompress(frame + [0], raw.count) }
        #expect(throws: ZstandardError.self) { try decompress(frame + frame, raw.count) }
        #expect(throws: ZstandardError.self) { try decompress([], 0) }
        #expect(throws: ZstandardError.self) { try decompress(noise(500), 10) }
        for cut in stride(from: 0, to: frame.count, by: 7) {
            #expect(throws: ZstandardError.self) { try decompress(Array(frame[..<cut]), raw.count) }
        }
        // Flipped bits: refused, or other bytes of the right number (checksums are the carrier's).
        for place in frame.indices {
            for bit in 0..<8 {
                var damaged = frame
                damaged[place] ^= 1 << UInt8(bit)
                if let found = try? decompress(damaged, raw.count) { #expect(found.count == raw.count) }
            }
        }
    }

    @Test func `a bomb gives no more than was agreed on`() throws {
        let raw = [UInt8](repeating: 0, count: 8 << 20)
        let frame = try #require(compress(raw, ZstandardCompressor(level: 19)))
        #expect(frame.count < 2_000)
        #expect(throws: ZstandardError.self) { try decompress(frame, 1 << 20) }
    }
}
