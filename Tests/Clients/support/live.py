"""A member at which bytes are thrown."""

import os
import random
import socket
import struct
import time
import unittest

from support import http2, protobuf
from support.processes import MARTLET, Member, scratch
from support.protobuf import put_request, range_request

KV = "/etcdserverpb.KV/"
SEED = int(os.environ.get("SEED", "1"))

# What a member may grow by while it is being mistreated.
GROWTH_BYTES = 48 << 20


class LiveMember(unittest.TestCase):
    """A member that lives, at which bytes are thrown; after each test it has to be as well as before."""

    @classmethod
    def setUpClass(cls):
        cls.member = Member(MARTLET, "live", scratch("live")).start()
        cls.pid = cls.member.process.pid
        with http2.Connection(cls.member.client_port) as connection:
            for number in range(50):
                connection.call(KV + "Put", put_request(f"kept/{number}", b"v" * 1000))
        cls.resident = cls.member.resident_bytes()

    @classmethod
    def tearDownClass(cls):
        cls.member.kill()

    def setUp(self):
        self.random = random.Random(f"{SEED} {self.id()}")

    def tearDown(self):
        self.assertTrue(self.member.is_running, f"the member has ended: {self.member.last_log()}")
        self.assertEqual(self.member.process.pid, self.pid)
        with http2.Connection(self.member.client_port) as connection:
            mark = str(self.random.random()).encode()
            self.assertEqual(connection.call(KV + "Put", put_request(b"mark", mark)).status, 0)
            answer = protobuf.parse(connection.call(KV + "Range", range_request(b"mark")).messages[0])
            self.assertEqual(protobuf.get(protobuf.parse(answer[2][0]), 5), mark)
            answer = protobuf.parse(
                connection.call(KV + "Range", range_request(b"kept/", b"kept0", count_only=1)).messages[0]
            )
            self.assertEqual(protobuf.get(answer, 4), 50)
        growth = self.member.resident_bytes() - self.resident
        self.assertLess(growth, GROWTH_BYTES, "the member grew")

    def throw(self, inputs, port=None, seconds=15, wait=0.0):
        """Each input on a connection of its own, in waves, for a limited time."""
        end = time.monotonic() + seconds
        open_sockets = []
        for data in inputs:
            if time.monotonic() > end:
                break
            connection = self.connect(port)
            try:
                connection.sendall(data)
            except OSError:
                pass  # refused in the middle of it: as it should be
            open_sockets.append(connection)
            if len(open_sockets) == 100:
                self.hang_up(open_sockets, wait)
        self.hang_up(open_sockets, wait)

    def hang_up(self, sockets, wait):
        time.sleep(wait)
        for number, connection in enumerate(sockets):
            if number % 3 == 0:
                # Reset, not closed.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif number % 3 == 1:
                try:
                    connection.shutdown(socket.SHUT_WR)
                    connection.settimeout(0.001)
                    connection.recv(1 << 16)
                except OSError:
                    pass
            connection.close()
        sockets.clear()

    def connect(self, port=None):
        return socket.create_connection(("127.0.0.1", port or self.member.client_port), timeout=5)
