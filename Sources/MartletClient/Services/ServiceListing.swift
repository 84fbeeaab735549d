import Foundation

/// An instance of a service as a server answers it.
package struct ServiceInstanceListing: Codable, Hashable, Sendable {
    package var service: String
    package var id: String
    package var address: String
    package var port: UInt16
    package var tags: [String]
    package var weight: UInt16
    package var meta: [String: String]
    package var status: String
    /// In decimal.
    package var lease: String?
    package var ttl: Int64?
    package var revision: Int64?

    package var place: String { address.contains(":") ? "[\(address)]:\(port)" : "\(address):\(port)" }
    package var leaseID: Int64? { lease.flatMap { Int64($0) } }

    /// What somebody who uses it would notice.
    func isLike(_ other: ServiceInstanceListing) -> Bool {
        var (a, b) = (self, other)
        (a.lease, a.ttl, a.revision) = (nil, nil, nil)
        (b.lease, b.ttl, b.revision) = (nil, nil, nil)
        return a == b
    }
}

/// The instances of one service.
package struct ServiceListing: Decodable, Sendable {
    package var service: String
    package var revision: Int64
    package var instances: [ServiceInstanceListing]
}

/// The services that there are.
package struct ServiceNames: Decodable, Sendable {
    package struct Service: Decodable, Sendable {
        package var name: String
        package var healthy: Int
        package var checked: Int
    }
    package var revision: Int64
    package var services: [Service]
}

/// What became of an instance between two lists.
package struct ServiceEvent: Hashable, Sendable {
    package enum Kind: String, Sendable {
        case up, changed, down
    }
    package var kind: Kind
    package var instance: ServiceInstanceListing

    /// What left comes first.
    package static func between(
        _ before: [ServiceInstanceListing], _ after: [ServiceInstanceListing]
    ) -> [ServiceEvent] {
        let old = Dictionary(before.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
        let new = Set(after.map(\.id))
        let gone = before.filter { !new.contains($0.id) }.map { ServiceEvent(kind: .down, instance: $0) }
        return gone
            + after.compactMap { instance in
                guard let was = old[instance.id] else { return ServiceEvent(kind: .up, instance: instance) }
                return was.isLike(instance) ? nil : ServiceEvent(kind: .changed, instance: instance)
            }
    }
}
