package import Replica
package import StorageEngine

/// A simulated member's engines: what has been committed to the current one outlives a crash, what is being staged does
/// not.
package final class SimulatedEngines: EngineProvider, @unchecked Sendable {
    // Touched by the simulation's one thread.
    fileprivate var durable = MemoryEngine.Image()
    fileprivate var current: SimulatedEngine?

    package init() {}

    package func openCurrent() throws -> any StorageEngine {
        // A process that starts sees what was durable, in an engine of its own.
        let engine = SimulatedEngine(MemoryEngine(image: durable), of: self)
        current = engine
        return engine
    }

    package func makeStaging() throws -> StagedEngine {
        StagedEngine(name: "staging", engine: SimulatedEngine(MemoryEngine(), of: self))
    }

    package func install(_ staged: StagedEngine) throws -> any StorageEngine {
        guard let engine = staged.engine as? SimulatedEngine else { preconditionFailure("an engine of another kind") }
        current = engine
        durable = engine.memory.image
        return engine
    }

    package func discard(_ staged: StagedEngine) {}
}

private final class SimulatedEngine: StorageEngine, @unchecked Sendable {
    let memory: MemoryEngine
    private unowned let engines: SimulatedEngines

    init(_ memory: MemoryEngine, of engines: SimulatedEngines) {
        self.memory = memory
        self.engines = engines
    }

    func snapshot() throws(EngineError) -> any EngineSnapshot { try memory.snapshot() }

    func commit(_ batch: [Mutation]) throws(EngineError) {
        try memory.commit(batch)
        remember()
    }

    func commit(_ overlay: TreeSet) throws(EngineError) {
        try memory.commit(overlay)
        remember()
    }

    /// Only what is committed to the engine that is in use is the member's; a late commit of a former one is nobody's.
    private func remember() {
        if engines.current === self { engines.durable = memory.image }
    }

    func size() -> (total: Int, inUse: Int) { memory.size() }

    func close() {}
}
