import MVCC

/// Where registrations are: ordinary keys, which etcd's clients read, watch and write as any others. The layout is
/// described in `Documentation/service-discovery.md`, and why in decision 0023.
struct ServiceLayout: Sendable {
    /// The healthy instances: `services/NAME/ID`, with ``ServiceRecord``s. gRPC dials `etcd:///services/NAME`.
    static let root = "services/"
    /// Instances that the cluster checks, healthy or not.
    static let checksRoot = "__martlet/service/check/"

    /// The labels of the domain, as in a name: "martlet", "internal".
    let domain: [String]
    /// Of the records that SkyDNS's readers find, in seconds.
    let dnsTTL: UInt32

    static func key(_ service: String, _ id: String) -> [UInt8] { Array("\(root)\(service)/\(id)".utf8) }
    static func checkKey(_ service: String, _ id: String) -> [UInt8] { Array("\(checksRoot)\(service)/\(id)".utf8) }

    /// SkyDNS's tree has the domain from its end: `/skydns/internal/martlet/service/NAME/ID`.
    func skyDNSKey(_ service: String, _ id: String) -> [UInt8] {
        Array("/skydns/\(domain.reversed().joined(separator: "/"))/service/\(service)/\(id)".utf8)
    }

    static func instances(of service: String) -> KeyRange { range(below: root + service + "/") }
    static func checks(of service: String) -> KeyRange { range(below: checksRoot + service + "/") }
    static let allInstances = range(below: root)
    static let allChecks = range(below: checksRoot)

    /// - Parameter prefix: ends with "/", whose next byte is "0".
    private static func range(below prefix: String) -> KeyRange {
        KeyRange(key: Array(prefix.utf8), end: .upTo(Array(prefix.dropLast().utf8) + [UInt8(ascii: "0")]))
    }

    /// Service and id of a key below `root`; nil where there is no id.
    static func parts(of key: [UInt8], below root: String) -> (service: String, id: String)? {
        let rest = key.dropFirst(root.utf8.count)
        guard let slash = rest.firstIndex(of: UInt8(ascii: "/")), slash + 1 < rest.endIndex,
            let service = String(validating: rest[..<slash], as: UTF8.self),
            let id = String(validating: rest[(slash + 1)...], as: UTF8.self), !service.isEmpty
        else { return nil }
        return (service, id)
    }

    // MARK: What is written together

    /// All keys of a healthy instance, under one lease: they come and go in one revision.
    func puts(_ service: String, _ id: String, _ instance: ServiceInstance, lease: LeaseID) -> [Operation] {
        [
            .put(PutOperation(key: Self.key(service, id), value: ServiceRecord.bytes(of: instance), lease: lease)),
            .put(
                PutOperation(
                    key: skyDNSKey(service, id),
                    value: JSONReading.encode(SkyDNSRecord(instance, ttl: dnsTTL)), lease: lease)),
        ]
    }

    func deletes(_ service: String, _ id: String) -> [Operation] {
        [Self.key(service, id), skyDNSKey(service, id)].map { .delete(DeleteOperation(KeyRange(key: $0))) }
    }

    static func deleteCheck(_ service: String, _ id: String) -> Operation {
        .delete(DeleteOperation(KeyRange(key: checkKey(service, id))))
    }
}

extension Comparison {
    /// The key is as it was seen; nil: it was not there.
    static func unchanged(_ key: [UInt8], _ seen: KeyValue?) -> Comparison {
        Comparison(KeyRange(key: key), .equal, .modRevision(seen?.modRevision.rawValue ?? 0))
    }
}
