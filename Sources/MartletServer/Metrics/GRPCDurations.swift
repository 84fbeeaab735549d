import EtcdAPI
import HTTP2
import NIOCore
import Synchronization

/// `grpc_server_handling_seconds`, for `--metrics extensive`: how long each call took. It is on the path of every call,
/// which is why it is not there by default.
final class GRPCDurations: GRPCObserver {
    /// Prometheus' default buckets.
    static let bounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

    private struct Figures {
        var counts = [UInt64](repeating: 0, count: GRPCDurations.bounds.count + 1)
        var nanoseconds: UInt64 = 0
    }

    private final class Histogram: Sendable {
        let figures = Mutex(Figures())
    }

    private let histograms: [String: Histogram] = Dictionary(
        uniqueKeysWithValues: EtcdMethod.allCases.map { ($0.rawValue, Histogram()) })

    func callStarted(_ call: GRPCCall) {}

    func callEnded(_ call: GRPCCall, _ code: GRPCCode) {
        record(call.path, nanoseconds: UInt64((NIODeadline.now() - call.startedAt).nanoseconds))
    }

    func record(_ path: String, nanoseconds: UInt64) {
        let seconds = Double(nanoseconds) / 1e9
        let bucket = Self.bounds.firstIndex { seconds <= $0 } ?? Self.bounds.count
        histograms[path]?.figures.withLock { histogram in
            histogram.counts[bucket] += 1
            histogram.nanoseconds += nanoseconds
        }
    }

    var family: MetricFamily {
        MetricFamily(
            .histogram, "grpc_server_handling_seconds",
            "Histogram of response latency (seconds) of gRPC that had been application-level handled by the server.",
            samples: { [histograms] in
                EtcdMethod.allCases.sorted { $0.rawValue < $1.rawValue }.compactMap { method in
                    guard let histogram = histograms[method.rawValue]?.figures.withLock({ $0 }),
                        histogram.counts.contains(where: { $0 > 0 })
                    else { return nil }
                    return .init(
                        GRPCMetrics.labels(of: method),
                        HistogramValue(
                            bounds: Self.bounds, counts: histogram.counts, sum: Double(histogram.nanoseconds) / 1e9))
                }
            })
    }
}
