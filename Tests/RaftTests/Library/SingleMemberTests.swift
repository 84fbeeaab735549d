import Foundation
import Raft
import Testing

extension LibraryTests {
    @Suite struct SingleMemberTests {
        typealias Member = RaftMember<KeyValues>

        @Test func `a command is answered with what the state machine returned`() async throws {
            let member = Member.alone(.memory())
            try await member.start()
            #expect(try await member.put("a", "1") == nil)
            #expect(try await member.put("a", "2") == "1")
            #expect(try await member.get("a") == "2")
            #expect(try await member.get("a", .local) == "2")
            #expect(member.status?.leader == 1)
            #expect(member.members.map(\.id) == [1])
            await member.stop()
        }

        @Test func `many tasks propose at once, and each gets its own answer`() async throws {
            let member = Member.alone(.memory())
            try await member.start()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for task in 0..<50 {
                    group.addTask {
                        for round in 0..<40 {
                            let before = try await member.put("k\(task)", "\(round)")
                            #expect(before == (round == 0 ? nil : "\(round - 1)"))
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await member.read { $0.applied } == 2_000)
            await member.stop()
        }

        @Test func `what was acknowledged is there after a restart, from snapshots and the log's tail`() async throws {
            let directory = try TemporaryDirectory()
            let options = quickOptions {
                $0.snapshotEntries = 100
                $0.catchUpEntries = 10
                $0.segmentBytes = 64 << 10
            }
            var written = 0
            for _ in 0..<4 {
                let member = Member.alone(.directory(directory.path), options)
                try await member.start()
                #expect(try await member.read { $0.values.count } == written)
                for _ in 0..<333 {
                    try await member.put("key\(written)", String(repeating: "v", count: 200))
                    written += 1
                }
                await member.stop()
            }
            let snapshots = try FileManager.default.contentsOfDirectory(atPath: directory.path + "/snapshots")
            #expect(snapshots.count == 1)
            #expect(snapshots[0].hasPrefix("snapshot-"))
            // What the snapshot holds is gone from the log: 1,332 entries of 220 bytes would fill five segments.
            let segments = try FileManager.default.contentsOfDirectory(atPath: directory.path + "/log")
            #expect(segments.count <= 4, "\(segments)")
        }

        @Test func `a memory that is kept is as good as a disk`() async throws {
            let log = RaftLog.memory()
            for round in 0..<5 {
                let member = Member.alone(log, quickOptions { $0.snapshotEntries = 7 })
                try await member.start()
                #expect(try await member.read { $0.values.count } == round * 10)
                for number in 0..<10 { try await member.put("\(round)-\(number)", "x") }
                await member.stop()
            }
        }

        @Test func `a command that the state machine refuses changes nothing and harms nobody`() async throws {
            let member = Member.alone(.memory())
            try await member.start()
            await #expect(throws: RaftError.rejected("as was asked")) { try await member.propose(Array("refuse".utf8)) }
            #expect(try await member.put("a", "1") == nil)
            await member.stop()
        }

        @Test func `a state machine that throws ends the member with a reason, not the process`() async throws {
            let member = Member.alone(.memory())
            let run = Task { try await member.run() }
            #expect(try await eventually { member.status?.leader == 1 })
            let error = await #expect(throws: RaftError.self) { try await member.propose(Array("break".utf8)) }
            guard case .failed(let failure)? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(failure.part == .stateMachine)
            await #expect(throws: RaftError.failed(failure)) { try await run.value }
            await #expect(throws: RaftError.failed(failure)) { try await member.put("a", "1") }
            #expect(member.failure == failure)
        }

        @Test func `commands that are too large are refused before anything happens`() async throws {
            let member = Member.alone(.memory(), quickOptions { $0.maxCommandBytes = 100 })
            try await member.start()
            await #expect(throws: RaftError.tooLarge(bytes: 101, limit: 100)) {
                try await member.propose([UInt8](repeating: 0, count: 101))
            }
            try await member.propose([UInt8](repeating: 65, count: 100))
            // An empty command is one, too.
            try await member.propose([])
            await member.stop()
        }

        @Test func `before the start and after the end nothing is proposed`() async throws {
            let member = Member.alone(.memory())
            await #expect(throws: RaftError.notRunning) { try await member.put("a", "1") }
            try await member.start()
            await #expect(throws: RaftError.alreadyStarted) { try await member.start() }
            await member.stop()
            await member.stop()
            await #expect(throws: RaftError.notRunning) { try await member.put("a", "1") }
            #expect(member.status == nil)
        }

        @Test func `a directory that is in use is refused, and can be had afterwards`() async throws {
            let directory = try TemporaryDirectory()
            let first = Member.alone(.directory(directory.path))
            try await first.start()
            let second = Member.alone(.directory(directory.path))
            await #expect(throws: RaftError.directoryInUse(directory.path)) { try await second.start() }
            try await first.put("a", "1")
            await first.stop()
            let third = Member.alone(.directory(directory.path))
            try await third.start()
            #expect(try await third.get("a") == "1")
            await third.stop()
        }

        @Test func `the directory of another cluster is refused`() async throws {
            let directory = try TemporaryDirectory()
            let first = Member.alone(.directory(directory.path))
            try await first.start()
            await first.stop()
            let second = Member.alone(.directory(directory.path), quickOptions { $0.clusterName = "other" })
            await #expect(throws: RaftError.foreignDirectory(directory.path)) { try await second.start() }
        }

        @Test func `a damaged snapshot is refused with a reason`() async throws {
            let directory = try TemporaryDirectory()
            let first = Member.alone(.directory(directory.path), quickOptions { $0.snapshotEntries = 5 })
            try await first.start()
            for number in 0..<20 { try await first.put("k\(number)", "v") }
            let folder = directory.path + "/snapshots"
            #expect(
                try await eventually {
                    try FileManager.default.contentsOfDirectory(atPath: folder).contains { $0.hasPrefix("snapshot-") }
                })
            await first.stop()
            let name = try #require(try FileManager.default.contentsOfDirectory(atPath: folder).first)
            var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)")))
            bytes[bytes.count - 20] ^= 1
            try Data(bytes).write(to: URL(fileURLWithPath: "\(folder)/\(name)"))
            let second = Member.alone(.directory(directory.path))
            let error = await #expect(throws: RaftError.self) { try await second.start() }
            guard case .damagedDirectory? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
        }

