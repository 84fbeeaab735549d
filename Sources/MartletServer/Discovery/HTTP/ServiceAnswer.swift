import MVCC
import NIOCore

/// What is answered about services: JSON, and the revision in a field of its own, from which a wait goes on.
enum ServiceAnswer {
    /// An instance as it is listed.
    struct Item: Codable, Hashable, Sendable {
        var service: String
        var id: String
        var address: String
        var port: UInt16
        var tags: [String]
        var weight: UInt16
        var meta: [String: String]
        var status: String
        /// In decimal; a text, because it has 64 bits.
        var lease: String?
        var ttl: Int64?
        var check: ServiceCheck?
        var revision: Int64

        init(_ found: FoundInstance, ttlSeconds: Int64? = nil) {
            service = found.service
            id = found.id
            address = found.instance.address
            port = found.instance.port
            tags = found.instance.tags
            weight = found.instance.weight
            meta = found.instance.meta
            status = found.status.rawValue
            lease = found.lease == .none ? nil : "\(found.lease.rawValue)"
            ttl = ttlSeconds ?? found.instance.ttlSeconds
            check = found.instance.check
            revision = found.modRevision.rawValue
        }
    }

    private struct Instances: Encodable {
        var service: String
        var revision: Int64
        var instances: [Item]
    }

    private struct Services: Encodable {
        struct Service: Encodable {
            var name: String
            var healthy: Int
            var checked: Int
        }
        var revision: Int64
        var services: [Service]
        /// Only where there are more.
        var more: Bool?
    }

    private struct Deregistered: Encodable {
        var service: String
        var id: String
        var revision: Int64
    }

    private struct Renewed: Encodable {
        var lease: String
        var ttl: Int64
        var revision: Int64
    }

    static func list(_ list: ServiceList) -> PlainResponse { response(json: json(of: list), at: list.revision) }

    /// The same for a stream.
    static func event(_ list: ServiceList) -> ByteBuffer {
        let name =
            switch list.content {
            case .instances: "instances"
            case .services: "services"
            }
        return ServerSentEvents.event(name, at: list.revision, json: json(of: list))
    }

    private static func json(of list: ServiceList) -> [UInt8] {
        let revision = list.revision.rawValue
        switch list.content {
        case .instances(let found, let service):
            return JSONReading.encode(
                Instances(service: service, revision: revision, instances: found.map { Item($0) }))
        case .services(let found, let isCut):
            let services = found.map { Services.Service(name: $0.name, healthy: $0.healthy, checked: $0.checked) }
            return JSONReading.encode(Services(revision: revision, services: services, more: isCut ? true : nil))
        }
    }

    static func instance(_ found: FoundInstance, ttlSeconds: Int64? = nil, at revision: Revision) -> PlainResponse {
        response(Item(found, ttlSeconds: ttlSeconds), at: revision)
    }

    static func deregistered(_ service: String, _ id: String, at revision: Revision) -> PlainResponse {
        response(Deregistered(service: service, id: id, revision: revision.rawValue), at: revision)
    }

    static func renewed(_ lease: LeaseID, _ ttl: Int64, at revision: Revision) -> PlainResponse {
        response(Renewed(lease: "\(lease.rawValue)", ttl: ttl, revision: revision.rawValue), at: revision)
    }

    private static func response(_ value: some Encodable, at revision: Revision) -> PlainResponse {
        response(json: JSONReading.encode(value), at: revision)
    }

    private static func response(json: [UInt8], at revision: Revision) -> PlainResponse {
        PlainResponse(
            status: 200, contentType: "application/json",
            body: ByteBuffer(bytes: json + [UInt8(ascii: "\n")]),
            fields: [
                ("x-martlet-revision", "\(revision.rawValue)"), ("cache-control", "no-cache"),
                ("x-content-type-options", "nosniff"),
            ])
    }
}
