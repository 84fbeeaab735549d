package import MVCC
import Raft
import RaftCore

#if MARTLET_MUTATIONS
    import Synchronization
#endif

/// Ends leases on the leader, and keeps the lease clock in the log going (decision 0014). It only proposes: what ends,
/// ends when the command is applied.
///
/// It lives on the thread that applies. Everything in it belongs to one reign, and is forgotten with it.
struct Lessor {
    /// So long after its deadline a lease is ended: in between, a renewal may be answered without a place in the log
    /// (``LeaseSlack``). The one millisecond more is what the clock's readings are rounded by.
    static let graceMilliseconds = LeaseSlack.milliseconds + 1

    struct Limits {
        /// Leases that one command ends.
        var leasesPerCommand = 1_000
        /// Leases whose end is proposed and not applied yet.
        var underWayMax = 16_000
        /// Leases looked at in one go: some milliseconds.
        var looksMax = 8_192
        /// An end that was not applied after so long is proposed again.
        var retryNanoseconds: UInt64 = 3_000_000_000
        /// No stamp for so long: a tick. A reign that ends takes no more time with it.
        var tickMilliseconds: UInt64 = 1_000
        /// Between two looks so much time passes only if the process, or the machine, was stopped.
        var pauseNanoseconds: UInt64 = 500_000_000
        /// After a pause renewals that wait on sockets and in mailboxes go first, for so long...
        var settlingNanoseconds: UInt64 = 1_000_000_000
        /// ...but not again within so long: where every look is late, leases end all the same.
        var settlingEveryNanoseconds: UInt64 = 10_000_000_000
    }

    private struct Reign {
        var term: Term
        /// Of the clock, when it was first known.
        var start: LeaseTime
        var deadlines: DeadlineHeap
        /// For membership only: the order is never looked at.
        var underWay: Set<LeaseID> = []
        /// Proposed ends, in the order in which they are to be proposed again.
        var retries: [(at: UInt64, ends: [LeaseEnd])] = []
        var tickedAt: UInt64?
        var lookedAt: UInt64
        var settlesUntil: UInt64 = 0
        var settledLast: UInt64?
    }

    #if MARTLET_MUTATIONS
        /// Mistakes made on purpose, to see whether the simulator finds them.
        var faults: HistoryFaults = []
    #endif

    private let limits: Limits
    private var reign: Reign?

    init(limits: Limits = Limits()) { self.limits = limits }

    /// How many entries the heap has: for tests.
    var deadlineCount: Int { reign?.deadlines.count ?? 0 }

    // MARK: What was applied

    mutating func granted(_ lease: Lease) {
        reign?.deadlines.push(LeaseEnd(lease.id, deadline: lease.deadline))
    }

    /// An expiry has been applied: those that it named are over, or were renewed before.
    mutating func expired(_ ends: [LeaseEnd], in state: borrowing State) {
        for end in ends {
            guard reign?.underWay.remove(end.id) != nil, let lease = state.lease(end.id) else { continue }
            reign?.deadlines.push(LeaseEnd(lease.id, deadline: lease.deadline))
        }
    }

    /// The state was replaced.
    mutating func reset() { reign = nil }

    // MARK: Looking

    /// What is to be proposed now.
    /// - Parameters:
    ///   - term: in which this member leads; nil: it does not.
    ///   - time: what the lease clock shows on the leader of that term; nil: it is not known yet.
    ///   - now: a monotonic clock, in nanoseconds.
    mutating func look(
        leading term: Term?, time: LeaseTime?, state: borrowing State, now: UInt64
    ) -> [LeaseCommand] {
        guard let term, let time else {
            reign = nil
            return []
        }
        if reign?.term != term { reign = Reign(term: term, start: time, deadlines: heap(of: state), lookedAt: now) }
        guard var reign else { return [] }
        // Moved out and back, so that its arrays are changed in place.
        self.reign = nil
        defer { self.reign = reign }
        noticePause(&reign, now: now)
        var commands: [LeaseCommand] = []
        // In a corrupt cluster no lease ends (M5): it would be proposed over and over.
        if now >= reign.settlesUntil, !state.alarms.isCorrupt {
            retry(&reign, now: now)
            commands = ends(&reign, time: time, state: state, now: now)
        }
        if isTickDue(&reign, time: time, state: state, now: now) { commands.append(.tick) }
        return commands
    }

