import StorageEngine
import Testing

/// The life of a layer, step by step.
struct LayeredStoreTests {
    @Test func `a view stays one moment through freeze, commit and retire`() throws {
        let engine = MemoryEngine()
        var store = try LayeredStore(engine: engine)
        let nothing = store.freeze()
        #expect(nothing == nil)
        store.put(.versions, key: [1], value: [1])
        store.put(.versions, key: [2], value: [2])
        let first = store.view
        let frozen = store.freeze()
        let layer = try #require(frozen)
        #expect(layer.bytes > 0 && layer.count == 2)
        store.delete(.versions, key: [1])
        store.put(.versions, key: [3], value: [3])
        let another = store.freeze()
        #expect(another == nil)
        let second = store.view
        try layer.commit(to: engine)
        let third = store.view
        try store.retire()
        store.put(.versions, key: [2], value: [9])
        let fourth = store.view
        #expect(rows(first) == [[1], [2]])
        #expect(rows(second) == [[2], [3]])
        #expect(rows(third) == [[2], [3]])
        #expect(rows(fourth) == [[2], [3]])
        #expect(second.value(.versions, [1]) == nil && first.value(.versions, [1]) == [1])
        #expect(third.value(.versions, [2]) == [2] && fourth.value(.versions, [2]) == [9])
        #expect(try engine.snapshot().value(.versions, [1]) == [1])
        let frozenNext = store.freeze()
        let next = try #require(frozenNext)
        try next.commit(to: engine)
        try store.retire()
        #expect(try engine.snapshot().value(.versions, [1]) == nil)
        #expect(rows(store.view) == [[2], [3]])
        #expect(store.activeBytes == 0)
    }

    @Test func `a layer whose commit failed is committed again`() throws {
        let engine = MemoryEngine()
        var store = try LayeredStore(engine: engine)
        store.put(.meta, key: [1], value: [1])
        let frozen = store.freeze()
        let layer = try #require(frozen)
        #expect(throws: EngineError.full("disk")) { try layer.commit(to: FullEngine()) }
        #expect(store.view.value(.meta, [1]) == [1])
        try layer.commit(to: engine)
        try store.retire()
        #expect(store.view.value(.meta, [1]) == [1])
    }

    @Test func `images of the memory engine are what was committed then`() throws {
        let engine = MemoryEngine()
        try engine.commit([.put(.meta, key: [1], value: [1])])
        let image = engine.image
        try engine.commit([.put(.meta, key: [1], value: [2]), .put(.meta, key: [2], value: [2])])
        let old = MemoryEngine(image: image)
        try old.commit([.put(.meta, key: [3], value: [3])])
        #expect(try old.snapshot().rows(.meta).map(\.value) == [[1], [3]])
        #expect(try engine.snapshot().rows(.meta).map(\.value) == [[2], [2]])
        #expect(try MemoryEngine(image: image).snapshot().rows(.meta).map(\.value) == [[1]])
    }

    @Test func `the memory engine gives back what replaced rows took`() throws {
        let engine = MemoryEngine()
        let value = [UInt8](repeating: 1, count: 1000)
        for _ in 0..<200 {
            try engine.commit((0..<100).map { .put(.versions, key: number($0), value: value) })
        }
        #expect(engine.size().total < 4 << 20)
        #expect(engine.size().inUse == 100 * 1008)
    }

    private func rows(_ view: LayeredView) -> [[UInt8]] {
        let cursor = view.makeCursor(.versions)
        var keys: [[UInt8]] = []
        var more = cursor.first()
        while more {
            keys.append([UInt8](cursor.key))
            more = cursor.next()
        }
        return keys
    }
}

private final class FullEngine: StorageEngine {
    func snapshot() throws(EngineError) -> any EngineSnapshot { throw .io("none") }
    func commit(_ batch: [Mutation]) throws(EngineError) { throw .full("disk") }
    func size() -> (total: Int, inUse: Int) { (0, 0) }
    func close() {}
}
