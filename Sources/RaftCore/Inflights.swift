/// The appends that are on their way to one peer: a ring that is bounded by count and by bytes, so that a peer that
/// does not answer holds no more than that of the network's buffers.
struct Inflights: Sendable {
    private struct Flight: Sendable {
        /// The last entry in the message.
        var last: LogIndex
        var bytes: Int
    }

    private var countMax: Int
    private var bytesMax: Int
    private var ring: [Flight] = []
    private var start = 0
    private(set) var count = 0
    private(set) var bytes = 0

    init(countMax: Int, bytesMax: Int) {
        self.countMax = countMax
        self.bytesMax = bytesMax
    }

    /// The bytes may be overshot by one message: a limit below a single entry's size would stop everything.
    var isFull: Bool { count >= countMax || bytes >= bytesMax }

    /// Other limits from now on. What is under way beyond them lands first.
    mutating func limit(count: Int, bytes: Int) {
        countMax = count
        bytesMax = bytes
    }

    mutating func add(last: LogIndex, bytes added: Int) {
        precondition(!isFull, "an append to \(last.rawValue) was sent while \(count) were under way")
        if count == ring.count { grow() }
        var place = start + count
        if place >= ring.count { place -= ring.count }
        ring[place] = Flight(last: last, bytes: added)
        count += 1
        bytes += added
    }

    /// Everything up to `index` has arrived.
    mutating func free(through index: LogIndex) {
        while count > 0, ring[start].last <= index {
            bytes -= ring[start].bytes
            count -= 1
            start += 1
            if start == ring.count { start = 0 }
        }
    }

    mutating func removeAll() {
        start = 0
        count = 0
        bytes = 0
    }

    /// Doubles the ring, laid out anew from its start: most peers never fill it, so it starts small.
    private mutating func grow() {
        let size = min(max(ring.count * 2, 4), countMax)
        var grown: [Flight] = []
        grown.reserveCapacity(size)
        for offset in 0..<count {
            var place = start + offset
            if place >= ring.count { place -= ring.count }
            grown.append(ring[place])
        }
        while grown.count < size { grown.append(Flight(last: .zero, bytes: 0)) }
        ring = grown
        start = 0
    }
}
