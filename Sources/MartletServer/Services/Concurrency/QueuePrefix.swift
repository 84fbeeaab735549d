import MVCC

/// The keys of those who want one lock or one election: `<name>/<lease in hexadecimal>`, the oldest of which has it
/// (O1, O2). etcdctl's recipes and the clients' libraries stand in the same lines.
struct QueuePrefix {
    let bytes: [UInt8]

    init(name: some Sequence<UInt8>) { bytes = Array(name) + [UInt8(ascii: "/")] }

    func key(of lease: LeaseID) -> [UInt8] { bytes + Array(String(lease.rawValue, radix: 16).utf8) }

    /// The slash can always be raised by one.
    var range: KeyRange { KeyRange(key: bytes, end: .upTo(bytes.dropLast() + [UInt8(ascii: "/") + 1])) }

    /// Who has it.
    var first: RangeQuery {
        var query = RangeQuery(range)
        query.limit = 1
        query.sortTarget = .createRevision
        query.sortOrder = .ascending
        return query
    }

    /// The next before one that was created at `revision`: whoever waits for that one alone is woken once.
    func last(before revision: Revision) -> RangeQuery {
        var query = RangeQuery(range)
        query.limit = 1
        query.sortTarget = .createRevision
        query.sortOrder = .descending
        query.maxCreateRevision = Revision(revision.rawValue - 1)
        query.keysOnly = true
        return query
    }
}

extension Transaction {
    /// Steps that are taken only while the key is the one that was created at `revision`.
    init(ifCreated key: [UInt8], at revision: Revision, then success: [Operation], else failure: [Operation] = []) {
        self.init(
            comparisons: [Comparison(KeyRange(key: key), .equal, .createRevision(revision.rawValue))],
            success: success, failure: failure)
    }
}
