import Platform
import PlatformSimulation
import RaftCore

/// Waits for an occasion, and has something happen to whoever it comes to.
struct Ambush {
    var occasion: Occasion
    /// Only if it comes to this one.
    var member: NodeID?
    var timesLeft: Int
    var patience: UInt64
    var strike: (SimulatedMember) -> Void
}

/// A round in which every leader falls soon after its election, and the one that fell before comes back.
final class LeadersInTurn {
    var left: Int
    /// Cut off rather than crashed: a leader that goes on writing to its own log.
    let isolates: Bool
    var random: RandomSource
    var away: [(member: SimulatedMember, bringBack: () -> Void)] = []

    init(left: Int, isolates: Bool, random: RandomSource) {
        self.left = left
        self.isolates = isolates
        self.random = random
    }
}

// Bugs hide in the moment after something was promised, taken over or begun. Times drawn at random meet that moment
// seldom; so there are misfortunes that follow an event, within a time drawn anew: at once, within a message's way,
// within a write's, within an election's.
extension MisfortunePlayer {
    /// Up to how long after the occasion.
    private static let scales: [UInt64] = [1, 1_000_000, 5_000_000, 30_000_000, 150_000_000]

    private func drawDelay(_ random: inout RandomSource) -> UInt64 {
        1 + random.next() % Self.scales[random.below(Self.scales.count)]
    }

    func lie(inWait ambush: Ambush) {
        ambushes.append(ambush)
        guard cluster.onOccasion == nil else { return }
        cluster.onOccasion = { [unowned self] occasion, id in self.spring(occasion, id) }
    }

    private func spring(_ occasion: Occasion, _ id: NodeID) {
        var hasEnded = false
        for place in ambushes.indices
        where ambushes[place].occasion == occasion && (ambushes[place].member ?? id) == id {
            guard ambushes[place].timesLeft > 0, cluster.queue.now < ambushes[place].patience else {
                hasEnded = true
                continue
            }
            ambushes[place].timesLeft -= 1
            ambushes[place].strike(cluster.member(id))
        }
        if hasEnded {
            let now = cluster.queue.now
            ambushes.removeAll { $0.timesLeft == 0 || $0.patience <= now }
        }
    }

    // MARK: Something follows

    func lieInWait(for occasion: Occasion, _ source: RandomSource) {
        var random = source
        let times = 1 + random.below(4)
        // What comes often is let pass for a while.
        let isRestricted = occasion == .flush || random.oneIn(3)
        let only = isRestricted ? cluster.members[random.below(cluster.members.count)].id : nil
        lie(
            inWait: Ambush(
                occasion: occasion, member: only, timesLeft: times, patience: cluster.queue.now + 6_000_000_000
            ) { [unowned self] member in
                let seed = random.next()
                self.after(self.drawDelay(&random)) { [unowned self] in
                    var random = RandomSource(seed: seed)
                    self.strike(member, after: occasion, &random)
                }
            })
    }

    private func strike(_ member: SimulatedMember, after occasion: Occasion, _ random: inout RandomSource) {
        guard !member.isLost else { return }
        let blow = random.below(10)
        switch (occasion, blow) {
        case (.handover, 0..<6): cut(off: member, .deafness, &random)
        case (.configurationSent, 0..<6): cut(off: member, .isolation, &random)
        case (.configurationSent, 6..<8): splitByConfiguration(&random)
        case (_, 0..<5), (.voteGiven, _), (.flush, _), (.start, _):
            end(member, powerCut: random.oneIn(2), restartsAtOnce: !random.oneIn(4), &random)
        case (_, 5..<7): cut(off: member, .isolation, &random)
        case (_, 7): cut(off: member, .deafness, &random)
        case (_, 8): cut(off: member, .muteness, &random)
        default: pause(member, for: random.next() % 2_000_000_000, &random)
        }
    }

    /// Those who are to be voters on one side, the others on the other.
    private func splitByConfiguration(_ random: inout RandomSource) {
        let voters = operation.newestAskedVoters
        var links: [SimulatedNetwork.Link] = []
        for one in cluster.members where voters.contains(one.id) {
            for other in cluster.members where !voters.contains(other.id) {
                links.append(.init(from: one.id, to: other.id))
                links.append(.init(from: other.id, to: one.id))
            }
        }
        cut(links, "members \(voters.map(\.rawValue)) are split off", &random)
    }

    // MARK: One after the other

