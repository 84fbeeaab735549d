"""One client of a member, and tests that put the same to a martlet member and to an etcd 3.5.1 member."""

import unittest

from . import http2, protobuf
from .processes import ETCD, MARTLET, Member, scratch
from .protobuf import compaction_request, delete_request, message, put_request, range_request, signed, txn_request

KV = "/etcdserverpb.KV/"
LEASE = "/etcdserverpb.Lease/"
MAINTENANCE = "/etcdserverpb.Maintenance/"
GET, ACTIVATE, DEACTIVATE = range(3)
NONE, NOSPACE, CORRUPT = range(3)
ALL = range_request(b"\0", b"\0", keys_only=True)


class Client:
    """One connection to a member, with the calls that tests of several services need."""

    def __init__(self, member):
        self.member = member
        self.connection = http2.Connection(member.client_port)

    def call(self, path, request=b""):
        reply = self.connection.call(path, request)
        return reply.status, reply.text, protobuf.parse(reply.messages[0]) if reply.messages else {}

    def grant(self, ttl, id=None):
        return self.call(LEASE + "LeaseGrant", message({1: ttl, 2: id}))

    def revoke(self, id):
        return self.call(LEASE + "LeaseRevoke", message({1: id}))

    def time_to_live(self, id, keys=None):
        return self.call(LEASE + "LeaseTimeToLive", message({1: id, 2: keys}))

    def leases(self):
        status, _, fields = self.call(LEASE + "LeaseLeases")
        assert status == 0
        return sorted(signed(protobuf.get(protobuf.parse(lease), 1)) for lease in fields.get(2, []))

    def put(self, key, value=b"v", **options):
        return self.call(KV + "Put", put_request(key, value, **options))

    def txn(self, *arguments, **options):
        return self.call(KV + "Txn", txn_request(*arguments, **options))

    def delete(self, key, end=None):
        return self.call(KV + "DeleteRange", delete_request(key, end))

    def compact(self, revision):
        return self.call(KV + "Compact", compaction_request(revision, physical=True))

    def range(self, *arguments, **options):
        return self.call(KV + "Range", range_request(*arguments, **options))

    def keys(self):
        status, text, fields = self.call(KV + "Range", ALL)
        assert status == 0, text
        return [protobuf.get(protobuf.parse(pair), 1) for pair in fields.get(2, [])]

    def revision(self):
        return header(self.call(KV + "Range", ALL)[2]).get("revision")

    def keep_alive(self, ids):
        """Asks for all of them at once on one stream and half-closes it: (status, [(id, TTL, header)])."""
        stream = self.connection.open(LEASE + "LeaseKeepAlive")
        self.connection.send(stream, b"".join(http2.grpc_frame(message({1: id})) for id in ids), end=True)
        reply = self.connection.wait(stream)
        answers = [protobuf.parse(answer) for answer in reply.messages]
        return reply.status, [(signed(protobuf.get(a, 2)), protobuf.get(a, 3), header(a)) for a in answers]

    def alarm(self, action=GET, kind=NONE, member=None):
        return self.call(MAINTENANCE + "Alarm", message({1: action, 2: member, 3: kind}))

    def alarms(self):
        """(member, kind) of all that are raised."""
        status, text, fields = self.alarm()
        assert status == 0, text
        parsed = (protobuf.parse(alarm) for alarm in fields.get(2, []))
        return [(protobuf.get(alarm, 1), protobuf.get(alarm, 2)) for alarm in parsed]

    def disarm_all(self):
        for member, kind in self.alarms():
            assert self.alarm(DEACTIVATE, kind, member)[0] == 0

    def errors(self):
        return [error.decode() for error in self.call(MAINTENANCE + "Status")[2].get(8, [])]


def header(fields):
    parsed = protobuf.parse(fields.get(1, [b""])[0])
    return {
        "revision": protobuf.get(parsed, 3),
        "has ids and term": all(protobuf.get(parsed, number) for number in (1, 2, 4)),
    }


def shown(answer):
    """An answer without what cannot be the same."""
    status, text, fields = answer
    rest = {number: value for number, value in fields.items() if number != 1}
    return status, text, header(fields), rest


class Pair(unittest.TestCase):
    """The same requests to a martlet member and to an etcd 3.5.1 member."""

    # Of the members' directories; each test's own.
    name = "pair"

    @classmethod
    def setUpClass(cls):
        cls.members = [
            Member(MARTLET, "martlet", scratch(cls.name)), Member(ETCD, "etcd", scratch(f"{cls.name}-etcd")),
        ]
        for member in cls.members:
            member.start()
        cls.clients = [Client(member) for member in cls.members]

    @classmethod
    def tearDownClass(cls):
        for member in cls.members:
            member.kill()

    def agree(self, ask):
        ours, theirs = (ask(client) for client in self.clients)
        self.assertEqual(ours, theirs)
        return ours
