import Testing

@testable import RaftCore

@Suite struct `Leadership transfer` {
    private func settled(
        _ count: Int = 3, learners: [UInt64] = [], configure: (inout RaftCore.Options) -> Void = { _ in }
    ) -> TestCluster {
        var cluster = TestCluster(count, learners: learners, configure: configure)
        cluster.campaign(1)
        cluster.tickAll()
        return cluster
    }

    @Test func `to an up-to-date member, and back`() {
        var cluster = settled()
        cluster.transfer(1, to: 2)
        #expect(cluster.leaders == [2])
        #expect(cluster.term(2) == 2)
        #expect(cluster[1].transfers.map(\.outcome) == [.handedOver])
        cluster.transfer(2, to: 1)
        #expect(cluster.leaders == [1])
    }

    @Test func `in spite of leases and without pre-votes`() {
        var cluster = settled {
            $0.checkQuorum = true
            $0.preVote = true
        }
        let before = cluster.sent.count
        cluster.transfer(1, to: 2)
        #expect(cluster.leaders == [2])
        #expect(!cluster.sent[before...].contains { if case .preVote = $0.body { true } else { false } })
    }

    @Test func `to a slow member, once it has caught up`() {
        var cluster = settled()
        cluster.isolated = [3]
        cluster.propose(1, [1])
        cluster.isolated = []
        cluster.step(1, .unreachable(NodeID(3)))
        cluster.transfer(1, to: 3)
        #expect(cluster.leaders == [3])
        #expect(cluster.terms(3) == cluster.terms(1))
    }

    @Test func `to a member that needs a snapshot first`() {
        var cluster = settled()
        cluster.isolated = [3]
        cluster.propose(1, [1])
        cluster.compact(1)
        cluster.isolated = []
        cluster.step(1, .transferLeadership(to: NodeID(3)))
        cluster.tick(1)
        cluster.settle()
        #expect(cluster.leaders == [3])
    }

    @Test func `to itself: nothing`() {
        var cluster = settled()
        cluster.transfer(1, to: 1)
        #expect(cluster.leaders == [1])
        #expect(cluster.status(1).leadTransferee == nil)
        #expect(cluster[1].refusedTransfers == [.alreadyLeader])
    }

    @Test func `to a stranger: nothing`() {
        var cluster = settled()
        cluster.transfer(1, to: 9)
        #expect(cluster.status(1).leadTransferee == nil)
        #expect(cluster[1].refusedTransfers == [.notVoter])
    }

    @Test func `to a learner: nothing`() {
        var cluster = settled(3, learners: [3])
        cluster.transfer(1, to: 3)
        #expect(cluster.leaders == [1])
        #expect(cluster.status(1).leadTransferee == nil)
        #expect(cluster[1].refusedTransfers == [.notVoter])
    }

    @Test func `asked of a follower, it is passed on`() {
        var cluster = settled()
        cluster.transfer(2, to: 3)
        #expect(cluster.leaders == [3])
        var self2 = settled()
        self2.transfer(2, to: 2)
        #expect(self2.leaders == [2])
    }

    @Test func `asked of a follower without a leader: nothing`() {
        var cluster = TestCluster(3)
        cluster.transfer(2, to: 3)
        #expect(cluster.sent.isEmpty)
        #expect(cluster[2].refusedTransfers == [.noLeader])
    }

    @Test func `a dead target costs an election timeout, then the leader goes on`() {
        var cluster = settled()
        cluster.isolated = [3]
        cluster.transfer(1, to: 3)
        #expect(cluster.status(1).leadTransferee == NodeID(3))
        cluster.propose(1, [1])
        #expect(cluster[1].refusals.map(\.reason) == [.transferring])
        cluster.tick(1, 9)
        #expect(cluster.status(1).leadTransferee == NodeID(3))
        cluster.tick(1)
        #expect(cluster.status(1).leadTransferee == nil)
        #expect(cluster[1].transfers.map(\.outcome) == [.timedOut])
        cluster.propose(1, [1])
        #expect(cluster[1].refusals.count == 1)
        #expect(cluster.commit(1) == 2)
    }

    @Test func `a second request to the same target changes nothing, not even its deadline`() {
        var cluster = settled()
        cluster.isolated = [3]
        cluster.transfer(1, to: 3)
        cluster.tick(1, 6)
        cluster.transfer(1, to: 3)
        cluster.tick(1, 4)
        #expect(cluster.status(1).leadTransferee == nil)
        #expect(cluster[1].refusedTransfers == [.alreadyUnderWay])
    }

