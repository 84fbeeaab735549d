import MVCC

/// The body of a registration.
struct ServiceRegistration: Decodable, Sendable {
    var instance: ServiceInstance
    /// The caller's own, which he keeps alive himself.
    var lease: LeaseID?

    private static let fields = ["address", "port", "tags", "weight", "meta", "ttl", "lease", "check"]

    init(_ instance: ServiceInstance, lease: LeaseID? = nil) {
        self.instance = instance
        self.lease = lease
    }

    static func read(
        _ bytes: some Collection<UInt8>, limits: DiscoveryLimits = DiscoveryLimits()
    ) throws(APIError) -> ServiceRegistration {
        guard bytes.count <= limits.bodyBytesMax else {
            throw APIError(413, "too_large", "a registration has at most \(limits.bodyBytesMax) bytes")
        }
        guard !bytes.isEmpty else {
            throw .badRequest(#"the body is missing: {"address":"10.0.0.1","port":8080} is the shortest one"#)
        }
        let registration = try JSONReading.decode(ServiceRegistration.self, from: bytes)
        try registration.check(limits)
        return registration
    }

    init(from decoder: any Decoder) throws {
        let object = try decoder.container(keyedBy: JSONField.self)
        try object.refuseOthers(than: Self.fields)
        func refuse(_ name: String, _ reason: String) -> DecodingError {
            DecodingError.dataCorruptedError(forKey: JSONField(name), in: object, debugDescription: reason)
        }
        let address = try object.decode(String.self, forKey: JSONField("address"))
        guard let port = try object.number("port", atLeast: 1) else {
            throw DecodingError.keyNotFound(
                JSONField("port"), .init(codingPath: object.codingPath, debugDescription: ""))
        }
        instance = ServiceInstance(
            address: address, port: port, tags: try object.value("tags") ?? [],
            weight: try object.number("weight") ?? 1,
            meta: try object.value("meta") ?? [:], check: try object.value("check"))
        let field = JSONField("lease")
        if object.contains(field), try !object.decodeNil(forKey: field) {
            // 64 bits are more than a number of JSON can hold everywhere: a text, too.
            let number = try? object.decode(Int64.self, forKey: field)
            guard let id = try number ?? Int64(object.decode(String.self, forKey: field)), id != 0 else {
                throw refuse("lease", "it is the id of a lease, in decimal")
            }
            lease = LeaseID(id)
        }
        let milliseconds = try object.milliseconds("ttl")
        if let milliseconds {
            guard milliseconds % 1_000 == 0, (1...DiscoveryLimits.ttlMaxSeconds).contains(milliseconds / 1_000) else {
                throw refuse("ttl", "it is from 1 to \(DiscoveryLimits.ttlMaxSeconds) whole seconds")
            }
            if lease != nil { throw refuse("ttl", "a lease that is there already has its own") }
            if instance.check != nil { throw refuse("ttl", "a checked instance lives by its check's interval") }
        }
        if lease != nil, instance.check != nil {
            throw refuse("lease", "the cluster keeps a checked instance's lease itself: a check, or a lease")
        }
        if lease == nil, instance.check == nil {
            instance.ttlSeconds = milliseconds.map { $0 / 1_000 } ?? DiscoveryLimits.ttlDefaultSeconds
        }
    }

    private func check(_ limits: DiscoveryLimits) throws(APIError) {
        guard instance.ip != nil || isName(instance.address) else {
            throw .badRequest("\"\(instance.address)\" is neither an IP address nor the name of a host")
        }
        guard instance.tags.count <= limits.tagsMax else {
            throw .badRequest("there are \(instance.tags.count) tags, of at most \(limits.tagsMax)")
        }
        for tag in instance.tags {
            guard (1...limits.tagBytesMax).contains(tag.utf8.count), tag.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f })
            else {
                throw .badRequest("a tag has 1 to \(limits.tagBytesMax) bytes, and none that controls a terminal")
            }
        }
        let metaBytes = instance.meta.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count }
        guard instance.meta.count <= limits.metaItemsMax, metaBytes <= limits.metaBytesMax else {
            throw .badRequest(
                "\"meta\" has at most \(limits.metaItemsMax) items and \(limits.metaBytesMax) bytes together")
        }
    }

    /// Not what is an address but for a mistake in it: `10.0.0.300` is no host.
    private func isName(_ text: String) -> Bool {
        ServiceName.isHostName(text) && !text.utf8.allSatisfy { $0 == UInt8(ascii: ".") || (0x30...0x39).contains($0) }
    }
}
