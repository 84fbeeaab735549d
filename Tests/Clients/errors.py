"""Every error of etcd's list (api/v3rpc/rpctypes/error.go of 3.6), raised on purpose: its exact text and its code over
gRPC, and over the JSON gateway the HTTP status and the body. Where etcd 3.5.1 can be brought to say it, it is asked the
same first, through both doors; where it says something else, the row names that.

What cannot be raised:

- those of users and roles: there are none yet;
- `member ID already exist`: ids are made of the addresses and the second, and addresses that are there are refused
  before. MembershipRulesTests has it;
- `cluster ID mismatch`: said to peers only, on their own port;
- `not capable`: of etcd's start as a mixture of v2 and v3; there is nothing here that is not capable;
- `watch canceled`, `request canceled`: said to clients that have gone away, so that nobody hears them;
- `context deadline exceeded` with etcd's prefix: etcd, too, answers with gRPC's own text, without it (`Stalled` here,
  `grpc_raw.WithoutQuorum`);
- `waiting for the applied index took too long`: of etcd's leases while a leader is demoted (L10); here they are renewed
  through the log;
- `cluster version not found during downgrade`, `cluster has a downgrade job in progress`: no Martlet serves a lower
  version, so that there never is such a job (DowngradeTests);
- `invalid client api version` through the gateway: a header that is no text is not passed on.
"""

import dataclasses
import functools
import http.client
import signal
import threading
import time
import unittest

from support import http2, messages
from support.cut import Crossing
from support.doors import over_gateway, over_grpc, said_by_gateway
from support.pairs import ACTIVATE, CORRUPT, NOSPACE, Client
from support.processes import ETCD, MARTLET, Cluster, Member, free_port, member_id, scratch

UNKNOWN, INVALID, LATE, NOT_FOUND, EXHAUSTED, FAILED, RANGE, UNAVAILABLE, LOSS = 2, 3, 4, 5, 8, 9, 11, 14, 15

KV = "etcdserverpb.KV/"
LEASE = "etcdserverpb.Lease/"
CLUSTER = "etcdserverpb.Cluster/"
MAINTENANCE = "etcdserverpb.Maintenance/"
ELECTION = "v3electionpb.Election/"
WATCH = "etcdserverpb.Watch/Watch"
HAS_LEADER = (("hasleader", "true"),)
KEY = {"key": b"k"}
PUT = {**KEY, "value": b"v"}

# etcd 3.5.1 cannot be asked.
UNASKED = "unasked"
DOORS = {"gRPC": over_grpc, "gateway": over_gateway}


@dataclasses.dataclass(frozen=True)
class Row:
    """One way to raise one error. `message`: the request, or what makes it of the member that is asked."""

    name: str
    code: int
    text: str
    method: str
    message: object = dataclasses.field(default_factory=dict)
    metadata: tuple = ()
    # What etcd 3.5.1 says instead: (code, text), or UNASKED. None: the same.
    older: object = None
    doors: tuple = ("gRPC", "gateway")


