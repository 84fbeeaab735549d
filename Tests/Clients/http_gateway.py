"""The JSON gateway: beside etcd 3.5.1, through etcd3gw, and as it goes over a socket."""

import base64
import http.client
import json
import shutil
import socket
import subprocess
import sys
import time
import unittest

from support.processes import ETCD, MARTLET, ROOT, Member, run_to_end, scratch

sys.path.insert(0, str(ROOT / ".tools/python"))
try:
    import etcd3gw
except ImportError:
    etcd3gw = None


def b64(text):
    return base64.b64encode(text.encode()).decode()


A, B, Z = b64("a"), b64("b"), b64("\0")

# Each is (path, body); they are sent one after the other to a fresh member of either kind.
SAME = [
    ("/v3/kv/range", {"key": A}),
    ("/v3/kv/put", {"key": A, "value": b64("1")}),
    ("/v3/kv/put", {"key": A, "value": b64("2"), "prev_kv": True}),
    ("/v3/kv/put", {"key": B, "value": b64("3"), "prevKv": True}),
    ("/v3/kv/put", {"key": b64("ab"), "value": ""}),
    ("/v3/kv/range", {"key": A}),
    ("/v3/kv/range", {"key": A, "range_end": b64("c")}),
    ("/v3/kv/range", {"key": A, "rangeEnd": b64("c"), "limit": "2"}),
    ("/v3/kv/range", {"key": A, "range_end": b64("c"), "limit": 1, "keys_only": True}),
    ("/v3/kv/range", {"key": A, "range_end": b64("c"), "count_only": True}),
    ("/v3/kv/range", {"key": A, "range_end": b64("c"), "sort_order": "DESCEND", "sort_target": "VALUE"}),
    ("/v3/kv/range", {"key": A, "range_end": b64("c"), "sort_order": 2, "sort_target": 4}),
    ("/v3/kv/range", {"key": A, "revision": 2, "serializable": True}),
    ("/v3/kv/range", {"key": A, "range_end": b64("c"), "min_mod_revision": "4"}),
    ("/v3/kv/range", {"key": Z, "range_end": Z}),
    ("/v3/kv/range", {"key": A, "revision": 99}),
    ("/v3/kv/range", {}),
    ("/v3/kv/range", ""),
    ("/v3/kv/put", {"value": A}),
    ("/v3/kv/put", {"key": A, "ignore_value": True, "value": A}),
    ("/v3/kv/put", {"key": b64("none"), "ignore_value": True}),
    ("/v3/kv/put", {"key": A, "lease": "77"}),
    (
        "/v3/kv/txn",
        {
            "compare": [{"key": A, "target": "VALUE", "result": "EQUAL", "value": b64("2")}],
            "success": [
                {"request_range": {"key": A}},
                {"request_put": {"key": A, "value": b64("4"), "prev_kv": True}},
                {"request_delete_range": {"key": B, "prev_kv": True}},
                {"requestTxn": {"success": [{"request_range": {"key": A}}]}},
            ],
            "failure": [{"request_range": {"key": B}}],
        },
    ),
    (
        "/v3/kv/txn",
        {
            "compare": [{"key": A, "target": "MOD", "result": "GREATER", "mod_revision": "1000"}],
            "success": [{"request_put": {"key": A}}],
            "failure": [{"request_range": {"key": A}}],
        },
    ),
    ("/v3/kv/txn", {"success": [{"request_put": {"key": A}}, {"request_put": {"key": A}}]}),
    ("/v3/kv/txn", {}),
    ("/v3/kv/deleterange", {"key": A, "prev_kv": True}),
    ("/v3/kv/deleterange", {"key": A}),
    ("/v3/kv/deleterange", {"key": Z, "range_end": Z}),
    ("/v3beta/kv/put", {"key": A, "value": A}),
    ("/v3/kv/compaction", {"revision": 3}),
    ("/v3/kv/compaction", {"revision": 3}),
    ("/v3/kv/compaction", {"revision": 99}),
    ("/v3/kv/range", {"key": A, "revision": 2}),
    ("/v3/maintenance/alarm", {}),
]

