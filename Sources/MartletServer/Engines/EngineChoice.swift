import JournalEngine
import LMDBEngine
import Platform
import Replica
import RocksDBEngine

/// The engines that a member's state can be kept in (`--engine`). The names are in flags and documentation.
package enum EngineChoice: String, Sendable, CaseIterable {
    case lmdb
    case rocksdb
    /// All rows in memory, and a journal of them on disk.
    case memory

    func kind(_ fileSystem: any FileSystem) -> DirectoryEngineKind {
        switch self {
        case .lmdb:
            DirectoryEngineKind(
                name: rawValue, open: { try LMDBEngine(path: $0) }, isMade: { LMDBEngine.exists(at: $0) })
        case .rocksdb:
            DirectoryEngineKind(
                name: rawValue, open: { try RocksDBEngine(path: $0) }, isMade: { RocksDBEngine.exists(at: $0) })
        case .memory:
            DirectoryEngineKind(
                name: rawValue, open: { try JournalEngine(path: $0, fileSystem: fileSystem) },
                isMade: { JournalEngine.exists(at: $0, fileSystem) })
        }
    }

    /// The engines in a directory that are of this kind, or are made so when they are opened.
    func engines(in directory: String, _ fileSystem: any FileSystem) -> DirectoryEngines {
        DirectoryEngines(
            directory: directory, fileSystem: fileSystem, chosen: kind(fileSystem),
            others: Self.allCases.map { $0.kind(fileSystem) })
    }
}
