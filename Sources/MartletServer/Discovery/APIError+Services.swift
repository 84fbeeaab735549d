import Raft

// What is said of services alone, or in other words than of keys.
extension APIError {
    static let learner = APIError(
        503, "learner", "this member is a learner and answers nothing of this yet: ask another one",
        fields: [("retry-after", "1")])
    static let checksAreOff = APIError(
        403, "checks_off",
        "this member makes no checks: start all members with --enable-service-checks, or register without \"check\" "
            + "and keep the lease alive")

    /// A registration may be repeated as it is: nobody needs to be told more than whether to ask again.
    static func ofService(_ failure: RequestFailure) -> APIError {
        switch failure {
        case .noLeader, .leaderChanging, .timedOutWithoutLeader:
            .noLeader("the cluster has no leader at the moment: nothing was done, ask again")
        case .timedOutByLeaderFailure: APIError(RequestFailure.timedOut)
        case .notMember, .stopped, .configurationRefused: .stopped
        case .tooManyRequests, .timedOut, .timedOutByLostConnection: APIError(failure)
        }
    }
}
