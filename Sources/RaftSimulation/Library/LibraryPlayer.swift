import Platform
import PlatformSimulation
import Raft
import RaftCore

/// One fault of a schedule. All of a seed's are drawn before it is played, each with a seed of its own, so that one can
/// be left out without changing the others: that is how the schedule of a play that fails is shortened.
struct ScheduledFault: Sendable {
    var fault: SimulatedFault
    /// From the start of the play, in nanoseconds.
    var time: UInt64
    var seed: UInt64

    static func schedule(_ options: SimulationOptions, drawing random: inout RandomSource) -> [ScheduledFault] {
        // Bugs hide where one fault keeps another from happening: a seed goes without some of them.
        let wanted = SimulatedFault.allCases.filter { options.faults.contains($0) }
        var kinds = wanted.filter { _ in !random.oneIn(3) }
        if kinds.isEmpty { kinds = wanted }
        guard !kinds.isEmpty else { return [] }
        let end = options.duration.simulatedNanoseconds
        let pace = options.faultInterval.simulatedNanoseconds
        var schedule: [ScheduledFault] = []
        var time: UInt64 = 0
        while true {
            time += 1_000_000 + random.next() % pace
            if time >= end { return schedule }
            schedule.append(ScheduledFault(fault: kinds[random.below(kinds.count)], time: time, seed: random.next()))
        }
    }
}

/// Plays a schedule of faults on a cluster, and ends them all when calm is to come.
final class LibraryPlayer<Machine: StateMachine> {
    private let cluster: LibraryCluster<Machine>
    private let schedule: [ScheduledFault]
    private var isStopped = false
    /// Leaders that are to fall, each soon after its election.
    private var leadersToFall = 0
    private var networkChanges = 0
    private(set) var story: [String] = []

    init(cluster: LibraryCluster<Machine>, schedule: [ScheduledFault]) {
        self.cluster = cluster
        self.schedule = schedule
    }

    func start() {
        for fault in schedule {
            cluster.queue.schedule(at: fault.time) { [self] in if !isStopped { strike(fault) } }
        }
    }

    /// Ends all faults: everything runs again and is connected.
    func stop() {
        isStopped = true
        cluster.onElection = nil
        cluster.network.heal()
        cluster.network.conditions = SimulatedNetwork.Conditions()
        for member in cluster.members {
            if member.mayFail { cluster.crash(member, powerCut: true) }
            cluster.setLogPace(cluster.settings.logPace, of: member)
            member.process?.world.resume()
            if member.process == nil { cluster.start(member) }
        }
    }

    private func tell(_ text: String) { story.append("\(cluster.queue.now / 1_000_000) ms: \(text)") }

    private func after(_ delay: UInt64, _ action: @escaping () -> Void) {
        cluster.queue.schedule(after: delay) { [self] in if !isStopped { action() } }
    }

    private func strike(_ fault: ScheduledFault) {
        var random = RandomSource(seed: fault.seed)
        var member = cluster.members[random.below(cluster.members.count)]
        // The leader more often than its share.
        if random.oneIn(3), let leader = cluster.newestLeader { member = cluster.member(leader) }
        switch fault.fault {
        case .kill: end(member, powerCut: false, &random)
        case .powerCut: end(member, powerCut: true, &random)
        case .powerCutOfAll:
            tell("the power goes everywhere")
            for member in cluster.members where member.process != nil {
                cluster.crash(member, powerCut: true)
                cluster.scheduleRestart(member, after: 10_000_000 + random.next() % 1_000_000_000)
            }
        case .killOfNewLeader: dropLeaders(random)
        case .pause: pause(member, &random)
        case .partition: split(&random)
        case .oneWayPartition:
            let isDeaf = random.oneIn(2)
            cut(
                isDeaf ? links(to: member.id) : links(from: member.id),
                "member \(member.id) \(isDeaf ? "hears nobody" : "is heard by nobody")", &random)
        case .badNetwork: worsenNetwork(&random)
        case .slowDisk:
            let most = 20_000_000 + random.next() % 400_000_000
            let time = 500_000_000 + random.next() % 5_000_000_000
            tell("the disk of member \(member.id) takes up to \(most / 1_000_000) ms for \(time / 1_000_000) ms")
            cluster.setLogPace(.init(least: most / 4, most: most), of: member)
            after(time) { [self] in cluster.setLogPace(cluster.settings.logPace, of: member) }
        case .powerCutWhileWriting, .failingDisk: breakDisk(of: member, fault.fault, &random)
        case .transfer:
            guard let leader = cluster.newestLeader, let node = cluster.member(leader).node, member.id != leader
            else { return }
            tell("member \(leader) is asked to hand over to member \(member.id)")
            node.transferLeadership(to: member.id)
        }
    }

    // MARK: Processes

