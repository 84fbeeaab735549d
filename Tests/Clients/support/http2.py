"""A small HTTP/2 client that speaks gRPC without TLS (RFC 9113, RFC 7541), so that tests can send what none else sends.

It also sends what is wrong: frames and whole inputs can be written as bytes.
"""

import socket
import struct
import time

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM = ACK = 0x1
END_HEADERS, PADDED, PRIORITY_FLAG = 0x4, 0x8, 0x20


def frame(kind, flags=0, stream=0, payload=b"", length=None):
    """A frame's bytes; `length` lets it lie about its payload."""
    size = len(payload) if length is None else length
    return struct.pack(">I", size)[1:] + struct.pack(">BBI", kind, flags, stream) + payload


# MARK: HPACK

_STATIC = """:authority
:method GET
:method POST
:path /
:path /index.html
:scheme http
:scheme https
:status 200
:status 204
:status 206
:status 304
:status 400
:status 404
:status 500
accept-charset
accept-encoding gzip, deflate
accept-language
accept-ranges
accept
access-control-allow-origin
age
allow
authorization
cache-control
content-disposition
content-encoding
content-language
content-length
content-location
content-range
content-type
cookie
date
etag
expect
expires
from
host
if-match
if-modified-since
if-none-match
if-range
if-unmodified-since
last-modified
link
location
max-forwards
proxy-authenticate
proxy-authorization
range
referer
refresh
retry-after
server
set-cookie
strict-transport-security
transfer-encoding
user-agent
vary
via
www-authenticate"""
_STATIC_TABLE = [tuple((line + " ").split(" ", 1)) for line in _STATIC.split("\n")]
_STATIC_TABLE = [(name, value.rstrip()) for name, value in _STATIC_TABLE]

# RFC 7541, appendix B: the code is canonical, so the lengths of the codes, in the order of the symbols, are all of it.
_LENGTHS = bytes.fromhex(
    "0d171c1c1c1c1c1c1c181e1c1c1e1c1c1c1c1c1c1c1c1e1c1c1c1c1c1c1c1c1c060a0a0c0d06080b0a0a080b080606060505"
    "050606060606060607080f060c0a0d06070707070707070707070707070707070707070707070807080d130d0e060f050605"
    "06050606060507070606060506070605050607070707070f0b0e0d1c14161414161616171617171717171817181816171817"
    "1717171516171617171816151416161717151716161815161717151516151716171714161616171616171a1a141316171619"
    "1a1a1a1b1b1a181913151a1b1b1a1b1815151a1a1c1b1b1b14181415161515171616191918181a171a1b1a1a1b1b1b1b1b1c"
    "1b1b1b1b1b1a1e"
)


def _huffman_codes():
    codes, code, length = {}, 0, 0
    for symbol in sorted(range(257), key=lambda symbol: (_LENGTHS[symbol], symbol)):
        code <<= _LENGTHS[symbol] - length
        length = _LENGTHS[symbol]
        codes[(length, code)] = symbol
        code += 1
    return codes


_CODES = _huffman_codes()


def _unhuffman(data):
    out, code, length = bytearray(), 0, 0
    for byte in data:
        for bit in range(7, -1, -1):
            code, length = code << 1 | byte >> bit & 1, length + 1
            symbol = _CODES.get((length, code))
            if symbol is not None:
                out.append(symbol)
                code = length = 0
    return bytes(out)


def _integer(number, prefix_bits, first):
    limit = (1 << prefix_bits) - 1
    if number < limit:
        return bytes([first | number])
    out = bytearray([first | limit])
    number -= limit
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def encode_headers(fields):
    """Literals without indexing, without Huffman: what a peer has to take whatever its settings."""
    out = bytearray()
    for name, value in fields:
        name = name.encode() if isinstance(name, str) else name
        value = value.encode() if isinstance(value, str) else value
        out += b"\0" + _integer(len(name), 7, 0) + name + _integer(len(value), 7, 0) + value
    return bytes(out)


