import MVCC
import Platform
import Raft
import RaftCore
import Replica
import StorageEngine

/// Clients that are granted leases and renew them through any member, for a while; and whether each lease lived as long
/// as they were told, and no longer than it had to (decision 0014).
///
/// The leases have no keys: what is deleted with them is for the tests of the state.
package final class LeaseWorkload {
    package struct Options: Sendable {
        package var clients = 3
        package var ttlMax = 3

        package init() {}
    }

    /// A client was told that the lease lives so long from then on.
    private struct Promise {
        var at: UInt64
        var ttl: Int64
    }

    private let cluster: SimulatedCluster
    private let options: Options
    private var random: RandomSource
    private var nextID: Int64 = 1
    private var isStopped = false
    /// What the log makes of the leases, in the order in which its entries were first applied anywhere.
    private var log: State
    private var promises: [LeaseID: Promise] = [:]
    private var ends: [LeaseID: UInt64] = [:]
    /// Renewals that were answered, those of them without a place in the log, and leases that have ended.
    package private(set) var renewals = 0
    package private(set) var shortCuts = 0
    package var ended: Int { ends.count }

    package init(cluster: SimulatedCluster, options: Options) throws {
        self.cluster = cluster
        self.options = options
        random = cluster.queue.random.fork()
        log = try State(store: LayeredStore(engine: MemoryEngine()))
        cluster.onFirstApplied = { [unowned self] command, place in self.observe(command, at: place) }
    }

    package func start() { for _ in 0..<options.clients { begin() } }

    package func stop() { isStopped = true }

    /// No lease is in force.
    package var isOver: Bool { log.leaseCount == 0 }

    package var standing: String {
        var leases: [Lease] = []
        log.forEachLease { leases.append($0) }
        let texts = leases.sorted { $0.id < $1.id }.map { "\($0.id.rawValue) until \($0.deadline.rawValue)" }
        return "the lease clock shows \(log.leaseClock.rawValue), leases are \(texts.joined(separator: ", "))"
    }

    // MARK: Clients

    /// A client gets a lease and renews it some times, then forgets it.
    private func begin() {
        cluster.queue.schedule(after: 1 + random.next() % 500_000_000) { [self] in
            guard !isStopped else { return }
            let id = LeaseID(nextID)
            nextID += 1
            let ttl = Int64(1 + random.below(options.ttlMax))
            let called = cluster.queue.now
            propose(.grant(id, ttl: ttl)) { [self] outcome in
                guard case .granted? = outcome?.result else { return begin() }
                promised(id, Promise(at: called, ttl: ttl))
                hold(id, ttl: ttl, renewals: random.below(12))
            }
        }
    }

    private func hold(_ id: LeaseID, ttl: Int64, renewals: Int) {
        guard renewals > 0 else { return begin() }
        cluster.queue.schedule(after: UInt64(ttl) * (50_000_000 + random.next() % 300_000_000)) { [self] in
            guard !isStopped else { return }
            renew(id) { [self] lives in
                if lives { hold(id, ttl: ttl, renewals: renewals - 1) } else { begin() }
            }
        }
    }

    /// - Parameter done: told whether it is worth going on.
    private func renew(_ id: LeaseID, _ done: @escaping (Bool) -> Void) {
        guard let member = door() else { return done(true) }
        let called = cluster.queue.now
        let logged = { [self] in
            propose(.renew([id]), through: member) { [self] outcome in
                guard case .renewed(let ttls)? = outcome?.result else { return done(true) }
                if ttls[0] > 0 { promised(id, Promise(at: called, ttl: ttls[0])) }
                done(ttls[0] > 0)
            }
        }
        guard random.oneIn(2), let node = member.node, let clock = member.leaseClock else { return logged() }
        // As the server does it.
        let call = Call()
        cluster.queue.schedule(after: 3_000_000_000) { if call.end() { done(true) } }
        let sink = SimulatedSink<ReplicaView> { [self] answer in
            guard call.end() else { return }
            guard case .success(let view) = answer else { return done(true) }
            do throws(StateError) {
                guard let lease = try view.store.lease(id) else { return done(false) }
                let status = node.published.status
                guard status.role == .leader, let time = clock.time(leading: status.term),
                    LeaseSlack.covers(renewing: lease, at: time)
                else { return logged() }
                shortCuts += 1
                promised(id, Promise(at: cluster.queue.now, ttl: lease.ttl))
                done(true)
            } catch {
                cluster.fail("a lease cannot be read: \(error)")
            }
        }
        node.read(Ticket(sink: sink, token: 0))
    }

    private final class Call {
        private var isOpen = true

        /// True the first time.
        func end() -> Bool {
            defer { isOpen = false }
            return isOpen
        }
    }

    private func door() -> SimulatedMember? {
        let running = cluster.members.filter { cluster.isPresent($0) && $0.isRunning }
        return running.isEmpty ? nil : running[random.below(running.count)]
    }

    private func propose(
        _ command: LeaseCommand, through member: SimulatedMember? = nil, _ done: @escaping (LeaseOutcome?) -> Void
    ) {
        let call = Call()
        cluster.queue.schedule(after: 3_000_000_000) { if call.end() { done(nil) } }
        guard let node = (member ?? door())?.node else { return }
        var payload = LeaseCommandCodec.encode(command, prefixBytes: ProposalID.encodedBytes + 1)
        payload[ProposalID.encodedBytes] = CommandRoom.lease.rawValue
        let sink = SimulatedSink<ReplicaResult> { answer in
            guard call.end() else { return }
            guard case .success(.lease(let outcome)) = answer else { return done(nil) }
            done(outcome)
        }
        node.propose(CommandProposal(payload: payload, ticket: Ticket(sink: sink, token: 0)))
    }

    // MARK: What became of them

    private func promised(_ id: LeaseID, _ promise: Promise) {
        renewals += 1
        cluster.record(UInt64(bitPattern: id.rawValue))
        promises[id] = promise
        // Told late, of a lease that has ended meanwhile: it has to have lived so long all the same.
        if let end = ends[id] { check(id, promise, end: end) }
    }

    private func check(_ id: LeaseID, _ promise: Promise, end: UInt64) {
        // A leader's clock may be fast by as much as clocks drift; stamps are whole milliseconds.
        let ttl = UInt64(promise.ttl) * 1_000_000_000
        let least = ttl * 1_000_000 / UInt64(1_000_000 + cluster.options.driftMillionths) - 2_000_000
        guard end < promise.at + least else { return }
        cluster.fail(
            "lease \(id.rawValue) ended \((end - min(end, promise.at)) / 1_000_000) ms after it was to live for "
                + "\(promise.ttl) s")
    }

    private func observe(_ command: [UInt8], at place: AppliedPlace) {
        guard command.first == CommandRoom.lease.rawValue else { return }
        do throws(StateError) {
            let record = Array(command.dropFirst())
            var decoded: Result<(command: LeaseCommand, time: LeaseTime), StateError>?
            record.withUnsafeBytes { bytes in
                decoded = Result { () throws(StateError) in try LeaseCommandCodec.decode(bytes) }
            }
            guard let (command, time) = try decoded?.get() else { return }
            var named: [LeaseID] = []
            if case .expire(let ends, _) = command { named = ends.map(\.id).filter { log.lease($0) != nil } }
            _ = try log.apply(
                command, stamped: time,
                at: LogPosition(index: place.index.rawValue, term: place.term.rawValue))
            for id in named where log.lease(id) == nil {
                ends[id] = cluster.queue.now
                if let promise = promises[id] { check(id, promise, end: cluster.queue.now) }
            }
        } catch {
            cluster.fail("an applied lease command cannot be applied again: \(error)")
        }
    }
}
