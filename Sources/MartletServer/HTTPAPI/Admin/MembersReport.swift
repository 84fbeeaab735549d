import Foundation
import NIOCore
import RaftCore
import Replica

/// What `GET /admin/members` answers: who there is, and whom the asked member hears of.
struct MembersReport: Encodable, Sendable {
    struct Row: Encodable, Sendable {
        var id: String
        var name: String
        var peerURLs: [String]
        var clientURLs: [String]
        /// leader, follower or learner
        var role: String
        /// ok, silent, or, where it has never told its client URLs, not started
        var state: String
        /// For how long the asked member has not been connected to it.
        var silentSeconds: Double?
    }

    static let path = "/admin/members"

    var clusterID: String
    /// Who was asked.
    var memberID: String
    var leaderID: String?
    var members: [Row]

    init(_ view: ReplicaView, asked: NodeID, leader: NodeID?, silence: (NodeID) -> TimeAmount?) {
        clusterID = hex(view.clusterID)
        memberID = hex(asked.rawValue)
        leaderID = leader.map { hex($0.rawValue) }
        members = view.members.map { member in
            let silence = member.id == asked ? nil : silence(member.id)
            let isLearner = view.configuration.learners.contains(member.id)
            return Row(
                id: hex(member.id.rawValue), name: member.name, peerURLs: member.peerURLs,
                clientURLs: member.clientURLs,
                role: member.id == leader ? "leader" : isLearner ? "learner" : "follower",
                state: !member.isStarted ? "not started" : silence == nil ? "ok" : "silent",
                silentSeconds: silence.map { Double($0.nanoseconds) / 1e9 })
        }
    }
}

extension PlainResponse {
    static func json(
        _ value: some Encodable, status: Int = 200, fields: [(name: String, value: String)] = []
    ) -> PlainResponse {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.withoutEscapingSlashes, .sortedKeys]
        do {
            let text = String(decoding: try encoder.encode(value), as: UTF8.self)
            return PlainResponse(status: status, contentType: "application/json", body: text + "\n", fields: fields)
        } catch {
            return .text(500, "the answer cannot be written as JSON: \(error)")
        }
    }
}
