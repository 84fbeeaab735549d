"""The admin calls and joining over HTTP, by curl, as their sources have them: R35 to R42 and R52 of Riot, D6, D7 and
D15 of raftd. What Martlet does differently is in Documentation/joining.md."""

import concurrent.futures
import json
import re
import shutil
import socket
import subprocess
import time
import unittest

from support.processes import MARTLET, Cluster, Member, free_port, run_to_end, scratch

CURL = shutil.which("curl")
# {"results": ...,"error": 0,"time": 3.9e-06}
SHAPE = re.compile(r'\{"results": (.*),"error": (\d),"time": ([0-9.e+-]+)\}\n', re.DOTALL)


def curl(member, path, *options):
    """The status, the body as bytes, and the fields in lower case."""
    done = subprocess.run(
        [CURL, "-s", "-i", *options, f"http://{member.endpoint}{path}"], capture_output=True, timeout=60, check=True
    )
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    while head.startswith(b"HTTP/1.1 100"):
        head, _, body = body.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    return int(lines[0].split()[1]), body, fields


def admin(member, path, *options):
    """The status, and what stands in results, error and time."""
    status, body, fields = curl(member, path, *options)
    found = SHAPE.fullmatch(body.decode())
    if not found:
        raise AssertionError(f"{path} answers {body!r}")
    return status, json.loads(found[1]), int(found[2]), float(found[3]), fields


def post(path, body, method="POST"):
    return path, "-X", method, "-d", body if isinstance(body, str) else json.dumps(body)


def join(member, body):
    status, answer, fields = curl(member, *post("/join", body))
    return status, json.loads(answer), fields


class Joiner(Member):
    """Started by one line."""

    def __init__(self, name, directory, asked, extra=()):
        super().__init__(MARTLET, name, directory, extra=extra)
        self.asked = asked

    def command(self, **replacing):
        flags = {
            "name": self.name,
            "data-dir": self.data,
            "listen-client-urls": f"http://{self.endpoint}",
            "listen-peer-urls": self.peer_url,
            "join": ",".join(member.endpoint for member in self.asked),
        }
        flags.update({key.replace("_", "-"): value for key, value in replacing.items()})
        return [str(self.program), "serve"] + [f"--{key}={value}" for key, value in flags.items()] + self.extra


def members(member):
    code, out, err = run_to_end([MARTLET, "--endpoints", member.endpoint, "member", "list", "-w", "json"])
    assert code == 0, err
    return json.loads(out)["members"]


def eventually(test, what, seconds=30):
    deadline = time.monotonic() + seconds
    while not test():
        if time.monotonic() > deadline:
            raise AssertionError(f"not after {seconds} s: {what}")
        time.sleep(0.05)


def leader_of(cluster):
    """The leader, and one that is not."""
    roles = {member: admin(member, "/admin/status")[1] for member in cluster.members if member.is_running}
    leaders = [member for member, role in roles.items() if role == "Leader"]
    return leaders[0], next(member for member in roles if member is not leaders[0])


def leader(cluster):
    def is_agreed():
        found = [admin(member, "/admin/leader")[1] for member in cluster.members if member.is_running]
        return len(set(found)) == 1 and found[0] != "no leader"

    eventually(is_agreed, "a leader")
    return leader_of(cluster)


