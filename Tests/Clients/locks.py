"""Locks and elections (O1, O2): the same requests to a martlet member and to an etcd 3.5.1 member, calls that wait,
calls that are given up, and a cluster whose leader is killed while they wait."""

import time
import unittest

from support import http2, protobuf
from support.pairs import Client, KV, Pair, header, shown
from support.processes import MARTLET, Cluster, Member, scratch
from support.protobuf import delete_request, message, signed

LOCK = "/v3lockpb.Lock/"
ELECTION = "/v3electionpb.Election/"
OK, UNKNOWN, INVALID, DEADLINE, NOT_FOUND, UNAVAILABLE = 0, 2, 3, 4, 5, 14


def lock_request(name, lease=None):
    return message({1: name, 2: lease})


def campaign_request(name, lease=None, value=None):
    return message({1: name, 2: lease, 3: value})


def leader_key(name, key, revision, lease=None):
    return message({1: name, 2: key, 3: revision, 4: lease})


def leader_of(fields):
    """Of a CampaignResponse: (name, key, revision, lease)."""
    leader = protobuf.parse(protobuf.get(fields, 2))
    return tuple(protobuf.get(leader, number) for number in (1, 2, 3, 4))


def pair(data):
    """Of a LeaderResponse: the pair's fields, and the header's."""
    fields = protobuf.parse(data)
    kv = protobuf.parse(protobuf.get(fields, 2))
    return {number: protobuf.get(kv, number) for number in (1, 2, 3, 4, 5, 6)}, header(fields)


class Pending:
    """A unary call that is under way."""

    def __init__(self, client, path, request, timeout=None):
        self.connection = client.connection
        fields = [("grpc-timeout", timeout)] if timeout else []
        self.stream = self.connection.open(path, fields)
        self.connection.send(self.stream, http2.grpc_frame(request), end=True)

    def is_answered(self, seconds):
        try:
            self.connection.wait(self.stream, seconds)
            return True
        except TimeoutError:
            return False

    def gave_up(self):
        """Whether its time limit ended it. The code with which etcd says so has got lost in its own client."""
        status, text, _ = self.answer()
        return status in (UNKNOWN, DEADLINE) and text == "context deadline exceeded"

    def answer(self):
        reply = self.connection.wait(self.stream)
        return reply.status, reply.text, protobuf.parse(reply.messages[0]) if reply.messages else {}


