"""python-etcd3 0.12.0: grpcio's blocking stack, with protobuf 3."""

import io
import threading
import time

import etcd3
from checks import HOST, PORT, check, finish, patiently, raised

client = etcd3.client(host=HOST, port=PORT, timeout=10)
P = "/etcd3/"


def pairs(found):
    return [(metadata.key, value, metadata.version) for value, metadata in found]


client.delete_prefix(P)


@check("put, get, previous value")
def _():
    first = client.put(P + "a", "1")
    second = client.put(P + "a", "2", prev_kv=True)
    value, metadata = client.get(P + "a")
    return (first.header.revision + 1 == second.header.revision, second.prev_kv.value, value, metadata.version,
            metadata.mod_revision - metadata.create_revision, client.get(P + "missing")[0],
            client.get(P + "a", serializable=True)[0])


@check("ranges, sorted and by prefix")
def _():
    for name, value in [("b", "9"), ("c", "5"), ("d", "7"), ("ä", "ümläut")]:
        client.put(P + name, value)
    return (pairs(client.get_prefix(P)), pairs(client.get_prefix(P, sort_order="descend", sort_target="value")),
            pairs(client.get_range(P + "b", P + "d")), pairs(client.get_prefix(P, keys_only=True)),
            len(list(client.get_all())) >= 5, client.get_prefix_response(P).count)


@check("put if it does not exist, replace")
def _():
    return (client.put_if_not_exists(P + "new", "1"), client.put_if_not_exists(P + "new", "2"),
            client.replace(P + "new", "1", "3"), client.replace(P + "new", "1", "4"), client.get(P + "new")[0])


@check("delete, with the previous value, by prefix")
def _():
    answer = client.delete(P + "new", prev_kv=True, return_response=True)
    return (answer.deleted, answer.prev_kvs[0].value, client.delete(P + "new"), client.delete_prefix(P).deleted)


@check("transactions")
def _():
    t = client.transactions
    client.put(P + "t", "1")
    succeeded = client.transaction(
        compare=[t.value(P + "t") == "1", t.version(P + "t") > 0, t.create(P + "none") == 0, t.mod(P + "t") > 0],
        success=[t.put(P + "t", "2"), t.get(P + "t"), t.delete(P + "none")],
        failure=[t.get(P + "none")],
    )
    failed = client.transaction(compare=[t.value(P + "t") == "1"], success=[], failure=[
        t.get(P + "t"), t.txn(compare=[t.value(P + "t") != "1"], success=[t.put(P + "n", "nested")], failure=[])])
    return (succeeded[0], [type(part).__name__ for part in succeeded[1]], succeeded[1][1][0][0], failed[0],
            failed[1][0][0][0], client.get(P + "n")[0])


@check("leases")
def _():
    lease = client.lease(100)
    client.put(P + "leased", "1", lease=lease)
    before = (lease.granted_ttl, 98 <= lease.remaining_ttl <= 100, lease.keys)
    renewed = [answer.TTL for answer in lease.refresh()]
    lease.revoke()
    with_id = client.lease(60, lease_id=4711)
    twice = raised(client.lease, 60, lease_id=4711)
    with_id.revoke()
    return (before, renewed, client.get(P + "leased")[0], with_id.id, twice, raised(client.revoke_lease, 4711),
            client.get_lease_info(4711).TTL)


@check("a lease that ends takes its key along")
def _():
    client.put(P + "short", "1", lease=client.lease(1))
    events, cancel = client.watch(P + "short")
    event = next(events)
    cancel()
    return type(event).__name__, event.key, client.get(P + "short")[0]


@check("watches")
def _():
    events, cancel = client.watch_prefix(P + "w/", prev_kv=True)
    for number in range(3):
        client.put(P + f"w/{number}", str(number))
    client.put(P + "w/0", "again")
    client.delete(P + "w/1")
    seen = [next(events) for _ in range(5)]
    cancel()
    return [(type(event).__name__, event.key, event.value, event.prev_value) for event in seen]


