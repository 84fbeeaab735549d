"""Patroni 4.1.5's own etcd3 module (the JSON gateway by urllib3): what a Patroni of a PostgreSQL cluster does all day,
and its cache, that lives of one long watch. No PostgreSQL is needed for that."""

import logging
import os
import sys
import threading
import time

from checks import ENDPOINTS, check, exit_code
from patroni.dcs import get_dcs
from patroni.dcs.etcd3 import Etcd3ClientError, LeaseNotFound

logging.basicConfig(stream=sys.stderr, level=logging.ERROR)
SCOPE = "demo-%d" % int(time.time() * 1000)


def start(name, control=False):
    settings = {"hosts": [f"{host}:{port}" for host, port in ENDPOINTS], "use_proxies": False}
    return get_dcs({"etcd3": settings, "scope": SCOPE, "name": name, "namespace": "/service/", "ttl": 30,
                    "retry_timeout": 10, "loop_wait": 10, **({"patronictl": True} if control else {})})


one, two = start("one"), start("two")
control = start("control", control=True)


def waited(dcs, condition, seconds=10):
    """What its cluster looks like as soon as the condition holds: the second one hears it by its watch."""
    end = time.monotonic() + seconds
    while True:
        cluster = dcs.get_cluster()
        if condition(cluster):
            return cluster
        if time.monotonic() > end:
            raise AssertionError(f"after {seconds} s: {cluster}")
        time.sleep(0.05)


@check("the servers are found by /version and the list of members")
def _():
    client = one._client
    known = {f"http://{host}:{port}" for host, port in ENDPOINTS}
    return client._cluster_version >= (3, 4), client.version_prefix, set(client.machines_cache) <= known, len(
        client.machines_cache)


@check("one of two initializes")
def _():
    return bool(one.initialize(create_new=True, sysid="1")), bool(two.initialize(create_new=True, sysid="2")), waited(
        two, lambda cluster: cluster.initialize).initialize


@check("configuration, with and without a version")
def _():
    first = one.set_config_value('{"ttl":30}')
    cluster = waited(two, lambda cluster: cluster.config)
    right = two.set_config_value('{"ttl":31}', cluster.config.version)
    wrong = two.set_config_value('{"ttl":32}', cluster.config.version)
    waited(one, lambda cluster: cluster.config and cluster.config.data == {"ttl": 31})
    return first, right, wrong


@check("members, by their lease")
def _():
    touched = one.touch_member({"conn_url": "postgres://one", "state": "running", "role": "primary"}), two.touch_member(
        {"conn_url": "postgres://two", "state": "running"})
    cluster = waited(one, lambda cluster: len(cluster.members) == 2)
    return touched, sorted((member.name, member.data["state"], bool(member.session)) for member in cluster.members)


@check("the race for the leader's key")
def _():
    got = bool(one.attempt_to_acquire_leader()), bool(two.attempt_to_acquire_leader())
    cluster = waited(two, lambda cluster: cluster.leader and cluster.leader.name)
    return got, cluster.leader.name


@check("the leader stays it, its place in the log beside it")
def _():
    cluster = one.get_cluster()
    kept = one.update_leader(cluster, 1234, slots={"s": 1}, failsafe={"one": "url"})
    cluster = waited(two, lambda cluster: cluster.status.last_lsn == 1234)
    return kept, cluster.status.slots


@check("another leader's session is not taken over")
def _():
    cluster = two.get_cluster()
    return two._update_leader(cluster.leader)


@check("failover, synchronous state, history")
def _():
    two.manual_failover("one", "two")
    cluster = waited(one, lambda cluster: cluster.failover and cluster.failover.candidate)
    found = cluster.failover.leader, cluster.failover.candidate
    cleared = one.manual_failover("", "", version=cluster.failover.version)
    sync = one.write_sync_state("one", ["two"], 0)
    cluster = waited(two, lambda cluster: cluster.sync and cluster.sync.leader)
    deleted = one.delete_sync_state(cluster.sync.version)
    return found, bool(cleared), bool(sync), cluster.sync.leader, bool(deleted), one.set_history_value("[]")


@check("waiting for a change ends with the change")
def _():
    two.get_cluster()
    timer = threading.Timer(0.5, lambda: one.set_config_value('{"ttl":33}'))
    timer.start()
    begin = time.monotonic()
    two.watch(None, 2)
    timer.join()
    return time.monotonic() - begin < 10


@check("the leader lets go, the other takes over at once")
def _():
    released = one.delete_leader(one.get_cluster().leader, 1300)
    waited(two, lambda cluster: cluster.is_unlocked())
    return released, bool(two.attempt_to_acquire_leader()), waited(
        one, lambda cluster: cluster.leader and cluster.leader.name == "two").leader.name


@check("a lease that is gone is noticed")
def _():
    client = two._client
    client.call_rpc("/lease/revoke", {"ID": two._lease})
    waited(one, lambda cluster: cluster.is_unlocked() and len(cluster.members) == 1)
    try:
        client.put("/service/x", "1", two._lease)
    except LeaseNotFound as error:
        found = error.as_dict()
    again = two.touch_member({"conn_url": "postgres://two", "state": "running"})
    return found, again, bool(two.attempt_to_acquire_leader())


@check("errors as Patroni reads them")
def _():
    found = []
    for method, fields in (
        ("/kv/range", {}), ("/lease/grant", {"TTL": 1 << 40}), ("/kv/compaction", {"revision": 1 << 40})
    ):
        try:
            one._client.call_rpc(method, fields)
        except Etcd3ClientError as error:
            found.append((type(error).__name__, error.as_dict()))
    return found


@check("patronictl reads without a watch, and removes it all")
def _():
    cluster = control.get_cluster()
    return len(cluster.members), bool(control.delete_cluster()), len(control.get_cluster().members)


@check("what is left")
def _():
    return one._client.prefix(f"/service/{SCOPE}/").get("count", "0")


sys.stdout.flush()
# Its watching threads do not end by themselves.
os._exit(exit_code())
