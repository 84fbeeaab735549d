"""One script of etcdctl commands, played to a martlet cluster and to an etcd 3.5.1 cluster; what comes back must agree.

Both clusters have three members and see the same commands in the same order, so that revisions, versions and counts are
the same numbers on both and are compared as they are. What cannot be the same (ids, terms, ports, times) is replaced
before it is compared, by names where it names something.
"""

import hashlib
import json
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest

from support import http2, messages, protobuf
from support.etcdctl_script import SCRIPTS, Step
from support.processes import ETCD, ETCD_DIRECTORY, MARTLET, Cluster, environment, member_id, run_to_end

ETCDCTLS = {"3.5": ETCD_DIRECTORY / "etcdctl", "3.4": shutil.which("etcdctl")}

# What differs from etcd 3.5.1: (part of the command, the etcdctl, why). A command that is listed here and does not
# differ any more fails the test, so that the list stays true.
KNOWN = []

# What martlet has no service for yet (Documentation/roadmap.md).
NOT_YET = [
    ["auth", "status"],
    ["user", "list"],
    ["role", "list"],
]


class Playing:
    """A cluster, and what it needs to make its answers comparable."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.answers = []
        self.names = {}
        self.ids = {"lease": "1", "member": "1"}
        for member in cluster.members:
            self.names[str(member.client_port)] = f"<{member.name}'s client port>"
            self.names[str(member.peer_port)] = f"<{member.name}'s peer port>"

    def learn_ids(self, etcdctl):
        code, out, err = run_to_end(
            [etcdctl, "--endpoints", self.cluster.members[0].endpoint, "member", "list", "-w", "json"]
        )
        assert code == 0, err
        answer = json.loads(out)
        self.member_ids = {member["name"]: member["ID"] for member in answer["members"]}
        self.cluster_id = answer["header"]["cluster_id"]
        for name, number in [*self.member_ids.items(), ("cluster", self.cluster_id)]:
            self.names[str(number)] = self.names[f"{number:x}"] = f"<{name}'s id>"

    def revision(self, etcdctl, member):
        code, out, err = run_to_end([etcdctl, "--endpoints", member.endpoint, "get", "x", "-w", "json"])
        assert code == 0, err
        return json.loads(out)["header"]["revision"]

    def play(self, script, etcdctl, version, member, scheme):
        """Plays a script through one member, named with or without a scheme; the answers are left in `answers`."""
        self.answers = []
        revision = self.revision(etcdctl, member)
        for step in script:
            if step.only not in (None, version):
                continue
            arguments, stdin = step.resolved(revision, self.ids)
            code, out, err = run_to_end(
                [etcdctl, "--endpoints", scheme + member.endpoint, *arguments],
                seconds=30,
                input=stdin.encode(),
                decode=False,
            )
            self.learn_id(out.decode(errors="replace"))
            if "protobuf" in arguments and code == 0 and out:
                out = self.normal_protobuf(arguments[:2], out)
            self.answers.append((step, code, self.normal(step, out), self.normal(step, err)))

    def learn_id(self, out):
        """An id that the cluster chose just now: of a lease, of an added member."""
        for kind, pattern in (("lease", r"lease ([0-9a-f]+) granted"), ("member", r"Member +([0-9a-f]+) added")):
            found = re.search(pattern, out)
            if found:
                number = int(found.group(1), 16)
                self.ids[kind] = found.group(1)
                for text in (str(number), f"{number:x}", f"{number:016x}"):
                    self.names[text] = f"<the {kind}>"
        for found in re.findall(r'"?ID"? ?: ?(\d{15,})', out):
            # In other formats than the simple one; which it is, is not asked.
            for text in (found, f"{int(found):x}", f"{int(found):016x}"):
                self.names.setdefault(text, "<an id>")

    def normal_protobuf(self, command, data):
        """The fields of an answer in protobuf, without what is in every header and cannot be the same."""
        fields = protobuf.parse(data)
        if command[0] == "lease":
            # Ids, seconds and keys: the other formats compare them.
            return str({number: len(values) for number, values in sorted(fields.items())}).encode()
        header = protobuf.parse(fields.pop(1, [b""])[0])
        ids = " ".join(self.names.get(str(protobuf.get(header, number)), "?") for number in (1, 2))
        if command == ["member", "list"]:
            members = [protobuf.parse(member) for member in fields.pop(2)]
            fields[2] = [{**member, 1: self.names.get(str(protobuf.get(member, 1)))} for member in members]
            fields[2].sort(key=lambda member: member[2])
        return f"header of {ids}, revision {protobuf.get(header, 3)}: {sorted(fields.items())}".encode()

    def normal(self, step, text):
        text = text.decode(errors="backslashreplace")
        text = re.sub(r"\b[0-9a-f]{4,20}\b", lambda found: self.names.get(found.group(), found.group()), text)
        text = re.sub(r" +(?=<cluster's id>)", " ", text)  # ids are printed 16 wide
        for pattern, replacement in [
            (r'"(ts|target|caller)":"[^"]*"', r'"\1":"<any>"'),
            (r'("?raft_?[tT]erm"?\s*:\s*)"?\d+"?', r"\1<term>"),
            (r'("RaftTerm" : )\d+', r"\1<term>"),
            (r'("took":"|"Took" : "?|took = )[0-9.]+[mµn]?s', r"\1<time>"),
            (r'(remaining\(|"ttl":|"TTL" : )\d+', r"\1<seconds>"),
        ]:
            text = re.sub(pattern, replacement, text)
        command = step.arguments[:2]
        if command[0] == "endpoint":
            text = normal_endpoint(command[1], without_table(text))
        if command == ["member", "add"]:
            # Its list is in the order of the ids.
            text = re.sub(r'(?<=CLUSTER=")[^"]*', lambda found: ",".join(sorted(found.group().split(","))), text)
        if command[0] == "lease":
            # In no order.
            text = re.sub(r"(?<=keys\(\[)[^]]*", lambda found: " ".join(sorted(found.group().split())), text)
            text = re.sub(r'(?<="keys":\[)[^]]*', lambda found: ",".join(sorted(found.group().split(","))), text)
        if command == ["lease", "timetolive"] and '"Key' in text:
            text = "\n".join(sorted(text.splitlines()))
        if command == ["lease", "list"]:
            text = "\n".join(sorted(text.splitlines()))
            text = re.sub(r'(?<="leases":\[)[^]]*', lambda found: ",".join(sorted(found.group().split(","))), text)
        if command == ["member", "list"]:
            # In the order of the ids.
            text = ",".join(sorted(re.split(r"[\n,]\s*", without_table(text).replace("[", "\n").replace("]", "\n"))))
        return text


def without_table(text):
    """A table's cells, whatever their widths."""
    if "+--" not in text:
        return text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return "\n".join(", ".join(cell.strip() for cell in row.strip("|").split("|")) for row in rows)


