import Testing

@testable import RaftCore

@Suite struct `Elections` {
    @Test(arguments: [false, true])
    func `every member in turn can become leader`(preVote: Bool) {
        var cluster = TestCluster(3) { $0.preVote = preVote }
        for id in [1, 2, 3, 1] as [UInt64] {
            cluster.campaign(id)
            #expect(cluster.leaders == [id])
            for other in 1...3 as ClosedRange<UInt64> { #expect(cluster.core(other).currentLeader == NodeID(id)) }
        }
    }

    @Test(arguments: [false, true])
    func `nobody leads without a majority`(preVote: Bool) {
        var cluster = TestCluster(5) { $0.preVote = preVote }
        cluster.isolated = [2, 3, 4]
        cluster.campaign(1)
        #expect(cluster.leaders.isEmpty)
        #expect(cluster.term(1) == (preVote ? 0 : 1))
    }

    @Test func `a leader overwrites newer logs that were never committed`() {
        // 1 and 2 lost elections of terms that 4 and 5 then had entries of.
        var cluster = TestCluster(5, log: [[1], [1], [2], [], []])
        for id in [4, 5] as [UInt64] {
            let request = Message.Body.vote(voteRequest((2, 1)))
            cluster.step(id, .received(Message(from: NodeID(3), to: NodeID(id), term: Term(2), body: request)))
        }
        cluster.network = []
        cluster.campaign(1)
        #expect(cluster.role(1) == .follower)
        #expect(cluster.term(1) == 2)
        cluster.campaign(1)
        #expect(cluster.role(1) == .leader)
        for id in 1...5 as ClosedRange<UInt64> { #expect(cluster.terms(id) == [1, 3]) }
    }

    @Test(arguments: [false, true])
    func `of two candidates, the one that was cut off concedes`(preVote: Bool) {
        var cluster = TestCluster(3) { $0.preVote = preVote }
        cluster.cut = [[1, 3], [3, 1]]
        cluster.campaign(1)
        cluster.campaign(3)
        #expect(cluster.role(1) == .leader)
        // A refused pre-vote tells it of the term.
        #expect(cluster.role(3) == (preVote ? .follower : .candidate))
        cluster.cut = []
        cluster.campaign(3)
        // With a shorter log it cannot win; without pre-vote it ends the first one's leadership all the same.
        #expect(cluster.role(3) == .follower)
        #expect(cluster.role(1) == (preVote ? .leader : .follower))
        #expect(cluster.term(1) == (preVote ? 1 : 2))
    }

    @Test func `a candidate concedes to the leader that it hears from, and takes its log`() {
        var cluster = TestCluster(3)
        cluster.isolated = [1]
        cluster.campaign(1)
        cluster.campaign(3)
        cluster.isolated = []
        cluster.tickAll()
        cluster.propose(3, [9])
        cluster.tickAll()
        #expect(cluster.role(1) == .follower)
        #expect(cluster.term(1) == 1)
        #expect(cluster.terms(1) == cluster.terms(3))
    }

    @Test func `nobody is asked for a vote before the candidate's own is durable`() {
        var cluster = TestCluster(3)
        cluster[1].diskWaits = true
        cluster.step(1, .campaign)
        cluster.settle()
        #expect(cluster.sent.isEmpty)
        #expect(cluster.role(1) == .candidate)
        cluster.persist(1)
        cluster.settle()
        #expect(cluster.role(1) == .leader)
        // As for any leader, its own entry counts once it is durable.
        #expect(cluster.status(1).stableIndex == .zero)
        cluster.persist(1)
        cluster.settle()
        #expect(cluster.commit(1) == 1)
    }

    @Test func `an own vote of an older campaign is not one in a newer term`() {
        var node = Lone(voters: [1, 2])
        node.step(.campaign, persisting: false)
        node.step(.campaign, persisting: false)
        node.step(.persisted(WriteID(1)), persisting: false)
        node.receive(.voteReply(VoteReply(isGranted: true)), term: 2, persisting: false)
        #expect(node.core.currentRole == .candidate)
        node.step(.persisted(WriteID(2)), persisting: false)
        #expect(node.core.currentRole == .leader)
    }

    @Test func `asking for pre-votes changes neither term nor vote nor anybody's leader`() {
        var cluster = TestCluster(3) { $0.preVote = true }
        cluster.campaign(1)
        cluster.isolated = [3]
        for _ in 0..<5 { cluster.campaign(3) }
        #expect(cluster.term(3) == 1)
        cluster.propose(1, [1])
        cluster.isolated = []
        cluster.campaign(3)
        #expect(cluster.role(1) == .leader)
        #expect(cluster.term(1) == 1)
    }

    @Test func `with pre-vote, split votes end in a later term`() {
        var cluster = TestCluster(3) { $0.preVote = true }
        cluster.campaign(1)
        cluster.isolated = [1]
        // 2 and 3 get pre-votes from each other, and then vote for themselves.
        cluster.step(2, .forgetLeader)
        cluster.step(3, .forgetLeader)
        cluster.step(2, .campaign)
        cluster.step(3, .campaign)
        cluster.settle()
        #expect(cluster.term(2) == 2 && cluster.term(3) == 2)
        #expect(cluster.leaders == [1])
        cluster.campaign(2)
        #expect(cluster.leaders == [1, 2])
        #expect(cluster.term(3) == 3)
    }

    @Test func `a node with a higher term and a short log cannot stop the others (pre-vote switched on later)`() {
        var cluster = TestCluster(3, log: [[1, 1], [1, 1], [1]]) { $0.preVote = true }
        // 3 went ahead to term 5 before.
        cluster.step(
            3, .received(Message(from: NodeID(2), to: NodeID(3), term: Term(5), body: .vote(voteRequest((0, 0))))))
        cluster.network = []
        cluster.isolated = [1]
        cluster.campaign(3)
        cluster.campaign(2)
        cluster.campaign(2)
        #expect(cluster.leaders == [2])
        #expect(cluster.terms(3) == cluster.terms(2))
    }

    @Test func `a follower that has a leader does not vote for others within the election timeout`() {
        var cluster = TestCluster(3) { $0.checkQuorum = true }
        cluster.campaign(1)
        cluster.campaign(3)
        #expect(cluster.role(1) == .leader)
        #expect(cluster.role(3) == .candidate)
        #expect(cluster.term(2) == 1)
        // When the leader falls silent, it does.
        cluster.isolated = [1]
        cluster[2].core.overrideElectionTimeout(ticks: 100)
        cluster.tick(2, 10)
        cluster.campaign(3)
        #expect(cluster.role(3) == .leader)
    }

    @Test func `a leader steps down when a quorum is silent for an election timeout`() {
        var cluster = TestCluster(3) { $0.checkQuorum = true }
        cluster.campaign(1)
        cluster.tickAll(30)
        #expect(cluster.role(1) == .leader)
        cluster.isolated = [2, 3]
        cluster.tick(1, 10)
        #expect(cluster.role(1) == .leader)
        cluster.tick(1, 10)
        #expect(cluster.role(1) == .follower)
        #expect(cluster.term(1) == 1)
        #expect(cluster[1].traces.contains(.steppedDownWithoutQuorum(Term(1))))
    }

    @Test func `without quorum checks it goes on`() {
        var cluster = TestCluster(3)
        cluster.campaign(1)
        cluster.isolated = [2, 3]
        cluster.tick(1, 50)
        #expect(cluster.role(1) == .leader)
    }

    @Test(arguments: [RoleName.follower, .preCandidate, .candidate, .leader])
    func `a vote of a higher term is granted in any role`(role: RoleName) {
        var node = Lone(log: [1], term: 1) { $0.preVote = role == .preCandidate }
        switch role {
        case .follower: break
        case .preCandidate, .candidate: node.step(.campaign)
        case .leader: node.lead()
        }
        #expect(node.core.currentRole == role)
        let term = node.core.currentTerm.rawValue + 2
        let replies = node.receive(.vote(voteRequest((term - 1, 9))), from: 3, term: term).messages
        #expect(replies.compactMap(\.voteReply?.isGranted) == [true])
        #expect(node.core.currentRole == .follower)
        #expect(node.core.status.votedFor == NodeID(3))
    }

    @Test func `a node whose term is smaller can complete an election`() {
        var cluster = TestCluster(3) { $0.preVote = true }
        cluster.campaign(1)
        // 3 is cut off, misses a term, and comes back as the only other one.
        cluster.isolated = [3]
        cluster.campaign(2)
        #expect(cluster.term(2) == 2 && cluster.term(3) == 1)
        cluster.isolated = [2]
        cluster.campaign(3)
        cluster.campaign(1)
        // 3 has learned of the term by asking; 1 has the longer log.
        #expect(cluster.leaders.contains(1))
        #expect(cluster.term(1) == 3 && cluster.term(3) == 3)
    }

    @Test func `without pre-vote, a node that comes back ends the leader's term, and the cluster goes on`() {
        var cluster = TestCluster(3) { $0.checkQuorum = true }
        cluster.campaign(1)
        cluster.isolated = [3]
        cluster.tick(3, 40)
        let term = cluster.term(3)
        #expect(term > 1)
        cluster.isolated = []
        cluster.tickAll(40)
        #expect(cluster.leaders.count == 1)
        #expect(cluster.term(1) > term)
        #expect(cluster.term(1) == cluster.term(3))
    }

    @Test func `a voter that does not know that it is one follows and votes, with quorum checks too`() {
        var cluster = TestCluster(2) { $0.checkQuorum = true }
        // 2's own configuration lacks it: it has not applied the change that adds it.
        cluster.members[1].core = RaftCore(
            options: cluster.core(2).options,
            restored: .init(configuration: Configuration(voters: [NodeID(1)])))
        cluster.campaign(1)
        #expect(cluster.leaders == [1])
        #expect(cluster.core(2).currentLeader == NodeID(1))
        cluster.tick(2, 40)
        #expect(cluster.role(2) == .follower)
    }

    @Test func `a candidate stuck in a higher term is freed: the leader hears of the term and steps down`() {
        var cluster = TestCluster(3) { $0.checkQuorum = true }
        cluster.campaign(1)
        cluster.isolated = [3]
        for _ in 0..<3 { cluster.campaign(3) }
        cluster.isolated = []
        #expect(cluster.term(3) == 4)
        cluster.tick(1)
        cluster.settle()
        #expect(cluster.role(1) == .follower)
        #expect(cluster.term(1) == 4)
        cluster.campaign(1)
        #expect(cluster.role(1) == .leader)
        #expect(cluster.core(3).currentLeader == NodeID(1))
    }

    @Test func `with pre-vote, a node that comes back disturbs nobody`() {
        var cluster = TestCluster(3) {
            $0.checkQuorum = true
            $0.preVote = true
        }
        cluster.campaign(1)
        cluster.isolated = [3]
        for _ in 0..<60 {
            cluster.tick(1)
            cluster.tick(3)
            cluster.settle()
        }
        cluster.isolated = []
        cluster.tickAll(5)
        #expect(cluster.role(1) == .leader)
        #expect(cluster.term(1) == 1)
        #expect(cluster.core(3).currentLeader == NodeID(1))
    }

    @Test func `a member that only sends and cannot receive does not keep the cluster from working`() {
        var cluster = TestCluster(3) {
            $0.checkQuorum = true
            $0.preVote = true
        }
        cluster.campaign(1)
        cluster.cut = [[1, 3], [2, 3]]
        cluster.tickAll(100)
        #expect(cluster.leaders == [1])
        #expect(cluster.term(1) == 1)
        // And a leader that cannot receive makes room.
        cluster.cut = [[2, 1], [3, 1]]
        cluster.tickAll(100)
        #expect(cluster.leaders.count == 1 && cluster.leaders != [1])
    }

    @Test func `learners do not campaign, and vote when they are asked`() {
        var learner = Lone(3, voters: [1, 2], learners: [3])
        #expect(learner.tick(50).messages.isEmpty)
        #expect(learner.step(.campaign).messages.isEmpty)
        let effects = learner.receive(.vote(voteRequest((0, 0))), term: 1)
        #expect(effects.messages.map { $0.voteReply?.isGranted } == [true])
    }

    /// Seed 6326: with pre-votes and quorum checks both off, a voter frees itself from an older term by campaigning.
    /// A learner that had been told of a later term ignored its leader for good.
    @Test func `who cannot campaign tells a leader of an older term of its own`() {
        let heartbeat = Message.Body.heartbeat(Heartbeat(commit: .zero, readSequence: 0))
        var learner = Lone(3, voters: [1, 2], learners: [3], term: 5)
        #expect(learner.receive(heartbeat, term: 3).messages.map(\.term) == [Term(5)])
        var silent = Lone(1, term: 5) { $0.campaignsOnTimeout = false }
        #expect(silent.receive(heartbeat, term: 3).messages.map(\.term) == [Term(5)])
        var voter = Lone(1, term: 5)
        #expect(voter.receive(heartbeat, term: 3).messages.isEmpty)
    }

    /// Seed 8641: a removed member that did not know so moved the others' terms on, but not that of the one who could
    /// win: nobody told it, and it asked for votes in terms that were over.
    @Test func `a candidate of an older term is told the newer one`() {
        var node = Lone(1, term: 5)
        let answer = node.receive(.vote(voteRequest((0, 0))), term: 3)
        #expect(answer.messages.map(\.term) == [Term(5)])
        #expect(answer.messages.map { $0.voteReply?.isGranted } == [false])
        var candidate = Lone(1, term: 3)
        candidate.receive(.voteReply(VoteReply(isGranted: false)), term: 5)
        #expect(candidate.core.currentTerm == Term(5))
    }

    /// Seed 8951: a member with a fast clock and a log too short to win asked for votes again and again, and started
    /// the clock of the only one that could win anew each time.
    @Test func `who refuses its vote gets to its own campaign`() {
        var node = Lone(1, log: [1, 1])
        var rounds = 0
        while node.core.currentRole == .follower, rounds < 10 {
            _ = node.tick(5)
            rounds += 1
            let candidate = node.core.currentTerm.rawValue + 1
            guard node.core.currentRole == .follower else { break }
            let answer = node.receive(.vote(voteRequest((1, 1))), term: candidate)
            #expect(answer.messages.map { $0.voteReply?.isGranted } == [false])
        }
        #expect(node.core.currentRole == .candidate)
    }

    @Test func `who is in no configuration does not campaign`() {
        var node = Lone(4, voters: [1, 2, 3])
        #expect(node.tick(50).messages.isEmpty)
        node.step(.campaign)
        #expect(node.core.currentRole == .follower)
    }

    @Test func `nobody campaigns over a committed configuration change that is not applied`() {
        var cluster = TestCluster(3)
        cluster.campaign(1)
        cluster[2].appliesLate = true
        cluster.change(1, "v4")
        cluster.tickAll()
        #expect(cluster.commit(2) == 2)
        cluster.step(2, .campaign)
        #expect(cluster.role(2) == .follower)
        cluster.apply(2)
        cluster.step(2, .campaign)
        #expect(cluster.role(2) == .candidate)
    }

    @Test func `a single voter leads as soon as its vote is durable`() {
        for preVote in [false, true] {
            var cluster = TestCluster(1) { $0.preVote = preVote }
            cluster.campaign(1)
            #expect(cluster.leaders == [1])
            #expect(cluster.commit(1) == 1)
        }
    }

    @Test func `a follower that forgets its leader votes for another within the lease`() {
        var cluster = TestCluster(3) {
            $0.checkQuorum = true
            $0.preVote = true
        }
        cluster.campaign(1)
        cluster.campaign(3)
        #expect(cluster.leaders == [1])
        cluster.step(2, .forgetLeader)
        cluster.campaign(3)
        #expect(cluster.role(3) == .leader)
    }

    // MARK: A leader whose process has ended

    /// Ten ticks are the shortest election timeout.
    private func led(by leader: UInt64 = 1, _ change: (inout RaftCore.Options) -> Void = { _ in }) -> TestCluster {
        var cluster = TestCluster(3) {
            $0.electionTicks = 10
            $0.checkQuorum = true
            $0.preVote = true
            change(&$0)
        }
        cluster.campaign(leader)
        cluster.tickAll(2)
        return cluster
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func `a leader that is gone is not waited for`(seed: UInt64) {
        var cluster = led { $0.randomSeed = seed &+ $0.id.rawValue }
        cluster.isolated = [1]
        for id in [2, 3] as [UInt64] { cluster.step(id, .gone(NodeID(1))) }
        var ticks = 0
        while cluster.leaders.allSatisfy({ $0 == 1 }), ticks < 30 {
            // Clocks do not tick together: else those who draw the same number would split the vote.
            for id in [2, 3] as [UInt64] {
                cluster.tick(id)
                cluster.settle()
            }
            ticks += 1
        }
        // A heartbeat that does not come, a tick for the others to find out, and at most three by chance.
        #expect(ticks >= 2 && ticks <= 6)
        #expect(cluster.leaders.count == 2)
    }

    @Test func `a leader that is said to be gone, and is heard, stays`() {
        var cluster = led()
        for _ in 0..<40 {
            for id in [2, 3] as [UInt64] { cluster.step(id, .gone(NodeID(1))) }
            cluster.tickAll()
            cluster.settle()
        }
        #expect(cluster.leaders == [1])
        #expect(cluster.term(2) == 1 && cluster.term(3) == 1)
    }

    @Test func `one that is told wrongly, and cut off, deposes nobody`() {
        var cluster = led()
        cluster.cut = [[1, 3]]
        cluster.step(3, .gone(NodeID(1)))
        for _ in 0..<8 {
            cluster.tickAll()
            cluster.settle()
        }
        #expect(cluster.core(3).currentLeader == nil)
        #expect(cluster.leaders == [1] && cluster.term(2) == 1)
        cluster.cut = []
        cluster.tickAll(2)
        cluster.settle()
        #expect(cluster.core(3).currentLeader == NodeID(1))
    }

    @Test func `that another member than the leader is gone changes nothing`() {
        var cluster = led()
        cluster.isolated = [1]
        for id in [2, 3] as [UInt64] { cluster.step(id, .gone(NodeID(5 - id))) }
        for id in [2, 3] as [UInt64] { cluster.tick(id, 9) }
        cluster.settle()
        #expect(cluster.leaders == [1])
        #expect(cluster.core(2).currentLeader == NodeID(1))
    }

    /// What it would have waited for a leader that is heard again is what it waits.
    @Test func `a leader that is heard again after it was let go of has its whole election timeout`() {
        var cluster = led()
        let timeout = cluster.status(3).electionTimeoutTicks
        cluster.cut = [[1, 3]]
        cluster.step(3, .gone(NodeID(1)))
        // Let go of, and not campaigned yet.
        cluster.tick(3, 2)
        cluster.settle()
        #expect(cluster.core(3).currentLeader == nil)
        cluster.cut = []
        cluster.tick(1)
        cluster.settle()
        #expect(cluster.core(3).currentLeader == NodeID(1))
        cluster.isolated = [1]
        cluster.tick(3, timeout - 1)
        cluster.settle()
        #expect(cluster.core(3).currentLeader == NodeID(1) && cluster.status(3).electionTimeoutTicks == timeout)
    }

    @Test(arguments: [0, 1, 2])
    func `a promise to be silent, and a leader that pre-votes do not protect, are kept`(unprotected: Int) {
        var cluster = led {
            switch unprotected {
            case 0: $0.preVote = false
            case 1: $0.checkQuorum = false
            default: $0.readMode = .lease
            }
        }
        cluster.isolated = [1]
        for id in [2, 3] as [UInt64] { cluster.step(id, .gone(NodeID(1))) }
        for id in [2, 3] as [UInt64] { cluster.tick(id, 9) }
        cluster.settle()
        #expect(cluster.leaders == [1])
        #expect(cluster.core(2).currentLeader == NodeID(1))
    }

    @Test func `a new role is told once, with its term and leader`() {
        var cluster = TestCluster(3)
        cluster.campaign(1)
        #expect(
            cluster[1].roles == [
                RoleSummary(role: .candidate, term: Term(1), leader: nil),
                RoleSummary(role: .leader, term: Term(1), leader: NodeID(1)),
            ])
        #expect(cluster[2].roles.last == RoleSummary(role: .follower, term: Term(1), leader: NodeID(1)))
        let before = cluster[2].roles.count
        cluster.tickAll(3)
        #expect(cluster[2].roles.count == before)
    }
}
