"""etcetra 0.1.19: grpcio 1.62's asyncio stack, and the lock service."""

import asyncio

from checks import HOST, PORT, AsyncChecks, finish, raised_in
from etcetra import CompareKey, EtcdClient, HostPortPair, WatchCreateRequestFilterType

check = AsyncChecks()
P = "/etcetra/"
client = EtcdClient(HostPortPair(HOST, PORT))


@check("put, get, delete")
async def _(c):
    await c.delete_prefix(P)
    await c.put(P + "a", "1")
    previous = await c.put(P + "a", "2", prev_kv=True)
    return previous, await c.get(P + "a"), await c.get(P + "none"), await c.delete(P + "a", prev_kv=True), await c.get(
        P + "a")


@check("ranges")
async def _(c):
    for name in ("b", "c", "d", "ä"):
        await c.put(P + name, name * 2)
    return (dict(await c.get_prefix(P)), dict(await c.get_range(P + "b", P + "d")), list(await c.keys_prefix(P)),
            list(await c.keys_range(P + "b", P + "d")), await c.delete_range(P + "b", P + "d"),
            await c.delete_prefix(P, prev_kv=True))


@check("transactions")
async def _(c):
    await c.put(P + "t", "1")

    def build(success, failure):
        success.put(P + "t", "2")
        success.get(P + "t")
        failure.delete(P + "t")
        failure.get(P + "none")

    compares = [CompareKey(P + "t").value == "1", CompareKey(P + "t").value > "0"]
    def without_revisions(value):
        if isinstance(value, dict):
            return {key: part for key, part in value.items() if key != "revision"}
        return [without_revisions(part) for part in value] if isinstance(value, (list, tuple)) else value

    answers = [await c.txn_compare(compares, build), await c.txn_compare(compares, build),
               await c.txn(lambda action: action.put(P + "u", "1"))]
    return without_revisions(answers), await c.get(P + "u")


@check("leases")
async def _(c):
    lease = await c.grant_lease(60)
    await c.put(P + "l", "1", lease=lease)
    await c.revoke_lease(lease)
    own = await c.grant_lease(60, id=4716)
    twice = await raised_in(c.grant_lease(60, id=4716))
    await c.revoke_lease(own)
    return await c.get(P + "l"), own, twice, await raised_in(c.revoke_lease(own))


@check("a lease kept alive outlives its time")
async def _(c):
    lease = await c.grant_lease(2)
    await c.put(P + "kept", "1", lease=lease)
    task = c.create_lease_keepalive_task(lease, 0.3)
    await asyncio.sleep(4)
    kept = await c.get(P + "kept")
    task.cancel()
    await c.revoke_lease(lease)
    return kept, await c.get(P + "kept")


@check("watches")
async def _(c):
    async def collect(watch, count):
        seen = []
        async for event in watch:
            seen.append((event.event.name, event.key, event.value, event.prev_value))
            if len(seen) == count:
                return seen

    ready, other = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(collect(c.watch_prefix(P + "w/", ready_event=ready, prev_kv=True), 4))
    deletes = asyncio.create_task(collect(
        c.watch(P + "w/1", ready_event=other, filters=[WatchCreateRequestFilterType.NOPUT]), 1))
    await ready.wait()
    await other.wait()
    for value in ("1", "2"):
        await c.put(P + "w/1", value)
    await c.delete(P + "w/1")
    await c.put(P + "w/2", "x")
    return await task, await deletes


@check("locks, by the lock service")
async def _(c):
    order = []

    async def one(name):
        async with client.with_lock(P + "lock", ttl=20):
            order.append(name)
            await asyncio.sleep(0.15)
            order.append(name)

    await asyncio.gather(*(one(number) for number in range(3)))
    return [order[at] == order[at + 1] for at in (0, 2, 4)]


@check("a lock whose time runs out")
async def _(c):
    async with client.with_lock(P + "held", ttl=20):
        async def second():
            async with client.with_lock(P + "held", timeout=0.5, ttl=20):
                return "got it"

        refused = (await raised_in(second()))[0]
    async with client.with_lock(P + "held", timeout=5, ttl=20):
        return refused, "then got it"


@check("a lock of no lease")
async def _(c):
    async with client.with_lock(P + "leaseless"):
        return len(list(await c.keys_prefix(P + "leaseless")))


async def main():
    async with client.connect() as communicator:
        await check.run(communicator)


asyncio.run(main())
finish()
