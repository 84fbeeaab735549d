import Testing

@testable import RaftCore

@Suite struct `Membership` {
    private func settled(_ count: Int, configure: (inout RaftCore.Options) -> Void = { _ in }) -> TestCluster {
        var cluster = TestCluster(count, configure: configure)
        cluster.campaign(1)
        cluster.tickAll()
        // Who joins with nothing needs a snapshot, and the configuration with it.
        for id in 1...UInt64(count) { cluster.compact(id) }
        return cluster
    }

    private func voters(_ cluster: TestCluster, _ id: UInt64) -> [UInt64] {
        cluster.core(id).currentConfiguration.voters.map(\.rawValue)
    }

    @Test func `a voter that is added catches up and counts`() {
        var cluster = settled(1)
        cluster.add(NodeID(2), Configuration())
        cluster.change(1, "v2")
        #expect(voters(cluster, 1) == [1, 2])
        cluster.tickAll()
        #expect(voters(cluster, 2) == [1, 2])
        cluster.isolated = [2]
        cluster.propose(1, [1])
        let before = cluster.commit(1)
        #expect(cluster.core(1).lastIndex.rawValue == before + 1)
        cluster.isolated = []
        cluster.step(1, .unreachable(NodeID(2)))
        cluster.tickAll()
        #expect(cluster.commit(1) == before + 1)
    }

    @Test func `a learner gets everything and counts for nothing, until it is made a voter`() {
        var cluster = settled(1)
        cluster.add(NodeID(2), Configuration())
        cluster.change(1, "l2")
        cluster.tickAll()
        #expect(cluster.commit(2) == cluster.commit(1))
        cluster.isolated = [2]
        cluster.propose(1, [1])
        #expect(cluster.commit(1) == 3)
        cluster.isolated = []
        cluster.change(1, "v2")
        #expect(voters(cluster, 1) == [1, 2])
        #expect(!cluster.peer(2, of: 1).isLearner)
    }

    @Test func `a removed voter counts no more, and entries that waited for it are committed`() {
        var cluster = settled(2)
        cluster[1].appliesLate = true
        cluster.change(1, "r2")
        cluster.isolated = [2]
        cluster.propose(1, [1])
        #expect(cluster.commit(1) == 2)
        cluster.apply(1)
        #expect(cluster.commit(1) == 3)
    }

    @Test func `one change at a time: another is refused until the first is applied, and leaves an empty entry`() {
        var cluster = settled(3)
        cluster[1].appliesLate = true
        cluster.change(1, "v4")
        let second = ConfigurationChange(changes: memberChanges("v5"))
        cluster.step(
            1,
            .propose([
                Proposal(payload: [1]), Proposal(kind: .configuration, payload: second.encode()),
                Proposal(payload: [2]),
            ]))
        cluster.settle()
        #expect(cluster[1].refusedChanges.map(\.offset) == [1])
        #expect(cluster[1].refusedChanges[0].reason == .pending(at: LogIndex(2), applied: LogIndex(1)))
        #expect(cluster[1].log.suffix(3).map(\.payload) == [[1], [], [2]])
        #expect(cluster[1].log.suffix(3).allSatisfy { $0.kind == .command })
        cluster.apply(1)
        cluster.change(1, "r4")
        #expect(cluster[1].refusedChanges.count == 1)
    }

    @Test func `two changes in one batch: the second is refused`() {
        var cluster = settled(3)
        let proposals = ["v4", "v5"].map {
            Proposal(kind: .configuration, payload: ConfigurationChange(changes: memberChanges($0)).encode())
        }
        cluster.step(1, .propose(proposals))
        cluster.settle()
        #expect(cluster[1].refusedChanges.map(\.offset) == [1])
        #expect(voters(cluster, 1) == [1, 2, 3, 4])
    }

