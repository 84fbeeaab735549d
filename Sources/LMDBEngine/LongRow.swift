import CLMDB
import StorageEngine

/// A row whose key LMDB cannot hold: longer than 511 bytes, or empty.
///
/// It lies in a table of its own, `id -> table, key, value`; where its key belongs in its table's order is known from
/// an index in memory, loaded when the environment is opened. Such keys are rare (etcd allows them, hardly anyone uses
/// them), so the index costs nothing as a rule; where they are many, it costs their keys' bytes.
enum LongRow {
    /// `table: UInt8, key count: UInt32`.
    private static let headerBytes = 5

    static func encode(_ table: Table, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(headerBytes + key.count + value.count)
        bytes.append(table.rawValue)
        for shift in stride(from: 0 as UInt32, to: 32, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: UInt32(key.count) >> shift))
        }
        unsafe bytes.append(contentsOf: key)
        unsafe bytes.append(contentsOf: value)
        return bytes
    }

    /// The parts of a stored row; nil if it is none.
    static func decode(
        _ bytes: UnsafeRawBufferPointer
    ) -> (table: Table, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer)? {
        guard bytes.count >= headerBytes, let table = unsafe Table(rawValue: bytes[0]) else { return nil }
        let keyCount = unsafe Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 1, as: UInt32.self)))
        guard bytes.count - headerBytes >= keyCount else { return nil }
        let keyEnd = headerBytes + keyCount
        return unsafe (
            table, UnsafeRawBufferPointer(rebasing: bytes[headerBytes..<keyEnd]),
            UnsafeRawBufferPointer(rebasing: bytes[keyEnd...])
        )
    }

    /// An id as it is stored: most significant byte first, so that ids are in order.
    static func withID<R>(_ id: UInt64, _ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        unsafe try withUnsafeBytes(of: id.bigEndian) { unsafe try body($0) }
    }

    static func id(_ bytes: UnsafeRawBufferPointer) -> UInt64? {
        unsafe bytes.count == 8 ? UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)) : nil
    }

    /// The index over all stored rows.
    static func loadAll(
        _ transaction: OpaquePointer, _ table: MDB_dbi, _ path: String
    ) throws(EngineError) -> LMDBEnvironment.LongRows {
        var rows = LMDBEnvironment.LongRows()
        var opened: OpaquePointer? = nil
        unsafe try LMDBFailure.check(mdb_cursor_open(transaction, table, &opened), path)
        guard let cursor = unsafe opened else { throw .io("\(path): no cursor") }
        defer { unsafe mdb_cursor_close(cursor) }
        var key = unsafe MDB_val()
        var value = unsafe MDB_val()
        var code = unsafe mdb_cursor_get(cursor, &key, &value, MDB_FIRST)
        while code == MDB_SUCCESS {
            guard let id = unsafe id(key.bytes), let row = unsafe decode(value.bytes) else {
                throw .corrupt("\(path): a row in the table of long keys is none")
            }
            unsafe rows.index.set(row.table, row.key, key.bytes)
            rows.nextID = max(rows.nextID, id + 1)
            code = unsafe mdb_cursor_get(cursor, &key, &value, MDB_NEXT)
        }
        if code != MDB_NOTFOUND { throw LMDBFailure.error(code, path) }
        return rows
    }
}
