"""What gRPC clients meet: codes and texts of errors, limits, compression, deadlines.

Each request goes to a martlet member and to an etcd 3.5.1 member, over a connection of our own, so that what no client
library sends can be sent too."""

import gzip
import struct
import time
import unittest

from support import http2, protobuf
from support.processes import ETCD, MARTLET, Member, free_port, scratch
from support.protobuf import (
    EQUAL,
    GREATER,
    LESS,
    NOT_EQUAL,
    compaction_request,
    compare,
    delete_request,
    op_delete,
    op_put,
    op_range,
    op_txn,
    put_request,
    range_request,
    txn_request,
)

KV = "/etcdserverpb.KV/"
(
    OK,
    CANCELLED,
    UNKNOWN,
    INVALID,
    DEADLINE,
    NOT_FOUND,
    EXISTS,
    DENIED,
    EXHAUSTED,
    PRECONDITION,
    ABORTED,
    OUT_OF_RANGE,
    UNIMPLEMENTED,
    INTERNAL,
    UNAVAILABLE,
    DATA_LOSS,
    UNAUTHENTICATED,
) = range(17)

NO_KEY = (INVALID, "etcdserver: key is not provided")
KEY_NOT_FOUND = (INVALID, "etcdserver: key not found")
VALUE_PROVIDED = (INVALID, "etcdserver: value is provided")
LEASE_PROVIDED = (INVALID, "etcdserver: lease is provided")
TOO_MANY = (INVALID, "etcdserver: too many operations in txn request")
DUPLICATE = (INVALID, "etcdserver: duplicate key given in txn request")
SORT = (INVALID, "etcdserver: invalid sort option")
COMPACTED = (OUT_OF_RANGE, "etcdserver: mvcc: required revision has been compacted")
FUTURE = (OUT_OF_RANGE, "etcdserver: mvcc: required revision is a future revision")
NO_LEASE = (NOT_FOUND, "etcdserver: requested lease not found")
TOO_LARGE = (INVALID, "etcdserver: request is too large")

MAX_REQUEST_BYTES = 4096
# etcd allows this much beside the request itself.
OVERHEAD_BYTES = 512 * 1024


def revision_of(connection):
    reply = connection.call(KV + "Range", range_request(b"x"))
    return protobuf.get(protobuf.parse(protobuf.parse(reply.messages[0])[1][0]), 3)


class Pair(unittest.TestCase):
    """A martlet member and an etcd member of the same flags."""

    flags = []

    @classmethod
    def setUpClass(cls):
        directory = scratch(cls.__name__)
        cls.martlet = Member(MARTLET, "martlet", directory, extra=cls.flags).start(wait=False)
        cls.etcd = Member(ETCD, "etcd", directory, extra=[*cls.flags, "--unsafe-no-fsync"]).start(wait=False)
        cls.members = [cls.martlet, cls.etcd]
        for member in cls.members:
            member.wait_ready()

    @classmethod
    def tearDownClass(cls):
        for member in cls.members:
            member.kill()

    def setUp(self):
        self.connections = [http2.Connection(member.client_port) for member in self.members]
        # Some tests ask only one of them: both begin at the same revision.
        revisions = [revision_of(connection) for connection in self.connections]
        for connection, revision in zip(self.connections, revisions):
            for _ in range(max(revisions) - revision):
                connection.call(KV + "Put", put_request(b"level", b""))
            connection.call(KV + "DeleteRange", delete_request(b"\0", b"\0"))
        for connection in self.connections:
            connection.call(KV + "Put", put_request(b"begin", b""))

    def tearDown(self):
        for connection in self.connections:
            connection.close()
        for member in self.members:
            self.assertTrue(member.is_running, f"{member.name} has ended: {member.last_log()}")

    def ask(self, path, message, **options):
        """The same call to both; (martlet's reply, etcd's)."""
        return [connection.call(KV + path, message, **options) for connection in self.connections]

    def expect(self, expected, path, message):
        for member, reply in zip(self.members, self.ask(path, message)):
            self.assertEqual((reply.status, reply.text), expected, f"{member.name}: {path}")

    def expect_of_martlet(self, expected, path, message, **options):
        """For what 3.5.1 does otherwise than later versions, or where it is no model."""
        reply = self.connections[0].call(KV + path, message, **options)
        self.assertEqual((reply.status, reply.text), expected, path)

    def same(self, path, message):
        """Both accept, and answer the same but for the ids in the header."""
        answers = []
        for member, reply in zip(self.members, self.ask(path, message)):
            self.assertEqual(reply.status, OK, f"{member.name}: {reply}")
            fields = protobuf.parse(reply.messages[0])
            header = protobuf.parse(fields.pop(1)[0])
            answers.append((protobuf.get(header, 3), fields))
        self.assertEqual(answers[0], answers[1], "martlet's answer, etcd's answer")
        return answers[0]

    def put(self, key, value):
        return self.same("Put", put_request(key, value))


