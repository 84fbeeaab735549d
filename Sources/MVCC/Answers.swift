package struct RangeAnswer: Hashable, Sendable {
    /// The store's revision when this was read, whatever revision was asked for.
    package var revision: Revision
    package var keyValues: [KeyValue]
    /// There are more pairs than the limit let through.
    package var more: Bool
    /// Keys in the range at that revision, whatever limit and filters say.
    package var count: Int64

    package init(revision: Revision, keyValues: [KeyValue] = [], more: Bool = false, count: Int64 = 0) {
        self.revision = revision
        self.keyValues = keyValues
        self.more = more
        self.count = count
    }
}

/// What a streamed range says beside its pairs.
package struct RangeSummary: Hashable, Sendable {
    package var revision: Revision
    package var count: Int64
    package var more: Bool
}

package struct PutAnswer: Hashable, Sendable {
    package var revision: Revision
    package var previous: KeyValue?

    package init(revision: Revision, previous: KeyValue? = nil) {
        self.revision = revision
        self.previous = previous
    }
}

package struct DeleteAnswer: Hashable, Sendable {
    package var revision: Revision
    package var deleted: Int64
    package var previous: [KeyValue]

    package init(revision: Revision, deleted: Int64, previous: [KeyValue] = []) {
        self.revision = revision
        self.deleted = deleted
        self.previous = previous
    }
}

package struct TransactionAnswer: Hashable, Sendable {
    /// Nil in a nested transaction, whose header is empty.
    package var revision: Revision?
    package var succeeded: Bool
    package var answers: [OperationAnswer]

    package init(revision: Revision?, succeeded: Bool, answers: [OperationAnswer]) {
        self.revision = revision
        self.succeeded = succeeded
        self.answers = answers
    }
}

package indirect enum OperationAnswer: Hashable, Sendable {
    case range(RangeAnswer)
    case put(PutAnswer)
    case delete(DeleteAnswer)
    case transaction(TransactionAnswer)
    case empty
}

/// What applying a command came to.
package struct Outcome: Hashable, Sendable {
    package enum Result: Hashable, Sendable {
        case put(PutAnswer)
        case delete(DeleteAnswer)
        case transaction(TransactionAnswer)
        case compacted
        case failed(RequestError)
    }

    package var result: Result
    /// The store's revision after the command.
    package var revision: Revision

    package init(_ result: Result, revision: Revision) {
        self.result = result
        self.revision = revision
    }
}

package struct HashAnswer: Hashable, Sendable {
    package var hash: UInt32
    package var compactRevision: Revision
    package var hashRevision: Revision
}
