"""OpenStack's tooz 9.1.0 with its etcd3 driver (by etcd3gw, so the JSON gateway): locks, groups, leaders."""

import threading
import time

from checks import ENDPOINTS, check, finish, raised
from tooz import coordination


def start(name, number=0):
    host, port = ENDPOINTS[number % len(ENDPOINTS)]
    one = coordination.get_coordinator(f"etcd3+http://{host}:{port}?timeout=10&membership_timeout=10", name)
    one.start(start_heart=True)
    return one


first, second = start(b"first", 0), start(b"second", 1)
GROUP = b"group-%d" % int(time.time() * 1000)


@check("locks between two members")
def _():
    lock, other = first.get_lock(b"l"), second.get_lock(b"l")
    got = lock.acquire(blocking=False), other.acquire(blocking=False), lock.acquired, lock.heartbeat()
    return got, lock.release(), other.acquire(blocking=False), other.release(), lock.release()


@check("a lock that is waited for")
def _():
    order, lock = [], first.get_lock(b"waited")
    lock.acquire()

    def wait():
        with second.get_lock(b"waited"):
            order.append("second")

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.3)
    order.append("first")
    lock.release()
    thread.join(20)
    return order


@check("a lock that is broken")
def _():
    lock = first.get_lock(b"broken")
    lock.acquire()
    return second.get_lock(b"broken").break_(), second.get_lock(b"broken").acquire(blocking=False)


@check("a group: created, joined, watched, left, removed")
def _():
    first.create_group(GROUP).get()
    again = raised(first.create_group(GROUP).get)
    first.join_group(GROUP, capabilities=b"one").get()
    joined = []
    first.watch_join_group(GROUP, lambda event: joined.append(event.member_id))
    first.watch_leave_group(GROUP, lambda event: joined.append(b"-" + event.member_id))
    first.run_watchers()
    second.join_group(GROUP, capabilities={"number": 2}).get()
    twice = raised(second.join_group(GROUP).get)
    first.run_watchers()
    members = sorted(second.get_members(GROUP).get())
    capabilities = first.get_member_capabilities(GROUP, b"second").get()
    second.update_capabilities(GROUP, b"new").get()
    updated = first.get_member_capabilities(GROUP, b"second").get()
    not_empty = raised(first.delete_group(GROUP).get)[0]
    second.leave_group(GROUP).get()
    first.run_watchers()
    not_in = raised(second.leave_group(GROUP).get)[0]
    first.leave_group(GROUP).get()
    first.delete_group(GROUP).get()
    gone = raised(first.delete_group(GROUP).get)[0]
    return again[0], members, capabilities, updated, not_empty, not_in, gone, twice[0], joined


@check("heartbeats keep the membership")
def _():
    return first.heartbeat(), GROUP not in first.get_groups().get()


first.stop()
second.stop()
finish()
