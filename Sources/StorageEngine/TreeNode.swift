#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A key and its value, or a tombstone, in an arena. It never changes and never moves.
///
/// Layout: `keyCount: UInt32, valueCount + 1: UInt32 (0 = tombstone), key bytes, value bytes`.
@safe struct TreeRow {
    static let headerBytes = 8

    let base: UnsafeRawPointer

    init(at base: UnsafeRawPointer) {
        unsafe self.base = base
    }

    init(key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer?, in arena: TreeArena) {
        let valueCount = unsafe value?.count ?? 0
        precondition(key.count < Int(UInt32.max) && valueCount < Int(UInt32.max), "a key or value of 4 GiB")
        let place = unsafe arena.allocate(TreeRow.headerBytes + key.count + valueCount)
        unsafe place.storeBytes(of: UInt32(key.count), as: UInt32.self)
        unsafe place.storeBytes(of: value == nil ? 0 : UInt32(valueCount) + 1, toByteOffset: 4, as: UInt32.self)
        if let bytes = key.baseAddress {
            unsafe (place + TreeRow.headerBytes).copyMemory(from: bytes, byteCount: key.count)
        }
        if let bytes = unsafe value?.baseAddress {
            unsafe (place + TreeRow.headerBytes + key.count).copyMemory(from: bytes, byteCount: valueCount)
        }
        unsafe base = UnsafeRawPointer(place)
    }

    private var keyCount: Int { unsafe Int(base.load(as: UInt32.self)) }
    private var valueCountField: UInt32 { unsafe base.load(fromByteOffset: 4, as: UInt32.self) }

    var isTombstone: Bool { valueCountField == 0 }

    var key: UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(start: base + TreeRow.headerBytes, count: keyCount)
    }

    /// nil for a tombstone.
    var value: UnsafeRawBufferPointer? {
        let field = valueCountField
        if field == 0 { return nil }
        return unsafe UnsafeRawBufferPointer(start: base + TreeRow.headerBytes + keyCount, count: Int(field) - 1)
    }

    /// Any byte of it, to have it in the cache.
    func touch() -> UInt8 { unsafe base.load(as: UInt8.self) }

    /// Bytes of key and value.
    var byteCount: Int { keyCount + max(0, Int(valueCountField) - 1) }
}

/// A leaf or an inner node of an ``OrderedTree``, in an arena. Which of the two is known from the level.
///
/// Layout: `epoch: UInt64, count: UInt32, skip: UInt32, heads: 32 × UInt64, rows: 32 × pointer`, and in inner nodes
/// `children: 32 × pointer`. The rows of an inner node are its separators: row `i` is not greater than any key under
/// child `i + 1`, and greater than any under child `i`.
///
/// A head holds the 8 bytes of its row's key after the first `skip` as a number, most significant first and
/// zero-filled:
/// unequal heads order as their keys do, so a search seldom touches a row. `skip` is a count of bytes that all keys of
/// the node's range share, whatever will yet be inserted: it comes from the separators on either side of the range
/// (prefix truncation; Graefe, "Modern B-Tree Techniques", 3.5), and is 0 where the range has no bound.
@safe struct TreeNode: Equatable {
    static let capacity = 32
    private static let headsOffset = 16
    private static let rowsOffset = headsOffset + 8 * capacity
    private static let childrenOffset = rowsOffset + 8 * capacity
    private static let leafBytes = childrenOffset
    private static let innerBytes = childrenOffset + 8 * capacity

    let base: UnsafeMutableRawPointer

    init(at base: UnsafeMutableRawPointer) {
        unsafe self.base = base
    }

    /// An empty node.
    init(isLeaf: Bool, epoch: UInt64, in arena: TreeArena) {
        unsafe base = arena.allocate(isLeaf ? TreeNode.leafBytes : TreeNode.innerBytes)
        unsafe base.storeBytes(of: epoch, as: UInt64.self)
        count = 0
        skip = 0
    }

    /// This node if it belongs to `epoch`, a copy that does otherwise.
    func owned(isLeaf: Bool, by epoch: UInt64, in arena: TreeArena) -> TreeNode {
        if self.epoch == epoch { return self }
        let copy = TreeNode(isLeaf: isLeaf, epoch: epoch, in: arena)
        copy.count = count
        copy.skip = skip
        let rowCount = isLeaf ? count : count - 1
        unsafe (copy.base + TreeNode.headsOffset).copyMemory(
            from: base + TreeNode.headsOffset, byteCount: 8 * rowCount)
        unsafe (copy.base + TreeNode.rowsOffset).copyMemory(from: base + TreeNode.rowsOffset, byteCount: 8 * rowCount)
        if !isLeaf {
            unsafe (copy.base + TreeNode.childrenOffset).copyMemory(
                from: base + TreeNode.childrenOffset, byteCount: 8 * count)
        }
        return copy
    }

