import Synchronization

/// How long something took, counted in buckets that double: what a histogram of Prometheus wants. Written by one
/// thread at a time with three atomic additions, read by anyone at any time; a reader may see a duration in its bucket
/// before it is in the sum.
package final class DurationHistogram: Sendable {
    /// The bound of the first bucket; each following one is twice the one before.
    package let firstNanoseconds: UInt64
    package let bucketCount: Int
    /// The last one is for what is longer than the last bound.
    private nonisolated(unsafe) let counts: UnsafeMutablePointer<Atomic<UInt64>>  // freed in `deinit`, else atomic
    private let sum = Atomic<UInt64>(0)

    package struct Snapshot: Hashable, Sendable {
        /// Not cumulative; one more than there are bounds.
        package var counts: [UInt64]
        package var sumNanoseconds: UInt64
    }

    package init(firstNanoseconds: UInt64, bucketCount: Int) {
        precondition(firstNanoseconds > 0 && bucketCount > 0 && bucketCount < 48)
        self.firstNanoseconds = firstNanoseconds
        self.bucketCount = bucketCount
        counts = .allocate(capacity: bucketCount + 1)
        for bucket in 0...bucketCount { (counts + bucket).initialize(to: Atomic(0)) }
    }

    deinit {
        counts.deinitialize(count: bucketCount + 1)
        counts.deallocate()
    }

    package func record(_ nanoseconds: UInt64) {
        counts[bucket(of: nanoseconds)].add(1, ordering: .relaxed)
        sum.add(nanoseconds, ordering: .relaxed)
    }

    /// The first bucket whose bound is not below the duration.
    private func bucket(of nanoseconds: UInt64) -> Int {
        guard nanoseconds > firstNanoseconds else { return 0 }
        let multiples = (nanoseconds - 1) / firstNanoseconds
        return min(UInt64.bitWidth - multiples.leadingZeroBitCount, bucketCount)
    }

    package var snapshot: Snapshot {
        Snapshot(
            counts: (0...bucketCount).map { counts[$0].load(ordering: .relaxed) },
            sumNanoseconds: sum.load(ordering: .relaxed))
    }
}
