import MVCC

/// Watchers by what they watch: the key of a change is found among a hundred thousand without touching those that it
/// does not concern.
struct WatchIndex {
    private var keys: [[UInt8]: WatcherGroup] = [:]
    private var ranges = RangeTree()

    mutating func insert(_ watcher: Watcher) {
        let range = watcher.range
        guard case .single = range.end else { return ranges.group(of: range).append(watcher) }
        if let group = keys[range.key] { return group.append(watcher) }
        let group = WatcherGroup(range)
        keys[range.key] = group
        group.append(watcher)
    }

    mutating func remove(_ watcher: Watcher) {
        guard let group = watcher.group else { preconditionFailure("a watcher that is in no index is removed") }
        group.remove(watcher)
        guard group.watchers.isEmpty else { return }
        if case .single = group.range.end {
            keys[group.range.key] = nil
        } else {
            ranges.remove(group.range)
        }
    }

    /// Calls `body` with every group whose range has the key. It must not change the index.
    func forEachGroup(with key: [UInt8], _ body: (WatcherGroup) -> Void) {
        if !keys.isEmpty, let group = keys[key] { body(group) }
        ranges.forEachGroup(with: key, body)
    }
}
