/// One instance of a service: where it is, and what it says of itself.
struct ServiceInstance: Hashable, Sendable {
    var address: String
    var port: UInt16
    var tags: [String] = []
    /// For SRV: how many of the clients it should get, beside the others (RFC 2782).
    var weight: UInt16 = 1
    var meta: [String: String] = [:]
    /// Of a lease that the registration made, in seconds; nil where somebody else has made it.
    var ttlSeconds: Int64?
    var check: ServiceCheck?

    var ip: IPAddress? { IPAddress(address) }
    var addressAndPort: String { HostAndPort(host: address, port: Int(port)).text }

    func has(tag: String) -> Bool { tags.contains { $0.lowercased() == tag } }
}

/// The value of an instance's key: what gRPC's resolver reads there (`Op`, `Addr`, `Metadata`: etcd's
/// client/v3/naming/endpoints), and beside it what that does not know. The names of the two sets differ in more than
/// their case, because Go's JSON takes names of either.
struct ServiceRecord: Codable {
    private var op: Int
    private var gRPCAddress: String
    private var metadata: [String: String]?
    var instance: ServiceInstance

    private enum Name {
        static let op = JSONField("Op"), gRPCAddress = JSONField("Addr"), metadata = JSONField("Metadata")
        static let address = JSONField("address"), port = JSONField("port"), tags = JSONField("tags")
        static let weight = JSONField("weight"), ttl = JSONField("ttl"), check = JSONField("check")
    }

    init(_ instance: ServiceInstance) {
        op = 0
        gRPCAddress = instance.addressAndPort
        metadata = instance.meta.isEmpty ? nil : instance.meta
        self.instance = instance
    }

    /// - Throws: where it is no instance, or one that was written to be gone (`Op` 1).
    init(from decoder: any Decoder) throws {
        let object = try decoder.container(keyedBy: JSONField.self)
        op = try object.decodeIfPresent(Int.self, forKey: Name.op) ?? 0
        gRPCAddress = try object.decode(String.self, forKey: Name.gRPCAddress)
        // Whatever others keep there, if it is not what is kept here.
        metadata = try? object.decodeIfPresent([String: String].self, forKey: Name.metadata)
        guard op == 0, let place = HostAndPort(gRPCAddress), place.port > 0 else {
            throw DecodingError.dataCorruptedError(
                forKey: Name.gRPCAddress, in: object, debugDescription: "not the address of an instance")
        }
        instance = ServiceInstance(
            address: try object.decodeIfPresent(String.self, forKey: Name.address) ?? place.host,
            port: try object.decodeIfPresent(UInt16.self, forKey: Name.port) ?? UInt16(place.port),
            tags: try object.decodeIfPresent([String].self, forKey: Name.tags) ?? [],
            weight: try object.decodeIfPresent(UInt16.self, forKey: Name.weight) ?? 1,
            meta: metadata ?? [:],
            ttlSeconds: try object.decodeIfPresent(Int64.self, forKey: Name.ttl),
            check: try object.decodeIfPresent(ServiceCheck.self, forKey: Name.check))
        // Names go into answers of DNS.
        guard instance.ip != nil || ServiceName.isHostName(instance.address) else {
            throw DecodingError.dataCorruptedError(
                forKey: Name.address, in: object, debugDescription: "neither an IP address nor the name of a host")
        }
    }

    func encode(to encoder: any Encoder) throws {
        var object = encoder.container(keyedBy: JSONField.self)
        try object.encode(op, forKey: Name.op)
        try object.encode(gRPCAddress, forKey: Name.gRPCAddress)
        try object.encodeIfPresent(metadata, forKey: Name.metadata)
        try object.encode(instance.address, forKey: Name.address)
        try object.encode(instance.port, forKey: Name.port)
        try object.encode(instance.tags, forKey: Name.tags)
        try object.encode(instance.weight, forKey: Name.weight)
        try object.encodeIfPresent(instance.ttlSeconds, forKey: Name.ttl)
        try object.encodeIfPresent(instance.check, forKey: Name.check)
    }

    static func bytes(of instance: ServiceInstance) -> [UInt8] { JSONReading.encode(ServiceRecord(instance)) }

    /// Nil for what somebody else has put there and is no instance.
    static func instance(from bytes: [UInt8]) -> ServiceInstance? {
        (try? JSONReading.decode(ServiceRecord.self, from: bytes))?.instance
    }
}

/// What readers of SkyDNS's layout find (CoreDNS's plugin etcd among them).
struct SkyDNSRecord: Encodable {
    var host: String
    var port: UInt16
    var priority = 1
    var weight: UInt16
    var ttl: UInt32
    /// Tags, for those who ask for TXT.
    var text: String?

    init(_ instance: ServiceInstance, ttl: UInt32) {
        host = instance.address
        port = instance.port
        weight = instance.weight
        self.ttl = ttl
        text = instance.tags.isEmpty ? nil : instance.tags.joined(separator: ",")
    }
}
