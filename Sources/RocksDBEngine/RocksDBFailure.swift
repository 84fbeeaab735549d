import StorageEngine

#if canImport(Glibc)
    import Glibc
#else
    import Musl
#endif

/// RocksDB's messages as engine errors. They begin with the kind of the status.
enum RocksDBFailure {
    static func error(_ message: String, _ doing: String) -> EngineError {
        let text = "\(doing): \(message)"
        if message.hasPrefix("Corruption") { return .corrupt(text) }
        // A file that is gone is named by an I/O error; a missing CURRENT by "does not exist".
        if message.contains("No such file or directory") || message.contains("does not exist") {
            return .corrupt(text)
        }
        if message.contains("No space left on device") || message.contains("Disk quota exceeded")
            || message.contains("File too large") || message.contains("Space limit reached")
        {
            return .full(text)
        }
        return .io(text)
    }

    /// What is done where damage is met while the engine is read: no face that reads can throw, and there is no honest
    /// answer. One line that says which directory and what to do, and the end of the process with status 1.
    static func stop(_ path: String, _ what: String) -> Never {
        let text =
            "Error: the state in \(path) is damaged: \(what). The member stops at once; check the disk, then restore "
            + "the member from a copy, or remove it from the cluster and add it again with an empty directory\n"
        let bytes = Array(text.utf8)
        unsafe bytes.withUnsafeBytes { bytes in
            var done = 0
            while done < bytes.count {
                let written = unsafe write(2, bytes.baseAddress! + done, bytes.count - done)
                if written <= 0 { return }
                done += written
            }
        }
        _exit(1)
    }
}
