import MVCC
import Platform
import Raft
import RaftCore
import Replica

/// Clients that watch, each with a stream of one to three watchers, on one member after the other: they move on when
/// they like or when their member ends, take up where they were, read slowly now and then, and remember all that they
/// were told.
///
/// Watchers want keys, ranges and all; some with the pairs before, without puts or deletes, in fragments; from now on,
/// from revisions that are past, to come, compacted or just not. Some are cancelled, and others take their place.
///
/// Each member's process has one watch loop, the server's own, which takes its turns when the event queue lets it.
package final class WatchWorkload {
    private let cluster: SimulatedCluster
    /// Of its own: that somebody watches changes nothing in what else a seed draws.
    private var random: RandomSource
    /// All that there were.
    private(set) var watchers: [SimulatedWatcher] = []
    private var clients: [Client] = []
    private var loops: [NodeID: (incarnation: UInt64, loop: WatchLoop)] = [:]
    private let encoder = SimulatedEventEncoder()
    private var isStopped = false

    private static let clientsCount = 6
    /// Who cancels puts another watcher in its place; not for ever, since what each was told is compared with all of
    /// history.
    private static let watchersMax = 60

    private final class Client {
        var watchers: [SimulatedWatcher] = []
        var connection: SimulatedStream?
    }

    package init(cluster: SimulatedCluster, seed: UInt64) {
        self.cluster = cluster
        random = RandomSource(seed: seed ^ 0x3a7c_4000)
        for number in 0..<Self.clientsCount {
            let client = Client()
            // The first sees history from its beginning; half of them share a stream between watchers.
            let count = number < 3 ? 1 : 1 + random.below(3)
            for _ in 0..<count { client.watchers.append(makeWatcher(from: number == 0 ? 1 : 0)) }
            clients.append(client)
        }
    }

    package func start() {
        for client in clients { act(client) }
    }

    package func stop() { isStopped = true }

    /// How many events came to watchers.
    package var delivered: Int { watchers.reduce(0) { $0 + $1.events.count } }
    /// Watchers that were told that what they wanted is compacted, and events that came with the pair before.
    package var compactions: Int { watchers.reduce(0) { $0 + $1.holes.count } }
    package var pairsBefore: Int { watchers.reduce(0) { $0 + $1.events.count { $0.previous != nil } } }

    private func makeWatcher(from start: Int64) -> SimulatedWatcher {
        var request = WatchRequest(drawRange())
        request.start = Revision(start)
        request.allowsFragments = random.oneIn(3)
        request.wantsPrevious = random.oneIn(3)
        request.wantsProgress = !random.oneIn(3)
        switch random.below(6) {
        case 0: request.ignoresPuts = true
        case 1: request.ignoresDeletes = true
        default: break
        }
        let watcher = SimulatedWatcher(request)
        watcher.record = { [unowned cluster] in cluster.record($0) }
        watchers.append(watcher)
        return watcher
    }

    private func drawRange() -> KeyRange {
        func prefix(_ text: String) -> KeyRange {
            KeyRange(key: Array("\(text)/".utf8), end: .upTo(Array("\(text)0".utf8)))
        }
        switch random.below(10) {
        case 0: return KeyRange(key: Array("key/\(random.below(10))".utf8))
        case 1: return KeyRange(key: Array("key/1".utf8), end: .upTo(Array("key/\(2 + random.below(8))".utf8)))
        case 2: return prefix("key")
        case 3: return KeyRange(key: Array("note/0\(random.below(10))".utf8))
        case 4:
            let first = random.below(9)
            return KeyRange(key: Array("note/0\(first)".utf8), end: .upTo(Array("note/0\(first + 1)\(0)".utf8)))
        case 5: return prefix("note")
        case 6: return prefix("lease")
        case 7: return KeyRange(key: Array("l".utf8), end: .upTo(Array("note/05".utf8)))
        default: return KeyRange(key: [0], end: .fromKey)
        }
    }

    /// Where on this member a new watcher is to begin; zero: now.
    private func drawStart(_ view: ReadView) -> Int64 {
        let (head, compacted) = (view.revision.rawValue, max(1, view.compactRevision.rawValue))
        switch random.below(8) {
        case 0: return compacted
        case 1: return max(1, compacted - 1)
        case 2: return 1
        case 3: return head + 1 + Int64(random.below(40))
        case 4: return max(1, head - Int64(random.below(5)))
        case 5: return compacted + Int64(random.below(Int(max(1, head - compacted))))
        default: return 0
        }
    }

    // MARK: What a client does

    private func act(_ client: Client) {
        cluster.queue.schedule(after: 1 + random.next() % 400_000_000) { [self] in
            guard !isStopped else { return }
            if !isConnected(client) || random.oneIn(8) {
                disconnect(client)
                let running = cluster.members.filter { $0.isRunning }
                if !running.isEmpty { connect(client, to: running[random.below(running.count)]) }
            } else if random.oneIn(3) {
                askForProgress(client)
            } else if random.oneIn(4) {
                replace(client)
            }
            createMissing(client)
            act(client)
        }
    }

    private func isConnected(_ client: Client) -> Bool {
        guard let connection = client.connection, !connection.isEnded else { return false }
        let member = cluster.member(connection.member)
        return member.isRunning && member.incarnation == connection.incarnation
    }

    private func disconnect(_ client: Client) {
        guard let connection = client.connection else { return }
        connection.isEnded = true
        client.connection = nil
        if let stream = connection.stream, let known = loops[connection.member],
            known.incarnation == connection.incarnation
        {
            known.loop.close(stream)
        }
    }

    private func connect(_ client: Client, to member: SimulatedMember) {
        guard let loop = loop(of: member) else { return }
        let connection = SimulatedStream(member.id, member.incarnation, encoder) { [unowned member] in
            member.node?.published.view.store.compactRevision.rawValue ?? .max
        }
        if random.oneIn(3) {
            let pause = 1 + random.next() % 300_000_000
            connection.drainLater = { [unowned cluster, unowned connection] in
                cluster.queue.schedule(after: pause) { [weak connection] in connection?.drain() }
            }
        }
        client.connection = connection
        connection.stream = loop.open(connection)
        createMissing(client)
    }

    /// Those that were never on this stream, and those that were ended by a compaction.
    private func createMissing(_ client: Client) {
        guard isConnected(client), let connection = client.connection, let loop = loops[connection.member]?.loop else {
            return
        }
        for watcher in client.watchers where connection.id(of: watcher) == nil { connection.create(watcher, in: loop) }
    }

    private func askForProgress(_ client: Client) {
        guard let connection = client.connection, let stream = connection.stream,
            let loop = loops[connection.member]?.loop
        else { return }
        if random.oneIn(2) { loop.requestProgress(stream) } else { loop.reportProgress(stream) }
    }

    /// Cancels one watcher; another takes its place, or the same one goes on.
    private func replace(_ client: Client) {
        let place = random.below(client.watchers.count)
        guard let connection = client.connection, let view = cluster.member(connection.member).node?.published.view
        else { return }
        cancel(client.watchers[place], on: connection)
        guard watchers.count < Self.watchersMax, !random.oneIn(3) else { return }
        client.watchers[place] = makeWatcher(from: drawStart(view.store))
    }

    private func cancel(_ watcher: SimulatedWatcher, on connection: SimulatedStream) {
        guard let loop = loops[connection.member]?.loop, let stream = connection.stream,
            let id = connection.id(of: watcher)
        else { return }
        loop.cancel(id, on: stream)
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
        #if MARTLET_MUTATIONS
            if let name = cluster.options.mutation { loop.faults = SeededMistake.ofHistories(name) }
        #endif
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
        // Who waits for what is still to come would keep the others on its stream from hearing of their progress.
        for client in clients {
            if isConnected(client), let connection = client.connection {
                for watcher in client.watchers where watcher.next > head { cancel(watcher, on: connection) }
            }
            client.watchers.removeAll { $0.next > head }
        }
        let end = cluster.queue.now + patienceNanoseconds
        while cluster.violation == nil, cluster.queue.now < end {
            for client in clients { client.watchers.removeAll { $0.next > head } }
            let late = clients.filter { !$0.watchers.isEmpty }
            guard !late.isEmpty else { return }
            for client in late {
                if !isConnected(client) || !members.contains(where: { $0.id == client.connection?.member }) {
                    disconnect(client)
                    connect(client, to: members[random.below(members.count)])
                }
                createMissing(client)
                if let connection = client.connection, let stream = connection.stream {
                    loops[connection.member]?.loop.requestProgress(stream)
                }
            }
            cluster.queue.run(until: cluster.queue.now + 50_000_000)
        }
        if let late = clients.flatMap(\.watchers).first(where: { $0.next <= head }) {
            cluster.fail(
                "after all is well a watcher waits for revision \(late.next), and the members stand at \(head)")
        }
    }
}