# What is wrong: the same status and code from either; the texts are each one's own.
REFUSED = [
    ("/v3/kv/range", '{"key":5}'),
    ("/v3/kv/range", '{"key":"YQ"'),
    ("/v3/kv/range", '{"key":"***"}'),
    ("/v3/kv/range", "[1]"),
    ("/v3/kv/range", "not json"),
    ("/v3/kv/range", '{"key":"YQ==","limit":"x"}'),
    ("/v3/kv/range", '{"key":"YQ==","limit":99999999999999999999}'),
    ("/v3/kv/range", '{"key":"YQ==","serializable":"yes"}'),
]


def post(member, path, body, method="POST", headers={}):
    """(status, JSON or text)"""
    text = body if isinstance(body, str) else json.dumps(body)
    connection = http.client.HTTPConnection("127.0.0.1", member.client_port, timeout=20)
    try:
        connection.request(method, path, text, headers=dict(headers))
        answer = connection.getresponse()
        data = answer.read()
    finally:
        connection.close()
    try:
        return answer.status, json.loads(data)
    except ValueError:
        return answer.status, data.decode()


def comparable(answer):
    """Without what is the member's own."""
    if isinstance(answer, list):
        return [comparable(item) for item in answer]
    if not isinstance(answer, dict):
        return answer
    return {
        key: comparable(value) for key, value in answer.items() if key not in ("cluster_id", "member_id", "raft_term")
    }


class BesideEtcd(unittest.TestCase):
    @unittest.skipUnless(ETCD.exists(), "etcd 3.5.1 is not in .tools")
    def test_same_requests_same_answers(self):
        martlet = Member(MARTLET, "gateway", scratch("gateway-martlet")).start()
        etcd = Member(ETCD, "gateway", scratch("gateway-etcd")).start()
        try:
            for number, (path, body) in enumerate(SAME):
                with self.subTest(number=number, path=path, body=body):
                    ours, theirs = post(martlet, path, body), post(etcd, path, body)
                    self.assertEqual(ours[0], theirs[0], (ours, theirs))
                    self.assertEqual(comparable(ours[1]), comparable(theirs[1]))
            for path, body in REFUSED:
                with self.subTest(path=path, body=body):
                    ours, theirs = post(martlet, path, body), post(etcd, path, body)
                    self.assertEqual(theirs[0], 400)
                    self.assertEqual((ours[0], ours[1]["code"]), (theirs[0], theirs[1]["code"]), (ours, theirs))
                    self.assertEqual(set(ours[1]), {"error", "code", "message"})
        finally:
            martlet.kill()
            etcd.kill()


