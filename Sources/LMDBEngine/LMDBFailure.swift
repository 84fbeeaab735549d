import CLMDB
import StorageEngine

#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// LMDB's return codes and `errno` as engine errors.
enum LMDBFailure {
    /// `MDB_SUCCESS` goes through; all else is thrown.
    static func check(_ code: Int32, _ doing: @autoclosure () -> String) throws(EngineError) {
        if code != MDB_SUCCESS { throw error(code, doing()) }
    }

    static func error(_ code: Int32, _ doing: String) -> EngineError {
        let message = "\(doing): \(text(code))"
        switch code {
        case MDB_MAP_FULL, ENOSPC, EDQUOT, EFBIG: return .full(message)
        case MDB_CORRUPTED, MDB_PAGE_NOTFOUND, MDB_INVALID, MDB_VERSION_MISMATCH, MDB_INCOMPATIBLE:
            return .corrupt(message)
        default: return .io(message)
        }
    }

    static func text(_ code: Int32) -> String {
        guard let text = unsafe mdb_strerror(code) else { return "error \(code)" }
        return unsafe String(cString: text)
    }
}

/// `close`, where a type has a method of that name.
func closeFile(_ descriptor: Int32) -> Int32 { close(descriptor) }
