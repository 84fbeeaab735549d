import MVCC

/// A list of instances or of services, as of one revision.
struct ServiceList {
    enum Content: Hashable {
        case instances([FoundInstance], of: String)
        case services([ServiceDirectory.Summary], isCut: Bool)
    }

    var content: Content
    var revision: Revision

    init(_ query: ListQuery, in directory: ServiceDirectory) throws(ReadError) {
        revision = directory.store.revision
        guard let service = query.service else {
            let (services, isCut) = try directory.services()
            content = .services(services, isCut: isCut)
            return
        }
        var instances = try directory.healthy(service)
        if query.withCritical { instances += try directory.critical(service, beside: instances) }
        for tag in query.tags { instances.removeAll { !$0.instance.has(tag: tag) } }
        content = .instances(instances, of: service)
    }
}
