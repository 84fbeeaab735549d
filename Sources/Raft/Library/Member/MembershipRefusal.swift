public import RaftCore

/// Why a change of the membership was not made. Nothing has changed.
public enum MembershipRefusal: Error, Hashable, Sendable {
    /// This member has not heard of a cluster yet, so that there is nothing to change.
    case noCluster
    /// 0 is no member's id.
    case invalidID
    case addressTooLong(NodeID)
    /// A change names each member once.
    case namedTwice(NodeID)
    /// Who is to be promoted votes already.
    case votesAlready(NodeID)
    /// Who is to be demoted does not vote.
    case doesNotVote(NodeID)
    /// Nobody would vote any more.
    case removesAllVoters
    /// These learners are to vote, and did not get near the end of the leader's log in time.
    case notCaughtUp([NodeID])
    /// Another change is under way and did not come to its end in time.
    case anotherUnderWay
    /// The leader could not read the change, or finds that it does not lead from this membership to another.
    case impossible(String)
}

extension MembershipRefusal: CustomStringConvertible {
    public var description: String {
        switch self {
        case .noCluster: "this member knows no cluster yet"
        case .invalidID: "0 is no member's id"
        case .addressTooLong(let id): "the address of member \(id) is too long"
        case .namedTwice(let id): "member \(id) is named twice"
        case .votesAlready(let id): "member \(id) votes already"
        case .doesNotVote(let id): "member \(id) does not vote"
        case .removesAllVoters: "nobody would vote any more"
        case .notCaughtUp(let ids):
            "not in sync with the leader yet: \(ids.map(\.description).joined(separator: ", "))"
        case .anotherUnderWay: "another change is under way"
        case .impossible(let reason): reason
        }
    }
}

/// Why leadership did not go where it should. Nothing is lost: whoever leads goes on.
public enum TransferFailure: Error, Hashable, Sendable {
    /// Learners cannot lead.
    case notVoter(NodeID)
    /// The leader has heard of no other voter within an election timeout.
    case nobodySuitable
    /// The leader was removed, or is made a learner, and hands over by itself already.
    case leaderIsLeaving
    /// The member did not take over within an election timeout: it may be away, or far behind. nil where the best was
    /// asked for, and nobody took over in the time that the caller gave.
    case timedOut(NodeID?)
    /// The member was removed, or made a learner, meanwhile.
    case targetRemoved(NodeID)
    /// Another transfer was asked for before this one had ended.
    case superseded
    /// Somebody else leads now, who was not asked for.
    case anotherLeads(NodeID)
    /// The leader lost its leadership before it could hand over; who leads is not known yet.
    case leadershipLost
}

extension TransferFailure: CustomStringConvertible {
    public var description: String {
        switch self {
        case .notVoter(let id): "member \(id) does not vote"
        case .nobodySuitable: "the leader reaches no other voter"
        case .leaderIsLeaving: "the leader is leaving, and hands over by itself"
        case .timedOut(let id?): "member \(id) did not take over in time"
        case .timedOut(nil): "nobody took over in time"
        case .targetRemoved(let id): "member \(id) does not vote any more"
        case .superseded: "another transfer took its place"
        case .anotherLeads(let id): "member \(id) leads now"
        case .leadershipLost: "the leader lost its leadership before it could hand over"
        }
    }
}
