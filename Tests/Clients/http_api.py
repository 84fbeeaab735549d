"""The HTTP API: with curl as its users type it, beside etcdctl on the same keys, and as its OpenAPI file says."""

import base64
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
import unittest
import urllib.parse

from support.events import EventStream
from support.processes import (
    ETCD_DIRECTORY,
    MARTLET,
    ROOT,
    Cluster,
    Member,
    environment,
    free_port,
    run_to_end,
    scratch,
)

SCHEMATHESIS = ROOT / ".tools/clients/schemathesis/bin/schemathesis"
CURL = shutil.which("curl")
REQUEST_BYTES_MAX = 1_572_864


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = {name.lower(): value for name, value in headers}
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def revision(self):
        return int(self.headers["x-martlet-revision"])

    def __repr__(self):
        return f"{self.status} {self.headers} {self.body[:200]!r}"


def ask(port, method, path, body=None, timeout=15, **headers):
    """One request; header names with underscores."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, names)
        answer = connection.getresponse()
        return Answer(answer.status, answer.getheaders(), answer.read())
    finally:
        connection.close()


def etcdctl(port, *arguments, **options):
    code, output, errors = run_to_end(
        [ETCD_DIRECTORY / "etcdctl", f"--endpoints=127.0.0.1:{port}", *arguments], **options
    )
    assert code == 0, f"etcdctl {arguments}: {errors}"
    return output


def eventually(check, seconds=10):
    end = time.monotonic() + seconds
    while True:
        if check():
            return True
        if time.monotonic() > end:
            return False
        time.sleep(0.05)


@unittest.skipUnless(CURL, "there is no curl")
class CurlLines(unittest.TestCase):
    """Every curl line that Riot's and raftd's articles have, ports and file names aside, against three members."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(MARTLET, "http-curl").start().wait_ready()
        cls.directory = scratch("http-curl-files")
        (cls.directory / "test.png").write_bytes(b"\x89PNG\r\n\x1a\n" + os.urandom(300_000))

    @classmethod
    def tearDownClass(cls):
        cls.cluster.kill()

    def sh(self, line):
        """A line for bash, in which 8001, 8002 and 8003 (and 8080 to 8082) are the members."""
        for number, member in enumerate(self.cluster.members):
            line = line.replace(f":800{number + 1}", f":{member.client_port}")
            line = line.replace(f":808{number}", f":{member.client_port}")
        done = subprocess.run(
            ["bash", "-c", line], cwd=self.directory, capture_output=True, timeout=60, env=environment()
        )
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return done.stdout

    def status_of(self, line):
        """The same, of a curl line: its status, and its body."""
        output = self.sh(line.replace("curl ", "curl -s -w '\\n%{http_code}' ", 1))
        body, _, status = output.rpartition(b"\n")
        return int(status), body

    def test_riot(self):
        r30 = r"curl http://localhost:8080/riot\?key\=a -d '1024'"
        r31 = r"curl http://localhost:8081/riot\?key\=a"
        r32 = r"curl -XDELETE http://localhost:8082/riot\?key\=a"
        r33 = r"curl http://localhost:8082/riot\?key\=a"
        for _ in range(2):
            self.assertEqual(self.status_of(r30), (200, b""))
            self.assertEqual(self.status_of(r31), (200, b"1024"))
            self.assertEqual(self.status_of(r32), (200, b""))
            self.assertEqual(self.status_of(r33), (404, b'{"errCode":40004,"msg":"not found"}'))

    def test_riot_later_routes(self):
        r54 = [
            ("""curl -v -XPOST "http://localhost:8080/riot/key/lusi" -d '{"Age":18}'""", (200, b"")),
            ("""curl -v "http://localhost:8081/riot/key/lusi?qs=1" """, (200, b'{"Age":18}')),
            ("""curl -v "http://localhost:8080/riot/key/lusi?qs=0" """, None),
            ("""curl -v -XDELETE "http://localhost:8081/riot/key/lusi" """, (200, b"")),
            ("""curl -v "http://localhost:8082/riot/key/lusi?qs=1" """, (404, None)),
        ]
        for line, wanted in r54:
            status, body = self.status_of(line)
            if wanted is None:
                self.assertIn(status, (200, 404), "the member's own state, which may be old")
                continue
            self.assertEqual(status, wanted[0], line)
            if wanted[1] is not None:
                self.assertEqual(body, wanted[1], line)

    def test_riot_buckets(self):
        """R50 and R51, and the lines of Riot's doc/design.md: each by another member."""
        done = (200, b'{"ret":0}\n')
        create = """curl -v -XPOST "http://localhost:8080/riot/bucket" -d 'student'"""
        info = """curl -v "http://localhost:8081/riot/bucket/student" """
        drop = """curl -v -XDELETE "http://localhost:8082/riot/bucket/student" """
        put = """curl -v -XPOST "http://localhost:8082/riot/bucket/student/key/lusi" -d '{"Age":100}'"""
        get = """curl -v  "http://localhost:8080/riot/bucket/student/key/lusi?qs=1" """
        fast = """curl -v  "http://localhost:8081/riot/bucket/student/key/lusi?qs=0" """
        delete = """curl -v -XDELETE  "http://localhost:8081/riot/bucket/student/key/lusi" """
        missing = lambda answer: (answer[0], json.loads(answer[1])["ret"]) == (404, 4)
        for _ in range(2):
            self.assertTrue(missing(self.status_of(info)))
            self.assertTrue(missing(self.status_of(get)))
            self.assertTrue(missing(self.status_of(put)), "there is no such bucket")
            self.assertEqual(self.status_of(delete), done, "what is not there is deleted already")
            self.assertEqual(self.status_of(drop), done, "nor is the bucket")
            self.assertEqual(self.status_of(create), done)
            self.assertEqual(self.status_of(create), done, "it is there")
            empty = (200, b'{"data":{"BucketN":1,"KeyN":0,"LeafInuse":0},"ret":0}\n')
            self.assertEqual(self.status_of(info), empty)
            self.assertTrue(missing(self.status_of(get)))
            self.assertEqual(self.status_of(put), done)
            value = (200, b'{"data":"{\\"Age\\":100}","ret":0}\n')
            self.assertEqual(self.status_of(get), value)
            self.assertTrue(eventually(lambda: self.status_of(fast) == value), "any member has it soon")
            one = (200, b'{"data":{"BucketN":1,"KeyN":1,"LeafInuse":15},"ret":0}\n')
            self.assertEqual(self.status_of(info), one)
            self.assertEqual(self.status_of(delete), done)
            self.assertTrue(missing(self.status_of(get)))
            self.assertEqual(self.status_of(put), done)
            self.assertEqual(self.status_of(drop), done)
            self.assertTrue(missing(self.status_of(get)))
            self.assertTrue(missing(self.status_of(info)))
            self.assertTrue(eventually(lambda: missing(self.status_of(fast))))

    def test_riot_admin(self):
        """R52; removing is in http_admin.py."""
        port = re.compile(r"127\.0\.0\.1:(\d+)")
        peers = sorted(member.peer_port for member in self.cluster.members)
        leaders = set()
        for number in (8080, 8081, 8082):
            ask = lambda what: self.status_of(f"curl http://localhost:{number}/riot/admin/{what}")
            status, body = ask("leader")
            self.assertEqual(status, 200)
            leaders.add(body)
            leader = int(re.fullmatch(r'{"data":"127\.0\.0\.1:(\d+)","ret":0}\n', body.decode())[1])
            status, body = ask("peers")
            self.assertEqual((status, json.loads(body)["ret"], list(json.loads(body))), (200, 0, ["data", "ret"]))
            self.assertEqual(sorted(int(port.fullmatch(peer)[1]) for peer in json.loads(body)["data"]), peers)
            status, body = ask("states")
            self.assertEqual((status, json.loads(body)["ret"]), (200, 0))
            wanted = [
                f"Node at 127.0.0.1:{peer} [{'Leader' if peer == leader else 'Follower'}]" for peer in peers
            ]
            self.assertEqual(sorted(json.loads(body)["data"]), sorted(wanted))
            self.assertEqual(ask("snapshot"), (200, b'{"data":1,"ret":0}\n'))
        self.assertEqual(len(leaders), 1)

    def test_raftd_keys(self):
        d10 = "curl -X PUT 127.0.0.1:8001/key/test -T ./test.png"
        d11 = "curl 127.0.0.1:8001/key/test --output 1.png"
        d13 = "curl -X DELETE 127.0.0.1:8003/key/test"
        self.assertEqual(self.status_of(d10), (200, b""))
        self.assertEqual(self.status_of(d11)[0], 200)
        original = (self.directory / "test.png").read_bytes()
        self.assertEqual((self.directory / "1.png").read_bytes(), original)
        for level in ("default", "consistent"):
            for port in (8001, 8002, 8003):
                d12 = f"curl 127.0.0.1:{port}/key/test?level={level} --output 2.png"
                self.assertEqual(self.status_of(d12)[0], 200)
                self.assertEqual((self.directory / "2.png").read_bytes(), original)
        for port in (8001, 8002, 8003):
            line = f"curl 127.0.0.1:{port}/key/test?level=stale --output 3.png"
            self.assertTrue(eventually(lambda: self.status_of(line)[0] == 200))
            self.assertEqual((self.directory / "3.png").read_bytes(), original)
        self.assertEqual(self.status_of("curl 127.0.0.1:8002/key/test?level=other")[0], 400)
        self.assertEqual(self.status_of(d13), (200, b""))
        self.assertEqual(self.status_of("curl 127.0.0.1:8001/key/test")[0], 404)
        self.assertEqual(self.status_of(d13)[0], 404)

    def test_raftd_redirects_who_asks_for_it(self):
        leaders = set()
        for port in (8001, 8002, 8003):
            self.assertEqual(self.status_of(f"curl -X PUT 127.0.0.1:{port}/key/here -d x"), (200, b""))
            output = self.sh(f"curl -si '127.0.0.1:{port}/key/here?level=default&redirect'").decode()
            if " 307 " in output.splitlines()[0]:
                location = re.search(r"(?m)^location: (\S+)", output).group(1)
                address, _, path = location.removeprefix("http://").partition("/")
                leaders.add(address)
                self.assertEqual(path, "key/here?level=default&redirect")
            else:
                self.assertIn(" 200 ", output.splitlines()[0])
            followed = self.sh(f"curl -sL -H 'prefer: redirect' 127.0.0.1:{port}/key/here")
            self.assertEqual(followed, b"x")
            put = f"curl -sL -X PUT '127.0.0.1:{port}/key/there?redirect' -T ./test.png -w '%{{http_code}}'"
            self.assertEqual(self.sh(put), b"200")
        self.assertEqual(len(leaders), 1, "two members send to the third")

    def test_raftd_leases(self):
        d16 = r"curl -sL -XPOST 127.0.0.1:8001/lease/grant\?ttl=10\&name=/esq/node-1"
        d17 = (
            r"curl -sL -XPOST 127.0.0.1:8001/lease/keepalive/$ID -d 'key=nodeinfo' "
            r"""-d 'data={"http_addr":"127.0.0.1:9001","tcp_addr":"127.0.0.1:9002","node_id":1,"weight":1}'"""
        )
        d18 = [
            r"curl -sL -XPOST 127.0.0.1:8002/lease/grant\?ttl=10\&name=/esq/node-2",
            r"curl -sL -XPOST 127.0.0.1:8002/lease/keepalive/$ID -d 'key=nodeinfo1' "
            r"""-d 'data={"http_addr":"127.0.0.1:9003","tcp_addr":"127.0.0.1:9004","node_id":2,"weight":2}'""",
        ]
        d19 = "curl -sL -XPOST 127.0.0.1:8003/lease/kv/nodeinfo -d 'prefix=/esq/node'"
        first = {"http_addr": "127.0.0.1:9001", "tcp_addr": "127.0.0.1:9002", "node_id": 1, "weight": 1}
        second = {"http_addr": "127.0.0.1:9003", "tcp_addr": "127.0.0.1:9004", "node_id": 2, "weight": 2}

        one = self.sh(d16)
        self.assertRegex(one, rb"^[0-9]+$")
        self.assertLess(int(one), 1 << 53)
        for _ in range(3):
            self.assertEqual(self.sh(f"ID={one.decode()}; {d17}"), b"null")
        two = self.sh(d18[0])
        self.assertEqual(self.sh(f"ID={two.decode()}; {d18[1]}"), b"null")
        self.assertEqual(json.loads(self.sh(d19)), [first, second])
        # The article's loop, for a moment.
        loop = f"ID={one.decode()}; for n in 1 2 3; do {d17}; sleep 0.1; done"
        self.assertEqual(self.sh(loop), b"nullnullnull")

        d21 = f"curl -s -XPOST 127.0.0.1:8002/lease/timetolive/{one.decode()}"
        lease = json.loads(self.sh(d21))
        self.assertEqual((lease["id"], lease["name"], lease["granted_ttl"]), (one.decode(), "/esq/node-1", 10))
        self.assertIn(lease["ttl"], (8, 9, 10))
        self.assertEqual(lease["data"], [{"key": "nodeinfo", "data": first}])

        d20 = f"curl -XPOST 127.0.0.1:8003/lease/revoke/{two.decode()}"
        self.assertEqual(self.status_of(d20), (200, b"null"))
        self.assertEqual(json.loads(self.sh(d19)), [first])
        unknown = (404, b'"can not find this Lease"')
        self.assertEqual(self.status_of(d20), unknown)
        self.assertEqual(self.status_of(d17.replace("$ID", two.decode())), unknown)
        self.assertEqual(self.status_of(d21.replace(one.decode(), two.decode())), unknown)
        for wrong in ("ttl=10", "name=a", "ttl=x\\&name=a", "ttl=0\\&name=a", "ttl=10\\&name=", "ttl=-1\\&name=a"):
            status, _ = self.status_of(f"curl -XPOST 127.0.0.1:8001/lease/grant\\?{wrong}")
            self.assertEqual(status, 400, wrong)
        for wrong in ("-d key=a", "-d data=1", "-d key=a -d data=", "-d key= -d data=1", "-d key=a -d data={"):
            status, _ = self.status_of(f"curl -XPOST 127.0.0.1:8001/lease/keepalive/{one.decode()} {wrong}")
            self.assertEqual(status, 400, wrong)
        self.assertEqual(self.status_of("curl -XPOST 127.0.0.1:8001/lease/kv/x -d prefix=")[0], 400)
        self.assertEqual(self.status_of("curl -XPOST 127.0.0.1:8001/lease/kv/ -d prefix=/esq")[0], 400)

    def test_a_lease_that_is_never_used_ends(self):
        lease = self.sh(r"curl -sL -XPOST 127.0.0.1:8001/lease/grant\?ttl=2\&name=/unused").decode()
        port = self.cluster.members[1].client_port
        self.assertIn(format(int(lease), "016x"), etcdctl(port, "lease", "list"))
        self.assertTrue(
            eventually(lambda: self.status_of(f"curl -XPOST 127.0.0.1:8002/lease/timetolive/{lease}")[0] == 404)
        )
        self.assertNotIn(lease, etcdctl(port, "get", "__martlet/lease/", "--prefix", "--keys-only"))

    def test_a_service_that_stops_is_not_found(self):
        lease = self.sh(r"curl -sL -XPOST 127.0.0.1:8001/lease/grant\?ttl=2\&name=/gone/1").decode()
        beat = f"curl -sL -XPOST 127.0.0.1:8002/lease/keepalive/{lease} -d key=a -d 'data=\"here\"'"
        find = "curl -sL -XPOST 127.0.0.1:8003/lease/kv/a -d prefix=/gone"
        end = time.monotonic() + 4
        while time.monotonic() < end:
            self.assertEqual(self.sh(beat), b"null")
            self.assertEqual(self.sh(find), b'["here"]')
            time.sleep(0.5)
        self.assertTrue(eventually(lambda: self.sh(find) == b"[]"))
        self.assertEqual(self.status_of(beat), (404, b'"can not find this Lease"'))
        port = self.cluster.members[0].client_port
        self.assertEqual(etcdctl(port, "get", "__martlet/lease/name//gone", "--prefix", "--keys-only"), "")

    def test_bodies_over_http_2(self):
        put = "curl --http2-prior-knowledge -X PUT 127.0.0.1:8002/key/two -H 'content-type: image/png' -T ./test.png"
        self.assertEqual(self.status_of(put), (200, b""))
        self.assertEqual(self.status_of("curl --http2-prior-knowledge 127.0.0.1:8001/key/two -o 4.png")[0], 200)
        self.assertEqual((self.directory / "4.png").read_bytes(), (self.directory / "test.png").read_bytes())
        head = self.sh("curl -s --http2-prior-knowledge -I 127.0.0.1:8001/key/two").decode()
        self.assertIn("content-type: image/png", head)
        self.assertIn(f"content-length: {(self.directory / 'test.png').stat().st_size}", head)


