import Raft

/// One metric by name: what it is, and a way to its samples now. Whoever has something to tell registers families of
/// its own with the ``MetricsRegistry``.
struct MetricFamily: Sendable {
    enum Kind: String, Sendable {
        case counter, gauge, histogram
    }

    typealias Labels = [(name: String, value: String)]

    enum Value: Sendable {
        case number(Double)
        case histogram(HistogramValue)
    }

    struct Sample: Sendable {
        var labels: Labels
        var value: Value

        init(_ labels: Labels = [], _ value: Double) {
            self.labels = labels
            self.value = .number(value)
        }

        init(_ labels: Labels = [], _ histogram: HistogramValue) {
            self.labels = labels
            value = .histogram(histogram)
        }
    }

    let name: String
    let help: String
    let kind: Kind
    /// Called for each scrape, on an event loop: it must not wait, nor walk through anything that grows with the data.
    let samples: @Sendable () -> [Sample]

    init(_ kind: Kind, _ name: String, _ help: String, samples: @escaping @Sendable () -> [Sample]) {
        self.kind = kind
        self.name = name
        self.help = help
        self.samples = samples
    }

    /// A metric that is one number.
    init(_ kind: Kind, _ name: String, _ help: String, _ value: @escaping @Sendable () -> Double) {
        self.init(kind, name, help, samples: { [Sample([], value())] })
    }
}

/// A histogram at one moment.
struct HistogramValue: Sendable {
    /// The upper bounds of the buckets but the last, which has none.
    var bounds: [Double]
    /// Observations in each bucket alone; one more than there are bounds.
    var counts: [UInt64]
    var sum: Double

    init(bounds: [Double], counts: [UInt64], sum: Double) {
        precondition(counts.count == bounds.count + 1)
        self.bounds = bounds
        self.counts = counts
        self.sum = sum
    }

    init(_ histogram: DurationHistogram) {
        let snapshot = histogram.snapshot
        self.init(
            bounds: (0..<histogram.bucketCount).map { Double(histogram.firstNanoseconds << UInt64($0)) / 1e9 },
            counts: snapshot.counts, sum: Double(snapshot.sumNanoseconds) / 1e9)
    }
}
