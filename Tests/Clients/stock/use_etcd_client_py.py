"""etcd-client-py 0.5.1: Rust's etcd-client, so the stack of tonic and hyper; also the lock service."""

import asyncio

from checks import ENDPOINTS, AsyncChecks, finish, raised_in
from etcd_client import Client, Compare, CompareOp, CondVar, EtcdLockOption, Txn, TxnOp

check = AsyncChecks()
P = b"/etcd-client-py/"
client = Client([f"http://{host}:{port}" for host, port in ENDPOINTS])


def pairs(found):
    return [(bytes(key), bytes(value)) for key, value in found]


@check("put, get, delete")
async def _(c):
    await c.delete_prefix(P)
    await c.put(P + b"a", b"1")
    await c.put(P + b"a", b"2")
    found, missing = await c.get(P + b"a"), await c.get(P + b"none")
    await c.delete(P + b"a")
    return bytes(found), missing, await c.get(P + b"a")


@check("ranges")
async def _(c):
    for name in (b"b", b"c", b"d", b"\xff"):
        await c.put(P + name, name * 2)
    return pairs(await c.get_prefix(P)), [bytes(key) for key in await c.keys_prefix(P)]


@check("transactions")
async def _(c):
    await c.put(P + b"t", b"1")
    txn = (Txn().when([Compare.value(P + b"t", CompareOp.EQUAL, b"1"), Compare.version(P + b"t", CompareOp.GREATER, 0),
                       Compare.create_revision(P + b"none", CompareOp.EQUAL, 0)])
           .and_then([TxnOp.put(P + b"t", b"2"), TxnOp.get(P + b"t"), TxnOp.delete(P + b"b")])
           .or_else([TxnOp.get(P + b"t")]))
    first, second = await c.txn(txn), await c.txn(txn)
    return first.succeeded(), second.succeeded(), bytes(await c.get(P + b"t")), await c.get(P + b"b")


@check("leases")
async def _(c):
    answer = await c.lease_grant(60)
    return answer is not None


@check("watches")
async def _(c):
    ready = CondVar()

    async def collect():
        seen = []
        async for event in c.watch_prefix(P + b"w/", ready_event=ready):
            seen.append((str(event.event), bytes(event.key), bytes(event.value)))
            if len(seen) == 3:
                return seen

    task = asyncio.create_task(collect())
    await ready.wait()
    await c.put(P + b"w/1", b"1")
    await c.put(P + b"w/1", b"2")
    await c.delete(P + b"w/1")
    return await task


@check("locks, by the lock service")
async def _(c):
    order = []

    async def one(name):
        async with client.with_lock(EtcdLockOption(lock_name=P + b"lock", ttl=20)):
            order.append(name)
            await asyncio.sleep(0.15)
            order.append(name)

    await asyncio.gather(*(one(number) for number in range(3)))
    return [order[at] == order[at + 1] for at in (0, 2, 4)]


@check("a lock whose time runs out")
async def _(c):
    async with client.with_lock(EtcdLockOption(lock_name=P + b"held", ttl=20)):
        async def second():
            async with client.with_lock(EtcdLockOption(lock_name=P + b"held", timeout=0.5, ttl=20)):
                return "got it"

        refused = (await raised_in(second()))[0]
    async with client.with_lock(EtcdLockOption(lock_name=P + b"held", timeout=5, ttl=20)):
        return refused, "then got it"


@check("errors")
async def _(c):
    return [(await raised_in(call))[0] for call in (c.put(b"", b"x"), c.get(b""), c.lease_revoke(4718))]


async def main():
    async with client.connect() as communicator:
        await check.run(communicator)


asyncio.run(main())
finish()
