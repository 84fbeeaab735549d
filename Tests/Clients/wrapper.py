"""Programs that drive an `etcd` binary, with two lines of shell of that name round `martlet serve`: they find it by its
name, ask its version, start it their way, wait for a line or an answer, use it, and end it."""

import json
import os
import shutil
import signal
import subprocess
import threading
import unittest

from etcdctl_parity import ETCDCTLS
from support.processes import MARTLET, environment, free_port, run_to_end, scratch

READY = "ready to serve client requests"


class Driver(unittest.TestCase):
    """What such programs have in common: a directory with the binary in front of PATH, pipes for its output."""

    @classmethod
    def setUpClass(cls):
        cls.directory = scratch("wrapper")
        binaries = cls.directory / "bin"
        binaries.mkdir()
        wrapper = binaries / "etcd"
        wrapper.write_text(f'#!/bin/sh\nexec "{MARTLET}" serve "$@"\n')
        wrapper.chmod(0o755)
        cls.path = f"{binaries}:{os.environ['PATH']}"

    def setUp(self):
        self.processes = []
        self.client_port, self.peer_port = free_port(), free_port()
        self.client = f"http://127.0.0.1:{self.client_port}"
        self.peer = f"http://127.0.0.1:{self.peer_port}"
        self.work = self.directory / self.id().split(".")[-1]
        self.work.mkdir()

    def tearDown(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            process.stderr.close()

    def start(self, *arguments, variables=(), until=READY, seconds=20):
        """As they do it: by name, reading the log until a line of it has what they know."""
        process = subprocess.Popen(
            ["etcd", *arguments], cwd=self.work, env={**environment(), "PATH": self.path, **dict(variables)},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.processes.append(process)
        lines, found = [], threading.Event()

        def read():
            for line in process.stderr:
                lines.append(line)
                if until in line:
                    found.set()

        threading.Thread(target=read, daemon=True).start()
        if not found.wait(seconds):
            self.fail(f"no line with \"{until}\" after {seconds} s: {''.join(lines[-5:])}")
        return process, lines

    def etcdctl(self, *arguments):
        code, out, err = run_to_end([ETCDCTLS["3.5"], "--endpoints", self.client, *arguments])
        self.assertEqual(code, 0, err)
        return out

    def end(self, process, seconds=20):
        process.send_signal(signal.SIGTERM)
        return process.wait(seconds)

    def usual(self, **others):
        flags = {
            "name": "default", "data-dir": self.work / "data", "listen-client-urls": self.client,
            "advertise-client-urls": self.client, "listen-peer-urls": self.peer,
            "initial-advertise-peer-urls": self.peer, "initial-cluster": f"default={self.peer}",
        }
        flags.update({name.replace("_", "-"): value for name, value in others.items()})
        return [f"--{name}={value}" for name, value in flags.items()]

    # Finding it

    def test_it_is_found_by_its_name_and_tells_its_version(self):
        self.assertTrue(shutil.which("etcd", path=self.path).endswith("/bin/etcd"))
        for flag in ("--version", "-version"):
            out = subprocess.run(
                ["etcd", flag], env={**environment(), "PATH": self.path}, capture_output=True, text=True, check=True
            ).stdout
            self.assertRegex(out.splitlines()[0], r"^etcd Version: 3\.6\.\d+$")

    # Starting it and going on

    def test_a_line_of_the_log_says_that_it_is_ready(self):
        process, lines = self.start(*self.usual())
        # It is JSON of etcd's shape, and says where.
        ready = json.loads(next(line for line in lines if READY in line))
        self.assertEqual(ready["msg"], READY)
        self.assertEqual(ready["level"], "info")
        self.assertIn("ts", ready)
        self.assertIn("caller", ready)
        self.assertIn(str(self.client_port), ready["address"])
        # At once, without another try.
        self.assertEqual(self.etcdctl("put", "a", "1").strip(), "OK")
        self.assertEqual(self.etcdctl("get", "a", "--print-value-only").strip(), "1")
        self.assertIn("is healthy", subprocess.run(
            [ETCDCTLS["3.5"], "--endpoints", self.client, "endpoint", "health"], env=environment(),
            capture_output=True, text=True).stdout)
        self.assertEqual(self.end(process), 0)
        # The wrapper left no process behind that goes on.
        self.assertNotEqual(run_to_end([ETCDCTLS["3.5"], "--endpoints", self.client, "get", "a"])[0], 0)

    def test_it_is_killed_and_started_again(self):
        process, _ = self.start(*self.usual())
        for number in range(20):
            self.etcdctl("put", f"k{number}", "v")
        process.kill()
        process.wait()
        process, _ = self.start(*self.usual())
        self.assertEqual(len(self.etcdctl("get", "k", "--prefix", "--keys-only").split()), 20)
        self.assertEqual(self.end(process), 0)

    def test_everything_is_below_the_data_directory(self):
        process, _ = self.start(*self.usual())
        self.etcdctl("put", "a", "1")
        self.assertEqual(self.end(process), 0)
        self.assertEqual([path.name for path in self.work.iterdir()], ["data"])
        self.assertTrue((self.work / "data/member").is_dir())
        self.assertEqual((self.work / "data/member").stat().st_mode & 0o777, 0o700)

    # Their ways to start it

    def test_flags_of_a_test_environment_of_kubernetes(self):
        """controller-runtime's envtest: a peer port that the system chooses, no syncing, health over HTTP."""
        data = self.work / "k8s"
        process, lines = self.start(
            "--listen-peer-urls=http://localhost:0", f"--listen-client-urls={self.client}",
            f"--advertise-client-urls={self.client}", f"--data-dir={data}", "--unsafe-no-fsync=true")
        self.assertTrue(any("--unsafe-no-fsync has no effect here" in line for line in lines))
        health = run_to_end(["curl", "-s", f"{self.client}/health"])[1]
        self.assertEqual(json.loads(health)["health"], "true")
        self.assertEqual(self.end(process), 0)

    def test_flags_of_a_control_plane(self):
        """kubeadm's, but for TLS."""
        metrics = f"http://127.0.0.1:{free_port()}"
        process, _ = self.start(
            *self.usual(
                name="node-1", initial_cluster=f"node-1={self.peer}", listen_metrics_urls=metrics,
                snapshot_count="10000", initial_cluster_state="new"),
            "--watch-progress-notify-interval=5s", "--quota-backend-bytes=8589934592",
            "--auto-compaction-mode=periodic", "--auto-compaction-retention=8h", "--max-snapshots=0", "--max-wals=0",
            "--logger=zap", "--heartbeat-interval=200", "--election-timeout=2000", "--enable-pprof",
            "--experimental-compaction-batch-limit=500")
        self.assertIn("etcd_server_has_leader 1", run_to_end(["curl", "-s", f"{metrics}/metrics"])[1])
        self.assertEqual(self.end(process), 0)

    def test_flags_with_one_dash_and_values_apart(self):
        arguments = []
        for flag in self.usual():
            name, value = flag[1:].split("=", 1)
            arguments += [name, value]
        process, _ = self.start(*arguments)
        self.assertEqual(self.end(process), 0)

    def test_the_environment(self):
        """Containers are told everything so."""
        process, _ = self.start(variables=[
            ("ETCD_NAME", "box"), ("ETCD_DATA_DIR", str(self.work / "box")), ("ETCD_LISTEN_CLIENT_URLS", self.client),
            ("ETCD_ADVERTISE_CLIENT_URLS", self.client), ("ETCD_LISTEN_PEER_URLS", self.peer),
            ("ETCD_INITIAL_ADVERTISE_PEER_URLS", self.peer), ("ETCD_INITIAL_CLUSTER", f"box={self.peer}"),
            ("ETCD_INITIAL_CLUSTER_TOKEN", "tkn"), ("ETCD_INITIAL_CLUSTER_STATE", "new"), ("ETCD_LOG_LEVEL", "info"),
            ("ETCD_AUTO_COMPACTION_RETENTION", "1"), ("ETCD_UNSUPPORTED_ARCH", "arm64"),
        ])
        self.assertIn("box", self.etcdctl("member", "list"))
        self.assertTrue((self.work / "box/member").is_dir())
        self.assertEqual(self.end(process), 0)

    def test_a_configuration_file(self):
        file = self.work / "etcd.conf.yml"
        file.write_text(f"""\
name: from-file
data-dir: {self.work}/from-file
listen-peer-urls: {self.peer}
listen-client-urls: {self.client}
advertise-client-urls: {self.client}
initial-advertise-peer-urls: {self.peer}
initial-cluster: from-file={self.peer}
initial-cluster-state: 'new'
auto-compaction-mode: periodic
auto-compaction-retention: "1"
max-snapshots: 5
max-wals: 5
enable-pprof: true
backend-batch-interval: 100000000
client-transport-security:
  cert-file:
  client-cert-auth: false
log-outputs: [stderr]
force-new-cluster: false
""")
        process, lines = self.start("--config-file", str(file))
        self.assertIn("from-file", self.etcdctl("member", "list"))
        self.assertTrue(any("backend-batch-interval in" in line and "has no effect" in line for line in lines))
        self.assertEqual(self.end(process), 0)

    def test_peers_are_told_another_address_than_is_listened_on(self):
        """As behind a container's network: members listen on every address, and are found at one."""
        peers = [free_port() for _ in range(3)]
        clients = [free_port() for _ in range(3)]
        known = ",".join(f"m{number}=http://127.0.0.1:{port}" for number, port in enumerate(peers))
        started = []
        threads = []

        def start(number):
            started.append(self.start(
                f"--name=m{number}", f"--data-dir={self.work}/m{number}",
                f"--listen-peer-urls=http://0.0.0.0:{peers[number]}",
                f"--initial-advertise-peer-urls=http://127.0.0.1:{peers[number]}",
                f"--listen-client-urls=http://0.0.0.0:{clients[number]}",
                f"--advertise-client-urls=http://127.0.0.1:{clients[number]}", f"--initial-cluster={known}"))

        for number in range(3):
            threads.append(threading.Thread(target=start, args=(number,)))
            threads[-1].start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(started), 3)
        self.client = f"http://127.0.0.1:{clients[0]}"
        self.assertEqual(self.etcdctl("member", "list").count("started"), 3)
        self.assertEqual(self.etcdctl("put", "a", "1").strip(), "OK")
        for process, _ in started:
            process.send_signal(signal.SIGTERM)
        self.assertEqual([process.wait(30) for process, _ in started], [0, 0, 0])

    # Ports and the gateway

    def test_a_port_for_http_alone_and_the_gateway_switched_off(self):
        other = f"http://127.0.0.1:{free_port()}"
        process, _ = self.start(*self.usual(), f"--listen-client-http-urls={other}", "--enable-grpc-gateway=false")
        for url in (self.client, other):
            self.assertEqual(json.loads(run_to_end(["curl", "-s", f"{url}/health"])[1])["health"], "true")
            code = run_to_end(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-d", "{}", f"{url}/v3/kv/range"])
            self.assertEqual(code[1], "404")
        self.assertEqual(self.end(process), 0)

    def test_two_on_one_port_where_that_is_asked_for(self):
        first, _ = self.start(*self.usual(), "--socket-reuse-port")
        second, lines = self.start(
            *self.usual(data_dir=self.work / "second"), until="cannot listen on")
        self.assertNotEqual(second.wait(20), 0)
        second, _ = self.start(*self.usual(data_dir=self.work / "second"), "--socket-reuse-port")
        self.assertEqual(self.end(second), 0)
        self.assertEqual(self.end(first), 0)

    # What it does not take

    def test_flags_that_it_cannot_honour_are_refused_with_a_sentence(self):
        for flag, part in [
            ("--force-new-cluster", "martlet snapshot restore"),
            ("--memory-mlock", "without swap"),
            ("--enable-log-rotation", "logrotate"),
            ("--discovery-srv=example.org", "--initial-cluster"),
            ("--no-such-flag=1", "is not a flag that is known"),
        ]:
            with self.subTest(flag=flag):
                done = subprocess.run(
                    ["etcd", *self.usual(), flag], env={**environment(), "PATH": self.path}, capture_output=True,
                    text=True, timeout=20)
                self.assertNotEqual(done.returncode, 0)
                self.assertEqual(len(done.stderr.strip().splitlines()), 1)
                self.assertIn(part, done.stderr)
        self.assertFalse((self.work / "data").exists())


if __name__ == "__main__":
    unittest.main()
