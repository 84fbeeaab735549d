import Testing

@testable import RaftCore

@Suite struct `Snapshots` {
    private func lagging() -> TestCluster {
        var cluster = TestCluster(3)
        cluster.campaign(1)
        cluster.tickAll()
        cluster.isolated = [3]
        cluster.propose(1, [1])
        cluster.propose(1, [2])
        cluster.compact(1)
        cluster.isolated = []
        return cluster
    }

    @Test func `a follower that the log does not reach back to gets a snapshot, and goes on from there`() {
        var cluster = lagging()
        cluster.tickAll(2)
        #expect(cluster.sent.contains { if case .installSnapshot = $0.body { true } else { false } })
        #expect(cluster.core(3).firstIndex == LogIndex(4))
        #expect(cluster.peer(3, of: 1).state == .replicate)
        cluster.propose(1, [3])
        cluster.tickAll()
        #expect(cluster.commit(3) == 4)
        #expect(cluster[3].applied == 4)
    }

    @Test func `one snapshot at a time, and no appends meanwhile`() {
        var node = Lone(voters: [1, 2], log: [1, 1], term: 1, commit: 2)
        node.step(.tick)
        node.step(.applied(LogIndex(2)))
        node.lead()
        node.receive(accepted(3), term: 2)
        node.step(.applied(LogIndex(3)))
        node.step(.compacted(upTo: LogIndex(3)))
        // It comes back with nothing.
        node.step(.unreachable(NodeID(2)))
        var effects = node.receive(rejected(3, hint: 0, term: 0), term: 2)
        #expect(effects.snapshots.isEmpty)
        var follower = node
        effects = follower.step(.propose([Proposal(payload: [1])]))
        #expect(effects.snapshots.isEmpty)
    }

    @Test func `a snapshot is sent to a member that is there, of what is applied`() {
        var node = Lone(voters: [1, 2], log: [1, 1, 1], term: 1, commit: 3)
        node.step(.tick)
        node.step(.applied(LogIndex(3)))
        node.step(.compacted(upTo: LogIndex(2)))
        node.lead()
        let effects = node.receive(rejected(3, hint: 1, term: 1), term: 2)
        #expect(effects.snapshots == [3])
        #expect(node.core.status.peers[1].state == .snapshot)
        #expect(node.core.status.peers[1].pendingSnapshot == LogIndex(3))
        #expect(node.step(.propose([Proposal(payload: [1])])).messages.isEmpty)
        #expect(node.receive(.heartbeatReply(HeartbeatReply(readSequence: 0)), term: 2).messages.isEmpty)
        // Arrived: behind it, once the member speaks.
        var arrived = node
        arrived.step(.snapshotFinished(NodeID(2), succeeded: true))
        #expect(arrived.core.status.peers[1].next == LogIndex(4))
        #expect(arrived.core.status.peers[1].isPaused)
        #expect(arrived.receive(accepted(3), term: 2).ranges == [4...5])
        // Failed: from where it was, with the next heartbeat.
        node.step(.snapshotFinished(NodeID(2), succeeded: false))
        #expect(node.core.status.peers[1].next == LogIndex(1))
        #expect(node.receive(.heartbeatReply(HeartbeatReply(readSequence: 0)), term: 2).snapshots == [3])
    }

    @Test func `any acknowledgement from which the log can go on ends the wait`() {
        var node = Lone(voters: [1, 2], log: [1, 1, 1], term: 1, commit: 3)
        node.step(.tick)
        node.step(.applied(LogIndex(3)))
        node.step(.compacted(upTo: LogIndex(2)))
        node.lead()
        node.receive(rejected(3, hint: 0, term: 0), term: 2)
        #expect(node.core.status.peers[1].state == .snapshot)
        node.receive(accepted(1), term: 2)
        #expect(node.core.status.peers[1].state == .snapshot)
        // An older snapshot than was asked for, from elsewhere.
        let effects = node.receive(accepted(2), term: 2)
        #expect(node.core.status.peers[1].state == .replicate)
        #expect(effects.ranges == [3...4])
    }

    private func description(_ index: UInt64, _ term: UInt64, voters: [UInt64] = [1, 2, 3]) -> SnapshotDescription {
        SnapshotDescription(
            index: LogIndex(index), term: Term(term), configuration: Configuration(voters: voters.map { NodeID($0) }))
    }

