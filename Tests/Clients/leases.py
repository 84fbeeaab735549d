"""Leases (L1 to L11): the same requests to a martlet member and to an etcd 3.5.1 member, and what only time shows, on
a cluster whose leader is killed."""

import time
import unittest

from support import http2, protobuf
from support.pairs import Client, KV, LEASE, Pair, shown
from support.processes import MARTLET, Cluster, Member, scratch
from support.protobuf import delete_request, message, signed


class Parity(Pair):
    name = "leases"

    def test_grants(self):
        for ttl, id in [
            (60, 11),
            (60, 11),
            (0, 12),
            (1, 13),
            (-5, 14),
            (9_000_000_000, 15),
            (9_000_000_001, 16),
            (9_000_000_001, 11),
            (60, -7),
        ]:
            with self.subTest(ttl=ttl, id=id):
                self.agree(lambda client: shown(client.grant(ttl, id)))
        for id in (11, 12, 13, 14, 15, -7):
            self.agree(lambda client: shown(client.revoke(id)))

    def test_ids_are_chosen(self):
        for client in self.clients:
            status, _, fields = client.grant(60)
            self.assertEqual(status, 0)
            self.assertGreater(signed(protobuf.get(fields, 2)), 0)
            self.assertEqual(protobuf.get(fields, 3), 60)
            client.revoke(protobuf.get(fields, 2))

    def test_keys_come_and_go(self):
        self.agree(lambda client: shown(client.put(b"k/none", lease=99)))
        self.agree(lambda client: shown(client.grant(60, 21)))
        self.agree(lambda client: shown(client.grant(60, 22)))
        for key in (b"k/c", b"k/a", b"k/b"):
            self.agree(lambda client: shown(client.put(key, lease=21)))
        self.agree(lambda client: shown(client.put(b"k/b", lease=22)))
        self.agree(lambda client: shown(client.put(b"k/b", ignore_lease=True)))
        self.agree(lambda client: shown(client.put(b"k/c")))
        self.agree(lambda client: shown(client.put(b"k/d", lease=21)))
        self.agree(lambda client: shown(client.call(KV + "DeleteRange", delete_request(b"k/d"))))
        for id in (21, 22):
            ask = lambda client: sorted(client.time_to_live(id, keys=True)[2].get(5, []))
            self.assertEqual(self.agree(ask), [b"k/a"] if id == 21 else [b"k/b"])
        self.agree(lambda client: client.leases())
        self.agree(lambda client: shown(client.revoke(21)))
        self.agree(lambda client: shown(client.revoke(21)))
        self.agree(lambda client: client.keys())
        self.agree(lambda client: client.revision())
        self.agree(lambda client: shown(client.revoke(22)))
        self.agree(lambda client: client.keys())
        self.agree(lambda client: client.leases())

    def test_time_to_live(self):
        self.agree(lambda client: shown(client.time_to_live(999)))
        self.agree(lambda client: shown(client.time_to_live(999, keys=True)))
        self.agree(lambda client: shown(client.grant(1_000, 31)))
        self.agree(lambda client: shown(client.time_to_live(31)))
        time.sleep(1.1)
        self.agree(lambda client: shown(client.time_to_live(31)))
        self.agree(lambda client: client.keep_alive([31]))
        self.agree(lambda client: shown(client.time_to_live(31)))
        self.agree(lambda client: shown(client.revoke(31)))

    def test_keep_alive(self):
        for id in (41, 42):
            self.agree(lambda client: shown(client.grant(30 + id, id)))
        status, answers = self.agree(lambda client: client.keep_alive([42, 7, 41, 41, 0, -3, 42]))
        self.assertEqual(status, 0)
        self.assertEqual([answer[:2] for answer in answers][:3], [(42, 72), (7, 0), (41, 71)])
        self.agree(lambda client: client.keep_alive([]))
        self.agree(lambda client: client.keep_alive([41, 42] * 500))
        for id in (41, 42):
            self.agree(lambda client: shown(client.revoke(id)))

    def test_messages_that_are_none(self):
        for method in ("LeaseGrant", "LeaseRevoke", "LeaseTimeToLive"):
            for client in self.clients:
                self.assertEqual(client.call(LEASE + method, b"\xff\xff")[0], 13)
        for client in self.clients:
            stream = client.connection.open(LEASE + "LeaseKeepAlive")
            client.connection.send(stream, http2.grpc_frame(b"\xff\xff"), end=True)
            self.assertEqual(client.connection.wait(stream).status, 13)
            self.assertEqual(client.leases(), [])

    def test_leases_end_in_time(self):
        """One that nobody renews lives its TTL, and not much longer; one that is renewed lives on."""
        for client in self.clients:
            for id, key in ((51, b"e/left"), (52, b"e/kept")):
                client.grant(2, id)
                client.put(key, lease=id)
            begin = time.monotonic()
            ended = None
            while time.monotonic() < begin + 6:
                self.assertEqual(client.keep_alive([52])[1][0][1], 2)
                if ended is None and b"e/left" not in client.keys():
                    ended = time.monotonic() - begin
                time.sleep(0.05)
            self.assertIn(b"e/kept", client.keys())
            # Both grants and puts took some time before `begin`.
            self.assertIsNotNone(ended)
            self.assertGreater(ended, 1.5)
            self.assertLess(ended, 4.0)
            self.assertEqual(client.leases(), [52])
            client.revoke(52)


