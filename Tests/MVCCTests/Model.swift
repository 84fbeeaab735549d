@testable import MVCC

/// What the state should do, written down once more in the plainest way: the whole history in one array, every answer a
/// filter over it.
struct Model {
    struct Version: Equatable {
        var pair: KeyValue
        var number: Int
        var isDeletion: Bool
    }

    var history: [Version] = []
    var revision: Int64 = 1
    var compactRevision: Int64 = -1
    var leases: [LeaseID: Lease] = [:]
    var leaseClock: UInt64 = 0

    // MARK: Reading

    func live(at revision: Int64) -> [KeyValue] {
        var newest: [[UInt8]: Version] = [:]
        for version in history where version.pair.modRevision.rawValue <= revision {
            newest[version.pair.key] = version
        }
        return newest.values.filter { !$0.isDeletion }.map(\.pair)
            .sorted { $0.key.lexicographicallyPrecedes($1.key) }
    }

    static func contains(_ range: KeyRange, _ key: [UInt8]) -> Bool {
        switch range.end {
        case .single: return key == range.key
        case .upTo(let end):
            return !key.lexicographicallyPrecedes(range.key) && key.lexicographicallyPrecedes(end)
        case .fromKey: return !key.lexicographicallyPrecedes(range.key)
        }
    }

    func range(_ query: RangeQuery, current: Int64, compact: Int64) -> Result<RangeAnswer, RequestError> {
        if query.sortOrder == .unrecognized || query.sortTarget == .unrecognized { return .failure(.invalidSortOption) }
        var at = query.revision.rawValue
        if at > current { return .failure(.futureRevision) }
        if at <= 0 { at = current }
        if at < compact { return .failure(.compacted) }
        var pairs = live(at: at).filter { Self.contains(query.range, $0.key) }
        let count = Int64(pairs.count)
        if query.countOnly {
            return .success(RangeAnswer(revision: Revision(current), keyValues: [], more: false, count: count))
        }
        let isFiltered =
            query.minModRevision.rawValue != 0 || query.maxModRevision.rawValue != 0
            || query.minCreateRevision.rawValue != 0 || query.maxCreateRevision.rawValue != 0
        // "with any sort or min/max filter it reads everything first", where a target alone is no sort.
        if query.limit > 0, query.sortOrder == .none, !isFiltered { pairs = Array(pairs.prefix(Int(query.limit) + 1)) }
        if query.minModRevision.rawValue != 0 { pairs.removeAll { $0.modRevision < query.minModRevision } }
        if query.maxModRevision.rawValue != 0 { pairs.removeAll { $0.modRevision > query.maxModRevision } }
        if query.minCreateRevision.rawValue != 0 { pairs.removeAll { $0.createRevision < query.minCreateRevision } }
        if query.maxCreateRevision.rawValue != 0 { pairs.removeAll { $0.createRevision > query.maxCreateRevision } }
        if query.sortOrder != .none || query.sortTarget != .key {
            func isLess(_ a: KeyValue, _ b: KeyValue) -> Bool {
                switch query.sortTarget {
                case .key, .unrecognized: a.key.lexicographicallyPrecedes(b.key)
                case .version: a.version < b.version
                case .createRevision: a.createRevision < b.createRevision
                case .modRevision: a.modRevision < b.modRevision
                case .value: a.value.lexicographicallyPrecedes(b.value)
                }
            }
            // An insertion sort is stable.
            var sorted: [KeyValue] = []
            for pair in pairs {
                var place = sorted.count
                while place > 0,
                    query.sortOrder == .descending ? isLess(sorted[place - 1], pair) : isLess(pair, sorted[place - 1])
                { place -= 1 }
                sorted.insert(pair, at: place)
            }
            pairs = sorted
        }
        var more = false
        if query.limit > 0, pairs.count > Int(query.limit) {
            pairs = Array(pairs.prefix(Int(query.limit)))
            more = true
        }
        if query.keysOnly { for place in pairs.indices { pairs[place].value = [] } }
        return .success(RangeAnswer(revision: Revision(current), keyValues: pairs, more: more, count: count))
    }

    // MARK: Writing

