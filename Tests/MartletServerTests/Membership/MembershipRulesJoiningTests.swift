import EtcdAPI
import RaftCore
import Replica
import Testing

@testable import MartletServer

@Suite struct MembershipRulesJoiningTests {
    private let url = "http://10.0.0.2:1"

    private func rules(_ fixture: MachineFixture, connected: Set<NodeID>) -> MembershipRules {
        MembershipRules(
            isStrict: true, learnersMax: 1, own: fixture.first.ownMember.id,
            connectedFor: { connected.contains($0) ? 6_000_000_000 : nil }, isRemoved: { _ in false })
    }

    private func started() throws -> (fixture: MachineFixture, own: NodeID, others: [NodeID]) {
        let fixture = try MachineFixture(members: 3)
        for member in fixture.first.initialCluster.members { try fixture.publish(member.id, member.name) }
        let own = fixture.first.ownMember.id
        return (fixture, own, fixture.ids.filter { $0 != own })
    }

    @Test func `who joins by itself need not wait for a dead voter, and who is added by a call must`() throws {
        let (fixture, _, others) = try started()
        let rules = rules(fixture, connected: [others[0]])
        let view = try fixture.view
        #expect(throws: EtcdError.unhealthy) { try rules.add(peerURLs: [url], asLearner: true, now: 1, in: view) }
        let plan = try rules.welcome(peerURLs: [url], now: 1, in: view)
        try fixture.apply(plan.change)
        #expect(try fixture.view.configuration.learners == [plan.member])
        #expect(throws: EtcdError.tooManyLearners) {
            try rules.welcome(peerURLs: ["http://10.0.0.2:2"], now: 1, in: try fixture.view)
        }
        #expect(throws: EtcdError.peerURLExists) { try rules.welcome(peerURLs: [url], now: 1, in: try fixture.view) }
    }

    @Test func `a replacement is one change through a joint configuration`() throws {
        let (fixture, own, others) = try started()
        let rules = rules(fixture, connected: [others[0]])
        let new = try rules.welcome(peerURLs: [url], now: 1, in: try fixture.view)
        try fixture.apply(new.change)
        let plan = try rules.replace(others[1], by: new.member, in: try fixture.view)
        try fixture.apply(plan.change)
        let joint = try fixture.view.configuration
        #expect(joint.isJoint && joint.leavesAutomatically)
        #expect(joint.voters == [own, others[0], new.member].sorted())
        #expect(joint.outgoingVoters == fixture.ids.sorted())
        try fixture.apply(ConfigurationChange(changes: []))
        #expect(try fixture.view.configuration.voters == [own, others[0], new.member].sorted())
        #expect(try !fixture.view.members.contains { $0.id == others[1] })
    }

    @Test func `only a learner replaces, and only somebody who is there`() throws {
        let (fixture, own, others) = try started()
        let rules = rules(fixture, connected: Set(others))
        let view = try fixture.view
        #expect(throws: EtcdError.memberNotLearner) { try rules.replace(others[0], by: others[1], in: view) }
        #expect(throws: EtcdError.memberNotFound) { try rules.replace(NodeID(7), by: own, in: view) }
        #expect(throws: EtcdError.memberNotFound) { try rules.replace(own, by: NodeID(7), in: view) }
    }

    @Test func `at a dead member's address the dead one goes with the change that adds the new one`() throws {
        let (fixture, own, others) = try started()
        let dead = others[1]
        let address = try #require(try fixture.view.members.first { $0.id == dead }).peerURLs
        let rules = rules(fixture, connected: [others[0]])
        let plan = try rules.swap(dead, peerURLs: address, now: 1, in: try fixture.view)
        try fixture.apply(plan.change)
        try fixture.apply(ConfigurationChange(changes: []))
        let view = try fixture.view
        #expect(view.configuration.voters == [own, others[0]].sorted() && view.configuration.learners == [plan.member])
        #expect(view.members.first { $0.id == plan.member }?.peerURLs == address)

        // One that answers is not pushed aside; nor one whose end would leave no majority that answers.
        let whole = try started()
        let alive = self.rules(whole.fixture, connected: Set(whole.others))
        #expect(throws: EtcdError.peerURLExists) {
            try alive.swap(whole.others[1], peerURLs: address, now: 1, in: try whole.fixture.view)
        }
        #expect(throws: EtcdError.peerURLExists) {
            try alive.swap(whole.own, peerURLs: address, now: 1, in: try whole.fixture.view)
        }
    }

    @Test func `a member is called by its name, or by its id`() throws {
        let (fixture, own, _) = try started()
        let view = try fixture.view
        #expect(view.members(called: "m2").map(\.name) == ["m2"])
        #expect(view.members(called: hex(own.rawValue)).map(\.id) == [own])
        #expect(view.members(called: "").isEmpty && view.members(called: "m9").isEmpty)
    }

    @Test func `a refusal says what would be needed`() throws {
        let (fixture, _, others) = try started()
        let view = try fixture.view
        let names = Dictionary(uniqueKeysWithValues: view.members.map { ($0.id, $0.name) })
        let (gone, dead) = (others[0], others[1])
        let sentence = QuorumAdvice(view: view, isPresent: { $0 != dead }).removal(of: gone)
        #expect(sentence.contains("without \(names[gone]!) the voters are"))
        #expect(sentence.contains("2 of them have to answer, where \(names[dead]!) does not: start \(names[dead]!)"))
        let alone = try MachineFixture(members: 1)
        #expect(
            QuorumAdvice(view: try alone.view, isPresent: { _ in true }).removal(of: alone.ids[0])
                .contains("is the only member that votes"))
    }
}
