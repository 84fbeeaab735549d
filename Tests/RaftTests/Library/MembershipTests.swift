import Foundation
import Raft
import TestSupport
import Testing

extension LibraryTests {
    @Suite struct MembershipTests {
        @Test(arguments: [Cluster.Way.inMemory, .tcp])
        func `a new member joins as a learner, is promoted, and takes an old one's place`(_ way: Cluster.Way)
            async throws
        {
            let cluster = Cluster(3, way)
            try await cluster.start()
            let leader = try await cluster.leader()
            for number in 0..<20 { try await leader.put("k\(number)", "v") }
            let old = leader.members
            let fourth = RaftPeer(id: 4, address: FreePorts.address())
            try await leader.addLearner(fourth)
            let joined = try await cluster.start(4, joining: old + [fourth])
            #expect(try await eventually { try await joined.read(.local) { $0.values.count } == 20 })
            // The state comes first, and then what is known of the members.
            #expect(try await eventually { joined.members.last?.role == .learner })
            #expect(try await eventually { joined.status?.isLearner == true })
            try await leader.promote(4)
            #expect(leader.members.map(\.role) == [.voter, .voter, .voter, .voter])
            try await joined.put("from", "four")
            let leaving = old.map(\.id).first { $0 != leader.id }!
            let gone = await cluster.member(leaving)
            let events = gone.events
            try await leader.remove(leaving)
            #expect(!leader.members.contains { $0.id == leaving })
            var last: RaftEvent?
            for await event in events {
                last = event
                if case .removed = event { break }
            }
            #expect(last == .removed)
            await #expect(throws: RaftError.removed) { try await gone.put("a", "1") }
            try await joined.put("still", "here")
            await cluster.stop()
        }

        @Test func `any set becomes any other in one step, the leader's too`() async throws {
            let cluster = Cluster(3)
            try await cluster.start()
            let leader = try await cluster.leader()
            try await leader.put("a", "1")
            let old = leader.members
            let new = [RaftPeer(id: 4), RaftPeer(id: 5), RaftPeer(id: 6)]
            for peer in new { try await cluster.start(peer.id, joining: old + new) }
            let steps = new.map { MembershipStep.addVoter($0) } + old.map { MembershipStep.remove($0.id) }
            do {
                try await leader.change(steps)
            } catch {
                // The leader itself may be gone before it can answer.
                #expect(error == .removed)
            }
            let fifth = await cluster.member(5)
            #expect(
                try await eventually {
                    fifth.members.map(\.id) == [4, 5, 6] && fifth.status?.leader?.rawValue ?? 0 > 3
                })
            #expect(try await fifth.get("a") == "1")
            try await fifth.put("a", "2")
            for id: NodeID in [1, 2, 3] { await cluster.stop(id) }
            try await fifth.put("a", "3")
            await cluster.stop()
        }

        @Test func `a member remembers who is there`() async throws {
            let log = RaftLog.memory()
            let network = InMemoryNetwork()
            func member() -> RaftMember<KeyValues> {
                RaftMember(
                    id: 1, cluster: .new([RaftPeer(id: 1, address: "one")]), log: log, transport: .inMemory(network),
                    stateMachine: KeyValues(), options: quickOptions())
            }
            let first = member()
            try await first.start()
            try await first.addLearner(RaftPeer(id: 2, address: "two"))
            try await first.change([.move(2, to: "elsewhere")])
            await first.stop()
            let second = member()
            try await second.start()
            // What is in the log's tail is applied when there is a leader again.
            let expected = RaftPeer(id: 2, address: "elsewhere", role: .learner)
            #expect(try await eventually { second.members.last == expected })
            await second.stop()
        }

        @Test func `changes that make no sense are refused with the reason`() async throws {
            let cluster = Cluster(3)
            try await cluster.start()
            let leader = try await cluster.leader()
            let others = try await cluster.followers().map(\.id)
            await #expect(throws: RaftError.unknownMember(7)) { try await leader.remove(7) }
            await #expect(throws: RaftError.unknownMember(7)) { try await leader.promote(7) }
            await #expect(throws: RaftError.memberExists(others[0])) {
                try await leader.addMember(RaftPeer(id: others[0]))
            }
            await #expect(throws: RaftError.membershipRefused(.votesAlready(others[0]))) {
                try await leader.promote(others[0])
            }
            await #expect(throws: RaftError.membershipRefused(.namedTwice(others[0]))) {
                try await leader.change([.remove(others[0]), .demote(others[0])])
            }
            // With one voter of three away, removing the other leaves two, of which one does not answer.
            await cluster.stop(others[0])
            await #expect(throws: RaftError.wouldLoseQuorum(unreachable: [others[0]])) {
                try await leader.remove(others[1])
            }
            // The one that is away can go.
            try await leader.remove(others[0])
            #expect(leader.members.count == 2)
            await cluster.stop()
        }

        @Test func `a new cluster's list is checked`() async throws {
            func refusal(_ cluster: ClusterStart) async -> RaftError? {
                let member = RaftMember(
                    id: 1, cluster: cluster, log: .memory(), transport: .inMemory(InMemoryNetwork()),
                    stateMachine: KeyValues(), options: quickOptions())
                do throws(RaftError) {
                    try await member.start()
                    return nil
                } catch {
                    return error
                }
            }
            for list in [[RaftPeer(id: 2)], [RaftPeer(id: 1), RaftPeer(id: 1)], [RaftPeer(id: 1), RaftPeer(id: 0)]] {
                guard case .invalidOptions? = await refusal(.new(list)) else {
                    Issue.record("\(list) was taken")
                    continue
                }
            }
        }
    }
}
