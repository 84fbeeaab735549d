/// What an entry of the log carries.
public enum EntryKind: UInt8, Sendable {
    /// A command for the state machine. An empty payload does nothing: a leader opens its term with one (§8).
    case command = 0
    /// An encoded ``ConfigurationChange``.
    case configuration = 1
}

/// One entry of the replicated log.
public struct Entry: Hashable, Sendable {
    public var index: LogIndex
    public var term: Term
    public var kind: EntryKind
    public var payload: [UInt8]

    public init(index: LogIndex, term: Term, kind: EntryKind = .command, payload: [UInt8]) {
        self.index = index
        self.term = term
        self.kind = kind
        self.payload = payload
    }
}

/// What a proposer hands in: an entry without its place.
public struct Proposal: Hashable, Sendable {
    public var kind: EntryKind
    public var payload: [UInt8]

    public init(kind: EntryKind = .command, payload: [UInt8]) {
        self.kind = kind
        self.payload = payload
    }
}

/// What the core keeps of a stored entry: enough to compare logs and to size batches; the payload is the log's.
public struct EntrySummary: Hashable, Sendable {
    public var term: Term
    public var payloadBytes: Int
    public var isConfiguration: Bool

    public init(term: Term, payloadBytes: Int, isConfiguration: Bool) {
        self.term = term
        self.payloadBytes = payloadBytes
        self.isConfiguration = isConfiguration
    }
}

/// What must be on disk before a vote or an acknowledgement leaves (figure 2, "persistent state").
public struct HardState: Hashable, Sendable {
    public var term: Term
    public var votedFor: NodeID?
    /// Kept so that a restart knows what may be applied at once. It may be behind: ``RaftCore`` takes from the log what
    /// it must know of it.
    public var commit: LogIndex

    public init(term: Term = .zero, votedFor: NodeID? = nil, commit: LogIndex = .zero) {
        self.term = term
        self.votedFor = votedFor
        self.commit = commit
    }
}
