internal import StorageEngine

extension State {
    /// What one command has changed so far.
    struct Writing {
        /// The store's revision before the command.
        let begin: Revision
        /// How many rows it wrote.
        var count: UInt32 = 0

        /// What the command's own reads see, and its answers say.
        var seen: Revision { count == 0 ? begin : next }
        var next: Revision { Revision(begin.rawValue + 1) }
    }

    // MARK: Commands

    mutating func apply(_ put: PutOperation, wantsAnswer: Bool) throws(StateError) -> Outcome.Result {
        let flags = put.flags
        return try unsafe withBytes(put.key) { key throws(StateError) in
            try unsafe withBytes(put.value) { value throws(StateError) in
                try unsafe apply(key, value, lease: put.lease, flags: flags, wantsAnswer: wantsAnswer)
            }
        }
    }

    mutating func apply(
        _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, lease: LeaseID, flags: CommandCodec.PutFlags,
        wantsAnswer: Bool
    ) throws(StateError) -> Outcome.Result {
        if lease != .none, !leases.contains(lease) { return .failed(.leaseNotFound) }
        var writing = Writing(begin: row.revision)
        let answer = try unsafe put(key, value, lease: lease, flags: flags, wantsAnswer: wantsAnswer, in: &writing)
        guard let answer else { return .failed(.keyNotFound) }
        finish(writing)
        return .put(answer)
    }

    mutating func apply(_ operation: DeleteOperation, wantsAnswer: Bool) throws(StateError) -> Outcome.Result {
        var writing = Writing(begin: row.revision)
        let answer = try delete(operation, wantsAnswer: wantsAnswer, in: &writing)
        finish(writing)
        return .delete(answer)
    }

    mutating func apply(_ transaction: Transaction, wantsAnswer: Bool) throws(StateError) -> Outcome.Result {
        var path: TransactionPath
        do throws(ReadError) {
            let reader = reader(at: row.revision)
            path = try reader.path(of: transaction)
            try reader.check(transaction, path: path, isKnownLease: leases.contains)
        } catch {
            switch error {
            case .request(let error): return .failed(error)
            case .state(let error): throw error
            }
        }
        var writing = Writing(begin: row.revision)
        var answer = try execute(transaction, path: &path, wantsAnswer: wantsAnswer, in: &writing)
        answer.revision = writing.seen
        finish(writing)
        return .transaction(answer)
    }

    mutating func apply(_ compaction: Compaction) -> Outcome.Result {
        if compaction.revision <= row.compactRevision { return .failed(.compacted) }
        if compaction.revision > row.revision { return .failed(.futureRevision) }
        schedule(compactionAt: compaction.revision)
        row.runningHash.add(.compaction, UInt64(bitPattern: compaction.revision.rawValue))
        return .compacted
    }

    mutating func finish(_ writing: Writing) { row.revision = writing.seen }

    // MARK: Reading

    /// For reads between this thread's writes. It must be gone before the next write, which would else copy nodes.
    func reader(at revision: Revision) -> VersionReader {
        VersionReader(
            cursor: store.view.makeCursor(.versions), revision: revision.rawValue,
            compactRevision: (readsWhatIsNotYetRemoved ? row.finishedCompactRevision : row.compactRevision).rawValue)
    }

    // MARK: Transactions

    private mutating func execute(
        _ transaction: Transaction, path: inout TransactionPath, wantsAnswer: Bool, in writing: inout Writing
    ) throws(StateError) -> TransactionAnswer {
        let succeeded = path.next()
        var answers: [OperationAnswer] = []
        for operation in succeeded ? transaction.success : transaction.failure {
            switch operation {
            case .range(let query):
                answers.append(.range(try range(query, wantsAnswer: wantsAnswer, in: writing)))
            case .put(let put):
                let answer = try self.put(put, wantsAnswer: wantsAnswer, in: &writing)
                answers.append(.put(answer))
            case .delete(let delete):
                answers.append(.delete(try self.delete(delete, wantsAnswer: wantsAnswer, in: &writing)))
            case .transaction(let nested):
                answers.append(
                    .transaction(try execute(nested, path: &path, wantsAnswer: wantsAnswer, in: &writing)))
            case .empty: answers.append(.empty)
            }
        }
        return TransactionAnswer(revision: nil, succeeded: succeeded, answers: answers)
    }

