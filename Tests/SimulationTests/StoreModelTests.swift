import MVCC
import Replica
import Testing

@testable import RaftSimulation

/// What the members, and those who watch, are compared with: it must be right by itself, and the checkers must find
/// what is wrong.
@Suite struct StoreModelTests {
    private var model = StoreModel()

    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    @discardableResult
    private mutating func apply(_ command: Command) throws -> Outcome? {
        let record = [CommandRoom.keyValue.rawValue] + CommandCodec.encode(command)
        guard case .keyValue(let outcome)? = try model.apply(record, term: 1) else { return nil }
        return outcome
    }

    @discardableResult
    private mutating func apply(_ command: LeaseCommand, at time: UInt64, term: UInt64 = 1) throws -> LeaseOutcome? {
        let record = [CommandRoom.lease.rawValue] + LeaseCommandCodec.encode(command, at: LeaseTime(time))
        guard case .lease(let outcome)? = try model.apply(record, term: term) else { return nil }
        return outcome
    }

    private func put(_ key: String, _ value: String, _ lease: Int64 = 0) -> Command {
        .put(PutOperation(key: bytes(key), value: bytes(value), lease: LeaseID(lease)))
    }

    @Test mutating func `the keys of a lease go at one revision, and those that left it stay`() throws {
        try apply(.grant(LeaseID(7), ttl: 2), at: 1_000)
        for key in ["c", "a", "b"] { try apply(put(key, "1", 7)) }
        try apply(put("b", "2"))
        // Of an older term, then after a renewal: nothing.
        try apply(.expire([LeaseEnd(LeaseID(7), deadline: LeaseTime(3_000))], term: 1), at: 4_000, term: 2)
        #expect(model.ended.isEmpty)
        try apply(.renew([LeaseID(7)]), at: 4_000)
        try apply(.expire([LeaseEnd(LeaseID(7), deadline: LeaseTime(3_000))], term: 1), at: 5_000)
        #expect(model.ended.isEmpty)
        let outcome = try apply(.expire([LeaseEnd(LeaseID(7), deadline: LeaseTime(6_000))], term: 1), at: 7_000)
        #expect(model.ended.map(\.id) == [LeaseID(7)])
        #expect(outcome?.revision == Revision(6))
        #expect(model.events.suffix(2).map(\.keyValue.key) == [bytes("a"), bytes("c")])
        #expect(Set(model.events.suffix(2).map(\.revision)) == [6])
        #expect(model.pairs.map(\.key) == [bytes("b")])
    }

    @Test mutating func `a transaction that reads what is compacted writes nothing`() throws {
        for value in ["1", "2", "3"] { try apply(put("a", value)) }
        try apply(.compact(Compaction(revision: Revision(3))))
        func reading(at revision: Int64) -> Command {
            var query = RangeQuery(KeyRange(key: bytes("a")))
            query.revision = Revision(revision)
            return .transaction(
                Transaction(success: [.range(query), .put(PutOperation(key: bytes("b"), value: []))]))
        }
        let tooOld = try apply(reading(at: 2))
        #expect(tooOld?.result == .failed(.compacted))
        let tooNew = try apply(reading(at: 9))
        #expect(tooNew?.result == .failed(.futureRevision))
        #expect(model.revision == 4)
        let read = try apply(reading(at: 3))
        guard case .transaction(let answer)? = read?.result,
            case .range(let range)? = answer.answers.first
        else {
            Issue.record("not answered")
            return
        }
        #expect(range.keyValues.map(\.value) == [bytes("2")])
        #expect(model.revision == 5)
    }

    // MARK: What a watcher was told

    private mutating func makeHistory() throws {
        try apply(put("a", "1"))
        try apply(put("a", "2"))
        try apply(.delete(DeleteOperation(KeyRange(key: bytes("a")))))
        try apply(put("b", "3"))
    }

