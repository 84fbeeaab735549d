import Platform
import PlatformPOSIX

/// Where the parts of a ``RaftLog`` are.
struct StoragePlace: Sendable {
    var fileSystem: any FileSystem
    var root: String
    var isInMemory: Bool

    var log: String { "\(root)/log" }
    var snapshots: String { "\(root)/snapshots" }
    var lock: String { "\(root)/lock" }
    /// Whether there is neither a state nor a log.
    func isEmpty(_ fileSystem: any FileSystem) throws(FileError) -> Bool {
        for part in [snapshots, log] where fileSystem.exists(part) {
            if try !fileSystem.list(part).isEmpty { return false }
        }
        return true
    }

    /// The log's files are this large where nothing else was asked for.
    var defaultSegmentBytes: Int { isInMemory ? 1 << 20 : 16 << 20 }
}

extension RaftLog {
    var storage: StoragePlace {
        switch place {
        case .directory(let path): StoragePlace(fileSystem: POSIXFileSystem(), root: path, isInMemory: false)
        case .memory(let files): StoragePlace(fileSystem: files, root: "/raft", isInMemory: true)
        }
    }

    /// Looks into a member's directory, or changes it, while nobody else can. One that is not there is not made.
    func locked<Value>(_ body: (StoragePlace) throws(RaftError) -> Value) throws(RaftError) -> Value {
        let storage = storage
        guard storage.fileSystem.exists(storage.root) else { throw .recoveryRefused(.nothingToRecover) }
        let lock = try storage.takeLock()
        defer { lock.release() }
        return try body(storage)
    }
}

extension StoragePlace {
    /// Nobody else uses the directory while it is held.
    func takeLock() throws(RaftError) -> any FileLock {
        do throws(FileError) {
            if let taken = try fileSystem.lock(lock) { return taken }
        } catch {
            throw .cannotOpen(root, reason: "\(error)")
        }
        throw .directoryInUse(root)
    }
}
