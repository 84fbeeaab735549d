import CRocksDB
import StorageEngine

/// A place among a table's rows. The iterator pins what it reads from: the bytes of a row lie in a block or a buffer
/// that stays until it moves.
@safe final class RocksDBCursor: EngineCursor {
    private let snapshot: RocksDBSnapshot
    private let table: Table
    private let iterator: OpaquePointer
    private var isPlaced = false

    init(_ snapshot: RocksDBSnapshot, _ table: Table, _ iterator: OpaquePointer) {
        self.snapshot = snapshot
        self.table = table
        unsafe self.iterator = unsafe iterator
    }

    deinit { unsafe rocksdb_iter_destroy(iterator) }

    func seek(_ key: UnsafeRawBufferPointer) -> Bool {
        unsafe RocksDBKey.with(table, key) { key, count in unsafe rocksdb_iter_seek(iterator, key, count) }
        return settle()
    }

    func seekBefore(_ key: UnsafeRawBufferPointer) -> Bool {
        // To the last row that is not greater, which may be the key's own.
        let isThere = unsafe RocksDBKey.with(table, key) { key, count in
            unsafe rocksdb_iter_seek_for_prev(iterator, key, count)
            guard settle() else { return false }
            let wanted = unsafe UnsafeRawBufferPointer(start: key, count: count)
            return unsafe rowKey.elementsEqual(wanted)
        }
        if isThere { unsafe rocksdb_iter_prev(iterator) }
        return isThere ? settle() : isPlaced
    }

    func first() -> Bool {
        unsafe rocksdb_iter_seek_to_first(iterator)
        return settle()
    }

    func last() -> Bool {
        unsafe rocksdb_iter_seek_to_last(iterator)
        return settle()
    }

    func next() -> Bool {
        guard isPlaced else { return false }
        unsafe rocksdb_iter_next(iterator)
        return settle()
    }

    func previous() -> Bool {
        guard isPlaced else { return false }
        unsafe rocksdb_iter_prev(iterator)
        return settle()
    }

    private func settle() -> Bool {
        isPlaced = unsafe rocksdb_iter_valid(iterator) != 0
        if isPlaced { return true }
        // At an end, or at a block that is damaged.
        var message: UnsafeMutablePointer<CChar>? = nil
        unsafe rocksdb_iter_get_error(iterator, &message)
        if let text = unsafe RocksDBDatabase.take(message) { RocksDBFailure.stop(snapshot.database.path, text) }
        return false
    }

    /// With the table's number.
    private var rowKey: UnsafeRawBufferPointer {
        var count = 0
        let start = unsafe rocksdb_iter_key(iterator, &count)
        return unsafe UnsafeRawBufferPointer(start: start, count: count)
    }

    var key: UnsafeRawBufferPointer {
        precondition(isPlaced, "a cursor at no place was read")
        return unsafe UnsafeRawBufferPointer(rebasing: rowKey[RocksDBKey.prefixBytes...])
    }

    var value: UnsafeRawBufferPointer {
        precondition(isPlaced, "a cursor at no place was read")
        var count = 0
        let start = unsafe rocksdb_iter_value(iterator, &count)
        return unsafe UnsafeRawBufferPointer(start: start, count: count)
    }
}
