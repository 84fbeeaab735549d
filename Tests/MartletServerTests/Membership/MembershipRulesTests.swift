import EtcdAPI
import RaftCore
import Replica
import Testing

@testable import MartletServer

@Suite struct MembershipRulesTests {
    private func rules(
        _ fixture: MachineFixture, strict: Bool = true, learnersMax: Int = 1, connected: Set<NodeID>? = nil,
        seconds: UInt64 = 6, removed: Set<NodeID> = []
    ) -> MembershipRules {
        MembershipRules(
            isStrict: strict, learnersMax: learnersMax, own: fixture.first.ownMember.id,
            connectedFor: { connected?.contains($0) ?? true ? seconds * 1_000_000_000 : nil },
            isRemoved: { removed.contains($0) })
    }

    private func started(_ count: Int) throws -> MachineFixture {
        let fixture = try MachineFixture(members: count)
        for (number, id) in fixture.ids.enumerated() { try fixture.publish(id, "m\(number)") }
        return fixture
    }

    private let url = "http://10.0.0.2:1"

    // MARK: Adding

    @Test(arguments: [
        [], [""], ["10.0.0.2:1"], ["http://10.0.0.2"], ["ftp://10.0.0.2:1"], ["https://10.0.0.2:1"],
        ["http://10.0.0.2:1/path"], ["http://10.0.0.2:99999"], ["http://10.0.0.2:1", ""],
    ])
    func `addresses that nobody could be reached at are refused`(urls: [String]) throws {
        let fixture = try started(1)
        let (rules, view) = (rules(fixture), try fixture.view)
        #expect(throws: EtcdError.memberBadURLs) { try rules.add(peerURLs: urls, asLearner: false, now: 1, in: view) }
        #expect(throws: EtcdError.memberBadURLs) { try rules.update(fixture.ids[0], peerURLs: urls, in: view) }
    }