    static func == (a: TreeNode, b: TreeNode) -> Bool { unsafe a.base == b.base }

    var epoch: UInt64 { unsafe base.load(as: UInt64.self) }

    /// Rows of a leaf, children of an inner node.
    var count: Int {
        get { unsafe Int(base.load(fromByteOffset: 8, as: UInt32.self)) }
        nonmutating set { unsafe base.storeBytes(of: UInt32(newValue), toByteOffset: 8, as: UInt32.self) }
    }

    private(set) var skip: Int {
        get { unsafe Int(base.load(fromByteOffset: 12, as: UInt32.self)) }
        nonmutating set { unsafe base.storeBytes(of: UInt32(newValue), toByteOffset: 12, as: UInt32.self) }
    }

    var isFull: Bool { count == TreeNode.capacity }

    private var heads: UnsafeMutablePointer<UInt64> {
        unsafe (base + TreeNode.headsOffset).assumingMemoryBound(to: UInt64.self)
    }
    private var rows: UnsafeMutablePointer<UnsafeRawPointer> {
        unsafe (base + TreeNode.rowsOffset).assumingMemoryBound(to: UnsafeRawPointer.self)
    }
    private var children: UnsafeMutablePointer<UnsafeMutableRawPointer> {
        unsafe (base + TreeNode.childrenOffset).assumingMemoryBound(to: UnsafeMutableRawPointer.self)
    }

    func row(_ index: Int) -> TreeRow { unsafe TreeRow(at: rows[index]) }

    func child(_ index: Int) -> TreeNode { unsafe TreeNode(at: children[index]) }

    func setChild(_ index: Int, _ child: TreeNode) { unsafe children[index] = child.base }

    // MARK: Search

    /// The first of `rowCount` rows whose key is not less than `key`.
    func lowerBound(_ key: UnsafeRawBufferPointer, rowCount: Int) -> Int {
        let head = unsafe TreeNode.head(of: key, skip: skip)
        var low = 0
        var left = rowCount
        while left > 0 {
            let half = left >> 1
            let middle = low + half
            let other = unsafe heads[middle]
            if unsafe other < head || (other == head && compareKeys(row(middle).key, key) < 0) {
                low = middle + 1
                left -= half + 1
            } else {
                left = half
            }
        }
        return low
    }

    /// The row of this leaf with exactly this key.
    func find(_ key: UnsafeRawBufferPointer) -> TreeRow? {
        let index = unsafe lowerBound(key, rowCount: count)
        guard index < count else { return nil }
        let row = row(index)
        return unsafe keysAreEqual(row.key, key) ? row : nil
    }

    /// The child of this inner node in whose range `key` lies.
    func childIndex(_ key: UnsafeRawBufferPointer) -> Int {
        let head = unsafe TreeNode.head(of: key, skip: skip)
        var low = 0
        var left = count - 1
        while left > 0 {
            let half = left >> 1
            let middle = low + half
            let other = unsafe heads[middle]
            if unsafe other < head || (other == head && compareKeys(row(middle).key, key) <= 0) {
                low = middle + 1
                left -= half + 1
            } else {
                left = half
            }
        }
        return low
    }

    private static func head(of key: UnsafeRawBufferPointer, skip: Int) -> UInt64 {
        let left = key.count - skip
        if left >= 8 {
            return unsafe UInt64(bigEndian: key.loadUnaligned(fromByteOffset: skip, as: UInt64.self))
        }
        var head: UInt64 = 0
        var index = 0
        while index < left {
            head |= unsafe UInt64(key[skip + index]) << UInt64(56 - 8 * index)
            index += 1
        }
        return head
    }

    // MARK: Changes (of an owned node only)

    func replaceRow(_ index: Int, _ row: TreeRow) {
        // Same key, same head.
        unsafe rows[index] = row.base
    }

    func insertRow(_ row: TreeRow, at index: Int) {
        openSlot(at: index, rowCount: count)
        unsafe heads[index] = TreeNode.head(of: row.key, skip: skip)
        unsafe rows[index] = row.base
        count += 1
    }

    func removeRow(at index: Int) {
        closeSlot(at: index, rowCount: count)
        count -= 1
    }

