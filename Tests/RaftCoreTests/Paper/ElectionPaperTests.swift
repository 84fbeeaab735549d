import Testing

@testable import RaftCore

/// One test for each rule of figure 2 and each sentence of sections 5.1, 5.2 and 5.4.1 of the paper that binds a
/// server.
@Suite struct `The paper on terms and elections` {
    @Test func `servers start up as followers (§5.2)`() {
        #expect(Lone().core.currentRole == .follower)
        #expect(Lone(term: 7).core.currentTerm == Term(7))
    }

    @Test(arguments: [RoleName.follower, .candidate, .leader])
    func `a server whose term is smaller than another's updates it, and reverts to follower (§5.1)`(role: RoleName) {
        var node = Lone(term: 1)
        if role == .candidate { node.step(.campaign) }
        if role == .leader { node.lead() }
        #expect(node.core.currentRole == role)
        node.receive(append(after: (0, 0)), term: 9)
        #expect(node.core.currentRole == .follower)
        #expect(node.core.currentTerm == Term(9))
        #expect(node.core.currentLeader == NodeID(2))
    }

    @Test func `a request with a stale term number is rejected (§5.1)`() {
        var node = Lone(log: [1], term: 5)
        let effects = node.receive(append(after: (1, 1), [3]), term: 4)
        #expect(effects.writes.isEmpty)
        #expect(node.core.lastIndex == LogIndex(1))
        let vote = node.receive(.vote(voteRequest((9, 9))), term: 4)
        #expect(!vote.messages.contains { $0.voteReply?.isGranted == true })
        #expect(node.core.status.votedFor == nil)
    }

    @Test func `a follower that hears nothing over the election timeout begins an election (§5.2)`() {
        var node = Lone()
        node.core.overrideElectionTimeout(ticks: 12)
        #expect(node.tick(11).messages.isEmpty)
        let effects = node.tick(1)
        #expect(effects.messages.filter(\.isVoteRequest).map(\.to.rawValue) == [2, 3])
    }

    @Test func `valid messages from a leader keep a follower a follower (§5.2)`() {
        var node = Lone()
        node.core.overrideElectionTimeout(ticks: 12)
        for _ in 0..<10 {
            _ = node.tick(11)
            node.receive(.heartbeat(Heartbeat(commit: .zero, readSequence: 0)), term: 1)
        }
        #expect(node.core.currentRole == .follower)
        #expect(node.core.currentTerm == Term(1))
    }

    @Test func `granting a vote resets the election timer (figure 2)`() {
        var node = Lone()
        node.core.overrideElectionTimeout(ticks: 12)
        _ = node.tick(11)
        node.receive(.vote(voteRequest((0, 0))), term: 1)
        node.core.overrideElectionTimeout(ticks: 12)
        #expect(node.tick(11).messages.isEmpty)
    }

    @Test func `to begin an election a follower increments its term, votes for itself and asks the others (§5.2)`() {
        var node = Lone(log: [1, 2], term: 2)
        let effects = node.step(.campaign)
        #expect(node.core.currentRole == .candidate)
        #expect(node.core.currentTerm == Term(3))
        #expect(node.core.status.votedFor == NodeID(1))
        #expect(effects.writes.map(\.hardState) == [HardState(term: Term(3), votedFor: NodeID(1))])
        let expected = Message.Body.vote(voteRequest((2, 2)))
        #expect(effects.messages.map(\.body) == [expected, expected])
    }

    @Test func `a candidate wins with votes from a majority for the same term (§5.2)`() {
        var node = Lone(voters: [1, 2, 3, 4, 5])
        node.step(.campaign)
        node.receive(.voteReply(VoteReply(isGranted: true)), from: 2, term: 1)
        #expect(node.core.currentRole == .candidate)
        node.receive(.voteReply(VoteReply(isGranted: true)), from: 2, term: 1)
        #expect(node.core.currentRole == .candidate)
        node.receive(.voteReply(VoteReply(isGranted: true)), from: 3, term: 1)
        #expect(node.core.currentRole == .leader)
    }

    @Test func `each server votes for at most one candidate in a term, first come first served (§5.2)`() {
        var node = Lone()
        let first = node.receive(.vote(voteRequest((0, 0))), from: 2, term: 1)
        #expect(first.messages.map(\.body) == [.voteReply(VoteReply(isGranted: true))])
        let second = node.receive(.vote(voteRequest((0, 0))), from: 3, term: 1)
        #expect(second.messages.map(\.body) == [.voteReply(VoteReply(isGranted: false))])
        let again = node.receive(.vote(voteRequest((0, 0))), from: 2, term: 1)
        #expect(again.messages.map(\.body) == [.voteReply(VoteReply(isGranted: true))])
    }

    @Test func `a vote survives a restart (figure 2, persistent state)`() {
        var node = Lone(term: 1, votedFor: 2)
        let effects = node.receive(.vote(voteRequest((0, 0))), from: 3, term: 1)
        #expect(effects.messages.map(\.body) == [.voteReply(VoteReply(isGranted: false))])
    }

