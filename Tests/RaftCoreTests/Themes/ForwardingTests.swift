import Testing

@testable import RaftCore

@Suite struct `What a follower passes on and the leader does not take` {
    private func settled(configure: (inout RaftCore.Options) -> Void = { _ in }) -> TestCluster {
        var cluster = TestCluster(3, configure: configure)
        cluster.campaign(1)
        cluster.tickAll()
        return cluster
    }

    @Test func `proposals during a transfer are handed back to whoever passed them on`() {
        var cluster = settled()
        cluster.isolated = [3]
        cluster.step(1, .transferLeadership(to: NodeID(3)))
        cluster.propose(2, [7])
        let refused = cluster[1].refusedForwards
        #expect(refused.map(\.from) == [2])
        guard case .proposals(let proposals, .transferring)? = refused.first?.what else {
            Issue.record("\(refused)")
            return
        }
        #expect(proposals.map(\.payload) == [[7]])
        #expect(cluster[1].refusals.isEmpty)
    }

    @Test func `a change of the configuration is, with the reason`() {
        var cluster = settled()
        cluster.change(2, "r9")
        guard case .configurationChange(_, .unknownMembers(let ids))? = cluster[1].refusedForwards.first?.what else {
            Issue.record("\(cluster[1].refusedForwards)")
            return
        }
        #expect(ids == [NodeID(9)])
        #expect(cluster[1].refusedChanges.isEmpty)
    }

    @Test func `a transfer is, with the reason`() {
        var cluster = settled()
        cluster.transfer(2, to: 9)
        #expect(cluster[1].refusedForwards.map(\.what) == [.transfer(to: NodeID(9), reason: .notVoter)])
        #expect(cluster[1].refusedTransfers.isEmpty)
    }

    @Test func `what nobody can be passed on to is handed back too`() {
        var node = Lone(log: [1], term: 1, commit: 1)
        let proposal = Proposal(payload: [1])
        let message = Message(from: NodeID(2), to: NodeID(1), term: .zero, body: .propose([proposal]))
        let refused = node.step(.received(message)).compactMap { effect -> RefusedForward? in
            if case .forwardRefused(let refused, from: NodeID(2)) = effect { refused } else { nil }
        }
        #expect(refused == [.proposals([proposal], reason: .noLeader)])
    }

    @Test func `an answer comes out as it went in, from members only`() {
        var cluster = settled()
        let answer = ForwardAnswer.proposalsRefused([4, 5], reason: .transferring)
        func message(from: UInt64) -> Message {
            Message(from: NodeID(from), to: NodeID(2), term: .zero, body: .forwardAnswer(answer))
        }
        cluster.step(2, .received(message(from: 1)))
        #expect(cluster[2].answers == [answer])
        cluster.step(2, .received(message(from: 9)))
        #expect(cluster[2].answers == [answer])
    }
}