@unittest.skipUnless(CURL, "there is no curl")
class Questions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(MARTLET, "admin").start().wait_ready()
        cls.leader, cls.follower = leader(cls.cluster)

    @classmethod
    def tearDownClass(cls):
        cls.cluster.kill()

    def test_status_r35(self):
        roles = []
        for member in self.cluster.members:
            status, results, error, seconds, fields = admin(member, "/admin/status")
            self.assertEqual((status, error, fields["content-type"]), (200, 0, "application/json"))
            self.assertTrue(0 < seconds < 1)
            roles.append(results)
        self.assertEqual(sorted(roles), ["Follower", "Follower", "Leader"])

    def test_peer_r36(self):
        for member in self.cluster.members:
            status, results, error, _, _ = admin(member, "/admin/peer")
            self.assertEqual((status, error), (200, 0))
            self.assertEqual(sorted(results), sorted(f"127.0.0.1:{each.peer_port}" for each in self.cluster.members))

    def test_leader_r37_and_lrpc_r38(self):
        for member in self.cluster.members:
            self.assertEqual(
                admin(member, "/admin/leader")[:3], (200, f"127.0.0.1:{self.leader.peer_port}", 0)
            )
            # Where the leader is asked by gRPC.
            self.assertEqual(admin(member, "/admin/lrpc")[:3], (200, self.leader.endpoint, 0))
        code, out, _ = run_to_end([MARTLET, "--endpoints", admin(self.follower, "/admin/lrpc")[1], "put", "a", "b"])
        self.assertEqual((code, out), (0, "OK\n"))

    def test_unknown_commands_r41(self):
        for method in ("GET", "POST", "DELETE"):
            self.assertEqual(admin(self.leader, "/admin/nothing", "-X", method)[0:3:2], (404, 5))

    def test_other_methods(self):
        allowed = {
            "/admin/status": "GET", "/admin/peer": "GET", "/admin/leader": "GET", "/admin/lrpc": "GET",
            "/admin/members": "GET", "/admin/snapshot": "GET", "/admin/join": "POST", "/admin/remove": "DELETE",
            "/admin/replace": "POST", "/join": "POST", "/cluster/join": "POST", "/cluster/move": "POST",
        }
        for path, method in allowed.items():
            status, _, fields = curl(self.leader, path, "-X", "PATCH")
            self.assertEqual((status, fields.get("allow")), (405, method), path)

    def test_members(self):
        report = json.loads(curl(self.follower, "/admin/members")[1])
        self.assertEqual(sorted(row["name"] for row in report["members"]), ["m1", "m2", "m3"])
        self.assertEqual(sorted(row["role"] for row in report["members"]), ["follower", "follower", "leader"])
        self.assertEqual({row["state"] for row in report["members"]}, {"ok"})
        code, out, _ = run_to_end([MARTLET, "--endpoints", self.leader.endpoint, "member", "status"])
        self.assertEqual(code, 0)
        self.assertEqual(len(out.splitlines()), 3)
        self.assertIn(", leader, ok, ", out)

    def test_snapshot_r52(self):
        directory = scratch("admin-snapshot")
        for number in range(200):
            key = f"big/{number}"
            run = subprocess.run(
                [str(MARTLET), "--endpoints", self.leader.endpoint, "put", key],
                input=b"v" * 20_000, capture_output=True, timeout=20, check=True,
            )
            self.assertEqual(run.stdout, b"OK\n")
        path = directory / "snapshot"
        done = subprocess.run(
            [CURL, "-sS", "-f", "-o", path, "--limit-rate", "20M", f"http://{self.leader.endpoint}/admin/snapshot"],
            capture_output=True,
            timeout=60,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertGreater(path.stat().st_size, 4_000)
        # It is a file as snapshot save makes it: what reads those reads it, and finds its digest right.
        code, out, err = run_to_end([MARTLET, "snapshot", "status", path, "-w", "json"])
        self.assertEqual(code, 0, err)
        self.assertGreaterEqual(json.loads(out)["totalKey"], 200)
        restored = directory / "restored"
        code, _, err = run_to_end([MARTLET, "snapshot", "restore", path, "--data-dir", restored])
        self.assertEqual(code, 0, err)
        # One that goes away in the middle holds nobody up.
        for _ in range(6):
            with socket.create_connection(("127.0.0.1", self.leader.client_port)) as connection:
                connection.sendall(b"GET /admin/snapshot HTTP/1.1\r\nHost: x\r\n\r\n")
                connection.recv(10)
        eventually(lambda: curl(self.leader, "/admin/snapshot")[0] == 200, "snapshots go on")


@unittest.skipUnless(CURL, "there is no curl")
class BadInput(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(MARTLET, "admin-bad").start().wait_ready()
        cls.leader, cls.follower = leader(cls.cluster)
        cls.other = Member(MARTLET, "x1", scratch("admin-other")).start()
        cls.before = members(cls.leader)

    @classmethod
    def tearDownClass(cls):
        cls.cluster.kill()
        cls.other.kill()

    def tearDown(self):
        self.assertEqual(members(self.leader), self.before, "what was refused was changed")

    def test_garbage(self):
        bodies = ["", "{", "[]", "null", "7", '"text"', "{}", '{"ip": 7}', '{"ip": "127.0.0.1"}', "\xff\xfe"]
        for body in [*bodies, "[" * 5_000]:
            for path, method in (("/admin/join", "POST"), ("/admin/remove", "DELETE")):
                with self.subTest(path=path, body=body[:20]):
                    self.assertEqual(admin(self.follower, *post(path, body, method))[0:3:2], (400, 2))
            for path in ("/join", "/cluster/join", "/cluster/move", "/admin/replace"):
                with self.subTest(path=path, body=body[:20]):
                    status, answer, _ = curl(self.follower, *post(path, body))
                    self.assertEqual((status, json.loads(answer)["code"]), (400, "bad-request"))

    def test_addresses_that_are_none(self):
        for address in ("", "nonsense", "127.0.0.1", "127.0.0.1:99999", ":8101", "https://127.0.0.1:1", "a b:1"):
            with self.subTest(address):
                body = {"httpAddr": "127.0.0.1:1", "raftAddr": address, "id": "n4"}
                self.assertEqual(join(self.leader, body)[0], 400)
        self.assertEqual(admin(self.leader, *post("/admin/join", {"ip": "127.0.0.1", "port": "x"}))[0:3:2], (400, 2))
        for name in ("", "a,b", "a=b"):
            body = {"name": name, "peerURLs": ["http://127.0.0.1:1"]}
            self.assertEqual(curl(self.leader, *post("/cluster/join", body))[0], 400)

    def test_nobody_is_there(self):
        port = free_port()
        for member in (self.leader, self.follower):
            status, answer, _ = join(
                member, {"httpAddr": "127.0.0.1:1", "raftAddr": f"127.0.0.1:{port}", "id": "n4"}
            )
            self.assertEqual((status, answer["code"]), (422, "unreachable"))
            self.assertIn(f"http://127.0.0.1:{port}: ", answer["error"])
            self.assertIn("Nothing was changed", answer["error"])
        status, results, error, _, _ = admin(
            self.leader, *post("/admin/join", {"ip": "127.0.0.1", "port": str(port)})
        )
        self.assertEqual((status, error), (422, 1))
        self.assertIn("does not find the member there", results)

    def test_somebody_else_is_there(self):
        # A port on which something listens, and another member's; the one that asks would answer with its nonce.
        with socket.create_server(("127.0.0.1", 0)) as server:
            body = {"name": "n4", "peerURLs": [f"http://127.0.0.1:{server.getsockname()[1]}"], "nonce": "abc"}
            status, answer, _ = curl(self.leader, *post("/cluster/join", body))
            self.assertEqual((status, json.loads(answer)["code"]), (422, "unreachable"))
        body["peerURLs"] = [self.other.peer_url]
        status, answer, _ = curl(self.leader, *post("/cluster/join", body))
        self.assertEqual((status, json.loads(answer)["code"]), (422, "unreachable"))
        self.assertIn("answers, not this one", json.loads(answer)["error"])

    def test_a_member_does_not_dial_around_for_everybody(self):
        urls = [f"http://127.0.0.1:{port}" for port in range(1, 10)]
        self.assertEqual(curl(self.leader, *post("/cluster/join", {"name": "n4", "peerURLs": urls}))[0], 400)
        # It takes connections and never answers: each question lasts two seconds, and sixteen are enough.
        with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
            body = {"name": "n4", "peerURLs": [f"http://127.0.0.1:{server.getsockname()[1]}"], "nonce": "abc"}
            begin = time.monotonic()
            with concurrent.futures.ThreadPoolExecutor(40) as pool:
                answers = list(pool.map(lambda _: curl(self.leader, *post("/cluster/join", body)), range(40)))
        codes = sorted(json.loads(body)["code"] for _, body, _ in answers)
        self.assertEqual(set(codes), {"not-ready", "unreachable"})
        self.assertGreaterEqual(codes.count("unreachable"), 16)
        self.assertLess(time.monotonic() - begin, 15)
        self.assertEqual(self.leader.http("/health")[0], 200)

    def test_a_used_name_and_a_used_address(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            status, answer, _ = join(
                self.leader, {"httpAddr": "127.0.0.1:1", "raftAddr": f"127.0.0.1:{port}", "id": "m2"}
            )
            self.assertEqual((status, answer["code"]), (409, "name-in-use"))
            self.assertIn("--replace m2", answer["error"])
        second = self.cluster.members[1]
        status, answer, _ = join(
            self.leader, {"httpAddr": "127.0.0.1:1", "raftAddr": f"127.0.0.1:{second.peer_port}", "id": "n4"}
        )
        self.assertEqual((status, answer["code"]), (409, "address-in-use"))

    def test_another_cluster(self):
        body = {"name": "n4", "peerURLs": ["http://127.0.0.1:1"], "token": "not-this-one"}
        status, answer, _ = curl(self.leader, *post("/cluster/join", body))
        self.assertEqual((status, json.loads(answer)["code"]), (409, "other-cluster"))
        self.assertIn("not-this-one", json.loads(answer)["error"])
        del body["token"]
        body["clusterID"] = "abc"
        status, answer, _ = curl(self.leader, *post("/cluster/join", body))
        self.assertEqual((status, json.loads(answer)["code"]), (409, "other-cluster"))
        move = {"clusterID": "abc", "memberID": "1", "peerURLs": ["http://127.0.0.1:1"]}
        status, answer, _ = curl(self.leader, *post("/cluster/move", move))
        self.assertEqual((status, json.loads(answer)["code"]), (409, "other-cluster"))

    def test_a_member_of_another_cluster_cannot_move_into_this_one(self):
        cluster = json.loads(curl(self.leader, "/admin/members")[1])
        second = next(row for row in cluster["members"] if row["name"] == "m2")
        body = {
            "clusterID": cluster["clusterID"], "memberID": second["id"], "peerURLs": [self.other.peer_url]
        }
        status, answer, _ = curl(self.leader, *post("/cluster/move", body))
        self.assertEqual((status, json.loads(answer)["code"]), (422, "unreachable"))

    def test_who_is_not_there_is_not_removed(self):
        status, results, error, _, _ = admin(
            self.leader, *post("/admin/remove", {"ip": "127.0.0.1", "port": "1"}, "DELETE")
        )
        self.assertEqual((status, error), (404, 4))
        self.assertIn("no member is at 127.0.0.1:1; the members are m", results)
        body = {"old": "m9", "peerURLs": ["http://127.0.0.1:1"]}
        self.assertEqual(curl(self.leader, *post("/admin/replace", body))[0], 404)

    def test_a_process_says_why_it_may_not_join(self):
        directory = scratch("admin-refused")
        for name, asked, words in (
            ("m2", self.leader, "--replace m2"),
            ("n9", self.other, "that is another cluster"),
        ):
            joiner = Joiner(name, directory, [asked])
            extra = ["--initial-cluster-token=client-tests"] if name == "m2" else ["--initial-cluster-token=wrong"]
            code, _, err = run_to_end(joiner.command() + extra)
            self.assertEqual(code, 1)
            self.assertIn(words, err)
            self.assertFalse(joiner.data.exists())
        nobody = Member(MARTLET, "nobody", directory)
        joiner = Joiner("n8", directory, [nobody])
        code, _, err = run_to_end(joiner.command() + ["--join-timeout=2s"])
        self.assertEqual(code, 1)
        self.assertIn("no place in the cluster within 2s (--join-timeout)", err)


@unittest.skipUnless(CURL, "there is no curl")
class Life(unittest.TestCase):
    def setUp(self):
        self.running = []

    def tearDown(self):
        for member in self.running:
            member.kill()

    def started(self, member, **options):
        self.running.append(member)
        return member.start(**options)

    def test_raftd_joins_d6_d7_d15(self):
        """By curl first, then by the node itself, which finds the place it was given."""
        directory = scratch("admin-join")
        first = self.started(Member(MARTLET, "node01", directory))
        second = Joiner("node02", directory, [first])
        body = {"httpAddr": second.endpoint, "raftAddr": f"127.0.0.1:{second.peer_port}", "id": "node02"}
        with socket.create_server(("127.0.0.1", second.peer_port)):
            status, answer, _ = join(first, body)
            self.assertEqual(status, 200)
            # The identical pair changes nothing.
            status, again, _ = join(first, body)
            self.assertEqual((status, again["memberID"]), (200, answer["memberID"]))
            self.assertEqual(len(members(first)), 2)
            # One learner at a time: another one has to wait.
            third = {"httpAddr": "127.0.0.1:1", "raftAddr": f"127.0.0.1:{free_port()}", "id": "node03"}
            with socket.create_server(("127.0.0.1", int(third["raftAddr"].split(":")[1]))):
                status, refusal, fields = join(first, third)
            self.assertEqual((status, refusal["code"], fields["retry-after"]), (503, "too-many-learners", "1"))
            self.assertIn("which has not started", refusal["error"])
        self.started(second, wait=False)
        eventually(lambda: all(not row.get("isLearner") for row in members(first)), "node02 votes")
        self.assertEqual(sorted(row["name"] for row in members(first)), ["node01", "node02"])
        self.assertEqual(join(first, body)[0], 200)
        self.assertEqual(join(second, {**body, "raftAddr": f"127.0.0.1:{free_port()}"})[1]["code"], "name-in-use")
        self.assertEqual(join(first, {"id": "node03"})[0], 400)
        # No leader, no change.
        second.kill()
        eventually(lambda: admin(first, "/admin/leader")[2] == 3, "the leader steps down")
        self.assertEqual(admin(first, "/admin/lrpc")[:3], (200, "no leader", 3))
        status, refusal, fields = join(first, {**body, "id": "node03", "raftAddr": "127.0.0.1:1"})
        self.assertEqual((status, refusal["code"], fields["retry-after"]), (503, "no-leader", "1"))
        status, _, error, _, fields = admin(first, *post("/admin/join", {"ip": "127.0.0.1", "port": "1"}))
        self.assertEqual((status, error, fields["retry-after"]), (503, 3, "1"))

    def test_riot_joins_and_removes_r39_r40(self):
        directory = scratch("admin-riot")
        first = self.started(Member(MARTLET, "m1", directory))
        others = []
        for number in (2, 3):
            others.append(self.started(Joiner(f"m{number}", directory, [first]), wait=False))
        eventually(lambda: sum(not row.get("isLearner") for row in members(first)) == 3, "three vote")
        place = {"ip": "127.0.0.1", "port": str(others[0].peer_port)}
        # Known already: no error.
        status, results, error, _, _ = admin(first, *post("/admin/join", place))
        self.assertEqual((status, error), (200, 0))
        self.assertEqual(int(results, 16), next(row["ID"] for row in members(first) if row["name"] == "m2"))
        # Ports as numbers, too, as Riot's configuration has them.
        self.assertEqual(admin(first, *post("/admin/join", {**place, "port": others[0].peer_port}))[2], 0)

        # Of two that answer neither may go while the third is away.
        others[1].kill()
        time.sleep(0.5)
        status, results, error, _, _ = admin(others[0], *post("/admin/remove", place, "DELETE"))
        self.assertEqual((status, error), (409, 4))
        self.assertIn("of them have to answer", results)
        code, _, err = run_to_end([MARTLET, "--endpoints", first.endpoint, "member", "remove", "m2"])
        self.assertEqual(code, 1)
        self.assertIn("not answering: m3", err)
        self.assertEqual(len(members(first)), 3)
        status, body, _ = curl(others[0], *post("/riot/admin/remove", place))
        self.assertEqual((status, json.loads(body)["ret"]), (409, 3))
        self.assertIn("of them have to answer", json.loads(body)["msg"])

        # The one that is away may.
        gone = {"ip": "127.0.0.1", "port": str(others[1].peer_port)}

        def is_removed():
            status, results, error, _, _ = admin(others[0], *post("/admin/remove", gone, "DELETE"))
            return (status, error) == (200, 0)

        eventually(is_removed, "m3 is removed")
        self.assertEqual(admin(others[0], *post("/admin/remove", gone, "DELETE"))[0:3:2], (404, 4))
        self.assertEqual(sorted(admin(first, "/admin/peer")[1]), sorted(
            f"127.0.0.1:{member.peer_port}" for member in (first, others[0])))

    def test_riot_removes_r52(self):
        """By its later route, asked of a member that does not lead and is not the one that goes."""
        cluster = Cluster(MARTLET, "admin-riot-remove").start().wait_ready()
        self.running += cluster.members
        leading, follower = leader(cluster)
        gone = next(member for member in cluster.members if member not in (leading, follower))
        place = {"ip": "127.0.0.1", "port": str(gone.peer_port)}
        before = members(leading)
        for body in ("", "{", "[]", "null", '{"ip": "127.0.0.1"}', '{"ip": 7, "port": "1"}', "\xff"):
            status, answer, _ = curl(follower, *post("/riot/admin/remove", body))
            self.assertEqual((status, json.loads(answer)["ret"]), (403, 2), body)
        status, answer, _ = curl(follower, *post("/riot/admin/remove", {**place, "port": "1"}))
        self.assertEqual((status, json.loads(answer)["ret"]), (404, 4))
        self.assertIn("no member is at 127.0.0.1:1; the members are m", json.loads(answer)["msg"])
        self.assertEqual(members(leading), before)
        answers = []

        def is_removed():
            answers.append(curl(follower, *post("/riot/admin/remove", place))[:2])
            return answers[-1] == (200, b'{"ret":0}\n')

        # Until all have been connected for a while nobody may go.
        eventually(is_removed, "it is removed")
        self.assertEqual({(status, json.loads(body)["ret"]) for status, body in answers} - {(409, 3)}, {(200, 0)})
        self.assertEqual(sorted(row["name"] for row in members(leading)), sorted(
            member.name for member in (leading, follower)))
        # As the source's configuration has ports; it is gone already.
        status, answer, _ = curl(follower, *post("/riot/admin/remove", {**place, "port": gone.peer_port}))
        self.assertEqual((status, json.loads(answer)["ret"]), (404, 4))
        for member in (leading, follower):
            eventually(
                lambda: len(json.loads(curl(member, "/riot/admin/peers")[1])["data"]) == 2, "both know of it")

    def test_replace_by_one_command(self):
        directory = scratch("admin-replace")
        first = self.started(Member(MARTLET, "m1", directory))
        others = [self.started(Joiner(f"m{number}", directory, [first]), wait=False) for number in (2, 3)]
        eventually(lambda: sum(not row.get("isLearner") for row in members(first)) == 3, "three vote")
        others[0].kill()
        new = Member(MARTLET, "m4", directory)
        command = subprocess.Popen(
            [str(MARTLET), "--endpoints", first.endpoint, "member", "replace", "m2", "m4", "--peer-urls", new.peer_url],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        lines = [command.stdout.readline().strip() for _ in range(4)]
        told = dict(line.split("=", 1) for line in lines)
        self.assertEqual(told["ETCD_NAME"], '"m4"')
        self.assertEqual(told["ETCD_INITIAL_CLUSTER_STATE"], '"existing"')
        time.sleep(1.5)  # it is waited for meanwhile
        self.started(
            new, wait=False, initial_cluster=told["ETCD_INITIAL_CLUSTER"].strip('"'), initial_cluster_state="existing"
        )
        out, err = command.communicate(timeout=40)
        self.assertEqual(command.returncode, 0, err)
        self.assertRegex(out, r"Member [0-9a-f]+ replaced by [0-9a-f]+\n")
        self.assertIn("has not caught up", err)
        self.assertEqual(sorted(row["name"] for row in members(first)), ["m1", "m3", "m4"])
        self.assertFalse(any(row.get("isLearner") for row in members(first)))
        new.wait_ready()
        # Once more: it is done.
        code, out, _ = run_to_end(
            [MARTLET, "--endpoints", first.endpoint, "member", "replace", "m9", "m4", "--peer-urls", new.peer_url]
        )
        self.assertNotEqual(code, 0)

    def test_three_members_of_riots_files(self):
        """cluster1.sh (R43): one that begins alone, and two that join it, each with its own TOML."""
        directory = scratch("admin-files")
        started = []
        for number in range(3):
            member = Member(MARTLET, f"riot{number}", directory)
            store = directory / f"raft{number}"
            (directory / f"cfg{number}.toml").write_text(
                f"""
[server]
addr = "localhost"
port = "{member.client_port}"
[raft]
addr = "127.0.0.1"
port = "{member.peer_port}"
peers = ["127.0.0.1:{member.peer_port}"]
peer_storage = "{store}/raft_peer_storage"
snapshot_storage = "{store}/raft_snapshot_storage"
store_backend = "leveldb"
storage_backend_path = "{store}/storage_backend_path"
raft_log_path = "{store}/raft_log_path"
apply_log_path = "{store}/apply_log_path"
enable_single_node = {"true" if number == 0 else "false"}
[log]
log_dir = "{store}/log"
log_name = "riot.log"
log_level = "info"
"""
            )
            command = [str(MARTLET), "serve", "--config-file", str(directory / f"cfg{number}.toml")]
            if number:
                command += ["--join", f"127.0.0.1:{started[0].client_port}"]
            member.command = lambda command=command, **_: command
            started.append(self.started(member, wait=number == 0))
        first = started[0]
        eventually(lambda: sum(not row.get("isLearner") for row in members(first)) == 3, "three vote")
        self.assertEqual(sorted(row["name"] for row in members(first)), sorted(
            f"127.0.0.1:{member.peer_port}" for member in started))
        self.assertIn("ready to serve", (directory / "raft0/log/riot.log").read_text())


if __name__ == "__main__":
    unittest.main()
