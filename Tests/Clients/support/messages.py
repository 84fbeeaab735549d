"""etcd's messages by the names of their fields: to protobuf and back, and to the gateway's JSON and back.

A message is a dict. What is in it goes on the wire, zeros too; what comes back has no zeros in it, because proto3
cannot tell them from what is absent. Numbers stand for enums, so that wrong ones can be sent."""

import base64
import binascii

from support import protobuf

# Message: number name type, ...; `*` repeats, a capital is a message, `e.` an enum.
_SCHEMA = """
Header: 1 cluster_id uint64, 2 member_id uint64, 3 revision int64, 4 raft_term uint64
KeyValue: 1 key bytes, 2 create_revision int64, 3 mod_revision int64, 4 version int64, 5 value bytes, 6 lease int64
Event: 1 type e.EventType, 2 kv KeyValue, 3 prev_kv KeyValue
RangeRequest: 1 key bytes, 2 range_end bytes, 3 limit int64, 4 revision int64, 5 sort_order e.SortOrder, \
6 sort_target e.SortTarget, 7 serializable bool, 8 keys_only bool, 9 count_only bool, 10 min_mod_revision int64, \
11 max_mod_revision int64, 12 min_create_revision int64, 13 max_create_revision int64
RangeResponse: 1 header Header, 2 kvs *KeyValue, 3 more bool, 4 count int64
PutRequest: 1 key bytes, 2 value bytes, 3 lease int64, 4 prev_kv bool, 5 ignore_value bool, 6 ignore_lease bool
PutResponse: 1 header Header, 2 prev_kv KeyValue
DeleteRangeRequest: 1 key bytes, 2 range_end bytes, 3 prev_kv bool
DeleteRangeResponse: 1 header Header, 2 deleted int64, 3 prev_kvs *KeyValue
RequestOp: 1 request_range RangeRequest, 2 request_put PutRequest, 3 request_delete_range DeleteRangeRequest, \
4 request_txn TxnRequest
ResponseOp: 1 response_range RangeResponse, 2 response_put PutResponse, 3 response_delete_range DeleteRangeResponse, \
4 response_txn TxnResponse
Compare: 1 result e.CompareResult, 2 target e.CompareTarget, 3 key bytes, 4 version int64, 5 create_revision int64, \
6 mod_revision int64, 7 value bytes, 8 lease int64, 64 range_end bytes
TxnRequest: 1 compare *Compare, 2 success *RequestOp, 3 failure *RequestOp
TxnResponse: 1 header Header, 2 succeeded bool, 3 responses *ResponseOp
CompactionRequest: 1 revision int64, 2 physical bool
CompactionResponse: 1 header Header
HashRequest:
HashResponse: 1 header Header, 2 hash uint32
HashKVRequest: 1 revision int64
HashKVResponse: 1 header Header, 2 hash uint32, 3 compact_revision int64, 4 hash_revision int64
SnapshotRequest:
SnapshotResponse: 1 header Header, 2 remaining_bytes uint64, 3 blob bytes, 4 version string
WatchCreateRequest: 1 key bytes, 2 range_end bytes, 3 start_revision int64, 4 progress_notify bool, \
5 filters *e.FilterType, 6 prev_kv bool, 7 watch_id int64, 8 fragment bool
WatchCancelRequest: 1 watch_id int64
WatchProgressRequest:
WatchRequest: 1 create_request WatchCreateRequest, 2 cancel_request WatchCancelRequest, \
3 progress_request WatchProgressRequest
WatchResponse: 1 header Header, 2 watch_id int64, 3 created bool, 4 canceled bool, 5 compact_revision int64, \
6 cancel_reason string, 7 fragment bool, 11 events *Event
LeaseGrantRequest: 1 TTL int64, 2 ID int64
LeaseGrantResponse: 1 header Header, 2 ID int64, 3 TTL int64, 4 error string
LeaseRevokeRequest: 1 ID int64
LeaseRevokeResponse: 1 header Header
LeaseKeepAliveRequest: 1 ID int64
LeaseKeepAliveResponse: 1 header Header, 2 ID int64, 3 TTL int64
LeaseTimeToLiveRequest: 1 ID int64, 2 keys bool
LeaseTimeToLiveResponse: 1 header Header, 2 ID int64, 3 TTL int64, 4 grantedTTL int64, 5 keys *bytes
LeaseLeasesRequest:
LeaseStatus: 1 ID int64
LeaseLeasesResponse: 1 header Header, 2 leases *LeaseStatus
Member: 1 ID uint64, 2 name string, 3 peerURLs *string, 4 clientURLs *string, 5 isLearner bool
MemberAddRequest: 1 peerURLs *string, 2 isLearner bool
MemberAddResponse: 1 header Header, 2 member Member, 3 members *Member
MemberRemoveRequest: 1 ID uint64
MemberRemoveResponse: 1 header Header, 2 members *Member
MemberUpdateRequest: 1 ID uint64, 2 peerURLs *string
MemberUpdateResponse: 1 header Header, 2 members *Member
MemberListRequest: 1 linearizable bool
MemberListResponse: 1 header Header, 2 members *Member
MemberPromoteRequest: 1 ID uint64
MemberPromoteResponse: 1 header Header, 2 members *Member
DefragmentRequest:
DefragmentResponse: 1 header Header
MoveLeaderRequest: 1 targetID uint64
MoveLeaderResponse: 1 header Header
AlarmRequest: 1 action e.AlarmAction, 2 memberID uint64, 3 alarm e.AlarmType
AlarmMember: 1 memberID uint64, 2 alarm e.AlarmType
AlarmResponse: 1 header Header, 2 alarms *AlarmMember
DowngradeRequest: 1 action e.DowngradeAction, 2 version string
DowngradeResponse: 1 header Header, 2 version string
StatusRequest:
DowngradeInfo: 1 enabled bool, 2 targetVersion string
StatusResponse: 1 header Header, 2 version string, 3 dbSize int64, 4 leader uint64, 5 raftIndex uint64, \
6 raftTerm uint64, 7 raftAppliedIndex uint64, 8 errors *string, 9 dbSizeInUse int64, 10 isLearner bool, \
11 storageVersion string, 12 dbSizeQuota int64, 13 downgradeInfo DowngradeInfo
LockRequest: 1 name bytes, 2 lease int64
LockResponse: 1 header Header, 2 key bytes
UnlockRequest: 1 key bytes
UnlockResponse: 1 header Header
LeaderKey: 1 name bytes, 2 key bytes, 3 rev int64, 4 lease int64
CampaignRequest: 1 name bytes, 2 lease int64, 3 value bytes
CampaignResponse: 1 header Header, 2 leader LeaderKey
LeaderRequest: 1 name bytes
LeaderResponse: 1 header Header, 2 kv KeyValue
ProclaimRequest: 1 leader LeaderKey, 2 value bytes
ProclaimResponse: 1 header Header
ResignRequest: 1 leader LeaderKey
ResignResponse: 1 header Header
HealthCheckRequest: 1 service string
HealthCheckResponse: 1 status e.ServingStatus
AuthEnableRequest:
AuthEnableResponse: 1 header Header
"""

