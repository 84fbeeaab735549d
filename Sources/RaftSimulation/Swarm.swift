package import Platform
import RaftCore

/// What a seed plays with: cluster, clients and kinds of misfortune, drawn anew for each (swarm testing: a random
/// subset of everything, since bugs hide where one fault or feature keeps another from happening).
package struct Swarm: Sendable {
    package var cluster = SimulatedCluster.Options()
    package var workload = KeyValueWorkload.Options()
    package var kinds: [Misfortune.Kind] = []
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

    package init(drawing draw: inout RandomSource) {
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
        // Leases bear as much as their margin of a tick; everything else any drift.
        if draw.oneIn(2) { cluster.driftMillionths = cluster.readMode == .lease ? 20_000 : 200_000 }

        workload.clients = 2 + draw.below(8)
        workload.groups = 1 + draw.below(5)
        workload.thinkNanoseconds = 5_000_000 + draw.next() % 100_000_000
        workload.probeNanoseconds = 50_000_000 + draw.next() % 400_000_000
        workload.compacts = draw.oneIn(3)

        drawKinds(&draw)
        paceNanoseconds = 300_000_000 + draw.next() % 3_000_000_000
        if cluster.preVote, cluster.checkQuorum, cluster.members >= 3, draw.oneIn(3) {
            keepsOneDeaf = draw.oneIn(2)
            keepsOneMute = !keepsOneDeaf
        }
    }

    private mutating func drawKinds(_ draw: inout RandomSource) {
        let everyOther: [[Misfortune.Kind]] = [
            [.kill], [.powerCut], [.powerCutWhileWriting], [.powerCutOfAll], [.pause], [.killOfNewLeader], [.isolation],
            [.deafness, .muteness], [.split], [.badNetwork], [.slowDisk],
            [.failingWrite, .failingSynchronize, .failingRead, .fullDisk], [.transfer],
        ]
        for group in everyOther where draw.oneIn(2) { kinds.append(contentsOf: group) }
        // Where disks are lost nobody may take away members meanwhile, or there is no quorum left.
        switch draw.below(8) {
        case 0..<4: kinds += [.membership, .membership, .membership]
        case 4: kinds += [.rotInLog, .rotInEngine]
        default: break
        }
    }
}
