import MVCC
package import Platform
package import Replica
package import StorageEngine

/// A simulated member's engines: what has been committed to the current one outlives a crash, what is being staged does
/// not.
package final class SimulatedEngines: EngineProvider, @unchecked Sendable {
    // Touched by the simulation's one thread.
    fileprivate var durable = MemoryEngine.Image()
    fileprivate var current: SimulatedEngine?
    /// Told when a batch has become durable.
    var onCommit: (() -> Void)?

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

    /// The last entry that the durable state holds.
    func durableApplied() throws -> UInt64 {
        try State(store: LayeredStore(engine: MemoryEngine(image: durable))).applied.index
    }

    /// Bit rot: flips one bit of one row at rest, in its key or in its value.
    /// - Returns: where; nil if there is nothing to damage.
    package func rot(_ random: inout RandomSource) throws -> String? {
        let engine = MemoryEngine(image: durable)
        let view = try engine.snapshot()
        var rows: [(table: Table, key: [UInt8], value: [UInt8])] = []
        for table in [Table.versions, .revisions, .meta] {
            let cursor = view.makeCursor(table)
            var more = cursor.first()
            while more {
                rows.append((table, Array(cursor.key), Array(cursor.value)))
                more = cursor.next()
            }
        }
        guard !rows.isEmpty else { return nil }
        let row = rows[random.below(rows.count)]
        var (key, value) = (row.key, row.value)
        let place = random.below(key.count + value.count)
        let bit = UInt8(1) << UInt8(random.below(8))
        if place < key.count { key[place] ^= bit } else { value[place - key.count] ^= bit }
        try engine.commit([.delete(row.table, key: row.key), .put(row.table, key: key, value: value)])
        durable = engine.image
        return "bit \(bit) of byte \(place) of a row of table \(row.table)"
    }
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
        guard engines.current === self else { return }
        engines.durable = memory.image
        engines.onCommit?()
    }

    func size() -> (total: Int, inUse: Int) { memory.size() }

    func close() {}
}
