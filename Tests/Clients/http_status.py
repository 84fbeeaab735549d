"""Metrics, health and versions over HTTP."""

import http.client
import json
import shutil
import subprocess
import sys
import time
import unittest

from support import metrics
from support.processes import MARTLET, ROOT, Cluster, Member, free_port, scratch

sys.path.insert(0, str(ROOT / ".tools/python"))
try:
    from prometheus_client import parser as prometheus_parser
except ImportError:
    prometheus_parser = None

PROMTOOL = shutil.which("promtool") or shutil.which("promtool", path=str(ROOT / ".tools"))

WAL_BUCKETS = [0.001 * 2**n for n in range(14)]
PEER_BUCKETS = [0.0001 * 2**n for n in range(16)]

# Section 2.6 of the facts: what etcd's dashboard and alerts depend on.
MUST_EXIST = {
    "gauge": """etcd_server_has_leader etcd_server_is_leader etcd_server_is_learner
        etcd_server_proposals_committed_total etcd_server_proposals_applied_total etcd_server_proposals_pending
        etcd_server_quota_backend_bytes etcd_mvcc_db_total_size_in_bytes etcd_mvcc_db_total_size_in_use_in_bytes
        process_resident_memory_bytes process_open_fds process_max_fds process_start_time_seconds
        os_fd_used os_fd_limit""",
    "counter": """etcd_server_leader_changes_seen_total etcd_server_proposals_failed_total
        etcd_network_peer_sent_failures_total etcd_network_peer_sent_bytes_total
        etcd_network_peer_received_bytes_total etcd_network_client_grpc_received_bytes_total
        etcd_network_client_grpc_sent_bytes_total grpc_server_started_total grpc_server_handled_total
        grpc_server_msg_received_total grpc_server_msg_sent_total process_cpu_seconds_total""",
    "histogram": """etcd_disk_wal_fsync_duration_seconds etcd_disk_backend_commit_duration_seconds
        etcd_network_peer_round_trip_time_seconds""",
}