def normal_endpoint(command, text):
    """What `endpoint` prints, without what is a member's own; its lines are in the order of the ids or of arrival."""
    if command == "status":
        for pattern, replacement in [
            (r"\b3\.(5\.1|6\.\d+)\b", "<version>"),
            (
                r"\b[\d.]+ [kM]?B, (true|false), false, \d+, \d+, \d+,",
                "<size>, <is leader>, false, <term, index, applied>,",
            ),
            (r'("(dbSize|dbSizeInUse|raftIndex|raftAppliedIndex|raftTerm)":)\d+', r"\1<number>"),
            (r'("(DBSize|DBSizeInUse|RaftIndex|RaftAppliedIndex)" : )\d+', r"\1<number>"),
            (r'("[lL]eader" ?: ?)<m\d\'s id>', r"\1<a member's id>"),
        ]:
            text = re.sub(pattern, replacement, text)
    if command == "hashkv":
        # Another hash function; that members agree is tested by `each_hashes_agree`.
        text = re.sub(r'("hash":|"Hash" : |port>, )\d+', r"\1<hash>", text)
    if command == "health":
        text = re.sub(r"(true|false), [0-9.]+[mµn]?s,", r"\1, <time>,", text)
    lines = text.replace('},{"Endpoint"', '},\n{"Endpoint"').strip("[]\n ").splitlines()
    return "\n".join(sorted(line.rstrip(",") for line in lines))


