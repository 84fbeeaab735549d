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
import threading
import unittest

from support import protobuf
from support.etcdctl_script import SCRIPTS
from support.processes import ETCD, ETCD_DIRECTORY, MARTLET, Cluster, run_to_end

ETCDCTLS = {"3.5": ETCD_DIRECTORY / "etcdctl", "3.4": shutil.which("etcdctl")}

# What differs from etcd 3.5.1 and is meant to: (part of the command, why). A command that is listed here and does not
# differ any more fails the test, so that the list stays true.
KNOWN = [
]


class Playing:
    """A cluster, and what it needs to make its answers comparable."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.answers = []
        self.names = {}
        for member in cluster.members:
            self.names[str(member.client_port)] = f"<{member.name}'s client port>"
            self.names[str(member.peer_port)] = f"<{member.name}'s peer port>"

    def learn_ids(self, etcdctl):
        code, out, err = run_to_end([etcdctl, "--endpoints", self.cluster.members[0].endpoint, "member", "list", "-w", "json"])
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

    def play(self, script, etcdctl, version, member):
        """Plays a script through one member; the answers are left in `answers`."""
        self.answers = []
        revision = self.revision(etcdctl, member)
        for step in script:
            if step.only not in (None, version):
                continue
            arguments, stdin = step.resolved(revision)
            code, out, err = run_to_end(
                [etcdctl, "--endpoints", member.endpoint, *arguments], seconds=30, input=stdin.encode(), decode=False)
            if "protobuf" in arguments and code == 0 and out:
                out = self.normal_protobuf(out)
            self.answers.append((step, code, self.normal(step, out), self.normal(step, err)))

    def normal_protobuf(self, data):
        """The fields of an answer in protobuf, without what is in every header and cannot be the same."""
        fields = protobuf.parse(data)
        header = protobuf.parse(fields.pop(1, [b""])[0])
        ids = [self.names.get(str(protobuf.get(header, number))) for number in (1, 2)]
        return f"header of {ids}, revision {protobuf.get(header, 3)}: {sorted(fields.items())}".encode()

    def normal(self, step, text):
        text = text.decode(errors="backslashreplace")
        text = re.sub(r"\b[0-9a-f]{4,20}\b", lambda found: self.names.get(found.group(), found.group()), text)
        for pattern, replacement in [
            (r'"ts":"[^"]*"', '"ts":"<time>"'),
            (r'"target":"[^"]*"', '"target":"<endpoint>"'),
            (r'"caller":"[^"]*"', '"caller":"<place>"'),
            (r'("?raft_?[tT]erm"?\s*:\s*)"?\d+"?', r"\1<term>"),
            (r'("RaftTerm" : )\d+', r"\1<term>"),
            (r'"took":"[^"]*"', '"took":"<time>"'),
            (r'("Took" : )"[^"]*"', r"\1<time>"),
            (r"took = [0-9.]+[mµn]?s", "took = <time>"),
        ]:
            text = re.sub(pattern, replacement, text)
        command = step.arguments[:2]
        if command[0] == "endpoint":
            text = NORMAL_ENDPOINT[command[1]](text, step.arguments[-1])
        if command == ["member", "list"]:
            text = "\n".join(sorted(without_table(text).splitlines()))
        return text


def without_table(text):
    """A table's cells, whatever their widths."""
    if "+--" not in text:
        return text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return "\n".join(" | ".join(cell.strip() for cell in row.strip("|").split("|")) for row in rows)


def normal_status(text, form):
    text = without_table(text)
    for pattern, replacement in [
        (r"\b3\.(5\.1|6\.\d+)\b", "<version>"),
        (r"\b[\d.]+ [kM]?B\b", "<size>"),
        (r'("?(db_?[sS]ize(InUse|_in_use)?|raft(Applied)?Index|DBSize|DBSizeInUse|RaftIndex|RaftAppliedIndex)"?\s*:\s*)"?\d+"?',
         r"\1<number>"),
        (r'("(dbSize|dbSizeInUse|raftIndex|raftAppliedIndex|raftTerm)":)\d+', r"\1<number>"),
    ]:
        text = re.sub(pattern, replacement, text)
    return text


NORMAL_ENDPOINT = {"status": normal_status, "health": lambda text, form: text, "hashkv": lambda text, form: text}


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

    def play(self, name, version, index):
        etcdctl = ETCDCTLS[version]
        if not etcdctl:
            self.skipTest(f"no etcdctl {version} on this machine")
        script = list(SCRIPTS[name]())
        failures = []

        def one(playing):
            try:
                playing.play(script, etcdctl, version, playing.cluster.members[index])
            except Exception as error:
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
            reason = next((reason for part, reason in KNOWN if part in str(step)), None)
            if (ours[1:] != theirs[1:]) == (reason is not None):
                continue
            if reason:
                differences.append(f"{step}\n  no longer differs; remove it from KNOWN")
                continue
            lines = [f"{step}"]
            for what, mine, other in zip(("exit code", "stdout", "stderr"), ours[1:], theirs[1:]):
                if mine != other:
                    lines += [f"  martlet's {what}: {shortened(mine)}", f"  etcd's {what}:    {shortened(other)}"]
            differences.append("\n".join(lines))
        if differences:
            self.fail(f"{len(differences)} differences with etcdctl {version} through member {index + 1}:\n"
                      + "\n".join(differences))


def shortened(value, most=1500):
    text = repr(value)
    return text if len(text) <= most else text[:most] + f"... ({len(text)} characters)"


def _make_test(name, version, index):
    def test(self):
        self.play(name, version, index)
    test.__doc__ = f"{name} with etcdctl {version} through member {index + 1}"
    return test


for _version in ETCDCTLS:
    for _index in range(3):
        for _order, _name in enumerate(SCRIPTS):
            setattr(EtcdctlParity, f"test_{_version.replace('.', '_')}_member_{_index + 1}_{_order}_{_name}",
                    _make_test(_name, _version, _index))


if __name__ == "__main__":
    unittest.main()
