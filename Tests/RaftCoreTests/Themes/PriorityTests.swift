import Testing

@testable import RaftCore

@Suite struct `Leader priority` {
    private static let table = [(1, 3), (2, 2), (3, 1)].map {
        RaftCore.MemberPriority(id: NodeID($0), priority: $1)
    }

    private func cluster(
        _ count: Int = 3, returns: Bool = true, configure: (inout RaftCore.Options) -> Void = { _ in }
    ) -> TestCluster {
        TestCluster(count) {
            $0.preVote = true
            $0.checkQuorum = true
            $0.priorities = Self.table
            $0.returnsLeadership = returns
            configure(&$0)
        }
    }

    @Test func `the most preferred campaigns first, whatever chance says`() {
        for seed in 0..<200 as Range<UInt64> {
            var cluster = cluster { $0.randomSeed = $0.id.rawValue &* 31 &+ seed }
            while cluster.leaders.isEmpty { cluster.tickAll() }
            #expect(cluster.leaders == [1])
            #expect(cluster.term(1) == 1)
        }
    }

    @Test func `a cluster whose preferred members are dead still elects`() {
        for dead in [[1], [2], [1, 4], [1, 2]] as [Set<UInt64>] {
            var cluster = cluster(5)
            cluster.isolated = dead
            var ticks = 0
            while cluster.leaders.isEmpty, ticks < 100 {
                cluster.tickAll()
                ticks += 1
            }
            #expect(cluster.leaders.count == 1 && ticks <= 50, "\(dead): \(ticks)")
        }
    }

    @Test func `however many ranks there are, the last one campaigns in the end`() {
        let table = (1...9).map { RaftCore.MemberPriority(id: NodeID($0), priority: Int($0)) }
        var node = Lone(1, voters: Array(1...9)) { $0.priorities = table }
        #expect(node.core.status.electionTimeoutTicks < 50)
        let asked = (0..<50).flatMap { _ in node.tick(1) }.messages.filter(\.isVoteRequest)
        #expect(asked.count >= 8)
    }

    @Test func `a preferred member whose log is too short does not keep the others from leading`() {
        for preVote in [true, false] {
            var cluster = TestCluster(3, log: [[1], [1, 1], [1, 1]]) {
                $0.preVote = preVote
                $0.priorities = Self.table
            }
            var ticks = 0
            while cluster.leaders.isEmpty, ticks < 200 {
                cluster.tickAll()
                ticks += 1
            }
            #expect(cluster.leaders.count == 1 && cluster.leaders != [1])
            #expect(ticks < 60, "\(preVote): \(ticks)")
            // It gets its turn once it has caught up.
            cluster.tickAll(40)
            #expect(cluster.leaders == [1])
        }
    }

    @Test func `it is not a question of votes: a less preferred candidate gets them`() {
        var cluster = cluster()
        cluster.campaign(3)
        #expect(cluster.leaders == [3])
        #expect(cluster.sent.compactMap(\.voteReply?.isGranted).contains(false) == false)
    }

    @Test func `a leader hands over to a preferred member that has come back and caught up`() {
        var cluster = cluster()
        cluster.isolated = [1]
        cluster.campaign(2)
        cluster.propose(2, [1])
        #expect(cluster.leaders == [2])
        cluster.tickAll(25)
        #expect(cluster.leaders == [2])
        cluster.isolated = []
        cluster.tickAll(25)
        #expect(cluster.leaders == [1])
        #expect(cluster.terms(1) == cluster.terms(2))
    }

    @Test func `it does not where it was told not to, nor for want of a table`() {
        for (returns, table) in [(false, Self.table), (true, [])] {
            var cluster = cluster(returns: returns) { $0.priorities = table }
            cluster.campaign(3)
            cluster.tickAll(60)
            #expect(cluster.leaders == [3])
        }
    }

    @Test func `offers that fail get rarer`() {
        var cluster = cluster()
        // 1 is there, and gets everything but the request to campaign.
        cluster.loses = { message in if case .timeoutNow = message.body { true } else { false } }
        cluster.campaign(2)
        cluster.tickAll(2_000)
        #expect(cluster.leaders == [2])
        let offers = cluster[2].transfers.count
        #expect(offers >= 3 && offers <= 8, "\(offers)")
        #expect(cluster[2].transfers.allSatisfy { $0.to == 1 && $0.outcome == .timedOut })
    }

    @Test func `nothing is handed over while the configuration is joint`() {
        var cluster = cluster()
        cluster.add(NodeID(4), Configuration())
        cluster.campaign(2)
        cluster.compact(2)
        cluster.change(2, "v4", .jointExplicit)
        cluster.tickAll(60)
        #expect(cluster.leaders == [2])
        cluster.change(2, "")
        cluster.tickAll(60)
        #expect(cluster.leaders == [1])
    }

    @Test func `the table changes at run time`() {
        var cluster = cluster()
        cluster.campaign(1)
        for id in 1...3 as ClosedRange<UInt64> {
            var options = cluster.core(id).options
            options.priorities = [.init(id: NodeID(3), priority: 1)]
            cluster.step(id, .optionsChanged(options))
        }
        cluster.tickAll(30)
        #expect(cluster.leaders == [3])
    }

    @Test func `a node that is told not to campaign by itself leads when it is asked to`() {
        var cluster = cluster { $0.campaignsOnTimeout = false }
        cluster.tickAll(100)
        #expect(cluster.leaders.isEmpty && cluster.sent.isEmpty)
        cluster.campaign(2)
        #expect(cluster.leaders == [2])
    }
}
