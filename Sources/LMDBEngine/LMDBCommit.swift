import CLMDB
import StorageEngine

#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// One write transaction: an overlay's rows, table by table, in key order.
@safe struct LMDBCommit: ~Copyable {
    private let environment: LMDBEnvironment
    private let transaction: OpaquePointer
    private var longRows: LMDBEnvironment.LongRows
    private var longRowsChanged = false
    private var isOpen = true

    init(_ environment: LMDBEnvironment) throws(EngineError) {
        var transaction: OpaquePointer? = nil
        unsafe try LMDBFailure.check(
            mdb_txn_begin(environment.handle, nil, 0, &transaction), "\(environment.path): a write transaction")
        guard let transaction = unsafe transaction else { throw .io("\(environment.path): no transaction") }
        self.environment = environment
        unsafe self.transaction = unsafe transaction
        longRows = environment.newestLongRows
    }

    deinit {
        if isOpen { unsafe mdb_txn_abort(transaction) }
    }

    consuming func run(_ overlay: TreeSet) throws(EngineError) {
        for table in Table.allCases where !overlay.isEmpty(table) { try write(table, overlay) }
        isOpen = false
        let id = unsafe Int(mdb_txn_id(transaction))
        if longRowsChanged { environment.willCommit(longRows, transaction: id) }
        let code = unsafe mdb_txn_commit(transaction)
        if longRowsChanged { environment.didCommit(transaction: id, succeeded: code == MDB_SUCCESS) }
        // A write that the disk had room for a part of only is `EIO` to LMDB.
        if code == EIO, environment.diskIsFull { throw .full("\(environment.path): a commit: the disk is full") }
        try LMDBFailure.check(code, "\(environment.path): a commit")
    }

    private mutating func write(_ table: Table, _ overlay: TreeSet) throws(EngineError) {
        let database = environment.table(table)
        var opened: OpaquePointer? = nil
        unsafe try LMDBFailure.check(mdb_cursor_open(transaction, database, &opened), environment.path)
        guard let cursor = unsafe opened else { throw .io("\(environment.path): no cursor") }
        defer { unsafe mdb_cursor_close(cursor) }

        let lastKey = unsafe try lastKey(cursor)
        // Once a key is past the table's end all that follow are: they fill pages to the brim.
        var isPastEnd = lastKey == nil
        var rows = overlay.makeCursor(table)
        var more = rows.first()
        while more {
            if unsafe environment.fits(rows.key) {
                if !isPastEnd, let lastKey {
                    isPastEnd = unsafe lastKey.withUnsafeBytes { unsafe compareKeys($0, rows.key) < 0 }
                }
                unsafe try write(rows, database, cursor, isPastEnd: isPastEnd)
            } else {
                unsafe try writeLong(table, rows.key, rows.value)
            }
            more = rows.next()
        }
    }

    private func lastKey(_ cursor: OpaquePointer) throws(EngineError) -> [UInt8]? {
        var key = unsafe MDB_val()
        var value = unsafe MDB_val()
        let code = unsafe mdb_cursor_get(cursor, &key, &value, MDB_LAST)
        if code == MDB_NOTFOUND { return nil }
        try LMDBFailure.check(code, environment.path)
        return unsafe [UInt8](key.bytes)
    }

    private func write(
        _ row: borrowing TreeCursor, _ database: MDB_dbi, _ cursor: OpaquePointer, isPastEnd: Bool
    ) throws(EngineError) {
        var key = unsafe MDB_val(row.key)
        if let bytes = unsafe row.value {
            var value = unsafe MDB_val(bytes)
            let code = unsafe mdb_cursor_put(cursor, &key, &value, isPastEnd ? UInt32(MDB_APPEND) : 0)
            try LMDBFailure.check(code, "\(environment.path): a put")
        } else {
            // There is no row past the end to delete.
            if isPastEnd { return }
            let code = unsafe mdb_del(transaction, database, &key, nil)
            if code != MDB_NOTFOUND { try LMDBFailure.check(code, "\(environment.path): a delete") }
        }
    }

    private mutating func writeLong(
        _ table: Table, _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer?
    ) throws(EngineError) {
        let known = unsafe longRows.index.withValue(table, key) { unsafe $0.flatMap { unsafe LongRow.id($0) } }
        if known == nil, unsafe value == nil { return }
        let id = known ?? longRows.nextID
        if known == nil { longRows.nextID += 1 }
        longRowsChanged = true
        let code = unsafe LongRow.withID(id) { idBytes in
            var idValue = unsafe MDB_val(idBytes)
            guard let value = unsafe value else {
                unsafe longRows.index.remove(table, key)
                return unsafe mdb_del(transaction, environment.longTable, &idValue, nil)
            }
            unsafe longRows.index.set(table, key, idBytes)
            return unsafe LongRow.encode(table, key: key, value: value).withUnsafeBytes { row in
                var row = unsafe MDB_val(row)
                return unsafe mdb_put(transaction, environment.longTable, &idValue, &row, 0)
            }
        }
        try LMDBFailure.check(code, "\(environment.path): a row with a long key")
    }
}
