import Synchronization

/// How long clients' requests took, from their message to their answer: those that the cluster was asked about.
/// Serializable reads wait for nobody, and are not timed.
final class RequestTimes: Sendable {
    /// Puts, deletions, transactions that write: to the answer that a majority has them.
    let writes = LatencyHistogram()
    /// Linearizable reads: to the end of their batch's answers.
    let reads = LatencyHistogram()
}

/// Durations in buckets of which four make an octave, so that a quantile of them is right within a quarter. Written by
/// all event loops, a batch at a time, and read by anyone.
final class LatencyHistogram: Sendable {
    /// 8 us: the first bucket has what is shorter, too.
    static let smallestBits = 13
    /// 8.6 s: the last bucket has what is longer.
    static let largestBits = 33
    static let bucketCount = (largestBits - smallestBits) * 4 + 1

    private nonisolated(unsafe) let counts: UnsafeMutablePointer<Atomic<UInt64>>  // freed in `deinit`, else atomic

    init() {
        counts = .allocate(capacity: Self.bucketCount)
        for bucket in 0..<Self.bucketCount { (counts + bucket).initialize(to: Atomic(0)) }
    }

    deinit {
        counts.deinitialize(count: Self.bucketCount)
        counts.deallocate()
    }

    /// `count` requests that began at `since`, in nanoseconds of one clock, and ended at `now`. Zero is no time.
    @inline(__always)
    func record(_ now: UInt64, since: UInt64, count: Int) {
        guard since > 0, count > 0, now >= since else { return }
        counts[Self.bucket(of: now - since)].add(UInt64(count), ordering: .relaxed)
    }

    static func bucket(of nanoseconds: UInt64) -> Int {
        guard nanoseconds >> UInt64(smallestBits) > 0 else { return 0 }
        let bits = UInt64.bitWidth - 1 - nanoseconds.leadingZeroBitCount
        let quarter = Int(truncatingIfNeeded: nanoseconds >> UInt64(bits - 2)) & 3
        return min((bits - smallestBits) * 4 + quarter, bucketCount - 1)
    }

    /// Where a bucket begins, in nanoseconds.
    static func lowerBound(of bucket: Int) -> UInt64 { UInt64(4 + bucket & 3) << UInt64(smallestBits + bucket / 4 - 2) }

    var snapshot: [UInt64] { (0..<Self.bucketCount).map { counts[$0].load(ordering: .relaxed) } }
}
