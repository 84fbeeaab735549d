import MVCC

/// The instances of services as they were read from the state, kept in the form in which they are answered: a record is
/// decoded once for each time that it changes, not for each question. On the event loop of DNS.
final class DNSInstanceCache {
    private var kept: [[UInt8]: (revision: Revision, instance: FoundInstance?)] = [:]
    private let limits: DiscoveryLimits

    init(limits: DiscoveryLimits) { self.limits = limits }

    func healthy(_ service: String, in store: ReadView) throws(ReadError) -> [FoundInstance] {
        var query = RangeQuery(ServiceLayout.instances(of: service))
        query.limit = limits.instancesPerQuestionMax
        var found: [FoundInstance] = []
        for pair in try store.range(query).keyValues {
            if let known = kept[pair.key], known.revision == pair.modRevision {
                if let instance = known.instance { found.append(instance) }
                continue
            }
            var instance: FoundInstance?
            if let parts = ServiceLayout.parts(of: pair.key, below: ServiceLayout.root),
                let decoded = ServiceRecord.instance(from: pair.value)
            {
                instance = FoundInstance(
                    service: parts.service, id: parts.id, instance: decoded, status: .passing, lease: pair.lease,
                    modRevision: pair.modRevision)
            }
            // What has gone is forgotten with the rest, now and then.
            if kept.count >= limits.cachedInstancesMax { kept.removeAll(keepingCapacity: true) }
            kept[pair.key] = (pair.modRevision, instance)
            if let instance { found.append(instance) }
        }
        return found
    }
}
