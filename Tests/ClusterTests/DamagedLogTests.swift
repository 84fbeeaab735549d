import Foundation
import MartletClient
import Testing

extension ClusterTests {
    @Test func `a torn write at a log's end is cut and said, damage inside of a log stops the member`() async throws {
        try await withCluster { cluster in
            let last = cluster.members[2]

            // One member, while the others go on.
            let first = CounterLoad(members: Array(cluster.members.prefix(2)), name: "one")
            async let firstCounters = first.run()
            try await Task.sleep(for: .seconds(1))
            last.kill()
            try Self.tear(last)
            try await Task.sleep(for: .milliseconds(500))
            try cluster.start(last)
            try await cluster.waitUntilReady()
            #expect(last.log.contains(Self.tornText), "\(last.tail)")
            first.stop.set()
            var counters = await firstCounters

            // All of them: nothing is left that did not go through a recovery.
            let second = CounterLoad(members: cluster.members, name: "all")
            async let secondCounters = second.run()
            try await Task.sleep(for: .seconds(1))
            cluster.killAll()
            second.stop.set()
            counters += await secondCounters
            for member in cluster.members { try Self.tear(member) }
            for member in cluster.members { try cluster.start(member) }
            try await cluster.waitUntilReady()
            for member in cluster.members { #expect(member.log.contains(Self.tornText), "\(member.tail)") }
            _ = try await cluster.waitUntilAgreed()
            let client = last.client()
            try await CounterLoad.check(counters, with: client)
            await client.shutdown()

            try await Self.checkDamageInside(last, of: cluster)
        }
    }

    private static let tornText = "cut a write that was never acknowledged from the log's end"

    /// What a power cut may leave of the batch that was being written: a later sector of it, without the first.
    private static func tear(_ member: TestMember) throws {
        let log = try LogFile(of: member)
        // The last record may end with zeros of its own, but not with a sector of them.
        let sector = (try log.end() + 512 + 511) / 512 * 512
        try log.overwrite((0..<300).map { UInt8(truncatingIfNeeded: $0 &* 37 | 1) }, at: sector)
    }

    private static func checkDamageInside(_ member: TestMember, of cluster: TestCluster) async throws {
        member.kill()
        let log = try LogFile(of: member)
        let place = LogFile.headerBytes + (try log.end() - LogFile.headerBytes) / 4
        let byte = try log.byte(at: place)
        try log.overwrite([byte ^ 0x10], at: place)
        let sentence = try await cluster.expectRefusal(of: member, saying: ["is damaged", "segment 1, offset "])
        // It names the record that the byte is in.
        let digits = sentence.components(separatedBy: "offset ").dropFirst().first?.prefix { $0.isNumber } ?? ""
        let offset = try #require(UInt64(digits))
        #expect(offset <= place && place < offset + 4096)

        _ = try await cluster.leader()
        let others = cluster.members.filter { $0 !== member }
        for other in others {
            let client = other.client()
            try await client.put("meanwhile", other.name)
            await client.shutdown()
        }
        // That nothing was changed shows when the byte is what it was.
        try log.overwrite([byte], at: place)
        try cluster.start(member)
        try await cluster.waitUntilReady()
        _ = try await cluster.waitUntilAgreed()
    }
}
