public import RaftCore

/// Why a member was not recovered
/// (``RaftMember/recover(id:log:stateMachine:members:clusterName:newClusterName:logger:)``). Nothing has changed.
public enum RecoveryRefusal: Error, Hashable, Sendable {
    /// There is nothing in the place that was named, or only what a member has that never heard from its cluster.
    case nothingToRecover
    /// 0 is no member's id.
    case invalidID
    /// The list of members names a member twice.
    case namedTwice(NodeID)
    case addressTooLong(NodeID)
    /// The member that is recovered is not in the list of members.
    case notAmongMembers(NodeID)
    /// The member that is recovered has to vote: the others have nothing yet, and could not lead.
    case doesNotVote(NodeID)
    /// The new cluster needs a name of its own, and one that is not empty.
    case clusterNameIsNotNew(String)
    /// The directory is that of a recovered member already, with other members than these, or one that has gone on
    /// since.
    case alreadyRecovered
}

extension RecoveryRefusal: CustomStringConvertible {
    public var description: String {
        switch self {
        case .nothingToRecover: "it holds no member's state"
        case .invalidID: "0 is no member's id"
        case .namedTwice(let id): "member \(id) is named twice"
        case .addressTooLong(let id): "the address of member \(id) is too long"
        case .notAmongMembers(let id): "member \(id) is not among the members of the new cluster"
        case .doesNotVote(let id): "member \(id) has all that there is, and must vote"
        case .clusterNameIsNotNew(let name):
            "the new cluster needs another name than \"\(name)\": else members of the old one could take it for theirs"
        case .alreadyRecovered:
            "it was recovered before, and holds another list of members, or has gone on since: start it, and change "
                + "the members of the cluster that runs"
        }
    }
}
