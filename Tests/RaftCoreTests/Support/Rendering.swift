@testable import RaftCore

// Upstream's ways of writing things, so that transcripts can be compared.

extension Configuration {
    var rendered: String {
        func list(_ ids: [NodeID]) -> String { "(" + ids.map { "\($0.rawValue)" }.joined(separator: " ") + ")" }
        var text = "voters=" + list(voters)
        if isJoint { text += "&&" + list(outgoingVoters) }
        if !learners.isEmpty { text += " learners=" + list(learners) }
        if !nextLearners.isEmpty { text += " learners_next=" + list(nextLearners) }
        if leavesAutomatically { text += " autoleave" }
        return text
    }
}

extension ReplicationState {
    var rendered: String {
        switch self {
        case .probe: "StateProbe"
        case .replicate: "StateReplicate"
        case .snapshot: "StateSnapshot"
        }
    }
}

extension RoleName {
    var rendered: String {
        switch self {
        case .follower: "StateFollower"
        case .preCandidate: "StatePreCandidate"
        case .candidate: "StateCandidate"
        case .leader: "StateLeader"
        }
    }
}

extension RaftCore.PeerStatus {
    var rendered: String {
        var text = "\(id.rawValue): \(state.rendered) match=\(match.rawValue) next=\(next.rawValue)"
        if isLearner { text += " learner" }
        if isPaused { text += " paused" }
        if pendingSnapshot > .zero { text += " pendingSnap=\(pendingSnapshot.rawValue)" }
        if !isRecentlyActive { text += " inactive" }
        if inflightMessages > 0 {
            text += " inflight=\(inflightMessages)"
            if isInflightFull { text += "[full]" }
        }
        return text
    }
}

extension VoteOutcome {
    var rendered: String {
        switch self {
        case .won: "VoteWon"
        case .pending: "VotePending"
        case .lost: "VoteLost"
        }
    }
}

/// `v1 l2 r3 u4`
func memberChanges(_ text: String) -> [MemberChange] {
    do { return try parseMemberChanges(text) } catch { preconditionFailure("\(error)") }
}

func parseMemberChanges(_ text: String) throws -> [MemberChange] {
    try text.split(whereSeparator: \.isWhitespace).map { token in
        let kind: MemberChange.Kind
        switch token.first {
        case "v": kind = .addVoter
        case "l": kind = .addLearner
        case "r": kind = .remove
        case "u": kind = .update
        default: throw ScenarioError("unknown step \(token)")
        }
        guard let id = UInt64(token.dropFirst()) else { throw ScenarioError("unknown member in \(token)") }
        return MemberChange(kind, NodeID(id))
    }
}

func rendered(_ changes: [MemberChange]) -> String {
    changes.map { change in
        let letter =
            switch change.kind {
            case .addVoter: "v"
            case .addLearner: "l"
            case .remove: "r"
            case .update: "u"
            }
        return "\(letter)\(change.node.rawValue)"
    }.joined(separator: " ")
}
