import EtcdAPI
import Foundation
import MartletClient
import Testing

/// Members of one cluster with different engines, and members that change theirs.
extension ClusterTests {
    private static let engines = ["lmdb", "rocksdb", "memory"]

    @Test func `members with different engines agree, through kills and changes of engine`() async throws {
        try await withCluster(flags: ["--snapshot-count=500", "--engine=lmdb"]) { cluster in
            cluster.killAll()
            for (member, engine) in zip(cluster.members, Self.engines) {
                try cluster.start(member, replacing: ["--engine": engine])
            }
            try await cluster.waitUntilReady()
            try await Self.fill(cluster, round: 0)
            let first = try await cluster.waitUntilAgreed()

            // kill -9 of all: what was acknowledged is there, by each member's own data.
            cluster.killAll()
            for (member, engine) in zip(cluster.members, Self.engines) {
                try cluster.start(member, replacing: ["--engine": engine])
            }
            try await cluster.waitUntilReady()
            let again = try await cluster.waitUntilAgreed()
            #expect(again.revision == first.revision && again.hash == first.hash)

            // Each member goes through all engines, one step at a time, and writes go on meanwhile.
            for step in 1...3 {
                for (place, member) in cluster.members.enumerated() {
                    member.kill()
                    _ = try await cluster.leader()
                    try await Self.fill(cluster, round: step * 10 + place, count: 200)
                    let engine = Self.engines[(place + step) % 3]
                    try cluster.start(member, replacing: ["--engine": engine])
                    try await cluster.waitUntilReady()
                    _ = try await cluster.waitUntilAgreed()
                    #expect(member.log.contains("moved the state to another engine"))
                }
            }
            let moved = try await cluster.waitUntilAgreed()
            #expect(moved.revision == first.revision + 9 * 200)
            #expect(try await Self.count(cluster) == 2_000 + 9 * 200)
        }
    }

    @Test func `a member that is rebuilt by a snapshot may have another engine than its sender`() async throws {
        try await withCluster(flags: ["--snapshot-count=500", "--engine=lmdb"]) { cluster in
            for engine in ["rocksdb", "memory"] {
                let late = cluster.members[2]
                late.kill()
                _ = try await cluster.leader()
                try await Self.fill(cluster, round: engine == "memory" ? 1 : 2, count: 8_000)
                // The log is cut behind what the engine holds durably, and writes reach the engine once a second.
                try await Task.sleep(for: .milliseconds(2_500))
                try cluster.start(late, replacing: ["--engine": engine])
                try await cluster.waitUntilReady()
                let agreed = try await cluster.waitUntilAgreed()
                #expect(late.log.contains("installed a snapshot"))
                late.kill()
                try cluster.start(late, replacing: ["--engine": engine])
                try await cluster.waitUntilReady()
                #expect(try await cluster.waitUntilAgreed().hash == agreed.hash)
            }
        }
    }

    @Test(arguments: ["rocksdb", "memory"])
    func `a single member comes back with all that it acknowledged`(engine: String) async throws {
        try await withCluster(members: 1, flags: ["--engine=\(engine)", "--snapshot-count=100"]) { cluster in
            for round in 0..<5 {
                try await Self.fill(cluster, round: round, count: 1_500)
                // At no special moment: what is not in the engine yet is in the log.
                try await Task.sleep(for: .milliseconds(Int.random(in: 0...1_200)))
                cluster.killAll()
                try await cluster.startAll()
                #expect(try await Self.count(cluster) == 1_500 * (round + 1))
            }
        }
    }

    private static func fill(_ cluster: TestCluster, round: Int, count: Int = 2_000) async throws {
        let writers = 32
        let running = cluster.members.filter { $0.process != nil }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<writers {
                group.addTask {
                    let client = running[writer % running.count].client()
                    for number in stride(from: writer, to: count, by: writers) {
                        try await client.put("round/\(round)/\(number)", String(repeating: "v", count: 300))
                    }
                    await client.shutdown()
                }
            }
            try await group.waitForAll()
        }
    }

    private static func count(_ cluster: TestCluster) async throws -> Int {
        let client = cluster.members[0].client()
        var request = WireRangeRequest(key: Array("round/".utf8), rangeEnd: Array("round0".utf8))
        request.countOnly = true
        let answer = try await client.range(request)
        await client.shutdown()
        return Int(answer.count)
    }
}