    /// A process that dies again and again, soon after it has come up.
    func crashLoop(of member: SimulatedMember, _ random: inout RandomSource) {
        var inner = random.fork()
        let longest = [50_000_000, 300_000_000, 1_000_000_000][random.below(3)] as UInt64
        lie(
            inWait: Ambush(
                occasion: .start, member: member.id, timesLeft: 2 + random.below(6),
                patience: cluster.queue.now + 8_000_000_000
            ) { [unowned self] member in
                let time = 1_000_000 + inner.next() % longest
                let seed = inner.next()
                let incarnation = member.incarnation
                self.after(time) { [unowned self] in
                    var random = RandomSource(seed: seed)
                    guard member.incarnation == incarnation else { return }
                    self.end(member, powerCut: random.oneIn(3), restartsAtOnce: true, &random)
                }
            })
        end(member, powerCut: false, restartsAtOnce: true, &random)
    }

    /// Figure 8 needs leaders that fall when they have just begun, again and again, and come back in turn.
    func dropLeadersInTurn(_ random: inout RandomSource) {
        guard turns == nil, cluster.configuration.voters.count >= 3 else { return }
        let turns = LeadersInTurn(left: 4 + random.below(12), isolates: random.oneIn(2), random: random.fork())
        self.turns = turns
        lie(
            inWait: Ambush(
                occasion: .election, member: nil, timesLeft: turns.left, patience: cluster.queue.now + 12_000_000_000
            ) { [unowned self, weak turns] member in
                guard let turns else { return }
                self.after(self.drawDelay(&turns.random)) { [unowned self, weak turns] in
                    if let turns, self.turns === turns { self.fall(member, turns) }
                }
            })
        after(12_000_000_000) { [unowned self, weak turns] in
            if let turns, self.turns === turns { self.endTurns() }
        }
        if let id = cluster.newestLeader { fall(cluster.member(id), turns) }
    }

    private func fall(_ leader: SimulatedMember, _ turns: LeadersInTurn) {
        guard leader.isRunning, !turns.away.contains(where: { $0.member.id == leader.id }) else { return }
        turns.left -= 1
        let away = max(1, (cluster.configuration.voters.count - 1) / 2)
        while turns.away.count >= away { turns.away.removeFirst().bringBack() }
        let id = leader.id
        if turns.isolates {
            tell("member \(id.rawValue), which leads, is cut off until another one falls")
            let links = linksFrom(id) + linksTo(id)
            cluster.network.cut(links)
            turns.away.append((leader, { [unowned self] in self.cluster.network.mend(links) }))
        } else {
            let losesPower = turns.random.oneIn(2)
            let how = losesPower ? "loses its power" : "is killed"
            tell("member \(id.rawValue), which leads, \(how) until another falls")
            cluster.crash(leader, powerCut: losesPower)
            let incarnation = leader.incarnation
            turns.away.append(
                (
                    leader,
                    { [unowned self] in
                        if leader.incarnation == incarnation, !leader.isRunning { self.cluster.start(leader) }
                    }
                ))
        }
        if turns.left <= 0 { endTurns() }
        // Where no other comes to lead without it, it comes back.
        let time = 1_000_000_000 + turns.random.next() % 2_000_000_000
        after(time) { [unowned self, weak turns] in
            guard let turns, self.turns === turns, let place = turns.away.firstIndex(where: { $0.member.id == id })
            else { return }
            turns.away.remove(at: place).bringBack()
        }
    }

    private func endTurns() {
        guard let turns else { return }
        self.turns = nil
        for (_, bringBack) in turns.away { bringBack() }
    }

    private var electionTimeout: UInt64 {
        cluster.options.tickNanoseconds * UInt64(cluster.options.electionTicks)
    }

