import MVCC
import NIOCore
import Raft
import Replica

/// Why a request of the HTTP API is not answered as asked: one shape for all of it, `{"error":code,"message":text}`.
struct APIError: Error, Sendable {
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

    // MARK: Kinds

    static func badRequest(_ message: String) -> APIError { APIError(400, "bad_request", message) }
    static func notFound(_ message: String) -> APIError { APIError(404, "not_found", message) }

    /// Asked for again, the next one may know more.
    static func noLeader(_ message: String) -> APIError {
        APIError(503, "no_leader", message, fields: [("retry-after", "1")])
    }

    static let tooManyRequests = APIError(
        429, "too_many_requests", "this member has more to do than it takes: try again later",
        fields: [("retry-after", "1")])

    static func tooLarge(_ bytesMax: Int) -> APIError {
        APIError(
            413, "too_large", "key and value are larger than \(bytesMax) bytes together (--max-request-bytes)")
    }

    static let stopped = APIError(
        503, "stopped", "this member stops: ask another one", fields: [("retry-after", "1")])

    static let noSpace = APIError(
        507, "no_space",
        "the quota for space (--quota-backend-bytes) is used up: delete, compact, and disarm the alarm")

    static let anotherKind = APIError(500, "internal", "the replica gave an answer of another kind")

    static func methodNotAllowed(_ allowed: [String]) -> APIError {
        let list = allowed.joined(separator: ", ")
        return APIError(405, "method_not_allowed", "here is only \(list)", fields: [("allow", list)])
    }

    static let noLeaderKnown = noLeader("the cluster has no leader at the moment; ?level=stale reads without one")

    // MARK: From elsewhere

    init(_ error: RequestError) {
        switch error {
        case .compacted:
            self.init(410, "compacted", "this revision has been compacted: read the key again, and go on from there")
        case .futureRevision: self.init(400, "future_revision", "this revision has not come yet")
        case .leaseNotFound: self.init(404, "lease_not_found", "there is no such lease, or it has ended")
        case .leaseExists: self.init(409, "lease_exists", "there is a lease of this id")
        case .leaseTTLTooLarge:
            self.init(400, "bad_request", "ttl is at most \(Lease.ttlMax) seconds")
        case .requestTooLarge: self.init(413, "too_large", error.message)
        case .noSpace: self = .noSpace
        case .corruptCluster:
            self.init(500, "corrupt", "the members of this cluster differ (alarm CORRUPT): nothing is written")
        case .keyNotFound: self.init(404, "not_found", error.message)
        case .keyNotProvided, .valueProvided, .leaseProvided, .tooManyOperations, .duplicateKey, .invalidSortOption:
            self.init(400, "bad_request", error.message)
        }
    }

    init(_ failure: RequestFailure) {
        switch failure {
        case .noLeader, .timedOutWithoutLeader: self = .noLeaderKnown
        case .leaderChanging: self = .noLeader("the leader is handing over: nothing was done, ask again")
        case .tooManyRequests: self = .tooManyRequests
        case .timedOut, .timedOutByLostConnection:
            self.init(504, "timeout", "the cluster did not answer in time; a write may still take effect")
        case .timedOutByLeaderFailure:
            self.init(504, "timeout", "the leader was lost meanwhile; a write may have taken effect or not")
        case .notMember, .stopped, .configurationRefused:
            self.init(
                503, "stopped", "this member stops; a write may still take effect", fields: [("retry-after", "1")])
        }
    }
}

extension ServiceContext {
    /// A read that failed. Where the fault is this member's own data, nothing more it says can be trusted.
    func apiError(of error: ReadError) -> APIError {
        switch error {
        case .request(let error): return APIError(error)
        case .state(let error): return apiError(of: error)
        }
    }

    func apiError(of error: StateError) -> APIError {
        node.fail(NodeFailure(part: .engine, reason: "\(error)"))
        return APIError(500, "corrupt", "this member's data is damaged: it stops")
    }
}