class _HeaderDecoder:
    def __init__(self):
        self.table = []

    def decode(self, block):
        self.block, self.at, fields = block, 0, []
        while self.at < len(block):
            first = block[self.at]
            if first & 0x80:
                fields.append(self._entry(self._number(7)))
            elif first & 0x40:
                fields.append(self._literal(6))
                self.table.insert(0, fields[-1])
                while sum(len(name) + len(value) + 32 for name, value in self.table) > 4096:
                    self.table.pop()
            elif first & 0x20:
                self._number(5)
            else:
                fields.append(self._literal(4))
        return fields

    def _literal(self, prefix_bits):
        index = self._number(prefix_bits)
        name = self._entry(index)[0] if index else self._text()
        return name, self._text()

    def _entry(self, index):
        return _STATIC_TABLE[index - 1] if index <= 61 else self.table[index - 62]

    def _number(self, prefix_bits):
        limit = (1 << prefix_bits) - 1
        number = self.block[self.at] & limit
        self.at += 1
        if number < limit:
            return number
        shift = 0
        while True:
            byte = self.block[self.at]
            self.at += 1
            number += (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return number

    def _text(self):
        huffman = self.block[self.at] & 0x80
        length = self._number(7)
        raw = self.block[self.at : self.at + length]
        self.at += length
        return (_unhuffman(raw) if huffman else raw).decode("latin-1")


# MARK: connections


class Reply:
    """What came back on one stream."""

    def __init__(self):
        self.headers = {}
        self.data = bytearray()
        self.reset = None
        self.ended = False
        self.closed = False

    @property
    def status(self):
        """gRPC's code, or None where there is none."""
        text = self.headers.get("grpc-status")
        return int(text) if text is not None else None

    @property
    def text(self):
        return _percent_decoded(self.headers.get("grpc-message", ""))

    @property
    def messages(self):
        found, at = [], 0
        while at + 5 <= len(self.data):
            length = struct.unpack_from(">I", self.data, at + 1)[0]
            found.append(bytes(self.data[at + 5 : at + 5 + length]))
            at += 5 + length
        return found

    def __repr__(self):
        return (
            f"(http {self.headers.get(':status')}, grpc {self.status} {self.text!r}, {len(self.data)} bytes, "
            f"reset {self.reset}, closed {self.closed})"
        )


def _percent_decoded(text):
    from urllib.parse import unquote

    return unquote(text)


class Connection:
    """One client connection. Not for several threads."""

    def __init__(self, port, timeout=10, handshake=True, host="127.0.0.1"):
        self.socket = socket.create_connection((host, port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.decoder = _HeaderDecoder()
        self.replies = {}
        self.next_stream = 1
        self.goaway = None
        self.closed = False
        self.peer_window = 65535
        self.peer_initial_window = 65535
        self.stream_windows = {}
        self.pongs = []
        if handshake:
            settings = struct.pack(">HI", 4, (1 << 31) - 1)
            self.write(
                PREFACE
                + frame(SETTINGS, payload=settings)
                + frame(WINDOW_UPDATE, payload=struct.pack(">I", (1 << 31) - 65536))
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def write(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            self.closed = True

    def open(self, path, headers=(), end=False):
        stream, self.next_stream = self.next_stream, self.next_stream + 2
        fields = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "test"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            *headers,
        ]
        self.replies[stream] = Reply()
        self.stream_windows[stream] = self.peer_initial_window
        self.write(frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, encode_headers(fields)))
        return stream

    def send(self, stream, data, end=False):
        """DATA, as the peer's windows allow."""
        at = 0
        while True:
            room = min(self.peer_window, self.stream_windows[stream], 16384)
            part = data[at : at + max(room, 0)]
            is_last = at + len(part) == len(data)
            if part or is_last:
                self.peer_window -= len(part)
                self.stream_windows[stream] -= len(part)
                self.write(frame(DATA, END_STREAM if end and is_last else 0, stream, part))
                at += len(part)
            if is_last or self.closed or self.replies[stream].ended:
                return
            if room <= 0:
                self.read_frame()

    def call(self, path, message=b"", headers=(), compressed=False, seconds=15):
        """One unary call; the connection may be used again."""
        stream = self.open(path, headers)
        self.send(stream, grpc_frame(message, compressed), end=True)
        return self.wait(stream, seconds)

    def wait(self, stream, seconds=15):
        deadline = time.monotonic() + seconds
        reply = self.replies[stream]
        while not reply.ended and not self.closed:
            self.socket.settimeout(max(0.001, deadline - time.monotonic()))
            self.read_frame()
        reply.closed = self.closed and not reply.ended
        return reply

    def read_frame(self):
        while len(self.buffer) < 9 or len(self.buffer) < 9 + int.from_bytes(self.buffer[:3], "big"):
            try:
                more = self.socket.recv(1 << 16)
            except ConnectionResetError:
                more = b""
            if not more:
                self.closed = True
                return None
            self.buffer += more
        length = int.from_bytes(self.buffer[:3], "big")
        kind, flags, stream = struct.unpack_from(">BBI", self.buffer, 3)
        payload = bytes(self.buffer[9 : 9 + length])
        del self.buffer[: 9 + length]
        self._take(kind, flags, stream & 0x7FFFFFFF, payload)
        return kind, flags, stream, payload

    def _take(self, kind, flags, stream, payload):
        reply = self.replies.get(stream)
        if kind == SETTINGS and not flags & ACK:
            for at in range(0, len(payload), 6):
                name, value = struct.unpack_from(">HI", payload, at)
                if name == 4:
                    change = value - self.peer_initial_window
                    self.peer_initial_window = value
                    self.stream_windows = {key: size + change for key, size in self.stream_windows.items()}
            self.write(frame(SETTINGS, ACK))
        elif kind == PING:
            if flags & ACK:
                self.pongs.append(payload)
            else:
                self.write(frame(PING, ACK, 0, payload))
        elif kind == WINDOW_UPDATE:
            step = struct.unpack(">I", payload)[0]
            if stream == 0:
                self.peer_window += step
            elif stream in self.stream_windows:
                self.stream_windows[stream] += step
        elif kind == GOAWAY:
            self.goaway = (struct.unpack(">I", payload[4:8])[0], payload[8:])
        elif kind == HEADERS:
            # Neither server splits its headers or pads them; an answer that did would fail the test loudly.
            assert flags & END_HEADERS and not flags & (PADDED | PRIORITY_FLAG), "headers in several frames"
            fields = self.decoder.decode(payload)
            if reply:
                reply.headers.update(fields)
        elif kind == DATA and reply:
            reply.data += payload
        elif kind == RST_STREAM and reply:
            reply.reset = struct.unpack(">I", payload)[0]
            reply.ended = True
        if kind in (DATA, HEADERS) and flags & END_STREAM and reply:
            reply.ended = True


def grpc_frame(message, compressed=False, length=None):
    """A gRPC message with its five bytes in front; `length` lets them lie."""
    return struct.pack(">BI", int(compressed), len(message) if length is None else length) + message
