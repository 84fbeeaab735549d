"""A cluster to which sequences of requests are played, over gRPC or through the gateway, so that its answers can be
laid beside another's: what cannot be the same (ids, terms, ports, sizes) is replaced by what it means."""

import http.client
import json
import re
import select
import socket
import time

from support import http2, protobuf
from support.messages import METHODS, decode, encode, from_json, to_json
from support.processes import Cluster, Member
from support.sequences import CLUSTER, ELECTION, KV, LEASE, LOCK, MAINTENANCE, WATCH, Ref

ANSWER_SECONDS = 12
# How long an answer is waited for that need not come.
PATIENCE_SECONDS = 0.25

# What says nothing about the protocol: of Status and the hashes only that there is a number.
_OWN_AFFAIRS = {
    "StatusResponse": {"dbSize", "dbSizeInUse", "raftIndex", "raftTerm", "raftAppliedIndex", "version"},
    "HashResponse": {"hash"},
    "HashKVResponse": {"hash"},
    "Header": {"raft_term"},
}


# Fields that 3.5 has not.
_SINCE_3_6 = {
    ("StatusResponse", "storageVersion"), ("StatusResponse", "dbSizeQuota"), ("StatusResponse", "downgradeInfo"),
    ("HashKVResponse", "hash_revision"), ("SnapshotResponse", "version"),
}


class Answer:
    """kind: ok, error, stream or nothing; content is comparable with another's."""

    def __init__(self, kind, content):
        self.kind = kind
        self.content = content

    def __repr__(self):
        return f"{self.kind} {self.content}"


