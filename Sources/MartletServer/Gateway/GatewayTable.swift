import EtcdAPI

/// Every path of etcd's gateway (section 2.1 of the facts).
enum GatewayTable {
    static let routes: [GatewayRoute] = keyValue + lease + cluster + maintenance + auth + locks

    private static let keyValue: [GatewayRoute] = [
        .init("/v3/kv/range", .range, Etcdserverpb_RangeRequest.self, Etcdserverpb_RangeResponse.self),
        .init("/v3/kv/put", .put, Etcdserverpb_PutRequest.self, Etcdserverpb_PutResponse.self),
        .init(
            "/v3/kv/deleterange", .deleteRange, Etcdserverpb_DeleteRangeRequest.self,
            Etcdserverpb_DeleteRangeResponse.self),
        .init("/v3/kv/txn", .txn, Etcdserverpb_TxnRequest.self, Etcdserverpb_TxnResponse.self),
        .init(
            "/v3/kv/compaction", .compact, Etcdserverpb_CompactionRequest.self, Etcdserverpb_CompactionResponse.self,
            .unlimited),
        .init("/v3/watch", .watch, Etcdserverpb_WatchRequest.self, Etcdserverpb_WatchResponse.self),
    ]

    private static let lease: [GatewayRoute] =
        [
            .init(
                "/v3/lease/grant", .leaseGrant, Etcdserverpb_LeaseGrantRequest.self,
                Etcdserverpb_LeaseGrantResponse.self),
            .init(
                "/v3/lease/keepalive", .leaseKeepAlive, Etcdserverpb_LeaseKeepAliveRequest.self,
                Etcdserverpb_LeaseKeepAliveResponse.self),
        ]
        + ["/v3/lease", "/v3/kv/lease"].flatMap { folder -> [GatewayRoute] in
            [
                .init(
                    folder + "/revoke", .leaseRevoke, Etcdserverpb_LeaseRevokeRequest.self,
                    Etcdserverpb_LeaseRevokeResponse.self),
                .init(
                    folder + "/timetolive", .leaseTimeToLive, Etcdserverpb_LeaseTimeToLiveRequest.self,
                    Etcdserverpb_LeaseTimeToLiveResponse.self),
                .init(
                    folder + "/leases", .leaseLeases, Etcdserverpb_LeaseLeasesRequest.self,
                    Etcdserverpb_LeaseLeasesResponse.self),
            ]
        }

    private static let cluster: [GatewayRoute] = [
        .init(
            "/v3/cluster/member/add", .memberAdd, Etcdserverpb_MemberAddRequest.self,
            Etcdserverpb_MemberAddResponse.self),
        .init(
            "/v3/cluster/member/remove", .memberRemove, Etcdserverpb_MemberRemoveRequest.self,
            Etcdserverpb_MemberRemoveResponse.self),
        .init(
            "/v3/cluster/member/update", .memberUpdate, Etcdserverpb_MemberUpdateRequest.self,
            Etcdserverpb_MemberUpdateResponse.self),
        .init(
            "/v3/cluster/member/list", .memberList, Etcdserverpb_MemberListRequest.self,
            Etcdserverpb_MemberListResponse.self),
        .init(
            "/v3/cluster/member/promote", .memberPromote, Etcdserverpb_MemberPromoteRequest.self,
            Etcdserverpb_MemberPromoteResponse.self),
    ]

    private static let maintenance: [GatewayRoute] = [
        .init("/v3/maintenance/alarm", .alarm, Etcdserverpb_AlarmRequest.self, Etcdserverpb_AlarmResponse.self),
        .init("/v3/maintenance/status", .status, Etcdserverpb_StatusRequest.self, Etcdserverpb_StatusResponse.self),
        .init(
            "/v3/maintenance/defragment", .defragment, Etcdserverpb_DefragmentRequest.self,
            Etcdserverpb_DefragmentResponse.self, .unlimited),
        .init(
            "/v3/maintenance/hash", .hash, Etcdserverpb_HashRequest.self, Etcdserverpb_HashResponse.self, .unlimited),
        .init(
            "/v3/maintenance/hashkv", .hashKV, Etcdserverpb_HashKVRequest.self, Etcdserverpb_HashKVResponse.self,
            .unlimited),
        .init(
            "/v3/maintenance/snapshot", .snapshot, Etcdserverpb_SnapshotRequest.self,
            Etcdserverpb_SnapshotResponse.self),
        .init(
            "/v3/maintenance/transfer-leadership", .moveLeader, Etcdserverpb_MoveLeaderRequest.self,
            Etcdserverpb_MoveLeaderResponse.self),
        .init(
            "/v3/maintenance/downgrade", .downgrade, Etcdserverpb_DowngradeRequest.self,
            Etcdserverpb_DowngradeResponse.self),
    ]

