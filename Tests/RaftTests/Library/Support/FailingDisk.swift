import Platform
import Synchronization

@testable import Raft

/// A disk in memory that can be told to fail.
final class FailingDisk: FileSystem {
    enum Fault: Sendable {
        case none, synchronize, create
    }

    private let base = MemoryFileSystem()
    private let fault = Mutex(Fault.none)
    private let readCalls = Atomic(0)

    /// How often a file was read.
    var reads: Int { readCalls.load(ordering: .relaxed) }
    fileprivate func countRead() { readCalls.wrappingAdd(1, ordering: .relaxed) }

    func fail(_ new: Fault) { fault.withLock { $0 = new } }
    fileprivate func has(_ wanted: Fault) -> Bool { fault.withLock { $0 == wanted } }

    static func error(_ operation: String, _ path: String, _ code: Int32) -> FileError {
        FileError(operation: operation, path: path, errno: code, reason: "as was asked")
    }

    func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File {
        if mode == .create, has(.create) { throw Self.error("open", path, 28) }
        return FailingFile(base: try base.open(path, mode), disk: self, path: path)
    }

    func list(_ directory: String) throws(FileError) -> [String] { try base.list(directory) }
    func exists(_ path: String) -> Bool { base.exists(path) }
    func createDirectory(_ path: String) throws(FileError) { try base.createDirectory(path) }
    func rename(_ old: String, to new: String) throws(FileError) { try base.rename(old, to: new) }
    func removeFile(_ path: String) throws(FileError) { try base.removeFile(path) }
    func removeTree(_ path: String) throws(FileError) { try base.removeTree(path) }
    func synchronizeDirectory(_ path: String) throws(FileError) {}
    func lock(_ path: String) throws(FileError) -> (any FileLock)? { try base.lock(path) }
}

private final class FailingFile: File {
    let base: any File
    let disk: FailingDisk
    let path: String

    init(base: any File, disk: FailingDisk, path: String) {
        self.base = base
        self.disk = disk
        self.path = path
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) { try base.write(bytes, at: offset) }
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileError) -> Int {
        disk.countRead()
        return try base.read(into: buffer, at: offset)
    }
    func size() throws(FileError) -> Int { try base.size() }
    func fill(upTo bytes: Int) throws(FileError) { try base.fill(upTo: bytes) }
    func truncate(to bytes: Int) throws(FileError) { try base.truncate(to: bytes) }
    func synchronize() throws(FileError) {
        if disk.has(.synchronize) { throw FailingDisk.error("fdatasync", path, 5) }
        try base.synchronize()
    }
    func close() { base.close() }
}
