"""martlet's commands beside etcdctl's: each is played to a server of its own, and what they print must agree.

Two etcd 3.5.1 servers and two of martlet begin with nothing. etcdctl talks to the first of each kind and martlet's
commands to the second, with the same words in the same order, so that revisions are the same numbers. Exit codes and
standard output are compared as they are, apart from ids, ports and times; of standard error only whether there is any,
because martlet says more.

`MARTLET_CLIENT` names another program for the commands than for the server.
"""

import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time
import unittest

from etcdctl_parity import ETCDCTLS, Playing, around
from support.etcdctl_script import FORMATS, SCRIPTS, Step, fill, txn
from support.processes import ETCD, MARTLET, Cluster, environment, run_to_end

CLIENT = pathlib.Path(os.environ.get("MARTLET_CLIENT", MARTLET)).resolve()
ETCDCTL = ETCDCTLS["3.5"]

# Where martlet's commands are meant to differ from etcdctl 3.5.1: (part of the command, why). A command that is listed
# and does not differ any more fails the test, so that the list stays true.
KNOWN = [
    ("put one two three", "what would be dropped in silence is refused"),
    ("get a b c", "what would be dropped in silence is refused"),
    ("etcdctl version", "it is another program"),
    ("lease nonsense", "a command that there is not is an error"),
    ("add m4 --peer-urls=http://127.0.0.1:1 --learner", "a learner is called one, as etcdctl 3.6 does"),
]

# What servers like etcd 3.6 say and etcdctl 3.5.1 has no word for.
NEWER = re.compile(r',"storageVersion":"[^"]*"|,"downgradeInfo":\{\}|,"hash_revision":\d+|,"dbSizeQuota":\d+')

# Ids have 16 places in these lines: one of 15 digits has a blank in front, and each server has ids of its own.
PADDED = re.compile(r"(Member) +<")


def batch():
    """What the scripts for servers do not have."""
    yield from fill()
    yield txn([], ["put x 1 --prev-kv", "get x", "del none --prev-kv"], [], "-w", "json")
    for line in [
        'mod( "s/a") > "0"', 'mod("s/a")  >  "0" trailing', "mod(`s/a`) > `0`", 'value("s/a") = "\\x35"',
        'mod("s/a" ) > "0"', 'mod("s/a")> "0"', 'mod("s/a") >"0"', 'mod (\"s/a\") > "0"', "mod(s/a) > \"0\"",
        'ver("s/a") > "0"', 'c("s/a") > "0"', 'm("s/a") > "0"', 'val("s/a") = "5"',
    ]:
        yield txn([line], ["get s/a"], ["get s/b"])
    for line in [
        "put 'x' \"a\\nb\"", 'put "two words" "more\\x21 words"', 'put a"b c\'d', "get s/ --prefix --keys-only=true",
        "get s/a --print-value-only", "get s/a --count-only", "put", "put a", "get a b c", "put a b --lease=zz",
        "put a b --bogus", "get a --limit", "get a -w json", "get s/ --prefix --limit=x", "foo a",
    ]:
        yield txn([], [line])
    yield Step("txn", stdin='mod("a") > "0"\n')
    yield Step("txn", stdin='mod("a") > "0"')
    yield Step("txn", "unwanted")
    yield txn(['mod("s/a") > "0"'], ["get s/a"], [], "-i")
    yield txn(['mod("s/a") > "0"'], ["get s/a"], [], "--hex")
    yield txn(['mod("s/a") > "0"'], ["get s/a"], [], "--interactive=true", "-w", "json")
    yield txn([], ["put s/z 1"], [], "-w", "xml")
    yield Step("compaction")
    yield Step("compaction", "x")
    yield Step("compaction", "{r}")
    yield Step("compaction", "{r}")
    yield Step("alarm", "list", "extra")
    yield Step("alarm", "list", "-w", "table")
    yield Step("alarm", "disarm", "-w", "json")
    yield Step("alarm", "disarm", "extra")
    yield Step("lease", "grant")
    yield Step("lease", "grant", "x")
    yield Step("lease", "revoke")
    yield Step("lease", "revoke", "zz")
    yield Step("lease", "revoke", "77aa")
    yield Step("lease", "timetolive")
    for name in ("simple", "json", "fields"):
        yield Step("lease", "list", "-w", name)
        yield Step("lease", "timetolive", "77aa", "-w", name)
        yield Step("lease", "keep-alive", "77aa", "-w", name)
    yield Step("lease", "keep-alive", "77aa", "--once")
    yield Step("lease", "keep-alive")
    yield Step("lease", "list", "-w", "table")
    yield Step("lock")
    yield Step("lock", "l", "true")
    yield Step("lock", "l", "--", "sh", "-c", "exit 7")
    yield Step("lock", "l", "--", "sh", "-c", "kill -9 $$")
    yield Step("lock", "l", "/nonexistent")
    yield Step("lock", "l", "nonexistent-command")
    yield Step("lock", "l", "--ttl=3", "--", "sh", "-c", "echo held $ETCD_LOCK_REV; env | grep -c ^ETCD_LOCK_")
    yield Step("lock", "l", "--ttl", "x", "true")
    yield Step("get", "l", "--prefix", "-w", "json")
    yield Step("elect")
    yield Step("elect", "e")
    yield Step("elect", "e", "v", "w")
    yield Step("elect", "-l", "e", "v")
    yield Step("check", "perf", "--load", "zz")
    yield Step("check", "datascale", "--load", "zz")
    yield Step("make-mirror")
    yield Step("make-mirror", "--dest-prefix", "a", "--no-dest-prefix", "127.0.0.1:1")
    yield Step("watch")
    yield Step("watch", "a", "--")
    yield Step("watch", "a", "b", "--prefix")
    yield Step("watch", "--", "echo", "hi")
    yield Step("frobnicate")
    yield Step("get", "s/a", "--frobnicate")
    yield Step("get", "s/a", "-w", "xml")