class OneMember(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.member = Member(MARTLET, "http", scratch(f"http-{cls.__name__}")).start()
        cls.port = cls.member.client_port

    @classmethod
    def tearDownClass(cls):
        cls.member.kill()

    def ask(self, method, path, body=None, **headers):
        return ask(self.port, method, path, body, **headers)

    def revision(self):
        return self.ask("HEAD", "/key/nobody-puts-this").revision


class Keys(OneMember):
    def test_every_byte_and_every_way_to_write_it(self):
        key = bytes(range(256))
        path = "/key/" + urllib.parse.quote(key, safe="")
        value = os.urandom(1000)
        self.assertEqual(self.ask("PUT", path, value).status, 200)
        self.assertEqual(self.ask("GET", path).body, value)
        described = self.ask("GET", path, accept="application/json").json
        self.assertEqual(base64.b64decode(described["key"]), key)
        self.assertEqual((described["key_encoding"], described["value_encoding"]), ("base64", "base64"))
        self.assertEqual(base64.b64decode(described["value"]), value)
        output = json.loads(etcdctl(self.port, "get", "\x01", "--from-key", "--limit=100", "-w", "json"))
        self.assertNotIn(key, [base64.b64decode(pair["key"]) for pair in output["kvs"]])  # it begins with a zero
        for written, same in [
            ("/key/a/b", "/key/a%2Fb"), ("/key/a+b", "/key/a%2Bb"), ("/key//x", "/key/%2fx"),
            ("/key/../y", "/key/%2E%2e/y"), ("/key/%c3%bc", "/key/%C3%BC"), ("/key/a%20b", "/key/a%20b"),
            ("/key/a%25b", "/key/a%25b"), ("/key/a%3Fb%23", "/key/a%3fb%23"),
        ]:
            self.assertEqual(self.ask("PUT", written, written.encode()).status, 200, written)
            raw = same.encode()
            with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
                connection.sendall(b"GET " + raw + b" HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                answer = b"".join(iter(lambda: connection.recv(65536), b""))
            self.assertTrue(answer.endswith(b"\r\n\r\n" + written.encode()), (written, same, answer))
        self.assertEqual(etcdctl(self.port, "get", "a+b", "--print-value-only"), "/key/a+b\n")
        self.assertEqual(etcdctl(self.port, "get", "/x", "--print-value-only"), "/key//x\n")
        revision = self.revision()
        for wrong in ("/key/%", "/key/%2", "/key/%zz", "/key/a%0gb", "/key/"):
            answer = self.ask("PUT", wrong, b"x")
            self.assertEqual(answer.status, 400, wrong)
            self.assertEqual(set(answer.json), {"error", "message"})
        self.assertEqual(self.revision(), revision)

    def test_content_type_is_kept_for_as_long_as_the_value(self):
        for said, given in [
            ("image/png", "image/png"), ("text/html; charset=utf-8", "text/html; charset=utf-8"),
            ("application/x-www-form-urlencoded", "application/octet-stream"),
            ("application/octet-stream", "application/octet-stream"), (None, "application/octet-stream"),
        ]:
            headers = {"content-type": said} if said else {}
            self.assertEqual(ask(self.port, "PUT", "/key/typed", b"1", **headers).status, 200)
            for method in ("GET", "HEAD"):
                self.assertEqual(self.ask(method, "/key/typed").headers["content-type"], given)
        self.ask("PUT", "/key/typed", b"1", content_type="image/png")
        first = self.revision()
        etcdctl(self.port, "put", "typed", "2")
        answer = self.ask("GET", "/key/typed")
        self.assertEqual((answer.body, answer.headers["content-type"]), (b"2", "application/octet-stream"))
        old = self.ask("GET", f"/key/typed?rev={first}")
        self.assertEqual((old.body, old.headers["content-type"]), (b"1", "image/png"))
        self.assertEqual(etcdctl(self.port, "get", "typed"), "typed\n2\n")
        # Who writes notes by hand cannot write headers.
        transaction = 'put typed 3\nput __martlet/http/note/typed "text/html\\r\\nx-evil: 1"\n'
        etcdctl(self.port, "txn", input=b"\n" + transaction.encode() + b"\n\n")
        answer = self.ask("GET", "/key/typed")
        self.assertEqual((answer.body, answer.headers["content-type"]), (b"3", "application/octet-stream"))
        self.assertNotIn("x-evil", answer.headers)
        self.assertEqual(self.ask("DELETE", "/key/typed").status, 200)
        self.assertEqual(etcdctl(self.port, "get", "__martlet/http/note/typed"), "")
        self.assertEqual(self.ask("PUT", "/key/typed", b"1", content_type="nothing").status, 400)
        self.assertEqual(self.ask("PUT", "/key/typed", b"1", content_type="a/" + "b" * 300).status, 400)
        self.assertEqual(self.ask("PUT", "/key/__martlet/http/note/x", b"1").status, 400)
        self.assertEqual(self.ask("DELETE", "/key/__martlet/?prefix").status, 400)

    def test_conditions(self):
        put = lambda body, **headers: self.ask("PUT", "/key/cas", body, **headers)
        self.assertEqual(put(b"0", If_Match="*").status, 412)
        first = put(b"1", If_None_Match="*")
        self.assertEqual(first.status, 200)
        tag = first.headers["etag"]
        refused = put(b"2", If_None_Match="*")
        self.assertEqual((refused.status, refused.headers["etag"]), (412, tag))
        self.assertEqual(refused.json["error"], "precondition_failed")
        revision = self.revision()
        for no in ('"1"', f"W/{tag}", '"x"', '"0"', '"99999999999999999999"', '"1", "2"', f'"0{tag[1:]}'):
            self.assertEqual(put(b"2", If_Match=no).status, 412, no)
            self.assertEqual(self.ask("DELETE", "/key/cas", If_Match=no).status, 412, no)
        for no in (tag, f'"1", {tag}', f"W/{tag}", tag.strip('"')):
            self.assertEqual(put(b"2", If_None_Match=no).status, 412, no)
            answer = self.ask("GET", "/key/cas", If_None_Match=no)
            self.assertEqual((answer.status, answer.headers["etag"], answer.body), (304, tag, b""))
        for wrong in ("x", '"1', "1 2", "*, *", ",", '"a" "b"', "W/5", "-1"):
            self.assertEqual(put(b"2", If_Match=wrong).status, 400, wrong)
            self.assertEqual(self.ask("GET", "/key/cas", If_None_Match=wrong).status, 400, wrong)
        self.assertEqual(put(b"2", If_Match=", ".join(f'"{n}"' for n in range(17))).status, 400)
        self.assertEqual(self.revision(), revision)
        second = put(b"2", If_Match=f'"1", {tag}')
        self.assertEqual(second.status, 200)
        self.assertEqual(self.ask("GET", "/key/cas", If_None_Match=tag).body, b"2")
        self.assertEqual(self.ask("GET", "/key/cas", If_Match=tag).status, 412)
        third = put(b"3", If_Match=second.headers["etag"].strip('"'), If_None_Match=tag)
        self.assertEqual(third.status, 200)
        self.assertEqual(self.ask("DELETE", "/key/cas", If_Match=second.headers["etag"]).status, 412)
        self.assertEqual(self.ask("DELETE", "/key/cas", If_Match=third.headers["etag"]).status, 200)
        self.assertEqual(self.ask("DELETE", "/key/cas").status, 404)
        self.assertEqual(self.ask("DELETE", "/key/cas", If_Match="*").status, 412)

    def test_of_many_who_swap_one_wins(self):
        self.ask("PUT", "/key/counter", b"0")

        def add():
            for _ in range(10):
                while True:
                    answer = self.ask("GET", "/key/counter")
                    number = str(int(answer.body) + 1).encode()
                    if self.ask("PUT", "/key/counter", number, If_Match=answer.headers["etag"]).status == 200:
                        break

        threads = [threading.Thread(target=add) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(self.ask("GET", "/key/counter").body, b"50")

    def test_lists_page_by_page(self):
        for number in range(25):
            self.ask("PUT", f"/key/list/{number:02}", str(number).encode(), content_type="text/plain")
        self.ask("PUT", "/key/lisu", b"")
        names = [f"list/{number:02}" for number in range(25)]
        whole = self.ask("GET", "/key/list/?prefix")
        self.assertEqual([key["key"] for key in whole.json["keys"]], names)
        self.assertEqual([key["value"] for key in whole.json["keys"]], [str(number) for number in range(25)])
        self.assertNotIn("continue", whole.json)
        pages, token = [], ""
        while True:
            page = self.ask("GET", f"/key/list/?prefix&keys&limit=10{token}").json
            if not pages:
                self.ask("DELETE", "/key/list/20")  # the list stays as it was
                self.ask("PUT", "/key/list/999", b"")
            pages.append([key["key"] for key in page["keys"]])
            self.assertNotIn("value", page["keys"][0])
            self.assertEqual(page["revision"], whole.json["revision"])
            if "continue" not in page:
                break
            token = "&continue=" + page["continue"]
        self.assertEqual([len(page) for page in pages], [10, 10, 5])
        self.assertEqual(sum(pages, []), names)
        self.assertEqual(self.ask("GET", f"/key/other/?prefix{token}").status, 400)
        listed = self.ask("GET", "/key/?prefix&keys&limit=10000").json["keys"]
        everything = [key["key"] for key in listed if key["key_encoding"] == "text"]
        self.assertEqual(everything, sorted(everything, key=str.encode))
        self.assertTrue(set(names) - {"list/20"} <= set(everything))
        self.assertFalse([key for key in everything if key.startswith("__martlet/")])
        self.assertTrue(self.ask("GET", "/key/__martlet/http/note/list/?prefix").json["keys"])
        revision = self.revision()
        for wrong in (
            "limit=0", "limit=10001", "limit=x", "limit=-1", "limit=+1", "limit=", "continue=x", "continue=", "keys=2",
            "rev=-1", "rev=99999999999999999999", "nonsense", "limit=1&limit=2", "limit=%zz", "wait&timeout=601s",
            "wait&timeout=x", "wait&index=-1", "index=1",
        ):
            answer = self.ask("GET", "/key/list/?prefix&" + wrong)
            self.assertEqual(answer.status, 400, wrong)
            self.assertEqual(set(answer.json), {"error", "message"})
        for wrong in ("keys", "limit=1", "continue=x", "perfix", "level=", "level=STALE"):
            self.assertEqual(self.ask("GET", "/key/list/01?" + wrong).status, 400, wrong)
        self.assertEqual(self.ask("GET", f"/key/a?rev={revision + 1000}").status, 400)
        deleted = self.ask("DELETE", "/key/list/?prefix", accept="application/json")
        self.assertEqual(deleted.json["deleted"], 25)
        self.assertEqual(self.ask("GET", "/key/list/?prefix").json["keys"], [])
        self.assertEqual(self.ask("GET", "/key/__martlet/http/note/list/?prefix").json["keys"], [])
        self.assertEqual(self.ask("GET", "/key/lisu").status, 200)
        self.assertEqual(self.ask("DELETE", "/key/list/?prefix").headers["x-martlet-deleted"], "0")
        self.assertEqual(self.ask("DELETE", "/key/?prefix").status, 400)
        self.assertEqual(self.ask("DELETE", "/key/a?perfix").status, 400)

    def test_compacted_revisions_are_gone(self):
        self.ask("PUT", "/key/old", b"1", content_type="image/png")
        for number in range(5):
            self.ask("PUT", "/key/compacted", str(number).encode())
        revision = self.revision()
        etcdctl(self.port, "compact", str(revision))
        self.assertEqual(self.ask("GET", f"/key/compacted?rev={revision - 1}").status, 410)
        self.assertEqual(self.ask("GET", f"/key/compacted?rev={revision}").body, b"4")
        # What was put before is there still, type and all.
        for query in ("", f"?rev={revision}", "?level=stale"):
            answer = self.ask("GET", "/key/old" + query)
            self.assertEqual((answer.status, answer.headers.get("content-type"), answer.body), (200, "image/png", b"1"))
        self.assertEqual(self.ask("GET", "/riot?key=old").headers["content-type"], "image/png")
        self.assertEqual(self.ask("GET", "/key/old", accept="application/json").json["content_type"], "image/png")
        self.assertEqual(self.ask("GET", "/key/compacted?wait&index=1").status, 410)
        answer = self.ask("GET", "/key/compacted", accept="text/event-stream", Last_Event_ID="1")
        self.assertEqual((answer.status, answer.json["error"]), (410, "compacted"))

    def test_bodies_as_large_as_etcds_requests(self):
        key = "large"
        head = 1 + 1 + len(key) + 1 + 3
        for size, status in [(REQUEST_BYTES_MAX - head, 200), (REQUEST_BYTES_MAX - head + 1, 413)]:
            value = os.urandom(size)
            self.assertEqual(self.ask("PUT", f"/key/{key}", value).status, status, size)
            if status == 200:
                self.assertEqual(self.ask("GET", f"/key/{key}").body, value)
        revision = self.revision()
        for size in (REQUEST_BYTES_MAX + 1, 3 << 20, 8 << 20):
            answer = self.ask("PUT", f"/key/{key}", b"x" * size)
            self.assertEqual((answer.status, answer.json["error"]), (413, "too_large"))
        self.assertEqual(self.ask("POST", "/riot?key=a", b"x" * (2 << 20)).status, 413)
        self.assertEqual(self.ask("PUT", f"/key/{key}", iter([b"x" * 65536] * 40)).status, 413, "in chunks")
        self.assertEqual(self.revision(), revision)

    @unittest.skipUnless(CURL, "there is no curl")
    def test_expect_100_continue(self):
        directory = scratch("http-expect")
        for size, status in [(1 << 20, "200"), (5 << 20, "413")]:
            (directory / "body").write_bytes(os.urandom(size))
            for expect in ([], ["-H", "expect: 100-continue"]):
                begin = time.monotonic()
                _, output, errors = run_to_end(
                    [CURL, "-sv", "--expect100-timeout", "10", *expect, "-T", directory / "body", "-o",
                     directory / "answer", "-w", "%{http_code}", f"http://127.0.0.1:{self.port}/key/expected"]
                )
                self.assertEqual(output, status, errors)
                self.assertLess(time.monotonic() - begin, 5, "it did not wait for its own time limit")
                if status == "200" and expect:
                    self.assertIn("100 Continue", errors)
                if status == "413" and expect:
                    self.assertNotIn("100 Continue", errors)

    def test_ttl(self):
        answer = self.ask("PUT", "/key/short?ttl=2s", b"1", content_type="text/plain")
        lease = int(answer.headers["x-martlet-lease"])
        self.assertLess(lease, 1 << 53)
        self.assertEqual(self.ask("GET", "/key/short").headers["x-martlet-lease"], str(lease))
        self.assertTrue(eventually(lambda: self.ask("GET", "/key/short").status == 404))
        self.assertEqual(etcdctl(self.port, "get", "__martlet/http/note/short", "--prefix"), "")
        leases = lambda: etcdctl(self.port, "lease", "list").splitlines()[1:]
        self.assertNotIn(format(lease, "016x"), leases())

        # A put that is refused leaves no lease, nor does one that takes the key over, nor a delete.
        before = leases()
        self.assertEqual(self.ask("PUT", "/key/long?ttl=1h", b"1", If_Match="*").status, 412)
        self.assertEqual(self.ask("PUT", "/key/long?ttl=1h", b"1" * (2 << 20)).status, 413)
        self.assertEqual(leases(), before)
        first = self.ask("PUT", "/key/long?ttl=1h", b"1").headers["x-martlet-lease"]
        second = self.ask("PUT", "/key/long?ttl=3600", b"2").headers["x-martlet-lease"]
        self.assertNotEqual(first, second)
        self.assertTrue(eventually(lambda: leases() == before + [format(int(second), "016x")]), leases())
        self.assertEqual(self.ask("PUT", "/key/long", b"3").status, 200)
        self.assertTrue(eventually(lambda: leases() == before), leases())
        self.assertNotIn("x-martlet-lease", self.ask("GET", "/key/long").headers)
        self.assertEqual(self.ask("PUT", "/key/long?ttl=60m", b"4").status, 200)
        self.assertEqual(self.ask("DELETE", "/key/long").status, 200)
        self.assertTrue(eventually(lambda: leases() == before), leases())

        # Not one that others use, or that others granted.
        shared = self.ask("PUT", "/key/mine?ttl=1h", b"1").headers["x-martlet-lease"]
        etcdctl(self.port, "put", "--lease=" + format(int(shared), "x"), "theirs", "1")
        self.ask("PUT", "/key/mine", b"2")
        time.sleep(0.3)
        self.assertEqual(self.ask("GET", "/key/theirs").body, b"1")
        granted = etcdctl(self.port, "lease", "grant", "3600").split()[1]
        answer = self.ask("PUT", f"/key/mine?lease=0x{granted}", b"3")
        self.assertEqual(answer.headers["x-martlet-lease"], str(int(granted, 16)))
        self.assertEqual(self.ask("GET", "/key/mine", accept="application/json").json["lease"], str(int(granted, 16)))
        self.ask("PUT", "/key/mine", b"4")
        time.sleep(0.3)
        self.assertIn(granted, leases())
        self.assertEqual(self.ask("PUT", "/key/mine?lease=1", b"5").status, 404)
        revision = self.revision()
        for wrong in ("0", "-1", "x", "1d", "9000000001", "1e3", "0.0s", "", "+5", "-5s", "inf", "1s2"):
            self.assertEqual(self.ask("PUT", f"/key/mine?ttl={wrong}", b"6").status, 400, wrong)
        self.assertEqual(self.ask("PUT", "/key/mine?ttl=5&lease=1", b"6").status, 400)
        self.assertEqual(self.revision(), revision)

    def test_json(self):
        self.ask("PUT", "/key/json", 'ü"\n\\\x01'.encode(), content_type="text/plain")
        answer = self.ask("GET", "/key/json", accept="text/html, application/json;q=0.9")
        self.assertEqual(answer.headers["content-type"], "application/json")
        value = answer.json
        revision = int(answer.headers["etag"].strip('"'))
        self.assertEqual(
            value,
            {
                "key": "json", "key_encoding": "text", "value": 'ü"\n\\\x01', "value_encoding": "text",
                "content_type": "text/plain", "create_revision": revision, "mod_revision": revision, "version": 1,
            },
        )
        self.assertEqual(self.ask("GET", "/key/json", accept="*/*").headers["content-type"], "text/plain")
        refused = self.ask("GET", "/key/json", accept="application/json;q=0")
        self.assertEqual(refused.headers["content-type"], "text/plain")
        answer = self.ask("PUT", "/key/json", b"2", accept="application/json")
        self.assertEqual((answer.json["created"], answer.json["version"]), (False, 2))
        self.assertEqual(answer.json["create_revision"], revision)

    def test_methods_and_paths(self):
        for method in ("POST", "PATCH", "TRACE"):
            answer = self.ask(method, "/key/a", b"")
            self.assertEqual((answer.status, answer.headers["allow"]), (405, "GET, HEAD, PUT, DELETE"))
            self.assertEqual(set(answer.json), {"error", "message"})
        for path in ("/lease/grant", "/lease/revoke/1", "/lease/kv/a", "/lease/keepalive/1", "/lease/timetolive/1"):
            answer = self.ask("GET", path)
            self.assertEqual((answer.status, answer.headers["allow"]), (405, "POST"))
        for path in ("/keys", "/key", "/lease", "/lease/other", "/riot/other", "/lease/revoke"):
            self.assertEqual(self.ask("GET", path).status, 404, path)
        for path in ("/lease/revoke/x", "/lease/revoke/-1", "/lease/revoke/0", "/lease/revoke/", "/lease/revoke/1/2"):
            self.assertEqual(self.ask("POST", path).status, 400, path)
        self.assertEqual(self.ask("POST", "/lease/revoke/1").status, 404)
        self.assertEqual(self.ask("POST", "/lease/revoke/9223372036854775807").status, 404)
        self.assertEqual(self.ask("POST", "/lease/revoke/9223372036854775808").status, 400)

    def test_riots_errors(self):
        def riot(method, path, body=None):
            answer = self.ask(method, path, body)
            return answer.status, answer.json["errCode"], answer.json["msg"]

        self.assertEqual(riot("GET", "/riot?key=none"), (404, 40004, "not found"))
        self.assertEqual(riot("GET", "/riot"), (403, 40003, "invalid key"))
        self.assertEqual(riot("GET", "/riot?key="), (403, 40003, "invalid key"))
        self.assertEqual(riot("POST", "/riot?key=a", b""), (403, 40005, "Invalid Request"))
        self.assertEqual(riot("PATCH", "/riot?key=a", b"x"), (403, 40005, "Invalid Request"))
        self.assertEqual(riot("GET", "/riot?key=%zz"), (403, 40005, "Invalid Request"))
        self.assertEqual(riot("POST", "/riot?key=__martlet/x", b"1"), (403, 40003, "invalid key"))
        self.assertEqual(self.ask("POST", "/riot?key=a", b"1", content_type="text/plain").status, 200)
        self.assertEqual(self.ask("GET", "/key/a").headers["content-type"], "text/plain")
        self.assertEqual(etcdctl(self.port, "get", "a"), "a\n1\n")


class Waiting(OneMember):
    def later(self, *requests, seconds=0.3):
        def send():
            time.sleep(seconds)
            for method, path, body in requests:
                self.ask(method, path, body)

        thread = threading.Thread(target=send)
        thread.start()
        self.addCleanup(thread.join)

    def test_long_polls(self):
        first = self.ask("PUT", "/key/poll", b"1").revision
        self.ask("PUT", "/key/poll", b"2")
        past = self.ask("GET", f"/key/poll?wait&index={first}")
        self.assertEqual((past.status, past.body, past.headers["x-martlet-event"]), (200, b"2", "put"))
        self.later(("PUT", "/key/other", b"x"), ("PUT", "/key/poll", b"3"), ("PUT", "/key/poll", b"4"))
        self.assertEqual(self.ask("GET", f"/key/poll?wait&index={past.revision}").body, b"3")
        time.sleep(0.2)
        self.later(("DELETE", "/key/poll", None))
        gone = self.ask("GET", "/key/poll?wait&timeout=10s")
        self.assertEqual((gone.status, gone.headers["x-martlet-event"]), (404, "delete"))
        begin = time.monotonic()
        nothing = self.ask("GET", f"/key/poll?wait&index={gone.revision}&timeout=500ms")
        self.assertEqual((nothing.status, nothing.body, nothing.revision), (204, b"", gone.revision))
        self.assertGreater(time.monotonic() - begin, 0.45)
        etcdctl(self.port, "txn", input=b"\nput poll/a 1\nput poll/b 2\ndel nothing\n\n\n")
        both = self.ask("GET", f"/key/poll?wait&prefix&index={gone.revision}").json
        told = [(event["type"], event["key"]) for event in both["events"]]
        self.assertEqual(told, [("put", "poll/a"), ("put", "poll/b")])
        self.assertEqual(both["revision"], gone.revision + 1)
        future = self.ask("GET", f"/key/poll?wait&index={gone.revision + 1000}&timeout=100ms")
        self.assertEqual(future.status, 204)

    def test_no_event_is_missed_between_polls(self):
        revision = self.revision()
        done = threading.Event()

        def write():
            for number in range(300):
                self.ask("PUT", "/key/gapless", str(number).encode())
            done.set()

        threading.Thread(target=write).start()
        seen = []
        while len(seen) < 300:
            answer = self.ask("GET", f"/key/gapless?wait&index={revision}&timeout=10s")
            self.assertEqual(answer.status, 200)
            seen.append(int(answer.body))
            revision = answer.revision
        self.assertEqual(seen, list(range(300)))
        self.assertTrue(done.wait(10))

    def test_event_streams(self):
        stream = EventStream(self.port, "/key/sse/?prefix")
        self.addCleanup(stream.close)
        self.assertEqual(stream.answer.status, 200)
        self.assertEqual(stream.answer.headers["content-type"], "text/event-stream")
        first = self.ask("PUT", "/key/sse/a", b"1").revision
        etcdctl(self.port, "put", "sse/b", "2")
        self.ask("PUT", "/key/ssf", b"")
        self.ask("DELETE", "/key/sse/a")
        events = [stream.next() for _ in range(3)]
        told = [(kind, data["key"]) for kind, _, data in events]
        self.assertEqual(told, [("put", "sse/a"), ("put", "sse/b"), ("delete", "sse/a")])
        self.assertEqual([id for _, id, _ in events], [first, first + 1, first + 3])
        self.assertEqual(stream.retry, 2000)
        # Broken off, and again from where it was.
        again = EventStream(self.port, "/key/sse/?prefix", Last_Event_ID=str(first))
        self.addCleanup(again.close)
        self.assertEqual([again.next()[1] for _ in range(2)], [first + 1, first + 3])
        by_index = EventStream(self.port, f"/key/sse/b?index={first - 1}")
        self.addCleanup(by_index.close)
        self.assertEqual(by_index.next()[2]["value"], "2")
        for wrong in ({"Last_Event_ID": "x"}, {"Last_Event_ID": "-1"}):
            self.assertEqual(self.ask("GET", "/key/sse", accept="text/event-stream", **wrong).status, 400)
        self.assertEqual(self.ask("GET", "/key/sse?limit=1", accept="text/event-stream").status, 400)

    @unittest.skipUnless(CURL, "there is no curl")
    def test_events_as_a_stream_over_http2(self):
        url = f"http://127.0.0.1:{self.port}/key/sse2"
        curl = subprocess.Popen(
            [CURL, "-s", "-N", "-i", "-m", "20", "--http2-prior-knowledge", "-H", "accept: text/event-stream", url],
            stdout=subprocess.PIPE, text=True)
        self.addCleanup(curl.stdout.close)
        self.addCleanup(curl.wait)
        self.addCleanup(curl.kill)
        self.assertEqual(curl.stdout.readline().strip(), "HTTP/2 200")
        while not curl.stdout.readline().startswith("id:"):
            pass
        for number in range(3):
            self.ask("PUT", "/key/sse2", str(number).encode())
            line = curl.stdout.readline()
            while not line.startswith("data:"):
                line = curl.stdout.readline()
            self.assertEqual(json.loads(line.removeprefix("data:"))["value"], str(number))

    def test_a_revision_of_many_events_has_one_id(self):
        stream = EventStream(self.port, "/key/many/?prefix")
        self.addCleanup(stream.close)
        before = self.ask("PUT", "/key/many/0", b"").revision
        puts = "".join(f"put many/{number} x\n" for number in range(1, 5))
        etcdctl(self.port, "txn", input=f"\n{puts}\n\n".encode())
        ids = [stream.next()[1] for _ in range(5)]
        self.assertEqual(ids, [before, before, before, before, before + 1])

    def test_what_one_writes_the_other_watches(self):
        watch = subprocess.Popen(
            [ETCD_DIRECTORY / "etcdctl", f"--endpoints=127.0.0.1:{self.port}", "watch", "both", "--prefix"],
            stdout=subprocess.PIPE, env=environment(),
        )
        self.addCleanup(watch.stdout.close)
        self.addCleanup(watch.wait)
        self.addCleanup(watch.kill)
        time.sleep(0.5)
        self.ask("PUT", "/key/both/a", b"http", content_type="text/plain")
        self.ask("POST", "/riot?key=both/b", b"riot")
        self.ask("DELETE", "/key/both/a")
        lines = [watch.stdout.readline().decode().strip() for _ in range(8)]
        self.assertEqual(lines, ["PUT", "both/a", "http", "PUT", "both/b", "riot", "DELETE", "both/a"])

    def test_clients_that_go_away_leave_nothing(self):
        streams = [EventStream(self.port, "/key/away/?prefix") for _ in range(50)]
        sockets = []
        for _ in range(50):
            connection = socket.create_connection(("127.0.0.1", self.port))
            connection.sendall(b"GET /key/away?wait HTTP/1.1\r\nhost: x\r\n\r\n")
            sockets.append(connection)
        def count():
            text = self.ask("GET", "/metrics").body.decode()
            return int(re.search(r"(?m)^martlet_http_watches (\d+)", text).group(1))

        self.assertTrue(eventually(lambda: count() == 100), count())
        for stream in streams:
            stream.close()
        for connection in sockets:
            connection.close()
        self.assertTrue(eventually(lambda: count() == 0), count())

    def test_a_member_that_stops_ends_them(self):
        member = Member(MARTLET, "http", scratch("http-stopping")).start()
        stream = EventStream(member.client_port, "/key/a")
        self.addCleanup(stream.close)
        answers = []
        poll = threading.Thread(target=lambda: answers.append(ask(member.client_port, "GET", "/key/a?wait")))
        poll.start()
        time.sleep(0.5)
        code, seconds = member.stop()
        poll.join(5)
        self.assertEqual(code, 0)
        self.assertLess(seconds, 5)
        self.assertEqual([(answer.status, answer.json["error"]) for answer in answers], [(503, "stopped")])
        with self.assertRaises(EOFError):
            stream.next()

    def test_a_reader_that_does_not_read(self):
        writes, bytes_each = 600, 200_000
        letter = lambda number: bytes([65 + number % 26])
        put = lambda number: self.ask("PUT", "/key/slow", letter(number) * bytes_each)
        for number in range(writes):  # what the store itself needs for as much, which is 120 MB
            put(number)
        before = self.member.own_bytes()
        with socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.connect(("127.0.0.1", self.port))
            slow.sendall(b"GET /key/slow?prefix HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n\r\n")
            time.sleep(0.3)
            first = put(0).revision
            for number in range(1, writes):
                self.assertEqual(put(number).revision, first + number)
            self.assertLess(self.member.own_bytes() - before, 64 << 20)
            slow.settimeout(20)
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            # All of them, in their order: none left out, none twice. One is held at a time.
            heard = 0
            for event in self.events_of_chunks(slow):
                revision = first + heard
                wanted = (
                    b'event: put\nid: %d\ndata: {"type":"put","key":"slow","key_encoding":"text",' % revision,
                    b'"value":"' + letter(heard) * bytes_each + b'",',
                    b'"mod_revision":%d,' % revision,
                )
                self.assertTrue(event.startswith(wanted[0]), (heard, event[:200]))
                for part in wanted[1:]:
                    self.assertEqual(event.count(part), 1, (heard, event[:200], event[-200:]))
                heard += 1
                if heard == writes:
                    # Nothing came twice: what comes next is what is written now.
                    self.assertEqual(put(writes).revision, first + writes)
                if heard > writes:
                    break
            self.assertEqual(heard, writes + 1)
            self.assertLess(self.member.own_bytes() - before, 64 << 20)

    def events_of_chunks(self, connection):
        """The events with data of a stream on a socket, as their bytes; what comes is not kept."""
        text = b""
        while b"\r\n\r\n" not in text:
            text += connection.recv(65536)
        head, _, raw = text.partition(b"\r\n\r\n")
        self.assertIn(b"transfer-encoding: chunked", head.lower())
        raw = bytearray(raw)
        body = bytearray()
        missing = 0  # of the chunk that is being read, its end of line included
        searched = 0  # of the body, for an event's end
        while True:
            while raw:
                if missing == 0:
                    line, end, rest = raw.partition(b"\r\n")
                    if not end:
                        break
                    missing = int(line, 16) + 2
                    self.assertGreater(missing, 2, "the stream has ended")
                    raw = rest
                part = raw[:missing]
                del raw[: len(part)]
                body += part[: max(0, missing - 2)]
                missing -= len(part)
            while (end := body.find(b"\n\n", searched)) >= 0:
                event = bytes(body[:end])
                del body[: end + 2]
                searched = 0
                if b"data:" in event:
                    yield event
            searched = max(0, len(body) - 1)
            part = connection.recv(1 << 20)
            self.assertTrue(part, "it was cut off")
            raw += part


class WithoutALeader(unittest.TestCase):
    def test_stale_reads_work_and_the_rest_says_when_to_come_back(self):
        cluster = Cluster(MARTLET, "http-leaderless").start().wait_ready()
        self.addCleanup(cluster.kill)
        port = cluster.members[0].client_port
        self.assertEqual(ask(port, "PUT", "/key/kept", b"1", content_type="text/plain").status, 200)
        self.assertEqual(ask(port, "POST", "/riot/bucket", b"kept").status, 200)
        self.assertEqual(ask(port, "POST", "/riot/bucket/kept/key/a", b"1").status, 200)
        for member in cluster.members[1:]:
            member.kill()
        self.assertTrue(eventually(lambda: ask(port, "GET", "/key/kept").status in (503, 504), 20))
        self.assertTrue(eventually(lambda: ask(port, "GET", "/key/kept").status == 503, 20))
        stale = ask(port, "GET", "/key/kept?level=stale")
        self.assertEqual((stale.status, stale.body, stale.headers["content-type"]), (200, b"1", "text/plain"))
        self.assertEqual(ask(port, "GET", "/key/?prefix&level=stale").json["keys"][0]["key"], "kept")
        self.assertEqual(ask(port, "POST", "/lease/kv/x?level=stale", "prefix=/a").json, [])
        self.assertEqual(ask(port, "GET", "/riot?key=kept&qs=0").body, b"1")
        self.assertEqual(ask(port, "GET", "/riot/bucket/kept/key/a?qs=0").json, {"data": "1", "ret": 0})
        self.assertEqual(ask(port, "GET", "/riot/bucket/kept?qs=0").json["data"]["KeyN"], 1)
        self.assertEqual(ask(port, "GET", "/riot/admin/snapshot").json, {"data": 1, "ret": 0})
        states = lambda: ask(port, "GET", "/riot/admin/states").json["data"]
        self.assertTrue(eventually(lambda: sum("[Silent]" in state for state in states()) == 2), states())
        buckets = [
            ("POST", "/riot/bucket", b"other"), ("GET", "/riot/bucket/kept", None),
            ("DELETE", "/riot/bucket/kept", None), ("POST", "/riot/bucket/kept/key/a", b"2"),
            ("GET", "/riot/bucket/kept/key/a?qs=1", None),
            ("GET", "/riot/bucket/kept/key/a", None), ("DELETE", "/riot/bucket/kept/key/a", None),
            ("GET", "/riot/admin/leader", None), ("POST", "/riot/admin/remove", b'{"ip":"127.0.0.1","port":"%d"}' % (
                cluster.members[1].peer_port)),
            ("GET", "/riot/bucket/kept?redirect", None),
        ]
        for method, path, body in buckets:
            self.assertEqual(ask(port, method, path, body).json["ret"], 1, f"{method} {path}")
        for method, path, body in buckets + [
            ("GET", "/key/kept", None), ("GET", "/key/kept?level=consistent", None), ("GET", "/key/?prefix", None),
            ("GET", "/key/kept?redirect", None), ("GET", "/key/kept?wait", None), ("PUT", "/key/kept", b"2"),
            ("PUT", "/key/kept?ttl=5", b"2"), ("DELETE", "/key/kept", None), ("DELETE", "/key/k?prefix", None),
            ("POST", "/lease/grant?ttl=5&name=a", None), ("POST", "/lease/revoke/1", None),
            ("POST", "/lease/timetolive/1", None), ("POST", "/lease/keepalive/1", "key=a&data=1"),
            ("POST", "/lease/kv/a", "prefix=a"), ("GET", "/riot?key=kept", None), ("POST", "/riot?key=kept", b"2"),
        ]:
            begin = time.monotonic()
            answer = ask(port, method, path, body)
            self.assertEqual((answer.status, answer.headers.get("retry-after")), (503, "1"), f"{method} {path}")
            self.assertLess(time.monotonic() - begin, 1)
        for member in cluster.members[1:]:
            member.start(wait=False)
        self.assertTrue(eventually(lambda: ask(port, "GET", "/key/kept").status == 200, 20))
        self.assertEqual(ask(port, "GET", "/key/kept").body, b"1")
        self.assertEqual(ask(port, "GET", "/riot/bucket/kept/key/a").json["data"], "1")


class Buckets(OneMember):
    """Riot's buckets beside etcdctl, and what is refused there."""

    def bucket(self, name):
        self.assertEqual(self.ask("POST", "/riot/bucket", name.encode()).json, {"ret": 0})
        return "/riot/bucket/" + urllib.parse.quote(name, safe="")

    def test_another_program_watches_and_reads_them(self):
        watch = subprocess.Popen(
            [ETCD_DIRECTORY / "etcdctl", f"--endpoints=127.0.0.1:{self.port}", "watch", "__martlet/riot/", "--prefix",
             "-w", "json"],
            stdout=subprocess.PIPE, env=environment(),
        )
        self.addCleanup(watch.stdout.close)
        self.addCleanup(watch.wait)
        self.addCleanup(watch.kill)
        time.sleep(0.5)
        bucket = self.bucket("watched")
        for key in ("a", "b/c", "ü"):
            answer = self.ask("POST", f"{bucket}/key/{urllib.parse.quote(key)}", key.encode())
            self.assertEqual(answer.json, {"ret": 0})
        revision = answer.revision
        other = self.bucket("watched2")
        self.assertEqual(self.ask("POST", f"{other}/key/a", b"kept").status, 200)
        dropped = self.ask("DELETE", bucket)
        self.assertEqual(dropped.json, {"ret": 0})
        self.assertEqual(dropped.revision, revision + 3)

        def events():
            for event in json.loads(watch.stdout.readline())["Events"]:
                pair = event["kv"]
                kind = "DELETE" if event.get("type") in (1, "DELETE") else "PUT"
                value = base64.b64decode(pair.get("value", ""))
                yield kind, base64.b64decode(pair["key"]).decode(), value, pair["mod_revision"]

        heard = []
        while len(heard) < 10:
            heard += events()
        place, keys = "__martlet/riot/bucket/watched", "__martlet/riot/key/watched/"
        self.assertEqual([event[:3] for event in heard], [
            ("PUT", place, b""), ("PUT", keys + "a", b"a"), ("PUT", keys + "b/c", b"b/c"),
            ("PUT", keys + "ü", "ü".encode()), ("PUT", "__martlet/riot/bucket/watched2", b""),
            ("PUT", "__martlet/riot/key/watched2/a", b"kept"), ("DELETE", place, b""), ("DELETE", keys + "a", b""),
            ("DELETE", keys + "b/c", b""), ("DELETE", keys + "ü", b""),
        ])
        self.assertEqual({event[3] for event in heard[6:]}, {dropped.revision}, "the bucket goes at one revision")
        self.assertEqual(self.ask("GET", f"{other}/key/a").json, {"data": "kept", "ret": 0})
        self.assertEqual(self.ask("GET", "/key/__martlet/riot/key/watched2/a").body, b"kept")
        listed = self.ask("GET", "/key/?prefix&keys").json["keys"]
        self.assertFalse([key for key in listed if key["key"].startswith("__martlet/")])
        # What etcdctl writes there is in the bucket; without its first key the bucket is gone.
        etcdctl(self.port, "put", "__martlet/riot/key/watched2/b", "by etcdctl")
        self.assertEqual(self.ask("GET", f"{other}/key/b").json["data"], "by etcdctl")
        self.assertEqual(self.ask("GET", other).json["data"]["KeyN"], 2)
        etcdctl(self.port, "del", "__martlet/riot/bucket/watched2")
        for answer in (
            self.ask("GET", f"{other}/key/b"), self.ask("GET", other), self.ask("POST", f"{other}/key/c", b"1"),
        ):
            self.assertEqual((answer.status, answer.json["ret"]), (404, 4))
            self.assertIn("no such bucket", answer.json["msg"])

    def test_names(self):
        for name in ("a", "ü", "a b", "%", "a|b", "key", "...", "x" * 255):
            bucket = self.bucket(name)
            self.assertEqual(self.ask("POST", f"{bucket}/key/k", name.encode()).json, {"ret": 0}, name)
            self.assertEqual(self.ask("GET", f"{bucket}/key/k").json, {"data": name, "ret": 0})
            self.assertEqual(self.ask("DELETE", bucket).json, {"ret": 0})
            self.assertEqual(self.ask("GET", f"{bucket}/key/k").status, 404)
        revision = self.revision()
        slashes = [b"/", b"a/b", b"a/", b"/a"]
        for name in [b"", *slashes, b"a\n", b"\0", b"\x7f", b".", b"..", b"x" * 256, b"\xff", b"x" * 70_000]:
            answer = self.ask("POST", "/riot/bucket", name)
            self.assertEqual((answer.status, answer.json["ret"]), (403, 2), name[:20])
            self.assertEqual(list(answer.json), ["msg", "ret"])
            if name and len(name) < 1000 and name not in (b".", b".."):
                path = "/riot/bucket/" + urllib.parse.quote(name, safe="")
                for method, where in (("GET", ""), ("DELETE", ""), ("POST", "/key/k"), ("GET", "/key/k")):
                    answer = self.ask(method, path + where, b"1" if method == "POST" else None)
                    self.assertEqual((answer.status, answer.json["ret"]), (403, 2), (method, path, where))
        self.assertEqual(self.ask("POST", "/riot/bucket", b"x" * (2 << 20)).status, 413)
        self.assertEqual(self.revision(), revision)

    def test_keys_and_values(self):
        bucket = self.bucket("values")
        for key in (bytes(range(256)), b"a/b//c", b"/", b"key/key", b"?#%", b"x" * 4000):
            path = f"{bucket}/key/" + urllib.parse.quote(key, safe="")
            value = os.urandom(1000) + b"\xff"
            self.assertEqual(self.ask("POST", path, value).json, {"ret": 0})
            answer = self.ask("GET", path).json
            self.assertEqual(list(answer), ["data", "data_encoding", "ret"])
            self.assertEqual((base64.b64decode(answer["data"]), answer["data_encoding"]), (value, "base64"))
            for value in (b"", b"1024", bytes(range(128)), "😀\n\"".encode()):
                self.assertEqual(self.ask("POST", path, value, content_type="image/png").json, {"ret": 0})
                answer = self.ask("GET", path)
                self.assertEqual(answer.json, {"data": value.decode(), "ret": 0})
                self.assertEqual(answer.headers["content-type"], "application/json")
            self.assertEqual(self.ask("DELETE", path).json, {"ret": 0})
            self.assertEqual(self.ask("GET", path).status, 404)
        self.assertEqual(self.ask("POST", f"{bucket}/key/a%2Fb", b"1").status, 200)
        self.assertEqual(self.ask("GET", f"{bucket}/key/a/b").json["data"], "1", "a slash is a slash")
        # As large as etcd's requests: the key as it is laid out, and the value.
        head = 1 + 1 + len("__martlet/riot/key/values/large") + 1 + 3
        for size, status in [(REQUEST_BYTES_MAX - head, 200), (REQUEST_BYTES_MAX - head + 1, 413), (3 << 20, 413)]:
            answer = self.ask("POST", f"{bucket}/key/large", b"x" * size)
            self.assertEqual((answer.status, answer.json["ret"]), (status, 0 if status == 200 else 2), size)
        self.assertEqual(len(self.ask("GET", f"{bucket}/key/large").json["data"]), REQUEST_BYTES_MAX - head)

    def test_what_is_wrong_is_refused(self):
        bucket = self.bucket("wrong")
        revision = self.revision()
        for method, path, status, ret in [
            ("GET", f"{bucket}/key/a?qs=2", 403, 2), ("GET", f"{bucket}/key/a?qs=true", 403, 2),
            ("GET", f"{bucket}/key/a?qs=", 403, 2), ("GET", f"{bucket}?qs=x", 403, 2),
            ("POST", f"{bucket}/key/a?qs=2", 403, 2), ("GET", f"{bucket}/key/a?qs=0&qs=1", 403, 2),
            ("GET", f"{bucket}/key/", 403, 2), ("POST", f"{bucket}/key/", 403, 2), ("POST", f"{bucket}/key/%", 403, 2),
            ("GET", f"{bucket}/", 404, 4), ("GET", f"{bucket}/keys/a", 404, 4), ("GET", f"{bucket}/key", 404, 4),
            ("DELETE", f"{bucket}/nothing/a", 404, 4), ("GET", "/riot/bucket/%zz", 403, 2),
            ("GET", f"{bucket}/key/none", 404, 4), ("GET", "/riot/bucket/none", 404, 4),
            ("POST", "/riot/bucket/none/key/a", 404, 4), ("GET", "/riot/bucket/none/key/a", 404, 4),
        ]:
            answer = self.ask(method, path, b"1" if method == "POST" else None)
            self.assertEqual((answer.status, answer.json["ret"]), (status, ret), f"{method} {path}")
            self.assertTrue(answer.json["msg"])
        for method, path, allowed in [
            ("GET", "/riot/bucket", "POST"), ("DELETE", "/riot/bucket/", "POST"), ("POST", bucket, "GET, DELETE"),
            ("PUT", bucket, "GET, POST, DELETE"), ("PUT", f"{bucket}/key/a", "GET, POST, DELETE"),
            ("PATCH", "/riot/bucket", "POST"), ("POST", "/riot/admin/leader", "GET"),
            ("POST", "/riot/admin/peers", "GET"), ("POST", "/riot/admin/states", "GET"),
            ("POST", "/riot/admin/snapshot", "GET"),
            ("DELETE", "/riot/admin/remove", "POST"),
        ]:
            answer = self.ask(method, path, b"x")
            self.assertEqual((answer.status, answer.json["ret"]), (403, 2), f"{method} {path}")
            self.assertEqual(answer.headers["allow"], allowed, f"{method} {path}")
        self.assertEqual(self.revision(), revision)
        self.assertEqual(self.ask("POST", "/riot/bucket/", b"slash").json, {"ret": 0})
        self.assertEqual(self.ask("GET", "/riot/bucket/slash").status, 200)

    def test_nothing_is_left_of_a_bucket_that_goes_while_it_is_written_to(self):
        bucket = self.bucket("race")
        over = threading.Event()
        refused, failed = [], []

        def write(number):
            count = 0
            while not over.is_set():
                answer = self.ask("POST", f"{bucket}/key/{number}-{count % 50}", b"1")
                count += 1
                if answer.status == 404:
                    refused.append(count)
                elif answer.status != 200:
                    failed.append(answer)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        gone = []
        for _ in range(30):
            time.sleep(0.02)
            gone.append(self.ask("DELETE", bucket))
            keys = etcdctl(self.port, "get", "__martlet/riot/key/race/", "--prefix", "--keys-only")
            self.assertEqual(keys, "", "the bucket is gone, and nobody makes it anew")
            self.assertEqual(self.ask("POST", "/riot/bucket", b"race").status, 200)
        over.set()
        for thread in threads:
            thread.join()
        self.assertEqual(failed, [])
        self.assertEqual({answer.status for answer in gone}, {200})
        self.assertTrue(refused, "some came while there was no bucket")

    def test_a_large_bucket(self):
        """Deleted up to its limit, counted beyond it; and others have their turn meanwhile."""
        bucket, limit = self.bucket("large"), 100_000

        def fill(start, end):
            def pairs(first):
                names = (b"%06d" % number for number in range(first, min(first + 100, end)))
                return [b"__martlet/riot/key/large/" + name for name in names]

            for first in range(start, end, 100):
                keys = (base64.b64encode(key).decode() for key in pairs(first))
                puts = [{"request_put": {"key": key, "value": "dmFsdWU="}} for key in keys]
                answer = self.ask("POST", "/v3/kv/txn", json.dumps({"success": puts}))
                self.assertEqual(answer.status, 200, answer)

        fill(0, limit + 1)
        self.assertEqual(self.ask("GET", bucket).json["data"], {
            "BucketN": 1, "KeyN": limit + 1, "LeafInuse": (limit + 1) * 11,
        })
        revision = self.revision()
        answer = self.ask("DELETE", bucket)
        self.assertEqual((answer.status, answer.json["ret"]), (403, 2))
        self.assertIn("more than 100000 keys", answer.json["msg"])
        self.assertIn("__martlet/riot/key/large/", answer.json["msg"])
        self.assertEqual(self.revision(), revision)
        self.assertEqual(self.ask("DELETE", f"{bucket}/key/000000").status, 200)
        answer = self.ask("DELETE", bucket)
        self.assertEqual((answer.status, answer.json), (200, {"ret": 0}))
        self.assertEqual(answer.revision, revision + 2)
        self.assertEqual(etcdctl(self.port, "get", "__martlet/riot/", "--prefix", "--count-only", "-w", "fields").count(
            '"Count" : 0'), 1)

    def test_a_full_member(self):
        member = Member(
            MARTLET, "full", scratch("http-buckets-full"), extra=[f"--quota-backend-bytes={16 << 20}"]
        ).start()
        self.addCleanup(member.kill)
        port = member.client_port
        self.assertEqual(ask(port, "POST", "/riot/bucket", b"full").status, 200)
        for number in range(100):
            answer = ask(port, "POST", f"/riot/bucket/full/key/{number}", b"x" * (1 << 20))
            if answer.status != 200:
                break
        self.assertEqual((answer.status, answer.json["ret"]), (507, 1))
        for path, body in (("/riot/bucket", b"another"), ("/riot/bucket/full/key/small", b"1")):
            answer = ask(port, "POST", path, body)
            self.assertEqual((answer.status, answer.json["ret"]), (507, 1), path)
            self.assertIn("quota", answer.json["msg"])
        self.assertEqual(ask(port, "GET", "/riot/bucket/full/key/0").status, 200)
        self.assertEqual(ask(port, "DELETE", "/riot/bucket/full/key/0").status, 200)
        self.assertEqual(ask(port, "DELETE", "/riot/bucket/full").status, 200, "what makes room is let through")
        self.assertEqual(ask(port, "GET", "/riot/bucket/full").status, 404)

    def test_they_outlive_their_members(self):
        member = Member(MARTLET, "again", scratch("http-buckets-again")).start()
        self.addCleanup(member.kill)
        self.assertEqual(ask(member.client_port, "POST", "/riot/bucket", b"empty").status, 200)
        self.assertEqual(ask(member.client_port, "POST", "/riot/bucket", b"b").status, 200)
        self.assertEqual(ask(member.client_port, "POST", "/riot/bucket/b/key/k", b"1").status, 200)
        for end in (member.kill, member.stop):
            self.assertEqual(ask(member.client_port, "GET", "/riot/admin/snapshot").json, {"data": 1, "ret": 0})
            end()
            member.start()
            self.assertEqual(ask(member.client_port, "GET", "/riot/bucket/b/key/k?qs=0").json["data"], "1")
            self.assertEqual(ask(member.client_port, "GET", "/riot/bucket/empty").json["data"]["KeyN"], 0)


class Abuse(OneMember):
    """Clients that are slow, many or loud: each gets a clear answer within limits, and nobody else notices."""

    def tearDown(self):
        self.assertEqual(self.ask("PUT", "/key/well", b"1").status, 200)
        self.assertTrue(self.member.is_running)

    def raw(self, text, seconds=10):
        answer = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as connection:
            try:
                connection.sendall(text)
                while part := connection.recv(65536):
                    answer += part
            except (ConnectionResetError, BrokenPipeError):
                pass  # what came before counts
        return answer

    def test_floods_of_headers(self):
        before = self.member.resident_bytes()
        many = b"".join(b"x-%d: 1\r\n" % number for number in range(500))
        self.assertIn(b" 431 ", self.raw(b"GET /key/a HTTP/1.1\r\nhost: x\r\n" + many + b"\r\n")[:40])
        large = b"x: " + b"a" * 20_000
        self.assertIn(b" 431 ", self.raw(b"GET /key/a HTTP/1.1\r\nhost: x\r\n" + large + b"\r\n\r\n")[:40])
        path = b"/key/" + b"a" * (1 << 20)
        answer = self.raw(b"GET " + path + b" HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        self.assertRegex(answer[:40], rb"^HTTP/1.1 (431|414|404|400) |^$")
        endless = threading.Event()

        def flood():
            with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
                try:
                    connection.sendall(b"GET /key/")
                    for _ in range(2000):
                        connection.sendall(b"a" * 65536)
                except OSError:
                    endless.set()

        threads = [threading.Thread(target=flood) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertTrue(endless.is_set(), "a target without an end is cut off")
        self.assertLess(self.member.resident_bytes() - before, 64 << 20)

    def test_thousands_of_idle_connections(self):
        before = self.member.resident_bytes()
        connections = []
        for _ in range(2000):
            connection = socket.create_connection(("127.0.0.1", self.port), timeout=10)
            connection.sendall(b"PUT /key/slow HTTP/1.1\r\nhost: x\r\ncontent-le")  # and then nothing
            connections.append(connection)
        self.assertEqual(self.ask("PUT", "/key/well", b"1").status, 200)
        self.assertLess(self.member.resident_bytes() - before, 160 << 20)
        for connection in connections:
            connection.close()

    def test_a_body_that_never_ends(self):
        """The head is whole, the body drips: it is refused by its time, and counts as nothing meanwhile."""
        revision = self.revision()
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=80)
        connection.sendall(b"PUT /key/drip HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n")
        begin = time.monotonic()
        closed = False
        while time.monotonic() - begin < 75:
            try:
                connection.sendall(b"a")
                connection.settimeout(5)
                if connection.recv(1000) == b"":
                    closed = True
                    break
            except TimeoutError:
                continue
            except OSError:
                closed = True
                break
        connection.close()
        self.assertTrue(closed, "it is cut off after a minute")
        self.assertEqual(self.ask("GET", "/key/drip").status, 404)
        self.assertEqual(self.revision(), revision)

    def test_requests_that_are_none(self):
        revision = self.revision()
        for text in (
            b"PUT /key/a HTTP/1.1\r\n\r\n", b"PUT /key/a HTTP/9.9\r\n\r\n", b"\x00" * 1000, b"PUT  HTTP/1.1\r\n\r\n",
            b"PUT /key/a HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
            b"PUT /key/a HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            b"PUT /key/a HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            b"PUT /key/a HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999\r\n\r\n",
        ):
            with socket.create_connection(("127.0.0.1", self.port), timeout=3) as connection:
                connection.sendall(text)
                connection.shutdown(socket.SHUT_WR)
                try:
                    answer = b"".join(iter(lambda: connection.recv(65536), b""))
                except (ConnectionResetError, TimeoutError):
                    answer = b""
            if text.startswith(b"PUT /key/a HTTP/1.1\r\n\r\n"):
                continue  # whole, though without a host: an empty value
            self.assertNotIn(b" 200 ", answer[:20], text)
        self.assertLessEqual(self.revision(), revision + 1)


@unittest.skipUnless(SCHEMATHESIS.exists(), "schemathesis is not installed (scripts/setup clients)")
class OpenAPI(OneMember):
    HOOKS = '''
import schemathesis

@schemathesis.hook
def before_call(context, case, **kwargs):
    # A wait for what nobody does takes as long as it may.
    if case.query and "wait" in case.query:
        case.query["timeout"] = "1ms"
'''
    # Conditions that do not hold and parameters that exclude each other are valid by the schema, and refused; other
    # methods are answered in Riot's words there. There are no instances of a service that cannot be.
    CONFIGURATION = """
[[operations]]
include-tag = "keys"
checks.positive_data_acceptance.enabled = false

[[operations]]
include-tag = "services"
checks.positive_data_acceptance.enabled = false
checks.negative_data_rejection.enabled = false

[[operations]]
include-tag = "riot"
checks.unsupported_method.enabled = false
"""

    def test_the_server_does_what_the_file_says(self):
        directory = scratch("schemathesis")
        (directory / "hooks.py").write_text(self.HOOKS)
        (directory / "schemathesis.toml").write_text(self.CONFIGURATION)
        clean = environment()
        clean.update(SCHEMATHESIS_HOOKS="hooks", PYTHONPATH=str(directory), NO_COLOR="1")
        done = subprocess.run(
            [SCHEMATHESIS, "run", f"http://127.0.0.1:{self.port}/openapi.json", "--phases", "examples,coverage,fuzzing",
             "-n", os.environ.get("EXAMPLES", "60"), "--seed", os.environ.get("SEED", "1"), "--request-timeout", "10",
             # What is said of members is not for random requests: some of them would be heeded (http_admin.py).
             "--continue-on-failure", "--warnings", "off", "--exclude-path-regex",
             "^/(admin|cluster|join)"],
            cwd=directory, env=clean, capture_output=True, timeout=600,
        )
        self.assertEqual(done.returncode, 0, done.stdout.decode()[-6000:])
        self.assertTrue(self.member.is_running)

    def test_the_file_describes_every_route(self):
        description = self.ask("GET", "/openapi.json").json
        self.assertEqual(description["openapi"], "3.0.3")
        self.assertTrue(
            {"/key/{key}", "/lease/grant", "/lease/keepalive/{id}", "/lease/kv/{key}", "/lease/revoke/{id}",
             "/lease/timetolive/{id}", "/riot", "/riot/key/{key}", "/riot/bucket", "/riot/bucket/{bucket}",
             "/riot/bucket/{bucket}/key/{key}", "/riot/admin/leader", "/riot/admin/peers", "/riot/admin/states",
             "/riot/admin/snapshot", "/riot/admin/remove"} <= set(description["paths"])
        )


if __name__ == "__main__":
    unittest.main()
