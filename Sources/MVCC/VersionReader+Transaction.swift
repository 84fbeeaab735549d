/// What a transaction does before it changes anything: etcd decides all branches first, on the state before the
/// transaction, then checks the operations on the branches taken, and only then executes them.
extension VersionReader {
    /// Which branch is taken by the transaction and by each nested one on the way, in the order in which they are met.
    /// A nested transaction compares with the state before the outermost one.
    func path(of transaction: Transaction, into path: inout [Bool]) throws(StateError) {
        var holds = true
        for comparison in transaction.comparisons {
            guard try self.holds(comparison) else {
                holds = false
                break
            }
        }
        path.append(holds)
        for case .transaction(let nested) in holds ? transaction.success : transaction.failure {
            try self.path(of: nested, into: &path)
        }
    }

    private func holds(_ comparison: Comparison) throws(StateError) -> Bool {
        var found = false
        var holds = true
        try scan(comparison.range, at: revision) { row throws(StateError) in
            found = true
            holds = try comparison.holds(row)
            return holds
        }
        return found ? holds : comparison.holdsWithoutKey
    }

    /// What would fail on the branches taken, found before anything is changed. `isKnownLease` says whether a lease
    /// exists.
    func check(
        _ transaction: Transaction, path: TransactionPath, isKnownLease: (LeaseID) -> Bool
    ) throws(ReadError) {
        var path = path
        var cleared: [KeyRange] = []
        try check(transaction, path: &path, cleared: &cleared, isKnownLease: isKnownLease)
    }

    private func check(
        _ transaction: Transaction, path: inout TransactionPath, cleared: inout [KeyRange],
        isKnownLease: (LeaseID) -> Bool
    ) throws(ReadError) {
        for operation in path.next() ? transaction.success : transaction.failure {
            switch operation {
            case .range(let query): try check(query)
            case .put(let put):
                if put.lease != .none, !isKnownLease(put.lease) { throw .request(.leaseNotFound) }
                guard put.ignoreValue || put.ignoreLease else { continue }
                // A delete without an end may come before a put of the same transaction (see `Transaction.validate`).
                // etcd panics where such a put keeps what is no longer there; here it does not find its key.
                if cleared.contains(where: { $0.contains(put.key) }) { throw .request(.keyNotFound) }
                guard try exists(put.key) else { throw .request(.keyNotFound) }
            case .delete(let delete): cleared.append(delete.range)
            case .transaction(let nested):
                try check(nested, path: &path, cleared: &cleared, isKnownLease: isKnownLease)
            case .empty: break
            }
        }
    }

    private func exists(_ key: [UInt8]) throws(ReadError) -> Bool {
        do throws(StateError) {
            return try unsafe withBytes(key) { key throws(StateError) in try unsafe find(key, at: revision) != nil }
        } catch {
            throw .state(error)
        }
    }

    private func check(_ query: RangeQuery) throws(ReadError) {
        if query.sortOrder == .unrecognized || query.sortTarget == .unrecognized {
            throw .request(.invalidSortOption)
        }
        let asked = query.revision.rawValue
        if asked == 0 { return }
        if asked > revision { throw .request(.futureRevision) }
        // Unlike a range on its own, a negative revision is not the newest here (as in etcd).
        if asked < compactRevision { throw .request(.compacted) }
    }

    /// Runs a transaction of reads, its branches decided and checked.
    func evaluate(
        _ transaction: Transaction, path: inout TransactionPath, isOutermost: Bool = true
    ) throws(ReadError) -> TransactionAnswer {
        let succeeded = path.next()
        var answers: [OperationAnswer] = []
        for operation in succeeded ? transaction.success : transaction.failure {
            switch operation {
            case .range(let query): answers.append(.range(try range(query)))
            case .transaction(let nested):
                answers.append(.transaction(try evaluate(nested, path: &path, isOutermost: false)))
            case .empty: answers.append(.empty)
            case .put, .delete: preconditionFailure("a read-only transaction with a write")
            }
        }
        return TransactionAnswer(
            revision: isOutermost ? Revision(revision) : nil, succeeded: succeeded, answers: answers)
    }

    func range(_ query: RangeQuery) throws(ReadError) -> RangeAnswer {
        var collector = RangeCollector()
        let summary = try range(query, into: &collector)
        return RangeAnswer(
            revision: summary.revision, keyValues: collector.pairs, more: summary.more, count: summary.count)
    }
}

/// The branches that a transaction takes, read in the order in which its nested transactions are met.
struct TransactionPath {
    private let branches: [Bool]
    private var place = 0

    init(_ branches: [Bool]) { self.branches = branches }

    mutating func next() -> Bool {
        precondition(place < branches.count, "a transaction's path is too short for it")
        defer { place += 1 }
        return branches[place]
    }
}

extension Comparison {
    fileprivate func holds(_ row: VersionReader.Row) throws(StateError) -> Bool {
        let content = try row.content
        let order: Int =
            switch operand {
            case .version(let number): compare(content.version, number)
            case .createRevision(let number): compare(content.createRevision, number)
            case .modRevision(let number): compare(row.revision, number)
            case .lease(let number): compare(content.lease, number)
            case .value(let value): unsafe withBytes(value) { unsafe compareBytes(content.value, $0) }
            case .unrecognized: 0
            }
        return relation.accepts(order)
    }

    /// A missing key has zero for every number, and no value: not even one that differs from the operand.
    fileprivate var holdsWithoutKey: Bool {
        switch operand {
        case .version(let number), .createRevision(let number), .modRevision(let number), .lease(let number):
            relation.accepts(compare(0, number))
        case .value: false
        case .unrecognized: relation.accepts(0)
        }
    }

    private func compare(_ a: Int64, _ b: Int64) -> Int { a < b ? -1 : (a == b ? 0 : 1) }
}

extension Comparison.Relation {
    fileprivate func accepts(_ order: Int) -> Bool {
        switch self {
        case .equal: order == 0
        case .greater: order > 0
        case .less: order < 0
        case .notEqual: order != 0
        case .unrecognized: true
        }
    }
}
