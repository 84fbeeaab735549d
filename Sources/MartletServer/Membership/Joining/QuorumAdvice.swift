import EtcdAPI
import HTTP2
import Raft
import RaftCore
import Replica

/// What a refusal means and what would be needed, in a sentence: etcd's errors say neither.
struct QuorumAdvice {
    let view: ReplicaView
    /// Whether this member hears of that one.
    let isPresent: (NodeID) -> Bool

    /// Why a member cannot go.
    func removal(of id: NodeID) -> String {
        let name = name(of: id)
        let left = view.members.filter { view.configuration.voters.contains($0.id) && $0.id != id }
        guard !left.isEmpty else {
            return "\(name) is the only member that votes: without it nobody could decide anything; add another one "
                + "first (martlet serve --join)"
        }
        let majority = left.count / 2 + 1
        let away = left.filter { !$0.isStarted || !isPresent($0.id) }
        let names = away.map { self.name(of: $0.id) }.joined(separator: ", ")
        let need =
            "without \(name) the voters are \(left.map { self.name(of: $0.id) }.joined(separator: ", ")), and "
            + "\(majority) of them have to answer"
        guard !away.isEmpty else { return need + "; all do at this moment: ask again in a few seconds" }
        return need + ", where \(names) \(away.count == 1 ? "does" : "do") not: start \(names), or add a member that "
            + "runs (martlet serve --join), before \(name) goes"
    }

    /// What a failure comes to for whoever asked over HTTP.
    func refusal(_ failure: MemberChanges.Failure, removing id: NodeID? = nil) -> JoinRefusal {
        let text = failure.status.message
        switch failure {
        case .refused(.tooManyLearners): return learnersAreTooMany
        case .refused(.noLeader), .failed(.noLeader), .failed(.leaderChanging):
            return JoinRefusal(.noLeader, "there is no leader at the moment, so nothing can be changed; ask again")
        case .refused(.memberNotEnoughStarted), .refused(.unhealthy), .failed(.configurationRefused(.losesQuorum)),
            .failed(.configurationRefused(.removesAllVoters)):
            return JoinRefusal(.quorum, "\(text): \(id.map(removal) ?? "too few of the voters answer")")
        case .refused(.memberNotFound): return JoinRefusal(.unknownMember, text)
        case .refused(.memberBadURLs): return JoinRefusal(.badRequest, text)
        case .refused(.peerURLExists): return JoinRefusal(.addressInUse, text)
        case .failed(.tooManyRequests), .failed(.timedOut), .failed(.timedOutByLeaderFailure), .refused(.timeout),
            .failed(.configurationRefused(.pending)), .failed(.configurationRefused(.isJoint)),
            .failed(.configurationRefused(.notCaughtUp)):
            return JoinRefusal(.notReady, text)
        default: return JoinRefusal(.refused, text)
        }
    }

    private var learnersAreTooMany: JoinRefusal {
        let names = view.configuration.learners.map { id in
            name(of: id) + (view.members.first { $0.id == id }?.isStarted == true ? "" : ", which has not started")
        }
        return JoinRefusal(
            .tooManyLearners,
            "another member is joining (\(names.joined(separator: "; "))), and there may be so many learners at a time "
                + "(--max-learners); ask again when it votes, or remove it if it never will")
    }

    private func name(of id: NodeID) -> String {
        let member = view.members.first { $0.id == id }
        return member.flatMap { $0.name.isEmpty ? nil : $0.name } ?? hex(id.rawValue)
    }
}
