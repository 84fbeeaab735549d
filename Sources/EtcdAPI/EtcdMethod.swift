/// The calls that an etcd v3 server answers. The raw value is the path of the HTTP/2 request.
package enum EtcdMethod: String, Sendable, CaseIterable {
    case range = "/etcdserverpb.KV/Range"
    case rangeStream = "/etcdserverpb.KV/RangeStream"
    case put = "/etcdserverpb.KV/Put"
    case deleteRange = "/etcdserverpb.KV/DeleteRange"
    case txn = "/etcdserverpb.KV/Txn"
    case compact = "/etcdserverpb.KV/Compact"

    case watch = "/etcdserverpb.Watch/Watch"

    case leaseGrant = "/etcdserverpb.Lease/LeaseGrant"
    case leaseRevoke = "/etcdserverpb.Lease/LeaseRevoke"
    case leaseKeepAlive = "/etcdserverpb.Lease/LeaseKeepAlive"
    case leaseTimeToLive = "/etcdserverpb.Lease/LeaseTimeToLive"
    case leaseLeases = "/etcdserverpb.Lease/LeaseLeases"

    case memberAdd = "/etcdserverpb.Cluster/MemberAdd"
    case memberRemove = "/etcdserverpb.Cluster/MemberRemove"
    case memberUpdate = "/etcdserverpb.Cluster/MemberUpdate"
    case memberList = "/etcdserverpb.Cluster/MemberList"
    case memberPromote = "/etcdserverpb.Cluster/MemberPromote"

    case alarm = "/etcdserverpb.Maintenance/Alarm"
    case status = "/etcdserverpb.Maintenance/Status"
    case defragment = "/etcdserverpb.Maintenance/Defragment"
    case hash = "/etcdserverpb.Maintenance/Hash"
    case hashKV = "/etcdserverpb.Maintenance/HashKV"
    case snapshot = "/etcdserverpb.Maintenance/Snapshot"
    case moveLeader = "/etcdserverpb.Maintenance/MoveLeader"
    case downgrade = "/etcdserverpb.Maintenance/Downgrade"

    case authEnable = "/etcdserverpb.Auth/AuthEnable"
    case authDisable = "/etcdserverpb.Auth/AuthDisable"
    case authStatus = "/etcdserverpb.Auth/AuthStatus"
    case authenticate = "/etcdserverpb.Auth/Authenticate"
    case authUserAdd = "/etcdserverpb.Auth/UserAdd"
    case authUserGet = "/etcdserverpb.Auth/UserGet"
    case authUserList = "/etcdserverpb.Auth/UserList"
    case authUserDelete = "/etcdserverpb.Auth/UserDelete"
    case authUserChangePassword = "/etcdserverpb.Auth/UserChangePassword"
    case authUserGrantRole = "/etcdserverpb.Auth/UserGrantRole"
    case authUserRevokeRole = "/etcdserverpb.Auth/UserRevokeRole"
    case authRoleAdd = "/etcdserverpb.Auth/RoleAdd"
    case authRoleGet = "/etcdserverpb.Auth/RoleGet"
    case authRoleList = "/etcdserverpb.Auth/RoleList"
    case authRoleDelete = "/etcdserverpb.Auth/RoleDelete"
    case authRoleGrantPermission = "/etcdserverpb.Auth/RoleGrantPermission"
    case authRoleRevokePermission = "/etcdserverpb.Auth/RoleRevokePermission"

    case lock = "/v3lockpb.Lock/Lock"
    case unlock = "/v3lockpb.Lock/Unlock"

    case electionCampaign = "/v3electionpb.Election/Campaign"
    case electionProclaim = "/v3electionpb.Election/Proclaim"
    case electionLeader = "/v3electionpb.Election/Leader"
    case electionObserve = "/v3electionpb.Election/Observe"
    case electionResign = "/v3electionpb.Election/Resign"

    case healthCheck = "/grpc.health.v1.Health/Check"
    case healthList = "/grpc.health.v1.Health/List"
    case healthWatch = "/grpc.health.v1.Health/Watch"

    /// Whether a call is one message each way, or a stream.
    package enum Kind: Sendable {
        case unary
        case serverStream
        case bidirectional
    }

    package var kind: Kind {
        switch self {
        case .rangeStream, .snapshot, .electionObserve, .healthWatch: .serverStream
        case .watch, .leaseKeepAlive: .bidirectional
        default: .unary
        }
    }
}
