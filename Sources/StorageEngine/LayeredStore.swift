/// Applied writes wait in memory and reach the engine in batches (decision 6).
///
/// Three layers, newest first: `active` takes writes; `frozen` is being committed by the flusher; the engine holds the
/// rest. A read sees them as one. One thread writes, freezes and retires; any thread reads a ``LayeredView``.
///
/// Between the flusher's commit and ``retire()`` the rows of the frozen layer are both there and in the engine's newest
/// state, which no view looks at yet: a view is always (active, frozen, the engine before the frozen layer).
package struct LayeredStore: Sendable {
    private let engine: any StorageEngine
    private var moment: EngineMoment
    private var active = TreeSet()
    private var frozen: FrozenLayer? = nil

    package init(engine: any StorageEngine) throws(EngineError) {
        self.engine = engine
        moment = try EngineMoment(engine)
    }

    package mutating func put(_ table: Table, key: [UInt8], value: [UInt8]) {
        active.set(table, key: key, value: value)
    }

    package mutating func put(_ table: Table, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
        unsafe active.set(table, key, value)
    }

    package mutating func delete(_ table: Table, key: [UInt8]) {
        active.set(table, key: key, value: nil)
    }

    package mutating func delete(_ table: Table, key: UnsafeRawBufferPointer) {
        unsafe active.set(table, key, nil)
    }

    /// All writes so far, as one moment. O(1). The writes after it copy the few nodes that they change.
    package var view: LayeredView { LayeredView(active: active, frozen: frozen, moment: moment) }

    /// Memory that the writes that wait take: to decide when to flush.
    package var activeBytes: Int { active.allocatedBytes }

    /// Whether a layer is on its way to the engine.
    package var hasFrozen: Bool { frozen != nil }

    /// Hands the writes so far over for a commit; nil if nothing is waiting, or one layer is frozen already.
    package mutating func freeze() -> FrozenLayer? {
        guard frozen == nil, !active.isEmpty else { return nil }
        let layer = FrozenLayer(active)
        frozen = layer
        active = TreeSet()
        return layer
    }

    /// The frozen layer is committed: drops it and takes a new engine snapshot. If that fails, all stays as it was.
    package mutating func retire() throws(EngineError) {
        guard let frozen else { preconditionFailure("nothing is frozen") }
        precondition(frozen.isCommitted, "a frozen layer was retired before it was committed")
        moment = try EngineMoment(engine)
        self.frozen = nil
    }
}

/// A snapshot, and which of its tables need not be asked.
final class EngineMoment: Sendable {
    let snapshot: any EngineSnapshot
    private let emptyTables: [Bool]

    init(_ engine: any StorageEngine) throws(EngineError) {
        let snapshot = try engine.snapshot()
        self.snapshot = snapshot
        emptyTables = Table.allCases.map { snapshot.isEmpty($0) }
    }

    func isEmpty(_ table: Table) -> Bool { emptyTables[Int(table.rawValue)] }
}