def get(port, path, method="GET"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.headers
    finally:
        connection.close()


class Metrics(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(MARTLET, "metrics", extra=["--metrics=extensive"]).start().wait_ready()
        for member in cls.cluster.members:
            member.http("/v3/kv/put", "POST", '{"key":"YQ==","value":"YQ=="}')
        time.sleep(1.5)  # pings between members, and a commit of the engine

    @classmethod
    def tearDownClass(cls):
        cls.cluster.kill()

    def scrape(self, member):
        status, text, headers = get(member.client_port, "/metrics")
        self.assertEqual(status, 200)
        self.assertEqual(headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")
        return text

    def test_what_dashboards_need_is_there(self):
        for member in self.cluster.members:
            families = metrics.parse(self.scrape(member))
            for kind, names in MUST_EXIST.items():
                for name in names.split():
                    self.assertIn(name, families)
                    self.assertEqual(families[name].kind, kind, name)
            peers = {
                dict(labels)["To"]
                for name, labels in families["etcd_network_peer_round_trip_time_seconds"].samples
                if name.endswith("_count")
            }
            self.assertEqual(len(peers), 2)
            for name, bounds in [
                ("etcd_disk_wal_fsync_duration_seconds", WAL_BUCKETS),
                ("etcd_disk_backend_commit_duration_seconds", WAL_BUCKETS),
                ("etcd_network_peer_round_trip_time_seconds", PEER_BUCKETS),
            ]:
                found = sorted({
                    float(dict(labels)["le"]) for suffix, labels in families[name].samples if suffix.endswith("_bucket")
                })
                self.assertEqual([f"{bound:.4f}" for bound in found[:-1]], [f"{bound:.4f}" for bound in bounds])
            self.assertGreater(families["etcd_disk_wal_fsync_duration_seconds"].value("_count"), 0)
            self.assertEqual(families["etcd_server_has_leader"].value(), 1)
            self.assertGreater(families["process_start_time_seconds"].value(), time.time() - 600)
        leaders = [
            metrics.parse(self.scrape(member))["etcd_server_is_leader"].value() for member in self.cluster.members
        ]
        self.assertEqual(sorted(leaders), [0, 0, 1])

    def test_calls_are_counted(self):
        member = self.cluster.members[0]
        labels = dict(grpc_service="etcdserverpb.KV", grpc_method="Put", grpc_type="unary")
        before = metrics.parse(self.scrape(member))
        for _ in range(3):
            member.http("/v3/kv/put", "POST", '{"key":"YQ==","value":"YQ=="}')
        member.http("/v3/kv/put", "POST", "{}")
        after = metrics.parse(self.scrape(member))

        def grown(name, suffix="", **extra):
            return after[name].value(suffix, **labels, **extra) - before[name].value(suffix, **labels, **extra)

        self.assertEqual(grown("grpc_server_started_total"), 4)
        self.assertEqual(grown("grpc_server_handled_total", grpc_code="OK"), 3)
        self.assertEqual(grown("grpc_server_handled_total", grpc_code="InvalidArgument"), 1)
        self.assertEqual(grown("grpc_server_msg_received_total"), 4)
        self.assertEqual(grown("grpc_server_msg_sent_total"), 3)
        self.assertEqual(grown("grpc_server_handling_seconds", "_count"), 4)
        codes = [key for key in after["grpc_server_handled_total"].samples]
        self.assertEqual(len(codes) % 17, 0)
        watch = dict(grpc_service="etcdserverpb.Watch", grpc_method="Watch", grpc_type="bidi_stream")
        after["grpc_server_handled_total"].value(**watch, grpc_code="Unavailable")

    @unittest.skipUnless(prometheus_parser, "prometheus_client is not in .tools/python: pip could not fetch it")
    def test_the_python_library_reads_it(self):
        families = list(prometheus_parser.text_string_to_metric_families(self.scrape(self.cluster.members[0])))
        self.assertGreater(len(families), 40)

    @unittest.skipUnless(PROMTOOL, "promtool is not there")
    def test_promtool_accepts_it(self):
        done = subprocess.run(
            [PROMTOOL, "check", "metrics"], input=self.scrape(self.cluster.members[0]), capture_output=True, text=True
        )
        # 3 says: it can be read, but the linter has something to say of etcd's names.
        self.assertIn(done.returncode, (0, 3), done.stderr)
        self.assertNotIn("error while linting", done.stderr + done.stdout)
        self.assertNotIn("parsing", done.stderr)

    def test_a_scrape_is_quick(self):
        begin = time.monotonic()
        for _ in range(20):
            self.scrape(self.cluster.members[0])
        self.assertLess((time.monotonic() - begin) / 20, 0.25)


class Health(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.metrics_port = free_port()
        extra = [f"--listen-metrics-urls=http://127.0.0.1:{cls.metrics_port}"]
        cls.member = Member(MARTLET, "health", scratch("health"), extra=extra).start()

    @classmethod
    def tearDownClass(cls):
        cls.member.kill()

    def test_what_a_healthy_member_says(self):
        for port in (self.member.client_port, self.metrics_port):
            for path, body in [
                ("/health", '{"health":"true","reason":""}'),
                ("/health?serializable=true&exclude=NOSPACE", '{"health":"true","reason":""}'),
                ("/livez", "ok\n"),
                ("/livez?verbose", "[+]serializable_read ok\nok\n"),
                ("/livez/serializable_read", "ok\n"),
                ("/readyz", "ok\n"),
                (
                    "/readyz?verbose",
                    "[+]data_corruption ok\n[+]serializable_read ok\n[+]linearizable_read ok\n[+]non_learner ok\nok\n",
                ),
                (
                    "/readyz?verbose&exclude=linearizable_read&exclude=data_corruption",
                    "[+]serializable_read ok\n[+]non_learner ok\nok\n",
                ),
                ("/readyz/linearizable_read?verbose", "[+]linearizable_read ok\nok\n"),
            ]:
                status, text, headers = get(port, path)
                self.assertEqual((status, text), (200, body), path)
                self.assertTrue(headers["content-type"].startswith("text/plain"), path)

    def test_wrong_methods_and_paths(self):
        for path in ("/health", "/livez", "/readyz", "/version"):
            status, text, headers = get(self.member.client_port, path, "POST")
            self.assertEqual((status, text, headers["allow"]), (405, "Method Not Allowed\n", "GET"), path)
        self.assertEqual(get(self.member.client_port, "/livez/linearizable_read")[0], 404)

    def test_the_port_for_metrics_has_nothing_else(self):
        self.assertEqual(get(self.metrics_port, "/metrics")[0], 200)
        self.assertEqual(get(self.metrics_port, "/v3/kv/range", "POST")[0], 404)
        self.assertEqual(get(self.metrics_port, "/version")[0], 404)

    def test_versions_and_variables(self):
        self.assertEqual(
            json.loads(get(self.member.client_port, "/version")[1]),
            {"etcdserver": "3.6.14", "etcdcluster": "3.6.0", "storage": "3.6.0"},
        )
        variables = json.loads(get(self.member.client_port, "/debug/vars")[1])
        self.assertIn("cmdline", variables)
        self.assertEqual(variables["raft.status"]["raftState"], "leader")

    def test_a_member_alone_says_what_it_misses(self):
        cluster = Cluster(MARTLET, "lonely")
        member = cluster.members[0].start(wait=False)
        try:
            member.wait_for_port()
            self.assertEqual(
                get(member.client_port, "/health")[:2], (503, '{"health":"false","reason":"RAFT NO LEADER"}\n')
            )
            self.assertEqual(get(member.client_port, "/health?serializable=true")[0], 200)
            self.assertEqual(get(member.client_port, "/livez")[0], 200)
            status, text, _ = get(member.client_port, "/readyz")
            self.assertEqual(status, 503)
            self.assertIn("[+]serializable_read ok\n[-]linearizable_read failed: etcdserver: ", text)
            families = metrics.parse(get(member.client_port, "/metrics")[1])
            self.assertEqual(families["etcd_server_has_leader"].value(), 0)
        finally:
            member.kill()


class Ends(unittest.TestCase):
    def test_nothing_is_announced_after_the_end(self):
        for number in range(8):
            member = Member(MARTLET, "brief", scratch(f"brief-{number}")).start(wait=False)
            member.wait_for_port()
            time.sleep(number * 0.01)
            code, _ = member.stop()
            self.assertEqual(code, 0)
            messages = [json.loads(line)["msg"] for line in member.log().splitlines()]
            self.assertEqual(messages[-1], "closed member")

    def test_requests_that_are_worked_on_are_answered(self):
        member = Member(MARTLET, "drained", scratch("drained")).start()
        connection = http.client.HTTPConnection("127.0.0.1", member.client_port, timeout=10)
        connection.request("POST", "/v3/kv/range", '{"key":"YQ=="}')
        connection.getresponse().read()
        _, seconds = member.stop()
        # A connection at rest is not waited for.
        self.assertLess(seconds, 4)


if __name__ == "__main__":
    unittest.main()
