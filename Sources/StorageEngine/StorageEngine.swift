/// The tables of the replicated state. Raw values are on disk: they are never reused.
package enum Table: UInt8, Sendable, CaseIterable {
    /// `key · ~revision -> record`: every version of every key, newest first.
    case versions = 0
    /// `revision -> key, kind`: history in the order it happened.
    case revisions = 1
    /// Names and single values: applied index, configuration, compaction's place, members, alarms.
    case meta = 2
    case leases = 3
    case auth = 4
}

/// What can go wrong in an engine.
package enum EngineError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The engine's own structure or a record's checksum is wrong: the member stops.
    case corrupt(String)
    /// The disk is full; nothing of the batch was written.
    case full(String)
    case io(String)

    package var description: String {
        switch self {
        case .corrupt(let reason): "damaged: \(reason)"
        case .full(let reason), .io(let reason): reason
        }
    }
}

/// One change to a table.
package enum Mutation: Equatable, Sendable {
    case put(Table, key: [UInt8], value: [UInt8])
    case delete(Table, key: [UInt8])
}

/// A store of ordered bytes. Commits come from one thread at a time; snapshots are taken and read from any.
package protocol StorageEngine: AnyObject, Sendable {
    /// A consistent view as of the last commit. It stays as it is whatever is committed later.
    func snapshot() throws(EngineError) -> any EngineSnapshot
    /// All of the mutations or none, in their order, durable when this returns.
    func commit(_ batch: [Mutation]) throws(EngineError)
    /// The same for a whole overlay: its rows are put, its tombstones delete. By default by way of mutations.
    func commit(_ overlay: TreeSet) throws(EngineError)
    /// Bytes that the engine occupies, and those of them that hold live data.
    func size() -> (total: Int, inUse: Int)
    /// Ends the engine for its holder. Snapshots that are still held can be read on.
    func close()
    /// The same for an engine whose files are not needed any more: `remove` takes them away, as soon as nobody who
    /// still reads a snapshot can miss them. By default that is at once.
    func close(thenRemove remove: @escaping @Sendable () -> Void)
}

/// A view of one moment. May be used from several threads at once.
package protocol EngineSnapshot: AnyObject, Sendable {
    /// Calls `body` with the value, or nil; the bytes are valid during the call.
    func withValue<R>(
        _ table: Table, _ key: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer?) throws -> R
    ) rethrows -> R
    func makeCursor(_ table: Table) -> any EngineCursor
    /// Whether the table has no row. By default a cursor is asked.
    func isEmpty(_ table: Table) -> Bool
}

/// A place in a table's order. Used by one thread; must not outlive its snapshot, which it keeps alive.
///
/// Where a move says false, and before the first one, the cursor is at no place: `next` and `previous` say false there.
package protocol EngineCursor: AnyObject {
    /// To the first key that is not less; false at the end.
    func seek(_ key: UnsafeRawBufferPointer) -> Bool
    /// To the last key that is less; false if there is none.
    func seekBefore(_ key: UnsafeRawBufferPointer) -> Bool
    func first() -> Bool
    func last() -> Bool
    func next() -> Bool
    func previous() -> Bool
    /// Valid until the cursor moves. Reading them where the last move said false is a programming error.
    var key: UnsafeRawBufferPointer { get }
    var value: UnsafeRawBufferPointer { get }
}

extension StorageEngine {
    package func close(thenRemove remove: @escaping @Sendable () -> Void) {
        close()
        remove()
    }

    package func commit(_ overlay: TreeSet) throws(EngineError) {
        var batch: [Mutation] = []
        batch.reserveCapacity(overlay.count)
        for table in Table.allCases {
            var cursor = overlay.makeCursor(table)
            var more = cursor.first()
            while more {
                let key = unsafe [UInt8](cursor.key)
                if let value = unsafe cursor.value {
                    batch.append(.put(table, key: key, value: unsafe [UInt8](value)))
                } else {
                    batch.append(.delete(table, key: key))
                }
                more = cursor.next()
            }
        }
        try commit(batch)
    }
}

extension EngineSnapshot {
    package func isEmpty(_ table: Table) -> Bool { !makeCursor(table).first() }
}