class Gateway(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.member = Member(MARTLET, "gw", scratch("gateway")).start()

    @classmethod
    def tearDownClass(cls):
        cls.member.kill()

    def post(self, *arguments, **options):
        return post(self.member, *arguments, **options)

    def test_as_in_3_6(self):
        # Facts W1, W2, W12: where 3.5.1 differs.
        self.assertEqual(
            self.post("/v3/kv/range", "", method="GET"),
            (501, {"error": "Method Not Allowed", "code": 12, "message": "Method Not Allowed"}),
        )
        self.assertEqual(
            self.post("/v3/nothing", "{}"), (404, {"error": "Not Found", "code": 5, "message": "Not Found"})
        )
        self.assertEqual(self.post("/v3/kv/range", {"key": A, "sort_target": "9"})[0], 200)
        status, answer = self.post("/v3/kv/range", {"key": A, "sort_target": 9})
        self.assertEqual((status, answer["message"]), (400, "etcdserver: invalid sort option"))
        self.assertEqual(self.post("/v3/kv/range", {"key": A, "nothing": [{"x": 1}]})[0], 200)

    def test_every_path_answers_as_its_method_does(self):
        for path in ["auth/enable", "auth/user/list"]:
            status, answer = self.post(f"/v3/{path}", "{}")
            self.assertNotIn(status, (404, 405), path)
            self.assertTrue("header" in answer or "code" in answer, path)
        # Without a header, as etcd's (M10).
        self.assertEqual(self.post("/v3/maintenance/defragment", "{}"), (200, {}))
        # Its own "not found", which is not the path's.
        self.assertEqual(
            self.post("/v3/cluster/member/promote", "{}"),
            (
                404,
                {"error": "etcdserver: member not found", "code": 5, "message": "etcdserver: member not found"},
            ),
        )

    def test_large_values(self):
        value = base64.b64encode(b"x" * 1_500_000).decode()
        self.assertEqual(self.post("/v3/kv/put", {"key": b64("large"), "value": value})[0], 200)
        self.assertEqual(self.post("/v3/kv/range", {"key": b64("large")})[1]["kvs"][0]["value"], value)
        status, answer = self.post("/v3/kv/put", {"key": A, "value": base64.b64encode(b"x" * 1_600_000).decode()})
        self.assertEqual((status, answer["message"]), (400, "etcdserver: request is too large"))
        for size in (2_200_000, 10_000_000):
            status, answer = self.post("/v3/kv/put", {"key": A, "value": base64.b64encode(b"x" * size).decode()})
            self.assertEqual((status, answer["code"]), (429, 8))

    def test_connections_are_kept(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.member.client_port, timeout=10)
        for number in range(200):
            connection.request("POST", "/v3/kv/put", json.dumps({"key": A, "value": b64(str(number))}))
            answer = connection.getresponse()
            self.assertEqual(answer.status, 200)
            answer.read()
            self.assertIsNotNone(connection.sock, "the connection was closed")
        connection.close()

    def test_cors(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.member.client_port, timeout=10)
        for method, path, status in [("OPTIONS", "/v3/kv/put", 200), ("GET", "/health", 200), ("GET", "/none", 404)]:
            connection.request(method, path)
            answer = connection.getresponse()
            answer.read()
            self.assertEqual(answer.status, status)
            self.assertEqual(answer.headers["access-control-allow-origin"], "*")
            self.assertEqual(answer.headers["access-control-allow-headers"], "accept, content-type, authorization")
        connection.close()

    def test_watch_stream(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.member.client_port, timeout=10)
        connection.request("POST", "/v3/watch", json.dumps({"create_request": {"key": b64("watched")}}))
        answer = connection.getresponse()
        first = json.loads(answer.readline())
        if answer.status == 501:
            self.assertEqual(first["error"]["code"], 12)
            self.skipTest("watches are not there yet")
        self.assertTrue(first["result"]["created"])
        self.post("/v3/kv/put", {"key": b64("watched"), "value": b64("v")})
        event = json.loads(answer.readline())["result"]["events"][0]
        self.assertEqual((event["kv"]["key"], event["kv"]["value"]), (b64("watched"), b64("v")))
        connection.close()

    def test_lease_keepalive(self):
        status, answer = self.post("/v3/lease/grant", {"TTL": 30})
        if status == 501:
            self.skipTest("leases are not there yet")
        status, answer = self.post("/v3/lease/keepalive", {"ID": answer["ID"]})
        self.assertEqual((status, answer["result"]["TTL"]), (200, "30"))

    @unittest.skipUnless(shutil.which("curl"), "curl is not there")
    def test_over_http2(self):
        def curl(path, *more):
            url = f"http://{self.member.endpoint}{path}"
            code, out, _ = run_to_end(
                ["curl", "-s", "--http2-prior-knowledge", "-w", "\n%{http_code} %{http_version}", url, *more]
            )
            self.assertEqual(code, 0)
            body, _, status = out.rpartition("\n")
            return status, body

        status, body = curl("/v3/kv/put", "-d", json.dumps({"key": b64("h2"), "value": b64("v")}))
        self.assertEqual(status, "200 2")
        self.assertIn("header", json.loads(body))
        status, body = curl("/v3/lease/grant", "-d", '{"TTL":30}')
        status, body = curl("/v3/lease/keepalive", "-d", json.dumps({"ID": json.loads(body)["ID"]}))
        self.assertEqual((status, json.loads(body)["result"]["TTL"]), ("200 2", "30"))
        self.assertEqual(curl("/health"), ("200 2", '{"health":"true","reason":""}'))
        self.assertTrue(curl("/metrics")[1].startswith("# HELP "))

    @unittest.skipUnless(shutil.which("curl"), "curl is not there")
    def test_watch_over_http2(self):
        body = json.dumps({"create_request": {"key": b64("watched2")}})
        url = f"http://{self.member.endpoint}/v3/watch"
        curl = subprocess.Popen(
            ["curl", "-s", "-N", "-m", "20", "--http2-prior-knowledge", url, "-d", body], stdout=subprocess.PIPE)
        self.addCleanup(curl.stdout.close)
        self.addCleanup(curl.wait)
        self.addCleanup(curl.kill)
        self.assertTrue(json.loads(curl.stdout.readline())["result"]["created"])
        for number in range(3):
            self.post("/v3/kv/put", {"key": b64("watched2"), "value": b64(str(number))})
            event = json.loads(curl.stdout.readline())["result"]["events"][0]
            self.assertEqual(event["kv"]["value"], b64(str(number)))

    def test_bytes_that_come_slowly(self):
        body = json.dumps({"key": b64("slow"), "value": b64("v")}).encode()
        request = f"POST /v3/kv/put HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        with socket.create_connection(("127.0.0.1", self.member.client_port), timeout=10) as connection:
            for byte in request:
                connection.sendall(bytes([byte]))
                time.sleep(0.001)
            self.assertTrue(connection.recv(1 << 16).startswith(b"HTTP/1.1 200 "))


class Hosts(unittest.TestCase):
    def test_only_named_hosts_and_origins(self):
        directory = scratch("hosts")
        flags = ["--host-whitelist=127.0.0.1,good.example", "--cors=http://a.example"]
        member = Member(MARTLET, "hosts", directory, extra=flags).start()
        try:
            for host, status in [("good.example:1", 200), ("127.0.0.1", 200), ("evil.example", 421)]:
                self.assertEqual(post(member, "/v3/kv/range", {"key": A}, headers={"Host": host})[0], status, host)
            connection = http.client.HTTPConnection("127.0.0.1", member.client_port, timeout=10)
            for origin, allowed in [("http://a.example", "http://a.example"), ("http://b.example", None)]:
                connection.request("OPTIONS", "/v3/kv/range", headers={"Origin": origin})
                answer = connection.getresponse()
                answer.read()
                self.assertEqual(answer.headers["access-control-allow-origin"], allowed)
            connection.close()
        finally:
            member.kill()


@unittest.skipUnless(etcd3gw, "etcd3gw is not in .tools/python: pip could not fetch it")
class Etcd3gw(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.member = Member(MARTLET, "etcd3gw", scratch("etcd3gw")).start()
        cls.client = etcd3gw.client(host="127.0.0.1", port=cls.member.client_port, api_path="/v3/")

    @classmethod
    def tearDownClass(cls):
        cls.member.kill()

    def test_keys(self):
        self.assertTrue(self.client.put("k", "v"))
        self.assertEqual(self.client.get("k"), [b"v"])
        self.client.put("k2", "w")
        self.assertEqual([value for value, _ in self.client.get_prefix("k")], [b"v", b"w"])
        self.assertTrue(self.client.create("new", "x"))
        self.assertFalse(self.client.create("new", "y"))
        self.assertTrue(self.client.replace("new", "x", "z"))
        self.assertFalse(self.client.replace("new", "x", "z"))
        self.assertTrue(self.client.delete("new"))
        self.assertFalse(self.client.delete("new"))

    def test_transaction_status_members(self):
        result = self.client.transaction(
            {
                "compare": [{"key": A, "result": "EQUAL", "target": "VERSION", "version": 0}],
                "success": [{"request_put": {"key": A, "value": b64("v")}}],
                "failure": [],
            }
        )
        self.assertTrue(result["succeeded"])
        self.assertEqual(self.client.status()["version"], "3.6.14")
        self.assertEqual([member["name"] for member in self.client.members()], ["etcd3gw"])

    def test_leases_and_locks(self):
        if post(self.member, "/v3/lease/grant", {"TTL": 30})[0] == 501:
            self.skipTest("leases are not there yet")
        lease = self.client.lease(ttl=30)
        self.client.put("leased", "v", lease=lease)
        self.assertEqual(lease.keys(), [b"leased"])
        self.assertGreater(lease.refresh(), 0)
        self.assertTrue(lease.revoke())
        self.assertEqual(self.client.get("leased"), [])
        with self.client.lock("name", ttl=10) as lock:
            self.assertTrue(lock.is_acquired())


if __name__ == "__main__":
    unittest.main()
