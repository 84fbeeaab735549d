internal import StorageEngine

/// Reads of one moment of the store: what apply and views have in common.
///
/// The layers under it are of one moment, and `revision` is the store's at that moment: a view is taken between two
/// commands, and a command's own reads count what it has written. So no row is newer than `revision`, and one that is
/// was damaged: it would be passed over as not visible yet, and an older version be told in its place. Whoever looks
/// for a key's version therefore looks at its first row, and stops the member if that one is too new.
///
/// Bytes that it hands out are valid until its cursor moves or goes.
struct VersionReader {
    let cursor: LayeredCursor
    /// The store's revision, and so the newest that there can be.
    let revision: Int64
    let compactRevision: Int64

    /// A visible version of a key: its row and record, still in the store's memory.
    @safe struct Row {
        var key: UnsafeRawBufferPointer
        var prefixCount: Int
        var record: UnsafeRawBufferPointer

        var revision: Int64 { unsafe VersionKey.revision(key, prefixCount) }
        var content: VersionRecord { get throws(StateError) { try unsafe VersionRecord(row: key, record) } }
    }

    // MARK: One key

    /// The version of `key` that is visible at `revision`; nil if there is none or it is a deletion. One seek for the
    /// newest, mostly two for an older one; they end in the newest layer that has such a row, since versions of a key
    /// only become newer.
    func find(_ key: UnsafeRawBufferPointer, at revision: Int64) throws(StateError) -> Row? {
        let found: Result<Int, StateError> = unsafe VersionKey.withPrefix(key) { buffer, prefixCount in
            let prefix = unsafe UnsafeRawBufferPointer(rebasing: buffer[..<prefixCount])
            guard unsafe cursor.seekNewest(prefix, prefixCount: prefixCount), unsafe hasPrefix(cursor.key, prefix)
            else { return .success(0) }
            do throws(StateError) {
                if try unsafe checkedRevision(cursor.key, prefixCount) <= revision { return .success(prefixCount) }
            } catch {
                return .failure(error)
            }
            unsafe VersionKey.storeChange(revision, .max, at: buffer.baseAddress! + prefixCount)
            let isFound = unsafe cursor.seekNewest(UnsafeRawBufferPointer(buffer), prefixCount: prefixCount)
            return unsafe .success(isFound && hasPrefix(cursor.key, prefix) ? prefixCount : 0)
        }
        let prefixCount = try found.get()
        guard prefixCount > 0 else { return nil }
        let row = unsafe Row(key: cursor.key, prefixCount: prefixCount, record: cursor.value)
        return try unsafe VersionRecord.isDeletion(row: row.key, row.record) ? nil : row
    }

    /// The revision of a key's first row; throws if the row's key is none of ours, or newer than the store.
    private func checkedRevision(_ row: UnsafeRawBufferPointer, _ prefixCount: Int) throws(StateError) -> Int64 {
        let found = unsafe VersionKey.revision(row, prefixCount)
        // A row whose key is of another form has a negative one here.
        guard found >= 0, found <= revision else {
            _ = try unsafe VersionKey.checkedPrefixCount(row)
            throw unsafe VersionKey.tooNew(row, found, head: revision)
        }
        return found
    }

    /// The pair that is visible at `revision`, its checksum found right.
    func pair(_ key: UnsafeRawBufferPointer, at revision: Int64) throws(StateError) -> BorrowedKeyValue? {
        guard let row = try unsafe find(key, at: revision) else { return nil }
        return unsafe BorrowedKeyValue(key: key, revision: row.revision, content: try row.content)
    }

    // MARK: Many keys

    /// How many rows of one key a scan steps over before it seeks: a seek costs about as much as so many steps.
    static let stepsBeforeSeek = 4

