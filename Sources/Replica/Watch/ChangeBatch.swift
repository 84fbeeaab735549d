package import MVCC

/// What changed between two publications of the state; or, where that was not recorded, only how far it got.
package struct ChangeBatch: Sendable {
    /// The first revision that it covers, and the last.
    package var from: Revision
    package var to: Revision
    /// All changes of those revisions, in their order; nil for a gap, which history fills.
    package var changes: [Change]?
    /// The state after the batch, for what the changes do not hold. A gap keeps no view alive.
    package var view: ReadView?
    /// Bytes of keys and values that the batch keeps in memory.
    package var byteCount: Int

    package init(from: Revision, to: Revision, changes: [Change], view: ReadView) {
        self.from = from
        self.to = to
        self.changes = changes
        self.view = view
        byteCount = changes.reduce(0) { $0 + $1.keyValue.key.count + $1.keyValue.value.count }
    }

    /// A gap.
    package init(from: Revision, to: Revision) {
        self.from = from
        self.to = to
        byteCount = 0
    }

    var isGap: Bool { changes == nil }
}
