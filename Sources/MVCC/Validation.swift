// What is checked of a request before it is proposed, as etcd's front checks it: what does not depend on the state.

extension Transaction {
    /// How deep transactions may be nested. The limit on operations alone allows this depth at its default of 128.
    package static let depthMax = 128
    /// How many operations a transaction may have where nothing else is configured.
    package static let operationsMaxDefault = 128

    /// Throws what etcd's front throws, in its order. A transaction that passes is never refused for its form by apply.
    package func validate(maxOperations: Int = operationsMaxDefault) throws(RequestError) {
        try validateForm(maxOperations: maxOperations, depth: 1)
        // Compared last, as in etcd: they may be as many as the form allows, but no more.
        var writes = WriteSet()
        try writes.collect(success)
        writes = WriteSet()
        try writes.collect(failure)
    }

    private func validateForm(maxOperations: Int, depth: Int) throws(RequestError) {
        let operations = max(comparisons.count, success.count, failure.count)
        guard operations <= maxOperations, depth <= Self.depthMax else { throw .tooManyOperations }
        for comparison in comparisons where comparison.range.key.isEmpty { throw .keyNotProvided }
        for branch in [success, failure] {
            for operation in branch {
                switch operation {
                case .range(let query): try query.validate()
                case .put(let put): try put.validate()
                case .delete(let delete): try delete.validate()
                case .transaction(let nested):
                    try nested.validateForm(maxOperations: maxOperations - operations, depth: depth + 1)
                case .empty: throw .keyNotFound
                }
            }
        }
    }
}

/// The keys that a branch puts, and the ranges that it deletes.
private struct WriteSet {
    var puts: [[UInt8]] = []
    var deletes: [KeyRange] = []
    // For membership only: their order is never looked at.
    private var putKeys: Set<[UInt8]> = []
    private var deletedKeys: Set<[UInt8]> = []
    private var deletedRanges: [KeyRange] = []

    /// Throws if a key is put twice, or is put and deleted. Deletes of this level count first, then each nested
    /// transaction in its turn, then this level's puts; the two branches of one nested transaction exclude each other
    /// and may put the same key.
    mutating func collect(_ operations: [Operation]) throws(RequestError) {
        for case .delete(let delete) in operations { add(delete.range) }
        for case .transaction(let nested) in operations {
            var then = WriteSet()
            try then.collect(nested.success)
            var otherwise = WriteSet()
            try otherwise.collect(nested.failure)
            for key in then.puts { try add(key) }
            for key in otherwise.puts { try add(key, sharedWith: then) }
            for range in then.deletes { add(range) }
            for range in otherwise.deletes { add(range) }
        }
        for case .put(let put) in operations { try add(put.key) }
    }

    private mutating func add(_ range: KeyRange) {
        deletes.append(range)
        switch range.end {
        case .single: deletedKeys.insert(range.key)
        case .upTo: deletedRanges.append(range)
        // A delete without an end forbids no put: etcd compares with the one byte that stands for "no end" as if it
        // were a key, so that it finds none (seen on 3.5.1, the same code in 3.7). Clients may lean on that.
        case .fromKey: break
        }
    }

    private mutating func add(_ key: [UInt8], sharedWith other: WriteSet? = nil) throws(RequestError) {
        let isNew = putKeys.insert(key).inserted
        if !isNew, other?.putKeys.contains(key) != true { throw .duplicateKey }
        if deletedKeys.contains(key) || deletedRanges.contains(where: { $0.contains(key) }) { throw .duplicateKey }
        if isNew { puts.append(key) }
    }
}

extension RangeQuery {
    package func validate() throws(RequestError) {
        guard !range.key.isEmpty else { throw .keyNotProvided }
        guard sortOrder != .unrecognized, sortTarget != .unrecognized else { throw .invalidSortOption }
    }
}

extension PutOperation {
    package func validate() throws(RequestError) {
        guard !key.isEmpty else { throw .keyNotProvided }
        if ignoreValue, !value.isEmpty { throw .valueProvided }
        if ignoreLease, lease != .none { throw .leaseProvided }
    }
}

extension DeleteOperation {
    package func validate() throws(RequestError) {
        guard !range.key.isEmpty else { throw .keyNotProvided }
    }
}
