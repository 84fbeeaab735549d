"""Stock clients, as their projects publish them, against three members: each with a script of its own in `stock`, in an
environment of its own (`scripts/setup clients`).

A script is run against etcd 3.5.1 and against martlet. Every check in it must pass on both, and give the same, so that
a failure is known to be ours and not the script's."""

import json
import subprocess
import threading
import unittest

from support.processes import ETCD, MARTLET, ROOT, Cluster, environment, run_to_end

ENVIRONMENTS = ROOT / ".tools/clients"
PROMTOOL = ROOT / ".tools/promtool"
SCRIPTS = ROOT / "Tests/Clients/stock"
SECONDS = 120

# Script: its environment.
CLIENTS = {
    "etcd3": "etcd3",
    "etcd3gw": "etcd3gw",
    "aetcd": "aetcd",
    "etcetra": "etcetra",
    "etcd3aio": "etcd3aio",
    "etcd_client_py": "etcd-client-py",
    "tooz": "tooz",
    "patroni": "patroni",
}


def run_script(script, cluster):
    """({check: value or error}, what it wrote otherwise)"""
    python = ENVIRONMENTS / CLIENTS[script] / "bin/python"
    endpoints = ",".join(member.endpoint for member in cluster.members)
    try:
        done = subprocess.run(
            [str(python), "-W", "ignore", f"use_{script}.py", endpoints], cwd=SCRIPTS, capture_output=True, text=True,
            timeout=SECONDS, env={**environment(), "PYTHONDONTWRITEBYTECODE": "1"},
        )
        out, err, code = done.stdout, done.stderr, done.returncode
    except subprocess.TimeoutExpired as error:
        out, err = ((part or b"").decode(errors="replace") for part in (error.stdout, error.stderr))
        code = f"none after {SECONDS} s"
    checks = {}
    for line in out.splitlines():
        if line.startswith("{"):
            said = json.loads(line)
            checks[said.pop("check")] = said
    return checks, code, err


class StockClients(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.clusters = [
            Cluster(ETCD, "stock-etcd", extra=["--unsafe-no-fsync"]),
            Cluster(MARTLET, "stock-martlet"),
        ]
        for cluster in cls.clusters:
            cluster.start()
        for cluster in cls.clusters:
            cluster.wait_ready()

    @classmethod
    def tearDownClass(cls):
        for cluster in cls.clusters:
            cluster.kill()

    def tearDown(self):
        for cluster in self.clusters:
            for member in cluster.members:
                self.assertTrue(member.is_running, f"{member.name} has ended: {member.last_log()}")

    def both(self, script):
        if not (ENVIRONMENTS / CLIENTS[script]).exists():
            self.skipTest("not installed: scripts/setup clients")
        results = [None, None]

        def one(at):
            results[at] = run_script(script, self.clusters[at])

        threads = [threading.Thread(target=one, args=(at,)) for at in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (theirs, code, errors), (ours, our_code, our_errors) = results
        self.assertTrue(theirs, f"the script says nothing: {code}, {errors[-2000:]}")
        self.assertEqual(code, 0, f"against etcd, the script's own failure: {failures(theirs)} {errors[-2000:]}")
        for name, said in theirs.items():
            with self.subTest(name):
                mine = ours.get(name)
                self.assertIsNotNone(mine, f"not reached: {our_code}, {our_errors[-1000:]}")
                self.assertNotIn("error", mine, mine.get("error"))
                self.assertEqual(mine, said, "martlet's, etcd's")

    def test_promtool_checks_the_metrics(self):
        """Their names, types and helps as Prometheus wants them; etcd's own do not all pass."""
        if not PROMTOOL.exists():
            self.skipTest("not installed: scripts/setup clients")
        found = []
        for cluster in self.clusters:
            status, text = cluster.members[0].http("/metrics")
            self.assertEqual(status, 200, f"{cluster.kind}'s /metrics")
            code, out, err = run_to_end([PROMTOOL, "check", "metrics"], input=text.encode())
            found.append((code, sorted((out + err).strip().splitlines())))
        (_, theirs), (code, ours) = found
        # 1 and 2: it cannot be read, 3: a name against the custom. etcd has some, and names are a contract here.
        new = [line for line in ours if line not in theirs and line.split()[0] not in UNCUSTOMARY_METRICS]
        self.assertEqual((new, code in (0, 3)), ([], True), f"exit code {code}")

    def test_metrics_have_the_same_names(self):
        """Those of etcd that dashboards read (facts 2.6), with their types."""
        found = []
        for cluster in self.clusters:
            _, text = cluster.members[0].http("/metrics")
            found.append({line.split()[2]: line.split()[3] for line in text.splitlines() if line.startswith("# TYPE ")})
        theirs, ours = found
        wrong = {name: (ours.get(name), theirs.get(name)) for name in DASHBOARD_METRICS if
                 ours.get(name) != theirs.get(name)}
        self.assertEqual(wrong, {}, "martlet's type, etcd's")


# Names that etcd has too, and shows as soon as there was such a thing.
UNCUSTOMARY_METRICS = """
etcd_network_snapshot_receive_failures etcd_network_snapshot_receive_success etcd_network_snapshot_send_failures
etcd_network_snapshot_send_success
""".split()

# What etcd's own dashboard and alerts read.
DASHBOARD_METRICS = """
etcd_server_has_leader etcd_server_is_leader etcd_server_leader_changes_seen_total etcd_server_proposals_committed_total
etcd_server_proposals_applied_total etcd_server_proposals_pending etcd_server_proposals_failed_total
etcd_server_quota_backend_bytes etcd_mvcc_db_total_size_in_bytes etcd_mvcc_db_total_size_in_use_in_bytes
etcd_disk_wal_fsync_duration_seconds etcd_disk_backend_commit_duration_seconds
etcd_network_peer_round_trip_time_seconds etcd_network_peer_sent_bytes_total etcd_network_peer_received_bytes_total
etcd_network_client_grpc_received_bytes_total etcd_network_client_grpc_sent_bytes_total grpc_server_started_total
grpc_server_handled_total grpc_server_msg_received_total grpc_server_msg_sent_total process_resident_memory_bytes
process_open_fds process_max_fds process_start_time_seconds process_cpu_seconds_total
""".split()


def failures(checks):
    return {name: said["error"] for name, said in checks.items() if "error" in said}


def _make_test(script):
    def test(self):
        self.both(script)

    return test


for _script in CLIENTS:
    setattr(StockClients, f"test_{_script}", _make_test(_script))


if __name__ == "__main__":
    unittest.main()
