package import MVCC
import Raft
package import RaftCore
import Synchronization

/// What the lease clock shows now (decision 0014).
///
/// The clock itself is part of the state: the greatest stamp that was applied. Between stamps it is read off a
/// monotonic clock: what was applied, and how long ago that was noticed. On a leader that has applied the first entry
/// of its own term the reading is the one that counts, and the one it stamps; on the others it is an estimate, mostly a
/// little behind. A moment that was noticed late only makes leases live longer.
///
/// Two threads use it, and others read: consensus stamps, apply takes notice.
package final class LeaseClock: LeaderStamp {
    private struct Reading {
        var now: @Sendable () -> UInt64
        /// The term of the newest entry that was looked at.
        var term: Term
        var time: LeaseTime
        /// When the clock showed `time`, in nanoseconds of `now`.
        var at: UInt64

        var current: LeaseTime {
            let now = now()
            return time.advanced(milliseconds: now > at ? (now - at) / 1_000_000 : 0)
        }
    }

    #if MARTLET_MUTATIONS
        /// Mistakes made on purpose, to see whether the simulator finds them.
        private let faults = Mutex<HistoryFaults>([])
        func setFaults(_ new: HistoryFaults) { faults.withLock { $0 = new } }
        private var keepsFollowersClock: Bool { faults.withLock { $0.contains(.leaseEndsByFollowersClock) } }
    #else
        private var keepsFollowersClock: Bool { false }
    #endif

    private let reading = Mutex(Reading(now: { 0 }, term: .zero, time: .zero, at: 0))

    package init() {}

    /// - Parameter now: the member's monotonic clock, in nanoseconds.
    package func begin(now: @escaping @Sendable () -> UInt64, time: LeaseTime, in term: Term) {
        reading.withLock { $0 = Reading(now: now, term: term, time: time, at: now()) }
    }

    /// An entry of this term has been applied, and this is what the state's clock shows.
    package func applied(_ time: LeaseTime, in term: Term) {
        reading.withLock { reading in
            // The first entry of a term: whoever led before may have been slower or faster, and none of that time is
            // in the log. The clock goes on from what is. (The own clock is read under the lock: what was stamped as
            // unknown before is older than this moment.)
            guard term > reading.term || time > reading.current else { return }
            if keepsFollowersClock, time <= reading.current { return reading.term = term }
            reading.at = reading.now()
            reading.time = time
            reading.term = max(reading.term, term)
        }
    }

    /// For a leader: what its clock shows; nil until it has applied the first entry of its term.
    package func time(leading term: Term) -> LeaseTime? {
        reading.withLock { $0.term == term ? $0.current : nil }
    }

    /// What the clock shows, as far as this member knows.
    package var estimate: LeaseTime { reading.withLock { $0.current } }

    /// The member's own monotonic clock, in nanoseconds.
    package var now: UInt64 { reading.withLock { $0.now() } }

    // MARK: LeaderStamp

    package let commandByte = CommandRoom.lease.rawValue

    package func stamp(_ command: UnsafeMutableRawBufferPointer, leading term: Term) {
        LeaseCommandCodec.stamp(
            UnsafeMutableRawBufferPointer(rebasing: command[1...]), with: time(leading: term) ?? .zero)
    }
}