    /// The child to the right of separator `index`.
    func insertChild(_ child: TreeNode, separator: TreeRow, at index: Int) {
        openSlot(at: index, rowCount: count - 1)
        unsafe heads[index] = TreeNode.head(of: separator.key, skip: skip)
        unsafe rows[index] = separator.base
        let moved = count - (index + 1)
        if moved > 0 { unsafe (children + index + 2).update(from: children + index + 1, count: moved) }
        unsafe children[index + 1] = child.base
        count += 1
    }

    /// The child, and the separator that has no meaning without it: the one before it, or after it if it is the first.
    func removeChild(at index: Int) {
        if count > 1 { closeSlot(at: max(0, index - 1), rowCount: count - 1) }
        let moved = count - (index + 1)
        if moved > 0 { unsafe (children + index).update(from: children + index + 1, count: moved) }
        count -= 1
    }

    /// Moves the rows from `index` on into a new leaf.
    func splitLeaf(at index: Int, epoch: UInt64, in arena: TreeArena) -> TreeNode {
        let right = TreeNode(isLeaf: true, epoch: epoch, in: arena)
        right.skip = skip
        moveRows(from: index, rowCount: count, to: right)
        right.count = count - index
        count = index
        return right
    }

    /// Moves the children from `index` on into a new inner node, and returns the separator that stood before them.
    func splitInner(at index: Int, epoch: UInt64, in arena: TreeArena) -> (right: TreeNode, separator: TreeRow) {
        let right = TreeNode(isLeaf: false, epoch: epoch, in: arena)
        right.skip = skip
        let separator = row(index - 1)
        moveRows(from: index, rowCount: count - 1, to: right)
        unsafe right.children.update(from: children + index, count: count - index)
        right.count = count - index
        count = index
        return (right, separator)
    }

    /// Says between which rows all keys of this node lie, whatever will be inserted. nil: no bound.
    func setRange(from lower: TreeRow?, to upper: TreeRow?, isLeaf: Bool) {
        guard let lower, let upper else { return setSkip(0, isLeaf: isLeaf) }
        unsafe setSkip(sharedPrefix(lower.key, upper.key), isLeaf: isLeaf)
    }

    /// The range has grown as far as `bound`, or without end.
    func widenRange(to bound: TreeRow?, isLeaf: Bool) {
        let rowCount = isLeaf ? count : count - 1
        guard let bound, rowCount > 0 else { return setSkip(0, isLeaf: isLeaf) }
        unsafe setSkip(min(skip, sharedPrefix(row(0).key, bound.key)), isLeaf: isLeaf)
    }

    private func setSkip(_ skip: Int, isLeaf: Bool) {
        guard skip != self.skip else { return }
        self.skip = skip
        let rowCount = isLeaf ? count : count - 1
        var index = 0
        while index < rowCount {
            unsafe heads[index] = TreeNode.head(of: row(index).key, skip: skip)
            index += 1
        }
    }

    private func openSlot(at index: Int, rowCount: Int) {
        let moved = rowCount - index
        guard moved > 0 else { return }
        unsafe (heads + index + 1).update(from: heads + index, count: moved)
        unsafe (rows + index + 1).update(from: rows + index, count: moved)
    }

    private func closeSlot(at index: Int, rowCount: Int) {
        let moved = rowCount - (index + 1)
        guard moved > 0 else { return }
        unsafe (heads + index).update(from: heads + index + 1, count: moved)
        unsafe (rows + index).update(from: rows + index + 1, count: moved)
    }

    private func moveRows(from index: Int, rowCount: Int, to other: TreeNode) {
        guard rowCount > index else { return }
        unsafe other.heads.update(from: heads + index, count: rowCount - index)
        unsafe other.rows.update(from: rows + index, count: rowCount - index)
    }
}

/// Less than, equal to or greater than 0 as `a` is to `b`: bytewise, and a prefix is less.
package func compareKeys(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Int {
    let shared = min(a.count, b.count)
    if shared > 0, let left = a.baseAddress, let right = b.baseAddress {
        let order = unsafe memcmp(left, right, shared)
        if order != 0 { return Int(order) }
    }
    return a.count - b.count
}

func keysAreEqual(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
    guard a.count == b.count else { return false }
    guard let left = a.baseAddress, let right = b.baseAddress else { return true }
    return unsafe memcmp(left, right, a.count) == 0
}

private func sharedPrefix(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Int {
    let limit = min(a.count, b.count)
    var index = 0
    while index < limit, unsafe a[index] == b[index] { index += 1 }
    return index
}
