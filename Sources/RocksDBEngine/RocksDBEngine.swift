import CRocksDB
package import StorageEngine
import Synchronization

/// An engine on RocksDB's log-structured tree, in a directory of its own: for states that are written far more than
/// they are read, or that shall take little room on disk (`Documentation/engines.md`).
///
/// Every commit is one write batch, and its record in RocksDB's own log is synced before it returns. What the directory
/// looks like is in `Documentation/formats/rocksdb-engine.md`, why in decision 0022.
package final class RocksDBEngine: StorageEngine {
    package struct Options: Sendable {
        /// Blocks that were read, uncompressed, and the tables' indexes: RocksDB's memory for reading.
        package var blockCacheBytes = 32 << 20
        /// What is gathered in memory before it becomes a table. Two of these may be there at once, and as much of the
        /// log is read when the engine is opened.
        package var writeBufferBytes = 32 << 20
        /// Tables that are kept open.
        package var openFilesMax = 512
        /// A block is what is compressed, checked and read at once.
        package var blockBytes = 16 << 10

        package init() {}
    }

    /// nil once closed.
    private let database: Mutex<RocksDBDatabase?>
    /// Commits come from one thread at a time; this makes sure of it.
    private let commits = Mutex<Void>(())

    /// Whether there is an engine in the directory, whole or damaged. One whose making was cut off is none.
    package static func exists(at path: String) -> Bool { RocksDBDirectory(path: path).holdsEngine }

    /// Opens the engine in the directory, or makes both.
    package init(path: String, options: Options = Options()) throws(EngineError) {
        database = Mutex(try RocksDBDatabase(path: path, options: options))
    }

    private func open() throws(EngineError) -> RocksDBDatabase {
        guard let database = database.withLock({ $0 }) else { throw .io("the engine is closed") }
        return database
    }

    package func snapshot() throws(EngineError) -> any EngineSnapshot { RocksDBSnapshot(try open()) }

    package func commit(_ batch: [Mutation]) throws(EngineError) {
        let writes = RocksDBBatch()
        for mutation in batch {
            switch mutation {
            case .put(let table, let key, let value):
                unsafe key.withUnsafeBytes { key in
                    unsafe value.withUnsafeBytes { value in unsafe writes.put(table, key, value) }
                }
            case .delete(let table, let key): unsafe key.withUnsafeBytes { unsafe writes.delete(table, $0) }
            }
        }
        try write(writes)
    }

    package func commit(_ overlay: TreeSet) throws(EngineError) {
        let writes = RocksDBBatch()
        for table in Table.allCases where !overlay.isEmpty(table) {
            var rows = overlay.makeCursor(table)
            var more = rows.first()
            while more {
                if let value = unsafe rows.value {
                    unsafe writes.put(table, rows.key, value)
                } else {
                    unsafe writes.delete(table, rows.key)
                }
                more = rows.next()
            }
        }
        try write(writes)
    }

    private func write(_ writes: RocksDBBatch) throws(EngineError) {
        let database = try open()
        let result: Result<Void, EngineError> = commits.withLock { _ in
            Result { () throws(EngineError) in try database.write(writes) }
        }
        try result.get()
    }

    package func size() -> (total: Int, inUse: Int) {
        database.withLock { $0 }?.size() ?? (0, 0)
    }

    /// Snapshots that are still held keep the database open.
    package func close() {
        database.withLock { $0 = nil }
    }

    /// RocksDB opens its tables when they are needed, and by their names: those must stay as long as anybody reads.
    package func close(thenRemove remove: @escaping @Sendable () -> Void) {
        let open = database.withLock { database in
            defer { database = nil }
            return database
        }
        guard let open else { return remove() }
        open.removeAtEnd(remove)
    }
}
