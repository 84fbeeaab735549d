/// What members say to each other. `term` is the sender's, except in ``Body/preVote(_:)`` (the term it would
/// campaign in) and in forwarded proposals and reads, and answers to them, where it is zero: those belong to no term.
public struct Message: Hashable, Sendable {
    public var from: NodeID
    public var to: NodeID
    public var term: Term
    public var body: Body

    public init(from: NodeID, to: NodeID, term: Term, body: Body) {
        self.from = from
        self.to = to
        self.term = term
        self.body = body
    }

    public enum Body: Hashable, Sendable {
        case appendEntries(AppendEntries)
        case appendEntriesReply(AppendEntriesReply)
        case heartbeat(Heartbeat)
        case heartbeatReply(HeartbeatReply)
        case vote(VoteRequest)
        case voteReply(VoteReply)
        case preVote(VoteRequest)
        case preVoteReply(VoteReply)
        /// The leader's state at an index. Only its description passes through the core: the chunks travel beside it,
        /// and the message is delivered to the receiver's core when all of them have arrived and been checked.
        case installSnapshot(SnapshotDescription)
        /// A follower's proposals on their way to the leader (§8). Never sent twice by the cluster itself.
        case propose([Proposal])
        /// A follower asks the leader for a read index (§6.4 of the thesis).
        case readIndex(ReadID)
        case readIndexReply(ReadID, LogIndex)
        /// The leader tells a caught-up follower to campaign at once (§3.10 of the thesis).
        case timeoutNow
        /// A follower asks the leader to hand over to the named member, or, where it is zero, to the best.
        case transferLeadership(to: NodeID)
        /// Of what the addressee had passed on. The caller makes it, of an ``Effect/forwardRefused(_:from:)``.
        case forwardAnswer(ForwardAnswer)
    }
}

public struct AppendEntries: Hashable, Sendable {
    public var previousIndex: LogIndex
    public var previousTerm: Term
    public var commit: LogIndex
    public var entries: [Entry]

    public init(previousIndex: LogIndex, previousTerm: Term, commit: LogIndex, entries: [Entry]) {
        self.previousIndex = previousIndex
        self.previousTerm = previousTerm
        self.commit = commit
        self.entries = entries
    }
}

/// Success names the last index that now matches; a rejection names the index that was refused, and where the
/// follower's log could match at best, so that the leader skips whole terms (§5.3, last paragraphs).
public struct AppendEntriesReply: Hashable, Sendable {
    public enum Outcome: Hashable, Sendable {
        case accepted
        case rejected(hintIndex: LogIndex, hintTerm: Term)
    }
    public var index: LogIndex
    public var outcome: Outcome

    public init(index: LogIndex, outcome: Outcome) {
        self.index = index
        self.outcome = outcome
    }
}

public struct Heartbeat: Hashable, Sendable {
    public var commit: LogIndex
    /// The newest read that this heartbeat confirms leadership for; zero confirms none.
    public var readSequence: UInt64

    public init(commit: LogIndex, readSequence: UInt64) {
        self.commit = commit
        self.readSequence = readSequence
    }
}

public struct HeartbeatReply: Hashable, Sendable {
    public var readSequence: UInt64
    public init(readSequence: UInt64) { self.readSequence = readSequence }
}

public struct VoteRequest: Hashable, Sendable {
    public var lastIndex: LogIndex
    public var lastTerm: Term
    /// The campaign follows a leadership transfer: leases do not hold it up.
    public var isTransfer: Bool

    public init(lastIndex: LogIndex, lastTerm: Term, isTransfer: Bool) {
        self.lastIndex = lastIndex
        self.lastTerm = lastTerm
        self.isTransfer = isTransfer
    }
}

public struct VoteReply: Hashable, Sendable {
    public var isGranted: Bool
    public init(isGranted: Bool) { self.isGranted = isGranted }
}

/// What a snapshot stands for: everything up to `index`, and the configuration at that place.
public struct SnapshotDescription: Hashable, Sendable {
    public var index: LogIndex
    public var term: Term
    public var configuration: Configuration

    public init(index: LogIndex, term: Term, configuration: Configuration) {
        self.index = index
        self.term = term
        self.configuration = configuration
    }
}