class Parity(Pair):
    name = "locks"

    def again(self, client):
        """A second connection to the client's member."""
        return Client(self.members[self.clients.index(client)])

    def grant(self, id, ttl=600):
        self.agree(lambda client: shown(client.grant(ttl, id)))

    def test_a_lock_is_taken_and_given_back(self):
        self.grant(0x51)
        status, _, _, rest = self.agree(lambda client: shown(client.call(LOCK + "Lock", lock_request(b"one", 0x51))))
        self.assertEqual((status, rest[2]), (OK, [b"one/51"]))
        # Who has it gets it again at once.
        self.agree(lambda client: shown(client.call(LOCK + "Lock", lock_request(b"one", 0x51))))
        self.agree(lambda client: sorted(client.keys()))
        self.agree(lambda client: shown(client.call(LOCK + "Unlock", message({1: b"one/51"}))))
        self.agree(lambda client: shown(client.call(LOCK + "Unlock", message({1: b"one/51"}))))
        self.agree(lambda client: sorted(client.keys()))

    def test_a_lock_without_a_lease_gets_one(self):
        for client in self.clients:
            status, _, fields = client.call(LOCK + "Lock", lock_request(b"leased"))
            key = protobuf.get(fields, 2)
            self.assertEqual((status, key[:7]), (OK, b"leased/"))
            _, _, lease = client.time_to_live(int(key[7:], 16))
            self.assertEqual(protobuf.get(lease, 4), 60)
            self.assertIn(protobuf.get(lease, 3), (59, 60))
            client.revoke(int(key[7:], 16))
            self.assertNotIn(key, client.keys())

    def test_the_next_in_line_gets_it(self):
        for lease in (0x61, 0x62, 0x63):
            self.grant(lease)
        results = []
        for client in self.clients:
            seen = []
            self.assertEqual(client.call(LOCK + "Lock", lock_request(b"line", 0x61))[0], OK)
            second = Pending(client, LOCK + "Lock", lock_request(b"line", 0x62))
            self.assertFalse(second.is_answered(0.2))
            third = Pending(client, LOCK + "Lock", lock_request(b"line", 0x63))
            self.assertFalse(third.is_answered(0.2))
            seen.append(client.keys())
            self.assertEqual(client.call(LOCK + "Unlock", message({1: b"line/61"}))[0], OK)
            seen.append(shown(second.answer()))
            self.assertFalse(third.is_answered(0.2))
            # The end of a lease is as good.
            client.revoke(0x62)
            seen.append(shown(third.answer()))
            seen.append(client.keys())
            client.revoke(0x61)
            client.revoke(0x63)
            results.append(seen)
        self.assertEqual(*results)

    def test_who_gives_up_leaves_the_line(self):
        for lease in (0x71, 0x72):
            self.grant(lease)
        for client in self.clients:
            self.assertEqual(client.call(LOCK + "Lock", lock_request(b"give-up", 0x71))[0], OK)
            waiting = Pending(client, LOCK + "Lock", lock_request(b"give-up", 0x72), timeout="400m")
            self.assertTrue(waiting.gave_up())
            deadline = time.monotonic() + 5
            while b"give-up/72" in client.keys():
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.02)
            self.assertIn(b"give-up/71", client.keys())
            client.revoke(0x71)
            client.revoke(0x72)

    def test_wrong_requests(self):
        for path, request in [
            (LOCK + "Lock", lock_request(b"none", 0x999)),
            (LOCK + "Unlock", b""),
            (ELECTION + "Campaign", campaign_request(b"none", 0x999, b"v")),
            (ELECTION + "Proclaim", message({2: b"v"})),
            (ELECTION + "Resign", b""),
            (ELECTION + "Leader", message({1: b"nobody"})),
            (ELECTION + "Proclaim", message({1: leader_key(b"e", b"e/1", 7, 0x999), 2: b"v"})),
            (ELECTION + "Proclaim", message({1: leader_key(b"e", b"", 7, 0x51), 2: b"v"})),
        ]:
            with self.subTest(path=path, request=request):
                self.agree(lambda client: client.call(path, request)[:2])
        for path in (LOCK + "Lock", ELECTION + "Campaign", ELECTION + "Resign"):
            with self.subTest(path=path):
                statuses = [client.call(path, b"\xff\xff")[0] for client in self.clients]
                self.assertEqual(*statuses)

    def test_an_election(self):
        for lease in (0x81, 0x82):
            self.grant(lease)
        results = []
        for client in self.clients:
            seen = []
            observer = self.again(client)
            stream = observer.connection.open(ELECTION + "Observe")
            observer.connection.send(stream, http2.grpc_frame(message({1: b"e"})), end=True)
            time.sleep(0.1)
            first = client.call(ELECTION + "Campaign", campaign_request(b"e", 0x81, b"first"))
            seen.append((first[0], leader_of(first[2])[:2], header(first[2])))
            second = Pending(client, ELECTION + "Campaign", campaign_request(b"e", 0x82, b"second"))
            self.assertFalse(second.is_answered(0.2))
            key = leader_key(*leader_of(first[2]))
            seen.append(pair(self.reply(client, ELECTION + "Leader", message({1: b"e"}))))
            seen.append(shown(client.call(ELECTION + "Proclaim", message({1: key, 2: b"first again"}))))
            # The same candidate with another value: it says so, and leads.
            again = client.call(ELECTION + "Campaign", campaign_request(b"e", 0x81, b"third"))
            seen.append((again[0], leader_of(again[2]), header(again[2])))
            seen.append(shown(client.call(ELECTION + "Resign", message({1: key}))))
            answer = second.answer()
            seen.append((answer[0], leader_of(answer[2]), header(answer[2])))
            seen.append(shown(client.call(ELECTION + "Proclaim", message({1: key, 2: b"too late"}))))
            seen.append(shown(client.call(ELECTION + "Resign", message({1: key}))))
            seen.append(pair(self.reply(client, ELECTION + "Leader", message({1: b"e"}))))
            observed = [pair(data) for data in self.messages(observer, stream, 4)]
            seen.append([(kv[5], kv[1]) for kv, _ in observed])
            client.revoke(0x81)
            client.revoke(0x82)
            observer.connection.close()
            results.append(seen)
        self.assertEqual(*results)
        self.assertEqual(
            results[0][-1],
            [(b"first", b"e/81"), (b"first again", b"e/81"), (b"third", b"e/81"), (b"second", b"e/82")],
        )

    def reply(self, client, path, request):
        reply = client.connection.call(path, request)
        self.assertEqual(reply.status, OK, reply.text)
        return reply.messages[0]

    def messages(self, client, stream, count):
        """The first ones of a stream, which may have come already."""
        reply = client.connection.replies[stream]
        client.connection.socket.settimeout(10)
        while len(reply.messages) < count:
            self.assertFalse(reply.ended, reply)
            client.connection.read_frame()
        return reply.messages[:count]

    def test_only_those_of_the_name_count(self):
        self.grant(0x91)
        for key in (b"name0/1", b"nam/1", b"name", b"name.", b"name/"[:-1] + b"0"):
            self.agree(lambda client: shown(client.put(key)))
        self.agree(lambda client: shown(client.call(LOCK + "Lock", lock_request(b"name", 0x91))))
        # Any key below the name stands in line, whoever put it.
        self.agree(lambda client: shown(client.put(b"other/x")))
        request = lock_request(b"other", 0x91)
        self.agree(lambda client: Pending(client, LOCK + "Lock", request, timeout="300m").gave_up())
        self.agree(lambda client: shown(client.revoke(0x91)))


