import RaftCore

/// The newest entries of the log, in memory: what is to be sent, and what is to be applied, is nearly always here.
struct EntryCache {
    private var entries: [Entry] = []
    /// Entries before this place in the array have been evicted; the array is shifted when they are the greater part.
    private var head = 0
    private var payloadBytes = 0
    /// What was appended last, and just before, as it came: mostly that is what is asked for, by everyone, and then
    /// nothing is copied. (A follower hears that one is committed when it gets the next.) Empty when anything of it is
    /// gone.
    private var newest: [Entry] = []
    private var previous: [Entry] = []
    /// What ``evict(applied:)`` leaves.
    var limitBytes: Int

    init(limitBytes: Int) { self.limitBytes = limitBytes }

    var firstIndex: LogIndex? { head < entries.count ? entries[head].index : nil }

    /// Appends, after cutting what the new entries replace.
    mutating func append(_ new: [Entry]) {
        guard let first = new.first else { return }
        truncate(from: first.index)
        if let last = entries.last, head < entries.count {
            precondition(last.index.next == first.index, "entry \(first.index.rawValue) after \(last.index.rawValue)")
        }
        for entry in new { payloadBytes += entry.payload.count }
        entries.append(contentsOf: new)
        previous = newest
        newest = new
    }

    mutating func truncate(from index: LogIndex) {
        forgetBatches(from: index)
        while head < entries.count, let last = entries.last, last.index >= index {
            payloadBytes -= last.payload.count
            entries.removeLast()
        }
    }

    mutating func removeAll() {
        entries = []
        newest = []
        previous = []
        head = 0
        payloadBytes = 0
    }

    /// The entries of `first ..< end`, or nil if some are not here any more.
    func slice(first: LogIndex, end: LogIndex) -> [Entry]? {
        guard first < end else { return [] }
        guard let start = firstIndex, first >= start else { return nil }
        let from = head + Int(first.rawValue - start.rawValue)
        let to = head + Int(end.rawValue - start.rawValue)
        guard to <= entries.count else { return nil }
        if newest.first?.index == first, newest.count == to - from { return newest }
        if previous.first?.index == first, previous.count == to - from { return previous }
        if from == 0 && to == entries.count { return entries }
        return Array(entries[from..<to])
    }

    /// Drops the oldest entries beyond the limit; those after `applied` stay.
    mutating func evict(applied: LogIndex) {
        while payloadBytes + (entries.count - head) * 64 > limitBytes, head < entries.count,
            entries[head].index <= applied
        {
            evictFirst()
        }
        dropEvicted()
    }

    /// Drops everything up to `index`: the log was cut there.
    mutating func drop(upTo index: LogIndex) {
        while head < entries.count, entries[head].index <= index { evictFirst() }
        dropEvicted()
    }

    private mutating func evictFirst() {
        forgetBatches(through: entries[head].index)
        payloadBytes -= entries[head].payload.count
        entries[head].payload = []
        head += 1
    }

    private mutating func forgetBatches(from index: LogIndex) {
        if let last = newest.last, last.index >= index { newest = [] }
        if let last = previous.last, last.index >= index { previous = [] }
    }

    /// For their memory only: what is evicted is not handed out in any case.
    private mutating func forgetBatches(through index: LogIndex) {
        if let first = newest.first, first.index <= index { newest = [] }
        if let first = previous.first, first.index <= index { previous = [] }
    }

    private mutating func dropEvicted() {
        guard head > 1024, head > entries.count / 2 else { return }
        entries.removeFirst(head)
        head = 0
    }
}