def histories():
    yield from fill()
    yield Step("put", "s/quote", 'say "hi"')
    yield Step("put", "s/empty", "")
    yield Step("del", "s/", "--prefix")


def watched():
    """Arguments of watches that find all they wait for in what `histories` has done, and how many lines they print."""
    for name in ("simple", "json", "fields"):
        yield ["s/", "--prefix", "--rev={r+1}", "-w", name]
        yield ["s/", "--prefix", "--rev={r+1}", "--prev-kv", "-w", name]
        yield ["s/a", "s/c", "--rev={r+1}", "-w", name]
    yield ["s/a", "--rev={r+1}"]
    yield ["s/a", "--rev={r+1}", "--hex"]
    yield ["s/", "--prefix", "--rev={r+1}", "--", "sh", "-c", "env | grep ETCD_WATCH | sort"]
    yield ["--rev={r+1}", "s/", "s0", "--", "echo", "changed"]
    yield ["s/quote", "--rev={r+1}", "--", "sh", "-c", "echo $ETCD_WATCH_VALUE; exit 3"]
    yield ["s/quote", "--rev={r+1}", "--", "/nonexistent"]
    yield ["", "--prefix", "--rev={r+1}"]


def normal_ids(text):
    """Without what is a lease's or a member's own."""
    text = re.sub(r"\b[0-9a-f]{15,16}\b", "<hex>", text)
    return re.sub(r"\b\d{15,20}\b", "<number>", text)


