import CLMDB
import StorageEngine

/// A place among those rows of a table that LMDB holds under their own keys.
@safe final class LMDBCursor: EngineCursor {
    private let snapshot: LMDBSnapshot
    private let cursor: OpaquePointer
    // Two variables: LMDB is given both at once to write to.
    private var rowKey = unsafe MDB_val()
    private var rowValue = unsafe MDB_val()
    /// LMDB's cursors keep a place at either end; these do not.
    private var isPlaced = false

    init(_ snapshot: LMDBSnapshot, _ table: Table) {
        self.snapshot = snapshot
        unsafe cursor = unsafe snapshot.openCursor(table)
    }

    deinit { unsafe mdb_cursor_close(cursor) }

    func seek(_ key: UnsafeRawBufferPointer) -> Bool {
        // LMDB takes no empty key, and all others come after it.
        if unsafe key.isEmpty { return move(MDB_FIRST) }
        unsafe rowKey = unsafe MDB_val(key)
        return move(MDB_SET_RANGE)
    }

    func seekBefore(_ key: UnsafeRawBufferPointer) -> Bool {
        if unsafe key.isEmpty {
            isPlaced = false
            return false
        }
        unsafe rowKey = unsafe MDB_val(key)
        return move(MDB_SET_RANGE) ? move(MDB_PREV) : move(MDB_LAST)
    }

    func first() -> Bool { move(MDB_FIRST) }
    func last() -> Bool { move(MDB_LAST) }
    func next() -> Bool { isPlaced && move(MDB_NEXT) }
    func previous() -> Bool { isPlaced && move(MDB_PREV) }

    private func move(_ operation: MDB_cursor_op) -> Bool {
        let code = unsafe mdb_cursor_get(cursor, &rowKey, &rowValue, operation)
        isPlaced = code == MDB_SUCCESS
        if isPlaced {
            unsafe snapshot.environment.check(rowKey, before: snapshot.usedEnd)
            unsafe snapshot.environment.check(rowValue, before: snapshot.usedEnd)
            return true
        }
        if code == MDB_NOTFOUND { return false }
        snapshot.environment.stop(code)
    }

    var key: UnsafeRawBufferPointer {
        precondition(isPlaced, "a cursor at no place was read")
        return unsafe rowKey.bytes
    }

    var value: UnsafeRawBufferPointer {
        precondition(isPlaced, "a cursor at no place was read")
        return unsafe rowValue.bytes
    }
}

/// A place in a table some of whose rows have keys that LMDB cannot hold: both kinds in one order.
@safe final class LongRowCursor: EngineCursor {
    private let snapshot: LMDBSnapshot
    private let merged: LayeredCursor

    init(_ snapshot: LMDBSnapshot, _ longRows: TreeCursor, _ rows: LMDBCursor) {
        self.snapshot = snapshot
        merged = LayeredCursor(active: longRows, frozen: nil, engine: rows)
    }

    func seek(_ key: UnsafeRawBufferPointer) -> Bool { unsafe merged.seek(key) }
    func seekBefore(_ key: UnsafeRawBufferPointer) -> Bool { unsafe merged.seekBefore(key) }
    func first() -> Bool { merged.first() }
    func last() -> Bool { merged.last() }
    func next() -> Bool { merged.next() }
    func previous() -> Bool { merged.previous() }
    var key: UnsafeRawBufferPointer { unsafe merged.key }
    var value: UnsafeRawBufferPointer {
        unsafe merged.isFromTree ? snapshot.longValue(id: merged.value) : merged.value
    }
}
