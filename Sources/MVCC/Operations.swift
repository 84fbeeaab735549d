package enum SortOrder: UInt8, Sendable, CaseIterable {
    case none = 0
    case ascending = 1
    case descending = 2
    /// A number that the API does not define; answered with an error.
    case unrecognized = 255
}

package enum SortTarget: UInt8, Sendable, CaseIterable {
    case key = 0
    case version = 1
    case createRevision = 2
    case modRevision = 3
    case value = 4
    /// A number that the API does not define; answered with an error.
    case unrecognized = 255
}

/// A read of a range of keys at one revision.
package struct RangeQuery: Hashable, Sendable {
    package var range: KeyRange
    /// At most so many pairs; no limit at zero and below.
    package var limit: Int64 = 0
    /// The revision to read at; the newest at zero and below.
    package var revision: Revision = .latest
    package var sortOrder: SortOrder = .none
    package var sortTarget: SortTarget = .key
    /// Any member may answer from what it has. How a read is ordered is the server's affair; the flag is carried so
    /// that a transaction keeps it.
    package var isSerializable = false
    package var keysOnly = false
    package var countOnly = false
    /// Bounds, inclusive; zero is none.
    package var minModRevision = Revision(0)
    package var maxModRevision = Revision(0)
    package var minCreateRevision = Revision(0)
    package var maxCreateRevision = Revision(0)

    package init(_ range: KeyRange) { self.range = range }

    var hasFilters: Bool {
        minModRevision.rawValue != 0 || maxModRevision.rawValue != 0 || minCreateRevision.rawValue != 0
            || maxCreateRevision.rawValue != 0
    }

    func accepts(mod: Int64, create: Int64) -> Bool {
        if maxModRevision.rawValue != 0, mod > maxModRevision.rawValue { return false }
        if minModRevision.rawValue != 0, mod < minModRevision.rawValue { return false }
        if maxCreateRevision.rawValue != 0, create > maxCreateRevision.rawValue { return false }
        if minCreateRevision.rawValue != 0, create < minCreateRevision.rawValue { return false }
        return true
    }
}

package struct PutOperation: Hashable, Sendable {
    package var key: [UInt8]
    package var value: [UInt8]
    package var lease: LeaseID
    /// Answer with the pair as it was before.
    package var prevKV: Bool
    /// Keep the value that the key has.
    package var ignoreValue: Bool
    /// Keep the lease that the key has.
    package var ignoreLease: Bool

    package init(
        key: [UInt8], value: [UInt8], lease: LeaseID = .none, prevKV: Bool = false, ignoreValue: Bool = false,
        ignoreLease: Bool = false
    ) {
        self.key = key
        self.value = value
        self.lease = lease
        self.prevKV = prevKV
        self.ignoreValue = ignoreValue
        self.ignoreLease = ignoreLease
    }
}

package struct DeleteOperation: Hashable, Sendable {
    package var range: KeyRange
    /// Answer with the pairs as they were before.
    package var prevKV: Bool

    package init(_ range: KeyRange, prevKV: Bool = false) {
        self.range = range
        self.prevKV = prevKV
    }
}

/// A condition of a transaction. For a range it must hold for every key in it.
package struct Comparison: Hashable, Sendable {
    package enum Relation: UInt8, Sendable, CaseIterable {
        case equal = 0
        case greater = 1
        case less = 2
        case notEqual = 3
        /// A number that the API does not define: holds whatever is compared, as it does in etcd.
        case unrecognized = 255
    }

    /// What of the pair is compared, and with what.
    package enum Operand: Hashable, Sendable {
        case version(Int64)
        case createRevision(Int64)
        case modRevision(Int64)
        case value([UInt8])
        case lease(Int64)
        /// A number that the API does not define: equal to anything, as it is in etcd.
        case unrecognized
    }

    package var range: KeyRange
    package var relation: Relation
    package var operand: Operand

    package init(_ range: KeyRange, _ relation: Relation, _ operand: Operand) {
        self.range = range
        self.relation = relation
        self.operand = operand
    }
}

/// One step of a transaction.
package indirect enum Operation: Hashable, Sendable {
    case range(RangeQuery)
    case put(PutOperation)
    case delete(DeleteOperation)
    case transaction(Transaction)
    /// A step that says nothing: refused before it is proposed, in the place where etcd finds it.
    case empty
}

/// If all comparisons hold then `success` in its order, otherwise `failure`. All of it at one revision.
package struct Transaction: Hashable, Sendable {
    package var comparisons: [Comparison]
    package var success: [Operation]
    package var failure: [Operation]

    package init(comparisons: [Comparison] = [], success: [Operation] = [], failure: [Operation] = []) {
        self.comparisons = comparisons
        self.success = success
        self.failure = failure
    }

    /// Nothing in it writes, so it needs no place in the log.
    package var isReadOnly: Bool {
        func reads(_ operations: [Operation]) -> Bool {
            operations.allSatisfy { operation in
                switch operation {
                case .range, .empty: true
                case .put, .delete: false
                case .transaction(let nested): nested.isReadOnly
                }
            }
        }
        return reads(success) && reads(failure)
    }

    /// Whether it may put a key, in either branch.
    package var hasPuts: Bool {
        func putsIn(_ operations: [Operation]) -> Bool {
            operations.contains { operation in
                switch operation {
                case .put: true
                case .transaction(let nested): nested.hasPuts
                case .range, .delete, .empty: false
                }
            }
        }
        return putsIn(success) || putsIn(failure)
    }

    /// It reads, and all of its reads leave the choice of the member to the server. A transaction that only compares
    /// is not serializable: no one asked for a stale comparison.
    package var isSerializable: Bool {
        var reads = 0
        func look(_ operations: [Operation]) -> Bool {
            operations.allSatisfy { operation in
                switch operation {
                case .range(let query):
                    reads += 1
                    return query.isSerializable
                case .transaction(let nested): return look(nested.success) && look(nested.failure)
                case .put, .delete, .empty: return false
                }
            }
        }
        return look(success) && look(failure) && reads > 0
    }
}

package struct Compaction: Hashable, Sendable {
    package var revision: Revision
    /// The client waits until the rows are gone. How long the server waits is its affair; all members remove them.
    package var physical: Bool

    package init(revision: Revision, physical: Bool = false) {
        self.revision = revision
        self.physical = physical
    }
}

/// What the log's entries ask of the state. Later kinds (leases, members, alarms, users) join here with tags of their
/// own: see ``CommandCodec``.
package enum Command: Hashable, Sendable {
    case put(PutOperation)
    case delete(DeleteOperation)
    case transaction(Transaction)
    case compact(Compaction)
}
