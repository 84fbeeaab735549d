"""Random sequences of requests, one a seed: every service of etcd v3 with every option, wrong ones too.

A sequence is a list of steps that mean the same to every server: a revision is so many after the one at which the
sequence began, a lease that the server numbered is the n-th of them. A step can be left out without the others losing
their sense, so that a sequence that shows a difference can be made shorter.
"""

import dataclasses

KV, LEASE, CLUSTER = "etcdserverpb.KV/", "etcdserverpb.Lease/", "etcdserverpb.Cluster/"
MAINTENANCE, LOCK, ELECTION = "etcdserverpb.Maintenance/", "v3lockpb.Lock/", "v3electionpb.Election/"
WATCH = "etcdserverpb.Watch/Watch"

# The flags that both servers get, so that limits are met with small requests.
MAX_TXN_OPS = 6
MAX_REQUEST_BYTES = 32 * 1024
FLAGS = [f"--max-txn-ops={MAX_TXN_OPS}", f"--max-request-bytes={MAX_REQUEST_BYTES}"]
# What gRPC's own limit is then: etcd adds half a mebibyte.
MAX_MESSAGE_BYTES = MAX_REQUEST_BYTES + 512 * 1024


@dataclasses.dataclass(frozen=True)
class Ref:
    """What only the server can say, named so that it means the same to all of them.

    revision: so many after the sequence's first; lease: the n-th that the server numbered itself; lock: the key of the
    n-th lock that was given; leader: the n-th campaign's leader key; member: its own id (0), or that of the n-th added
    one."""

    kind: str
    number: int = 0

    def __repr__(self):
        return f"<{self.kind} {self.number:+d}>" if self.kind == "revision" else f"<{self.kind} {self.number}>"


@dataclasses.dataclass(frozen=True)
class Step:
    """kind: call (and wait for all of the answer), start (and leave it waiting), finish (what was started), drop (what
    was started, or a watch stream), watch (a stream's next request; it is opened by its first), http (as it stands)."""

    kind: str
    method: str = ""
    message: object = None
    slot: str = ""
    member: int = 0
    headers: tuple = ()

    def __str__(self):
        where = f" through member {self.member + 1}" if self.member else ""
        slot = f" [{self.slot}]" if self.slot else ""
        metadata = f" with {dict(self.headers)}" if self.headers else ""
        return f"{self.kind}{slot} {self.method} {shown(self.message)}{metadata}{where}".rstrip()