def at_once(*asks):
    """What each comes back with, or fails with, in the time of the slowest."""
    answers = [None] * len(asks)

    def one(place):
        try:
            answers[place] = asks[place]()
        except (OSError, http.client.HTTPException, ValueError) as error:
            answers[place] = error

    threads = [threading.Thread(target=one, args=(place,)) for place in range(len(asks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def raise_all(test, rows, ours, etcd):
    """Each row through each door, of etcd too: what is expected is etcd's own."""
    asks, expected = [], []
    for row in rows:
        for member in (etcd, ours):
            if member is None or member is etcd and row.older is UNASKED:
                continue
            status = row.older if member is etcd and row.older else (row.code, row.text)
            request = row.message(member) if callable(row.message) else row.message
            for door in row.doors:
                asks.append(functools.partial(DOORS[door], member, row.method, request, row.metadata))
                answer = status if door == "gRPC" else said_by_gateway(row.method, *status)
                expected.append((row.name, kind(member.program), door, answer))
    for answer, (name, program, door, status) in zip(at_once(*asks), expected):
        with test.subTest(name, program=program, door=door):
            test.assertEqual(answer, status)


def rows_as_tests(*rows):
    """A test for each row of a class whose `ours` and `etcd` are the members to ask."""

    def decorate(cls):
        for row in rows:

            def test(self, row=row):
                for door in row.doors:
                    # etcd drops a change of the members that follows another one at once, and says nothing.
                    time.sleep(0.2 if row.method.startswith(CLUSTER) else 0)
                    raise_all(self, [dataclasses.replace(row, doors=(door,))], self.ours, self.etcd)

            test.__doc__ = f"{row.text} ({row.code})"
            setattr(cls, "test_" + row.name.replace(" ", "_").replace("-", "_"), test)
        return cls

    return decorate


def either(start):
    """What `start` makes of each of the programs, both at once; etcd where it is there."""
    programs = [program for program in (MARTLET, ETCD) if program.exists()]
    made, failures = {}, []

    def one(program):
        try:
            made[program] = start(program)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=one, args=(program,)) for program in programs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return made[MARTLET], made.get(ETCD)


def kind(program):
    return "etcd" if program == ETCD else "martlet"


def puts(count, same=False):
    return {"success": [{"request_put": {"key": b"t" if same else b"t%d" % number}} for number in range(count)]}


NOT_ENOUGH = "etcdserver: re-configuration failed due to not enough started members"
LARGE = 600_000


@rows_as_tests(
    Row("no key in a put", INVALID, "etcdserver: key is not provided", KV + "Put"),
    Row("no key in a range", INVALID, "etcdserver: key is not provided", KV + "Range"),
    Row("no key in a delete", INVALID, "etcdserver: key is not provided", KV + "DeleteRange"),
    Row("no key in a transaction", INVALID, "etcdserver: key is not provided", KV + "Txn",
        {"success": [{"request_put": {"value": b"v"}}]}),
    Row("key not found", INVALID, "etcdserver: key not found", KV + "Put", {"key": b"none", "ignore_value": True}),
    Row("value provided", INVALID, "etcdserver: value is provided", KV + "Put", {**PUT, "ignore_value": True}),
    Row("lease provided", INVALID, "etcdserver: lease is provided", KV + "Put",
        {**PUT, "ignore_lease": True, "lease": 4}),
    Row("too many operations", INVALID, "etcdserver: too many operations in txn request", KV + "Txn", puts(129)),
    Row("duplicate key", INVALID, "etcdserver: duplicate key given in txn request", KV + "Txn", puts(2, same=True)),
    # 3.5.1 does not see the one, and dies of the other.
    Row("invalid sort order", INVALID, "etcdserver: invalid sort option", KV + "Range",
        {"key": b"k", "sort_order": 7}, older=UNASKED),
    Row("invalid sort target", INVALID, "etcdserver: invalid sort option", KV + "Range",
        {"key": b"k", "sort_target": 7}, older=UNASKED),
    # 3.5.1 dies of it, in counting it.
    Row("invalid client API version", INVALID, "etcdserver: invalid client api version", KV + "Range", KEY,
        (("client-api-version", b"3.\xff"),), older=UNASKED, doors=("gRPC",)),
    Row("invalid client API version of a stream", INVALID, "etcdserver: invalid client api version", WATCH, [],
        (("client-api-version", b"\xc3"),), older=UNASKED, doors=("gRPC",)),
    Row("compacted", RANGE, "etcdserver: mvcc: required revision has been compacted", KV + "Range",
        {"key": b"k", "revision": 1}),
    Row("compacted already", RANGE, "etcdserver: mvcc: required revision has been compacted", KV + "Compact",
        {"revision": 1}),
    Row("compacted in a transaction", RANGE, "etcdserver: mvcc: required revision has been compacted", KV + "Txn",
        {"success": [{"request_range": {"key": b"k", "revision": 1}}]}),
    Row("a future revision", RANGE, "etcdserver: mvcc: required revision is a future revision", KV + "Range",
        {"key": b"k", "revision": 1 << 40}),
    Row("a future compaction", RANGE, "etcdserver: mvcc: required revision is a future revision", KV + "Compact",
        {"revision": 1 << 40}),
    Row("a put's lease not found", NOT_FOUND, "etcdserver: requested lease not found", KV + "Put", {**PUT, "lease": 4}),
    Row("a lease not found", NOT_FOUND, "etcdserver: requested lease not found", LEASE + "LeaseRevoke", {"ID": 4}),
    Row("lease exists", FAILED, "etcdserver: lease already exists", LEASE + "LeaseGrant", {"ID": 3, "TTL": 60}),
    Row("too large a TTL", RANGE, "etcdserver: too large lease TTL", LEASE + "LeaseGrant", {"TTL": 9_000_000_001}),
    Row("request too large", INVALID, "etcdserver: request is too large", KV + "Put",
        {"key": b"k", "value": b"v" * LARGE}),
    Row("message too large", EXHAUSTED,
        f"grpc: received message larger than max ({2 * LARGE + 7} vs. {(100 + 512) << 10})", KV + "Put",
        {"key": b"k", "value": b"v" * 2 * LARGE}, doors=("gRPC",)),
    Row("peer URL exists", FAILED, "etcdserver: Peer URLs already exists", CLUSTER + "MemberAdd",
        lambda member: {"peerURLs": [member.peer_url], "isLearner": True}),
    Row("member URLs invalid", INVALID, "etcdserver: given member URLs are invalid", CLUSTER + "MemberAdd",
        {"peerURLs": ["nonsense"]}),
    Row("no member to remove", NOT_FOUND, "etcdserver: member not found", CLUSTER + "MemberRemove", {"ID": 7}),
    Row("no member to update", NOT_FOUND, "etcdserver: member not found", CLUSTER + "MemberUpdate",
        {"ID": 7, "peerURLs": ["http://127.0.0.1:7"]}),
    Row("no member to promote", NOT_FOUND, "etcdserver: member not found", CLUSTER + "MemberPromote", {"ID": 7}),
    # 3.5.1 gives no answer within 20 s.
    Row("no learner", FAILED, "etcdserver: can only promote a learner member", CLUSTER + "MemberPromote",
        lambda member: {"ID": member_id(member)}, older=UNASKED),
    Row("learner not in sync", FAILED, "etcdserver: can only promote a learner member which is in sync with leader",
        CLUSTER + "MemberPromote", lambda member: {"ID": member.learner}),
    Row("too many learners", FAILED, "etcdserver: too many learner members in cluster", CLUSTER + "MemberAdd",
        {"peerURLs": ["http://127.0.0.1:8"], "isLearner": True}),
    Row("nobody left", FAILED, NOT_ENOUGH,
        CLUSTER + "MemberRemove", lambda member: {"ID": member_id(member)}, older=(UNKNOWN, NOT_ENOUGH)),
    Row("bad transferee", FAILED, "etcdserver: bad leader transferee", MAINTENANCE + "MoveLeader", {"targetID": 7}),
    Row("downgrade to what is no version", INVALID, "etcdserver: wrong downgrade target version format",
        MAINTENANCE + "Downgrade", {"action": 0, "version": "three"}),
    Row("downgrade to no such version", INVALID, "etcdserver: invalid downgrade target version",
        MAINTENANCE + "Downgrade", {"action": 1, "version": "2.1.0"}),
    Row("no downgrade", FAILED, "etcdserver: no inflight downgrade job", MAINTENANCE + "Downgrade", {"action": 2}),
    Row("no leader of an election", UNKNOWN, "election: no leader", ELECTION + "Leader", {"name": b"nothing"}),
    Row("not the leader of an election", UNKNOWN, "election: not leader", ELECTION + "Proclaim",
        {"leader": {"name": b"e", "key": b"e/1", "rev": 1, "lease": 3}, "value": b"v"}),
    Row("no leader's key", UNKNOWN, '"leader" field must be provided', ELECTION + "Proclaim", {"value": b"v"}),
)
class OneMember(unittest.TestCase):
    """A member with a key, a compaction at 3, the lease 3, and a learner that never starts."""

    @classmethod
    def setUpClass(cls):
        def start(program):
            flags = [f"--max-request-bytes={100 << 10}"]
            member = Member(program, kind(program), scratch(f"errors-{kind(program)}"), extra=flags).start()
            for _ in range(4):
                over_grpc(member, KV + "Put", PUT)
            over_grpc(member, KV + "Compact", {"revision": 3})
            over_grpc(member, LEASE + "LeaseGrant", {"ID": 3, "TTL": 6000})
            learner = {"peerURLs": ["http://127.0.0.1:9"], "isLearner": True}
            request = messages.encode("MemberAddRequest", learner)
            _, _, fields = Client(member).call("/" + CLUSTER + "MemberAdd", request)
            member.learner = messages.decode("Member", fields[2][0])["ID"]
            return member

        cls.ours, cls.etcd = either(start)

    @classmethod
    def tearDownClass(cls):
        for member in (cls.ours, cls.etcd):
            if member:
                member.kill()

    def alarmed(self, alarm, *rows):
        members = [member for member in (self.ours, self.etcd) if member]
        for member in members:
            Client(member).alarm(ACTIVATE, alarm, 7)
        try:
            for row in rows:
                for door in row.doors:
                    # etcd drops a change of the members that follows another one at once, and says nothing.
                    time.sleep(0.2 if row.method.startswith(CLUSTER) else 0)
                    raise_all(self, [dataclasses.replace(row, doors=(door,))], self.ours, self.etcd)
        finally:
            for member in members:
                Client(member).disarm_all()

    def test_no_space(self):
        text = "etcdserver: mvcc: database space exceeded"
        self.alarmed(
            NOSPACE,
            Row("put", EXHAUSTED, text, KV + "Put", PUT),
            Row("txn", EXHAUSTED, text, KV + "Txn", puts(1)),
            Row("grant", EXHAUSTED, text, LEASE + "LeaseGrant", {"TTL": 60}),
        )

    def test_corrupt_cluster(self):
        text = "etcdserver: corrupt cluster"
        self.alarmed(
            CORRUPT,
            Row("put", LOSS, text, KV + "Put", PUT),
            Row("delete", LOSS, text, KV + "DeleteRange", {"key": b"none"}),
            Row("txn", LOSS, text, KV + "Txn", puts(1)),
            Row("compact", LOSS, text, KV + "Compact", {"revision": 4}),
            Row("grant", LOSS, text, LEASE + "LeaseGrant", {"TTL": 60}),
            Row("revoke", LOSS, text, LEASE + "LeaseRevoke", {"ID": 3}),
        )


def one_that_is_no_voter(text="etcdserver: rpc not supported for learner"):
    """What a learner refuses: unary calls, and streams."""
    older = (UNAVAILABLE, text)
    return [
        Row("range", FAILED, text, KV + "Range", KEY, older=older),
        Row("put", FAILED, text, KV + "Put", PUT, older=older),
        Row("grant", FAILED, text, LEASE + "LeaseGrant", {"TTL": 60}, older=older),
        Row("list", FAILED, text, CLUSTER + "MemberList", older=older),
        Row("move", FAILED, text, MAINTENANCE + "MoveLeader", {"targetID": 7}, older=older),
        Row("watch", FAILED, text, WATCH, {"create_request": KEY}, older=older),
        Row("keep-alive", FAILED, text, LEASE + "LeaseKeepAlive", {"ID": 3}, older=older),
    ]


@rows_as_tests(*one_that_is_no_voter())
class Learner(unittest.TestCase):
    """A learner that has joined."""

    @classmethod
    def setUpClass(cls):
        def start(program):
            directory = scratch(f"errors-learner-{kind(program)}")
            first = Member(program, "first", directory).start()
            learner = Member(program, kind(program), directory)
            over_grpc(first, CLUSTER + "MemberAdd", {"peerURLs": [learner.peer_url], "isLearner": True})
            learner.initial_cluster = f"first={first.peer_url},{learner.name}={learner.peer_url}"
            learner.start(wait=False, initial_cluster_state="existing").wait_for_port()
            deadline = time.monotonic() + 20
            local = {**KEY, "serializable": True}
            while over_grpc(learner, KV + "Range", local)[0] != 0:
                assert time.monotonic() < deadline, "the learner does not get on"
                time.sleep(0.1)
            learner.voter = first
            return learner

        cls.ours, cls.etcd = either(start)

    @classmethod
    def tearDownClass(cls):
        for member in (cls.ours, cls.etcd):
            if member:
                member.kill()
                member.voter.kill()


def leader_of(cluster):
    """(the leader, its followers), as soon as all of them agree on it."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        named = set()
        for member in cluster.members:
            with http2.Connection(member.client_port) as connection:
                answer = connection.call("/" + MAINTENANCE + "Status").messages[0]
            named.add(messages.decode("StatusResponse", answer).get("leader"))
        for leader in cluster.members:
            if named == {member_id(leader)}:
                return leader, [member for member in cluster.members if member is not leader]
        time.sleep(0.05)
    raise AssertionError("no leader")


class Clusters(unittest.TestCase):
    """Members that cannot agree."""

    def cluster(self, program, name):
        """(leader, followers)"""
        cluster = Cluster(program, f"{name}-{kind(program)}")
        self.addCleanup(cluster.kill)
        return leader_of(cluster.start().wait_ready())

    def clusters(self, name):
        """The same of ours, and of etcd's."""
        ours, etcd = either(lambda program: self.cluster(program, name))
        return ours, etcd or (None, [None] * 2)

    def signal(self, number, *members):
        for member in members:
            if member:
                member.process.send_signal(number)

    def test_not_leader(self):
        ours, etcd = self.clusters("follower")
        row = Row("move", FAILED, "etcdserver: not leader", MAINTENANCE + "MoveLeader",
                  lambda member: {"targetID": member_id(member)})
        raise_all(self, [row], ours[1][0], etcd[1][0])

    def test_unhealthy_cluster(self):
        ours, etcd = self.clusters("unhealthy")
        # They have to have been connected for five seconds, so that it is the dead one that is missed.
        time.sleep(5.5)
        for _, followers in (ours, etcd):
            if followers[0]:
                followers[0].kill()
        time.sleep(0.3)
        row = Row("add", UNAVAILABLE, "etcdserver: unhealthy cluster", CLUSTER + "MemberAdd",
                  {"peerURLs": ["http://127.0.0.1:7"]})
        raise_all(self, [row], ours[0], etcd[0])

    def test_not_enough_started_members(self):
        def start(program):
            member = Member(program, kind(program), scratch(f"not-enough-{kind(program)}")).start()
            self.addCleanup(member.kill)
            self.assertEqual(over_grpc(member, CLUSTER + "MemberAdd", {"peerURLs": ["http://127.0.0.1:7"]}), (0, ""))
            return member

        row = Row("add", FAILED, NOT_ENOUGH, CLUSTER + "MemberAdd", {"peerURLs": ["http://127.0.0.1:8"]},
                  older=(UNKNOWN, NOT_ENOUGH))
        raise_all(self, [row], *either(start))

    def test_leader_changed(self):
        """While the leader hands over, it takes nothing from others: here to one that is stopped. At etcd it is reads
        that are told so, by chance; its leader drops such a put, and time runs out."""
        (leader, (follower, target)), _ = self.clusters("hand-over")
        self.signal(signal.SIGSTOP, target)
        moving = threading.Thread(
            target=over_grpc, args=(leader, MAINTENANCE + "MoveLeader", {"targetID": member_id(target)}))
        moving.start()
        time.sleep(0.2)
        raise_all(self, [Row("put", UNAVAILABLE, "etcdserver: leader changed", KV + "Put", PUT)], follower, None)
        moving.join()
        self.signal(signal.SIGCONT, target)

    def test_timed_out_by_leader_failure(self):
        """Puts that were on their way to a leader that stops; another one is elected before the time is up. etcd 3.5.1
        says so where the new leader was asked, ours wherever. Again, if a split vote made that last longer than either
        looks back."""
        text = "etcdserver: request timed out, possibly due to previous leader failure"
        expected = [(UNAVAILABLE, text), said_by_gateway(KV + "Put", UNAVAILABLE, text)]
        for program, enough in ((MARTLET, 2), (ETCD, 1)):
            if not program.exists():
                continue
            for attempt in range(4):
                leader, followers = self.cluster(program, f"leader-failure-{attempt}")
                leader.process.send_signal(signal.SIGSTOP)
                answers = at_once(*(
                    functools.partial(ask, follower, KV + "Put", PUT) for follower in followers
                    for ask in DOORS.values()
                ))
                answers = [answers[:2], answers[2:]]
                if answers.count(expected) >= enough:
                    break
            else:
                self.fail(f"{kind(program)}: {answers}")

    def test_timed_out_by_lost_connection(self):
        """A put that was on its way when the connection ended; the leader stays."""

        def start(program):
            cluster = Cluster(program, f"lost-{kind(program)}", count=2)
            self.addCleanup(cluster.kill)
            crossings = []
            for member in cluster.members:
                behind = free_port()
                crossings.append(Crossing(member.peer_port, behind))
                self.addCleanup(crossings[-1].close)
                member.start(wait=False, listen_peer_urls=f"http://127.0.0.1:{behind}")
            follower = leader_of(cluster.wait_ready())[1][0]
            return follower, crossings

        ours, etcd = either(start)
        crossings = ours[1] + (etcd[1] if etcd else [])
        for crossing in crossings:
            crossing.swallows = True
        # Long enough for the put to be sent, too short for an election.
        cut = threading.Timer(0.3, lambda: [crossing.cut() for crossing in crossings])
        cut.start()
        text = "etcdserver: request timed out, possibly due to connection lost"
        raise_all(self, [Row("put", UNAVAILABLE, text, KV + "Put", PUT)], ours[0], etcd and etcd[0])
        cut.join()

    def test_without_a_leader(self):
        """One of three members is left: who needs a leader is told so, and time runs out for the others."""
        ours, etcd = self.clusters("alone")
        create, local = {"create_request": KEY}, {**KEY, "serializable": True}
        no_leader = "etcdserver: no leader"
        # Streams that want a leader end when it is gone; there the gateway has said 200 already.
        asks = []
        for member in (ours[0], etcd[0]):
            if member:
                asks.append(lambda member=member: over_grpc(member, WATCH, create, HAS_LEADER))
                asks.append(lambda member=member: over_gateway(member, WATCH, create, HAS_LEADER))
        watches = []
        watching = threading.Thread(target=lambda: watches.extend(at_once(*asks)))
        watching.start()
        time.sleep(0.5)
        for _, followers in (ours, etcd):
            for member in followers:
                if member:
                    member.kill()
        watching.join()
        _, said = said_by_gateway(WATCH, UNAVAILABLE, no_leader)
        self.assertEqual(watches, [(UNAVAILABLE, no_leader), (200, said)] * (len(asks) // 2))

        time_out, too_late = "etcdserver: request timed out", "context deadline exceeded"
        soon = (("grpc-timeout", "300m"),)
        raise_all(
            self,
            [
                Row("range", UNAVAILABLE, no_leader, KV + "Range", local, HAS_LEADER),
                Row("put", UNAVAILABLE, no_leader, KV + "Put", PUT, HAS_LEADER),
                Row("status", UNAVAILABLE, no_leader, MAINTENANCE + "Status", {}, HAS_LEADER),
                Row("move", UNAVAILABLE, no_leader, MAINTENANCE + "MoveLeader", {"targetID": 7}, HAS_LEADER),
                Row("watch", UNAVAILABLE, no_leader, WATCH, create, HAS_LEADER),
                Row("keep-alive", UNAVAILABLE, no_leader, LEASE + "LeaseKeepAlive", {"ID": 4}, HAS_LEADER),
                Row("snapshot", UNAVAILABLE, no_leader, MAINTENANCE + "Snapshot", {}, HAS_LEADER),
                # 3.5.1 says "unknown" where later versions say what it is.
                Row("put in vain", UNAVAILABLE, time_out, KV + "Put", PUT, older=(UNKNOWN, too_late)),
                Row("grant in vain", UNAVAILABLE, time_out, LEASE + "LeaseGrant", {"TTL": 60},
                    older=(UNKNOWN, too_late)),
                Row("range in vain", UNAVAILABLE, time_out, KV + "Range", KEY),
                Row("put of the hurried", LATE, too_late, KV + "Put", PUT, soon, older=(UNKNOWN, too_late),
                    doors=("gRPC",)),
                Row("range of the hurried", LATE, too_late, KV + "Range", KEY, soon, older=(UNKNOWN, too_late),
                    doors=("gRPC",)),
                Row("put of the hurried", LATE, too_late, KV + "Put", PUT, soon, doors=("gateway",)),
                Row("range of the hurried", LATE, too_late, KV + "Range", KEY, soon, doors=("gateway",)),
            ],
            ours[0], etcd[0],
        )
        # And what is still open at its end. etcd is gone without a word.
        stop = threading.Timer(0.5, ours[0].process.terminate)
        stop.start()
        text = "etcdserver: server stopped"
        raise_all(
            self,
            [Row("put", UNAVAILABLE, text, KV + "Put", PUT), Row("range", UNAVAILABLE, text, KV + "Range", KEY)],
            ours[0], None,
        )
        stop.join()
        ours[0].process.wait(10)

    def test_server_stopped(self):
        member = Member(MARTLET, "stopped", scratch("stopped")).start()
        self.addCleanup(member.kill)
        over_grpc(member, "v3lockpb.Lock/Lock", {"name": b"held"})
        create = {"create_request": KEY}
        text = "etcdserver: server stopped"
        threading.Timer(0.5, member.process.terminate).start()
        lock, lock_json, watch, watch_json = at_once(
            lambda: over_grpc(member, "v3lockpb.Lock/Lock", {"name": b"held"}),
            lambda: over_gateway(member, "v3lockpb.Lock/Lock", {"name": b"held"}),
            lambda: over_grpc(member, WATCH, create),
            lambda: over_gateway(member, WATCH, create),
        )
        self.assertEqual((lock, watch), ((UNAVAILABLE, text), (UNAVAILABLE, text)))
        self.assertEqual(lock_json, said_by_gateway("v3lockpb.Lock/Lock", UNAVAILABLE, text))
        self.assertEqual(watch_json, (200, said_by_gateway(WATCH, UNAVAILABLE, text)[1]))

    def test_too_many_requests(self):
        """A leader whose followers do not answer holds 128 MiB that are not committed, and then takes no more. etcd has
        no such limit; its own, of entries that are not applied, is not to be reached from outside (M13)."""
        flags = [f"--max-request-bytes={16 << 20}", "--heartbeat-interval=800", "--election-timeout=8000"]
        cluster = Cluster(MARTLET, "too-many", extra=flags).start()
        self.addCleanup(cluster.kill)
        for member in cluster.members:
            member.wait_ready(40)
        leader, followers = leader_of(cluster)
        # It leads on for an election timeout at least.
        self.signal(signal.SIGSTOP, *followers)
        for size in [15 << 20] * 8 + [8000 << 10]:
            connection = http2.Connection(leader.client_port)
            self.addCleanup(connection.close)
            large = messages.encode("PutRequest", {"key": b"large", "value": b"v" * size})
            connection.send(connection.open("/" + KV + "Put"), http2.grpc_frame(large), end=True)
        text = "etcdserver: too many requests"
        more = {"key": b"more", "value": b"v" * (400 << 10)}
        # The last of them are on their way still.
        for _ in range(20):
            try:
                over_grpc(leader, KV + "Put", more, seconds=0.3)
                break
            except TimeoutError:
                pass
        raise_all(self, [Row("put", EXHAUSTED, text, KV + "Put", more)], leader, None)


if __name__ == "__main__":
    unittest.main()
