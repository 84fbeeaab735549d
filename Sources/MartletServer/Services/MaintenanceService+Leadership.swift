import EtcdAPI
import HTTP2
import NIOCore
import Raft
import RaftCore
import Replica
import SwiftProtobuf

// `MoveLeader` (C6): asked of the leader, answered when the other one leads.
extension MaintenanceService {
    /// etcd's text, for which it has no code of its own (E5).
    private static let tookTooLong = GRPCStatus(
        .unknown, "etcdserver: request timed out, leader transfer took too long")

    func moveLeader(_ call: GRPCCall, _ message: ByteBuffer) {
        guard let request: Etcdserverpb_MoveLeaderRequest = call.decode(message) else { return }
        let target = NodeID(request.targetID)
        guard context.node.published.status.leader == context.memberID else {
            return call.finish(GRPCStatus(EtcdError.notLeader))
        }
        // 0 would mean "the best" further down.
        guard context.node.published.view.configuration.voters.contains(target) else {
            return call.finish(GRPCStatus(EtcdError.badLeaderTransferee))
        }
        var patience = context.node.options.requestTimeoutNanoseconds
        if let limit = call.timeLimit {
            let left = max(0, (limit - .now()).nanoseconds)
            // Who waits hears the reason, not only that the time is up.
            patience = min(patience, UInt64(left - left / 20))
        }
        let ticket = AwaitedReply<TransferConclusion>.ticket(on: call.eventLoop) { result in
            if let status = Self.failure(of: result, target: target) { return call.finish(status) }
            call.reply(serializing: Etcdserverpb_MoveLeaderResponse())
        }
        context.node.transferLeadership(to: target, ticket: ticket, timeoutNanoseconds: patience)
    }

    /// Why the other one does not lead now; nil if it does.
    static func failure(
        of result: Swift.Result<TransferConclusion, RequestFailure>, target: NodeID
    ) -> GRPCStatus? {
        switch result {
        case .success(.leads(let leader)): leader == target ? nil : GRPCStatus(EtcdError.leaderChanged)
        case .success(.refused(.alreadyLeader)): nil
        case .success(.refused(.notVoter)), .success(.refused(.nobodySuitable)), .success(.ended(_, .targetRemoved)):
            GRPCStatus(EtcdError.badLeaderTransferee)
        case .success(.refused(.noLeader)): GRPCStatus(EtcdError.notLeader)
        case .success(.ended(_, .timedOut)), .failure(.timedOut): tookTooLong
        case .success(.refused(.leaderRemoved)), .success(.refused(.alreadyUnderWay)), .success(.ended):
            GRPCStatus(EtcdError.leaderChanged)
        case .failure(let failure): GRPCStatus(failure)
        }
    }
}