    private static let auth: [GatewayRoute] = [
        .init(
            "/v3/auth/enable", .authEnable, Etcdserverpb_AuthEnableRequest.self,
            Etcdserverpb_AuthEnableResponse.self),
        .init(
            "/v3/auth/disable", .authDisable, Etcdserverpb_AuthDisableRequest.self,
            Etcdserverpb_AuthDisableResponse.self),
        .init(
            "/v3/auth/status", .authStatus, Etcdserverpb_AuthStatusRequest.self,
            Etcdserverpb_AuthStatusResponse.self),
        .init(
            "/v3/auth/authenticate", .authenticate, Etcdserverpb_AuthenticateRequest.self,
            Etcdserverpb_AuthenticateResponse.self),
        .init(
            "/v3/auth/user/add", .authUserAdd, Etcdserverpb_AuthUserAddRequest.self,
            Etcdserverpb_AuthUserAddResponse.self),
        .init(
            "/v3/auth/user/get", .authUserGet, Etcdserverpb_AuthUserGetRequest.self,
            Etcdserverpb_AuthUserGetResponse.self),
        .init(
            "/v3/auth/user/list", .authUserList, Etcdserverpb_AuthUserListRequest.self,
            Etcdserverpb_AuthUserListResponse.self),
        .init(
            "/v3/auth/user/delete", .authUserDelete, Etcdserverpb_AuthUserDeleteRequest.self,
            Etcdserverpb_AuthUserDeleteResponse.self),
        .init(
            "/v3/auth/user/changepw", .authUserChangePassword, Etcdserverpb_AuthUserChangePasswordRequest.self,
            Etcdserverpb_AuthUserChangePasswordResponse.self),
        .init(
            "/v3/auth/user/grant", .authUserGrantRole, Etcdserverpb_AuthUserGrantRoleRequest.self,
            Etcdserverpb_AuthUserGrantRoleResponse.self),
        .init(
            "/v3/auth/user/revoke", .authUserRevokeRole, Etcdserverpb_AuthUserRevokeRoleRequest.self,
            Etcdserverpb_AuthUserRevokeRoleResponse.self),
        .init(
            "/v3/auth/role/add", .authRoleAdd, Etcdserverpb_AuthRoleAddRequest.self,
            Etcdserverpb_AuthRoleAddResponse.self),
        .init(
            "/v3/auth/role/get", .authRoleGet, Etcdserverpb_AuthRoleGetRequest.self,
            Etcdserverpb_AuthRoleGetResponse.self),
        .init(
            "/v3/auth/role/list", .authRoleList, Etcdserverpb_AuthRoleListRequest.self,
            Etcdserverpb_AuthRoleListResponse.self),
        .init(
            "/v3/auth/role/delete", .authRoleDelete, Etcdserverpb_AuthRoleDeleteRequest.self,
            Etcdserverpb_AuthRoleDeleteResponse.self),
        .init(
            "/v3/auth/role/grant", .authRoleGrantPermission, Etcdserverpb_AuthRoleGrantPermissionRequest.self,
            Etcdserverpb_AuthRoleGrantPermissionResponse.self),
        .init(
            "/v3/auth/role/revoke", .authRoleRevokePermission, Etcdserverpb_AuthRoleRevokePermissionRequest.self,
            Etcdserverpb_AuthRoleRevokePermissionResponse.self),
    ]

    private static let locks: [GatewayRoute] = [
        .init("/v3/lock/lock", .lock, V3lockpb_LockRequest.self, V3lockpb_LockResponse.self, .unlimited),
        .init("/v3/lock/unlock", .unlock, V3lockpb_UnlockRequest.self, V3lockpb_UnlockResponse.self),
        .init(
            "/v3/election/campaign", .electionCampaign, V3electionpb_CampaignRequest.self,
            V3electionpb_CampaignResponse.self, .unlimited),
        .init(
            "/v3/election/proclaim", .electionProclaim, V3electionpb_ProclaimRequest.self,
            V3electionpb_ProclaimResponse.self),
        .init(
            "/v3/election/leader", .electionLeader, V3electionpb_LeaderRequest.self, V3electionpb_LeaderResponse.self),
        .init(
            "/v3/election/observe", .electionObserve, V3electionpb_LeaderRequest.self,
            V3electionpb_LeaderResponse.self),
        .init(
            "/v3/election/resign", .electionResign, V3electionpb_ResignRequest.self,
            V3electionpb_ResignResponse.self),
    ]
}
