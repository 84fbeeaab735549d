"""Starts that must fail, with one sentence and without touching a byte; a full disk; ends in order."""

import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import threading
import time
import unittest

from support import http2, protobuf
from support.processes import MARTLET, Member, environment, free_port, scratch, tree_hash
from support.protobuf import put_request, range_request

KV = "/etcdserverpb.KV/"
SEED = int(os.environ.get("SEED", "1"))
NOBODY = 65534


def put(connection, key, value, seconds=10):
    return connection.call(KV + "Put", put_request(key, value), seconds=seconds)


def stored(member):
    """All keys and values, read key by key where one call would be too large; raises where a read is refused."""
    with http2.Connection(member.client_port) as connection:
        reply = connection.call(KV + "Range", range_request(b"\0", b"\0"), seconds=30)
        if reply.status != 0:
            raise Refused(reply)
        pairs = [protobuf.parse(pair) for pair in protobuf.parse(reply.messages[0]).get(2, [])]
        return {protobuf.get(pair, 1): protobuf.get(pair, 5, b"") for pair in pairs}


class Refused(Exception):
    pass


def start_and_fail(test, member, seconds=15, user=None, command=None, **replacing):
    """Starts a member that must not come up; returns the sentence that it ends with."""
    options = {"user": user, "group": user, "extra_groups": []} if user else {}
    process = subprocess.Popen(
        command or member.command(**replacing),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        env=environment(),
        cwd=member.directory,
        **options,
    )
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        test.fail(f"it runs, though it must not: {err.decode()[-2000:]}")
    lines = err.decode().splitlines()
    test.assertGreater(process.returncode, 0, f"ended by a signal: {lines[-5:]}")
    # Log lines are JSON objects; what is left is for people.
    said = [line for line in lines if not line.startswith("{")]
    test.assertEqual(len(said), 1, f"exactly one sentence: {said}")
    test.assertEqual(lines[-1], said[0], "the sentence comes last")
    test.assertTrue(said[0].startswith("Error: "), said)
    test.assertLess(len(said[0]), 600, said)
    for bad in ("Fatal", "Optional(", "Swift", "FileError(", "WALError", "corrupt(", "ConfigurationError"):
        test.assertNotIn(bad, said[0])
    return said[0]


