import HTTP2
import MVCC
import NIOCore
import Raft
import Replica

/// `/version` and `/health`, as etcd answers them.
struct StatusRoutes: Sendable {
    let context: ServiceContext

    func register(in router: inout PlainRouter) {
        router.on(["GET", "HEAD"], "/version") { _, _, respond in
            respond(
                PlainResponse(
                    status: 200, contentType: "application/json",
                    body: #"{"etcdserver":"\#(MaintenanceService.etcdVersion)","#
                        + #""etcdcluster":"\#(MaintenanceService.etcdClusterVersion)"}"#))
        }
        router.on(["GET", "HEAD"], "/health") { request, eventLoop, respond in
            health(request, eventLoop, respond)
        }
    }

    /// Healthy is who knows a leader and can read: through the quorum, or with `?serializable=true` from itself.
    private func health(
        _ request: PlainRequest, _ eventLoop: any EventLoop, _ respond: @escaping @Sendable (PlainResponse) -> Void
    ) {
        let status = context.node.published.status
        if let failure = status.failure { return respond(unhealthy("MEMBER STOPPED: \(failure)")) }
        let isSerializable = request.query.split(separator: "&").contains("serializable=true")
        if isSerializable { return respond(healthy) }
        guard status.leader != nil else { return respond(unhealthy("RAFT NO LEADER")) }
        context.requests(on: eventLoop).read { result in
            switch result {
            case .success: respond(healthy)
            case .failure(let failure): respond(unhealthy("RANGE ERROR:\(GRPCStatus(failure).message)"))
            }
        }
    }

    private var healthy: PlainResponse {
        PlainResponse(status: 200, contentType: "application/json", body: #"{"health":"true","reason":""}"#)
    }

    private func unhealthy(_ reason: String) -> PlainResponse {
        let escaped = reason.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
        return PlainResponse(
            status: 503, contentType: "application/json", body: #"{"health":"false","reason":"\#(escaped)"}"# + "\n")
    }
}
