import Synchronization

/// An ordered tree for each ``Table``, as one value: copying it costs a reference, and a copy stays as it is while the
/// original is changed, which copies only the nodes that the two share.
///
/// Copies may be read on any thread, while one thread changes the original. Rows may be tombstones (no value), for
/// overlays; to the trees they are rows like others.
package struct TreeSet: @unchecked Sendable {
    private var owner = TreeOwner()
    private var trees = InlineArray<5, OrderedTree>(repeating: OrderedTree())

    package init() {
        precondition(Table.allCases.count == trees.count, "a tree for each table")
    }

    package func isEmpty(_ table: Table) -> Bool { trees[Int(table.rawValue)].count == 0 }

    package var isEmpty: Bool { count == 0 }

    /// Rows, tombstones included.
    package func count(_ table: Table) -> Int { trees[Int(table.rawValue)].count }

    package var count: Int {
        var sum = 0
        for index in trees.indices { sum += trees[index].count }
        return sum
    }

    /// Bytes of all keys and values.
    package var byteCount: Int {
        var sum = 0
        for index in trees.indices { sum += trees[index].byteCount }
        return sum
    }

    /// Memory that this value and all that it was before take. For the one thread that changes it.
    package var allocatedBytes: Int { owner.arena.allocatedBytes }

    // MARK: Reading

    /// Calls `body` with the value, or nil for a tombstone or no row; the bytes are valid during the call.
    package func withValue<R>(
        _ table: Table, _ key: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer?) throws -> R
    ) rethrows -> R {
        defer { withExtendedLifetime(owner) {} }
        return try unsafe body(find(table, key)?.value)
    }

    /// Valid as long as this value or a later version of it is held.
    func find(_ table: Table, _ key: UnsafeRawBufferPointer) -> TreeRow? {
        unsafe trees[Int(table.rawValue)].find(key)
    }

    package func makeCursor(_ table: Table) -> TreeCursor {
        TreeCursor(trees[Int(table.rawValue)], owner: owner)
    }

    // MARK: Changing

    /// Inserts or replaces; no value makes it a tombstone.
    package mutating func set(_ table: Table, _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer?) {
        own()
        let row = unsafe TreeRow(key: key, value: value, in: owner.arena)
        trees[Int(table.rawValue)].insert(row, epoch: owner.epoch, in: owner.arena)
    }

    package mutating func set(_ table: Table, key: [UInt8], value: [UInt8]?) {
        unsafe key.withUnsafeBytes { key in
            if let value {
                unsafe value.withUnsafeBytes { unsafe set(table, key, $0) }
            } else {
                unsafe set(table, key, nil)
            }
        }
    }

    /// Takes a row out; false if there is none.
    @discardableResult
    package mutating func remove(_ table: Table, _ key: UnsafeRawBufferPointer) -> Bool {
        guard unsafe find(table, key) != nil else { return false }
        own()
        return unsafe trees[Int(table.rawValue)].remove(key, epoch: owner.epoch, in: owner.arena)
    }

    /// The same rows in new memory, without what former changes left behind.
    package func rebuilt() -> TreeSet {
        var new = TreeSet()
        for table in Table.allCases {
            var cursor = makeCursor(table)
            var more = cursor.first()
            while more {
                unsafe new.set(table, cursor.key, cursor.value)
                more = cursor.next()
            }
        }
        return new
    }

    /// Makes sure that what is changed next is seen by no copy of this value.
    private mutating func own() {
        if isKnownUniquelyReferenced(&owner) {
            // Copies that others have dropped were read before: as Swift's own collections do it, with a fence.
            atomicMemoryFence(ordering: .acquiring)
            if owner.arena.ownerEpoch.load(ordering: .relaxed) == owner.epoch { return }
        } else if let next = owner.successor() {
            owner = next
            return
        }
        // A copy of this value was changed first and goes on in the common arena.
        self = rebuilt()
    }
}
