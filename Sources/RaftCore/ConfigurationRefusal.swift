/// Why a change of the configuration was not taken, or is not possible.
public enum ConfigurationRefusal: Error, Hashable, Sendable {
    /// The proposal's bytes are no change.
    case undecodable(String)
    /// Another change is, or may be, in the log and not applied: one at a time.
    case pending(at: LogIndex, applied: LogIndex)
    /// The configuration is joint: it has to be left first, by a change without steps.
    case isJoint
    /// A change without steps, and nothing to leave.
    case isNotJoint
    /// Nobody could vote any more.
    case removesAllVoters
    /// These are to be removed or updated, and are no members.
    case unknownMembers([NodeID])
    /// Too many of the voters that would be left have not been heard of for an election timeout: these.
    case losesQuorum(silent: [NodeID])
    /// These learners would vote, and their logs are too far behind the leader's.
    case notCaughtUp([NodeID])
    /// The arithmetic does not allow it.
    case impossible(String)
}

extension ConfigurationRefusal: CustomStringConvertible {
    public var description: String {
        func list(_ ids: [NodeID]) -> String { ids.map { "\($0.rawValue)" }.joined(separator: ", ") }
        return switch self {
        case .undecodable(let reason): "not a configuration change: \(reason)"
        case .pending(let index, let applied):
            "possible unapplied conf change at index \(index.rawValue) (applied to \(applied.rawValue))"
        case .isJoint: "must transition out of joint config first"
        case .isNotJoint: "not in joint state; refusing empty conf change"
        case .removesAllVoters: "removed all voters"
        case .unknownMembers(let ids): "not members: \(list(ids))"
        case .losesQuorum(let silent): "would lose the quorum: not heard of \(list(silent))"
        case .notCaughtUp(let ids): "would make voters of learners that are not in sync with the leader: \(list(ids))"
        case .impossible(let reason): reason
        }
    }
}
