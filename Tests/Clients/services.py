"""Service discovery: registrations over HTTP and by the command, read by curl, dig, gRPC's naming layout and SkyDNS's;
health checks that pass, fail, hang and outlive the leader; garbage on every port of it."""

import http.server
import json
import pathlib
import random
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time
import unittest
import urllib.error
import urllib.request

from support.events import EventStream
from support.processes import MARTLET, ROOT, Cluster, Member, environment, free_port, run_to_end, scratch

DIG = shutil.which("dig")
CURL = shutil.which("curl")
ETCDCTL = shutil.which("etcdctl")
STOCK_PYTHON = ROOT / ".tools/clients/etcd3/bin/python"


def ask(member, method, path, body=None, timeout=20):
    """Status, decoded body and header fields."""
    data = None if body is None else (body if isinstance(body, bytes) else json.dumps(body).encode())
    request = urllib.request.Request(f"http://{member.endpoint}{path}", data=data, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, json.loads(answer.read()), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read()), error.headers


def ids(member, service, query=""):
    status, answer, _ = ask(member, "GET", f"/service/{service}{query}")
    assert status == 200, answer
    return [instance["id"] for instance in answer["instances"]]


def eventually(test, body, expected, seconds=15, message=""):
    deadline = time.monotonic() + seconds
    while True:
        found = body()
        if found == expected:
            return time.monotonic() - deadline + seconds
        if time.monotonic() > deadline:
            test.fail(f"{message} {found!r} is not {expected!r} after {seconds} s")
        time.sleep(0.05)


def keys(member, prefix):
    """Key, value and lease of all keys below a prefix, over the gateway."""
    import base64

    text = lambda raw: base64.b64decode(raw).decode()
    end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
    code = lambda raw: base64.b64encode(raw.encode()).decode()
    _, answer, _ = ask(member, "POST", "/v3/kv/range", {"key": code(prefix), "range_end": code(end)})
    return {
        text(pair["key"]): (text(pair.get("value", "")), int(pair.get("lease", "0"))) for pair in answer.get("kvs", [])
    }


class Answering(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_):
        pass


