internal import ByteCodec
package import StorageEngine

/// All rows of a state as of one view, table by table, each table in the order of its keys: what a snapshot file is
/// made of. The state's own row is made of the view: in the tables it may be older than what stands beside it.
///
/// Used by one thread at a time.
package struct StateRows {
    private let layers: LayeredView
    private let stateRow: [UInt8]
    private let head: Int64
    private var tables = Table.allCases[...]
    private var cursor: LayeredCursor?
    /// Whether the row at hand is the state's own, which no cursor stands on.
    private var isAtStateRow = false
    /// The key of the last version, in the rows' form: a key's newest version comes first.
    private var lastPrefix: [UInt8] = []
    private var isAtFirstVersion = true
    /// Keys that are there at the view's revision, among the rows so far.
    package private(set) var keyCount: UInt64 = 0

    package init(_ view: ReadView) {
        layers = view.layers
        stateRow = StateRow(view).encode()
        head = view.revision.rawValue
    }

    /// To the next row, the first time to the first; false after the last. A version whose checksum is wrong is an
    /// error: nobody keeps a copy of damage unknowingly.
    package mutating func next() throws(StateError) -> Bool {
        while let table = tables.first {
            if move(in: table) {
                if table == .versions, let cursor { try lookAt(cursor) }
                return true
            }
            cursor = nil
            tables = tables.dropFirst()
        }
        return false
    }

    private mutating func move(in table: Table) -> Bool {
        guard let cursor else {
            let cursor = layers.makeCursor(table)
            self.cursor = cursor
            isAtStateRow = table == .meta
            return isAtStateRow || cursor.first()
        }
        var more = isAtStateRow ? cursor.first() : cursor.next()
        isAtStateRow = false
        while more, table == .meta, unsafe cursor.key.elementsEqual(StateRow.rowKey) { more = cursor.next() }
        return more
    }

    private mutating func lookAt(_ cursor: LayeredCursor) throws(StateError) {
        let row = unsafe cursor.key
        let record = unsafe cursor.value
        let prefixCount = try unsafe VersionKey.checkedPrefixCount(row)
        let revision = unsafe VersionKey.revision(row, prefixCount)
        guard revision <= head else { throw unsafe VersionKey.tooNew(row, revision, head: head) }
        try unsafe VersionRecord.verify(row: row, record)
        let prefix = unsafe UnsafeRawBufferPointer(rebasing: row[..<prefixCount])
        let isSameKey = unsafe withBytes(lastPrefix) { unsafe haveEqualBytes($0, prefix) }
        guard isAtFirstVersion || !isSameKey else { return }
        isAtFirstVersion = false
        lastPrefix.removeAll(keepingCapacity: true)
        unsafe lastPrefix.append(contentsOf: prefix)
        if unsafe try !VersionRecord.isDeletion(row: row, record) { keyCount += 1 }
    }

    /// Calls `body` with the row that the last ``next()`` moved to; its bytes are valid during the call.
    package func withRow<R>(
        _ body: (_ table: Table, _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> R
    ) -> R {
        guard let table = tables.first, let cursor else { preconditionFailure("no row is at hand") }
        guard isAtStateRow else { return unsafe body(table, cursor.key, cursor.value) }
        return unsafe withBytes(StateRow.rowKey) { key in
            unsafe withBytes(stateRow) { value in unsafe body(table, key, value) }
        }
    }
}

extension StateRows {
    /// CRC-32C of all rows, in their order. Holds the thread for as long as the whole state takes to read.
    package static func checksum(of view: ReadView) throws(StateError) -> UInt32 {
        var rows = StateRows(view)
        var sum = CRC32C()
        while try rows.next() {
            rows.withRow { _, key, value in
                unsafe sum.update(key)
                unsafe sum.update(value)
            }
        }
        return sum.value
    }
}

extension StateRow {
    init(_ view: ReadView) {
        applied = view.applied
        revision = view.revision
        compactRevision = view.compactRevision
        finishedCompactRevision = view.finishedCompactRevision
        leaseClock = view.leaseClock
        runningHash = view.runningHash
    }
}
