import ByteCodec
import StorageEngine

/// A state that could not be brought to another engine. It is in the old one as it was.
package struct EngineMoveFailure: Error, CustomStringConvertible {
    package let from: String
    package let to: String
    package let reason: String

    package var description: String { "it could not be moved from the engine \(from) to \(to): \(reason)" }
}

/// All rows of one engine brought to another.
package enum EngineMove {
    package struct Rows: Hashable, Sendable {
        package var count: UInt64 = 0
        /// Of keys and values.
        package var bytes: UInt64 = 0
        var checksum = CRC32C().value
    }

    package enum Event: Sendable {
        case began(from: String, to: String)
        /// So far.
        case copied(Rows)
        case ended(Rows)
    }

    /// Rows are committed in batches of about this size.
    private static let batchBytes = 16 << 20
    /// How often is told how far it is.
    private static let bytesPerEvent: UInt64 = 256 << 20

    /// Copies everything into an empty engine, and reads it back. Durable, as far as commits are, when it returns.
    static func copy(
        from old: any StorageEngine, to new: any StorageEngine, _ observe: (Event) -> Void
    ) throws -> Rows {
        var batch: [Mutation] = []
        var batchBytes = 0
        var told: UInt64 = 0
        let copied = try walk(old.snapshot()) { table, key, value, rows throws(EngineError) in
            batch.append(.put(table, key: Array(key), value: Array(value)))
            batchBytes += key.count + value.count
            guard batchBytes >= Self.batchBytes else { return }
            try new.commit(batch)
            batch.removeAll(keepingCapacity: true)
            batchBytes = 0
            if rows.bytes - told >= Self.bytesPerEvent {
                told = rows.bytes
                observe(.copied(rows))
            }
        }
        try new.commit(batch)
        let found = try walk(new.snapshot()) { _, _, _, _ in }
        guard found == copied else {
            throw EngineError.corrupt(
                "\(copied.count) rows were written, and \(found.count) or other ones are read back")
        }
        return copied
    }

    private static func walk(
        _ snapshot: any EngineSnapshot,
        _ body: (Table, UnsafeRawBufferPointer, UnsafeRawBufferPointer, Rows) throws(EngineError) -> Void
    ) throws(EngineError) -> Rows {
        var rows = Rows()
        var checksum = CRC32C()
        for table in Table.allCases {
            let cursor = snapshot.makeCursor(table)
            var more = cursor.first()
            while more {
                let (key, value) = (cursor.key, cursor.value)
                checksum.update(UInt64(table.rawValue))
                checksum.update(UInt64(key.count))
                checksum.update(key)
                checksum.update(value)
                rows.count += 1
                rows.bytes += UInt64(key.count + value.count)
                try body(table, key, value, rows)
                more = cursor.next()
            }
        }
        rows.checksum = checksum.value
        return rows
    }
}
