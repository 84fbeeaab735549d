import Glibc
import Platform
import Synchronization

/// A disk in memory, for ``RaftLog/memory()``: the log and the snapshots use it as they use a real one.
final class MemoryFileSystem: FileSystem {
    private let tree = Mutex(Tree())

    private struct Tree: Sendable {
        var files: [String: MemoryFile] = [:]
        var directories: Set<String> = []
        var locks: Set<String> = []
    }

    private static func normal(_ path: String) -> String {
        "/" + path.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
    }

    private static func parent(_ path: String) -> String {
        guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return "/" }
        return String(path[..<slash])
    }

    private static func error(_ code: Int32, _ operation: String, _ path: String) -> FileError {
        FileError(operation: operation, path: path, errno: code, reason: String(cString: strerror(code)))
    }

    func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File {
        let key = Self.normal(path)
        let (file, code) = tree.withLock { tree -> (MemoryFile?, Int32) in
            let known = tree.files[key]
            guard mode == .create else { return (known, ENOENT) }
            guard known == nil else { return (nil, EEXIST) }
            guard tree.directories.contains(Self.parent(key)) || Self.parent(key) == "/" else { return (nil, ENOENT) }
            let file = MemoryFile()
            tree.files[key] = file
            return (file, 0)
        }
        guard let file else { throw Self.error(code, "open", path) }
        return file
    }

    func list(_ directory: String) throws(FileError) -> [String] {
        let key = Self.normal(directory)
        let names = tree.withLock { tree -> [String]? in
            guard tree.directories.contains(key) || key == "/" else { return nil }
            return (Array(tree.files.keys) + Array(tree.directories))
                .filter { $0 != key && Self.parent($0) == key }
                .map { String($0[$0.index(after: $0.lastIndex(of: "/") ?? $0.startIndex)...]) }
                .sorted()
        }
        guard let names else { throw Self.error(ENOENT, "opendir", directory) }
        return names
    }

    func exists(_ path: String) -> Bool {
        let key = Self.normal(path)
        return tree.withLock { $0.files[key] != nil || $0.directories.contains(key) }
    }

    func createDirectory(_ path: String) throws(FileError) {
        tree.withLock { tree in
            var key = Self.normal(path)
            while key != "/" {
                tree.directories.insert(key)
                key = Self.parent(key)
            }
        }
    }

    func rename(_ old: String, to new: String) throws(FileError) {
        let isThere = tree.withLock { tree in
            guard let file = tree.files.removeValue(forKey: Self.normal(old)) else { return false }
            tree.files[Self.normal(new)] = file
            return true
        }
        guard isThere else { throw Self.error(ENOENT, "rename", old) }
    }

    func removeFile(_ path: String) throws(FileError) {
        let removed = tree.withLock { $0.files.removeValue(forKey: Self.normal(path)) }
        guard removed != nil else { throw Self.error(ENOENT, "unlink", path) }
    }

    func removeTree(_ path: String) throws(FileError) {
        let key = Self.normal(path)
        tree.withLock { tree in
            tree.files = tree.files.filter { !$0.key.hasPrefix(key + "/") }
            tree.directories = tree.directories.filter { $0 != key && !$0.hasPrefix(key + "/") }
        }
    }

    func synchronizeDirectory(_ path: String) throws(FileError) {}

    func lock(_ path: String) throws(FileError) -> (any FileLock)? {
        let key = Self.normal(path)
        guard tree.withLock({ $0.locks.insert(key).inserted }) else { return nil }
        return MemoryLock { [weak self] in self?.tree.withLock { _ = $0.locks.remove(key) } }
    }
}

private final class MemoryLock: FileLock {
    private let action: Mutex<(@Sendable () -> Void)?>
    init(_ action: @escaping @Sendable () -> Void) { self.action = Mutex(action) }
    deinit { release() }

    func release() {
        let action = self.action.withLock { action in
            defer { action = nil }
            return action
        }
        action?()
    }
}

final class MemoryFile: File {
    private let content = Mutex<[UInt8]>([])

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(FileError) {
        // The lock's closure runs at once, while the bytes are still there.
        nonisolated(unsafe) let bytes = bytes
        content.withLock { content in
            let end = offset + bytes.count
            if content.count < end { content += [UInt8](repeating: 0, count: end - content.count) }
            content.withUnsafeMutableBytes {
                UnsafeMutableRawBufferPointer(rebasing: $0[offset..<end]).copyBytes(from: bytes)
            }
        }
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) throws(FileError) -> Int {
        nonisolated(unsafe) let buffer = buffer
        return content.withLock { content in
            let count = max(0, min(buffer.count, content.count - offset))
            if count > 0 { content.withUnsafeBytes { buffer.copyBytes(from: $0[offset..<(offset + count)]) } }
            return count
        }
    }

    func size() throws(FileError) -> Int { content.withLock { $0.count } }

    func fill(upTo bytes: Int) throws(FileError) {
        content.withLock { content in
            if content.count < bytes { content += [UInt8](repeating: 0, count: bytes - content.count) }
        }
    }

    func truncate(to bytes: Int) throws(FileError) {
        content.withLock { content in
            if content.count > bytes {
                content.removeLast(content.count - bytes)
            } else {
                content += [UInt8](repeating: 0, count: bytes - content.count)
            }
        }
    }

    func synchronize() throws(FileError) {}
    func close() {}
}
