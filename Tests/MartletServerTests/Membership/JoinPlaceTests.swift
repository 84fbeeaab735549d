import EtcdAPI
import RaftCore
import Replica
import Testing

@testable import MartletServer

@Suite struct JoinPlaceTests {
    private let free = "http://10.0.0.9:1"

    /// m1, m2 and m3, at 10.0.0.1:10001 and so on, of which m3 has not started.
    private func cluster() throws -> (fixture: MachineFixture, ids: [String: NodeID]) {
        let fixture = try MachineFixture(members: 3)
        var ids: [String: NodeID] = [:]
        for member in fixture.first.initialCluster.members {
            ids[member.name] = member.id
            if member.name != "m3" { try fixture.publish(member.id, member.name) }
        }
        return (fixture, ids)
    }

    private func place(
        _ name: String, _ url: String, by asker: JoinPlace.Asker = .itself, memberID: NodeID? = nil,
        replaces: String? = nil, in fixture: MachineFixture
    ) throws -> JoinPlace {
        let question = JoinQuestion(
            name: name, peerURLs: [url], memberID: memberID.map { hex($0.rawValue) }, replaces: replaces)
        return try JoinPlace.find(for: question, at: [url], by: asker, in: try fixture.view)
    }

    private func refusal(_ body: () throws -> JoinPlace) -> JoinRefusal.Code? {
        do {
            _ = try body()
            return nil
        } catch let refusal as JoinRefusal {
            return refusal.code
        } catch {
            return nil
        }
    }

    @Test func `who is new gets a place, and who was added and has not started its own`() throws {
        let (fixture, ids) = try cluster()
        #expect(try place("m4", free, in: fixture) == .free)
        let third = try #require(ids["m3"])
        #expect(try place("m3", "http://10.0.0.1:10003", in: fixture) == .own(third))
        // Under another name, too: it has told none yet.
        #expect(try place("m9", "http://10.0.0.1:10003", in: fixture) == .own(third))
        #expect(refusal { try place("m1", "http://10.0.0.1:10003", in: fixture) } == .nameInUse)
    }

    @Test func `a used name or address is refused`() throws {
        let (fixture, _) = try cluster()
        #expect(refusal { try place("m1", free, in: fixture) } == .nameInUse)
        #expect(refusal { try place("m1", free, by: .another, in: fixture) } == .nameInUse)
        #expect(refusal { try place("m4", "http://10.0.0.1:10001", in: fixture) } == .addressInUse)
        #expect(refusal { try place("m4", "http://10.0.0.1:10001", by: .another, in: fixture) } == .addressInUse)
    }

    @Test func `one that has lost its data is not taken for the one it was`() throws {
        let (fixture, ids) = try cluster()
        let second = try #require(ids["m2"])
        #expect(refusal { try place("m2", "http://10.0.0.1:10002", in: fixture) } == .startedBefore)
        // Somebody who only asks for it to be there is content.
        #expect(try place("m2", "http://10.0.0.1:10002", by: .another, in: fixture) == .own(second))
        // It has its data, as far as that goes.
        #expect(try place("m2", "http://10.0.0.1:10002", memberID: second, in: fixture) == .own(second))
        #expect(refusal { try place("m2", free, memberID: second, in: fixture) } == .addressInUse)
        #expect(refusal { try place("m2", free, memberID: NodeID(5), in: fixture) } == .removed)
        // By its own wish it begins anew.
        #expect(try place("m2", "http://10.0.0.1:10002", replaces: "m2", in: fixture) == .swap(second))
        #expect(
            try place("m2", "http://10.0.0.1:10002", replaces: hex(second.rawValue), in: fixture) == .swap(second))
    }

    @Test func `whom one replaces may lend it the name, and has to be there`() throws {
        let (fixture, _) = try cluster()
        #expect(try place("m2", free, replaces: "m2", in: fixture) == .free)
        #expect(refusal { try place("m1", free, replaces: "m2", in: fixture) } == .nameInUse)
        #expect(refusal { try place("m4", free, replaces: "m7", in: fixture) } == .unknownMember)
        // The place was taken, and the answer was lost.
        #expect(throws: Never.self) { try place("m3", "http://10.0.0.1:10003", replaces: "gone", in: fixture) }
    }

    @Test func `each refusal has a status that says whether asking again helps`() {
        let again = [JoinRefusal.Code.noLeader, .notReady, .tooManyLearners]
        for code in again { #expect(JoinRefusal(code, "").status == 503) }
        for code in [JoinRefusal.Code.nameInUse, .addressInUse, .otherCluster, .startedBefore, .removed, .quorum] {
            #expect(JoinRefusal(code, "").status == 409)
        }
        #expect(JoinRefusal(.badRequest, "").status == 400 && JoinRefusal(.unreachable, "").status == 422)
    }
}