class Alone(unittest.TestCase):
    """What etcd does otherwise, or cannot."""

    @classmethod
    def setUpClass(cls):
        cls.member = Member(MARTLET, "alone", scratch("locks-alone")).start()
        cls.client = Client(cls.member)

    @classmethod
    def tearDownClass(cls):
        cls.member.kill()

    def test_a_key_that_goes_while_it_waits_is_told(self):
        for lease in (0x11, 0x12):
            self.client.grant(600, lease)
        for path, name, expected in [
            (LOCK + "Lock", b"lost-lock", "mutex: session is expired"),
            (ELECTION + "Campaign", b"lost-election", "election: not leader"),
        ]:
            with self.subTest(path=path):
                self.assertEqual(self.client.call(path, lock_request(name, 0x11))[0], OK)
                waiting = Pending(self.client, path, lock_request(name, 0x12))
                self.assertFalse(waiting.is_answered(0.2))
                self.client.call(KV + "DeleteRange", delete_request(name + b"/12"))
                self.assertFalse(waiting.is_answered(0.2))
                self.client.call(KV + "DeleteRange", delete_request(name + b"/11"))
                self.assertEqual(waiting.answer()[:2], (UNKNOWN, expected))

    def test_a_lease_made_for_a_call_goes_with_it(self):
        before = self.client.leases()
        self.client.grant(600, 0x21)
        self.assertEqual(self.client.call(LOCK + "Lock", lock_request(b"own", 0x21))[0], OK)
        waiting = Pending(self.client, LOCK + "Lock", lock_request(b"own"), timeout="300m")
        self.assertEqual(waiting.answer()[0], DEADLINE)
        self.client.revoke(0x21)
        deadline = time.monotonic() + 5
        while self.client.leases() != before or any(key.startswith(b"own/") for key in self.client.keys()):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)

    def test_proclaiming_without_a_lease_keeps_the_keys_own(self):
        self.client.grant(600, 0x31)
        _, _, fields = self.client.call(ELECTION + "Campaign", campaign_request(b"keep", 0x31, b"v"))
        name, key, revision, _ = leader_of(fields)
        status, text, _ = self.client.call(
            ELECTION + "Proclaim", message({1: leader_key(name, key, revision), 2: b"w"})
        )
        self.assertEqual(status, OK, text)
        kv, _ = pair(self.client.connection.call(ELECTION + "Leader", message({1: b"keep"})).messages[0])
        self.assertEqual((kv[5], signed(kv[6])), (b"w", 0x31))

    def test_a_leader_that_was_never_elected_cannot_proclaim(self):
        request = message({1: leader_key(b"never", b"never/1", 0), 2: b"v"})
        self.assertEqual(self.client.call(ELECTION + "Proclaim", request)[:2], (UNKNOWN, "election: not leader"))
        self.assertEqual([key for key in self.client.keys() if key.startswith(b"never")], [])

    def test_a_hundred_in_line_get_it_in_their_order(self):
        count = 100
        for number in range(count):
            self.client.grant(600, 0x1000 + number)
        waiting = []
        for number in range(count):
            waiting.append(Pending(self.client, LOCK + "Lock", lock_request(b"hundred", 0x1000 + number)))
            waiting[-1].is_answered(0.01)
        for number, call in enumerate(waiting):
            status, text, fields = call.answer()
            self.assertEqual((status, protobuf.get(fields, 2)), (OK, b"hundred/%x" % (0x1000 + number)), text)
            if number + 1 < count:
                self.assertFalse(waiting[number + 1].is_answered(0.001))
            self.client.revoke(0x1000 + number)

    def test_a_member_that_is_stopped_ends_what_waits(self):
        member = Member(MARTLET, "stopped", scratch("locks-stopped")).start()
        client = Client(member)
        client.grant(600, 1)
        self.assertEqual(client.call(LOCK + "Lock", lock_request(b"s", 1))[0], OK)
        client.grant(600, 2)
        waiting = Pending(client, LOCK + "Lock", lock_request(b"s", 2))
        stream = client.connection.open(ELECTION + "Observe")
        client.connection.send(stream, http2.grpc_frame(message({1: b"s"})), end=True)
        self.assertFalse(waiting.is_answered(0.2))
        begin = time.monotonic()
        member.process.terminate()
        self.assertEqual(waiting.answer()[0], UNAVAILABLE)
        self.assertEqual(client.connection.wait(stream).status, UNAVAILABLE)
        self.assertEqual(member.process.wait(10), 0)
        self.assertLess(time.monotonic() - begin, 5)


