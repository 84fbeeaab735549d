import HTTP2
import MVCC
import NIOCore
import Raft
import Replica

/// `/service`, `/service/NAME`, `/service/NAME/ID` and `/service/NAME/ID/renew`.
struct ServiceRoutes: Sendable {
    let context: ServiceContext
    let registrar: ServiceRegistrar
    let watches: WatchService
    let limits: DiscoveryLimits
    private let open: [OpenWatches]

    private static let root = "/service"

    init(
        context: ServiceContext, registrar: ServiceRegistrar, watches: WatchService, limits: DiscoveryLimits,
        eventLoops: [any EventLoop]
    ) {
        self.context = context
        self.registrar = registrar
        self.watches = watches
        self.limits = limits
        open = eventLoops.map { OpenWatches(eventLoop: $0, countMax: limits.waitsOfLoopMax) }
    }

    func register(in router: inout PlainRouter) {
        let methods = ["GET", "PUT", "POST", "DELETE"]
        for path in [Self.root, Self.root + "/"] {
            router.on(methods, path) { [self] request, eventLoop, respond in
                handle(request, [], eventLoop, respond)
            }
        }
        router.on(methods, below: Self.root + "/") { [self] request, eventLoop, respond in
            let parts = request.path.dropFirst(Self.root.count + 1).split(
                separator: "/", omittingEmptySubsequences: false)
            handle(request, parts.map { PercentCoding.text($0) }, eventLoop, respond)
        }
    }

    private func handle(
        _ request: PlainRequest, _ path: [String?], _ eventLoop: any EventLoop,
        _ respond: @escaping @Sendable (PlainResponse) -> Void
    ) {
        let call = APICall(request: request, eventLoop: eventLoop, respond: respond)
        do throws(APIError) {
            guard !context.node.published.status.isLearner else { throw .learner }
            let parts = try path.map { part throws(APIError) in
                guard let part, !part.isEmpty, part.utf8.count <= limits.foreignIDBytesMax else {
                    throw .badRequest("the path is /service, /service/NAME, /service/NAME/ID or /service/NAME/ID/renew")
                }
                return part
            }
            switch (parts.count, request.method) {
            case (0, "GET"): try list(nil, call)
            case (1, "GET"): try list(parts[0], call)
            case (2, "GET"): try get(parts[0], parts[1], call)
            case (2, "PUT"): try put(parts[0], parts[1], call)
            case (2, "DELETE"): try delete(parts[0], parts[1], call)
            case (3, "POST") where parts[2] == "renew": try renew(parts[0], parts[1], call)
            case (3, _) where parts[2] == "renew": throw .methodNotAllowed(["POST"])
            case (0...1, _): throw .methodNotAllowed(["GET"])
            case (2, _): throw .methodNotAllowed(["GET", "PUT", "DELETE"])
            default: throw .notFound("there is /service, /service/NAME, /service/NAME/ID and /service/NAME/ID/renew")
            }
        } catch {
            respond(error.response)
        }
    }

    private func requests(_ call: APICall) -> LoopRequests { context.requests(on: call.eventLoop) }

    // MARK: Lists

    private func list(_ service: String?, _ call: APICall) throws(APIError) {
        let query = try ListQuery(call.request, service: service, limits: limits)
        if let wait = query.wait {
            let open = open.on(call.eventLoop)
            guard open.enter() else { throw .tooManyRequests }
            return ServiceLongPoll(self, query, call, open, watches.watches(on: call.eventLoop)).begin(for: wait)
        }
        answer(query, call)
    }

    /// As of now, agreed with the others.
    func answer(_ query: ListQuery, _ call: APICall) {
        read(for: call) { (directory) throws(ReadError) in
            guard let service = query.service else {
                let (services, isCut) = try directory.services()
                return ServiceAnswer.services(services, isCut: isCut, at: directory.store.revision)
            }
            var instances = try directory.healthy(service)
            if query.withCritical { instances += try directory.critical(service, beside: instances) }
            for tag in query.tags { instances.removeAll { !$0.instance.has(tag: tag) } }
            return ServiceAnswer.instances(instances, of: service, at: directory.store.revision)
        }
    }

    /// Answers with what is read of all that was acknowledged before now.
    private func read(
        for call: APICall, _ response: @escaping (ServiceDirectory) throws(ReadError) -> PlainResponse
    ) {
        requests(call).read { result in
            switch result {
            case .failure(let failure): call.fail(.ofService(failure))
            case .success(let view):
                do throws(ReadError) {
                    call.respond(try response(ServiceDirectory(store: view.store, limits: limits)))
                } catch {
                    call.fail(context.apiError(of: error))
                }
            }
        }
    }

