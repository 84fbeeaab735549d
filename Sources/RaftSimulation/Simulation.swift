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
        package var steps = 0
        package var virtualNanoseconds: UInt64 = 0
        package var operations = 0
        package var acknowledged = 0
        /// Events that came to those who watch.
        package var eventsWatched = 0
        package var counts = SimulatedCluster.Counts()
        package var changesAsked = 0
        /// Of leases that clients were told live on, those of them without a place in the log, and leases that ended.
        package var renewals = 0
        package var shortRenewals = 0
        package var leasesEnded = 0
        /// For how long leases were overdue under one leader, at most, in milliseconds.
        package var longestOverdue: UInt64 = 0
        /// Keys that ended with their leases.
        package var leaseKeysEnded = 0
        /// Locks taken, writes under them, and those of them that only the fencing token kept out.
        package var locksTaken = 0
        package var lockedWrites = 0
        package var fencedOff = 0
        /// Watchers that were told of a compaction, and events that came with the pair before.
        package var watchesCompacted = 0
        package var pairsBefore = 0
        /// Transactions that were refused because of a compacted revision.
        package var compactedReads = 0
        package var misfortunes = 0
        package var messages = 0
        package var digest: UInt64 = 0
        /// From the end of misfortune to the first write that began after it and was acknowledged.
        package var recoveryNanoseconds: UInt64?
        /// The search for an order of the history came to its end; otherwise only its revisions were checked.
        package var isOrderFound = false
        /// What went wrong in it, in order, for people; and the same as it can be played again.
        package var story: [String] = []
        package var schedule: [Misfortune] = []
    }

    package struct Options: Sendable {
        /// How long things go wrong, in virtual time.
        package var safetyNanoseconds: UInt64 = 20_000_000_000
        /// How long a healthy cluster may take to come together.
        package var livenessNanoseconds: UInt64 = 15_000_000_000
        package var mutation: String?
        /// Whether clients hold leases, and take locks, beside; nil: as the seed draws, in one play of three.
        package var leases: Bool?
        package var theme: Swarm.Theme?
        /// Changes what the seed has drawn: for plays of something particular.
        package var adjust: (@Sendable (inout Swarm) -> Void)?
        /// Plays this instead of what the seed draws.
        package var schedule: [Misfortune]?
        /// Gets what happens, line by line as it happens: misfortunes, and what the members' consensus notes.
        package var narrator: (@Sendable (String) -> Void)?

        package init() {}
    }

    private let options: Options
    private let swarm: Swarm
    private let cluster: SimulatedCluster
    private let workload: KeyValueWorkload
    private let watches: WatchWorkload
    private let changes: ChangesWorkload?
    private let leases: LeaseWorkload?
    private let locks: LockWorkload?
    private let operation: Operator
    private let player: MisfortunePlayer

    package static func run(seed: UInt64, options: Options = Options()) -> Report {
        var report = Report(seed: seed)
        do {
            try Simulation(seed: seed, options: options, report: &report).run(into: &report)
        } catch {
            report.violation = "the cluster cannot be made: \(error)"
        }
        return report
    }

    private init(seed: UInt64, options: Options, report: inout Report) throws {
        self.options = options
        var draw = RandomSource(seed: seed ^ 0x5eed)
        let hasHistories = Self.hasHistories(options)
        let theme = options.theme ?? (hasHistories ? Swarm.drawHistories(seed: seed) : nil)
        var swarm = Swarm(drawing: &draw, theme: theme)
        if hasHistories { swarm.drawClients(seed: seed, theme: theme) }
        if let leases = options.leases {
            swarm.holdsLeases = leases
            swarm.takesLocks = leases
        }
        options.adjust?(&swarm)
        swarm.cluster.mutation = options.mutation
        self.swarm = swarm
        report.schedule =
            options.schedule
            ?? Misfortune.schedule(
                of: swarm.kinds, until: options.safetyNanoseconds, paceNanoseconds: swarm.paceNanoseconds,
                drawing: &draw)
        cluster = try SimulatedCluster(seed: seed, options: swarm.cluster)
        workload = KeyValueWorkload(cluster: cluster, options: swarm.workload)
        watches = WatchWorkload(cluster: cluster, seed: seed)
        changes = swarm.makesHistory ? ChangesWorkload(cluster: cluster, seed: seed, options: swarm.changes) : nil
        let leases = swarm.holdsLeases ? LeaseWorkload(cluster: cluster, options: swarm.leases) : nil
        self.leases = leases
        locks = leases.flatMap { [cluster] leases in
            swarm.takesLocks ? LockWorkload(cluster: cluster, leases: leases, seed: seed, options: swarm.locks) : nil
        }
        operation = Operator(cluster: cluster)
        player = MisfortunePlayer(cluster: cluster, operation: operation, schedule: report.schedule)
        if let narrator = options.narrator {
            let queue = cluster.queue
            func time() -> String { "\(queue.now / 1_000) us" }
            cluster.onTrace = { event, id in narrator("\(time()): member \(id.rawValue): \(event)") }
            player.narrator = narrator
        }
    }

    /// Mistakes in the rules of consensus are looked for without: what their seeds mean stays the same.
    private static func hasHistories(_ options: Options) -> Bool {
        #if MARTLET_MUTATIONS
            if let name = options.mutation { return !SeededMistake.ofHistories(name).isEmpty }
        #endif
        return true
    }

    private func run(into report: inout Report) {
        for member in cluster.members { cluster.start(member) }
        workload.start()
        watches.start()
        changes?.start()
        leases?.start()
        locks?.start()
        operation.start()
        player.start()
        play(until: options.safetyNanoseconds)
        if cluster.violation == nil { report.recoveryNanoseconds = playCalm() }
        if cluster.violation == nil { judge(into: &report) }
        for member in cluster.members { cluster.crash(member, powerCut: false) }
        report.violation = cluster.violation?.description
        report.steps = cluster.queue.steps
        report.virtualNanoseconds = cluster.queue.now
        report.operations = workload.history.count
        report.acknowledged = workload.acknowledged
        report.eventsWatched = watches.delivered
        report.counts = cluster.counts
        report.changesAsked = operation.changesAsked
        report.renewals = leases?.renewals ?? 0
        report.shortRenewals = leases?.shortCuts ?? 0
        report.leasesEnded = leases?.ended ?? 0
        report.longestOverdue = leases?.longestOverdue ?? 0
        report.leaseKeysEnded = leases?.keysEnded ?? 0
        report.locksTaken = locks?.takings ?? 0
        report.lockedWrites = locks?.resource.arrived.count ?? 0
        report.fencedOff = locks?.resource.refused ?? 0
        report.watchesCompacted = watches.compactions
        report.pairsBefore = watches.pairsBefore
        report.compactedReads = changes?.compactedReads ?? 0
        report.misfortunes = player.count
        report.messages = cluster.network.delivered
        report.digest = cluster.digest.value
        report.story = player.story
        cluster.queue.removeAll()
    }

    private func play(until end: UInt64) {
        var nextComparison = cluster.queue.now + 1_000_000_000
        while cluster.queue.now < end, cluster.violation == nil {
            cluster.queue.run(until: min(nextComparison, end))
            if cluster.queue.steps >= cluster.queue.stepsMax { cluster.fail("the play does not come to an end") }
            cluster.compareStates()
            nextComparison = cluster.queue.now + 1_000_000_000
        }
    }

    // MARK: Liveness

    /// Misfortune ends, but for what a healthy majority must bear: then it comes together within a time, answers, and
    /// stays so.
    /// - Returns: how long it took until a write was acknowledged that was asked for after misfortune's end.
    private func playCalm() -> UInt64? {
        player.stop()
        operation.stop()
        changes?.stop()
        leases?.stop()
        workload.isPatient = true
        let calm = cluster.queue.now
        let first = workload.history.count
        let configuration = cluster.configuration
        var cutOff = cutOneOff()
        ask(without: cutOff, until: calm + options.livenessNanoseconds / 2)
        // Who has come together sooner need not be watched for so long.
        let look = calm + options.livenessNanoseconds / 5
        play(until: look)
        if cutOff != nil, cluster.configuration != configuration {
            // A change that was under way has made it needed, perhaps.
            cluster.network.heal()
            cutOff = nil
        }
        while cluster.violation == nil, cluster.queue.now < calm + options.livenessNanoseconds / 2,
            !hasComeTogether(since: first)
        {
            play(until: cluster.queue.now + 250_000_000)
        }
        workload.stop()
        guard cluster.violation == nil else { return nil }
        endRemovedMembers()
        playQuiet(until: calm + options.livenessNanoseconds, without: cutOff)
        guard cluster.violation == nil else { return nil }
        checkConvergence(without: cutOff)
        guard cluster.violation == nil else { return nil }
        let recovered = workload.history[first...].lazy.filter { $0.isWrite }.compactMap(\.returned).min()
        if recovered == nil {
            cluster.fail("after all is well no write is acknowledged: " + standing(of: cluster.members))
        }
        return recovered.map { $0 - calm }
    }

    /// A write that was asked for since has been acknowledged, and the operator's changes are done.
    private func hasComeTogether(since first: Int) -> Bool {
        cluster.isConfigurationSettled && !cluster.members.contains { cluster.isPresent($0) && $0.isLost }
            && workload.history[first...].contains { $0.isWrite && $0.returned != nil }
    }

    /// Nobody asks for anything. There comes a time in which there are no elections, and in the end those who are
    /// healthy stand at the same entry.
    private func playQuiet(until end: UInt64, without cutOff: NodeID?) {
        // Whoever was removed, or hears nobody, may not depose anyone where the rules against that are in force.
        let mayDisturb = !swarm.cluster.preVote || !swarm.cluster.checkQuorum
        let quiet = max(2_000_000_000, 3 * swarm.cluster.tickNanoseconds * UInt64(swarm.cluster.electionTicks))
        var elections = cluster.counts.elections
        var since = cluster.queue.now
        while cluster.violation == nil, cluster.queue.now < end {
            play(until: min(end, cluster.queue.now + 500_000_000))
            if cluster.counts.elections != elections {
                elections = cluster.counts.elections
                since = cluster.queue.now
            }
            if cluster.queue.now >= since + quiet, leases?.isOver ?? true, hasConverged(without: cutOff) { return }
        }
        if cluster.violation == nil, !mayDisturb, cluster.queue.now < since + quiet {
            cluster.fail("after all is well there are still elections")
        }
        // Nobody has renewed any since misfortune ended.
        if cluster.violation == nil, let leases, !leases.isOver {
            cluster.fail("after all is well leases live on: \(leases.standing)")
        }
    }

    private func healthyMembers(without cutOff: NodeID?) -> [SimulatedMember] {
        cluster.members.filter { cluster.isPresent($0) && $0.id != cutOff }
    }

    private func hasConverged(without cutOff: NodeID?) -> Bool {
        let applied = healthyMembers(without: cutOff).map { $0.node?.published.view.store.applied.index }
        return Set(applied).count == 1 && applied.first != .some(nil)
    }

    /// Patient clients may sit with a member that is cut off, or wait for what was lost before: so there are some that
    /// do not wait for an answer before they ask again.
    private func ask(without cutOff: NodeID?, until end: UInt64) {
        guard cluster.queue.now < end, !workload.isStopped else { return }
        let healthy = cluster.members.filter { cluster.isPresent($0) && $0.id != cutOff && $0.isRunning }
        if !healthy.isEmpty {
            workload.write(on: healthy[Int(cluster.queue.now / 1_000 % UInt64(healthy.count))])
        }
        cluster.queue.schedule(after: 250_000_000) { [self] in ask(without: cutOff, until: end) }
    }

    private func cutOneOff() -> NodeID? {
        // Where a change is committed and a majority does not know so yet, the old configuration's members are needed.
        guard swarm.keepsOneDeaf || swarm.keepsOneMute, cluster.configuration.voters.count >= 3,
            cluster.isConfigurationSettled, !cluster.members.contains(where: { $0.damage != nil })
        else { return nil }
        let id = cluster.newestLeader ?? cluster.configuration.voters[0]
        for other in cluster.members where other.id != id {
            cluster.network.cut([
                swarm.keepsOneMute ? .init(from: id, to: other.id) : .init(from: other.id, to: id)
            ])
        }
        return id
    }

    /// The operator switches off what was removed, where it could disturb the others; not before the others have on
    /// their disks that they do not need it any more.
    private func endRemovedMembers() {
        guard cluster.isConfigurationSettled else {
            return cluster.fail(
                "after all is well the configuration \(cluster.configuration) is on no majority's disks, or joint: "
                    + standing(of: cluster.members))
        }
        if swarm.cluster.preVote, swarm.cluster.checkQuorum { return }
        // Who never got in may be about to: a change that waits in the log may need it.
        for member in cluster.members where member.hasJoined && !cluster.isPresent(member) {
            cluster.crash(member, powerCut: false)
        }
    }

    /// A healthy cluster that is left alone has one leader, answers, and its members hold the same.
    private func checkConvergence(without cutOff: NodeID?) {
        let healthy = healthyMembers(without: cutOff)
        if let lost = healthy.first(where: \.isLost) {
            return cluster.fail(
                "member \(lost.id.rawValue), which has lost its disks, is not replaced: " + standing(of: healthy))
        }
        for member in healthy {
            workload.perform(.read(keys: [0]), client: -1 - Int(member.id.rawValue), on: member) { _ in }
        }
        let before = workload.acknowledged
        let patience = cluster.queue.now + 5_000_000_000
        while workload.acknowledged < before + healthy.count, cluster.queue.now < patience {
            cluster.queue.run(until: cluster.queue.now + 20_000_000)
        }
        guard workload.acknowledged == before + healthy.count else {
            return cluster.fail(
                "of \(healthy.count) members only \(workload.acknowledged - before) answer a read after all is well: "
                    + standing(of: healthy))
        }
        let statuses = healthy.compactMap { $0.node?.published.status }
        let applied = healthy.compactMap { $0.node?.published.view.store.applied.index }
        guard Set(applied).count == 1 else {
            return cluster.fail("after all is well the members stand at entries \(applied)")
        }
        guard statuses.count(where: { $0.role == .leader }) == 1 else {
            return cluster.fail("after all is well the roles are \(statuses.map(\.role))")
        }
        cluster.compareStates()
        for member in healthy { cluster.compareContents(of: member) }
        watches.catchUp(on: healthy, patienceNanoseconds: Self.watchPatienceNanoseconds)
    }

    /// Slices are small and turns rare where watches are played, and history may be long.
    private static let watchPatienceNanoseconds: UInt64 = 60_000_000_000

    private func standing(of members: [SimulatedMember]) -> String {
        members.map { member in
            guard let status = member.node?.published.status else { return "member \(member.id.rawValue) is down" }
            return "member \(member.id.rawValue) is \(status.role) of term \(status.term.rawValue), follows "
                + "\(status.leader.map { "\($0.rawValue)" } ?? "nobody"), has \(status.lastIndex.rawValue) entries, "
                + "\(status.commit.rawValue) committed, \(status.applied.rawValue) applied"
                + summary(of: member.node?.published.view.configuration)
        }.joined(separator: "; ")
    }

    private func summary(of configuration: Configuration?) -> String {
        guard let configuration else { return "" }
        func ids(_ nodes: [NodeID]) -> String { nodes.map { "\($0.rawValue)" }.joined(separator: " ") }
        var text = ", voters \(ids(configuration.voters))"
        if configuration.isJoint { text += ", outgoing \(ids(configuration.outgoingVoters))" }
        if !configuration.learners.isEmpty { text += ", learners \(ids(configuration.learners))" }
        return text
    }

    // MARK: The verdict

    private func judge(into report: inout Report) {
        let revisions: RevisionChecker
        do throws(RevisionChecker.Violation) {
            revisions = try RevisionChecker(applied: workload.appliedWrites())
            try revisions.check(workload.history)
        } catch {
            return cluster.fail(error.description)
        }
        do throws(LinearizabilityChecker.Violation) {
            let verdict = try LinearizabilityChecker.check(
                workload.history, group: workload.group(of:), place: revisions.place(of:))
            report.isOrderFound = verdict == .linearizable
        } catch {
            cluster.fail(error.description)
        }
        do throws(WatchChecker.Violation) {
            let checker = WatchChecker(cluster.model)
            for watcher in watches.watchers { try checker.check(watcher) }
        } catch {
            cluster.fail("\(error)")
        }
        if let resource = locks?.resource, FencedResource.goesBack(resource.accepted) {
            cluster.fail("a fenced resource went back: \(resource.accepted)")
        }
    }
}
