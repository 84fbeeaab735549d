/// A B+tree of rows in key order, as plain pointers: what one table of a ``TreeSet`` is.
///
/// A version of a tree is this value; nodes are shared between versions, and changed in place only by the epoch that
/// made them. Inserts split full nodes on the way down; at the right edge a full node is left full, since keys that
/// only grow never return to it. Deletes free a node when it is empty and do not merge before: simpler, and no worse
/// where rows come and go (Johnson and Shasha, "B-Trees with Inserts and Deletes: Why Free-at-Empty Is Better Than
/// Merge-at-Half").
@safe struct OrderedTree {
    private(set) var root: TreeNode? = nil
    /// The last leaf.
    private var edge: TreeNode? = nil
    /// Levels, the leaves' included.
    private(set) var height = 0
    private(set) var count = 0
    /// Bytes of all keys and values.
    private(set) var byteCount = 0

    /// The row with exactly this key.
    func find(_ key: UnsafeRawBufferPointer) -> TreeRow? {
        guard var node = root else { return nil }
        var level = height
        while level > 1 {
            node = unsafe node.child(node.childIndex(key))
            level -= 1
        }
        return unsafe node.find(key)
    }

    // MARK: Insertion

    mutating func insert(_ row: TreeRow, epoch: UInt64, in arena: TreeArena) {
        let key = unsafe row.key
        guard let edge else {
            let leaf = TreeNode(isLeaf: true, epoch: epoch, in: arena)
            leaf.insertRow(row, at: 0)
            self = OrderedTree(root: leaf, edge: leaf, height: 1, count: 1, byteCount: row.byteCount)
            return
        }
        let isAppend = unsafe compareKeys(edge.row(edge.count - 1).key, key) < 0
        if isAppend {
            count += 1
            byteCount += row.byteCount
            if edge.epoch == epoch, !edge.isFull {
                edge.insertRow(row, at: edge.count)
            } else {
                append(row, epoch: epoch, in: arena)
            }
        } else {
            insertInside(row, epoch: epoch, in: arena)
        }
    }

    /// Behind all others, where the last leaf is shared or full.
    private mutating func append(_ row: TreeRow, epoch: UInt64, in arena: TreeArena) {
        guard var node = root?.owned(isLeaf: height == 1, by: epoch, in: arena) else { return }
        root = node
        if node.isFull {
            node = grow(over: node, epoch: epoch, in: arena)
            let separator = height == 2 ? row : nil
            splitLast(of: node, childIsLeaf: height == 2, newRow: separator, lower: nil, epoch: epoch, in: arena)
            if height == 2 { return }
        }
        var lower: TreeRow? = nil
        var level = height
        while level > 1 {
            let childIsLeaf = level == 2
            var last = node.count - 1
            let child = node.child(last).owned(isLeaf: childIsLeaf, by: epoch, in: arena)
            node.setChild(last, child)
            if last > 0 { lower = node.row(last - 1) }
            if child.isFull {
                splitLast(
                    of: node, childIsLeaf: childIsLeaf, newRow: childIsLeaf ? row : nil, lower: lower, epoch: epoch,
                    in: arena)
                if childIsLeaf { return }
                last = node.count - 1
                lower = node.row(last - 1)
            }
            node = node.child(last)
            level -= 1
        }
        node.insertRow(row, at: node.count)
        edge = node
    }

    /// Starts a new last child beside the full one: a leaf with the new row, or an inner node with the full one's last
    /// child. The full one keeps what it has, and has an upper bound from now on.
    private mutating func splitLast(
        of parent: TreeNode, childIsLeaf: Bool, newRow: TreeRow?, lower: TreeRow?, epoch: UInt64, in arena: TreeArena
    ) {
        let last = parent.count - 1
        let child = parent.child(last)
        if childIsLeaf, let newRow {
            let right = TreeNode(isLeaf: true, epoch: epoch, in: arena)
            right.insertRow(newRow, at: 0)
            parent.insertChild(right, separator: newRow, at: last)
            child.setRange(from: lower, to: newRow, isLeaf: true)
            edge = right
        } else {
            let (right, separator) = child.splitInner(at: child.count - 1, epoch: epoch, in: arena)
            parent.insertChild(right, separator: separator, at: last)
            child.setRange(from: lower, to: separator, isLeaf: false)
            right.setRange(from: separator, to: nil, isLeaf: false)
        }
    }

