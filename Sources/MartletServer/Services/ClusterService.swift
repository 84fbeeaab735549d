import EtcdAPI
import HTTP2
import NIOCore
import Raft
import RaftCore
import Replica
import SwiftProtobuf

/// `etcdserverpb.Cluster`, as far as it goes yet: the list of members.
struct ClusterService: Sendable {
    let context: ServiceContext

    func register(in methods: inout GRPCMethods) {
        methods.register("/etcdserverpb.Cluster/MemberList", .unary { call, message in memberList(call, message) })
    }

    private func memberList(_ call: GRPCCall, _ message: ByteBuffer) {
        guard let request: Etcdserverpb_MemberListRequest = call.decode(message) else { return }
        guard request.linearizable else { return reply(to: call, from: context.node.published.view) }
        context.requests(on: call.eventLoop).read { result in
            switch result {
            case .success(let view): reply(to: call, from: view)
            case .failure(let failure): call.finish(GRPCStatus(failure))
            }
        }
    }

    private func reply(to call: GRPCCall, from view: ReplicaView) {
        var response = Etcdserverpb_MemberListResponse()
        response.header = Etcdserverpb_ResponseHeader(context.headerWithoutRevision)
        response.members = view.members.map { member in
            var wire = Etcdserverpb_Member()
            wire.id = member.id.rawValue
            wire.name = member.name
            wire.peerUrls = member.peerURLs
            wire.clientUrls = member.clientURLs
            wire.isLearner = view.configuration.learners.contains(member.id)
            return wire
        }
        call.reply(serializing: response)
    }
}
