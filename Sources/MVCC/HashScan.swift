internal import ByteCodec
internal import StorageEngine

/// A walk over all versions that computes one number of them, in steps: members with the same history have the same
/// number, whatever engine they use and however far their compactions got.
///
/// Covered are the rows that a finished compaction keeps, up to the revision that was asked for, in the order of their
/// keys (one sequential scan), each with its key, its revision and its whole record.
package struct HashScan: Sendable {
    private let layers: LayeredView
    private let revision: Revision
    /// The store's: nothing is newer.
    private let head: Revision
    private let compactRevision: Revision
    private var sum = CRC32C()
    /// The row to look at next; nil before the first.
    private var nextRow: [UInt8]?
    /// The key whose rows are being looked at, in the rows' form.
    private var prefix: [UInt8] = []
    /// Whether a version of that key was met that is at or before the compact revision: older ones are gone by it.
    private var isSuperseded = false

    init(layers: LayeredView, revision: Revision, head: Revision, compactRevision: Revision) {
        self.layers = layers
        self.revision = revision
        self.head = head
        self.compactRevision = compactRevision
    }

    /// Looks at no more than `maxRows` rows; the answer once there are no more. May go on on another thread.
    package mutating func step(maxRows: Int) throws(StateError) -> HashAnswer? {
        precondition(maxRows > 0, "a step of no rows does not end")
        let cursor = layers.makeCursor(.versions)
        var prefix = ByteScratch()
        unsafe withBytes(self.prefix) { unsafe prefix.assign($0) }
        // The view does not change, so the row is still there.
        var more = nextRow.map { unsafe withBytes($0) { unsafe cursor.seek($0) } } ?? cursor.first()
        for _ in 0..<maxRows {
            guard more else { break }
            let row = unsafe cursor.key
            let prefixCount = try unsafe VersionKey.checkedPrefixCount(row)
            let key = unsafe UnsafeRawBufferPointer(rebasing: row[..<prefixCount])
            if unsafe !haveEqualBytes(key, prefix.bytes) {
                unsafe prefix.assign(key)
                isSuperseded = false
            }
            try unsafe add(row, Revision(VersionKey.revision(row, prefixCount)), cursor.value)
            more = cursor.next()
        }
        guard more else {
            return HashAnswer(hash: sum.value, compactRevision: compactRevision, hashRevision: revision)
        }
        nextRow = unsafe Array(cursor.key)
        self.prefix = unsafe Array(prefix.bytes)
        return nil
    }

    private mutating func add(
        _ row: UnsafeRawBufferPointer, _ rowRevision: Revision, _ record: UnsafeRawBufferPointer
    ) throws(StateError) {
        guard rowRevision <= head else {
            throw unsafe VersionKey.tooNew(row, rowRevision.rawValue, head: head.rawValue)
        }
        let isDeletion = try unsafe VersionRecord.isDeletion(row: row, record)
        if !isDeletion { try unsafe VersionRecord.verify(row: row, record) }
        // The rule of `State.compactStep`: history from the compact revision on, and what was live at it.
        let isKept = rowRevision >= compactRevision || (!isDeletion && !isSuperseded)
        if rowRevision <= compactRevision { isSuperseded = true }
        guard isKept, rowRevision <= revision else { return }
        unsafe sum.update(row)
        unsafe sum.update(record)
    }
}
