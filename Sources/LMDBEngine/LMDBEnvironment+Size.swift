import CLMDB
import StorageEngine

#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

extension LMDBEnvironment {
    /// The database in which LMDB keeps the free pages.
    private static let freeTable: MDB_dbi = 0

    /// The file's bytes, and those of them in pages that are not free.
    func size() -> (total: Int, inUse: Int) {
        var descriptor: Int32 = -1
        var status = stat()
        guard unsafe mdb_env_get_fd(handle, &descriptor) == MDB_SUCCESS, unsafe fstat(descriptor, &status) == 0 else {
            return (0, 0)
        }
        let total = Int(status.st_size)
        var info = unsafe MDB_envinfo()
        var tableStatus = MDB_stat()
        guard unsafe mdb_env_info(handle, &info) == MDB_SUCCESS,
            unsafe mdb_env_stat(handle, &tableStatus) == MDB_SUCCESS,
            let freePages = countFreePages()
        else { return (total, total) }
        // The two are of moments that may differ by a commit.
        let inUse = unsafe max(0, info.me_last_pgno + 1 - freePages) * Int(tableStatus.ms_psize)
        return (total, min(inUse, total))
    }

    /// With less than this left on its file system a disk counts as full.
    private static let fullDiskBytesMax = 1 << 20

    var diskIsFull: Bool {
        var status = statvfs()
        guard unsafe statvfs(path, &status) == 0 else { return false }
        return Int(status.f_bavail) * Int(status.f_frsize) < LMDBEnvironment.fullDiskBytesMax
    }

    /// nil if it cannot be told now, as when all readers are taken.
    private func countFreePages() -> Int? {
        guard let (transaction, _) = try? beginRead() else { return nil }
        defer { endRead(transaction) }
        var opened: OpaquePointer? = nil
        guard unsafe mdb_cursor_open(transaction.handle, LMDBEnvironment.freeTable, &opened) == MDB_SUCCESS,
            let cursor = unsafe opened
        else { return nil }
        defer { unsafe mdb_cursor_close(cursor) }
        var key = unsafe MDB_val()
        var pages = unsafe MDB_val()
        var count = 0
        var code = unsafe mdb_cursor_get(cursor, &key, &pages, MDB_FIRST)
        while code == MDB_SUCCESS {
            // A list of pages begins with their number.
            if unsafe pages.bytes.count >= 8 { unsafe count += pages.bytes.loadUnaligned(as: Int.self) }
            code = unsafe mdb_cursor_get(cursor, &key, &pages, MDB_NEXT)
        }
        return code == MDB_NOTFOUND ? count : nil
    }
}
