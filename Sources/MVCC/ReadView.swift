internal import StorageEngine

/// The state as it was at one moment: stays so, may be read on any thread, and costs a few references to copy.
package struct ReadView: Sendable {
    let layers: LayeredView
    /// The store's revision, which answers carry.
    package let revision: Revision
    /// No older revision can be read.
    package let compactRevision: Revision
    /// Up to where compacted rows have been removed on this member.
    package let finishedCompactRevision: Revision
    /// What of the log is in it.
    package let applied: LogPosition
    /// The lease clock as of the last lease command.
    package let leaseClock: LeaseTime
    /// What all changes up to ``applied`` add up to.
    package let runningHash: RunningHash

    init(
        layers: LayeredView, revision: Revision, compactRevision: Revision, finishedCompactRevision: Revision,
        applied: LogPosition, leaseClock: LeaseTime, runningHash: RunningHash
    ) {
        self.layers = layers
        self.revision = revision
        self.compactRevision = compactRevision
        self.finishedCompactRevision = finishedCompactRevision
        self.applied = applied
        self.leaseClock = leaseClock
        self.runningHash = runningHash
    }

    var reader: VersionReader {
        VersionReader(
            cursor: layers.makeCursor(.versions), revision: revision.rawValue, compactRevision: compactRevision.rawValue
        )
    }

    /// Hands the pairs of a range to `visitor` in the answer's order, then says what the answer says beside them.
    /// Nothing was visited if this throws a request's error.
    package func range<V: RangeVisitor>(_ query: RangeQuery, into visitor: inout V) throws(ReadError) -> RangeSummary {
        try reader.range(query, into: &visitor)
    }

    package func range(_ query: RangeQuery) throws(ReadError) -> RangeAnswer { try reader.range(query) }

    /// Runs a transaction that only reads (``Transaction/isReadOnly``).
    package func evaluate(_ transaction: Transaction) throws(ReadError) -> TransactionAnswer {
        precondition(transaction.isReadOnly, "a transaction that writes needs a place in the log")
        let reader = reader
        let path = try reader.path(of: transaction)
        // Nothing is put, so no lease is asked for.
        try reader.check(transaction, path: path, isKnownLease: { _ in false })
        var steps = path
        return try reader.evaluate(transaction, path: &steps)
    }

    /// A scan over all that the state holds up to `revision` (the newest at zero and below), to compare members.
    /// - Parameter compaction: what another member has compacted, if that is more: the rows that are gone there are
    ///   left out, so that both compute the same.
    package func hashScan(
        at revision: Revision = .latest, compactedAt compaction: Revision = .neverCompacted
    ) throws(RequestError) -> HashScan {
        let at = revision.rawValue > 0 ? revision : self.revision
        guard at <= self.revision else { throw .futureRevision }
        let compactRevision = max(self.compactRevision, compaction)
        guard at >= compactRevision else { throw .compacted }
        return HashScan(layers: layers, revision: at, head: self.revision, compactRevision: compactRevision)
    }

    /// The same at once: holds the thread for as long as the whole state takes to read.
    package func hash(at revision: Revision = .latest) throws(ReadError) -> HashAnswer {
        var scan: HashScan
        do throws(RequestError) {
            scan = try hashScan(at: revision)
        } catch {
            throw .request(error)
        }
        do throws(StateError) {
            while true {
                if let answer = try scan.step(maxRows: 1 << 16) { return answer }
            }
        } catch {
            throw .state(error)
        }
    }

    /// A small value that another part of the replica keeps beside the data.
    package func meta(_ name: MetaName) throws(StateError) -> [UInt8]? { try MetaName.value(name, layers) }

    /// All such values whose names begin with `prefix`, in the order of names.
    package func metas(prefix: MetaName) throws(StateError) -> [(name: MetaName, value: [UInt8])] {
        try MetaName.rows(prefix, cursor: layers.makeCursor(.meta))
    }
}

extension VersionReader {
    func path(of transaction: Transaction) throws(ReadError) -> TransactionPath {
        var branches: [Bool] = []
        do throws(StateError) {
            try path(of: transaction, into: &branches)
        } catch {
            throw .state(error)
        }
        return TransactionPath(branches)
    }
}
