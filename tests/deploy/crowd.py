"""DNS clients that ask once, never again, and count what they were told."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager

import dns.message

NAME = "core.gtm.example.com"
PATIENCE_S = 40.0


async def ask(address: str, port: int, *, tcp: bool = False, network: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext) -> str:
    """One query without a retry: the address that it was told, "" for none. `network` is entered only while the socket is made."""
    wire = dns.message.make_query(NAME, "A").to_wire()
    with network():
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    with sock:
        async with asyncio.timeout(PATIENCE_S):
            await loop.sock_connect(sock, (address, port))
            await loop.sock_sendall(sock, len(wire).to_bytes(2, "big") + wire if tcp else wire)
            if tcp:
                reply = await _exactly(sock, int.from_bytes(await _exactly(sock, 2), "big"))
            else:
                reply = await loop.sock_recv(sock, 4096)
    answer = dns.message.from_wire(reply).answer
    return str(answer[0][0]) if answer else ""


async def _exactly(sock: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        part = await asyncio.get_running_loop().sock_recv(sock, size - len(found))
        assert part, "closed in the middle of a reply"
        found += part
    return found


class Crowd:
    """`answers` after the `async with`: how often each address was told; a lost query raises there."""

    def __init__(self) -> None:
        self.answers: Counter[str] = Counter()
        self.asked = 0
        self.slowest_s = 0.0


@contextlib.asynccontextmanager
async def crowd(
    address: str, port: int, *, network: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext, every_s: float = 0.02,
) -> AsyncIterator[Crowd]:
    """Asks on and on, every tenth time over TCP, from 20 queries before the body to 20 queries after it."""
    made, asking = Crowd(), True

    async def one(number: int) -> None:
        began = time.monotonic()
        made.answers[await ask(address, port, tcp=number % 10 == 0, network=network)] += 1
        made.slowest_s = max(made.slowest_s, time.monotonic() - began)

    async def all_of_them() -> None:
        async with asyncio.TaskGroup() as group:
            while asking:
                made.asked += 1
                group.create_task(one(made.asked))
                await asyncio.sleep(every_s)

    async def more(wanted: int) -> None:
        while made.asked < wanted and not running.done():
            await asyncio.sleep(every_s)

    running = asyncio.create_task(all_of_them())
    try:
        await more(20)
        yield made
        await more(made.asked + 20)
    finally:
        asking = False
        await running
