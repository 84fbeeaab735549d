package import Platform
package import StorageEngine
import Synchronization

/// A kind of engine that directories may hold.
package struct DirectoryEngineKind: Sendable {
    package let name: String
    let open: @Sendable (String) throws -> any StorageEngine
    let isMade: @Sendable (String) -> Bool

    /// - Parameters:
    ///   - open: opens the engine in a directory, or makes it.
    ///   - isMade: whether there is an engine of this kind in a directory. It changes nothing.
    package init(
        name: String, open: @escaping @Sendable (String) throws -> any StorageEngine,
        isMade: @escaping @Sendable (String) -> Bool
    ) {
        self.name = name
        self.open = open
        self.isMade = isMade
    }
}

/// Engines in directories: `state-<n>` with the greatest n is the current one; `incoming-<serial>` is being filled. One
/// rename and one directory fsync install a snapshot, so that a crash leaves either the old state or the new, never
/// neither.
///
/// A state that was written with another kind of engine than the chosen one is moved when it is opened, by the same
/// steps: the new engine is filled beside the old one, read back, made durable, and takes its place by one rename.
package final class DirectoryEngines: EngineProvider {
    private let directory: String
    private let fileSystem: any FileSystem
    private let kinds: [DirectoryEngineKind]
    private let chosen: DirectoryEngineKind
    private let generation = Mutex<Int>(0)
    private let stagings = Mutex<Int>(0)
    private let current = Mutex<(any StorageEngine)?>(nil)
    private let moveObserver = Mutex<(@Sendable (EngineMove.Event) -> Void)?>(nil)

    /// - Parameters:
    ///   - chosen: what new engines are.
    ///   - others: what engines may be that are there already.
    package init(
        directory: String, fileSystem: any FileSystem, chosen: DirectoryEngineKind, others: [DirectoryEngineKind] = []
    ) {
        self.directory = directory
        self.fileSystem = fileSystem
        self.chosen = chosen
        kinds = [chosen] + others.filter { $0.name != chosen.name }
    }

    /// Has `observe` called while a state is moved to the chosen engine.
    package func whenMoving(_ observe: @escaping @Sendable (EngineMove.Event) -> Void) {
        moveObserver.withLock { $0 = observe }
    }

    private func statePath(_ generation: Int) -> String { "\(directory)/state-\(generation)" }

    private func number(of name: String) -> Int? {
        name.hasPrefix("state-") ? Int(name.dropFirst("state-".count)) : nil
    }

    /// What is in a directory, by the engines' own files; nil if that is nothing yet.
    private func kind(at path: String) throws -> DirectoryEngineKind? {
        let found = kinds.filter { $0.isMade(path) }
        guard found.count <= 1 else {
            throw EngineError.corrupt(
                "\(path) holds files of the engines " + found.map(\.name).joined(separator: " and ")
                    + ", and can be of one only")
        }
        return found.first
    }

    /// Whether there is a state to open, and not just a directory for it; where there is none, ``openCurrent()`` makes
    /// an empty one. Changes nothing.
    package func holdsState() throws -> Bool {
        guard fileSystem.exists(directory), let newest = try fileSystem.list(directory).compactMap(number(of:)).max()
        else { return false }
        return try kind(at: statePath(newest)) != nil
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
        let path = statePath(newest)
        if let kind = try kind(at: path), kind.name != chosen.name { return try moved(from: kind, at: path) }
        return try openAndRemember(path)
    }

    private func openAndRemember(_ path: String) throws -> any StorageEngine {
        let engine = try chosen.open(path)
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
        return StagedEngine(name: name, engine: try chosen.open(path))
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
        let old = current.withLock { $0 }
        let engine = try openAndRemember(statePath(next))
        // Views that are still being read may need the old engine's files until they end. What cannot be removed then
        // is removed at the next start.
        let remove: @Sendable () -> Void = { [fileSystem, path = statePath(next - 1)] in
            do { try fileSystem.removeTree(path) } catch {}
        }
        if let old { old.close(thenRemove: remove) } else { remove() }
        return engine
    }

    package func discard(_ staged: StagedEngine) {
        // What cannot be removed now is removed at the next start.
        staged.engine.close { [fileSystem, path = "\(directory)/\(staged.name)"] in
            do { try fileSystem.removeTree(path) } catch {}
        }
    }

    /// Brings the state to the chosen engine. Until the last step it is where it was.
    private func moved(from kind: DirectoryEngineKind, at path: String) throws -> any StorageEngine {
        let observe = moveObserver.withLock { $0 } ?? { _ in }
        do {
            let old = try kind.open(path)
            do {
                let staged = try makeStaging()
                do {
                    observe(.began(from: kind.name, to: chosen.name))
                    let rows = try EngineMove.copy(from: old, to: staged.engine, observe)
                    current.withLock { $0 = old }
                    let engine = try install(staged)
                    observe(.ended(rows))
                    return engine
                } catch {
                    discard(staged)
                    throw error
                }
            } catch {
                old.close()
                throw error
            }
        } catch {
            current.withLock { $0 = nil }
            throw EngineMoveFailure(from: kind.name, to: chosen.name, reason: "\(error)")
        }
    }
}