    @Test func `a new leader takes no change before it has applied what older terms left`() {
        var cluster = settled(3)
        cluster.loses = { $0.append?.entries.isEmpty == false }
        cluster.campaign(2)
        cluster.change(2, "v4")
        #expect(cluster[2].refusedChanges.isEmpty)
        var other = settled(3)
        other[2].appliesLate = true
        other.propose(1, [1])
        other.tickAll()
        other.campaign(2)
        other.change(2, "v4")
        #expect(other[2].refusedChanges.count == 1)
        other.apply(2)
        other.settle()
        other.change(2, "v4")
        #expect(other[2].refusedChanges.count == 1)
        other.apply(2)
        #expect(voters(other, 2) == [1, 2, 3, 4])
    }

    @Test(arguments: [
        ("", "not in joint state; refusing empty conf change"), ("r1 r2 r3", "removed all voters"),
    ])
    func `a change that could not be applied is refused when it is proposed`(steps: String, reason: String) {
        var cluster = settled(3)
        cluster.change(1, steps)
        #expect(cluster[1].refusedChanges.map(\.reason.description) == [reason])
    }

    @Test(arguments: [("r9", [9]), ("u9", [9]), ("r8 v4 u9", [8, 9])] as [(String, [UInt64])])
    func `a change that names strangers is refused, and says whom`(steps: String, strangers: [UInt64]) {
        var cluster = settled(3)
        cluster.change(1, steps)
        #expect(cluster[1].refusedChanges.map(\.reason) == [.unknownMembers(strangers.map { NodeID($0) })])
        #expect(voters(cluster, 1) == [1, 2, 3])
    }

    @Test func `who is added by the same change is no stranger to it`() {
        var cluster = settled(3)
        cluster.change(1, "v4 u4")
        #expect(cluster[1].refusedChanges.isEmpty)
    }

    @Test func `a change that would leave too few that are there is refused, and what helps is not`() {
        var cluster = settled(3)
        cluster.isolated = [3]
        cluster.tickAll(12)
        cluster.change(1, "r2")
        #expect(cluster[1].refusedChanges.map(\.reason) == [.losesQuorum(silent: [NodeID(3)])])
        cluster.change(1, "l2")
        #expect(cluster[1].refusedChanges.count == 2)
        cluster.change(1, "r3")
        #expect(cluster[1].refusedChanges.count == 2)
        #expect(voters(cluster, 1) == [1, 2])
        // Who is added may be started afterwards.
        cluster.change(1, "v4")
        #expect(voters(cluster, 1) == [1, 2, 4])
    }

    @Test func `the caller may vouch for a change that names strangers or loses the quorum`() {
        var cluster = settled(3) {
            $0.refusesUnknownMembers = false
            $0.refusesQuorumLoss = false
        }
        cluster.change(1, "r9")
        cluster.isolated = [3]
        cluster.tickAll(12)
        cluster.change(1, "r2")
        #expect(cluster[1].refusedChanges.isEmpty)
        #expect(voters(cluster, 1) == [1, 3])
    }

    /// 20 entries and a learner that has the first `match` of them.
    private func withLearner(
        at match: Int, isChecked: Bool = true, configure: (inout RaftCore.Options) -> Void = { _ in }
    ) -> TestCluster {
        var cluster = settled(3) {
            $0.promotesOnlyCaughtUp = isChecked
            configure(&$0)
        }
        cluster.add(NodeID(4), Configuration())
        cluster.change(1, "l4")
        cluster.tickAll()
        while cluster.core(1).lastIndex.rawValue < UInt64(match) { cluster.propose(1, [1]) }
        cluster.tickAll()
        cluster.isolated = [4]
        while cluster.core(1).lastIndex.rawValue < 20 { cluster.propose(1, [1]) }
        cluster.tickAll()
        return cluster
    }

