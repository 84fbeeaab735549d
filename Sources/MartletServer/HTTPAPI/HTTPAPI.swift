import MVCC
import NIOCore
import Raft
import Replica

/// The API for people and small programs: keys with raw bodies, leases by name, and the routes of the systems before
/// this one. It is another face of the same keys, revisions and leases that etcd's API has: what one writes, the other
/// watches. `Documentation/http-api.md` describes it, `GET /openapi.json` too; decision 0020 says why it is so.
struct HTTPAPI: Sendable {
    let context: ServiceContext
    let watches: WatchService
    let limits: HTTPAPILimits
    let keys: KeyOperations
    private let open: [OpenWatches]

    init(
        context: ServiceContext, watches: WatchService, leaseTTLMin: Int64, eventLoops: [any EventLoop],
        limits: HTTPAPILimits = HTTPAPILimits()
    ) {
        self.context = context
        self.watches = watches
        self.limits = limits
        keys = KeyOperations(context: context, limits: limits, leaseTTLMin: leaseTTLMin)
        open = eventLoops.map { OpenWatches(eventLoop: $0, countMax: limits.watchesOfLoopMax) }
    }

    func register(in router: inout PlainRouter) {
        KeyRoutes(api: self).register(in: &router)
        LeaseRoutes(api: self).register(in: &router)
        RiotRoutes(api: self).register(in: &router)
        BucketRoutes(api: self).register(in: &router)
        router.on(
            ["GET", "HEAD"], "/openapi.json", otherMethod: APIError.methodNotAllowed(["GET", "HEAD"]).response
        ) { _, _, respond in respond(OpenAPI.response) }
    }

    func openWatches(on eventLoop: any EventLoop) -> OpenWatches { open.on(eventLoop) }

    /// How many long polls and event streams are open.
    var openWatchCount: Int { open.reduce(0) { $0 + $1.count } }

    // MARK: Reads

    /// Answers with what is read in a view that is as new as `level` wants it.
    func read(
        _ level: ReadLevel, for call: APICall, _ response: @escaping (ReadView) throws(ReadError) -> PlainResponse
    ) {
        keys.view(level, on: call.eventLoop) { result in
            switch result {
            case .failure(let error): call.fail(error)
            case .success(let view):
                do throws(ReadError) {
                    call.respond(try response(view.store))
                } catch {
                    call.fail(context.apiError(of: error))
                }
            }
        }
    }

    // MARK: Redirects

    /// Where a client goes that would rather ask the leader itself (`?redirect`, or `Prefer: redirect`); nil: it is
    /// right here, or did not ask.
    func redirection(
        of request: PlainRequest, _ items: QueryItems, _ level: ReadLevel = .default
    ) throws(APIError) -> PlainResponse? {
        guard try items.flag("redirect") || Self.prefersRedirect(request), level != .stale else { return nil }
        guard let leader = context.node.published.status.leader else { throw .noLeaderKnown }
        guard leader != context.memberID else { return nil }
        let member = context.node.published.view.members.first { $0.id == leader }
        guard let url = member?.clientURLs.first else {
            throw .noLeader("the leader has not told yet where clients reach it; without redirect this member forwards")
        }
        return PlainResponse(
            status: 307, contentType: "text/plain; charset=utf-8", body: "",
            fields: [("location", url + request.path + (request.query.isEmpty ? "" : "?" + request.query))])
    }

    private static func prefersRedirect(_ request: PlainRequest) -> Bool {
        request.values("prefer").contains { value in
            value.lowercased().split(separator: ",").contains { $0.filter { $0 != " " && $0 != "\t" } == "redirect" }
        }
    }
}