class KeyValueErrors(Pair):
    def test_no_key(self):
        self.expect(NO_KEY, "Range", range_request(b""))
        self.expect(NO_KEY, "Range", range_request(b"", b"\0"))
        self.expect(NO_KEY, "Range", range_request(b"", serializable=1))
        self.expect(NO_KEY, "Range", b"")
        self.expect(NO_KEY, "Put", put_request(b"", b"v"))
        self.expect(NO_KEY, "Put", b"")
        self.expect(NO_KEY, "DeleteRange", delete_request(b""))
        self.expect(NO_KEY, "DeleteRange", delete_request(b"", b"\0"))
        self.expect(NO_KEY, "Txn", txn_request([compare(b"", "version", EQUAL, 0)]))
        self.expect(NO_KEY, "Txn", txn_request([], [op_range(b"")]))
        self.expect(NO_KEY, "Txn", txn_request([], [op_put(b"", b"v")]))
        self.expect(NO_KEY, "Txn", txn_request([], [], [op_delete(b"")]))
        self.expect(NO_KEY, "Txn", txn_request([], [op_txn([], [op_put(b"", b"v")])]))

    def test_put_options(self):
        self.expect(KEY_NOT_FOUND, "Put", put_request(b"absent", ignore_value=1))
        self.expect(KEY_NOT_FOUND, "Put", put_request(b"absent", b"v", ignore_lease=1))
        self.expect(VALUE_PROVIDED, "Put", put_request(b"absent", b"v", ignore_value=1))
        self.expect(LEASE_PROVIDED, "Put", put_request(b"absent", b"v", ignore_lease=1, lease=7))
        self.expect(NO_LEASE, "Put", put_request(b"a", b"v", lease=7))
        self.expect(NO_LEASE, "Put", put_request(b"a", b"v", lease=-7))
        self.expect(KEY_NOT_FOUND, "Txn", txn_request([], [op_put(b"absent", ignore_value=1)]))
        self.expect(VALUE_PROVIDED, "Txn", txn_request([], [op_put(b"absent", b"v", ignore_value=1)]))
        self.expect(LEASE_PROVIDED, "Txn", txn_request([], [op_put(b"absent", b"v", ignore_lease=1, lease=7)]))
        self.expect(NO_LEASE, "Txn", txn_request([], [op_put(b"a", b"v", lease=7)]))
        self.expect(KEY_NOT_FOUND, "Txn", txn_request([], [b""]))

    def test_sort_options(self):
        # New after 3.5: a member of 3.5.1 ends with a panic.
        for options in (
            {"sort_order": 9},
            {"sort_target": 9},
            {"sort_order": 3},
            {"sort_target": 5},
            {"sort_order": 1, "sort_target": 1 << 20},
        ):
            self.expect_of_martlet(SORT, "Range", range_request(b"a", b"\0", **options))
            self.expect_of_martlet(SORT, "Range", range_request(b"a", b"\0", serializable=1, **options))
            self.expect_of_martlet(SORT, "Txn", txn_request([], [op_range(b"a", b"\0", **options)]))

    def test_too_many_operations(self):
        gets = [op_range(f"k{number}") for number in range(129)]
        puts = [op_put(f"k{number}", b"v") for number in range(129)]
        compares = [compare(f"k{number}", "version", EQUAL, 0) for number in range(129)]
        self.expect(TOO_MANY, "Txn", txn_request([], puts))
        self.expect(TOO_MANY, "Txn", txn_request([], [], gets))
        self.expect(TOO_MANY, "Txn", txn_request(compares))
        # A nested one gets what the outer ones leave.
        self.expect(TOO_MANY, "Txn", txn_request([], [op_txn([], puts[:100])] + gets[:28]))
        self.same("Txn", txn_request(compares[:128], gets[:128], gets[:128]))
        self.same("Txn", txn_request([], [op_txn([], puts[:100])] + gets[:27]))
        self.expect(TOO_MANY, "Txn", txn_request([], [op_range(b"k")] * 5000))

    def test_duplicate_keys(self):
        put, delete = op_put(b"d", b"v"), op_delete(b"d")
        self.expect(DUPLICATE, "Txn", txn_request([], [put, put]))
        self.expect(DUPLICATE, "Txn", txn_request([], [put, delete]))
        self.expect(DUPLICATE, "Txn", txn_request([], [delete, put]))
        self.expect(DUPLICATE, "Txn", txn_request([], [op_delete(b"a", b"z"), put]))
        self.expect(DUPLICATE, "Txn", txn_request([], [], [put, put]))
        self.expect(DUPLICATE, "Txn", txn_request([], [put, op_txn([], [put])]))
        self.expect(DUPLICATE, "Txn", txn_request([], [op_txn([], [delete]), put]))
        self.same("Txn", txn_request([], [delete, delete]))
        self.same("Txn", txn_request([], [put], [put]))
        self.same("Txn", txn_request([], [op_txn([compare(b"d", "version", GREATER, 0)], [put], [put])]))
        self.same("Txn", txn_request([], [op_delete(b"a", b"d"), put]))
        # etcd takes the end that means "all there are" for a key, and finds no overlap.
        for key in (b"\0", b"a", b"d", b"z"):
            self.same("Txn", txn_request([], [op_delete(key, b"\0"), put]))

    def test_revisions(self):
        revision = 0
        for number in range(5):
            revision = self.put(b"r", str(number))[0]
        self.expect(FUTURE, "Range", range_request(b"r", revision=revision + 1))
        self.expect(FUTURE, "Range", range_request(b"r", revision=1 << 62, serializable=1))
        self.expect(FUTURE, "Txn", txn_request([], [op_range(b"r", revision=revision + 100)]))
        self.expect(FUTURE, "Compact", compaction_request(revision + 1))
        self.same("Range", range_request(b"r", revision=revision - 3))
        self.same("Range", range_request(b"r", revision=-5))
        self.same("Compact", compaction_request(revision - 2, physical=1))
        self.expect(COMPACTED, "Compact", compaction_request(revision - 2))
        self.expect(COMPACTED, "Compact", compaction_request(1))
        self.expect(COMPACTED, "Compact", compaction_request(0))
        self.expect(COMPACTED, "Compact", compaction_request(-1))
        self.expect(COMPACTED, "Range", range_request(b"r", revision=revision - 3))
        self.expect(COMPACTED, "Range", range_request(b"r", revision=revision - 3, count_only=1))
        self.expect(COMPACTED, "Txn", txn_request([], [op_range(b"r", revision=revision - 3)]))
        self.expect(COMPACTED, "Txn", txn_request([], [op_range(b"r", revision=revision - 3), op_put(b"never", b"v")]))
        self.same("Range", range_request(b"r", revision=revision - 2))
        self.same("Range", range_request(b"never"))

    def test_a_refused_transaction_changes_nothing(self):
        # The etcd member of this class is left out: 3.5.1 may panic on, or apply, what it refuses here.
        connection = self.connections[0]
        before = connection.call(KV + "Range", range_request(b"never")).messages[0]
        for branch in (
            [op_put(b"never", b"v"), op_range(b"r", revision=1 << 40)],
            [op_range(b"r", revision=1 << 40), op_put(b"never", b"v")],
            [op_put(b"never", b"v"), op_put(b"a", b"v", lease=99)],
            [op_put(b"never", b"v"), op_txn([], [op_put(b"absent", ignore_value=1)])],
        ):
            reply = connection.call(KV + "Txn", txn_request([], branch))
            self.assertNotEqual(reply.status, OK)
        self.assertEqual(connection.call(KV + "Range", range_request(b"never")).messages[0], before)


