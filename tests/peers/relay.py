"""A UDP relay in front of a name server that loses what a test wants lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from lbctl.dns.settings import Endpoint

UPDATE = 5


def opcode(data: bytes) -> int:
    return data[2] >> 3 & 15


class _Back(asyncio.DatagramProtocol):
    """The relay's socket towards the server, one for each client."""

    def __init__(self, relay: Relay, client: tuple[str, int]) -> None:
        self.relay = relay
        self.client = client

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.relay.replied += 1
        if not self.relay.lose_reply(data):
            self.relay.front.sendto(data, self.client)


class Relay(asyncio.DatagramProtocol):
    """`lose` and `lose_reply` say of each packet whether it is lost."""

    def __init__(self, server: Endpoint) -> None:
        self.server = server
        self.lose: Callable[[bytes], bool] = lambda data: False
        self.lose_reply: Callable[[bytes], bool] = lambda data: False
        self.replied = 0
        self._backs: dict[tuple[str, int], asyncio.Task[asyncio.DatagramTransport]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.front: asyncio.DatagramTransport = transport  # type: ignore[assignment]

    @property
    def place(self) -> Endpoint:
        return Endpoint(*self.front.get_extra_info("sockname"))

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if not self.lose(data):
            task = asyncio.get_running_loop().create_task(self._forward(data, addr))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _forward(self, data: bytes, client: tuple[str, int]) -> None:
        if client not in self._backs:
            self._backs[client] = asyncio.get_running_loop().create_task(self._connect(client))
        (await self._backs[client]).sendto(data)

    async def _connect(self, client: tuple[str, int]) -> asyncio.DatagramTransport:
        back, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: _Back(self, client), remote_addr=tuple(self.server))
        return back

    async def close(self) -> None:
        self.front.close()
        await asyncio.gather(*self._tasks)
        for back in self._backs.values():
            (await back).close()


@asynccontextmanager
async def relaying(server: Endpoint) -> AsyncIterator[Relay]:
    _, relay = await asyncio.get_running_loop().create_datagram_endpoint(lambda: Relay(server), local_addr=("127.0.0.1", 0))
    try:
        yield relay
    finally:
        await relay.close()
