"""A caching resolver (unbound) in front of one zone's server, and a client that asks it all the time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import dns.asyncquery
import dns.exception
import dns.message

from lbctl.dns.settings import Endpoint
from tests.peers.dns_servers import program

UNBOUND = """
server:
  directory: "{folder}"
  chroot: ""
  username: ""
  pidfile: ""
  logfile: ""
  use-syslog: no
  do-daemonize: no
  interface: {host}@{port}
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
  module-config: "iterator"
  num-threads: 1
  {options}
remote-control:
  control-enable: no
stub-zone:
  name: "{zone}"
  stub-addr: {server}@{server_port}
"""


@asynccontextmanager
async def unbound(folder: Path, place: Endpoint, zone: str, server: Endpoint, options: str = "") -> AsyncIterator[None]:
    """Listens on `place` and asks `server` for `zone`; `options` are further lines of its server clause. It may not answer yet."""
    there = {"server": server.host, "server_port": server.port, "zone": zone, "options": options}
    (folder / "unbound.conf").write_text(UNBOUND.format(folder=folder, host=place.host, port=place.port, **there))
    with (folder / "unbound.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(program("unbound"), "-d", "-c", str(folder / "unbound.conf"), stdout=log, stderr=log)
    try:
        yield
    finally:
        process.kill()
        await process.wait()


class Client:
    """Asks a resolver for one name. `told`: (loop time, addresses, seconds left) of each answer."""

    def __init__(self, name: str, resolver: Endpoint) -> None:
        self.name = name
        self.resolver = resolver
        self.told: list[tuple[float, str, int]] = []

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def last(self, address: str) -> float:
        """When the client was last told this address; 0 for never."""
        return max((at for at, seen, _ in self.told if seen == address), default=0.0)

    async def poll(self) -> None:
        """Asks every 20 ms, for ever."""
        while True:
            await self.ask()
            await asyncio.sleep(0.02)

    async def ask(self) -> str:
        """One question; what was told is kept."""
        try:
            host, port = self.resolver
            reply = await dns.asyncquery.udp(dns.message.make_query(self.name, "A"), host, port=port, timeout=2)
            seen = ",".join(sorted(item.address for answer in reply.answer for item in answer))
            self.told.append((self.now(), seen, min((answer.ttl for answer in reply.answer), default=0)))
        except (dns.exception.Timeout, OSError):
            self.told.append((self.now(), "silence", 0))
        return self.told[-1][1]

    async def until_told(self, address: str, *, within_s: float = 60.0) -> None:
        async with asyncio.timeout(within_s):
            while not self.told or self.told[-1][1] != address:
                await asyncio.sleep(0.02)

    async def until_left(self, seconds: int) -> None:
        """The cache keeps its answer for so long only."""
        async with asyncio.timeout(60):
            while self.told[-1][2] != seconds:
                await asyncio.sleep(0.02)


@asynccontextmanager
async def asking(client: Client) -> AsyncIterator[None]:
    """The client asks all the time meanwhile."""
    poller = asyncio.create_task(client.poll())
    try:
        yield
    finally:
        await ended(poller)


async def ended(task: asyncio.Task[None]) -> None:
    """Cancels until it takes: `asyncio.wait_for` of Python 3.11, on which dnspython builds, can drop a cancellation."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=1)