class Renewals(unittest.TestCase):
    def test_those_that_come_all_the_time_share_entries(self):
        """A member's event loop logs renewals every 5 ms at most, however they come (decision 0014)."""
        member = Member(MARTLET, "martlet", scratch("leases-shared"))
        member.start()
        self.addCleanup(member.kill)
        client = Client(member)
        ids = range(1000, 1300)
        for id in ids:
            client.grant(60, id)
        time.sleep(0.6)  # a renewal sooner than half a second after the grant need not be logged

        def index():
            return protobuf.get(client.call("/etcdserverpb.Maintenance/Status")[2], 5)

        before = index()
        begin = time.monotonic()
        stream = client.connection.open(LEASE + "LeaseKeepAlive")
        for id in ids:
            client.connection.send(stream, http2.grpc_frame(message({1: id})), end=id == ids[-1])
            time.sleep(0.001)
        reply = client.connection.wait(stream)
        elapsed = time.monotonic() - begin
        answers = [protobuf.parse(answer) for answer in reply.messages]
        self.assertEqual([(protobuf.get(a, 2), protobuf.get(a, 3)) for a in answers], [(id, 60) for id in ids])
        entries = index() - before
        self.assertGreater(entries, 0)
        self.assertLess(entries, elapsed / 0.005 + 20)


class Failover(unittest.TestCase):
    def test_a_lease_outlives_its_leader_and_its_members(self):
        cluster = Cluster(MARTLET, "leases-failover").start().wait_ready()
        self.addCleanup(cluster.kill)
        clients = [Client(member) for member in cluster.members]
        clients[0].grant(4, 61)
        clients[0].grant(600, 62)
        for number, client in enumerate(clients):
            self.assertEqual(client.put(b"f/%d" % number, lease=61)[0], 0)
            self.assertEqual(client.put(b"g/%d" % number, lease=62)[0], 0)
            self.assertEqual([answer[:2] for answer in client.keep_alive([62, 61, 5])[1]], [(62, 600), (61, 4), (5, 0)])
        renewed = time.monotonic()
        leader = next(
            number
            for number, client in enumerate(clients)
            if self.status(client)["leader"] == self.status(client)["member"]
        )
        cluster.members[leader].kill()
        others = [client for number, client in enumerate(clients) if number != leader]
        # It lives its TTL whatever happens, and then ends, the time without a leader not counted.
        while b"f/0" in others[0].keys():
            self.assertLess(time.monotonic(), renewed + 20)
            time.sleep(0.05)
        ended = time.monotonic() - renewed
        self.assertGreater(ended, 3.9)
        self.assertLess(ended, 15)
        self.assertEqual(others[0].keys(), [b"g/0", b"g/1", b"g/2"])
        self.assertEqual(others[1].leases(), [62])
        for member in cluster.members:
            member.kill()
        for member in cluster.members:
            member.start(wait=False)
        cluster.wait_ready()
        for member in cluster.members:
            client = Client(member)
            self.assertEqual(client.leases(), [62])
            fields = client.time_to_live(62, keys=True)[2]
            self.assertEqual(fields[5], [b"g/0", b"g/1", b"g/2"])
            self.assertGreater(protobuf.get(fields, 3), 500)

    def status(self, client):
        _, _, fields = client.call("/etcdserverpb.Maintenance/Status")
        return {"leader": protobuf.get(fields, 4), "member": protobuf.get(protobuf.parse(fields[1][0]), 2)}

    def test_without_a_leader_a_keep_alive_ends_with_no_leader(self):
        cluster = Cluster(MARTLET, "leases-alone").start().wait_ready()
        self.addCleanup(cluster.kill)
        client = Client(cluster.members[0])
        client.grant(600, 71)
        for member in cluster.members[1:]:
            member.kill()
        time.sleep(2.5)
        stream = client.connection.open(LEASE + "LeaseKeepAlive")
        client.connection.send(stream, http2.grpc_frame(message({1: 71})))
        reply = client.connection.wait(stream, 15)
        self.assertEqual((reply.status, reply.text), (14, "etcdserver: no leader"))


if __name__ == "__main__":
    unittest.main()