class InACluster(unittest.TestCase):
    def leads(self, client):
        _, _, fields = client.call("/etcdserverpb.Maintenance/Status")
        return protobuf.get(fields, 4) == protobuf.get(protobuf.parse(fields[1][0]), 2)

    def test_a_lock_passes_on_though_the_leader_dies(self):
        cluster = Cluster(MARTLET, "locks-cluster").start().wait_ready()
        self.addCleanup(cluster.kill)
        clients = [Client(member) for member in cluster.members]
        leader = next(number for number, client in enumerate(clients) if self.leads(client))
        holder, waiter = (client for number, client in enumerate(clients) if number != leader)
        self.assertEqual(holder.grant(600, 1)[0], OK)
        self.assertEqual(holder.grant(600, 2)[0], OK)
        self.assertEqual(holder.call(LOCK + "Lock", lock_request(b"c", 1))[0], OK)
        waiting = Pending(waiter, LOCK + "Lock", lock_request(b"c", 2))
        self.assertFalse(waiting.is_answered(0.3))
        cluster.members[leader].kill()
        self.assertFalse(waiting.is_answered(0.3))
        deadline = time.monotonic() + 20
        while holder.call(LOCK + "Unlock", message({1: b"c/1"}))[0] != OK:
            self.assertLess(time.monotonic(), deadline)
        status, text, fields = waiting.answer()
        self.assertEqual((status, protobuf.get(fields, 2)), (OK, b"c/2"), text)


if __name__ == "__main__":
    unittest.main()
