"""Bytes of every kind on a member's peer port, from strangers and from one that it takes for another member."""

import random
import socket
import struct
import time
import unittest

from support import http2, protobuf
from support.live import GROWTH_BYTES, KV, SEED, LiveMember
from support.peer import peer_frame, peer_hello
from support.processes import MARTLET, Cluster, member_id
from support.protobuf import put_request, range_request


class Strangers(LiveMember):
    def test_random_bytes(self):
        port = self.member.peer_port
        self.throw((self.random.randbytes(self.random.randrange(1, 200)) for _ in range(4000)), port)
        self.throw((b"MRTL" + self.random.randbytes(self.random.randrange(1, 200)) for _ in range(4000)), port)
        self.throw(
            [http2.PREFACE + http2.frame(http2.SETTINGS), b"GET / HTTP/1.1\r\n\r\n", b"", b"M", b"MRT", b"MRTX"] * 20,
            port,
        )

    def test_frames(self):
        port = self.member.peer_port
        own, cluster = self.ids()
        right = peer_hello(cluster=cluster, own=99, other=own)
        hellos = [
            right,
            peer_hello(),
            peer_hello(cluster=cluster, own=own, other=own),
            peer_hello(lowest=9, highest=9),
            peer_hello(cluster=cluster, other=own, purpose=2),
            peer_hello(cluster=cluster, other=own, purpose=77),
            peer_hello(kind=0x10),
            peer_hello(kind=0xFF),
            right + b"more bytes at its end",
            b"",
            b"\x01",
        ]

        def inputs():
            for hello in hellos:
                yield b"MRTL" + peer_frame(hello)
                yield b"MRTL" + peer_frame(hello, checksum=1)
                yield b"MRTL" + peer_frame(hello, length=1 << 31)
                yield b"MRTL" + peer_frame(hello, length=0)
                yield b"MRTL" + peer_frame(hello) + peer_frame(b"\x10" + self.random.randbytes(100))
                yield b"MRTL" + peer_frame(hello) * 50
            whole = b"MRTL" + peer_frame(right)
            for length in range(len(whole)):
                yield whole[:length]
            for _ in range(4000):
                data = bytearray(right)
                data[self.random.randrange(len(data))] ^= 1 << self.random.randrange(8)
                yield b"MRTL" + peer_frame(bytes(data)) + peer_frame(
                    bytes([self.random.choice([0x10, 0x11, 0x12, 0x20, 0x22, 0x24])]) + self.random.randbytes(60)
                )

        self.throw(inputs(), port, wait=0.005)

    def test_strangers_are_refused(self):
        """With a reason, within a second, and with nothing else said."""
        own, cluster = self.ids()
        for name, hello, code in [
            ("another cluster", peer_hello(cluster=cluster ^ 1, own=99, other=own), 1),
            ("another member meant", peer_hello(cluster=cluster, own=99, other=own ^ 1), 2),
            ("a stranger", peer_hello(cluster=cluster, own=99, other=own), 3),
            ("a later version", peer_hello(lowest=200, highest=201, cluster=cluster, own=99, other=own), 4),
        ]:
            with self.subTest(name), self.connect(self.member.peer_port) as connection:
                connection.settimeout(3)
                connection.sendall(b"MRTL" + peer_frame(hello))
                received = b""
                while more := connection.recv(4096):
                    received += more
                self.assertEqual(received[:4], b"MRTL")
                self.assertEqual(received[12], 3, received)
                self.assertEqual(received[13], code, received)

    def test_silence(self):
        """A connection that says nothing is closed after the time that a handshake has; many of them cost little."""
        silent = [self.connect(self.member.peer_port) for _ in range(300)]
        silent[0].settimeout(8)
        try:
            self.assertEqual(silent[0].recv(100)[4:], b"")
        except ConnectionResetError:
            pass
        for connection in silent:
            connection.close()

    def ids(self):
        with http2.Connection(self.member.client_port) as connection:
            reply = connection.call(KV + "Range", range_request(b"a"))
            header = protobuf.parse(protobuf.parse(reply.messages[0])[1][0])
            return protobuf.get(header, 2), protobuf.get(header, 1)


class Impersonation(unittest.TestCase):
    """Two members of three live, and we speak for the third."""

    def setUp(self):
        self.random = random.Random(f"{SEED} {self.id()}")

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(MARTLET, "known-peer")
        cls.members = cls.cluster.members[:2]
        for member in cls.members:
            member.start(wait=False)
        for member in cls.members:
            member.wait_ready()
        with http2.Connection(cls.members[0].client_port) as connection:
            header = protobuf.parse(
                protobuf.parse(connection.call(KV + "Range", range_request(b"a")).messages[0])[1][0]
            )
        cls.cluster_id = protobuf.get(header, 1)
        cls.ids = [member_id(member) for member in cls.cluster.members]
        assert cls.ids[0] == protobuf.get(header, 2)

    @classmethod
    def tearDownClass(cls):
        cls.cluster.kill()

    def connected(self, purpose=1):
        """A connection to the first member, taken for the third's."""
        for _ in range(100):
            connection = socket.create_connection(("127.0.0.1", self.members[0].peer_port), timeout=5)
            connection.sendall(
                b"MRTL"
                + peer_frame(peer_hello(cluster=self.cluster_id, own=self.ids[2], other=self.ids[0], purpose=purpose))
            )
            answer = b""
            while len(answer) < 13:
                answer += connection.recv(1000)
            if answer[12] == 2:
                return connection
            # One snapshot at a time: the one before may not be done with yet.
            connection.close()
            time.sleep(0.02)
        self.fail(f"not welcome: {answer}")

    def tell(self, body, purpose=1, wait=0.05):
        with self.connected(purpose) as connection:
            try:
                connection.sendall(body)
                connection.settimeout(wait)
                connection.recv(1000)
            except OSError:
                pass

    def header(self, tag, sender=None, receiver=None):
        return struct.pack(
            "<BQQ", tag, self.ids[2] if sender is None else sender, self.ids[0] if receiver is None else receiver
        )


