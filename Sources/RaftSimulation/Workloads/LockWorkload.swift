import MVCC
import Platform
import Raft
import RaftCore
import Replica

/// Clients that take a lock as etcd's recipe has it: a key of their own under a prefix, bound to a lease; who created
/// the oldest one holds the lock. They look again whether their key is still there when they have waited. Then they
/// write to a resource outside the cluster, with their key's create revision as a fencing token; some are stopped
/// meanwhile for longer than their lease, and go on as if nothing had happened.
///
/// What is checked: who takes the lock later has a greater token; nobody takes it while another one rightly believes,
/// by a true clock, that its lease lives; and the resource, which refuses tokens that are smaller than one that it has
/// seen, never goes back. How often it had to refuse one is counted: without fencing those writes would have gone
/// through. A lock without fencing excludes nobody.
package final class LockWorkload {
    package struct Options: Sendable {
        package var clients = 3
        package var ttlMax = 2
        /// Whether clients look again when they have waited. Without it they take locks that they have lost: for a
        /// test that the checks find that.
        package var looksAgain = true

        package init() {}
    }

    private let cluster: SimulatedCluster
    private let requests: ClusterRequests
    private let leases: LeaseWorkload
    private let options: Options
    private var random: RandomSource
    private var holders: [Holder] = []
    /// When a lock was taken for sure, and the token.
    private var taken: [(at: UInt64, token: Int64)] = []
    package private(set) var resource = FencedResource()
    package var takings: Int { taken.count }

    /// A client with its lease and its key.
    private final class Holder {
        let lease: LeaseID
        let ttl: Int64
        var token: Int64 = 0
        var isStopped = false
        var hasEnded = false

        init(_ lease: Lease) {
            self.lease = lease.id
            ttl = lease.ttl
        }

        var key: [UInt8] { Array("lock/\(lease.rawValue)".utf8) }
    }

    private static let prefix = KeyRange(key: Array("lock/".utf8), end: .upTo(Array("lock0".utf8)))

    package init(cluster: SimulatedCluster, leases: LeaseWorkload, seed: UInt64, options: Options) {
        self.cluster = cluster
        self.leases = leases
        self.options = options
        requests = ClusterRequests(cluster: cluster, patienceNanoseconds: 800_000_000)
        random = RandomSource(seed: seed ^ 0x10c4)
    }

    package func start() { for _ in 0..<options.clients { begin() } }

    private func later(_ least: UInt64, _ most: UInt64, _ action: @escaping () -> Void) {
        cluster.queue.schedule(after: least + random.next() % (most - least)) { [self] in
            if !leases.isStopped { action() }
        }
    }

    /// Goes on when the client runs, which may be late.
    private func goOn(_ holder: Holder, _ action: @escaping () -> Void) {
        guard !leases.isStopped else { return }
        guard holder.isStopped else { return action() }
        later(50_000_000, 100_000_000) { [self] in goOn(holder, action) }
    }

    // MARK: Clients

    private func begin() {
        later(1, 400_000_000) { [self] in
            leases.grant(ttl: Int64(1 + random.below(options.ttlMax))) { [self] lease in
                guard let lease else { return begin() }
                let holder = Holder(lease)
                holders.append(holder)
                keepAlive(holder)
                enter(holder)
            }
        }
    }

    private func keepAlive(_ holder: Holder) {
        later(UInt64(holder.ttl) * 200_000_000, UInt64(holder.ttl) * 400_000_000) { [self] in
            guard !holder.hasEnded else { return }
            // Like a process that is stopped, or collects garbage.
            if random.oneIn(20) { stop(holder) }
            goOn(holder) { [self] in
                guard !holder.hasEnded else { return }
                leases.renew(holder.lease) { [self] lives in if lives { keepAlive(holder) } }
            }
        }
    }

    private func stop(_ holder: Holder) {
        guard !holder.isStopped else { return }
        holder.isStopped = true
        later(100_000_000, 5_000_000_000) { holder.isStopped = false }
    }

    private func giveUp(_ holder: Holder) {
        holder.hasEnded = true
        begin()
    }

    /// Creates the key, if it is not there from a try whose answer was lost.
    private func enter(_ holder: Holder) {
        let key = KeyRange(key: holder.key)
        let transaction = Transaction(
            comparisons: [Comparison(key, .equal, .createRevision(0))],
            success: [.put(PutOperation(key: holder.key, value: [], lease: holder.lease))],
            failure: [.range(RangeQuery(key))])
        requests.propose(.transaction(transaction), through: requests.door(&random)) { [self] outcome in
            goOn(holder) { [self] in
                guard let outcome else { return enter(holder) }
                guard case .transaction(let answer) = outcome.result else { return giveUp(holder) }
                if answer.succeeded {
                    holder.token = outcome.revision.rawValue
                } else if case .range(let range)? = answer.answers.first, let pair = range.keyValues.first {
                    holder.token = pair.createRevision.rawValue
                } else {
                    return giveUp(holder)
                }
                wait(holder)
            }
        }
    }

    /// Until nobody is before it. (A real client watches the key before its own; this one asks again.)
    private func wait(_ holder: Holder) {
        read(holder) { [self] view, _ in
            var query = RangeQuery(Self.prefix)
            query.maxCreateRevision = Revision(holder.token - 1)
            query.sortTarget = .createRevision
            query.sortOrder = .descending
            query.limit = 1
            guard try view.range(query).keyValues.isEmpty else {
                return later(20_000_000, 200_000_000) { [self] in goOn(holder) { [self] in wait(holder) } }
            }
            if options.looksAgain { lookAgain(holder) } else { take(holder, askedAt: cluster.queue.now) }
        }
    }

    private func lookAgain(_ holder: Holder) {
        read(holder) { [self] view, askedAt in
            let pair = try view.range(RangeQuery(KeyRange(key: holder.key))).keyValues.first
            guard pair?.createRevision.rawValue == holder.token else { return giveUp(holder) }
            take(holder, askedAt: askedAt)
        }
    }

    private func read(_ holder: Holder, _ use: @escaping (ReadView, UInt64) throws -> Void) {
        let askedAt = cluster.queue.now
        requests.read(through: requests.door(&random)) { [self] view in
            guard let view else {
                return later(1_000_000, 100_000_000) { [self] in goOn(holder) { [self] in read(holder, use) } }
            }
            do { try use(view, askedAt) } catch { cluster.fail("a read for a lock failed: \(error)") }
        }
    }

    // MARK: Who holds it

    private func take(_ holder: Holder, askedAt: UInt64) {
        let now = cluster.queue.now
        if let earlier = taken.last(where: { $0.at < askedAt && $0.token > holder.token }) {
            cluster.fail("a lock was taken with token \(holder.token) after it had been with \(earlier.token)")
        }
        for other in holders where other !== holder && !other.hasEnded && other.token != 0 && isTaken(by: other) {
            guard let end = leases.promisedEnd(of: other.lease), end > now else { continue }
            cluster.fail(
                "a lock was taken with token \(holder.token) while the lease of who holds it with \(other.token) was "
                    + "to live for \((end - now) / 1_000_000) ms more")
        }
        taken.append((now, holder.token))
        cluster.record(UInt64(holder.token))
        use(holder, writes: 1 + random.below(8))
    }

    private func isTaken(by holder: Holder) -> Bool { taken.contains { $0.token == holder.token } }

    private func use(_ holder: Holder, writes: Int) {
        guard writes > 0 else { return release(holder) }
        if random.oneIn(8) { stop(holder) }
        later(5_000_000, 300_000_000) { [self] in
            goOn(holder) { [self] in
                // It takes its time on the way.
                let token = holder.token
                later(1_000_000, 100_000_000) { [self] in resource.write(token: token) }
                use(holder, writes: writes - 1)
            }
        }
    }

    private func release(_ holder: Holder) {
        holder.hasEnded = true
        // Or it just goes.
        switch random.below(3) {
        case 0: leases.revoke(holder.lease)
        case 1:
            requests.propose(
                .delete(DeleteOperation(KeyRange(key: holder.key))), through: requests.door(&random)
            ) { _ in }
        default: break
        }
        begin()
    }
}

/// Something that a lock protects, and that does not rely on it: it refuses the tokens of those who had the lock
/// before.
package struct FencedResource: Sendable {
    /// The tokens of the writes that came, in order, and of those that were let through.
    package private(set) var arrived: [Int64] = []
    package private(set) var accepted: [Int64] = []

    package init() {}

    package mutating func write(token: Int64) {
        arrived.append(token)
        if token >= accepted.last ?? 0 { accepted.append(token) }
    }

    /// Writes by whoever had lost the lock to another one.
    package var refused: Int { arrived.count - accepted.count }

    package static func goesBack(_ tokens: [Int64]) -> Bool { zip(tokens, tokens.dropFirst()).contains { $0 > $1 } }
}
