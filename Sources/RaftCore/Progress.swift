/// How replication to a member is going on.
public enum ReplicationState: UInt8, Sendable {
    /// Where the logs agree is being found out: one append at a time.
    case probe
    /// The logs agree up to `match`; appends follow one another without waiting for the answers.
    case replicate
    /// The log no longer reaches back far enough; a snapshot is under way.
    case snapshot
}

/// What a leader knows of one member's log, itself included.
///
/// Invariant: `match < next`.
struct Progress: Sendable {
    let id: NodeID
    var isLearner: Bool
    /// The last entry known to be the same, and durable, there.
    var match: LogIndex = .zero
    /// The next entry to send.
    var next: LogIndex
    var state: ReplicationState = .probe
    /// The newest commit index that was sent. It may have been lost: a rejection takes it back.
    var sentCommit: LogIndex = .zero
    /// While a snapshot is under way, the least index that it will bring the member to.
    var pendingSnapshot: LogIndex = .zero
    /// Heard of since quorum activity was last checked.
    var isRecentlyActive = false
    /// The tick at which it was last heard of, by which it is judged present.
    var heardAt: UInt64 = 0
    /// Entries are being read for it that are not in memory: nothing else goes to it until they are on their way.
    var isPageUnderWay = false
    /// No append is to be sent until the member says something: a probe is out, or its inflights are full.
    var isFlowPaused = false
    var inflights: Inflights
    /// The newest heartbeat sequence that the member has answered.
    var answeredSequence: UInt64 = 0
    /// The heartbeat sequence that told the member that this leader has lost its vote.
    var toldOfHandover: UInt64?

    init(id: NodeID, isLearner: Bool, next: LogIndex, limits: RaftCore.Options) {
        self.id = id
        self.isLearner = isLearner
        self.next = next
        inflights = Inflights(countMax: limits.maxInflightMessages, bytesMax: limits.maxInflightBytes)
    }

    var isPaused: Bool { isFlowPaused || isPageUnderWay || state == .snapshot }

    mutating func limit(_ limits: RaftCore.Options) {
        inflights.limit(count: limits.maxInflightMessages, bytes: limits.maxInflightBytes)
        if state == .replicate { isFlowPaused = inflights.isFull }
    }

    private mutating func reset(to new: ReplicationState) {
        isFlowPaused = false
        isPageUnderWay = false
        pendingSnapshot = .zero
        state = new
        inflights.removeAll()
    }

    mutating func becomeProbe() {
        // After a snapshot, go on behind it; its arrival is not yet confirmed by an answer, so `match` does not move.
        let resumed = state == .snapshot ? max(match.next, pendingSnapshot.next) : match.next
        reset(to: .probe)
        next = resumed
        sentCommit = min(sentCommit, next.previous)
    }

    mutating func becomeReplicate() {
        reset(to: .replicate)
        next = match.next
    }

    mutating func becomeSnapshot(atLeast index: LogIndex) {
        reset(to: .snapshot)
        pendingSnapshot = index
        next = index.next
        sentCommit = index
    }

    /// Entries up to before `end` were sent; `end == next` for none.
    mutating func sent(to end: LogIndex, bytes: Int) {
        switch state {
        case .replicate:
            if end > next {
                next = end
                inflights.add(last: end.previous, bytes: bytes)
            }
            isFlowPaused = inflights.isFull
        case .probe:
            if end > next { isFlowPaused = true }
        case .snapshot:
            preconditionFailure("an append to \(id.rawValue) while it waits for a snapshot")
        }
    }

    /// Whether sending the commit index now tells the member something that it can use.
    func wantsCommit(_ commit: LogIndex) -> Bool { commit > sentCommit && sentCommit < next.previous }

    /// The member has everything up to `index`. False where that is no news.
    mutating func acknowledge(_ index: LogIndex) -> Bool {
        guard index > match else { return false }
        match = index
        next = max(next, index.next)
        isFlowPaused = false
        return true
    }

    /// The member refused an append whose previous entry was at `index`; its log could agree up to `hint` at best.
    /// False where the refusal is an old one.
    mutating func reject(_ index: LogIndex, hint: LogIndex) -> Bool {
        if state == .replicate {
            guard index > match else { return false }
            next = match.next
            sentCommit = min(sentCommit, next.previous)
            return true
        }
        // While probing (and while a snapshot is under way) only the answer to the last append counts.
        guard next.previous == index else { return false }
        next = max(min(index, hint.next), match.next)
        sentCommit = min(sentCommit, next.previous)
        isFlowPaused = false
        return true
    }
}
