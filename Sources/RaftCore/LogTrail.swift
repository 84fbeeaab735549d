/// What the core knows of the log: for each entry its term, its payload's size, and whether it changes the
/// configuration. The payloads themselves are the log's.
///
/// Terms never fall along a log, so they are kept as runs; an entry costs four bytes.
///
/// Invariants:
/// 1. The entries are `firstIndex ... lastIndex` without a gap; ``snapshotIndex`` is the place before them.
/// 2. `runs` ascend strictly in both index and term; the first run starts at ``snapshotIndex`` and so always exists.
/// 3. `configurationIndexes` ascend strictly and lie within the entries.
struct LogTrail: Sendable {
    private struct Run: Sendable {
        var first: LogIndex
        var term: Term
    }

    /// The last place that the log no longer holds; its term is still known.
    private(set) var snapshotIndex: LogIndex
    private(set) var lastIndex: LogIndex
    private var runs: [Run]
    /// Payload sizes; those before `head` belong to entries that are gone.
    private var sizes: [UInt32] = []
    private var head = 0
    private var configurationIndexes: [LogIndex] = []

    /// Below this many dead sizes, moving the living ones down is not worth it.
    private static let deadSizesMin = 4096

    init(snapshotIndex: LogIndex, snapshotTerm: Term) {
        self.snapshotIndex = snapshotIndex
        lastIndex = snapshotIndex
        runs = [Run(first: snapshotIndex, term: snapshotTerm)]
    }

    var firstIndex: LogIndex { snapshotIndex.next }
    var snapshotTerm: Term { runs[0].term }
    var lastTerm: Term { runs[runs.count - 1].term }

    /// The term of the entry there, nil where the log does not reach: neither before ``snapshotIndex`` nor past the
    /// end.
    func term(at index: LogIndex) -> Term? {
        guard index >= snapshotIndex, index <= lastIndex else { return nil }
        let last = runs[runs.count - 1]
        if index >= last.first { return last.term }
        return runs[run(holding: index)].term
    }

    /// The last run that starts at or before `index`.
    private func run(holding index: LogIndex) -> Int {
        var low = 0
        var high = runs.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if runs[middle].first <= index { low = middle } else { high = middle }
        }
        return low
    }

    func matches(_ index: LogIndex, _ term: Term) -> Bool { self.term(at: index) == term }

    /// Whether a log that ends there is at least as complete as this one (§5.4.1).
    func isUpToDate(index: LogIndex, term: Term) -> Bool {
        term > lastTerm || term == lastTerm && index >= lastIndex
    }

    /// The last place at or before `index` whose term is not above `term`: where two logs could agree at best, one of
    /// which has `term` there. Off the log, the place itself and term zero: nothing is known.
    func lastPlace(from index: LogIndex, termAtMost term: Term) -> (index: LogIndex, term: Term) {
        guard index >= snapshotIndex, index <= lastIndex, index > .zero else { return (index, .zero) }
        var at = run(holding: index)
        if runs[at].term <= term { return (index, runs[at].term) }
        while at > 0 {
            let end = runs[at].first.previous
            at -= 1
            if runs[at].term <= term { return end > .zero ? (end, runs[at].term) : (.zero, .zero) }
        }
        return (snapshotIndex.previous, .zero)
    }

    mutating func append(term: Term, payloadBytes: Int, isConfiguration: Bool) {
        precondition(term >= lastTerm, "term \(term.rawValue) after term \(lastTerm.rawValue) at \(lastIndex.rawValue)")
        lastIndex = lastIndex.next
        if term > lastTerm { runs.append(Run(first: lastIndex, term: term)) }
        sizes.append(UInt32(clamping: payloadBytes))
        if isConfiguration { configurationIndexes.append(lastIndex) }
    }

    /// Forgets the entries from `first` on.
    mutating func truncate(from first: LogIndex) {
        guard first <= lastIndex else { return }
        precondition(first > snapshotIndex, "truncation at \(first.rawValue), snapshot at \(snapshotIndex.rawValue)")
        sizes.removeLast(Int(lastIndex.rawValue - first.rawValue) + 1)
        lastIndex = first.previous
        while runs.count > 1, runs[runs.count - 1].first > lastIndex { runs.removeLast() }
        while let last = configurationIndexes.last, last > lastIndex { configurationIndexes.removeLast() }
    }

    /// Forgets the entries up to `index`, all but the last one's term.
    mutating func compact(to index: LogIndex) {
        guard index > snapshotIndex else { return }
        precondition(index <= lastIndex, "compaction to \(index.rawValue), log ends at \(lastIndex.rawValue)")
        let keep = run(holding: index)
        runs.removeFirst(keep)
        runs[0].first = index
        head += Int(index.rawValue - snapshotIndex.rawValue)
        snapshotIndex = index
        if head >= Self.deadSizesMin, head > sizes.count / 2 {
            sizes.removeFirst(head)
            head = 0
        }
        let live = configurationIndexes.firstIndex { $0 > index } ?? configurationIndexes.count
        configurationIndexes.removeFirst(live)
    }

    /// Starts anew after a snapshot.
    mutating func reset(to index: LogIndex, term: Term) {
        snapshotIndex = index
        lastIndex = index
        runs.removeAll(keepingCapacity: true)
        runs.append(Run(first: index, term: term))
        sizes.removeAll(keepingCapacity: true)
        head = 0
        configurationIndexes.removeAll(keepingCapacity: true)
    }

    /// The payload bytes of `first ..< end`, which must lie within the entries.
    func bytes(from first: LogIndex, to end: LogIndex) -> Int {
        guard first < end else { return 0 }
        var total = 0
        for place in place(of: first)..<place(of: end) { total += Int(sizes[place]) }
        return total
    }

    /// The end of the longest run of entries from `first` on whose payloads fit into `bytesMax`: one entry at least,
    /// where there is one.
    func batch(from first: LogIndex, bytesMax: Int) -> (end: LogIndex, bytes: Int) {
        guard first <= lastIndex else { return (first, 0) }
        let start = place(of: first)
        var total = Int(sizes[start])
        var place = start + 1
        while place < sizes.count {
            let grown = total + Int(sizes[place])
            if grown > bytesMax { break }
            total = grown
            place += 1
        }
        return (first.advanced(by: place - start), total)
    }

    func hasConfiguration(after low: LogIndex, through high: LogIndex) -> Bool {
        configurationIndexes.contains { $0 > low && $0 <= high }
    }

    /// The place of the last change of the configuration but one: it is committed, whatever is known of the commit
    /// index, since a leader takes a change only when it has applied the one before.
    var lastSupersededConfiguration: LogIndex? { configurationIndexes.dropLast().last }

    private func place(of index: LogIndex) -> Int {
        precondition(
            index > snapshotIndex && index <= lastIndex.next,
            "place \(index.rawValue) is off the log \(firstIndex.rawValue) ... \(lastIndex.rawValue)")
        return head + Int(index.rawValue - snapshotIndex.rawValue) - 1
    }
}