    mutating func apply(_ command: Command) -> Outcome {
        let begin = revision
        let firstNew = history.count
        let result: Outcome.Result
        switch command {
        case .put(let put):
            if put.lease != .none, leases[put.lease] == nil {
                result = .failed(.leaseNotFound)
            } else if let answer = self.put(put, begin: begin, firstNew: firstNew) {
                result = .put(answer)
            } else {
                result = .failed(.keyNotFound)
            }
        case .delete(let delete): result = .delete(self.delete(delete, begin: begin, firstNew: firstNew))
        case .transaction(let transaction):
            let before = self
            let plan = Plan(transaction, before)
            if let error = plan.firstError(before) {
                result = .failed(error)
            } else {
                var answer = execute(plan, begin: begin, firstNew: firstNew)
                answer.revision = Revision(history.count > firstNew ? begin + 1 : begin)
                result = .transaction(answer)
            }
        case .compact(let compaction):
            if compaction.revision.rawValue <= compactRevision {
                result = .failed(.compacted)
            } else if compaction.revision.rawValue > revision {
                result = .failed(.futureRevision)
            } else {
                compactRevision = compaction.revision.rawValue
                result = .compacted
            }
        }
        if history.count > firstNew { revision = begin + 1 }
        return Outcome(result, revision: Revision(revision))
    }

    // MARK: Leases

    mutating func apply(_ command: LeaseCommand, stamped time: UInt64, term: UInt64) -> LeaseOutcome {
        leaseClock = max(leaseClock, time)
        let result: LeaseOutcome.Result
        switch command {
        case .grant(let id, let ttl):
            if leases[id] != nil {
                result = .failed(.leaseExists)
            } else {
                let lease = Lease(id: id, ttl: ttl, deadline: LeaseTime(leaseClock + UInt64(ttl) * 1000))
                leases[id] = lease
                result = .granted(lease)
            }
        case .revoke(let id):
            if leases[id] == nil {
                result = .failed(.leaseNotFound)
            } else {
                end(id)
                result = .revoked
            }
        case .renew(let ids):
            for id in ids {
                guard let lease = leases[id] else { continue }
                leases[id]!.deadline = LeaseTime(
                    max(lease.deadline.rawValue, leaseClock + UInt64(lease.ttl) * 1000))
            }
            result = .renewed(ids.map { leases[$0]?.ttl ?? 0 })
        case .expire(let ends, let proposersTerm):
            if proposersTerm == term {
                for gone in ends where leases[gone.id]?.deadline == gone.deadline { end(gone.id) }
            }
            result = .expired(ends)
        case .tick: result = .ticked
        case .grantWith(let id, let ttl, let transaction):
            if leases[id] != nil {
                result = .failed(.leaseExists)
            } else {
                let lease = Lease(id: id, ttl: ttl, deadline: LeaseTime(leaseClock + UInt64(ttl) * 1000))
                leases[id] = lease
                let outcome = apply(.transaction(transaction))
                let isUsed = !keys(of: id).isEmpty
                if !isUsed { leases[id] = nil }
                switch outcome.result {
                case .transaction(let answer): result = .grantedWith(isUsed ? lease : nil, answer)
                case .failed(let error): result = .failed(error)
                default: preconditionFailure("a transaction came to \(outcome.result)")
                }
            }
        }
        return LeaseOutcome(result, revision: Revision(revision))
    }

    /// What is attached is what the newest versions say: there is no other list here.
    func keys(of id: LeaseID) -> [[UInt8]] { live(at: .max).filter { $0.lease == id }.map(\.key) }

    private mutating func end(_ id: LeaseID) {
        let (begin, firstNew) = (revision, history.count)
        for key in keys(of: id) {
            _ = delete(DeleteOperation(KeyRange(key: key)), begin: begin, firstNew: firstNew)
        }
        if history.count > firstNew { revision = begin + 1 }
        leases[id] = nil
    }

    private mutating func put(_ put: PutOperation, begin: Int64, firstNew: Int) -> PutAnswer? {
        let old = live(at: .max).first { $0.key == put.key }
        if old == nil, put.ignoreValue || put.ignoreLease { return nil }
        let pair = KeyValue(
            key: put.key, createRevision: old?.createRevision ?? Revision(begin + 1), modRevision: Revision(begin + 1),
            version: (old?.version ?? 0) + 1, value: put.ignoreValue ? old!.value : put.value,
            lease: put.ignoreLease ? old!.lease : put.lease)
        history.append(Version(pair: pair, number: history.count - firstNew, isDeletion: false))
        return PutAnswer(revision: Revision(begin + 1), previous: put.prevKV ? old : nil)
    }

    private mutating func delete(_ delete: DeleteOperation, begin: Int64, firstNew: Int) -> DeleteAnswer {
        let gone = live(at: .max).filter { Self.contains(delete.range, $0.key) }
        for pair in gone {
            let tombstone = KeyValue(
                key: pair.key, createRevision: Revision(0), modRevision: Revision(begin + 1), version: 0, value: [],
                lease: .none)
            history.append(Version(pair: tombstone, number: history.count - firstNew, isDeletion: true))
        }
        return DeleteAnswer(
            revision: Revision(history.count > firstNew ? begin + 1 : begin), deleted: Int64(gone.count),
            previous: delete.prevKV ? gone : [])
    }

