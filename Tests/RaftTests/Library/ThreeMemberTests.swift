import Foundation
import Raft
import Testing

extension LibraryTests {
    @Suite struct ThreeMemberTests {
        @Test(arguments: [Cluster.Way.inMemory, .tcp])
        func `three members agree, and any of them can be asked`(_ way: Cluster.Way) async throws {
            let cluster = Cluster(3, way)
            try await cluster.start()
            _ = try await cluster.leader()
            for (number, member) in await cluster.members.enumerated() {
                try await member.put("k\(number)", "\(number)")
                // A linearizable read on every other member sees it at once.
                for other in await cluster.members { #expect(try await other.get("k\(number)") == "\(number)") }
            }
            await cluster.stop()
        }

        @Test(arguments: [Cluster.Way.inMemory, .tcp])
        func `the loss of a member stops nobody, and it catches up when it is back`(_ way: Cluster.Way) async throws {
            let cluster = Cluster(3, way)
            try await cluster.start()
            let old = try await cluster.leader().id
            try await cluster.leader().put("a", "1")
            await cluster.stop(old)
            #expect(try await eventually { try await cluster.leader().id != old })
            try await cluster.leader().put("a", "2")
            let back = try await cluster.start(old)
            #expect(try await eventually { try await back.get("a", .local) == "2" })
            #expect(try await back.get("a") == "2")
            await cluster.stop()
        }

        @Test func `a member that is far behind gets entries that are not in memory any more`() async throws {
            let options = quickOptions {
                $0.logCacheBytes = 20_000
                $0.segmentBytes = 64 << 10
                $0.maxCommandBytes = 4_096
            }
            let cluster = Cluster(3, options: options)
            try await cluster.start()
            let away = try await cluster.followers()[0].id
            await cluster.stop(away)
            let leader = try await cluster.leader()
            for number in 0..<400 { try await leader.put("k\(number)", String(repeating: "x", count: 1_000)) }
            let back = try await cluster.start(away)
            let events = back.events
            // Meanwhile there is more to come.
            for number in 400..<500 { try await leader.put("k\(number)", String(repeating: "x", count: 1_000)) }
            #expect(try await eventually { try await back.read(.local) { $0.values.count } == 500 })
            await cluster.stop()
            for await event in events { if case .snapshotInstalled = event { Issue.record("by a snapshot") } }
        }

        @Test(arguments: [Cluster.Way.inMemory, .tcp])
        func `a member that is too far behind gets a snapshot`(_ way: Cluster.Way) async throws {
            let options = quickOptions {
                $0.snapshotEntries = 50
                $0.catchUpEntries = 10
            }
            let cluster = Cluster(3, way, options: options)
            try await cluster.start()
            let away = try await cluster.followers()[0].id
            await cluster.stop(away)
            let leader = try await cluster.leader()
            for number in 0..<150 { try await leader.put("k\(number)", String(repeating: "x", count: 5_000)) }
            // The log is cut by then.
            #expect(try await eventually { (leader.status?.applied.rawValue ?? 0) > 150 })
            try await Task.sleep(for: .milliseconds(300))
            try await leader.put("last", "one")
            let back = try await cluster.start(away)
            let events = back.events
            #expect(try await eventually { try await back.get("last", .local) == "one" })
            #expect(try await back.read(.local) { $0.values.count } == 151)
            await cluster.stop()
            var installed = 0
            for await event in events { if case .snapshotInstalled = event { installed += 1 } }
            #expect(installed > 0)
        }

        @Test func `leadership goes where it is told to, and events tell of it`() async throws {
            let cluster = Cluster(3)
            try await cluster.start()
            let leader = try await cluster.leader()
            let target = try await cluster.followers()[1]
            let events = target.events
            try await leader.transferLeadership(to: target.id)
            #expect(try await cluster.leader().id == target.id)
            // Asked of a follower, and of nobody in particular.
            try await leader.transferLeadership(to: nil)
            #expect(try await cluster.leader().id != target.id)
            await #expect(throws: RaftError.unknownMember(9)) { try await leader.transferLeadership(to: 9) }
            await cluster.stop()
            var seen: [RaftEvent] = []
            for await event in events { seen.append(event) }
            #expect(seen.contains { if case .leaderChanged(_, _, isSelf: true) = $0 { true } else { false } })
        }

        @Test func `without forwarding a follower says who leads`() async throws {
            let cluster = Cluster(3, options: quickOptions { $0.forwardsProposals = false })
            try await cluster.start()
            let leader = try await cluster.leader()
            let follower = try await cluster.followers()[0]
            await #expect(throws: RaftError.notLeader(leader: leader.id)) { try await follower.put("a", "1") }
            try await leader.put("a", "1")
            #expect(try await follower.get("a") == "1")
            await cluster.stop()
        }

        @Test func `a leader that is cut off cannot be read, except locally`() async throws {
            let cluster = Cluster(3, options: quickOptions { $0.requestTimeout = .milliseconds(500) })
            try await cluster.start()
            let old = try await cluster.leader()
            try await old.put("a", "1")
            cluster.network.isolate(old.id)
            let others = await cluster.members.filter { $0 !== old }
            #expect(try await eventually { others.contains { $0.status?.role == .leader } })
            let new = others.first { $0.status?.role == .leader }!
            try await new.put("a", "2")
            await #expect(throws: RaftError.timedOut) { try await old.get("a") }
            #expect(try await old.get("a", .local) == "1")
            cluster.network.heal()
            #expect(try await eventually { try await old.get("a", .local) == "2" })
            await cluster.stop()
        }

        @Test func `a leader hands over before it stops in order`() async throws {
            let cluster = Cluster(3, options: quickOptions { $0.electionTimeout = .seconds(2) })
            try await cluster.start()
            let leader = try await cluster.leader()
            let follower = try await cluster.followers()[0]
            await leader.stop(handingOver: true)
            // No election timeout has passed.
            #expect(follower.status?.leader != nil)
            #expect(follower.status?.leader != leader.id)
            await cluster.stop()
        }

        @Test func `who is preferred leads, and takes the lead again when it is back`() async throws {
            let cluster = Cluster(3, options: quickOptions { $0.priorities = [2: 5, 3: 1] })
            try await cluster.start()
            #expect(try await eventually { try await cluster.leader().id == 2 })
            await cluster.stop(2)
            #expect(try await eventually { try await cluster.leader().id == 3 })
            try await cluster.leader().put("a", "1")
            try await cluster.start(2)
            #expect(try await eventually { try await cluster.leader().id == 2 })
            #expect(try await cluster.leader().get("a") == "1")
            await cluster.stop()
        }

        @Test func `a member that is told to stands for election at once`() async throws {
            let cluster = Cluster(3, options: quickOptions { $0.electionTimeout = .seconds(30) })
            try await cluster.start()
            let member = await cluster.member(3)
            #expect(member.status?.leader == nil)
            try member.standForElection()
            #expect(try await eventually { try await cluster.leader().id == 3 })
            await cluster.stop()
        }

        @Test func `reads by lease see what was written`() async throws {
            let cluster = Cluster(3, options: quickOptions { $0.readMode = .lease })
            try await cluster.start()
            for number in 0..<50 {
                try await cluster.leader().put("a", "\(number)")
                for member in await cluster.members { #expect(try await member.get("a") == "\(number)") }
            }
            await cluster.stop()
        }
    }
}
