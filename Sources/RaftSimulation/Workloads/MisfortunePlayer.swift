import Platform
import PlatformSimulation
import RaftCore

/// Plays a schedule of misfortunes on a cluster, and ends them all when calm is to come.
///
/// What it never does is to start a member on an older copy of its disks. That is no fault which a cluster can survive:
/// the member has forgotten votes that it gave and entries that it acknowledged, so that a majority may be elected or
/// lost that counted on them. A power cut loses only what was never promised.
final class MisfortunePlayer {
    let cluster: SimulatedCluster
    let operation: Operator
    private let schedule: [Misfortune]
    private var isStopped = false
    /// Those who lie in wait for an occasion.
    var ambushes: [Ambush] = []
    /// Leaders fall in turn, and come back in turn: one such round at a time, or nobody is left.
    var turns: LeadersInTurn?
    var isRestartingBehindLeader = false
    private(set) var count = 0
    /// What was done, for people.
    private(set) var story: [String] = []
    var narrator: ((String) -> Void)?

    init(cluster: SimulatedCluster, operation: Operator, schedule: [Misfortune]) {
        self.cluster = cluster
        self.operation = operation
        self.schedule = schedule
    }

    func start() {
        for misfortune in schedule {
            cluster.queue.schedule(at: misfortune.time) { [self] in
                if !isStopped { strike(misfortune) }
            }
        }
    }

    /// Ends all misfortune: everything runs again and is connected.
    func stop() {
        isStopped = true
        ambushes = []
        turns = nil
        cluster.onOccasion = nil
        cluster.quietUntil = 0
        cluster.network.heal()
        cluster.network.conditions = SimulatedNetwork.Conditions()
        for member in cluster.members {
            if member.mayFail { cluster.crash(member, powerCut: true) }
            cluster.setLogPace(cluster.options.logPace, of: member)
            cluster.resume(member)
            if !member.isRunning { cluster.start(member) }
        }
    }

    func tell(_ text: String) {
        count += 1
        story.append("\(cluster.queue.now / 1_000_000) ms: \(text)")
        narrator?("\(cluster.queue.now / 1_000) us: \(text)")
    }

    func after(_ delay: UInt64, _ action: @escaping () -> Void) {
        cluster.queue.schedule(after: delay) { [self] in if !isStopped { action() } }
    }

    private func strike(_ misfortune: Misfortune) {
        var random = RandomSource(seed: misfortune.seed)
        // Mostly those who matter; now and then one who was removed.
        let present = cluster.members.filter { !$0.isLost && (cluster.isPresent($0) || random.oneIn(8)) }
        guard !present.isEmpty else { return }
        var member = present[random.below(present.count)]
        // The leader more often than its share.
        if random.oneIn(3), let leader = present.first(where: { $0.id == cluster.newestLeader }) { member = leader }
        let name = "member \(member.id.rawValue)"
        switch misfortune.kind {
        case .kill: end(member, powerCut: false, &random)
        case .powerCut: end(member, powerCut: true, &random)
        case .killOfNewLeader: killOfNewLeader(random)
        case .powerCutOfAll:
            tell("the power goes everywhere")
            for member in cluster.members where member.isRunning {
                cluster.crash(member, powerCut: true)
                cluster.scheduleRestart(member, after: 10_000_000 + random.next() % 1_000_000_000)
            }
        case .pause:
            pause(member, for: random.next() % 4_000_000_000, &random)
        case .crashLoop: crashLoop(of: member, &random)
        case .afterCandidacy: lieInWait(for: .candidacy, random)
        case .afterElection: lieInWait(for: .election, random)
        case .afterVote: lieInWait(for: .voteGiven, random)
        case .afterHandover: lieInWait(for: .handover, random)
        case .afterConfiguration:
            lieInWait(for: random.oneIn(3) ? .configurationApplied : .configurationSent, random)
        case .afterSnapshot: lieInWait(for: .snapshotInstalled, random)
        case .afterFlush: lieInWait(for: .flush, random)
        case .afterStart: lieInWait(for: .start, random)
        case .leadersInTurn: dropLeadersInTurn(&random)
        case .slowCandidate: makeSlowCandidate(of: member, &random)
        case .lateFollowers: letFollowersLag(&random)
        case .restartsBehindLeader: restartBehindLeader(&random)
        case .powerCutWhileWriting, .failingWrite, .failingSynchronize, .failingRead, .fullDisk:
            guard member.isRunning, !member.mayFail else { return }
            breakDisk(of: member, misfortune.kind, &random)
        case .slowDisk:
            let most = 20_000_000 + random.next() % 400_000_000
            let time = 500_000_000 + random.next() % 5_000_000_000
            tell("the disk of \(name) takes up to \(most / 1_000_000) ms for \(time / 1_000_000) ms")
            cluster.setLogPace(.init(least: most / 4, most: most), of: member)
            after(time) { [self] in cluster.setLogPace(cluster.options.logPace, of: member) }
        case .isolation, .deafness, .muteness: cut(off: member, misfortune.kind, &random)
        case .split: split(&random)
        case .badNetwork: worsenNetwork(&random)
        case .rotInLog, .rotInEngine: operation.rot(member, inLog: misfortune.kind == .rotInLog, random, tell: tell)
        case .membership: operation.change(&random, tell: tell)
        case .transfer: operation.transfer(&random, tell: tell)
        }
    }

