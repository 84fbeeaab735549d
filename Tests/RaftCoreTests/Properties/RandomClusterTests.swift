import Testing

@testable import RaftCore

/// A cluster under random treatment: lost, late, repeated and reordered messages, slow disks, crashes that lose what is
/// not durable, compaction, membership changes, transfers, reads. After every step the promises of figure 3 are
/// checked.
@Suite struct `Safety under random schedules` {
    @Test func `committed entries agree, leaders are one a term, reads are fresh, and in the end all is well`() {
        var committed = 0
        var terms = 0
        var reads = 0
        for seed in 0..<60 {
            var world = World(seed: UInt64(seed))
            for _ in 0..<1_500 { world.misbehave() }
            committed += world.committed.count
            terms += world.leaderOfTerm.count
            reads += world.answeredReads
            world.recover()
            #expect(world.violations.isEmpty, "seed \(seed): \(world.violations.prefix(3))")
        }
        // Or nothing was tested.
        #expect(committed > 1_000 && terms > 80 && reads > 200, "\(committed) \(terms) \(reads)")
    }

    #if MARTLET_MUTATIONS
        /// The checks are worth something only if they find mistakes. (`commitsOlderTermsByCount` needs figure 8 to the
        /// letter, which chance does not play in this many seeds: it has a test of its own.)
        @Test(arguments: [
            RaftCore.Faults.answersBeforePersisting, .readIndexWithoutQuorumRound, .grantsVoteTwice,
        ])
        func `every seeded mistake is found`(fault: RaftCore.Faults) {
            for seed in 0..<3_000 {
                var world = World(seed: UInt64(seed), faults: fault)
                for _ in 0..<1_500 {
                    world.misbehave()
                    if !world.violations.isEmpty { return }
                }
            }
            Issue.record("not found: \(fault)")
        }

        @Test func `committing entries of older terms by counting is what the rule of figure 8 forbids`() {
            var node = Lone(log: [1, 2], term: 2) { $0.faults = .commitsOlderTermsByCount }
            node.lead()
            node.receive(accepted(2), term: 3)
            #expect(node.core.commitIndex == LogIndex(2))
        }
    #endif

    private struct World {
        var cluster: TestCluster
        var random: SplitMix64
        var violations: [String] = []
        /// Everything that was ever given out for applying, by index.
        var committed: [UInt64: Entry] = [:]
        var leaderOfTerm: [UInt64: UInt64] = [:]
        var nextRead: UInt64 = 1
        /// Open reads: who asked, and what was committed anywhere by then.
        var reads: [UInt64: (by: UInt64, floor: UInt64)] = [:]
        var isLossy: Bool
        var steps = 0
        var answeredReads = 0

        #if MARTLET_MUTATIONS
            init(seed: UInt64, faults: RaftCore.Faults) {
                self.init(seed: seed) { $0.faults = faults }
            }
        #endif

        init(seed: UInt64, configure: (inout RaftCore.Options) -> Void = { _ in }) {
            random = SplitMix64(seed: seed)
            // Options differ from seed to seed, and are the same on all members where they must be.
            let bits = random.next()
            isLossy = bits & 1 != 0
            let voters = [1, 2, 3, 3, 4, 5][Int(bits >> 8) % 6]
            let size = voters + Int(bits >> 16) % 3
            cluster = TestCluster(size, learners: size > voters ? [UInt64(size)] : []) { options in
                options.preVote = bits & 2 != 0
                options.checkQuorum = bits & 4 != 0
                options.readMode = .quorum
                options.electionTicks = 5
                options.maxMessageBytes = bits & 8 != 0 ? 4 : 1 << 20
                options.maxInflightMessages = bits & 16 != 0 ? 2 : 256
                options.maxUncommittedBytes = bits & 32 != 0 ? 16 : 1 << 20
                options.whenVoteIsLost = bits & 64 != 0 ? .handsOver : .leads
                options.announcesCommit = bits & 256 == 0
                if bits & 512 != 0 {
                    options.priorities = [.init(id: NodeID(1), priority: 2), .init(id: NodeID(2), priority: 1)]
                }
                options.refusesQuorumLoss = bits & 1024 != 0
                options.promotesOnlyCaughtUp = bits & 2048 != 0
                configure(&options)
            }
            for place in cluster.members.indices {
                cluster.members[place].diskWaits = true
                cluster.members[place].appliesLate = bits & 128 != 0
                cluster.members[place].readsLate = bits & 2048 != 0
            }
        }

        mutating func below(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }

        mutating func anyone() -> UInt64 { UInt64(below(cluster.members.count)) + 1 }

