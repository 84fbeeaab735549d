package import StorageEngine

/// The replicated state: what all members make of the same log.
///
/// One thread owns it, applies the log's entries in their order and hands out views for others to read. Everything that
/// ``apply(_:at:wantsAnswer:)`` does depends on the entries before it alone: no clock, no chance, no order of hashes.
/// How far the flusher or the removal of compacted rows got is local, and shows in no answer.
///
/// Where anything is wrong with the member's own data the state throws a ``StateError``, and from then on nothing else:
/// a command may be half applied in memory, so nothing is handed out or flushed any more, and the member stops. Its
/// engine still holds the last whole batch.
package struct State: Sendable {
    var store: LayeredStore
    var row: StateRow
    /// What `row` was when it was last written to the store.
    private var writtenRow: StateRow?
    var leases = LeaseDirectory()
    package internal(set) var alarms = AlarmDirectory()
    /// About how many bytes the versions that were written since this was opened take in an engine.
    package private(set) var writtenBytes: UInt64 = 0
    /// What an engine keeps beside the bytes of the two rows that a version is.
    private static let rowOverheadBytes = 24
    /// Where the removal of compacted rows goes on; nil if it has to start where the last one ended.
    var compactionPlace: ChangeID?
    /// Why the state cannot be used any more.
    var failure: StateError?

    /// Whether ``takeChanges()`` is of interest to anyone.
    package var recordsChanges = false
    var changes: [Change] = []
    #if MARTLET_MUTATIONS
        /// Mistakes made on purpose, to see whether the simulator finds them.
        package var faults: HistoryFaults = []
    #endif

    /// Opens what the store holds; an empty store is the state before the log's first entry.
    package init(store: LayeredStore) throws(StateError) {
        self.store = store
        let view = store.view
        if let bytes = view.value(.meta, StateRow.rowKey) {
            row = try StateRow(decoding: bytes)
            writtenRow = row
        } else {
            for table in Table.allCases where view.makeCursor(table).first() {
                throw .corrupt("\(table): rows without the state's row in meta")
            }
            row = StateRow()
        }
        let revisions = view.makeCursor(.revisions)
        if revisions.last() {
            let newest = try unsafe RevisionRow.change(revisions.key)
            guard newest.revision <= row.revision else {
                throw .corrupt(
                    "revisions: \(newest.revision.rawValue) is newer than the state's \(row.revision.rawValue)")
            }
        }
        var leases = LeaseDirectory()
        try LeaseRow.forEachLease(in: view) { leases.set($0) }
        self.leases = leases
        if let row = try MetaName.value(AlarmDirectory.rowName, view) { alarms = try AlarmDirectory(decoding: row) }
    }

    // MARK: Where it stands

    package var applied: LogPosition { row.applied }
    package var revision: Revision { row.revision }
    package var runningHash: RunningHash { row.runningHash }
    package var compactRevision: Revision { row.compactRevision }
    /// Up to where ``compactStep(maxRows:)`` has removed rows.
    package var finishedCompactRevision: Revision { row.finishedCompactRevision }

    /// The state as it is now, for any thread. O(1); the writes after it copy the few nodes that they change.
    package var view: ReadView {
        get throws(StateError) {
            if let failure { throw failure }
            return ReadView(
                layers: store.view, revision: row.revision, compactRevision: row.compactRevision,
                finishedCompactRevision: row.finishedCompactRevision, applied: row.applied, leaseClock: row.leaseClock,
                runningHash: row.runningHash)
        }
    }

    /// What changed since this was last asked, while ``recordsChanges`` was on, in the order in which it happened.
    package mutating func takeChanges() -> [Change] {
        defer { changes.removeAll() }
        return changes
    }

    // MARK: Entries

    /// Something that is kept beside the data, in rows of its own, was changed by an entry.
    package mutating func noteMembership(mark: UInt64) { row.runningHash.add(.members, mark) }

    /// Notes an entry that asks nothing of the state: the empty one of a new leader, a configuration.
    package mutating func noteApplied(_ position: LogPosition) throws(StateError) {
        if let failure { throw failure }
        checkOrder(position)
        row.applied = position
    }

    /// Applies a command. `wantsAnswer` may be false where nobody waits for the answer: then pairs that only the answer
    /// would hold are not read. What becomes of the state is the same.
    package mutating func apply(
        _ command: Command, at position: LogPosition, wantsAnswer: Bool = true
    ) throws(StateError) -> Outcome {
        if let failure { throw failure }
        checkOrder(position)
        do throws(StateError) {
            let result: Outcome.Result
            if alarms.isAnyRaised, let refusal = alarms.refusal(of: command) {
                result = .failed(refusal)
            } else {
                switch command {
                case .put(let put): result = try apply(put, wantsAnswer: wantsAnswer)
                case .delete(let delete): result = try apply(delete, wantsAnswer: wantsAnswer)
                case .transaction(let transaction): result = try apply(transaction, wantsAnswer: wantsAnswer)
                case .compact(let compaction): result = apply(compaction)
                }
            }
            row.applied = position
            return Outcome(result, revision: row.revision)
        } catch {
            failure = error
            throw error
        }
    }

    /// Applies the command that a log's record holds.
    package mutating func apply(
        encoded record: UnsafeRawBufferPointer, at position: LogPosition, wantsAnswer: Bool = true
    ) throws(StateError) -> Outcome {
        if let failure { throw failure }
        do throws(StateError) {
            guard let put = try unsafe CommandCodec.decodeIfPut(record) else {
                return try unsafe apply(CommandCodec.decode(record), at: position, wantsAnswer: wantsAnswer)
            }
            // Most commands are puts: their key and value go from the record to the rows without a copy between.
            checkOrder(position)
            let result: Outcome.Result
            if alarms.isAnyRaised, let refusal = alarms.growthRefusal {
                result = .failed(refusal)
            } else {
                result = try unsafe apply(
                    put.key, put.value, lease: put.lease, flags: put.flags, wantsAnswer: wantsAnswer)
            }
            row.applied = position
            return Outcome(result, revision: row.revision)
        } catch {
            failure = error
            throw error
        }
    }

    func checkOrder(_ position: LogPosition) {
        precondition(
            position.index > row.applied.index && position.term >= row.applied.term,
            "entry \(position) applied after \(row.applied)"
        )
    }

    /// A version was written, and the row that tells of it.
    mutating func noteWritten(bytes: Int) { writtenBytes &+= UInt64(bytes + Self.rowOverheadBytes) }

    // MARK: Small values of others

    package func meta(_ name: MetaName) throws(StateError) -> [UInt8]? { try MetaName.value(name, store.view) }

    /// Sets the value, or removes it. It is flushed with the entries applied before the next freeze.
    package mutating func setMeta(_ name: MetaName, _ value: [UInt8]?) throws(StateError) {
        if let failure { throw failure }
        if let value {
            store.put(.meta, key: name.rowKey, value: name.rowValue(value))
        } else {
            store.delete(.meta, key: name.rowKey)
        }
    }

    package func metas(prefix: MetaName) throws(StateError) -> [(name: MetaName, value: [UInt8])] {
        try MetaName.rows(prefix, cursor: store.view.makeCursor(.meta))
    }

    // MARK: Flushing

    /// Memory that what waits for the flusher takes.
    package var waitingBytes: Int { store.activeBytes }

    /// Hands what waits over to the flusher, with the place in the log that it leads to; nil if nothing waits or a
    /// layer is on its way already.
    package mutating func freeze() throws(StateError) -> FrozenLayer? {
        if let failure { throw failure }
        guard !store.hasFrozen else { return nil }
        writeRow()
        return store.freeze()
    }

    /// All rows as they are now, the state's own among them: what a snapshot for another member is made of.
    package mutating func layersForSnapshot() throws(StateError) -> LayeredView {
        if let failure { throw failure }
        writeRow()
        return store.view
    }

    private mutating func writeRow() {
        guard writtenRow != row else { return }
        store.put(.meta, key: StateRow.rowKey, value: row.encode())
        writtenRow = row
    }

    /// The layer that was handed over is committed.
    package mutating func retire() throws(StateError) {
        do throws(EngineError) {
            try store.retire()
        } catch {
            throw .engine(error)
        }
    }
}
