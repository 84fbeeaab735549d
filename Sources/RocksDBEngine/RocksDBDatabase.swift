import CRocksDB
import StorageEngine
import Synchronization

/// An open database. The engine and its snapshots share it; it is closed when the last of them lets go.
@safe final class RocksDBDatabase: @unchecked Sendable {
    let path: String
    let handle: OpaquePointer
    private let directory: RocksDBDirectory
    private let settings: RocksDBSettings
    private let synced: OpaquePointer
    /// Once the database is closed.
    private let removal = Mutex<(@Sendable () -> Void)?>(nil)

    init(path: String, options: RocksDBEngine.Options) throws(EngineError) {
        directory = RocksDBDirectory(path: path)
        self.path = path
        try directory.make()
        let isMade = try directory.isMarked()
        guard isMade || !directory.holdsEngine else {
            throw .corrupt("\(path) holds files of RocksDB and not \(RocksDBDirectory.markName): a part was removed")
        }
        if !isMade { try directory.clear() }
        settings = RocksDBSettings(options, isNew: !isMade)
        var message: UnsafeMutablePointer<CChar>? = nil
        let opened = unsafe rocksdb_open(settings.handle, path, &message)
        if let text = unsafe RocksDBDatabase.take(message) { throw RocksDBFailure.error(text, path) }
        guard let opened = unsafe opened else { throw .io("\(path): no database") }
        unsafe handle = unsafe opened
        unsafe RocksDBExit.opened(opened)
        unsafe synced = rocksdb_writeoptions_create()
        unsafe rocksdb_writeoptions_set_sync(synced, 1)
        if !isMade {
            do throws(EngineError) {
                try directory.mark()
            } catch {
                unsafe rocksdb_writeoptions_destroy(synced)
                unsafe RocksDBExit.willClose(handle)
                unsafe rocksdb_close(handle)
                throw error
            }
        }
    }

    deinit {
        // What waits in memory becomes a table, so that the next start has no log to read. It is in the log already:
        // where this fails, nothing is lost.
        let options = unsafe rocksdb_flushoptions_create()
        unsafe rocksdb_flushoptions_set_wait(options, 1)
        var message: UnsafeMutablePointer<CChar>? = nil
        if removal.withLock({ $0 == nil }) { unsafe rocksdb_flush(handle, options, &message) }
        _ = unsafe RocksDBDatabase.take(message)
        unsafe rocksdb_flushoptions_destroy(options)
        unsafe rocksdb_writeoptions_destroy(synced)
        unsafe RocksDBExit.willClose(handle)
        unsafe rocksdb_cancel_all_background_work(handle, 1)
        unsafe rocksdb_close(handle)
        if let remove = removal.withLock({ $0 }) { remove() }
    }

    /// Has the files removed when the last one that reads them has let go.
    func removeAtEnd(_ remove: @escaping @Sendable () -> Void) {
        removal.withLock { $0 = remove }
    }

    func write(_ batch: RocksDBBatch) throws(EngineError) {
        var message: UnsafeMutablePointer<CChar>? = nil
        unsafe rocksdb_write(handle, synced, batch.handle, &message)
        if let text = unsafe RocksDBDatabase.take(message) { throw RocksDBFailure.error(text, "\(path): a commit") }
    }

    /// Live data is known by its tables and buffers only: what was deleted counts until it is merged away.
    func size() -> (total: Int, inUse: Int) {
        let buffers = property("rocksdb.cur-size-active-mem-table")
        let inUse = property("rocksdb.live-sst-files-size") + buffers
        return (max(inUse, property("rocksdb.total-sst-files-size") + directory.logBytes), inUse)
    }

    private func property(_ name: String) -> Int {
        var value: UInt64 = 0
        let code = unsafe rocksdb_property_int(handle, name, &value)
        return code == 0 ? Int(clamping: value) : 0
    }

    /// Takes over a message of RocksDB's, and frees it.
    static func take(_ message: UnsafeMutablePointer<CChar>?) -> String? {
        guard let message = unsafe message else { return nil }
        defer { unsafe rocksdb_free(message) }
        return unsafe String(cString: message)
    }
}
