/// SHA-256 (FIPS 180-4) of bytes that come piece by piece.
package struct SHA256 {
    package static let digestBytes = 32

    private var context = DigestContext(.sha256)

    package init() {}

    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        if !isKnownUniquelyReferenced(&context) { context = DigestContext(copying: context) }
        unsafe context.update(bytes)
    }

    package mutating func update(_ bytes: [UInt8]) {
        unsafe bytes.withUnsafeBytes { unsafe update($0) }
    }

    /// The digest of what was added so far; more may follow.
    package var digest: [UInt8] { DigestContext(copying: context).finish() }

    package static func hash(_ bytes: [UInt8]) -> [UInt8] {
        var hash = SHA256()
        hash.update(bytes)
        return hash.digest
    }
}
