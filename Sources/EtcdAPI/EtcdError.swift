/// The errors of an etcd v3 server (as of 3.6). Clients recognise them by their exact text, so text and code are
/// protocol.
package enum EtcdError: Error, Equatable, Sendable, CaseIterable {
    case emptyKey
    case keyNotFound
    case valueProvided
    case leaseProvided
    case tooManyOperations
    case duplicateKey
    case invalidClientAPIVersion
    case invalidSortOption
    case compacted
    case futureRevision
    case noSpace
    case leaseNotFound
    case leaseExists
    case leaseTTLTooLarge
    case watchCanceled
    case memberExists
    case peerURLExists
    case memberNotEnoughStarted
    case memberBadURLs
    case memberNotFound
    case memberNotLearner
    case learnerNotReady
    case tooManyLearners
    case clusterIDMismatch
    case requestTooLarge
    case tooManyRequests
    case rootUserNotExist
    case rootRoleNotExist
    case userAlreadyExists
    case userEmpty
    case userNotFound
    case roleAlreadyExists
    case roleNotFound
    case roleEmpty
    case authFailed
    case permissionNotGiven
    case permissionDenied
    case roleNotGranted
    case permissionNotGranted
    case authNotEnabled
    case invalidAuthToken
    case invalidAuthManagement
    case authOldRevision
    case noLeader
    case notLeader
    case leaderChanged
    case notCapable
    case stopped
    case timeout
    case timeoutDueToLeaderFail
    case timeoutDueToConnectionLost
    case timeoutWaitAppliedIndex
    case unhealthy
    case corrupt
    case notSupportedForLearner
    case badLeaderTransferee
    case invalidDowngradeTargetVersionFormat
    case invalidDowngradeTargetVersion
    case clusterVersionNotFound
    case downgradeInProcess
    case noInflightDowngrade
    case canceled
    case deadlineExceeded

    /// The text on the wire.
    package var message: String {
        switch self {
        case .emptyKey: "etcdserver: key is not provided"
        case .keyNotFound: "etcdserver: key not found"
        case .valueProvided: "etcdserver: value is provided"
        case .leaseProvided: "etcdserver: lease is provided"
        case .tooManyOperations: "etcdserver: too many operations in txn request"
        case .duplicateKey: "etcdserver: duplicate key given in txn request"
        case .invalidClientAPIVersion: "etcdserver: invalid client api version"
        case .invalidSortOption: "etcdserver: invalid sort option"
        case .compacted: "etcdserver: mvcc: required revision has been compacted"
        case .futureRevision: "etcdserver: mvcc: required revision is a future revision"
        case .noSpace: "etcdserver: mvcc: database space exceeded"
        case .leaseNotFound: "etcdserver: requested lease not found"
        case .leaseExists: "etcdserver: lease already exists"
        case .leaseTTLTooLarge: "etcdserver: too large lease TTL"
        case .watchCanceled: "etcdserver: watch canceled"
        case .memberExists: "etcdserver: member ID already exist"
        case .peerURLExists: "etcdserver: Peer URLs already exists"
        case .memberNotEnoughStarted: "etcdserver: re-configuration failed due to not enough started members"
        case .memberBadURLs: "etcdserver: given member URLs are invalid"
        case .memberNotFound: "etcdserver: member not found"
        case .memberNotLearner: "etcdserver: can only promote a learner member"
        case .learnerNotReady: "etcdserver: can only promote a learner member which is in sync with leader"
        case .tooManyLearners: "etcdserver: too many learner members in cluster"
        case .clusterIDMismatch: "etcdserver: cluster ID mismatch"
        case .requestTooLarge: "etcdserver: request is too large"
        case .tooManyRequests: "etcdserver: too many requests"
        case .rootUserNotExist: "etcdserver: root user does not exist"
        case .rootRoleNotExist: "etcdserver: root user does not have root role"
        case .userAlreadyExists: "etcdserver: user name already exists"
        case .userEmpty: "etcdserver: user name is empty"
        case .userNotFound: "etcdserver: user name not found"
        case .roleAlreadyExists: "etcdserver: role name already exists"
        case .roleNotFound: "etcdserver: role name not found"
        case .roleEmpty: "etcdserver: role name is empty"
        case .authFailed: "etcdserver: authentication failed, invalid user ID or password"
        case .permissionNotGiven: "etcdserver: permission not given"
        case .permissionDenied: "etcdserver: permission denied"
        case .roleNotGranted: "etcdserver: role is not granted to the user"
        case .permissionNotGranted: "etcdserver: permission is not granted to the role"
        case .authNotEnabled: "etcdserver: authentication is not enabled"
        case .invalidAuthToken: "etcdserver: invalid auth token"
        case .invalidAuthManagement: "etcdserver: invalid auth management"
        case .authOldRevision: "etcdserver: revision of auth store is old"
        case .noLeader: "etcdserver: no leader"
        case .notLeader: "etcdserver: not leader"
        case .leaderChanged: "etcdserver: leader changed"
        case .notCapable: "etcdserver: not capable"
        case .stopped: "etcdserver: server stopped"
        case .timeout: "etcdserver: request timed out"
        case .timeoutDueToLeaderFail: "etcdserver: request timed out, possibly due to previous leader failure"
        case .timeoutDueToConnectionLost: "etcdserver: request timed out, possibly due to connection lost"
        case .timeoutWaitAppliedIndex: "etcdserver: request timed out, waiting for the applied index took too long"
        case .unhealthy: "etcdserver: unhealthy cluster"
        case .corrupt: "etcdserver: corrupt cluster"
        case .notSupportedForLearner: "etcdserver: rpc not supported for learner"
        case .badLeaderTransferee: "etcdserver: bad leader transferee"
        case .invalidDowngradeTargetVersionFormat: "etcdserver: wrong downgrade target version format"
        case .invalidDowngradeTargetVersion: "etcdserver: invalid downgrade target version"
        case .clusterVersionNotFound: "etcdserver: cluster version not found during downgrade"
        case .downgradeInProcess: "etcdserver: cluster has a downgrade job in progress"
        case .noInflightDowngrade: "etcdserver: no inflight downgrade job"
        case .canceled: "etcdserver: request canceled"
        case .deadlineExceeded: "etcdserver: context deadline exceeded"
        }
    }

    /// The gRPC status code that goes with the text.
    package var code: EtcdStatusCode {
        switch self {
        case .watchCanceled, .canceled:
            .canceled
        case .emptyKey, .keyNotFound, .valueProvided, .leaseProvided, .tooManyOperations, .duplicateKey,
            .invalidClientAPIVersion, .invalidSortOption, .memberBadURLs, .requestTooLarge, .userEmpty, .roleEmpty,
            .authFailed, .permissionNotGiven, .invalidAuthManagement, .authOldRevision,
            .invalidDowngradeTargetVersionFormat, .invalidDowngradeTargetVersion:
            .invalidArgument
        case .deadlineExceeded:
            .deadlineExceeded
        case .leaseNotFound, .memberNotFound:
            .notFound
        case .permissionDenied:
            .permissionDenied
        case .noSpace, .tooManyRequests:
            .resourceExhausted
        case .leaseExists, .memberExists, .peerURLExists, .memberNotEnoughStarted, .memberNotLearner,
            .learnerNotReady, .tooManyLearners, .clusterIDMismatch, .rootUserNotExist, .rootRoleNotExist,
            .userAlreadyExists, .userNotFound, .roleAlreadyExists, .roleNotFound, .roleNotGranted,
            .permissionNotGranted, .authNotEnabled, .notLeader, .notCapable, .notSupportedForLearner,
            .badLeaderTransferee, .clusterVersionNotFound, .downgradeInProcess, .noInflightDowngrade:
            .failedPrecondition
        case .compacted, .futureRevision, .leaseTTLTooLarge:
            .outOfRange
        case .noLeader, .leaderChanged, .stopped, .timeout, .timeoutDueToLeaderFail, .timeoutDueToConnectionLost,
            .timeoutWaitAppliedIndex, .unhealthy:
            .unavailable
        case .corrupt:
            .dataLoss
        case .invalidAuthToken:
            .unauthenticated
        }
    }

    /// The error with this text, where it is one of etcd's.
    package init?(message: String) {
        guard let known = Self.byMessage[message] else { return nil }
        self = known
    }

    private static let byMessage: [String: EtcdError] = Dictionary(
        uniqueKeysWithValues: allCases.map { ($0.message, $0) })
}

extension EtcdError: CustomStringConvertible {
    package var description: String { message }
}
