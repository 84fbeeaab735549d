import Foundation
import Logging
import Metrics
import MetricsTestKit
import ServiceLifecycle
import Synchronization
import Testing

@testable import Raft

extension LibraryTests {
    @Suite struct LifecycleTests {
        typealias Member = RaftMember<KeyValues>

        @Test func `hundreds of starts and stops leave no thread and no descriptor behind`() async throws {
            let directory = try TemporaryDirectory()
            let options = quickOptions { $0.snapshotEntries = 20 }
            func cycle(_ number: Int, _ transport: RaftTransport) async throws {
                let member = Member(
                    id: 1, cluster: .new([RaftPeer(id: 1, address: "127.0.0.1:0")]), log: .directory(directory.path),
                    transport: transport, stateMachine: KeyValues(), options: options)
                try await member.start()
                try await member.put("n", "\(number)")
                await member.stop()
            }
            for number in 0..<10 { try await cycle(number, .tcp(listen: "127.0.0.1:0")) }
            let (threads, descriptors, memory) = (
                ProcessUse.threads, ProcessUse.descriptors, ProcessUse.residentKilobytes
            )
            let cycles = ProcessInfo.processInfo.environment["RAFT_CYCLES"].flatMap { Int($0) } ?? 300
            for number in 0..<cycles {
                try await cycle(number, number % 2 == 0 ? .tcp(listen: "127.0.0.1:0") : .inMemory(InMemoryNetwork()))
            }
            #expect(try await eventually { ProcessUse.threads <= threads + 2 })
            // Other suites of this process have files and sockets too, for a while.
            #expect(try await eventually { ProcessUse.descriptors <= descriptors + 2 })
            // A node's caches and its five threads' stacks would add up to much more.
            #expect(ProcessUse.residentKilobytes < memory + 60_000, "\(memory) -> \(ProcessUse.residentKilobytes)")
        }

        @Test func `a member that is let go without being stopped ends all the same`() async throws {
            let directory = try TemporaryDirectory()
            let threads = ProcessUse.threads
            do {
                let member = Member.alone(.directory(directory.path))
                try await member.start()
                try await member.put("a", "1")
            }
            #expect(try await eventually { ProcessUse.threads <= threads + 1 })
            let next = Member.alone(.directory(directory.path))
            try await next.start()
            #expect(try await next.get("a") == "1")
            await next.stop()
        }

        @Test func `starting and stopping at once ends stopped`() async throws {
            for _ in 0..<20 {
                let member = Member.alone(.memory())
                async let start: Void? = try? member.start()
                async let stop: Void = member.stop()
                _ = await (start, stop)
                await member.stop()
                #expect(member.status == nil)
            }
        }

        @Test func `a member that is let go is freed`() async throws {
            weak var weakMember: Member?
            do {
                let member = Member.alone(.memory())
                weakMember = member
                try await member.start()
                try await member.put("a", "1")
                _ = try await member.get("a")
                await member.stop()
            }
            #expect(try await eventually { weakMember == nil })
        }

        @Test func `a failed disk ends the member with its reason, and the others go on`() async throws {
            let disk = FailingDisk()
            let network = InMemoryNetwork()
            let peers = [RaftPeer(id: 1), RaftPeer(id: 2), RaftPeer(id: 3)]
            let members = peers.map { peer in
                Member(
                    id: peer.id, cluster: .new(peers), log: peer.id == 1 ? RaftLog(place: .memory(disk)) : .memory(),
                    transport: .inMemory(network), stateMachine: KeyValues(), options: quickOptions())
            }
            let first = Task { try await members[0].run() }
            for member in members[1...] { try await member.start() }
            #expect(try await eventually { members[0].status?.leader != nil })
            try await members[0].put("a", "1")
            try await members[1].transferLeadership(to: 1)
            disk.fail(.synchronize)
            let error = await #expect(throws: RaftError.self) { try await members[0].put("a", "2") }
            #expect(error?.isOutcomeUnknown == true)
            let end = await #expect(throws: RaftError.self) { try await first.value }
            guard case .failed(let failure)? = end else {
                Issue.record("\(String(describing: end))")
                return
            }
            #expect(failure.part == .log)
            #expect(failure.reason.contains("fdatasync"))
            // The others elect one of themselves.
            #expect(try await eventually { (members[1].status?.leader ?? 1) != 1 })
            try await members[1].put("a", "3")
            #expect(try await members[2].get("a") == "3")
            for member in members { await member.stop() }
        }

