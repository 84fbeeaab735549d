import MVCC

/// One instance as it is found.
struct FoundInstance: Hashable, Sendable {
    enum Status: String, Sendable {
        case passing
        /// Its check fails, or has not been made yet.
        case critical
    }

    var service: String
    var id: String
    var instance: ServiceInstance
    var status: Status
    var lease = LeaseID.none
    var modRevision = Revision(0)
}

/// Reads registrations out of one view of the state.
struct ServiceDirectory {
    let store: ReadView
    let limits: DiscoveryLimits

    func pair(_ key: [UInt8]) throws(ReadError) -> KeyValue? {
        try store.range(RangeQuery(KeyRange(key: key))).keyValues.first
    }

    /// One instance, healthy or not.
    func instance(_ service: String, _ id: String) throws(ReadError) -> FoundInstance? {
        if let live = try pair(ServiceLayout.key(service, id)),
            let instance = ServiceRecord.instance(from: live.value)
        {
            return FoundInstance(
                service: service, id: id, instance: instance, status: .passing, lease: live.lease,
                modRevision: live.modRevision)
        }
        guard let check = try pair(ServiceLayout.checkKey(service, id)),
            let instance = ServiceRecord.instance(from: check.value)
        else { return nil }
        return FoundInstance(
            service: service, id: id, instance: instance, status: .critical, modRevision: check.modRevision)
    }

    /// The healthy instances of a service in the order of their ids.
    func healthy(_ service: String) throws(ReadError) -> [FoundInstance] {
        var query = RangeQuery(ServiceLayout.instances(of: service))
        query.limit = limits.instancesPerAnswerMax
        return try store.range(query).keyValues.compactMap { pair in
            guard let parts = ServiceLayout.parts(of: pair.key, below: ServiceLayout.root),
                let instance = ServiceRecord.instance(from: pair.value)
            else { return nil }
            return FoundInstance(
                service: parts.service, id: parts.id, instance: instance, status: .passing, lease: pair.lease,
                modRevision: pair.modRevision)
        }
    }

    /// The instances that are checked and are not healthy.
    func critical(_ service: String, beside healthy: [FoundInstance]) throws(ReadError) -> [FoundInstance] {
        var query = RangeQuery(ServiceLayout.checks(of: service))
        query.limit = limits.instancesPerAnswerMax
        let known = Set(healthy.map(\.id))
        return try store.range(query).keyValues.compactMap { pair in
            guard let parts = ServiceLayout.parts(of: pair.key, below: ServiceLayout.checksRoot),
                !known.contains(parts.id), let instance = ServiceRecord.instance(from: pair.value)
            else { return nil }
            return FoundInstance(
                service: parts.service, id: parts.id, instance: instance, status: .critical,
                modRevision: pair.modRevision)
        }
    }

    /// Whether there is anything of the service.
    func knows(_ service: String) throws(ReadError) -> Bool {
        for range in [ServiceLayout.instances(of: service), ServiceLayout.checks(of: service)] {
            var query = RangeQuery(range)
            query.keysOnly = true
            query.limit = 1
            if try !store.range(query).keyValues.isEmpty { return true }
        }
        return false
    }

    struct Summary: Hashable {
        var name: String
        var healthy = 0
        /// Checked instances, healthy or not.
        var checked = 0
    }

    /// All services that have an instance, by name, and whether there are more than could be looked at.
    func services() throws(ReadError) -> (services: [Summary], isCut: Bool) {
        var found: [String: Summary] = [:]
        var isCut = false
        for (range, root, isCheck) in [
            (ServiceLayout.allInstances, ServiceLayout.root, false),
            (ServiceLayout.allChecks, ServiceLayout.checksRoot, true),
        ] {
            var query = RangeQuery(range)
            query.keysOnly = true
            query.limit = limits.keysPerListMax
            let answer = try store.range(query)
            isCut = isCut || answer.more
            for pair in answer.keyValues {
                guard let parts = ServiceLayout.parts(of: pair.key, below: root) else { continue }
                var summary = found[parts.service] ?? Summary(name: parts.service)
                if isCheck { summary.checked += 1 } else { summary.healthy += 1 }
                found[parts.service] = summary
            }
        }
        return (found.values.sorted { $0.name < $1.name }, isCut)
    }

    func checkCount() throws(ReadError) -> Int64 {
        var query = RangeQuery(ServiceLayout.allChecks)
        query.countOnly = true
        return try store.range(query).count
    }
}
