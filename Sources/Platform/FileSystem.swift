/// A call to the file system that failed: what was asked, of which path, and the error number it gave.
package struct FileError: Error, Hashable, Sendable, CustomStringConvertible {
    package var operation: String
    package var path: String
    package var errno: Int32
    package var reason: String

    package init(operation: String, path: String, errno: Int32, reason: String) {
        self.operation = operation
        self.path = path
        self.errno = errno
        self.reason = reason
    }

    package var description: String { "\(operation) \(path): \(reason) (errno \(errno))" }
}

/// How a file is opened.
package enum OpenMode: Sendable {
    case read
    case readWrite
    /// Creates the file; one that is there already is an error.
    case create
}

/// An open file. Writes are by position. Nothing is durable before ``synchronize()`` has returned, and the file's name
/// not before its directory was synchronized.
package protocol File: AnyObject, Sendable {
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError)
    /// Reads until the buffer is full or the file ends; says how many bytes were read.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileError) -> Int
    func size() throws(FileError) -> Int
    /// Makes the file `bytes` long with written zero bytes, so that later writes inside change no metadata.
    func fill(upTo bytes: Int) throws(FileError)
    func truncate(to bytes: Int) throws(FileError)
    /// fdatasync: the bytes, and the size where it changed.
    func synchronize() throws(FileError)
    func close()
}

/// A held lock on a file; it ends with ``release()`` or with the process.
package protocol FileLock: AnyObject, Sendable {
    func release()
}

/// The disk, as far as the log and the data directory need it. Paths are separated by "/".
package protocol FileSystem: Sendable {
    func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File
    /// Names in a directory, sorted.
    func list(_ directory: String) throws(FileError) -> [String]
    func exists(_ path: String) -> Bool
    /// With the directories above it, mode 0700; those that were made are durable when it returns. One that is there
    /// already is left as it is.
    func createDirectory(_ path: String) throws(FileError)
    func rename(_ old: String, to new: String) throws(FileError)
    func removeFile(_ path: String) throws(FileError)
    /// A directory and all that is in it.
    func removeTree(_ path: String) throws(FileError)
    /// Makes creations, renames and removals inside durable.
    func synchronizeDirectory(_ path: String) throws(FileError)
    /// An exclusive advisory lock, or nil if somebody else holds it.
    func lock(_ path: String) throws(FileError) -> (any FileLock)?
}
