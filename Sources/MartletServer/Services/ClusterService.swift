import EtcdAPI
import Foundation
import HTTP2
import NIOCore
import Raft
import RaftCore
import Replica
import SwiftProtobuf

/// `etcdserverpb.Cluster`: the members, and changes of them. Any member takes them; the leader decides.
struct ClusterService: Sendable {
    let changes: MemberChanges

    private var context: ServiceContext { changes.context }
    private var rules: MembershipRules { changes.rules }

    func register(in methods: inout GRPCMethods) {
        methods.register(.memberList, .unary { call, message in memberList(call, message) })
        methods.register(.memberAdd, .unary { call, message in memberAdd(call, message) })
        methods.register(.memberRemove, .unary { call, message in memberRemove(call, message) })
        methods.register(.memberUpdate, .unary { call, message in memberUpdate(call, message) })
        methods.register(
            .memberPromote, .unary { call, message in memberPromote(call, message) })
    }

    // MARK: The list

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
        answer(Etcdserverpb_MemberListResponse(), Self.members(in: view), to: call)
    }

    // MARK: Changes

    private func memberAdd(_ call: GRPCCall, _ message: ByteBuffer) {
        guard let request: Etcdserverpb_MemberAddRequest = call.decode(message) else { return }
        change(call) { (view) throws(EtcdError) in
            try rules.add(
                peerURLs: request.peerUrls, asLearner: request.isLearner, now: Int64(Date().timeIntervalSince1970),
                in: view)
        } answer: { members, id in
            var response = Etcdserverpb_MemberAddResponse()
            if let member = members.first(where: { $0.id == id.rawValue }) { response.member = member }
            answer(response, members, to: call)
        }
    }

    private func memberRemove(_ call: GRPCCall, _ message: ByteBuffer) {
        guard let request: Etcdserverpb_MemberRemoveRequest = call.decode(message) else { return }
        change(call) { (view) throws(EtcdError) in
            try rules.remove(NodeID(request.id), in: view)
        } answer: { members, _ in
            answer(Etcdserverpb_MemberRemoveResponse(), members, to: call)
        }
    }

    private func memberUpdate(_ call: GRPCCall, _ message: ByteBuffer) {
        guard let request: Etcdserverpb_MemberUpdateRequest = call.decode(message) else { return }
        change(call) { (view) throws(EtcdError) in
            try rules.update(NodeID(request.id), peerURLs: request.peerUrls, in: view)
        } answer: { members, _ in
            answer(Etcdserverpb_MemberUpdateResponse(), members, to: call)
        }
    }

    private func memberPromote(_ call: GRPCCall, _ message: ByteBuffer) {
        guard let request: Etcdserverpb_MemberPromoteRequest = call.decode(message) else { return }
        change(call) { (view) throws(EtcdError) in
            try rules.promote(NodeID(request.id), in: view)
        } answer: { members, _ in
            answer(Etcdserverpb_MemberPromoteResponse(), members, to: call)
        }
    }

    private func change(
        _ call: GRPCCall, _ judge: @escaping MemberChanges.Judge,
        answer: @escaping (_ members: [Etcdserverpb_Member], _ id: NodeID) -> Void
    ) {
        let patience = changes.patience
        changes.make(
            MemberChanges.Attempt(
                eventLoop: call.eventLoop, deadline: min(call.timeLimit ?? patience, patience), judge: judge,
                isCancelled: { call.isCancelled },
                done: { result in
                    switch result {
                    case .success(let (view, id)): answer(Self.members(in: view), id)
                    case .failure(let failure): call.finish(failure.status)
                    }
                }))
    }

    // MARK: Messages

    private var header: Etcdserverpb_ResponseHeader { Etcdserverpb_ResponseHeader(context.headerWithoutRevision) }

    private func answer(_ response: some MembersResponse, _ members: [Etcdserverpb_Member], to call: GRPCCall) {
        var response = response
        response.header = header
        response.members = members
        call.reply(serializing: response)
    }

    private static func members(in view: ReplicaView) -> [Etcdserverpb_Member] {
        view.members.map { member in
            var wire = Etcdserverpb_Member()
            wire.id = member.id.rawValue
            wire.name = member.name
            wire.peerUrls = member.peerURLs
            wire.clientUrls = member.clientURLs
            wire.isLearner = view.configuration.learners.contains(member.id)
            return wire
        }
    }
}

/// What all answers about members have in common.
private protocol MembersResponse: SwiftProtobuf.Message {
    var header: Etcdserverpb_ResponseHeader { get set }
    var members: [Etcdserverpb_Member] { get set }
}

extension Etcdserverpb_MemberListResponse: MembersResponse {}
extension Etcdserverpb_MemberAddResponse: MembersResponse {}
extension Etcdserverpb_MemberRemoveResponse: MembersResponse {}
extension Etcdserverpb_MemberUpdateResponse: MembersResponse {}
extension Etcdserverpb_MemberPromoteResponse: MembersResponse {}
