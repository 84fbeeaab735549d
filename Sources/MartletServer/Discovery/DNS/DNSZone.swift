import MVCC

/// The zone of the services, out of one view of the state:
///
///     NAME.service.DOMAIN          A and AAAA of the healthy instances, SRV with their ports and weights
///     TAG.NAME.service.DOMAIN      of those that have the tag
///     _NAME._TAG.service.DOMAIN    the same, as RFC 2782 writes it; _tcp and _udp are every tag
///     ID.NAME.instance.DOMAIN      one instance: the targets of SRV
///     DOMAIN, ns.DOMAIN            SOA and NS; the members' addresses
struct DNSZone {
    let domain: DNSName
    let ttl: UInt32
    /// The healthy instances of a service by their ids.
    let instances: (String) throws(ReadError) -> [FoundInstance]
    /// Of the members, for NS.
    let servers: () -> [IPAddress]
    let serial: UInt32

    private var nameServer: DNSName { DNSName("ns") + domain }

    func answer(_ question: DNSQuery.Question) throws(ReadError) -> DNSAnswer {
        guard question.recordClass == 1 || question.recordClass == 255, question.name.isBelowOrIs(domain) else {
            return DNSAnswer(code: .refused, isAuthoritative: false)
        }
        let type = DNSType(rawValue: question.type)
        if type == .axfr || type == .ixfr { return DNSAnswer(code: .refused, isAuthoritative: false) }
        guard let node = try node(question.name) else { return negative(.noSuchName) }
        // As little as can be said to ANY (RFC 8482).
        if type == .any {
            let record = DNSRecord(name: question.name, ttl: ttl, body: .hinfo(cpu: "RFC8482", system: ""))
            return DNSAnswer(answers: [record])
        }
        guard let type else { return negative(.noError) }
        let answer = answer(question.name, type, node)
        return answer.answers.isEmpty ? negative(.noError) : answer
    }

    private func negative(_ code: DNSCode) -> DNSAnswer { DNSAnswer(code: code, authority: [startOfAuthority]) }

    private var startOfAuthority: DNSRecord {
        DNSRecord(
            name: domain, ttl: ttl,
            body: .soa(
                server: nameServer, mailbox: DNSName("hostmaster") + domain, serial: serial, negativeTTL: ttl))
    }

    // MARK: Names

    private enum Node {
        case apex
        case nameServer
        /// There are names below it, and nothing at it (RFC 8020).
        case empty
        case instances([FoundInstance])
    }

    /// Nil where there is no such name.
    private func node(_ name: DNSName) throws(ReadError) -> Node? {
        guard let labels = name.labels(before: domain), let last = labels.last else {
            return name == domain ? .apex : nil
        }
        func found(_ instances: [FoundInstance]) -> Node? { instances.isEmpty ? nil : .instances(instances) }
        switch (last, labels.count) {
        case ("ns", 1): return .nameServer
        case ("service", 1), ("instance", 1): return .empty
        case ("service", 2):
            // What resolvers ask for on their way to _NAME._TAG (RFC 9156).
            if labels[0].hasPrefix("_") { return .empty }
            return found(try instances(labels[0]))
        case ("service", 3):
            var (tag, service) = (labels[0], labels[1])
            if tag.hasPrefix("_"), service.hasPrefix("_") {
                (service, tag) = (String(tag.dropFirst()), String(service.dropFirst()))
                if tag == "tcp" || tag == "udp" { return found(try instances(service)) }
            }
            return found(try instances(service).filter { $0.instance.has(tag: tag) })
        case ("instance", 2): return try instances(labels[0]).isEmpty ? nil : .empty
        case ("instance", 3):
            let label = labels[0]
            return found(try instances(labels[1]).filter { ServiceName.hostLabel(of: $0.id) == label })
        default: return nil
        }
    }

    // MARK: Records

    private func answer(_ name: DNSName, _ type: DNSType, _ node: Node) -> DNSAnswer {
        switch (node, type) {
        case (.apex, .soa): return DNSAnswer(answers: [startOfAuthority])
        case (.apex, .ns):
            return DNSAnswer(
                answers: [DNSRecord(name: domain, ttl: ttl, body: .ns(nameServer))],
                additional: [DNSType.a, .aaaa].flatMap { addresses(nameServer, $0, servers()) })
        case (.nameServer, .a), (.nameServer, .aaaa): return DNSAnswer(answers: addresses(name, type, servers()))
        case (.instances(let instances), .a), (.instances(let instances), .aaaa),
            (.instances(let instances), .cname):
            return addresses(name, type, of: instances)
        case (.instances(let instances), .srv): return services(name, instances)
        default: return DNSAnswer()
        }
    }

    private func addresses(_ name: DNSName, _ type: DNSType, _ all: [IPAddress]) -> [DNSRecord] {
        all.compactMap { DNSRecord.address(name, ttl, $0, type) }
    }

    /// Each address once, in an order that differs each time, so that clients which take the first one part. A name has
    /// one alias or none (RFC 1034 section 3.6.2): an instance that has the name of a host for an address is told so
    /// only where it is alone.
    private func addresses(_ name: DNSName, _ type: DNSType, of instances: [FoundInstance]) -> DNSAnswer {
        if instances.count == 1, instances[0].instance.ip == nil {
            let host = DNSName(instances[0].instance.address)
            return DNSAnswer(answers: [DNSRecord(name: name, ttl: ttl, body: .cname(host))])
        }
        guard type != .cname else { return DNSAnswer() }
        let all = Set(instances.compactMap(\.instance.ip))
        return DNSAnswer(answers: addresses(name, type, all.shuffled()))
    }

    private func services(_ name: DNSName, _ instances: [FoundInstance]) -> DNSAnswer {
        var answer = DNSAnswer()
        for found in instances.shuffled() {
            let instance = found.instance
            var target = DNSName(instance.address)
            if let ip = instance.ip {
                target = hostName(of: found)
                answer.additional += [DNSType.a, .aaaa].compactMap { DNSRecord.address(target, ttl, ip, $0) }
            }
            answer.answers.append(
                DNSRecord(
                    name: name, ttl: ttl,
                    body: .srv(priority: 1, weight: instance.weight, port: instance.port, target: target)))
        }
        return answer
    }

    private func hostName(of found: FoundInstance) -> DNSName {
        DNSName(labels: [ServiceName.hostLabel(of: found.id), found.service, "instance"].map { Array($0.utf8) })
            + domain
    }
}
