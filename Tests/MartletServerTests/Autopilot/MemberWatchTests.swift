import NIOCore
import RaftCore
import Replica
import Testing

@testable import MartletServer

@Suite struct MemberWatchTests {
    private let members = (1...3).map { number in
        Member(id: NodeID(UInt64(number)), name: "m\(number)", peerURLs: [], clientURLs: [])
    }

    private func time(_ seconds: Int64) -> NIODeadline { .uptimeNanoseconds(0) + .seconds(1_000 + seconds) }

    /// A look each second, from one moment to another.
    private func look(
        _ watch: inout MemberWatch, _ seconds: ClosedRange<Int64>, away: Set<UInt64>
    ) -> [MemberWatch.News] {
        seconds.flatMap { second in
            watch.look(
                at: members, besides: NodeID(1), isConnected: { !away.contains($0.rawValue) }, now: time(second))
        }
    }

    @Test func `a member that is away for ten seconds is named once, and when it is back`() {
        var watch = MemberWatch()
        #expect(look(&watch, 0...9, away: [2]).isEmpty)
        #expect(look(&watch, 10...30, away: [2]) == [.silent(members[1])])
        #expect(watch.silence(of: NodeID(2), now: time(30)) == .seconds(30))
        #expect(watch.silence(of: NodeID(3), now: time(30)) == nil)
        #expect(look(&watch, 31...32, away: []) == [.back(members[1], silentFor: .seconds(31))])
        // A restart is nothing to speak of.
        #expect(look(&watch, 33...40, away: [3]).isEmpty && look(&watch, 41...41, away: []).isEmpty)
    }

    @Test func `who was stopped itself knows nothing of the time in between`() {
        var watch = MemberWatch()
        _ = look(&watch, 0...3, away: [2])
        #expect(look(&watch, 600...609, away: [2]).isEmpty)
        #expect(watch.silence(of: NodeID(2), now: time(609)) == .seconds(9))
        #expect(look(&watch, 610...610, away: [2]) == [.silent(members[1])])
    }

    @Test func `who is no member any more is forgotten`() {
        var watch = MemberWatch()
        _ = look(&watch, 0...12, away: [2, 3])
        #expect(watch.silentOnes(members).count == 2)
        _ = watch.look(at: [members[0], members[2]], besides: NodeID(1), isConnected: { _ in false }, now: time(13))
        #expect(watch.silence(of: NodeID(2), now: time(13)) == nil)
        #expect(watch.silentOnes(members) == [.silent(members[2])])
    }
}

@Suite struct DeadMemberRuleTests {
    private let rule = DeadMemberRule(removeAfter: .seconds(600), votersMin: 3)

    /// Voters 1 to `voters`, of which 1 leads, and learners after them; some are dead.
    private func verdict(
        _ rule: DeadMemberRule, voters: Int, learners: Int = 0, dead: [UInt64], for seconds: Int64 = 600,
        unsteady: Set<UInt64> = []
    ) throws -> DeadMemberRule.Verdict {
        let fixture = try MachineFixture(members: 1)
        var view = try fixture.view
        let ids = (1...(voters + learners)).map { NodeID(UInt64($0)) }
        view.members = ids.map { Member(id: $0, name: "m\($0.rawValue)", peerURLs: [], clientURLs: []) }
        view.configuration = Configuration(voters: Array(ids[..<voters]), learners: Array(ids[voters...]))
        return rule.verdict(
            in: view, besides: NodeID(1), silence: { dead.contains($0.rawValue) ? .seconds(seconds) : nil },
            isSteady: { !dead.contains($0.rawValue) && !unsteady.contains($0.rawValue) })
    }

    @Test func `nobody is removed unless the operator allowed it, nor before the time`() throws {
        #expect(try verdict(DeadMemberRule(removeAfter: .zero, votersMin: 1), voters: 5, dead: [2]) == .nobody)
        #expect(try verdict(rule, voters: 5, dead: [2], for: 599) == .nobody)
        #expect(try verdict(rule, voters: 5, dead: [2]) == .remove(NodeID(2)))
        #expect(try verdict(rule, voters: 5, dead: []) == .nobody)
    }

    @Test func `as many voters stay as the operator wants`() throws {
        guard case .keep(NodeID(3), let reason) = try verdict(rule, voters: 3, dead: [3]) else {
            return #expect(Bool(false), "removed one of three")
        }
        #expect(reason.contains("2 voters would be left, fewer than --autopilot-min-quorum 3"))
        #expect(try verdict(rule, voters: 4, dead: [3]) == .remove(NodeID(3)))
        // A learner counts for nothing.
        #expect(try verdict(rule, voters: 3, learners: 1, dead: [3, 4]) == .remove(NodeID(4)))
    }

    @Test func `nobody is removed whose end would leave no majority that is there`() throws {
        // Of four that would be left, one is dead, and one has only just come.
        guard case .keep(NodeID(2), let reason) = try verdict(rule, voters: 5, dead: [2, 3], unsteady: [4]) else {
            return #expect(Bool(false), "removed one")
        }
        #expect(reason.contains("of the 4 voters that would be left, 2 are connected"))
        #expect(try verdict(rule, voters: 5, dead: [2, 3]) == .remove(NodeID(2)))
    }
}
