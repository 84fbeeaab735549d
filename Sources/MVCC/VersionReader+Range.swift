/// Takes the pairs of a range one by one: a server writes them straight into its answer.
package protocol RangeVisitor {
    /// The bytes are valid during the call.
    mutating func visit(_ pair: BorrowedKeyValue)
}

/// A visitor that keeps what it sees.
struct RangeCollector: RangeVisitor {
    var pairs: [KeyValue] = []
    mutating func visit(_ pair: BorrowedKeyValue) { pairs.append(KeyValue(pair)) }
}

extension VersionReader {
    /// Reads a range as etcd does (facts K3 to K9), pair by pair where the order of keys is the order of the answer.
    func range<V: RangeVisitor>(_ query: RangeQuery, into visitor: inout V) throws(ReadError) -> RangeSummary {
        if let error = rangeError(query) { throw .request(error) }
        let at = query.revision.rawValue > 0 ? query.revision.rawValue : revision
        do throws(StateError) {
            if query.countOnly {
                var count: Int64 = 0
                try scan(query.range, at: at) { _ throws(StateError) in
                    count += 1
                    return true
                }
                return RangeSummary(revision: Revision(revision), count: count, more: false)
            }
            switch query.sortTarget {
            case .key where query.sortOrder != .descending: return try inKeyOrder(query, at: at, into: &visitor)
            default: return try sorted(query, at: at, into: &visitor)
            }
        } catch {
            throw .state(error)
        }
    }

    func rangeError(_ query: RangeQuery) -> RequestError? {
        if query.sortOrder == .unrecognized || query.sortTarget == .unrecognized { return .invalidSortOption }
        if query.revision.rawValue > revision { return .futureRevision }
        if query.revision.rawValue > 0, query.revision.rawValue < compactRevision { return .compacted }
        return nil
    }

    private func inKeyOrder<V: RangeVisitor>(
        _ query: RangeQuery, at: Int64, into visitor: inout V
    ) throws(StateError) -> RangeSummary {
        var scratch = ByteScratch(capacity: 0)
        let limit = query.limit > 0 ? query.limit : .max
        let hasFilters = query.hasFilters
        var count: Int64 = 0
        var accepted: Int64 = 0
        try scan(query.range, at: at) { row throws(StateError) in
            count += 1
            // Behind the limit it is only to be known whether there is one more; the count goes on without records.
            if accepted > limit || (accepted == limit && !hasFilters) {
                accepted = limit + 1
                return true
            }
            let content = try row.content
            let mod = row.revision
            guard !hasFilters || query.accepts(mod: mod, create: content.createRevision) else { return true }
            accepted += 1
            if accepted <= limit {
                let key = try unsafe VersionKey.userKey(row.key, row.prefixCount, scratch: &scratch)
                unsafe visitor.visit(BorrowedKeyValue(key: key, revision: mod, content: content), of: query)
            }
            return true
        }
        return RangeSummary(revision: Revision(revision), count: count, more: accepted > limit)
    }

    private func sorted<V: RangeVisitor>(
        _ query: RangeQuery, at: Int64, into visitor: inout V
    ) throws(StateError) -> RangeSummary {
        var scratch = ByteScratch(capacity: 0)
        let hasFilters = query.hasFilters
        // A target without an order sorts what the limit let through, and one more, in the order of keys: etcd asks
        // only for an order before it lifts the limit (seen on 3.5.1, the same code in 3.7).
        var candidatesLeft: Int64 = .max
        if query.sortOrder == .none, !hasFilters, query.limit > 0, query.limit < .max {
            candidatesLeft = query.limit + 1
        }
        var selection = Selection(query)
        var count: Int64 = 0
        try scan(query.range, at: at) { row throws(StateError) in
            count += 1
            guard candidatesLeft > 0 else { return true }
            let content = try row.content
            let mod = row.revision
            guard !hasFilters || query.accepts(mod: mod, create: content.createRevision) else { return true }
            candidatesLeft -= 1
            let key = try unsafe VersionKey.userKey(row.key, row.prefixCount, scratch: &scratch)
            unsafe selection.add(BorrowedKeyValue(key: key, revision: mod, content: content))
            return true
        }
        for pair in selection.finish() {
            unsafe withBytes(pair.key) { key in
                unsafe withBytes(pair.value) { value in
                    unsafe visitor.visit(
                        BorrowedKeyValue(
                            key: key, value: value, createRevision: pair.createRevision, modRevision: pair.modRevision,
                            version: pair.version, lease: pair.lease), of: query)
                }
            }
        }
        return RangeSummary(
            revision: Revision(revision), count: count, more: query.limit > 0 && selection.seen > query.limit)
    }
}

