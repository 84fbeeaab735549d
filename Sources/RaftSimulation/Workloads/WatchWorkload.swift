import MVCC
import Platform
import Raft
import RaftCore
import Replica

/// Clients that watch, each a range of keys, on one member after the other: they move on when they like or when their
/// member ends, take up where they were, read slowly now and then, and remember all that they were told.
///
/// Each member's process has one watch loop, the server's own, which takes its turns when the event queue lets it.
package final class WatchWorkload {
    private let cluster: SimulatedCluster
    /// Of its own: that somebody watches changes nothing in what else a seed draws.
    private var random: RandomSource
    private(set) var watchers: [SimulatedWatcher] = []
    private var loops: [NodeID: (incarnation: UInt64, loop: WatchLoop)] = [:]
    private let encoder = SimulatedEventEncoder()
    private var isStopped = false

    private static let watchersCount = 6

    package init(cluster: SimulatedCluster, seed: UInt64) {
        self.cluster = cluster
        random = RandomSource(seed: seed ^ 0x3a7c_4000)
        for _ in 0..<Self.watchersCount {
            let watcher = SimulatedWatcher(range: drawRange(), allowsFragments: random.oneIn(3))
            watcher.record = { [unowned cluster] in cluster.record($0) }
            watchers.append(watcher)
        }
    }

    package func start() {
        for watcher in watchers { act(watcher) }
    }

    package func stop() { isStopped = true }

    /// How many events came to a watcher.
    package var delivered: Int { watchers.reduce(0) { $0 + $1.events.count } }

    private func drawRange() -> KeyRange {
        let all = Array("key/".utf8)
        switch random.below(4) {
        case 0: return KeyRange(key: all + Array("\(random.below(10))".utf8))
        case 1: return KeyRange(key: all + Array("1".utf8), end: .upTo(all + Array("\(2 + random.below(8))".utf8)))
        case 2: return KeyRange(key: all, end: .upTo(Array("key0".utf8)))
        default: return KeyRange(key: [0], end: .fromKey)
        }
    }

    // MARK: What a client does

    private func act(_ watcher: SimulatedWatcher) {
        cluster.queue.schedule(after: 1 + random.next() % 400_000_000) { [self] in
            guard !isStopped else { return }
            if !isConnected(watcher) || random.oneIn(8) {
                disconnect(watcher)
                let running = cluster.members.filter { $0.isRunning }
                if !running.isEmpty { connect(watcher, to: running[random.below(running.count)]) }
            } else if random.oneIn(3) {
                askForProgress(watcher)
            }
            act(watcher)
        }
    }

    private func isConnected(_ watcher: SimulatedWatcher) -> Bool {
        guard let connection = watcher.connection, !connection.isEnded else { return false }
        let member = cluster.member(connection.member)
        return member.isRunning && member.incarnation == connection.incarnation
    }

    private func disconnect(_ watcher: SimulatedWatcher) {
        guard let connection = watcher.connection else { return }
        connection.isEnded = true
        watcher.connection = nil
        if let stream = connection.stream, let known = loops[connection.member],
            known.incarnation == connection.incarnation
        {
            known.loop.close(stream)
        }
    }

    private func connect(_ watcher: SimulatedWatcher, to member: SimulatedMember) {
        guard let loop = loop(of: member) else { return }
        let connection = SimulatedConnection(watcher, member.id, member.incarnation, encoder)
        if random.oneIn(3) {
            let pause = 1 + random.next() % 300_000_000
            connection.drainLater = { [unowned cluster, unowned connection] in
                cluster.queue.schedule(after: pause) { [weak connection] in connection?.drain() }
            }
        }
        watcher.connection = connection
        let stream = loop.open(connection)
        connection.stream = stream
        var request = WatchRequest(watcher.range)
        request.start = Revision(watcher.next)
        request.allowsFragments = watcher.allowsFragments
        request.wantsProgress = true
        loop.create(request, on: stream)
    }

    private func askForProgress(_ watcher: SimulatedWatcher) {
        guard let connection = watcher.connection, let stream = connection.stream,
            let loop = loops[connection.member]?.loop
        else { return }
        if random.oneIn(2) { loop.requestProgress(stream) } else { loop.reportProgress(stream) }
    }

    // MARK: Members' loops

    /// The loop of the process that runs now; small limits, so that there are gaps, slices and slow readers.
    private func loop(of member: SimulatedMember) -> WatchLoop? {
        if let known = loops[member.id], known.incarnation == member.incarnation { return known.loop }
        guard let node = member.node, let feed = member.watchFeed else { return nil }
        var limits = WatchLimits()
        limits.undeliveredBatchesMax = 1 + random.below(8)
        limits.deliveriesPerTurn = 1 + random.below(20)
        limits.historyRowsPerTurn = 1 + random.below(20)
        limits.cohortsMax = 1 + random.below(3)
        limits.responseBytesMax = 8 << random.below(6)
        limits.fragmentBytesMax = 8 << random.below(4)
        limits.streamPendingBytesMax = 16 << random.below(8)
        limits.drainedBytes = random.below(2) * 8
        let workload = OneThread(self)
        let (id, incarnation) = (member.id, member.incarnation)
        let loop = WatchLoop(
            feed: feed, limits: limits, newestView: { node.published.view.store }, encoder: encoder,
            schedule: { workload.value.scheduleTurn(of: id, incarnation) },
            failed: { [unowned cluster] error in
                cluster.fail("member \(id.rawValue) cannot read its history for those who watch: \(error)")
            })
        loops[member.id] = (member.incarnation, loop)
        return loop
    }

    private func scheduleTurn(of id: NodeID, _ incarnation: UInt64) {
        cluster.queue.schedule(after: 1 + random.next() % 20_000_000) { [self] in
            let member = cluster.member(id)
            guard member.isRunning, member.incarnation == incarnation, let known = loops[id],
                known.incarnation == incarnation
            else { return }
            known.loop.takeTurn()
        }
    }

    // MARK: The end

    /// All is well, and nothing is written any more: every watcher, on whichever of these members, comes to hear of
    /// everything.
    package func catchUp(on members: [SimulatedMember], patienceNanoseconds: UInt64) {
        guard let head = members.compactMap({ $0.node?.published.view.store.revision.rawValue }).max() else { return }
        stop()
        let end = cluster.queue.now + patienceNanoseconds
        while cluster.violation == nil, cluster.queue.now < end {
            let late = watchers.filter { $0.next <= head }
            guard !late.isEmpty else { return }
            for watcher in late {
                if !isConnected(watcher) || !members.contains(where: { $0.id == watcher.connection?.member }) {
                    disconnect(watcher)
                    connect(watcher, to: members[random.below(members.count)])
                }
                if let connection = watcher.connection, let stream = connection.stream {
                    loops[connection.member]?.loop.requestProgress(stream)
                }
            }
            cluster.queue.run(until: cluster.queue.now + 50_000_000)
        }
        if let late = watchers.first(where: { $0.next <= head }) {
            cluster.fail(
                "after all is well a watcher waits for revision \(late.next), and the members stand at \(head)")
        }
    }
}

