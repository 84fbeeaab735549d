import Testing

@testable import RaftCore

/// A leader that has removed itself, or made itself a learner, by a change that is committed.
@Suite struct `A leader without a vote` {
    private func settled(
        _ count: Int = 3, _ policy: RaftCore.LeaderWithoutVote = .handsOver,
        configure: (inout RaftCore.Options) -> Void = { _ in }
    ) -> TestCluster {
        var cluster = TestCluster(count) {
            $0.whenVoteIsLost = policy
            configure(&$0)
        }
        cluster.campaign(1)
        cluster.tickAll()
        return cluster
    }

    @Test(arguments: ["r1", "l1", "r1 v4", "r1 r2 v4 v5"])
    func `hands over, and the cluster goes on in the next term without an election timeout`(steps: String) {
        var cluster = settled()
        for id in [4, 5] as [UInt64] { cluster.add(NodeID(id), Configuration()) }
        cluster.compact(1)
        cluster.change(1, steps)
        #expect(cluster.role(1) == .follower)
        #expect(cluster.leaders.count == 1)
        let leader = cluster.leaders[0]
        #expect(cluster.term(leader) == 2)
        #expect(!cluster.core(leader).currentConfiguration.isVoter(NodeID(1)))
        let before = cluster.commit(leader)
        cluster.propose(leader, [1])
        #expect(cluster.commit(leader) == before + 1)
    }

    /// What `stepsDown` can end in: see Divergences.
    private func strandedAfterRemoval(_ policy: RaftCore.LeaderWithoutVote) -> TestCluster {
        var cluster = settled(4, policy)
        // 4 is dead. The others get everything from the leader but the news that the change is committed.
        cluster.isolated = [4]
        let change = LogIndex(cluster.core(1).lastIndex.rawValue + 1)
        cluster.loses = { message in
            message.from == NodeID(1)
                && (message.append.map { $0.commit >= change } ?? false
                    || message.heartbeat.map { $0.commit >= change } ?? false)
        }
        let removal = ConfigurationChange(changes: memberChanges("r1"))
        cluster.step(1, .propose([Proposal(kind: .configuration, payload: removal.encode())]))
        // An entry behind it, that nobody else gets.
        let until = cluster.network.count
        cluster.step(1, .propose([Proposal(payload: [1])]))
        cluster.network.removeLast(cluster.network.count - until)
        cluster.settle()
        #expect(!cluster.core(1).currentConfiguration.contains(NodeID(1)))
        #expect(cluster.core(2).currentConfiguration.contains(NodeID(1)))
        cluster.loses = nil
        return cluster
    }

    @Test func `that steps down at once can leave a cluster that cannot elect`() {
        var cluster = strandedAfterRemoval(.stepsDown)
        cluster.tickAll(300)
        // 1 refuses its vote to those whose log is behind its own, and they do not know that they need it no more.
        #expect(cluster.leaders.isEmpty)
    }

    @Test func `that hands over does not: it leads until a majority knows`() {
        var cluster = strandedAfterRemoval(.handsOver)
        #expect(cluster.role(1) == .leader)
        #expect(cluster.status(1).isHandingOver)
        cluster.tickAll(3)
        #expect(cluster.leaders == [2])
        // What was taken behind the change is not lost.
        #expect(cluster[2].log.map(\.payload).contains([1]))
        cluster.tickAll(3)
        #expect(cluster.core(3).currentConfiguration.voters == [2, 3, 4].map { NodeID($0) })
    }

    @Test func `takes no proposals, and says that others will`() {
        var cluster = strandedAfterRemoval(.handsOver)
        cluster.step(1, .propose([Proposal(payload: [1])]))
        #expect(cluster[1].refusals.map(\.reason) == [.transferring])
        cluster.step(1, .transferLeadership(to: NodeID(2)))
        #expect(cluster[1].refusedTransfers == [.leaderRemoved])
    }

    @Test func `does not count itself, and needs a majority of those that stay`() {
        var cluster = strandedAfterRemoval(.handsOver)
        cluster.isolated = [3, 4]
        cluster.tickAll(5)
        // 2 knows, and is one of three.
        #expect(cluster.role(1) == .leader)
        cluster.isolated = [4]
        cluster.step(1, .unreachable(NodeID(3)))
        cluster.tickAll(5)
        #expect(cluster.leaders.count == 1 && cluster.leaders != [1])
    }

    @Test func `goes on through a quorum check that it fails: it is still needed`() {
        var cluster = settled(3) { $0.checkQuorum = true }
        cluster[1].appliesLate = true
        cluster.change(1, "r1")
        cluster.isolated = [2, 3]
        cluster.apply(1)
        cluster.tick(1, 50)
        #expect(cluster.role(1) == .leader)
        cluster.isolated = []
        cluster.network = []
        cluster.tick(1)
        cluster.settle()
        cluster.tickAll(3)
        #expect(cluster.leaders.count == 1 && cluster.leaders != [1])
    }