        /// A member that runs; nil if the dice say one that does not.
        mutating func someone() -> UInt64? {
            let id = anyone()
            return cluster[id].isDown ? nil : id
        }

        mutating func misbehave() {
            // Calm and rough times alternate: in rough ones alone, hardly anybody would ever lead.
            steps += 1
            let isCalm = (steps / 150) % 2 == 0
            if isCalm, below(3) > 0 { return calmStep() }
            switch below(100) {
            case 0..<50: deliver()
            case 50..<55:
                if let id = someone() { cluster.sendPages(id) }
                deliver()
            case 55..<62:
                if let id = someone() { cluster.tick(id) }
            case 62..<78:
                if let id = someone(), !cluster[id].writes.isEmpty {
                    cluster.persist(id, count: 1 + below(cluster[id].writes.count))
                }
            case 78..<85:
                if let id = cluster.leaders.randomElement(using: &random) ?? someone() {
                    let payloads = (0...below(3)).map { _ in Proposal(payload: (0..<below(4)).map { UInt8($0) }) }
                    cluster.step(id, .propose(payloads))
                }
            case 85..<88:
                if let id = someone() { cluster.apply(id, limit: 1 + below(3)) }
            case 88..<91: read()
            case 91: changeMembers()
            case 92:
                if let id = someone() {
                    cluster.step(id, .transferLeadership(to: below(3) == 0 ? nil : NodeID(anyone())))
                }
            case 93:
                if let id = someone(), cluster[id].applied > cluster.core(id).firstIndex.rawValue,
                    cluster[id].writes.isEmpty
                {
                    let first = cluster.core(id).firstIndex.rawValue
                    cluster.compact(id, upTo: first + UInt64(below(Int(cluster[id].applied - first) + 1)))
                }
            case 94:
                guard let id = someone() else { break }
                if below(2) == 0 {
                    cluster.step(id, .unreachable(NodeID(anyone())))
                } else {
                    let last = Int(cluster.core(id).lastIndex.rawValue)
                    cluster.step(id, .cold(before: LogIndex(UInt64(below(last + 2)))))
                }
            case 95:
                if below(2) == 0 { crash() }
            case 96:
                for id in 1...UInt64(cluster.members.count) where cluster[id].isDown && below(2) == 0 { restart(id) }
            case 97:
                if isLossy { cluster.isolated = below(3) == 0 ? [anyone()] : [] }
            case 98:
                if let id = someone() { cluster.step(id, below(2) == 0 ? .forgetLeader : .gone(NodeID(anyone()))) }
            default:
                if let id = someone() { cluster.step(id, .campaign) }
            }
            check()
        }

        /// What a healthy cluster does.
        mutating func calmStep() {
            switch below(20) {
            case 0..<12:
                if !cluster.network.isEmpty { cluster.deliverOne() }
            case 12..<17:
                let id = anyone()
                if !cluster[id].isDown { cluster.persist(id) }
            case 17:
                if let id = cluster.leaders.randomElement(using: &random) {
                    cluster.step(id, .propose([Proposal(payload: [UInt8(truncatingIfNeeded: steps)])]))
                }
            case 18:
                if let id = cluster.leaders.randomElement(using: &random) { cluster.tick(id) }
            default:
                if let id = someone() { cluster.tick(id) }
            }
            check()
        }

        /// Mostly in order; sometimes late, twice, or never.
        mutating func deliver() {
            guard !cluster.network.isEmpty else { return }
            let place = below(4) == 0 ? below(cluster.network.count) : 0
            if isLossy {
                switch below(12) {
                case 0:
                    cluster.lose(at: place)
                    return
                case 1: cluster.network.append(cluster.network[place])
                default: break
                }
            }
            cluster.deliverOne(at: place)
            // A network that loses nothing would otherwise only grow.
            if cluster.network.count > 200 { for _ in 0..<100 { cluster.lose(at: 0) } }
        }

        mutating func read() {
            guard let id = someone() else { return }
            reads[nextRead] = (id, committed.keys.max() ?? 0)
            if below(2) == 0 {
                cluster.read(id, nextRead)
            } else {
                cluster.step(id, .readMany([ReadID(nextRead)]))
            }
            nextRead += 1
        }

