import NIOCore
import Raft
import RaftCore
import Replica

/// `/riot/admin/…`: the admin calls of Riot's later API (R52), which are ``AdminRoutes`` in other words.
/// `Documentation/http-api.md` has what is different from the source.
struct RiotAdminRoutes: Sendable {
    let admin: AdminRoutes

    private static let noLeader = RiotReturn.failed(
        JoinRefusal(.noLeader, "this member knows no leader at the moment; ask again"))

    func register(in router: inout PlainRouter) {
        question("/riot/admin/leader", in: &router) { view in
            guard let address = admin.leader(in: view)?.peerURLs.first.map(AdminRoutes.hostAndPort) else {
                return Self.noLeader
            }
            return RiotReturn.done { $0.string(address) }
        }
        question("/riot/admin/peers", in: &router) { view in
            RiotReturn.done { $0.strings(view.members.flatMap(\.peerURLs).map(AdminRoutes.hostAndPort)) }
        }
        question("/riot/admin/states", in: &router) { _ in RiotReturn.done { $0.strings(states) } }
        router.on(
            ["GET"], "/riot/admin/snapshot", otherMethod: RiotReturn.otherMethod(["GET"])
        ) { _, eventLoop, respond in snapshot(on: eventLoop, respond) }
        router.on(
            ["POST"], "/riot/admin/remove", otherMethod: RiotReturn.otherMethod(["POST"])
        ) { request, eventLoop, respond in
            admin.remove(request, on: eventLoop) { result in
                switch result {
                case .success: respond(RiotReturn.done())
                case .failure(let refusal): respond(RiotReturn.failed(refusal))
                }
            }
        }
    }

    private func question(
        _ path: String, in router: inout PlainRouter, _ answer: @escaping @Sendable (ReplicaView) -> PlainResponse
    ) {
        router.on(["GET"], path, otherMethod: RiotReturn.otherMethod(["GET"])) { _, _, respond in
            respond(answer(admin.context.node.published.view))
        }
    }

    /// `Node at 127.0.0.1:2380 [Leader]`, one for each member, as the asked one sees them.
    private var states: [String] {
        let own = hex(admin.context.memberID.rawValue)
        return admin.report.members.map { row in
            let address = row.peerURLs.first.map(AdminRoutes.hostAndPort) ?? row.id
            return "Node at \(address) [\(row.id == own ? admin.role : Self.state(of: row))]"
        }
    }

    private static func state(of row: MembersReport.Row) -> String {
        switch row.state {
        case "ok": row.role.prefix(1).uppercased() + row.role.dropFirst()
        default: row.state.prefix(1).uppercased() + row.state.dropFirst()
        }
    }

    /// The engine is the snapshot: what is asked for is that it has all that was applied so far, durably. Then one is
    /// kept, which is always this one.
    private func snapshot(on eventLoop: any EventLoop, _ respond: @escaping @Sendable (PlainResponse) -> Void) {
        let node = admin.context.node
        guard !node.published.status.isJoining else {
            return respond(
                RiotReturn.failed(JoinRefusal(.notReady, "this member has not got the cluster's state yet; ask again")))
        }
        node.flush(
            AwaitedReply<LogIndex>.ticket(on: eventLoop) { result in
                switch result {
                case .success: respond(RiotReturn.done { $0.raw("1") })
                case .failure(let failure): respond(RiotReturn.failed(APIError(failure)))
                }
            })
    }
}

extension JSONBuffer {
    fileprivate mutating func strings(_ texts: [String]) {
        raw("[")
        for (place, text) in texts.enumerated() {
            if place > 0 { raw(",") }
            string(text)
        }
        raw("]")
    }
}
