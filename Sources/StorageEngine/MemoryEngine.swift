import Synchronization

/// An engine in memory: for tests, caches and the simulator.
///
/// "Durable" means here: in the ``image``, which the simulator keeps when it plays a crash.
package final class MemoryEngine: StorageEngine {
    /// All tables at one moment. Taking one costs no copy.
    package struct Image: Sendable {
        fileprivate let trees: TreeSet

        /// An empty one.
        package init() { trees = TreeSet() }
        fileprivate init(_ trees: TreeSet) { self.trees = trees }
    }

    private struct State {
        var trees: TreeSet
        var isClosed = false
    }

    /// What a row costs beside its bytes: its lengths and its share of nodes.
    private static let rowOverheadBytes = 48
    /// Memory that may be taken by what changes left behind, beside twice the live rows', before all is rebuilt.
    private static let garbageBytesMin = 1 << 20

    private let state: Mutex<State>

    package init() {
        state = Mutex(State(trees: TreeSet()))
    }

    /// Goes on from an image. The first commit copies it; images that others hold stay as they are.
    package init(image: Image) {
        state = Mutex(State(trees: image.trees))
    }

    /// All that is committed.
    package var image: Image { state.withLock { Image($0.trees) } }

    package func snapshot() throws(EngineError) -> any EngineSnapshot {
        let (trees, isClosed) = state.withLock { ($0.trees, $0.isClosed) }
        if isClosed { throw .io("the engine is closed") }
        return MemorySnapshot(trees)
    }

    package func commit(_ batch: [Mutation]) throws(EngineError) {
        try change { trees in
            for mutation in batch {
                switch mutation {
                case .put(let table, let key, let value): trees.set(table, key: key, value: value)
                case .delete(let table, let key): _ = unsafe key.withUnsafeBytes { unsafe trees.remove(table, $0) }
                }
            }
        }
    }

    package func commit(_ overlay: TreeSet) throws(EngineError) {
        try change { trees in
            for table in Table.allCases {
                var cursor = overlay.makeCursor(table)
                var more = cursor.first()
                while more {
                    if let value = unsafe cursor.value {
                        unsafe trees.set(table, cursor.key, value)
                    } else {
                        unsafe trees.remove(table, cursor.key)
                    }
                    more = cursor.next()
                }
            }
        }
    }

    /// Changes the rows in place; all that `body` does is one commit.
    package func change(_ body: (inout TreeSet) -> Void) throws(EngineError) {
        let isClosed = state.withLock { state in
            if state.isClosed { return true }
            body(&state.trees)
            let live = state.trees.byteCount + state.trees.count * MemoryEngine.rowOverheadBytes
            if state.trees.allocatedBytes > 3 * live + MemoryEngine.garbageBytesMin {
                state.trees = state.trees.rebuilt()
            }
            return false
        }
        if isClosed { throw .io("the engine is closed") }
    }

    package func size() -> (total: Int, inUse: Int) {
        state.withLock { ($0.trees.allocatedBytes, $0.trees.byteCount) }
    }

    package func close() {
        state.withLock { $0 = State(trees: TreeSet(), isClosed: true) }
    }
}

private final class MemorySnapshot: EngineSnapshot {
    private let trees: TreeSet

    init(_ trees: TreeSet) { self.trees = trees }

    func withValue<R>(
        _ table: Table, _ key: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer?) throws -> R
    ) rethrows -> R {
        try unsafe trees.withValue(table, key, body)
    }

    func makeCursor(_ table: Table) -> any EngineCursor { MemoryCursor(trees.makeCursor(table)) }

    func isEmpty(_ table: Table) -> Bool { trees.isEmpty(table) }
}

private final class MemoryCursor: EngineCursor {
    private var cursor: TreeCursor

    init(_ cursor: TreeCursor) { self.cursor = cursor }

    func seek(_ key: UnsafeRawBufferPointer) -> Bool { unsafe cursor.seek(key) }
    func seekBefore(_ key: UnsafeRawBufferPointer) -> Bool { unsafe cursor.seekBefore(key) }
    func first() -> Bool { cursor.first() }
    func last() -> Bool { cursor.last() }
    func next() -> Bool { cursor.next() }
    func previous() -> Bool { cursor.previous() }
    var key: UnsafeRawBufferPointer { unsafe cursor.key }
    var value: UnsafeRawBufferPointer {
        guard let value = unsafe cursor.value else { preconditionFailure("a tombstone in an engine") }
        return unsafe value
    }
}
