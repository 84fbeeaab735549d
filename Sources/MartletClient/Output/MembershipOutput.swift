package import EtcdAPI
import SwiftProtobuf

/// What `member add|remove|update|promote` and `move-leader` print, in etcdctl's formats: it has simple, JSON
/// and protobuf for them.
package enum MembershipOutput {
    // MARK: member add

    /// - Parameters:
    ///   - name: what the new member is to be called.
    ///   - urls: its peer URLs, as they were given.
    package static func add(
        _ response: Etcdserverpb_MemberAddResponse, name: String, urls: String, _ format: OutputFormat
    ) throws(UnsupportedFormat) -> [UInt8] {
        switch format {
        case .simple:
            let role = response.member.isLearner ? " as learner " : " "
            let cluster = members(response.members, new: response.member.id, name: name)
            return Array(
                """
                Member \(wide(response.member.id)) added\(role)to cluster \(wide(response.header.clusterID))

                ETCD_NAME=\(GoText.quoted(name))
                ETCD_INITIAL_CLUSTER=\(GoText.quoted(cluster))
                ETCD_INITIAL_ADVERTISE_PEER_URLS=\(GoText.quoted(urls))
                ETCD_INITIAL_CLUSTER_STATE="existing"

                """.utf8)
        case .json:
            return json(header(of: response), member: response.member, response.members)
        case .protobuf: return Protobuf.bytes(response)
        case .fields, .table: throw UnsupportedFormat(format: format)
        }
    }

    /// What `--initial-cluster` of the new member has to be: a name and a URL for each URL of each member.
    private static func members(_ members: [Etcdserverpb_Member], new: UInt64, name: String) -> String {
        members.flatMap { member in
            member.peerUrls.map { "\(member.id == new ? name : member.name)=\($0)" }
        }.joined(separator: ",")
    }

    // MARK: The others

    package static func remove(
        _ response: Etcdserverpb_MemberRemoveResponse, id: UInt64, _ format: OutputFormat
    ) throws(UnsupportedFormat) -> [UInt8] {
        try changed(
            "Member \(wide(id)) removed from cluster \(wide(response.header.clusterID))",
            response, response.hasHeader ? response.header : nil, response.members, format)
    }

    package static func update(
        _ response: Etcdserverpb_MemberUpdateResponse, id: UInt64, _ format: OutputFormat
    ) throws(UnsupportedFormat) -> [UInt8] {
        try changed(
            "Member \(wide(id)) updated in cluster \(wide(response.header.clusterID))",
            response, response.hasHeader ? response.header : nil, response.members, format)
    }

    package static func promote(
        _ response: Etcdserverpb_MemberPromoteResponse, id: UInt64, _ format: OutputFormat
    ) throws(UnsupportedFormat) -> [UInt8] {
        try changed(
            "Member \(wide(id)) promoted in cluster \(wide(response.header.clusterID))",
            response, response.hasHeader ? response.header : nil, response.members, format)
    }

    package static func moveLeader(
        _ response: Etcdserverpb_MoveLeaderResponse, from leader: UInt64, to target: UInt64, _ format: OutputFormat
    ) throws(UnsupportedFormat) -> [UInt8] {
        try changed(
            "Leadership transferred from \(GoText.hex(leader)) to \(GoText.hex(target))",
            response, response.hasHeader ? response.header : nil, [], format)
    }

    private static func changed(
        _ sentence: String, _ response: some SwiftProtobuf.Message, _ header: Etcdserverpb_ResponseHeader?,
        _ members: [Etcdserverpb_Member], _ format: OutputFormat
    ) throws(UnsupportedFormat) -> [UInt8] {
        switch format {
        case .simple: Array((sentence + "\n").utf8)
        case .json: json(header, member: nil, members)
        case .protobuf: Protobuf.bytes(response)
        case .fields, .table: throw UnsupportedFormat(format: format)
        }
    }

    // MARK: Pieces

    private static func json(
        _ header: Etcdserverpb_ResponseHeader?, member: Etcdserverpb_Member?, _ members: [Etcdserverpb_Member]
    ) -> [UInt8] {
        let object = JSONObject.make {
            $0.object("header", ClusterOutput.header(header))
            $0.object("member", member.map(ClusterOutput.json))
            $0.objects("members", members.map(ClusterOutput.json))
        }
        return Array((object.text + "\n").utf8)
    }

    private static func header(of response: Etcdserverpb_MemberAddResponse) -> Etcdserverpb_ResponseHeader? {
        response.hasHeader ? response.header : nil
    }

    /// Go's `%16x`.
    private static func wide(_ id: UInt64) -> String {
        let digits = GoText.hex(id)
        return String(repeating: " ", count: max(0, 16 - digits.count)) + digits
    }
}