    private func range(
        _ query: RangeQuery, wantsAnswer: Bool, in writing: Writing
    ) throws(StateError) -> RangeAnswer {
        guard wantsAnswer else { return RangeAnswer(revision: writing.seen) }
        do throws(ReadError) {
            return try reader(at: writing.seen).range(query)
        } catch {
            switch error {
            case .state(let error): throw error
            case .request(let error): preconditionFailure("a checked range of a transaction was refused: \(error)")
            }
        }
    }

    private mutating func put(
        _ put: PutOperation, wantsAnswer: Bool, in writing: inout Writing
    ) throws(StateError) -> PutAnswer {
        let answer = try unsafe withBytes(put.key) { key throws(StateError) in
            try unsafe withBytes(put.value) { value throws(StateError) in
                try unsafe self.put(
                    key, value, lease: put.lease, flags: put.flags, wantsAnswer: wantsAnswer, in: &writing)
            }
        }
        guard let answer else { preconditionFailure("a checked put of a transaction did not find its key") }
        return answer
    }

    // MARK: Writes

    /// Writes a new version of a key; nil if the put is to keep something of a pair that is not there.
    private mutating func put(
        _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, lease: LeaseID, flags: CommandCodec.PutFlags,
        wantsAnswer: Bool, in writing: inout Writing
    ) throws(StateError) -> PutAnswer? {
        let revision = writing.next.rawValue
        var record = unsafe VersionRecord(createRevision: revision, version: 1, lease: lease.rawValue, value: value)
        var previous: KeyValue?
        var leaseBefore: Int64 = 0
        do {
            let reader = reader(at: writing.seen)
            defer { withExtendedLifetime(reader.cursor) {} }
            if let found = try unsafe reader.find(key, at: .max) {
                let content = try found.content
                record.createRevision = content.createRevision
                record.version = content.version + 1
                leaseBefore = content.lease
                if flags.contains(.ignoreLease) { record.lease = content.lease }
                if putKeepsLease, record.lease == 0 { record.lease = content.lease }
                if wantsAnswer && flags.contains(.prevKV) {
                    previous = unsafe KeyValue(BorrowedKeyValue(key: key, revision: found.revision, content: content))
                }
                if flags.contains(.ignoreValue) {
                    unsafe record.value = unsafe content.value
                    unsafe write(key, record, revision, writing.count)
                    if record.lease | leaseBefore != 0 {
                        unsafe moveAttachment(of: key, from: leaseBefore, to: record.lease)
                    }
                    writing.count += 1
                    return PutAnswer(revision: writing.next, previous: previous)
                }
            } else if flags.contains(.ignoreValue) || flags.contains(.ignoreLease) {
                return nil
            }
        }
        unsafe write(key, record, revision, writing.count)
        if record.lease | leaseBefore != 0 { unsafe moveAttachment(of: key, from: leaseBefore, to: record.lease) }
        writing.count += 1
        return PutAnswer(revision: writing.next, previous: previous)
    }

    private mutating func delete(
        _ operation: DeleteOperation, wantsAnswer: Bool, in writing: inout Writing
    ) throws(StateError) -> DeleteAnswer {
        var keys: [(key: [UInt8], lease: Int64)] = []
        var previous: [KeyValue] = []
        // Where nothing is attached to anything, the records of what is deleted need not be read.
        let mayBeAttached = !leases.isEmpty
        var scratch = ByteScratch(capacity: 0)
        try reader(at: writing.seen).scan(operation.range, at: writing.seen.rawValue) { row throws(StateError) in
            let key = try unsafe VersionKey.userKey(row.key, row.prefixCount, scratch: &scratch)
            unsafe keys.append((Array(key), mayBeAttached ? try row.content.lease : 0))
            if operation.prevKV && wantsAnswer {
                unsafe previous.append(
                    KeyValue(BorrowedKeyValue(key: key, revision: row.revision, content: try row.content)))
            }
            return true
        }
        for (key, lease) in keys {
            unsafe key.withUnsafeBytes { key in
                unsafe writeDeletion(key, writing.next.rawValue, writing.count)
                if lease != 0 { unsafe moveAttachment(of: key, from: lease, to: 0) }
            }
            writing.count += 1
        }
        return DeleteAnswer(revision: writing.seen, deleted: Int64(keys.count), previous: previous)
    }