        @Test func `a disk that is full when it starts is told to the one who starts`() async throws {
            let disk = FailingDisk()
            disk.fail(.create)
            let member = Member.alone(RaftLog(place: .memory(disk)))
            let error = await #expect(throws: RaftError.self) { try await member.start() }
            guard case .cannotOpen? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
        }

        @Test func `a port that is in use is told, and everything is let go`() async throws {
            let directory = try TemporaryDirectory()
            let first = Member(
                id: 1, cluster: .new([RaftPeer(id: 1)]), log: .memory(), transport: .tcp(listen: "127.0.0.1:0"),
                stateMachine: KeyValues(), options: quickOptions())
            try await first.start()
            let port = try #require(first.port)
            func second() -> Member {
                Member(
                    id: 1, cluster: .new([RaftPeer(id: 1)]), log: .directory(directory.path),
                    transport: .tcp(listen: "127.0.0.1:\(port)"), stateMachine: KeyValues(), options: quickOptions())
            }
            let refused = second()
            let error = await #expect(throws: RaftError.self) { try await refused.start() }
            guard case .cannotListen? = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            await first.stop()
            let again = second()
            try await again.start()
            try await again.put("a", "1")
            await again.stop()
        }

        @Test func `a service group runs members and shuts them down in order`() async throws {
            let network = InMemoryNetwork()
            let peers = [RaftPeer(id: 1), RaftPeer(id: 2), RaftPeer(id: 3)]
            let members = peers.map { peer in
                Member(
                    id: peer.id, cluster: .new(peers), log: .memory(), transport: .inMemory(network),
                    stateMachine: KeyValues(), options: quickOptions())
            }
            let group = ServiceGroup(services: members, logger: Logger(label: "group"))
            let run = Task { try await group.run() }
            #expect(try await eventually { members.allSatisfy { $0.status?.leader != nil } })
            try await members[2].put("a", "1")
            await group.triggerGracefulShutdown()
            try await run.value
            #expect(members.allSatisfy { $0.status == nil })
        }

        @Test func `a transport of one's own carries everything, snapshots too`() async throws {
            let bus = Bus()
            let peers = [RaftPeer(id: 1), RaftPeer(id: 2), RaftPeer(id: 3)]
            let transports = peers.map { _ in BusTransport(bus) }
            let options = quickOptions {
                $0.snapshotEntries = 20
                $0.catchUpEntries = 5
            }
            func member(_ place: Int) -> Member {
                Member(
                    id: peers[place].id, cluster: .new(peers), log: .memory(), transport: .custom(transports[place]),
                    stateMachine: KeyValues(), options: options)
            }
            let (first, second, third) = (member(0), member(1), member(2))
            try await first.start()
            try await second.start()
            _ = try await first.waitForLeader()
            for number in 0..<100 { try await first.put("k\(number)", "v") }
            try await Task.sleep(for: .milliseconds(250))
            try await first.put("last", "v")
            // The third one starts when the log's beginning is gone.
            try await third.start()
            #expect(try await eventually { try await third.read(.local) { $0.values.count } == 101 })
            #expect(transports[2].peers.withLock { $0.map(\.id) } == [1, 2])
            for member in [first, second, third] { await member.stop() }
        }

        @Test func `what is no member's message is refused`() async throws {
            let bus = Bus()
            let member = Member(
                id: 1, cluster: .new([RaftPeer(id: 1)]), log: .memory(), transport: .custom(BusTransport(bus)),
                stateMachine: KeyValues(), options: quickOptions())
            try await member.start()
            let inbox = try #require(bus.inbox(1))
            for bytes: [UInt8] in [[], [0], [1], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], [UInt8](repeating: 255, count: 100)] {
                #expect(throws: MalformedMessage.self) { try inbox.receive(bytes, from: 2) }
            }
            try await member.put("a", "1")
            await member.stop()
        }

        @Test func `figures go to swift-metrics`() async throws {
            let metrics = TestMetrics()
            // The whole process has one; other tests do not care.
            MetricsSystem.bootstrap(metrics)
            let member = Member.alone(.memory())
            try await member.start()
            for _ in 0..<10 { try await member.put("a", "1") }
            _ = try await member.get("a")
            #expect(try metrics.expectCounter("raft_proposals_total", [("member", "1")]).totalValue == 10)
            #expect(try metrics.expectCounter("raft_reads_total", [("member", "1")]).totalValue == 1)
            #expect(try metrics.expectTimer("raft_proposal_duration", [("member", "1")]).values.count == 10)
            await member.stop()
        }
    }
}