    private func end(_ member: LibraryMember<Machine>, powerCut: Bool, _ random: inout RandomSource) {
        guard member.process != nil else { return }
        let time = random.oneIn(3) ? random.next() % 20_000_000 : 10_000_000 + random.next() % 3_000_000_000
        tell("member \(member.id) \(powerCut ? "loses its power" : "is killed") for \(time / 1_000_000) ms")
        cluster.crash(member, powerCut: powerCut)
        cluster.scheduleRestart(member, after: time)
    }

    /// The schedules in which elections go wrong (figure 8) need leaders that fall when they have just begun, several
    /// in a row.
    private func dropLeaders(_ source: RandomSource) {
        var random = source
        leadersToFall = 1 + random.below(5)
        cluster.onElection = { [unowned self] id in
            guard leadersToFall > 0 else { return }
            leadersToFall -= 1
            after(1 + random.next() % 40_000_000) { [self] in
                end(cluster.member(id), powerCut: random.oneIn(2), &random)
            }
        }
        // Elections do not come by themselves: the present leader goes first.
        if let leader = cluster.newestLeader { end(cluster.member(leader), powerCut: random.oneIn(2), &random) }
    }

    /// SIGSTOP and SIGCONT.
    private func pause(_ member: LibraryMember<Machine>, _ random: inout RandomSource) {
        guard let process = member.process else { return }
        let time = random.next() % 4_000_000_000
        tell("member \(member.id) is stopped for \(time / 1_000_000) ms")
        process.world.pause()
        // A world whose process has ended does nothing any more.
        after(time) { process.world.resume() }
    }

    // MARK: Disks

    private func breakDisk(of member: LibraryMember<Machine>, _ fault: SimulatedFault, _ random: inout RandomSource) {
        guard member.process != nil, !member.mayFail else { return }
        var plan = FaultPlan()
        let call = 1 + random.below(30)
        let name = "the disk of member \(member.id)"
        switch (fault, random.below(4)) {
        case (.powerCutWhileWriting, _):
            plan.powerCutAfter = call
            tell("member \(member.id) loses its power at call \(call) of its disk")
        case (_, 0):
            plan.faults = [.init(.write, occurrence: call)]
            tell("write \(call) to \(name) fails")
        case (_, 1):
            plan.faults = [.init(.synchronize, occurrence: call)]
            tell("synchronization \(call) of \(name) fails")
        case (_, 2):
            plan.faults = [.init(.read, occurrence: call)]
            tell("read \(call) from \(name) fails")
        default:
            plan.capacityBytes = member.disk.usedBytes + random.below(4096)
            tell("\(name) is full")
        }
        member.inject(plan)
    }

    // MARK: Network

    private func links(to id: NodeID) -> [SimulatedNetwork.Link] {
        cluster.members.filter { $0.id != id }.map { .init(from: $0.id, to: id) }
    }

    private func links(from id: NodeID) -> [SimulatedNetwork.Link] {
        cluster.members.filter { $0.id != id }.map { .init(from: id, to: $0.id) }
    }

    private func split(_ random: inout RandomSource) {
        let side = cluster.members.map { _ in random.oneIn(2) }
        var links: [SimulatedNetwork.Link] = []
        for (one, from) in cluster.members.enumerated() {
            for (other, to) in cluster.members.enumerated() where side[one] != side[other] {
                links.append(.init(from: from.id, to: to.id))
            }
        }
        guard !links.isEmpty else { return }
        let names = cluster.members.enumerated().filter { side[$0.offset] }.map { "\($0.element.id)" }
        cut(links, "members [\(names.joined(separator: ", "))] are split from the others", &random)
    }

    private func cut(_ links: [SimulatedNetwork.Link], _ text: String, _ random: inout RandomSource) {
        let time = 100_000_000 + random.next() % 4_000_000_000
        tell("\(text) for \(time / 1_000_000) ms")
        cluster.network.cut(links)
        after(time) { [self] in cluster.network.mend(links) }
    }

    private func worsenNetwork(_ random: inout RandomSource) {
        let conditions = SimulatedNetwork.Conditions(worsenedBy: &random)
        let time = 500_000_000 + random.next() % 6_000_000_000
        func share(_ oneIn: Int) -> String { oneIn == 0 ? "none" : "one of \(oneIn)" }
        tell(
            "for \(time / 1_000_000) ms messages take up to \(conditions.mostDelay / 1_000_000) ms, "
                + "\(share(conditions.lossOneIn)) is lost, \(share(conditions.duplicationOneIn)) comes twice, "
                + "\(share(conditions.stragglerOneIn)) comes late")
        cluster.network.conditions = conditions
        networkChanges += 1
        let change = networkChanges
        after(time) { [self] in
            if networkChanges == change { cluster.network.conditions = SimulatedNetwork.Conditions() }
        }
    }
}
