@testable import RaftCore

/// Every log of an exploration, as a tree: a log is named by its last entry's node, and the same entries after the same
/// beginning are the same node. So two logs agree up to an index exactly where they have the same node there, payloads
/// included.
struct LogForest {
    typealias Node = UInt32

    private struct Key: Hashable {
        var parent: Node
        var entry: Entry
    }

    /// The place before the first entry.
    static let root: Node = 0

    private var parents: [Node] = [0]
    private var entries: [Entry] = [Entry(index: .zero, term: .zero, payload: [])]
    private var known: [Key: Node] = [:]

    func entry(_ node: Node) -> Entry { entries[Int(node)] }
    func parent(_ node: Node) -> Node { parents[Int(node)] }
    func length(_ node: Node) -> UInt64 { entries[Int(node)].index.rawValue }
    func term(_ node: Node) -> UInt64 { entries[Int(node)].term.rawValue }

    mutating func append(_ entry: Entry, to parent: Node) -> Node {
        precondition(entry.index.rawValue == length(parent) + 1, "a gap in a log")
        let key = Key(parent: parent, entry: entry)
        if let node = known[key] { return node }
        let node = Node(parents.count)
        parents.append(parent)
        entries.append(entry)
        known[key] = node
        return node
    }

    /// The log's beginning of that length; the log itself where it is not longer.
    func prefix(of node: Node, length: UInt64) -> Node {
        var at = node
        while self.length(at) > length { at = parent(at) }
        return at
    }

    func isPrefix(_ short: Node, of long: Node) -> Bool { prefix(of: long, length: length(short)) == short }

    /// The entries after `start`, up to and including `end`.
    func entries(of node: Node, after start: UInt64, through end: UInt64) -> [Entry] {
        var found: [Entry] = []
        var at = prefix(of: node, length: end)
        while length(at) > start {
            found.append(entry(at))
            at = parent(at)
        }
        return found.reversed()
    }

    /// Log matching (§5.3): where two logs have an entry of the same index and term, they are the same up to there.
    func match(_ a: Node, _ b: Node) -> Bool {
        let shared = min(length(a), length(b))
        var a = prefix(of: a, length: shared)
        var b = prefix(of: b, length: shared)
        while a != b {
            if term(a) == term(b) { return false }
            a = parent(a)
            b = parent(b)
        }
        return true
    }

    func rendered(_ node: Node, after start: UInt64 = 0) -> String {
        let list = entries(of: node, after: start, through: length(node)).map { entry in
            let content = entry.kind == .configuration ? "c" : entry.payload.map(String.init).joined()
            return "\(entry.term.rawValue)\(content.isEmpty ? "" : ":" + content)"
        }
        return "[" + list.joined(separator: " ") + "]"
    }
}
