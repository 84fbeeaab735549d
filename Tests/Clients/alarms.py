"""Alarms, the quota and checks for corruption (M1 to M6): the same requests to a martlet member and to an etcd 3.5.1
member, and clusters whose members' data is made to differ."""

import http.client
import json
import pathlib
import time
import unittest

from support import metrics, protobuf
from support.damage import change_value
from support.pairs import ACTIVATE, ALL, CORRUPT, Client, DEACTIVATE, GET, KV, MAINTENANCE, NONE, NOSPACE, Pair, shown
from support.processes import ETCD, ETCD_DIRECTORY, MARTLET, Cluster, Member, member_id, run_to_end, scratch
from support.protobuf import EQUAL, compare, message, op_delete, op_put, op_range

NO_SPACE = (8, "etcdserver: mvcc: database space exceeded")
CORRUPT_CLUSTER = (15, "etcdserver: corrupt cluster")


def soon(ask, seconds=10):
    """The first answer that is something, within a bounded time."""
    deadline = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer or time.monotonic() > deadline:
            return answer
        time.sleep(0.02)


class Parity(Pair):
    name = "alarms"

    def setUp(self):
        for client in self.clients:
            client.disarm_all()

    def test_which_alarms_are_answered(self):
        for action, kind, member in [
            (GET, NONE, None),
            (ACTIVATE, NONE, None),
            (ACTIVATE, NOSPACE, None),
            (ACTIVATE, NOSPACE, None),
            (ACTIVATE, NOSPACE, 77),
            (GET, NOSPACE, None),
            (GET, CORRUPT, None),
            (GET, NOSPACE, 77),
            (DEACTIVATE, NONE, None),
            (DEACTIVATE, NONE, 77),
            (DEACTIVATE, CORRUPT, 77),
            (DEACTIVATE, NOSPACE, 78),
            (DEACTIVATE, NOSPACE, None),
            (DEACTIVATE, NOSPACE, None),
            (GET, NOSPACE, None),
            (DEACTIVATE, NOSPACE, 77),
            (GET, NONE, None),
            (ACTIVATE, CORRUPT, (1 << 64) - 1),
            (GET, NONE, None),
            (DEACTIVATE, CORRUPT, (1 << 64) - 1),
        ]:
            with self.subTest(action=action, kind=kind, member=member):
                # etcd's lists are in no order.
                def ask(client):
                    status, text, head, rest = shown(client.alarm(action, kind, member))
                    return status, text, head, sorted(rest.get(2, []))

                self.agree(ask)

    def test_no_space(self):
        self.agree(lambda client: shown(client.put(b"k")))
        self.agree(lambda client: shown(client.grant(60, 11)))
        self.agree(lambda client: shown(client.alarm(ACTIVATE, NOSPACE, 5)))
        version = compare(b"k", "version", EQUAL, 99)
        for number, ask in enumerate(
            [
                lambda client: client.put(b"k"),
                lambda client: client.put(b"k", lease=4444),
                lambda client: client.txn([version], [op_put(b"k", b"v")], [op_range(b"k")]),
                lambda client: client.txn([version], [op_delete(b"k")], [op_put(b"k", b"v")]),
                lambda client: client.grant(60, 12),
            ]
        ):
            with self.subTest(number=number):
                self.assertEqual(self.agree(lambda client: shown(ask(client)))[:2], NO_SPACE)
        for number, ask in enumerate(
            [
                lambda client: client.put(b""),
                lambda client: client.range(b"k"),
                lambda client: client.range(b"k", serializable=1),
                lambda client: client.txn([], [op_range(b"k")]),
                lambda client: client.txn([], [op_delete(b"none")]),
                lambda client: client.delete(b"k"),
                lambda client: client.revoke(11),
                lambda client: client.compact(2),
            ]
        ):
            with self.subTest(number=number):
                self.assertNotEqual(self.agree(lambda client: shown(ask(client)))[0], 8)
        self.agree(lambda client: sorted(client.errors()))
        self.agree(lambda client: client.member.http("/health"))
        self.agree(lambda client: client.member.http("/health?exclude=NOSPACE"))
        ours = self.clients[0]
        self.assertEqual(ours.member.http("/readyz"), (200, "ok\n"))
        self.assertEqual(ours.errors(), ["memberID:5 alarm:NOSPACE "])
        self.agree(lambda client: shown(client.alarm(DEACTIVATE, NOSPACE, 5)))
        self.agree(lambda client: shown(client.put(b"k")))

    def test_corrupt(self):
        self.agree(lambda client: shown(client.put(b"c")))
        self.agree(lambda client: shown(client.grant(5, 21)))
        self.agree(lambda client: shown(client.put(b"l", lease=21)))
        self.agree(lambda client: shown(client.alarm(ACTIVATE, NOSPACE)))
        self.agree(lambda client: shown(client.alarm(ACTIVATE, CORRUPT, 6)))
        for number, ask in enumerate(
            [
                lambda client: client.put(b"c"),
                lambda client: client.put(b"c", lease=4444),
                lambda client: client.delete(b"c"),
                lambda client: client.txn([], [op_delete(b"c")]),
                lambda client: client.txn([], [op_put(b"c", b"v")]),
                lambda client: client.compact(3),
                lambda client: client.compact(30_000),
                lambda client: client.grant(60, 22),
                lambda client: client.grant(9_000_000_001, 24),
                lambda client: client.revoke(21),
                lambda client: client.revoke(23),
            ]
        ):
            with self.subTest(number=number):
                self.assertEqual(self.agree(lambda client: shown(ask(client)))[:2], CORRUPT_CLUSTER)
        # What is there can be read: somebody has to find out what is wrong.
        self.agree(lambda client: shown(client.range(b"c")))
        self.agree(lambda client: shown(client.range(b"c", serializable=1)))
        self.agree(lambda client: shown(client.txn([], [op_range(b"c")])))
        self.agree(lambda client: sorted(client.errors()))
        # With two alarms up etcd names either, by chance; with one of them left out, the other.
        def health(client):
            status, body = client.member.http("/health")
            said = json.loads(body)
            self.assertIn(said.pop("reason"), ("ALARM NOSPACE", "ALARM CORRUPT"))
            return status, said

        self.assertEqual(self.agree(health), (503, {"health": "false"}))
        for left_out in ("NOSPACE", "CORRUPT", "NOSPACE&exclude=CORRUPT"):
            self.agree(lambda client: client.member.http(f"/health?exclude={left_out}"))
        status, body = self.clients[0].member.http("/readyz")
        self.assertEqual(status, 503)
        self.assertIn("[-]data_corruption failed: alarm activated: CORRUPT\n", body)
        # Leases do not end meanwhile, and do afterwards.
        time.sleep(7)
        self.agree(lambda client: client.keys())
        self.agree(lambda client: shown(client.alarm(DEACTIVATE, CORRUPT, 6)))
        # Here NOSPACE is still up, and etcd 3.5.1 forgets it.
        self.assertEqual(self.clients[0].put(b"c")[:2], NO_SPACE)
        self.assertTrue(soon(lambda: all(client.keys() == [b"c"] for client in self.clients)))
        self.agree(lambda client: shown(client.alarm(DEACTIVATE, NOSPACE)))
        for client in self.clients:
            self.assertEqual(client.put(b"c")[0], 0)

    def test_over_json(self):
        for body in [
            {},
            {"action": "ACTIVATE", "alarm": "NOSPACE", "memberID": "9"},
            {"action": "GET"},
            {"action": "DEACTIVATE", "alarm": "NOSPACE", "memberID": "9"},
        ]:

            def ask(client):
                status, text = client.member.http("/v3/maintenance/alarm", "POST", json.dumps(body))
                return status, json.loads(text).get("alarms")

            self.agree(ask)

    def test_what_is_no_alarm_is_refused(self):
        """A kind that is not known makes etcd 3.5.1 panic, again and again: it is in the log."""
        client = self.clients[0]
        for action in (GET, ACTIVATE, DEACTIVATE):
            self.assertEqual(client.alarm(action, 7, 1)[:2], (3, "martlet: 7 is no kind of alarm"))
        self.assertEqual(client.alarm(9, NOSPACE, 1)[:2], (3, "martlet: 9 is nothing to do with alarms"))
        self.assertEqual(client.call(MAINTENANCE + "Alarm", b"\xff\xff")[0], 13)
        self.assertEqual(client.alarms(), [])
        self.agree(lambda client: shown(client.put(b"k")))

    def test_there_is_a_limit_of_alarms(self):
        client = self.clients[0]
        for number in range(1024):
            self.assertEqual(client.alarm(ACTIVATE, NOSPACE, number)[0], 0)
        self.assertEqual(client.alarm(ACTIVATE, NOSPACE, 5000)[:2], (8, "martlet: 1024 alarms are raised already"))
        self.assertEqual(len(client.alarms()), 1024)
        client.disarm_all()
        self.agree(lambda client: shown(client.put(b"k")))

    def test_etcdctl(self):
        """What operators type; the ids differ, the rest does not."""
        etcdctl = ETCD_DIRECTORY / "etcdctl"

        def ask(client, *arguments):
            code, out, err = run_to_end([etcdctl, "--endpoints", client.member.endpoint, *arguments])
            return code, out.replace(client.member.endpoint, "ENDPOINT"), "".join(sorted(set(err.split(":")[-1:])))

        for client in self.clients:
            for member, kind in ((0x12, NOSPACE), (0x34, CORRUPT)):
                client.alarm(ACTIVATE, kind, member)
        listed = self.agree(lambda client: (lambda a: (a[0], sorted(a[1].splitlines())))(ask(client, "alarm", "list")))
        self.assertEqual(listed, (0, ["memberID:18 alarm:NOSPACE ", "memberID:52 alarm:CORRUPT "]))
        self.assertEqual(self.agree(lambda client: ask(client, "endpoint", "health")[0]), 1)
        disarmed = lambda client: (lambda a: (a[0], sorted(a[1].splitlines())))(ask(client, "alarm", "disarm"))
        self.assertEqual(self.agree(disarmed), listed)
        self.assertEqual(self.agree(lambda client: ask(client, "alarm", "list")), (0, "", ""))
        self.assertEqual(self.agree(lambda client: ask(client, "endpoint", "health")[0]), 0)