class Player:
    def __init__(self, name, program, directory, count=1, flags=(), gateway=False, version=()):
        self.name = name
        self.gateway = gateway
        self.members = [Member(program, f"m{number + 1}", directory / name, extra=flags) for number in range(count)]
        (directory / name).mkdir(exist_ok=True)
        known = ",".join(f"{member.name}={member.peer_url}" for member in self.members)
        for member in self.members:
            member.initial_cluster = known
            member.start(wait=False)
        self.connections = {}
        self.slots = {}
        self.base = 0
        # When members with these peer URLs were added last.
        self.added = {}
        self.reads_the_past = False
        self._forget()

    def _forget(self):
        self.numbers, self.found = {}, {"lease": [], "lock": [], "leader": [], "member": []}
        self.last_member = 0
        self.reads_the_past = False
        self.compacted = 0
        self.slots = {}

    def wait_ready(self):
        for member in self.members:
            member.wait_ready()
        header, members = self._members()
        self.cluster_id = header["cluster_id"]
        self.member_ids = {member["ID"] for member in members}
        self.own_ids = {}
        for member in members:
            self.own_ids[member["name"]] = member["ID"]

    def close(self):
        self.drop_all()
        for connection in self.connections.values():
            connection.close()
        self.connections = {}
        for member in self.members:
            member.kill()

    # MARK: the same beginning

    def ask(self, method, message, member=0):
        """An unrecorded call over gRPC."""
        answer = self._grpc(member, method, message)
        if answer[0] != 0:
            raise AssertionError(f"{self.name}: {method} {message}: {answer}")
        return answer[2]

    def _members(self):
        answer = self.ask(CLUSTER + "MemberList", {})
        return answer["header"], answer["members"]

    def clear(self):
        """Removes whatever the last sequence left; returns the revision."""
        self.drop_all()
        self._forget()
        # Deactivating takes more than one where members each raised one.
        for alarm in self._alarms():
            self._grpc(0, MAINTENANCE + "Alarm", {"action": 2, **alarm})
        for member in self._members()[1]:
            if member["ID"] not in self.member_ids:
                self.ask(CLUSTER + "MemberRemove", {"ID": member["ID"]})
        leases = self._grpc(0, LEASE + "LeaseLeases", {})
        for lease in leases[2].get("leases", []) if leases[0] == 0 else []:
            self._grpc(0, LEASE + "LeaseRevoke", {"ID": lease["ID"]})
        self.ask(KV + "DeleteRange", {"key": b"\0", "range_end": b"\0"})
        return self.ask(KV + "Range", {"key": b"a"})["header"]["revision"]

    def _alarms(self):
        status, _, answer = self._grpc(0, MAINTENANCE + "Alarm", {"action": 0})
        return answer.get("alarms", []) if status == 0 else []

    def level(self, revision):
        """Raises the revision to this one, that is higher, and one more: the sequence's zero."""
        while self.ask(KV + "Put", {"key": b"level"})["header"]["revision"] < revision:
            pass
        return self.ask(KV + "DeleteRange", {"key": b"level"})["header"]["revision"]

    def revisions(self):
        """What each member says after it has caught up."""
        found = []
        for at in range(len(self.members)):
            status, _, value = self._grpc(at, KV + "Range", {"key": b"a"})
            found.append(value["header"]["revision"] if status == 0 else None)
        return found

    def begin(self, revision):
        self.ask(KV + "Compact", {"revision": revision})
        self.base = self.compacted = revision
        for name, number in [("cluster", self.cluster_id), *self.own_ids.items()]:
            self.numbers[number] = f"<{name}>"

    # MARK: what only the server can say

    def resolved(self, value):
        if isinstance(value, dict):
            return {key: self.resolved(part) for key, part in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.resolved(part) for part in value]
        if value == "<own peer URL>":
            return self.members[0].peer_url
        if not isinstance(value, Ref):
            return value
        if value.kind == "revision":
            return max(0, self.base + value.number)
        if value.kind == "member" and value.number == 0:
            return self.own_ids["m1"]
        known = self.found[value.kind]
        number = value.number - 1 if value.kind == "member" else value.number
        if number < len(known):
            return known[number]
        nobody = {"name": b"none", "key": b"none", "rev": 1, "lease": 998}
        return {"lease": 998, "member": 997, "lock": b"no such lock", "leader": nobody}[value.kind]

    def learn_lease(self, number):
        self.found["lease"].append(number)
        self.numbers[number] = f"<lease {len(self.found['lease']) - 1}>"

    def learn(self, method, message, value):
        if method == LEASE + "LeaseGrant" and message.get("ID", 0) == 0 and "ID" in value:
            self.learn_lease(value["ID"])
        elif method == LOCK + "Lock" and "key" in value:
            self.found["lock"].append(value["key"])
            self.learn_key(message, value["key"])
        elif method == ELECTION + "Campaign" and "leader" in value:
            self.found["leader"].append(value["leader"])
            self.learn_key(message, value["leader"].get("key", b""))
        elif method == CLUSTER + "MemberAdd" and "member" in value:
            number = value["member"].get("ID")
            self.found["member"].append(number)
            self.numbers[number] = f"<added member {len(self.found['member'])}>"

    def learn_key(self, message, key):
        """A lock of no lease has one of the server's."""
        found = re.fullmatch(rb"[0-9a-f]+", key.rsplit(b"/", 1)[-1])
        if message.get("lease", 0) == 0 and found and int(found.group(), 16) not in self.numbers:
            self.learn_lease(int(found.group(), 16))

    # MARK: playing

    def play(self, step):
        if step.member != self.last_member and not self.gateway:
            # What this member is asked next it knows all of what the other was told.
            self._grpc(step.member, KV + "Range", {"key": b"a"})
        self.last_member = step.member
        self._keep_apart(step)
        return getattr(self, "_" + step.kind)(step)

    def _keep_apart(self, step):
        """Waits where what comes of a step would depend on how soon it comes."""
        if step.method == CLUSTER + "MemberAdd":
            # An id is made of the URLs and the second. etcd calls one that it had before "not found".
            urls = tuple(sorted(step.message.get("peerURLs", ())))
            time.sleep(max(0, self.added.get(urls, 0) + 1.1 - time.monotonic()))
            self.added[urls] = time.monotonic()
        elif step.kind == "watch" and step.message.get("create_request", {}).get("start_revision"):
            self.reads_the_past = True
        elif step.method == KV + "Compact" and self.reads_the_past:
            # A watcher of the past is one for etcd's next round, a tenth of a second away, which finds history or not.
            time.sleep(0.25)
            self.reads_the_past = False

    def _call(self, step):
        message = self.resolved(step.message)
        if self.gateway:
            return self._gateway_call(step.method, message, step.member)
        request, response, streams = METHODS[step.method][1:]
        if streams == "both":
            return self._several(step, message, request, response)
        status, text, value = self._grpc(step.member, step.method, message, step.headers)
        if status == 0 and step.method == KV + "Compact":
            self.compacted = max(self.compacted, message.get("revision", 0))
        return self._answer(step.method, message, status, text, value)

    def _answer(self, method, message, status, text, value):
        if status != 0:
            return Answer("error", (status, self.text(text)))
        response = METHODS[method][2]
        if method == MAINTENANCE + "Snapshot":
            return Answer("ok", snapshot_summary(value))
        self.learn(method, message, value)
        return Answer("ok", self.normal(response, value))

    def _several(self, step, message, request, response):
        connection = http2.Connection(self.members[step.member].client_port)
        try:
            stream = connection.open("/" + step.method, step.headers)
            for one in message:
                connection.send(stream, http2.grpc_frame(encode(request, one)))
            connection.send(stream, b"", end=True)
            reply = connection.wait(stream, ANSWER_SECONDS)
        except TimeoutError:
            return Answer("nothing", f"within {ANSWER_SECONDS} s")
        finally:
            connection.close()
        values = [self.normal(response, decode(response, data)) for data in reply.messages]
        return Answer("stream", (values, reply.status, self.text(reply.text)))

    def connection(self, member):
        connection = self.connections.get(member)
        if connection is None or connection.closed or connection.goaway:
            connection = self.connections[member] = http2.Connection(self.members[member].client_port)
        return connection

    def _grpc(self, member, method, message, headers=()):
        """(status, text, value)"""
        request, response, streams = METHODS[method][1:]
        try:
            reply = self.connection(member).call("/" + method, encode(request, message), headers, False, ANSWER_SECONDS)
        except TimeoutError:
            self.connections.pop(member).close()
            return "none", f"no answer within {ANSWER_SECONDS} s", {}
        if reply.status is None:
            self.connections.pop(member).close()
            return "none", f"reset {reply.reset}, closed {reply.closed}, HTTP {reply.headers.get(':status')}", {}
        if streams == "out":
            return reply.status, reply.text, [decode(response, data) for data in reply.messages]
        value = decode(response, reply.messages[0]) if reply.messages else {}
        return reply.status, reply.text, value

    # MARK: calls that wait

    def _start(self, step):
        message = self.resolved(step.message)
        prefix = message.get("name", b"") + b"/"
        before = self._below(prefix)
        slot = _Waiting(self, step.method, message, step.member)
        self.slots[step.slot] = slot
        if step.method == ELECTION + "Observe":
            slot.read(until=lambda: slot.ended or slot.count, seconds=PATIENCE_SECONDS)
            return Answer("started", None)
        # The next request has to come after this one's key, or its answer.
        begin = time.monotonic()
        while not slot.read(until=lambda: slot.ended, seconds=0.005):
            now = self._below(prefix)
            if now != before or time.monotonic() > begin + PATIENCE_SECONDS:
                for key in sorted(set(now) - set(before)):
                    self.learn_key(message, key)
                # Whether it has the lock at once shows by now.
                slot.read(until=lambda: slot.ended, seconds=0.03)
                break
        return Answer("started", None)

    def _below(self, prefix):
        end = prefix[:-1] + b"0"
        status, _, value = self._grpc(0, KV + "Range", {"key": prefix, "range_end": end, "keys_only": True})
        return [pair["key"] for pair in value.get("kvs", [])] if status == 0 else []

    def _finish(self, step):
        slot = self.slots.get(step.slot)
        if slot is None:
            return Answer("nothing", "never started")
        slot.read(until=lambda: slot.ended, seconds=PATIENCE_SECONDS)
        return slot.answer()

    def _drop(self, step):
        slot = self.slots.pop(step.slot, None)
        if slot is None:
            return Answer("nothing", "never started")
        slot.read(until=lambda: slot.ended, seconds=0.02)
        answer = slot.answer()
        slot.close()
        if not slot.ended and slot.method != ELECTION + "Observe":
            # Its key goes, soon, with it.
            prefix = slot.message.get("name", b"") + b"/"
            before, end = self._below(prefix), time.monotonic() + PATIENCE_SECONDS
            while self._below(prefix) == before and time.monotonic() < end:
                time.sleep(0.005)
        return answer

    def drop_all(self):
        for slot in self.slots.values():
            slot.close()
        self.slots = {}

    # MARK: watches

    def _watch(self, step):
        message = self.resolved(step.message)
        slot = self.slots.get(step.slot)
        if slot is None:
            slot = self.slots[step.slot] = _Watching(self, step.member)
        slot.send(message)
        return Answer("sent", None)

    def watching(self, slot):
        """All that a watch stream has said up to now."""
        slot = self.slots.get(slot)
        if slot is None:
            return None
        slot.read(until=lambda: False, seconds=0.0)
        return slot.history()

    # MARK: the gateway

    def _gateway_call(self, method, message, member):
        path, request, response, streams = METHODS[method]
        if streams == "both":
            body = "".join(json.dumps(to_json(request, one)) for one in message)
        else:
            body = json.dumps(to_json(request, message))
        status, headers, data = self._exchange("POST", path, body, member)
        if method == MAINTENANCE + "Snapshot" and status == 200:
            parts = [json.loads(line) for line in data.splitlines()]
            values = [from_json(response, part.get("result")) for part in parts]
            return Answer("ok", snapshot_summary(values))
        if streams and status == 200:
            return Answer("stream", (status, [self._frame(response, line) for line in data.splitlines()]))
        if status != 200:
            return self._http_answer(status, headers, data)
        try:
            value = from_json(response, json.loads(data))
        except ValueError:
            return Answer("error", (status, "not JSON", data[:200]))
        if method == KV + "Compact":
            self.compacted = max(self.compacted, message.get("revision", 0))
        self.learn(method, message, value)
        return Answer("ok", self.normal(response, value))

    def _frame(self, response, line):
        try:
            part = json.loads(line)
        except ValueError:
            return f"not JSON: {line[:200]!r}"
        if set(part) == {"result"}:
            return self.normal(response, from_json(response, part["result"]))
        return self.normal_json(part)

    def _http_answer(self, status, headers, data):
        try:
            body = self.normal_json(json.loads(data))
        except ValueError:
            body = self.text(data.decode(errors="backslashreplace"))[:200]
        return Answer("error", (status, headers.get("content-type", ""), body))

    def normal_json(self, value):
        if isinstance(value, dict):
            return {key: self.normal_json(part) for key, part in value.items()}
        if isinstance(value, list):
            return [self.normal_json(part) for part in value]
        return self.text(value) if isinstance(value, str) else value

    def _exchange(self, method, path, body, member=0):
        connection = http.client.HTTPConnection("127.0.0.1", self.members[member].client_port, timeout=ANSWER_SECONDS)
        try:
            headers = {"Content-Type": "application/json"} if body else {}
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            return answer.status, {key.lower(): part for key, part in answer.getheaders()}, answer.read()
        except (OSError, http.client.HTTPException) as error:
            return 0, {}, f"{type(error).__name__}".encode()
        finally:
            connection.close()

    def _http(self, step):
        method, path = step.method.split(" ")
        status, headers, data = self._exchange(method, path, step.message)
        if status == 200 and path.endswith("/kv/range") and method == "POST":
            return Answer("ok", self.normal("RangeResponse", from_json("RangeResponse", json.loads(data))))
        return self._http_answer(status, headers, data)

    # MARK: comparable

    def normal(self, kind, value):
        if isinstance(value, dict):
            own = _OWN_AFFAIRS.get(kind, ())
            out = {}
            for name, part in value.items():
                if (kind, name) in _SINCE_3_6:
                    continue
                if kind == "StatusResponse" and name == "leader" and len(self.members) > 1:
                    out[name] = "<a member>" if part in self.member_ids else part
                elif name in own:
                    out[name] = "<something>" if part else part
                else:
                    out[name] = self.normal("Header" if name in ("header", "response_header") else "", part)
            for name in ("leases", "keys", "members", "alarms"):
                # Leases are in the order of their ends, of which there are equal ones; a lease's keys in none, alarms
                # in that of a map of Go's.
                if isinstance(out.get(name), list):
                    out[name] = sorted(out[name], key=repr)
            if any(b"<lease" in pair.get("key", b"") for pair in out.get("kvs", ())):
                # A server's own lease ids sort as they happen to.
                out["kvs"] = sorted(out["kvs"], key=repr)
            return out
        if isinstance(value, list):
            return [self.normal(kind, part) for part in value]
        if isinstance(value, bool):
            return value
        if isinstance(value, int):
            return self.numbers.get(value, value)
        if isinstance(value, bytes):
            for number, name in self.numbers.items():
                value = value.replace(b"%x" % number, name.encode()) if number > 1 << 32 else value
            return value
        return self.text(value)

    def text(self, text):
        for number, name in self.numbers.items():
            if number > 1 << 32:
                text = text.replace(str(number), name).replace(f"{number:x}", name)
        for member in self.members:
            text = text.replace(f":{member.client_port}", f":<{member.name}'s client port>")
            text = text.replace(f":{member.peer_port}", f":<{member.name}'s peer port>")
        return text


