import EtcdAPI
import HTTP2
import NIOCore
import NIOPosix
import PeerTransportNIO
import Raft
import RaftCore
import Testing

@testable import MartletServer

@Suite struct PrometheusTextTests {
    func text(_ families: [MetricFamily]) -> String { String(buffer: PrometheusText.render(families)) }

    @Test func `numbers, labels and help are written as the format wants them`() {
        let family = MetricFamily(
            .gauge, "a_b", "Back\\slash \"and\"\nline.",
            samples: {
                [
                    .init([("x", "q\"b\\n\n")], 1), .init([("x", "y"), ("z", "ä")], 0.25),
                    .init([], .infinity),
                    .init([], -.infinity), .init([], .nan), .init([], 1e15), .init([], 1e20),
                    .init([], 12_345_678_901_234),
                ]
            })
        #expect(
            text([family]) == """
                # HELP a_b Back\\\\slash "and"\\nline.
                # TYPE a_b gauge
                a_b{x="q\\"b\\\\n\\n"} 1
                a_b{x="y",z="ä"} 0.25
                a_b +Inf
                a_b -Inf
                a_b NaN
                a_b 1000000000000000
                a_b 1e+20
                a_b 12345678901234

                """)
        #expect(text([MetricFamily(.counter, "none", "Nothing.", samples: { [] })]) == "")
    }

    @Test func `histograms add up and end with infinity`() {
        let histogram = HistogramValue(bounds: [0.001, 2], counts: [3, 0, 1], sum: 7.5)
        let family = MetricFamily(.histogram, "h", "H.", samples: { [.init([("To", "a")], histogram)] })
        #expect(
            text([family]) == """
                # HELP h H.
                # TYPE h histogram
                h_bucket{To="a",le="0.001"} 3
                h_bucket{To="a",le="2"} 3
                h_bucket{To="a",le="+Inf"} 4
                h_sum{To="a"} 7.5
                h_count{To="a"} 4

                """)
    }

    @Test func `a duration falls into the first bucket that is not below it`() {
        let histogram = DurationHistogram(firstNanoseconds: 1_000_000, bucketCount: 14)
        let durations: [UInt64] = [
            0, 1_000_000, 1_000_001, 2_000_000, 2_000_001, 8_192_000_000, 8_192_000_001, .max / 4,
        ]
        for nanoseconds in durations { histogram.record(nanoseconds) }
        var expected = [UInt64](repeating: 0, count: 15)
        expected[0] = 2
        expected[1] = 2
        expected[2] = 1
        expected[13] = 1
        expected[14] = 2
        #expect(histogram.snapshot.counts == expected)
        let value = HistogramValue(DurationHistogram(firstNanoseconds: 1_000_000, bucketCount: 14))
        #expect(
            value.bounds == [
                0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192,
            ])
    }

    @Test func `every duration's bucket is the one that a search finds`() {
        var bits: UInt64 = 1
        for _ in 0..<2_000 {
            bits = bits &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let nanoseconds = bits >> (bits & 63)
            let histogram = DurationHistogram(firstNanoseconds: 100_000, bucketCount: 16)
            histogram.record(nanoseconds)
            let bucket = (0..<16).first { nanoseconds <= 100_000 << UInt64($0) } ?? 16
            #expect(histogram.snapshot.counts.firstIndex(of: 1) == bucket)
        }
    }

    @Test func `every method has its lines from the start, with every code`() {
        var put = GRPCMethodCounters(path: EtcdMethod.put.rawValue)
        put.started = 5
        put.handled[Int(GRPCCode.unavailable.rawValue)] = 2
        put.bytesSent = 70
        let lines = Set(text(GRPCMetrics.families([put, GRPCMethodCounters(path: "")])).split(separator: "\n"))
        let labels = #"grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary""#
        #expect(lines.contains("grpc_server_started_total{\(labels[...])} 5"))
        #expect(lines.contains("grpc_server_handled_total{\(labels[...]),grpc_code=\"Unavailable\"} 2"))
        #expect(lines.contains("etcd_network_client_grpc_sent_bytes_total 70"))
        let watch = #"grpc_method="Watch",grpc_service="etcdserverpb.Watch",grpc_type="bidi_stream""#
        #expect(lines.contains("grpc_server_started_total{\(watch[...])} 0"))
        let handled = lines.filter { $0.hasPrefix("grpc_server_handled_total{") }
        #expect(handled.count == (EtcdMethod.allCases.count - 1) * 17)
        #expect(!lines.contains { $0.contains("RangeStream") })
    }

    @Test func `peers have their buckets and bytes`() {
        var statistics = TransportStatistics()
        var peer = PeerStatistics(node: NodeID(0xab))
        peer.sentBytes = 9
        peer.droppedMessages = 3
        peer.roundTrips.add(150_000)
        peer.roundTrips.add(60_000_000_000)
        statistics.peers = [peer]
        let lines = text(PeerMetrics.families(statistics, own: NodeID(1))).split(separator: "\n")
        #expect(lines.contains(#"etcd_network_peer_sent_bytes_total{To="ab"} 9"#))
        #expect(lines.contains(#"etcd_network_peer_sent_failures_total{To="ab"} 3"#))
        let name = "etcd_network_peer_round_trip_time_seconds"
        #expect(lines.contains(#"\#(name)_bucket{To="ab",le="0.0001"} 0"#))
        #expect(lines.contains(#"\#(name)_bucket{To="ab",le="0.0002"} 1"#))
        #expect(lines.contains(#"\#(name)_bucket{To="ab",le="3.2768"} 1"#))
        #expect(lines.contains(#"\#(name)_bucket{To="ab",le="+Inf"} 2"#))
        #expect(lines.contains(#"etcd_network_active_peers{Local="1",Remote="ab"} 0"#))
    }

    @Test func `durations of methods are counted`() {
        let durations = GRPCDurations()
        durations.record(EtcdMethod.put.rawValue, nanoseconds: 5_000_000)
        durations.record(EtcdMethod.put.rawValue, nanoseconds: 11_000_000_000)
        durations.record("/unknown/Method", nanoseconds: 1)
        let lines = text([durations.family]).split(separator: "\n")
        let labels = #"grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary""#
        #expect(lines.contains(#"grpc_server_handling_seconds_bucket{\#(labels),le="0.005"} 1"#))
        #expect(lines.contains(#"grpc_server_handling_seconds_bucket{\#(labels),le="10"} 1"#))
        #expect(lines.contains(#"grpc_server_handling_seconds_count{\#(labels)} 2"#))
        #expect(lines.count == 2 + 12 + 2)
    }

    @Test func `families come sorted, from those who are asked and those who are waited for`() async throws {
        let registry = MetricsRegistry()
        registry.register(MetricFamily(.gauge, "m", "M.") { 1 })
        registry.register(source: { eventLoop in
            eventLoop.scheduleTask(in: .milliseconds(10)) {
                [MetricFamily(.gauge, "z", "Z.") { 2 }, MetricFamily(.gauge, "a", "A.") { 3 }]
            }.futureResult
        })
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let text = String(buffer: try await registry.render(on: group.next()).get())
        #expect(text.split(separator: "\n").filter { !$0.hasPrefix("#") } == ["a 3", "m 1", "z 2"])
        try await group.shutdownGracefully()
    }

    @Test func `the system tells of this process`() {
        let figures = ProcessFigures.now()
        #expect(figures.residentBytes > 1 << 20)
        #expect(figures.virtualBytes >= figures.residentBytes)
        #expect(figures.descriptors >= 3)
        #expect(figures.descriptorsMax >= figures.descriptors)
        #expect(figures.threads >= 1)
        #expect(ProcessFigures.startTime > 1_600_000_000)
    }
}
