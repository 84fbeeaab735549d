/// Time, as the replica is given it.
package protocol PlatformClock: Sendable {
    /// Nanoseconds of a clock that only moves forward.
    func monotonicNanoseconds() -> UInt64
    /// Milliseconds since 1970, for people and for ids; nothing's correctness rests on it.
    func wallMilliseconds() -> UInt64
}