        @Test func `options that make no sense are refused`() async throws {
            let member = Member.alone(.memory(), quickOptions { $0.electionTimeout = .milliseconds(1) })
            let error = await #expect(throws: RaftError.self) { try await member.start() }
            guard case .invalidOptions? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
        }

        @Test func `a cancelled task gets its answer at once`() async throws {
            let network = InMemoryNetwork()
            // Two voters, of which one is not there: nothing can be committed.
            let member = Member(
                id: 1, cluster: .new([RaftPeer(id: 1), RaftPeer(id: 2)]), log: .memory(), transport: .inMemory(network),
                stateMachine: KeyValues(), options: quickOptions())
            try await member.start()
            let task = Task { () -> RaftError? in
                do throws(RaftError) {
                    try await member.put("a", "1")
                    return nil
                } catch {
                    return error
                }
            }
            try await Task.sleep(for: .milliseconds(50))
            task.cancel()
            #expect(await task.value == .cancelled)
            await member.stop()
        }

        @Test func `requests under way end when the member is stopped`() async throws {
            let member = Member(
                id: 1, cluster: .new([RaftPeer(id: 1), RaftPeer(id: 2)]), log: .memory(),
                transport: .inMemory(InMemoryNetwork()), stateMachine: KeyValues(), options: quickOptions())
            try await member.start()
            let task = Task { try await member.put("a", "1") }
            let read = Task { try await member.get("a") }
            try await Task.sleep(for: .milliseconds(50))
            await member.stop()
            await #expect(throws: RaftError.stopped) { try await task.value }
            await #expect(throws: RaftError.stopped) { try await read.value }
        }

        @Test func `without a leader a command ends as not proposed`() async throws {
            let member = Member(
                id: 1, cluster: .new([RaftPeer(id: 1), RaftPeer(id: 2)]), log: .memory(),
                transport: .inMemory(InMemoryNetwork()), stateMachine: KeyValues(),
                options: quickOptions { $0.requestTimeout = .milliseconds(200) })
            try await member.start()
            await #expect(throws: RaftError.noLeader) { try await member.put("a", "1") }
            await member.stop()
        }
    }
}
