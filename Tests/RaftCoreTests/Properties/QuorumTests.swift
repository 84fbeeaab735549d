import Testing

@testable import RaftCore

@Suite struct `Quorum arithmetic against a naive twin` {
    @Test func `what a quorum has reached is the greatest value that enough voters stand at or above`() {
        var random = SplitMix64(seed: 1)
        for _ in 0..<20_000 {
            let (quorum, values) = Self.anyCase(&random)
            let expected = min(
                Self.naive(quorum.incoming.voters, values), Self.naive(quorum.outgoing.voters, values))
            #expect(quorum.reached { values[$0] } == expected, "\(quorum) \(values)")
        }
    }

    @Test func `an election is won, lost or open as counting every completion says`() {
        var random = SplitMix64(seed: 2)
        for _ in 0..<5_000 {
            let (quorum, values) = Self.anyCase(&random, voters: 5)
            let votes = values.mapValues { $0 % 2 == 0 }
            let voters = Array(Set(quorum.incoming.voters + quorum.outgoing.voters)).sorted()
            let missing = voters.filter { votes[$0] == nil }
            var results: Set<Bool> = []
            for completion in 0..<(1 << missing.count) {
                var all = votes
                for (bit, voter) in missing.enumerated() { all[voter] = completion >> bit & 1 == 1 }
                results.insert(
                    [quorum.incoming.voters, quorum.outgoing.voters].allSatisfy { half in
                        half.isEmpty || half.count { all[$0] == true } * 2 > half.count
                    })
            }
            let outcome = quorum.outcome { votes[$0] }
            // In a joint quorum one half can be lost while the other is open: lost early is right, and so is open.
            if results == [true] { #expect(outcome == .won) }
            if outcome == .won { #expect(results == [true]) }
            if outcome == .lost { #expect(results == [false]) }
            if missing.isEmpty { #expect(outcome != .pending) }
        }
    }

    private static func anyCase(
        _ random: inout SplitMix64, voters most: Int = 12
    ) -> (JointQuorum, [NodeID: UInt64]) {
        func some() -> [NodeID] {
            let count = Int(random.next() % UInt64(most + 1))
            return Array(Set((0..<count).map { _ in NodeID(1 + random.next() % UInt64(most)) })).sorted()
        }
        let quorum = JointQuorum(incoming: some(), outgoing: some())
        var values: [NodeID: UInt64] = [:]
        for id in 1...UInt64(most) where random.next() % 4 != 0 { values[NodeID(id)] = random.next() % 8 }
        return (quorum, values)
    }

    private static func naive(_ voters: [NodeID], _ values: [NodeID: UInt64]) -> UInt64 {
        guard !voters.isEmpty else { return .max }
        return (0...8).last { value in voters.count { values[$0] ?? 0 >= value } * 2 > voters.count }!
    }
}
