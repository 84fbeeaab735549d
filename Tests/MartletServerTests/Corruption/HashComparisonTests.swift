import Foundation
import MVCC
import NIOCore
import RaftCore
import Replica
import Synchronization
import Testing

@testable import MartletServer

/// A member compares its state with others' that answer as they are made to, or as members do.
@Suite struct HashComparisonTests {
    private let fixture: MachineFixture

    init() throws {
        fixture = try MachineFixture(members: 3)
        for key in UInt8(1)...9 { try put([key % 4], [key]) }
    }

    private func id(_ member: Int) throws -> NodeID {
        try #require(fixture.first.initialCluster.member(named: "m\(member)")).id
    }

    private func put(_ key: [UInt8], _ value: [UInt8]) throws {
        try fixture.apply(.keyValue, CommandCodec.encode(.put(PutOperation(key: key, value: value))))
    }

    private func compact(_ revision: Int64) throws {
        try fixture.apply(.keyValue, CommandCodec.encode(.compact(Compaction(revision: Revision(revision)))))
    }

    private func comparison(
        _ answer: @escaping @Sendable (_ member: Int, _ path: String) -> Result<HTTPAsk.Answer, HTTPAsk.Failure>
    ) throws -> HashComparison {
        var comparison = HashComparison(own: try id(1), clusterID: try fixture.view.clusterID)
        comparison.patience.unreachable = .zero
        comparison.patience.behind = .zero
        comparison.patience.walk = .milliseconds(200)
        // `configuration(_:of:in:)` has m2 at port 10002.
        comparison.get = { url, path in answer(url.port - 10_000, path) }
        return comparison
    }

    private func answer(_ hash: PeerHash, cluster: UInt64? = nil) throws -> Result<HTTPAsk.Answer, HTTPAsk.Failure> {
        let id = try cluster ?? fixture.view.clusterID
        return .success(
            HTTPAsk.Answer(
                status: 200, fields: ["x-etcd-cluster-id": hex(id)], body: Array(try JSONEncoder().encode(hash))))
    }

    private func done(_ member: Int, _ hash: UInt32, compacted: Int64 = -1) throws -> PeerHash {
        PeerHash(
            memberID: try id(member).rawValue, state: .done, hash: hash, compactRevision: compacted,
            hashRevision: 10)
    }

