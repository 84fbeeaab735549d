"""etcd3aio 0.3.0: grpcio's asyncio stack, all of the maintenance service."""

import asyncio

from checks import ENDPOINTS, AsyncChecks, finish, patiently_in, raised_in
from etcd3aio import AlarmType, DowngradeAction, Etcd3Client, SortOrder, SortTarget, WatchFilter, prefix_range_end

check = AsyncChecks()
P = b"/etcd3aio/"
END = prefix_range_end(P)


@check("put, get, delete")
async def _(c):
    await c.kv.delete(P, END)
    await c.kv.put(P + b"a", b"1")
    previous = await c.kv.put(P + b"a", b"2", prev_kv=True)
    found = await c.kv.get(P + b"a")
    gone = await c.kv.delete(P + b"a", prev_kv=True)
    return previous.prev_kv.value, found.kvs[0].value, found.count, gone.deleted, gone.prev_kvs[0].version


@check("ranges")
async def _(c):
    for name, value in ((b"b", b"9"), (b"c", b"5"), (b"d", b"7")):
        await c.kv.put(P + name, value)
    by_value = await c.kv.get(P, END, sort_order=SortOrder.DESCEND, sort_target=SortTarget.VALUE, limit=2)
    local = await c.kv.get(P, END, serializable=True, keys_only=True)
    counted = await c.kv.get(P, END, count_only=True)
    return ([pair.value for pair in by_value.kvs], by_value.more, by_value.count, [pair.key for pair in local.kvs],
            counted.count, len(counted.kvs))


@check("transactions")
async def _(c):
    k = c.kv
    answer = await k.txn(
        [k.txn_compare_value(P + b"b", b"9"), k.txn_compare_version(P + b"none", 0),
         k.txn_compare_create_revision(P + b"none", 0)],
        [k.txn_op_put(P + b"b", b"10"), k.txn_op_get(P + b"b"), k.txn_op_delete(P + b"c")], [k.txn_op_get(P + b"c")])
    other = await k.txn([k.txn_compare_value(P + b"b", b"9")], [], [k.txn_op_get(P, range_end=END)])
    return (answer.succeeded, [part.WhichOneof("response") for part in answer.responses],
            answer.responses[1].response_range.kvs[0].value, other.succeeded,
            other.responses[0].response_range.count)


@check("leases")
async def _(c):
    lease = await c.lease.grant(100)
    await c.kv.put(P + b"l", b"1", lease=lease.ID)
    left = await c.lease.time_to_live(lease.ID, keys=True)
    listed = lease.ID in [one.ID for one in (await c.lease.leases()).leases]
    await c.lease.revoke(lease.ID)
    return (lease.TTL, left.grantedTTL, 98 <= left.TTL <= 100, list(left.keys), listed,
            (await c.lease.time_to_live(lease.ID)).TTL, await raised_in(c.lease.revoke(lease.ID)))


@check("a lease kept alive outlives its time")
async def _(c):
    lease = await c.lease.grant(2)
    await c.kv.put(P + b"kept", b"1", lease=lease.ID)
    async with c.lease.keep_alive_context(lease.ID, 2) as kept:
        await asyncio.sleep(4)
        alive, found = kept.alive, (await c.kv.get(P + b"kept")).count
    await c.lease.revoke(lease.ID)
    return alive, found


@check("watches")
async def _(c):
    revision = (await c.kv.put(P + b"w", b"0")).header.revision
    for value in (b"1", b"2"):
        await c.kv.put(P + b"w", value)
    await c.kv.delete(P + b"w")

    async def collect(count, **options):
        seen = []
        async for response in c.watch.watch(P + b"w", start_revision=revision, **options):
            for event in response.events:
                seen.append((event.type, event.kv.value, event.prev_kv.value))
            if len(seen) >= count:
                return seen

    return await collect(4, prev_kv=True), await collect(1, filters=[WatchFilter.NOPUT])