class KnownPeer(Impersonation):
    """What a member is told on the peer port by one that it knows."""

    def setUp(self):
        super().setUp()
        self.before = [member.resident_bytes() for member in self.members]

    def tearDown(self):
        for member, before in zip(self.members, self.before):
            self.assertTrue(member.is_running, f"{member.name} has ended: {member.log()[-1500:]}")
            self.assertLess(member.resident_bytes() - before, GROWTH_BYTES)
        for member in self.members:
            with http2.Connection(member.client_port) as connection:
                self.assertEqual(connection.call(KV + "Put", put_request(b"after", b"v")).status, 0)

    def test_random_frames(self):
        for _ in range(60):
            self.tell(
                b"".join(
                    peer_frame(
                        bytes([self.random.choice([0x10, 0x11, 0x12, 0x20, 0x22, 0x24, 0x99])])
                        + self.random.randbytes(self.random.randrange(80))
                    )
                    for _ in range(5)
                )
            )

    def test_messages_that_end_early(self):
        for tag in range(0x14):
            for length in range(0, 12):
                # Terms of nought: nothing that would be news.
                self.tell(peer_frame(b"\x10" + self.header(tag) + b"\0" * length))

    def test_messages_in_the_name_of_others(self):
        for sender, receiver in [
            (self.ids[0], None),
            (self.ids[1], None),
            (0, None),
            (99, None),
            (None, self.ids[1]),
            (None, 0),
        ]:
            self.tell(peer_frame(b"\x10" + self.header(5, sender, receiver) + b"\1\1"))

    def test_counts_that_lie(self):
        for count in (1 << 20, 1 << 32, (1 << 63) - 1):
            self.tell(peer_frame(b"\x10" + self.header(1) + b"\0\0\0\0" + protobuf.varint(count) + b"\x80\1" * 50))
            self.tell(peer_frame(b"\x10" + self.header(0x0B) + b"\0" + protobuf.varint(count) + b"\0" * 50))
            self.tell(peer_frame(b"\x10" + self.header(0x0B) + b"\0\1\0" + protobuf.varint(count) + b"x" * 50))

    def test_frames_of_false_length(self):
        for length in (0, 1, 1 << 26, (1 << 26) + 1, 0xFFFFFFFF):
            self.tell(peer_frame(b"\x11" + b"\0" * 8, length=length) + b"x" * 1000)
        # Long frames that never come whole, many at a time.
        waiting = [self.connected() for _ in range(20)]
        for connection in waiting:
            try:
                connection.sendall(peer_frame(b"", length=1 << 26) + b"x" * 100_000)
            except OSError:
                pass  # a later connection of the same member has taken its place
        self.tearDown()
        for connection in waiting:
            connection.close()

    def test_snapshots_that_nobody_wants(self):
        begin = self.header(0x0A) + b"\0" + b"\x05\x01" + b"\0" + b"\0\0\0\0"
        for body in (
            b"\x20" + begin,
            b"\x20" + self.random.randbytes(60),
            b"\x22" + b"\0" * 100,
            b"\x24" + b"\0" * 20,
            b"\x20",
        ):
            self.tell(peer_frame(body) + peer_frame(b"\x22" + b"\0" * 8 + self.random.randbytes(1000)) * 20, purpose=2)


class PoisonedLog(Impersonation):
    """A proposal that another member forwards and that is no command: the leader must not put it into the log, since
    all members stop at it when they apply it, and again whenever they are started."""

    def test_proposals_that_are_no_command(self):
        payloads = [b"", b"abc"] + [self.random.randbytes(length) for length in range(1, 80)]
        # A name that no member would give, each of the rooms that a command may be for, and what is none.
        for room in range(5):
            payloads += [bytes(16) + bytes([room]) + body for body in (b"", b"\1", b"\1\1", b"\1\x63abc", b"\xff" * 30)]
        for kind in (0, 1, 2):
            for payload in payloads:
                # To the one we can speak to; it passes them on if it does not lead.
                proposal = bytes([kind]) + protobuf.varint(len(payload)) + payload
                self.tell(peer_frame(b"\x10" + self.header(0x0B) + b"\2\1" + proposal), wait=0.005)
                if not all(member.is_running for member in self.members):
                    self.fail(f"{proposal!r}: {[member.last_log() for member in self.members]}")
        for member in self.members:
            with http2.Connection(member.client_port) as connection:
                self.assertEqual(connection.call(KV + "Put", put_request(b"after", b"v")).status, 0)


if __name__ == "__main__":
    unittest.main()
