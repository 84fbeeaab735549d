import CLMDB
import StorageEngine

/// One read transaction, which any number of threads read at once.
///
/// LMDB's manual asks that a transaction be used by one thread at a time. For a read-only one that is stricter than
/// the library is: `mdb_get`, and the moves of cursors that are each one thread's own, write to nothing that they
/// share, but for one thing. A named database's root is looked up when a transaction first uses it, and stored in the
/// transaction (`DB_STALE` in `mdb_page_search`); so every table is used once here, before another thread sees the
/// snapshot. Beyond that `mdb_get` works on a cursor on its stack, `mdb_cursor_open` registers cursors with write
/// transactions only (`mt_cursors` is null in readers), and `mdb_page_get` writes to the transaction only when a page
/// does not exist, where the member stops. Read in 0.9.24 to 0.9.31. `MDB_NOTLS` frees the transaction of the thread
/// that began it.
@safe final class LMDBSnapshot: EngineSnapshot, @unchecked Sendable {
    let environment: LMDBEnvironment
    private let transaction: LMDBEnvironment.Transaction
    private let longRows: TreeSet
    private let rowCounts: InlineArray<5, Int>
    /// All that this snapshot can see lies before it.
    let usedEnd: UInt

    init(_ environment: LMDBEnvironment) throws(EngineError) {
        let (transaction, longRows) = try environment.beginRead()
        var rowCounts = InlineArray<5, Int>(repeating: 0)
        var code: Int32 = MDB_SUCCESS
        for table in Table.allCases where code == MDB_SUCCESS {
            var status = MDB_stat()
            code = unsafe mdb_stat(transaction.handle, environment.table(table), &status)
            rowCounts[Int(table.rawValue)] = Int(status.ms_entries) + longRows.index.count(table)
        }
        var status = MDB_stat()
        if code == MDB_SUCCESS { code = unsafe mdb_stat(transaction.handle, environment.longTable, &status) }
        if code != MDB_SUCCESS {
            environment.endRead(transaction)
            throw LMDBFailure.error(code, "\(environment.path): a snapshot")
        }
        self.environment = environment
        self.transaction = transaction
        self.longRows = longRows.index
        self.rowCounts = rowCounts
        usedEnd = environment.usedEnd
    }

    deinit { environment.endRead(transaction) }

    func withValue<R>(
        _ table: Table, _ key: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer?) throws -> R
    ) rethrows -> R {
        defer { withExtendedLifetime(self) {} }
        if unsafe environment.fits(key) { return unsafe try body(value(environment.table(table), key)) }
        let value = unsafe longRows.withValue(table, key) { id in unsafe id.map { unsafe longValue(id: $0) } }
        return unsafe try body(value)
    }

    func makeCursor(_ table: Table) -> any EngineCursor {
        let cursor = LMDBCursor(self, table)
        if longRows.isEmpty(table) { return cursor }
        return LongRowCursor(self, longRows.makeCursor(table), cursor)
    }

    func isEmpty(_ table: Table) -> Bool { rowCounts[Int(table.rawValue)] == 0 }

    /// Valid as long as the snapshot is.
    private func value(_ database: MDB_dbi, _ key: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        var key = unsafe MDB_val(key)
        var value = unsafe MDB_val()
        let code = unsafe mdb_get(transaction.handle, database, &key, &value)
        if code == MDB_SUCCESS {
            unsafe environment.check(value, before: usedEnd)
            return unsafe value.bytes
        }
        if code == MDB_NOTFOUND { return nil }
        environment.stop(code)
    }

    /// Valid as long as the snapshot is.
    func longValue(id: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        guard let bytes = unsafe value(environment.longTable, id), let row = unsafe LongRow.decode(bytes) else {
            environment.stop(MDB_CORRUPTED)
        }
        return unsafe row.value
    }

    func openCursor(_ table: Table) -> OpaquePointer {
        var cursor: OpaquePointer? = nil
        let code = unsafe mdb_cursor_open(transaction.handle, environment.table(table), &cursor)
        guard code == MDB_SUCCESS, let cursor = unsafe cursor else { environment.stop(code) }
        return unsafe cursor
    }
}