class Backend:
    """A server that can be asked for its health; `status` is what it says."""

    def __init__(self, status=200, port=0):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Answering)
        self.server.status = status
        self.server.asked = []
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Hanging:
    """Accepts connections, and says nothing."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]

    def close(self):
        self.socket.close()


class WithMember(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dns_port = free_port()
        flags = [f"--dns-listen=127.0.0.1:{cls.dns_port}", "--enable-service-checks", "--dns-ttl=3s"]
        cls.member = Member(MARTLET, "services", scratch("services-" + cls.__name__), extra=flags).start()

    @classmethod
    def tearDownClass(cls):
        cls.member.kill()

    def put(self, path, body, status=None):
        code, answer, _ = ask(self.member, "PUT", f"/service/{path}", body)
        if status is None:
            self.assertIn(code, (200, 201), answer)
        else:
            self.assertEqual(code, status, answer)
        return answer

    def martlet(self, *arguments, seconds=15):
        return run_to_end([MARTLET, *arguments, "--endpoints", self.member.endpoint], seconds)


class Registrations(WithMember):
    def test_an_instance_comes_and_goes(self):
        body = {"address": "10.0.0.1", "port": 8080, "tags": ["v1"], "meta": {"zone": "a"}}
        answer = self.put("web/web-1", body, 201)
        self.assertEqual((answer["status"], answer["ttl"]), ("passing", 15))
        self.put("web/web-2", {"address": "10.0.0.2", "port": 8080, "tags": ["v2"], "weight": 5}, 201)
        self.assertEqual(ids(self.member, "web"), ["web-1", "web-2"])
        self.assertEqual(ids(self.member, "web", "?tag=v2"), ["web-2"])
        status, one, fields = ask(self.member, "GET", "/service/web/web-1")
        self.assertEqual((status, one["address"], one["meta"]), (200, "10.0.0.1", {"zone": "a"}))
        self.assertGreater(int(fields["x-martlet-revision"]), 1)
        _, names, _ = ask(self.member, "GET", "/service")
        self.assertIn({"name": "web", "healthy": 2, "checked": 0}, names["services"])
        status, _, _ = ask(self.member, "DELETE", "/service/web/web-1")
        self.assertEqual(status, 200)
        self.assertEqual(ids(self.member, "web"), ["web-2"])
        self.assertEqual(keys(self.member, "/skydns/internal/martlet/service/web/").keys(),
                         {"/skydns/internal/martlet/service/web/web-2"})
        status, answer, _ = ask(self.member, "DELETE", "/service/web/web-1")
        self.assertEqual((status, answer["error"]), (404, "not_found"))

    def test_all_keys_of_an_instance_are_one_lease_and_one_revision(self):
        answer = self.put("one/x", {"address": "10.0.0.1", "port": 1, "tags": ["a", "b"], "weight": 4})
        own = keys(self.member, "services/one/")["services/one/x"]
        sky = keys(self.member, "/skydns/internal/martlet/service/one/")["/skydns/internal/martlet/service/one/x"]
        self.assertEqual((own[1], sky[1]), (int(answer["lease"]),) * 2)
        record = json.loads(own[0])
        self.assertEqual((record["Op"], record["Addr"]), (0, "10.0.0.1:1"))
        self.assertEqual(
            json.loads(sky[0]),
            {"host": "10.0.0.1", "port": 1, "priority": 1, "weight": 4, "ttl": 3, "text": "a,b"},
        )
        code, _, error = self.martlet("lease", "revoke", f"{int(answer['lease']):x}")
        self.assertEqual(code, 0, error)
        self.assertEqual(keys(self.member, "services/one/"), {})
        self.assertEqual(keys(self.member, "/skydns/internal/martlet/service/one/"), {})

    def test_a_lease_runs_out_unless_it_is_renewed(self):
        self.put("short/kept", {"address": "10.0.0.1", "port": 1, "ttl": 2})
        self.put("short/left", {"address": "10.0.0.2", "port": 1, "ttl": 2})
        self.put("short/again", {"address": "10.0.0.3", "port": 1, "ttl": 2})
        _, before, _ = ask(self.member, "GET", "/service/short/again")
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            status, answer, _ = ask(self.member, "POST", "/service/short/kept/renew")
            self.assertEqual((status, answer["ttl"]), (200, 2))
            self.put("short/again", {"address": "10.0.0.3", "port": 1, "ttl": 2}, 200)
            time.sleep(0.3)
        self.assertEqual(ids(self.member, "short"), ["again", "kept"])
        _, after, _ = ask(self.member, "GET", "/service/short/again")
        self.assertEqual(after["revision"], before["revision"], "to register again wrote something")
        status, answer, _ = ask(self.member, "POST", "/service/short/left/renew")
        self.assertEqual((status, answer["error"]), (404, "not_found"))
        eventually(self, lambda: ids(self.member, "short"), [], 10)

    def test_the_callers_own_lease(self):
        code, output, _ = self.martlet("lease", "grant", "60", "-w", "json")
        lease = json.loads(output)["ID"]
        self.put("own/x", {"address": "10.0.0.1", "port": 1, "lease": str(lease)})
        self.assertEqual(keys(self.member, "services/own/")["services/own/x"][1], lease)
        self.assertEqual(ask(self.member, "DELETE", "/service/own/x")[0], 200)
        code, output, _ = self.martlet("lease", "timetolive", f"{lease:x}", "-w", "json")
        self.assertGreater(json.loads(output)["ttl"], 0, "the caller's lease was ended")
        answer = self.put("own/x", {"address": "10.0.0.1", "port": 1, "lease": 12345}, 404)
        self.assertEqual(answer["error"], "lease_not_found")
        self.assertEqual(ids(self.member, "own"), [])

    def test_waiting_for_a_change(self):
        self.put("wait/x", {"address": "10.0.0.1", "port": 1})
        _, answer, _ = ask(self.member, "GET", "/service/wait")
        begin = time.monotonic()
        threading.Timer(0.7, lambda: self.put("wait/y", {"address": "10.0.0.2", "port": 1})).start()
        status, changed, _ = ask(self.member, "GET", f"/service/wait?wait=20s&index={answer['revision']}")
        took = time.monotonic() - begin
        self.assertEqual([instance["id"] for instance in changed["instances"]], ["x", "y"])
        self.assertTrue(0.5 < took < 5, f"it took {took:.1f} s")
        # What happened before is told at once; and nothing, when the time is up.
        begin = time.monotonic()
        ask(self.member, "GET", f"/service/wait?wait=20s&index={answer['revision']}")
        self.assertLess(time.monotonic() - begin, 5)
        begin = time.monotonic()
        _, same, _ = ask(self.member, "GET", f"/service/wait?wait=1s&index={changed['revision']}")
        self.assertGreater(time.monotonic() - begin, 0.9)
        self.assertEqual(len(same["instances"]), 2)
        # Another service's changes are not this one's.
        threading.Timer(0.2, lambda: self.put("waiting/z", {"address": "10.0.0.3", "port": 1})).start()
        begin = time.monotonic()
        ask(self.member, "GET", f"/service/wait?wait&timeout=1s&index={same['revision']}")
        self.assertGreater(time.monotonic() - begin, 0.9)

    def test_bad_requests_have_a_clear_answer_and_change_nothing(self):
        good = {"address": "10.0.0.1", "port": 1}
        before = keys(self.member, "services/bad")
        for method, path, body, status, code in [
            ("PUT", "bad/x", b"", 400, "bad_request"),
            ("PUT", "bad/x", b"{", 400, "bad_request"),
            ("PUT", "bad/x", b"\xff\xfe", 400, "bad_request"),
            ("PUT", "bad/x", b"[" * 60000, 400, "bad_request"),
            ("PUT", "bad/x", {"address": "10.0.0.1"}, 400, "bad_request"),
            ("PUT", "bad/x", dict(good, port=0), 400, "bad_request"),
            ("PUT", "bad/x", dict(good, port=-1), 400, "bad_request"),
            ("PUT", "bad/x", dict(good, adress="typo"), 400, "bad_request"),
            ("PUT", "bad/x", dict(good, address="300.1.1.1"), 400, "bad_request"),
            ("PUT", "bad/x", dict(good, check={"type": "exec"}), 400, "bad_request"),
            ("PUT", "bad/x", dict(good, check={"type": "tcp", "interval": "1ms"}), 400, "bad_request"),
            ("PUT", "bad/x", dict(good, meta={"a": "x" * 70000}), 413, "too_large"),
            ("PUT", "Bad_Name/x", good, 400, "bad_request"),
            ("PUT", "bad/a.b", good, 400, "bad_request"),
            ("PUT", "bad/%zz", good, 400, "bad_request"),
            ("PUT", "bad/" + "x" * 64, good, 400, "bad_request"),
            ("PUT", "bad", good, 405, "method_not_allowed"),
            ("DELETE", "bad", None, 405, "method_not_allowed"),
            ("POST", "bad/x", b"", 405, "method_not_allowed"),
            ("GET", "bad/x/renew", None, 405, "method_not_allowed"),
            ("GET", "bad/x/y", None, 404, "not_found"),
            ("GET", "bad/x", None, 404, "not_found"),
            ("GET", "bad?tags=x", None, 400, "bad_request"),
            ("GET", "bad?wait=soon", None, 400, "bad_request"),
            ("GET", "bad?wait&index=-1", None, 400, "bad_request"),
            ("GET", "Bad_Name", None, 400, "bad_request"),
            ("GET", "Bad_Name?healthy=false", None, 400, "bad_request"),
            ("GET", "Bad_Name?wait=10s", None, 400, "bad_request"),
            ("GET", "Bad_Name?wait=10s&index=1", None, 400, "bad_request"),
        ]:
            with self.subTest(method=method, path=path[:30], body=str(body)[:60]):
                found, answer, fields = ask(self.member, method, f"/service/{path}", body)
                self.assertEqual((found, answer["error"]), (status, code), answer)
                self.assertGreater(len(answer["message"]), 10)
                if status == 405:
                    self.assertTrue(fields["allow"])
        self.assertEqual(keys(self.member, "services/bad"), before)
        self.assertTrue(self.member.is_healthy())

    @unittest.skipUnless(CURL, "no curl")
    def test_curl(self):
        url = f"http://{self.member.endpoint}/service/curl"
        code, output, _ = run_to_end(
            ["curl", "-sS", "-X", "PUT", f"{url}/a", "-d", '{"address":"10.1.1.1","port":80}'])
        self.assertEqual((code, json.loads(output)["id"]), (0, "a"))
        for version in ("--http1.1", "--http2-prior-knowledge"):
            code, output, error = run_to_end(["curl", "-sS", version, url])
            self.assertEqual(code, 0, error)
            self.assertEqual(len(json.loads(output)["instances"]), 1)

    @unittest.skipUnless(ETCDCTL, "no etcdctl")
    def test_etcd_clients_read_and_write_the_same(self):
        self.put("naming/x", {"address": "10.0.0.1", "port": 50051, "meta": {"shard": "1"}})
        code, output, _ = run_to_end(
            [ETCDCTL, "--endpoints", self.member.endpoint, "get", "services/naming/", "--prefix"])
        key, value = output.splitlines()[:2]
        self.assertEqual(key, "services/naming/x")
        # What etcd's client/v3/naming/endpoints decodes.
        update = json.loads(value)
        self.assertEqual((update["Op"], update["Addr"], update["Metadata"]), (0, "10.0.0.1:50051", {"shard": "1"}))
        # And what its AddEndpoint writes is an instance here.
        run_to_end(
            [ETCDCTL, "--endpoints", self.member.endpoint, "put", "services/naming/10.0.0.2:50051",
             '{"Op":0,"Addr":"10.0.0.2:50051","Metadata":null}'])
        self.assertEqual(ids(self.member, "naming"), ["10.0.0.2:50051", "x"])
        status, _, _ = ask(self.member, "DELETE", "/service/naming/10.0.0.2%3A50051")
        self.assertEqual((status, ids(self.member, "naming")), (200, ["x"]))

    @unittest.skipUnless(STOCK_PYTHON.exists(), "the client etcd3 is not installed (scripts/setup clients)")
    def test_python_etcd3_watches_registrations(self):
        script = """