    @Test func `a second request to another target takes the first one's place`() {
        var cluster = settled()
        cluster.isolated = [3]
        cluster.transfer(1, to: 3)
        cluster.transfer(1, to: 2)
        #expect(cluster.leaders == [2])
        #expect(cluster[1].transfers.map(\.outcome) == [.superseded, .handedOver])
    }

    @Test func `a second request to the leader itself ends the first`() {
        var cluster = settled()
        cluster.isolated = [3]
        cluster.transfer(1, to: 3)
        cluster.transfer(1, to: 1)
        #expect(cluster.status(1).leadTransferee == nil)
    }

    @Test func `a target that is removed or made a learner meanwhile ends it`() {
        for steps in ["r3", "l3"] {
            var cluster = settled()
            cluster[1].appliesLate = true
            cluster.change(1, steps)
            cluster.isolated = [3]
            cluster.transfer(1, to: 3)
            #expect(cluster.status(1).leadTransferee == NodeID(3))
            cluster.apply(1)
            #expect(cluster.status(1).leadTransferee == nil)
            #expect(cluster[1].transfers.map(\.outcome) == [.targetRemoved])
        }
    }

    @Test func `a higher term ends it`() {
        var cluster = settled()
        cluster.isolated = [3]
        cluster.transfer(1, to: 3)
        cluster.campaign(2)
        #expect(cluster.leaders == [2])
        #expect(cluster.status(1).leadTransferee == nil)
        // 3 was told, whatever came of it. A target that was not yet told cannot have been handed anything.
        #expect(cluster[1].transfers.map(\.outcome) == [.handedOver])
        var other = settled()
        other.isolated = [3]
        other.propose(1, [1])
        other.transfer(1, to: 3)
        other.campaign(2)
        #expect(other[1].transfers.map(\.outcome) == [.leadershipLost])
    }

    @Test func `without a name, to the voter that has everything committed and the longest log`() {
        var cluster = settled(4, learners: [4])
        cluster.isolated = [2]
        cluster.propose(1, [1])
        cluster.transfer(1)
        #expect(cluster.leaders == [3])
        #expect(cluster[1].transfers.map(\.to) == [3])
    }

    @Test func `without a name, the preferred of those that are caught up`() {
        let table = [(2, 1), (3, 7), (4, 9)].map { RaftCore.MemberPriority(id: NodeID($0), priority: $1) }
        var cluster = settled(4) {
            $0.priorities = table
            $0.returnsLeadership = false
        }
        cluster.isolated = [4]
        cluster.propose(1, [1])
        cluster.transfer(1)
        #expect(cluster.leaders == [3])
    }

    @Test func `without a name, nobody gets it who was not heard of for an election timeout`() {
        var cluster = settled()
        cluster.isolated = [2, 3]
        cluster.tick(1, 11)
        cluster.transfer(1)
        #expect(cluster[1].refusedTransfers == [.nobodySuitable])
        #expect(cluster.status(1).leadTransferee == nil)
        cluster.propose(1, [1])
        #expect(cluster[1].refusals.isEmpty)
    }

    @Test func `without a name, asked of a follower: the leader chooses`() {
        var cluster = settled()
        cluster.transfer(3)
        #expect(cluster.leaders == [2])
    }

    @Test func `proposals meanwhile are refused on the leader, and none is half taken`() {
        var cluster = settled()
        cluster.isolated = [3]
        cluster.transfer(1, to: 3)
        let last = cluster.core(1).lastIndex
        cluster.step(1, .propose([Proposal(payload: [1]), Proposal(payload: [2])]))
        #expect(cluster[1].refusals.map(\.count) == [2])
        #expect(cluster[1].refusals.map(\.reason) == [.transferring])
        #expect(cluster.core(1).lastIndex == last)
    }

    @Test func `a removed member that is asked to take over does not`() {
        var node = Lone(4, voters: [1, 2, 3])
        #expect(node.receive(.timeoutNow, from: 1, term: 1).messages.isEmpty)
        #expect(node.core.currentRole == .follower)
    }

    @Test func `a member that waits for a snapshot does not take over`() {
        var node = Lone(term: 1)
        let description = SnapshotDescription(
            index: LogIndex(5), term: Term(1), configuration: node.core.currentConfiguration)
        node.receive(.installSnapshot(description), term: 1, persisting: false)
        #expect(node.receive(.timeoutNow, term: 1, persisting: false).messages.isEmpty)
    }
}
