import MVCC

/// What one turn of a watch loop has found: events, encoded once, and who gets which of them.
struct WatchTurn {
    /// An event's place in each of the two arenas; empty where nobody wants it in that form.
    struct Event {
        var revision: Int64
        var plain: Range<Int>
        var withPrevious: Range<Int>
    }

    private(set) var events: ContiguousArray<Event> = []
    /// Events as they are, and with the pair before.
    private(set) var plainBytes: [UInt8] = []
    private(set) var previousBytes: [UInt8] = []
    private(set) var touched: ContiguousArray<Watcher> = []
    /// One link for each event of each watcher, in chains by watcher.
    private var links: ContiguousArray<(event: Int32, next: Int32)> = []
    private var wantsPlain = false
    private var wantsPrevious = false
    /// Distinguishes turns: for whoever keeps something of one.
    private(set) var number: UInt64 = 0

    /// An arena that grew beyond this is not kept for the next turn.
    private static let keptBytesMax = 4 << 20

    var deliveries: Int { links.count }
    var encodedBytes: Int { plainBytes.count + previousBytes.count }

    /// Notes who of the cohort wants the change that is looked at, and says in which form it must be encoded.
    mutating func match(
        _ key: [UInt8], _ kind: Change.Kind, at revision: Int64, in cohort: Cohort
    ) -> HistoryInterest {
        wantsPlain = false
        wantsPrevious = false
        let event = Int32(events.count)
        cohort.index.forEachGroup(with: key) { group in
            for watcher in group.watchers where watcher.wants(kind, at: revision) {
                note(event, for: watcher)
                if watcher.wantsPrevious { wantsPrevious = true } else { wantsPlain = true }
            }
        }
        return wantsPrevious ? .changeAndPrevious : wantsPlain ? .change : .none
    }

    private mutating func note(_ event: Int32, for watcher: Watcher) {
        let link = Int32(links.count)
        links.append((event, -1))
        if watcher.firstMatch < 0 {
            watcher.firstMatch = link
            touched.append(watcher)
        } else {
            links[Int(watcher.lastMatch)].next = link
        }
        watcher.lastMatch = link
    }

    /// Encodes the change that was matched last.
    mutating func append(
        _ kind: Change.Kind, _ keyValue: BorrowedKeyValue, previous: BorrowedKeyValue?,
        _ encoder: any WatchEventEncoder
    ) {
        let plainStart = plainBytes.count
        if wantsPlain { encoder.append(kind, keyValue, previous: nil, to: &plainBytes) }
        let previousStart = previousBytes.count
        if wantsPrevious { encoder.append(kind, keyValue, previous: previous, to: &previousBytes) }
        events.append(
            Event(
                revision: keyValue.modRevision.rawValue, plain: plainStart..<plainBytes.count,
                withPrevious: previousStart..<previousBytes.count))
    }

    /// The numbers of a watcher's events, in their order.
    struct Chain {
        fileprivate let links: ContiguousArray<(event: Int32, next: Int32)>
        fileprivate let firstLink: Int32

        var first: Int? { firstLink < 0 ? nil : Int(links[Int(firstLink)].event) }
        var isSingle: Bool { firstLink >= 0 && links[Int(firstLink)].next < 0 }

        var events: [Int] {
            var events: [Int] = []
            var link = firstLink
            while link >= 0 {
                let (event, next) = links[Int(link)]
                events.append(Int(event))
                link = next
            }
            return events
        }
    }

    /// The watcher's chain, which it lets go of.
    func takeEvents(of watcher: Watcher) -> Chain {
        defer {
            watcher.firstMatch = -1
            watcher.lastMatch = -1
        }
        return Chain(links: links, firstLink: watcher.firstMatch)
    }

    mutating func removeAll() {
        number += 1
        events.removeAll(keepingCapacity: true)
        touched.removeAll(keepingCapacity: true)
        links.removeAll(keepingCapacity: true)
        plainBytes.removeAll(keepingCapacity: plainBytes.capacity <= Self.keptBytesMax)
        previousBytes.removeAll(keepingCapacity: previousBytes.capacity <= Self.keptBytesMax)
    }
}
