import Testing

@testable import RaftCore

@Suite struct `Linearizable reads` {
    @Test func `a leader answers when a quorum has answered a heartbeat`() {
        var cluster = TestCluster(3)
        cluster.campaign(1)
        cluster.propose(1, [1])
        cluster.read(1, 7)
        #expect(cluster[1].reads.isEmpty)
        cluster.deliverOne()
        cluster.deliverOne()
        cluster.deliverOne()
        #expect(cluster[1].reads == [7: 2])
    }

    @Test func `a follower's read goes through the leader, and comes back to it`() {
        var cluster = TestCluster(3)
        cluster.campaign(1)
        cluster.propose(1, [1])
        cluster.read(3, 7)
        cluster.read(2, 7)
        cluster.settle()
        #expect(cluster[3].reads == [7: 2])
        #expect(cluster[2].reads == [7: 2])
        #expect(cluster[1].reads.isEmpty)
    }

    @Test func `a learner reads too, and its answers count for nothing`() {
        var cluster = TestCluster(3, learners: [3])
        cluster.campaign(1)
        cluster.isolated = [2]
        cluster.read(3, 1)
        cluster.settle()
        #expect(cluster[3].reads.isEmpty)
        cluster.isolated = []
        cluster.tickAll()
        #expect(cluster[3].reads == [1: 1])
    }

    @Test func `the index is that of the read's arrival or later`() {
        var cluster = TestCluster(3)
        cluster.campaign(1)
        for round in 1...5 as ClosedRange<UInt64> {
            cluster.propose(1, [1])
            cluster.read(1, round)
            cluster.settle()
            #expect(cluster[1].reads[round] == round + 1)
        }
    }

    @Test func `many reads share rounds: the first goes out at once, the rest with the next`() {
        var cluster = TestCluster(3)
        cluster.campaign(1)
        let before = cluster.sent.count
        for read in 1...100 as ClosedRange<UInt64> { cluster.read(1, read) }
        cluster.settle()
        #expect(cluster[1].reads.count == 100)
        #expect(cluster.sent[before...].count { $0.heartbeat != nil } == 4)
    }

    @Test func `a batch of reads is one round`() {
        var cluster = TestCluster(3)
        cluster.campaign(1)
        let before = cluster.sent.count
        cluster.step(1, .readMany((1...100).map { ReadID($0) }))
        cluster.settle()
        #expect(cluster[1].reads.count == 100)
        #expect(cluster.sent[before...].count { $0.heartbeat != nil } == 2)
    }

    @Test func `the loss of a round delays reads to the next heartbeat, those behind it too`() {
        var cluster = TestCluster(3)
        cluster.campaign(1)
        cluster.loses = { $0.heartbeat != nil }
        cluster.read(1, 1)
        cluster.read(1, 2)
        cluster.settle()
        cluster.loses = nil
        #expect(cluster[1].reads.isEmpty)
        cluster.tick(1)
        cluster.settle()
        #expect(cluster[1].reads.keys.sorted() == [1, 2])
    }

    @Test func `heartbeats without open reads confirm none`() {
        var cluster = TestCluster(3)
        cluster.campaign(1)
        cluster.read(1, 1)
        cluster.settle()
        let before = cluster.sent.count
        cluster.tick(1)
        #expect(cluster.sent[before...].compactMap { $0.heartbeat?.readSequence } == [0, 0])
    }

    @Test func `a new leader answers when it has committed in its term`() {
        var cluster = TestCluster(3)
        cluster.campaign(1)
        cluster.propose(1, [1])
        // 2 takes over, and its first entry does not get through.
        cluster.loses = { $0.append?.entries.isEmpty == false }
        cluster.campaign(2)
        #expect(cluster.role(2) == .leader)
        cluster.tick(2)
        cluster.settle()
        cluster.read(2, 1)
        cluster.read(3, 2)
        cluster.settle()
        cluster.tick(2)
        cluster.settle()
        #expect(cluster[2].reads.isEmpty && cluster[3].reads.isEmpty)
        cluster.loses = nil
        cluster.step(2, .unreachable(NodeID(3)))
        cluster.tick(2)
        cluster.settle()
        #expect(cluster[2].reads == [1: 3])
        #expect(cluster[3].reads == [2: 3])
    }

    @Test func `a deposed leader answers nothing: its reads are refused when it learns of it`() {
        var cluster = TestCluster(3)
        cluster.campaign(1)
        cluster.isolated = [1]
        cluster.read(1, 1)
        cluster.settle()
        cluster.campaign(2)
        cluster.propose(2, [5])
        cluster.read(1, 2)
        cluster.tick(1, 5)
        cluster.settle()
        #expect(cluster[1].reads.isEmpty)
        cluster.isolated = []
        cluster.tickAll()
        #expect(cluster.role(1) == .follower)
        #expect(cluster[1].refusedReads == [1: .noLeader, 2: .noLeader])
    }

