"""aetcd 1.0.0: grpcio's asyncio stack."""

import asyncio
import io

import aetcd
from checks import HOST, PORT, AsyncChecks, finish, raised_in

check = AsyncChecks()
P = b"/aetcd/"


@check("put, get, delete")
async def _(client):
    await client.delete_prefix(P)
    await client.put(P + b"a", b"1")
    before = await client.put(P + b"a", b"2", prev_kv=True)
    found = await client.get(P + b"a")
    gone = await client.delete(P + b"a", prev_kv=True)
    return (before.prev_kv.value, found.value, found.version, await client.get(P + b"a"), gone.prev_kv.value,
            await client.delete(P + b"a"))


@check("ranges")
async def _(client):
    for name in (b"b", b"c", b"d"):
        await client.put(P + name, name * 2)
    found = await client.get_prefix(P, sort_order="descend", sort_target="key")
    ranged = await client.get_range(P + b"b", P + b"d")
    removed = await client.delete_range(P + b"b", P + b"d", prev_kv=True)
    return ([pair.key for pair in found], found.count, [pair.value for pair in ranged], removed.deleted,
            len(list((await client.get_all()))) > 0)


@check("replace and transactions")
async def _(client):
    await client.put(P + b"r", b"1")
    t = client.transactions
    answer = await client.transaction(
        compare=[t.value(P + b"r") == b"1", t.version(P + b"r") > 0],
        success=[t.put(P + b"r", b"2"), t.get(P + b"r")], failure=[t.delete(P + b"r")])
    other = await client.transaction(compare=[t.version(P + b"r") == 0], success=[], failure=[t.delete(P + b"r")])
    await client.put(P + b"r", b"1")
    return (answer[0], len(answer[1]), other[0], await client.replace(P + b"r", b"1", b"3"),
            await client.replace(P + b"r", b"1", b"4"))


@check("leases")
async def _(client):
    lease = await client.lease(100)
    await client.put(P + b"l", b"1", lease=lease)
    ttl = await lease.remaining_ttl()
    keys = await lease.keys()
    renewed = (await lease.refresh()).TTL
    await lease.revoke()
    own = await client.lease(50, lease_id=4713)
    twice = await raised_in(client.lease(50, lease_id=4713))
    await own.revoke()
    return 98 <= ttl <= 100, keys, renewed, await client.get(P + b"l"), twice, await raised_in(own.revoke())


@check("watches")
async def _(client):
    watch = await client.watch_prefix(P + b"w/", prev_kv=True)
    await client.put(P + b"w/1", b"1")
    await client.put(P + b"w/1", b"2")
    await client.delete(P + b"w/1")
    seen = []
    async for event in watch:
        seen.append((event.kind, event.kv.key, event.kv.value, event.prev_kv.value if event.prev_kv else None))
        if len(seen) == 3:
            break
    await watch.cancel()
    return seen


@check("a watch of the past, and of what is compacted")
async def _(client):
    await client.put(P + b"p", b"0")
    revision = (await client.get(P + b"p")).mod_revision
    for number in (b"1", b"2", b"3"):
        await client.put(P + b"p", number)
    watch = await client.watch(P + b"p", start_revision=revision + 1)
    seen = []
    async for event in watch:
        seen.append(event.kv.value)
        if len(seen) == 3:
            break
    await watch.cancel()
    await client.compact(revision + 2)

    async def compacted():
        late = await client.watch(P + b"p", start_revision=revision)
        async for _ in late:
            break

    return seen, (await raised_in(compacted()))[0]


@check("watch once")
async def _(client):
    later = asyncio.get_running_loop().call_later(0.3, lambda: asyncio.ensure_future(client.put(P + b"o", b"x")))
    event = await client.watch_once(P + b"o", timeout=10)
    later.cancel()
    return event.kv.value, (await raised_in(client.watch_once(P + b"never", timeout=1)))[0]


@check("locks")
async def _(client):
    order = []

    async def one(name):
        async with client.lock(P + b"lock", ttl=20):
            order.append(name)
            await asyncio.sleep(0.1)
            order.append(name)

    await asyncio.gather(*(one(number) for number in range(3)))
    return [order[at] == order[at + 1] for at in (0, 2, 4)]


@check("status and members")
async def _(client):
    status = await client.status()
    names = sorted([member.name async for member in client.members()])
    return names, status.leader.name.startswith("m"), [alarm async for alarm in client.list_alarms()]


@check("the hash of all")
async def _(client):
    return isinstance(await client.hash(), int)


@check("defragmentation")
async def _(client):
    return await client.defragment()


@check("a snapshot")
async def _(client):
    file = io.BytesIO()
    await client.snapshot(file)
    return len(file.getvalue()) % 512


@check("errors")
async def _(client):
    return [await raised_in(call) for call in (
        client.put(b"", b"x"), client.put(P + b"x", b"x", lease=4714), client.compact(1 << 40), client.lease(1 << 40))]


async def main():
    async with aetcd.Client(host=HOST, port=PORT, timeout=10) as client:
        await check.run(client)


asyncio.run(main())
finish()