class StartUp(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = scratch("start-up")
        cls.source = Member(MARTLET, "a", cls.directory).start()
        cls.write(range(60))
        cls.source.stop()
        cls.older = cls.directory / "older"
        shutil.copytree(cls.source.data, cls.older)
        cls.source.start()
        cls.write(range(60, 200))
        cls.expected = stored(cls.source)
        time.sleep(1.5)  # a flush: the engine has all of it
        cls.source.stop()
        cls.count = 0

    @classmethod
    def write(cls, numbers):
        with http2.Connection(cls.source.client_port) as connection:
            for number in numbers:
                key, value = f"k{number % 40}".encode(), f"value {number} ".encode() * 40
                assert put(connection, key, value).status == 0

    def setUp(self):
        """A copy of a whole directory, for a member that fits it."""
        StartUp.count += 1
        self.member = Member(
            MARTLET, "a", self.directory / str(StartUp.count), self.source.client_port, self.source.peer_port
        )
        self.member.directory.mkdir()
        shutil.copytree(self.source.data, self.member.data)
        self.wal = self.member.data / "member/wal"
        self.state = next((self.member.data / "member/state").glob("state-*"))

    def tearDown(self):
        self.member.kill()
        shutil.rmtree(self.member.directory)

    def refused(self, pattern, **options):
        before = tree_hash(self.member.data)
        sentence = start_and_fail(self, self.member, **options)
        self.assertRegex(sentence, pattern)
        self.assertEqual(tree_hash(self.member.data), before, "the directory was changed")
        return sentence

    def test_a_whole_directory_is_taken(self):
        """What the other tests rest on."""
        self.member.start()
        self.assertEqual(stored(self.member), self.expected)

    def test_flags(self):
        for flags, pattern in [
            (["--no-such-flag"], "no-such-flag"),
            (["--no-such-flag=1"], "no-such-flag"),
            (["stray"], "stray"),
            (["--name"], "name"),
            (["--heartbeat-interval=soon"], "heartbeat-interval"),
            (["--heartbeat-interval=0"], "heartbeat-interval"),
            (["--election-timeout=100"], "election-timeout"),
            (["--election-timeout=60000"], "election-timeout"),
            (["--listen-client-urls=nonsense"], "listen-client-urls"),
            (["--listen-client-urls=http://127.0.0.1:99999"], "listen-client-urls"),
            (["--listen-client-urls="], "listen-client-urls"),
            (["--listen-peer-urls=ftp://127.0.0.1:1"], "listen-peer-urls"),
            (["--initial-cluster=b=http://127.0.0.1:1"], "initial-cluster"),
            (["--initial-cluster-state=maybe"], "initial-cluster-state"),
            (["--max-request-bytes=-1"], "max-request-bytes"),
            (["--max-request-bytes=99999999999999999999"], "max-request-bytes"),
            (["--log-level=loud"], "log-level"),
            (["--log-outputs=/nowhere/at/all"], "log-outputs"),
            (["--pre-vote=perhaps"], "pre-vote"),
            (["--cert-file=/x"], "cert-file"),
            (["--config-file=/nowhere.yaml"], "nowhere.yaml"),
        ]:
            with self.subTest(flags=flags):
                # The same flag twice: the later one counts.
                sentence = start_and_fail(self, self.member, command=self.member.command() + flags)
                self.assertIn(pattern, sentence)
        self.assertEqual(self.member.log(), "")

    def test_configuration_files(self):
        self.refuse_files(
            [
                ("a list", "- a"),
                ("an unknown key", "no-such-key: 1"),
                ("a wrong type", "name: {a: b}"),
                ("no number", "heartbeat-interval: x"),
            ]
        )

    def test_configuration_files_that_are_no_yaml(self):
        self.refuse_files(
            [
                ("not closed", "name: a\nlisten-client-urls: [b", "line 3, column 1: .*expected"),
                ("a tab", "name: a\n\tdata-dir: b", "line 2, column 1: .*character"),
                ("twice", "a: b\nlog-level: info\nlog-level: warn", "line 2, column 1: .*log-level"),
                ("binary", "a: b\nc: \1", "line 2, column 4: .*control characters"),
            ]
        )

    def refuse_files(self, files):
        for name, text, *saying in files:
            with self.subTest(name):
                path = self.member.directory / "file.yaml"
                path.write_text(text)
                said = start_and_fail(self, self.member, command=[str(MARTLET), "serve", f"--config-file={path}"])
                for expected in saying:
                    self.assertRegex(said, f"{path} .*{expected}")

    def taken_port(self):
        taken = socket.socket()
        self.addCleanup(taken.close)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        return taken.getsockname()[1]

    def test_a_peer_port_in_use(self):
        port = self.taken_port()
        self.refused(f"listen.*{port}.*--listen-peer-urls", listen_peer_urls=f"http://127.0.0.1:{port}")

    def test_a_client_port_in_use(self):
        port = self.taken_port()
        for url in (f"http://127.0.0.1:{port}", "http://192.0.2.1:2379"):
            self.assertRegex(start_and_fail(self, self.member, listen_client_urls=url), "listen.*--listen-client-urls")
        self.member.start()
        self.assertEqual(stored(self.member), self.expected)

    def test_a_client_port_in_use_keeps_a_member_from_taking_part(self):
        """One that is started again and again would disturb the others' elections again and again."""
        self.refused("listen", listen_client_urls=f"http://127.0.0.1:{self.taken_port()}")

    def test_a_port_in_use_leaves_no_directory_behind(self):
        for flag in ("listen_client_urls", "listen_peer_urls"):
            with self.subTest(flag):
                url = f"http://127.0.0.1:{self.taken_port()}"
                path = self.member.directory / "fresh"
                self.assertRegex(start_and_fail(self, self.member, data_dir=path, **{flag: url}), f"listen on {url}")
                self.assertFalse(path.exists())

    def test_a_file_where_the_directory_should_be(self):
        path = self.member.directory / "file"
        path.write_text("x")
        self.assertIn(str(path), start_and_fail(self, self.member, data_dir=path))
        self.assertIn(str(path), start_and_fail(self, self.member, data_dir=path / "below"))
        self.assertEqual(path.read_text(), "x")

    @unittest.skipUnless(os.getuid() == 0, "needs root, to be somebody else")
    def test_directories_that_cannot_be_read_or_written(self):
        program = pathlib.Path(shutil.copy(MARTLET, "/tmp/martlet-client-tests"))
        self.addCleanup(program.unlink)
        self.member.program = program
        for name, path, mode in [
            ("the directory", self.member.data, 0o700),
            ("the log", self.wal, 0o700),
            ("the state", self.state, 0o700),
        ]:
            with self.subTest(name):
                os.chmod(path, mode)
                self.open_path_to(self.member.data)
                self.refused(str(self.member.data), user=NOBODY)
        with self.subTest("read only"):
            for path in [self.member.data, *self.member.data.rglob("*")]:
                os.chmod(path, 0o755 if path.is_dir() else 0o644)
            self.refused(str(self.member.data), user=NOBODY)

    def open_path_to(self, path):
        """Lets anyone pass through the directories above."""
        for parent in path.parents:
            if not parent.stat().st_mode & 0o001:
                self.skipTest(f"{parent} is closed for others")

    def test_a_directory_in_use(self):
        self.member.start()
        other = Member(MARTLET, "a", self.member.directory)
        other.initial_cluster = self.member.initial_cluster
        self.assertRegex(
            start_and_fail(self, other, initial_advertise_peer_urls=self.member.peer_url), "in use by another member"
        )
        self.assertEqual(stored(self.member), self.expected)

    def test_the_directory_of_another_member(self):
        other = free_port()
        url = f"http://127.0.0.1:{other}"
        self.refused(
            "another member|belongs to",
            name="b",
            initial_cluster=f"b={url}",
            initial_advertise_peer_urls=url,
            listen_peer_urls=url,
        )

    def test_the_directory_of_another_cluster(self):
        self.refused("another member or cluster|belongs to", initial_cluster_token="another")

    def test_no_log(self):
        shutil.rmtree(self.wal)
        self.refused("log")

    def test_an_empty_log(self):
        for path in self.wal.iterdir():
            path.unlink()
        self.refused("log")

    def test_an_empty_log_elsewhere(self):
        elsewhere = self.member.directory / "elsewhere"
        self.refused("log", wal_dir=elsewhere)

    def test_an_older_log(self):
        shutil.rmtree(self.wal)
        shutil.copytree(self.older / "member/wal", self.wal)
        self.refused("log")

    def test_a_log_with_a_gap(self):
        path = sorted(self.wal.glob("*.wal"))[-1]
        path.rename(self.wal / "00000000000000ff.wal")
        self.refused("log")

    def test_a_file_that_only_looks_like_a_segment(self):
        (self.wal / "0000000000000002.wal").write_bytes(b"no segment")
        self.refused("log")

    def test_no_state(self):
        shutil.rmtree(self.state.parent)
        self.refused("state")

    def test_an_empty_state(self):
        shutil.rmtree(self.state)
        self.refused("state")

    def test_a_state_without_its_file(self):
        (self.state / "data.mdb").unlink()
        self.assertIn("state", start_and_fail(self, self.member))

    def test_a_state_without_its_file_is_left_so(self):
        for damage in (lambda path: path.unlink(), lambda path: path.write_bytes(b"")):
            with self.subTest():
                damage(self.state / "data.mdb")
                self.refused("state")

    def test_an_older_state_is_brought_up_to_date(self):
        """The log has what it lacks: no damage, if the log still goes back that far."""
        shutil.rmtree(self.state.parent)
        shutil.copytree(self.older / "member/state", self.state.parent)
        self.member.start()
        self.assertEqual(stored(self.member), self.expected)

    def test_flipped_bytes_in_the_middle_of_the_log(self):
        path = sorted(self.wal.glob("*.wal"))[0]
        data = bytearray(path.read_bytes())
        end = len(data.rstrip(b"\0"))
        for at in (4096 + 40, end // 2, end // 3, 10, 20, 100):
            with self.subTest(at=at):
                damaged = bytearray(data)
                damaged[at] ^= 0x40
                path.write_bytes(damaged)
                self.refused("log.*(damaged|cannot)")

    def test_a_log_cut_short(self):
        path = sorted(self.wal.glob("*.wal"))[0]
        data = path.read_bytes()
        end = len(data.rstrip(b"\0"))
        for length in (0, 10, 4095, 4096, 5000, end // 2):
            with self.subTest(length=length):
                path.write_bytes(data[:length])
                self.refused("log")

    def test_a_state_cut_short(self):
        path = self.state / "data.mdb"
        data = path.read_bytes()
        for length in (10, 4095, 4096, 8192, len(data) // 2, len(data) - 4096, len(data) - 1):
            with self.subTest(length=length):
                path.write_bytes(data[:length])
                self.start_or_refuse(f"cut to {length} of {len(data)}")

    def test_any_flipped_bit_in_the_log(self):
        """Wherever it is: the member refuses, or all is as it was."""
        self.flip_some(sorted(self.wal.glob("*.wal"))[0], self.start_or_refuse)

    def test_any_flipped_bit_in_the_state(self):
        self.flip_some(self.state / "data.mdb", self.start_or_refuse)

    def test_flipped_bits_in_a_nodes_header(self):
        """The bytes before a row's key: two of the value's size, two more of it, flags, and the key's size."""
        self.flip_in_newest_row(range(-8, 0), bits=(0x01, 0x10))

    def test_flipped_bits_in_a_rows_revision(self):
        """A row that seems older or newer than it is would let an older value be told."""
        self.flip_in_newest_row(range(5, 13), bits=(0x01, 0x80))

    def test_flipped_bits_in_a_rows_key(self):
        """A row that seems to be another key's is missing from its own."""
        self.flip_in_newest_row(range(0, 5), bits=(0x01, 0x80))

    def flip_some(self, path, check, times=30):
        chance = random.Random(f"{self.id()} {SEED}")
        end = len(path.read_bytes().rstrip(b"\0"))
        for _ in range(times):
            at, bit = chance.randrange(end), 1 << chance.randrange(8)
            with self.subTest(path.name, at=at, bit=bit):
                self.flip(path, at, bit)
                check(f"{path.name} at {at} of {end}, bit {bit:#x}")

    def flip_in_newest_row(self, offsets, bits):
        """Counted from where the key of the newest version of k36 begins: the key, its terminator, the revision."""
        path = self.state / "data.mdb"
        data = path.read_bytes()
        rows = {}
        at = data.find(b"k36\0\1")
        while at >= 0:
            inverted = int.from_bytes(data[at + 5 : at + 13], "big")
            rows.setdefault((1 << 64) - 1 - inverted, []).append(at)
            at = data.find(b"k36\0\1", at + 1)
        for at in rows[max(rows)]:
            for offset in offsets:
                for bit in bits:
                    with self.subTest(offset=offset, bit=bit):
                        self.flip(path, at + offset, bit)
                        self.start_or_refuse(f"offset {offset}, bit {bit:#x}")

    def flip(self, path, at, bit):
        damaged = bytearray(path.read_bytes())
        damaged[at] ^= bit
        path.write_bytes(damaged)

    def start_or_refuse(self, what):
        """Whatever is damaged, nothing wrong may be told as if it were right, and no signal ends the member."""
        before = tree_hash(self.member.data)
        try:
            found = self.start_and_read()
            if found is not None:
                self.assertEqual(found, self.expected, f"{what}: it tells what is not so")
            elif not self.member.is_running:
                code = self.member.process.returncode
                self.assertGreater(code, 0, f"{what}: ended by a signal: {self.member.log()[-1500:]}")
                self.assertTrue(self.member.last_log().startswith("Error: "), f"{what}: {self.member.last_log()}")
                if "recovered" not in self.member.log():
                    self.assertEqual(tree_hash(self.member.data), before, f"{what}: refused, and yet changed")
        finally:
            self.restore()

    def start_and_read(self):
        """What the member tells; None where it refuses, or has ended."""
        self.member.log_path.unlink(missing_ok=True)
        self.member.start(wait=False)
        end = time.monotonic() + 10
        while self.member.is_running and not self.member.is_healthy() and time.monotonic() < end:
            time.sleep(0.01)
        if not self.member.is_running:
            return None
        try:
            return stored(self.member)
        except (Refused, IndexError, KeyError, OSError):
            # Damage that was met when it was read stops the member, a moment later.
            try:
                self.member.process.wait(0.5)
            except subprocess.TimeoutExpired:
                pass
            return None

    def restore(self):
        self.member.kill()
        shutil.rmtree(self.member.data)
        shutil.copytree(self.source.data, self.member.data)

    def test_joining_what_is_not_there(self):
        empty = self.member.directory / "empty"
        start_and_fail(self, self.member, data_dir=empty, initial_cluster_state="existing")


class Ends(unittest.TestCase):
    def setUp(self):
        self.member = Member(MARTLET, "ends", scratch("ends")).start()

    def tearDown(self):
        self.member.kill()

    def check_end(self, code, seconds):
        self.assertEqual(code, 0, self.member.last_log())
        self.assertLess(seconds, 6)
        self.assertIn("closed member", self.member.last_log())

    def test_sigterm_when_idle(self):
        code, seconds = self.member.stop()
        self.check_end(code, seconds)
        self.assertLess(seconds, 1)

    def test_sigint(self):
        begin = time.monotonic()
        self.member.process.send_signal(signal.SIGINT)
        self.check_end(self.member.process.wait(10), time.monotonic() - begin)

    def test_sigterm_twice(self):
        self.member.process.send_signal(signal.SIGTERM)
        code, seconds = self.member.stop()
        self.check_end(code, seconds)

    def test_sigterm_with_open_connections(self):
        connections = [http2.Connection(self.member.client_port) for _ in range(20)]
        for connection in connections:
            self.assertEqual(put(connection, b"a", b"v").status, 0)
        # Streams that stay open, calls that are half sent, and connections that say nothing, on both ports.
        stream = connections[0].open("/grpc.health.v1.Health/Watch")
        connections[0].send(stream, http2.grpc_frame(b""))
        half = connections[1].open(KV + "Put")
        connections[1].write(http2.frame(http2.DATA, 0, half, b"\0\0\0"))
        silent = [
            socket.create_connection(("127.0.0.1", port)) for port in (self.member.client_port, self.member.peer_port)
        ]
        code, seconds = self.member.stop()
        self.check_end(code, seconds)
        for connection in [*connections, *silent]:
            connection.close()

    def test_sigterm_under_load(self):
        """All that was acknowledged is there when it is back."""
        acknowledged, stop = {}, threading.Event()

        def load(name):
            try:
                with http2.Connection(self.member.client_port) as connection:
                    number = 0
                    while not stop.is_set() and not connection.closed:
                        key, value = f"{name}/{number}".encode(), os.urandom(100)
                        if put(connection, key, value).status == 0:
                            acknowledged[key] = value
                        number += 1
            except OSError:
                pass

        for how in ("SIGTERM", "SIGKILL"):
            with self.subTest(how):
                stop.clear()
                threads = [threading.Thread(target=load, args=(f"{how} {number}",)) for number in range(4)]
                for thread in threads:
                    thread.start()
                time.sleep(1)
                if how == "SIGTERM":
                    code, seconds = self.member.stop()
                    self.check_end(code, seconds)
                else:
                    self.member.kill()
                stop.set()
                for thread in threads:
                    thread.join(30)
                self.member.start()
                found = stored(self.member)
                self.assertGreater(len(acknowledged), 100)
                lost = [key for key, value in acknowledged.items() if found.get(key) != value]
                self.assertEqual(lost, [])


def can_mount():
    if os.getuid() != 0:
        return False
    directory = scratch("can-mount")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "martlet-test", directory], capture_output=True)
    if done.returncode == 0:
        subprocess.run(["umount", directory], check=True)
    return done.returncode == 0


@unittest.skipUnless(can_mount(), "needs root and mount, for a file system of its own")
class FullDisk(unittest.TestCase):
    def setUp(self):
        self.place = scratch("full-disk")
        self.mounted = self.place / "disk"
        self.mounted.mkdir()
        self.mount("size=24m")
        self.member = Member(MARTLET, "full", self.place)
        self.member.data = self.mounted / "data"

    def tearDown(self):
        self.member.kill()
        subprocess.run(["umount", "-l", self.mounted], check=False)

    def mount(self, options):
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "martlet-test", self.mounted], check=True)

    def fill(self, value_bytes):
        """Writes until it is refused or the member has ended; returns what was acknowledged."""
        acknowledged = {}
        deadline = time.monotonic() + 20
        with http2.Connection(self.member.client_port) as connection:
            number = 0
            while time.monotonic() < deadline and not connection.closed and self.member.is_running:
                key, value = f"{number}".encode(), os.urandom(value_bytes)
                try:
                    reply = put(connection, key, value, seconds=5)
                except TimeoutError:
                    break
                if reply.status != 0:
                    break
                acknowledged[key] = value
                number += 1
        self.assertLess(time.monotonic(), deadline, "24 MB of disk were never filled")
        return acknowledged

    def try_with(self, value_bytes):
        self.member.start()
        acknowledged = self.fill(value_bytes)
        self.assertGreater(len(acknowledged), 3)
        try:
            code = self.member.process.wait(5)
        except subprocess.TimeoutExpired:
            code = None
        if code is not None:
            # It has stopped by itself: with a reason.
            self.assertGreater(code, 0, self.member.last_log())
            self.assertRegex(self.member.last_log(), "(?i)no space|ENOSPC|full")
        self.member.kill()

        # No room yet: it may come up or not, and must not lose or crash.
        self.member.start(wait=False)
        time.sleep(0.7)
        if not self.member.is_running:
            self.assertGreater(self.member.process.returncode, 0)
            self.assertTrue(self.member.last_log().startswith("Error: "), self.member.last_log())
        self.member.kill()

        subprocess.run(["mount", "-o", "remount,size=256m", self.mounted], check=True)
        self.member.start()
        found = stored(self.member)
        lost = [key for key, value in acknowledged.items() if found.get(key) != value]
        self.assertEqual(lost, [], f"{len(lost)} of {len(acknowledged)} acknowledged writes are lost")
        with http2.Connection(self.member.client_port) as connection:
            self.assertEqual(put(connection, b"after", b"v").status, 0)

    def test_with_large_values(self):
        self.try_with(200_000)

    def test_with_small_values(self):
        # What is there already leaves little room, so that the disk is full before long.
        (self.mounted / "ballast").write_bytes(b"x" * (19 << 20))
        self.try_with(1_500)


if __name__ == "__main__":
    unittest.main()
