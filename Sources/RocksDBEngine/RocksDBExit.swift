import CRocksDB
import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// A process may end with databases that are open: a member that fails drains nothing. RocksDB's threads would then
/// meet what C++ destroys at the end of a process, and abort; so they are stopped before.
enum RocksDBExit {
    @safe private struct Handle: @unchecked Sendable {
        let pointer: OpaquePointer
    }

    private struct Open: Sendable {
        var isWatching = false
        var handles: [Handle] = []
    }

    private static let open = Mutex(Open())

    static func opened(_ database: OpaquePointer) {
        open.withLock { open in
            if !open.isWatching {
                // After RocksDB was loaded, so that it runs before what RocksDB registered.
                atexit { RocksDBExit.stop() }
                open.isWatching = true
            }
            unsafe open.handles.append(Handle(pointer: database))
        }
    }

    static func willClose(_ database: OpaquePointer) {
        open.withLock { open in open.handles.removeAll { unsafe $0.pointer == database } }
    }

    private static func stop() {
        open.withLock { open in
            for handle in open.handles { unsafe rocksdb_cancel_all_background_work(handle.pointer, 1) }
            open.handles = []
        }
    }
}
