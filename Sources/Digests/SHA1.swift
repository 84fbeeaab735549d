/// SHA-1 (FIPS 180-4), for one purpose: member and cluster ids are the first eight bytes of it, as in etcd, so that the
/// same flags give the same ids. Nothing here rests on it being hard to forge.
package enum SHA1 {
    package static func hash(_ bytes: [UInt8]) -> [UInt8] {
        let context = DigestContext(.sha1)
        unsafe bytes.withUnsafeBytes { unsafe context.update($0) }
        return context.finish()
    }
}