    private mutating func insertInside(_ row: TreeRow, epoch: UInt64, in arena: TreeArena) {
        let key = unsafe row.key
        guard var node = root?.owned(isLeaf: height == 1, by: epoch, in: arena) else { return }
        root = node
        if node.isFull {
            node = grow(over: node, epoch: epoch, in: arena)
            split(childAt: 0, of: node, isLeaf: height == 2, lower: nil, upper: nil, epoch: epoch, in: arena)
        }
        var lower: TreeRow? = nil
        var upper: TreeRow? = nil
        var isEdge = true
        var level = height
        while level > 1 {
            let childIsLeaf = level == 2
            var index = unsafe node.childIndex(key)
            let child = node.child(index).owned(isLeaf: childIsLeaf, by: epoch, in: arena)
            node.setChild(index, child)
            if child.isFull {
                split(
                    childAt: index, of: node, isLeaf: childIsLeaf, lower: index > 0 ? node.row(index - 1) : lower,
                    upper: index < node.count - 1 ? node.row(index) : upper, epoch: epoch, in: arena)
                if unsafe compareKeys(node.row(index).key, key) <= 0 { index += 1 }
            }
            if index > 0 { lower = node.row(index - 1) }
            if index < node.count - 1 {
                upper = node.row(index)
                isEdge = false
            }
            node = node.child(index)
            level -= 1
        }
        let index = unsafe node.lowerBound(key, rowCount: node.count)
        byteCount += row.byteCount
        if index < node.count, unsafe keysAreEqual(node.row(index).key, key) {
            byteCount -= node.row(index).byteCount
            node.replaceRow(index, row)
        } else {
            node.insertRow(row, at: index)
            count += 1
        }
        if isEdge { edge = node }
    }

    /// Puts a new root over the old one, which is its only child until that is split.
    private mutating func grow(over old: TreeNode, epoch: UInt64, in arena: TreeArena) -> TreeNode {
        let top = TreeNode(isLeaf: false, epoch: epoch, in: arena)
        top.setChild(0, old)
        top.count = 1
        root = top
        height += 1
        return top
    }

    private mutating func split(
        childAt index: Int, of parent: TreeNode, isLeaf: Bool, lower: TreeRow?, upper: TreeRow?, epoch: UInt64,
        in arena: TreeArena
    ) {
        let left = parent.child(index)
        let right: TreeNode
        let separator: TreeRow
        if isLeaf {
            right = left.splitLeaf(at: TreeNode.capacity / 2, epoch: epoch, in: arena)
            separator = right.row(0)
            if left == edge { edge = right }
        } else {
            (right, separator) = left.splitInner(at: TreeNode.capacity / 2, epoch: epoch, in: arena)
        }
        parent.insertChild(right, separator: separator, at: index)
        left.setRange(from: lower, to: separator, isLeaf: isLeaf)
        right.setRange(from: separator, to: upper, isLeaf: isLeaf)
    }

    // MARK: Removal

    /// Takes the row out; false if there is none.
    mutating func remove(_ key: UnsafeRawBufferPointer, epoch: UInt64, in arena: TreeArena) -> Bool {
        guard let row = unsafe find(key), let old = root else { return false }
        count -= 1
        byteCount -= row.byteCount
        var top = old.owned(isLeaf: height == 1, by: epoch, in: arena)
        let isEmpty = unsafe remove(
            key, from: top, level: height, lower: nil, upper: nil, epoch: epoch, in: arena)
        if isEmpty {
            self = OrderedTree()
            return true
        }
        while height > 1, top.count == 1 {
            top = top.child(0)
            height -= 1
        }
        root = top
        var node = top
        for _ in 1..<height { node = node.child(node.count - 1) }
        edge = node
        return true
    }

    /// From below an owned node; true if the node is empty now.
    private func remove(
        _ key: UnsafeRawBufferPointer, from node: TreeNode, level: Int, lower: TreeRow?, upper: TreeRow?, epoch: UInt64,
        in arena: TreeArena
    ) -> Bool {
        if level == 1 {
            unsafe node.removeRow(at: node.lowerBound(key, rowCount: node.count))
            return node.count == 0
        }
        let index = unsafe node.childIndex(key)
        let child = node.child(index).owned(isLeaf: level == 2, by: epoch, in: arena)
        node.setChild(index, child)
        let childLower = index > 0 ? node.row(index - 1) : lower
        let childUpper = index < node.count - 1 ? node.row(index) : upper
        let isEmpty = unsafe remove(
            key, from: child, level: level - 1, lower: childLower, upper: childUpper, epoch: epoch, in: arena)
        guard isEmpty else { return false }
        node.removeChild(at: index)
        // A neighbour takes over the range.
        if index > 0 {
            widen(childAt: index - 1, of: node, level: level, atLast: true, to: childUpper, epoch: epoch, in: arena)
        } else if node.count > 0 {
            widen(childAt: 0, of: node, level: level, atLast: false, to: childLower, epoch: epoch, in: arena)
        }
        return node.count == 0
    }

    /// The range of a child and of what is below it on that side now ends at `bound`.
    private func widen(
        childAt index: Int, of node: TreeNode, level: Int, atLast: Bool, to bound: TreeRow?, epoch: UInt64,
        in arena: TreeArena
    ) {
        var parent = node
        var index = index
        var level = level
        while level > 1 {
            let isLeaf = level == 2
            let child = parent.child(index).owned(isLeaf: isLeaf, by: epoch, in: arena)
            parent.setChild(index, child)
            child.widenRange(to: bound, isLeaf: isLeaf)
            parent = child
            index = atLast ? child.count - 1 : 0
            level -= 1
        }
    }
}
