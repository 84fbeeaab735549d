import MVCC
import RaftCore
import Replica

/// What the log makes of keys and leases, as somebody would write it down who has read what etcd promises and nothing
/// of the store: dictionaries of everything that ever was. It is told each entry once, when the first member applies
/// it; every member's outcome of that entry, its leases and its keys are compared with it, and so is what those who
/// watch were told.
///
/// It knows what the workloads ask for, and says so where it is asked for more.
package struct StoreModel {
    /// A change, and the pair before it, compacted or not.
    struct Event {
        var kind: Change.Kind
        var keyValue: KeyValue
        var previous: KeyValue?
        var revision: Int64 { keyValue.modRevision.rawValue }
    }

    /// How a lease ended.
    enum End { case expired, revoked }

    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    private(set) var revision: Int64 = 1
    private(set) var compactRevision: Int64 = -1
    /// All that has happened, in order.
    private(set) var events: [Event] = []
    /// By key, ascending: each revision that changed it, and what it then was; nil: deleted.
    private var versions: [[UInt8]: [(revision: Int64, pair: KeyValue?)]] = [:]
    private(set) var leases: [LeaseID: Lease] = [:]
    private(set) var leaseClock = LeaseTime.zero
    /// The leases that the newest command ended.
    private(set) var ended: [(id: LeaseID, how: End)] = []

    // MARK: Commands

    /// - Parameter command: with the byte that says whom it is for.
    /// - Returns: what every member has to make of it; nil: it is not about keys or leases.
    mutating func apply(_ command: [UInt8], term: UInt64) throws -> ReplicaResult? {
        ended = []
        guard let first = command.first else { return nil }
        let body = command.dropFirst()
        switch CommandRoom(rawValue: first) {
        case .keyValue:
            let decoded = try body.withUnsafeBytes { try CommandCodec.decode($0) }
            let result = try apply(decoded)
            return .keyValue(Outcome(result, revision: Revision(revision)))
        case .lease:
            let (decoded, time) = try body.withUnsafeBytes { try LeaseCommandCodec.decode($0) }
            leaseClock = max(leaseClock, time)
            let result = try apply(decoded, term: term)
            return .lease(LeaseOutcome(result, revision: Revision(revision)))
        // No play raises an alarm yet: under one, other commands would be refused.
        case .memberAttributes, .alarm, nil: return nil
        }
    }

    private mutating func apply(_ command: Command) throws -> Outcome.Result {
        let begin = revision
        switch command {
        case .put(let put):
            if put.lease != .none, leases[put.lease] == nil { return .failed(.leaseNotFound) }
            if put.ignoreValue || put.ignoreLease, newest(put.key) == nil { return .failed(.keyNotFound) }
            return .put(write(put, at: begin + 1))
        case .delete(let delete): return .delete(erase(delete, at: begin + 1))
        case .transaction(let transaction):
            let operations = transaction.comparisons.allSatisfy(holds) ? transaction.success : transaction.failure
            if let error = try refusal(of: operations) { return .failed(error) }
            let succeeded = transaction.comparisons.allSatisfy(holds)
            let answers = operations.map { execute($0, at: begin + 1) }
            return .transaction(
                TransactionAnswer(revision: Revision(revision), succeeded: succeeded, answers: answers))
        case .compact(let compaction):
            if compaction.revision.rawValue <= compactRevision { return .failed(.compacted) }
            if compaction.revision.rawValue > revision { return .failed(.futureRevision) }
            compactRevision = compaction.revision.rawValue
            return .compacted
        }
    }

    private mutating func apply(_ command: LeaseCommand, term: UInt64) throws -> LeaseOutcome.Result {
        switch command {
        case .grant(let id, let ttl):
            guard leases[id] == nil else { return .failed(.leaseExists) }
            let lease = Lease(id: id, ttl: ttl, deadline: leaseClock.advanced(seconds: ttl))
            leases[id] = lease
            return .granted(lease)
        case .revoke(let id):
            guard leases[id] != nil else { return .failed(.leaseNotFound) }
            end(id, .revoked)
            return .revoked
        case .renew(let ids):
            return .renewed(
                ids.map { id in
                    guard var lease = leases[id] else { return 0 }
                    lease.deadline = max(lease.deadline, leaseClock.advanced(seconds: lease.ttl))
                    leases[id] = lease
                    return lease.ttl
                })
        case .expire(let ends, let ofTerm):
            for end in ends where ofTerm == term && leases[end.id]?.deadline == end.deadline {
                self.end(end.id, .expired)
            }
            return .expired(ends)
        case .tick: return .ticked
        case .grantWith(let id, let ttl, let transaction):
            guard leases[id] == nil else { return .failed(.leaseExists) }
            let lease = Lease(id: id, ttl: ttl, deadline: leaseClock.advanced(seconds: ttl))
            leases[id] = lease
            let result = try apply(.transaction(transaction))
            let isUsed = !keys(of: id).isEmpty
            if !isUsed { leases[id] = nil }
            switch result {
            case .transaction(let answer): return .grantedWith(isUsed ? lease : nil, answer)
            case .failed(let error): return .failed(error)
            default: throw Failure(description: "a transaction came to \(result)")
            }
        }
    }

    /// All keys of the lease go at one revision, in their order (L5).
    private mutating func end(_ id: LeaseID, _ how: End) {
        let next = revision + 1
        for key in keys(of: id) { erase(key, at: next) }
        leases[id] = nil
        ended.append((id, how))
    }

    // MARK: Operations

    private func holds(_ comparison: Comparison) -> Bool {
        let pairs = self.pairs(in: comparison.range, at: revision)
        func holds(_ pair: KeyValue?) -> Bool {
            func number(_ a: Int64?, _ b: Int64) -> Bool {
                switch comparison.relation {
                case .equal: a ?? 0 == b
                case .greater: a ?? 0 > b
                case .less: a ?? 0 < b
                case .notEqual: a ?? 0 != b
                case .unrecognized: true
                }
            }
            switch comparison.operand {
            case .version(let b): return number(pair?.version, b)
            case .createRevision(let b): return number(pair?.createRevision.rawValue, b)
            case .modRevision(let b): return number(pair?.modRevision.rawValue, b)
            case .lease(let b): return number(pair?.lease.rawValue, b)
            case .value(let bytes):
                guard let pair else { return false }
                switch comparison.relation {
                case .equal: return pair.value == bytes
                case .greater: return precedes(bytes, pair.value)
                case .less: return precedes(pair.value, bytes)
                case .notEqual: return pair.value != bytes
                case .unrecognized: return true
                }
            case .unrecognized: return number(0, 0)
            }
        }
        return pairs.isEmpty ? holds(nil) : pairs.allSatisfy { holds($0) }
    }

    /// What is wrong with a transaction is found before anything of it is done.
    private func refusal(of operations: [Operation]) throws -> RequestError? {
        for operation in operations {
            switch operation {
            case .range(let query):
                let asked = query.revision.rawValue
                if asked == 0 { continue }
                if asked > revision { return .futureRevision }
                if asked < compactRevision { return .compacted }
            case .put(let put):
                if put.lease != .none, leases[put.lease] == nil { return .leaseNotFound }
                if put.ignoreValue || put.ignoreLease, newest(put.key) == nil { return .keyNotFound }
            case .delete: break
            case .transaction, .empty: throw Failure(description: "the model has no \(operation)")
            }
        }
        return nil
    }

    private mutating func execute(_ operation: Operation, at next: Int64) -> OperationAnswer {
        switch operation {
        case .range(let query):
            let pairs = pairs(in: query.range, at: query.revision.rawValue > 0 ? query.revision.rawValue : revision)
            return .range(RangeAnswer(revision: Revision(revision), keyValues: pairs, count: Int64(pairs.count)))
        case .put(let put): return .put(write(put, at: next))
        case .delete(let delete): return .delete(erase(delete, at: next))
        case .transaction, .empty: return .empty
        }
    }

    private mutating func write(_ put: PutOperation, at next: Int64) -> PutAnswer {
        let previous = newest(put.key)
        let pair = KeyValue(
            key: put.key, createRevision: previous?.createRevision ?? Revision(next), modRevision: Revision(next),
            version: (previous?.version ?? 0) + 1, value: put.ignoreValue ? previous?.value ?? [] : put.value,
            lease: put.ignoreLease ? previous?.lease ?? .none : put.lease)
        versions[put.key, default: []].append((next, pair))
        events.append(Event(kind: .put, keyValue: pair, previous: previous))
        revision = next
        return PutAnswer(revision: Revision(next), previous: put.prevKV ? previous : nil)
    }

    private mutating func erase(_ delete: DeleteOperation, at next: Int64) -> DeleteAnswer {
        let pairs = pairs(in: delete.range, at: .max)
        for pair in pairs { erase(pair.key, at: next) }
        return DeleteAnswer(
            revision: Revision(revision), deleted: Int64(pairs.count), previous: delete.prevKV ? pairs : [])
    }

    private mutating func erase(_ key: [UInt8], at next: Int64) {
        let previous = newest(key)
        versions[key, default: []].append((next, nil))
        let gone = KeyValue(
            key: key, createRevision: Revision(0), modRevision: Revision(next), version: 0, value: [], lease: .none)
        events.append(Event(kind: .delete, keyValue: gone, previous: previous))
        revision = next
    }

    // MARK: What there is

    private func newest(_ key: [UInt8]) -> KeyValue? { versions[key]?.last?.pair }

    /// The pairs as they were at a revision, by their keys.
    func pairs(in range: KeyRange, at revision: Int64) -> [KeyValue] {
        var found: [KeyValue] = []
        if case .single = range.end {
            if let pair = versions[range.key]?.last(where: { $0.revision <= revision })?.pair { found.append(pair) }
            return found
        }
        for (key, list) in versions where range.contains(key) {
            if let pair = list.last(where: { $0.revision <= revision })?.pair { found.append(pair) }
        }
        return found.sorted { precedes($0.key, $1.key) }
    }

    /// All that there is now.
    var pairs: [KeyValue] { pairs(in: KeyRange(key: [0], end: .fromKey), at: .max) }

    /// The keys that are attached to a lease, in their order.
    func keys(of id: LeaseID) -> [[UInt8]] {
        versions.values.compactMap { $0.last?.pair }.filter { $0.lease == id }.map(\.key).sorted { precedes($0, $1) }
    }

    var leasesByID: [Lease] { leases.values.sorted { $0.id < $1.id } }
}