ENUMS = {
    "EventType": ["PUT", "DELETE"],
    "SortOrder": ["NONE", "ASCEND", "DESCEND"],
    "SortTarget": ["KEY", "VERSION", "CREATE", "MOD", "VALUE"],
    "CompareResult": ["EQUAL", "GREATER", "LESS", "NOT_EQUAL"],
    "CompareTarget": ["VERSION", "CREATE", "MOD", "VALUE", "LEASE"],
    "FilterType": ["NOPUT", "NODELETE"],
    "AlarmAction": ["GET", "ACTIVATE", "DEACTIVATE"],
    "AlarmType": ["NONE", "NOSPACE", "CORRUPT"],
    "DowngradeAction": ["VALIDATE", "ENABLE", "CANCEL"],
    "ServingStatus": ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"],
}


class Field:
    def __init__(self, text):
        number, self.name, kind = text.split()
        self.number = int(number)
        self.repeated = kind.startswith("*")
        self.kind = kind.lstrip("*")
        self.enum = self.kind[2:] if self.kind.startswith("e.") else None
        self.is_message = self.kind[0].isupper()


MESSAGES = {}
for _line in _SCHEMA.strip().splitlines():
    _name, _fields = _line.split(":", 1)
    MESSAGES[_name] = [Field(text) for text in _fields.split(",") if text.strip()]