    @Test func `hashes are put side by side`() throws {
        let view = try fixture.view
        let own = try view.store.hash().hash
        let answers = [2: try answer(done(2, own)), 3: try answer(done(3, 77))]
        let asked = Mutex<Set<String>>([])
        let findings = try #require(
            try comparison { member, path in
                asked.withLock { _ = $0.insert(path) }
                return answers[member]!
            }.run(view, at: Revision(10)))
        #expect(asked.withLock { $0 } == ["/members/hashkv?revision=10&compacted=-1"])
        let (first, third) = (try id(1).rawValue, try id(3).rawValue)
        #expect(findings.hashes[0] == (first, own))
        #expect(findings.judgement == .differing([third]))
        #expect(findings.silent.isEmpty)
    }

    @Test func `who compacted more decides what is left out`() throws {
        let view = try fixture.view
        var scan = try view.store.hashScan(at: Revision(10), compactedAt: Revision(8))
        let own = try #require(try scan.step(maxRows: 1_000)).hash
        #expect(try own != view.store.hash().hash)
        let other = try answer(done(2, own, compacted: 8))
        let early = try answer(done(3, 1))
        let late = try answer(done(3, own, compacted: 8))
        let findings = try #require(
            try comparison { member, path in
                member == 2 ? other : path.hasSuffix("compacted=8") ? late : early
            }.run(view, at: Revision(10)))
        #expect(findings.judgement == .alike && findings.hashes.count == 3)
        // At a revision that is gone there, there is nothing to compare.
        #expect(try comparison { _, _ in other }.run(view, at: Revision(7)) == nil)
    }

    @Test func `who does not answer with a hash is left out, with the reason`() throws {
        let view = try fixture.view
        let id = try id(2).rawValue
        let cases: [(Result<HTTPAsk.Answer, HTTPAsk.Failure>, String)] = [
            (.failure(HTTPAsk.Failure(description: "nobody there")), "nobody there"),
            (.success(HTTPAsk.Answer(status: 404, fields: [:], body: [])), "HTTP status 404"),
            (try answer(done(2, 1), cluster: 5), "something else"),
            (try answer(done(3, 1)), "something else"),
            (try answer(PeerHash(memberID: id, state: .done)), "something else"),
            (try answer(PeerHash(memberID: id, state: .behind)), "not got that far"),
            (try answer(PeerHash(memberID: id, state: .starting)), "not got that far"),
            (try answer(PeerHash(memberID: id, state: .compacted)), "has compacted"),
            (try answer(PeerHash(memberID: id, state: .busy)), "too long"),
            (try answer(PeerHash(memberID: id, state: .pending)), "too long"),
        ]
        let good = try answer(done(3, view.store.hash().hash))
        for (answer, reason) in cases {
            let findings = try #require(
                try comparison { member, _ in member == 2 ? answer : good }.run(view, at: Revision(10)))
            #expect(findings.judgement == .alike && findings.hashes.count == 2)
            #expect(findings.silent.count == 1 && findings.silent[0].member == id)
            #expect(findings.silent[0].reason.contains(reason))
        }
    }

    @Test func `who is asked for later is waited for`() throws {
        let view = try fixture.view
        let hash = try view.store.hash().hash
        let id = try id(2).rawValue
        let steps = [
            try answer(PeerHash(memberID: id, state: .busy)), try answer(PeerHash(memberID: id, state: .pending)),
            try answer(done(2, hash)),
        ]
        let good = try answer(done(3, hash))
        let calls = Mutex(0)
        var patient = try comparison { member, _ in
            guard member == 2 else { return good }
            return calls.withLock { count in
                defer { count += 1 }
                return steps[min(count, 2)]
            }
        }
        patient.patience.walk = .seconds(20)
        let findings = try #require(try patient.run(view, at: Revision(10)))
        #expect(findings.hashes.count == 3 && calls.withLock { $0 } == 3)
    }

    // MARK: The desk

    private func desk() throws -> HashDesk {
        let desk = HashDesk()
        let view = try fixture.view.store
        desk.open(view: { view }, failed: { Issue.record("\($0)") })
        return desk
    }

    private func wait(_ desk: HashDesk, _ question: HashDesk.Question) -> HashDesk.Answer {
        for _ in 0..<500 {
            let answer = desk.answer(question)
            if case .hash = answer { return answer }
            guard answer == .none(.pending) || answer == .none(.busy) else { return answer }
            Thread.sleep(forTimeInterval: 0.01)
        }
        return desk.answer(question)
    }

    @Test func `a hash is computed once it is asked for, and is the one that HashKV tells`() throws {
        try compact(5)
        let desk = try desk()
        let store = try fixture.view.store
        let question = HashDesk.Question(revision: Revision(9), compaction: Revision(-1))
        #expect(desk.answer(question) == .none(.pending))
        let known = try store.hash(at: Revision(9))
        #expect(wait(desk, question) == .hash(known))
        // It was fetched: whoever asks next gets one of then.
        #expect(desk.answer(question) == .none(.pending))
        var scan = try store.hashScan(at: Revision(9), compactedAt: Revision(8))
        let more = HashDesk.Question(revision: Revision(9), compaction: Revision(8))
        let all = try #require(try scan.step(maxRows: 1_000))
        #expect(wait(desk, more) == .hash(all))
        #expect(wait(desk, .init(revision: Revision(11), compaction: Revision(-1))) == .none(.behind))
        #expect(wait(desk, .init(revision: Revision(4), compaction: Revision(-1))) == .none(.compacted))
        #expect(wait(desk, .init(revision: Revision(9), compaction: Revision(10))) == .none(.compacted))
    }

    @Test func `who has no state says so`() {
        let question = HashDesk.Question(revision: Revision(9), compaction: Revision(-1))
        let desk = HashDesk()
        #expect(desk.answer(question) == .none(.starting))
        desk.open(view: { nil }, failed: { _ in })
        #expect(desk.answer(question) == .none(.starting))
    }

    @Test func `what nobody fetches is forgotten`() throws {
        let desk = try desk()
        let kept = (2...10).map { HashDesk.Question(revision: Revision($0), compaction: Revision(-1)) }
        for question in kept {
            // Without fetching what is done: somebody else's question waits for it.
            while desk.answer(question) == .none(.busy) { Thread.sleep(forTimeInterval: 0.002) }
        }
        Thread.sleep(forTimeInterval: 0.1)
        #expect(desk.answer(kept[0]) == .none(.pending))
        guard case .hash = desk.answer(kept[8]) else {
            Issue.record("the newest is gone")
            return
        }
        let later = NIODeadline.now() + HashDesk.answersKept + .seconds(1)
        Thread.sleep(forTimeInterval: 0.1)
        #expect(desk.answer(kept[5], now: later) == .none(.pending))
    }

    // MARK: Both

    @Test func `members that ask each other agree`() throws {
        let desk = try desk()
        let view = try fixture.view
        let ids = try (1...3).map { try id($0) }
        let answer: @Sendable (Int, String) -> Result<HTTPAsk.Answer, HTTPAsk.Failure> = { member, path in
            var hash = PeerHash(memberID: ids[member - 1].rawValue, state: .done)
            let numbers = path.split(separator: "&").compactMap { $0.split(separator: "=").last.flatMap { Int64($0) } }
            switch desk.answer(.init(revision: Revision(numbers[0]), compaction: Revision(numbers[1]))) {
            case .none(let state): hash.state = state
            case .hash(let answer):
                hash.hash = answer.hash
                hash.compactRevision = answer.compactRevision.rawValue
            }
            let body = (try? JSONEncoder().encode(hash)).map { Array($0) } ?? []
            return .success(
                HTTPAsk.Answer(status: 200, fields: ["x-etcd-cluster-id": hex(view.clusterID)], body: body))
        }
        var comparison = try comparison(answer)
        comparison.patience.walk = .seconds(20)
        let findings = try #require(try comparison.run(view, at: Revision(10)))
        #expect(findings.judgement == .alike && findings.hashes.count == 3)
    }
}
