/// A place in one tree of a ``TreeSet``, as it was when the cursor was made: later changes are not seen.
///
/// After a move that said false the cursor is at no place, and `next` and `previous` say false until it is set again.
package struct TreeCursor: @unchecked Sendable {
    private let tree: OrderedTree
    /// Keeps the rows alive, and makes a writer copy the nodes that the cursor walks on.
    private let owner: TreeOwner
    private var leaf: TreeNode? = nil
    private var index = 0

    /// How many rows ahead a walk asks memory for. Rows lie in the order that they were written in, so that each one
    /// is a cache miss in a large tree; asked for early, the misses overlap. (Swift has no prefetch: a load whose
    /// result nothing waits for serves as well.)
    private static let touchedAhead = 8
    private var touched: UInt8 = 0

    init(_ tree: OrderedTree, owner: TreeOwner) {
        self.tree = tree
        self.owner = owner
    }

    /// To the first key that is not less; false at the end.
    package mutating func seek(_ key: UnsafeRawBufferPointer) -> Bool {
        guard let node = unsafe leafNode(of: key) else { return false }
        leaf = node
        index = unsafe node.lowerBound(key, rowCount: node.count)
        if index < node.count { return true }
        // The first key of the next leaf is greater than any key of this one's range.
        index = node.count - 1
        return next()
    }

    /// To the last key that is less; false if there is none.
    package mutating func seekBefore(_ key: UnsafeRawBufferPointer) -> Bool {
        guard let node = unsafe leafNode(of: key) else { return false }
        leaf = node
        index = unsafe node.lowerBound(key, rowCount: node.count)
        return previous()
    }

    package mutating func first() -> Bool {
        guard let root = tree.root else { return false }
        leaf = TreeCursor.firstLeaf(under: root, height: tree.height)
        index = 0
        return true
    }

    package mutating func last() -> Bool {
        guard let root = tree.root else { return false }
        let node = TreeCursor.lastLeaf(under: root, height: tree.height)
        leaf = node
        index = node.count - 1
        return true
    }

    package mutating func next() -> Bool {
        guard let leaf else { return false }
        index += 1
        let count = leaf.count
        if index < count {
            if index + TreeCursor.touchedAhead < count {
                touched ^= leaf.row(index + TreeCursor.touchedAhead).touch()
            }
            return true
        }
        // Leaves know no neighbours (a copied leaf would have to copy them too): down again from the root.
        index = 0
        let next = neighbour(of: leaf, isNext: true)
        self.leaf = next
        guard let next else { return false }
        for index in 0..<min(TreeCursor.touchedAhead, next.count) { touched ^= next.row(index).touch() }
        return true
    }

    package mutating func previous() -> Bool {
        guard let leaf else { return false }
        if index > 0 {
            index -= 1
            return true
        }
        self.leaf = neighbour(of: leaf, isNext: false)
        index = (self.leaf?.count ?? 1) - 1
        return self.leaf != nil
    }

    private var row: TreeRow {
        guard let leaf else { preconditionFailure("a cursor at no place was read") }
        return leaf.row(index)
    }

    /// Valid as long as the cursor lives.
    package var key: UnsafeRawBufferPointer { unsafe row.key }

    /// nil for a tombstone. Valid as long as the cursor lives.
    package var value: UnsafeRawBufferPointer? { unsafe row.value }

    package var isTombstone: Bool { row.isTombstone }

    // MARK: Descent

    private func leafNode(of key: UnsafeRawBufferPointer) -> TreeNode? {
        guard var node = tree.root else { return nil }
        var level = tree.height
        while level > 1 {
            node = unsafe node.child(node.childIndex(key))
            level -= 1
        }
        return node
    }

    private func neighbour(of leaf: TreeNode, isNext: Bool) -> TreeNode? {
        guard var node = tree.root else { return nil }
        let key = unsafe leaf.row(0).key
        var level = tree.height
        var turn: (node: TreeNode, height: Int)? = nil
        while level > 1 {
            let index = unsafe node.childIndex(key)
            if isNext, index + 1 < node.count {
                turn = (node.child(index + 1), level - 1)
            } else if !isNext, index > 0 {
                turn = (node.child(index - 1), level - 1)
            }
            node = node.child(index)
            level -= 1
        }
        guard let turn else { return nil }
        return isNext
            ? TreeCursor.firstLeaf(under: turn.node, height: turn.height)
            : TreeCursor.lastLeaf(under: turn.node, height: turn.height)
    }

    private static func firstLeaf(under node: TreeNode, height: Int) -> TreeNode {
        var node = node
        var level = height
        while level > 1 {
            node = node.child(0)
            level -= 1
        }
        return node
    }

    private static func lastLeaf(under node: TreeNode, height: Int) -> TreeNode {
        var node = node
        var level = height
        while level > 1 {
            node = node.child(node.count - 1)
            level -= 1
        }
        return node
    }
}
