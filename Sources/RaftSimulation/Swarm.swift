package import Platform
import RaftCore

/// What a seed plays with: cluster, clients and kinds of misfortune, drawn anew for each (swarm testing: a random
/// subset of everything, since bugs hide where one fault or feature keeps another from happening).
package struct Swarm: Sendable {
    package var cluster = SimulatedCluster.Options()
    package var workload = KeyValueWorkload.Options()
    package var kinds: [Misfortune.Kind] = []
    /// Clients beside that make history with deletes, several keys a revision and compactions; that hold leases with
    /// keys; and that take a lock by leases.
    package var makesHistory = false
    package var holdsLeases = false
    package var takesLocks = false
    package var changes = ChangesWorkload.Options()
    package var leases = LeaseWorkload.Options()
    package var locks = LockWorkload.Options()
    /// From one misfortune to the next, at most.
    package var paceNanoseconds: UInt64 = 1_500_000_000
    /// In the liveness phase one member stays cut off in one direction: the others must get on.
    package var keepsOneDeaf = false
    package var keepsOneMute = false

    /// Reads rest on the leader's lease, and not on a round of heartbeats each.
    package var readsByLease: Bool {
        get { cluster.readMode == .lease }
        set {
            cluster.readMode = newValue ? .lease : .quorum
            if newValue { cluster.checkQuorum = true }
        }
    }

    /// What a play can be about, where it is not about anything that may happen.
    package enum Theme: String, CaseIterable, Sendable {
        case figureEight, votes, slowCandidates, leases, membership, crashLoops, restartsBehindLeaders
        case lateFollowers, cuts, disks
        case watches, keyLeases

        /// Which a seed draws with everything else. The others are drawn by ``drawHistories(seed:)``.
        fileprivate static let drawn: [Theme] = [
            .figureEight, .votes, .slowCandidates, .leases, .membership, .crashLoops, .restartsBehindLeaders,
            .lateFollowers, .cuts, .disks,
        ]
    }

    /// Whether a play is about watches, or leases with keys: by a draw of its own, so that what the other seeds mean is
    /// what it was before there were such plays.
    package static func drawHistories(seed: UInt64) -> Theme? {
        var draw = RandomSource(seed: seed ^ 0x3157)
        guard draw.oneIn(5) else { return nil }
        return draw.oneIn(2) ? .watches : .keyLeases
    }

    /// Which clients there are beside: by draws of their own, too.
    package mutating func drawClients(seed: UInt64, theme: Theme?) {
        var draw = RandomSource(seed: seed ^ 0x1ea5e)
        holdsLeases = draw.oneIn(3) || theme == .keyLeases
        makesHistory = draw.oneIn(4) || theme == .watches
        takesLocks = draw.oneIn(2) && holdsLeases
    }

    /// - Parameter theme: what it shall be about; nil: whatever is drawn.
    package init(drawing draw: inout RandomSource, theme: Theme? = nil) {
        cluster.members = [1, 2, 3, 3, 3, 3, 3, 4, 5, 5, 5, 6, 7][draw.below(13)]
        // Restless elections; the rules that only keep the peace switched off here and there, since safety must not
        // rest on them.
        cluster.tickNanoseconds = 20_000_000 + draw.next() % 80_000_000
        cluster.electionTicks = 4 + draw.below(8)
        cluster.preVote = !draw.oneIn(3)
        cluster.checkQuorum = !draw.oneIn(3)
        if cluster.checkQuorum, draw.oneIn(3) { cluster.readMode = .lease }
        cluster.segmentBytes = 8 << (10 + draw.below(4))
        cluster.snapshotCount = draw.oneIn(3) ? UInt64(1 + draw.below(10)) : UInt64(20 + draw.below(200))
        cluster.catchUpEntries = draw.oneIn(3) ? UInt64(draw.below(5)) : UInt64(5 + draw.below(100))
        cluster.flushIntervalNanoseconds = 10_000_000 + draw.next() % 400_000_000
        cluster.maxInflightMessages = 1 + draw.below(64)
        cluster.maxMessageBytes = 64 << draw.below(12)
        cluster.logPace.most = 100_000 + draw.next() % 30_000_000
        cluster.flushPace.most = 100_000 + draw.next() % (draw.oneIn(3) ? 200_000_000 : 10_000_000)
        // Leases bear as much as their margin of a tick; everything else any drift.
        if draw.oneIn(2) { cluster.driftMillionths = cluster.readMode == .lease ? 20_000 : 200_000 }

        workload.clients = 2 + draw.below(8)
        workload.groups = 1 + draw.below(5)
        workload.thinkNanoseconds = 5_000_000 + draw.next() % 100_000_000
        workload.probeNanoseconds = 50_000_000 + draw.next() % 400_000_000
        workload.compacts = draw.oneIn(3)
        if draw.oneIn(2) { workload.patienceNanoseconds = 200_000_000 + draw.next() % 2_000_000_000 }

        paceNanoseconds = 300_000_000 + draw.next() % 3_000_000_000
        let isThemed = draw.below(5) < 3
        // Those that need many tries come more than once.
        let themes = Theme.drawn + [.figureEight, .slowCandidates, .slowCandidates, .membership, .membership]
        let drawn = themes[draw.below(themes.count)]
        if let theme = theme ?? (isThemed ? drawn : nil) { play(theme, &draw) } else { drawKinds(&draw) }
        if cluster.preVote, cluster.checkQuorum, cluster.members >= 3, draw.oneIn(3) {
            keepsOneDeaf = draw.oneIn(2)
            keepsOneMute = !keepsOneDeaf
        }
    }

    /// One matter again and again, with what makes it likely to go wrong: leaders that fall, promises that are
    /// forgotten, leases, logs that are cut.
    private mutating func play(_ theme: Theme, _ draw: inout RandomSource) {
        switch theme {
        case .figureEight:
            // Figure 8: few entries a message, so that old ones are replicated before the leader's own.
            kinds = [.leadersInTurn]
            cluster.maxMessageBytes = draw.oneIn(4) ? 4096 : 64
            cluster.maxInflightMessages = 1 + draw.below(2)
            cluster.logPace.most = 100_000 + draw.next() % 10_000_000
            workload.thinkNanoseconds = 2_000_000 + draw.next() % 20_000_000
            quickenElections(&draw)
            if draw.oneIn(2) { cluster.members = 3 }
        case .votes:
            kinds = [.afterVote, .afterVote, .afterCandidacy, .killOfNewLeader]
            if draw.oneIn(2) { kinds.append(.badNetwork) }
            quickenElections(&draw)
        case .slowCandidates:
            kinds = [.slowCandidate]
            quickenElections(&draw)
            cluster.preVote = draw.oneIn(6)
            if !draw.oneIn(4) { cluster.members = 3 }
            cluster.logPace.most = 100_000 + draw.next() % 5_000_000
        case .leases:
            kinds = draw.oneIn(2) ? [.pause, .pause, .isolation] : [.transfer, .afterHandover]
            readByLongLeases(&draw)
        case .membership:
            kinds = [.membership, .membership, .afterConfiguration]
            if draw.oneIn(2) { kinds.append(.split) }
        case .crashLoops:
            kinds = [.crashLoop]
            if draw.oneIn(2) { kinds.append(.afterStart) }
            if draw.oneIn(2) { cluster.members = 1 + draw.below(3) }
            workload.thinkNanoseconds = 2_000_000 + draw.next() % 30_000_000
        case .restartsBehindLeaders:
            kinds = [.restartsBehindLeader]
            readByLongLeases(&draw)
        case .lateFollowers:
            kinds = [.lateFollowers]
            quickenElections(&draw)
            workload.thinkNanoseconds = 2_000_000 + draw.next() % 30_000_000
        case .cuts:
            kinds = [.afterFlush, .afterSnapshot, .isolation]
            cluster.snapshotCount = UInt64(1 + draw.below(10))
            cluster.catchUpEntries = UInt64(draw.below(3))
            cluster.flushIntervalNanoseconds = 10_000_000 + draw.next() % 200_000_000
        case .disks:
            kinds = [.failingWrite, .failingSynchronize, .failingRead, .fullDisk, .slowDisk]
            if draw.oneIn(2) { cluster.members = 1 + draw.below(3) }
        case .watches:
            // Compaction against restart against snapshot, while everybody moves about.
            kinds = [.kill, .powerCut, .isolation, .afterSnapshot]
            if draw.oneIn(2) { kinds += [.crashLoop, .pause] }
            cluster.snapshotCount = UInt64(1 + draw.below(20))
            cluster.catchUpEntries = UInt64(draw.below(4))
            cluster.flushIntervalNanoseconds = 10_000_000 + draw.next() % 200_000_000
            workload.compacts = true
            changes.clients = 3
            changes.thinkNanoseconds = 40_000_000 + draw.next() % 80_000_000
            changes.compactsOneIn = 4 + draw.below(12)
        case .keyLeases:
            // Leaders change, in peace and in war, and are stopped, while leases are renewed, revoked and end.
            kinds = [.transfer, .transfer, .pause, .isolation]
            if draw.oneIn(2) { kinds.append(.afterHandover) }
            if draw.oneIn(3) { kinds.append(.killOfNewLeader) }
            atLeast(members: 3)
            if draw.oneIn(2) { quickenElections(&draw) }
            // Few others, so that the log is theirs.
            workload.clients = 2
            leases.clients = 6
            leases.ttlMax = 6
        }
        if draw.oneIn(3) {
            kinds.append([.kill, .powerCut, .pause, .transfer, .isolation, .slowDisk, .split][draw.below(7)])
        }
        paceNanoseconds = 200_000_000 + draw.next() % 1_500_000_000
        workload.patienceNanoseconds = 50_000_000 + draw.next() % 700_000_000
        // Leases live for seconds: there must be some in peace.
        if theme == .keyLeases { paceNanoseconds += 700_000_000 }
    }

    private mutating func readByLongLeases(_ draw: inout RandomSource) {
        readsByLease = true
        cluster.tickNanoseconds = 40_000_000 + draw.next() % 60_000_000
        cluster.electionTicks = 5 + draw.below(10)
        cluster.logPace.most = 100_000 + draw.next() % 5_000_000
        if cluster.driftMillionths > 0 { cluster.driftMillionths = 20_000 }
        workload.probeNanoseconds = 10_000_000 + draw.next() % 90_000_000
        atLeast(members: 3)
    }

    private mutating func atLeast(members: Int) {
        if cluster.members < members { cluster.members = members }
    }

    private mutating func quickenElections(_ draw: inout RandomSource) {
        atLeast(members: 3)
        cluster.tickNanoseconds = 10_000_000 + draw.next() % 30_000_000
        cluster.electionTicks = 4 + draw.below(4)
        if draw.oneIn(2) {
            cluster.preVote = false
            if cluster.readMode == .quorum { cluster.checkQuorum = draw.oneIn(2) }
        }
    }

    private mutating func drawKinds(_ draw: inout RandomSource) {
        let everyOther: [[Misfortune.Kind]] = [
            [.kill], [.powerCut], [.powerCutWhileWriting], [.powerCutOfAll], [.pause], [.killOfNewLeader], [.isolation],
            [.deafness, .muteness], [.split], [.badNetwork], [.slowDisk],
            [.failingWrite, .failingSynchronize, .failingRead, .fullDisk], [.transfer], [.crashLoop],
            [.afterCandidacy, .afterElection, .afterVote], [.afterHandover, .transfer], [.afterSnapshot, .afterFlush],
            [.leadersInTurn], [.slowCandidate], [.lateFollowers], [.restartsBehindLeader],
        ]
        for group in everyOther where draw.oneIn(2) { kinds.append(contentsOf: group) }
        // Where disks are lost nobody may take away members meanwhile, or there is no quorum left.
        switch draw.below(8) {
        case 0..<4:
            kinds += [.membership, .membership, .membership]
            if draw.oneIn(2) { kinds.append(.afterConfiguration) }
        case 4: kinds += [.rotInLog, .rotInEngine]
        default: break
        }
    }
}