    private func get(_ service: String, _ id: String, _ call: APICall) throws(APIError) {
        read(for: call) { (directory) throws(ReadError) in
            guard let found = try directory.instance(service, id) else { return Self.notThere(service, id).response }
            return ServiceAnswer.instance(found, at: directory.store.revision)
        }
    }

    private static func notThere(_ service: String, _ id: String) -> APIError {
        .notFound("\(service) has no instance \(id)")
    }

    // MARK: Changes

    private func put(_ service: String, _ id: String, _ call: APICall) throws(APIError) {
        try ServiceName.check(service, "a service")
        try ServiceName.check(id, "an instance")
        let registration = try ServiceRegistration.read(call.request.body.readableBytesView, limits: limits)
        registrar.register(service, id, registration, requests(call)) { result in
            switch result {
            case .failure(let error): call.fail(error)
            case .success(let registered):
                var response = ServiceAnswer.instance(
                    registered.instance, ttlSeconds: registered.ttlSeconds, at: registered.revision)
                response.status = registered.isNew ? 201 : 200
                call.respond(response)
            }
        }
    }

    private func delete(_ service: String, _ id: String, _ call: APICall) throws(APIError) {
        registrar.deregister(service, id, requests(call)) { result in
            switch result {
            case .failure(let error): call.fail(error)
            case .success(nil): call.fail(Self.notThere(service, id))
            case .success(let revision?): call.respond(ServiceAnswer.deregistered(service, id, at: revision))
            }
        }
    }

    private func renew(_ service: String, _ id: String, _ call: APICall) throws(APIError) {
        registrar.renew(service, id, requests(call)) { result in
            switch result {
            case .failure(let error): call.fail(error)
            case .success(nil):
                call.fail(
                    .notFound("\(service) has no instance \(id) with a lease: it has ended, so register it again"))
            case .success(let renewed?):
                call.respond(ServiceAnswer.renewed(renewed.lease, renewed.ttlSeconds, at: renewed.revision))
            }
        }
    }
}

/// What a list is asked for.
struct ListQuery: Sendable {
    /// Nil: the names of all services.
    var service: String?
    var tags: [String] = []
    /// Instances whose check fails, too.
    var withCritical = false
    /// Wait for a change for so long; nil: answer at once.
    var wait: TimeAmount?
    /// A change after this revision; nil: after now.
    var index: Revision?

    private static let items = ["tag", "healthy", "wait", "index", "timeout"]

    init(_ request: PlainRequest, service: String?, limits: DiscoveryLimits) throws(APIError) {
        self.service = service
        for item in request.query.split(separator: "&") {
            let name = String(item.prefix { $0 != "=" })
            guard Self.items.contains(name) else {
                let hint = Suggestion.nearest(to: name, among: Self.items).map { "; did you mean \($0)?" }
                throw .badRequest(
                    "there is no \"\(name)\" to ask for" + (hint ?? "; there is " + Self.items.joined(separator: ", ")))
            }
        }
        tags = request.queryValues("tag").map { $0.lowercased() }
        guard tags.count <= limits.tagsMax else { throw .badRequest("at most \(limits.tagsMax) tags can be asked for") }
        if let text = request.queryValues("healthy").last { withCritical = !(try Self.flag("healthy", text)) }
        if let text = request.queryValues("index").last {
            guard let number = Int64(text), number >= 0, number < .max else {
                throw .badRequest("\"index\" is the revision of an answer, not \"\(text)\"")
            }
            index = Revision(number)
        }
        // A flag, or the time itself; or the time beside it, as for keys.
        var wants = false
        var time = limits.waitDefault
        if let text = request.queryValues("wait").last {
            if let flag = try? Self.flag("wait", text) {
                wants = flag
            } else {
                wants = true
                time = try Self.time("wait", text)
            }
        }
        if let text = request.queryValues("timeout").last { time = try Self.time("timeout", text) }
        if wants { wait = min(time, limits.waitMax) }
    }

    private static func flag(_ name: String, _ text: String) throws(APIError) -> Bool {
        switch text {
        case "", "1", "true": return true
        case "0", "false": return false
        default: throw .badRequest("\"\(name)\" is true or false, not \"\(text)\"")
        }
    }

    private static func time(_ name: String, _ text: String) throws(APIError) -> TimeAmount {
        if let duration = GoDuration.parse(text) { return TimeAmount(duration) }
        if let seconds = Int64(text), (0...1_000_000).contains(seconds) { return .seconds(seconds) }
        throw .badRequest("\"\(name)\" is a time such as 30s, not \"\(text)\"")
    }

    /// What has to change for another answer.
    var ranges: [KeyRange] {
        let healthy = service.map(ServiceLayout.instances) ?? ServiceLayout.allInstances
        let checks = service.map(ServiceLayout.checks) ?? ServiceLayout.allChecks
        return withCritical || service == nil ? [healthy, checks] : [healthy]
    }
}