class CheckPerf(unittest.TestCase):
    """On a cluster of its own: thousands of writes, which nobody else has to make up for."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(MARTLET, "check-perf").start().wait_ready()

    @classmethod
    def tearDownClass(cls):
        cls.cluster.kill()

    def test_check_perf(self):
        """Each etcdctl writes for a minute, to ours, both at once. How good that is depends on the machine: it is the
        member's to answer, and the verdict's form that counts."""
        running = {}
        for version, etcdctl in ETCDCTLS.items():
            if etcdctl:
                command = [
                    etcdctl, "--endpoints", self.cluster.members[0].endpoint, "check", "perf", "--load=s",
                    f"--prefix=/check-{version}/",
                ]
                running[version] = subprocess.Popen(
                    [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                    env=environment())
        for version, process in running.items():
            with self.subTest(version):
                out, err = process.communicate(timeout=120)
                verdicts = re.findall(r"^(PASS|FAIL)", out, re.MULTILINE)
                self.assertRegex(out, r"Throughput (is|too low)", err)
                self.assertNotIn("error", (out + err).lower())
                self.assertEqual(process.returncode, 1 if "FAIL" in verdicts else 0, out)
        code, out, _ = run_to_end(
            [ETCDCTLS["3.5"], "--endpoints", self.cluster.members[0].endpoint, "get", "/check-", "--prefix"])
        self.assertEqual((code, out), (0, ""), "what was written is taken away again")


class EtcdctlParity(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.clusters = [Cluster(MARTLET, "martlet"), Cluster(ETCD, "etcd", extra=["--unsafe-no-fsync"])]
        for cluster in cls.clusters:
            cluster.start()
        for cluster in cls.clusters:
            cluster.wait_ready()
        cls.playings = [Playing(cluster) for cluster in cls.clusters]
        for playing in cls.playings:
            playing.learn_ids(ETCDCTLS["3.5"])

    @classmethod
    def tearDownClass(cls):
        for cluster in cls.clusters:
            cluster.kill()

    def level(self):
        """Makes both revisions the same again, so that one difference is not reported in all that comes after it."""
        etcdctl = ETCDCTLS["3.5"]
        revisions = [playing.revision(etcdctl, playing.cluster.members[0]) for playing in self.playings]
        for playing, revision in zip(self.playings, revisions):
            for _ in range(max(revisions) - revision):
                run_to_end([etcdctl, "--endpoints", playing.cluster.members[0].endpoint, "put", "level", ""])

    def play(self, name, version, index, scheme=""):
        etcdctl = ETCDCTLS[version]
        if not etcdctl:
            self.skipTest(f"no etcdctl {version} on this machine")
        script = list(SCRIPTS[name]())
        failures = []

        self.level()

        def one(playing):
            try:
                playing.play(script, etcdctl, version, playing.cluster.members[index], scheme)
            except Exception as error:
                error.add_note(f"in the {playing.cluster.kind} cluster, log in {playing.cluster.members[0].directory}")
                failures.append(error)

        threads = [threading.Thread(target=one, args=(playing,)) for playing in self.playings]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        differences = []
        for ours, theirs in zip(*(playing.answers for playing in self.playings)):
            step = ours[0]
            reason = next(
                (reason for part, affected, reason in KNOWN if part in str(step) and affected == version), None
            )
            if (ours[1:] != theirs[1:]) == (reason is not None):
                continue
            if reason:
                differences.append(f"{step}\n  no longer differs; remove it from KNOWN")
                continue
            lines = [f"{step}"]
            for what, mine, other in zip(("exit code", "stdout", "stderr"), ours[1:], theirs[1:]):
                if mine != other:
                    lines += [
                        f"  martlet's {what}: {around(mine, other)}",
                        f"  etcd's {what}:    {around(other, mine)}",
                    ]
            differences.append("\n".join(lines))
        if differences:
            self.fail(
                f"{len(differences)} differences with etcdctl {version} through member {index + 1}:\n"
                + "\n".join(differences)
            )

    def each_hashes_agree(self, etcdctl):
        """The members of a cluster have the same hash, at the newest revision and at one before it."""
        martlet = self.clusters[0]
        for number in range(20):
            run_to_end(
                [etcdctl, "--endpoints", martlet.members[number % 3].endpoint, "put", f"hash/{number % 7}", number]
            )
        revision = self.playings[0].revision(etcdctl, martlet.members[0])
        for at in (revision, revision - 5):
            hashes = set()
            for member in martlet.members:
                self.playings[0].revision(etcdctl, member)  # linearizable: the member has all of it now
                code, out, err = run_to_end(
                    [etcdctl, "--endpoints", member.endpoint, "endpoint", "hashkv", f"--rev={at}", "-w", "json"]
                )
                self.assertEqual(code, 0, err)
                hashes.add(json.loads(out)[0]["HashKV"]["hash"])
            self.assertEqual(len(hashes), 1, f"hashes at revision {at}: {hashes}")

    def each_a_refused_transaction_is_refused_by_all(self, etcdctl):
        """etcd 3.5.1 refuses this one on the member that was asked and applies it on the others."""
        for member in self.clusters[0].members:
            code, out, err = run_to_end(
                [etcdctl, "--endpoints", member.endpoint, "txn"],
                input=b"\nget refused --rev=1000000000\nput refused 1\n\n\n",
            )
            self.assertNotEqual(code, 0)
            self.assertIn("required revision is a future revision", err)
        for member in self.clusters[0].members:
            code, out, err = run_to_end([etcdctl, "--endpoints", member.endpoint, "get", "refused"])
            self.assertEqual((code, out), (0, ""), member.name)

    def each_one_leader_in_every_status(self, etcdctl):
        """All members name the same leader, and it says that it is one."""
        endpoints = ",".join(member.endpoint for member in self.clusters[0].members)
        code, out, err = run_to_end([etcdctl, "--endpoints", endpoints, "endpoint", "status", "-w", "json"])
        self.assertEqual(code, 0, err)
        statuses = [entry["Status"] for entry in json.loads(out)]
        self.assertEqual(len(statuses), 3)
        self.assertEqual(len({status["leader"] for status in statuses}), 1)
        self.assertIn(statuses[0]["leader"], [status["header"]["member_id"] for status in statuses])

    def test_ids_are_computed_as_etcd_computes_them(self):
        """A member's id comes from its peer URLs and the token, the cluster's from the ids: on both, the same way."""
        for playing in self.playings:
            ids = []
            for member in playing.cluster.members:
                ids.append(member_id(member))
                self.assertEqual(playing.member_ids[member.name], ids[-1], playing.cluster.kind)
            digest = hashlib.sha1(b"".join(number.to_bytes(8, "big") for number in sorted(ids))).digest()
            self.assertEqual(playing.cluster_id, int.from_bytes(digest[:8], "big"), playing.cluster.kind)

    def each_lock_is_held_by_one_at_a_time(self, etcdctl):
        """etcdctl's recipe of transactions, a lease and a watch on who is before it (O3)."""
        members = ",".join(member.endpoint for member in self.clusters[0].members)
        with tempfile.NamedTemporaryFile() as log:
            command = f"echo begin >> {log.name}; sleep 0.2; echo end >> {log.name}"
            holders = [
                subprocess.Popen(
                    [etcdctl, "--endpoints", members, "lock", "the-lock", "--", "sh", "-c", command],
                    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment(),
                )
                for _ in range(4)
            ]
            for holder in holders:
                _, err = holder.communicate(timeout=30)
                self.assertEqual(holder.returncode, 0, err)
            self.assertEqual(log.read().decode().split(), ["begin", "end"] * 4)

    def each_elect_has_one_leader_after_the_other(self, etcdctl):
        members = ",".join(member.endpoint for member in self.clusters[0].members)

        def campaign(value):
            return subprocess.Popen(
                [etcdctl, "--endpoints", members, "elect", "the-office", value],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
            )

        first = campaign("one")
        self.assertTrue(first.stdout.readline().startswith("the-office/"))
        self.assertEqual(first.stdout.readline(), "one\n")
        second = campaign("two")
        time.sleep(0.5)
        first.send_signal(signal.SIGINT)
        first.communicate(timeout=20)
        self.assertTrue(second.stdout.readline().startswith("the-office/"))
        self.assertEqual(second.stdout.readline(), "two\n")
        second.send_signal(signal.SIGINT)
        second.communicate(timeout=20)

    def each_watch_prints_the_same(self, etcdctl):
        """In every format, with what was before, from the past, and one that compaction has ended."""
        self.level()
        printed = []
        for playing in self.playings:
            member = playing.cluster.members[1]
            do = lambda *arguments: run_to_end([etcdctl, "--endpoints", member.endpoint, *arguments])
            do("del", "watched/", "--prefix")
            revision = playing.revision(etcdctl, member)
            do("put", "watched/a", "0")
            do("put", "watched/a", "1")
            past = f"--rev={revision + 2}"
            commands = {
                "simple": (["watched/", "--prefix", "--prev-kv", past], "\nwatched/end\n"),
                "json": (["watched/", "--prefix", past, "-w", "json"], '"key":"d2F0Y2hlZC9lbmQ="'),
                "fields": (["watched/", "--prefix", "--prev-kv", past, "-w", "fields"], '"watched/end"'),
                "range": (["watched/b", "watched/f"], "\nwatched/end\n"),
            }
            if etcdctl == ETCDCTLS["3.5"]:
                commands["progress"] = (["watched/b", "x", "--progress-notify"], "\nwatched/end\n")
            watching = {
                name: subprocess.Popen([etcdctl, "--endpoints", member.endpoint, "watch", *arguments],
                                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment())
                for name, (arguments, _) in commands.items()
            }
            time.sleep(1)
            do("put", "watched/b", "2")
            run_to_end([etcdctl, "--endpoints", member.endpoint, "txn"],
                       input=b"\nput watched/c 1\nput watched/d 2\ndel watched/a\n\n\n")
            do("put", "watched/end", "")
            seen = {}
            for name, process in watching.items():
                text = b""
                timer = threading.Timer(15, process.kill)
                timer.start()
                while commands[name][1].encode() not in text.replace(b"PUT\nwatched/end", b"PUT\n\nwatched/end"):
                    more = process.stdout.read1()
                    if not more:
                        break
                    text += more
                timer.cancel()
                process.kill()
                process.wait()
                process.stdout.close()
                step = Step("watch", *commands[name][0])
                seen[name] = playing.normal(step, text).replace("}\n{", "},{")
                end = "d2F0Y2hlZC9lbmQ" if name == "json" else "watched/end"
                self.assertIn(end, seen[name], f"{playing.cluster.kind}: {name}")
            do("compaction", str(revision + 2))
            code, out, err = run_to_end([etcdctl, "--endpoints", member.endpoint, "watch", "x", f"--rev={revision}"])
            seen["compacted"] = (code, out.replace(str(revision + 2), "<r+2>"), err.replace(str(revision + 2), "<r+2>"))
            printed.append(seen)
        for name in printed[0]:
            if name in ("json", "fields"):
                # How the events are spread over responses is not the same from one time to the next.
                pattern = r'"key":"[^"]*"|"Key" : "[^"]*"|"PrevKey" : "[^"]*"|"(?:mod_revision|ModRevision)" ?: ?\d+'
                texts = [re.findall(pattern, text[name]) for text in printed]
                self.assertEqual(*texts, name)
            else:
                self.assertEqual(printed[0][name], printed[1][name], name)

    def each_leadership_is_moved(self, etcdctl):
        said = []
        for playing in self.playings:
            endpoints = ",".join(member.endpoint for member in playing.cluster.members)
            command = [etcdctl, "--endpoints", endpoints]
            code, out, err = run_to_end([*command, "endpoint", "status", "-w", "json"])
            self.assertEqual(code, 0, err)
            leader = json.loads(out)[0]["Status"]["leader"]
            target = next(number for number in playing.member_ids.values() if number != leader)
            code, out, err = run_to_end([*command, "move-leader", f"{target:x}"])
            said.append((code, out.replace(f"{leader:x}", "<from>").replace(f"{target:x}", "<to>"), err))
            code, out, err = run_to_end([*command, "endpoint", "status", "-w", "json"])
            self.assertIn(target, {entry["Status"]["leader"] for entry in json.loads(out)}, playing.cluster.kind)
            code, out, err = run_to_end([*command, "move-leader", "1"])
            said.append((code, out, playing.normal(Step("move-leader"), err.encode())))
        self.assertEqual(said[:2], said[2:])

    def each_a_mirror_is_made(self, etcdctl):
        """From martlet to etcd and from etcd to martlet: what is there, and what comes."""
        for source, destination in (self.playings, self.playings[::-1]):
            ask = lambda playing, *arguments: run_to_end(
                [etcdctl, "--endpoints", playing.cluster.members[0].endpoint, *arguments])
            ask(source, "del", "mirror/", "--prefix")
            ask(destination, "del", "mirrored/", "--prefix")
            for number in range(5):
                ask(source, "put", f"mirror/{number}", str(number))
            mirror = subprocess.Popen(
                [etcdctl, "--endpoints", source.cluster.members[0].endpoint, "make-mirror", "--prefix=mirror/",
                 "--dest-prefix=mirrored/", destination.cluster.members[0].endpoint],
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment())
            try:
                self.until(lambda: len(ask(destination, "get", "mirrored/", "--prefix")[1].split()) == 10)
                ask(source, "put", "mirror/6", "later")
                ask(source, "del", "mirror/1")
                expected = "".join(f"mirrored/{number}\n{number}\n" for number in (0, 2, 3, 4)) + "mirrored/6\nlater\n"
                self.until(lambda: ask(destination, "get", "mirrored/", "--prefix")[1] == expected)
            finally:
                mirror.kill()
                mirror.communicate()

    def each_snapshot_is_saved(self, etcdctl):
        """What is said of it; the file has a whole number of 512 bytes and a hash of 32 behind them (M8)."""
        said = []
        for playing in self.playings:
            with tempfile.TemporaryDirectory() as directory:
                file = pathlib.Path(directory) / "saved.db"
                code, out, err = run_to_end(
                    [etcdctl, "--endpoints", playing.cluster.members[0].endpoint, "snapshot", "save", file])
                self.assertEqual(code, 0, err)
                self.assertEqual(file.stat().st_size % 512, 32)
                content = file.read_bytes()
                self.assertEqual(hashlib.sha256(content[:-32]).digest(), content[-32:])
                log = [line.get("msg") for line in map(json.loads, err.splitlines())]
                said.append((out.replace(directory, "<directory>"), log))
        self.assertEqual(*said)

    def each_defragmentation_is_said_to_be_done(self, etcdctl):
        def ask(playing, *arguments):
            code, out, err = run_to_end([etcdctl, "--endpoints", playing.cluster.members[0].endpoint, *arguments])
            return code, sorted(playing.normal(Step("defrag"), out.encode()).splitlines()), err

        for arguments in (["defrag"], ["defrag", "--cluster"], ["defrag", "--nonsense"], ["defrag", "-w", "json"]):
            said = [ask(playing, *arguments) for playing in self.playings]
            self.assertEqual(*said, arguments)

    def each_alarm_is_listed_and_disarmed(self, etcdctl):
        """One of a member that is not there, so that its id is the same on both."""
        self.level()
        raised = messages.encode("AlarmRequest", {"action": 1, "memberID": 77, "alarm": 1})
        said = []
        for playing in self.playings:
            member = playing.cluster.members[1]

            def ask(*arguments):
                code, out, err = run_to_end([etcdctl, "--endpoints", member.endpoint, *arguments])
                return code, playing.normal(Step(*arguments), out.encode()), err.count("database space exceeded") > 0

            with http2.Connection(member.client_port) as connection:
                self.assertEqual(connection.call("/etcdserverpb.Maintenance/Alarm", raised).status, 0)
            said.append([
                ask("alarm", "list"), ask("alarm", "list", "-w", "json"), ask("put", "alarmed", "x"),
                ask("endpoint", "health")[0], ask("alarm", "disarm"), ask("alarm", "list"), ask("del", "alarmed"),
                ask("put", "alarmed", "x"), ask("endpoint", "health")[0],
            ])
        self.assertEqual(*said)
        self.assertEqual(said[0][0], (0, "memberID:77 alarm:NOSPACE \n", False))

    def until(self, condition, seconds=10):
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, "in vain")
            time.sleep(0.1)

    def each_what_is_missing_says_so(self, etcdctl):
        """A command for which there is no service yet ends, soon, with a refusal."""
        members = ",".join(member.endpoint for member in self.clusters[0].members)
        for arguments in NOT_YET:
            if arguments == ["auth", "status"] and etcdctl != ETCDCTLS["3.5"]:
                continue  # there is no such command
            with self.subTest(" ".join(arguments)):
                endpoints = members.split(",")[0] if arguments[0] == "snapshot" else members
                code, out, err = run_to_end([etcdctl, "--endpoints", endpoints, *arguments], seconds=10)
                self.assertNotEqual(code, 0, "works now: move it from NOT_YET to support/etcdctl_script.py")
                self.assertRegex(err, "Unimplemented|unknown (method|service)|not yet|not available")


