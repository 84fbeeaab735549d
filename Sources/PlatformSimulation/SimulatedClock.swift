import Platform
import Synchronization

/// A clock that stands still until it is moved.
package final class SimulatedClock: PlatformClock {
    private let now: Atomic<UInt64>
    private let wallOffset: Atomic<UInt64>

    /// - Parameter wallMilliseconds: what the wall clock shows when the virtual time is zero.
    package init(nanoseconds: UInt64 = 0, wallMilliseconds: UInt64 = 1_700_000_000_000) {
        now = Atomic(nanoseconds)
        wallOffset = Atomic(wallMilliseconds)
    }

    package func monotonicNanoseconds() -> UInt64 { now.load(ordering: .acquiring) }

    package func wallMilliseconds() -> UInt64 {
        wallOffset.load(ordering: .acquiring) &+ monotonicNanoseconds() / 1_000_000
    }

    package func advance(by nanoseconds: UInt64) { now.add(nanoseconds, ordering: .acquiringAndReleasing) }

    /// Moves the clock to a later time; an earlier one is a mistake of the simulator.
    package func advance(to nanoseconds: UInt64) {
        let before = now.exchange(nanoseconds, ordering: .acquiringAndReleasing)
        precondition(before <= nanoseconds, "virtual time went back from \(before) to \(nanoseconds)")
    }

    /// Sets the wall clock alone, as an operator or NTP does: it may jump either way.
    package func setWall(milliseconds: UInt64) {
        wallOffset.store(milliseconds &- monotonicNanoseconds() / 1_000_000, ordering: .releasing)
    }
}
