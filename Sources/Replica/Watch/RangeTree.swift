import MVCC
import Platform

/// An interval tree: ranges by their beginnings, each node knowing the farthest end below it. One node a range, however
/// many watch it.
///
/// A treap: the order of nodes is that of a search tree, their height that of a heap of random priorities, so that it
/// is balanced whatever comes in which order, with few lines. The priorities follow from a fixed seed: the same changes
/// make the same tree.
struct RangeTree {
    private final class Node {
        let group: WatcherGroup
        let priority: UInt64
        var left: Node?
        var right: Node?
        /// The farthest end of the ranges at and below this node.
        var farthest: End

        init(_ range: KeyRange, priority: UInt64) {
            group = WatcherGroup(range)
            self.priority = priority
            farthest = End(range)
        }

        var start: [UInt8] { group.range.key }
        var end: End { End(group.range) }

        func update() {
            farthest = end
            if let left, farthest < left.farthest { farthest = left.farthest }
            if let right, farthest < right.farthest { farthest = right.farthest }
        }
    }

    /// Where a range ends.
    private enum End {
        case before([UInt8])
        case never

        init(_ range: KeyRange) {
            switch range.end {
            case .upTo(let end): self = .before(end)
            case .fromKey: self = .never
            case .single: self = .before(range.key + [0])
            }
        }

        static func compare(_ a: End, _ b: End) -> Int {
            switch (a, b) {
            case (.never, .never): 0
            case (.never, _): 1
            case (_, .never): -1
            case (.before(let a), .before(let b)): compareArrays(a, b)
            }
        }

        static func < (a: End, b: End) -> Bool { compare(a, b) < 0 }

        func isBeyond(_ key: [UInt8]) -> Bool {
            switch self {
            case .never: true
            case .before(let end): precedes(key, end)
            }
        }
    }

    private var root: Node?
    private var priorities = RandomSource(seed: 1)

    init() {}

    /// The group of the range, made if there is none.
    mutating func group(of range: KeyRange) -> WatcherGroup {
        var place = root
        while let node = place {
            let order = Self.order(range, node)
            if order == 0 { return node.group }
            place = order < 0 ? node.left : node.right
        }
        let node = Node(range, priority: priorities.next())
        root = Self.insert(node, below: root)
        return node.group
    }

    mutating func remove(_ range: KeyRange) {
        root = Self.remove(range, below: root)
    }

    func forEachGroup(with key: [UInt8], _ body: (WatcherGroup) -> Void) {
        if let root { Self.visit(root, key, body) }
    }

    /// How deep the tree is: for tests.
    var height: Int {
        func height(_ node: Node?) -> Int { node.map { 1 + max(height($0.left), height($0.right)) } ?? 0 }
        return height(root)
    }

    private static func visit(_ node: Node, _ key: [UInt8], _ body: (WatcherGroup) -> Void) {
        guard node.farthest.isBeyond(key) else { return }
        if let left = node.left { visit(left, key, body) }
        // What begins after the key, and all right of it, does not have it.
        guard !precedes(key, node.start) else { return }
        if node.end.isBeyond(key) { body(node.group) }
        if let right = node.right { visit(right, key, body) }
    }

    private static func order(_ range: KeyRange, _ node: Node) -> Int {
        let order = compareArrays(range.key, node.start)
        return order != 0 ? order : End.compare(End(range), node.end)
    }

    private static func insert(_ new: Node, below node: Node?) -> Node {
        guard let node else { return new }
        if order(new.group.range, node) < 0 {
            let child = insert(new, below: node.left)
            node.left = child
            if child.priority > node.priority {
                node.left = child.right
                child.right = node
                node.update()
                child.update()
                return child
            }
        } else {
            let child = insert(new, below: node.right)
            node.right = child
            if child.priority > node.priority {
                node.right = child.left
                child.left = node
                node.update()
                child.update()
                return child
            }
        }
        node.update()
        return node
    }

    private static func remove(_ range: KeyRange, below node: Node?) -> Node? {
        guard let node else { preconditionFailure("a range that is not in the tree is removed") }
        let order = order(range, node)
        if order == 0 { return join(node.left, node.right) }
        if order < 0 {
            node.left = remove(range, below: node.left)
        } else {
            node.right = remove(range, below: node.right)
        }
        node.update()
        return node
    }

    /// One tree of two, of which all of the first is before all of the second.
    private static func join(_ first: Node?, _ second: Node?) -> Node? {
        guard let first else { return second }
        guard let second else { return first }
        if first.priority > second.priority {
            first.right = join(first.right, second)
            first.update()
            return first
        }
        second.left = join(first, second.left)
        second.update()
        return second
    }
}
