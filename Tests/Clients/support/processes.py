"""Members as processes: free ports, directories that are removed, starting, asking, stopping."""

import atexit
import hashlib
import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
MARTLET = pathlib.Path(os.environ.get("MARTLET", ROOT / ".build/release/martlet"))
ETCD_DIRECTORY = ROOT / ".tools/etcd-3.5.1"
ETCD = ETCD_DIRECTORY / "etcd"

# Processes that a test forgot, or that a failed set-up left behind.
_running = []
_scratch = ROOT / ".martlet-tests" / str(os.getpid())
_given_ports = set()


def scratch(name):
    """A fresh directory for one test; all of them are removed when the run ends, unless KEEP is set."""
    directory = _scratch / name
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory


@atexit.register
def _clean_up():
    for process in _running:
        if process.poll() is None:
            process.kill()
            process.wait()
    if not os.environ.get("KEEP"):
        shutil.rmtree(_scratch, ignore_errors=True)


def free_port():
    """A port nobody listens on: below the range from which the system takes ports for outgoing connections, and beside
    the one from which the cluster tests take theirs, so that both can run at once."""
    while True:
        port = random.randrange(10000, 15000)
        if port in _given_ports:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given_ports.add(port)
        return port


class Member:
    """One member: how it is started, and the process it is at the moment."""

    def __init__(self, program, name, directory, client_port=None, peer_port=None, extra=()):
        self.program = program
        self.name = name
        self.directory = pathlib.Path(directory)
        self.data = self.directory / name
        self.log_path = self.directory / f"{name}.log"
        self.client_port = client_port or free_port()
        self.peer_port = peer_port or free_port()
        self.initial_cluster = f"{name}={self.peer_url}"
        self.token = "client-tests"
        self.extra = list(extra)
        self.process = None

    @property
    def endpoint(self):
        return f"127.0.0.1:{self.client_port}"

    @property
    def peer_url(self):
        return f"http://127.0.0.1:{self.peer_port}"

    def command(self, **replacing):
        flags = {
            "name": self.name,
            "data-dir": self.data,
            "listen-client-urls": f"http://{self.endpoint}",
            "advertise-client-urls": f"http://{self.endpoint}",
            "listen-peer-urls": self.peer_url,
            "initial-advertise-peer-urls": self.peer_url,
            "initial-cluster": self.initial_cluster,
            "initial-cluster-token": self.token,
        }
        flags.update({key.replace("_", "-"): value for key, value in replacing.items()})
        start = [str(self.program)] + ([] if self.program == ETCD else ["serve"])
        return start + [f"--{key}={value}" for key, value in flags.items()] + self.extra

    def start(self, wait=True, **replacing):
        log = open(self.log_path, "ab")
        self.process = subprocess.Popen(
            self.command(**replacing), stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment()
        )
        log.close()
        _running.append(self.process)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, seconds=20):
        deadline = time.monotonic() + seconds
        while not self.is_healthy():
            if self.process.poll() is not None:
                raise AssertionError(f"{self.name} ended with {self.process.returncode}: {self.last_log()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.name} is not ready after {seconds} s: {self.last_log()}")
            time.sleep(0.02)

    def wait_for_port(self, seconds=10):
        """Waits until clients can connect, whether or not there is a leader."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.client_port), timeout=1).close()
                return
            except OSError:
                if not self.is_running or time.monotonic() > deadline:
                    raise AssertionError(f"{self.name} does not listen: {self.last_log()}") from None
                time.sleep(0.02)

    def is_healthy(self):
        try:
            status, body = self.http("/health")
            return status == 200 and json.loads(body).get("health") == "true"
        except (OSError, http.client.HTTPException, ValueError):
            return False

    def http(self, path, method="GET", body=None, timeout=10):
        connection = http.client.HTTPConnection("127.0.0.1", self.client_port, timeout=timeout)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    @property
    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def resident_bytes(self):
        return self._status_kilobytes("VmRSS") * 1024

    def own_bytes(self):
        """Without the pages of files that are mapped, which are the system's to keep or drop."""
        return self._status_kilobytes("RssAnon") * 1024

    def peak_bytes(self):
        return self._status_kilobytes("VmHWM") * 1024

    def _status_kilobytes(self, field):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1])
        raise AssertionError(f"no {field} of process {self.process.pid}")

    def stop(self, seconds=20):
        """SIGTERM; returns the exit code and how long it took."""
        begin = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(seconds)
        self.process = None
        return code, time.monotonic() - begin

    def kill(self):
        if self.is_running:
            self.process.kill()
            self.process.wait()
        self.process = None

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def last_log(self):
        lines = self.log().splitlines()
        return lines[-1] if lines else "(no log)"


class Cluster:
    """Several members that know of one another."""

    def __init__(self, program, kind, count=3, extra=()):
        directory = scratch(kind)
        self.kind = kind
        self.members = [Member(program, f"m{number + 1}", directory, extra=extra) for number in range(count)]
        known = ",".join(f"{member.name}={member.peer_url}" for member in self.members)
        for member in self.members:
            member.initial_cluster = known

    def start(self):
        for member in self.members:
            member.start(wait=False)
        return self

    def wait_ready(self):
        for member in self.members:
            member.wait_ready()
        return self

    def kill(self):
        for member in self.members:
            member.kill()


def environment():
    """Ours, without what would change how etcd, etcdctl or martlet behave."""
    clean = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("ETCD", "MARTLET_")) and not key.lower().endswith("_proxy")
    }
    clean["ETCDCTL_API"] = "3"
    clean["GOMAXPROCS"] = "1"  # etcdctl runs for milliseconds: most of that would be the start of its threads
    return clean


def run_to_end(command, seconds=15, decode=True, **options):
    """Runs a program that is expected to end by itself; returns (code, stdout, stderr)."""
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, timeout=seconds, env=environment(), **options
    )
    if not decode:
        return done.returncode, done.stdout, done.stderr
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def member_id(member):
    """As etcd computes it, and martlet: from the peer URLs and the cluster's token."""
    return int.from_bytes(hashlib.sha1((member.peer_url + member.token).encode()).digest()[:8], "big")


def tree_hash(directory):
    """Every file below a directory, with its mode and a hash of its bytes; lock files aside."""
    found = {}
    for path in sorted(pathlib.Path(directory).rglob("*")):
        name = str(path.relative_to(directory))
        if path.name in ("lock", "lock.mdb"):
            continue
        status = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "-"
        found[name] = (oct(status.st_mode), content)
    return found
