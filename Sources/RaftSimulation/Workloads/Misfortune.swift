package import Platform
import PlatformSimulation
import RaftCore

/// What goes wrong in the safety phase: power cuts, kills, stopped members, partitions in one direction or both, and a
/// network that changes its manners. Which of these a seed has, and how often, the seed draws.
package final class Misfortune {
    package struct Options: Sendable {
        package var crashes = true
        package var powerCutsWhileWriting = true
        package var pauses = true
        package var partitions = true
        package var badNetwork = true
        /// From one misfortune to the next, at most.
        package var paceNanoseconds: UInt64 = 1_500_000_000

        package init() {}

        /// A random subset (swarm testing): bugs hide where one fault keeps another from happening.
        package init(drawing random: inout RandomSource) {
            crashes = !random.oneIn(4)
            powerCutsWhileWriting = !random.oneIn(4)
            pauses = random.oneIn(2)
            partitions = !random.oneIn(4)
            badNetwork = random.oneIn(2)
            paceNanoseconds = 300_000_000 + random.next() % 3_000_000_000
        }
    }

    private let cluster: SimulatedCluster
    private let options: Options
    private var random: RandomSource
    private var isStopped = false
    package private(set) var count = 0

    package init(cluster: SimulatedCluster, options: Options) {
        self.cluster = cluster
        self.options = options
        random = cluster.queue.random.fork()
    }

    package func start() {
        if options.badNetwork { worsenNetwork() }
        plan()
    }

    /// Ends all misfortune: everything runs again and is connected.
    package func stop() {
        isStopped = true
        cluster.network.heal()
        cluster.network.conditions = SimulatedNetwork.Conditions()
        for member in cluster.members {
            if member.mayFail { cluster.crash(member, powerCut: true) }
            cluster.resume(member)
            if !member.isRunning { cluster.start(member) }
        }
    }

    private func plan() {
        cluster.queue.schedule(after: 1_000_000 + random.next() % options.paceNanoseconds) { [self] in
            guard !isStopped else { return }
            strike()
            plan()
        }
    }

    private func strike() {
        count += 1
        let member = cluster.members[random.below(cluster.members.count)]
        switch random.below(6) {
        case 0 where options.crashes:
            cluster.crash(member, powerCut: random.oneIn(2))
            cluster.scheduleRestart(member)
        case 1 where options.powerCutsWhileWriting:
            guard member.isRunning else { return }
            member.mayFail = true
            member.disk.inject(FaultPlan(powerCutAfter: 1 + random.below(30)))
        case 2 where options.pauses:
            guard member.isRunning else { return }
            cluster.pause(member)
            cluster.queue.schedule(after: random.next() % 4_000_000_000) { [self] in cluster.resume(member) }
        case 3 where options.partitions: isolate(member, inBothDirections: true)
        case 4 where options.partitions: isolate(member, inBothDirections: false)
        case 5 where options.badNetwork: worsenNetwork()
        default: break
        }
    }

    private func isolate(_ member: SimulatedCluster.SimulatedMember, inBothDirections: Bool) {
        let outward = random.oneIn(2)
        for other in cluster.members where other.id != member.id {
            if inBothDirections || outward { cluster.network.cut(from: member.id, to: other.id) }
            if inBothDirections || !outward { cluster.network.cut(from: other.id, to: member.id) }
        }
        cluster.queue.schedule(after: 100_000_000 + random.next() % 4_000_000_000) { [self] in
            cluster.network.heal()
        }
    }

    private func worsenNetwork() {
        var conditions = SimulatedNetwork.Conditions()
        conditions.mostDelay = 500_000 + random.next() % 50_000_000
        if random.oneIn(2) { conditions.lossOneIn = 3 + random.below(50) }
        if random.oneIn(2) { conditions.duplicationOneIn = 3 + random.below(20) }
        if random.oneIn(2) { conditions.stragglerOneIn = 5 + random.below(50) }
        if random.oneIn(2) { conditions.snapshotLossOneIn = 2 + random.below(5) }
        cluster.network.conditions = conditions
    }
}