class Comparisons(Pair):
    def test_every_comparison(self):
        """Each target with each relation, on a key that is there and on one that is not, alone and as a range."""
        self.put(b"c/1", b"m")
        self.put(b"c/2", b"m")
        self.put(b"c/2", b"n")
        for target, operands in {
            "version": [0, 1, 2],
            "create": [0, 2, 3],
            "mod": [0, 2, 4],
            "lease": [0, 1],
            "value": [b"", b"m", b"n"],
        }.items():
            for relation in (EQUAL, GREATER, LESS, NOT_EQUAL):
                for operand in operands:
                    for key, end in [
                        (b"c/2", None),
                        (b"none", None),
                        (b"c/", b"c0"),
                        (b"d/", b"d0"),
                        (b"c/2", b"\0"),
                        (b"\0", b"\0"),
                    ]:
                        with self.subTest(target=target, relation=relation, operand=operand, key=key, end=end):
                            self.same("Txn", txn_request([compare(key, target, relation, operand, end=end)]))

    def test_odd_comparisons(self):
        self.put(b"o", b"m")
        operand = {"version": 4, "create": 5, "mod": 6, "value": 7, "lease": 8}
        for target in range(7):
            for number in [*operand.values(), 9, None]:
                for relation in (EQUAL, NOT_EQUAL, 7):
                    value = b"m" if number == 7 else 1
                    message = protobuf.message({1: relation, 2: target, 3: b"o", **({number: value} if number else {})})
                    with self.subTest(target=target, operand=number, relation=relation):
                        self.both_the_same_way(txn_request([message]))

    def both_the_same_way(self, message):
        ours, theirs = self.ask("Txn", message)
        self.assertEqual(ours.status, theirs.status, f"martlet {ours}, etcd {theirs}")
        if ours.status == OK:
            self.assertEqual(*(protobuf.get(protobuf.parse(reply.messages[0]), 2) for reply in (ours, theirs)))

    def test_what_a_transaction_sees_of_itself(self):
        self.put(b"t/1", b"old")
        success = [
            op_range(b"t/", b"t0"),
            op_put(b"t/1", b"new", prev_kv=1),
            op_put(b"t/2", b"two"),
            op_range(b"t/", b"t0"),
            op_txn(
                [compare(b"t/2", "value", EQUAL, b"two")],
                [op_put(b"t/3", b"three"), op_range(b"t/", b"t0")],
                [op_put(b"t/4", b"four")],
            ),
            op_range(b"t/", b"t0", sort_target=3, sort_order=2, limit=2),
            op_delete(b"u/", b"u0", prev_kv=1),
            op_range(b"t/", b"t0", count_only=1),
            op_range(b"t/1", revision=2),
        ]
        self.same("Txn", txn_request([compare(b"t/1", "value", EQUAL, b"old")], success))
        self.same("Txn", txn_request([compare(b"t/1", "value", EQUAL, b"old")], success, [op_delete(b"t/", b"t0", 1)]))
        self.same("Range", range_request(b"t/", b"t0"))
        self.same("Txn", txn_request([], [op_txn([], [op_txn([], [op_range(b"t/1")])]), op_txn()]))

    def test_ranges(self):
        for number, value in enumerate("qwertz"):
            self.put(f"x/{number}", value)
        for options in [
            {},
            {"limit": 2},
            {"limit": 6},
            {"limit": 7},
            {"limit": -3},
            {"keys_only": 1},
            {"count_only": 1},
            {"count_only": 1, "limit": 2},
            {"keys_only": 1, "count_only": 1},
            {"serializable": 1},
            {"sort_order": 2},
            {"sort_order": 2, "limit": 2},
            {"sort_target": 4},
            {"sort_target": 4, "sort_order": 2},
            {"sort_target": 4, "limit": 3},
            {"sort_target": 2, "sort_order": 2, "limit": 3, "keys_only": 1},
            {"min_mod": 1, "max_mod": 1 << 40},
            {"min_create": 1 << 40},
            {"max_mod": 1},
            {"min_mod": -1},
        ]:
            with self.subTest(**options):
                self.same("Range", range_request(b"x/", b"x0", **options))
        revision = self.put(b"x/0", b"again")[0]
        for options in [
            {"min_mod": revision},
            {"max_mod": revision - 1},
            {"min_create": revision - 3},
            {"max_create": revision - 3, "limit": 1},
            {"min_mod": revision - 2, "limit": 1},
            {"min_mod": revision - 3, "sort_target": 3, "sort_order": 2, "limit": 2},
            {"revision": revision - 1, "max_mod": revision - 3, "count_only": 1},
        ]:
            with self.subTest(**options):
                self.same("Range", range_request(b"x/", b"x0", **options))
        for key, end in [
            (b"x/1", b"x/1"),
            (b"x/3", b"x/1"),
            (b"\0", b"\0"),
            (b"x/3", b"\0"),
            (b"x/3", b"x/3\0"),
            (b"\xff", b"\0"),
            (b"x/1\0", b"x/3"),
            (b"x", None),
        ]:
            with self.subTest(key=key, end=end):
                self.same("Range", range_request(key, end))

    def test_keys_of_any_bytes(self):
        for key in (
            b"\0",
            b"\0\0",
            b"\0\1",
            b"\0\xff",
            b"\xff",
            b"\xff\xff",
            b"a\0b",
            b"a\0",
            b"a",
            b"a\xff",
            "ü".encode(),
        ):
            self.put(key, key * 3)
        for key, end in [
            (b"\0", b"\0"),
            (b"\0", b"\1"),
            (b"\0\0", b"\0\xff"),
            (b"a", b"b"),
            (b"a\0", b"a\1"),
            (b"\xff", b"\xff\xff"),
            (b"\xff\xff", b"\0"),
        ]:
            self.same("Range", range_request(key, end))
        self.same("DeleteRange", delete_request(b"\0", b"a\0", prev_kv=1))
        self.same("Range", range_request(b"\0", b"\0"))
        self.same("DeleteRange", delete_request(b"\0", b"\0", prev_kv=1))


