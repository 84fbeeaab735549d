import MVCC
import RaftCore
import StorageEngine
import Testing

@testable import Replica

/// A leader's state, clock and lessor, whose proposals are applied when the test says so.
private struct Leader {
    var state: State
    var lessor = Lessor()
    let clock = LeaseClock()
    let manual: ManualClock
    var term: Term
    /// Proposed, and not applied.
    var proposed: [LeaseCommand] = []

    init(term: UInt64 = 1, manual: ManualClock = ManualClock()) throws {
        state = try State(store: LayeredStore(engine: MemoryEngine()))
        self.manual = manual
        self.term = Term(term)
        clock.begin(now: { manual.now }, time: .zero, in: .zero)
        try reign(term)
    }

    /// The first entry of a term.
    mutating func reign(_ term: UInt64) throws {
        self.term = Term(term)
        try state.noteApplied(LogPosition(index: state.applied.index + 1, term: term))
        clock.applied(state.leaseClock, in: self.term)
    }

    @discardableResult
    mutating func apply(_ command: LeaseCommand) throws -> LeaseOutcome.Result {
        let outcome = try state.apply(
            command, stamped: clock.time(leading: term) ?? .zero,
            at: LogPosition(index: state.applied.index + 1, term: term.rawValue))
        clock.applied(state.leaseClock, in: term)
        switch outcome.result {
        case .granted(let lease): lessor.granted(lease)
        case .expired(let ends): lessor.expired(ends, in: state)
        default: break
        }
        return outcome.result
    }

    mutating func look() {
        proposed += lessor.look(
            leading: term, time: clock.time(leading: term), state: state, now: manual.now)
    }

    mutating func applyProposed() throws {
        let commands = proposed
        proposed = []
        for command in commands { try apply(command) }
    }

    /// Looks every 100 ms, as the apply stage does.
    mutating func run(milliseconds: UInt64, applying: Bool = true) throws {
        for _ in 0..<milliseconds / 100 {
            manual.advance(milliseconds: 100)
            look()
            if applying { try applyProposed() }
        }
    }

    func exists(_ id: Int64) -> Bool { state.lease(LeaseID(id)) != nil }

    var proposedEnds: [LeaseID] {
        proposed.flatMap { command -> [LeaseID] in
            if case .expire(let ends, _) = command { return ends.map(\.id) }
            return []
        }
    }
}

@Suite struct LessorTests {
    @Test func `a lease ends after its deadline and the slack, and not before`() throws {
        var leader = try Leader()
        try leader.apply(.grant(LeaseID(1), ttl: 2))
        try leader.run(milliseconds: 2_500)
        #expect(leader.exists(1))
        try leader.run(milliseconds: 100)
        #expect(!leader.exists(1))
    }

    @Test func `a renewed lease lives on, and its renewals take no room in the heap`() throws {
        var leader = try Leader()
        try leader.apply(.grant(LeaseID(1), ttl: 2))
        leader.look()
        for _ in 0..<200 {
            try leader.run(milliseconds: 100)
            try leader.apply(.renew([LeaseID(1)]))
            #expect(leader.lessor.deadlineCount == 1)
        }
        #expect(leader.exists(1))
        try leader.run(milliseconds: 2_600)
        #expect(!leader.exists(1))
    }

    @Test func `an end is proposed once, and again after three seconds without an answer`() throws {
        var leader = try Leader()
        try leader.apply(.grant(LeaseID(1), ttl: 2))
        try leader.run(milliseconds: 5_400, applying: false)
        #expect(leader.proposedEnds == [LeaseID(1)])
        try leader.run(milliseconds: 300, applying: false)
        #expect(leader.proposedEnds == [LeaseID(1), LeaseID(1)])
        try leader.applyProposed()
        #expect(!leader.exists(1))
    }

    @Test func `a renewal that comes before a proposed end saves the lease until its new deadline`() throws {
        var leader = try Leader()
        try leader.apply(.grant(LeaseID(1), ttl: 2))
        try leader.run(milliseconds: 2_600, applying: false)
        #expect(leader.proposedEnds == [LeaseID(1)])
        #expect(try leader.apply(.renew([LeaseID(1)])) == .renewed([2]))
        try leader.applyProposed()
        #expect(leader.exists(1))
        try leader.run(milliseconds: 2_500)
        #expect(leader.exists(1))
        try leader.run(milliseconds: 100)
        #expect(!leader.exists(1))
    }

    @Test func `what another leader proposed ends nothing`() throws {
        var leader = try Leader()
        try leader.apply(.grant(LeaseID(1), ttl: 2))
        try leader.run(milliseconds: 2_600, applying: false)
        try leader.reign(2)
        try leader.applyProposed()
        #expect(leader.exists(1))
    }

