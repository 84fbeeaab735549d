import MVCC
import NIOCore
import Raft

/// Why a request about services is not answered as asked: `{"error":code,"message":sentence}`.
struct DiscoveryError: Error, Sendable {
    var status: Int
    /// For programs: does not change.
    var code: String
    /// For people: what was wrong, and what would be right.
    var message: String
    var fields: [(name: String, value: String)] = []

    init(_ status: Int, _ code: String, _ message: String, fields: [(name: String, value: String)] = []) {
        self.status = status
        self.code = code
        self.message = message
        self.fields = fields
    }

    var response: PlainResponse {
        PlainResponse(
            status: status, contentType: "application/json",
            body: #"{"error":\#(ServerLogHandler.quote(code)),"message":\#(ServerLogHandler.quote(message))}"# + "\n",
            fields: fields)
    }

    static func badRequest(_ message: String) -> DiscoveryError { DiscoveryError(400, "bad_request", message) }
    static func notFound(_ message: String) -> DiscoveryError { DiscoveryError(404, "not_found", message) }

    static func methodNotAllowed(_ allowed: [String]) -> DiscoveryError {
        let list = allowed.joined(separator: ", ")
        return DiscoveryError(405, "method_not_allowed", "here is only \(list)", fields: [("allow", list)])
    }

    static let tooManyRequests = DiscoveryError(
        429, "too_many_requests", "this member has more to do than it takes: try again later",
        fields: [("retry-after", "1")])
    static let anotherKind = DiscoveryError(500, "internal", "the replica gave an answer of another kind")
    static let noSpace = DiscoveryError(
        507, "no_space",
        "the quota for space (--quota-backend-bytes) is used up: delete, compact, and disarm the alarm")
    static let stopped = DiscoveryError(
        503, "stopped", "this member stops: ask another one", fields: [("retry-after", "1")])
    static let learner = DiscoveryError(
        503, "learner", "this member is a learner and answers nothing of this yet: ask another one",
        fields: [("retry-after", "1")])
    static let checksAreOff = DiscoveryError(
        403, "checks_off",
        "this member makes no checks: start all members with --enable-service-checks, or register without \"check\" "
            + "and keep the lease alive")

    init(_ error: RequestError) {
        switch error {
        case .leaseNotFound: self.init(404, "lease_not_found", "there is no such lease, or it has ended")
        case .noSpace: self = .noSpace
        case .corruptCluster:
            self.init(500, "corrupt", "the members of this cluster differ (alarm CORRUPT): nothing is written")
        case .requestTooLarge: self.init(413, "too_large", error.message)
        default: self.init(400, "bad_request", error.message)
        }
    }

    init(_ failure: RequestFailure) {
        switch failure {
        case .noLeader, .leaderChanging, .timedOutWithoutLeader:
            self.init(
                503, "no_leader", "the cluster has no leader at the moment: nothing was done, ask again",
                fields: [("retry-after", "1")])
        case .tooManyRequests: self = .tooManyRequests
        case .timedOut, .timedOutByLeaderFailure, .timedOutByLostConnection:
            self.init(504, "timeout", "the cluster did not answer in time; a write may still take effect")
        case .notMember, .stopped, .configurationRefused: self = .stopped
        }
    }
}