def around(value, other, most=400):
    """Long texts from shortly before the place at which they part."""
    value, other = repr(value), repr(other)
    same = next((at for at, pair in enumerate(zip(value, other)) if pair[0] != pair[1]), min(len(value), len(other)))
    begin = max(0, same - most // 2) if len(value) > most else 0
    part = value[begin : begin + most]
    return ("..." if begin else "") + part + ("..." if begin + most < len(value) else "")


def _make_own_test(name, version):
    def test(self):
        if not ETCDCTLS[version]:
            self.skipTest(f"no etcdctl {version} on this machine")
        getattr(self, name)(ETCDCTLS[version])

    test.__doc__ = f"{name[len('each_'):].replace('_', ' ')}, with etcdctl {version}"
    return test


def _make_test(name, version, index, scheme=""):
    def test(self):
        self.play(name, version, index, scheme)

    test.__doc__ = f"{name} with etcdctl {version} through member {index + 1}" + (scheme and f" at {scheme}")
    return test


for _version in ETCDCTLS:
    # Their names come after those of the scripts, to which it matters what other tests have left behind.
    for _name in [name for name in vars(EtcdctlParity) if name.startswith("each_")]:
        _test = f"test_{_name[len('each_'):]}_with_{_version.replace('.', '_')}"
        setattr(EtcdctlParity, _test, _make_own_test(_name, _version))
    for _index in range(3):
        for _order, _name in enumerate(SCRIPTS):
            if _name in ("lease", "member") and (_version == "3.4") != (_index == 1):
                continue  # they take long: 3.5 through the first and the last member, 3.4 through the one between
            setattr(
                EtcdctlParity,
                f"test_{_version.replace('.', '_')}_member_{_index + 1}_{_order}_{_name}",
                _make_test(_name, _version, _index),
            )
    # Clients of 3.4 send such an endpoint as it is, as :authority.
    setattr(
        EtcdctlParity,
        f"test_{_version.replace('.', '_')}_member_1_by_url",
        _make_test("maintenance", _version, 0, "http://"),
    )


if __name__ == "__main__":
    unittest.main()
