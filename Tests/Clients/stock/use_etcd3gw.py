"""etcd3gw 2.7.0: the JSON gateway, by requests."""

import threading
import time

import etcd3gw
from checks import HOST, PORT, check, finish, raised

client = etcd3gw.client(host=HOST, port=PORT, timeout=10)
P = "/etcd3gw/"
client.delete_prefix(P)


def pairs(found):
    return [(metadata["key"], value, metadata["version"]) for value, metadata in found]


@check("the path of the API comes from /version")
def _():
    return client.api_path


@check("put, get, create, replace, delete")
def _():
    return (client.put(P + "a", "1"), client.get(P + "a"), client.get(P + "none"), client.create(P + "new", "1"),
            client.create(P + "new", "2"), client.replace(P + "new", "1", "3"), client.replace(P + "new", "1", "4"),
            client.get(P + "new"), client.delete(P + "new"), client.delete(P + "new"))


@check("ranges")
def _():
    for name in ("b", "c", "d"):
        client.put(P + name, name * 2)
    return (pairs(client.get_prefix(P)), pairs(client.get_prefix(P, sort_order="descend", sort_target="value")),
            pairs(client.get(P + "a", metadata=True)),
            pairs(client.get(P + "a", metadata=True, range_end=P + "c", limit=1, keys_only=True)),
            len(client.get_all()) >= 4, client.delete_prefix(P), client.get_prefix(P))


@check("bytes that are no text")
def _():
    client.put(b"/etcd3gw/\xff\xfe", b"\x00\xff")
    return client.get(b"/etcd3gw/\xff\xfe")


@check("leases")
def _():
    lease = client.lease(ttl=100)
    client.put(P + "l", "1", lease=lease)
    found = (98 <= lease.ttl() <= 100, lease.keys(), lease.refresh())
    revoked = lease.revoke()
    return found, revoked, client.get(P + "l"), lease.ttl(), lease.refresh(), raised(lease.revoke)


@check("locks")
def _():
    lock, other = client.lock("gw", ttl=20), client.lock("gw", ttl=20)
    first = (lock.acquire(), other.acquire(), lock.is_acquired(), lock.refresh(), lock.release())
    return first, other.acquire(), other.release(), other.is_acquired()


@check("watches")
def _():
    events, cancel = client.watch_prefix(P + "w/")
    seen = []

    def write():
        time.sleep(0.3)
        client.put(P + "w/1", "1")
        client.put(P + "w/1", "2")
        client.delete(P + "w/1")

    thread = threading.Thread(target=write)
    thread.start()
    for event in events:
        pair = event["kv"]
        seen.append((event.get("type", "PUT"), pair["key"], pair.get("value"), pair.get("version")))
        if len(seen) == 3:
            break
    cancel()
    thread.join()
    return seen


@check("a watch of the past")
def _():
    for number in range(4):
        client.put(P + "past", str(number))
    revision = int(client.get(P + "past", metadata=True)[0][1]["mod_revision"])
    events, cancel = client.watch(P + "past", start_revision=str(revision - 2))
    seen = [next(events)["kv"]["value"] for _ in range(3)]
    cancel()
    return seen


@check("watch once, and its time running out")
def _():
    timer = threading.Timer(0.3, lambda: client.put(P + "once", "x"))
    timer.start()
    event = client.watch_once(P + "once", timeout=10)
    timer.join()
    return event["kv"]["value"], raised(client.watch_once, P + "never", timeout=1)[0]


@check("a transaction as it stands")
def _():
    from etcd3gw.utils import _encode

    answer = client.transaction({
        "compare": [{"key": _encode(P + "t"), "result": "EQUAL", "target": "CREATE", "create_revision": 0}],
        "success": [{"request_put": {"key": _encode(P + "t"), "value": _encode("1")}},
                    {"request_range": {"key": _encode(P + "t")}}],
        "failure": [{"request_delete_range": {"key": _encode(P + "t")}}],
    })
    found = answer["responses"][1]["response_range"]
    return answer["succeeded"], sorted(answer["responses"][0]["response_put"]["header"]), found["count"], sorted(
        found["kvs"][0])


@check("members and status")
def _():
    status = client.status()
    names = sorted(member.get("name", "") for member in client.members())
    return (names, bool(status["version"]), int(status["dbSize"]) > 0,
            sorted(key for key in status if key in ("header", "leader", "raftIndex", "raftTerm", "raftAppliedIndex")))


@check("errors")
def _():
    post = lambda path, body: raised(client.post, client.get_url(path), json=body)
    return (post("/kv/range", {}), post("/kv/put", {"key": "YQ==", "lease": "4715"}),
            post("/kv/compaction", {"revision": str(1 << 40)}), post("/lease/grant", {"TTL": str(1 << 40)}),
            post("/nonsense", {})[0])


finish()
