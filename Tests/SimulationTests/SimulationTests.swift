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
            #expect(first.violation == nil, "seed \(seed)")
        }
    }

    @Test func `different seeds give different runs`() {
        let digests = Set((1...5).map { Simulation.run(seed: $0, options: short).digest })
        #expect(digests.count == 5)
    }

    /// Seeds that once failed, and what they found.
    @Test(arguments: [
        3,  // A power cut that outlived the process it was meant for.
        8,  // The state was told of a snapshot before the log held it.
        43,  // A forwarded proposal that the network delivered twice was applied twice.
        46,  // The same, seen as a read that goes back in time.
        58,  // A log whose first segment starts exactly where it was cut forgot the term before it.
    ])
    func `a seed that once failed passes`(seed: Int) {
        let report = Simulation.run(seed: UInt64(seed))
        #expect(report.violation == nil)
        #expect(report.acknowledged > 0)
    }
}
