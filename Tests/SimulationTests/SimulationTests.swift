import RaftCore
import RaftSimulation
import Testing

/// The simulator itself: the same seed is the same play, and healthy code survives a few of them. `scripts/simulate`
/// plays many.
@Suite struct SimulationTests {
    private var short: Simulation.Options {
        var options = Simulation.Options()
        options.safetyNanoseconds = 6_000_000_000
        options.livenessNanoseconds = 10_000_000_000
        return options
    }

    @Test func `the same seed gives the same run, byte for byte`() {
        for seed in [3, 17, 46] as [UInt64] {
            let first = Simulation.run(seed: seed, options: short)
            let second = Simulation.run(seed: seed, options: short)
            #expect(first.digest == second.digest)
            #expect(first.steps == second.steps)
            #expect(first.operations == second.operations)
            #expect(first.story == second.story)
            #expect(first.violation == nil, "seed \(seed)")
        }
    }

    @Test func `different seeds give different runs`() {
        let digests = Set((1...5).map { Simulation.run(seed: $0, options: short).digest })
        #expect(digests.count == 5)
    }

    @Test func `a schedule can be played again, and shortened, without its seed's drawing`() {
        let drawn = Simulation.run(seed: 5, options: short)
        var again = short
        again.schedule = drawn.schedule
        #expect(Simulation.run(seed: 5, options: again).digest == drawn.digest)
        again.schedule = []
        let calm = Simulation.run(seed: 5, options: again)
        #expect(calm.misfortunes == 0)
        #expect(calm.violation == nil)
    }

    @Test func `shortening leaves what a failure needs, and nothing else`() {
        let (left, _) = Shortening.shorten(Array(0..<100), playsMax: 1_000) { $0.contains(17) && $0.contains(71) }
        #expect(left == [17, 71])
        let (all, plays) = Shortening.shorten(Array(0..<100), playsMax: 10) { $0.count == 100 }
        #expect(all.count == 100)
        #expect(plays == 10)
    }

    @Test func `configurations that could decide against each other are told from those that could not`() {
        func isSafe(_ a: Configuration, _ b: Configuration) -> Bool {
            ConfigurationHistory.disjointQuorums(a, b) == nil
        }
        func voters(_ ids: UInt64...) -> [NodeID] { ids.map { NodeID($0) } }
        #expect(isSafe(Configuration(voters: voters(1, 2, 3)), Configuration(voters: voters(1, 2, 3, 4))))
        #expect(isSafe(Configuration(voters: voters(1, 2)), Configuration(voters: voters(1))))
        #expect(!isSafe(Configuration(voters: voters(1, 2, 3)), Configuration(voters: voters(3, 4, 5))))
        #expect(!isSafe(Configuration(voters: voters(1)), Configuration(voters: voters(2))))
        let joint = Configuration(voters: voters(3, 4, 5), outgoingVoters: voters(1, 2, 3))
        #expect(isSafe(Configuration(voters: voters(1, 2, 3)), joint))
        #expect(isSafe(joint, Configuration(voters: voters(3, 4, 5))))
    }

    @Test func `members that disagree on a configuration are found`() {
        var history = ConfigurationHistory(
            first: Configuration(voters: [NodeID(1), NodeID(2)]), at: LogIndex(1))
        let three = Configuration(voters: [NodeID(1), NodeID(2), NodeID(3)])
        #expect(history.note(three, at: LogIndex(5)) == nil)
        #expect(history.note(three, at: LogIndex(5)) == nil)
        #expect(history.note(Configuration(voters: [NodeID(1)]), at: LogIndex(5)) != nil)
        #expect(history.note(three, at: LogIndex(4)) != nil)
        #expect(history.inForce(at: LogIndex(4))?.voters.count == 2)
    }
}