    private func told(_ place: Int, previous: Bool = false, compacted: Int64 = -1) -> SimulatedEvent {
        let event = model.events[place]
        return SimulatedEvent(
            kind: event.kind, keyValue: event.keyValue, previous: previous ? event.previous : nil,
            compacted: compacted)
    }

    private func violation(
        _ request: WatchRequest = WatchRequest(KeyRange(key: [0], end: .fromKey)),
        _ tell: (SimulatedWatcher) -> Void
    ) -> String? {
        var request = request
        request.start = Revision(2)
        let watcher = SimulatedWatcher(request)
        watcher.created(at: 9)
        tell(watcher)
        do throws(WatchChecker.Violation) {
            try WatchChecker(model).check(watcher)
            return nil
        } catch {
            return error.description
        }
    }

    @Test mutating func `what was told whole and in order passes, and what was not is found`() throws {
        try makeHistory()
        #expect(violation { $0.heard([told(0), told(1), told(2), told(3)], at: 5, isFragment: false) } == nil)
        #expect(violation { $0.heard([told(0), told(2)], at: 4, isFragment: false) } != nil)
        #expect(violation { $0.heard([told(0), told(0)], at: 2, isFragment: false) } != nil)
        #expect(violation { $0.heard([told(1), told(0)], at: 3, isFragment: false) } != nil)
        // A header, or progress, that is ahead of what was told.
        #expect(violation { $0.heard([told(0)], at: 3, isFragment: false) } != nil)
        #expect(
            violation { watcher in
                watcher.heardOfProgress(5)
                watcher.heard([told(0), told(1), told(2), told(3)], at: 5, isFragment: false)
            } != nil)
        #expect(violation { $0.heard([told(0)], at: 2, isFragment: true) } != nil)
    }

    @Test mutating func `a compaction excuses what is before it, and nothing else`() throws {
        try makeHistory()
        try apply(.compact(Compaction(revision: Revision(4))))
        func hears(_ compaction: Int64, _ places: [Int]) -> String? {
            violation { watcher in
                watcher.heardOfCompaction(compaction)
                watcher.heard(places.map { told($0) }, at: 5, isFragment: false)
            }
        }
        #expect(hears(4, [2, 3]) == nil)
        // The delete at the compact revision itself is still to be told.
        #expect(hears(4, [3]) != nil)
        #expect(hears(5, [3]) != nil)
        #expect(hears(2, [0, 1, 2, 3]) != nil)
    }

    @Test mutating func `the pair before is the right one, and missing only where it is compacted`() throws {
        try makeHistory()
        var request = WatchRequest(KeyRange(key: bytes("a")))
        request.wantsPrevious = true
        func hears(_ events: [SimulatedEvent]) -> String? {
            violation(request) { $0.heard(events, at: 4, isFragment: false) }
        }
        let right = (0...2).map { told($0, previous: true) }
        #expect(hears(right) == nil)
        #expect(hears([right[0], told(1), right[2]]) != nil)
        #expect(hears([right[0], told(1, compacted: 3), right[2]]) == nil)
        var wrong = right
        wrong[2].previous = model.events[0].keyValue
        #expect(hears(wrong) != nil)
    }

    @Test mutating func `filters leave out what they name`() throws {
        try makeHistory()
        var request = WatchRequest(KeyRange(key: bytes("a")))
        request.ignoresPuts = true
        #expect(violation(request) { $0.heard([told(2)], at: 5, isFragment: false) } == nil)
        #expect(violation(request) { $0.heard([told(0), told(1), told(2)], at: 5, isFragment: false) } != nil)
    }

    @Test func `a fenced resource refuses who had the lock before; what came to it goes back`() {
        var resource = FencedResource()
        for token in [5, 5, 9, 5, 9] as [Int64] { resource.write(token: token) }
        #expect(resource.accepted == [5, 5, 9, 9])
        #expect(resource.refused == 1)
        #expect(!FencedResource.goesBack(resource.accepted))
        #expect(FencedResource.goesBack(resource.arrived))
    }
}
