import CLMDB
import StorageEngine
import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// An open environment: the mapped file, its tables' handles, and read transactions that wait to be used again.
///
/// The engine and its snapshots share it; it is closed when the last of them lets go, since LMDB would unmap the file
/// under a reader's feet.
@safe final class LMDBEnvironment: @unchecked Sendable {
    /// Which format this is, under a name of its own in the main database, beside the tables' names.
    private static let formatKey = "martlet-format"
    private static let formatVersion: UInt32 = 1
    private static let longTableName = "long"

    /// Ended read transactions that are kept: each has its place in the reader table already.
    private static let idleTransactionsMax = 8
    /// The smallest map that is tried where the address space is small.
    private static let mapBytesMin = 64 << 20

    /// A row of a table whose key LMDB cannot hold; see ``LongRow``.
    struct LongRows: Sendable {
        /// `key -> id` for each table.
        var index = TreeSet()
        var nextID: UInt64 = 1
    }

    @safe struct Transaction: @unchecked Sendable {
        let handle: OpaquePointer
    }

    private struct State {
        var idle: [Transaction] = []
        /// The long rows after the last commits, newest last: a reader finds those of its moment by transaction id.
        var longRows: [(transaction: Int, rows: LongRows)] = []
    }

    let path: String
    let handle: OpaquePointer
    let longTable: MDB_dbi
    /// The longest key that LMDB holds.
    let keyBytesMax: Int
    /// Where the file is mapped, and what its pages have.
    let mapBase: UInt
    let pageBytes: UInt
    private let tables: InlineArray<5, MDB_dbi>
    private let state: Mutex<State>

    /// Opens what is there, or makes it.
    init(path: String, options: LMDBEngine.Options, flags: UInt32) throws(EngineError) {
        let path = try LMDBEnvironment.makeDirectory(path)
        try LMDBEnvironment.register(path)
        do throws(EngineError) {
            let neededBytes = try LMDBFileCheck.check(
                path + "/data.mdb", leavesBytesMax: options.checkedBytesMax)
            let environment = unsafe try LMDBEnvironment.openHandle(path, options, flags, neededBytes: neededBytes)
            do {
                unsafe try LMDBFailure.check(mdb_reader_check(environment, nil), "\(path): readers left behind")
                let opened = unsafe try LMDBEnvironment.openTables(environment, path)
                try LMDBEnvironment.syncDirectory(path)
                let map = unsafe try LMDBEnvironment.findMap(environment, path)
                LMDBDamage.register(base: map.base, bytes: map.bytes, path: path + "/data.mdb")
                self.path = path
                mapBase = map.base
                pageBytes = UInt(map.pageBytes)
                unsafe handle = unsafe environment
                tables = opened.tables
                longTable = opened.longTable
                keyBytesMax = unsafe Int(mdb_env_get_maxkeysize(environment))
                state = Mutex(State(longRows: [(opened.transaction, opened.longRows)]))
            } catch {
                unsafe mdb_env_close(environment)
                throw error
            }
        } catch {
            LMDBEnvironment.unregister(path)
            throw error
        }
    }

    deinit {
        state.withLock { state in
            for transaction in state.idle { unsafe mdb_txn_abort(transaction.handle) }
        }
        LMDBDamage.unregister(base: mapBase)
        unsafe mdb_env_close(handle)
        LMDBEnvironment.unregister(path)
    }

    func table(_ table: Table) -> MDB_dbi { tables[Int(table.rawValue)] }

    /// Whether LMDB can hold the key: not empty, and not too long.
    func fits(_ key: UnsafeRawBufferPointer) -> Bool { key.count > 0 && key.count <= keyBytesMax }

    /// There is no honest answer to a read of a damaged file: not "no such row", and none of the faces that read can
    /// throw. The member stops.
    func stop(_ code: Int32) -> Never { LMDBDamage.stop(path + "/data.mdb", LMDBFailure.text(code)) }

