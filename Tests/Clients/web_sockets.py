"""The gateway's streams over WebSockets (W8, RFC 6455): the same to a martlet member and to an etcd 3.5.1 member."""

import base64
import hashlib
import json
import os
import socket
import struct
import time
import unittest

from support.pairs import Client
from support.processes import ETCD, MARTLET, Member, scratch

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def b64(text):
    return base64.b64encode(text.encode()).decode()


class Refused(Exception):
    pass


class WebSocket:
    """The client's side, as much as the tests need."""

    def __init__(self, member, path, key=None, version="13", extra=()):
        self.socket = socket.create_connection(("127.0.0.1", member.client_port), timeout=10)
        self.buffer = b""
        key = key if key is not None else base64.b64encode(os.urandom(16)).decode()
        head = [
            f"GET {path} HTTP/1.1",
            f"Host: {member.endpoint}",
            "Connection: keep-alive, Upgrade",
            "Upgrade: websocket",
            f"Sec-WebSocket-Key: {key}",
            f"Sec-WebSocket-Version: {version}",
            *extra,
        ]
        self.socket.sendall("\r\n".join([*head, "", ""]).encode())
        while b"\r\n\r\n" not in self.buffer:
            more = self.socket.recv(4096)
            if not more:
                raise Refused("closed")
            self.buffer += more
        answer, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        lines = answer.decode().split("\r\n")
        self.status = int(lines[0].split()[1])
        self.fields = {line.split(":", 1)[0].lower(): line.split(":", 1)[1].strip() for line in lines[1:]}
        if self.status != 101:
            raise Refused(self.status)
        expected = base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()
        assert self.fields["sec-websocket-accept"] == expected, self.fields

    def close(self):
        self.socket.close()

    def send_frame(self, opcode, payload, fin=True, masked=True):
        head = bytes([opcode | (0x80 if fin else 0)])
        mark = 0x80 if masked else 0
        if len(payload) < 126:
            head += bytes([mark | len(payload)])
        elif len(payload) < 1 << 16:
            head += bytes([mark | 126]) + struct.pack(">H", len(payload))
        else:
            head += bytes([mark | 127]) + struct.pack(">Q", len(payload))
        if masked:
            mask = os.urandom(4)
            head += mask
            payload = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
        self.socket.sendall(head + payload)

    def send(self, document):
        self.send_frame(TEXT, json.dumps(document).encode())

    def _read(self, count):
        while len(self.buffer) < count:
            more = self.socket.recv(1 << 16)
            if not more:
                raise EOFError
            self.buffer += more
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def frame(self):
        first, second = self._read(2)
        length = second & 0x7F
        if length == 126:
            length = struct.unpack(">H", self._read(2))[0]
        elif length == 127:
            length = struct.unpack(">Q", self._read(8))[0]
        return first & 0x0F, self._read(length)

    def receive(self):
        """The next message as JSON."""
        while True:
            opcode, payload = self.frame()
            if opcode == TEXT:
                return json.loads(payload)
            if opcode == CLOSE:
                raise EOFError(struct.unpack(">H", payload[:2])[0] if payload else None)

    def closing_code(self):
        """What the server says at the end; None where it says nothing."""
        try:
            while True:
                self.receive()
        except EOFError as end:
            return end.args[0] if end.args else None
        except ConnectionResetError:
            return None


def events(answer):
    return [
        (event.get("type", "PUT"), event["kv"]["key"], event["kv"].get("value"))
        for event in answer["result"].get("events", [])
    ]


