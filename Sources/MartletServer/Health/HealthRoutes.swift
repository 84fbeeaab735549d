import HTTP2
import MVCC
import NIOCore
import Raft
import Replica

/// `/health`, `/livez` and `/readyz`, as etcd answers them (section 2.5 of the facts).
struct HealthRoutes: Sendable {
    typealias Respond = @Sendable (PlainResponse) -> Void

    let context: ServiceContext
    let counts: HealthCounts
    /// The alarms that are raised now.
    let alarms: @Sendable () -> [ActiveAlarm]

    func register(in router: inout PlainRouter) {
        router.on(["GET"], "/health") { request, eventLoop, respond in
            health(request, eventLoop) { failure in
                counts.note(health: failure == nil)
                respond(failure.map(Self.unhealthy) ?? Self.healthy)
            }
        }
        for group in HealthCheck.Group.allCases {
            router.on(["GET"], "/\(group.rawValue)") { request, eventLoop, respond in
                let excluded = Set(request.queryValues("exclude"))
                let checks = group.checks.filter { !excluded.contains($0.rawValue) }
                run(checks, of: group, request, eventLoop, respond)
            }
            for check in group.checks {
                router.on(["GET"], "/\(group.rawValue)/\(check.rawValue)") { request, eventLoop, respond in
                    run([check], of: group, request, eventLoop, respond)
                }
            }
        }
    }

    // MARK: /health

    /// Healthy is who has no alarm, knows a leader and can read: through the quorum, or with `?serializable=true` from
    /// itself.
    private func health(
        _ request: PlainRequest, _ eventLoop: any EventLoop, _ done: @escaping @Sendable (_ failure: String?) -> Void
    ) {
        let excluded = Set(request.queryValues("exclude"))
        if let alarm = alarms().first(where: { !excluded.contains($0.kind.rawValue) }) {
            return done("ALARM \(alarm.kind.rawValue)")
        }
        let isSerializable = request.queryValues("serializable").first == "true"
        if !isSerializable, context.node.published.status.leader == nil { return done("RAFT NO LEADER") }
        read(serializable: isSerializable, eventLoop) { failure in done(failure.map { "RANGE ERROR:\($0)" }) }
    }

    private static let healthy = PlainResponse(
        status: 200, contentType: "text/plain; charset=utf-8", body: #"{"health":"true","reason":""}"#)

    private static func unhealthy(_ reason: String) -> PlainResponse {
        .text(503, #"{"health":"false","reason":\#(ServerLogHandler.quote(reason))}"#)
    }

    // MARK: /livez and /readyz

    /// One check after the other; all of them, whatever the first ones found.
    private func run(
        _ checks: [HealthCheck], of group: HealthCheck.Group, _ request: PlainRequest, _ eventLoop: any EventLoop,
        found: String = "", hasFailed: Bool = false, _ respond: @escaping Respond
    ) {
        guard let check = checks.first else {
            guard !hasFailed else { return respond(.text(503, found)) }
            let isVerbose = !request.queryValues("verbose").isEmpty
            return respond(
                PlainResponse(
                    status: 200, contentType: "text/plain; charset=utf-8", body: (isVerbose ? found : "") + "ok\n",
                    fields: [("x-content-type-options", "nosniff")]))
        }
        perform(check, eventLoop) { failure in
            counts.note(group, check, succeeded: failure == nil)
            let line = failure.map { "[-]\(check.rawValue) failed: \($0)\n" } ?? "[+]\(check.rawValue) ok\n"
            run(
                Array(checks.dropFirst()), of: group, request, eventLoop, found: found + line,
                hasFailed: hasFailed || failure != nil, respond)
        }
    }

    private func perform(
        _ check: HealthCheck, _ eventLoop: any EventLoop, _ done: @escaping @Sendable (_ failure: String?) -> Void
    ) {
        switch check {
        case .dataCorruption:
            done(alarms().contains { $0.kind == .corrupt } ? "alarm activated: CORRUPT" : nil)
        case .serializableRead: read(serializable: true, eventLoop, done)
        case .linearizableRead: read(serializable: false, eventLoop, done)
        case .nonLearner: done(context.node.published.status.isLearner ? "not supported for learner" : nil)
        }
    }

    /// Reads as `etcdctl get --limit 1 --keys-only` of the empty key would: the state answers, or says why it cannot.
    private func read(
        serializable: Bool, _ eventLoop: any EventLoop, _ done: @escaping @Sendable (_ failure: String?) -> Void
    ) {
        // A member that has stopped can still read what it has; nobody should.
        if let failure = context.node.published.status.failure { return done("etcdserver: server stopped: \(failure)") }
        if serializable { return done(look(into: context.node.published.view)) }
        context.requests(on: eventLoop).read { result in
            switch result {
            case .success(let view): done(look(into: view))
            case .failure(let failure): done(GRPCStatus(failure).message)
            }
        }
    }

    private func look(into view: ReplicaView) -> String? {
        var query = RangeQuery(KeyRange(key: [0], rangeEnd: []))
        query.limit = 1
        query.keysOnly = true
        do throws(ReadError) {
            _ = try view.store.range(query)
            return nil
        } catch {
            return context.status(of: error).message
        }
    }
}