    @Test func `a new member's id is made of its addresses and the second, and its row has no name`() throws {
        let fixture = try started(1)
        let plan = try rules(fixture).add(peerURLs: [url], asLearner: false, now: 77, in: try fixture.view)
        let expected = InitialCluster.memberID(
            peerURLs: [try ServerURL(parsing: url)], token: "", addedAtUnixSeconds: 77)
        #expect(plan.member == expected)
        try fixture.apply(plan.change)
        let view = try fixture.view
        #expect(view.configuration.voters.contains(expected))
        #expect(view.members.first { $0.id == expected } == Member(
            id: expected, name: "", peerURLs: [url], clientURLs: []))
        // An id that was used once is not used again.
        let later = try rules(fixture, strict: false, removed: [
            InitialCluster.memberID(
                peerURLs: [try ServerURL(parsing: "http://x:1")], token: "", addedAtUnixSeconds: 5),
        ]).add(peerURLs: ["http://x:1"], asLearner: false, now: 5, in: view)
        #expect(
            later.member
                == InitialCluster.memberID(
                    peerURLs: [try ServerURL(parsing: "http://x:1")], token: "", addedAtUnixSeconds: 6))
    }

    @Test func `an address that a member has already is refused, whatever else comes with it`() throws {
        let fixture = try started(3)
        let taken = "http://10.0.0.1:10002"
        for urls in [[taken], [url, taken]] {
            #expect(throws: EtcdError.peerURLExists) {
                try rules(fixture).add(peerURLs: urls, asLearner: true, now: 1, in: try fixture.view)
            }
        }
    }

    @Test func `a voter comes only when enough have started, a learner at any time`() throws {
        let fixture = try MachineFixture(members: 3)
        try fixture.publish(fixture.ids[0], "a")
        // Four would need three, and one has started.
        for started in 1...3 {
            let view = try fixture.view
            _ = try rules(fixture).add(peerURLs: [url], asLearner: true, now: 1, in: view)
            if started < 3 {
                #expect(throws: EtcdError.memberNotEnoughStarted) {
                    try rules(fixture).add(peerURLs: [url], asLearner: false, now: 1, in: view)
                }
                try fixture.publish(fixture.ids[started], "b\(started)")
            } else {
                _ = try rules(fixture).add(peerURLs: [url], asLearner: false, now: 1, in: view)
            }
        }
    }

    @Test func `a second one may join a first, and a third waits for it`() throws {
        let fixture = try started(1)
        try fixture.apply(
            try rules(fixture).add(peerURLs: [url], asLearner: false, now: 1, in: try fixture.view).change)
        #expect(throws: EtcdError.memberNotEnoughStarted) {
            try rules(fixture).add(peerURLs: ["http://y:1"], asLearner: false, now: 1, in: try fixture.view)
        }
        _ = try rules(fixture, strict: false)
            .add(peerURLs: ["http://y:1"], asLearner: false, now: 1, in: try fixture.view)
    }

    @Test func `nobody comes while a voter is not connected, or not for long enough`() throws {
        let fixture = try started(3)
        let view = try fixture.view
        for asLearner in [false, true] {
            let away = rules(fixture, connected: [fixture.ids[1]])
            #expect(throws: EtcdError.unhealthy) {
                try away.add(peerURLs: [url], asLearner: asLearner, now: 1, in: view)
            }
            let fresh = rules(fixture, seconds: 4)
            #expect(throws: EtcdError.unhealthy) {
                try fresh.add(peerURLs: [url], asLearner: asLearner, now: 1, in: view)
            }
            _ = try rules(fixture, strict: false, connected: [])
                .add(peerURLs: [url], asLearner: asLearner, now: 1, in: view)
        }
    }

    @Test func `there are as many learners as allowed`() throws {
        let fixture = try started(1)
        for number in 1...2 {
            try fixture.apply(
                try rules(fixture, learnersMax: 2)
                    .add(peerURLs: ["http://l:\(number)"], asLearner: true, now: 1, in: try fixture.view).change)
        }
        #expect(throws: EtcdError.tooManyLearners) {
            try rules(fixture, learnersMax: 2)
                .add(peerURLs: ["http://l:3"], asLearner: true, now: 1, in: try fixture.view)
        }
        _ = try rules(fixture, learnersMax: 3)
            .add(peerURLs: ["http://l:3"], asLearner: true, now: 1, in: try fixture.view)
    }

    // MARK: Removing, moving, promoting

    @Test func `who is no member cannot be removed, moved or promoted`() throws {
        let fixture = try started(3)
        let (rules, view) = (rules(fixture), try fixture.view)
        #expect(throws: EtcdError.memberNotFound) { try rules.remove(NodeID(5), in: view) }
        #expect(throws: EtcdError.memberNotFound) { try rules.update(NodeID(5), peerURLs: [url], in: view) }
        #expect(throws: EtcdError.memberNotFound) { try rules.promote(NodeID(5), in: view) }
        #expect(throws: EtcdError.memberNotFound) { try rules.promote(NodeID(0), in: view) }
        #expect(throws: EtcdError.memberNotLearner) { try rules.promote(fixture.ids[1], in: view) }
    }

    @Test(arguments: [true, false]) func `the last voter stays`(strict: Bool) throws {
        let fixture = try started(1)
        #expect(throws: EtcdError.memberNotEnoughStarted) {
            try rules(fixture, strict: strict).remove(fixture.ids[0], in: try fixture.view)
        }
    }

    @Test func `a member that answers is not removed where those that are left would be too few`() throws {
        let fixture = try started(3)
        let view = try fixture.view
        let own = fixture.first.ownMember.id
        let others = fixture.ids.filter { $0 != own }
        // Of three two answer, this one among them.
        let rules = rules(fixture, connected: [others[0]])
        #expect(throws: EtcdError.unhealthy) { try rules.remove(others[0], in: view) }
        #expect(throws: EtcdError.unhealthy) { try rules.remove(own, in: view) }
        let plan = try rules.remove(others[1], in: view)
        try fixture.apply(plan.change)
        #expect(fixture.machine.membership.removed == [others[1]])
        #expect(try fixture.view.members.map(\.id) == fixture.ids.filter { $0 != others[1] })
    }

    @Test func `a member that moves keeps its name, and may keep some of its addresses`() throws {
        let fixture = try started(3)
        let id = fixture.ids[2]
        let old = try #require(try fixture.view.members.first { $0.id == id })
        let plan = try rules(fixture).update(id, peerURLs: [url, old.peerURLs[0]], in: try fixture.view)
        // It tells its name while the change is under way.
        try fixture.publish(id, "renamed")
        try fixture.apply(plan.change)
        let member = try #require(try fixture.view.members.first { $0.id == id })
        #expect(member.name == "renamed" && member.clientURLs == ["http://c-renamed:1"])
        #expect(Set(member.peerURLs) == [url, old.peerURLs[0]])
        #expect(throws: EtcdError.peerURLExists) {
            try rules(fixture).update(fixture.ids[0], peerURLs: [url], in: try fixture.view)
        }
    }

    @Test func `a learner is promoted where enough of the others have started`() throws {
        let fixture = try MachineFixture(members: 3)
        try fixture.publish(fixture.ids[0], "a")
        let learner = try rules(fixture).add(peerURLs: [url], asLearner: true, now: 1, in: try fixture.view)
        try fixture.apply(learner.change)
        #expect(throws: EtcdError.memberNotEnoughStarted) {
            try rules(fixture).promote(learner.member, in: try fixture.view)
        }
        try fixture.publish(fixture.ids[1], "b")
        try fixture.apply(try rules(fixture).promote(learner.member, in: try fixture.view).change)
        #expect(try fixture.view.configuration.learners.isEmpty)
        #expect(try fixture.view.configuration.voters.contains(learner.member))
        #expect(throws: EtcdError.memberNotLearner) {
            try rules(fixture).promote(learner.member, in: try fixture.view)
        }
    }

    // MARK: Two at a time

    /// Both were right by what their askers knew; together they would give two members one address.
    @Test func `a change is not made when the membership is not the one that it was judged by`() throws {
        let fixture = try started(3)
        let view = try fixture.view
        let one = try rules(fixture).add(peerURLs: [url], asLearner: true, now: 1, in: view)
        let other = try rules(fixture).add(peerURLs: [url], asLearner: true, now: 2, in: view)
        #expect(isMade(try fixture.apply(one.change)))
        let before = fixture.machine.membership
        #expect(!isMade(try fixture.apply(other.change)))
        #expect(fixture.machine.membership == before)
        #expect(throws: EtcdError.peerURLExists) {
            try rules(fixture).add(peerURLs: [url], asLearner: true, now: 2, in: try fixture.view)
        }
        // Names do not count: they change whenever somebody starts.
        let third = try rules(fixture).update(fixture.ids[0], peerURLs: ["http://z:1"], in: try fixture.view)
        try fixture.publish(one.member, "started")
        #expect(isMade(try fixture.apply(third.change)))
    }

    @Test func `a change that cannot be read changes nothing`() throws {
        let fixture = try started(3)
        let before = fixture.machine.membership
        for context: [UInt8] in [[0], [4, 1], [1, 2, 3], [2, 9], Array("anything".utf8)] {
            let change = ConfigurationChange(changes: [MemberChange(.addVoter, NodeID(9))], context: context)
            #expect(!isMade(try fixture.apply(change)))
        }
        #expect(fixture.machine.membership == before)
    }

    @Test func `who was removed is remembered on the disk`() throws {
        let fixture = try started(3)
        for id in fixture.ids.suffix(2) {
            try fixture.apply(ConfigurationChange(changes: [MemberChange(.remove, id)]))
        }
        try fixture.reopen()
        #expect(fixture.machine.membership.removed == Array(fixture.ids.suffix(2)))
        #expect(try fixture.view.members.map(\.id) == [fixture.ids[0]])
        // The library lets an id come back.
        try fixture.apply(ConfigurationChange(changes: [MemberChange(.addLearner, fixture.ids[2])]))
        try fixture.reopen()
        #expect(fixture.machine.membership.removed == [fixture.ids[1]])
    }

    private func isMade(_ result: ReplicaResult) -> Bool {
        if case .membersChanged = result { true } else { false }
    }
}

@Suite struct MembershipContextTests {
    @Test(arguments: [
        MembershipContext(), MembershipContext(basis: 0), MembershipContext(basis: .max),
        MembershipContext(member: Member(id: 7, name: "n", peerURLs: ["a", "b"], clientURLs: [])),
        MembershipContext(member: Member(id: 7, name: "", peerURLs: [], clientURLs: ["c"]), basis: 3),
    ])
    func `what is encoded is decoded, and nothing shorter`(context: MembershipContext) throws {
        let bytes = context.encode()
        #expect(try bytes.withUnsafeBytes { try MembershipContext(decoding: $0) } == context)
        for count in 1..<max(1, bytes.count) {
            #expect(throws: (any Error).self) {
                try bytes.prefix(count).withUnsafeBytes { try MembershipContext(decoding: $0) }
            }
        }
        if !bytes.isEmpty {
            #expect(throws: (any Error).self) {
                try (bytes + [0]).withUnsafeBytes { try MembershipContext(decoding: $0) }
            }
        }
    }
}
