import RaftSimulation
import Testing

/// What has broken such systems before, each played a few times over with nothing else in its way. Numbers are issues
/// of etcd. All of the simulator's checkers look on: that no acknowledged write is lost and no read stale, that members
/// agree, that the cluster comes together afterwards.
@Suite struct ScenarioTests {
    /// Plays some seeds of a scenario; none may fail.
    @discardableResult
    private func play(
        _ kinds: Misfortune.Kind..., seeds: ClosedRange<UInt64> = 1...2, seconds: UInt64 = 6,
        adjust: @escaping @Sendable (inout Swarm) -> Void = { _ in }
    ) -> [Simulation.Report] {
        play(kinds, seeds: seeds, seconds: seconds, adjust: adjust)
    }

    @discardableResult
    private func play(
        _ kinds: [Misfortune.Kind], seeds: ClosedRange<UInt64> = 1...2, seconds: UInt64 = 6,
        adjust: @escaping @Sendable (inout Swarm) -> Void = { _ in }
    ) -> [Simulation.Report] {
        var options = Simulation.Options()
        options.safetyNanoseconds = seconds * 1_000_000_000
        options.livenessNanoseconds = 10_000_000_000
        options.adjust = { swarm in
            swarm.cluster.members = 3
            swarm.kinds = kinds
            swarm.paceNanoseconds = 1_000_000_000
            // Few enough requests that the suite takes seconds in a debug build.
            swarm.workload.clients = 3
            swarm.workload.thinkNanoseconds = 80_000_000
            swarm.keepsOneDeaf = false
            swarm.keepsOneMute = false
            swarm.makesHistory = false
            swarm.holdsLeases = false
            swarm.takesLocks = false
            adjust(&swarm)
        }
        return seeds.map { seed in
            let report = Simulation.run(seed: seed, options: options)
            #expect(
                report.violation == nil,
                "seed \(seed): \(report.violation ?? ""): \(report.story.joined(separator: "; "))")
            #expect(report.acknowledged > 0, "seed \(seed) has tried nothing")
            return report
        }
    }

    @Test func `1: killed under load, revision and applied index stay together (13766)`() {
        play(.kill) { $0.paceNanoseconds = 500_000_000 }
    }

    @Test func `2: a single member answers only what its disk holds (14370)`() {
        play(.powerCut, .powerCutWhileWriting) { $0.cluster.members = 1 }
    }

    @Test func `3: a crash during compaction applies nothing twice, and no revision goes back (14685, 17780)`() {
        play(.kill, .powerCut) { $0.workload.compacts = true }
    }

    /// Watchers of all kinds, while history is made, compacted and installed.
    private func playWatches(
        _ kinds: Misfortune.Kind..., seeds: ClosedRange<UInt64> = 1...2,
        adjust: @escaping @Sendable (inout Swarm) -> Void = { _ in }
    ) -> [Simulation.Report] {
        let reports = play(kinds, seeds: seeds) { swarm in
            swarm.makesHistory = true
            swarm.changes.clients = 3
            swarm.workload.compacts = true
            adjust(&swarm)
        }
        #expect(reports.allSatisfy { $0.eventsWatched > 0 })
        return reports
    }

    @Test func `4: a progress notification never comes before the events that it covers (15220)`() {
        _ = playWatches(.kill, .pause)
    }

    @Test func `5: a watch does not go back in time after a partition and a snapshot (15271)`() {
        let reports = playWatches(.isolation, .isolation, .split) { swarm in
            swarm.cluster.snapshotCount = 3
            swarm.cluster.catchUpEntries = 0
        }
        #expect(reports.contains { $0.counts.snapshots > 0 })
    }

    /// In every play a third of the streams read slowly, with limits of some bytes.
    @Test func `6: a slow watch stream loses no event (17529)`() {
        _ = playWatches(.isolation, .slowDisk) { swarm in swarm.changes.thinkNanoseconds = 40_000_000 }
    }

    @Test func `7: a watch on a delete at the very revision that is compacted (18089, 19179)`() {
        let reports = playWatches(.kill, seeds: 1...4) { swarm in swarm.changes.compactsOneIn = 4 }
        #expect(reports.contains { $0.watchesCompacted > 0 })
        #expect(reports.contains { $0.pairsBefore > 0 })
    }

    @Test func `8: a watch on a future revision delivers nothing older (20221)`() {
        _ = playWatches(.kill, .isolation)
    }

    @Test func `10: a read of a compacted revision in a transaction says the same on all members (18667)`() {
        let reports = playWatches(.kill, .powerCut, .isolation, seeds: 1...8) { swarm in
            swarm.changes.compactsOneIn = 4
            swarm.cluster.snapshotCount = 5
            swarm.cluster.catchUpEntries = 2
        }
        #expect(reports.contains { $0.compactedReads > 0 })
    }

    /// Clients look again when they have waited, and the resource that the lock protects refuses old tokens. Without
    /// the tokens some of those writes would have come through: a lock without fencing excludes nobody.
    @Test func `12: lease and lock, looked at again after waiting, and fenced`() {
        let reports = playLeases(.transfer, .pause, seeds: 1...12) { swarm in
            swarm.takesLocks = true
            swarm.locks.clients = 4
        }
        #expect(reports.contains { $0.locksTaken > 1 })
        #expect(reports.contains { $0.fencedOff > 0 })
    }

    /// The mistake that the recipe warns of, made by the clients: the checks must tell.
    @Test func `12: who does not look again after waiting takes a lock that it has lost, and that is found`() {
        var options = Simulation.Options()
        options.safetyNanoseconds = 10_000_000_000
        options.theme = .keyLeases
        options.adjust = { swarm in
            swarm.takesLocks = true
            swarm.locks.clients = 5
            swarm.locks.looksAgain = false
        }
        let violations = (1...20 as ClosedRange<UInt64>).lazy.compactMap {
            Simulation.run(seed: $0, options: options).violation
        }
        #expect(violations.first?.contains("a lock was taken") == true)
    }

    @Test func `13: renewals, ends and revocations across changes of leaders, with clocks that drift`() {
        let reports = playLeases(.killOfNewLeader, .transfer, .pause, seeds: 1...3) { swarm in
            swarm.cluster.driftMillionths = swarm.readsByLease ? 20_000 : 200_000
        }
        #expect(reports.contains { $0.counts.elections > 2 })
    }

    private func playLeases(
        _ kinds: Misfortune.Kind..., seeds: ClosedRange<UInt64>,
        adjust: @escaping @Sendable (inout Swarm) -> Void = { _ in }
    ) -> [Simulation.Report] {
        let reports = play(kinds, seeds: seeds, seconds: 10) { swarm in
            swarm.holdsLeases = true
            swarm.leases.clients = 5
            adjust(&swarm)
        }
        #expect(reports.contains { $0.leaseKeysEnded > 0 })
        return reports
    }

    @Test func `9: one snapshot after the other (18055)`() {
        let reports = play(.isolation, .powerCut, seeds: 1...4, seconds: 10) { swarm in
            swarm.workload.thinkNanoseconds = 30_000_000
            swarm.cluster.snapshotCount = 1
            swarm.cluster.catchUpEntries = 0
        }
        #expect(reports.contains { $0.counts.snapshots > 1 })
    }

    @Test(arguments: [false, true])
    func `11: a leader that was stopped for long, and is asked: no stale read (20418)`(byLease: Bool) {
        play(.pause) { swarm in
            swarm.readsByLease = byLease
            swarm.cluster.driftMillionths = 20_000
        }
    }

    @Test func `15: a member that sends and hears nobody, or the other way round, for good: the others get on`() {
        for isDeaf in [true, false] {
            play(.deafness, .muteness) { swarm in
                swarm.cluster.preVote = true
                swarm.cluster.checkQuorum = true
                swarm.keepsOneDeaf = isDeaf
                swarm.keepsOneMute = !isDeaf
            }
        }
    }

    @Test func `16: a removed member disturbs nobody`() {
        let reports = play(.membership, .membership, .isolation) { swarm in
            swarm.cluster.preVote = true
            swarm.cluster.checkQuorum = true
        }
        #expect(reports.contains { $0.counts.configurations > 1 })
    }

    @Test func `17: power cuts between append, snapshot and hard state, in every order`() {
        play(.powerCutWhileWriting, seeds: 1...3) { swarm in
            swarm.paceNanoseconds = 400_000_000
            swarm.cluster.snapshotCount = 5
            swarm.cluster.catchUpEntries = 2
        }
    }

    @Test func `18: a torn last record is dropped, a corrupt one before it is not`() {
        let reports = play(.powerCutWhileWriting, .rotInLog)
        #expect(reports.contains { $0.counts.refusals == 1 })
    }

    @Test func `19: after EIO a member stops; it does not try again and go on`() {
        let reports = play(.failingSynchronize, .failingWrite, .failingRead)
        #expect(reports.allSatisfy { $0.counts.stops > 0 })
    }

    @Test func `20: without room a member stops, and comes back when there is some`() {
        let reports = play(.fullDisk)
        #expect(reports.contains { $0.counts.stops > 0 })
    }

    @Test func `21: a bit that flips in the engine is found at the start`() {
        let reports = play(.rotInEngine, seeds: 1...3)
        #expect(reports.allSatisfy { $0.counts.refusals == 1 })
    }

    @Test func `22: all members lose power at once`() {
        play(.powerCutOfAll)
    }

    @Test func `23: members change while leaders fall; crashes within joint configurations; members are replaced`() {
        let reports = play(
            .membership, .membership, .killOfNewLeader, .powerCut, .kill, seeds: 1...4, seconds: 10)
        #expect(reports.contains { $0.counts.configurations > 1 })
    }

    @Test func `24: snapshots break off half way, and members restart meanwhile`() {
        play(.isolation, .kill, .badNetwork) { swarm in
            swarm.cluster.snapshotCount = 3
            swarm.cluster.catchUpEntries = 0
        }
    }

    @Test func `25: a slow disk, the leader's or a follower's: who lags catches up`() {
        play(.slowDisk)
    }

    @Test func `26: what nobody knows the end of is not done twice by forwarding`() {
        play(.badNetwork, .isolation, .killOfNewLeader, .transfer)
    }
}
