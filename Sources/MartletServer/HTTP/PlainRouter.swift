import HTTP2
import NIOCore

/// Finds who answers a plain request, by its path.
struct PlainRouter: Sendable {
    /// Answers on the event loop, at once or later.
    typealias Handler = @Sendable (PlainRequest, any EventLoop, @escaping @Sendable (PlainResponse) -> Void) -> Void
    /// Takes a request piece by piece.
    typealias StreamHandler = @Sendable (PlainRequest, any PlainStreamAnswer) -> any PlainStreamReceiver

    /// How large a body may be, and what is said to one that is larger, or for which there is no room; the server's
    /// own limit is never exceeded.
    struct BodyRule: Sendable {
        var bytesMax: Int
        var tooLarge: PlainResponse
        var tooMany: PlainResponse
    }

    enum Match: Sendable {
        case answer(PlainResponse)
        /// Where there is no rule, the server has one.
        case whole(Handler, BodyRule?)
        case stream(StreamHandler)
    }

    /// Requests of a route that are answered piece by piece instead.
    struct Streams: Sendable {
        var isAsked: @Sendable (PlainRequest) -> Bool
        var handler: StreamHandler
    }

    private struct Route: Sendable {
        var methods: [String]
        var otherMethod: PlainResponse
        var match: Match
        var streams: Streams?
    }

    private var routes: [String: Route] = [:]
    /// Everything below a path, such as "/key/"; longer ones first.
    private var subtrees: [(prefix: String, route: Route)] = []
    /// nil: everybody may ask, and no origins are named (the ports for metrics).
    private let access: AccessRules?

    init(access: AccessRules? = nil) { self.access = access }

    mutating func on(
        _ methods: [String], _ path: String, otherMethod: PlainResponse? = nil, body: BodyRule? = nil,
        streams: Streams? = nil, _ handler: @escaping Handler
    ) {
        add(
            path,
            Route(
                methods: methods, otherMethod: otherMethod ?? .methodNotAllowed(methods), match: .whole(handler, body),
                streams: streams))
    }

    mutating func on(_ methods: [String], _ path: String, stream handler: @escaping StreamHandler) {
        add(path, Route(methods: methods, otherMethod: .methodNotAllowed(methods), match: .stream(handler)))
    }

    /// Every path that begins with `prefix`, which ends with a slash, and has no route of its own. The longest prefix
    /// wins.
    mutating func on(
        _ methods: [String], below prefix: String, otherMethod: PlainResponse? = nil, body: BodyRule? = nil,
        streams: Streams? = nil, _ handler: @escaping Handler
    ) {
        add(
            below: prefix,
            Route(
                methods: methods, otherMethod: otherMethod ?? .methodNotAllowed(methods), match: .whole(handler, body),
                streams: streams))
    }

    mutating func on(_ methods: [String], below prefix: String, stream handler: @escaping StreamHandler) {
        add(below: prefix, Route(methods: methods, otherMethod: .methodNotAllowed(methods), match: .stream(handler)))
    }

    private mutating func add(below prefix: String, _ route: Route) {
        precondition(prefix.hasSuffix("/") && !subtrees.contains { $0.prefix == prefix }, "two routes below \(prefix)")
        subtrees.append((prefix, route))
        subtrees.sort { $0.prefix.utf8.count > $1.prefix.utf8.count }
    }

    /// POST alone, as the gateway has it.
    mutating func onPost(_ path: String, otherMethod: PlainResponse, _ handler: @escaping Handler) {
        add(path, Route(methods: ["POST"], otherMethod: otherMethod, match: .whole(handler, nil)))
    }

    mutating func onPost(_ path: String, otherMethod: PlainResponse, stream handler: @escaping StreamHandler) {
        add(path, Route(methods: ["POST"], otherMethod: otherMethod, match: .stream(handler)))
    }

    private mutating func add(_ path: String, _ route: Route) {
        precondition(routes[path] == nil, "two routes for \(path)")
        routes[path] = route
    }

    /// Whether anything is answered at a path.
    func serves(_ path: String) -> Bool {
        routes[path] != nil || subtrees.contains { path.hasPrefix($0.prefix) }
    }

    /// By everything but the request's body.
    func match(_ request: PlainRequest) -> Match {
        if let refusal = access?.refusal(of: request) { return .answer(refusal) }
        if access != nil, request.method == "OPTIONS" {
            return .answer(PlainResponse(status: 200, contentType: "text/plain; charset=utf-8", body: ""))
        }
        let path = Self.canonical(request.path)
        guard let route = routes[path] ?? subtrees.first(where: { path.hasPrefix($0.prefix) })?.route else {
            return .answer(Self.notFound)
        }
        guard route.methods.contains(request.method) else { return .answer(route.otherMethod) }
        if let streams = route.streams, streams.isAsked(request) { return .stream(streams.handler) }
        return route.match
    }

    /// What every answer to this request carries besides its own fields.
    func commonFields(for request: PlainRequest) -> [(name: String, value: String)] {
        access?.fields(for: request) ?? []
    }

    /// W1: what was the path before 3.4 still is one.
    private static func canonical(_ path: String) -> String {
        path.hasPrefix("/v3beta/") ? "/v3/" + path.dropFirst("/v3beta/".count) : path
    }

    /// W12.
    private static let notFound = GatewayError(.notFound, "Not Found").response

    /// A whole request, answered as a whole, on `eventLoop`.
    func handle(
        _ request: PlainRequest, on eventLoop: any EventLoop, _ respond: @escaping @Sendable (PlainResponse) -> Void
    ) {
        handle(request, by: match(request), on: eventLoop, respond)
    }

    /// The same for a request whose match is known.
    func handle(
        _ request: PlainRequest, by match: Match, on eventLoop: any EventLoop,
        _ respond: @escaping @Sendable (PlainResponse) -> Void
    ) {
        let common = commonFields(for: request)
        let finish: @Sendable (PlainResponse) -> Void = { response in
            var response = response
            response.fields += common
            respond(response)
        }
        switch match {
        case .answer(let response): finish(response)
        case .whole(let handler, let rule):
            if let rule, request.body.readableBytes > rule.bytesMax { return finish(rule.tooLarge) }
            handler(request, eventLoop, finish)
        case .stream:
            finish(GatewayError(.unimplemented, "martlet: what goes piece by piece is not to be had here").response)
        }
    }
}
