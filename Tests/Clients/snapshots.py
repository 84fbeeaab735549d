"""Snapshots for clients: saved by every etcdctl and by martlet while writes go on, restored into clusters of one and of
three, and what is refused."""

import hashlib
import json
import os
import threading
import time
import unittest

from etcdctl_parity import ETCDCTLS
from support import http2, protobuf
from support.processes import MARTLET, Cluster, Member, run_to_end, scratch, tree_hash
from support.protobuf import message, put_request, range_request, signed

KV = "/etcdserverpb.KV/"
LEASE = "/etcdserverpb.Lease/"
SNAPSHOT = "/etcdserverpb.Maintenance/Snapshot"
BUMP = 1_000_000_000
# As SnapshotLimits has it.
CONCURRENT_MAX = 4


def put(connection, key, value, **options):
    reply = connection.call(KV + "Put", put_request(key, value, **options))
    assert reply.status == 0, reply


def stored(member, revision=None):
    """All keys with values, mod revisions, versions and leases; and the store's revision."""
    with http2.Connection(member.client_port) as connection:
        reply = connection.call(KV + "Range", range_request(b"\0", b"\0", revision=revision), seconds=30)
        assert reply.status == 0, reply
        answer = protobuf.parse(reply.messages[0])
        header = protobuf.parse(answer[1][0])
        pairs = {}
        for raw in answer.get(2, []):
            pair = protobuf.parse(raw)
            pairs[protobuf.get(pair, 1)] = tuple(protobuf.get(pair, number) for number in (5, 3, 4, 6))
        return pairs, protobuf.get(header, 3)


def run(test, *arguments, fails=False, seconds=60):
    code, out, err = run_to_end([MARTLET, *arguments], seconds=seconds)
    test.assertEqual(code != 0, fails, f"{arguments}: {code} {out} {err}")
    return err if fails else out


def save(test, member, file):
    return run(test, "snapshot", "save", file, "--endpoints", member.endpoint)


def restore(test, file, member, **options):
    flags = {
        "data-dir": member.data,
        "name": member.name,
        "initial-cluster": member.initial_cluster,
        "initial-cluster-token": member.token,
        "initial-advertise-peer-urls": member.peer_url,
    }
    flags.update({key.replace("_", "-"): value for key, value in options.items()})
    return run(test, "snapshot", "restore", file, *[f"--{key}={value}" for key, value in flags.items()])


class Writer(threading.Thread):
    """Writes keys one after the other until it is told to stop."""

    def __init__(self, member):
        super().__init__(daemon=True)
        self.member = member
        self.stopped = threading.Event()
        self.written = 0

    def run(self):
        with http2.Connection(self.member.client_port) as connection:
            while not self.stopped.is_set():
                put(connection, f"live/{self.written:08}", b"x" * 500)
                self.written += 1

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.join()