class Quota(unittest.TestCase):
    QUOTA = 4 << 20

    def fill(self, client, count=4000, prefix=b"fill/"):
        """Puts until one is refused; how many went through, and the refusal."""
        for number in range(count):
            status, text, _ = client.put(prefix + b"%06d" % number, b"x" * 10_000)
            if status:
                return number, (status, text)
        return count, None

    def test_full_and_free_again(self):
        for program in (MARTLET, ETCD):
            member = Member(
                program, "full", scratch(f"quota-{pathlib.Path(program).name}"),
                extra=[f"--quota-backend-bytes={self.QUOTA}"],
            ).start()
            self.addCleanup(member.kill)
            client = Client(member)
            own = member_id(member)
            count, refusal = self.fill(client)
            self.assertEqual(refusal, NO_SPACE)
            # What is stored is most of what is allowed, and no more; etcd looks at its file, which grows later.
            self.assertGreater(count * 10_000, self.QUOTA * 0.6)
            self.assertLess(count * 10_000, self.QUOTA * (1 if program == MARTLET else 1.2))
            self.assertEqual(client.alarms(), [(own, NOSPACE)])
            self.assertEqual(client.errors(), [f"memberID:{own} alarm:NOSPACE "])
            self.assertEqual(client.put(b"small")[:2], NO_SPACE)
            self.assertEqual(client.grant(60)[:2], NO_SPACE)
            # Disarmed without room: the next put raises it again.
            client.disarm_all()
            self.assertEqual(client.put(b"large", b"x" * 100_000)[:2], NO_SPACE)
            self.assertEqual(client.alarms(), [(own, NOSPACE)])
            self.assertEqual(client.delete(b"fill/", b"fill0")[0], 0)
            self.assertEqual(client.compact(client.revision())[0], 0)
            if program == ETCD:
                time.sleep(1)
                self.assertEqual(client.call(MAINTENANCE + "Defragment")[0], 0)
            # Here there is nothing to do or to wait for: the next put finds the room.
            client.disarm_all()
            self.assertEqual(client.put(b"again")[0], 0)
            self.assertEqual(client.alarms(), [])
            # As much as before goes in again.
            again, refusal = self.fill(client, prefix=b"more/")
            self.assertEqual(refusal, NO_SPACE)
            self.assertGreater(again, count * 0.7)
            member.kill()
            member.start(wait=False)
            member.wait_for_port()
            client = Client(member)
            self.assertEqual(soon(lambda: client.call(KV + "Range", ALL)[0] == 0), True)
            self.assertEqual(client.alarms(), [(own, NOSPACE)])
            self.assertEqual(client.put(b"small")[:2], NO_SPACE)
            member.kill()

    def in_use(self, member):
        return metrics.parse(member.http("/metrics")[1])["etcd_mvcc_db_total_size_in_use_in_bytes"].value()

    def test_overwriting_one_key_is_growth(self):
        """Old versions are kept until they are compacted, and what waits in memory counts."""
        member = Member(
            MARTLET, "over", scratch("quota-over"), extra=[f"--quota-backend-bytes={self.QUOTA}"]
        ).start()
        self.addCleanup(member.kill)
        client = Client(member)
        refused = None
        for number in range(2000):
            status, text, _ = client.put(b"one", b"x" * 10_000)
            if status:
                refused = (status, text)
                break
        self.assertEqual(refused, NO_SPACE)
        self.assertLess(number * 10_000, self.QUOTA)
        self.assertGreater(number * 10_000, self.QUOTA * 0.6)

    def test_who_is_full_stops_all(self):
        """One member has a quota, and nobody writes through it."""
        cluster = Cluster(MARTLET, "quota-cluster")
        cluster.members[2].extra = [f"--quota-backend-bytes={self.QUOTA}"]
        cluster.start().wait_ready()
        self.addCleanup(cluster.kill)
        clients = [Client(member) for member in cluster.members]
        own = protobuf.get(protobuf.parse(clients[2].call(MAINTENANCE + "Status")[2][1][0]), 2)
        refusal = None
        for number in range(3000):
            status, text, _ = clients[number % 2].put(b"k/%d" % number, b"x" * 10_000)
            if status:
                refusal = (status, text)
                break
        self.assertEqual(refusal, NO_SPACE)
        for client in clients:
            self.assertEqual(client.alarms(), [(own, NOSPACE)])
            self.assertEqual(client.put(b"k")[:2], NO_SPACE)
            self.assertEqual(client.grant(60)[:2], NO_SPACE)
            self.assertTrue(soon(lambda: client.errors() == [f"memberID:{own} alarm:NOSPACE "]))
            self.assertEqual(client.member.http("/health")[0], 503)
        # Restarted members know it.
        for member in cluster.members:
            member.kill()
        for member in cluster.members:
            member.start(wait=False)
        for member in cluster.members:
            member.wait_for_port()
        clients = [Client(member) for member in cluster.members]
        self.assertTrue(soon(lambda: clients[0].call(KV + "Range", ALL)[0] == 0))
        self.assertEqual(clients[0].put(b"k")[:2], NO_SPACE)
        self.assertEqual(clients[1].delete(b"k/", b"k0")[0], 0)
        self.assertEqual(clients[1].compact(clients[1].revision())[0], 0)
        self.assertTrue(soon(lambda: self.in_use(cluster.members[2]) < self.QUOTA / 2))
        clients[0].disarm_all()
        for client in clients:
            self.assertEqual(client.put(b"k")[0], 0)
            self.assertEqual(client.alarms(), [])

    def test_the_default_is_etcds_and_below_zero_is_none(self):
        for extra, size in (
            ([], 2147483648), (["--quota-backend-bytes=-1"], 0), (["--quota-backend-bytes=77777777"], 77777777)
        ):
            member = Member(MARTLET, "default", scratch("quota-default"), extra=extra).start()
            self.addCleanup(member.kill)
            status = Client(member).call(MAINTENANCE + "Status")[2]
            self.assertEqual(protobuf.get(status, 12), size)
            member.kill()


