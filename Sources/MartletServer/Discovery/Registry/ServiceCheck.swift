/// How the cluster finds out whether an instance is well.
struct ServiceCheck: Hashable, Sendable {
    enum Kind: Hashable, Sendable {
        /// A connection can be made.
        case tcp
        /// `GET` of a path is answered with 2xx.
        case http(path: String)
        /// `grpc.health.v1.Health/Check` of a service ("" for the server as a whole) answers SERVING.
        case grpc(service: String)
    }

    var kind: Kind
    /// Nil: the instance's own. The address is the instance's in any case: a registration cannot have the cluster
    /// connect to somebody else (decision 0023).
    var port: UInt16?
    var intervalMilliseconds: Int64 = 10_000
    var timeoutMilliseconds: Int64 = 2_000
    /// Failures one after the other after which the instance is listed no more.
    var failuresMax: Int64 = 3
    /// How long it may be ill before it is forgotten; nil: for ever.
    var deregisterAfterMilliseconds: Int64?

    var typeName: String {
        switch kind {
        case .tcp: "tcp"
        case .http: "http"
        case .grpc: "grpc"
        }
    }

    /// The lease of an instance that is well: long enough for a change of leader and a slow check.
    func ttlSeconds(atLeast ttlMin: Int64) -> Int64 {
        max(ttlMin, 10, (3 * intervalMilliseconds + timeoutMilliseconds + 999) / 1_000)
    }
}

extension ServiceCheck: Codable {
    private static let fields = [
        "type", "path", "service", "port", "interval", "timeout", "failures", "deregister_after",
    ]

    init(from decoder: any Decoder) throws {
        let object = try decoder.container(keyedBy: JSONField.self)
        try object.refuseOthers(than: Self.fields)
        func refuse(_ name: String, _ reason: String) -> DecodingError {
            DecodingError.dataCorruptedError(forKey: JSONField(name), in: object, debugDescription: reason)
        }
        func within(_ range: ClosedRange<Int64>, _ value: Int64, _ name: String) throws -> Int64 {
            guard range.contains(value) else {
                throw refuse(
                    name,
                    "it is from \(JSONReading.text(milliseconds: range.lowerBound)) to "
                        + JSONReading.text(milliseconds: range.upperBound))
            }
            return value
        }
        let type = try object.decode(String.self, forKey: JSONField("type"))
        let path: String? = try object.value("path")
        let service: String? = try object.value("service")
        switch type {
        case "tcp": kind = .tcp
        case "http":
            let path = path ?? "/"
            guard path.hasPrefix("/"), path.utf8.count <= 1_024, path.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
                throw refuse("path", "it begins with \"/\" and has no blanks, and at most 1024 bytes")
            }
            kind = .http(path: path)
        case "grpc":
            let service = service ?? ""
            guard service.utf8.count <= 255 else { throw refuse("service", "it has at most 255 bytes") }
            kind = .grpc(service: service)
        default: throw refuse("type", "it is tcp, http or grpc, not \"\(type)\"")
        }
        if path != nil, type != "http" { throw refuse("path", "only a check of the type http has one") }
        if service != nil, type != "grpc" { throw refuse("service", "only a check of the type grpc has one") }
        port = try object.number("port", atLeast: 1)
        intervalMilliseconds = try within(
            DiscoveryLimits.checkIntervalMilliseconds, try object.milliseconds("interval") ?? 10_000, "interval")
        let timeout = try object.milliseconds("timeout") ?? min(2_000, intervalMilliseconds)
        timeoutMilliseconds = try within(DiscoveryLimits.checkTimeoutMilliseconds, timeout, "timeout")
        guard timeoutMilliseconds <= intervalMilliseconds else {
            throw refuse("timeout", "it is no longer than the interval")
        }
        failuresMax = try object.value("failures") ?? 3
        guard DiscoveryLimits.checkFailures.contains(failuresMax) else {
            throw refuse("failures", "it is from 1 to \(DiscoveryLimits.checkFailures.upperBound)")
        }
        deregisterAfterMilliseconds = try object.milliseconds("deregister_after").map {
            try within(DiscoveryLimits.deregisterAfterMilliseconds, $0, "deregister_after")
        }
    }

    func encode(to encoder: any Encoder) throws {
        var object = encoder.container(keyedBy: JSONField.self)
        try object.encode(typeName, forKey: JSONField("type"))
        switch kind {
        case .tcp: break
        case .http(let path): try object.encode(path, forKey: JSONField("path"))
        case .grpc(let service): try object.encode(service, forKey: JSONField("service"))
        }
        try object.encodeIfPresent(port, forKey: JSONField("port"))
        try object.encode(JSONReading.text(milliseconds: intervalMilliseconds), forKey: JSONField("interval"))
        try object.encode(JSONReading.text(milliseconds: timeoutMilliseconds), forKey: JSONField("timeout"))
        try object.encode(failuresMax, forKey: JSONField("failures"))
        try object.encodeIfPresent(
            deregisterAfterMilliseconds.map { JSONReading.text(milliseconds: $0) },
            forKey: JSONField("deregister_after"))
    }
}