# Method: (path on the gateway, request, response, what streams: "" none, "out" answers, "both").
METHODS = {
    "etcdserverpb.KV/Range": ("/v3/kv/range", "RangeRequest", "RangeResponse", ""),
    "etcdserverpb.KV/Put": ("/v3/kv/put", "PutRequest", "PutResponse", ""),
    "etcdserverpb.KV/DeleteRange": ("/v3/kv/deleterange", "DeleteRangeRequest", "DeleteRangeResponse", ""),
    "etcdserverpb.KV/Txn": ("/v3/kv/txn", "TxnRequest", "TxnResponse", ""),
    "etcdserverpb.KV/Compact": ("/v3/kv/compaction", "CompactionRequest", "CompactionResponse", ""),
    "etcdserverpb.Watch/Watch": ("/v3/watch", "WatchRequest", "WatchResponse", "both"),
    "etcdserverpb.Lease/LeaseGrant": ("/v3/lease/grant", "LeaseGrantRequest", "LeaseGrantResponse", ""),
    "etcdserverpb.Lease/LeaseRevoke": ("/v3/lease/revoke", "LeaseRevokeRequest", "LeaseRevokeResponse", ""),
    "etcdserverpb.Lease/LeaseKeepAlive": (
        "/v3/lease/keepalive", "LeaseKeepAliveRequest", "LeaseKeepAliveResponse", "both",
    ),
    "etcdserverpb.Lease/LeaseTimeToLive": (
        "/v3/lease/timetolive", "LeaseTimeToLiveRequest", "LeaseTimeToLiveResponse", "",
    ),
    "etcdserverpb.Lease/LeaseLeases": ("/v3/lease/leases", "LeaseLeasesRequest", "LeaseLeasesResponse", ""),
    "etcdserverpb.Cluster/MemberAdd": ("/v3/cluster/member/add", "MemberAddRequest", "MemberAddResponse", ""),
    "etcdserverpb.Cluster/MemberRemove": (
        "/v3/cluster/member/remove", "MemberRemoveRequest", "MemberRemoveResponse", "",
    ),
    "etcdserverpb.Cluster/MemberUpdate": (
        "/v3/cluster/member/update", "MemberUpdateRequest", "MemberUpdateResponse", "",
    ),
    "etcdserverpb.Cluster/MemberList": ("/v3/cluster/member/list", "MemberListRequest", "MemberListResponse", ""),
    "etcdserverpb.Cluster/MemberPromote": (
        "/v3/cluster/member/promote", "MemberPromoteRequest", "MemberPromoteResponse", "",
    ),
    "etcdserverpb.Maintenance/Alarm": ("/v3/maintenance/alarm", "AlarmRequest", "AlarmResponse", ""),
    "etcdserverpb.Maintenance/Status": ("/v3/maintenance/status", "StatusRequest", "StatusResponse", ""),
    "etcdserverpb.Maintenance/Defragment": (
        "/v3/maintenance/defragment", "DefragmentRequest", "DefragmentResponse", "",
    ),
    "etcdserverpb.Maintenance/Hash": ("/v3/maintenance/hash", "HashRequest", "HashResponse", ""),
    "etcdserverpb.Maintenance/HashKV": ("/v3/maintenance/hashkv", "HashKVRequest", "HashKVResponse", ""),
    "etcdserverpb.Maintenance/Snapshot": ("/v3/maintenance/snapshot", "SnapshotRequest", "SnapshotResponse", "out"),
    "etcdserverpb.Maintenance/MoveLeader": (
        "/v3/maintenance/transfer-leadership", "MoveLeaderRequest", "MoveLeaderResponse", "",
    ),
    "etcdserverpb.Maintenance/Downgrade": ("/v3/maintenance/downgrade", "DowngradeRequest", "DowngradeResponse", ""),
    "v3lockpb.Lock/Lock": ("/v3/lock/lock", "LockRequest", "LockResponse", ""),
    "v3lockpb.Lock/Unlock": ("/v3/lock/unlock", "UnlockRequest", "UnlockResponse", ""),
    "v3electionpb.Election/Campaign": ("/v3/election/campaign", "CampaignRequest", "CampaignResponse", ""),
    "v3electionpb.Election/Proclaim": ("/v3/election/proclaim", "ProclaimRequest", "ProclaimResponse", ""),
    "v3electionpb.Election/Leader": ("/v3/election/leader", "LeaderRequest", "LeaderResponse", ""),
    "v3electionpb.Election/Observe": ("/v3/election/observe", "LeaderRequest", "LeaderResponse", "out"),
    "v3electionpb.Election/Resign": ("/v3/election/resign", "ResignRequest", "ResignResponse", ""),
    "grpc.health.v1.Health/Check": (None, "HealthCheckRequest", "HealthCheckResponse", ""),
}