    @Test func `after a change of leader a lease has the time that it had left, and a second more at most`() throws {
        var leader = try Leader()
        try leader.apply(.grant(LeaseID(1), ttl: 10))
        try leader.run(milliseconds: 6_000)
        // Nobody leads.
        leader.manual.advance(milliseconds: 60_000)
        try leader.reign(2)
        try leader.run(milliseconds: 4_000)
        #expect(leader.exists(1))
        try leader.run(milliseconds: 1_700)
        #expect(!leader.exists(1))
    }

    @Test(arguments: [300, 500, 1_500] as [UInt64])
    func `leases end even if leaders change all the time`(reign: UInt64) throws {
        var leader = try Leader()
        try leader.apply(.grant(LeaseID(1), ttl: 5))
        var led: UInt64 = 0
        for term in 2..<200 as Range<UInt64> where leader.exists(1) {
            leader.manual.advance(milliseconds: 1_000)
            try leader.reign(term)
            try leader.run(milliseconds: reign)
            led += reign
        }
        #expect(!leader.exists(1))
        // At most half of each reign is lost, and 100 ms in which nobody looked.
        #expect(led >= 5_500 && led <= 20_000, "\(led)")
    }

    @Test func `after a pause renewals that wait go first`() throws {
        var leader = try Leader()
        for id in 1...2 as ClosedRange<Int64> { try leader.apply(.grant(LeaseID(id), ttl: 2)) }
        try leader.run(milliseconds: 500)
        leader.manual.advance(milliseconds: 10_000)
        leader.look()
        #expect(leader.proposedEnds.isEmpty)
        try leader.run(milliseconds: 900)
        #expect(leader.exists(1))
        try leader.apply(.renew([LeaseID(1)]))
        try leader.run(milliseconds: 200)
        #expect(leader.exists(1) && !leader.exists(2))
        try leader.run(milliseconds: 2_500)
        #expect(!leader.exists(1))
    }

    @Test func `where every look is late, leases end all the same`() throws {
        var leader = try Leader()
        try leader.apply(.grant(LeaseID(1), ttl: 2))
        for _ in 0..<10 {
            leader.manual.advance(milliseconds: 900)
            leader.look()
            try leader.applyProposed()
        }
        #expect(!leader.exists(1))
    }

    @Test func `the clock is kept in the log while there are leases`() throws {
        var leader = try Leader()
        try leader.run(milliseconds: 5_000, applying: false)
        #expect(leader.proposed.isEmpty)
        try leader.apply(.grant(LeaseID(1), ttl: 1_000))
        var unstamped: UInt64 = 0
        for _ in 0..<300 {
            try leader.run(milliseconds: 100)
            unstamped = max(
                unstamped, leader.clock.time(leading: leader.term)!.milliseconds(since: leader.state.leaseClock))
        }
        #expect(unstamped <= 1_100)
        // A tick that is under way is not proposed again at each look.
        try leader.run(milliseconds: 3_000, applying: false)
        #expect(leader.proposed.count(where: { $0 == .tick }) <= 4)
    }

    @Test func `leases that are granted and revoked leave no room taken`() throws {
        var leader = try Leader()
        leader.look()
        for id in 1...20_000 as ClosedRange<Int64> {
            try leader.apply(.grant(LeaseID(id), ttl: Lease.ttlMax))
            try leader.apply(.revoke(LeaseID(id)))
            if id % 1_000 == 0 { try leader.run(milliseconds: 100) }
        }
        #expect(leader.lessor.deadlineCount <= 5_100)
    }

    @Test func `a hundred thousand leases are looked at without a scan, and end in bounded commands`() throws {
        var leader = try Leader()
        let count: Int64 = 100_000
        for id in 1...count { try leader.apply(.grant(LeaseID(id), ttl: id % 2 == 0 ? 2 : 60)) }
        try leader.run(milliseconds: 100)
        let idle = ContinuousClock().measure { for _ in 0..<1_000 { leader.look() } }
        // A scan of them takes some milliseconds, in debug builds some hundred.
        #expect(idle < .milliseconds(100), "\(idle)")
        leader.proposed = []
        try leader.run(milliseconds: 2_500, applying: false)
        for case .expire(let ends, _) in leader.proposed { #expect(ends.count <= 1_000) }
        #expect(leader.proposedEnds.count <= 16_000 + 8_192)
        let elapsed = try ContinuousClock().measure { try leader.run(milliseconds: 5_000) }
        #expect(leader.state.leaseCount == Int(count) / 2)
        #expect(elapsed < .seconds(20), "\(elapsed)")
        // In the order of their deadlines, and all of them renewed at once costs no more than a look may take.
        for start in stride(from: 1, to: count, by: 8_000) {
            try leader.apply(.renew((start..<min(start + 8_000, count)).map { LeaseID($0) }))
        }
        #expect(leader.lessor.deadlineCount <= Int(count) + 4_096)
    }
}