    /// The address behind the last page in use, for snapshots that have begun already.
    var usedEnd: UInt {
        var information = unsafe MDB_envinfo()
        let code = unsafe mdb_env_info(handle, &information)
        if code != MDB_SUCCESS { stop(code) }
        return unsafe mapBase + UInt(information.me_last_pgno + 1) * pageBytes
    }

    /// Makes sure that what LMDB says is a key or a value lies in the used part of the map, and is within a page or
    /// begins in one that it has to itself. LMDB takes lengths from the pages as they are.
    @inline(__always)
    func check(_ bytes: MDB_val, before end: UInt) {
        let start = unsafe UInt(bitPattern: bytes.mv_data)
        let count = unsafe UInt(bitPattern: bytes.mv_size)
        let offset = start & (pageBytes - 1)
        guard start >= mapBase, start <= end, count <= end - start,
            offset + count <= pageBytes || offset == UInt(LMDBFileCheck.pageHeaderBytes)
        else { LMDBDamage.stop(path + "/data.mdb", "a row is said to have \(count) bytes") }
    }

    // MARK: Read transactions

    /// A read transaction on the last commit, and the long rows of that moment.
    func beginRead() throws(EngineError) -> (transaction: Transaction, longRows: LongRows) {
        let result: Result<(Transaction, LongRows), EngineError> = state.withLock { state in
            var handle: OpaquePointer? = unsafe state.idle.popLast()?.handle
            let code =
                unsafe handle == nil
                ? mdb_txn_begin(self.handle, nil, UInt32(MDB_RDONLY), &handle) : mdb_txn_renew(handle)
            guard code == MDB_SUCCESS, let handle = unsafe handle else {
                if let handle = unsafe handle { unsafe mdb_txn_abort(handle) }
                return .failure(LMDBFailure.error(code, "\(path): a read transaction"))
            }
            // The lock is held from the transaction's begin to here, and ``finishCommit`` takes it before it drops
            // rows.
            let id = unsafe mdb_txn_id(handle)
            guard let entry = state.longRows.last(where: { $0.transaction <= id }) else {
                unsafe mdb_txn_abort(handle)
                return .failure(.io("\(path): another process writes to the environment"))
            }
            return unsafe .success((Transaction(handle: handle), entry.rows))
        }
        return try result.get()
    }

    func endRead(_ transaction: Transaction) {
        state.withLock { state in
            if state.idle.count < LMDBEnvironment.idleTransactionsMax {
                unsafe mdb_txn_reset(transaction.handle)
                state.idle.append(transaction)
            } else {
                unsafe mdb_txn_abort(transaction.handle)
            }
        }
    }

    // MARK: Long rows across a commit

    var newestLongRows: LongRows { state.withLock { $0.longRows.last?.rows ?? LongRows() } }

    /// Before the commit: a reader that begins right after it must find the rows.
    func willCommit(_ rows: LongRows, transaction: Int) {
        state.withLock { $0.longRows.append((transaction, rows)) }
    }

    func didCommit(transaction: Int, succeeded: Bool) {
        state.withLock { state in
            if succeeded {
                state.longRows.removeAll { $0.transaction < transaction }
            } else {
                state.longRows.removeAll { $0.transaction == transaction }
            }
        }
    }

    // MARK: Opening

    private static let openPaths = Mutex<Set<String>>([])

    /// LMDB must not open one file twice in a process: closing one of them would drop the other's locks.
    private static func register(_ path: String) throws(EngineError) {
        let isNew = openPaths.withLock { $0.insert(path).inserted }
        if !isNew { throw .io("\(path) is open already") }
    }

    private static func unregister(_ path: String) {
        openPaths.withLock { _ = $0.remove(path) }
    }

    /// Makes the directory, durably, and returns its one true path.
    private static func makeDirectory(_ path: String) throws(EngineError) -> String {
        if unsafe mkdir(path, 0o700) == 0 {
            try syncDirectory(path + "/..")
        } else if errno != EEXIST {
            throw LMDBFailure.error(errno, path)
        }
        guard let resolved = unsafe realpath(path, nil) else { throw LMDBFailure.error(errno, path) }
        defer { unsafe free(resolved) }
        return unsafe String(cString: resolved)
    }