    /// The rows of one put, built in one piece of memory and copied from it into the store.
    private mutating func write(
        _ key: UnsafeRawBufferPointer, _ record: VersionRecord, _ revision: Int64, _ number: UInt32
    ) {
        let recordCount = unsafe VersionRecord.count(
            createRevision: record.createRevision, version: record.version, lease: record.lease,
            valueCount: record.value.count)
        unsafe write(key, .put, revision, number, recordCount: recordCount) { row, place in
            unsafe record.store(row: row, at: place)
        }
        guard recordsChanges else { return }
        unsafe changes.append(
            Change(
                kind: .put, id: ChangeID(revision: Revision(revision), number: number),
                keyValue: KeyValue(BorrowedKeyValue(key: key, revision: revision, content: record))))
    }

    mutating func writeDeletion(_ key: UnsafeRawBufferPointer, _ revision: Int64, _ number: UInt32) {
        unsafe write(key, .delete, revision, number, recordCount: VersionRecord.deletionCount) { row, place in
            unsafe VersionRecord.storeDeletion(row: row, at: place)
        }
        guard recordsChanges else { return }
        let none = unsafe VersionRecord(
            createRevision: 0, version: 0, lease: 0, value: UnsafeRawBufferPointer(start: nil, count: 0))
        unsafe changes.append(
            Change(
                kind: .delete, id: ChangeID(revision: Revision(revision), number: number),
                keyValue: KeyValue(BorrowedKeyValue(key: key, revision: revision, content: none))))
    }

    private mutating func write(
        _ key: UnsafeRawBufferPointer, _ kind: Change.Kind, _ revision: Int64, _ number: UInt32, recordCount: Int,
        storeRecord: (_ row: UnsafeRawBufferPointer, _ place: UnsafeMutableRawPointer) -> Void
    ) {
        let rowCount = unsafe VersionKey.prefixCount(key) + VersionKey.changeBytes
        let entryCount = unsafe RevisionRow.valueCount(key)
        let count = rowCount + recordCount + RevisionRow.keyBytes + entryCount
        noteWritten(bytes: count)
        unsafe withUnsafeTemporaryAllocation(byteCount: count, alignment: 8) { buffer in
            let base = buffer.baseAddress!
            unsafe VersionKey.storeChange(revision, number, at: VersionKey.storePrefix(key, at: base))
            let row = unsafe UnsafeRawBufferPointer(start: base, count: rowCount)
            unsafe storeRecord(row, base + rowCount)
            // Its checksum covers the key and all that the version says.
            self.row.runningHash.add(
                UInt64(unsafe UnsafeRawPointer(base + rowCount).loadUnaligned(as: UInt32.self).littleEndian))
            unsafe store.put(
                .versions, key: row, value: UnsafeRawBufferPointer(start: base + rowCount, count: recordCount))
            let entry = unsafe base + rowCount + recordCount
            unsafe RevisionRow.storeKey(revision, number, at: entry)
            unsafe RevisionRow.storeValue(kind, key, at: entry + RevisionRow.keyBytes)
            unsafe store.put(
                .revisions, key: UnsafeRawBufferPointer(start: entry, count: RevisionRow.keyBytes),
                value: UnsafeRawBufferPointer(start: entry + RevisionRow.keyBytes, count: entryCount))
        }
    }
}

extension PutOperation {
    fileprivate var flags: CommandCodec.PutFlags {
        var flags: CommandCodec.PutFlags = []
        if prevKV { flags.insert(.prevKV) }
        if ignoreValue { flags.insert(.ignoreValue) }
        if ignoreLease { flags.insert(.ignoreLease) }
        return flags
    }
}
