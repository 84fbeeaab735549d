/// The range of keys that a prefix names.
package enum KeyPrefix {
    /// The first key after all that begin with `prefix`: its last byte raised, those that cannot be raised cut off;
    /// for a prefix of nothing but 0xff, everything.
    package static func end(of prefix: [UInt8]) -> [UInt8] {
        guard let last = prefix.lastIndex(where: { $0 < 0xff }) else { return [0] }
        return Array(prefix[..<last]) + [prefix[last] + 1]
    }
}