class WithoutQuorum(unittest.TestCase):
    """One member of three: nothing can be agreed on, so that deadlines are all that ends a call."""

    @classmethod
    def setUpClass(cls):
        # etcd opens its client port only when there is a leader: it is no model here.
        cls.member = Member(MARTLET, "alone", scratch("alone"))
        cls.member.initial_cluster += f",b=http://127.0.0.1:{free_port()},c=http://127.0.0.1:{free_port()}"
        cls.member.start(wait=False)
        cls.member.wait_for_port()

    @classmethod
    def tearDownClass(cls):
        cls.member.kill()

    def test_deadlines(self):
        with http2.Connection(self.member.client_port) as connection:
            for method, message in [
                ("Put", put_request(b"a", b"v")),
                ("DeleteRange", delete_request(b"a")),
                ("Range", range_request(b"a")),
                ("Txn", txn_request([], [op_put(b"a", b"v")])),
                ("Txn", txn_request([], [op_range(b"a")])),
                ("Compact", compaction_request(1)),
            ]:
                begin = time.monotonic()
                reply = connection.call(KV + method, message, headers=[("grpc-timeout", "300m")])
                passed = time.monotonic() - begin
                with self.subTest(method):
                    self.assertIn(
                        (reply.status, reply.text),
                        [(DEADLINE, "context deadline exceeded"), (UNAVAILABLE, "etcdserver: no leader")],
                    )
                    self.assertLess(passed, 1.5)

    def test_serializable_reads_go_on(self):
        with http2.Connection(self.member.client_port) as connection:
            for method, message in [
                ("Range", range_request(b"a", serializable=1)),
                ("Txn", txn_request([], [op_range(b"a", serializable=1)])),
            ]:
                self.assertEqual(connection.call(KV + method, message).status, OK)

    def test_health_says_so(self):
        status, body = self.member.http("/health")
        self.assertEqual(status, 503, body)
        self.assertIn('"health":"false"', body)

    def test_everything_ends(self):
        """Without a deadline of the client's own too: after the server's, seven seconds."""
        with http2.Connection(self.member.client_port, timeout=12) as connection:
            streams = []
            for method, message in [("Put", put_request(b"a", b"v")), ("Range", range_request(b"a"))]:
                streams.append(connection.open(KV + method))
                connection.send(streams[-1], http2.grpc_frame(message), end=True)
            for stream in streams:
                self.assertEqual(connection.wait(stream, 12).status, UNAVAILABLE)


