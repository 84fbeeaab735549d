package import Platform
package import StorageEngine
import Synchronization

/// Engines in directories: `state-<n>` with the greatest n is the current one; `incoming-<serial>` is being filled. One
/// rename and one directory fsync install a snapshot, so that a crash leaves either the old state or the new, never
/// neither.
package final class DirectoryEngines: EngineProvider {
    private let directory: String
    private let fileSystem: any FileSystem
    private let open: @Sendable (String) throws -> any StorageEngine
    private let isMade: @Sendable (String) -> Bool
    private let generation = Mutex<Int>(0)
    private let stagings = Mutex<Int>(0)
    private let current = Mutex<(any StorageEngine)?>(nil)

    /// - Parameters:
    ///   - open: opens the engine in a directory, or makes it.
    ///   - isMade: whether there is an engine in a directory. It changes nothing.
    package init(
        directory: String, fileSystem: any FileSystem, open: @escaping @Sendable (String) throws -> any StorageEngine,
        isMade: @escaping @Sendable (String) -> Bool
    ) {
        self.directory = directory
        self.fileSystem = fileSystem
        self.open = open
        self.isMade = isMade
    }

    private func statePath(_ generation: Int) -> String { "\(directory)/state-\(generation)" }

    private func number(of name: String) -> Int? {
        name.hasPrefix("state-") ? Int(name.dropFirst("state-".count)) : nil
    }

    /// Whether there is a state to open, and not just a directory for it; where there is none, ``openCurrent()`` makes
    /// an empty one. Changes nothing.
    package func holdsState() throws -> Bool {
        guard fileSystem.exists(directory), let newest = try fileSystem.list(directory).compactMap(number(of:)).max()
        else { return false }
        return isMade(statePath(newest))
    }

    package func openCurrent() throws -> any StorageEngine {
        try fileSystem.createDirectory(directory)
        var generations: [Int] = []
        for name in try fileSystem.list(directory) {
            if name.hasPrefix("incoming-") {
                try fileSystem.removeTree("\(directory)/\(name)")
            } else if let number = number(of: name) {
                generations.append(number)
            }
        }
        let newest = generations.max() ?? 1
        for old in generations where old < newest { try fileSystem.removeTree(statePath(old)) }
        if generations.isEmpty {
            try fileSystem.createDirectory(statePath(newest))
            try fileSystem.synchronizeDirectory(directory)
        }
        generation.withLock { $0 = newest }
        return try openAndRemember(statePath(newest))
    }

    private func openAndRemember(_ path: String) throws -> any StorageEngine {
        let engine = try open(path)
        current.withLock { $0 = engine }
        return engine
    }

    /// How many bytes the current engine takes on disk, and how many of them hold live data.
    package func size() -> (total: Int, inUse: Int) { current.withLock { $0 }?.size() ?? (0, 0) }

    package func makeStaging() throws -> StagedEngine {
        // A name of its own: an earlier snapshot may still wait for its installation.
        let serial = stagings.withLock { serial in
            serial += 1
            return serial
        }
        let name = "incoming-\(serial)"
        let path = "\(directory)/\(name)"
        if fileSystem.exists(path) { try fileSystem.removeTree(path) }
        try fileSystem.createDirectory(path)
        return StagedEngine(name: name, engine: try open(path))
    }

    package func install(_ staged: StagedEngine) throws -> any StorageEngine {
        let path = "\(directory)/\(staged.name)"
        staged.engine.close()
        let next = generation.withLock { generation in
            generation += 1
            return generation
        }
        try fileSystem.synchronizeDirectory(path)
        try fileSystem.rename(path, to: statePath(next))
        try fileSystem.synchronizeDirectory(directory)
        // Views that are still being read keep the old engine's file open; its name goes now.
        try fileSystem.removeTree(statePath(next - 1))
        return try openAndRemember(statePath(next))
    }

    package func discard(_ staged: StagedEngine) {
        staged.engine.close()
        // What cannot be removed now is removed at the next start.
        do { try fileSystem.removeTree("\(directory)/\(staged.name)") } catch {}
    }
}