class Saving(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = scratch("saving")
        cls.member = Member(MARTLET, "m", cls.directory).start()
        with http2.Connection(cls.member.client_port) as connection:
            for number in range(500):
                put(connection, f"kept/{number:04}", os.urandom(2000))

    @classmethod
    def tearDownClass(cls):
        cls.member.kill()

    def saved_by(self, command, name):
        file = self.directory / name
        with Writer(self.member) as writer:
            while writer.written < 20:
                time.sleep(0.005)
            before = stored(self.member)[1]
            code, out, err = run_to_end([*command, "snapshot", "save", file, "--endpoints", self.member.endpoint])
            self.assertEqual(code, 0, err)
            self.assertIn(f"Snapshot saved at {file}", out)
            after = stored(self.member)[1]
        self.assertFalse(file.with_name(name + ".part").exists())
        content = file.read_bytes()
        self.assertEqual(content[-32:], hashlib.sha256(content[:-32]).digest())
        status = json.loads(run(self, "snapshot", "status", file, "-w", "json"))
        self.assertEqual(status["totalSize"], len(content) - 32)
        # One revision, of a moment while it was asked for, and what was there at that revision.
        self.assertLessEqual(before, status["revision"])
        self.assertLessEqual(status["revision"], after)
        self.assertEqual(status["totalKey"], len(stored(self.member, status["revision"])[0]))
        return file

    def test_etcdctl_3_4(self):
        if not ETCDCTLS["3.4"]:
            self.skipTest("no etcdctl 3.4 on this machine")
        self.saved_by([ETCDCTLS["3.4"]], "s34.db")

    def test_etcdctl_3_5(self):
        self.saved_by([ETCDCTLS["3.5"]], "s35.db")

    def test_martlet(self):
        self.saved_by([MARTLET], "martlet.db")

    def test_status_in_etcdctls_formats(self):
        file = self.directory / "status.db"
        save(self, self.member, file)
        status = json.loads(run(self, "snapshot", "status", file, "-w", "json"))
        self.assertEqual(list(status), ["hash", "revision", "totalKey", "totalSize"])
        simple = run(self, "snapshot", "status", file)
        figures = [f"{status['hash']:x}", str(status["revision"]), str(status["totalKey"])]
        self.assertEqual(simple.split(", ")[:3], figures)
        fields = run(self, "snapshot", "status", file, "-w", "fields")
        self.assertEqual(fields.splitlines()[1], f"\"Revision\" : {status['revision']}")
        self.assertIn("| TOTAL KEYS |", run(self, "snapshot", "status", file, "-w", "table"))

    def test_where_it_cannot_be_written_there_is_no_file(self):
        error = run(
            self, "snapshot", "save", self.directory / "none/x.db", "--endpoints", self.member.endpoint, fails=True)
        self.assertIn("could not open", error)
        self.assertFalse((self.directory / "none").exists())
        error = run(self, "snapshot", "save", self.directory / "x.db", "--endpoints", "127.0.0.1:1", fails=True)
        self.assertIn("no endpoint can be reached", error)
        error = run(
            self, "snapshot", "save", self.directory / "x.db", "--endpoints", "127.0.0.1:1,127.0.0.1:2", fails=True)
        self.assertIn("one selected node", error)
        self.assertEqual([path.name for path in self.directory.glob("x.db*")], [])


class Stream(unittest.TestCase):
    """The call itself: its messages, clients that do not read, and how many there may be."""

    VALUES = 300

    @classmethod
    def setUpClass(cls):
        cls.member = Member(MARTLET, "m", scratch("snapshot-stream")).start()
        with http2.Connection(cls.member.client_port) as connection:
            for number in range(cls.VALUES):
                put(connection, f"k{number:04}", os.urandom(200_000))

    @classmethod
    def tearDownClass(cls):
        cls.member.kill()

    def own_bytes(self):
        """When what was put has gone to the engine, a second later, which takes memory for a moment: 60 MB here."""
        last, since = 0, time.monotonic()
        while time.monotonic() < since + 2.5:
            now = self.member.own_bytes()
            if now > last:
                last, since = now, time.monotonic()
            time.sleep(0.1)
        return self.member.own_bytes()

    def ask(self, connection):
        stream = connection.open(SNAPSHOT)
        connection.send(stream, http2.grpc_frame(b""), end=True)
        return stream

    def test_messages_are_etcds(self):
        with http2.Connection(self.member.client_port, timeout=60) as connection:
            reply = connection.wait(self.ask(connection), seconds=60)
        self.assertEqual(reply.status, 0, reply)
        pieces = [protobuf.parse(raw) for raw in reply.messages]
        blobs = [protobuf.get(piece, 3) for piece in pieces]
        self.assertGreater(sum(map(len, blobs)), self.VALUES * 200_000)
        self.assertLessEqual(max(map(len, blobs)), 32 << 10)
        self.assertEqual(blobs[-1], hashlib.sha256(b"".join(blobs[:-1])).digest())
        left = sum(len(blob) for blob in blobs[:-1])
        self.assertEqual(left % 512, 0)
        for piece, blob in zip(pieces[:-1], blobs):
            left -= len(blob)
            self.assertEqual(protobuf.get(piece, 2), left)
            self.assertEqual(protobuf.get(piece, 4), b"3.6.0")
            self.assertNotIn(1, piece)
        self.assertEqual(protobuf.get(pieces[-1], 2), 0)

    def test_clients_that_do_not_read_cost_little_and_hold_nobody_up(self):
        before = self.own_bytes()
        connections = [http2.Connection(self.member.client_port) for _ in range(CONCURRENT_MAX)]
        streams = [self.ask(connection) for connection in connections]
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            with http2.Connection(self.member.client_port) as connection:
                put(connection, "other", b"x")
            time.sleep(0.05)
        # 60 MB of state for each of them, and little of it in memory.
        self.assertLess(self.member.own_bytes() - before, 24 << 20)
        # One more is refused, and told why.
        with http2.Connection(self.member.client_port) as connection:
            refused = connection.wait(self.ask(connection))
            self.assertEqual(refused.status, 8)
            self.assertIn("being sent already", refused.text)
        # Each that goes makes room, whether it hangs up or reads to the end.
        for connection in connections[1:]:
            connection.close()
        reply = connections[0].wait(streams[0], seconds=60)
        self.assertEqual(reply.status, 0, reply)
        connections[0].close()
        with http2.Connection(self.member.client_port, timeout=60) as connection:
            for stream in [self.ask(connection) for _ in range(CONCURRENT_MAX)]:
                self.assertEqual(connection.wait(stream, seconds=60).status, 0)

    def test_one_request_is_one_request(self):
        with http2.Connection(self.member.client_port) as connection:
            stream = connection.open(SNAPSHOT, end=True)
            self.assertEqual(connection.wait(stream).status, 13)
            stream = connection.open(SNAPSHOT)
            connection.send(stream, http2.grpc_frame(b"\xff"), end=True)
            self.assertEqual(connection.wait(stream).status, 13)


class Restoring(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = scratch("restoring")
        cls.source = Member(MARTLET, "source", cls.directory).start()
        with http2.Connection(cls.source.client_port) as connection:
            for number in range(300):
                put(connection, f"k{number:03}", b"old")
            for number in range(0, 300, 3):
                put(connection, f"k{number:03}", b"new")
            for number in range(1, 300, 3):
                connection.call(KV + "DeleteRange", protobuf.delete_request(f"k{number:03}"))
            grant = protobuf.parse(connection.call(LEASE + "LeaseGrant", message({1: 600})).messages[0])
            cls.lease = signed(protobuf.get(grant, 2))
            put(connection, "leased", b"x", lease=cls.lease)
        cls.file = cls.directory / "state.db"
        code, _, err = run_to_end(
            [MARTLET, "snapshot", "save", cls.file, "--endpoints", cls.source.endpoint])
        assert code == 0, err
        cls.pairs, cls.revision = stored(cls.source)

    @classmethod
    def tearDownClass(cls):
        cls.source.kill()

    def check(self, member, bump=BUMP):
        pairs, revision = stored(member)
        self.assertEqual(pairs, self.pairs)
        self.assertEqual(revision, self.revision + bump)
        with http2.Connection(member.client_port) as connection:
            answer = protobuf.parse(
                connection.call(LEASE + "LeaseTimeToLive", message({1: self.lease, 2: True})).messages[0])
            self.assertEqual(protobuf.get(answer, 4), 600)
            self.assertGreater(signed(protobuf.get(answer, 3)), 400)
            self.assertEqual(protobuf.get(answer, 5), b"leased")

    def test_into_one_member(self):
        member = Member(MARTLET, "one", self.directory)
        said = restore(self, self.file, member)
        self.assertIn(f"Revisions moved on by {BUMP}, from {self.revision} to {self.revision + BUMP}", said)
        self.assertIn("--initial-cluster one=", said)
        member.start()
        try:
            self.check(member)
            with http2.Connection(member.client_port) as connection:
                # What was known under old revisions, later ones than the snapshot's among them, is gone.
                for old in (self.revision - 5, self.revision, self.revision + 1000):
                    reply = connection.call(KV + "Range", range_request("k000", revision=old))
                    self.assertEqual((reply.status, "compacted" in reply.text), (11, True), reply)
                put(connection, "after", b"1")
            self.assertEqual(stored(member)[1], self.revision + BUMP + 1)
            member.stop()
            member.start()
            pairs, revision = stored(member)
            self.assertEqual(revision, self.revision + BUMP + 1)
            self.assertEqual({key: pair for key, pair in pairs.items() if key != b"after"}, self.pairs)
        finally:
            member.kill()

    def test_watchers_of_the_past_are_told(self):
        member = Member(MARTLET, "watched", self.directory)
        restore(self, self.file, member)
        member.start()
        try:
            code, out, err = run_to_end(
                [ETCDCTLS["3.5"], "--endpoints", member.endpoint, "watch", "k000", f"--rev={self.revision + 7}"])
            self.assertIn("required revision has been compacted", out + err)
        finally:
            member.kill()

    def test_into_three_members(self):
        cluster = Cluster(MARTLET, "restored-three")
        for member in cluster.members:
            restore(self, self.file, member)
        states = [(member.data / "member/state/state-1/data.mdb").read_bytes() for member in cluster.members]
        self.assertEqual(states[0], states[1])
        self.assertEqual(states[0], states[2])
        try:
            cluster.start().wait_ready()
            for member in cluster.members:
                self.check(member)
            with http2.Connection(cluster.members[1].client_port) as connection:
                put(connection, "after", b"1")
            hashes = set()
            for member in cluster.members:
                self.assertEqual(stored(member)[0][b"after"][0], b"1")
                with http2.Connection(member.client_port) as connection:
                    answer = connection.call(
                        "/etcdserverpb.Maintenance/HashKV", message({1: self.revision + BUMP + 1})).messages[0]
                    hashes.add(protobuf.get(protobuf.parse(answer), 2))
            self.assertEqual(len(hashes), 1)
        finally:
            cluster.kill()

    def test_members_of_other_files_do_not_mix(self):
        """One member restored, one that starts with nothing, one restored otherwise: no two make a cluster."""
        cluster = Cluster(MARTLET, "mixed")
        restore(self, self.file, cluster.members[0])
        restore(self, self.file, cluster.members[1], bump_revision=5)
        try:
            cluster.start()
            time.sleep(4)
            for member in cluster.members:
                self.assertFalse(member.is_healthy(), member.name)
        finally:
            cluster.kill()

    def test_revisions_stay_if_that_is_asked_for(self):
        member = Member(MARTLET, "same", self.directory)
        said = restore(self, self.file, member, bump_revision=0)
        self.assertIn(f"The revision stays {self.revision}", said)
        member.start()
        try:
            self.check(member, bump=0)
        finally:
            member.kill()
        error = run(
            self, "snapshot", "restore", self.file, "--data-dir", self.directory / "no", "--bump-revision=0",
            "--mark-compacted", fails=True)
        self.assertIn("--mark-compacted", error)

    def test_what_was_restored_can_be_saved_and_restored_again(self):
        member = Member(MARTLET, "first", self.directory)
        restore(self, self.file, member)
        member.start()
        file = self.directory / "second.db"
        try:
            save(self, member, file)
        finally:
            member.kill()
        again = Member(MARTLET, "second", self.directory)
        restore(self, file, again)
        again.start()
        try:
            self.check(again, bump=2 * BUMP)
        finally:
            again.kill()

    def test_a_log_elsewhere(self):
        member = Member(MARTLET, "apart", self.directory)
        log = self.directory / "apart-log"
        restore(self, self.file, member, wal_dir=log)
        member.start(wal_dir=log)
        try:
            self.check(member)
            self.assertTrue(list(log.iterdir()))
        finally:
            member.kill()

    # What is refused, with a sentence, and without anything being made.

    def refused(self, file, part, *flags, directory=None):
        target = directory or self.directory / "refused"
        before = tree_hash(target) if directory else None
        error = run(self, "snapshot", "restore", file, "--data-dir", target, *flags, fails=True)
        self.assertEqual(len(error.strip().splitlines()), 1, error)
        self.assertIn(part, error)
        if directory:
            self.assertEqual(tree_hash(target), before)
        else:
            self.assertFalse(target.exists(), error)

    def altered(self, name, change):
        file = self.directory / name
        content = bytearray(self.file.read_bytes())
        changed = change(content)
        file.write_bytes(content if changed is None else changed)
        return file

    def test_files_that_are_none(self):
        def flip(at):
            def change(content):
                content[at] ^= 1

            return change

        self.refused(self.directory / "nowhere.db", "there is no file")
        self.refused(self.directory, "is a directory")
        for count in (0, 5, 100, 512, 600, -33, -32, -1):
            cut = self.altered("cut.db", lambda content: bytes(content[:count]))
            self.refused(cut, "an empty file" if count == 0 else "no snapshot" if count == 5 else "is cut off")
        for at in (30, 515, 530, 2000, -600):
            self.refused(self.altered("bit.db", flip(at)), "is damaged")
        self.refused(self.altered("hash.db", flip(-1)), "SHA-256")
        self.refused(self.altered("long.db", lambda content: bytes(content) + b"x"), "where its header says")
        self.refused(self.altered("text.db", lambda _: b"backup of tuesday\n" * 500), "is no snapshot of Martlet's")
        for file in ("cut.db", "bit.db", "hash.db", "long.db", "text.db"):
            run(self, "snapshot", "status", self.directory / file, fails=True)

    def test_a_wrong_hash_can_be_passed_over_and_a_wrong_chunk_cannot(self):
        def change(content):
            content[-1] ^= 1

        member = Member(MARTLET, "skipped", self.directory)
        run(
            self, "snapshot", "restore", self.altered("skip.db", change), "--skip-hash-check",
            "--data-dir", member.data, "--name", "skipped", f"--initial-cluster={member.initial_cluster}",
            f"--initial-cluster-token={member.token}", f"--initial-advertise-peer-urls={member.peer_url}")
        member.start()
        try:
            self.check(member)
        finally:
            member.kill()

        def damage(content):
            content[700] ^= 1

        self.refused(self.altered("chunk.db", damage), "checksum is wrong", "--skip-hash-check")

    def test_a_database_of_etcds(self):
        from support.processes import ETCD

        etcd = Member(ETCD, "etcd", self.directory).start()
        file = self.directory / "etcd.db"
        try:
            # Saving is the same for any server.
            save(self, etcd, file)
        finally:
            etcd.kill()
        self.refused(file, "a database of etcd's")

    def test_directories_that_hold_something(self):
        taken = self.directory / "taken"
        taken.mkdir()
        (taken / "file").write_text("mine")
        self.refused(self.file, "is not empty", directory=taken)
        member = Member(MARTLET, "twice", self.directory)
        restore(self, self.file, member)
        self.refused(self.file, "is not empty", directory=member.data)
        # An empty one is as good as none: a mounted disk is one.
        empty = Member(MARTLET, "empty", self.directory)
        empty.data.mkdir()
        restore(self, self.file, empty)

    def test_flags_that_contradict(self):
        self.refused(self.file, "no member named", "--name=a", "--initial-cluster=b=http://10.0.0.1:2380")
        self.refused(
            self.file, "must name the same URLs", "--name=a", "--initial-cluster=a=http://10.0.0.1:2380",
            "--initial-advertise-peer-urls=http://10.0.0.2:2380")
        self.refused(self.file, "revisions move on by", "--bump-revision=99999999999999999")
        self.refused(self.file, "revisions move on by", "--bump-revision=-1")
        self.refused(self.file, "--initial-advertise-peer-urls", "--initial-advertise-peer-urls=nonsense")

    def test_started_with_other_flags(self):
        member = Member(MARTLET, "other", self.directory)
        restore(self, self.file, member)
        before = tree_hash(member.data)
        process = member.command(initial_cluster_token="another")
        code, _, err = run_to_end(process)
        self.assertNotEqual(code, 0)
        self.assertIn("belongs to another member or cluster", err)
        self.assertEqual(tree_hash(member.data), before)


class LostMajority(unittest.TestCase):
    def test_the_member_that_is_left_gives_a_snapshot(self):
        cluster = Cluster(MARTLET, "lost")
        directory = scratch("lost-restored")
        try:
            cluster.start().wait_ready()
            with http2.Connection(cluster.members[0].client_port) as connection:
                for number in range(50):
                    put(connection, f"k{number}", b"v")
            left = cluster.members[2]
            pairs, revision = stored(left)
            for member in cluster.members[:2]:
                member.kill()
            time.sleep(3)
            self.assertFalse(left.is_healthy())
            save(self, left, directory / "left.db")
        finally:
            cluster.kill()
        member = Member(MARTLET, "alone", directory)
        restore(self, directory / "left.db", member)
        member.start()
        try:
            self.assertEqual(stored(member), (pairs, revision + BUMP))
        finally:
            member.kill()


class Maintenance(unittest.TestCase):
    """Defragment, Hash and Downgrade."""

    @classmethod
    def setUpClass(cls):
        cls.member = Member(MARTLET, "m", scratch("maintenance")).start()
        with http2.Connection(cls.member.client_port) as connection:
            put(connection, "a", b"1")

    @classmethod
    def tearDownClass(cls):
        cls.member.kill()

    def call(self, method, request=b""):
        with http2.Connection(self.member.client_port) as connection:
            return connection.call("/etcdserverpb.Maintenance/" + method, request)

    def test_defragmenting_is_done_at_once(self):
        for etcdctl in filter(None, ETCDCTLS.values()):
            code, out, err = run_to_end([etcdctl, "--endpoints", self.member.endpoint, "defrag"])
            self.assertEqual((code, "Finished defragmenting" in out + err), (0, True), err)
        self.assertEqual(self.call("Defragment").messages, [b""])

    def test_the_hash_is_of_all_there_is(self):
        first, again = (protobuf.parse(self.call("Hash").messages[0]) for _ in range(2))
        self.assertEqual(first[2], again[2])
        with http2.Connection(self.member.client_port) as connection:
            put(connection, "a", b"2")
        other = protobuf.parse(self.call("Hash").messages[0])
        self.assertNotEqual(other[2], first[2])
        self.assertIn(1, other)

    def test_there_is_nothing_to_downgrade_to(self):
        for action in (0, 1):
            for version, part in [(b"3.5.0", "invalid downgrade target version"), (b"x", "wrong downgrade target")]:
                reply = self.call("Downgrade", message({1: action, 2: version}))
                self.assertEqual(reply.status, 3)
                self.assertIn(part, reply.text)
        reply = self.call("Downgrade", message({1: 2}))
        self.assertEqual((reply.status, reply.text), (9, "etcdserver: no inflight downgrade job"))


class CompactingByItself(unittest.TestCase):
    def test_history_older_than_the_retention_goes(self):
        cluster = Cluster(MARTLET, "compacting", extra=["--auto-compaction-retention=2s"])
        try:
            cluster.start().wait_ready()
            with http2.Connection(cluster.members[0].client_port) as connection:
                for number in range(10):
                    put(connection, "k", str(number))
                deadline = time.monotonic() + 20
                while connection.call(KV + "Range", range_request("k", revision=5)).status == 0:
                    self.assertLess(time.monotonic(), deadline, "nothing was compacted")
                    put(connection, "other", b"x")
                    time.sleep(0.1)
                answer = protobuf.parse(connection.call(KV + "Range", range_request("k")).messages[0])
                self.assertEqual(protobuf.get(protobuf.parse(answer[2][0]), 5), b"9")
            # One of them asked for it, and all of them did it.
            logs = [member.log() for member in cluster.members]
            self.assertEqual(sum("completed auto compaction" in log for log in logs), 1)
            for member in cluster.members:
                with http2.Connection(member.client_port) as connection:
                    self.assertEqual(
                        connection.call(KV + "Range", range_request("k", revision=5, serializable=True)).status, 11)
            # The next leader goes on.
            leader = next(member for member, log in zip(cluster.members, logs) if "completed auto compaction" in log)
            leader.kill()
            rest = [member for member in cluster.members if member is not leader]
            for member in rest:
                member.wait_ready()
            deadline = time.monotonic() + 20
            while not any("completed auto compaction" in member.log() for member in rest):
                self.assertLess(time.monotonic(), deadline, "the next leader does not compact")
                with http2.Connection(rest[0].client_port) as connection:
                    put(connection, "other", b"x")
                time.sleep(0.1)
        finally:
            cluster.kill()


if __name__ == "__main__":
    unittest.main()
