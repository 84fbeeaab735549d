import Foundation
import RaftCore
import Synchronization
import Testing

@testable import Raft

extension LibraryTests {
    /// Snapshots that somebody asks for.
    @Suite struct TakenSnapshotTests {
        typealias Member = RaftMember<KeyValues>

        private func files(_ directory: TemporaryDirectory, _ part: String) throws -> [String] {
            try FileManager.default.contentsOfDirectory(atPath: "\(directory.path)/\(part)").sorted()
        }

        @Test func `a snapshot is taken when it is asked for, whatever the options say`() async throws {
            let directory = try TemporaryDirectory()
            let options = quickOptions {
                $0.snapshotEntries = 1_000_000
                $0.catchUpEntries = 10
                $0.segmentBytes = 64 << 10
            }
            let member = Member.alone(.directory(directory.path), options)
            try await member.start()
            let events = member.events
            for number in 0..<500 { try await member.put("k\(number)", String(repeating: "v", count: 1_000)) }
            #expect(try files(directory, "snapshots") == ["origin-1-1"])
            let segments = try files(directory, "log").count
            let index = try await member.takeSnapshot()
            // After the first place and the leader's empty entry.
            #expect(index == LogIndex(502))
            let snapshots = try files(directory, "snapshots")
            #expect(snapshots.count == 1 && snapshots[0].hasPrefix("snapshot-502-"))
            // The log is cut behind it, as ever.
            try await member.put("last", "1")
            #expect(try await eventually { try files(directory, "log").count < segments / 2 })
            await member.stop()
            var taken: [LogIndex] = []
            for await event in events { if case .snapshotTaken(let index) = event { taken.append(index) } }
            #expect(taken == [index])

            let next = Member.alone(.directory(directory.path), options)
            try await next.start()
            #expect(try await next.read { $0.values.count } == 501)
            await next.stop()
        }

        @Test func `where nothing was applied since the last one, that is the answer`() async throws {
            let log = RaftLog.memory()
            let member = Member.alone(log)
            try await member.start()
            try await member.put("a", "1")
            let events = member.events
            let index = try await member.takeSnapshot()
            for _ in 0..<5 { #expect(try await member.takeSnapshot() == index) }
            try await member.put("a", "2")
            #expect(try await member.takeSnapshot() == index.next)
            await member.stop()
            var taken = 0
            for await event in events { if case .snapshotTaken = event { taken += 1 } }
            #expect(taken == 2)
        }

        @Test func `one that is asked for while another is written includes what was applied by then`() async throws {
            let gate = Gate()
            let member = RaftMember(
                id: 1, cluster: .new([RaftPeer(id: 1)]), log: .memory(), transport: .inMemory(InMemoryNetwork()),
                stateMachine: SlowSnapshots(gate: gate), options: quickOptions())
            try await member.start()
            let first = try await member.propose([1])
            gate.close()
            async let early = member.takeSnapshot()
            #expect(try await eventually { gate.waiting == 1 })
            let second = try await member.propose([2])
            let late = (0..<3).map { _ in Task { try await member.takeSnapshot() } }
            let abandoned = Task { try await member.takeSnapshot() }
            try await Task.sleep(for: .milliseconds(50))
            // Meanwhile commands are applied.
            let third = try await member.propose([3])
            abandoned.cancel()
            await #expect(throws: RaftError.cancelled) { try await abandoned.value }
            gate.open()
            #expect(try await early == first)
            for task in late { #expect(try await (second...third).contains(task.value)) }
            #expect(try await member.takeSnapshot() == third)
            await member.stop()
        }

        @Test func `members of a cluster take theirs, beside commands`() async throws {
            let cluster = Cluster(3)
            try await cluster.start()
            let leader = try await cluster.leader()
            let members = await cluster.members
            try await withThrowingTaskGroup(of: Void.self) { group in
                for member in members {
                    group.addTask {
                        var last = LogIndex.zero
                        for _ in 0..<20 {
                            let before = member.status?.applied ?? .zero
                            let index = try await member.takeSnapshot()
                            #expect(index >= before && index >= last)
                            last = index
                        }
                    }
                }
                group.addTask { for number in 0..<300 { try await leader.put("k\(number)", "v") } }
                try await group.waitForAll()
            }
            await cluster.stop(2)
            let back = try await cluster.start(2)
            #expect(try await back.read { $0.values.count } == 300)
            await cluster.stop()
        }

        @Test func `who has no state, is not running or has failed says so`() async throws {
            let disk = FailingDisk()
            let member = Member.alone(RaftLog(place: .memory(disk)))
            await #expect(throws: RaftError.notRunning) { try await member.takeSnapshot() }
            try await member.start()
            try await member.put("a", "1")
            disk.fail(.create)
            let error = await #expect(throws: RaftError.self) { try await member.takeSnapshot() }
            guard case .failed(let failure)? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(failure.part == .snapshot)
            await #expect(throws: RaftError.failed(failure)) { try await member.takeSnapshot() }
            await member.stop()

            let joining = Member(
                id: 2, cluster: .join([RaftPeer(id: 1)]), log: .memory(), transport: .inMemory(InMemoryNetwork()),
                stateMachine: KeyValues(), options: quickOptions())
            try await joining.start()
            await #expect(throws: RaftError.noState) { try await joining.takeSnapshot() }
            await joining.stop()
        }
    }
}

/// A state whose writing waits at a gate; it answers each command with its index.
private struct SlowSnapshots: StateMachine {
    let gate: Gate
    var last: [UInt8] = []

    mutating func apply(_ command: [UInt8], at index: LogIndex) throws -> LogIndex {
        last = command
        return index
    }

    func snapshot() throws -> StateSnapshot {
        StateSnapshot { [gate, last] writer in
            gate.pass()
            try writer.write(last)
        }
    }

    mutating func restore(from snapshot: SnapshotReader) throws { last = try snapshot.readAll() }
}

private final class Gate: Sendable {
    private let state = Mutex((isOpen: true, waiting: 0))

    var waiting: Int { state.withLock { $0.waiting } }
    func close() { state.withLock { $0.isOpen = false } }
    func open() { state.withLock { $0.isOpen = true } }

    func pass() {
        state.withLock { $0.waiting += 1 }
        while !state.withLock({ $0.isOpen }) { usleep(1_000) }
        state.withLock { $0.waiting -= 1 }
    }
}
