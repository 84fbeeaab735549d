import Digests
import Testing

/// The examples of FIPS 180-4 and of RFC 6234.
@Suite struct DigestTests {
    private func hex(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    private static let twoBlocks = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"

    @Test(arguments: [
        ("", "da39a3ee5e6b4b0d3255bfef95601890afd80709"), ("abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (twoBlocks, "84983e441c3bd26ebaae4aa1f95129e5e54670f1"),
    ])
    func sha1(text: String, expected: String) { #expect(hex(SHA1.hash(Array(text.utf8))) == expected) }

    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (twoBlocks, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"),
    ])
    func sha256(text: String, expected: String) {
        let bytes = Array(text.utf8)
        #expect(hex(SHA256.hash(bytes)) == expected)
        var pieces = SHA256()
        for byte in bytes { pieces.update([byte]) }
        #expect(hex(pieces.digest) == expected)
    }

    @Test func copiesGoTheirOwnWays() {
        var one = SHA256()
        one.update([1, 2])
        var other = one
        #expect(one.digest == SHA256.hash([1, 2]))
        other.update([3])
        one.update([4])
        #expect(other.digest == SHA256.hash([1, 2, 3]))
        #expect(one.digest == SHA256.hash([1, 2, 4]))
    }
}
