/// Which writes were asked for, which are durable, and what that means for the log as it is now.
struct Durability: Sendable {
    private struct Pending: Sendable {
        var id: WriteID
        /// The last entry that this write makes durable and that no later one has overwritten.
        var last: LogIndex
    }

    /// The newest write asked for.
    private(set) var newest: WriteID = .zero
    /// Every write up to here is durable.
    private(set) var stable: WriteID = .zero
    /// The end of the part of the present log that is durable.
    private(set) var stableIndex: LogIndex
    /// What the newest hard state in a write says.
    private(set) var hardState: HardState
    /// A snapshot that is being written: until it is durable nothing is applied, and no campaign started.
    private(set) var snapshot: (id: WriteID, index: LogIndex)?
    private var pending: [Pending] = []
    private var head = 0

    init(hardState: HardState, stableIndex: LogIndex) {
        self.hardState = hardState
        self.stableIndex = stableIndex
    }

    mutating func write(hardState new: HardState, entries last: LogIndex?, snapshot index: LogIndex?) -> WriteID {
        newest = newest.next
        hardState = new
        if let index {
            // The log restarts: what was durable of it before says nothing about the new one.
            pending.removeAll(keepingCapacity: true)
            head = 0
            stableIndex = min(stableIndex, index.previous)
            snapshot = (newest, index)
            pending.append(Pending(id: newest, last: index))
        }
        if let last { pending.append(Pending(id: newest, last: last)) }
        return newest
    }

    /// The log was cut: entries from `first` on are no longer what earlier writes hold. An earlier write's
    /// acknowledgement must not be taken for its successor's.
    mutating func truncate(from first: LogIndex) {
        stableIndex = min(stableIndex, first.previous)
        for place in head..<pending.count where pending[place].last >= first {
            pending[place].last = first.previous
        }
    }

    /// Says whether a snapshot became durable with it.
    mutating func persisted(_ id: WriteID) -> LogIndex? {
        precondition(
            id > stable && id <= newest,
            "write \(id.rawValue) acknowledged; durable is \(stable.rawValue), newest \(newest.rawValue)")
        stable = id
        while head < pending.count, pending[head].id <= id {
            stableIndex = max(stableIndex, pending[head].last)
            head += 1
        }
        if head == pending.count {
            pending.removeAll(keepingCapacity: true)
            head = 0
        } else if head >= 64, head > pending.count / 2 {
            pending.removeFirst(head)
            head = 0
        }
        guard let done = snapshot, done.id <= id else { return nil }
        snapshot = nil
        return done.index
    }
}
