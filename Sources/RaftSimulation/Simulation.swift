import MVCC
import Platform
import Raft
import RaftCore
import Replica

/// One seed's whole play: a cluster, clients and misfortune; then calm, in which the cluster must come together; then
/// the verdict.
package struct Simulation {
    package struct Report: Sendable {
        package var seed: UInt64
        package var violation: String?
        package var steps: Int
        package var virtualNanoseconds: UInt64
        package var operations: Int
        package var acknowledged: Int
        package var elections: Int
        package var misfortunes: Int
        package var messages: Int
        package var digest: UInt64
        /// The search for an order of the history came to its end; otherwise only its revisions were checked.
        package var isOrderFound = false
    }

    package struct Options: Sendable {
        /// How long things go wrong, in virtual time.
        package var safetyNanoseconds: UInt64 = 20_000_000_000
        /// How long a healthy cluster may take to come together.
        package var livenessNanoseconds: UInt64 = 15_000_000_000
        package var mutation: String?

        package init() {}
    }

    package static func run(seed: UInt64, options: Options = Options()) -> Report {
        var draw = RandomSource(seed: seed ^ 0x5eed)
        var clusterOptions = SimulatedCluster.Options()
        clusterOptions.mutation = options.mutation
        // Five members now and then; restless elections; the rules that only keep the peace switched off here and
        // there, since safety must not rest on them.
        clusterOptions.members = draw.oneIn(4) ? 5 : 3
        clusterOptions.tickNanoseconds = 20_000_000 + draw.next() % 80_000_000
        clusterOptions.electionTicks = 4 + draw.below(8)
        clusterOptions.preVote = !draw.oneIn(3)
        clusterOptions.checkQuorum = !draw.oneIn(3)
        clusterOptions.segmentBytes = 8 << (10 + draw.below(4))
        clusterOptions.snapshotCount = UInt64(20 + draw.below(200))
        clusterOptions.catchUpEntries = UInt64(5 + draw.below(100))
        clusterOptions.flushIntervalNanoseconds = 10_000_000 + draw.next() % 400_000_000
        clusterOptions.maxInflightMessages = 1 + draw.below(64)
        clusterOptions.maxMessageBytes = 64 << draw.below(12)
        clusterOptions.logPace.most = 100_000 + draw.next() % 30_000_000
        var workloadOptions = KeyValueWorkload.Options()
        workloadOptions.clients = 2 + draw.below(8)
        workloadOptions.groups = 1 + draw.below(5)
        workloadOptions.thinkNanoseconds = 5_000_000 + draw.next() % 100_000_000
        let misfortuneOptions = Misfortune.Options(drawing: &draw)

        var report = Report(
            seed: seed, violation: nil, steps: 0, virtualNanoseconds: 0, operations: 0, acknowledged: 0, elections: 0,
            misfortunes: 0, messages: 0, digest: 0)
        let cluster: SimulatedCluster
        do {
            cluster = try SimulatedCluster(seed: seed, options: clusterOptions)
        } catch {
            report.violation = "the cluster cannot be made: \(error)"
            return report
        }
        for member in cluster.members { cluster.start(member) }
        let workload = KeyValueWorkload(cluster: cluster, options: workloadOptions)
        let misfortune = Misfortune(cluster: cluster, options: misfortuneOptions)
        workload.start()
        misfortune.start()
        play(cluster, until: options.safetyNanoseconds)

        misfortune.stop()
        let calm = cluster.queue.now
        if cluster.violation == nil {
            play(cluster, until: calm + options.livenessNanoseconds / 2)
            workload.stop()
            play(cluster, until: calm + options.livenessNanoseconds)
        }
        if cluster.violation == nil { checkConvergence(cluster, workload) }
        if cluster.violation == nil { judge(workload, of: cluster, into: &report) }
        for member in cluster.members { cluster.crash(member, powerCut: false) }
        report.violation = cluster.violation?.description
        report.steps = cluster.queue.steps
        report.virtualNanoseconds = cluster.queue.now
        report.operations = workload.history.count
        report.acknowledged = workload.acknowledged
        report.elections = cluster.elections
        report.misfortunes = misfortune.count
        report.messages = cluster.network.delivered
        report.digest = cluster.digest.value
        return report
    }

    private static func judge(
        _ workload: KeyValueWorkload, of cluster: SimulatedCluster, into report: inout Report
    ) {
        do throws(RevisionChecker.Violation) {
            try RevisionChecker(applied: workload.appliedWrites()).check(workload.history)
        } catch {
            return cluster.fail(error.description)
        }
        do throws(LinearizabilityChecker.Violation) {
            let verdict = try LinearizabilityChecker.check(workload.history, group: workload.group(of:))
            report.isOrderFound = verdict == .linearizable
        } catch {
            cluster.fail(error.description)
        }
    }

    private static func play(_ cluster: SimulatedCluster, until end: UInt64) {
        var nextComparison = cluster.queue.now + 1_000_000_000
        while cluster.queue.now < end, cluster.violation == nil {
            cluster.queue.run(until: min(nextComparison, end))
            if cluster.queue.steps >= cluster.queue.stepsMax { cluster.fail("the play does not come to an end") }
            cluster.compareStates()
            nextComparison = cluster.queue.now + 1_000_000_000
        }
    }

    /// A healthy cluster that is left alone has one leader, answers, and its members hold the same.
    private static func checkConvergence(_ cluster: SimulatedCluster, _ workload: KeyValueWorkload) {
        for member in cluster.members {
            workload.perform(.read(keys: [0]), client: -1 - Int(member.id.rawValue), on: member) { _ in }
        }
        let before = workload.acknowledged
        cluster.queue.run(until: cluster.queue.now + 5_000_000_000)
        guard workload.acknowledged == before + cluster.members.count else {
            return cluster.fail(
                "of \(cluster.members.count) members only \(workload.acknowledged - before) answer a read after "
                    + "all is well"
            )
        }
        let statuses = cluster.members.compactMap { $0.node?.published.status }
        let applied = cluster.members.compactMap { $0.node?.published.view.store.applied.index }
        guard Set(applied).count == 1 else {
            return cluster.fail("after all is well the members stand at entries \(applied)")
        }
        guard statuses.count(where: { $0.role == .leader }) == 1 else {
            return cluster.fail("after all is well the roles are \(statuses.map(\.role))")
        }
        cluster.compareStates()
    }
}