    @Test(arguments: [true, false])
    func `that crashes before it has handed over leads once more, when those who stay cannot without it`(
        preVote: Bool
    ) {
        var cluster = settled(2) { $0.preVote = preVote }
        // 2 has the change and does not know that it is committed; 1 has an entry more, and crashes.
        cluster.loses = { message in
            message.from == NodeID(1)
                && (message.append.map { $0.commit > LogIndex(1) } ?? false
                    || message.heartbeat.map { $0.commit > LogIndex(1) } ?? false)
        }
        let removal = ConfigurationChange(changes: memberChanges("r1"))
        cluster.step(1, .propose([Proposal(kind: .configuration, payload: removal.encode())]))
        let until = cluster.network.count
        cluster.step(1, .propose([Proposal(payload: [1])]))
        cluster.network.removeLast(cluster.network.count - until)
        cluster.settle()
        #expect(cluster.status(1).isHandingOver && cluster.commit(2) == 1)
        cluster.restart(1)
        cluster.loses = nil
        // By itself it does nothing: it has no vote.
        cluster.tick(1, 100)
        cluster.settle()
        #expect(cluster.leaders.isEmpty && cluster.network.isEmpty)
        // 2 asks it, is refused, and helped.
        cluster.tickAll(60)
        #expect(cluster.leaders == [2])
        #expect(cluster.core(2).currentConfiguration.voters == [NodeID(2)])
        #expect(cluster[2].log.map(\.payload).contains([1]))
    }

    @Test func `who was removed long ago helps nobody: its log is behind`() {
        var cluster = settled(3) { $0.preVote = true }
        cluster.change(1, "r1")
        cluster.tickAll(3)
        let leader = cluster.leaders[0]
        cluster.propose(leader, [1])
        // A voter that is cut off asks around.
        cluster.isolated = [leader]
        let other: UInt64 = leader == 2 ? 3 : 2
        let before = cluster.sent.count
        cluster.campaign(other)
        cluster.tickAll(40)
        #expect(!cluster.sent[before...].contains { $0.from == NodeID(1) && $0.isVoteRequest })
    }

    @Test func `gives way to a leader that the others have elected meanwhile`() {
        var cluster = settled(3) { $0.checkQuorum = true }
        cluster[1].appliesLate = true
        cluster.change(1, "r1")
        cluster.isolated = [1]
        cluster.apply(1)
        cluster.network = []
        cluster[3].core.overrideElectionTimeout(ticks: 100)
        cluster.tick(3, 20)
        cluster.tick(2, 20)
        cluster.settle()
        #expect(cluster.leaders.count == 2)
        cluster.isolated = []
        cluster.tickAll(2)
        #expect(cluster.leaders.count == 1 && cluster.leaders != [1])
    }

    @Test func `answers reads only as its voters confirm`() {
        var cluster = strandedAfterRemoval(.handsOver)
        cluster.isolated = [2, 3, 4]
        cluster.read(1, 1)
        cluster.tick(1, 3)
        cluster.settle()
        #expect(cluster[1].reads.isEmpty)
    }

    @Test func `stays a voter, and leads, until the joint configuration is left`() {
        var cluster = settled()
        cluster.add(NodeID(4), Configuration())
        cluster.compact(1)
        cluster.change(1, "r1 v4", .jointExplicit)
        cluster.tickAll(3)
        #expect(cluster.leaders == [1])
        cluster.propose(1, [1])
        #expect(cluster[1].refusals.isEmpty)
        cluster.change(1, "")
        #expect(cluster.leaders.count == 1 && cluster.leaders != [1])
    }

    @Test func `hands over to whom it was handing over already`() {
        var cluster = settled(4)
        cluster[1].appliesLate = true
        cluster.change(1, "r1")
        cluster.loses = { message in if case .timeoutNow = message.body { true } else { false } }
        cluster.transfer(1, to: 3)
        cluster.loses = nil
        cluster.apply(1)
        cluster.settle()
        #expect(cluster.leaders == [3])
    }

    @Test func `leads on for good only where it was told to`() {
        var cluster = settled(3, .leads)
        cluster.change(1, "r1")
        cluster.tickAll(20)
        #expect(cluster.leaders == [1])
    }

    /// Found by seed 4876: member 2 lost power while it led alone, and came back without its newest entry, in a
    /// configuration that still needed member 1; that had been removed, took it for its leader, and refused.
    @Test(arguments: [true, false])
    func `a node without a vote does not take for its leader who asks it for votes`(preVote: Bool) {
        var node = Lone(1, voters: [2], log: [1, 1, 1], term: 1, commit: 2) {
            $0.whenVoteIsLost = .handsOver
            $0.preVote = preVote
        }
        node.receive(
            .appendEntries(
                AppendEntries(previousIndex: LogIndex(3), previousTerm: Term(1), commit: LogIndex(2), entries: [])),
            term: 1)
        #expect(node.core.currentLeader == NodeID(2))
        let request = VoteRequest(lastIndex: LogIndex(2), lastTerm: Term(1), isTransfer: false)
        let effects = node.receive(preVote ? .preVote(request) : .vote(request), term: 2)
        let asked = effects.messages.filter { message in
            switch message.body {
            case .preVote, .vote: message.to == NodeID(2)
            default: false
            }
        }
        #expect(asked.count == 1)
    }
}
