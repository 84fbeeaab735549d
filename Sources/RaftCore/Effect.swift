/// What a core asks of the world, in order.
public enum Effect: Sendable {
    /// Make this durable, after every write before it, and answer ``Input/persisted(_:)``.
    case write(WriteID, Write)
    /// Send at once. What depended on a write was held back until that write was durable.
    case send(Message)
    /// Send an `appendEntries` whose entries are the log's: `header.entries` is empty, and the caller fills in those of
    /// `first ..< end`. If the node's term has moved on by the time they are read, the message is dropped.
    case sendEntries(Message, first: LogIndex, end: LogIndex)
    /// That node needs a snapshot at `atLeast` or later. The caller streams one, delivers an
    /// ``Message/Body/installSnapshot(_:)`` at its end, and says ``Input/snapshotFinished(_:succeeded:)``.
    /// `term` is this leader's, for that message's header.
    case sendSnapshot(to: NodeID, atLeast: LogIndex, term: Term)
    /// Everything up to here is committed and durable on this node: apply it. Grows only. After a ``Write/snapshot``
    /// it counts on from the snapshot's index, which is never announced itself.
    case commit(LogIndex)
    /// The state may be read once everything up to `at` has been applied. Where a network delivers a forwarded read
    /// twice, this may come twice: an id that is not open any more is to be passed over.
    case readReady(ReadID, at: LogIndex)
    case readRefused(ReadID, reason: RefusalReason)
    /// The last `count` proposals of this step's input were not taken.
    case proposalsRefused(count: Int, reason: RefusalReason)
    /// The configuration change at `offset` in this step's input was not allowed now. Its place in the log was taken by
    /// an empty command, so that the proposals after it keep theirs.
    case configurationChangeRefused(offset: Int, reason: ConfigurationRefusal)
    /// A transfer that was asked for here was not begun. `to` is nil where the best was asked for.
    case transferRefused(to: NodeID?, reason: TransferRefusal)
    /// What became of a transfer by this leader, whoever asked for it. While one is under way, proposals are refused.
    case transferEnded(to: NodeID, outcome: TransferOutcome)
    /// What that node has passed on was not taken. Only the caller knows the proposals' names, so it is the caller who
    /// answers, if it wants to.
    case forwardRefused(RefusedForward, from: NodeID)
    /// So another node has answered for what this one's caller had it pass on.
    case forwardAnswered(ForwardAnswer)
    /// Term, role or known leader changed.
    case roleChanged(RoleSummary)
    case trace(TraceEvent)
}

/// One durable write. Within it: snapshot first, then the hard state, then truncation and entries; all or nothing is
/// not needed, order is.
public struct Write: Hashable, Sendable {
    public var hardState: HardState?
    /// Entries to append. Where the first one's index is not past the log's end, the log is cut there first.
    public var entries: [Entry]
    /// The state is replaced by this snapshot, which has been received and checked; the log restarts after it.
    public var snapshot: SnapshotDescription?

    public init(hardState: HardState? = nil, entries: [Entry] = [], snapshot: SnapshotDescription? = nil) {
        self.hardState = hardState
        self.entries = entries
        self.snapshot = snapshot
    }
}

public enum RefusalReason: Hashable, Sendable {
    case noLeader
    /// Leadership is being handed over. Nothing was taken: it may be sent again, to the next leader.
    case transferring
    case tooManyUncommitted
    /// The node is not a member, or its leader no longer is.
    case notMember
    case forwardingDisabled
    /// More reads wait for their index than ``RaftCore/Options/maxPendingReads`` allows.
    case tooManyReads
}

public enum TransferRefusal: Hashable, Sendable {
    case noLeader
    /// No voter by that id; it may be a learner.
    case notVoter
    /// The target leads already. (A transfer to another one that was under way has ended.)
    case alreadyLeader
    /// A transfer to the same target is under way, with the deadline that it has.
    case alreadyUnderWay
    /// No other voter was heard of within an election timeout.
    case nobodySuitable
    /// This leader has lost its vote and is handing over already.
    case leaderRemoved
}

public enum TransferOutcome: Hashable, Sendable {
    /// The target was told to campaign, and this node leads no more. Who does is told by ``Effect/roleChanged(_:)``.
    case handedOver
    /// The target did not take over within an election timeout. This node goes on leading.
    case timedOut
    /// The target is no voter any more. This node goes on leading.
    case targetRemoved
    /// Another request took its place, or ended it. This node goes on leading.
    case superseded
    /// This node stopped leading for another reason before the target was told to campaign.
    case leadershipLost
}

public enum RoleName: UInt8, Sendable {
    case follower, preCandidate, candidate, leader
}

public struct RoleSummary: Hashable, Sendable {
    public var role: RoleName
    public var term: Term
    public var leader: NodeID?

    public init(role: RoleName, term: Term, leader: NodeID?) {
        self.role = role
        self.term = term
        self.leader = leader
    }
}

/// What happened inside, for logs, scenario transcripts and the simulator.
public enum TraceEvent: Hashable, Sendable {
    case becameFollower(Term, leader: NodeID?)
    case becamePreCandidate(Term)
    case becameCandidate(Term)
    case becameLeader(Term)
    case steppedDownWithoutQuorum(Term)
    case configurationChanged(Configuration)
    case configurationRefused(String)
    case messageIgnored(from: NodeID, Term, String)
}
