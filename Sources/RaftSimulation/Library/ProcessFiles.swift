import Platform
import PlatformSimulation
import Synchronization

/// A disk as one process sees it: what the process left behind in the simulation's memory cannot reach the disk any
/// more when it is dead. (Its open files are dead by the disk itself; this is about names.)
final class ProcessFiles: FileSystem {
    private let disk: SimulatedDisk
    private let isEnded = Atomic(false)

    init(_ disk: SimulatedDisk) { self.disk = disk }

    func end() { isEnded.store(true, ordering: .relaxed) }

    private func live(_ operation: String, _ path: String) throws(FileError) -> SimulatedDisk {
        guard !isEnded.load(ordering: .relaxed) else {
            throw FileError(
                operation: operation, path: path, errno: SimulatedErrno.badDescriptor, reason: "the process has ended")
        }
        return disk
    }

    func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File {
        try live("open", path).open(path, mode)
    }
    func list(_ directory: String) throws(FileError) -> [String] { try live("opendir", directory).list(directory) }
    func exists(_ path: String) -> Bool { disk.exists(path) }
    func createDirectory(_ path: String) throws(FileError) { try live("mkdir", path).createDirectory(path) }
    func rename(_ old: String, to new: String) throws(FileError) { try live("rename", old).rename(old, to: new) }
    func removeFile(_ path: String) throws(FileError) { try live("unlink", path).removeFile(path) }
    func removeTree(_ path: String) throws(FileError) { try live("rmdir", path).removeTree(path) }
    func synchronizeDirectory(_ path: String) throws(FileError) {
        try live("fsync", path).synchronizeDirectory(path)
    }
    func lock(_ path: String) throws(FileError) -> (any FileLock)? { try live("open", path).lock(path) }
}