    @Test func `a learner is made a voter when it has nine tenths of the leader's log, and not sooner`() {
        var late = withLearner(at: 17)
        #expect(late.peer(4, of: 1).match == LogIndex(17))
        late.change(1, "v4")
        #expect(late[1].refusedChanges.map(\.reason) == [.notCaughtUp([NodeID(4)])])
        #expect(voters(late, 1) == [1, 2, 3])
        // The empty entry in the refused one's place has made the log longer, and the learner catches up.
        late.isolated = []
        late.step(1, .unreachable(NodeID(4)))
        late.tickAll(3)
        late.change(1, "v4")
        #expect(late[1].refusedChanges.count == 1)
        #expect(voters(late, 1) == [1, 2, 3, 4])

        var inTime = withLearner(at: 18)
        inTime.change(1, "v4")
        #expect(inTime[1].refusedChanges.isEmpty)
        #expect(voters(inTime, 1) == [1, 2, 3, 4])
    }

    @Test func `a change of several steps with a learner that is behind is refused as a whole`() {
        var cluster = withLearner(at: 10)
        cluster.change(1, "v4 r2")
        #expect(cluster[1].refusedChanges.map(\.reason) == [.notCaughtUp([NodeID(4)])])
        #expect(voters(cluster, 1) == [1, 2, 3])
        // Who is new is no learner that is behind; and a learner may go.
        cluster.change(1, "v5 r4")
        #expect(cluster[1].refusedChanges.count == 1)
    }

    @Test func `the caller may vouch for a learner that is behind`() {
        var cluster = withLearner(at: 10, isChecked: false)
        cluster.change(1, "v4")
        #expect(cluster[1].refusedChanges.isEmpty)
        #expect(voters(cluster, 1) == [1, 2, 3, 4])
    }

    @Test func `a follower that passed the change on hears why it was refused`() {
        var cluster = withLearner(at: 10)
        cluster.change(2, "v4")
        let reasons = cluster[1].refusedForwards.map { refused in
            if case .configurationChange(_, let reason) = refused.what { reason } else { nil as ConfigurationRefusal? }
        }
        #expect(reasons == [.notCaughtUp([NodeID(4)])])
        #expect(voters(cluster, 1) == [1, 2, 3])
    }

    @Test func `a refused change leaves the one that was pending alone`() {
        var cluster = settled(3)
        cluster[1].appliesLate = true
        cluster.change(1, "l4")
        cluster.change(1, "r9")
        cluster.apply(1)
        #expect(cluster.core(1).currentConfiguration.rendered == "voters=(1 2 3) learners=(4)")
    }