    @Test func `a vote is on stable storage before it is answered (figure 2)`() {
        var node = Lone()
        let effects = node.receive(.vote(voteRequest((0, 0))), term: 1, persisting: false)
        #expect(effects.messages.isEmpty)
        #expect(effects.writes.map(\.hardState) == [HardState(term: Term(1), votedFor: NodeID(2))])
        let later = node.step(.persisted(WriteID(1)))
        #expect(later.messages.map(\.body) == [.voteReply(VoteReply(isGranted: true))])
    }

    @Test func `a candidate's own vote counts when it is on stable storage`() {
        var node = Lone(voters: [1])
        node.step(.campaign, persisting: false)
        #expect(node.core.currentRole == .candidate)
        node.step(.persisted(WriteID(1)), persisting: false)
        #expect(node.core.currentRole == .leader)
    }

    @Test func `once a candidate wins it sends heartbeats to all to establish its authority (§5.2)`() {
        var node = Lone()
        node.step(.campaign)
        let effects = node.receive(.voteReply(VoteReply(isGranted: true)), term: 1)
        // Its first entry serves as one.
        #expect(effects.messages.filter { $0.append != nil }.map(\.to.rawValue) == [2, 3])
        #expect(effects.ranges == [1...1, 1...1])
    }

    @Test func `a leader sends heartbeats during idle periods (§5.2)`() {
        var node = Lone()
        node.lead()
        #expect(node.tick(1).messages.filter { $0.heartbeat != nil }.map(\.to.rawValue) == [2, 3])
    }

    @Test(arguments: [1, 2] as [UInt64])
    func `a candidate that hears from a leader of its term or a later one follows it (§5.2)`(term: UInt64) {
        var node = Lone()
        node.step(.campaign)
        node.receive(append(after: (0, 0)), from: 3, term: term)
        #expect(node.core.currentRole == .follower)
        #expect(node.core.currentLeader == NodeID(3))
        #expect(node.core.currentTerm == Term(term))
    }

    @Test func `a candidate that hears from a leader of an older term goes on (§5.2)`() {
        var node = Lone(term: 3)
        node.step(.campaign)
        node.receive(append(after: (0, 0)), term: 3)
        #expect(node.core.currentRole == .candidate)
    }

    @Test func `if votes are split, each candidate times out and starts a new election (§5.2)`() {
        var node = Lone()
        node.step(.campaign)
        node.core.overrideElectionTimeout(ticks: 10)
        let effects = node.tick(10)
        #expect(node.core.currentTerm == Term(2))
        #expect(effects.messages.filter(\.isVoteRequest).count == 2)
    }

    @Test func `election timeouts are chosen randomly from a fixed interval (§5.2)`() {
        var drawn: Set<Int> = []
        var node = Lone()
        for term in 1...400 as ClosedRange<UInt64> {
            node.receive(append(after: (0, 0)), term: term)
            drawn.insert(node.core.status.electionTimeoutTicks)
        }
        #expect(drawn == Set(10..<20))
    }

    /// Not the paper's: its candidates wait for a whole timeout again. Found by seed 805: where they did so every time,
    /// a cluster whose disks took as long as half a timeout elected nobody any more.
    @Test(arguments: [true, false])
    func `a candidate that is not elected asks again sooner, once, also by chance`(preVote: Bool) {
        var first: Set<Int> = []
        var later: Set<Int> = []
        for seed in 0..<300 as Range<UInt64> {
            var node = Lone {
                $0.randomSeed = seed
                $0.preVote = preVote
            }
            for round in 0..<3 {
                _ = node.tick(node.core.status.electionTimeoutTicks - node.core.status.electionElapsedTicks)
                if round == 0 {
                    first.insert(node.core.status.electionTimeoutTicks)
                } else {
                    later.insert(node.core.status.electionTimeoutTicks)
                }
            }
        }
        #expect(first == Set(5...10))
        #expect(later == Set(10..<20))
    }

    @Test func `random election timeouts make split votes rare (§5.2)`() {
        var conflicts = 0
        for seed in 0..<300 as Range<UInt64> {
            let timeouts = (1...5 as ClosedRange<UInt64>).map { id in
                Lone(id) { $0.randomSeed = seed &* 101 &+ id }.core.status.electionTimeoutTicks
            }.sorted()
            if timeouts[0] == timeouts[1] { conflicts += 1 }
        }
        #expect(conflicts < 150, "\(conflicts)")
    }

    @Test(
        arguments: [
            // own log, candidate's last entry, granted
            ([1], (1, 1), true), ([1], (1, 2), true), ([1, 1], (1, 1), false), ([1], (2, 1), true),
            ([2], (1, 1), false),
            ([1, 1], (2, 1), true), ([2], (1, 2), false), ([], (0, 0), true), ([], (1, 1), true),
        ] as [([UInt64], (UInt64, UInt64), Bool)])
    func `a voter denies its vote if its own log is more up-to-date (§5.4.1)`(
        own: [UInt64], last: (UInt64, UInt64), isGranted: Bool
    ) {
        var node = Lone(log: own, term: 3)
        let effects = node.receive(.vote(voteRequest(last)), term: 4)
        #expect(effects.messages.map { $0.voteReply?.isGranted } == [isGranted])
    }
}
