import Foundation
import NIOCore
import Raft
import RaftCore
import Replica

/// The admin calls of Riot (R35 to R42; the later ones are ``RiotAdminRoutes``), and what Martlet adds: all members at
/// a glance, a replacement, a snapshot. `Documentation/joining.md` has what is different from the source.
struct AdminRoutes: Sendable {
    let desk: JoinDesk
    /// For how long a member has not answered; nil while it does.
    let silence: @Sendable (NodeID) -> TimeAmount?

    var context: ServiceContext { desk.changes.context }

    func register(in router: inout PlainRouter) {
        question("/admin/status", in: &router) { _ in AdminAnswer(results: .text(role)) }
        question("/admin/peer", in: &router) { view in
            AdminAnswer(results: .list(view.members.flatMap(\.peerURLs).map(Self.hostAndPort)))
        }
        question("/admin/leader", in: &router) { view in
            leader(in: view)?.peerURLs.first.map { AdminAnswer(results: .text(Self.hostAndPort($0))) } ?? .noLeader
        }
        question("/admin/lrpc", in: &router) { view in
            leader(in: view)?.clientURLs.first.map { AdminAnswer(results: .text(Self.hostAndPort($0))) } ?? .noLeader
        }
        router.on(["POST"], "/admin/join") { request, eventLoop, respond in join(request, eventLoop, respond) }
        router.on(["DELETE"], "/admin/remove") { request, eventLoop, respond in remove(request, eventLoop, respond) }
        router.on(["GET"], MembersReport.path) { _, _, respond in respond(.json(report)) }
        router.on(["POST"], "/admin/replace") { request, eventLoop, respond in
            JoinRoutes.answer(request, ReplaceQuestion.self, respond) { question, respond in
                desk.replace(question, on: eventLoop, respond)
            }
        }
        router.on(["GET"], "/admin/snapshot") { [context] _, answer in AdminSnapshot(answer, context: context) }
        router.on(["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"], below: "/admin/") { request, _, respond in
            let answer = AdminAnswer(
                results: .text("unknown command \(request.path)"), code: .unknownCommand, status: 404)
            respond(answer.response(since: .now()))
        }
        RiotAdminRoutes(admin: self).register(in: &router)
    }

    // MARK: Questions

    private func question(
        _ path: String, in router: inout PlainRouter, _ answer: @escaping @Sendable (ReplicaView) -> AdminAnswer
    ) {
        router.on(["GET"], path) { [context] _, _, respond in
            let began = NIODeadline.now()
            respond(answer(context.node.published.view).response(since: began))
        }
    }

    var role: String {
        let status = context.node.published.status
        if status.isLearner || status.isJoining { return "Learner" }
        return switch status.role {
        case .leader: "Leader"
        case .follower: "Follower"
        case .candidate, .preCandidate: "Candidate"
        }
    }

    func leader(in view: ReplicaView) -> Member? {
        guard let leader = context.node.published.status.leader else { return nil }
        return view.members.first { $0.id == leader }
    }

    static func hostAndPort(_ url: String) -> String {
        url.utf8Range(of: "://").map { String(url[$0.upperBound...]) } ?? url
    }

    var report: MembersReport {
        let view = context.node.published.view
        return MembersReport(
            view, asked: context.memberID, leader: context.node.published.status.leader, silence: silence)
    }

    // MARK: Changes

    /// `{"ip": "127.0.0.1", "port": "12003"}`; Riot's configuration has its ports as numbers, so a number is taken too.
    private struct Place: Decodable {
        var url: String

        private enum Key: String, CodingKey { case ip, port }

        init(from decoder: any Decoder) throws {
            let values = try decoder.container(keyedBy: Key.self)
            let ip = try values.decode(String.self, forKey: .ip)
            let port: String
            if let number = try? values.decode(Int.self, forKey: .port) {
                port = String(number)
            } else {
                port = try values.decode(String.self, forKey: .port)
            }
            url = "http://" + (ip.contains(":") ? "[\(ip)]" : ip) + ":" + port
        }
    }

    private func place(in request: PlainRequest) throws(JoinRefusal) -> String {
        do {
            return try JSONDecoder().decode(Place.self, from: Data(request.body.readableBytesView)).url
        } catch {
            throw JoinRefusal(.badRequest, #"the body has to be {"ip": "address", "port": "port"}"#)
        }
    }

    private func join(
        _ request: PlainRequest, _ eventLoop: any EventLoop, _ respond: @escaping @Sendable (PlainResponse) -> Void
    ) {
        let began = NIODeadline.now()
        let url: String
        do throws(JoinRefusal) {
            url = try place(in: request)
        } catch {
            return respond(AdminAnswer(error).response(since: began))
        }
        desk.join(JoinQuestion(name: "", peerURLs: [url]), by: .another, on: eventLoop) { result in
            switch result {
            case .success(let answer):
                respond(AdminAnswer(results: .text(answer.memberID)).response(since: began))
            case .failure(let refusal): respond(AdminAnswer(refusal).response(since: began))
            }
        }
    }

    private func remove(
        _ request: PlainRequest, _ eventLoop: any EventLoop, _ respond: @escaping @Sendable (PlainResponse) -> Void
    ) {
        let began = NIODeadline.now()
        remove(request, on: eventLoop) { result in
            switch result {
            case .success(let id): respond(AdminAnswer(results: .text(hex(id.rawValue))).response(since: began))
            case .failure(let refusal): respond(AdminAnswer(refusal).response(since: began))
            }
        }
    }

    /// Removes the member at the place that the request's body names.
    func remove(
        _ request: PlainRequest, on eventLoop: any EventLoop,
        _ done: @escaping @Sendable (Swift.Result<NodeID, JoinRefusal>) -> Void
    ) {
        let member: Member
        do throws(JoinRefusal) {
            let url = try place(in: request)
            let members = context.node.published.view.members
            guard let found = members.first(where: { $0.peerURLs.contains(url) }) else {
                throw JoinRefusal(
                    .unknownMember,
                    "no member is at \(Self.hostAndPort(url)); the members are \(JoinPlace.list(members))")
            }
            member = found
        } catch {
            return done(.failure(error))
        }
        desk.remove(member.id, on: eventLoop) { result in done(result.map { member.id }) }
    }
}
