"""Bytes of every kind on a member's client port: cut, flipped, random, too many, and what lies about its length."""

import socket
import struct
import unittest
import zlib

from support import http2, protobuf
from support.http2 import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    encode_headers,
    frame,
    grpc_frame,
)
from support.live import GROWTH_BYTES, KV, LiveMember
from support.protobuf import compare, op_put, put_request, range_request, txn_request


def request_headers(path=KV + "Put", drop=(), **replacing):
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "t",
        "content-type": "application/grpc",
        "te": "trailers",
        **replacing,
    }
    return [(name, value) for name, value in fields.items() if name not in drop]


def headers_frame(fields=None, stream=1, flags=END_HEADERS):
    return frame(HEADERS, flags, stream, encode_headers(fields or request_headers()))


OPENING = PREFACE + frame(SETTINGS)
CALL = OPENING + headers_frame() + frame(DATA, END_STREAM, 1, grpc_frame(put_request(b"bad/whole", b"v")))


class ClientPort(LiveMember):
    def test_random_bytes(self):
        self.throw(self.random.randbytes(self.random.randrange(1, 200)) for _ in range(4000))
        self.throw(self.random.randbytes(100_000) for _ in range(30))

    def test_random_bytes_after_a_right_beginning(self):
        self.throw((OPENING + self.random.randbytes(self.random.randrange(1, 300)) for _ in range(4000)), wait=0.005)
        self.throw((OPENING + headers_frame() + self.random.randbytes(100) for _ in range(500)), wait=0.005)

    def test_a_call_cut_at_every_byte(self):
        self.throw(CALL[:length] for length in range(len(CALL)))

    def test_a_call_with_flipped_bits(self):
        def flipped():
            for _ in range(4000):
                data = bytearray(CALL)
                for _ in range(self.random.randrange(1, 4)):
                    data[self.random.randrange(len(PREFACE), len(data))] ^= 1 << self.random.randrange(8)
                yield bytes(data)

        self.throw(flipped(), wait=0.005)

    def test_a_call_byte_by_byte(self):
        connection = self.connect()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in CALL:
            connection.sendall(bytes([byte]))
        connection.settimeout(5)
        received = b""
        while b"grpc-status" not in received and b"\x9a\xca\xc8" not in received and len(received) < 100:
            more = connection.recv(4096)
            if not more:
                break
            received += more
        connection.close()
        self.assertGreater(len(received), 50)

    def test_random_frames(self):
        def frames():
            for _ in range(4000):
                data = OPENING
                for _ in range(self.random.randrange(1, 8)):
                    kind = self.random.choice([*range(10), self.random.randrange(256)])
                    payload = self.random.randbytes(self.random.choice([0, 1, 4, 5, 6, 8, 9, 60]))
                    stream = self.random.choice([0, 1, 1, 2, 3, 5, 1 << 30, (1 << 31) - 1])
                    data += frame(kind, self.random.randrange(256), stream, payload)
                yield data

        self.throw(frames(), wait=0.005)

    def test_frames_that_break_the_rules(self):
        """Each must end its stream or its connection, and soon (RFC 9113)."""
        window = struct.pack(">I", 0)
        for name, data in {
            "frame above the maximal size": frame(DATA, 0, 1, b"", length=0xFFFFFF) + b"\0" * 20000,
            "SETTINGS of a length not a multiple of six": frame(SETTINGS, 0, 0, b"12345"),
            "SETTINGS on a stream": frame(SETTINGS, 0, 1),
            "SETTINGS ACK with a payload": frame(SETTINGS, ACK, 0, b"123456"),
            "SETTINGS with a window above the maximum": frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 1 << 31)),
            "SETTINGS with a frame size below the minimum": frame(SETTINGS, 0, 0, struct.pack(">HI", 5, 1)),
            "PING of seven bytes": frame(PING, 0, 0, b"1234567"),
            "PING on a stream": frame(PING, 0, 1, b"12345678"),
            "WINDOW_UPDATE of nothing": frame(WINDOW_UPDATE, 0, 0, window),
            "WINDOW_UPDATE beyond the maximum": frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", (1 << 31) - 1)) * 2,
            "WINDOW_UPDATE of an idle stream": frame(WINDOW_UPDATE, 0, 5, struct.pack(">I", 5)),
            "DATA on an idle stream": frame(DATA, 0, 1, b"x"),
            "DATA on stream 0": frame(DATA, 0, 0, b"x"),
            "RST_STREAM of an idle stream": frame(RST_STREAM, 0, 1, struct.pack(">I", 8)),
            "PUSH_PROMISE from a client": frame(PUSH_PROMISE, END_HEADERS, 1, struct.pack(">I", 2)),
            "HEADERS on an even stream": headers_frame(stream=2),
            "HEADERS on stream 0": headers_frame(stream=0),
            "CONTINUATION without HEADERS": frame(CONTINUATION, END_HEADERS, 1, b""),
            "HEADERS without their CONTINUATION": headers_frame(flags=0) + frame(PING, 0, 0, b"12345678"),
            "padding longer than the frame": frame(DATA, PADDED, 1, b"\xff"),
            "HPACK: an index of nothing": frame(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\x0f"),
            "HPACK: index 0": frame(HEADERS, END_HEADERS, 1, b"\x80"),
            "HPACK: a length beyond the block": frame(HEADERS, END_HEADERS, 1, b"\0\x7f\xff\xff\xff\x07"),
            "HPACK: a table above the limit": frame(HEADERS, END_HEADERS, 1, b"\x3f\xff\xff\xff\x07"),
            "HPACK: Huffman with EOS": frame(HEADERS, END_HEADERS, 1, b"\0\x84\xff\xff\xff\xff\0"),
            "GOAWAY on a stream": frame(GOAWAY, 0, 1, b"\0" * 8),
        }.items():
            with self.subTest(name):
                with http2.Connection(self.member.client_port, timeout=3) as connection:
                    connection.write(data)
                    reply = connection.replies[1] = http2.Reply()
                    while not connection.closed and not reply.ended and connection.goaway is None:
                        try:
                            connection.read_frame()
                        except TimeoutError:
                            self.fail("neither the stream nor the connection was ended within 3 s")
                    self.assertNotEqual(reply.status, 0)

    def test_headers_that_break_the_rules(self):
        for name, fields in {
            "no method": request_headers(drop=[":method"]),
            "no path": request_headers(drop=[":path"]),
            "no scheme": request_headers(drop=[":scheme"]),
            "two paths": request_headers() + [(":path", "/x")],
            "a pseudo header after others": request_headers(drop=[":path"]) + [(":path", KV + "Put")],
            "an unknown pseudo header": [(":colour", "red")] + request_headers(),
            "a response's pseudo header": [(":status", "200")] + request_headers(),
            "upper case": request_headers() + [("Upper", "x")],
            "connection": request_headers() + [("connection", "close")],
            "a line's end in a value": request_headers() + [("x", "a\r\nb: c")],
            "a zero in a value": request_headers() + [("x", "a\0b")],
            "an empty name": request_headers() + [("", "x")],
            "a content-length that lies": request_headers() + [("content-length", "1")],
        }.items():
            with self.subTest(name):
                with http2.Connection(self.member.client_port, timeout=3) as connection:
                    connection.write(
                        headers_frame(fields)
                        + frame(DATA, END_STREAM, 1, grpc_frame(put_request(b"bad/headers", b"v")))
                    )
                    connection.replies[1] = http2.Reply()
                    self.refused_or_harmless(name, connection.wait(1, 3))

    def refused_or_harmless(self, name, reply):
        # Passing over a header that means nothing here is fine; taking part of it for another is not.
        if name in ("upper case", "connection", "a line's end in a value", "a zero in a value", "an empty name"):
            return
        self.assertNotEqual(reply.status, 0, reply)

    def test_many_headers(self):
        with http2.Connection(self.member.client_port, timeout=5) as connection:
            stream = connection.open(KV + "Range", [("x" * 50, "y" * 5000)] * 3)
            connection.send(stream, grpc_frame(range_request(b"a")), end=True)
            self.assertEqual(connection.wait(stream).status, 0)
        # 10 MB of header fields in CONTINUATION frames: given up long before the end.
        block = encode_headers([("x" * 50, "y" * 16000)])
        data = OPENING + frame(HEADERS, 0, 1, encode_headers(request_headers()))
        self.throw([data + frame(CONTINUATION, 0, 1, block) * 640] * 5)
        # The same small field out of the table, 4 MB of it: each byte stands for 4 kB.
        bomb = b"\x40" + bytes([1]) + b"a" + b"\x7f" + http2._integer(4000 - 127, 7, 0)[1:] + b"b" * 4000
        self.throw([OPENING + frame(HEADERS, END_HEADERS, 1, bomb[:16000] + b"\xbe" * 10000)] * 20)

    def test_floods(self):
        """Cheap for the sender, dear for the receiver (CVE-2019-9511 and its kin, CVE-2023-44487)."""
        opening = OPENING
        reset = struct.pack(">I", 8)
        floods = {
            "PING": frame(PING, 0, 0, b"12345678") * 60_000,
            "SETTINGS": frame(SETTINGS) * 60_000,
            "empty DATA": headers_frame() + frame(DATA, 0, 1) * 60_000,
            "empty CONTINUATION": headers_frame(flags=0) + frame(CONTINUATION, 0, 1) * 60_000,
            "PRIORITY": b"".join(
                frame(PRIORITY, 0, 2 * number + 1, struct.pack(">IB", 0, 16)) for number in range(20_000)
            ),
            "WINDOW_UPDATE": frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1)) * 60_000,
            "rapid reset": b"".join(
                headers_frame(stream=2 * number + 1) + frame(RST_STREAM, 0, 2 * number + 1, reset)
                for number in range(10_000)
            ),
            "streams that stay open": b"".join(headers_frame(stream=2 * number + 1) for number in range(5_000)),
            "unknown frames": frame(200, 0, 0, b"x" * 100) * 20_000,
        }
        for name, data in floods.items():
            with self.subTest(name):
                for _ in range(2):
                    with self.connect() as connection:
                        connection.settimeout(5)
                        try:
                            connection.sendall(opening + data)
                        except OSError:
                            pass  # cut off
                self.tearDown()

    def test_many_idle_connections(self):
        idle = [self.connect() for _ in range(800)]
        for connection in idle[:400]:
            connection.sendall(OPENING)
        with http2.Connection(self.member.client_port) as connection:
            self.assertEqual(connection.call(KV + "Put", put_request(b"beside", b"v")).status, 0)
        for connection in idle:
            connection.close()

    def test_calls_that_never_send_their_message(self):
        connections = []
        for _ in range(50):
            connection = http2.Connection(self.member.client_port)
            for _ in range(20):
                stream = connection.open(KV + "Put")
                connection.write(frame(DATA, 0, stream, grpc_frame(b"x" * 100, length=1 << 20)))
            connections.append(connection)
        self.tearDown()
        for connection in connections:
            connection.close()

    def test_protobuf_that_lies(self):
        good = [
            put_request(b"key", b"value", lease=0, prev_kv=1),
            range_request(b"a", b"b", limit=1, revision=1, sort_order=1, sort_target=1),
            txn_request([compare(b"k", "value", 0, b"v")], [op_put(b"k", b"v")], [op_put(b"k", b"v")]),
        ]
        with http2.Connection(self.member.client_port) as connection:
            for number in range(3000):
                data = bytearray(self.random.choice(good))
                for _ in range(self.random.randrange(1, 4)):
                    action = self.random.randrange(4)
                    at = self.random.randrange(len(data)) if data else 0
                    if action == 0 and data:
                        data[at] ^= 1 << self.random.randrange(8)
                    elif action == 1 and data:
                        data[at] = self.random.choice([0, 0x7F, 0x80, 0xFF])
                    elif action == 2:
                        del data[at:]
                    else:
                        data[at:at] = self.random.randbytes(self.random.randrange(1, 6))
                method = self.random.choice(["Put", "Range", "DeleteRange", "Txn", "Compact"])
                # Nothing thrown may touch what the tests keep.
                if method in ("DeleteRange", "Txn", "Compact") and b"v" not in data:
                    method = "Range"
                if method in ("DeleteRange", "Compact"):
                    method = "Put"
                reply = connection.call(KV + method, bytes(data))
                self.assertIsNotNone(reply.status, f"{method} {bytes(data)!r}: {reply}")
                self.assertNotIn(reply.status, (2, 14), f"{method} {bytes(data)!r}: {reply}")

    def test_protobuf_that_nests(self):
        """A transaction in a transaction, 20,000 deep: deeper than any stack that follows it would be."""
        message = b""
        for _ in range(20_000):
            message = txn_request([], [protobuf.field(4, message)])
            if len(message) > 1_400_000:
                break
        with http2.Connection(self.member.client_port) as connection:
            self.assertNotIn(connection.call(KV + "Txn", message).status, (0, None))
            wide = txn_request([], [b""] * 400_000)
            self.assertNotIn(connection.call(KV + "Txn", wide).status, (0, None))
            wide = b"".join(protobuf.field(1, b"") for _ in range(400_000))
            self.assertNotIn(connection.call(KV + "Txn", wide).status, (0, None))
        for path in (
            "/etcdserverpb.Maintenance/Status",
            "/etcdserverpb.Maintenance/HashKV",
            "/etcdserverpb.Cluster/MemberList",
            "/etcdserverpb.Maintenance/Alarm",
            "/grpc.health.v1.Health/Check",
        ):
            with http2.Connection(self.member.client_port) as connection:
                for _ in range(200):
                    reply = connection.call(path, self.random.randbytes(self.random.randrange(1, 30)))
                    self.assertIsNotNone(reply.status, reply)

    def test_zip_bombs(self):
        zeros = zlib.compressobj(9, zlib.DEFLATED, 31)
        bomb = b"".join(zeros.compress(b"\0" * (1 << 20)) for _ in range(400)) + zeros.flush()
        before = self.member.resident_bytes()
        for _ in range(5):
            with http2.Connection(self.member.client_port) as connection:
                reply = connection.call(KV + "Put", bomb, headers=[("grpc-encoding", "gzip")], compressed=True)
                self.assertEqual(reply.status, 8, reply)
        self.assertLess(self.member.peak_bytes() - before, 2 * GROWTH_BYTES)

    def test_http_1(self):
        lines = [
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET",
            b"GET /" + b"a" * 100_000,
            b"GET / HTTP/9.9\r\n\r\n",
            b"POST /v3/kv/put HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\n" + b"x" * 1000,
            b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20_000 + b"\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            b"\r\n" * 1000,
            b"GET /health HTTP/1.0\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
            b"GET /health HTTP/1.1\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nConnection: Upgrade\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 500,
            b"POST / HTTP/1.1\r\nContent-Length: 50000000\r\n\r\n" + b"x" * 3_000_000,
        ]
        self.throw((self.random.choice(lines) for _ in range(600)), wait=0.005)
        self.throw((b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"[:length] for length in range(34)))


if __name__ == "__main__":
    unittest.main()
