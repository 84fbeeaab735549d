import Platform
import RaftCore
import RaftSimulation
import Replica
import Testing

/// Bit rot in the engine of a member that is down.
@Suite struct EngineRotTests {
    /// Found by seeds 643, 817 and 827 of an early simulator: a row of `meta` whose key changes is not damaged but
    /// gone. A member without the row that names its cluster passed for new, and one without a member's row knew one
    /// fewer.
    @Test func `no bit of a young member's state flips unseen, in keys as little as in values`() throws {
        let members = (1...3).map {
            Member(id: NodeID($0), name: "m\($0)", peerURLs: ["sim://\($0)"], clientURLs: [])
        }
        for seed in 1...400 as ClosedRange<UInt64> {
            let engines = SimulatedEngines()
            try KeyValueMachine.bootstrap(engines: engines, clusterID: 1, members: members)
            var random = RandomSource(seed: seed)
            let damage = try engines.rot(&random)
            #expect(throws: (any Error).self, "seed \(seed): \(damage ?? "nothing to damage")") {
                _ = try KeyValueMachine(engines: engines)
            }
        }
    }

    @Test func `a member that is to join knows no configuration, and is not new a second time`() throws {
        let engines = SimulatedEngines()
        #expect(try KeyValueMachine(engines: engines) == nil)
        try KeyValueMachine.prepareToJoin(engines: engines, clusterID: 1)
        let machine = try #require(try KeyValueMachine(engines: engines))
        #expect(machine.configuration == Configuration())
        #expect(machine.applied == machine.origin)
        #expect(throws: (any Error).self) {
            try KeyValueMachine.prepareToJoin(engines: engines, clusterID: 1)
        }
    }
}
