import CRocksDB
import StorageEngine

/// A moment of the database. RocksDB lets any number of threads read by one snapshot.
@safe final class RocksDBSnapshot: EngineSnapshot, @unchecked Sendable {
    let database: RocksDBDatabase
    private let snapshot: OpaquePointer
    /// For single rows, then for each table's cursors, which end where the table does.
    private let reading: OpaquePointer
    private let walking: InlineArray<5, Walk>

    @safe private struct Walk {
        let options: OpaquePointer
    }

    init(_ database: RocksDBDatabase) {
        self.database = database
        let snapshot = unsafe rocksdb_create_snapshot(database.handle)!
        unsafe self.snapshot = unsafe snapshot
        unsafe reading = RocksDBSnapshot.options(snapshot)
        walking = InlineArray { index in
            let options = unsafe RocksDBSnapshot.options(snapshot)
            let bounds = unsafe RocksDBBounds.shared.bounds(ofTable: index)
            unsafe rocksdb_readoptions_set_iterate_lower_bound(options, bounds.lower, 1)
            unsafe rocksdb_readoptions_set_iterate_upper_bound(options, bounds.upper, 1)
            return unsafe Walk(options: options)
        }
    }

    private static func options(_ snapshot: OpaquePointer) -> OpaquePointer {
        let options = unsafe rocksdb_readoptions_create()!
        unsafe rocksdb_readoptions_set_snapshot(options, snapshot)
        unsafe rocksdb_readoptions_set_verify_checksums(options, 1)
        return unsafe options
    }

    deinit {
        for index in walking.indices { unsafe rocksdb_readoptions_destroy(walking[index].options) }
        unsafe rocksdb_readoptions_destroy(reading)
        unsafe rocksdb_release_snapshot(database.handle, snapshot)
    }

    func withValue<R>(
        _ table: Table, _ key: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer?) throws -> R
    ) rethrows -> R {
        defer { withExtendedLifetime(self) {} }
        var message: UnsafeMutablePointer<CChar>? = nil
        let pinned = unsafe RocksDBKey.with(table, key) { key, count in
            unsafe rocksdb_get_pinned(database.handle, reading, key, count, &message)
        }
        if let text = unsafe RocksDBDatabase.take(message) { RocksDBFailure.stop(database.path, text) }
        guard let pinned = unsafe pinned else { return try body(nil) }
        defer { unsafe rocksdb_pinnableslice_destroy(pinned) }
        var count = 0
        let start = unsafe rocksdb_pinnableslice_value(pinned, &count)
        return unsafe try body(UnsafeRawBufferPointer(start: start, count: count))
    }

    func makeCursor(_ table: Table) -> any EngineCursor {
        let iterator = unsafe rocksdb_create_iterator(database.handle, walking[Int(table.rawValue)].options)!
        return unsafe RocksDBCursor(self, table, iterator)
    }
}

/// The first byte of each table's rows, and of the table behind it. RocksDB keeps pointers to them.
@safe private struct RocksDBBounds: @unchecked Sendable {
    static let shared = RocksDBBounds()

    private let bytes: UnsafeMutablePointer<CChar>

    private init() {
        let count = Table.allCases.count + 1
        unsafe bytes = .allocate(capacity: count)
        for index in 0..<count { unsafe bytes[index] = CChar(index) }
    }

    func bounds(ofTable index: Int) -> (lower: UnsafePointer<CChar>, upper: UnsafePointer<CChar>) {
        unsafe (UnsafePointer(bytes + index), UnsafePointer(bytes + index + 1))
    }
}
