import Synchronization

/// A batch of writes on its way to the engine. The flusher's thread commits it, while views go on reading it.
package struct FrozenLayer: Sendable {
    private final class Storage: Sendable {
        let trees: TreeSet
        let bytes: Int
        let isCommitted = Atomic<Bool>(false)

        init(_ trees: TreeSet) {
            self.trees = trees
            bytes = trees.allocatedBytes
        }
    }

    private let storage: Storage

    init(_ trees: TreeSet) { storage = Storage(trees) }

    /// Writes all or nothing. After an error it may be tried again.
    package func commit(to engine: any StorageEngine) throws(EngineError) {
        try engine.commit(storage.trees)
        storage.isCommitted.store(true, ordering: .releasing)
    }

    /// Memory that the layer takes.
    package var bytes: Int { storage.bytes }
    /// Rows and tombstones.
    package var count: Int { storage.trees.count }

    var isCommitted: Bool { storage.isCommitted.load(ordering: .acquiring) }
    var trees: TreeSet { storage.trees }

    func find(_ table: Table, _ key: UnsafeRawBufferPointer) -> TreeRow? { unsafe storage.trees.find(table, key) }
}