    @Test func `installing is one write, acknowledged when it is durable`() {
        var node = Lone(log: [1, 1], term: 2, commit: 1)
        let effects = node.receive(.installSnapshot(description(9, 2)), term: 2, persisting: false)
        #expect(effects.messages.isEmpty)
        #expect(effects.writes.map(\.snapshot) == [description(9, 2)])
        #expect(node.core.status.firstIndex == LogIndex(10))
        // Without a state there is no campaign.
        #expect(node.step(.campaign, persisting: false).messages.isEmpty)
        // What was there before is not applied any more, what comes after waits.
        let more = node.receive(append(after: (2, 9), [2], commit: 10), term: 2, persisting: false)
        #expect(more.commits.isEmpty && more.messages.isEmpty)
        let done = node.step(.persisted(WriteID(1)), persisting: false)
        #expect(done.messages.map(\.body) == [accepted(9)])
        #expect(node.core.appliedIndex == LogIndex(9))
        let last = node.step(.persisted(WriteID(2)), persisting: false)
        #expect(last.messages.map(\.body) == [accepted(10)])
        #expect(last.commits == [10])
    }

    @Test func `an old snapshot is answered with what is committed`() {
        var node = Lone(log: [1, 1, 1], term: 1, commit: 2)
        let effects = node.receive(.installSnapshot(description(2, 1)), term: 1)
        #expect(effects.writes.allSatisfy { $0.snapshot == nil })
        #expect(effects.messages.map(\.body) == [accepted(2)])
    }

    @Test func `where the log already has the snapshot's last entry, it is kept`() {
        var node = Lone(log: [1, 1, 1], term: 1)
        let effects = node.receive(.installSnapshot(description(2, 1)), term: 1)
        #expect(effects.writes.allSatisfy { $0.snapshot == nil })
        #expect(effects.commits == [2])
        #expect(node.core.lastIndex == LogIndex(3))
    }

    @Test func `a snapshot brings the configuration, and replaces a log that differs`() {
        var node = Lone(log: [1, 1, 1, 1, 1], term: 2)
        node.receive(.installSnapshot(description(4, 2, voters: [1, 2, 5])), term: 2)
        #expect(node.core.currentConfiguration.voters.map(\.rawValue) == [1, 2, 5])
        #expect(node.core.lastIndex == LogIndex(4))
        #expect(node.core.status.lastTerm == Term(2))
    }

    @Test func `a snapshot of a cluster without this node is not for it`() {
        var node = Lone()
        let effects = node.receive(.installSnapshot(description(9, 1, voters: [2, 3])), term: 1)
        #expect(effects.writes.allSatisfy { $0.snapshot == nil })
    }

    @Test func `a learner gets snapshots too, and is none the more a voter`() {
        var node = Lone(3, voters: [1, 2], learners: [3])
        var snapshot = description(9, 1, voters: [1, 2])
        snapshot.configuration.learners = [NodeID(3)]
        node.receive(.installSnapshot(snapshot), term: 1)
        #expect(node.core.firstIndex == LogIndex(10))
        #expect(node.core.status.isLearner)
    }

    @Test func `a change that a snapshot has overtaken is not applied again`() {
        var cluster = TestCluster(3)
        cluster.campaign(1)
        cluster.isolated = [3]
        cluster.change(1, "l4")
        cluster.change(1, "r4")
        cluster.change(1, "l5")
        let snapshot = cluster.snapshot(of: 1)
        cluster[3].appliesLate = true
        // 3 has the first change committed and not applied when the snapshot arrives.
        let change = ConfigurationChange(changes: memberChanges("l4"))
        cluster.step(
            3,
            .received(
                Message(
                    from: NodeID(1), to: NodeID(3), term: Term(1),
                    body: .appendEntries(
                        AppendEntries(
                            previousIndex: LogIndex(1), previousTerm: Term(1), commit: LogIndex(2),
                            entries: [
                                Entry(
                                    index: LogIndex(2), term: Term(1), kind: .configuration, payload: change.encode())
                            ])))))
        cluster[3].diskWaits = true
        cluster.step(
            3,
            .received(Message(from: NodeID(1), to: NodeID(3), term: Term(1), body: .installSnapshot(snapshot))))
        cluster.step(3, .configurationApplied(change, at: LogIndex(2)))
        #expect(cluster.core(3).currentConfiguration == snapshot.configuration)
    }
}

extension [Effect] {
    fileprivate var snapshots: [UInt64] {
        compactMap { if case .sendSnapshot(_, let index, _) = $0 { index.rawValue } else { nil } }
    }
}
