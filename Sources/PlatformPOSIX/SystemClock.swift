import Glibc
import Platform

/// The machine's clocks.
package struct SystemClock: PlatformClock {
    package init() {}

    package func monotonicNanoseconds() -> UInt64 { nanoseconds(of: CLOCK_MONOTONIC) }

    package func wallMilliseconds() -> UInt64 { nanoseconds(of: CLOCK_REALTIME) / 1_000_000 }

    private func nanoseconds(of clock: clockid_t) -> UInt64 {
        var time = timespec()
        guard clock_gettime(clock, &time) == 0 else { preconditionFailure("clock \(clock) cannot be read") }
        // A wall clock set to before 1970 counts as 1970.
        return UInt64(max(0, time.tv_sec)) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