class Limits(Pair):
    flags = [f"--max-request-bytes={MAX_REQUEST_BYTES}", "--max-txn-ops=4"]

    def test_requests_at_the_limit(self):
        # What etcd measures is its own log entry, which is some bytes longer than the request.
        self.put(b"k", b"v" * (MAX_REQUEST_BYTES - 100))
        self.expect(TOO_LARGE, "Put", put_request(b"k", b"v" * MAX_REQUEST_BYTES))
        self.expect(TOO_LARGE, "Put", put_request(b"k" * MAX_REQUEST_BYTES, b"v"))
        self.expect(TOO_LARGE, "DeleteRange", delete_request(b"k" * MAX_REQUEST_BYTES))
        self.expect(TOO_LARGE, "Txn", txn_request([], [op_put(b"k", b"v" * MAX_REQUEST_BYTES)]))
        # Reads are not written anywhere.
        self.same("Range", range_request(b"k" * MAX_REQUEST_BYTES))
        self.same("Txn", txn_request([], [op_range(b"k" * MAX_REQUEST_BYTES)]))

    def test_messages_above_grpcs_limit(self):
        for size in (600_000, 5_000_000):
            message = put_request(b"k", b"v" * size)
            text = f"grpc: received message larger than max ({len(message)} vs. {MAX_REQUEST_BYTES + OVERHEAD_BYTES})"
            self.expect((EXHAUSTED, text), "Put", message)
            self.expect((EXHAUSTED, text), "Range", message)

    def test_operations(self):
        gets = [op_range(b"k")] * 5
        self.same("Txn", txn_request([], gets[:4]))
        self.expect(TOO_MANY, "Txn", txn_request([], gets))
        self.expect(TOO_MANY, "Txn", txn_request([], [op_txn([], gets[:2])] * 3))

    def test_a_compressed_message_is_measured_unpacked(self):
        packed = gzip.compress(b"\0" * 100_000_000)
        self.assertLess(len(packed), OVERHEAD_BYTES)
        before = self.martlet.resident_bytes()
        reply = self.connections[0].call(KV + "Put", packed, headers=[("grpc-encoding", "gzip")], compressed=True)
        self.assertEqual(reply.status, EXHAUSTED, reply)
        self.assertLess(self.martlet.peak_bytes() - before, 64 << 20)