    // MARK: Transactions

    /// A transaction with its branches chosen, all on the state before it.
    struct Plan {
        indirect enum Step {
            case operation(Operation)
            case nested(Plan)
        }
        var succeeded: Bool
        var steps: [Step]

        init(_ transaction: Transaction, _ before: Model) {
            let succeeded = transaction.comparisons.allSatisfy { comparison in
                let pairs = before.live(at: .max).filter { Model.contains(comparison.range, $0.key) }
                if pairs.isEmpty {
                    if case .value = comparison.operand { return false }
                    let nothing = KeyValue(
                        key: [], createRevision: Revision(0), modRevision: Revision(0), version: 0, value: [],
                        lease: .none)
                    return Self.holds(comparison, nothing)
                }
                return pairs.allSatisfy { Self.holds(comparison, $0) }
            }
            self.succeeded = succeeded
            steps = (succeeded ? transaction.success : transaction.failure).map { operation in
                if case .transaction(let nested) = operation { return .nested(Plan(nested, before)) }
                return .operation(operation)
            }
        }

        private static func holds(_ comparison: Comparison, _ pair: KeyValue) -> Bool {
            func relate<T>(_ a: T, _ b: T, _ isLess: (T, T) -> Bool) -> Bool {
                switch comparison.relation {
                case .equal: !isLess(a, b) && !isLess(b, a)
                case .notEqual: isLess(a, b) || isLess(b, a)
                case .greater: isLess(b, a)
                case .less: isLess(a, b)
                case .unrecognized: true
                }
            }
            switch comparison.operand {
            case .version(let number): return relate(pair.version, number, <)
            case .createRevision(let number): return relate(pair.createRevision.rawValue, number, <)
            case .modRevision(let number): return relate(pair.modRevision.rawValue, number, <)
            case .lease(let number): return relate(pair.lease.rawValue, number, <)
            case .value(let value): return relate(pair.value, value) { $0.lexicographicallyPrecedes($1) }
            case .unrecognized: return relate(0, 0, <)
            }
        }

        /// The operations on the chosen branches, in order.
        var operations: [Operation] {
            steps.flatMap { step in
                switch step {
                case .operation(let operation): [operation]
                case .nested(let plan): plan.operations
                }
            }
        }

        func firstError(_ before: Model) -> RequestError? {
            var deleted: [KeyRange] = []
            for operation in operations {
                switch operation {
                case .range(let query):
                    if query.sortOrder == .unrecognized || query.sortTarget == .unrecognized {
                        return .invalidSortOption
                    }
                    let asked = query.revision.rawValue
                    if asked > before.revision { return .futureRevision }
                    if asked != 0, asked < before.compactRevision { return .compacted }
                case .put(let put):
                    if put.lease != .none, before.leases[put.lease] == nil { return .leaseNotFound }
                    if put.ignoreValue || put.ignoreLease {
                        let isThere = before.live(at: .max).contains { $0.key == put.key }
                        if !isThere || deleted.contains(where: { Model.contains($0, put.key) }) { return .keyNotFound }
                    }
                case .delete(let delete): deleted.append(delete.range)
                case .transaction, .empty: break
                }
            }
            return nil
        }
    }

    private mutating func execute(_ plan: Plan, begin: Int64, firstNew: Int) -> TransactionAnswer {
        var answers: [OperationAnswer] = []
        for step in plan.steps {
            switch step {
            case .nested(let nested):
                answers.append(.transaction(execute(nested, begin: begin, firstNew: firstNew)))
            case .operation(.put(let put)):
                answers.append(.put(self.put(put, begin: begin, firstNew: firstNew)!))
            case .operation(.delete(let delete)):
                answers.append(.delete(self.delete(delete, begin: begin, firstNew: firstNew)))
            case .operation(.range(let query)):
                let current = history.count > firstNew ? begin + 1 : begin
                guard case .success(let answer) = range(query, current: current, compact: compactRevision) else {
                    fatalError("the model found no error before")
                }
                answers.append(.range(answer))
            case .operation: answers.append(.empty)
            }
        }
        return TransactionAnswer(revision: nil, succeeded: plan.succeeded, answers: answers)
    }

    // MARK: What a finished compaction leaves

    var rowsAfterCompaction: Int {
        history.indices.filter { place in
            let version = history[place]
            let mod = version.pair.modRevision.rawValue
            if mod >= compactRevision { return true }
            if version.isDeletion { return false }
            return !history[(place + 1)...].contains {
                $0.pair.key == version.pair.key && $0.pair.modRevision.rawValue <= compactRevision
            }
        }.count
    }
}
