import Platform
import StorageEngine

/// The names in an engine's directory: `journal-<n>`, the one with the greatest n counts; `journal-<n>.new` is being
/// written.
struct JournalFiles: Sendable {
    private static let prefix = "journal-"
    private static let unfinishedSuffix = ".new"

    let directory: String
    let fileSystem: any FileSystem

    init(_ directory: String, _ fileSystem: any FileSystem) {
        self.directory = directory
        self.fileSystem = fileSystem
    }

    func path(_ number: Int) -> String { "\(directory)/\(Self.prefix)\(number)" }
    func unfinishedPath(_ number: Int) -> String { path(number) + Self.unfinishedSuffix }

    /// Of finished journals, in order.
    func numbers() throws(FileError) -> [Int] {
        try fileSystem.list(directory).compactMap { name in
            name.hasPrefix(Self.prefix) ? Int(name.dropFirst(Self.prefix.count)) : nil
        }.sorted()
    }

    /// Removes all but the journal that counts.
    func clear(but number: Int) throws(FileError) {
        for name in try fileSystem.list(directory)
        where name.hasPrefix(Self.prefix) && "\(directory)/\(name)" != path(number) {
            try fileSystem.removeFile("\(directory)/\(name)")
        }
    }

    /// As the engine says it.
    static func error(_ error: FileError) -> EngineError {
        // ENOSPC, EFBIG, EDQUOT: this target knows no system's names.
        [28, 27, 122].contains(error.errno) ? .full("\(error)") : .io("\(error)")
    }
}
