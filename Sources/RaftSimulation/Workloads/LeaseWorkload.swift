import MVCC
import Platform
import Raft
import RaftCore
import Replica

/// Clients that are granted leases, put keys under them, take keys from each other's, and renew or revoke through any
/// member, sometimes both at once; and whether each lease lived as long as they were told (decision 0014). What becomes
/// of the keys is ``StoreModel``'s to say: all members must make the same of each entry, and hold the same.
package final class LeaseWorkload {
    package struct Options: Sendable {
        package var clients = 3
        package var ttlMax = 3
        /// Keys that all of them put, move from lease to lease and delete.
        package var keys = 9

        package init() {}
    }

    /// A client was told that the lease lives so long from then on.
    private struct Promise {
        var at: UInt64
        var ttl: Int64
    }

    private let cluster: SimulatedCluster
    private let requests: ClusterRequests
    private let options: Options
    private var random: RandomSource
    private var nextID: Int64 = 1
    private(set) var isStopped = false
    private var promises: [LeaseID: Promise] = [:]
    private var ends: [LeaseID: UInt64] = [:]
    /// Renewals that were answered, those of them without a place in the log, and leases that have ended.
    package private(set) var renewals = 0
    package private(set) var shortCuts = 0
    package var ended: Int { ends.count }
    /// Keys that went with their leases.
    package private(set) var keysEnded = 0
    private var eventsSeen = 0
    /// The newest term in which the lease clock moved, what it then showed, and when; and for how long, in that term,
    /// leases have been overdue.
    private var reign: (term: Term, clock: LeaseTime, at: UInt64) = (.zero, .zero, 0)
    private var overdue: [LeaseID: UInt64] = [:]
    /// The longest of these, in milliseconds.
    package private(set) var longestOverdue: UInt64 = 0
    /// A leader that was stopped lets renewals go first for a second (decision 0014). Stamps that are farther apart
    /// than ticks, or come later, are those of one that was stopped or cut off, perhaps again and again: then the count
    /// begins anew. Neither does it count what is stamped and applied later at one go.
    private static let overdueMax: UInt64 = 3_500
    private static let stampsApartMax: UInt64 = 1_200

    package init(cluster: SimulatedCluster, options: Options) {
        self.cluster = cluster
        self.options = options
        requests = ClusterRequests(cluster: cluster, patienceNanoseconds: 800_000_000)
        random = cluster.queue.random.fork()
        cluster.onFirstApplied = { [unowned self] model, place in self.observe(model, in: place.term) }
    }

    package func start() { for _ in 0..<options.clients { begin() } }

    package func stop() { isStopped = true }

    /// No lease is in force.
    package var isOver: Bool { cluster.model.leases.isEmpty }

    package var standing: String {
        let texts = cluster.model.leasesByID.map { "\($0.id.rawValue) until \($0.deadline.rawValue)" }
        return "the lease clock shows \(cluster.model.leaseClock.rawValue), leases are \(texts.joined(separator: ", "))"
    }

    // MARK: Clients

    /// A client gets a lease, does this and that with it, then revokes or forgets it.
    private func begin() {
        cluster.queue.schedule(after: 1 + random.next() % 500_000_000) { [self] in
            guard !isStopped else { return }
            grant(ttl: Int64(1 + random.below(options.ttlMax))) { [self] lease in
                guard let lease else { return begin() }
                hold(lease.id, ttl: lease.ttl, steps: random.below(24))
            }
        }
    }

    private func hold(_ id: LeaseID, ttl: Int64, steps: Int) {
        guard steps > 0 else { return end(id) }
        // About a tenth of the time; now and then about when the lease ends, where renewals and ends meet.
        let isLate = random.oneIn(12)
        let pause =
            isLate
            ? UInt64(ttl) * 1_000_000_000 + random.next() % 1_200_000_000
            : UInt64(ttl) * (10_000_000 + random.next() % 150_000_000)
        cluster.queue.schedule(after: pause) { [self] in
            guard !isStopped else { return }
            let goOn: (Bool) -> Void = { [self] lives in
                if lives { hold(id, ttl: ttl, steps: steps - 1) } else { begin() }
            }
            if isLate || random.oneIn(2) { renew(id, goOn) } else { change(under: id) { goOn(true) } }
        }
    }

    private func end(_ id: LeaseID) {
        switch random.below(4) {
        case 0: revoke(id)
        case 1:
            // Through two members at once.
            if random.oneIn(2) { revoke(id) }
            renew(id) { _ in }
            revoke(id)
        default: break
        }
        begin()
    }

    private func name(_ number: Int) -> [UInt8] { Array("lease/\(number)".utf8) }

    /// Puts keys under the lease, or takes one from whatever lease it has.
    private func change(under id: LeaseID, _ done: @escaping () -> Void) {
        let first = random.below(options.keys)
        let value = Array("\(id.rawValue)".utf8)
        let command: Command
        switch random.below(10) {
        case 0: command = .put(PutOperation(key: name(first), value: value))
        case 1: command = .put(PutOperation(key: name(first), value: value, ignoreLease: true))
        case 2: command = .put(PutOperation(key: name(first), value: [], lease: id, ignoreValue: true))
        case 3: command = .delete(DeleteOperation(KeyRange(key: name(first)), prevKV: true))
        case 4..<7:
            let several = (0..<2 + random.below(3)).map { (first + $0) % options.keys }
            command = .transaction(
                Transaction(success: several.map { .put(PutOperation(key: name($0), value: value, lease: id)) }))
        default: command = .put(PutOperation(key: name(first), value: value, lease: id, prevKV: true))
        }
        requests.propose(command, through: requests.door(&random)) { _ in done() }
    }

    // MARK: Leases, for other clients too

    func grant(ttl: Int64, _ done: @escaping (Lease?) -> Void) {
        let id = LeaseID(nextID)
        nextID += 1
        let called = cluster.queue.now
        // Some with a key in the same step, which is mostly there already: then there must be no lease.
        let command: LeaseCommand =
            id.rawValue % 4 == 0 ? .grantWith(id, ttl: ttl, firstPut(under: id)) : .grant(id, ttl: ttl)
        requests.propose(command, through: requests.door(&random)) { [self] outcome in
            switch outcome?.result {
            case .granted(let lease), .grantedWith(.some(let lease), _):
                promised(id, Promise(at: called, ttl: ttl))
                done(lease)
            default: done(nil)
            }
        }
    }

    private func firstPut(under id: LeaseID) -> Transaction {
        let key = name(Int(id.rawValue / 4) % options.keys)
        return Transaction(
            comparisons: [Comparison(KeyRange(key: key), .equal, .createRevision(0))],
            success: [.put(PutOperation(key: key, value: Array("\(id.rawValue)".utf8), lease: id))])
    }

    func revoke(_ id: LeaseID) { requests.propose(.revoke(id), through: requests.door(&random)) { _ in } }

    /// - Parameter done: told whether it is worth going on.
    func renew(_ id: LeaseID, _ done: @escaping (Bool) -> Void) {
        guard let member = requests.door(&random) else { return done(true) }
        let called = cluster.queue.now
        let logged = { [self] in
            requests.propose(.renew([id]), through: member) { [self] outcome in
                guard case .renewed(let ttls)? = outcome?.result else { return done(true) }
                if ttls[0] > 0 { promised(id, Promise(at: called, ttl: ttls[0])) }
                done(ttls[0] > 0)
            }
        }
        guard random.oneIn(2), let node = member.node, let clock = member.leaseClock else { return logged() }
        // As the server does it.
        requests.read(through: member) { [self] view in
            guard let view else { return done(true) }
            do throws(StateError) {
                guard let lease = try view.lease(id) else { return done(false) }
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
    }

    // MARK: What became of them

    /// Until then nobody may end the lease, but for who revokes it: by a true clock, though the leader's may be fast by
    /// as much as clocks drift. (Stamps are whole milliseconds.)
    func promisedEnd(of id: LeaseID) -> UInt64? { promises[id].map(end) }

    private func end(of promise: Promise) -> UInt64 {
        let ttl = UInt64(promise.ttl) * 1_000_000_000
        return promise.at + ttl * 1_000_000 / UInt64(1_000_000 + cluster.options.driftMillionths) - 2_000_000
    }

    private func promised(_ id: LeaseID, _ promise: Promise) {
        renewals += 1
        cluster.record(UInt64(bitPattern: id.rawValue))
        if let known = promises[id], end(of: known) > end(of: promise) { return }
        promises[id] = promise
        // Told late, of a lease that has ended meanwhile: it has to have lived so long all the same.
        if let end = ends[id] { check(id, promise, end: end) }
    }

    private func check(_ id: LeaseID, _ promise: Promise, end: UInt64) {
        guard end < self.end(of: promise) else { return }
        cluster.fail(
            "lease \(id.rawValue) ended \((end - min(end, promise.at)) / 1_000_000) ms after it was to live for "
                + "\(promise.ttl) s")
    }

    private func observe(_ model: StoreModel, in term: Term) {
        if !model.ended.isEmpty { keysEnded += model.events.count - eventsSeen }
        eventsSeen = model.events.count
        checkOverdue(model, in: term)
        for (id, how) in model.ended where how == .expired {
            ends[id] = cluster.queue.now
            if let promise = promises[id] { check(id, promise, end: cluster.queue.now) }
        }
    }

    /// Under one leader a lease that is over ends soon, whoever led before: it does not live anew.
    private func checkOverdue(_ model: StoreModel, in term: Term) {
        let stamped = model.leaseClock.milliseconds(since: reign.clock)
        guard stamped > 0 || reign.term != term else { return }
        let really = (cluster.queue.now - reign.at) / 1_000_000
        let isSteady = reign.term == term && max(stamped, really) <= Self.stampsApartMax
        reign = (term, model.leaseClock, cluster.queue.now)
        guard isSteady else { return overdue = [:] }
        let passed = min(stamped, really)
        for lease in model.leasesByID {
            let late = model.leaseClock.milliseconds(since: lease.deadline)
            guard late > LeaseSlack.milliseconds else {
                overdue[lease.id] = nil
                continue
            }
            overdue[lease.id, default: 0] += min(passed, late - LeaseSlack.milliseconds)
            longestOverdue = max(longestOverdue, overdue[lease.id, default: 0])
            if longestOverdue > Self.overdueMax {
                return cluster.fail("lease \(lease.id.rawValue) does not end: it is overdue by \(late) ms")
            }
        }
    }
}