    static func syncDirectory(_ path: String) throws(EngineError) {
        let descriptor = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw LMDBFailure.error(errno, path) }
        let code = fsync(descriptor) == 0 ? 0 : errno
        _ = closeFile(descriptor)
        if code != 0 { throw LMDBFailure.error(code, path) }
    }

    private static func openHandle(
        _ path: String, _ options: LMDBEngine.Options, _ flags: UInt32, neededBytes: Int
    ) throws(EngineError) -> OpaquePointer {
        let pageBytes = Int(sysconf(Int32(_SC_PAGESIZE)))
        var mapBytes = max(options.mapBytes, neededBytes, 16 * pageBytes)
        mapBytes -= mapBytes % pageBytes
        var allFlags = flags | UInt32(MDB_NOTLS)
        if !options.readsAhead { allFlags |= UInt32(MDB_NORDAHEAD) }
        while true {
            var environment: OpaquePointer? = nil
            unsafe try LMDBFailure.check(mdb_env_create(&environment), path)
            guard let environment = unsafe environment else { throw .io("\(path): no environment") }
            var code = unsafe mdb_env_set_mapsize(environment, mapBytes)
            unsafe LMDBDamage.setAssertionHandler(environment)
            if code == 0 { code = unsafe mdb_env_set_maxreaders(environment, UInt32(options.snapshotsMax)) }
            if code == 0 { code = unsafe mdb_env_set_maxdbs(environment, UInt32(Table.allCases.count + 1)) }
            if code == 0 { code = unsafe mdb_env_open(environment, path, allFlags, 0o600) }
            if code == 0 { return unsafe environment }
            unsafe mdb_env_close(environment)
            let smaller = mapBytes / 2
            guard code == ENOMEM, smaller >= max(mapBytesMin, neededBytes) else {
                throw LMDBFailure.error(code, path)
            }
            mapBytes = smaller - smaller % pageBytes
        }
    }

    /// LMDB does not say where the map is. But every page has its own number at its beginning, and the page of the main
    /// table's entry was looked at before.
    private static func findMap(
        _ environment: OpaquePointer, _ path: String
    ) throws(EngineError) -> (base: UInt, bytes: Int, pageBytes: Int) {
        var begun: OpaquePointer? = nil
        unsafe try LMDBFailure.check(mdb_txn_begin(environment, nil, UInt32(MDB_RDONLY), &begun), path)
        guard let transaction = unsafe begun else { throw .io("\(path): no transaction") }
        defer { unsafe mdb_txn_abort(transaction) }
        var main: MDB_dbi = 0
        unsafe try LMDBFailure.check(mdb_dbi_open(transaction, nil, 0, &main), path)
        var status = MDB_stat()
        unsafe try LMDBFailure.check(mdb_env_stat(environment, &status), path)
        var information = unsafe MDB_envinfo()
        unsafe try LMDBFailure.check(mdb_env_info(environment, &information), path)
        var value = unsafe MDB_val()
        let code = unsafe Array(formatKey.utf8).withUnsafeBytes { key in
            var key = unsafe MDB_val(key)
            return unsafe mdb_get(transaction, main, &key, &value)
        }
        try LMDBFailure.check(code, path)
        guard let place = unsafe value.mv_data else { throw .corrupt("\(path): its format is not told") }
        let pageBytes = UInt(status.ms_psize)
        let page = UInt(bitPattern: place) & ~(pageBytes - 1)
        guard let number = unsafe UnsafeRawPointer(bitPattern: page)?.load(as: UInt.self) else {
            throw .corrupt("\(path): its format is not told")
        }
        return unsafe (page - number * pageBytes, information.me_mapsize, Int(pageBytes))
    }

    private struct Opened {
        var tables = InlineArray<5, MDB_dbi>(repeating: 0)
        var longTable: MDB_dbi = 0
        var longRows = LongRows()
        var transaction = 0
    }

    private static func openTables(_ environment: OpaquePointer, _ path: String) throws(EngineError) -> Opened {
        var begun: OpaquePointer? = nil
        unsafe try LMDBFailure.check(mdb_txn_begin(environment, nil, 0, &begun), path)
        guard let transaction = unsafe begun else { throw .io("\(path): no transaction") }
        var opened = Opened()
        do {
            var main: MDB_dbi = 0
            unsafe try LMDBFailure.check(mdb_dbi_open(transaction, nil, 0, &main), path)
            var status = MDB_stat()
            unsafe try LMDBFailure.check(mdb_stat(transaction, main, &status), path)
            let isNew = status.ms_entries == 0
            if isNew {
                unsafe try writeFormat(transaction, main, path)
            } else {
                unsafe try checkFormat(transaction, main, path)
            }
            let flags = isNew ? UInt32(MDB_CREATE) : 0
            for table in Table.allCases {
                let code = unsafe mdb_dbi_open(transaction, name(of: table), flags, &opened.tables[Int(table.rawValue)])
                try checkTable(code, name(of: table), path)
            }
            unsafe try checkTable(
                mdb_dbi_open(transaction, longTableName, flags, &opened.longTable), longTableName, path)
            opened.longRows = unsafe try LongRow.loadAll(transaction, opened.longTable, path)
            opened.transaction = unsafe isNew ? Int(mdb_txn_id(transaction)) : Int(mdb_txn_id(transaction)) - 1
        } catch {
            unsafe mdb_txn_abort(transaction)
            throw error
        }
        unsafe try LMDBFailure.check(mdb_txn_commit(transaction), path)
        return opened
    }

    private static func checkTable(_ code: Int32, _ name: String, _ path: String) throws(EngineError) {
        if code == MDB_NOTFOUND { throw .corrupt("\(path): the table \(name) is missing") }
        try LMDBFailure.check(code, "\(path): the table \(name)")
    }

    /// Names are on disk: they do not follow renamed cases.
    private static func name(of table: Table) -> String {
        switch table {
        case .versions: "versions"
        case .revisions: "revisions"
        case .meta: "meta"
        case .leases: "leases"
        case .auth: "auth"
        }
    }

    private static func writeFormat(
        _ transaction: OpaquePointer, _ main: MDB_dbi, _ path: String
    ) throws(EngineError) {
        let code = unsafe Array(formatKey.utf8).withUnsafeBytes { key in
            unsafe withUnsafeBytes(of: formatVersion.littleEndian) { version in
                var key = unsafe MDB_val(key)
                var version = unsafe MDB_val(version)
                return unsafe mdb_put(transaction, main, &key, &version, 0)
            }
        }
        try LMDBFailure.check(code, path)
    }

    private static func checkFormat(
        _ transaction: OpaquePointer, _ main: MDB_dbi, _ path: String
    ) throws(EngineError) {
        var version: UInt32? = nil
        let code = unsafe Array(formatKey.utf8).withUnsafeBytes { key in
            var key = unsafe MDB_val(key)
            var value = unsafe MDB_val()
            let code = unsafe mdb_get(transaction, main, &key, &value)
            if code == MDB_SUCCESS, unsafe value.mv_size == 4 {
                version = unsafe UInt32(littleEndian: value.bytes.loadUnaligned(as: UInt32.self))
            }
            return code
        }
        if code == MDB_NOTFOUND { throw .corrupt("\(path) is an LMDB environment, but not of this store") }
        try LMDBFailure.check(code, path)
        guard version == formatVersion else {
            throw .corrupt("\(path) is in format \(version.map { "\($0)" } ?? "?"), not \(formatVersion)")
        }
    }
}

extension MDB_val {
    /// Borrows the bytes.
    init(_ bytes: UnsafeRawBufferPointer) {
        unsafe self.init(mv_size: bytes.count, mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
    }

    var bytes: UnsafeRawBufferPointer { unsafe UnsafeRawBufferPointer(start: mv_data, count: mv_size) }
}
