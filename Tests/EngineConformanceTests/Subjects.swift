import Foundation
import JournalEngine
import LMDBEngine
import PlatformPOSIX
import RocksDBEngine
import StorageEngine
import Synchronization
import Testing

/// What the suite runs on.
enum Kind: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case memory
    case lmdb
    case rocksDB
    case journal
    case layersOverMemory
    case layersOverLMDB
    case layersOverRocksDB

    var testDescription: String { rawValue }
}

/// An engine, how to close and open it again, and a directory that goes when this goes.
final class Subject {
    let kind: Kind
    let directory: TestDirectory
    private(set) var engine: any StorageEngine
    private var image = MemoryEngine.Image()

    init(_ kind: Kind) throws {
        self.kind = kind
        directory = TestDirectory()
        engine = MemoryEngine()
        engine = try open()
    }

    private func open() throws -> any StorageEngine {
        switch kind {
        case .memory: MemoryEngine(image: image)
        case .lmdb: try LMDBEngine(path: directory.path)
        case .rocksDB: try RocksDBEngine(path: directory.path)
        case .journal: try JournalEngine(path: directory.path, fileSystem: POSIXFileSystem())
        case .layersOverMemory: try LayeredEngine(MemoryEngine(image: image))
        case .layersOverLMDB: try LayeredEngine(LMDBEngine(path: directory.path))
        case .layersOverRocksDB: try LayeredEngine(RocksDBEngine(path: directory.path))
        }
    }

    func reopen() throws {
        if let layered = engine as? LayeredEngine {
            try layered.flush()
            image = (layered.base as? MemoryEngine)?.image ?? image
        }
        if let memory = engine as? MemoryEngine { image = memory.image }
        engine.close()
        // A layered store's engine snapshot goes with it.
        engine = MemoryEngine()
        engine = try open()
    }
}

/// A layered store with an engine's face: commits go to the active layer, and now and then a layer is frozen, committed
/// or retired, so that readers find rows in all of them.
final class LayeredEngine: StorageEngine {
    let base: any StorageEngine
    private struct State {
        var store: LayeredStore
        var frozen: FrozenLayer? = nil
        var commits = 0
    }
    private let state: Mutex<State>

    init(_ base: any StorageEngine) throws {
        self.base = base
        state = Mutex(State(store: try LayeredStore(engine: base)))
    }

    func snapshot() throws(EngineError) -> any EngineSnapshot {
        ViewSnapshot(state.withLock { $0.store.view })
    }

    func commit(_ batch: [Mutation]) throws(EngineError) {
        let result: Result<Void, EngineError> = state.withLock { state in
            for mutation in batch {
                switch mutation {
                case .put(let table, let key, let value): state.store.put(table, key: key, value: value)
                case .delete(let table, let key): state.store.delete(table, key: key)
                }
            }
            state.commits += 1
            return Result { () throws(EngineError) in
                switch state.commits % 6 {
                case 1: state.frozen = state.store.freeze() ?? state.frozen
                case 3: try state.frozen?.commit(to: base)
                case 4:
                    if state.frozen != nil { try state.store.retire() }
                    state.frozen = nil
                default: break
                }
            }
        }
        try result.get()
    }

    func flush() throws(EngineError) {
        let result: Result<Void, EngineError> = state.withLock { state in
            Result { () throws(EngineError) in
                if let frozen = state.frozen {
                    try frozen.commit(to: base)
                    try state.store.retire()
                }
                state.frozen = nil
                if let frozen = state.store.freeze() {
                    try frozen.commit(to: base)
                    try state.store.retire()
                }
            }
        }
        try result.get()
    }

    func size() -> (total: Int, inUse: Int) { base.size() }
    func close() { base.close() }
}

final class ViewSnapshot: EngineSnapshot {
    private let view: LayeredView

    init(_ view: LayeredView) { self.view = view }

    func withValue<R>(
        _ table: Table, _ key: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer?) throws -> R
    ) rethrows -> R {
        try view.withValue(table, key, body)
    }

    func makeCursor(_ table: Table) -> any EngineCursor { view.makeCursor(table) }
}

final class TestDirectory: Sendable {
    let path: String

    init() {
        let name = "martlet-engine-\(UUID().uuidString)"
        path = FileManager.default.temporaryDirectory.appendingPathComponent(name).path
    }

    var dataFile: String { path + "/data.mdb" }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

extension EngineSnapshot {
    func value(_ table: Table, _ key: [UInt8]) -> [UInt8]? {
        key.withUnsafeBytes { key in withValue(table, key) { $0.map { [UInt8]($0) } } }
    }

    func rows(_ table: Table) -> [(key: [UInt8], value: [UInt8])] {
        let cursor = makeCursor(table)
        var rows: [(key: [UInt8], value: [UInt8])] = []
        var more = cursor.first()
        while more {
            rows.append(([UInt8](cursor.key), [UInt8](cursor.value)))
            more = cursor.next()
        }
        return rows
    }
}

extension EngineCursor {
    func seek(_ key: [UInt8]) -> Bool { key.withUnsafeBytes { seek($0) } }
    func seekBefore(_ key: [UInt8]) -> Bool { key.withUnsafeBytes { seekBefore($0) } }
}
