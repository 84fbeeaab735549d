import Testing

@testable import RaftCore

@Suite struct `Configurations as bytes` {
    private func someChange(_ random: inout SplitMix64) -> ConfigurationChange {
        ConfigurationChange(
            transition: .init(rawValue: UInt8(random.next() % 3))!,
            changes: (0..<random.next() % 5).map { _ in
                MemberChange(.init(rawValue: UInt8(random.next() % 4))!, NodeID(random.next()))
            }, context: (0..<random.next() % 9).map { UInt8($0) })
    }

    @Test func `a change comes back as it was`() throws {
        var random = SplitMix64(seed: 5)
        for _ in 0..<2_000 {
            let change = someChange(&random)
            #expect(try ConfigurationChange(decoding: change.encode()) == change)
        }
    }

    @Test func `a configuration comes back as it was`() throws {
        let joint = Configuration(
            voters: [NodeID(1), NodeID(2)], outgoingVoters: [NodeID(1), NodeID(3)], learners: [NodeID(.max)],
            nextLearners: [NodeID(3)], leavesAutomatically: true)
        #expect(try Configuration(decoding: joint.encode()) == joint)
        #expect(try Configuration(decoding: Configuration().encode()) == Configuration())
    }

    @Test func `the bytes are fixed: they are in logs`() throws {
        let change = ConfigurationChange(
            transition: .jointExplicit, changes: [MemberChange(.addLearner, NodeID(0x0102))], context: [9, 8])
        #expect(change.encode() == [1, 2, 1, 0, 3, 2, 1, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 9, 8])
        #expect(ConfigurationChange(changes: []).encode() == [])
        let configuration = Configuration(voters: [NodeID(5)], learners: [NodeID(6)])
        #expect(
            configuration.encode()
                == [1, 0, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    @Test func `whatever the bytes, decoding throws or encodes back to them`() {
        var random = SplitMix64(seed: 6)
        var accepted = 0
        for _ in 0..<20_000 {
            var bytes = someChange(&random).encode()
            for _ in 0..<random.next() % 4 {
                switch random.next() % 3 {
                case 0: if !bytes.isEmpty { bytes.removeLast() }
                case 1: bytes.append(UInt8(truncatingIfNeeded: random.next()))
                default:
                    if !bytes.isEmpty {
                        bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
                    }
                }
            }
            if let change = try? ConfigurationChange(decoding: bytes) {
                #expect(change.encode() == bytes)
                accepted += 1
            }
            if let configuration = try? Configuration(decoding: bytes) {
                #expect(configuration.encode() == bytes)
            }
        }
        #expect(accepted > 1_000)
    }

    @Test(
        arguments: [
            ([2, 0], "unknown version"), ([1, 2], "unknown flags"), ([1, 0, 1, 0], "cut short"),
            ([1, 0, 2, 0] + [UInt8](repeating: 0, count: 22), "zero"), ([], "cut short"),
        ] as [([UInt8], String)])
    func `damaged configurations are refused with a reason`(bytes: [UInt8], reason: String) {
        let error = #expect(throws: ConfigurationDecodingError.self) { try Configuration(decoding: bytes) }
        #expect(error?.reason.contains(reason) == true)
    }
}
