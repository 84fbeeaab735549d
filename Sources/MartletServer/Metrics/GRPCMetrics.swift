import EtcdAPI
import HTTP2

/// `grpc_server_*` and the clients' bytes, from the event loops' counters. Every method has its lines from the start,
/// with every code: alerts divide by them.
enum GRPCMetrics {
    static func families(_ counters: [GRPCMethodCounters]) -> [MetricFamily] {
        let lines = Self.lines(counters)
        func perMethod(
            _ name: String, _ help: String, _ value: @escaping @Sendable (GRPCMethodCounters) -> UInt64
        ) -> MetricFamily {
            MetricFamily(
                .counter, name, help, samples: { lines.map { .init($0.labels, Double(value($0.counters))) } })
        }
        return [
            perMethod("grpc_server_started_total", "Total number of RPCs started on the server.") { $0.started },
            perMethod(
                "grpc_server_msg_received_total", "Total number of RPC messages received on the server."
            ) { $0.messagesReceived },
            perMethod(
                "grpc_server_msg_sent_total", "Total number of RPC messages sent by the server."
            ) { $0.messagesSent },
            MetricFamily(
                .counter, "grpc_server_handled_total",
                "Total number of RPCs completed on the server, regardless of success or failure.",
                samples: {
                    lines.flatMap { line in
                        GRPCCode.allCases.map { code in
                            .init(
                                line.labels + [("grpc_code", code.goName)],
                                Double(line.counters.handled[Int(code.rawValue)]))
                        }
                    }
                }),
            MetricFamily(
                .counter, "etcd_network_client_grpc_received_bytes_total",
                "The total number of bytes received from grpc clients."
            ) { Double(counters.reduce(0) { $0 + $1.bytesReceived }) },
            MetricFamily(
                .counter, "etcd_network_client_grpc_sent_bytes_total",
                "The total number of bytes sent to grpc clients."
            ) { Double(counters.reduce(0) { $0 + $1.bytesSent }) },
        ]
    }

    private struct Line: Sendable {
        var labels: MetricFamily.Labels
        var counters: GRPCMethodCounters
    }

    private static func lines(_ counters: [GRPCMethodCounters]) -> [Line] {
        var known: [String: GRPCMethodCounters] = [:]
        for line in counters where !line.path.isEmpty { known[line.path] = line }
        return methods.compactMap { method in
            // A method of etcd 3.7 exists where it is served.
            if method == .rangeStream, known[method.rawValue] == nil { return nil }
            return Line(
                labels: labels(of: method),
                counters: known[method.rawValue] ?? GRPCMethodCounters(path: method.rawValue))
        }
    }

    private static let methods = EtcdMethod.allCases.sorted { $0.rawValue < $1.rawValue }

    static func labels(of method: EtcdMethod) -> MetricFamily.Labels {
        let parts = method.rawValue.split(separator: "/")
        return [
            ("grpc_method", String(parts[1])), ("grpc_service", String(parts[0])),
            ("grpc_type", method.kind.metricName),
        ]
    }
}

extension EtcdMethod.Kind {
    fileprivate var metricName: String {
        switch self {
        case .unary: "unary"
        case .serverStream: "server_stream"
        case .bidirectional: "bidi_stream"
        }
    }
}

extension GRPCCode {
    /// As Go's library spells it.
    var goName: String {
        switch self {
        case .ok: "OK"
        case .cancelled: "Canceled"
        case .unknown: "Unknown"
        case .invalidArgument: "InvalidArgument"
        case .deadlineExceeded: "DeadlineExceeded"
        case .notFound: "NotFound"
        case .alreadyExists: "AlreadyExists"
        case .permissionDenied: "PermissionDenied"
        case .resourceExhausted: "ResourceExhausted"
        case .failedPrecondition: "FailedPrecondition"
        case .aborted: "Aborted"
        case .outOfRange: "OutOfRange"
        case .unimplemented: "Unimplemented"
        case .internalError: "Internal"
        case .unavailable: "Unavailable"
        case .dataLoss: "DataLoss"
        case .unauthenticated: "Unauthenticated"
        }
    }
}
