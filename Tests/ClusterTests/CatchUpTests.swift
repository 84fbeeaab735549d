import EtcdAPI
import Foundation
import MartletClient
import Testing

extension ClusterTests {
    /// Far behind: more entries than `--snapshot-count` and what is kept behind it for followers (5,000).
    private static let entriesMissed = 8000

    @Test func `a member that was down for longer than the log is kept comes back by a snapshot`() async throws {
        try await withCluster(flags: ["--snapshot-count=500"]) { cluster in
            let late = cluster.members[2]
            late.kill()
            // What followers hand to a leader that is gone is lost, as in etcd: load starts when there is another.
            _ = try await cluster.leader()
            let began = monotonicNanoseconds()
            try await Self.write(Self.entriesMissed, through: Array(cluster.members.prefix(2)))
            print("  \(Self.entriesMissed) entries in \(secondsText(monotonicNanoseconds() - began))")
            let status = try #require(await cluster.members[0].status())
            try await Self.awaitCut()

            try cluster.start(late)
            try await cluster.waitUntilReady()
            let agreement = try await cluster.waitUntilAgreed()
            #expect(agreement.appliedIndex >= status.raftAppliedIndex)
            #expect(agreement.revision == Int64(Self.entriesMissed) + 1)
            #expect(try Self.stateGeneration(late) == 2)

            // What a snapshot left on the disk is a state like any other.
            late.kill()
            _ = try await cluster.leader()
            let client = cluster.members[0].client()
            try await client.put("afterwards", "1")
            await client.shutdown()
            try cluster.start(late)
            try await cluster.waitUntilReady()
            _ = try await cluster.waitUntilAgreed()

            // The same once more, for a member that has had a snapshot before; it is killed while the next one arrives
            // and is installed, and in the end with all others.
            late.kill()
            _ = try await cluster.leader()
            try await Self.write(Self.entriesMissed, through: Array(cluster.members.prefix(2)))
            try await Self.awaitCut()
            for _ in 0..<5 {
                try cluster.start(late)
                try await Task.sleep(for: .milliseconds(Int.random(in: 200...600)))
                try late.checkRunning()
                late.kill()
            }
            try cluster.start(late)
            try await cluster.waitUntilReady()
            _ = try await cluster.waitUntilAgreed()
            #expect(try Self.stateGeneration(late) > 2)
            cluster.killAll()
            try await cluster.startAll()
            let last = try await cluster.waitUntilAgreed()
            #expect(last.revision == 2 * Int64(Self.entriesMissed) + 2)
        }
    }

    /// The log is cut behind what the engine holds durably, and writes reach the engine once a second.
    private static func awaitCut() async throws { try await Task.sleep(for: .milliseconds(2500)) }

    private static func write(_ count: Int, through members: [TestMember]) async throws {
        let writers = 64
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<writers {
                group.addTask {
                    let client = members[writer % members.count].client()
                    for number in stride(from: writer, to: count, by: writers) {
                        try await client.put("missed/\(number % 1000)", String(repeating: "v", count: 500))
                    }
                    await client.shutdown()
                }
            }
            try await group.waitForAll()
        }
    }

    /// Where a snapshot was installed a later state has taken the first one's place.
    private static func stateGeneration(_ member: TestMember) throws -> Int {
        let names = try FileManager.default.contentsOfDirectory(atPath: member.stateDirectory)
        guard names.count == 1, let number = Int(names[0].dropFirst("state-".count)) else {
            throw ClusterFailure("\(member.stateDirectory) should hold one state, and holds \(names)")
        }
        return number
    }
}