def snapshot_summary(values):
    """Of a snapshot stream: its sizes must fit one another, whatever the snapshot is."""
    blobs = [value.get("blob", b"") if isinstance(value, dict) else b"" for value in values]
    total, left, is_counted = sum(len(blob) for blob in blobs), None, True
    for value in values[:-1]:
        remaining = value.get("remaining_bytes", 0)
        if left is not None and left - len(value.get("blob", b"")) != remaining:
            is_counted = False
        left = remaining
    return {
        "size modulo 512": total % 512,
        "last is a SHA-256": len(blobs[-1]) == 32 if blobs else False,
        "remaining counts down": is_counted,
        "every answer has a header": all(isinstance(value, dict) and "header" in value for value in values),
    }


class _Stream:
    """What a server says over time: messages over gRPC, lines through the gateway."""

    def __init__(self, player, method, member):
        self.player = player
        self.method = method
        self.path, self.request, self.response, _ = METHODS[method]
        self.member = member
        self.count = 0
        self.ended = False
        self.closed = False
        self.values = []
        self.http = None

    def open_grpc(self):
        self.connection = http2.Connection(self.player.members[self.member].client_port)
        self.stream = self.connection.open("/" + self.method)
        self.at = 0

    def open_gateway(self, messages):
        self.socket = socket.create_connection(("127.0.0.1", self.player.members[self.member].client_port), timeout=10)
        body = "".join(json.dumps(to_json(self.request, one)) for one in messages).encode()
        head = f"POST {self.path} HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
        self.socket.sendall(head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        self.buffer = bytearray()
        self.http = {"status": None, "lines": b"", "left": None}

    def read(self, until, seconds):
        """Reads what comes until the condition is met; whether it is."""
        deadline = time.monotonic() + seconds
        while True:
            if until():
                return True
            left = deadline - time.monotonic()
            if self.closed or (self.ended and left <= 0):
                return until()
            source = self.socket if self.player.gateway else self.connection.socket
            ready = bool(select.select([source], [], [], max(0.0, left))[0])
            if not ready:
                if left <= 0:
                    return until()
                continue
            (self._read_http if self.player.gateway else self._read_grpc)()

    def _read_grpc(self):
        self.connection.socket.settimeout(5)
        while True:
            self.connection.read_frame()
            # More frames may be there already, with nothing left in the socket.
            buffer = self.connection.buffer
            if self.connection.closed or len(buffer) < 9 or len(buffer) < 9 + int.from_bytes(buffer[:3], "big"):
                break
        reply = self.connection.replies[self.stream]
        while len(reply.data) >= self.at + 5:
            length = int.from_bytes(reply.data[self.at + 1 : self.at + 5], "big")
            if len(reply.data) < self.at + 5 + length:
                break
            self.take(decode(self.response, bytes(reply.data[self.at + 5 : self.at + 5 + length])))
            self.at += 5 + length
        if reply.ended or self.connection.closed:
            self.ended = self.closed = True
            self.end = (reply.status, self.player.text(reply.text))

    def _read_http(self):
        data = self.socket.recv(1 << 16)
        self.buffer += data
        state = self.http
        if state["status"] is None:
            head, separator, rest = bytes(self.buffer).partition(b"\r\n\r\n")
            if not separator:
                self._end_http(not data)
                return
            lines = head.decode("latin-1").split("\r\n")
            state["status"] = int(lines[0].split(" ")[1])
            state["headers"] = {
                key.lower(): part for key, _, part in (line.partition(": ") for line in lines[1:])
            }
            self.buffer = bytearray(rest)
            length = state["headers"].get("content-length")
            state["left"] = int(length) if length is not None else None
        if state["left"] is not None:
            state["lines"] += bytes(self.buffer)
            state["left"] -= len(self.buffer)
            self.buffer.clear()
            self._end_http(state["left"] <= 0 or not data)
            return
        while True:
            size, separator, rest = bytes(self.buffer).partition(b"\r\n")
            if not separator or len(rest) < int(size, 16) + 2:
                break
            length = int(size, 16)
            if length == 0:
                self._end_http(True)
                return
            state["lines"] += rest[:length]
            self.buffer = bytearray(rest[length + 2 :])
        if METHODS[self.method][3]:
            *lines, state["lines"] = state["lines"].split(b"\n")
            for line in lines:
                if line:
                    self._take_line(line)
        self._end_http(not data)

    def _take_line(self, line):
        try:
            part = json.loads(line)
        except ValueError:
            part = {"error": f"not JSON: {line[:100]!r}"}
        if "result" in part:
            self.take(from_json(self.response, part["result"]))
        else:
            self.values.append(("error", self.player.normal_json(part)))

    def _end_http(self, ended):
        if not ended or self.ended:
            return
        self.ended = self.closed = True
        state = self.http
        self.end = (state["status"], state.get("headers", {}).get("content-type", ""))
        if METHODS[self.method][3]:
            for line in state["lines"].split(b"\n"):
                if line.strip():
                    self._take_line(line)
        self.body = state["lines"]

    def close(self):
        self.closed = True
        if self.player.gateway:
            self.socket.close()
            return
        if not self.ended:
            self.connection.write(http2.frame(http2.RST_STREAM, 0, self.stream, (8).to_bytes(4, "big")))
        self.connection.close()


class _Waiting(_Stream):
    """A call whose answer may take long, or that answers again and again."""

    def __init__(self, player, method, message, member):
        super().__init__(player, method, member)
        self.message = message
        if player.gateway:
            self.open_gateway([message])
        else:
            self.open_grpc()
            self.connection.send(self.stream, http2.grpc_frame(encode(self.request, message)), end=True)

    def take(self, value):
        self.count += 1
        self.values.append(value)
        if not METHODS[self.method][3]:
            self.player.learn(self.method, self.message, value)

    def answer(self):
        if METHODS[self.method][3]:
            values = [self.player.normal(self.response, value) for value in self.values]
            return Answer("stream", (values, self.end if self.ended else None))
        if not self.ended:
            return Answer("waiting", None)
        if not self.player.gateway:
            if self.end[0] != 0:
                return Answer("error", self.end)
            return Answer("ok", self.player.normal(self.response, self.values[0] if self.values else {}))
        if self.end[0] != 200:
            return self.player._http_answer(self.end[0], self.http["headers"], self.body)
        if not self.values:
            self.take(from_json(self.response, json.loads(self.body)))
        return Answer("ok", self.player.normal(self.response, self.values[0]))

    def read(self, until, seconds):
        done = super().read(until, seconds)
        if self.ended and self.player.gateway and not METHODS[self.method][3] and not self.values:
            if self.end[0] == 200:
                self.take(from_json(self.response, json.loads(self.body)))
        return done


class _Watching(_Stream):
    def __init__(self, player, member):
        super().__init__(player, WATCH, member)
        self.items = {}
        self.active = set()
        self.is_open = False
        self.notices = 0
        self.progress = []
        if not player.gateway:
            self.open_grpc()
            self.is_open = True

    def send(self, message):
        """And waits for what it brings at once."""
        notices = self.notices
        if not self.is_open:
            self.open_gateway([message])
            self.is_open = True
        else:
            self.connection.send(self.stream, http2.grpc_frame(encode("WatchRequest", message)))
        seconds = 0.02
        if "create_request" in message or "progress_request" in message:
            seconds = 2.0
        elif "cancel_request" in message and message["cancel_request"].get("watch_id", 0) in self.active:
            seconds = 2.0
        self.read(until=lambda: self.notices > notices or self.ended, seconds=seconds)
        start = message.get("create_request", {}).get("start_revision", 0)
        if 0 < start <= self.player.compacted:
            # Its end comes a little after its beginning.
            self.read(until=lambda: self.notices > notices + 1 or self.ended, seconds=0.5)

    def take(self, value):
        number = value.get("watch_id", 0)
        revision = value.get("header", {}).get("revision", 0) - self.player.base
        items = self.items.setdefault(number, []) if number >= 0 or value.get("created") else []
        events = value.get("events", [])
        for event in events:
            items.append(("event", self.player.normal("", event)))
        if events and not value.get("canceled"):
            return
        self.notices += 1
        header = self.player.normal("Header", value.get("header", {}))
        if value.get("created"):
            if not value.get("canceled"):
                self.active.add(number)
        elif value.get("canceled"):
            if number not in self.active:
                # etcd says it again of a watcher that compaction has ended.
                return
            self.active.discard(number)
        rest = {key: part for key, part in value.items() if key not in ("header", "watch_id", "events")}
        if number == -1 and not rest:
            self.progress.append(revision)
            return
        items.append(("notice", header, self.player.normal("", rest)))

    def history(self):
        end = self.end if self.ended else None
        errors = self.values
        watchers = {f"watcher {key}": items for key, items in sorted(self.items.items())}
        return {"end": end, "errors": errors, "progress": self.progress, **watchers}
