import EtcdAPI
import HTTP2
import Raft
import RaftCore
import Replica
import Testing

@testable import MartletServer

@Suite struct CallGateTests {
    private func gate(leader: NodeID?) throws -> CallGate {
        var status = NodeStatus(id: NodeID(1))
        status.leader = leader
        let view = try MachineFixture(members: 1).view
        return CallGate(published: PublishedState(status: status, view: view, applied: .zero))
    }

    @Test func `who wants a leader is told that there is none`() throws {
        let alone = try gate(leader: nil)
        #expect(alone.refusal(isVersionText: true, needsLeader: true) == GRPCStatus(EtcdError.noLeader))
        #expect(alone.refusal(isVersionText: true, needsLeader: false) == nil)
        #expect(try gate(leader: NodeID(2)).refusal(isVersionText: true, needsLeader: true) == nil)
    }

    @Test func `a client's version is text, and that is looked at first`() throws {
        let expected = GRPCStatus(.invalidArgument, "etcdserver: invalid client api version")
        for needsLeader in [false, true] {
            #expect(try gate(leader: nil).refusal(isVersionText: false, needsLeader: needsLeader) == expected)
        }
    }
}