    /// A candidate whose disk holds neither its newest entries nor its term yet, and that dies in that moment; what
    /// was answered to it comes when it is up again.
    func makeSlowCandidate(of member: SimulatedMember, _ random: inout RandomSource) {
        guard let leader = cluster.newestLeader, leader != member.id else { return }
        let timeout = electionTimeout
        let most = 4 * timeout + random.next() % (4 * timeout)
        let late = 2 * timeout + random.next() % (2 * timeout)
        tell("the disk of member \(member.id.rawValue) takes up to \(most / 1_000_000) ms")
        cluster.setLogPace(.init(least: most / 2, most: most), of: member)
        var inner = random.fork()
        lie(
            inWait: Ambush(
                occasion: .candidacy, member: member.id, timesLeft: 1 + random.below(2),
                patience: cluster.queue.now + 10 * timeout
            ) { [unowned self] member in
                self.tell("messages to member \(member.id.rawValue) take up to \(late / 1_000_000) ms")
                self.cluster.network.delay(messagesTo: member.id, by: late)
                let seed = inner.next()
                self.after(1 + inner.next() % 20_000_000) { [unowned self] in
                    var random = RandomSource(seed: seed)
                    self.cluster.setLogPace(self.cluster.options.logPace, of: member)
                    self.end(member, powerCut: random.oneIn(2), restartsAtOnce: true, &random)
                }
                self.after(4 * timeout) { [unowned self] in
                    self.cluster.network.delay(messagesTo: member.id, by: 0)
                }
            })
        let seed = random.next()
        after(random.next() % (2 * timeout)) { [unowned self] in
            var random = RandomSource(seed: seed)
            let away = 5 * timeout + random.next() % (5 * timeout)
            if random.oneIn(2) {
                self.tell("member \(leader.rawValue), which leads, is cut off for \(away / 1_000_000) ms")
                let around = self.linksFrom(leader) + self.linksTo(leader)
                self.cluster.network.cut(around)
                self.after(away) { [unowned self] in self.cluster.network.mend(around) }
            } else if self.cluster.member(leader).isRunning {
                self.tell("member \(leader.rawValue), which leads, is killed for \(away / 1_000_000) ms")
                self.cluster.crash(self.cluster.member(leader), powerCut: false)
                self.cluster.scheduleRestart(self.cluster.member(leader), after: away)
            }
        }
        after(10 * timeout) { [unowned self] in
            self.cluster.setLogPace(self.cluster.options.logPace, of: member)
        }
    }

    /// A leader with a bare majority, whose followers get messages late, in another order and twice; then it falls, and
    /// those who were cut off from it are back: what it knew to be with the majority must be there.
    func letFollowersLag(_ random: inout RandomSource) {
        guard let leader = cluster.newestLeader else { return }
        var others = cluster.configuration.voters.filter { $0 != leader }
        guard others.count >= 2 else { return }
        var followers: [NodeID] = []
        for _ in 0..<(others.count + 1) / 2 { followers.append(others.remove(at: random.below(others.count))) }
        let late = 5_000_000 + random.next() % 300_000_000
        let time = 100_000_000 + random.next() % 1_500_000_000
        let links = others.flatMap {
            [SimulatedNetwork.Link(from: leader, to: $0), SimulatedNetwork.Link(from: $0, to: leader)]
        }
        tell(
            "member \(leader.rawValue), which leads, reaches only \(followers.map(\.rawValue)), which get messages up "
                + "to \(late / 1_000_000) ms late, for \(time / 1_000_000) ms, and falls")
        cluster.network.cut(links)
        for id in followers { cluster.network.delay(messagesTo: id, by: late) }
        let seed = random.next()
        after(time) { [unowned self] in
            var random = RandomSource(seed: seed)
            let member = self.cluster.member(leader)
            if random.oneIn(2) {
                self.cut(off: member, .isolation, &random)
            } else {
                self.end(member, powerCut: random.oneIn(2), &random)
            }
            self.cluster.network.mend(links)
            for id in followers { self.cluster.network.delay(messagesTo: id, by: 0) }
        }
    }

    /// While nothing is asked for, one hears nothing of the leader; then the others, who do, restart all at once, and
    /// the leader is cut off: if they have forgotten what they promised it, the one is elected while the leader's lease
    /// lasts.
    func restartBehindLeader(_ random: inout RandomSource) {
        guard let leader = cluster.newestLeader, !isRestartingBehindLeader else { return }
        let voters = cluster.configuration.voters.filter { $0 != leader }
        guard voters.count >= 2 else { return }
        isRestartingBehindLeader = true
        let deaf = voters[random.below(voters.count)]
        let links = [SimulatedNetwork.Link(from: leader, to: deaf)]
        let settling: UInt64 = 200_000_000
        let wait = electionTimeout + random.next() % (3 * electionTimeout)
        tell(
            "nobody asks for anything, and member \(deaf.rawValue) does not hear the leader, member \(leader.rawValue)")
        cluster.quietUntil = cluster.queue.now + settling + wait
        after(settling) { [unowned self] in self.cluster.network.cut(links) }
        let seed = random.next()
        after(settling + wait) { [unowned self] in
            var random = RandomSource(seed: seed)
            let around = self.linksFrom(leader) + self.linksTo(leader)
            self.tell("member \(leader.rawValue) is cut off, and all but the two restart")
            self.cluster.network.cut(around)
            for id in voters where id != deaf {
                let member = self.cluster.member(id)
                guard member.isRunning else { continue }
                self.cluster.crash(member, powerCut: false)
                self.cluster.scheduleRestart(member, after: 1 + random.next() % 10_000_000)
            }
            self.after(500_000_000 + random.next() % 2_000_000_000) { [unowned self] in
                self.cluster.network.mend(around)
                self.cluster.network.mend(links)
                self.isRestartingBehindLeader = false
            }
        }
    }
}
