extension State {
    /// How far revisions can be moved: so far that nobody gets to their end, however often it is done.
    package static let bumpMax: Int64 = 1 << 56

    /// Makes the first state of a new cluster of one that another cluster had: all keys, history and leases stay, and
    /// it stands at `position` of a log that has not begun.
    ///
    /// Where revisions move on by `bump`, everything up to the new revision counts as compacted: what a client knew
    /// under the old revisions, some of them perhaps later than the snapshot, is answered "compacted", and it looks
    /// again. Its rows go in steps, as after any compaction. The lease clock goes on where it was, so leases have the
    /// time left that they had.
    package mutating func beginAnew(
        at position: LogPosition, movingRevisionsBy bump: Int64
    ) throws(StateError) {
        if let failure { throw failure }
        precondition(
            (0...Self.bumpMax).contains(bump) && row.revision.rawValue <= Int64.max - Self.bumpMax,
            "revision \(row.revision.rawValue) moved by \(bump)")
        row.applied = position
        guard bump > 0 else { return }
        row.revision = Revision(row.revision.rawValue + bump)
        row.compactRevision = row.revision
    }
}
