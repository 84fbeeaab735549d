import Glibc
package import Platform

/// The machine's own disk, by system calls. Directories are made 0700 and files 0600: what a member stores is nobody
/// else's to read.
package struct POSIXFileSystem: FileSystem {
    package init() {}

    package func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File {
        let flags =
            switch mode {
            case .read: O_RDONLY
            case .readWrite: O_RDWR
            case .create: O_RDWR | O_CREAT | O_EXCL
            }
        return POSIXFile(descriptor: try openDescriptor(path, flags), path: path)
    }

    package func list(_ directory: String) throws(FileError) -> [String] {
        guard let stream = opendir(directory) else { throw FileError.last("opendir", directory) }
        defer { closedir(stream) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                guard errno == 0 else { throw FileError.last("readdir", directory) }
                return names.sorted()
            }
            let capacity = MemoryLayout.size(ofValue: entry.pointee.d_name)
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: capacity) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
    }

    package func exists(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0
    }

    package func createDirectory(_ path: String) throws(FileError) {
        if isDirectory(path) { return }
        let parent = Self.parent(of: path)
        if parent != path { try createDirectory(parent) }
        if mkdir(path, 0o700) != 0 {
            let code = errno
            // Another thread or process may have been quicker.
            if code == EEXIST, isDirectory(path) { return }
            throw FileError.code(code == EEXIST ? ENOTDIR : code, "mkdir", path)
        }
        try synchronizeDirectory(parent)
    }

    package func rename(_ old: String, to new: String) throws(FileError) {
        guard Glibc.rename(old, new) == 0 else { throw FileError.last("rename", old) }
    }

    package func removeFile(_ path: String) throws(FileError) {
        guard unlink(path) == 0 else { throw FileError.last("unlink", path) }
    }

    package func removeTree(_ path: String) throws(FileError) {
        for name in try list(path) {
            let child = path + "/" + name
            var status = stat()
            guard lstat(child, &status) == 0 else { throw FileError.last("lstat", child) }
            // A symbolic link is removed, never followed.
            if status.st_mode & S_IFMT == S_IFDIR { try removeTree(child) } else { try removeFile(child) }
        }
        guard rmdir(path) == 0 else { throw FileError.last("rmdir", path) }
    }

    package func synchronizeDirectory(_ path: String) throws(FileError) {
        let descriptor = try openDescriptor(path, O_RDONLY | O_DIRECTORY)
        defer { _ = Glibc.close(descriptor) }
        // Repeated for a signal only: after any other failure a second fsync may succeed without the data (POSIXFile).
        while fsync(descriptor) != 0 {
            guard errno == EINTR else { throw FileError.last("fsync", path) }
        }
    }

    package func lock(_ path: String) throws(FileError) -> (any FileLock)? {
        let descriptor = try openDescriptor(path, O_RDWR | O_CREAT)
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            let code = errno
            if code == EINTR { continue }
            _ = Glibc.close(descriptor)
            if code == EWOULDBLOCK { return nil }
            throw FileError.code(code, "flock", path)
        }
        return POSIXFileLock(descriptor: descriptor)
    }

    private func isDirectory(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    private func openDescriptor(_ path: String, _ flags: Int32) throws(FileError) -> Int32 {
        while true {
            let descriptor = Glibc.open(path, flags | O_CLOEXEC, 0o600)
            if descriptor >= 0 { return descriptor }
            guard errno == EINTR else { throw FileError.last("open", path) }
        }
    }

    /// The directory that `path` is in; "." for a bare name, "/" for the root itself.
    private static func parent(of path: String) -> String {
        var trimmed = path[...]
        while trimmed.count > 1, trimmed.hasSuffix("/") { trimmed.removeLast() }
        guard let slash = trimmed.lastIndex(of: "/") else { return trimmed == "." ? path : "." }
        return slash == trimmed.startIndex ? "/" : String(trimmed[..<slash])
    }
}

extension FileError {
    /// What `errno` says now. To be called before anything else can change it.
    static func last(_ operation: String, _ path: String) -> FileError { code(Glibc.errno, operation, path) }

    static func code(_ code: Int32, _ operation: String, _ path: String) -> FileError {
        // glibc's strerror is safe between threads since 2.32.
        FileError(operation: operation, path: path, errno: code, reason: String(cString: strerror(code)))
    }
}
