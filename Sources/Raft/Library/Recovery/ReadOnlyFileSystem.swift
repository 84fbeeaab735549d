import Platform

/// A file system that is looked at. What opening a log or a store would put in order there (the end of a write that the
/// power cut short, files that nobody needs) stays as it is: such calls do nothing. Calls that would make something new
/// fail.
struct ReadOnlyFileSystem: FileSystem {
    private let base: any FileSystem

    init(_ base: any FileSystem) { self.base = base }

    private static func refusal(_ operation: String, _ path: String) -> FileError {
        FileError(operation: operation, path: path, errno: 30, reason: "it is only looked at")
    }

    func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File {
        if mode == .create { throw Self.refusal("open", path) }
        return ReadOnlyFile(try base.open(path, .read))
    }

    func list(_ directory: String) throws(FileError) -> [String] { try base.list(directory) }
    func exists(_ path: String) -> Bool { base.exists(path) }
    func createDirectory(_ path: String) throws(FileError) {}
    func rename(_ old: String, to new: String) throws(FileError) { throw Self.refusal("rename", old) }
    func removeFile(_ path: String) throws(FileError) {}
    func removeTree(_ path: String) throws(FileError) {}
    func synchronizeDirectory(_ path: String) throws(FileError) {}
    func lock(_ path: String) throws(FileError) -> (any FileLock)? { throw Self.refusal("lock", path) }
}

private final class ReadOnlyFile: File {
    private let base: any File

    init(_ base: any File) { self.base = base }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileError) -> Int {
        try base.read(into: buffer, at: offset)
    }

    func size() throws(FileError) -> Int { try base.size() }
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) {}
    func fill(upTo bytes: Int) throws(FileError) {}
    func truncate(to bytes: Int) throws(FileError) {}
    func synchronize() throws(FileError) {}
    func close() { base.close() }
}