    private func heap(of state: borrowing State) -> DeadlineHeap {
        var ends: [LeaseEnd] = []
        ends.reserveCapacity(state.leaseCount)
        // In no order; the heap makes one.
        state.forEachLease { ends.append(LeaseEnd($0.id, deadline: $0.deadline)) }
        return DeadlineHeap(ends)
    }

    private func noticePause(_ reign: inout Reign, now: UInt64) {
        let wasPaused = now > reign.lookedAt + limits.pauseNanoseconds
        reign.lookedAt = now
        guard wasPaused else { return }
        if let last = reign.settledLast, now < last + limits.settlingEveryNanoseconds { return }
        reign.settledLast = now
        reign.settlesUntil = now + limits.settlingNanoseconds
    }

    private func retry(_ reign: inout Reign, now: UInt64) {
        while let oldest = reign.retries.first, now >= oldest.at {
            reign.retries.removeFirst()
            for end in oldest.ends where reign.underWay.remove(end.id) != nil { reign.deadlines.push(end) }
        }
    }

    private func ends(
        _ reign: inout Reign, time: LeaseTime, state: borrowing State, now: UInt64
    ) -> [LeaseCommand] {
        // What was revoked stays in the heap until its time comes; not if that is most of it.
        if reign.deadlines.count > 2 * state.leaseCount + 4_096 { reign.deadlines = heap(of: state) }
        var due: [LeaseEnd] = []
        var looks = 0
        let grace = endsWithoutGrace ? 0 : Self.graceMilliseconds
        var postponed: [LeaseEnd] = []
        while looks < limits.looksMax, reign.underWay.count < limits.underWayMax, let next = reign.deadlines.first,
            next.deadline.advanced(milliseconds: grace) <= time
        {
            looks += 1
            _ = reign.deadlines.pop()
            guard let lease = state.lease(next.id), !reign.underWay.contains(next.id) else { continue }
            if lease.deadline != next.deadline {
                // Renewed meanwhile.
                reign.deadlines.push(LeaseEnd(lease.id, deadline: lease.deadline))
            } else if remainingTimeStartsAnew, reign.start.advanced(seconds: lease.ttl) > time {
                postponed.append(next)
            } else {
                due.append(next)
                reign.underWay.insert(next.id)
            }
        }
        for end in postponed { reign.deadlines.push(end) }
        return stride(from: 0, to: due.count, by: limits.leasesPerCommand).map { start in
            let ends = Array(due[start..<min(start + limits.leasesPerCommand, due.count)])
            reign.retries.append((now + limits.retryNanoseconds, ends))
            return .expire(ends, term: reign.term.rawValue)
        }
    }

    /// Time that is in no stamp is lost with the reign. At its beginning, so that even short ones leave most of theirs,
    /// ticks come more often.
    private func isTickDue(
        _ reign: inout Reign, time: LeaseTime, state: borrowing State, now: UInt64
    ) -> Bool {
        guard state.leaseCount > 0 else { return false }
        let unstamped = time.milliseconds(since: state.leaseClock)
        let interval = min(limits.tickMilliseconds, max(100, time.milliseconds(since: reign.start) / 2))
        guard unstamped >= interval else { return false }
        if let last = reign.tickedAt, now < last + interval * 1_000_000 { return false }
        reign.tickedAt = now
        return true
    }
}

/// A renewal that would move a lease's deadline by no more than this is answered without a place in the log; so no
/// lease ends sooner after its deadline. Unrenewed leases live that much longer: as long as etcd takes at most to
/// notice them.
package enum LeaseSlack {
    package static let milliseconds: UInt64 = 500
    #if MARTLET_MUTATIONS
        /// A mistake made on purpose, the whole process's.
        private static let excess = Atomic<UInt64>(0)
        package static func setExcess(_ milliseconds: UInt64) { excess.store(milliseconds, ordering: .relaxed) }
        private static var covered: UInt64 { milliseconds + excess.load(ordering: .relaxed) }
    #else
        private static var covered: UInt64 { milliseconds }
    #endif

    /// Whether a lease lives as long without a renewal at that time as with it.
    /// - Parameter time: the clock of the leader, read on the leader: what others know of it may be behind, and they
    ///   would promise more than it keeps.
    package static func covers(renewing lease: Lease, at time: LeaseTime) -> Bool {
        time.advanced(seconds: lease.ttl).milliseconds(since: lease.deadline) <= covered
    }
}
