import EtcdAPI
import HTTP2
import NIOCore
import Raft
import RaftCore
import Replica
import Testing

@testable import MartletServer

@Suite struct LearnerGateTests {
    private func gate(isLearner: Bool, isJoining: Bool) throws -> LearnerGate {
        var status = NodeStatus(id: NodeID(1))
        status.isLearner = isLearner
        status.isJoining = isJoining
        let view = try MachineFixture(members: 1).view
        return LearnerGate(published: PublishedState(status: status, view: view, applied: .zero))
    }

    private func range(serializable: Bool) -> ByteBuffer {
        var request = WireRangeRequest<[UInt8]>(key: Array("k".utf8))
        request.serializable = serializable
        return ByteBuffer(bytes: request.encoded())
    }

    @Test func `who votes answers everything`() throws {
        let gate = try gate(isLearner: false, isJoining: false)
        for method in EtcdMethod.allCases { #expect(gate.refusal(method.rawValue, nil) == nil) }
    }

    @Test func `a learner reads its own state, says how it is, and gives its snapshot`() throws {
        let gate = try gate(isLearner: true, isJoining: false)
        #expect(gate.refusal(EtcdMethod.range.rawValue, range(serializable: true)) == nil)
        #expect(
            gate.refusal(EtcdMethod.range.rawValue, range(serializable: false))
                == GRPCStatus(.failedPrecondition, "etcdserver: rpc not supported for learner"))
        // What it cannot read is for the service to refuse.
        #expect(gate.refusal(EtcdMethod.range.rawValue, ByteBuffer(bytes: [0xff, 0xff])) == nil)
        let allowed: Set<EtcdMethod> = [.range, .status, .snapshot]
        for method in EtcdMethod.allCases where !allowed.contains(method) {
            let message = method.kind == .unary ? ByteBuffer() : nil
            #expect(gate.refusal(method.rawValue, message) == GRPCStatus(EtcdError.notSupportedForLearner))
        }
        for method in [EtcdMethod.status, .snapshot] { #expect(gate.refusal(method.rawValue, nil) == nil) }
    }

    @Test func `who has not got the state yet answers nothing but how it is`() throws {
        let gate = try gate(isLearner: false, isJoining: true)
        #expect(gate.refusal(EtcdMethod.status.rawValue, ByteBuffer()) == nil)
        for method in [EtcdMethod.range, .snapshot, .put, .watch] {
            #expect(gate.refusal(method.rawValue, range(serializable: true)) == GRPCStatus(EtcdError.noLeader))
        }
    }
}

@Suite struct MoveLeaderAnswerTests {
    private typealias Conclusion = Swift.Result<TransferConclusion, RequestFailure>

    private static let conclusions: [(Conclusion, GRPCStatus?)] = [
        (.success(.leads(NodeID(2))), nil),
        (.success(.refused(.alreadyLeader)), nil),
        (.success(.leads(NodeID(3))), GRPCStatus(EtcdError.leaderChanged)),
        (.success(.refused(.notVoter)), GRPCStatus(EtcdError.badLeaderTransferee)),
        (.success(.ended(to: NodeID(2), .targetRemoved)), GRPCStatus(EtcdError.badLeaderTransferee)),
        (.success(.refused(.noLeader)), GRPCStatus(EtcdError.notLeader)),
        (.success(.ended(to: NodeID(2), .superseded)), GRPCStatus(EtcdError.leaderChanged)),
        (.failure(.stopped), GRPCStatus(EtcdError.stopped)),
    ]

    @Test func `what became of a transfer, as etcd says it`() {
        for (conclusion, status) in Self.conclusions {
            #expect(MaintenanceService.failure(of: conclusion, target: NodeID(2)) == status)
        }
    }

    @Test func `one that took too long has etcd's text, and the code of a text that it does not know`() {
        for result: Conclusion in [.success(.ended(to: NodeID(2), .timedOut)), .failure(.timedOut)] {
            let status = MaintenanceService.failure(of: result, target: NodeID(2))
            #expect(status?.code == .unknown)
            #expect(status?.message == "etcdserver: request timed out, leader transfer took too long")
        }
    }

    private static let refusals: [(ConfigurationRefusal, EtcdError)] = [
        (.notCaughtUp([NodeID(1)]), .learnerNotReady),
        (.losesQuorum(silent: []), .unhealthy), (.removesAllVoters, .memberNotEnoughStarted),
        (.unknownMembers([NodeID(4)]), .memberNotFound), (.isJoint, .timeout),
        (.pending(at: LogIndex(2), applied: LogIndex(1)), .timeout),
    ]

    @Test func `what the leader does not take, as etcd says it`() {
        for (refusal, error) in Self.refusals {
            #expect(GRPCStatus(RequestFailure.configurationRefused(refusal)) == GRPCStatus(error))
        }
    }
}
