import Testing

@testable import RaftCore

/// One test for each rule of figure 2 and each sentence of sections 5.3, 5.4.2 and 5.5 that binds a server.
@Suite struct `The paper on replication and commitment` {
    /// A leader of term 1 whose first entry is committed.
    private func settledLeader(voters: [UInt64] = [1, 2, 3]) -> Lone {
        var node = Lone(voters: voters)
        node.lead()
        for voter in voters.dropFirst() { node.receive(accepted(1), from: voter, term: 1) }
        return node
    }

    @Test func `a leader appends a command to its log and sends it to all others in parallel (§5.3)`() {
        var node = settledLeader()
        let effects = node.step(.propose([Proposal(payload: [7])]), persisting: false)
        #expect(
            effects.writes == [
                Write(
                    hardState: HardState(term: Term(1), votedFor: NodeID(1), commit: LogIndex(1)),
                    entries: [Entry(index: LogIndex(2), term: Term(1), payload: [7])])
            ])
        // Not waiting for its own disk.
        #expect(effects.ranges == [2...2, 2...2])
        #expect(effects.messages.compactMap { $0.append?.previousIndex.rawValue } == [1, 1])
        #expect(effects.messages.compactMap { $0.append?.previousTerm.rawValue } == [1, 1])
        #expect(effects.messages.compactMap { $0.append?.entries.count } == [0, 0])
    }

    @Test(arguments: [([1, 2, 3], 1), ([1, 2, 3, 4], 2), ([1, 2, 3, 4, 5], 2)] as [([UInt64], Int)])
    func `an entry is committed once the leader has it on a majority of the servers (§5.3)`(
        voters: [UInt64], others: Int
    ) {
        var node = settledLeader(voters: voters)
        node.step(.propose([Proposal(payload: [7])]))
        for (count, voter) in voters.dropFirst().enumerated() {
            #expect(node.core.commitIndex == LogIndex(count >= others ? 2 : 1))
            node.receive(accepted(2), from: voter, term: 1)
        }
        #expect(node.core.commitIndex == LogIndex(2))
    }

    @Test func `a leader counts itself only when its own write is durable`() {
        var node = settledLeader(voters: [1, 2])
        node.step(.propose([Proposal(payload: [7])]), persisting: false)
        node.receive(accepted(2), term: 1, persisting: false)
        #expect(node.core.commitIndex == LogIndex(1))
        let effects = node.step(.persisted(node.core.durability.newest))
        #expect(node.core.commitIndex == LogIndex(2))
        #expect(effects.commits == [2])
    }

    @Test func `an entry may be committed before the leader's own disk has it, and is applied when it has`() {
        var node = settledLeader()
        node.step(.propose([Proposal(payload: [7])]), persisting: false)
        node.receive(accepted(2), from: 2, term: 1, persisting: false)
        let effects = node.receive(accepted(2), from: 3, term: 1, persisting: false)
        #expect(node.core.commitIndex == LogIndex(2))
        #expect(effects.commits.isEmpty)
        #expect(node.step(.persisted(node.core.durability.newest)).commits == [2])
    }

    @Test func `the leader includes the commit index in later messages, heartbeats too (§5.3)`() {
        var node = settledLeader()
        node.step(.propose([Proposal(payload: [7])]))
        let effects = node.receive(accepted(2), term: 1)
        #expect(effects.messages.compactMap { $0.append?.commit.rawValue } == [2, 2])
        // Not more than that follower is known to have.
        #expect(node.tick(1).messages.compactMap { $0.heartbeat?.commit.rawValue } == [2, 1])
    }

    @Test func `once a follower learns that an entry is committed it applies it, in log order (§5.3)`() {
        var node = Lone()
        let first = node.receive(append(after: (0, 0), [1, 1, 1], commit: 2), term: 1)
        #expect(first.commits == [2])
        let second = node.receive(.heartbeat(Heartbeat(commit: LogIndex(3), readSequence: 0)), term: 1)
        #expect(second.commits == [3])
    }

    @Test func `committing an entry commits all preceding ones, of older leaders too (§5.3)`() {
        for terms: [UInt64] in [[1], [1, 1], [1, 2], [2, 2, 3]] {
            var node = Lone(log: terms, term: terms.last!)
            node.lead()
            let own = UInt64(terms.count) + 1
            let effects = node.receive(accepted(own), term: node.core.currentTerm.rawValue)
            #expect(effects.commits == [own])
        }
    }

    @Test(
        arguments: [
            ([], (1, 1)), ([1], (1, 2)), ([1], (2, 1)), ([1, 2, 2], (1, 2)),
        ] as [([UInt64], (UInt64, UInt64))])
    func `a follower refuses entries where its log has none with that index and term before (§5.3)`(
        own: [UInt64], previous: (UInt64, UInt64)
    ) {
        var node = Lone(log: own, term: 3)
        let effects = node.receive(append(after: previous, [3]), term: 3)
        #expect(effects.writes.flatMap(\.entries).isEmpty)
        guard case .rejected = effects.messages.first?.appendReply?.outcome else {
            Issue.record("not refused: \(effects)")
            return
        }
        #expect(node.core.lastIndex.rawValue == UInt64(own.count))
    }

    @Test(
        arguments: [
            // the leader's message, the log after it, what is written
            ((0, 0), [1, 1], [1, 1, 3], []), ((1, 1), [2], [1, 2], [2]), ((1, 2), [1], [1, 1, 1], [1]),
            ((1, 1), [1, 3, 3], [1, 1, 3, 3], [3]), ((1, 1), [], [1, 1, 3], []), ((0, 0), [1], [1, 1, 3], []),
            ((3, 3), [3, 3], [1, 1, 3, 3, 3], [3, 3]), ((0, 0), [2, 3], [2, 3], [2, 3]),
        ] as [((UInt64, UInt64), [UInt64], [UInt64], [UInt64])])
    func `conflicting entries in a follower's log are overwritten, others are kept (§5.3)`(
        previous: (UInt64, UInt64), sent: [UInt64], after: [UInt64], written: [UInt64]
    ) {
        var node = Lone(log: [1, 1, 3], term: 3)
        let effects = node.receive(append(after: previous, sent), term: 3)
        #expect((1...UInt64(after.count)).map { node.core.term(at: LogIndex($0))!.rawValue } == after)
        #expect(node.core.lastIndex.rawValue == UInt64(after.count))
        #expect(effects.writes.flatMap(\.entries).map(\.term.rawValue) == written)
    }

    @Test func `an acknowledgement is sent when the entries are on stable storage (figure 2)`() {
        var node = Lone(term: 1)
        let effects = node.receive(append(after: (0, 0), [1]), term: 1, persisting: false)
        #expect(effects.messages.isEmpty)
        let later = node.step(.persisted(WriteID(1)))
        #expect(later.messages.map(\.body) == [accepted(1)])
    }

    @Test(
        arguments: [
            // follower's log, leader's log, at most this many refusals
            ([1, 1, 2, 2, 2, 2], [1, 1, 3, 3, 3, 3, 3], 1),
            ([1, 3, 3, 4, 4, 5, 5, 5, 6], [1, 3, 3, 3, 3, 3, 3, 3, 7], 2),
            ([1], [1, 2, 3, 4, 5, 6], 1), ([1, 1, 1, 2, 2, 2, 3], [1, 4, 4, 4], 2),
        ] as [([UInt64], [UInt64], Int)])
    func `a leader forces followers' logs to duplicate its own, skipping whole terms (§5.3)`(
        follower: [UInt64], leader: [UInt64], most: Int
    ) {
        var cluster = TestCluster(3, log: [leader, follower, leader]) { $0.maxUncommittedBytes = 1 << 20 }
        let newest = max(follower.last!, leader.last!)
        for id in 1...3 as ClosedRange<UInt64> {
            let request = Message.Body.vote(voteRequest((0, 0)))
            cluster.step(
                id, .received(Message(from: NodeID(9), to: NodeID(id), term: Term(newest), body: request)))
        }
        cluster.network = []
        cluster.campaign(1)
        // Whoever has the longer log votes against; the third makes the majority.
        #expect(cluster.role(1) == .leader)
        #expect(cluster.terms(2) == cluster.terms(1))
        let refusals = cluster.sent.count {
            if $0.from == NodeID(2), case .rejected = $0.appendReply?.outcome { true } else { false }
        }
        #expect(refusals <= most, "\(refusals) refusals")
    }

    @Test func `a leader never overwrites or deletes entries in its own log (§5.3)`() {
        var node = Lone(log: [1, 2, 3], term: 3)
        node.lead()
        node.receive(append(after: (0, 0), [4, 4]), from: 3, term: 4)
        #expect(node.core.currentRole == .leader)
        #expect(node.core.lastIndex == LogIndex(4))
    }

    @Test(arguments: [(1, 0), (2, 0), (3, 3)] as [(UInt64, UInt64)])
    func `only entries of the leader's own term are committed by counting replicas (§5.4.2, figure 8)`(
        acknowledged: UInt64, commit: UInt64
    ) {
        var node = Lone(log: [1, 2], term: 2)
        node.lead()
        #expect(node.core.currentTerm == Term(3))
        node.receive(accepted(acknowledged), term: 3)
        #expect(node.core.commitIndex == LogIndex(commit))
    }

    @Test func `figure 8: an entry of an older term on a majority may still be overwritten, so it is not committed`() {
        // (a) and (b): 1 led term 2 and has its entry on 2; 5 led term 3 with other votes, and has one of its own.
        var cluster = TestCluster(5, log: [[1, 2], [1, 2], [1], [1], [1, 3]])
        for id in [3, 4] as [UInt64] {
            let request = Message.Body.vote(voteRequest((1, 1)))
            cluster.step(id, .received(Message(from: NodeID(5), to: NodeID(id), term: Term(3), body: request)))
        }
        cluster.network = []
        // (c): 1 leads term 4 and copies the entry of term 2 to 3, nothing newer gets there.
        cluster.isolated = [5]
        cluster.campaign(1)
        cluster.loses = { $0.append?.entries.contains { $0.term >= Term(4) } == true }
        cluster.isolated = [5]
        cluster.campaign(1)
        #expect(cluster.role(1) == .leader)
        let term = cluster.core(1).currentTerm
        cluster.step(
            1,
            .received(
                Message(from: NodeID(2), to: NodeID(1), term: term, body: accepted(2))))
        cluster.step(1, .received(Message(from: NodeID(3), to: NodeID(1), term: term, body: accepted(2))))
        #expect(cluster.core(1).commitIndex == .zero)
        // (d): so 5 may win and overwrite it.
        cluster.network = []
        cluster.loses = nil
        cluster.isolated = [1, 2]
        cluster.campaign(5)
        cluster.campaign(5)
        cluster.campaign(5)
        #expect(cluster.role(5) == .leader)
        #expect(cluster.terms(3).prefix(2) == [1, 3])
    }

    @Test func `if a follower is slow the leader sends again until all store all entries (§5.3)`() {
        var cluster = TestCluster(3)
        cluster.campaign(1)
        cluster.isolated = [3]
        cluster.propose(1, [1], [2])
        cluster.step(1, .unreachable(NodeID(3)))
        cluster.isolated = []
        cluster.tickAll()
        #expect(cluster.terms(3) == cluster.terms(1))
        cluster.tickAll()
        #expect(cluster.commit(3) == cluster.commit(1))
    }

    @Test func `messages are idempotent (§5.5)`() {
        var node = Lone()
        let message = append(after: (0, 0), [1, 1])
        let first = node.receive(message, term: 1)
        let second = node.receive(message, term: 1)
        #expect(first.messages.map(\.body) == [accepted(2)])
        #expect(second.messages.map(\.body) == [accepted(2)])
        #expect(second.writes.isEmpty && second.commits.isEmpty)
    }

    @Test func `a late append does not cut off what later ones have brought (figure 2, step 3)`() {
        var node = Lone()
        node.receive(append(after: (0, 0), [1, 1, 1]), term: 1)
        node.receive(append(after: (0, 0), [1]), term: 1)
        #expect(node.core.lastIndex == LogIndex(3))
    }

    @Test func `a follower commits no further than the last new entry (figure 2, step 5)`() {
        var node = Lone(log: [1, 1, 1], term: 1)
        // What lies beyond may differ from the leader's.
        node.receive(append(after: (1, 1), [1], commit: 3), term: 2)
        #expect(node.core.commitIndex == LogIndex(2))
    }

    @Test func `a leader starts its term with a blank entry (§8)`() {
        var node = Lone(log: [1], term: 1)
        node.step(.campaign)
        let effects = node.receive(.voteReply(VoteReply(isGranted: true)), term: 2)
        #expect(effects.writes.flatMap(\.entries) == [Entry(index: LogIndex(2), term: Term(2), payload: [])])
    }
}
