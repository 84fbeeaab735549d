import Raft
import Testing

extension LibraryTests {
    /// What is asked of one member and decided by another ends with the other's reason, and at once.
    @Suite struct Outcomes {
        /// Far above what an answer takes, far below the deadline of requests.
        private static let soon = Duration.seconds(2)
        private static var options: RaftOptions { quickOptions { $0.requestTimeout = .seconds(20) } }

        @Test func `a change that the leader refuses a follower ends with the leader's reason`() async throws {
            let cluster = Cluster(3, options: Self.options)
            try await cluster.start()
            let leader = try await cluster.leader()
            let followers = try await cluster.followers()
            let (asked, silent) = (followers[0], followers[1])
            // Who is asked reaches everyone, and sees nothing wrong.
            cluster.network.cut(from: leader.id, to: silent.id)
            cluster.network.cut(from: silent.id, to: leader.id)
            try await Task.sleep(for: .milliseconds(800))
            let took = await ContinuousClock().measure {
                await #expect(throws: RaftError.wouldLoseQuorum(unreachable: [silent.id])) {
                    try await asked.remove(asked.id)
                }
            }
            #expect(took < Self.soon)
            #expect(leader.members.count == 3)
            cluster.network.heal()
            try await asked.put("a", "1")
            await cluster.stop()
        }

        @Test func `a transfer that cannot be is refused with the reason, whoever is asked`() async throws {
            let cluster = Cluster(3, options: Self.options)
            try await cluster.start()
            let leader = try await cluster.leader()
            let learner = try await cluster.followers()[0]
            let other = try await cluster.followers()[1]
            try await leader.demote(learner.id)
            for member in [leader, other, learner] {
                let took = await ContinuousClock().measure {
                    await #expect(throws: RaftError.transferFailed(.notVoter(learner.id))) {
                        try await member.transferLeadership(to: learner.id, timeout: .seconds(20))
                    }
                }
                #expect(took < Self.soon)
            }
            try await leader.demote(other.id)
            for member in [leader, other] {
                await #expect(throws: RaftError.transferFailed(.nobodySuitable)) {
                    try await member.transferLeadership(to: nil, timeout: .seconds(20))
                }
            }
            await #expect(throws: RaftError.membershipRefused(.removesAllVoters)) {
                try await other.demote(leader.id)
            }
            await cluster.stop()
        }

        @Test func `a transfer to a member that is away ends when the leader gives it up`() async throws {
            let cluster = Cluster(3, options: Self.options)
            try await cluster.start()
            let leader = try await cluster.leader()
            let followers = try await cluster.followers()
            await cluster.stop(followers[0].id)
            for member in [leader, followers[1]] {
                let took = await ContinuousClock().measure {
                    await #expect(throws: RaftError.transferFailed(.timedOut(followers[0].id))) {
                        try await member.transferLeadership(to: followers[0].id, timeout: .seconds(20))
                    }
                }
                #expect(took < Self.soon)
            }
            #expect(leader.status?.role == .leader)
            await cluster.stop()
        }

        @Test func `a transfer asked of a follower says who leads now`() async throws {
            // Nobody campaigns by itself meanwhile.
            let cluster = Cluster(3, options: quickOptions { $0.electionTimeout = .seconds(1) })
            try await cluster.start()
            let leader = try await cluster.leader()
            let followers = try await cluster.followers()
            #expect(try await followers[0].transferLeadership(to: followers[1].id) == followers[1].id)
            let next = try await followers[0].transferLeadership(to: nil)
            #expect(next != followers[1].id)
            #expect(try await leader.transferLeadership(to: next) == next)
            await cluster.stop()
        }

        @Test func `a transfer that another takes the place of says so`() async throws {
            let cluster = Cluster(3, options: Self.options)
            try await cluster.start()
            let leader = try await cluster.leader()
            let followers = try await cluster.followers()
            await cluster.stop(followers[0].id)
            let first = Task { try await leader.transferLeadership(to: followers[0].id, timeout: .seconds(20)) }
            // While it is under way, nothing is taken.
            try await Task.sleep(for: .milliseconds(40))
            #expect(try await leader.transferLeadership(to: followers[1].id) == followers[1].id)
            await #expect(throws: RaftError.transferFailed(.superseded)) { try await first.value }
            await cluster.stop()
        }

        @Test func `what a follower proposes while leadership is being transferred is proposed again`() async throws {
            let cluster = Cluster(3, options: Self.options)
            try await cluster.start()
            let leader = try await cluster.leader()
            let followers = try await cluster.followers()
            try await followers[1].put("a", "1")
            await cluster.stop(followers[0].id)
            let transfer = Task { try await leader.transferLeadership(to: followers[0].id, timeout: .seconds(20)) }
            try await Task.sleep(for: .milliseconds(20))
            let took = try await ContinuousClock().measure { try await followers[1].put("a", "2") }
            #expect(took < Self.soon)
            _ = await transfer.result
            #expect(try await followers[1].get("a") == "2")
            await cluster.stop()
        }
    }
}
