"""A caching resolver (unbound) between a client and lbctl: what a client with a cache is told, look by look, while traffic moves (H49)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.exception
import dns.message

from lbctl.app import App
from lbctl.config import read
from lbctl.model.commands import Command
from tests.peers.dns_servers import free_place, program

A, B, NAME = "192.0.2.10", "198.51.100.10", "sentry.gtm.example.com"
FILE = """
controller: {{name: test, state: {state}}}
api: {{socket: null, listen: []}}
authoritative:
  listen: [127.0.0.1:0]
  rate_limit: off
  zones: {{gtm.example.com: {{ns: {{ns1.gtm.example.com: [192.0.2.1]}}}}}}
services:
  sentry:
    probe: {{profile: standard, interval: 500ms, fast_interval: 100ms, timeout: 500ms, fall: 2, min_outage: {min_outage}}}
    monitor: {{tcp: {{}}}}
    members:
      - {{name: a, role: primary, address: {a}, url: "tcp://127.0.0.1:{port_a}"}}
      - {{name: b, role: secondary, address: {b}, url: "tcp://127.0.0.1:{port_b}"}}
    actuators: [authoritative: {{name: {name}, ttl: {ttl}}}]
"""
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
remote-control:
  control-enable: no
stub-zone:
  name: "gtm.example.com"
  stub-addr: {server}@{server_port}
"""


async def _greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


class Cached:
    """lbctl, two members, unbound, and a client that asks it all the time. `told`: (loop time, addresses, seconds left) of each answer."""

    def __init__(self, app: App, resolver: tuple[str, int], servers: dict[str, asyncio.Server]) -> None:
        self.app = app
        self.resolver = resolver
        self.told: list[tuple[float, str, int]] = []
        self._servers = servers

    def stop(self, member: str) -> None:
        """The member takes no more connections."""
        self._servers[member].close()

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def last(self, address: str) -> float:
        """When the client was last told this address; 0 for never."""
        return max((at for at, seen, _ in self.told if seen == address), default=0.0)

    async def poll(self) -> None:
        """Asks every 20 ms, for ever."""
        while True:
            try:
                host, port = self.resolver
                reply = await dns.asyncquery.udp(dns.message.make_query(NAME, "A"), host, port=port, timeout=2)
                seen = ",".join(sorted(item.address for answer in reply.answer for item in answer))
                self.told.append((self.now(), seen, min((answer.ttl for answer in reply.answer), default=0)))
            except (dns.exception.Timeout, OSError):
                self.told.append((self.now(), "silence", 0))
            await asyncio.sleep(0.02)

    async def until_told(self, address: str, *, within_s: float = 60.0) -> None:
        async with asyncio.timeout(within_s):
            while not self.told or self.told[-1][1] != address:
                await asyncio.sleep(0.02)

    async def until_left(self, seconds: int) -> None:
        """The cache keeps its answer for so long only."""
        async with asyncio.timeout(60):
            while self.told[-1][2] != seconds:
                await asyncio.sleep(0.02)

    async def until_step(self, kind: str) -> None:
        """A line of this kind stands in the journal."""
        async with asyncio.timeout(60):
            while all(step.kind != kind for step in await self.app.controller.events()):
                await asyncio.sleep(0.02)

    async def submit(self, command: Command) -> Any:
        return await self.app.controller.submit(command)


@asynccontextmanager
async def cached(folder: Path, *, ttl_s: int, min_outage: str = "0s") -> AsyncIterator[Cached]:
    """All of it, with the first answer in the cache."""
    servers = {name: await asyncio.start_server(_greet, "127.0.0.1", 0) for name in ("a", "b")}
    ports = {f"port_{name}": server.sockets[0].getsockname()[1] for name, server in servers.items()}
    (folder / "lbctl.yaml").write_text(FILE.format(state=folder / "state.db", a=A, b=B, name=NAME, ttl=ttl_s, min_outage=min_outage, **ports))
    app = App(read(folder / "lbctl.yaml"))
    place = free_place()
    process = poller = None
    try:
        await app.start()
        assert app.dns is not None
        server = app.dns.endpoints[0]
        text = UNBOUND.format(folder=folder, host=place.host, port=place.port, server=server.host, server_port=server.port)
        (folder / "unbound.conf").write_text(text)
        async with asyncio.timeout(60):
            while app.controller.service("sentry")["state"] != "normal":
                await asyncio.sleep(0.02)
        with (folder / "unbound.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(program("unbound"), "-d", "-c", str(folder / "unbound.conf"), stdout=log, stderr=log)
        made = Cached(app, (place.host, place.port), servers)
        poller = asyncio.create_task(made.poll())
        await made.until_told(A)
        yield made
    finally:
        if poller is not None:
            poller.cancel()
            await asyncio.gather(poller, return_exceptions=True)
        if process is not None:
            process.kill()
            await process.wait()
        await app.stop()
        for one in servers.values():
            one.close()
