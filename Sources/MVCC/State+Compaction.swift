internal import StorageEngine

/// The removal of compacted rows, in small steps that never stop the world.
///
/// What is kept at a compact revision C: everything at C and after, so that a watch may start at C, and of each key the
/// newest version before or at C unless it is a deletion. So a row before C goes if its key has a later one up to C, or
/// if it is a deletion.
///
/// Rows that outlived a finished compaction at P and were not followed by changes in P...C stay. So only the changes
/// from P on are looked at: each removes the row before it, and itself if it is a deletion. The work is that of the
/// changes since the last compaction, not that of the whole state.
extension State {
    /// Whether there is something for ``compactStep(maxRows:)`` to do.
    package var needsCompaction: Bool { row.finishedCompactRevision < row.compactRevision }

    mutating func schedule(compactionAt revision: Revision) {
        // The changes at the old target were looked at under its rule, which keeps them.
        if let place = compactionPlace, place.revision >= row.compactRevision {
            compactionPlace = ChangeID(revision: row.compactRevision, number: 0)
        }
        row.compactRevision = revision
    }

    /// Looks at up to `maxRows` changes; true if nothing is left to do. What a step removed goes to the engine in the
    /// same batches as everything else; after a restart an unfinished removal begins again where the last finished one
    /// ended, and finds less to do.
    package mutating func compactStep(maxRows: Int) throws(StateError) -> Bool {
        if let failure { throw failure }
        precondition(maxRows > 0, "a step of no rows does not end")
        guard needsCompaction else { return true }
        let target = row.compactRevision
        var removals: [Removal] = []
        let next: ChangeID?
        do throws(StateError) {
            next = try findRemovals(&removals, maxRows: maxRows)
        } catch {
            failure = error
            throw error
        }
        for removal in removals {
            store.delete(.versions, key: removal.version)
            store.delete(.revisions, key: removal.revision)
        }
        if let next {
            compactionPlace = next
            return false
        }
        compactionPlace = nil
        row.finishedCompactRevision = target
        return true
    }

    /// The keys of the two rows that one version has.
    private struct Removal {
        var version: [UInt8]
        var revision: [UInt8]
    }

    /// Walks the changes from where the last step stopped; the change to go on with, nil if there is none up to the
    /// target.
    private func findRemovals(_ removals: inout [Removal], maxRows: Int) throws(StateError) -> ChangeID? {
        let view = store.view
        let changes = view.makeCursor(.revisions)
        let versions = view.makeCursor(.versions)
        let start = compactionPlace ?? ChangeID(revision: max(row.finishedCompactRevision, .first), number: 0)
        var more = unsafe RevisionRow.withKey(start) { unsafe changes.seek($0) }
        for _ in 0..<maxRows {
            guard more else { return nil }
            let change = try unsafe RevisionRow.change(changes.key)
            guard change.revision <= row.compactRevision else { return nil }
            let (kind, key) = unsafe try RevisionRow.content(changes.value)
            try unsafe findRemovals(&removals, change, kind, key, versions)
            more = changes.next()
        }
        guard more else { return nil }
        let next = try unsafe RevisionRow.change(changes.key)
        return next.revision <= row.compactRevision ? next : nil
    }

    private func findRemovals(
        _ removals: inout [Removal], _ change: ChangeID, _ kind: Change.Kind, _ key: UnsafeRawBufferPointer,
        _ versions: LayeredCursor
    ) throws(StateError) {
        let target = row.compactRevision
        var prefixCount = 0
        let isFound = unsafe VersionKey.withPrefix(key) { prefix, count in
            prefixCount = count
            unsafe VersionKey.storeChange(change.revision.rawValue, change.number, at: prefix.baseAddress! + count)
            let row = UnsafeRawBufferPointer(prefix)
            return unsafe versions.seek(row) && haveEqualBytes(versions.key, row)
        }
        guard isFound else {
            throw .corrupt(
                unsafe "versions: no row for change \(change.revision.rawValue).\(change.number) of key \(hex(key))")
        }
        let isDeletion = try unsafe VersionRecord.isDeletion(row: versions.key, versions.value)
        guard isDeletion == (kind == .delete) else {
            throw .corrupt("revisions: change \(change.revision.rawValue).\(change.number) is not what its version is")
        }
        let row = unsafe Array(versions.key)
        if isDeletion, change.revision < target || dropsCompactedDelete {
            removals.append(Removal(version: row, revision: RevisionRow.encodeKey(change)))
        }
        // Of the rows before it only the newest can still be there: the others went when that one was looked at, now or
        // by an earlier compaction.
        guard versions.next() else { return }
        let older = unsafe versions.key
        let isSameKey = unsafe withBytes(row) { row in
            unsafe older.count == row.count
                && haveEqualBytes(
                    UnsafeRawBufferPointer(rebasing: older[..<prefixCount]),
                    UnsafeRawBufferPointer(rebasing: row[..<prefixCount]))
        }
        guard isSameKey else { return }
        let olderChange = unsafe ChangeID(
            revision: Revision(VersionKey.revision(older, prefixCount)), number: VersionKey.number(older, prefixCount))
        if olderChange.revision < target {
            unsafe removals.append(Removal(version: Array(older), revision: RevisionRow.encodeKey(olderChange)))
        }
    }
}