/// One client that watches, and what it has been told.
final class SimulatedWatcher {
    let range: KeyRange
    let allowsFragments: Bool
    /// From where it goes on; zero before it was connected for the first time.
    var next: Int64 = 0
    /// The first revision that it is to hear of.
    private(set) var start: Int64?
    private(set) var events: [SimulatedEvent] = []
    /// What it was told that it can hear no more: compacted before it came.
    private(set) var holes: [Range<Int64>] = []
    /// Revisions up to which it was told that it had everything, and how many events it then had.
    private(set) var promises: [(revision: Int64, events: Int)] = []
    var connection: SimulatedConnection?
    /// The first fragments of a revision.
    private var fragments: [SimulatedEvent] = []
    var record: (UInt64) -> Void = { _ in }

    init(range: KeyRange, allowsFragments: Bool) {
        self.range = range
        self.allowsFragments = allowsFragments
    }

    func connected(at revision: Int64) {
        fragments = []
        if next == 0 { next = revision + 1 }
        if start == nil { start = next }
    }

    func heard(_ new: [SimulatedEvent], at revision: Int64, isFragment: Bool) {
        fragments += new
        guard !isFragment else { return }
        for event in fragments { record(UInt64(event.revision)) }
        events += fragments
        if let last = fragments.last { next = max(next, last.revision + 1) }
        fragments = []
        promises.append((revision, events.count))
    }

