import EtcdAPI
import Foundation
import HTTP2
import MVCC
import NIOCore
import Raft
import Replica

/// `v3electionpb.Election` (O2), on any member.
struct ElectionService: Sendable {
    let context: ServiceContext
    let watches: WatchService

    private static let missingLeader = GRPCStatus(.unknown, "\"leader\" field must be provided")

    func register(in methods: inout GRPCMethods) {
        methods.register(.electionCampaign, .unary { call, message in campaign(call, message) })
        methods.register(.electionProclaim, .unary { call, message in proclaim(call, message) })
        methods.register(.electionLeader, .unary { call, message in leader(call, message) })
        methods.register(.electionResign, .unary { call, message in resign(call, message) })
        methods.register(
            .electionObserve,
            .streaming { call in LeaderObserver(call, context, watches.watches(on: call.eventLoop)) })
    }

    private func header(_ revision: Revision) -> Etcdserverpb_ResponseHeader {
        Etcdserverpb_ResponseHeader(context.header(revision: revision.rawValue))
    }

    private func campaign(_ call: GRPCCall, _ message: ByteBuffer) {
        guard context.admitsSize(of: message, for: call) else { return }
        guard let request: V3electionpb_CampaignRequest = call.decode(message) else { return }
        let candidacy = Candidacy(
            call, context, watches.watches(on: call.eventLoop), QueuePrefix(name: request.name),
            .election(Array(request.value))
        ) { won in
            var response = V3electionpb_CampaignResponse()
            response.header = header(won.revision)
            response.leader.name = request.name
            response.leader.key = Data(won.key)
            response.leader.rev = won.created.rawValue
            response.leader.lease = won.lease.rawValue
            call.reply(serializing: response)
        }
        context.withSpace(SpaceQuota.putOverheadBytes + message.readableBytes, for: call) {
            candidacy.begin(lease: LeaseID(request.lease))
        }
    }

    private func proclaim(_ call: GRPCCall, _ message: ByteBuffer) {
        guard context.admitsSize(of: message, for: call) else { return }
        guard let request: V3electionpb_ProclaimRequest = call.decode(message) else { return }
        guard request.hasLeader else { return call.finish(Self.missingLeader) }
        guard !request.leader.key.isEmpty else { return call.finish(GRPCStatus(withoutCode: .keyNotProvided)) }
        // No key was ever created at zero: etcd would create one now.
        guard request.leader.rev > 0 else { return call.finish(.notLeader) }
        // Without a lease the key keeps its own. (etcd would put it under a new one that nobody renews.)
        let lease = LeaseID(request.leader.lease)
        let put = PutOperation(
            key: Array(request.leader.key), value: Array(request.value), lease: lease, ignoreLease: lease == .none)
        context.withSpace(SpaceQuota.putOverheadBytes + message.readableBytes, for: call) {
            change(request.leader, .put(put), for: call) { answer in
                guard answer.succeeded else { return call.finish(.notLeader) }
                var response = V3electionpb_ProclaimResponse()
                response.header = header(answer.revision)
                call.reply(serializing: response)
            }
        }
    }

    private func resign(_ call: GRPCCall, _ message: ByteBuffer) {
        guard let request: V3electionpb_ResignRequest = call.decode(message) else { return }
        guard request.hasLeader else { return call.finish(Self.missingLeader) }
        let delete = DeleteOperation(KeyRange(key: Array(request.leader.key)))
        // Who does not lead has nothing to resign from: that is no error.
        change(request.leader, .delete(delete), for: call) { answer in
            var response = V3electionpb_ResignResponse()
            response.header = header(answer.revision)
            call.reply(serializing: response)
        }
    }

    private func change(
        _ leader: V3electionpb_LeaderKey, _ operation: MVCC.Operation, for call: GRPCCall,
        _ done: @escaping (CommittedTransaction) -> Void
    ) {
        guard !leader.key.isEmpty else { return call.finish(GRPCStatus(withoutCode: .keyNotProvided)) }
        let guarded = Transaction(ifCreated: Array(leader.key), at: Revision(leader.rev), then: [operation])
        do throws(RequestError) {
            try guarded.validate(maxOperations: context.limits.transactionOperationsMax)
        } catch {
            return call.finish(GRPCStatus(withoutCode: error))
        }
        context.requests(on: call.eventLoop).commit(guarded) { result in
            switch result {
            case .failure(let status): call.finish(status)
            case .success(let answer): done(answer)
            }
        }
    }

    private func leader(_ call: GRPCCall, _ message: ByteBuffer) {
        guard let request: V3electionpb_LeaderRequest = call.decode(message) else { return }
        context.requests(on: call.eventLoop).read { result in
            switch result {
            case .failure(let failure): call.finish(GRPCStatus(failure))
            case .success(let view):
                do throws(ReadError) {
                    let first = try view.store.range(QueuePrefix(name: request.name).first).keyValues.first
                    guard let first else { return call.finish(.noElectionLeader) }
                    call.reply(serializing: V3electionpb_LeaderResponse(header(view.store.revision), first))
                } catch {
                    call.finish(context.status(of: error))
                }
            }
        }
    }
}

extension V3electionpb_LeaderResponse {
    init(_ header: Etcdserverpb_ResponseHeader, _ pair: KeyValue) {
        self.init()
        self.header = header
        kv.key = Data(pair.key)
        kv.createRevision = pair.createRevision.rawValue
        kv.modRevision = pair.modRevision.rawValue
        kv.version = pair.version
        kv.value = Data(pair.value)
        kv.lease = pair.lease.rawValue
    }
}