class Commands(unittest.TestCase):
    def setUp(self):
        self.pairs = {}

    def pair(self, kind):
        """Two fresh servers of a kind: what one test leaves is not the next one's affair."""
        if kind not in self.pairs:
            program, extra = (ETCD, ["--unsafe-no-fsync"]) if kind == "etcd" else (MARTLET, [])
            clusters = [Cluster(program, f"commands-{kind}-{number}", count=1, extra=extra) for number in (1, 2)]
            for cluster in clusters:
                cluster.start()
                self.addCleanup(cluster.kill)
            self.pairs[kind] = [Playing(cluster) for cluster in clusters]
            for playing in self.pairs[kind]:
                playing.cluster.wait_ready()
                playing.learn_ids(ETCDCTL)
        return self.pairs[kind]

    def each(self, kind):
        """(how to call it, the program, what it plays to), etcdctl first."""
        return zip((ETCDCTL, CLIENT), self.pair(kind))

    def level(self, kind):
        members = [playing.cluster.members[0] for playing in self.pair(kind)]
        revisions = [playing.revision(ETCDCTL, member) for playing, member in zip(self.pair(kind), members)]
        for member, revision in zip(members, revisions):
            for _ in range(max(revisions) - revision):
                run_to_end([ETCDCTL, "--endpoints", member.endpoint, "put", "level", ""])
        return max(revisions)

    def play(self, kind, script):
        self.level(kind)
        steps = list(script())
        for program, playing in self.each(kind):
            playing.play(steps, program, "3.5", playing.cluster.members[0], "")
        differences = []
        for theirs, ours in zip(*(playing.answers for playing in self.pairs[kind])):
            step = theirs[0]
            reason = next((reason for part, reason in KNOWN if part in str(step)), None)
            if theirs[1] and theirs[2].startswith("NAME:\n"):
                theirs = (*theirs[:2], "", theirs[3])  # its help, at a flag that it does not know
            ours = (*ours[:2], NEWER.sub("", PADDED.sub(r"\1 <", ours[2])), *ours[3:])
            theirs = (*theirs[:2], PADDED.sub(r"\1 <", theirs[2]), *theirs[3:])
            same = ours[1:3] == theirs[1:3] and bool(ours[3]) == bool(theirs[3])
            if same != (reason is not None):
                continue
            if reason:
                differences.append(f"{step}\n  no longer differs; remove it from KNOWN")
                continue
            lines = [f"{step}"]
            for what, mine, other in zip(("exit code", "stdout", "stderr"), ours[1:], theirs[1:]):
                if mine != other:
                    lines += [
                        f"  martlet's {what}: {around(mine, other)}",
                        f"  etcdctl's {what}: {around(other, mine)}",
                    ]
            differences.append("\n".join(lines))
        if differences:
            self.fail(f"{len(differences)} of {len(steps)} commands differ at {kind}:\n" + "\n".join(differences))

    def both(self, kind, arguments, stdin=None, seconds=15, **options):
        """The same command by both programs: [(exit code, stdout, stderr)]."""
        return [
            run_to_end(
                [program, "--endpoints", playing.cluster.members[0].endpoint, *arguments],
                seconds=seconds, input=stdin, **options
            )
            for program, playing in self.each(kind)
        ]

    def start(self, program, playing, *arguments, **options):
        process = subprocess.Popen(
            [str(program), "--endpoints", playing.cluster.members[0].endpoint, *map(str, arguments)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**environment(), **options.pop("env", {})}, **options,
        )
        self.addCleanup(lambda: process.poll() is None and process.kill())
        return process

    # Leases have ids of the server's choice.

    def leases(self, kind):
        self.level(kind)
        outputs = []
        for program, playing in self.each(kind):
            printed = []

            def run(*arguments):
                code, out, err = run_to_end(
                    [program, "--endpoints", playing.cluster.members[0].endpoint, *arguments]
                )
                printed.append((normal_ids(" ".join(arguments)), code, normal_ids(out)))
                return out

            granted = run("lease", "grant", "1000")
            self.assertRegex(granted, r"^lease [0-9a-f]{16} granted with TTL\(1000s\)\n$")
            lease = granted.split()[1]
            run("put", f"--lease={lease}", "leased/1", "a")
            run("get", "leased/1", "-w", "json")
            for name in FORMATS[:3] + ["table"]:
                run("lease", "grant", "-w", name, "1000") if name != "table" else None
                ttl = run("lease", "timetolive", lease, "-w", name)
                keys = run("lease", "timetolive", lease, "--keys", "-w", name)
                for text in (ttl, keys):
                    if name == "json":
                        self.assertIn(json.loads(text)["ttl"], range(995, 1001))
                for index in (-1, -2):
                    arguments, code, text = printed[index]
                    text = re.sub(r'(remaining\(|"ttl":|"TTL" : )\d+', r"\1<left>", text)
                    printed[index] = (arguments, code, text)
                run("lease", "keep-alive", "--once", lease, "-w", name)
            run("lease", "list")
            for name in FORMATS[:3]:
                new = run("lease", "grant", "1000").split()[1]
                run("lease", "revoke", new, "-w", name)
            run("lease", "revoke", lease)
            run("get", "leased/", "--prefix", "-w", "json")
            for left in re.findall(r"^[0-9a-f]{15,16}$", run("lease", "list"), re.M):
                run("lease", "revoke", left)
            outputs.append(printed)
        for theirs, ours in zip(*outputs):
            self.assertEqual(ours, theirs)
        self.assertEqual(len(outputs[0]), len(outputs[1]))

    def test_leases_at_etcd(self):
        self.leases("etcd")

    def test_leases_at_martlet(self):
        self.leases("martlet")

    def keep_alive(self, kind):
        """A renewal at once and then every third of the lease's time; its end is told."""
        for program, playing in self.each(kind):
            endpoint = playing.cluster.members[0].endpoint
            code, out, err = run_to_end([ETCDCTL, "--endpoints", endpoint, "lease", "grant", "3"])
            lease = out.split()[1]
            keeping = self.start(program, playing, "lease", "keep-alive", lease)
            for _ in range(3):
                self.assertEqual(keeping.stdout.readline(), f"lease {lease} keepalived with TTL(3)\n")
            run_to_end([ETCDCTL, "--endpoints", endpoint, "lease", "revoke", lease])
            out, err = keeping.communicate(timeout=10)
            self.assertTrue(out.endswith(f"lease {lease} expired or revoked.\n"), out)
            self.assertEqual(keeping.returncode, 0)

    def test_keep_alive_at_etcd(self):
        self.keep_alive("etcd")

    def test_keep_alive_at_martlet(self):
        self.keep_alive("martlet")

    def members(self, kind):
        """A learner comes, has its address changed, is not ready to vote, and goes."""
        outputs = []
        for program, playing in self.each(kind):
            printed = []

            def run(*arguments):
                code, out, err = run_to_end([program, "--endpoints", playing.cluster.members[0].endpoint, *arguments])
                for port, name in playing.names.items():
                    out = out.replace(port, name)
                out = re.sub(r'("raft_term":|"RaftTerm" : )\d+', r"\1<term>", out)
                out = out.replace(" as learner ", " ")  # etcdctl 3.6 says so
                # A table's cells are as wide as the ports that were in them; ids decide who is first.
                out = sorted(re.sub(r"[ +-]+", " ", normal_ids(out)).splitlines())
                printed.append((normal_ids(" ".join(arguments)), code, out, bool(err)))
                return err

            for name in ("simple", "json"):
                run("member", "add", "l1", "--learner", "--peer-urls=http://127.0.0.1:9", "-w", name)
                code, out, err = run_to_end(
                    [ETCDCTL, "--endpoints", playing.cluster.members[0].endpoint, "member", "list"]
                )
                learner = next(line.split(",")[0] for line in out.splitlines() if "unstarted" in line)
                for other in ("simple", "json", "fields", "table"):
                    run("member", "list", "-w", other)
                run("member", "list", "--hex", "-w", "json") if name == "json" else None
                run("member", "update", learner, "--peer-urls=http://127.0.0.1:10,http://127.0.0.1:11", "-w", name)
                run("member", "promote", learner)
                run("move-leader", learner)
                run("member", "remove", learner, "-w", name)
                run("member", "remove", learner)
            for arguments in (["add"], ["add", "n"], ["remove"], ["remove", "xyz"], ["update", "1"], ["promote"]):
                run("member", *arguments)
            run("move-leader")
            outputs.append(printed)
        self.assertEqual(len(outputs[0]), len(outputs[1]))
        for theirs, ours in zip(*outputs):
            if "--hex" in ours[0]:  # two JSON objects, whose members are in the order of their ids
                theirs, ours = [(*answer[:2], sorted(re.findall(r'"\w+"', answer[2][0]))) for answer in (theirs, ours)]
            with self.subTest(ours[0]):
                if ours[2] != theirs[2]:  # within a line, members are in the order of their ids
                    theirs, ours = [
                        (*answer[:2], sorted(re.split(r'[{}",]', "".join(answer[2])))) for answer in (theirs, ours)
                    ]
                self.assertEqual(ours, theirs)

    def test_members_at_etcd(self):
        self.members("etcd")

    def test_members_at_martlet(self):
        self.members("martlet")

    # Watches do not end.

    def watch(self, kind):
        begin = self.level(kind)
        for program, playing in self.each(kind):
            playing.play(list(histories()), ETCDCTL, "3.5", playing.cluster.members[0], "")
        for arguments in watched():
            arguments = [argument.replace("{r+1}", str(begin + 1)) for argument in arguments]
            printed = []
            for program, playing in self.each(kind):
                process = self.start(program, playing, "watch", *arguments)
                time.sleep(3 if "--" in arguments else 0.8)  # with a command it starts twenty programs
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=10)
                code = process.returncode if process.returncode > 0 else 128 - process.returncode
                printed.append((code, normal_ids(out), bool(err)))
            with self.subTest(" ".join(arguments)):
                self.assertEqual(printed[1], printed[0])
                self.assertTrue(printed[0][1])

    def test_watch_at_etcd(self):
        self.watch("etcd")

    def test_watch_at_martlet(self):
        self.watch("martlet")

    def watch_keys_from_environment(self, kind):
        begin = self.level(kind)
        for program, playing in self.each(kind):
            playing.play(list(histories()), ETCDCTL, "3.5", playing.cluster.members[0], "")
        for extra, arguments in [
            ({"ETCDCTL_WATCH_KEY": "s/a"}, []),
            ({"ETCDCTL_WATCH_KEY": "s/a", "ETCDCTL_WATCH_RANGE_END": "s/c"}, []),
            ({"ETCDCTL_WATCH_KEY": "s/a"}, ["--", "echo", "hi"]),
            ({"ETCDCTL_WATCH_KEY": "s/a"}, ["s/b"]),
            ({"ETCDCTL_WATCH_KEY": "s/a"}, ["s/b", "--", "echo", "hi"]),
            ({"ETCDCTL_WATCH_RANGE_END": "s/c"}, []),
        ]:
            printed = []
            for program, playing in self.each(kind):
                process = self.start(program, playing, "watch", f"--rev={begin + 1}", *arguments, env=extra)
                time.sleep(0.5)
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=10)
                code = process.returncode if process.returncode > 0 else 128 - process.returncode
                printed.append((code, out, bool(err)))
            with self.subTest(f"{extra} {arguments}"):
                self.assertEqual(printed[1], printed[0])

    def test_watch_keys_from_environment_at_etcd(self):
        self.watch_keys_from_environment("etcd")

    def test_watch_of_what_is_compacted(self):
        for kind in ("etcd", "martlet"):
            begin = self.level(kind)
            for program, playing in self.each(kind):
                playing.play(list(fill()), ETCDCTL, "3.5", playing.cluster.members[0], "")
                run_to_end(
                    [ETCDCTL, "--endpoints", playing.cluster.members[0].endpoint, "compaction", str(begin + 5)]
                )
            for name in ("simple", "json", "fields"):
                with self.subTest(f"{kind} {name}"):
                    theirs, ours = self.both(kind, ["watch", "s/a", "--rev", str(begin + 1), "-w", name])
                    self.assertEqual(ours[0], 5)
                    self.assertEqual(
                        [normal_ids(str(part)) for part in ours], [normal_ids(str(part)) for part in theirs]
                    )

    def interactive_watch(self, kind):
        begin = self.level(kind)
        for program, playing in self.each(kind):
            playing.play(list(histories()), ETCDCTL, "3.5", playing.cluster.members[0], "")
        printed = []
        for program, playing in self.each(kind):
            process = self.start(program, playing, "watch", "-i", stdin=subprocess.PIPE)
            for line in [
                "watch", "frobnicate", "", f"watch s/a --rev {begin + 1}", "watch x y --prefix",
                f"watch --prefix s/f --rev={begin + 1} --prev-kv -- echo ran", "progress",
            ]:
                process.stdin.write(line + "\n")
                process.stdin.flush()
                time.sleep(0.4)
            out, err = process.communicate(timeout=10)
            printed.append((process.returncode, sorted(out.splitlines()), err))
        self.assertEqual(printed[1], printed[0])
        self.assertEqual(printed[1][0], 3)

    def test_interactive_watch_at_etcd(self):
        self.interactive_watch("etcd")

    def test_interactive_watch_at_martlet(self):
        self.interactive_watch("martlet")

    def test_a_watch_goes_on_without_a_gap_when_its_member_is_lost(self):
        cluster = Cluster(MARTLET, "commands-lost").start()
        self.addCleanup(cluster.kill)
        cluster.wait_ready()
        endpoints = [member.endpoint for member in cluster.members]
        watching = subprocess.Popen(
            [str(CLIENT), "--endpoints", ",".join(endpoints), "watch", "n/", "--prefix", "--rev=1"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
        )
        self.addCleanup(lambda: watching.poll() is None and watching.kill())

        def put(numbers):
            read = [ETCDCTL, "--endpoints", ",".join(endpoints[1:]), "get", "none"]
            self.wait_for(lambda: run_to_end(read)[0] == 0, seconds=60)  # there is a leader again
            for number in numbers:
                code, out, err = run_to_end(
                    [ETCDCTL, "--endpoints", ",".join(endpoints[1:]), "put", f"n/{number}", number]
                )
                self.assertEqual(code, 0, err)

        put(range(10))
        cluster.members[0].kill()  # the one that it watches
        put(range(10, 20))
        cluster.members[0].start()
        cluster.members[1].kill()
        endpoints[1] = endpoints[0]
        put(range(20, 30))
        seen = []
        for _ in range(30):
            seen.append([watching.stdout.readline().strip() for _ in range(3)])
        watching.send_signal(signal.SIGINT)
        out, err = watching.communicate(timeout=10)
        self.assertEqual(seen, [["PUT", f"n/{number}", str(number)] for number in range(30)])
        self.assertEqual((out, err), ("", ""))

    # Locks and elections.

    def lock(self, kind):
        """martlet's and etcdctl's exclude each other; who waits is next, and who gives up leaves nothing behind."""
        playing = self.pair(kind)[1]
        endpoint = playing.cluster.members[0].endpoint
        for first, second in [(CLIENT, CLIENT), (CLIENT, ETCDCTL), (ETCDCTL, CLIENT)]:
            with self.subTest(f"{first.name} before {second.name}"):
                holder = self.start(first, playing, "lock", "mutex")
                key = holder.stdout.readline().strip()
                self.assertRegex(key, r"^mutex/[0-9a-f]+$")
                self.assertEqual(holder.stdout.readline(), "\n")
                waiter = self.start(second, playing, "lock", "mutex")
                quitter = self.start(second, playing, "lock", "mutex")
                time.sleep(0.7)
                self.assertIsNone(waiter.poll())
                quitter.send_signal(signal.SIGINT)
                out, err = quitter.communicate(timeout=10)
                self.assertEqual((quitter.returncode, out, err), (1, "", "Error: context canceled\n"))
                holder.send_signal(signal.SIGTERM)
                holder.communicate(timeout=10)
                self.assertEqual(holder.returncode, 0)
                self.assertRegex(waiter.stdout.readline(), r"^mutex/[0-9a-f]+$")
                waiter.send_signal(signal.SIGINT)
                waiter.communicate(timeout=10)
                self.assertEqual(waiter.returncode, 0)
                code, out, err = run_to_end([ETCDCTL, "--endpoints", endpoint, "get", "mutex/", "--prefix"])
                self.assertEqual(out, "")

    def test_lock_at_etcd(self):
        self.lock("etcd")

    def test_lock_at_martlet(self):
        self.lock("martlet")

    def test_the_lock_s_command_is_ended_by_who_ends_martlet(self):
        playing = self.pair("martlet")[1]
        holder = self.start(CLIENT, playing, "lock", "mutex", "--", "sh", "-c", "echo began; exec sleep 100")
        self.assertEqual(holder.stdout.readline(), "began\n")
        holder.send_signal(signal.SIGTERM)
        out, err = holder.communicate(timeout=10)
        self.assertEqual((holder.returncode, err), (255, "Error: signal: terminated\n"))

    def test_a_lock_is_held_by_one_at_a_time(self):
        playing = self.pair("martlet")[1]
        with tempfile.NamedTemporaryFile() as log:
            command = f"echo begin >> {log.name}; sleep 0.2; echo end >> {log.name}"
            holders = [
                self.start(program, playing, "lock", "the-lock", "--", "sh", "-c", command)
                for program in [CLIENT, ETCDCTL] * 3
            ]
            for holder in holders:
                _, err = holder.communicate(timeout=30)
                self.assertEqual(holder.returncode, 0, err)
            self.assertEqual(log.read().decode().split(), ["begin", "end"] * 6)

    def test_a_killed_holder_s_lock_is_free_after_its_time(self):
        playing = self.pair("martlet")[1]
        holder = self.start(CLIENT, playing, "lock", "dead", "--ttl=2")
        holder.stdout.readline()
        holder.kill()
        begin = time.monotonic()
        code, out, err = run_to_end(
            [CLIENT, "--endpoints", playing.cluster.members[0].endpoint, "lock", "dead", "true"]
        )
        self.assertEqual(code, 0, err)
        self.assertLess(time.monotonic() - begin, 8)

    def elect(self, kind):
        playing = self.pair(kind)[1]
        for first, second in [(CLIENT, ETCDCTL), (ETCDCTL, CLIENT)]:
            with self.subTest(f"{first.name} before {second.name}"):
                observers = [self.start(program, playing, "elect", "-l", "office") for program in (CLIENT, ETCDCTL)]
                leader = self.start(first, playing, "elect", "office", "one")
                lines = [leader.stdout.readline(), leader.stdout.readline()]
                self.assertRegex("".join(lines), r"^office/[0-9a-f]+\none\n$")
                next_one = self.start(second, playing, "elect", "office", "two")
                time.sleep(0.5)
                leader.send_signal(signal.SIGINT)
                leader.communicate(timeout=10)
                self.assertEqual(leader.returncode, 0)
                lines += [next_one.stdout.readline(), next_one.stdout.readline()]
                self.assertRegex("".join(lines[2:]), r"^office/[0-9a-f]+\ntwo\n$")
                for observer in observers:
                    self.assertEqual([observer.stdout.readline() for _ in range(4)], lines)
                    observer.send_signal(signal.SIGINT)
                    out, err = observer.communicate(timeout=10)
                    self.assertEqual((observer.returncode, out, err), (0, "", ""))
                next_one.send_signal(signal.SIGTERM)
                next_one.communicate(timeout=10)
                self.assertEqual(next_one.returncode, 0)

    def test_elect_at_etcd(self):
        self.elect("etcd")

    def test_elect_at_martlet(self):
        self.elect("martlet")

    # The others.

    def test_defrag(self):
        for arguments in (["defrag"], ["defrag", "--cluster"], ["defrag", "-w", "json"]):
            theirs, ours = self.both("etcd", arguments)
            hide = lambda answer: [re.sub(r":\d+", ":<port>", str(part)) for part in answer]
            self.assertEqual(hide(ours), hide(theirs))
        for endpoint in ("127.0.0.1:1",):
            code, out, err = run_to_end([CLIENT, "--endpoints", endpoint, "--command-timeout=1s", "defrag"])
            self.assertEqual((code, out), (1, ""))
            self.assertRegex(err, r"^Failed to defragment etcd member\[127.0.0.1:1\] \(.*\)\n$")

    def test_mirror(self):
        """A copy of what there was and of what is done then, at another server, under another prefix."""
        source, destination = self.pair("martlet")[1], self.pair("etcd")[1]
        put = lambda *arguments: run_to_end(
            [ETCDCTL, "--endpoints", source.cluster.members[0].endpoint, *arguments]
        )
        for number in range(300):
            put("put", f"mirrored/{number:03}", number) if number % 30 == 0 else None
        process = self.start(
            CLIENT, source, "make-mirror", "--prefix", "mirrored/", "--dest-prefix", "copy/",
            destination.cluster.members[0].endpoint,
        )

        def copies():
            code, out, err = run_to_end(
                [ETCDCTL, "--endpoints", destination.cluster.members[0].endpoint, "get", "copy/", "--prefix"]
            )
            lines = out.splitlines()
            return dict(zip(lines[::2], lines[1::2]))

        expected = {f"copy/{number:03}": str(number) for number in range(0, 300, 30)}
        self.wait_for(lambda: copies() == expected)
        put("put", "mirrored/new", "1")
        put("put", "elsewhere", "1")
        put("del", "mirrored/000", "mirrored/100")
        for gone in (0, 30, 60, 90):
            del expected[f"copy/{gone:03}"]
        expected["copy/new"] = "1"
        self.wait_for(lambda: copies() == expected)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)

    def wait_for(self, condition, seconds=10):
        deadline = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.1)

    def test_check_perf(self):
        playing = self.pair("etcd")[1]
        process = self.start(CLIENT, playing, "check", "perf", "--load=s", "--seconds=2", "--auto-compact")
        out, err = process.communicate(timeout=30)
        self.assertRegex(out, r"Compacting with revision \d+\nCompacted with revision \d+\n")
        self.assertRegex(out, r"(PASS: Throughput is|FAIL: Throughput too low:) \d+ writes/s\n")
        self.assertRegex(out, r"(PASS: Slowest request took|Slowest request took too long:) \d+\.\d{6}s\n")
        self.assertRegex(out, r"(PASS: Stddev is|Stddev too high:) \d+\.\d{6}s\n(PASS|FAIL)\n$")
        self.assertEqual(process.returncode, 0 if out.endswith("\nPASS\n") else 1)
        code, out, err = run_to_end(
            [ETCDCTL, "--endpoints", playing.cluster.members[0].endpoint, "get", "/etcdctl-check-perf/", "--prefix"]
        )
        self.assertEqual(out, "")

    def test_check_refuses_keys_that_it_would_delete(self):
        for name in ("perf", "datascale"):
            prefix = f"/etcdctl-check-{name}/"
            for program, playing in self.each("etcd"):
                run_to_end([ETCDCTL, "--endpoints", playing.cluster.members[0].endpoint, "put", prefix + "x", "1"])
            theirs, ours = self.both("etcd", ["check", name])
            self.assertEqual((ours[0], ours[1]), (theirs[0], theirs[1]))
            self.assertIn(f'prefix "{prefix}" has keys', ours[2])
            for program, playing in self.each("etcd"):
                run_to_end([ETCDCTL, "--endpoints", playing.cluster.members[0].endpoint, "del", prefix, "--prefix"])

    def test_completion(self):
        for shell, check in [("bash", ["bash", "-n"]), ("zsh", None), ("fish", None)]:
            code, out, err = run_to_end([CLIENT, "completion", shell])
            self.assertEqual(code, 0, err)
            self.assertIn("timetolive", out)
            if check:
                done = subprocess.run(check, input=out, text=True, capture_output=True)
                self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(run_to_end([CLIENT, "completion", "tcsh"])[0], 1)

    def test_bytes_that_are_no_text_are_kept(self):
        for program, playing in self.each("etcd"):
            command = [program, "--endpoints", playing.cluster.members[0].endpoint]
            subprocess.run(
                [*command, "put", b"\xffk", b"v\xfe\xc3"], env=environment(), check=True, capture_output=True
            )
        for arguments in ([b"\xffk"], [b"\xffk", "-w", "json"], [b"\xff", "--prefix", "--hex"]):
            printed = []
            for program, playing in self.each("etcd"):
                command = [program, "--endpoints", playing.cluster.members[0].endpoint]
                done = subprocess.run([*command, "get", *arguments], env=environment(), capture_output=True)
                out = re.sub(rb'"(cluster|member)_id":\d+|"revision":\d+', b"", done.stdout)
                printed.append((done.returncode, out))
            self.assertEqual(printed[1], printed[0])
            self.assertTrue(printed[0][1])

    def test_settings_come_from_the_environment(self):
        endpoint = self.pair("etcd")[1].cluster.members[0].endpoint
        for prefix in ("ETCDCTL_", "MARTLETCTL_"):
            done = subprocess.run(
                [str(CLIENT), "get", "none"], capture_output=True, text=True,
                env={**environment(), prefix + "ENDPOINTS": endpoint, prefix + "WRITE_OUT": "json"},
            )
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("header", json.loads(done.stdout))

    def test_debug_prints_the_settings(self):
        theirs, ours = self.both("etcd", ["get", "none", "--debug", "--dial-timeout=3s"])
        for name in ("COMMAND_TIMEOUT=5s", "DIAL_TIMEOUT=3s", "HEX=false", "WRITE_OUT=simple", "KEEPALIVE_TIMEOUT=6s"):
            self.assertIn(f"ETCDCTL_{name}\n", theirs[2])
            self.assertIn(f"ETCDCTL_{name}\n", ours[2])

    def test_what_is_not_there_yet_says_so(self):
        for arguments in (["user", "list"], ["role", "add", "r"], ["auth", "enable"]):
            code, out, err = run_to_end([CLIENT, *arguments])
            self.assertEqual((code, out), (1, ""))
            self.assertIn("not there yet", err)
        for flag in ("--cert=x", "--user=root:x", "--insecure-transport=false", "--discovery-srv=example.org"):
            code, out, err = run_to_end([CLIENT, "get", "a", flag])
            self.assertEqual((code, out), (128, ""), flag)
            self.assertIn("not available yet", err)

    def test_a_mistyped_word_brings_the_right_one(self):
        for arguments, hint in [
            (["wacth", "a"], "watch"), (["lease", "grnat", "5"], "grant"), (["get", "a", "--prefx"], "--prefix"),
            (["endpoint", "helth"], "health"),
        ]:
            code, out, err = run_to_end([CLIENT, *arguments])
            self.assertEqual((code, out), (1, ""))
            self.assertIn(hint, err)


for _name, _script in [*SCRIPTS.items(), ("more", batch)]:
    for _kind in ("etcd", "martlet"):

        def _test(self, kind=_kind, script=_script):
            self.play(kind, script)

        setattr(Commands, f"test_script_{_name}_at_{_kind}", _test)


if __name__ == "__main__":
    unittest.main()
