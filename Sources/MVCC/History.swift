internal import StorageEngine

/// Takes what a ``HistoryReader`` finds.
package protocol HistoryVisitor {
    /// Whether the change of this key is to be read and visited. Most are not: history is everybody's, and the pair of
    /// a change costs a look into another table.
    mutating func interest(in key: UnsafeRawBufferPointer, _ kind: Change.Kind, at revision: Revision)
        -> HistoryInterest
    /// The pairs are valid during the call. `previous` is none where the change made the pair, or where the revision
    /// before it has been compacted (A6).
    mutating func visit(_ change: BorrowedChange, previous: BorrowedKeyValue?)
    /// Whether it has enough for now: the step ends with the revision that it is at.
    var isFull: Bool { get }
}

package enum HistoryInterest: Sendable {
    case none
    case change
    /// The pair as it was before is wanted too.
    case changeAndPrevious
}

/// A change whose key and value are still in the store's memory: valid during the call that hands it over.
@safe package struct BorrowedChange {
    package var kind: Change.Kind
    package var id: ChangeID
    /// After a delete only key and mod revision are set.
    package var keyValue: BorrowedKeyValue
}

/// What happened from a revision on, in its order, read in bounded steps: for watches of the past.
///
/// A step ends with a whole revision, whatever its budget was: the changes of one revision are told together (A7).
package struct HistoryReader: Sendable {
    private let layers: LayeredView
    private let head: Revision
    private let compactRevision: Revision
    /// Everything before this revision has been visited.
    package private(set) var next: Revision

    init(layers: LayeredView, head: Revision, compactRevision: Revision, next: Revision) {
        self.layers = layers
        self.head = head
        self.compactRevision = compactRevision
        self.next = next
    }

    /// Whether everything up to the view's revision has been visited.
    package var isAtEnd: Bool { next > head }

    /// Looks at about `rowsMax` changes, or at fewer if the visitor is full earlier.
    package mutating func step<V: HistoryVisitor>(rowsMax: Int, into visitor: inout V) throws(StateError) {
        precondition(rowsMax > 0, "a step of no rows does not end")
        guard !isAtEnd else { return }
        let changes = layers.makeCursor(.revisions)
        let pairs = reader
        let earlier = reader
        var more = unsafe RevisionRow.withKey(ChangeID(revision: next, number: 0)) { unsafe changes.seek($0) }
        var rows = 0
        var last = next
        while more {
            let id = try unsafe RevisionRow.change(changes.key)
            guard id.revision <= head else {
                throw .corrupt("revisions: \(id.revision.rawValue) is newer than the state's \(head.rawValue)")
            }
            if id.revision > last, rows >= rowsMax || visitor.isFull {
                next = id.revision
                return
            }
            last = id.revision
            rows += 1
            let (kind, key) = try unsafe RevisionRow.content(changes.value)
            let interest = unsafe visitor.interest(in: key, kind, at: id.revision)
            if interest != .none {
                let keyValue = try unsafe pairs.pair(key, of: id, kind)
                var previous: BorrowedKeyValue?
                // etcd does not look for what was before a pair that the change created.
                let isCreation = kind == .put && keyValue.createRevision == id.revision
                if interest == .changeAndPrevious, !isCreation, id.revision > compactRevision {
                    previous = try unsafe earlier.pair(key, at: id.revision.rawValue - 1)
                }
                visitor.visit(BorrowedChange(kind: kind, id: id, keyValue: keyValue), previous: previous)
            }
            more = changes.next()
        }
        next = Revision(head.rawValue + 1)
    }

    private var reader: VersionReader {
        VersionReader(
            cursor: layers.makeCursor(.versions), revision: head.rawValue, compactRevision: compactRevision.rawValue)
    }
}

extension VersionReader {
    /// The pair that a change made, its checksum found right.
    func pair(
        _ key: UnsafeRawBufferPointer, of change: ChangeID, _ kind: Change.Kind
    ) throws(StateError) -> BorrowedKeyValue {
        let isFound = unsafe VersionKey.withPrefix(key) { prefix, count in
            unsafe VersionKey.storeChange(change.revision.rawValue, change.number, at: prefix.baseAddress! + count)
            let row = UnsafeRawBufferPointer(prefix)
            return unsafe cursor.seek(row) && haveEqualBytes(cursor.key, row)
        }
        guard isFound else {
            throw .corrupt(
                unsafe "versions: no row for change \(change.revision.rawValue).\(change.number) of key \(hex(key))")
        }
        guard try unsafe VersionRecord.isDeletion(row: cursor.key, cursor.value) == (kind == .delete) else {
            throw .corrupt("revisions: change \(change.revision.rawValue).\(change.number) is not what its version is")
        }
        guard kind == .put else {
            return unsafe BorrowedKeyValue(
                key: key, value: UnsafeRawBufferPointer(start: nil, count: 0), createRevision: Revision(0),
                modRevision: change.revision, version: 0, lease: .none)
        }
        return unsafe BorrowedKeyValue(
            key: key, revision: change.revision.rawValue,
            content: try VersionRecord(row: cursor.key, cursor.value))
    }
}

extension ReadView {
    /// The changes from `revision` on, up to the view's. Those before the compact revision cannot be told any more.
    package func history(from revision: Revision) throws(RequestError) -> HistoryReader {
        guard revision >= compactRevision else { throw .compacted }
        return HistoryReader(
            layers: layers, head: self.revision, compactRevision: compactRevision, next: max(revision, .first))
    }

    /// The pair before a change, for those who watch (A6): none if the change made it, or if the revision before the
    /// change cannot be read any more.
    package func previous(of change: Change) throws(StateError) -> KeyValue? {
        let revision = change.id.revision
        if change.kind == .put, change.keyValue.createRevision == revision { return nil }
        guard revision > compactRevision else { return nil }
        let reader = reader
        defer { withExtendedLifetime(reader.cursor) {} }
        return try unsafe withBytes(change.keyValue.key) { key throws(StateError) in
            try unsafe reader.pair(key, at: revision.rawValue - 1).map { KeyValue($0) }
        }
    }
}

extension KeyValue {
    /// The same without a copy, for the call.
    package func withBorrowed<R>(_ body: (BorrowedKeyValue) -> R) -> R {
        unsafe withBytes(key) { key in
            unsafe withBytes(value) { value in
                unsafe body(
                    BorrowedKeyValue(
                        key: key, value: value, createRevision: createRevision, modRevision: modRevision,
                        version: version, lease: lease))
            }
        }
    }
}