    /// Calls `body` with each key of the range that is live at `revision`, in the order of keys, until it says false.
    func scan(
        _ range: KeyRange, at revision: Int64, _ body: (Row) throws(StateError) -> Bool
    ) throws(StateError) {
        if case .single = range.end {
            let row = try unsafe withBytes(range.key) { key throws(StateError) in try unsafe find(key, at: revision) }
            if let row { _ = try body(row) }
            return
        }
        var end = ByteScratch(capacity: 0)
        if case .upTo(let key) = range.end {
            unsafe key.withUnsafeBytes { key in
                _ = unsafe VersionKey.storePrefix(key, at: end.resize(VersionKey.prefixCount(key)))
            }
        }
        var prefix = ByteScratch()
        var more = unsafe withBytes(range.key) { key in
            unsafe VersionKey.withPrefix(key) { prefix, count in
                unsafe cursor.seek(UnsafeRawBufferPointer(rebasing: prefix[..<count]))
            }
        }
        while more {
            let key = unsafe cursor.key
            if end.count > 0, unsafe compareBytes(key, end.bytes) >= 0 { return }
            let prefixCount = try unsafe VersionKey.checkedPrefixCount(key)
            unsafe prefix.assign(UnsafeRawBufferPointer(rebasing: key[..<prefixCount]))
            let newest = unsafe VersionKey.revision(key, prefixCount)
            if newest > revision {
                if newest > self.revision { throw unsafe VersionKey.tooNew(key, newest, head: self.revision) }
                // The newest are too new for what is asked: on to the one that is visible.
                switch skipNewer(&prefix, than: revision) {
                case .found: break
                case .nextKey: continue
                case .end: return
                }
            }
            let row = unsafe Row(key: cursor.key, prefixCount: prefixCount, record: cursor.value)
            if unsafe !(try VersionRecord.isDeletion(row: row.key, row.record)), !(try body(row)) { return }
            more = skipOlder(&prefix)
        }
    }

    private enum Skipped {
        case found
        case nextKey
        case end
    }

    /// From a version of the key in `prefix` that is newer than `revision` to the newest that is not.
    private func skipNewer(_ prefix: inout ByteScratch, than revision: Int64) -> Skipped {
        let prefixCount = prefix.count
        for _ in 0..<Self.stepsBeforeSeek {
            guard cursor.next() else { return .end }
            guard unsafe hasPrefix(cursor.key, prefix.bytes) else { return .nextKey }
            if unsafe VersionKey.revision(cursor.key, prefixCount) <= revision { return .found }
        }
        unsafe VersionKey.storeChange(
            revision, .max, at: prefix.grow(to: prefixCount + VersionKey.changeBytes) + prefixCount)
        let isFound = unsafe cursor.seek(prefix.bytes)
        prefix.shrink(to: prefixCount)
        guard isFound else { return .end }
        return unsafe hasPrefix(cursor.key, prefix.bytes) ? .found : .nextKey
    }

    /// From a version of the key in `prefix` to the first of the next key; false at the table's end.
    private func skipOlder(_ prefix: inout ByteScratch) -> Bool {
        for _ in 0..<Self.stepsBeforeSeek {
            guard cursor.next() else { return false }
            guard unsafe hasPrefix(cursor.key, prefix.bytes) else { return true }
        }
        // No key's prefix ends so, and every other key's rows that follow are beyond it.
        prefix.setLast(2)
        return unsafe cursor.seek(prefix.bytes)
    }

    /// Whether a row's key is the one in `prefix` with a change behind it.
    private func hasPrefix(_ row: UnsafeRawBufferPointer, _ prefix: UnsafeRawBufferPointer) -> Bool {
        unsafe row.count == prefix.count + VersionKey.changeBytes
            && haveEqualBytes(UnsafeRawBufferPointer(rebasing: row[..<prefix.count]), prefix)
    }
}

extension BorrowedKeyValue {
    init(key: UnsafeRawBufferPointer, revision: Int64, content: VersionRecord) {
        unsafe self.init(
            key: key, value: content.value, createRevision: Revision(content.createRevision),
            modRevision: Revision(revision), version: content.version, lease: LeaseID(content.lease))
    }
}

/// `withUnsafeBytes` for bodies with typed errors.
func withBytes<R, E: Error>(_ bytes: [UInt8], _ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
    let result: Result<R, E> = unsafe bytes.withUnsafeBytes { raw in
        Result { () throws(E) in try unsafe body(raw) }
    }
    return try result.get()
}
