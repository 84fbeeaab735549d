import Testing

@testable import MartletServer

@Suite struct RequestTimesTests {
    @Test func `each duration is in the bucket that begins at or below it`() {
        #expect(LatencyHistogram.bucket(of: 0) == 0)
        #expect(LatencyHistogram.bucket(of: 1 << 13) == 0)
        #expect(LatencyHistogram.bucket(of: .max) == LatencyHistogram.bucketCount - 1)
        for bucket in 1..<LatencyHistogram.bucketCount {
            let bound = LatencyHistogram.lowerBound(of: bucket)
            #expect(LatencyHistogram.bucket(of: bound) == bucket)
            #expect(LatencyHistogram.bucket(of: bound - 1) == bucket - 1)
            // What a quantile is off by at most.
            #expect(Double(bound) / Double(LatencyHistogram.lowerBound(of: bucket - 1)) <= 1.25)
        }
        // As the page has it (model.js).
        #expect(LatencyHistogram.lowerBound(of: 0) == 4 << 11)
        #expect(LatencyHistogram.lowerBound(of: 4) == 4 << 12)
        #expect(LatencyHistogram.lowerBound(of: 7) == 7 << 12)
    }

    @Test func `batches are counted whole, and what has no time is not`() {
        let histogram = LatencyHistogram()
        histogram.record(1_000_000, since: 0, count: 5)
        histogram.record(1_000_000, since: 2_000_000, count: 5)
        histogram.record(1_000_000, since: 1, count: 0)
        #expect(histogram.snapshot.allSatisfy { $0 == 0 })
        histogram.record(2_000_000, since: 1_000_000, count: 7)
        histogram.record(2_000_001, since: 1_000_000, count: 1)
        #expect(histogram.snapshot[LatencyHistogram.bucket(of: 1_000_000)] == 8)
        #expect(histogram.snapshot.reduce(0, +) == 8)
    }
}
