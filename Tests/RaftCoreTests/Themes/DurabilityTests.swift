import Testing

@testable import RaftCore

@Suite struct `What waits for the disk` {
    @Test func `nothing is held where nothing is being written`() {
        var node = Lone(log: [1], term: 1)
        let effects = node.receive(append(after: (1, 1)), term: 1, persisting: false)
        #expect(effects.writes.isEmpty)
        #expect(effects.messages.map(\.body) == [accepted(1)])
    }

    @Test func `writes are numbered one by one, and a step makes one`() {
        var node = Lone()
        for index in 1...5 as ClosedRange<UInt64> {
            let effects = node.receive(append(after: (min(index - 1, 1), index - 1), [1]), term: 1, persisting: false)
            #expect(effects.writes.count == 1)
            #expect(node.core.durability.newest == WriteID(index))
        }
    }

    @Test func `promises leave in order, each after its own write`() {
        var node = Lone(term: 1)
        node.receive(append(after: (0, 0), [1]), term: 1, persisting: false)
        node.receive(append(after: (1, 1), [1]), term: 1, persisting: false)
        node.receive(append(after: (1, 2), [1]), term: 1, persisting: false)
        #expect(
            node.step(.persisted(WriteID(2)), persisting: false).messages.map(\.body) == [accepted(1), accepted(2)])
        #expect(node.step(.persisted(WriteID(3)), persisting: false).messages.map(\.body) == [accepted(3)])
    }

    @Test func `heartbeats are answered at once, writes or not`() {
        var node = Lone(term: 1)
        node.receive(append(after: (0, 0), [1]), term: 1, persisting: false)
        let effects = node.receive(.heartbeat(Heartbeat(commit: .zero, readSequence: 3)), term: 1, persisting: false)
        #expect(effects.messages.map(\.body) == [.heartbeatReply(HeartbeatReply(readSequence: 3))])
    }

    @Test func `a late acknowledgement of an overwritten entry is not its successor's`() {
        var node = Lone(term: 1)
        node.receive(append(after: (0, 0), [1, 1, 1]), term: 1, persisting: false)
        // Another leader replaces 2 and 3, while they are being written.
        node.receive(append(after: (1, 1), [2, 2], commit: 3), from: 3, term: 2, persisting: false)
        let first = node.step(.persisted(WriteID(1)), persisting: false)
        #expect(first.commits == [1])
        #expect(node.core.status.stableIndex == LogIndex(1))
        let second = node.step(.persisted(WriteID(2)), persisting: false)
        #expect(second.commits == [3])
    }

    @Test func `the same, and the same again: overwritten twice, with the second write back at the first one's terms`()
    {
        // Upstream's ABA race: the index and term are the same as before, the entry is not the one that was written.
        var node = Lone(term: 1)
        node.receive(append(after: (0, 0), [1]), term: 1, persisting: false)
        node.receive(append(after: (1, 1), [1]), term: 1, persisting: false)
        node.receive(append(after: (0, 0), [2]), from: 3, term: 2, persisting: false)
        node.receive(append(after: (0, 0), [1, 1, 3]), term: 3, persisting: false)
        node.step(.persisted(WriteID(2)), persisting: false)
        #expect(node.core.status.stableIndex == .zero)
        node.step(.persisted(WriteID(3)), persisting: false)
        #expect(node.core.status.stableIndex == .zero)
        node.step(.persisted(WriteID(4)), persisting: false)
        #expect(node.core.status.stableIndex == LogIndex(3))
    }

    @Test func `a leader's late self-acknowledgement after a change of terms commits nothing`() {
        var cluster = TestCluster(3)
        cluster.campaign(1)
        cluster[1].diskWaits = true
        cluster.isolated = [2, 3]
        cluster.propose(1, [1], [2])
        cluster.isolated = [1]
        cluster.campaign(2)
        cluster.propose(2, [3])
        cluster.isolated = []
        cluster.tick(2)
        cluster.settle()
        #expect(cluster.role(1) == .follower)
        // The write of its own entries, which are not in its log any more.
        cluster.persist(1, count: 1)
        #expect(cluster[1].committed == 1)
        cluster.persist(1)
        cluster.settle()
        cluster.tickAll(2)
        #expect(cluster[1].log == cluster[2].log)
    }

    @Test func `a new commit index alone is not written, and goes along with the next write`() {
        var node = Lone(term: 1)
        node.receive(append(after: (0, 0), [1]), term: 1)
        let commit = node.receive(.heartbeat(Heartbeat(commit: LogIndex(1), readSequence: 0)), term: 1)
        #expect(commit.writes.isEmpty)
        #expect(commit.commits == [1])
        let next = node.receive(append(after: (1, 1), [1]), term: 1)
        #expect(next.writes.map(\.hardState) == [HardState(term: Term(1), votedFor: nil, commit: LogIndex(1))])
    }

    @Test func `a restart gives out what was committed and not applied`() {
        var node = Lone(log: [1, 1, 1], term: 1, commit: 2)
        #expect(node.step(.tick).commits == [2])
    }

    @Test func `a state that is ahead of the written commit index is believed`() {
        let core = RaftCore(
            options: .init(id: NodeID(1), randomSeed: 1),
            restored: .init(
                hardState: HardState(term: Term(1), commit: LogIndex(1)),
                configuration: Configuration(voters: [NodeID(1)]),
                entries: [1, 1, 1].map { EntrySummary(term: Term($0), payloadBytes: 0, isConfiguration: false) },
                applied: LogIndex(3)))
        #expect(core.commitIndex == LogIndex(3))
    }

    @Test(
        arguments: [
            ("past the log's end", 4, 0, 0, 1), ("applied 4 is past", 0, 4, 0, 1),
            ("before the log's start", 0, 0, 2, 1),
            ("below the log's last", 0, 0, 0, 0),
        ] as [(String, UInt64, UInt64, UInt64, UInt64)])
    func `what does not fit together on a disk is found before the start`(
        reason: String, commit: UInt64, applied: UInt64, snapshot: UInt64, term: UInt64
    ) {
        let restored = RaftCore.Restored(
            hardState: HardState(term: Term(term), commit: LogIndex(commit)), snapshotIndex: LogIndex(snapshot),
            snapshotTerm: Term(snapshot > 0 ? 1 : 0),
            entries: [1, 1, 1].map { EntrySummary(term: Term($0), payloadBytes: 0, isConfiguration: false) },
            applied: LogIndex(applied))
        #expect(restored.inconsistency?.contains(reason) == true, "\(restored.inconsistency ?? "fine")")
    }

    /// Found by the exploration of the state space (`StateSpace/`). Had the first request for votes left before the
    /// candidate's disk had its log and its term, a crash would take both back: it would campaign in the same term once
    /// more, and win with the votes that its longer log was given.
    @Test func `a candidate that forgets its candidacy in a crash cannot win by the votes that it was given before`() {
        var cluster = TestCluster(3)
        cluster.campaign(1)
        cluster.propose(1, [7])
        let committed = cluster.commit(1)
        #expect(cluster.commit(2) == committed)
        // 3 gets another entry, which 1 and 2 commit; its disk does not come round to writing it before it campaigns.
        cluster[3].diskWaits = true
        cluster.propose(1, [8])
        #expect(cluster.commit(2) == committed + 1)
        cluster.step(3, .campaign)
        let asked = cluster.network
        cluster.network = []
        #expect(asked.isEmpty)
        cluster.restart(3)
        // The same term again, with the shorter log.
        cluster[3].diskWaits = false
        cluster.isolated = [1, 2]
        cluster.step(3, .campaign)
        cluster.settle()
        cluster.isolated = []
        // What is still under way from before the crash arrives, and so do the answers.
        cluster.network = asked
        cluster.settle()
        #expect(cluster.role(3) != .leader)
        #expect(cluster.commit(1) == committed + 1)
    }
}
