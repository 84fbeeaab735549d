import StorageEngine

#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// What lies in an engine's directory beside RocksDB's own files: the mark, which says that the engine in it is whole,
/// whose it is and in which format. It is written last, so that a directory without it never held anything.
struct RocksDBDirectory {
    static let markName = "martlet-engine"
    static let formatVersion = 1
    private static let markText = "rocksdb \(formatVersion)\n"

    let path: String

    private var markPath: String { "\(path)/\(Self.markName)" }

    /// The mark, or tables, or a log that something was written to.
    var holdsEngine: Bool {
        if exists(markPath) { return true }
        return names.contains { $0.hasSuffix(".sst") || ($0.hasSuffix(".log") && bytes(of: $0) > 0) }
    }

    /// Whether an engine was made here; false where one is yet to be made.
    func isMarked() throws(EngineError) -> Bool {
        guard exists(markPath) else { return false }
        let text = try readMark()
        if text == Self.markText { return true }
        let words = text.split(whereSeparator: { $0 == " " || $0 == "\n" })
        guard words.count == 2, words[0] == "rocksdb", let version = Int(words[1]) else {
            throw .corrupt("\(path): its file \(Self.markName) does not say \"rocksdb \(Self.formatVersion)\"")
        }
        throw .corrupt(
            "\(path) is in format \(version) of the engine rocksdb, and this version knows \(Self.formatVersion)")
    }

    /// Durably; the directory too.
    func mark() throws(EngineError) {
        let descriptor = unsafe open(markPath, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure(markPath) }
        let text = Array(Self.markText.utf8)
        let written = unsafe text.withUnsafeBytes { unsafe write(descriptor, $0.baseAddress, $0.count) }
        let isDone = written == text.count && fsync(descriptor) == 0
        let error = failure(markPath)
        _ = closeFile(descriptor)
        if !isDone { throw error }
        try synchronize()
    }

    func make() throws(EngineError) {
        if unsafe mkdir(path, 0o700) != 0, errno != EEXIST { throw failure(path) }
    }

    /// Removes what a making that was cut off has left: RocksDB would take its empty log for somebody's.
    func clear() throws(EngineError) {
        let beginnings = ["CURRENT", "IDENTITY", "LOCK", "LOG", "MANIFEST-", "OPTIONS-"]
        for name in names
        where beginnings.contains(where: { name.hasPrefix($0) }) || name.hasSuffix(".log") || name.hasSuffix(".dbtmp") {
            if unsafe unlink("\(path)/\(name)") != 0 { throw failure("\(path)/\(name)") }
        }
    }

    func synchronize() throws(EngineError) {
        let descriptor = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure(path) }
        let isDone = fsync(descriptor) == 0
        let error = failure(path)
        _ = closeFile(descriptor)
        if !isDone { throw error }
    }

    /// RocksDB's logs of what is not in a table yet.
    var logBytes: Int { names.reduce(0) { $1.hasSuffix(".log") ? $0 + bytes(of: $1) : $0 } }

    private func readMark() throws(EngineError) -> String {
        let descriptor = unsafe open(markPath, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure(markPath) }
        defer { _ = closeFile(descriptor) }
        var text = [UInt8](repeating: 0, count: 64)
        let count = unsafe text.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress, $0.count) }
        guard count >= 0 else { throw failure(markPath) }
        return String(decoding: text[..<count], as: UTF8.self)
    }

    private var names: [String] {
        guard let stream = unsafe opendir(path) else { return [] }
        defer { unsafe closedir(stream) }
        var names: [String] = []
        while let entry = unsafe readdir(stream) {
            let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            names.append(name)
        }
        return names
    }

    private func bytes(of name: String) -> Int {
        var status = stat()
        return unsafe stat("\(path)/\(name)", &status) == 0 ? Int(status.st_size) : 0
    }

    private func exists(_ path: String) -> Bool {
        var status = stat()
        return unsafe lstat(path, &status) == 0
    }

    private func failure(_ path: String) -> EngineError {
        let code = errno
        let reason = unsafe String(cString: strerror(code))
        return [ENOSPC, EDQUOT, EFBIG].contains(code) ? .full("\(path): \(reason)") : .io("\(path): \(reason)")
    }
}

/// `close`, where a type has a method of that name.
func closeFile(_ descriptor: Int32) -> Int32 { close(descriptor) }
