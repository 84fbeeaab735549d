import Foundation
import MVCC
import NIOCore
import RaftCore
import Replica
import Synchronization
import Testing

@testable import MartletServer

@Suite struct RunningHashComparisonTests {
    private let fixture: MachineFixture

    init() throws {
        fixture = try MachineFixture(members: 3)
        for key in UInt8(1)...5 {
            let put = PutOperation(key: [key], value: [key])
            try fixture.apply(.keyValue, CommandCodec.encode(.put(put)))
        }
    }

    private func id(_ member: Int) throws -> UInt64 {
        try #require(fixture.first.initialCluster.member(named: "m\(member)")).id.rawValue
    }

    private func answer(_ member: Int, _ answer: RunningHashes.Answer) throws -> HTTPAsk.Answer {
        let body = Array(try JSONEncoder().encode(PeerRunningHash(memberID: id(member), answer)))
        return HTTPAsk.Answer(
            status: 200, fields: ["x-etcd-cluster-id": hex(try fixture.view.clusterID)], body: body)
    }

    private func findings(
        _ answers: @escaping @Sendable (_ member: Int, _ asked: Int) -> HTTPAsk.Answer?
    ) throws -> HashComparison.Findings {
        let view = try fixture.view
        var comparison = RunningHashComparison(own: NodeID(try id(1)), clusterID: view.clusterID)
        comparison.patience = .milliseconds(300)
        let asked = Mutex<[Int: Int]>([:])
        comparison.get = { url, path in
            guard path == "/members/runninghash?index=7" else {
                return .failure(HTTPAsk.Failure(description: "asked for \(path)"))
            }
            // `configuration(_:of:in:)` has m2 at port 10002.
            let member = url.port - 10_000
            let times = asked.withLock { asked in
                asked[member, default: 0] += 1
                return asked[member, default: 0]
            }
            return answers(member, times).map { .success($0) } ?? .failure(HTTPAsk.Failure(description: "refused"))
        }
        return comparison.run(view.members, after: LogIndex(7), view.store.runningHash)
    }

    @Test func `who has something else after an entry is found`() throws {
        let different = try fixture.view.store.runningHash
        try fixture.apply(.keyValue, CommandCodec.encode(.put(PutOperation(key: [9], value: []))))
        let own = try fixture.view.store.runningHash
        let right = try answer(2, .hash(own))
        let wrong = try answer(3, .hash(different))
        let found = try findings { member, _ in member == 2 ? right : wrong }
        #expect(found.judgement == .differing([try id(3)]) && found.silent.isEmpty)
        let alike = try answer(3, .hash(own))
        #expect(try findings { member, _ in member == 2 ? right : alike }.judgement == .alike)
    }

    @Test func `a member that is behind is asked again, one that forgot or is gone is not compared`() throws {
        let own = try fixture.view.store.runningHash
        let (behind, right) = (try answer(2, .behind), try answer(2, .hash(own)))
        let forgotten = try answer(3, .forgotten)
        let found = try findings { member, asked in member == 3 ? forgotten : asked < 3 ? behind : right }
        #expect(found.hashes.count == 2 && found.judgement == .alike)
        #expect(found.silent.map(\.member) == [try id(3)])
        #expect(found.silent[0].reason.contains("no longer knows"))
        let none = try findings { member, _ in member == 2 ? behind : nil }
        #expect(none.hashes.count == 1 && none.judgement == .alike)
        #expect(Set(none.silent.map(\.reason)) == ["it has not got that far", "refused"])
    }

    @Test func `a hash that began elsewhere, and an answer of somebody else, prove nothing`() throws {
        let own = try fixture.view.store.runningHash
        var said = PeerRunningHash(memberID: try id(2), .hash(own))
        said.since = 5
        said.hash = own.value &+ 1
        var later = try answer(2, .behind)
        later.body = Array(try JSONEncoder().encode(said))
        let elsewhere = later
        let stranger = try answer(2, .hash(own))
        let found = try findings { member, _ in member == 2 ? elsewhere : stranger }
        #expect(found.judgement == .alike && found.silent.count == 2)
    }

    @Test func `the route tells what is remembered`() throws {
        let machine = fixture.machine
        machine.didPublish(try fixture.view)
        let newest = try #require(machine.runningHashes.newest)
        #expect(newest.hash == machine.runningHash)
        func state(_ index: UInt64) -> PeerRunningHash.State {
            PeerRunningHash(memberID: 1, machine.runningHashes.answer(at: LogIndex(index))).state
        }
        #expect(state(newest.index.rawValue) == .done)
        #expect(state(newest.index.rawValue + 1) == .behind)
        #expect(state(1) == .forgotten)
    }
}
