/// Linearizable reads on their way to a read index (thesis, §6.4).
///
/// A read may be answered with the commit index of its arrival once a quorum has answered a heartbeat that was sent
/// after its arrival: then no other leader had been elected by that time. Heartbeats carry a sequence; an answer to
/// sequence s confirms all reads up to s. One round of heartbeats is under way for reads at a time: those that come in
/// meanwhile share the next one, so that the number of rounds is bounded by the round-trip time, not by the reads.
struct ReadQueue: Sendable {
    struct Read: Sendable {
        /// The member that asked, and its id for it: ids are unique per member only.
        var from: NodeID
        var id: ReadID
        var index: LogIndex
    }

    private struct Flying: Sendable {
        var read: Read
        var sequence: UInt64
    }

    /// Reads that came before anything of this term was committed: the commit index may lag behind what an older leader
    /// has answered (§8). Their index is not known yet.
    var postponed: [Read] = []
    /// Reads that wait for the next round.
    private var boarding: [Read] = []
    /// Reads whose round is under way, by ascending sequence.
    private var flying: [Flying] = []
    private var head = 0
    /// The newest sequence that was sent.
    private(set) var sequence: UInt64 = 0

    var isRoundUnderWay: Bool { head < flying.count }
    var hasBoarding: Bool { !boarding.isEmpty }
    var count: Int { postponed.count + boarding.count + flying.count - head }

    /// Everything that waits, in the order of arrival.
    var all: [Read] { flying[head...].map(\.read) + boarding + postponed }

    mutating func board(_ read: Read) { boarding.append(read) }

    /// A round of heartbeats goes out now: it takes the waiting reads along.
    mutating func depart() {
        sequence += 1
        for read in boarding { flying.append(Flying(read: read, sequence: sequence)) }
        boarding.removeAll(keepingCapacity: true)
    }

    /// The next read that a quorum's answers up to `confirmed` settle.
    mutating func land(upTo confirmed: UInt64) -> Read? {
        guard head < flying.count, flying[head].sequence <= confirmed else { return nil }
        let read = flying[head].read
        head += 1
        if head == flying.count {
            flying.removeAll(keepingCapacity: true)
            head = 0
        } else if head >= 256, head > flying.count / 2 {
            flying.removeFirst(head)
            head = 0
        }
        return read
    }

    mutating func takePostponed() -> [Read] {
        let taken = postponed
        postponed = []
        return taken
    }

    // MARK: Lease

    /// When the newest rounds were sent, for the lease: a bounded memory, since older ones are worth nothing.
    private var departures: [(sequence: UInt64, tick: UInt64)] = []
    private(set) var confirmedTick: UInt64?

    mutating func noteDeparture(at tick: UInt64, keeping ticks: Int) {
        departures.removeAll { $0.tick + UInt64(ticks) < tick }
        // Of several rounds within one tick the first stands for all: time is not known more finely.
        if let last = departures.last, last.tick == tick { return }
        departures.append((sequence, tick))
    }

    mutating func forgetLease() {
        departures.removeAll(keepingCapacity: true)
        confirmedTick = nil
    }

    mutating func noteConfirmation(of confirmed: UInt64) {
        while let first = departures.first, first.sequence <= confirmed {
            confirmedTick = first.tick
            departures.removeFirst()
        }
    }
}