# MARK: protobuf


def encode(kind, value):
    """A message's bytes; a name that the schema has not is the test's own mistake."""
    fields = {field.name: field for field in MESSAGES[kind]}
    out = b""
    for name, content in value.items():
        if content is None:
            continue
        field = fields[name]
        for element in content if field.repeated else [content]:
            out += protobuf.field(field.number, encode(field.kind, element) if field.is_message else element)
    return out


_BITS = {"int64": 64, "uint64": 64, "uint32": 32, "bool": 1}


def decode(kind, data):
    """Without zeros; a field that the schema has not is kept under its number."""
    found = protobuf.parse(data)
    value = {}
    for field in MESSAGES[kind]:
        elements = [_decoded(field, element) for element in found.pop(field.number, [])]
        if field.repeated:
            if elements:
                value[field.name] = elements
        elif elements and (elements[-1] or field.is_message):
            value[field.name] = elements[-1]
    for number, elements in found.items():
        value[f"?{number}"] = elements
    return value


def _decoded(field, element):
    if field.is_message:
        return decode(field.kind, element)
    if field.kind == "string":
        return element.decode(errors="backslashreplace")
    if field.kind == "int64":
        return element - (1 << 64) if element >> 63 else element
    if field.kind == "bool":
        return bool(element)
    return element


# MARK: the gateway's JSON


def to_json(kind, value):
    """What a client would send: bytes in base64, large numbers as text, enums by name where they have one."""
    fields = {field.name: field for field in MESSAGES[kind]}
    out = {}
    for name, content in value.items():
        if content is None:
            continue
        field = fields[name]
        out[name] = [_to_json(field, one) for one in content] if field.repeated else _to_json(field, content)
    return out


def _to_json(field, content):
    if field.is_message:
        return to_json(field.kind, content)
    if field.kind == "bytes":
        content = content.encode() if isinstance(content, str) else content
        return base64.b64encode(content).decode()
    if field.enum:
        names = ENUMS[field.enum]
        return names[content] if 0 <= content < len(names) else content
    if field.kind in ("int64", "uint64"):
        return str(content)
    if field.kind == "bool":
        return bool(content)
    return content


def from_json(kind, value):
    """As `decode` would have it; what is not as the JSON of protobuf wants it is kept, with a mark."""
    if not isinstance(value, dict):
        return f"<not an object: {value!r}>"
    out = {}
    fields = {field.name: field for field in MESSAGES[kind]}
    for name, content in value.items():
        field = fields.get(name)
        if field is None:
            out[f"?{name}"] = content
        elif field.repeated:
            out[name] = [_from_json(field, one) for one in content] if isinstance(content, list) else f"<{content!r}>"
        else:
            out[name] = _from_json(field, content)
            if not field.is_message and out[name] in (0, "", b"", False):
                out[name] = f"<a zero that should not be there: {content!r}>"
    return out


def _from_json(field, content):
    if field.is_message:
        return from_json(field.kind, content)
    wrong = f"<not as JSON of a {field.kind}: {content!r}>"
    if field.kind == "bytes":
        try:
            return base64.b64decode(content, validate=True)
        except (binascii.Error, TypeError, ValueError):
            return wrong
    if field.enum:
        return ENUMS[field.enum].index(content) if content in ENUMS[field.enum] else wrong
    if field.kind in ("int64", "uint64"):
        return int(content) if isinstance(content, str) and content.lstrip("-").isdigit() else wrong
    if field.kind == "bool":
        return content if isinstance(content, bool) else wrong
    if field.kind == "uint32":
        return content if isinstance(content, int) and not isinstance(content, bool) else wrong
    return content if isinstance(content, str) else wrong
