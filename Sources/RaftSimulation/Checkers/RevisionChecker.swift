/// Checks a history against the log that was applied, with the revisions that the answers carry: in time that grows
/// with the history's length, where the search for an order (``LinearizabilityChecker``) can take for ever.
///
/// What was applied, replayed by a model that knows nothing of the store, says what each key held at each revision. An
/// answer must say what the model says at the answer's revision, and revisions must agree with time: what began after
/// something had ended cannot come before it.
package struct RevisionChecker {
    /// One applied command as the model sees it: a condition, and what is written if it holds.
    package struct AppliedWrite: Sendable {
        package var comparison: KeyedValue?
        package var writes: [KeyedValue]
        /// It changed something of which the model knows nothing, but how many revisions that took.
        package var foreignRevisions: Int64 = 0

        package static func foreign(_ revisions: Int64) -> AppliedWrite {
            var write = AppliedWrite(comparison: nil, writes: [])
            write.foreignRevisions = revisions
            return write
        }

        package init(comparison: KeyedValue?, writes: [KeyedValue]) {
            self.comparison = comparison
            self.writes = writes
        }
    }

    package struct Violation: Error, CustomStringConvertible {
        package var description: String
    }

    /// By key: the revisions at which it was written, ascending, and the values.
    private var versions: [Int: [(revision: Int64, value: Int)]] = [:]
    /// By value (no two writes have the same): where it was written.
    private var revisionOfValue: [Int: Int64] = [:]
    private var revision: Int64 = 1

    package init(applied: [AppliedWrite]) throws(Violation) {
        for command in applied {
            revision += command.foreignRevisions
            if let comparison = command.comparison,
                value(of: comparison.key, at: revision) != comparison.value
            {
                continue
            }
            guard !command.writes.isEmpty else { continue }
            revision += 1
            for write in command.writes {
                guard revisionOfValue.updateValue(revision, forKey: write.value) == nil else {
                    throw Violation(description: "value \(write.value) was written twice: a proposal was applied twice")
                }
                versions[write.key, default: []].append((revision, write.value))
            }
        }
    }

    /// Where the operation stands: what its answer said; for a write without an answer where it was applied, and nil if
    /// it was not.
    package func place(of operation: HistoryOperation) -> Int64? {
        if operation.outcome != nil { return operation.revision }
        switch operation.action {
        case .read: return nil
        case .write(_, let value): return revisionOfValue[value]
        case .compareAndWrite(_, _, let writes): return writes.first.flatMap { revisionOfValue[$0.value] }
        }
    }

    private func value(of key: Int, at revision: Int64) -> Int {
        guard let list = versions[key] else { return 0 }
        var low = 0
        var high = list.count
        while low < high {
            let middle = (low + high) / 2
            if list[middle].revision <= revision { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? 0 : list[low - 1].value
    }

    package func check(_ history: [HistoryOperation]) throws(Violation) {
        var placed: [(operation: HistoryOperation, revision: Int64, isWrite: Bool)] = []
        for operation in history {
            guard let outcome = operation.outcome, let revision = operation.revision else { continue }
            placed.append((operation, revision, try checkContent(operation, outcome, at: revision)))
        }
        try checkTimes(placed)
    }

    /// - Returns: whether the operation wrote.
    private func checkContent(
        _ operation: HistoryOperation, _ outcome: KeyValueOutcome, at revision: Int64
    ) throws(Violation) -> Bool {
        func wrong(_ reason: String) -> Violation {
            Violation(description: "\(reason): \(operation)")
        }
        switch (operation.action, outcome) {
        case (.read(let keys), .values(let values)):
            let expected = keys.map { value(of: $0, at: revision) }
            guard values == expected else { throw wrong("a read at revision \(revision) should say \(expected)") }
            return false
        case (.write(_, let value), .done):
            guard let written = revisionOfValue[value] else { throw wrong("an acknowledged write is lost") }
            guard written == revision else { throw wrong("a write of revision \(written) says it was \(revision)") }
            return true
        case (.compareAndWrite(_, _, let writes), .compared(true)):
            for write in writes {
                guard let written = revisionOfValue[write.value] else { throw wrong("an acknowledged write is lost") }
                guard written == revision else { throw wrong("a write of revision \(written) says it was \(revision)") }
            }
            return true
        case (.compareAndWrite(let key, let expected, let writes), .compared(false)):
            guard value(of: key, at: revision) != expected else { throw wrong("a comparison that holds has failed") }
            guard writes.allSatisfy({ revisionOfValue[$0.value] == nil }) else {
                throw wrong("a transaction that failed has written")
            }
            return false
        default: throw wrong("an answer of another kind")
        }
    }

    private func checkTimes(
        _ placed: [(operation: HistoryOperation, revision: Int64, isWrite: Bool)]
    ) throws(Violation) {
        let byCall = placed.sorted { $0.operation.called < $1.operation.called }
        let byReturn = placed.sorted { $0.operation.returned ?? .max < $1.operation.returned ?? .max }
        var ended = 0
        var newest: (revision: Int64, operation: HistoryOperation)?
        for (operation, revision, isWrite) in byCall {
            while ended < byReturn.count, byReturn[ended].operation.returned ?? .max < operation.called {
                if byReturn[ended].revision > newest?.revision ?? .min {
                    newest = (byReturn[ended].revision, byReturn[ended].operation)
                }
                ended += 1
            }
            guard let newest else { continue }
            if revision < newest.revision || (isWrite && revision == newest.revision) {
                throw Violation(
                    description:
                        "an operation at revision \(revision) began after one at \(newest.revision) had ended: "
                        + "\(operation) after \(newest.operation)")
            }
        }
    }
}
