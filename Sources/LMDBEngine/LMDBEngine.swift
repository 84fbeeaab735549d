import CLMDB
package import StorageEngine
import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// The default engine: an LMDB environment in a directory of its own (decision 5).
///
/// Every commit is synced before it returns: LMDB without sync may be corrupt after a power cut. Readers never wait for
/// the writer, nor it for them. A row is read where it lies in the mapped file. What the file looks like is in
/// `Documentation/formats/lmdb-engine.md`.
package final class LMDBEngine: StorageEngine {
    package struct Options: Sendable {
        /// Address space for the file, and so the most that it can grow to. It costs neither memory nor disk; where it
        /// cannot be had, the engine tries half, and half of that.
        package var mapBytes = 1 << 40
        /// How many snapshots may be held at once, in all processes.
        package var snapshotsMax = 1024
        /// Whether the kernel shall read ahead of page faults. Pages that follow each other in a table seldom do in the
        /// file, so that it helps a scan little and a store larger than memory not at all.
        package var readsAhead = false
        /// Up to this size of the file all of its pages are looked at before it is opened; of a larger one the tables'
        /// leaves are not (decision 0011).
        package var checkedBytesMax = 1 << 30

        package init() {}
    }

    /// nil once closed.
    private let environment: Mutex<LMDBEnvironment?>
    /// Commits come from one thread at a time; this makes sure of it.
    private let commits = Mutex<Void>(())

    /// Whether there is an environment in the directory: a data file that something was written to.
    package static func exists(at path: String) -> Bool {
        var status = stat()
        return unsafe stat(path + "/data.mdb", &status) != 0 ? errno != ENOENT : status.st_size > 0
    }

    /// Opens the environment in the directory, or makes both.
    package convenience init(path: String, options: Options = Options()) throws(EngineError) {
        try self.init(LMDBEnvironment(path: path, options: options, flags: 0))
    }

    private init(_ environment: LMDBEnvironment) {
        self.environment = Mutex(environment)
    }

    /// Builds a new environment, as a received snapshot does, and opens it.
    ///
    /// While `fill` runs, commits are not synced; all is once it has returned. After a power cut in between, what is
    /// in the directory is worth nothing: whoever builds must not put it in its place before this has returned. Rows
    /// go in fastest in key order, since pages are then filled one after the other.
    package static func build(
        at path: String, options: Options = Options(), fill: (LMDBEngine) throws(EngineError) -> Void
    ) throws(EngineError) -> LMDBEngine {
        let environment = try LMDBEnvironment(path: path, options: options, flags: UInt32(MDB_NOSYNC))
        let engine = LMDBEngine(environment)
        let isEmpty = try engine.snapshot().isEmptyInAllTables
        guard isEmpty else { throw .io("\(path) holds an environment already") }
        try fill(engine)
        unsafe try LMDBFailure.check(mdb_env_sync(environment.handle, 1), path)
        unsafe try LMDBFailure.check(mdb_env_set_flags(environment.handle, UInt32(MDB_NOSYNC), 0), path)
        return engine
    }

    package func snapshot() throws(EngineError) -> any EngineSnapshot {
        try LMDBSnapshot(open())
    }

    private func open() throws(EngineError) -> LMDBEnvironment {
        guard let environment = environment.withLock({ $0 }) else { throw .io("the engine is closed") }
        return environment
    }

    package func commit(_ batch: [Mutation]) throws(EngineError) {
        // Of several changes to a key the last one counts, and LMDB is fastest with keys in order.
        var overlay = TreeSet()
        for mutation in batch {
            switch mutation {
            case .put(let table, let key, let value): overlay.set(table, key: key, value: value)
            case .delete(let table, let key): overlay.set(table, key: key, value: nil)
            }
        }
        try commit(overlay)
    }

    package func commit(_ overlay: TreeSet) throws(EngineError) {
        let environment = try open()
        let result: Result<Void, EngineError> = commits.withLock { _ in
            do throws(EngineError) {
                try LMDBCommit(environment).run(overlay)
                return .success(())
            } catch {
                return .failure(error)
            }
        }
        try result.get()
    }

    package func size() -> (total: Int, inUse: Int) {
        guard let environment = environment.withLock({ $0 }) else { return (0, 0) }
        return environment.size()
    }

    /// Snapshots that are still held keep the file open.
    package func close() {
        environment.withLock { $0 = nil }
    }
}

extension EngineSnapshot {
    fileprivate var isEmptyInAllTables: Bool { Table.allCases.allSatisfy { isEmpty($0) } }
}