@check("a watch of the past")
def _():
    first = client.put(P + "past", "0").header.revision
    for number in range(1, 5):
        client.put(P + "past", str(number))
    events, cancel = client.watch(P + "past", start_revision=first + 1)
    seen = [next(events).value for _ in range(4)]
    cancel()
    return seen


@check("watch callbacks, and many watches on one stream")
def _():
    seen, done = [], threading.Semaphore(0)

    def take(response):
        for event in response.events:
            seen.append((event.key, event.value))
            done.release()

    ids = [client.add_watch_callback(P + f"many/{number}", take) for number in range(20)]
    for number in range(20):
        client.put(P + f"many/{number}", str(number))
    for _ in range(20):
        assert done.acquire(timeout=10)
    for number in ids[:10]:
        client.cancel_watch(number)
    time.sleep(0.2)
    for number in range(20):
        client.put(P + f"many/{number}", "2")
    for _ in range(10):
        assert done.acquire(timeout=10)
    for number in ids[10:]:
        client.cancel_watch(number)
    return sorted(seen)


@check("a watch of what is compacted")
def _():
    revision = client.put(P + "c", "1").header.revision
    for _ in range(3):
        client.put(P + "c", "2")
    client.compact(revision + 2)
    events, cancel = client.watch(P + "c", start_revision=revision)
    try:
        next(events)
    except etcd3.exceptions.RevisionCompactedError as error:
        return error.compacted_revision - revision
    finally:
        cancel()


@check("watch once, and its time running out")
def _():
    timer = threading.Timer(0.3, lambda: client.put(P + "once", "x"))
    timer.start()
    event = client.watch_once(P + "once", timeout=10)
    timer.join()
    return event.value, raised(client.watch_once, P + "never", timeout=0.2)[0]


@check("locks")
def _():
    order, lock, other = [], client.lock("etcd3", ttl=20), client.lock("etcd3", ttl=20)
    got = lock.acquire(timeout=5)
    refused = other.acquire(timeout=0.5)

    def wait():
        with client.lock("etcd3", ttl=20):
            order.append("second")

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.2)
    order.append("first")
    held = lock.is_acquired()
    lock.release()
    thread.join(15)
    return got, refused, held, order, lock.is_acquired()


@check("the cluster's members")
def _():
    members = list(client.members)
    return sorted(member.name for member in members), all(member.peer_urls and member.client_urls for member in members)


@check("status and alarms")
def _():
    status = client.status()
    return (bool(status.version), status.db_size > 0, status.leader.name.startswith("m"), status.raft_index > 0,
            status.raft_term > 0, list(client.list_alarms()))


@check("the hash of all")
def _():
    return isinstance(client.hash(), int)


@check("an alarm, raised and disarmed")
def _():
    raised_ones = client.create_alarm(next(iter(client.members)).id)
    listed = list(client.list_alarms())
    for alarm in listed:
        client.disarm_alarm(alarm.member_id)
    return len(raised_ones), len(listed), len(list(client.list_alarms()))


@check("a snapshot")
def _():
    file = io.BytesIO()
    client.snapshot(file)
    return len(file.getvalue()) % 512


@check("defragmentation")
def _():
    client.defragment()
    return client.put(P + "after", "1").header.revision > 0


@check("member add, update, remove")
def _():
    member = patiently(client.add_member, ["http://127.0.0.1:1"])
    client.update_member(member.id, ["http://127.0.0.1:2"])
    updated = [one.peer_urls for one in client.members if one.id == member.id]
    count = len(list(client.members))
    patiently(client.remove_member, member.id)
    return list(map(list, updated)), count, len(list(client.members))


@check("errors")
def _():
    return (raised(client.get, ""), raised(client.put, "", "x"), raised(client.put, P + "a", "x", lease=4712),
            raised(client.compact, 1 << 40), raised(client.remove_member, 12345), raised(client.lease, 1 << 40))


client.close()
finish()
