import PeerTransportNIO
import RaftCore

/// `etcd_network_*` of the other members, from the transport's statistics; looked at once a scrape. Labels are member
/// ids in hexadecimal digits, as etcd's are.
enum PeerMetrics {
    static func families(_ statistics: TransportStatistics, own: NodeID) -> [MetricFamily] {
        let peers = statistics.peers
        func perPeer(
            _ kind: MetricFamily.Kind, _ name: String, _ help: String, _ label: String,
            _ value: @escaping @Sendable (PeerStatistics) -> UInt64
        ) -> MetricFamily {
            MetricFamily(
                kind, name, help,
                samples: { peers.map { .init([(label, hex($0.node.rawValue))], Double(value($0))) } })
        }
        return [
            perPeer(
                .counter, "etcd_network_peer_sent_bytes_total", "The total number of bytes sent to peers.", "To"
            ) { $0.sentBytes },
            perPeer(
                .counter, "etcd_network_peer_received_bytes_total", "The total number of bytes received from peers.",
                "From"
            ) { $0.receivedBytes },
            perPeer(
                .counter, "etcd_network_peer_sent_failures_total",
                "The total number of send failures from peers: messages that were not sent.", "To"
            ) { $0.droppedMessages },
            perPeer(
                .counter, "etcd_network_snapshot_send_success", "Total number of successful snapshot sends.", "To"
            ) { $0.snapshotsSent },
            perPeer(
                .counter, "etcd_network_snapshot_send_failures", "Total number of snapshot send failures.", "To"
            ) { $0.snapshotsFailed },
            perPeer(
                .counter, "etcd_network_snapshot_receive_success", "Total number of successful snapshot receives.",
                "From"
            ) { $0.snapshotsReceived },
            perPeer(
                .counter, "etcd_network_snapshot_receive_failures", "Total number of snapshot receive failures.",
                "From"
            ) { $0.snapshotsReceivedInPart },
            MetricFamily(
                .histogram, "etcd_network_peer_round_trip_time_seconds",
                "Round-Trip-Time histogram between peers.",
                samples: { peers.map { .init([("To", hex($0.node.rawValue))], HistogramValue($0.roundTrips)) } }),
            MetricFamily(
                .gauge, "etcd_network_active_peers", "The current number of active peer connections.",
                samples: {
                    peers.map {
                        .init(
                            [("Local", hex(own.rawValue)), ("Remote", hex($0.node.rawValue))], $0.isConnected ? 1 : 0)
                    }
                }),
            MetricFamily(
                .gauge, "etcd_network_known_peers", "The current number of known peers.",
                samples: {
                    peers.map { .init([("Local", hex(own.rawValue)), ("Remote", hex($0.node.rawValue))], 1) }
                }),
        ]
    }
}

extension HistogramValue {
    init(_ times: RoundTrips) {
        let bounds = (0..<RoundTrips.buckets).map { Double(RoundTrips.smallestNanoseconds << UInt64($0)) / 1e9 }
        let counted = times.counts.reduce(0, +)
        self.init(
            bounds: bounds, counts: times.counts + [times.count - min(times.count, counted)],
            sum: Double(times.sumNanoseconds) / 1e9)
    }
}