def shown(value, most=160):
    """Long bytes are cut."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {shown(part, most)}" for key, part in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(shown(part, most) for part in value) + "]"
    if isinstance(value, (bytes, str)) and len(value) > most:
        return f"{value[:20]!r}... ({len(value)} long)"
    return "" if value is None else repr(value)


KEYS = [b"a", b"aa", b"ab", b"b", b"b\0", b"c", b"k/1", b"k/2", b"k/3", b"\xff", b"\xff\xff", b"\xc3\xa4", b"\0"]
ENDS = [None, None, None, b"\0", b"b", b"b\0", b"c", b"k0", b"k/3", b"a", b"\xff"]
VALUES = [b"", b"1", b"2", b"10", b"value", b"\0\xff", b"x" * 300]
LEASES = [101, 102, 103, (1 << 63) - 1]
NAMES = [b"lock", b"l", b"office", b"zone", b"\xff"]
FUTURE = 1 << 40

FAMILIES = {
    "kv": 10, "txn": 6, "compact": 2, "watch": 6, "lease": 5, "lock": 4, "election": 4, "cluster": 1,
    "maintenance": 1.5, "alarm": 0.6, "limits": 0.7,
}


class Generator:
    """`gateway` leaves out what JSON over HTTP cannot say."""

    def __init__(self, random, gateway=False, members=1, families=None):
        self.random = random
        self.gateway = gateway
        self.members = members
        self.counts = {"lease": 0, "lock": 0, "leader": 0, "slot": 0, "member": 0}
        self.waiting = []
        self.streams = []
        names = [name for name in FAMILIES if families is None or name in families]
        # Few families a sequence: what they do to one another is met sooner.
        chosen = random.sample(names, min(len(names), random.randint(1, 4)))
        if "kv" in names and "kv" not in chosen and random.random() < 0.7:
            chosen.append("kv")
        self.families = [name for name in names if name in chosen]

    def sequence(self):
        steps = []
        if self.random.random() < 0.8:
            for _ in range(self.random.randint(1, 5)):
                steps.append(self.call(KV + "Put", {"key": self.key(), "value": self.value()}))
        for _ in range(self.random.randint(3, 22)):
            name = self.random.choices(self.families, [FAMILIES[name] for name in self.families])[0]
            made = getattr(self, name)()
            steps += made if isinstance(made, list) else [made]
        for slot in self.waiting:
            steps.append(Step("drop", slot=slot))
        return steps

    # MARK: parts

    def maybe(self, chance):
        return self.random.random() < chance

    def key(self, empty=0.03):
        if self.maybe(empty):
            return b"" if self.maybe(0.5) else None
        return self.random.choice(KEYS)

    def value(self):
        return self.random.choice(VALUES)

    def revision(self):
        kind = self.random.random()
        if kind < 0.75:
            return Ref("revision", self.random.randint(-2, 10))
        return self.random.choice([0, -1, 1, FUTURE, (1 << 63) - 1, -(1 << 63)])

    def lease_id(self):
        kind = self.random.random()
        if kind < 0.2 and self.counts["lease"]:
            return Ref("lease", self.random.randrange(self.counts["lease"]))
        return self.random.choice(LEASES)

    def call(self, method, message, **options):
        member = self.random.randrange(self.members)
        return Step("call", method, {key: part for key, part in message.items() if part is not None}, member=member,
                    **options)

    def without_none(self, **message):
        return {key: part for key, part in message.items() if part is not None}

    def option(self, chance, make):
        return make() if self.maybe(chance) else None

    # MARK: KV

    def range_request(self):
        pick = self.random.choice
        return self.without_none(
            key=self.key(),
            range_end=pick(ENDS),
            limit=self.option(0.3, lambda: pick([0, 1, 2, 3, 100, -1])),
            revision=self.option(0.3, self.revision),
            # No unknown ones: of such a target etcd 3.5.1 dies, such an order it does not see.
            sort_order=self.option(0.35, lambda: pick([0, 1, 2])),
            sort_target=self.option(0.35, lambda: pick([0, 1, 2, 3, 4])),
            serializable=self.option(0.2, lambda: True),
            keys_only=self.option(0.2, lambda: True),
            count_only=self.option(0.1, lambda: True),
            min_mod_revision=self.option(0.12, self.revision),
            max_mod_revision=self.option(0.12, self.revision),
            min_create_revision=self.option(0.12, self.revision),
            max_create_revision=self.option(0.12, self.revision),
        )

    def put_request(self):
        return self.without_none(
            key=self.key(),
            value=self.option(0.9, self.value),
            lease=self.option(0.2, self.lease_id),
            prev_kv=self.option(0.3, lambda: True),
            ignore_value=self.option(0.1, lambda: True),
            ignore_lease=self.option(0.1, lambda: True),
        )

    def delete_request(self):
        return self.without_none(
            key=self.key(), range_end=self.random.choice(ENDS), prev_kv=self.option(0.4, lambda: True)
        )

    def kv(self):
        kind = self.random.random()
        if kind < 0.4:
            return self.call(KV + "Range", self.range_request())
        if kind < 0.8:
            return self.call(KV + "Put", self.put_request())
        return self.call(KV + "DeleteRange", self.delete_request())

    def compare(self):
        number = lambda: self.random.choice([0, 0, 1, 2, -1])
        name, operand = self.random.choice([
            ("version", number), ("create_revision", lambda: self.random.choice([0, self.revision()])),
            ("mod_revision", lambda: self.random.choice([0, self.revision()])), ("value", self.value),
            ("lease", lambda: self.random.choice([0, self.lease_id()])),
        ])
        target = ["version", "create_revision", "mod_revision", "value", "lease"].index(name)
        if self.maybe(0.06):
            target = self.random.choice([0, 1, 2, 3, 4, 7, -1])  # that of another operand
        made = {"result": self.random.choice([0, 0, 1, 2, 3, 3] + ([4, -1] if self.maybe(0.1) else [])),
                "target": target, "key": self.key()}
        if self.maybe(0.95):
            made[name] = operand()
        if self.maybe(0.25):
            made["range_end"] = self.random.choice(ENDS)
        return self.without_none(**made)

    def operation(self, depth):
        kind = self.random.random()
        if kind < 0.3:
            return {"request_range": self.range_request()}
        if kind < 0.65:
            return {"request_put": self.put_request()}
        if kind < 0.85:
            return {"request_delete_range": self.delete_request()}
        if kind < 0.87:
            return {}
        return {"request_txn": self.txn_request(depth + 1)} if depth < 2 else {"request_put": self.put_request()}

    def txn_request(self, depth=0):
        def count():
            return self.random.choice([0, 1, 1, 2, 3] + ([MAX_TXN_OPS, MAX_TXN_OPS + 1] if self.maybe(0.1) else []))

        made = {
            "compare": [self.compare() for _ in range(self.random.choice([0, 0, 1, 1, 2, 3]))],
            "success": [self.operation(depth) for _ in range(count())],
            "failure": [self.operation(depth) for _ in range(count())],
        }
        return {key: part for key, part in made.items() if part}

    def txn(self):
        return self.call(KV + "Txn", self.txn_request())

    def compact(self):
        message = self.without_none(revision=self.revision(), physical=self.option(0.4, lambda: True))
        return self.call(KV + "Compact", message)

    # MARK: watches

    def create_request(self):
        pick = self.random.choice
        return {"create_request": self.without_none(
            key=self.key(0.1),
            range_end=pick(ENDS),
            # None below zero: 3.5.1 takes it for a compacted one, later ones refuse it.
            start_revision=self.option(0.5, lambda: Ref("revision", pick([-2, -1, *range(1, 9)])) if self.maybe(0.8)
                                       else pick([0, 1, FUTURE])),
            progress_notify=self.option(0.1, lambda: True),
            filters=self.option(0.25, lambda: pick([[0], [1], [0, 1], [1, 1], [2]])),
            prev_kv=self.option(0.3, lambda: True),
            watch_id=self.option(0.15, lambda: pick([1, 2, 7, -1, -7])),
            fragment=self.option(0.1, lambda: True),
        )}

    def watch(self):
        if self.gateway:
            if len(self.streams) < 3:
                self.streams.append(f"w{len(self.streams)}")
                return Step("watch", WATCH, self.create_request(), slot=self.streams[-1])
            return self.kv()
        if len(self.streams) < 2 and (not self.streams or self.maybe(0.2)):
            self.streams.append(f"w{len(self.streams)}")
        slot = self.random.choice(self.streams)
        kind = self.random.random()
        if kind < 0.45:
            request = self.create_request()
        elif kind < 0.6:
            request = {"cancel_request": {"watch_id": self.random.choice([0, 0, 1, 2, 7, 9, -1])}}
        elif kind < 0.65:
            request = {"progress_request": {}}
        elif kind < 0.67:
            request = {}
        else:
            return self.kv() if self.maybe(0.7) else self.txn()
        return Step("watch", WATCH, request, slot=slot, member=0)

    # MARK: leases

    def lease(self):
        pick, kind = self.random.choice, self.random.random()
        if kind < 0.4:
            number = 0 if self.maybe(0.3) else pick(LEASES + ([-5] if self.maybe(0.1) else []))
            ttl = pick([60, 60, 100, 1000, 0, 1, -1, 9_000_000_000, 9_000_000_001, (1 << 63) - 1])
            if number == 0:
                self.counts["lease"] += 1
            return self.call(LEASE + "LeaseGrant", {"TTL": ttl, "ID": number})
        if kind < 0.5:
            return self.call(LEASE + "LeaseRevoke", {"ID": pick([self.lease_id(), self.lease_id(), 0, 999])})
        if kind < 0.6:
            ids = [pick([self.lease_id(), 0, 999]) for _ in range(1 if self.gateway else self.random.randint(0, 3))]
            return Step("call", LEASE + "LeaseKeepAlive", [{"ID": number} for number in ids],
                        member=self.random.randrange(self.members))
        if kind < 0.75:
            message = {"ID": pick([self.lease_id(), self.lease_id(), 0, 999]), "keys": self.option(0.6, lambda: True)}
            return self.call(LEASE + "LeaseTimeToLive", message)
        if kind < 0.82:
            return self.call(LEASE + "LeaseLeases", {})
        return self.call(KV + "Put", {"key": self.key(), "value": self.value(), "lease": self.lease_id()})

    # MARK: locks and elections

    def slot(self):
        self.counts["slot"] += 1
        return f"s{self.counts['slot']}"

    def lock(self):
        kind = self.random.random()
        if kind < 0.25:
            return self.call(LEASE + "LeaseGrant", {"TTL": 100, "ID": self.random.choice(LEASES)})
        if kind < 0.55:
            slot = self.slot()
            self.counts["lock"] += 1
            message = {"name": self.random.choice(NAMES + ([b""] if self.maybe(0.2) else [])),
                       "lease": self.random.choice([0, *LEASES, *LEASES])}
            if message["lease"] == 0:
                self.counts["lease"] += 1
            self.waiting.append(slot)
            return Step("start", LOCK + "Lock", message, slot=slot)
        if kind < 0.75:
            keys = [b"lock/65", b"l/66", b"", b"no such"]
            if self.counts["lock"]:
                keys += [Ref("lock", self.random.randrange(self.counts["lock"])) for _ in range(6)]
            return self.call(LOCK + "Unlock", {"key": self.random.choice(keys)})
        if kind < 0.9 and self.waiting:
            return self.finish_or_drop()
        return self.random.choice([
            self.call(KV + "Range", {"key": b"\0", "range_end": b"\0"}),
            self.call(LEASE + "LeaseRevoke", {"ID": self.lease_id()}),
        ])

    def finish_or_drop(self):
        slot = self.random.choice(self.waiting)
        if self.maybe(0.3):
            self.waiting.remove(slot)
            return Step("drop", slot=slot)
        return Step("finish", slot=slot)

    def leader_key(self):
        if self.counts["leader"] and self.maybe(0.85):
            return Ref("leader", self.random.randrange(self.counts["leader"]))
        # None without a lease: etcd makes one then, and leaves it behind.
        return self.random.choice([
            None, {"name": b"office", "key": b"office/65", "rev": 1, "lease": 101}, {"lease": 101},
            {"name": b"office", "key": b"office/65", "rev": Ref("revision", 1), "lease": 999},
        ])

    def election(self):
        kind = self.random.random()
        name = self.random.choice(NAMES[:3] + [b"office"] * 4 + ([b""] if self.maybe(0.2) else []))
        if kind < 0.2:
            return self.call(LEASE + "LeaseGrant", {"TTL": 100, "ID": self.random.choice(LEASES)})
        if kind < 0.45:
            slot = self.slot()
            self.counts["leader"] += 1
            self.waiting.append(slot)
            message = {"name": name, "lease": self.random.choice([0, *LEASES, *LEASES]), "value": self.value()}
            if message["lease"] == 0:
                self.counts["lease"] += 1
            return Step("start", ELECTION + "Campaign", message, slot=slot)
        if kind < 0.58:
            return self.call(ELECTION + "Leader", {"name": name})
        if kind < 0.7:
            message = {"leader": self.leader_key(), "value": self.value()}
            return self.call(ELECTION + "Proclaim", message)
        if kind < 0.8:
            return self.call(ELECTION + "Resign", {"leader": self.leader_key()})
        if kind < 0.88:
            slot = self.slot()
            self.waiting.append(slot)
            return Step("start", ELECTION + "Observe", {"name": name}, slot=slot)
        if self.waiting and kind < 0.96:
            return self.finish_or_drop()
        return self.call(KV + "Range", {"key": b"\0", "range_end": b"\0"})

    # MARK: cluster and maintenance

    def cluster(self):
        kind, pick = self.random.random(), self.random.choice
        bad_urls = [[], [""], ["nonsense"], ["http://127.0.0.1"], ["ftp://127.0.0.1:1"], ["127.0.0.1:1"],
                    ["http://127.0.0.1:1/path"], ["http://127.0.0.1:x"], ["<own peer URL>"]]
        number = lambda: pick([0, 1, 999, Ref("member", 1), Ref("member", 1)])
        if kind < 0.3:
            return self.call(CLUSTER + "MemberList", self.without_none(linearizable=self.option(0.5, lambda: True)))
        if kind < 0.5:
            # A voter beside one member would take its majority away: learners only.
            learner = self.maybe(0.5)
            urls = pick([["http://127.0.0.1:7"], ["http://127.0.0.1:9", "http://127.0.0.1:7"]] if learner else bad_urls)
            if learner:
                self.counts["member"] += 1
            return self.call(CLUSTER + "MemberAdd", {"peerURLs": urls, "isLearner": learner or None})
        if kind < 0.65:
            return self.call(CLUSTER + "MemberRemove", {"ID": number()})
        if kind < 0.8:
            # Of a member that exists, etcd takes any URLs for good; and its own must stay.
            urls = pick(bad_urls + [["http://127.0.0.1:8"]] * 9)
            member = number() if urls == ["http://127.0.0.1:8"] else pick([0, 1, 999])
            return self.call(CLUSTER + "MemberUpdate", {"ID": member, "peerURLs": urls})
        return self.call(CLUSTER + "MemberPromote", {"ID": pick([number(), Ref("member", 0)])})

    def maintenance(self):
        kind, pick = self.random.random(), self.random.choice
        if kind < 0.2:
            return self.call(MAINTENANCE + "Status", {})
        if kind < 0.35:
            if self.gateway:
                return self.call(MAINTENANCE + "Status", {})
            return self.call(MAINTENANCE + "HashKV", {"revision": self.revision()})
        if kind < 0.45:
            return self.call(MAINTENANCE + ("Status" if self.gateway else "Hash"), {})
        if kind < 0.6 and self.members == 1:
            return self.call(MAINTENANCE + "MoveLeader", {"targetID": pick([0, 1, 999, Ref("member", 0)])})
        if kind < 0.7:
            return self.call(MAINTENANCE + "Snapshot", {})
        if kind < 0.8:
            return self.call(MAINTENANCE + "Defragment", {})
        if kind < 0.95:
            message = {"action": pick([0, 0, 1, 2, 2, 3]), "version": pick(["", "abc", "9.9.9", "1.0.0", "3.x", "3"])}
            if message["action"] == 1 and self.maybe(0.5):
                message["version"] = "9.9.9"
            return self.call(MAINTENANCE + "Downgrade", message)
        if self.gateway:
            return self.call(MAINTENANCE + "Status", {})
        return self.call("grpc.health.v1.Health/Check", {"service": pick(["", "nonsense", "etcdserverpb.KV"])})

    def alarm(self):
        pick = self.random.choice
        if self.maybe(0.25):
            return self.call(KV + "Put", self.put_request())
        # Nothing unknown, and no alarm of no kind: etcd 3.5.1 dies of those.
        action = pick([0, 0, 1, 1, 2, 2])
        return self.call(MAINTENANCE + "Alarm", self.without_none(
            action=action,
            memberID=pick([None, 0, 1, 999, Ref("member", 0), Ref("member", 0)]),
            alarm=pick([1, 1, 2] if action else [None, 0, 1, 2]),
        ))

    # MARK: what is too large, or no message at all

    def limits(self):
        kind = self.random.random()
        size = self.random.choice([MAX_REQUEST_BYTES - 200, MAX_REQUEST_BYTES, MAX_REQUEST_BYTES + 200])
        if kind < 0.3:
            return self.call(KV + "Put", {"key": b"large", "value": b"v" * size})
        if kind < 0.5:
            operations = [{"request_put": {"key": b"large/%d" % at, "value": b"v" * (size // 2)}} for at in range(2)]
            return self.call(KV + "Txn", {"success": operations})
        if kind < 0.7:
            return self.call(KV + "Put", {"key": b"large", "value": b"v" * (MAX_MESSAGE_BYTES + 100)})
        if kind < 0.8:
            return self.call(KV + "Range", {"key": b"k" * (MAX_REQUEST_BYTES + 1)})
        if self.gateway:
            return self.http()
        headers = self.random.choice([(("hasleader", "true"),), (("client-api-version", "3.5"),)])
        return dataclasses.replace(self.kv(), headers=headers)

    def http(self):
        """What the gateway is sent by those who hold it wrong; (method, path, body)."""
        bodies = ["", "{", "[]", '"x"', "null", "nonsense", '{"key":1}', '{"key":"?"}', '{"key":"YQ"}',
                  '{"key":"YQ==","limit":"x"}', '{"key":"YQ==","limit":1}', '{"key":"YQ==","limit":"1"}',
                  '{"key":"YQ==","unknown":1}', '{"key":"YQ==","sort_order":"SIDEWAYS"}',
                  '{"key":"YQ==","sort_order":"DESCEND","range_end":"AA=="}',
                  '{"key":"YQ==","keysOnly":true}',
                  '{"key":"YQ==","keys_only":true}', '{"key":"YQ==","keys_only":"true"}', '{"key":"YQ=="}trailing',
                  '{"key":"YQ==","revision":1.0}', '{"key":"YQ==","revision":1.5}', '{"key":null}']
        paths = ["/v3/kv/range"] * 8 + ["/v3beta/kv/range", "/v3alpha/kv/range", "/v3/nonsense", "/v3/kv/range/",
                                        "/v3/kv", "/v2/keys/a", "/nonsense", "/"]
        path = self.random.choice(paths)
        method = self.random.choice(["POST"] * 12 + ["GET", "PUT", "DELETE", "OPTIONS"])
        if path == "/v3/kv/range" and method == "POST":
            return Step("http", f"{method} {path}", self.random.choice(bodies))
        return Step("http", f"{method} {path}", "{}" if method == "POST" else "")
