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
    let context: ServiceContext
    let rules: MembershipRules

    /// How long another change is waited for before this one is tried again.
    private static let retryPause = TimeAmount.milliseconds(20)

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

    /// Judges a change by what the cluster agrees on now, and has it made. If the members changed in between, or
    /// another change is under way, it is judged anew, until the time is up.
    ///
    /// Whether there are enough members for it is judged by what this one knows first, as in etcd: if there are not,
    /// perhaps nothing can be agreed on.
    private func change(
        _ call: GRPCCall, _ judge: @escaping (ReplicaView) throws(EtcdError) -> MembershipRules.Plan,
        answer: @escaping (_ members: [Etcdserverpb_Member], _ id: NodeID) -> Void
    ) {
        let patience = NIODeadline.now() + .nanoseconds(Int64(context.node.options.requestTimeoutNanoseconds))
        let attempt = ChangeAttempt(
            call: call, judge: judge, answer: answer, deadline: min(call.timeLimit ?? patience, patience))
        do throws(EtcdError) {
            _ = try judge(context.node.published.view)
        } catch {
            if error == .memberNotEnoughStarted || error == .unhealthy { return call.finish(GRPCStatus(error)) }
        }
        judgeAndMake(attempt)
    }

    private struct ChangeAttempt {
        var call: GRPCCall
        var judge: (ReplicaView) throws(EtcdError) -> MembershipRules.Plan
        var answer: (_ members: [Etcdserverpb_Member], _ id: NodeID) -> Void
        var deadline: NIODeadline
    }

    private func judgeAndMake(_ attempt: ChangeAttempt) {
        let call = attempt.call
        guard !call.isCancelled else { return }
        context.requests(on: call.eventLoop).read { result in
            do throws(EtcdError) {
                switch result {
                case .success(let view): make(try attempt.judge(view), attempt)
                case .failure(let failure): call.finish(GRPCStatus(failure))
                }
            } catch {
                call.finish(GRPCStatus(error))
            }
        }
    }

    private func make(_ plan: MembershipRules.Plan, _ attempt: ChangeAttempt) {
        let call = attempt.call
        let ticket = AwaitedReply<ReplicaResult>.ticket(on: call.eventLoop) { result in
            switch result {
            case .success(.membersChanged):
                // Published before the answer left: it has this change, and those after it.
                attempt.answer(Self.members(in: context.node.published.view), plan.member)
            case .success(.membershipOutdated): again(attempt, instead: GRPCStatus(EtcdError.timeout))
            case .success(.keyValue), .success(.lease), .success(.alarm): call.finish(.anotherKind)
            case .failure(.configurationRefused(let reason)) where reason.passes:
                again(attempt, instead: GRPCStatus(reason))
            // Nothing was taken.
            case .failure(.leaderChanging), .failure(.noLeader):
                again(attempt, instead: GRPCStatus(EtcdError.noLeader))
            case .failure(let failure): call.finish(GRPCStatus(context.timeouts.told(failure, by: context.node)))
            }
        }
        context.node.change(plan.change, ticket: ticket)
    }

    private func again(_ attempt: ChangeAttempt, instead status: GRPCStatus) {
        guard NIODeadline.now() + Self.retryPause < attempt.deadline else { return attempt.call.finish(status) }
        attempt.call.eventLoop.assumeIsolated().scheduleTask(in: Self.retryPause) { judgeAndMake(attempt) }
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

extension ConfigurationRefusal {
    /// Another change is under way: it comes to its end.
    fileprivate var passes: Bool {
        switch self {
        case .pending, .isJoint: true
        default: false
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