    @Test func `without a leader a read is refused at once`() {
        var cluster = TestCluster(3)
        cluster.read(1, 1)
        cluster.step(2, .readMany([ReadID(2), ReadID(3)]))
        #expect(cluster[1].refusedReads == [1: .noLeader])
        #expect(cluster[2].refusedReads == [2: .noLeader, 3: .noLeader])
    }

    @Test func `a read that reaches an old leader is not passed on: its id is another's`() {
        var cluster = TestCluster(3)
        cluster.campaign(1)
        cluster.step(3, .read(ReadID(1)))
        let stray = cluster.network.removeLast()
        cluster.campaign(2)
        cluster.network.append(stray)
        cluster.settle()
        #expect(cluster[1].reads.isEmpty && cluster[3].reads.isEmpty)
    }

    @Test func `an answer to a heartbeat before the read confirms nothing`() {
        var node = Lone()
        node.lead()
        node.receive(accepted(1), term: 1)
        node.step(.read(ReadID(1)))
        node.step(.read(ReadID(2)))
        // Round 1 has the first read only.
        let first = node.receive(.heartbeatReply(HeartbeatReply(readSequence: 1)), term: 1)
        #expect(first.readyReads == [1])
        let again = node.receive(.heartbeatReply(HeartbeatReply(readSequence: 1)), from: 3, term: 1)
        #expect(again.readyReads.isEmpty)
        let second = node.receive(.heartbeatReply(HeartbeatReply(readSequence: 2)), term: 1)
        #expect(second.readyReads == [2])
        let invented = node.receive(.heartbeatReply(HeartbeatReply(readSequence: 99)), term: 1)
        #expect(invented.ignored.count == 1)
    }

    @Test func `a single voter answers at once, when it has committed in its term`() {
        var cluster = TestCluster(1)
        cluster[1].diskWaits = true
        cluster.step(1, .campaign)
        cluster.persist(1)
        #expect(cluster.role(1) == .leader)
        cluster.read(1, 1)
        #expect(cluster[1].reads.isEmpty)
        cluster.persist(1)
        #expect(cluster[1].reads == [1: 1])
        cluster.read(1, 2)
        #expect(cluster[1].reads[2] == 1)
    }

    @Test func `reads beyond the limit are refused`() {
        var cluster = TestCluster(3) { $0.maxPendingReads = 2 }
        cluster.campaign(1)
        cluster.isolated = [2, 3]
        for read in 1...4 as ClosedRange<UInt64> { cluster.read(1, read) }
        #expect(cluster[1].refusedReads == [3: .tooManyReads, 4: .tooManyReads])
        #expect(cluster.status(1).pendingReads == 2)
    }

    @Test func `reads that wait are answered when the configuration shrinks to those that have answered`() {
        var cluster = TestCluster(2)
        cluster.campaign(1)
        cluster[1].appliesLate = true
        cluster.change(1, "r2")
        cluster.isolated = [2]
        cluster.read(1, 1)
        cluster.settle()
        #expect(cluster[1].reads.isEmpty)
        cluster.apply(1)
        #expect(cluster[1].reads == [1: 2])
    }

    // MARK: Leases

    private func leased(_ count: Int = 3) -> TestCluster {
        var cluster = TestCluster(count) {
            $0.checkQuorum = true
            $0.readMode = .lease
        }
        cluster.campaign(1)
        return cluster
    }

    @Test func `a leader with a lease reads without a message`() {
        var cluster = leased()
        cluster.tickAll()
        let before = cluster.sent.count
        cluster.read(1, 1)
        #expect(cluster[1].reads == [1: 1])
        #expect(cluster.sent.count == before)
    }

    @Test func `before the first answered heartbeat there is no lease, and a round is made`() {
        var cluster = leased()
        cluster.read(1, 1)
        #expect(cluster[1].reads.isEmpty)
        cluster.settle()
        #expect(cluster[1].reads == [1: 1])
    }

