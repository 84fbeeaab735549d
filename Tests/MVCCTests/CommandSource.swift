@testable import MVCC
import TestSupport

/// Commands and queries over few keys, so that they meet. The keys are those that an encoding could confuse.
struct CommandSource {
    var random: SeededRandom
    /// Around which revisions to ask.
    var revision: Int64 = 1

    static let keys: [[UInt8]] = [
        [0], [0, 0], [0, 1], [0, 255], [1], Array("a".utf8), Array("a\0".utf8), Array("a\0\0".utf8), [97, 0, 1],
        [97, 0, 255], [97, 1], [97, 255], Array("ab".utf8), Array("b".utf8), [255], [255, 0], [255, 255],
        Array(repeating: 98, count: 40), Array("b".utf8) + Array(repeating: 0, count: 20),
    ]

    /// How many of the puts, of a hundred, name a lease.
    var leasePercent = 2

    /// Few keys get long histories, many get wide ranges.
    private let keys: [[UInt8]]

    init(seed: UInt64) {
        random = SeededRandom(seed: seed)
        keys = Array(Self.keys.shuffled(using: &random).prefix(random.pick([2, 5, 10, 19])))
    }

    mutating func key() -> [UInt8] { random.pick(keys) }

    mutating func range() -> KeyRange {
        let key = key()
        switch random.int(0...9) {
        case 0...3: return KeyRange(key: key)
        case 4...6: return KeyRange(key: key, rangeEnd: self.key())
        case 7:
            // A prefix.
            var end = key
            while let last = end.last, last == 255 { end.removeLast() }
            guard let last = end.last else { return KeyRange(key: key, rangeEnd: [0]) }
            end[end.count - 1] = last + 1
            return KeyRange(key: key, rangeEnd: end)
        case 8: return KeyRange(key: key, end: .fromKey)
        default: return KeyRange(key: [0], rangeEnd: [0])
        }
    }

    mutating func value() -> [UInt8] {
        (0..<random.pick([0, 1, 1, 2, 2, 3, 200])).map { _ in random.pick([0, 65, 66, 255]) }
    }

    mutating func nearRevision() -> Revision {
        Revision(Int64(random.int(-1...Int(revision) + 2)))
    }

    mutating func query() -> RangeQuery {
        var query = RangeQuery(range())
        if random.chance(40) { query.limit = Int64(random.pick([-1, 1, 1, 2, 3, 5, 40])) }
        if random.chance(50) { query.revision = nearRevision() }
        if random.chance(40) {
            query.sortOrder = random.pick([.none, .ascending, .descending])
            query.sortTarget = random.pick([.key, .version, .createRevision, .modRevision, .value])
        }
        if random.chance(1) { query.sortOrder = .unrecognized }
        if random.chance(1) { query.sortTarget = .unrecognized }
        query.keysOnly = random.chance(20)
        query.countOnly = random.chance(10)
        query.isSerializable = random.chance(50)
        if random.chance(10) { query.minModRevision = nearRevision() }
        if random.chance(10) { query.maxModRevision = nearRevision() }
        if random.chance(10) { query.minCreateRevision = nearRevision() }
        if random.chance(10) { query.maxCreateRevision = nearRevision() }
        return query
    }

    mutating func put() -> PutOperation {
        var put = PutOperation(key: key(), value: value(), prevKV: random.chance(30))
        if random.chance(10) {
            put.ignoreValue = true
            put.value = []
        }
        put.ignoreLease = random.chance(10)
        if random.chance(leasePercent) { put.lease = leaseID() }
        return put
    }

    mutating func leaseID() -> LeaseID { LeaseID(Int64(random.int(-3...3))) }

    mutating func delete() -> DeleteOperation { DeleteOperation(range(), prevKV: random.chance(30)) }

    mutating func comparison() -> Comparison {
        let number = Int64(random.int(0...4))
        let operand: Comparison.Operand =
            switch random.int(0...5) {
            case 0: .version(number)
            case 1: .createRevision(nearRevision().rawValue)
            case 2: .modRevision(nearRevision().rawValue)
            case 3: .value(value())
            case 4: .lease(Int64(random.int(-1...1)))
            default: random.chance(10) ? .unrecognized : .version(0)
            }
        let relation: Comparison.Relation =
            random.chance(3) ? .unrecognized : random.pick([.equal, .greater, .less, .notEqual])
        return Comparison(random.chance(70) ? KeyRange(key: key()) : range(), relation, operand)
    }

    mutating func transaction(depth: Int = 0) -> Transaction {
        Transaction(
            comparisons: (0..<random.pick([0, 0, 1, 1, 2])).map { _ in comparison() },
            success: (0..<random.int(0...3)).map { _ in operation(depth: depth) },
            failure: (0..<random.int(0...3)).map { _ in operation(depth: depth) })
    }

    /// One that the server lets through, and that mostly attaches something to the lease.
    mutating func validTransaction(leasing lease: LeaseID) -> Transaction {
        while true {
            var transaction = transaction()
            if random.chance(80) {
                transaction.success.append(.put(PutOperation(key: key(), value: value(), lease: lease)))
            }
            do {
                try transaction.validate()
                return transaction
            } catch {
                continue
            }
        }
    }

    mutating func operation(depth: Int) -> Operation {
        switch random.int(0...9) {
        case 0...3: return .put(put())
        case 4, 5: return .delete(delete())
        case 6, 7:
            var query = query()
            // Mostly one that does not fail the whole transaction.
            if random.chance(80) { query.revision = .latest }
            return .range(query)
        case 8 where depth < 3: return .transaction(transaction(depth: depth + 1))
        default: return random.chance(5) ? .empty : .put(put())
        }
    }

    /// - Parameter leases: those that there are, and their deadlines.
    mutating func leaseCommand(leases: [LeaseEnd], term: UInt64) -> LeaseCommand {
        switch random.int(0...9) {
        case 0...3:
            let id = leaseID()
            return id == .none ? .tick : .grant(id, ttl: Int64(random.int(1...9)))
        case 4: return .revoke(leaseID())
        case 5:
            let id = leaseID()
            return id == .none ? .tick : .grantWith(id, ttl: Int64(random.int(1...9)), validTransaction(leasing: id))
        case 6, 7: return .renew((0..<random.int(0...4)).map { _ in leaseID() })
        default:
            var ends = leases.filter { _ in random.chance(40) }
            // Some were renewed since their end was proposed, and some ends are another leader's.
            for place in ends.indices where random.chance(20) {
                ends[place].deadline = LeaseTime(UInt64(random.int(0...9_000)))
            }
            if random.chance(10) { ends.append(LeaseEnd(leaseID(), deadline: .zero)) }
            return .expire(ends, term: random.chance(90) ? term : term + 1)
        }
    }

    mutating func command() -> Command {
        switch random.int(0...99) {
        case 0...49: .put(put())
        case 50...69: .delete(delete())
        case 70...94: .transaction(transaction())
        default: .compact(Compaction(revision: nearRevision(), physical: random.chance(50)))
        }
    }
}
