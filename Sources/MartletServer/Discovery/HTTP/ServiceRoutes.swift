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
    private let shared: [SharedLists]

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
        shared = eventLoops.map { SharedLists(eventLoop: $0, bytesMax: limits.sharedListBytesMax) }
    }

    func register(in router: inout PlainRouter) {
        let methods = ["GET", "PUT", "POST", "DELETE"]
        let handler: PlainRouter.Handler = { [self] in handle($0, $1, $2) }
        // Lists are told; one instance is not.
        let streams = PlainRouter.Streams(
            isAsked: { $0.wantsEvents && Self.pathParts(of: $0).count < 2 },
            handler: { [self] request, answer in stream(request, answer) })
        for path in [Self.root, Self.root + "/"] { router.on(methods, path, streams: streams, handler) }
        router.on(methods, below: Self.root + "/", streams: streams, handler)
    }

    /// What is behind "/service/": NAME, ID and "renew".
    private static func pathParts(of request: PlainRequest) -> [Substring] {
        let rest = request.path.dropFirst(root.count + 1)
        return rest.isEmpty ? [] : rest.split(separator: "/", omittingEmptySubsequences: false)
    }

    private func parts(of request: PlainRequest) throws(APIError) -> [String] {
        guard !context.node.published.status.isLearner else { throw .learner }
        return try Self.pathParts(of: request).map { text throws(APIError) in
            guard let part = PercentCoding.text(text), !part.isEmpty, part.utf8.count <= limits.foreignIDBytesMax else {
                throw .badRequest("the path is /service, /service/NAME, /service/NAME/ID or /service/NAME/ID/renew")
            }
            return part
        }
    }

    private func handle(
        _ request: PlainRequest, _ eventLoop: any EventLoop, _ respond: @escaping @Sendable (PlainResponse) -> Void
    ) {
        let call = APICall(request: request, eventLoop: eventLoop, respond: respond)
        do throws(APIError) {
            let parts = try parts(of: request)
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
            // Not after the wait.
            if let refusal = try refusal(of: query) { throw refusal }
            let open = open.on(call.eventLoop)
            guard open.enter() else { throw .tooManyRequests }
            return ServiceLongPoll(self, query, call, open, watches.watches(on: call.eventLoop)).begin(for: wait)
        }
        answer(query, call)
    }

    /// As of now, agreed with the others.
    func answer(_ query: ListQuery, _ call: APICall) {
        read(for: call) { (directory) throws(ReadError) in
            if let refusal = try query.refusal(in: directory) { return refusal.response }
            return ServiceAnswer.list(try ServiceList(query, in: directory))
        }
    }

    /// As far as this member knows.
    private func refusal(of query: ListQuery) throws(APIError) -> APIError? {
        do throws(ReadError) {
            return try query.refusal(
                in: ServiceDirectory(store: context.node.published.view.store, limits: limits))
        } catch {
            throw context.apiError(of: error)
        }
    }

    private func stream(_ request: PlainRequest, _ answer: any PlainStreamAnswer) -> any PlainStreamReceiver {
        let stream = EventStream(
            answer, open: open.on(answer.eventLoop), watches.watches(on: answer.eventLoop))
        do throws(APIError) {
            let service = try parts(of: request).first
            var query = try ListQuery(request, service: service, limits: limits, known: ListQuery.streamItems)
            query.index = try request.lastEventID().map { Revision($0) } ?? query.index
            ServiceEvents(self, query, to: stream).begin()
        } catch {
            stream.refuse(error)
        }
        return stream
    }

    func sharedLists(on eventLoop: any EventLoop) -> SharedLists {
        for lists in shared where lists.eventLoop === eventLoop { return lists }
        preconditionFailure("a request on an event loop that is not the server's")
    }

    /// How many long polls and event streams are open.
    var openCount: Int { open.reduce(0) { $0 + $1.count } }

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