    @Test func `a lease ends before anyone it rests on could vote for another`() {
        for lag in 0...12 {
            var cluster = leased()
            cluster.tickAll()
            cluster.isolated = [1]
            // The leader's clock may lag behind the others' phase, not their pace.
            cluster[2].core.overrideElectionTimeout(ticks: 10)
            var answered = 0
            for _ in 0..<lag {
                cluster.tick(2)
                cluster.tick(3)
                cluster.settle()
                cluster.tick(1)
            }
            let hasOther = cluster.leaders.contains(2) || cluster.leaders.contains(3)
            cluster.read(1, 1)
            answered += cluster[1].reads.count
            #expect(!(hasOther && answered > 0), "after \(lag) ticks")
            if lag <= 6 { #expect(answered == 1, "after \(lag) ticks") }
        }
    }

    @Test func `a leader that was stopped answers nothing by a lease that has run out meanwhile`() {
        for pause in 0...20 {
            var cluster = leased()
            cluster.tickAll()
            cluster.isolated = [1]
            cluster[2].core.overrideElectionTimeout(ticks: 10)
            for _ in 0..<pause {
                cluster.tick(2)
                cluster.tick(3)
                cluster.settle()
            }
            let hasOther = cluster.leaders.contains(2) || cluster.leaders.contains(3)
            // What it has missed, all at once, before anything else.
            cluster.tick(1, pause)
            cluster.read(1, 1)
            #expect(!(hasOther && !cluster[1].reads.isEmpty), "after \(pause) ticks")
        }
    }

    @Test func `a confirmation that comes twice answers once`() {
        var node = Lone()
        node.lead()
        node.receive(accepted(1), term: 1)
        let asked = node.step(.read(ReadID(7))).messages.compactMap(\.heartbeat?.readSequence)
        #expect(asked == [1, 1])
        #expect(node.receive(.heartbeatReply(HeartbeatReply(readSequence: 1)), from: 2, term: 1).readyReads == [7])
        #expect(node.receive(.heartbeatReply(HeartbeatReply(readSequence: 1)), from: 2, term: 1).readyReads.isEmpty)
        #expect(node.receive(.heartbeatReply(HeartbeatReply(readSequence: 1)), from: 3, term: 1).readyReads.isEmpty)
    }

    @Test func `the margin is for clocks that run faster than the leader's`() {
        // The others' clocks gain a fifth; without a margin for that the lease would outlast their promise.
        for margin in [0, 3] {
            var isStale = false
            for lag in 0...10 {
                var cluster = TestCluster(3) {
                    $0.checkQuorum = true
                    $0.readMode = .lease
                    $0.electionTicks = 20
                    $0.leaseMarginTicks = margin
                }
                cluster.campaign(1)
                cluster.tickAll()
                cluster.isolated = [1]
                cluster[2].core.overrideElectionTimeout(ticks: 20)
                cluster.tick(1, 12 + lag)
                for _ in 0..<(12 + lag) * 6 / 5 {
                    cluster.tick(2)
                    cluster.tick(3)
                    cluster.settle()
                }
                cluster.read(1, 1)
                let hasOther = cluster.leaders.contains(2) || cluster.leaders.contains(3)
                if hasOther, !cluster[1].reads.isEmpty { isStale = true }
            }
            #expect(isStale == (margin == 0))
        }
    }

    @Test func `after asking someone to take over a leader trusts its lease no more`() {
        var cluster = leased()
        cluster.tickAll()
        cluster.step(1, .transferLeadership(to: NodeID(2)))
        // The request is under way; whenever it arrives, 2 may win within the lease.
        let request = cluster.network.removeLast()
        cluster.read(1, 1)
        #expect(cluster[1].reads.isEmpty)
        cluster.settle()
        #expect(cluster[1].reads == [1: 1])
        cluster.tickAll(12)
        cluster.isolated = [1]
        cluster.network.append(request)
        cluster.isolated = []
        cluster.cut = [[2, 1], [3, 1]]
        cluster.settle()
        #expect(cluster.role(2) == .leader && cluster.role(1) == .leader)
        cluster.read(1, 2)
        #expect(cluster[1].reads[2] == nil)
    }

    @Test func `a restarted member keeps the promises that it may have forgotten`() {
        var cluster = leased()
        cluster.tickAll()
        cluster.restart(2)
        cluster.isolated = [1]
        cluster.tick(3, 10)
        cluster.campaign(3)
        #expect(cluster.role(3) == .candidate)
        cluster.tick(2, 10)
        cluster.campaign(3)
        #expect(cluster.role(3) == .leader)
    }

    @Test func `a stray message of a higher term does not end a promise`() {
        var node = Lone(term: 1) {
            $0.checkQuorum = true
            $0.readMode = .lease
        }
        _ = node.tick(10)
        node.receive(.heartbeat(Heartbeat(commit: .zero, readSequence: 1)), from: 2, term: 1)
        node.receive(.voteReply(VoteReply(isGranted: false)), from: 3, term: 5)
        #expect(node.core.currentTerm == Term(5))
        #expect(node.receive(.vote(voteRequest((0, 0))), from: 3, term: 6).messages.isEmpty)
        _ = node.tick(10)
        #expect(!node.receive(.vote(voteRequest((0, 0))), from: 3, term: 99).messages.isEmpty)
    }

    @Test func `where reads rest on leases, nobody forgets a leader`() {
        var cluster = leased()
        cluster.step(2, .forgetLeader)
        #expect(cluster.core(2).currentLeader == NodeID(1))
    }
}

extension [Effect] {
    fileprivate var readyReads: [UInt64] {
        compactMap { if case .readReady(let id, _) = $0 { id.rawValue } else { nil } }
    }
}