    func heardOfProgress(_ revision: Int64) {
        promises.append((revision, events.count))
        next = max(next, revision + 1)
    }

    func heardOfCompaction(_ revision: Int64) {
        if next < revision { holes.append(next..<revision) }
        next = max(next, revision)
    }
}

/// A change as a watcher saw it.
struct SimulatedEvent: Hashable {
    var kind: Change.Kind
    var keyValue: KeyValue
    var revision: Int64 { keyValue.modRevision.rawValue }
}

/// A watcher's stream on one member's process.
final class SimulatedConnection: WatchOutlet {
    private let watcher: SimulatedWatcher
    let member: NodeID
    let incarnation: UInt64
    private let encoder: SimulatedEventEncoder
    var stream: WatchStream?
    var isEnded = false
    /// For a slow reader: sees to it that ``drain()`` is called some time.
    var drainLater: (() -> Void)?
    private(set) var pendingBytes = 0
    private var drained: (mark: Int, body: () -> Void)?

    init(_ watcher: SimulatedWatcher, _ member: NodeID, _ incarnation: UInt64, _ encoder: SimulatedEventEncoder) {
        self.watcher = watcher
        self.member = member
        self.incarnation = incarnation
        self.encoder = encoder
    }

    func whenPendingBytes(atMost bytes: Int, _ body: @escaping () -> Void) { drained = (bytes, body) }

    func drain() {
        pendingBytes = 0
        guard let drained, !isEnded else { return }
        self.drained = nil
        drained.body()
    }

    func send(_ notice: WatchNotice, at revision: Revision) {
        guard !isEnded else { return }
        switch notice {
        case .created: watcher.connected(at: revision.rawValue)
        case .progress, .progressOfAll: watcher.heardOfProgress(revision.rawValue)
        case .compacted(_, let compactRevision):
            watcher.heardOfCompaction(compactRevision.rawValue)
            isEnded = true
        case .refused, .cancelled: isEnded = true
        }
    }

    func send(_ events: WatchEventBytes, to id: Int64, at revision: Revision, isFragment: Bool) {
        guard !isEnded else { return }
        if let drainLater {
            pendingBytes += events.byteCount
            drainLater()
        }
        watcher.heard(encoder.decode(events), at: revision.rawValue, isFragment: isFragment)
    }
}

/// Events go as numbers of what is kept here.
final class SimulatedEventEncoder: WatchEventEncoder {
    private var events: [SimulatedEvent] = []
    private static let bytes = 4

    func append(
        _ kind: Change.Kind, _ keyValue: BorrowedKeyValue, previous: BorrowedKeyValue?, to bytes: inout [UInt8]
    ) {
        let number = UInt32(events.count)
        events.append(SimulatedEvent(kind: kind, keyValue: KeyValue(keyValue)))
        for shift in stride(from: 0, to: 32, by: 8) { bytes.append(UInt8(truncatingIfNeeded: number >> shift)) }
    }

    func decode(_ response: WatchEventBytes) -> [SimulatedEvent] {
        response.pieces.flatMap { piece in
            stride(from: piece.lowerBound, to: piece.upperBound, by: Self.bytes).map { place in
                let number = (0..<Self.bytes).reduce(0) { $0 | Int(response.arena[place + $1]) << (8 * $1) }
                return events[number]
            }
        }
    }
}
