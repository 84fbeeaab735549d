internal import ByteCodec

/// What every change so far adds up to, in their order: members that made the same of the same entries have the same,
/// and members that once made something else never have it again, whatever is applied later (a CRC is one-to-one in
/// what it starts from).
///
/// It covers versions, leases, alarms, members and compactions as they are applied. What becomes of rows on a disk
/// later, it does not tell: that is what ``HashScan`` is for (decision 0018).
package struct RunningHash: Hashable, Sendable {
    package private(set) var value: UInt32 = 0
    /// The entry after which it began: two that began at different places cannot be compared. Not zero only where the
    /// state is older than this hash.
    package private(set) var since: UInt64 = 0

    package init() {}

    init(value: UInt32, since: UInt64) {
        self.value = value
        self.since = since
    }

    mutating func add(_ word: UInt64) {
        var sum = CRC32C(resuming: value)
        sum.update(word)
        value = sum.value
    }

    /// Where something other than a version was changed. A version's word begins with zero: its checksum has 32 bits.
    enum Kind: UInt64 {
        case lease = 1
        case leaseEnd, alarms, members, compaction
    }

    mutating func add(_ kind: Kind, _ word: UInt64) {
        add(kind.rawValue << 32)
        add(word)
    }
}