    // MARK: Processes

    func end(
        _ member: SimulatedMember, powerCut: Bool, restartsAtOnce: Bool = false, _ random: inout RandomSource
    ) {
        guard member.isRunning else { return }
        let time = restartsAtOnce ? random.next() % 20_000_000 : 10_000_000 + random.next() % 3_000_000_000
        tell(
            "member \(member.id.rawValue) \(powerCut ? "loses its power" : "is killed") for \(time / 1_000_000) ms")
        cluster.crash(member, powerCut: powerCut)
        cluster.scheduleRestart(member, after: time)
    }

    /// SIGSTOP and SIGCONT. Meanwhile what is sent to it waits in its sockets, or is lost where the others give up.
    func pause(_ member: SimulatedMember, for time: UInt64, _ random: inout RandomSource) {
        guard member.isRunning else { return }
        let isLost = random.oneIn(2)
        tell(
            "member \(member.id.rawValue) is stopped for \(time / 1_000_000) ms"
                + (isLost ? ", and what is sent to it is lost" : ""))
        cluster.pause(member)
        let links = isLost ? linksTo(member.id) : []
        cluster.network.cut(links)
        let incarnation = member.incarnation
        after(time) { [self] in if member.incarnation == incarnation { cluster.resume(member) } }
        after(time + random.next() % 200_000_000) { [self] in cluster.network.mend(links) }
    }

    /// The schedules in which elections go wrong (figure 8) need leaders that fall when they have just begun, several
    /// in a row.
    private func killOfNewLeader(_ source: RandomSource) {
        var random = source
        var left = 1 + random.below(5)
        var seen = cluster.counts.elections
        let patience = cluster.queue.now + 8_000_000_000
        func look() {
            guard left > 0, cluster.queue.now < patience else { return }
            guard cluster.counts.elections > seen, let id = cluster.newestLeader else { return after(1_000_000, look) }
            seen = cluster.counts.elections
            left -= 1
            let leader = cluster.member(id)
            after(random.next() % 40_000_000) { [self] in
                end(leader, powerCut: random.oneIn(2), &random)
                look()
            }
        }
        // Elections do not come by themselves: the present leader goes first.
        if let id = cluster.newestLeader { end(cluster.member(id), powerCut: random.oneIn(2), &random) }
        look()
    }

    // MARK: Disks

    private func breakDisk(of member: SimulatedMember, _ kind: Misfortune.Kind, _ random: inout RandomSource) {
        let name = "member \(member.id.rawValue)"
        var plan = FaultPlan()
        let call = 1 + random.below(30)
        switch kind {
        case .powerCutWhileWriting: plan.powerCutAfter = call
        case .failingWrite: plan.faults = [.init(.write, occurrence: call)]
        case .failingSynchronize: plan.faults = [.init(.synchronize, occurrence: call)]
        case .failingRead: plan.faults = [.init(.read, occurrence: call)]
        default: plan.capacityBytes = member.disk.usedBytes + random.below(4096)
        }
        tell(
            kind == .fullDisk
                ? "the disk of \(name) is full" : "\(kind.rawValue) at call \(call) of the disk of \(name)")
        member.inject(plan)
    }

    // MARK: Network

    func linksTo(_ id: NodeID) -> [SimulatedNetwork.Link] {
        cluster.members.filter { $0.id != id }.map { .init(from: $0.id, to: id) }
    }

    func linksFrom(_ id: NodeID) -> [SimulatedNetwork.Link] {
        cluster.members.filter { $0.id != id }.map { .init(from: id, to: $0.id) }
    }

    func cut(off member: SimulatedMember, _ kind: Misfortune.Kind, _ random: inout RandomSource) {
        var links: [SimulatedNetwork.Link] = []
        if kind != .deafness { links += linksFrom(member.id) }
        if kind != .muteness { links += linksTo(member.id) }
        cut(links, "\(kind.rawValue) of member \(member.id.rawValue)", &random)
    }

    /// Some cannot talk to the others; in one direction or both, so that groups may overlap.
    private func split(_ random: inout RandomSource) {
        let side = cluster.members.map { _ in random.oneIn(2) }
        let isMutual = random.oneIn(2)
        var links: [SimulatedNetwork.Link] = []
        for (one, from) in cluster.members.enumerated() {
            for (other, to) in cluster.members.enumerated() where side[one] && !side[other] {
                links.append(.init(from: from.id, to: to.id))
                if isMutual { links.append(.init(from: to.id, to: from.id)) }
            }
        }
        let names = cluster.members.enumerated().filter { side[$0.offset] }.map { "\($0.element.id.rawValue)" }
        cut(links, "members \(names.joined(separator: ", ")) are split off\(isMutual ? "" : ", one way")", &random)
    }

    func cut(_ links: [SimulatedNetwork.Link], _ text: String, _ random: inout RandomSource) {
        let time = 100_000_000 + random.next() % 4_000_000_000
        tell("\(text) for \(time / 1_000_000) ms")
        cluster.network.cut(links)
        after(time) { [self] in cluster.network.mend(links) }
    }

    private func worsenNetwork(_ random: inout RandomSource) {
        let conditions = SimulatedNetwork.Conditions(worsenedBy: &random)
        tell("the network changes: \(conditions)")
        cluster.network.conditions = conditions
    }
}
