import Testing

@testable import RaftCore

@Suite struct `Flow control` {
    private func leader(configure: (inout RaftCore.Options) -> Void = { _ in }) -> Lone {
        var node = Lone(voters: [1, 2], configure: configure)
        node.lead()
        return node
    }

    private func propose(_ node: inout Lone, _ sizes: Int...) -> [Effect] {
        node.step(.propose(sizes.map { Proposal(payload: [UInt8](repeating: 1, count: $0)) }))
    }

    @Test func `a probed follower gets one append until it answers`() {
        var node = leader()
        #expect(node.core.status.peers[1].state == .probe)
        #expect(propose(&node, 1).ranges.isEmpty)
        #expect(propose(&node, 1).ranges.isEmpty)
        let effects = node.receive(accepted(1), term: 1)
        #expect(effects.ranges == [2...3])
        #expect(node.core.status.peers[1].state == .replicate)
    }

    @Test func `a heartbeat's answer lets a probe go on`() {
        var node = leader()
        _ = propose(&node, 1)
        #expect(node.tick(1).ranges.isEmpty)
        let effects = node.receive(.heartbeatReply(HeartbeatReply(readSequence: 0)), term: 1)
        #expect(effects.ranges == [1...2])
    }

    @Test func `a replicating follower gets everything as it comes`() {
        var node = leader()
        node.receive(accepted(1), term: 1)
        for index in 2...5 as ClosedRange<UInt64> { #expect(propose(&node, 1).ranges == [index...index]) }
        #expect(node.core.status.peers[1].inflightMessages == 4)
    }

    @Test func `a batch of proposals is one write and one message to each peer`() {
        var node = leader()
        node.receive(accepted(1), term: 1)
        let effects = propose(&node, 1, 2, 3)
        #expect(effects.ranges == [2...4])
        #expect(effects.writes.map(\.entries.count) == [3])
    }

    @Test func `messages are limited by bytes, and one entry always goes`() {
        var node = leader { $0.maxMessageBytes = 10 }
        _ = propose(&node, 4, 4, 4, 50, 10, 1)
        let effects = node.receive(accepted(1), term: 1)
        #expect(effects.ranges == [2...3, 4...4, 5...5, 6...6, 7...7])
    }

    @Test func `no more messages than the limit are under way, and answers make room`() {
        var node = leader { $0.maxInflightMessages = 3 }
        node.receive(accepted(1), term: 1)
        for index in 2...4 as ClosedRange<UInt64> { #expect(propose(&node, 1).ranges == [index...index]) }
        #expect(node.core.status.peers[1].isPaused)
        #expect(propose(&node, 1).messages.isEmpty)
        #expect(propose(&node, 1).messages.isEmpty)
        // One answer frees what it covers; what has gathered goes as one message.
        #expect(node.receive(accepted(3), term: 1).ranges == [5...6])
        // An old answer frees nothing.
        #expect(node.receive(accepted(2), term: 1).messages.isEmpty)
    }

    @Test func `no more bytes than the limit are under way`() {
        var node = leader {
            $0.maxInflightBytes = 100
            $0.maxMessageBytes = 100
        }
        node.receive(accepted(1), term: 1)
        #expect(propose(&node, 60).ranges.count == 1)
        #expect(propose(&node, 60).ranges.count == 1)
        #expect(node.core.status.peers[1].isInflightFull)
        #expect(propose(&node, 60).ranges.isEmpty)
        #expect(node.receive(accepted(2), term: 1).ranges == [4...4])
    }

    @Test func `when all that was under way is lost, an empty append after a heartbeat gets it going`() {
        var node = leader { $0.maxInflightMessages = 2 }
        node.receive(accepted(1), term: 1)
        _ = propose(&node, 1)
        _ = propose(&node, 1)
        let effects = node.receive(.heartbeatReply(HeartbeatReply(readSequence: 0)), term: 1)
        #expect(effects.ranges.isEmpty)
        #expect(effects.messages.compactMap { $0.append?.previousIndex.rawValue } == [3])
        let after = node.receive(rejected(3, hint: 1, term: 1), term: 1)
        #expect(after.ranges == [2...3])
    }

    // MARK: Entries that have to be read

    /// 3 has everything, 2 nothing; what is before `cold` is on the disk only.
    private func lagging(cold: UInt64, configure: (inout RaftCore.Options) -> Void = { _ in }) -> Lone {
        var node = Lone(voters: [1, 2, 3]) {
            $0.maxMessageBytes = 10
            configure(&$0)
        }
        node.lead()
        node.receive(accepted(1), from: 3, term: 1)
        for _ in 2...9 {
            _ = propose(&node, 5)
            node.receive(accepted(node.core.lastIndex.rawValue), from: 3, term: 1)
        }
        node.step(.cold(before: LogIndex(cold)))
        return node
    }

    @Test func `entries that are not in memory are asked for a page at a time, limited by bytes`() {
        var node = lagging(cold: 10)
        let page = node.receive(accepted(1), from: 2, term: 1)
        #expect(page.ranges == [2...3])
        #expect(node.core.status.peers[1].isPaused)
        #expect(node.step(.pageSent(to: NodeID(2))).ranges == [4...5])
        // An answer does not ask for another while one is being read.
        #expect(node.receive(accepted(3), from: 2, term: 1).ranges.isEmpty)
        #expect(node.step(.pageSent(to: NodeID(2))).ranges == [6...7])
    }

    @Test func `a page that is being read holds up nobody else, nor heartbeats`() {
        var node = lagging(cold: 10)
        node.receive(accepted(1), from: 2, term: 1)
        let effects = propose(&node, 1)
        #expect(effects.messages.map(\.to) == [NodeID(3)])
        #expect(node.receive(accepted(10), from: 3, term: 1).commits == [10])
        #expect(node.tick(1).messages.filter { $0.heartbeat != nil }.map(\.to) == [NodeID(2), NodeID(3)])
    }

    @Test func `what is in memory follows without waiting`() {
        var node = lagging(cold: 4)
        #expect(node.receive(accepted(1), from: 2, term: 1).ranges == [2...3])
        #expect(node.step(.pageSent(to: NodeID(2))).ranges == [4...5, 6...7, 8...9])
    }

    @Test func `a page that could not be read is asked for again, after a probe`() {
        var node = lagging(cold: 10)
        node.receive(accepted(1), from: 2, term: 1)
        node.step(.unreachable(NodeID(2)))
        #expect(node.receive(.heartbeatReply(HeartbeatReply(readSequence: 0)), from: 2, term: 1).ranges == [2...3])
        // While probing too there is one at a time.
        #expect(node.receive(.heartbeatReply(HeartbeatReply(readSequence: 0)), from: 2, term: 1).ranges.isEmpty)
        node.step(.pageSent(to: NodeID(2)))
        #expect(node.receive(.heartbeatReply(HeartbeatReply(readSequence: 0)), from: 2, term: 1).ranges == [2...3])
    }

    @Test func `pages count as under way until they are answered`() {
        var node = lagging(cold: 10) { $0.maxInflightMessages = 2 }
        node.receive(accepted(1), from: 2, term: 1)
        #expect(node.step(.pageSent(to: NodeID(2))).ranges == [4...5])
        #expect(node.step(.pageSent(to: NodeID(2))).ranges.isEmpty)
        #expect(node.receive(accepted(3), from: 2, term: 1).ranges == [6...7])
    }

    // MARK: Commit indexes and applying

    @Test func `a commit index that travels with what is sent anyway costs no message`() {
        var node = Lone(voters: [1, 2, 3]) { $0.announcesCommit = false }
        node.lead()
        #expect(node.receive(accepted(1), term: 1).messages.isEmpty)
        #expect(node.core.commitIndex == LogIndex(1))
        #expect(node.tick(1).messages.compactMap(\.heartbeat?.commit.rawValue) == [1, 0])
        #expect(propose(&node, 1).messages.first?.append?.commit == LogIndex(1))
    }

    @Test func `committed entries are given out before they are durable as far as the caller allows`() {
        for (limit, expected) in [(0, []), (1, [1]), (9, [3])] as [(Int, [UInt64])] {
            var node = Lone(2, term: 1) { $0.maxUnpersistedApplied = limit }
            let effects = node.receive(
                append(after: (0, 0), [1, 1, 1], commit: 3), from: 1, term: 1, persisting: false)
            #expect(effects.commits == expected)
            #expect(
                node.step(.persisted(node.core.durability.newest), persisting: false).commits == (limit > 2 ? [] : [3]))
        }
    }

    // MARK: Other limits at run time

    @Test func `limits change while a leader leads: less is sent, or more`() {
        var node = leader { $0.maxInflightMessages = 4 }
        node.receive(accepted(1), term: 1)
        for _ in 0..<4 { _ = propose(&node, 1) }
        #expect(node.core.status.peers[1].isPaused)
        var options = node.core.options
        options.maxInflightMessages = 5
        node.step(.optionsChanged(options))
        #expect(propose(&node, 1).ranges == [6...6])
        options.maxInflightMessages = 1
        options.maxUncommittedBytes = 1
        node.step(.optionsChanged(options))
        #expect(propose(&node, 1).refusals == [1])
        #expect(node.receive(accepted(5), term: 1).ranges.isEmpty)
        node.receive(accepted(6), term: 1)
        #expect(node.core.status.peers[1].inflightMessages == 0)
    }

    @Test func `what promises rest on does not change at run time`() {
        let old = RaftCore.Options(id: NodeID(1), randomSeed: 1)
        var new = old
        new.electionTicks = 20
        new.heartbeatTicks = 2
        #expect(new.inconsistency(replacing: old) == nil)
        new.checkQuorum = false
        #expect(new.inconsistency(replacing: old) != nil)
        var leased = old
        leased.readMode = .lease
        #expect(leased.inconsistency(replacing: old) != nil)
        var longer = leased
        longer.electionTicks = 20
        #expect(longer.inconsistency(replacing: leased) != nil)
        var other = old
        other.id = NodeID(2)
        #expect(other.inconsistency(replacing: old) != nil)
        var broken = old
        broken.maxInflightMessages = 0
        #expect(broken.inconsistency(replacing: old) != nil)
    }

    @Test func `an unreachable follower is probed`() {
        var node = leader()
        node.receive(accepted(1), term: 1)
        _ = propose(&node, 1)
        node.step(.unreachable(NodeID(2)))
        #expect(node.core.status.peers[1].state == .probe)
        #expect(node.core.status.peers[1].next == LogIndex(2))
    }

    @Test func `stale refusals are passed over`() {
        var node = leader()
        node.receive(accepted(1), term: 1)
        _ = propose(&node, 1)
        #expect(node.receive(rejected(1, hint: 0, term: 0), term: 1).messages.isEmpty)
        #expect(node.core.status.peers[1].state == .replicate)
    }

    @Test func `proposals are refused when too much is not applied, from where the limit is reached`() {
        var node = leader { $0.maxUncommittedBytes = 100 }
        node.receive(accepted(1), term: 1)
        #expect(propose(&node, 60, 40, 1, 1).refusals == [2])
        #expect(node.core.lastIndex == LogIndex(3))
        #expect(propose(&node, 1).refusals == [1])
        // What has no payload always goes.
        #expect(propose(&node, 0).refusals.isEmpty)
        node.receive(accepted(4), term: 1)
        node.step(.applied(LogIndex(2)))
        #expect(propose(&node, 50).refusals.isEmpty)
        node.receive(accepted(5), term: 1)
        node.step(.applied(LogIndex(5)))
        // And one entry, however large, if nothing else is there.
        #expect(propose(&node, 1_000).refusals.isEmpty)
        #expect(propose(&node, 1).refusals == [1])
    }

    @Test func `followers pass proposals on, unless told not to`() {
        var cluster = TestCluster(3)
        cluster.campaign(1)
        cluster.propose(2, [1])
        #expect(cluster.commit(1) == 2)
        var strict = TestCluster(3) { $0.forwardsProposals = false }
        strict.campaign(1)
        strict.propose(2, [1])
        #expect(strict[2].refusals.map(\.reason) == [.forwardingDisabled])
        var headless = TestCluster(3)
        headless.propose(2, [1], [2])
        #expect(headless[2].refusals.map(\.count) == [2])
        #expect(headless[2].refusals.map(\.reason) == [.noLeader])
    }
}

extension [Effect] {
    fileprivate var refusals: [Int] {
        compactMap { if case .proposalsRefused(let count, .tooManyUncommitted) = $0 { count } else { nil } }
    }
}