class Protocol(Pair):
    def test_defaults_of_the_limits(self):
        self.put(b"k", b"v" * 1_572_000)
        self.expect(TOO_LARGE, "Put", put_request(b"k", b"v" * 1_572_864))
        message = put_request(b"k", b"v" * 2_097_152)
        self.expect((EXHAUSTED, f"grpc: received message larger than max ({len(message)} vs. 2097152)"), "Put", message)

    def test_unknown_methods(self):
        self.expect((UNIMPLEMENTED, "unknown method Nothing for service etcdserverpb.KV"), "Nothing", b"")
        for path, text in [
            ("/no.Service/Method", "unknown service no.Service"),
            ("/etcdserverpb.KV", None),
            ("/noslash", 'malformed method name: "/noslash"'),
            ("//", None),
        ]:
            reply = self.connections[0].call(path, b"")
            with self.subTest(path):
                self.assertEqual(reply.status, UNIMPLEMENTED, reply)
                if text:
                    self.assertEqual(reply.text, text)

    def test_messages_that_are_no_protobuf(self):
        for message in (
            b"\xff",
            b"\x0a\xff",
            b"\x0a\x05abc",
            b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x0b",
            b"\x07",
            b"\x00",
            b"\x0a\x80\x80\x80\x80\x08a",
            b"\x18" + b"\xff" * 12,
        ):
            for method in ("Range", "Put", "DeleteRange", "Txn", "Compact"):
                with self.subTest(method, message=message):
                    ours, theirs = self.ask(method, message)
                    self.assertEqual(ours.status, theirs.status, f"martlet {ours}, etcd {theirs}")
                    if theirs.status == INTERNAL:
                        self.assertIn("error unmarshalling request", theirs.text)
                        self.assertIn("error unmarshalling request", ours.text)

    def test_fields_that_are_not_known_are_passed_over(self):
        unknown = (
            protobuf.field(1000, b"x")
            + protobuf.field(1001, 5)
            + protobuf.varint(1002 << 3 | 5)
            + b"abcd"
            + protobuf.varint(1003 << 3 | 1)
            + b"abcdefgh"
        )
        self.same("Put", unknown + put_request(b"u", b"v") + unknown)
        self.same("Range", unknown + range_request(b"u") + unknown)
        self.same(
            "Txn", txn_request([unknown + compare(b"u", "version", EQUAL, 1)], [unknown + op_range(b"u")]) + unknown
        )

    def test_the_last_of_a_repeated_field_counts(self):
        self.same("Put", put_request(b"first", b"1") + put_request(b"last", b"2"))
        self.same("Range", range_request(b"\0", b"\0"))
        self.same("Txn", txn_request([], [op_put(b"l", b"1") + op_range(b"last")]))

    def test_health(self):
        for service, expected in [("", (OK, "")), ("none", (NOT_FOUND, "unknown service"))]:
            for member, connection in zip(self.members, self.connections):
                reply = connection.call("/grpc.health.v1.Health/Check", protobuf.message({1: service or None}))
                self.assertEqual((reply.status, reply.text), expected, member.name)
                if reply.status == OK:
                    self.assertEqual(protobuf.parse(reply.messages[0]), {1: [1]}, member.name)

    def test_compressed_requests(self):
        message = put_request(b"zipped", b"v" * 5000)
        headers = [("grpc-encoding", "gzip"), ("grpc-accept-encoding", "gzip,identity")]
        reply = self.connections[0].call(KV + "Put", gzip.compress(message), headers=headers, compressed=True)
        self.assertEqual(reply.status, OK, reply)
        found = self.connections[0].call(KV + "Range", range_request(b"zipped"), headers=headers)
        self.assertEqual(found.status, OK)
        # An encoding may be named and not be used.
        self.assertEqual(self.connections[0].call(KV + "Put", message, headers=headers).status, OK)
        for payload in (
            b"",
            b"\x1f\x8b",
            gzip.compress(message)[:-9],
            gzip.compress(message)[:-4] + b"\0\0\0\0",
            b"no gzip at all" * 10,
            gzip.compress(message) + b"more",
        ):
            reply = self.connections[0].call(KV + "Put", payload, headers=headers, compressed=True)
            self.assertNotEqual(reply.status, OK, f"{payload[:20]}: {reply}")
            self.assertIsNotNone(reply.status, f"{payload[:20]}: {reply}")

    def test_encodings_that_are_not_known(self):
        for headers in ([("grpc-encoding", "snappy")], []):
            replies = [
                connection.call(KV + "Put", b"xx", headers=headers, compressed=True) for connection in self.connections
            ]
            self.assertEqual(replies[0].status, replies[1].status, replies)

    def test_deadlines(self):
        # A deadline that is over at once ends the call or comes too late for it: both are right.
        for timeout in ("1n", "0n", "1u"):
            for method, message in [("Put", put_request(b"late", b"v")), ("Range", range_request(b"late"))]:
                with self.subTest(method, timeout=timeout):
                    reply = self.connections[0].call(KV + method, message, headers=[("grpc-timeout", timeout)])
                    self.assertIn((reply.status, reply.text), [(OK, ""), (DEADLINE, "context deadline exceeded")])
        for timeout in ("5S", "1M", "99999999H", "1H"):
            for reply in self.ask("Range", range_request(b"k"), headers=[("grpc-timeout", timeout)]):
                self.assertEqual(reply.status, OK, timeout)

    def test_deadlines_that_are_malformed(self):
        for timeout in ("", "S", "5", "5x", "-1S", "123456789S", "1.5S"):
            with self.subTest(timeout):
                reply = self.connections[0].call(KV + "Range", range_request(b"k"), headers=[("grpc-timeout", timeout)])
                self.assertEqual(reply.status, INTERNAL, reply)

    def test_calls_that_are_no_single_message(self):
        put = http2.grpc_frame(put_request(b"n", b"v"))
        for name, payload in [
            ("none", b""),
            ("two", put + put),
            ("cut in the prefix", put[:3]),
            ("cut", put[:-1]),
            ("lies", http2.grpc_frame(b"abc", length=1 << 30)),
            ("flag", b"\x07" + put[1:]),
            ("huge", struct.pack(">BI", 0, 0xFFFFFFFF)),
        ]:
            statuses = []
            for connection in self.connections:
                stream = connection.open(KV + "Put")
                connection.send(stream, payload, end=True)
                statuses.append(connection.wait(stream, 5))
            with self.subTest(name):
                self.assertFalse(statuses[0].closed, statuses)
                if name == "two":
                    self.assertEqual(statuses[0].status is not None, statuses[1].status is not None, statuses)
                else:
                    self.assertNotEqual(statuses[0].status, OK, statuses)

    def test_requests_that_are_not_grpc(self):
        for kind in ("text/plain", "application/json", "application/grpc-web"):
            replies = []
            for connection in self.connections:
                stream, connection.next_stream = connection.next_stream, connection.next_stream + 2
                connection.replies[stream] = http2.Reply()
                fields = [
                    (":method", "POST"),
                    (":scheme", "http"),
                    (":path", KV + "Put"),
                    (":authority", "t"),
                    ("content-type", kind),
                ]
                connection.write(
                    http2.frame(
                        http2.HEADERS, http2.END_HEADERS | http2.END_STREAM, stream, http2.encode_headers(fields)
                    )
                )
                replies.append(connection.wait(stream, 5))
            with self.subTest(kind):
                self.assertNotEqual(replies[0].headers.get(":status"), "200", replies)

    def test_an_authority_of_any_form(self):
        """etcd's clients of 3.4 send a whole URL when they talk to one endpoint, those of 3.5.0 a resolver's target."""
        for authority in (
            "127.0.0.1:2379",
            "[::1]:2379",
            "http://127.0.0.1:2379",
            "#initially=[127.0.0.1:2379]",
            "#initially=[http://127.0.0.1:2379;http://127.0.0.1:2380]",
            "unix:/var/run/etcd",
        ):
            replies = []
            for connection in self.connections:
                stream, connection.next_stream = connection.next_stream, connection.next_stream + 2
                connection.replies[stream] = http2.Reply()
                connection.stream_windows[stream] = connection.peer_initial_window
                fields = [
                    (":method", "POST"),
                    (":scheme", "http"),
                    (":path", KV + "Range"),
                    (":authority", authority),
                    ("content-type", "application/grpc"),
                    ("te", "trailers"),
                ]
                connection.write(http2.frame(http2.HEADERS, http2.END_HEADERS, stream, http2.encode_headers(fields)))
                connection.send(stream, http2.grpc_frame(range_request(b"k")), end=True)
                replies.append(connection.wait(stream, 5))
            with self.subTest(authority):
                self.assertEqual([reply.status for reply in replies], [OK, OK], replies)

    def test_many_calls_on_one_connection(self):
        connection = self.connections[0]
        streams = []
        for number in range(1000):
            stream = connection.open(KV + "Put")
            connection.send(stream, http2.grpc_frame(put_request(f"many/{number}", b"v" * 100)), end=True)
            streams.append(stream)
        self.assertEqual({connection.wait(stream).status for stream in streams}, {OK})
        reply = connection.call(KV + "Range", range_request(b"many/", b"many0", count_only=1))
        self.assertEqual(protobuf.get(protobuf.parse(reply.messages[0]), 4), 1000)

    def test_calls_that_are_given_up(self):
        connection = self.connections[0]
        for number in range(300):
            stream = connection.open(KV + "Put")
            connection.send(stream, http2.grpc_frame(put_request(b"given up", str(number))), end=True)
            connection.write(http2.frame(http2.RST_STREAM, 0, stream, struct.pack(">I", 8)))
        self.assertEqual(connection.call(KV + "Put", put_request(b"after", b"v")).status, OK)

    def test_a_large_answer(self):
        for number in range(40):
            self.put(f"large/{number:02}", b"x" * 250_000)
        self.assertEqual(len(self.same("Range", range_request(b"large/", b"large0"))[1][2]), 40)

    def test_a_client_that_reads_slowly(self):
        """With a window of 65,535 bytes and no updates the answer stops, and other calls go on beside it."""
        for number in range(8):
            self.put(f"slow/{number}", b"x" * 250_000)
        with http2.Connection(self.martlet.client_port, handshake=False) as slow:
            slow.write(http2.PREFACE + http2.frame(http2.SETTINGS))
            stream = slow.open(KV + "Range")
            slow.send(stream, http2.grpc_frame(range_request(b"slow/", b"slow0")), end=True)
            while len(slow.replies[stream].data) < 65_535:
                slow.read_frame()
            for _ in range(20):
                self.assertEqual(self.connections[0].call(KV + "Put", put_request(b"beside", b"v")).status, OK)
            more = struct.pack(">I", 1 << 30)
            slow.write(http2.frame(http2.WINDOW_UPDATE, 0, 0, more) + http2.frame(http2.WINDOW_UPDATE, 0, stream, more))
            self.assertEqual(slow.wait(stream).status, OK)

    def test_pings(self):
        connection = self.connections[0]
        connection.write(http2.frame(http2.PING, 0, 0, b"12345678"))
        while not connection.pongs:
            self.assertIsNotNone(connection.read_frame())
        self.assertEqual(connection.pongs, [b"12345678"])

    def test_http_1_beside_it(self):
        self.assertEqual(self.martlet.http("/health")[0], 200)
        status, body = self.martlet.http("/version")
        self.assertEqual(status, 200)
        self.assertIn("etcdserver", body)
        self.assertEqual(self.martlet.http("/nothing")[0], 404)


if __name__ == "__main__":
    unittest.main()
