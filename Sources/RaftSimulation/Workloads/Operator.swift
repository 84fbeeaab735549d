import Platform
import PlatformSimulation
import Raft
import RaftCore
import Replica

/// What an operator does to a cluster that runs: adds, promotes, demotes, removes and replaces members, several in one
/// step at times, hands leadership over; and replaces a member whose disks were damaged.
final class Operator {
    struct Limits {
        var votersMax = 7
        var learnersMax = 2
        /// Machines that may be made in one play.
        var machinesMax = 14
    }

    private let cluster: SimulatedCluster
    private let limits: Limits
    private var isStopped = false
    private var hasRotted = false
    private(set) var changesAsked = 0
    private(set) var changesDone = 0
    /// The voters that there are to be.
    private(set) var newestAskedVoters: [NodeID] = []

    init(cluster: SimulatedCluster, limits: Limits = Limits()) {
        self.cluster = cluster
        self.limits = limits
    }

    /// Starts nothing new; what was begun is brought to its end: a joint configuration left, a lost member replaced.
    func stop() { isStopped = true }

    func start() { tidyUp() }

    private func tidyUp() {
        cluster.queue.schedule(after: 700_000_000) { [self] in
            if isStopped { leaveJointIfAsked() }
            tidyUp()
        }
    }

    private func leaveJointIfAsked() {
        let configuration = cluster.configuration
        guard configuration.isJoint, !configuration.leavesAutomatically else { return }
        ask(ConfigurationChange(changes: []), through: 0)
    }

    // MARK: Changes

    func change(_ random: inout RandomSource, tell: (String) -> Void) {
        let configuration = cluster.configuration
        // Nobody rebuilds a cluster that waits for the replacement of what was lost.
        guard !isStopped, !hasRotted else { return }
        if configuration.isJoint {
            guard !configuration.leavesAutomatically else { return }
            tell("the joint configuration is to be left")
            return ask(ConfigurationChange(changes: []), through: random.below(64))
        }
        var steps: [MemberChange] = []
        var voters = configuration.voters
        var learners = configuration.learners
        let count = random.oneIn(3) ? 2 + random.below(2) : 1
        var joining: NodeID?
        let isRebuilt = random.oneIn(3)
        if isRebuilt { steps = rebuild(&voters, &joining, &random) }
        for _ in 0..<(isRebuilt ? 0 : count) {
            guard let step = draw(&voters, &learners, besides: joining, &random) else { continue }
            if [.addVoter, .addLearner].contains(step.kind), !configuration.contains(step.node) { joining = step.node }
            if !steps.contains(where: { $0.node == step.node }) { steps.append(step) }
        }
        // Replacing one is two steps at once.
        if steps.count == 1, steps[0].kind == .remove, random.oneIn(3), joining == nil, let new = machine() {
            joining = new.id
            steps.append(MemberChange(.addVoter, new.id))
        }
        guard !steps.isEmpty else { return }
        newestAskedVoters = voters
        let transition: ConfigurationChange.Transition =
            switch random.below(6) {
            case 0: .jointExplicit
            case 1: .jointImplicit
            default: .automatic
            }
        let text = steps.map { "\($0.kind) \($0.node.rawValue)" }.joined(separator: ", ")
        tell("from \(configuration.voters.map(\.rawValue)): \(text) (\(transition))")
        ask(
            ConfigurationChange(transition: transition, changes: steps, context: context(of: joining)),
            through: random.below(64))
    }

    /// Many go at once, and one may come: old and new voters need not have a majority in common.
    private func rebuild(
        _ voters: inout [NodeID], _ joining: inout NodeID?, _ random: inout RandomSource
    ) -> [MemberChange] {
        var steps: [MemberChange] = []
        var kept: [NodeID] = []
        let keep = random.oneIn(3) ? 1 : 1 + random.below(voters.count)
        if let leader = cluster.newestLeader, voters.contains(leader), !random.oneIn(3) { kept.append(leader) }
        while kept.count < keep {
            let id = voters[random.below(voters.count)]
            if !kept.contains(id) { kept.append(id) }
        }
        for id in voters where !kept.contains(id) { steps.append(MemberChange(.remove, id)) }
        voters.removeAll { !kept.contains($0) }
        if random.oneIn(2), voters.count < limits.votersMax, let new = machine() {
            joining = new.id
            voters.append(new.id)
            steps.append(MemberChange(.addVoter, new.id))
        }
        return steps
    }