@check("locks and elections, by the client's own recipes")
async def _(c):
    order = []

    async def one(name):
        async with c.lock("l", ttl=20):
            order.append(name)
            await asyncio.sleep(0.1)
            order.append(name)

    await asyncio.gather(*(one(number) for number in range(3)))
    async with c.election("e", value=b"me", ttl=20) as election:
        leader = await election.leader()
        await election.proclaim(b"still me")
        again = await election.leader()
    return ([order[at] == order[at + 1] for at in (0, 2, 4)], leader.kvs[0].value, again.kvs[0].value)


@check("members, linearizable and not")
async def _(c):
    return [sorted(member.name for member in (await c.cluster.member_list(linearizable=linearizable)).members)
            for linearizable in (True, False)]


@check("a learner: added, not promoted, removed")
async def _(c):
    added = await patiently_in(c.cluster.member_add, ["http://127.0.0.1:3"], is_learner=True)
    number = added.member.ID
    # Which of two rules it breaks depends on whether etcd numbers it in the same second.
    again = (await raised_in(c.cluster.member_add(["http://127.0.0.1:3"], is_learner=True)))[1] in (
        "etcdserver: member ID already exist", "etcdserver: Peer URLs already exists")
    second = await raised_in(c.cluster.member_add(["http://127.0.0.1:4"], is_learner=True))
    early = await raised_in(c.cluster.member_promote(number))
    updated = await c.cluster.member_update(number, ["http://127.0.0.1:5"])
    urls = [list(member.peerURLs) for member in updated.members if member.ID == number]
    removed = await patiently_in(c.cluster.member_remove, number)
    return (added.member.isLearner, list(added.member.peerURLs), len(added.members), again, second, early, urls,
            len(removed.members), await raised_in(c.cluster.member_remove(number)))


@check("status, hash of the keys, alarms")
async def _(c):
    m = c.maintenance
    status, hashes, alarms = await m.status(), await m.hash_kv(), await m.alarms()
    return bool(status.version), status.leader > 0, hashes.hash > 0, len(alarms.alarms)


@check("the hash of all")
async def _(c):
    return (await c.maintenance.hash()).hash > 0


@check("an alarm that nobody raised is disarmed")
async def _(c):
    return len((await c.maintenance.alarm_deactivate(AlarmType.NOSPACE)).alarms)


@check("defragmentation")
async def _(c):
    return (await c.maintenance.defragment()) is not None


@check("a snapshot")
async def _(c):
    chunks = [chunk async for chunk in c.maintenance.snapshot()]
    return sum(map(len, chunks)) % 512, len(chunks[-1])


@check("leadership moves")
async def _(c):
    # Only the leader can be asked.
    members = (await c.cluster.member_list()).members
    leader = (await c.maintenance.status()).leader
    url = next(member.clientURLs[0] for member in members if member.ID == leader)
    target = next(member.ID for member in members if member.ID != leader)
    async with Etcd3Client([url.removeprefix("http://")]) as asked:
        nowhere = await raised_in(asked.maintenance.move_leader(12345))
        await asked.maintenance.move_leader(target)
        for _ in range(50):
            now = (await asked.maintenance.status()).leader
            if now == target:
                break
            await asyncio.sleep(0.1)
        no_leader = await raised_in(asked.maintenance.move_leader(leader))
    return nowhere, now == target, no_leader


@check("errors")
async def _(c):
    return [await raised_in(call) for call in (
        c.kv.get(b""), c.kv.put(P + b"x", b"x", lease=4717), c.kv.compact(1 << 40), c.lease.grant(1 << 40),
)]


@check("downgrades that are none")
async def _(c):
    return [await raised_in(c.maintenance.downgrade(action, version)) for action, version in (
        (DowngradeAction.CANCEL, ""), (DowngradeAction.VALIDATE, "x"))]


async def main():
    async with Etcd3Client([f"{host}:{port}" for host, port in ENDPOINTS]) as client:
        await check.run(client)


asyncio.run(main())
finish()
