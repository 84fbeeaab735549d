package import Platform
package import StorageEngine
import Synchronization

/// The engine `memory` of a server: all rows in memory (`MemoryEngine`), and a journal of all commits on disk, from
/// which they come back at a start.
///
/// A member must not forget what it has acknowledged, and its log is cut behind what the engine says that it holds; so
/// an engine that kept nothing could not be used by anyone (decision 0022). What the journal looks like is in
/// `Documentation/formats/journal-engine.md`.
package final class JournalEngine: StorageEngine {
    package struct Options: Sendable {
        /// A journal is written anew, with the rows that are left, when it is this much longer than twice those rows.
        package var rewriteBytesMin = 64 << 20

        package init() {}
    }

    private struct State {
        /// nil once closed.
        var journal: Journal?
        /// Why nothing can be committed any more: what a write that failed has left in the file is not known.
        var failure: EngineError?
        /// The journal is not written anew before it is so long.
        var rewriteAt = 0
    }

    private let memory = MemoryEngine()
    private let path: String
    private let options: Options
    private let state: Mutex<State>

    /// Whether there is an engine in the directory.
    package static func exists(at path: String, _ fileSystem: any FileSystem) -> Bool {
        do throws(FileError) {
            guard fileSystem.exists(path) else { return false }
            return try !JournalFiles(path, fileSystem).numbers().isEmpty
        } catch {
            // Opening it will tell.
            return true
        }
    }

    /// Opens the engine in the directory, or makes both.
    package init(path: String, fileSystem: any FileSystem, options: Options = Options()) throws(EngineError) {
        self.path = path
        self.options = options
        state = Mutex(State())
        let journal = try Journal.open(JournalFiles(path, fileSystem), into: memory)
        state.withLock { $0 = State(journal: journal, rewriteAt: options.rewriteBytesMin) }
    }

    package func snapshot() throws(EngineError) -> any EngineSnapshot { try memory.snapshot() }

    package func commit(_ batch: [Mutation]) throws(EngineError) {
        var record = JournalRecord(.commit)
        for mutation in batch { record.add(mutation) }
        try commit(record) { memory throws(EngineError) in try memory.commit(batch) }
    }

    package func commit(_ overlay: TreeSet) throws(EngineError) {
        var record = JournalRecord(.commit)
        for table in Table.allCases {
            var rows = overlay.makeCursor(table)
            var more = rows.first()
            while more {
                record.add(table, rows.key, rows.value)
                more = rows.next()
            }
        }
        try commit(record) { memory throws(EngineError) in try memory.commit(overlay) }
    }

    private func commit(
        _ record: consuming JournalRecord, _ apply: (MemoryEngine) throws(EngineError) -> Void
    ) throws(EngineError) {
        let bytes = try record.finish()
        let result: Result<Void, EngineError> = state.withLock { state in
            Result { () throws(EngineError) in
                if let failure = state.failure { throw failure }
                guard state.journal != nil else { throw .io("the engine is closed") }
                do throws(EngineError) {
                    try state.journal?.append(bytes)
                } catch {
                    state.failure = error
                    throw error
                }
                try apply(memory)
                rewriteIfLong(&state)
            }
        }
        try result.get()
    }

    /// The commit is durable already: where there is no room for a new journal, the old one goes on.
    private func rewriteIfLong(_ state: inout State) {
        guard let journal = state.journal, journal.bytes > state.rewriteAt,
            journal.bytes > options.rewriteBytesMin + 2 * memory.size().inUse
        else { return }
        do {
            state.journal = try journal.rewritten(memory.snapshot())
            state.rewriteAt = options.rewriteBytesMin
        } catch {
            state.rewriteAt = journal.bytes + options.rewriteBytesMin
        }
    }

    package func size() -> (total: Int, inUse: Int) {
        let bytes = state.withLock { $0.journal?.bytes ?? 0 }
        return (bytes, min(bytes, memory.size().inUse))
    }

    /// Snapshots go on being read: they are in memory.
    package func close() {
        state.withLock { state in
            state.journal?.close()
            state.journal = nil
        }
        memory.close()
    }
}