    private func draw(
        _ voters: inout [NodeID], _ learners: inout [NodeID], besides taken: NodeID?, _ random: inout RandomSource
    ) -> MemberChange? {
        switch random.below(6) {
        case 0 where learners.count < limits.learnersMax && taken == nil:
            guard let new = machine() else { return nil }
            learners.append(new.id)
            return MemberChange(.addLearner, new.id)
        case 1 where voters.count < limits.votersMax && taken == nil:
            guard let new = machine() else { return nil }
            voters.append(new.id)
            return MemberChange(.addVoter, new.id)
        case 2 where !learners.isEmpty && voters.count < limits.votersMax:
            let id = learners.remove(at: random.below(learners.count))
            voters.append(id)
            return MemberChange(.addVoter, id)
        case 3 where voters.count > 1 && learners.count < limits.learnersMax:
            let id = voters.remove(at: random.below(voters.count))
            learners.append(id)
            return MemberChange(.addLearner, id)
        case 4 where voters.count > 1:
            // The leader too, and more often than its share.
            if let leader = cluster.newestLeader, random.oneIn(2), let place = voters.firstIndex(of: leader) {
                voters.remove(at: place)
                return MemberChange(.remove, leader)
            }
            return MemberChange(.remove, voters.remove(at: random.below(voters.count)))
        case 5 where !learners.isEmpty:
            return MemberChange(.remove, learners.remove(at: random.below(learners.count)))
        default: return nil
        }
    }

    /// A machine that is no member: a new one, or one that was made before and never got in.
    private func machine() -> SimulatedMember? {
        if let idle = cluster.members.first(where: { !$0.hasJoined && !$0.isLost }) { return idle }
        return cluster.members.count < limits.machinesMax ? cluster.addMachine() : nil
    }

    private func context(of id: NodeID?) -> [UInt8] {
        guard let id else { return [] }
        let member = Member(id: id, name: "m\(id.rawValue)", peerURLs: ["sim://\(id.rawValue)"], clientURLs: [])
        return MembershipContext(member: member).encode()
    }

    private func ask(_ change: ConfigurationChange, through draw: Int) {
        let doors = cluster.members.filter { cluster.isPresent($0) && $0.isRunning }
        guard !doors.isEmpty, let node = doors[draw % doors.count].node else { return }
        changesAsked += 1
        let sink = SimulatedSink<ReplicaResult> { [self] answer in
            if case .success = answer { changesDone += 1 }
        }
        node.change(change, ticket: Ticket(sink: sink, token: 0))
    }

    func transfer(_ random: inout RandomSource, tell: (String) -> Void) {
        let voters = cluster.configuration.voters
        let target = voters[random.below(voters.count)]
        let doors = cluster.members.filter { cluster.isPresent($0) && $0.isRunning }
        guard !doors.isEmpty, let node = doors[random.below(doors.count)].node else { return }
        tell("leadership is to go to member \(target.rawValue)")
        node.transferLeadership(to: target)
    }

    // MARK: Damage

    /// A member is killed, a bit flips on its disk while it is down, and it is started again: it must refuse. Then it
    /// is replaced. One member a play, so that a quorum has its disks, whatever else goes on.
    func rot(
        _ member: SimulatedMember, inLog: Bool, _ source: RandomSource, tell: (String) -> Void
    ) {
        let configuration = cluster.configuration
        guard !isStopped, !hasRotted, member.isRunning, !member.mayFail, !configuration.isJoint,
            configuration.voters.count >= 3, configuration.contains(member.id)
        else { return }
        var random = source
        cluster.crash(member, powerCut: false)
        do {
            let damage =
                inLog ? LogRot.flip(in: member.disk, "/member/wal", &random) : try member.engines.rot(&random)
            guard let damage else { return cluster.scheduleRestart(member) }
            tell("member \(member.id.rawValue) is killed, and meanwhile there rots \(damage)")
            member.damage = damage
        } catch {
            return cluster.fail("the engine of member \(member.id.rawValue) cannot be read: \(error)")
        }
        hasRotted = true
        cluster.scheduleRestart(member)
        guard let new = cluster.addMachine() else { return }
        replace(member.id, by: new.id)
    }

    private func replace(_ lost: NodeID, by new: NodeID) {
        cluster.queue.schedule(after: 1_500_000_000) { [self] in
            let configuration = cluster.configuration
            if !configuration.contains(lost), configuration.voters.contains(new), !configuration.isJoint { return }
            let change = ConfigurationChange(
                changes: [MemberChange(.remove, lost), MemberChange(.addVoter, new)], context: context(of: new))
            ask(change, through: Int(cluster.queue.now / 1_000 % 64))
            replace(lost, by: new)
        }
    }
}
