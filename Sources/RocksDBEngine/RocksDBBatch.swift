import CRocksDB
import StorageEngine

/// Rows lie in one key space, each under its table's number and its key: so one batch, one log and one tree hold them
/// all, and a commit is one record.
enum RocksDBKey {
    static let prefixBytes = 1

    /// Calls `body` with the row's key. Valid during the call.
    @inline(__always)
    static func with<R>(
        _ table: Table, _ key: UnsafeRawBufferPointer, _ body: (UnsafePointer<CChar>, Int) throws -> R
    ) rethrows -> R {
        let count = prefixBytes + key.count
        return unsafe try withUnsafeTemporaryAllocation(byteCount: count, alignment: 1) { buffer in
            unsafe buffer[0] = table.rawValue
            if let source = key.baseAddress {
                unsafe (buffer.baseAddress! + prefixBytes).copyMemory(from: source, byteCount: key.count)
            }
            return unsafe try body(buffer.baseAddress!.assumingMemoryBound(to: CChar.self), count)
        }
    }
}

/// Writes that reach the database together.
@safe final class RocksDBBatch {
    let handle: OpaquePointer

    init() { unsafe handle = rocksdb_writebatch_create() }

    deinit { unsafe rocksdb_writebatch_destroy(handle) }

    func put(_ table: Table, _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        unsafe RocksDBKey.with(table, key) { key, count in
            unsafe rocksdb_writebatch_put(
                handle, key, count, value.baseAddress?.assumingMemoryBound(to: CChar.self) ?? key, value.count)
        }
    }

    func delete(_ table: Table, _ key: UnsafeRawBufferPointer) {
        unsafe RocksDBKey.with(table, key) { key, count in unsafe rocksdb_writebatch_delete(handle, key, count) }
    }
}
