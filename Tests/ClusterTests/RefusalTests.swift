import Foundation
import MartletClient
import Testing

extension ClusterTests {
    @Test func `a data directory that is not the member's own, or not whole, is refused and left as it is`()
        async throws
    {
        try await withCluster { cluster in
            let (first, second, third) = (cluster.members[0], cluster.members[1], cluster.members[2])
            let client = first.client()
            for number in 1...100 { try await client.put("kept/\(number)", "\(number)") }
            _ = try await cluster.waitUntilAgreed()

            // In use: a second process with the same flags.
            let intruder = TestMember(
                name: "intruder", clientPort: second.clientPort, peerPort: second.peerPort,
                directory: cluster.directory, executable: TestCluster.executable ?? "")
            intruder.setFlags(second.flags())
            // The running member writes while it is looked at: only the sentence counts here.
            try await cluster.expectRefusal(
                of: intruder, saying: [second.dataDirectory, "in use by another member"],
                unchanged: "\(cluster.directory)/nothing")
            try second.checkRunning()

            third.kill()
            try await cluster.expectRefusal(
                of: third, replacing: ["--initial-cluster-token": "another"],
                saying: [third.dataDirectory, "belongs to another member or cluster"])

            second.kill()
            try await cluster.expectRefusal(
                of: third, replacing: ["--data-dir": second.dataDirectory],
                saying: [second.dataDirectory, "belongs to another member or cluster"],
                unchanged: second.dataDirectory)
            try cluster.start(second)
            try await cluster.waitUntilReady()

            // Half deleted, either half.
            let aside = "\(cluster.directory)/aside"
            let files = FileManager.default
            try files.moveItem(atPath: third.logDirectory, toPath: aside)
            try await cluster.expectRefusal(of: third, saying: [third.dataDirectory, "holds a state without its log"])
            try files.moveItem(atPath: aside, toPath: third.logDirectory)
            try files.moveItem(atPath: third.stateDirectory, toPath: aside)
            try await cluster.expectRefusal(
                of: third, saying: [third.dataDirectory, "holds a log without its state"])
            try files.moveItem(atPath: aside, toPath: third.stateDirectory)

            let register = "\(third.dataDirectory)/member/directory"
            try files.moveItem(atPath: register, toPath: aside)
            try await cluster.expectRefusal(of: third, saying: [third.dataDirectory, "has lost its file"])
            try files.moveItem(atPath: aside, toPath: register)

            // Nothing that was refused has done harm.
            try cluster.start(third)
            try await cluster.waitUntilReady()
            try await client.put("kept/last", "1")
            await client.shutdown()
            let agreement = try await cluster.waitUntilAgreed()
            #expect(agreement.revision == 102)
        }
    }

    /// It has forgotten what it voted for and acknowledged: with it, a majority could deny an acknowledged write.
    @Test func `a member whose data is gone does not come back under its old name`() async throws {
        try await withCluster { cluster in
            let (first, second, third) = (cluster.members[0], cluster.members[1], cluster.members[2])
            let client = first.client()
            for number in 1...20 { try await client.put("kept/\(number)", "\(number)") }
            _ = try await cluster.waitUntilAgreed()

            third.kill()
            try FileManager.default.removeItem(atPath: third.dataDirectory)
            let process = try cluster.start(third)
            #expect(try await process.ending(within: .seconds(20)) == .exited(1))
            #expect(third.tail.contains("with another data directory"))
            #expect(third.tail.contains("remove the member"))

            // Alone with it, nobody of the old cluster goes on: it is no member of a majority.
            third.kill()
            try cluster.start(third)
            first.kill()
            let lonely = second.client(timeout: .seconds(3))
            await #expect(throws: (any Error).self) { try await lonely.put("kept/21", "21") }
            await lonely.shutdown()
            third.kill()
            try cluster.start(first)
            try await cluster.waitUntilReady()
            try await client.put("kept/22", "22")
            await client.shutdown()
        }
    }
}