    @Test func `a voter becomes a learner, by itself or on the way through a joint configuration`() {
        for (steps, joint) in [("l3", false), ("l3 v4", true)] {
            var cluster = settled(3)
            cluster.add(NodeID(4), Configuration())
            cluster.change(1, steps)
            cluster.tickAll(3)
            #expect(cluster.core(3).currentConfiguration.learners == [NodeID(3)])
            #expect(
                cluster[1].traces.contains { event in
                    if case .configurationChanged(let new) = event { new.nextLearners == [NodeID(3)] } else { false }
                } == joint)
            cluster.tick(3, 40)
            #expect(cluster.role(3) == .follower)
        }
    }

    @Test func `every member can be replaced in one step`() {
        var cluster = settled(3)
        for id in 4...6 as ClosedRange<UInt64> { cluster.add(NodeID(id), Configuration()) }
        cluster.change(1, "r1 r2 r3 v4 v5 v6")
        cluster.tickAll(3)
        #expect(cluster.leaders.count == 1 && cluster.leaders[0] >= 4)
        cluster.isolated = [1, 2, 3]
        let before = cluster.commit(4)
        cluster.propose(cluster.leaders[0], [1])
        cluster.tickAll()
        #expect(cluster.commit(4) > before)
        #expect(voters(cluster, 5) == [4, 5, 6])
    }

    @Test func `bytes that are no change are refused`() {
        var cluster = settled(3)
        cluster.step(1, .propose([Proposal(kind: .configuration, payload: [77])]))
        #expect(cluster[1].refusedChanges.count == 1)
    }

    @Test func `an unvalidated change that cannot be applied changes nothing, on any member`() {
        var cluster = settled(3) { $0.validatesConfigurationChanges = false }
        cluster.change(1, "r1 r2 r3", .jointExplicit)
        cluster.tickAll()
        for id in 1...3 as ClosedRange<UInt64> {
            #expect(voters(cluster, id) == [1, 2, 3])
            #expect(cluster[id].traces.contains(.configurationRefused("removed all voters")))
        }
    }

    @Test func `several voters change by way of a joint configuration that is left by itself`() {
        var cluster = settled(3)
        cluster.add(NodeID(4), Configuration())
        cluster.add(NodeID(5), Configuration())
        cluster.change(1, "r2 r3 v4 v5")
        cluster.tickAll(3)
        #expect(
            cluster[1].traces.contains { event in
                if case .configurationChanged(let configuration) = event {
                    configuration.rendered == "voters=(1 4 5)&&(1 2 3) autoleave"
                } else {
                    false
                }
            })
        for id in [1, 4, 5] as [UInt64] {
            #expect(cluster.core(id).currentConfiguration.rendered == "voters=(1 4 5)")
        }
        cluster.isolated = [2, 3]
        let before = cluster.commit(1)
        cluster.propose(1, [1])
        #expect(cluster.commit(1) == before + 1)
    }

    @Test func `in a joint configuration both halves must agree`() {
        var cluster = settled(3)
        for id in [4, 5] as [UInt64] { cluster.add(NodeID(id), Configuration()) }
        cluster.change(1, "r2 r3 v4 v5", .jointExplicit)
        cluster.tickAll(3)
        #expect(cluster.core(1).currentConfiguration.isJoint)
        for silent in [[4, 5], [2, 3]] as [Set<UInt64>] {
            cluster.isolated = silent
            let before = cluster.commit(1)
            cluster.propose(1, [1])
            #expect(cluster.commit(1) == before)
            cluster.isolated = []
            for id in silent { cluster.step(1, .unreachable(NodeID(id))) }
            cluster.tickAll(2)
            #expect(cluster.commit(1) == before + 1)
        }
        // Nothing but leaving is allowed.
        cluster.change(1, "v6")
        #expect(cluster[1].refusedChanges.map(\.reason) == [.isJoint])
        cluster.change(1, "")
        #expect(cluster.core(1).currentConfiguration.rendered == "voters=(1 4 5)")
    }

    @Test func `a new leader leaves the joint configuration that it finds`() {
        var cluster = settled(3)
        cluster.add(NodeID(4), Configuration())
        // The old leader goes when it is in force.
        cluster[1].appliesLate = true
        cluster.change(1, "r3 v4", .jointImplicit)
        cluster.tickAll(2)
        #expect(cluster.core(2).currentConfiguration.isJoint)
        cluster.isolated = [1]
        cluster.campaign(2)
        cluster.tickAll(3)
        #expect(cluster.core(2).currentConfiguration.rendered == "voters=(1 2 4)")
    }

    @Test func `a leader in transfer leaves the joint configuration later`() {
        var cluster = settled(3)
        cluster[1].appliesLate = true
        cluster.change(1, "v4", .jointImplicit)
        cluster.isolated = [2]
        cluster.transfer(1, to: 2)
        cluster.apply(1)
        #expect(cluster.core(1).currentConfiguration.isJoint)
        let last = cluster.core(1).lastIndex
        cluster.tick(1, 10)
        cluster.isolated = []
        #expect(cluster.core(1).lastIndex == last)
        #expect(cluster.status(1).leadTransferee == nil)
        cluster.propose(1, [1])
        cluster.apply(1)
        cluster.settle()
        #expect(cluster.core(1).lastIndex.rawValue == last.rawValue + 2)
    }

    @Test(arguments: [true, false])
    func `a leader that removes itself steps down, if it is told to`(stepsDown: Bool) {
        var cluster = settled(3) { $0.whenVoteIsLost = stepsDown ? .stepsDown : .leads }
        cluster.change(1, "r1")
        #expect(cluster.role(1) == (stepsDown ? .follower : .leader))
        cluster.propose(1, [1])
        #expect(cluster[1].refusals.map(\.reason) == [stepsDown ? .noLeader : .notMember])
        cluster.campaign(2)
        #expect(cluster.role(2) == .leader)
        cluster.step(1, .campaign)
        #expect(cluster.term(1) == 1)
    }

    @Test func `a member that knows no configuration does not make one up from changes`() {
        var node = Lone(2, voters: [])
        let effects = node.step(
            .configurationApplied(ConfigurationChange(changes: memberChanges("v2")), at: LogIndex(1)))
        #expect(node.core.currentConfiguration == Configuration())
        #expect(effects.count == 1)
        #expect(node.step(.campaign).isEmpty)
    }

    @Test func `members of a new cluster start alike, and who joins gets a snapshot of it`() {
        let start = RaftCore.Restored.bootstrap(Configuration(voters: [NodeID(1)]))
        #expect(start.inconsistency == nil)
        var core = RaftCore(options: .init(id: NodeID(1), randomSeed: 1), restored: start)
        var effects = Effects()
        core.step(.campaign, into: &effects)
        core.step(.persisted(WriteID(1)), into: &effects)
        core.step(.persisted(WriteID(2)), into: &effects)
        #expect(effects.list.commits == [2])
        core.step(.applied(LogIndex(2)), into: &effects)
        effects.removeAll()
        core.step(.configurationApplied(ConfigurationChange(changes: memberChanges("l2"))), into: &effects)
        #expect(effects.list.messages.compactMap { $0.append?.previousIndex } == [LogIndex(1)])
        let answer = Message(from: NodeID(2), to: NodeID(1), term: Term(2), body: rejected(1, hint: 0, term: 0))
        core.step(.received(answer), into: &effects)
        guard case .sendSnapshot(let to, let atLeast, _) = effects.list.last else {
            Issue.record("\(effects.list)")
            return
        }
        #expect(to == NodeID(2) && atLeast == LogIndex(2))
    }

    @Test func `a member that was just added does not cost the leader its quorum`() {
        var cluster = settled(1) { $0.checkQuorum = true }
        cluster.change(1, "v2")
        cluster.tick(1, 9)
        #expect(cluster.role(1) == .leader)
    }

    @Test func `a removed member disturbs nobody, with pre-vote and quorum checks`() {
        var cluster = settled(4) {
            $0.checkQuorum = true
            $0.preVote = true
        }
        cluster.change(1, "r4")
        // It may not have heard of it.
        #expect(voters(cluster, 1) == [1, 2, 3])
        for _ in 0..<60 { cluster.tickAll() }
        #expect(cluster.leaders == [1])
        #expect(cluster.term(1) == 1)
    }

    @Test func `a member removed and added in one change starts from nothing`() {
        var cluster = settled(3)
        #expect(cluster.peer(3, of: 1).match == LogIndex(1))
        cluster.isolated = [3]
        cluster.change(1, "r3 v3", .automatic)
        // Through a joint configuration its progress is kept: it never ceased to be a voter.
        #expect(cluster.peer(3, of: 1).match == LogIndex(1))
    }

    @Test func `a cluster grows from one to five and shrinks back`() {
        var cluster = settled(1)
        for id in 2...5 as ClosedRange<UInt64> {
            cluster.add(NodeID(id), Configuration())
            cluster.change(1, "v\(id)")
            cluster.tickAll(2)
        }
        for id in 1...5 as ClosedRange<UInt64> { #expect(voters(cluster, id) == [1, 2, 3, 4, 5]) }
        for id in 2...5 as ClosedRange<UInt64> {
            cluster.change(1, "r\(id)")
            cluster.tickAll(2)
        }
        #expect(voters(cluster, 1) == [1])
        let before = cluster.commit(1)
        cluster.propose(1, [1])
        #expect(cluster.commit(1) == before + 1)
    }
}