extension RangeVisitor {
    fileprivate mutating func visit(_ pair: BorrowedKeyValue, of query: RangeQuery) {
        var pair = pair
        if query.keysOnly { unsafe pair.value = unsafe UnsafeRawBufferPointer(start: nil, count: 0) }
        visit(pair)
    }
}

/// The first pairs of a sorted range: no more of them are kept than the limit asks for, so that "the newest key of a
/// prefix" does not copy the prefix.
private struct Selection {
    private let order: PairOrder
    private let keepsValues: Bool
    private let limit: Int
    private var pairs: [KeyValue] = []
    /// Once the limit is reached: the last pair that is still in.
    private var last: KeyValue?
    private(set) var seen: Int64 = 0

    init(_ query: RangeQuery) {
        order = PairOrder(target: query.sortTarget, isDescending: query.sortOrder == .descending)
        keepsValues = !query.keysOnly || query.sortTarget == .value
        limit = query.limit > 0 ? Int(clamping: query.limit) : .max
    }

    mutating func add(_ pair: BorrowedKeyValue) {
        seen += 1
        // Keys come in their order, so that an equal pair sorts behind those that are in.
        if let last, !order.precedes(pair, last) { return }
        var pair = pair
        if !keepsValues { unsafe pair.value = unsafe UnsafeRawBufferPointer(start: nil, count: 0) }
        pairs.append(KeyValue(pair))
        if limit < Int.max / 4, pairs.count >= 2 * limit + 16 { cut() }
    }

    mutating func finish() -> [KeyValue] {
        cut()
        return pairs
    }

    private mutating func cut() {
        let order = order
        pairs.sort { order.precedes($0, $1) }
        guard pairs.count > limit else { return }
        pairs.removeSubrange(limit...)
        last = pairs.last
    }
}

/// How a sorted range is ordered. Pairs that are equal by the target stay in the order of keys, in both directions.
private struct PairOrder {
    let target: SortTarget
    let isDescending: Bool

    func precedes(_ a: KeyValue, _ b: KeyValue) -> Bool {
        let order: Int =
            switch target {
            case .key: compareArrays(a.key, b.key)
            case .value: compareArrays(a.value, b.value)
            case .version: compare(a.version, b.version)
            case .createRevision: compare(a.createRevision, b.createRevision)
            case .modRevision: compare(a.modRevision, b.modRevision)
            case .unrecognized: 0
            }
        if order != 0 { return isDescending ? order > 0 : order < 0 }
        return compareArrays(a.key, b.key) < 0
    }

    /// The same by the target alone.
    func precedes(_ pair: BorrowedKeyValue, _ other: KeyValue) -> Bool {
        let order: Int =
            switch target {
            case .key: unsafe withBytes(other.key) { unsafe compareBytes(pair.key, $0) }
            case .value: unsafe withBytes(other.value) { unsafe compareBytes(pair.value, $0) }
            case .version: compare(pair.version, other.version)
            case .createRevision: compare(pair.createRevision, other.createRevision)
            case .modRevision: compare(pair.modRevision, other.modRevision)
            case .unrecognized: 0
            }
        return isDescending ? order > 0 : order < 0
    }

    private func compare<T: Comparable>(_ a: T, _ b: T) -> Int { a < b ? -1 : (a == b ? 0 : 1) }
}
