import MVCC
import RaftCore
import StorageEngine
import TestSupport
import Testing

@testable import Replica

/// Three members with one log, leaders that change, stop and lose the end of the log, commands that are applied late:
/// whatever happens, no lease ends before its time has passed since it was last renewed, and in calm all do.
@Suite struct LeaseHistoryTests {
    private final class Member {
        var state: State
        var lessor = Lessor()
        let clock = LeaseClock()

        init(_ manual: ManualClock) throws {
            state = try State(store: LayeredStore(engine: MemoryEngine()))
            clock.begin(now: { manual.now }, time: .zero, in: .zero)
        }
    }

    private struct Entry {
        var term: UInt64
        /// nil for the first of a term.
        var record: [UInt8]?
        /// When it was appended, in milliseconds.
        var appended: UInt64
    }

    private struct Play {
        let manual = ManualClock()
        var members: [Member]
        var log: [Entry] = []
        var leader: Int?
        var term: UInt64 = 0
        var random: SeededRandom
        /// Proposals on their way, and who made them.
        var mail: [[UInt8]] = []
        /// When each lease was last granted or renewed in what was applied: the time of the append.
        var renewed: [LeaseID: (at: UInt64, ttl: Int64)] = [:]
        var ended = 0
        var observed = 0

        init(seed: UInt64) throws {
            members = try [Member(manual), Member(manual), Member(manual)]
            random = SeededRandom(seed: seed)
        }

        var milliseconds: UInt64 { manual.now / 1_000_000 }

        mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &random) }

        /// A member becomes leader; what no member has applied may be lost.
        mutating func elect() {
            let applied = members.map { Int($0.state.applied.index) }.max()!
            let lost = below(3) == 0 ? below(log.count - applied + 1) : 0
            log.removeLast(lost)
            leader = below(3)
            term += 1
            log.append(Entry(term: term, record: nil, appended: milliseconds))
        }

        mutating func append(_ record: [UInt8]) {
            guard let leader else { return mail.append(record) }
            var command = [CommandRoom.lease.rawValue] + record
            command.withUnsafeMutableBytes { members[leader].clock.stamp($0, leading: Term(term)) }
            log.append(Entry(term: term, record: Array(command[1...]), appended: milliseconds))
        }

        /// Applies up to `count` entries on one member; the first to apply an entry is looked at.
        mutating func apply(_ number: Int, count: Int) throws {
            let member = members[number]
            let end = min(log.count, Int(member.state.applied.index) + min(count, log.count))
            while Int(member.state.applied.index) < end {
                let entry = log[Int(member.state.applied.index)]
                let position = LogPosition(index: member.state.applied.index + 1, term: entry.term)
                guard let record = entry.record else {
                    try member.state.noteApplied(position)
                    member.clock.applied(member.state.leaseClock, in: Term(entry.term))
                    continue
                }
                let before = Set(renewed.keys.filter { member.state.lease($0) != nil })
                let command = try record.withUnsafeBytes { try LeaseCommandCodec.decode($0).command }
                let outcome = try record.withUnsafeBytes { try member.state.apply(leaseRecord: $0, at: position) }
                member.clock.applied(member.state.leaseClock, in: Term(entry.term))
                switch outcome.result {
                case .granted(let lease): member.lessor.granted(lease)
                case .expired(let ends): member.lessor.expired(ends, in: member.state)
                default: break
                }
                guard Int(position.index) > observed else { continue }
                observed = Int(position.index)
                observe(command, outcome, entry, ended: before.filter { member.state.lease($0) == nil })
            }
        }

        mutating func observe(
            _ command: LeaseCommand, _ outcome: LeaseOutcome, _ entry: Entry, ended gone: Set<LeaseID>
        ) {
            for id in gone {
                ended += 1
                let last = renewed.removeValue(forKey: id)!
                #expect(
                    entry.appended >= last.at + UInt64(last.ttl) * 1_000,
                    "lease \(id.rawValue) of \(last.ttl) s ended \(entry.appended - last.at) ms after its renewal")
            }
            switch (command, outcome.result) {
            case (_, .granted(let lease)): renewed[lease.id] = (entry.appended, lease.ttl)
            case (.renew(let ids), .renewed(let ttls)):
                for (id, ttl) in zip(ids, ttls) where ttl > 0 { renewed[id] = (entry.appended, ttl) }
            default: break
            }
        }

        /// What a keep-alive may be answered without a place in the log, as the server's renewals do it.
        mutating func renewShort(_ id: LeaseID) {
            guard let leader, Int(members[leader].state.applied.index) == log.count,
                let lease = members[leader].state.lease(id),
                let time = members[leader].clock.time(leading: Term(term)),
                time.advanced(seconds: lease.ttl).milliseconds(since: lease.deadline) <= LeaseSlack.milliseconds
            else { return }
            renewed[id] = (milliseconds, lease.ttl)
        }

        mutating func look() {
            for number in members.indices {
                let member = members[number]
                let own = number == leader ? Term(term) : nil
                let commands = member.lessor.look(
                    leading: own, time: own.flatMap { member.clock.time(leading: $0) }, state: member.state,
                    now: manual.now)
                for command in commands {
                    let record = LeaseCommandCodec.encode(command)
                    // Some are on their way while the leader changes.
                    if below(4) == 0 { mail.append(record) } else { append(record) }
                }
            }
        }

        mutating func step(isCalm: Bool) throws {
            manual.advance(milliseconds: UInt64(!isCalm && below(60) == 0 ? below(8_000) : 20 + below(100)))
            if !isCalm, below(40) == 0 { leader = nil }
            if leader == nil, isCalm || below(8) == 0 { elect() }
            if !isCalm {
                let id = LeaseID(Int64(1 + below(6)))
                switch below(10) {
                case 0: append(LeaseCommandCodec.encode(.grant(id, ttl: Int64(1 + below(6)))))
                case 1, 2: append(LeaseCommandCodec.encode(.renew([id, LeaseID(Int64(1 + below(6)))])))
                case 3: renewShort(id)
                default: break
                }
            }
            for number in members.indices where isCalm || below(3) > 0 {
                try apply(number, count: isCalm ? .max : below(6))
            }
            look()
            if below(3) == 0, !mail.isEmpty, leader != nil { append(mail.removeFirst()) }
        }
    }

    @Test(arguments: 0..<8) func `no lease ends early, and in calm all end`(part: UInt64) throws {
        var ended = 0
        for seed in part * 25..<(part + 1) * 25 {
            var play = try Play(seed: seed)
            for _ in 0..<1_500 { try play.step(isCalm: false) }
            // The longest TTL, the slack, a settling after a pause, ends that are tried again.
            let calm = play.milliseconds
            while play.milliseconds < calm + 6_000 + 500 + 1_000 + 3_000 + 1_500 { try play.step(isCalm: true) }
            #expect(play.renewed.isEmpty, "seed \(seed): \(play.renewed.count) leases live on")
            #expect(Set(play.members.map { $0.state.leaseCount }) == [0])
            ended += play.ended
        }
        #expect(ended > 500)
    }
}
