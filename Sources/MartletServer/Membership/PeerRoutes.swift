import EtcdAPI
import Foundation
import MVCC
import NIOCore
import NIOHTTP1
import RaftCore
import Replica

/// A member as etcd's members tell each other of it: an element of what `/members` answers.
struct PeerMember: Codable, Hashable, Sendable {
    var id: UInt64
    var peerURLs: [String]
    var isLearner: Bool?
    var name: String?
    var clientURLs: [String]?
}

/// What the port for members answers to plain HTTP, as etcd's does: who the members are, to one that is to join, and
/// the version.
struct PeerRoutes: Sendable {
    static let clusterIDHeader = "X-Etcd-Cluster-ID"

    let roster: MemberRoster
    /// For members that compare what they have.
    var hashes = HashDesk()
    var runningHashes = RunningHashes()

    /// Sets a connection's pipeline up. One request a connection: the transport bounds its bytes and its time.
    func configure(_ channel: any Channel) throws {
        var router = PlainRouter()
        register(in: &router)
        try HTTP1Server(router: router, limits: HTTP1Limits()).configure(channel)
    }

    func register(in router: inout PlainRouter) {
        router.on(["GET"], "/members") { _, _, respond in respond(members) }
        // To whoever wants to know whether this member is where it says it is.
        router.on(["GET"], PeerSelf.path) { _, _, respond in
            respond(answer(PeerSelf(clusterID: hex(roster.clusterID), memberID: hex(roster.own.rawValue))))
        }
        router.on(["GET"], PeerHash.path) { request, _, respond in respond(hash(request)) }
        router.on(["GET"], PeerRunningHash.path) { request, _, respond in respond(runningHash(request)) }
        router.on(["GET"], "/version") { _, _, respond in
            var response = InformationRoutes.version
            response.fields.append((Self.clusterIDHeader, hex(roster.clusterID)))
            respond(response)
        }
    }

    var members: PlainResponse {
        let membership = roster.membership
        let list = membership.members.map { member in
            PeerMember(
                id: member.id.rawValue, peerURLs: member.peerURLs,
                isLearner: membership.configuration.learners.contains(member.id) ? true : nil,
                name: member.name.isEmpty ? nil : member.name,
                clientURLs: member.clientURLs.isEmpty ? nil : member.clientURLs)
        }
        return answer(list)
    }

    private func hash(_ request: PlainRequest) -> PlainResponse {
        func number(_ name: String) -> Int64? { request.queryValues(name).first.flatMap { Int64($0) } }
        guard let revision = number("revision"), revision > 0, let compaction = number("compacted") else {
            return .text(400, "revision and compacted are needed, as numbers")
        }
        let question = HashDesk.Question(revision: Revision(revision), compaction: Revision(compaction))
        var hash = PeerHash(memberID: roster.own.rawValue, state: .done)
        switch hashes.answer(question) {
        case .none(let state): hash.state = state
        case .hash(let answer):
            hash.hash = answer.hash
            hash.compactRevision = answer.compactRevision.rawValue
            hash.hashRevision = answer.hashRevision.rawValue
        }
        return answer(hash)
    }

    private func runningHash(_ request: PlainRequest) -> PlainResponse {
        guard let index = request.queryValues("index").first.flatMap({ UInt64($0) }), index > 0 else {
            return .text(400, "index is needed, as a number")
        }
        return answer(
            PeerRunningHash(memberID: roster.own.rawValue, runningHashes.answer(at: LogIndex(index))))
    }

    private func answer(_ value: some Encodable) -> PlainResponse {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.withoutEscapingSlashes, .sortedKeys]
        let fields = [(name: Self.clusterIDHeader, value: hex(roster.clusterID))]
        do {
            let text = String(decoding: try encoder.encode(value), as: UTF8.self)
            return PlainResponse(status: 200, contentType: "application/json", body: text + "\n", fields: fields)
        } catch {
            return PlainResponse(status: 500, contentType: "text/plain; charset=utf-8", body: "\(error)\n")
        }
    }
}