class Both(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.members = [Member(MARTLET, "martlet", scratch("ws")), Member(ETCD, "etcd", scratch("ws-etcd"))]
        for member in cls.members:
            member.start()

    @classmethod
    def tearDownClass(cls):
        for member in cls.members:
            member.kill()

    def agree(self, ask):
        ours, theirs = (ask(member) for member in self.members)
        self.assertEqual(ours, theirs)
        return ours

    def test_a_watch(self):
        def ask(member):
            client = Client(member)
            web_socket = WebSocket(member, "/v3/watch")
            web_socket.send({"create_request": {"key": b64("ws/"), "range_end": b64("ws0")}})
            seen = [web_socket.receive()["result"].get("created")]
            for number in range(3):
                client.put(b"ws/%d" % number, b"value")
                seen.append(events(web_socket.receive()))
            web_socket.send({"create_request": {"key": b64("ws/1"), "start_revision": "1", "watch_id": 7}})
            answer = web_socket.receive()["result"]
            seen.append((answer.get("created"), answer.get("watch_id")))
            seen.append(events(web_socket.receive()))
            web_socket.send({"cancel_request": {"watch_id": 7}})
            answer = web_socket.receive()["result"]
            seen.append((answer.get("canceled"), answer.get("watch_id")))
            web_socket.close()
            return seen

        self.agree(ask)

    def test_keep_alives(self):
        def ask(member):
            Client(member).grant(60, 5)
            web_socket = WebSocket(member, "/v3/lease/keepalive")
            seen = []
            for lease in (5, 6, 5):
                web_socket.send({"ID": lease})
                answer = web_socket.receive()["result"]
                seen.append((answer["ID"], answer.get("TTL")))
            web_socket.close()
            return seen

        self.agree(ask)

    def test_fragments_and_pings(self):
        def ask(member):
            web_socket = WebSocket(member, "/v3/watch")
            text = json.dumps({"create_request": {"key": b64("f")}}).encode()
            web_socket.send_frame(TEXT, text[:5], fin=False)
            web_socket.send_frame(PING, b"are you there")
            web_socket.send_frame(0, text[5:20], fin=False)
            web_socket.send_frame(0, text[20:])
            pong = created = None
            while pong is None or created is None:
                opcode, payload = web_socket.frame()
                if opcode == PONG:
                    pong = payload
                else:
                    created = json.loads(payload)["result"]["created"]
            web_socket.close()
            return pong, created

        self.assertEqual(self.agree(ask), (b"are you there", True))

    def test_a_request_that_is_none(self):
        def ask(member):
            web_socket = WebSocket(member, "/v3/watch")
            web_socket.send_frame(TEXT, b"{nonsense}")
            try:
                return "error" in web_socket.receive()
            except EOFError:
                return "closed"

        self.assertTrue(ask(self.members[0]))

    def test_a_handshake_that_is_none(self):
        for options in ({"version": "12"}, {"key": ""}):
            with self.subTest(options):

                def ask(member):
                    try:
                        WebSocket(member, "/v3/watch", **options)
                    except Refused as refusal:
                        return refusal.args[0]

                self.assertEqual(self.agree(ask), 400)


class Alone(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.member = Member(MARTLET, "alone", scratch("ws-alone")).start()

    @classmethod
    def tearDownClass(cls):
        cls.member.kill()

    def test_paths_that_are_no_streams(self):
        for path, status in (("/v3/kv/range", 501), ("/nothing", 404), ("/health", 200)):
            with self.assertRaises(Refused) as refusal:
                WebSocket(self.member, path)
            self.assertEqual(refusal.exception.args, (status,), path)

    def test_broken_frames_end_it(self):
        for frames, code in [
            ([dict(opcode=TEXT, payload=b"{}", masked=False)], 1002),
            ([dict(opcode=0, payload=b"{}")], 1002),
            ([dict(opcode=TEXT, payload=b"{", fin=False), dict(opcode=TEXT, payload=b"}")], 1002),
            ([dict(opcode=TEXT, payload=b" " * 3_000_000, fin=False)] * 2, 1009),
            ([dict(opcode=CLOSE, payload=struct.pack(">H", 1000))], 1000),
        ]:
            with self.subTest(code=code, frames=len(frames)):
                web_socket = WebSocket(self.member, "/v3/watch")
                try:
                    for frame in frames:
                        web_socket.send_frame(**frame)
                except (BrokenPipeError, ConnectionResetError):
                    pass
                self.assertIn(web_socket.closing_code(), (code, None) if code == 1009 else (code,))
        self.assertTrue(self.member.is_healthy())

    def test_a_client_that_does_not_read_holds_nobody_up(self):
        client = Client(self.member)
        deaf = WebSocket(self.member, "/v3/watch")
        deaf.send({"create_request": {"key": b64("big")}})
        reader = WebSocket(self.member, "/v3/watch")
        reader.send({"create_request": {"key": b64("big")}})
        self.assertTrue(reader.receive()["result"]["created"])
        value = b"x" * 1_000_000
        before = self.member.resident_bytes()
        for _ in range(60):
            self.assertEqual(client.put(b"big", value)[0], 0)
            self.assertEqual(len(reader.receive()["result"]["events"]), 1)
        self.assertLess(self.member.resident_bytes() - before, 400 << 20)
        # What the deaf one missed meanwhile it gets when it reads.
        self.assertTrue(deaf.receive()["result"]["created"])
        count = 0
        while count < 60:
            count += len(deaf.receive()["result"]["events"])
        self.assertEqual(count, 60)

    def test_it_ends_with_the_member(self):
        member = Member(MARTLET, "ending", scratch("ws-ending")).start()
        web_socket = WebSocket(member, "/v3/watch")
        web_socket.send({"create_request": {"key": b64("a")}})
        self.assertTrue(web_socket.receive()["result"]["created"])
        begin = time.monotonic()
        member.process.terminate()
        self.assertIn("error", web_socket.receive())
        self.assertEqual(web_socket.closing_code(), 1000)
        self.assertEqual(member.process.wait(10), 0)
        self.assertLess(time.monotonic() - begin, 5)


if __name__ == "__main__":
    unittest.main()