import etcd3, json, sys
client = etcd3.client(host="127.0.0.1", port=int(sys.argv[1]))
events, cancel = client.watch_prefix("services/stock/")
print("ready", flush=True)
for event in events:
    print(type(event).__name__, event.key.decode(), json.loads(event.value or "{}").get("Addr"), flush=True)
"""
        process = subprocess.Popen(
            [STOCK_PYTHON, "-c", script, str(self.member.client_port)], stdout=subprocess.PIPE, text=True,
            env=dict(environment(), PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION="python"), stderr=subprocess.DEVNULL)
        try:
            self.assertEqual(process.stdout.readline(), "ready\n")
            time.sleep(0.3)
            self.put("stock/a", {"address": "10.0.0.1", "port": 7})
            self.assertEqual(process.stdout.readline(), "PutEvent services/stock/a 10.0.0.1:7\n")
            ask(self.member, "DELETE", "/service/stock/a")
            self.assertEqual(process.stdout.readline().split()[:2], ["DeleteEvent", "services/stock/a"])
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def quiet(stream, seconds):
    """Whether nothing is told for so long."""
    stream.connection.sock.settimeout(seconds)
    try:
        return not stream.next()
    except TimeoutError:
        return True
    finally:
        if stream.connection.sock:
            stream.connection.sock.settimeout(15)


class Streams(WithMember):
    def stream(self, path, **headers):
        stream = EventStream(self.member.client_port, path, **headers)
        self.addCleanup(stream.close)
        return stream

    def told(self, stream):
        kind, revision, data = stream.next()
        self.assertEqual((kind, revision), ("instances", data["revision"]))
        return [instance["id"] for instance in data["instances"]]

    def ask_events(self, path, **headers):
        names = {"accept": "text/event-stream", **{name.replace("_", "-"): value for name, value in headers.items()}}
        request = urllib.request.Request(f"http://{self.member.endpoint}{path}", headers=names)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.headers
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def revision(self):
        return int(ask(self.member, "GET", "/service")[2]["x-martlet-revision"])

    def test_the_list_and_then_each_change(self):
        self.put("told/a", {"address": "10.0.0.1", "port": 1})
        stream = self.stream("/service/told")
        self.assertEqual(stream.answer.status, 200)
        self.assertEqual(stream.answer.headers["content-type"], "text/event-stream")
        self.assertEqual(self.told(stream), ["a"])
        self.assertEqual(stream.retry, 2000)
        self.assertEqual(stream.id, int(stream.answer.headers["x-martlet-revision"]))
        self.put("told/b", {"address": "10.0.0.2", "port": 1})
        self.assertEqual(self.told(stream), ["a", "b"])
        _, answer, _ = ask(self.member, "GET", "/service/told")
        ask(self.member, "DELETE", "/service/told/a")
        kind, revision, data = stream.next()
        self.assertGreater(revision, answer["revision"])
        self.assertEqual(data["instances"], [item for item in answer["instances"] if item["id"] == "b"])
        # A lease that runs out is a change as well; a renewal is none, nor is what happens to others.
        self.put("told/c", {"address": "10.0.0.3", "port": 1, "ttl": 2})
        self.assertEqual(self.told(stream), ["b", "c"])
        self.assertEqual(ask(self.member, "POST", "/service/told/b/renew")[0], 200)
        self.put("told-not/d", {"address": "10.0.0.3", "port": 1})
        self.assertEqual(self.told(stream), ["b"])
        self.assertIs(quiet(stream, 1), True)

    def test_names_and_tags(self):
        names, tagged = self.stream("/service"), self.stream("/service/tagged?tag=v1")
        self.assertEqual(names.next()[0], "services")
        self.assertEqual(self.told(tagged), [])
        self.put("tagged/a", {"address": "10.0.0.1", "port": 1, "tags": ["v2"]})
        kind, revision, data = names.next()
        self.assertEqual((kind, revision), ("services", data["revision"]))
        self.assertIn({"name": "tagged", "healthy": 1, "checked": 0}, data["services"])
        self.put("tagged/a", {"address": "10.0.0.1", "port": 2, "tags": ["v1"]})
        self.assertEqual(self.told(tagged), ["a"])
        self.assertIs(quiet(names, 1), True)

    def test_one_that_comes_back_goes_on(self):
        self.put("back/a", {"address": "10.0.0.1", "port": 1})
        stream = self.stream("/service/back")
        self.told(stream)
        seen = stream.id
        for query, names in (("", {"Last_Event_ID": str(seen)}), (f"?index={seen}", {})):
            again = self.stream("/service/back" + query, **names)
            self.assertIs(quiet(again, 0.5), True)
            self.assertEqual(again.id, seen)
        again = self.stream(f"/service/back?index={seen + 1000}", Last_Event_ID=str(seen))
        self.put("back/b", {"address": "10.0.0.2", "port": 1})
        self.assertEqual(self.told(again), ["a", "b"])
        self.assertEqual(self.told(self.stream("/service/back", Last_Event_ID=str(seen))), ["a", "b"])
        # Of another cluster: later than all there is.
        self.assertEqual(self.told(self.stream("/service/back", Last_Event_ID=str(self.revision() + 1000))), ["a", "b"])

    def test_what_has_been_compacted_is_no_gap(self):
        self.put("cut/a", {"address": "10.0.0.1", "port": 1})
        seen = self.revision()
        self.put("cut/b", {"address": "10.0.0.2", "port": 1})
        self.put("elsewhere/x", {"address": "10.0.0.2", "port": 1})
        ask(self.member, "POST", "/v3/kv/compaction", {"revision": str(self.revision())})
        stream = self.stream("/service/cut", Last_Event_ID=str(seen))
        self.assertEqual(self.told(stream), ["a", "b"])
        # And it goes on.
        for number in range(3):
            ask(self.member, "DELETE", f"/service/cut/{'ab'[number % 2]}")
            if number == 2:
                self.put("cut/c", {"address": "10.0.0.3", "port": 1})
            self.assertEqual(self.told(stream), [["b"], [], ["c"]][number])

    def test_a_check_that_fails(self):
        backend = Backend()
        self.addCleanup(backend.close)
        healthy, all_ = self.stream("/service/ill"), self.stream("/service/ill?healthy=false")
        self.assertEqual((self.told(healthy), self.told(all_)), ([], []))
        self.put("ill/a", {"address": "127.0.0.1", "port": backend.port,
                           "check": {"type": "http", "interval": 1, "timeout": "500ms", "failures": 1}})
        self.assertEqual(all_.next()[2]["instances"][0]["status"], "critical")
        self.assertEqual(self.told(healthy), ["a"])
        self.assertEqual(all_.next()[2]["instances"][0]["status"], "passing")
        backend.server.status = 500
        self.assertEqual(self.told(healthy), [])
        self.assertEqual(all_.next()[2]["instances"][0]["status"], "critical")

    def test_what_is_refused(self):
        for path, names in [
            ("/service/Bad_Name", {}), (f"/service/Bad_Name?index={self.revision()}", {}), ("/service/web?wait=5s", {}),
            ("/service/web?timeout=5s", {}), ("/service/web?tags=x", {}), ("/service/web?index=-1", {}),
            ("/service/web", {"Last_Event_ID": "x"}), ("/service/web", {"Last_Event_ID": "-1"}), ("/service/%ff", {}),
        ]:
            with self.subTest(path=path, names=names):
                status, answer = self.ask_events(path, **names)
                self.assertEqual((status, answer["error"]), (400, "bad_request"))
        # As registering says it.
        refusal = self.put("Bad_Name/x", {"address": "10.0.0.1", "port": 1}, 400)["message"]
        for path in ("/service/Bad_Name", "/service/Bad_Name?wait=10s"):
            self.assertEqual(ask(self.member, "GET", path)[1]["message"], refusal)
        self.assertEqual(self.ask_events("/service/Bad_Name")[1]["message"], refusal)
        # One instance is no list; other methods are what they were.
        self.put("one-only/a", {"address": "10.0.0.1", "port": 1})
        status, headers = self.ask_events("/service/one-only/a")
        self.assertEqual((status, headers["content-type"]), (200, "application/json"))
        # What a client of etcd has named otherwise is a service all the same.
        import base64

        code = lambda text: base64.b64encode(text.encode()).decode()
        ask(self.member, "POST", "/v3/kv/put",
            {"key": code("services/Foreign_One/x"), "value": code('{"Op":0,"Addr":"10.0.0.2:50051"}')})
        self.assertEqual(ids(self.member, "Foreign_One"), ["x"])
        self.assertEqual(self.told(self.stream("/service/Foreign_One")), ["x"])

    def test_many_changes_are_few_lists(self):
        stream = self.stream("/service/burst")
        self.assertEqual(self.told(stream), [])
        changes = 300
        begin = time.monotonic()
        for number in range(changes):
            self.put(f"burst/i{number:03}", {"address": "10.0.0.1", "port": 1})
        took = time.monotonic() - begin
        lists, last = 0, []
        while len(last) < changes:
            found = self.told(stream)
            self.assertGreater(len(found), len(last))
            lists, last = lists + 1, found
        self.assertLessEqual(lists, took / 0.1 + 3)
        self.assertIs(quiet(stream, 0.5), True)

    def test_a_reader_that_does_not_read(self):
        meta = {f"m{number}": "x" * 900 for number in range(16)}
        for number in range(20):
            self.put(f"slow/i{number}", {"address": "10.0.0.1", "port": 1, "meta": meta, "ttl": 3600})
        before = self.member.own_bytes()
        slow = []
        for _ in range(20):
            reader = socket.socket()
            self.addCleanup(reader.close)
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.connect(("127.0.0.1", self.member.client_port))
            reader.sendall(b"GET /service/slow HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n\r\n")
            slow.append(reader)
        deadline = time.monotonic() + 8
        port = 2
        while time.monotonic() < deadline:
            self.put("slow/i0", {"address": "10.0.0.1", "port": port, "meta": meta, "ttl": 3600})
            port += 1
        # A list is 300 KB: 80 of them, 20 times, would be half a gigabyte.
        self.assertLess(self.member.own_bytes() - before, 100 << 20)
        for reader in slow[:3]:
            reader.settimeout(20)
            text = b""
            while f'"port":{port - 1},'.encode() not in text:
                part = reader.recv(1 << 20)
                self.assertTrue(part, "it was cut off")
                text = text[-100:] + part

    def test_clients_that_go_away_leave_nothing(self):
        def count():
            _, text = self.member.http("/metrics")
            return int(next(line for line in text.splitlines() if line.startswith("martlet_http_watches ")).split()[1])

        eventually(self, count, 0)
        streams = [EventStream(self.member.client_port, "/service/away") for _ in range(50)]
        eventually(self, count, 50)
        for stream in streams:
            stream.close()
        eventually(self, count, 0)

    def test_a_member_that_stops_ends_them(self):
        member = Member(MARTLET, "streaming", scratch("services-streaming")).start()
        stream = EventStream(member.client_port, "/service/web")
        self.addCleanup(stream.close)
        self.assertEqual(stream.next()[2]["instances"], [])
        code, seconds = member.stop()
        self.assertEqual(code, 0)
        self.assertLess(seconds, 5)
        with self.assertRaises(EOFError):
            stream.next()


class Commands(WithMember):
    def test_register_once_list_and_deregister(self):
        code, output, error = self.martlet(
            "service", "register", "cli", "a", "--address", "10.0.0.1", "--port", "80", "--tag", "v1", "--once")
        self.assertEqual(code, 0, error)
        self.assertRegex(output, r"^registered cli/a at 10\.0\.0\.1:80, lease [0-9a-f]{16}, TTL 15s\n$")
        code, output, _ = self.martlet("service", "list", "cli")
        self.assertEqual((code, output), (0, "cli/a\t10.0.0.1:80\tpassing\tv1\n"))
        code, output, _ = self.martlet("service", "list", "cli", "-w", "json")
        self.assertEqual(json.loads(output)["instances"][0]["id"], "a")
        code, output, _ = self.martlet("service", "list", "cli", "-w", "table")
        self.assertIn("10.0.0.1:80", output)
        code, output, _ = self.martlet("service", "list", "cli", "-w", "fields")
        self.assertIn('"Address" : "10.0.0.1"', output)
        code, output, _ = self.martlet("service", "list")
        self.assertIn("cli\n", output)
        code, output, _ = self.martlet("service", "deregister", "cli", "a")
        self.assertEqual((code, output), (0, "deregistered cli/a\n"))
        code, output, error = self.martlet("service", "deregister", "cli", "a")
        self.assertEqual((code, error), (1, "Error: cli has no instance a\n"))

    def test_register_stays_and_takes_back(self):
        for ending, after in [(signal.SIGTERM, 3), (signal.SIGKILL, 12)]:
            process = subprocess.Popen(
                [MARTLET, "service", "register", "stay", "--address", "10.0.0.1", "--port", "80", "--ttl", "2s",
                 "--endpoints", self.member.endpoint],
                stdout=subprocess.PIPE, text=True, env=environment())
            self.assertIn("registered stay/10-0-0-1-80", process.stdout.readline())
            time.sleep(4.5)
            self.assertEqual(ids(self.member, "stay"), ["10-0-0-1-80"], "the lease was not renewed")
            process.send_signal(ending)
            self.assertEqual(process.wait(10), 0 if ending == signal.SIGTERM else -9)
            process.stdout.close()
            eventually(self, lambda: ids(self.member, "stay"), [], after)

    def test_watch(self):
        process = subprocess.Popen(
            [MARTLET, "service", "watch", "seen", "--endpoints", self.member.endpoint],
            stdout=subprocess.PIPE, text=True, env=environment())
        try:
            time.sleep(0.5)
            self.put("seen/a", {"address": "10.0.0.1", "port": 80})
            self.assertEqual(process.stdout.readline(), "UP\tseen/a\t10.0.0.1:80\tpassing\n")
            self.put("seen/a", {"address": "10.0.0.1", "port": 81})
            self.assertEqual(process.stdout.readline(), "CHANGED\tseen/a\t10.0.0.1:81\tpassing\n")
            ask(self.member, "DELETE", "/service/seen/a")
            self.assertEqual(process.stdout.readline(), "DOWN\tseen/a\t10.0.0.1:81\tpassing\n")
        finally:
            process.kill()
            process.wait()
            process.stdout.close()

    def test_mistakes(self):
        for arguments, word in [
            (["register"], "name of a service"),
            (["register", "x", "--port", "1"], "--address"),
            (["register", "x", "--address", "10.0.0.1"], "--port"),
            (["register", "X_Y", "--address", "10.0.0.1", "--port", "1"], "cannot be the name"),
            (["register", "x", "--address", "10.0.0.1", "--port", "1", "--check-interval", "5s"], "which check"),
            (["register", "x", "--address", "10.0.0.1", "--port", "1", "--check-tcp", "--ttl", "5s"], "--ttl"),
            (["list", "x", "-w", "protobuf"], "protobuf"),
            (["watch"], "one service"),
        ]:
            with self.subTest(arguments=arguments):
                code, output, error = self.martlet("service", *arguments)
                self.assertNotEqual(code, 0)
                self.assertEqual(output, "")
                self.assertIn(word, error)


class Checks(WithMember):
    def test_a_check_passes_fails_and_passes_again(self):
        backend = Backend()
        self.put("checked/a", {
            "address": "127.0.0.1", "port": backend.port,
            "check": {"type": "http", "path": "/up", "interval": 1, "timeout": "500ms", "failures": 2}}, 201)
        eventually(self, lambda: ids(self.member, "checked"), ["a"], 5)
        self.assertIn("/up", backend.server.asked)
        before = keys(self.member, "services/checked/")["services/checked/a"]
        self.assertGreater(before[1], 0)
        # Registered again, the same: nothing is written, and nobody sees it go.
        self.put("checked/a", {
            "address": "127.0.0.1", "port": backend.port,
            "check": {"type": "http", "path": "/up", "interval": 1, "timeout": "500ms", "failures": 2}}, 200)
        self.assertEqual(keys(self.member, "services/checked/")["services/checked/a"], before)
        backend.server.status = 500
        took = eventually(self, lambda: ids(self.member, "checked"), [], 8)
        self.assertEqual(ids(self.member, "checked", "?healthy=false"), ["a"])
        _, one, _ = ask(self.member, "GET", "/service/checked/a")
        self.assertEqual(one["status"], "critical")
        self.assertEqual(keys(self.member, "/skydns/internal/martlet/service/checked/"), {})
        backend.server.status = 204
        eventually(self, lambda: ids(self.member, "checked"), ["a"], 5)
        # Killed: nobody listens any more.
        backend.close()
        eventually(self, lambda: ids(self.member, "checked"), [], 8)
        self.assertEqual(ask(self.member, "DELETE", "/service/checked/a")[0], 200)
        self.assertEqual(ids(self.member, "checked", "?healthy=false"), [])
        self.assertEqual(keys(self.member, "__martlet/service/check/checked/"), {})

    def test_a_check_that_hangs_holds_up_nothing(self):
        hanging, backend = Hanging(), Backend()
        try:
            for number in range(80):
                self.put(f"hanging/h{number}", {
                    "address": "127.0.0.1", "port": hanging.port,
                    "check": {"type": "http", "interval": 1, "timeout": 1, "failures": 1}})
            self.put("hanging/well", {
                "address": "127.0.0.1", "port": backend.port, "check": {"type": "http", "interval": 1}})
            eventually(self, lambda: ids(self.member, "hanging"), ["well"], 10)
            # Requests go on as if nothing were.
            slowest = 0
            for number in range(50):
                begin = time.monotonic()
                self.assertTrue(self.member.is_healthy())
                slowest = max(slowest, time.monotonic() - begin)
            self.assertLess(slowest, 1)
            self.assertEqual(len(ids(self.member, "hanging", "?healthy=false")), 81)
        finally:
            for number in range(80):
                ask(self.member, "DELETE", f"/service/hanging/h{number}")
            ask(self.member, "DELETE", "/service/hanging/well")
            hanging.close()
            backend.close()

    def test_tcp_and_grpc(self):
        hanging = Hanging()
        self.put("kinds/tcp", {"address": "127.0.0.1", "port": hanging.port, "check": {"type": "tcp", "interval": 1}})
        # A martlet server has gRPC's health service.
        self.put("kinds/grpc", {
            "address": "127.0.0.1", "port": self.member.client_port, "check": {"type": "grpc", "interval": 1}})
        self.put("kinds/not", {
            "address": "127.0.0.1", "port": self.member.client_port,
            "check": {"type": "grpc", "service": "no.such.Service", "interval": 1}})
        nobody = {"address": "127.0.0.1", "port": free_port(), "check": {"type": "tcp", "interval": 1}}
        self.put("kinds/nobody", nobody)
        eventually(self, lambda: ids(self.member, "kinds"), ["grpc", "tcp"], 8)
        hanging.close()
        eventually(self, lambda: ids(self.member, "kinds"), ["grpc"], 10)

    def test_what_is_ill_for_too_long_is_forgotten(self):
        self.put("forgotten/x", {
            "address": "127.0.0.1", "port": free_port(),
            "check": {"type": "tcp", "interval": 1, "deregister_after": 10}})
        self.assertEqual(ids(self.member, "forgotten", "?healthy=false"), ["x"])
        eventually(self, lambda: ids(self.member, "forgotten", "?healthy=false"), [], 20)

    def test_a_service_check_by_the_command(self):
        backend = Backend()
        code, output, error = self.martlet(
            "service", "register", "cli", "c", "--address", "127.0.0.1", "--port", str(backend.port),
            "--check-http", "/", "--check-interval", "1s", "--check-timeout", "500ms")
        self.assertEqual(code, 0, error)
        self.assertIn("listed once its check passes", output)
        eventually(self, lambda: ids(self.member, "cli"), ["c"], 5)
        backend.close()

    def test_a_server_without_checks_says_so(self):
        member = Member(MARTLET, "off", scratch("services-off")).start()
        try:
            status, answer, _ = ask(
                member, "PUT", "/service/a/b", {"address": "10.0.0.1", "port": 1, "check": {"type": "tcp"}})
            self.assertEqual((status, answer["error"]), (403, "checks_off"))
            self.assertIn("--enable-service-checks", answer["message"])
        finally:
            member.kill()


class LeaderChange(unittest.TestCase):
    def test_checks_go_on_and_leases_hold(self):
        cluster = Cluster(MARTLET, "services-cluster", extra=["--enable-service-checks"]).start().wait_ready()
        backend = Backend()
        try:
            members = cluster.members
            body = {
                "address": "127.0.0.1", "port": backend.port,
                "check": {"type": "http", "interval": 1, "timeout": "500ms", "failures": 2}}
            self.assertEqual(ask(members[0], "PUT", "/service/moving/a", body)[0], 201)
            ask(members[1], "PUT", "/service/moving/b", {"address": "10.0.0.1", "port": 1, "ttl": 60})
            eventually(self, lambda: ids(members[2], "moving"), ["a", "b"], 8)

            def leader():
                for member in members:
                    if member.is_running:
                        code, output, _ = run_to_end(
                            [MARTLET, "endpoint", "status", "-w", "json", "--endpoints", member.endpoint])
                        if code == 0:
                            status = json.loads(output)[0]["Status"]
                            if status["leader"] == status["header"]["member_id"]:
                                return member
                return None

            first = leader()
            first.kill()
            others = [member for member in members if member.is_running]
            gone = 0
            deadline = time.monotonic() + 12
            while time.monotonic() < deadline:
                try:
                    status, answer, _ = ask(others[0], "GET", "/service/moving", timeout=10)
                    if status == 200 and len(answer["instances"]) != 2:
                        gone += 1
                except OSError:
                    pass
                time.sleep(0.1)
            self.assertEqual(gone, 0, "an instance that was well was gone in the change of the leader")
            # The new leader does check.
            asked = len(backend.server.asked)
            time.sleep(2.5)
            self.assertGreater(len(backend.server.asked), asked)
            backend.server.status = 500
            eventually(self, lambda: ids(others[0], "moving"), ["b"], 10)
            # A follower's kill changes nothing; the killed one comes back and knows all.
            first.start()
            backend.server.status = 200
            eventually(self, lambda: ids(first, "moving"), ["a", "b"], 10)
        finally:
            cluster.kill()
            backend.close()


@unittest.skipUnless(DIG, "no dig (scripts/setup clients)")
class DNS(WithMember):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for path, body in [
            ("web/web-1", {"address": "10.0.0.1", "port": 8080, "tags": ["v1"], "weight": 3, "ttl": 3600}),
            ("web/web-2", {"address": "10.0.0.2", "port": 8081, "tags": ["v2"], "ttl": 3600}),
            ("web/web-3", {"address": "2001:db8::3", "port": 8082, "tags": ["v2"], "ttl": 3600}),
            ("mail/m", {"address": "mail.example.com", "port": 25, "ttl": 3600}),
        ]:
            status, answer, _ = ask(cls.member, "PUT", f"/service/{path}", body)
            assert status == 201, answer
        for number in range(200):
            status, answer, _ = ask(
                cls.member, "PUT", f"/service/many/m{number}",
                {"address": f"10.1.0.{number}", "port": 80, "ttl": 3600})
            assert status == 201, answer

    def dig(self, *arguments):
        code, output, error = run_to_end(
            [DIG, "@127.0.0.1", "-p", str(self.dns_port), "+time=3", "+tries=1", *arguments])
        self.assertEqual(code, 0, output + error)
        return output

    def short(self, *arguments):
        return sorted(self.dig("+short", *arguments).split("\n")[:-1])

    def test_addresses_and_services(self):
        for transport in ("+notcp", "+tcp"):
            with self.subTest(transport=transport):
                self.assertEqual(self.short(transport, "web.service.martlet.internal", "A"), ["10.0.0.1", "10.0.0.2"])
                self.assertEqual(self.short(transport, "web.service.martlet.internal", "AAAA"), ["2001:db8::3"])
                self.assertEqual(
                    self.short(transport, "web.service.martlet.internal", "SRV"),
                    [
                        "1 1 8081 web-2.web.instance.martlet.internal.",
                        "1 1 8082 web-3.web.instance.martlet.internal.",
                        "1 3 8080 web-1.web.instance.martlet.internal.",
                    ])
        self.assertEqual(
            self.short("_web._v1.service.martlet.internal", "SRV"), ["1 3 8080 web-1.web.instance.martlet.internal."])
        self.assertEqual(len(self.short("_web._tcp.service.martlet.internal", "SRV")), 3)
        self.assertEqual(self.short("v2.web.service.martlet.internal", "A"), ["10.0.0.2"])
        self.assertEqual(self.short("web-3.web.instance.martlet.internal", "AAAA"), ["2001:db8::3"])
        self.assertEqual(self.short("WEB.Service.MARTLET.internal", "A"), ["10.0.0.1", "10.0.0.2"])
        self.assertEqual(self.short("mail.service.martlet.internal", "A"), ["mail.example.com."])
        self.assertEqual(self.short("mail.service.martlet.internal", "SRV"), ["1 1 25 mail.example.com."])

    def test_what_comes_beside_the_answer(self):
        output = self.dig("web.service.martlet.internal", "SRV")
        self.assertIn("status: NOERROR", output)
        self.assertRegex(output, r"flags: qr aa rd;")
        self.assertRegex(output, r"web-1\.web\.instance\.martlet\.internal\. 3 IN\s+A\s+10\.0\.0\.1")
        self.assertIn("EDNS: version: 0", output)
        self.assertNotIn("Warning", output.replace("WARNING: recursion requested but not available", ""))
        for name, type_, status in [
            ("none.service.martlet.internal", "A", "NXDOMAIN"), ("web.service.martlet.internal", "TXT", "NOERROR"),
            ("service.martlet.internal", "A", "NOERROR"), ("web-1.web.instance.martlet.internal", "AAAA", "NOERROR"),
        ]:
            output = self.dig(name, type_)
            self.assertIn(f"status: {status}", output)
            self.assertIn("ANSWER: 0", output)
            self.assertRegex(output, r"martlet\.internal\.\s+3\s+IN\s+SOA\s+ns\.martlet\.internal\.")
        self.assertIn("status: REFUSED", self.dig("example.com", "A"))
        self.assertIn("status: REFUSED", self.dig("martlet.internal", "A", "-c", "CH"))
        self.assertIn("status: NOTIMP", self.dig("+opcode=STATUS", "martlet.internal"))
        self.assertIn("BADVERS", self.dig("+edns=1", "+noednsneg", "martlet.internal", "SOA"))
        self.assertEqual(self.short("martlet.internal", "NS"), ["ns.martlet.internal."])
        self.assertEqual(self.short("ns.martlet.internal", "A"), ["127.0.0.1"])

    def test_many_instances_are_cut_and_whole_over_tcp(self):
        output = self.dig("+noedns", "+ignore", "many.service.martlet.internal", "A")
        self.assertRegex(output, r"flags:[^;]* tc")
        self.assertLessEqual(int(output.split("MSG SIZE  rcvd: ")[1]), 512)
        output = self.dig("+ignore", "+bufsize=4096", "many.service.martlet.internal", "A")
        self.assertRegex(output, r"flags:[^;]* tc")
        self.assertLessEqual(int(output.split("MSG SIZE  rcvd: ")[1]), 1232)
        self.assertEqual(len(self.short("many.service.martlet.internal", "A")), 200)
        self.assertEqual(len(self.short("+tcp", "many.service.martlet.internal", "SRV")), 200)

    def test_a_change_is_seen(self):
        ask(self.member, "PUT", "/service/brief/x", {"address": "10.5.0.1", "port": 80})
        self.assertEqual(self.short("brief.service.martlet.internal", "A"), ["10.5.0.1"])
        ask(self.member, "DELETE", "/service/brief/x")
        self.assertEqual(self.short("brief.service.martlet.internal", "A"), [])

    def question(self, name="web.service.martlet.internal", type_=1):
        labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
        return struct.pack(">6H", 7, 0x100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", type_, 1)

    def test_garbage_does_no_harm(self):
        random.seed(7)
        good = self.question()
        _, before, _ = ask(self.member, "GET", "/service/web")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.settimeout(0.3)
            udp.connect(("127.0.0.1", self.dns_port))
            # What is an answer itself, or too short, is not answered; what is broken is called so.
            for bytes_, expected in [
                (b"", None), (b"\0" * 11, None), (good[:2] + b"\x81\x80" + good[4:], None),
                (good[:20], 1), (good[:12] + b"\xc0\x0c\0\1\0\1", 1), (b"\0\1\1\0" + b"\xff" * 8, 1),
            ]:
                udp.send(bytes_)
                try:
                    answer = udp.recv(4096)
                    self.assertEqual(answer[3] & 15, expected, bytes_)
                    self.assertLessEqual(len(answer), max(12, len(bytes_)), "more came back than was sent")
                except socket.timeout:
                    self.assertIsNone(expected, bytes_)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            for _ in range(1500):
                if random.random() < 0.5:
                    udp.sendto(random.randbytes(random.randrange(600)), ("127.0.0.1", self.dns_port))
                else:
                    changed = bytearray(good)
                    for _ in range(3):
                        changed[random.randrange(len(changed))] = random.randrange(256)
                    udp.sendto(changed, ("127.0.0.1", self.dns_port))
        for _ in range(60):
            with socket.create_connection(("127.0.0.1", self.dns_port), timeout=3) as tcp:
                try:
                    tcp.sendall(random.randbytes(random.randrange(2000)))
                except OSError:
                    pass
        time.sleep(1.1)  # what one address may ask in a second is over
        self.assertEqual(self.short("web.service.martlet.internal", "A"), ["10.0.0.1", "10.0.0.2"])
        self.assertTrue(self.member.is_healthy())
        _, after, _ = ask(self.member, "GET", "/service/web")
        self.assertEqual(after["instances"], before["instances"])

    def test_one_address_is_not_flooded(self):
        good = self.question()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
            udp.bind(("127.0.0.77", 0))
            udp.settimeout(0.5)
            begin = time.monotonic()
            for _ in range(20):
                for _ in range(500):
                    udp.sendto(good, ("127.0.0.1", self.dns_port))
                time.sleep(0.01)
            seconds = time.monotonic() - begin
            whole = cut = 0
            try:
                while True:
                    answer = udp.recv(4096)
                    if answer[2] & 2:
                        cut += 1
                        self.assertLessEqual(len(answer), len(good))
                    else:
                        whole += 1
            except socket.timeout:
                pass
        self.assertGreater(whole, 0)
        self.assertLessEqual(whole, 2000 * (seconds + 2))
        self.assertLessEqual(cut, 2000 * (seconds + 2))
        self.assertEqual(self.short("web.service.martlet.internal", "AAAA"), ["2001:db8::3"])

    def test_streams_are_limited_and_end(self):
        streams = [socket.create_connection(("127.0.0.1", self.dns_port), timeout=3) for _ in range(300)]
        try:
            closed = 0
            time.sleep(0.5)
            for stream in streams:
                stream.setblocking(False)
                try:
                    closed += stream.recv(1) == b""
                except BlockingIOError:
                    pass
            self.assertEqual(closed, 300 - 256)
            self.assertEqual(self.short("web.service.martlet.internal", "AAAA"), ["2001:db8::3"])
        finally:
            for stream in streams:
                stream.close()
        # Two questions in one piece, the second in two: answers in their order. Silence ends a stream.
        with socket.create_connection(("127.0.0.1", self.dns_port), timeout=20) as tcp:
            frame = struct.pack(">H", len(self.question())) + self.question()
            tcp.sendall(frame + frame[:10])
            time.sleep(0.2)
            tcp.sendall(frame[10:])
            stream = tcp.makefile("rb")
            for _ in range(2):
                (length,) = struct.unpack(">H", stream.read(2))
                self.assertEqual(stream.read(length)[:2], b"\0\7")
            begin = time.monotonic()
            self.assertEqual(stream.read(1), b"")
            self.assertTrue(8 < time.monotonic() - begin < 15)

    def test_metrics(self):
        self.dig("web.service.martlet.internal", "A")
        _, text = self.member.http("/metrics")
        questions = [line for line in text.splitlines() if line.startswith("martlet_dns_questions_total ")]
        self.assertGreater(float(questions[0].split()[1]), 0)
        self.assertIn("martlet_service_checks 0", text)


class DNSFlags(unittest.TestCase):
    def test_a_port_in_use_is_said(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            member = Member(MARTLET, "taken", scratch("services-taken"), extra=[f"--dns-listen=127.0.0.1:{port}"])
            code, output, error = run_to_end(member.command(), 20)
            self.assertNotEqual(code, 0)
            self.assertIn("--dns-listen", output + error)
            self.assertIn("in use", output + error)

    def test_bad_values(self):
        for flag in ("--dns-listen=nowhere", "--dns-domain=a..b", "--dns-ttl=1.5s", "--enable-service-checks=maybe"):
            with self.subTest(flag=flag):
                code, output, error = run_to_end([MARTLET, "serve", flag])
                self.assertNotEqual(code, 0)
                self.assertIn(flag.split("=")[0], output + error)


if __name__ == "__main__":
    unittest.main()