        mutating func changeMembers() {
            guard let id = cluster.leaders.randomElement(using: &random) else { return }
            let current = cluster.core(id).currentConfiguration
            if current.isJoint, below(2) == 0 { return cluster.step(id, .propose([leave])) }
            var steps: [MemberChange] = []
            for _ in 0...below(3) {
                let kind: MemberChange.Kind = [.addVoter, .addVoter, .addLearner, .remove][below(4)]
                let member = anyone()
                // Upstream's ways of losing a vote may keep the others from winning: see Divergences.
                let isSafe = cluster.core(id).options.whenVoteIsLost == .handsOver
                if member == id, kind != .addVoter, !isSafe { continue }
                steps.append(MemberChange(kind, NodeID(member)))
            }
            if steps.isEmpty { return }
            let transition = ConfigurationChange.Transition(rawValue: UInt8(below(3)))!
            let change = ConfigurationChange(transition: transition, changes: steps)
            cluster.step(id, .propose([Proposal(kind: .configuration, payload: change.encode())]))
        }

        var leave: Proposal {
            Proposal(kind: .configuration, payload: ConfigurationChange(changes: []).encode())
        }

        mutating func crash() {
            guard let id = someone() else { return }
            // Part of what was being written may have got there.
            let at = cluster.place(id)
            let survivors = cluster.members[at].writes.isEmpty ? 0 : below(cluster.members[at].writes.count + 1)
            for (_, write) in cluster.members[at].writes.prefix(survivors) {
                cluster.members[at].disk.store(write)
                if let snapshot = write.snapshot {
                    cluster.members[at].applied = snapshot.index.rawValue
                    cluster.members[at].configurations.append((snapshot.index.rawValue, snapshot.configuration))
                }
            }
            cluster.members[at].isDown = true
        }

        mutating func restart(_ id: UInt64) {
            let floor = cluster[id].disk.snapshot.index.rawValue
            let applied = floor + UInt64(below(Int(cluster[id].applied - floor) + 1))
            if let reason = cluster.restart(id, applied: applied, seed: random.next()) {
                violations.append("\(id) cannot start: \(reason)")
            }
        }

        mutating func check() {
            for at in cluster.members.indices {
                let member = cluster.members[at]
                let id = member.core.options.id.rawValue
                for (index, entry) in member.history {
                    if let known = committed[index] {
                        if known != entry { violations.append("\(id) applied \(entry), others \(known)") }
                    } else {
                        committed[index] = entry
                    }
                }
                cluster.members[at].history = [:]
                if !member.isDown, member.core.currentRole == .leader {
                    let term = member.core.currentTerm.rawValue
                    if let other = leaderOfTerm[term], other != id {
                        violations.append("leaders \(id) and \(other) in term \(term)")
                    }
                    leaderOfTerm[term] = id
                }
                for (read, index) in member.reads {
                    if let asked = reads.removeValue(forKey: read) {
                        answeredReads += 1
                        if asked.by != id { violations.append("read of \(asked.by) answered to \(id)") }
                        if index < asked.floor { violations.append("read at \(index), committed \(asked.floor)") }
                    }
                }
                cluster.members[at].reads = [:]
            }
        }

        /// Who was removed is switched off: without pre-vote and quorum checks it disturbs the others for good (§6),
        /// and as a leader that does not step down it would lead them for good.
        mutating func isolateRemoved() {
            let newest = cluster.members.max { $0.applied < $1.applied }!.core.currentConfiguration
            cluster.isolated = Set(
                cluster.members.map(\.core.options.id).filter { !newest.contains($0) }.map(\.rawValue))
        }

        /// All faults end. The voters of whatever configuration holds must find a leader and agree.
        mutating func recover() {
            cluster.isolated = []
            for id in 1...UInt64(cluster.members.count) {
                if cluster[id].isDown { restart(id) }
                cluster[id].diskWaits = false
                cluster[id].appliesLate = false
                cluster[id].readsLate = false
                cluster.sendPages(id)
                cluster.persist(id)
                cluster.apply(id)
            }
            cluster.settle()
            check()
            // The removed may be needed once more: those that stay may not know yet that they were removed.
            for round in 0..<300 {
                if round >= 150 { isolateRemoved() }
                cluster.tickAll()
                check()
            }
            let before = committed.keys.max() ?? 0
            for id in cluster.leaders { cluster.propose(id, [42]) }
            cluster.tickAll(3)
            check()
            let after = committed.keys.max() ?? 0
            if after <= before {
                violations.append("no progress after all faults: \(before), \(after)")
            }
            let reachable = cluster.leaders.filter { !cluster.isolated.contains($0) }
            guard let leader = reachable.max(by: { cluster.term($0) < cluster.term($1) }) else {
                return violations.append("no leader after all faults")
            }
            for voter in cluster.core(leader).currentConfiguration.allVoters {
                if cluster.commit(voter.rawValue) != after {
                    violations.append("\(voter.rawValue) is at \(cluster.commit(voter.rawValue)), not \(after)")
                }
            }
        }
    }
}