class Corruption(unittest.TestCase):
    """One byte of one value is another one on one member, with a checksum that is right: nothing on that member itself
    can tell."""

    KEY, VALUE = b"key/7", b"value-as-it-was-written"

    def cluster(self, name, *extra):
        cluster = Cluster(MARTLET, name, extra=extra).start().wait_ready()
        self.addCleanup(cluster.kill)
        client = Client(cluster.members[0])
        for number in range(20):
            client.put(b"key/%d" % number, self.VALUE)
        # Into the engines, and the log's entries behind it are not applied anew.
        time.sleep(2)
        return cluster

    def damage(self, member):
        member.kill()
        changed = change_value(member.data, self.KEY, self.VALUE, b"value-as-it-was-WRITTEN")
        self.assertGreaterEqual(changed, 1)

    def restart(self, member):
        member.start(wait=False)
        member.wait_for_port()

    def ids(self, cluster):
        return [
            protobuf.get(protobuf.parse(Client(member).call(MAINTENANCE + "Status")[2][1][0]), 2)
            for member in cluster.members
        ]

    def test_by_the_clock_the_one_that_differs_is_named(self):
        for flags in (["--experimental-corrupt-check-time=500ms"],):
            cluster = self.cluster("corrupt-clock", *flags)
            ids = self.ids(cluster)
            self.damage(cluster.members[2])
            self.restart(cluster.members[2])
            client = Client(cluster.members[0])
            self.assertEqual(soon(client.alarms), [(ids[2], CORRUPT)])
            for member in cluster.members:
                client = Client(member)
                self.assertEqual(client.put(b"k")[:2], CORRUPT_CLUSTER)
                self.assertTrue(soon(lambda: client.errors() == [f"memberID:{ids[2]} alarm:CORRUPT "]))
                self.assertEqual(member.http("/readyz")[0], 503)
            self.assertIn("alarm raised: the data of this member", cluster.members[2].log())
            # The way out: the member goes and comes back, the alarm is disarmed.
            client = Client(cluster.members[0])
            # Not before all are connected long enough.
            remove = lambda: client.call("/etcdserverpb.Cluster/MemberRemove", message({1: ids[2]}))[0] == 0
            self.assertTrue(soon(remove, 20))
            client.disarm_all()
            self.assertEqual(client.put(b"k")[0], 0)
            time.sleep(2)
            self.assertEqual(client.alarms(), [])

    def test_after_a_compaction(self):
        cluster = self.cluster(
            "corrupt-compact", "--feature-gates=CompactHashCheck=true", "--compact-hash-check-time=300ms"
        )
        ids = self.ids(cluster)
        self.damage(cluster.members[0])
        self.restart(cluster.members[0])
        client = Client(cluster.members[1])
        time.sleep(1)
        self.assertEqual(client.alarms(), [])
        self.assertEqual(client.compact(client.revision())[0], 0)
        self.assertEqual(soon(client.alarms), [(ids[0], CORRUPT)])

    def test_what_was_applied_otherwise_is_found_soon_without_any_flag(self):
        """The wrong byte decides a transaction, from where on the members make different things of one log."""
        cluster = self.cluster("corrupt-applied")
        ids = self.ids(cluster)
        self.damage(cluster.members[2])
        self.restart(cluster.members[2])
        client = Client(cluster.members[0])
        time.sleep(6)
        # Nobody has looked at the row since, and what was applied is the same.
        self.assertEqual(client.alarms(), [])
        compare = message({2: 3, 3: self.KEY, 7: self.VALUE})
        put = message({2: message({1: b"decided", 2: b"yes"})})
        status, _, answer = client.call(KV + "Txn", message({1: compare, 2: put}))
        self.assertEqual((status, protobuf.get(answer, 2)), (0, 1))
        self.assertEqual(soon(client.alarms, 12), [(ids[2], CORRUPT)])
        log = "".join(member.log() for member in cluster.members)
        self.assertRegex(log, 'the members\' data differs: raising the alarm CORRUPT.*as they were applied')

    def test_two_that_differ_name_nobody(self):
        cluster = Cluster(MARTLET, "corrupt-two", count=2, extra=["--corrupt-check-time=500ms"]).start().wait_ready()
        self.addCleanup(cluster.kill)
        Client(cluster.members[0]).put(self.KEY, self.VALUE)
        time.sleep(2)
        self.damage(cluster.members[1])
        self.restart(cluster.members[1])
        client = Client(cluster.members[0])
        self.assertTrue(soon(lambda: client.call(KV + "Range", ALL)[0] == 0))
        self.assertEqual(soon(client.alarms), [(0, CORRUPT)])
        self.assertEqual(client.errors(), ["alarm:CORRUPT "])

    def test_at_the_start_the_one_that_differs_refuses(self):
        cluster = self.cluster("corrupt-start", "--experimental-initial-corrupt-check")
        damaged = cluster.members[1]
        self.damage(damaged)
        damaged.start(wait=False)
        self.assertEqual(damaged.process.wait(20), 1)
        self.assertIn("the data of this member is not what others have", damaged.log())
        client = Client(cluster.members[0])
        # It may have been the leader.
        self.assertTrue(soon(lambda: client.put(b"k")[0] == 0, 20))
        # Those that are sound start, together too.
        for member in (cluster.members[0], cluster.members[2]):
            member.kill()
        for member in (cluster.members[0], cluster.members[2]):
            member.start(wait=False)
        for member in (cluster.members[0], cluster.members[2]):
            member.wait_ready()
        self.assertTrue(soon(lambda: Client(cluster.members[0]).put(b"k")[0] == 0, 20))

    def test_members_that_agree_raise_nothing(self):
        cluster = self.cluster(
            "corrupt-not", "--corrupt-check-time=200ms", "--initial-corrupt-check", "--compact-hash-check-enabled",
            "--compact-hash-check-time=200ms",
        )
        clients = [Client(member) for member in cluster.members]
        deadline = time.monotonic() + 8
        number = 0
        while time.monotonic() < deadline:
            client = clients[number % 3]
            self.assertEqual(client.put(b"w/%d" % (number % 50), b"x" * 200)[0], 0)
            if number % 100 == 99:
                client.delete(b"w/%d" % (number % 50))
                client.compact(client.revision() - 20)
            if number % 400 == 399:
                member = cluster.members[number // 400 % 3]
                member.kill()
                member.start()
                clients = [Client(member) for member in cluster.members]
            number += 1
        self.assertEqual(clients[0].alarms(), [])
        self.assertIn("compared the members' data", "".join(member.log() for member in cluster.members))
        self.assertNotIn("the members' data differs", "".join(member.log() for member in cluster.members))

    def test_what_is_asked_of_the_port_for_members(self):
        member = Member(MARTLET, "asked", scratch("corrupt-port")).start()
        self.addCleanup(member.kill)
        Client(member).put(b"k")

        def ask(query):
            connection = http.client.HTTPConnection("127.0.0.1", member.peer_port, timeout=10)
            connection.request("GET", "/members/hashkv" + query)
            answer = connection.getresponse()
            body = answer.read().decode()
            return answer.status, json.loads(body) if answer.status == 200 else body

        for query in ("", "?revision=2", "?revision=x&compacted=-1", "?revision=-2&compacted=-1", "?compacted=1"):
            self.assertEqual(ask(query)[0], 400)
        self.assertEqual(ask("?revision=3&compacted=-1")[1]["state"], "behind")
        self.assertEqual(ask("?revision=2&compacted=9")[1]["state"], "compacted")
        answer = soon(lambda: (lambda a: a if a["state"] == "done" else None)(ask("?revision=2&compacted=-1")[1]))
        self.assertEqual(answer["memberID"], member_id(member))
        self.assertEqual((answer["hashRevision"], answer["compactRevision"]), (2, -1))


if __name__ == "__main__":
    unittest.main()
