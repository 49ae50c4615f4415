"""A caching resolver (unbound) between a client and lbctl: what a client with a cache is told, look by look, while traffic moves (H49).

The name is in the embedded server, or, with `primary`, in the zone of a BIND that lbctl changes by DNS UPDATE.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.exception
import dns.message

from lbctl.app import App
from lbctl.config import read
from lbctl.dns.settings import Endpoint
from lbctl.metrics import labels
from lbctl.model.commands import Command
from lbctl.model.decision import Step
from tests.peers import dns_servers
from tests.peers.dns_servers import KEY, ZONE, free_place, program, secret

A, B = "192.0.2.10", "198.51.100.10"
EMBEDDED = "sentry.gtm.example.com"
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
    actuators: [{actuator}]
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
  {options}
remote-control:
  control-enable: no
stub-zone:
  name: "{zone}"
  stub-addr: {server}@{server_port}
"""


async def _greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


class Cached:
    """lbctl, two members, unbound, and a client that asks it all the time. `told`: (loop time, addresses, seconds left) of each answer."""

    def __init__(self, app: App, name: str, resolver: Endpoint, servers: dict[str, asyncio.Server]) -> None:
        self.app = app
        self.name = name
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
                reply = await dns.asyncquery.udp(dns.message.make_query(self.name, "A"), host, port=port, timeout=2)
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

    async def step(self, kind: str) -> Step:
        """The newest line of this kind."""
        return [step for step in await self.app.controller.events() if step.kind == kind][-1]

    async def metric(self, name: str, **pairs: str) -> float:
        """One series of /metrics."""
        text = (await self.app.metrics.render()).decode()
        [value] = [line.removeprefix(f"{name}{labels(**pairs)} ") for line in text.splitlines() if line.startswith(f"{name}{labels(**pairs)} ")]
        return float(value)

    def told_by(self, resolver: Endpoint) -> dict[str, Any]:
        """What the service's object says of a resolver."""
        [actuator] = self.app.controller.service("sentry")["actuators"]
        [one] = [one for one in actuator["resolvers"] if one["resolver"] == str(resolver)]
        return dict(one)

    async def submit(self, command: Command) -> Any:
        return await self.app.controller.submit(command)


def _actuator(folder: Path, primary: Endpoint | None, ttl_s: int, resolvers: Sequence[Endpoint], secondary: Endpoint | None) -> str:
    asked = f"ttl: {ttl_s}, resolvers: [{', '.join(f'{place}' for place in resolvers)}]"
    if primary is None:
        return f"authoritative: {{name: {EMBEDDED}, {asked}}}"
    (folder / "tsig").write_text(secret(KEY))
    key = f"{{name: {KEY.name}, secret_file: {folder / 'tsig'}}}"
    verify = f"verify: ['{secondary}'], " if secondary else ""
    return f"rfc2136: {{servers: ['{primary}'], {verify}zone: {ZONE}, name: {dns_servers.NAME}, {asked}, tsig: {key}}}"


@asynccontextmanager
async def cached(
    folder: Path, *, ttl_s: int, min_outage: str = "0s", primary: Endpoint | None = None, secondary: Endpoint | None = None,
    options: str = "", more: Sequence[Endpoint] = (),
) -> AsyncIterator[Cached]:
    """All of it, with the first answer in the cache. `secondary`: answers for a primary that hides; `options` are unbound's; `more` resolvers are
    asked beside it."""
    place = free_place()
    name, zone = (EMBEDDED, "gtm.example.com") if primary is None else (dns_servers.NAME, ZONE)
    servers = {name: await asyncio.start_server(_greet, "127.0.0.1", 0) for name in ("a", "b")}
    ports = {f"port_{name}": server.sockets[0].getsockname()[1] for name, server in servers.items()}
    actuator = _actuator(folder, primary, ttl_s, (place, *more), secondary)
    (folder / "lbctl.yaml").write_text(FILE.format(state=folder / "state.db", a=A, b=B, actuator=actuator, min_outage=min_outage, **ports))
    app = App(read(folder / "lbctl.yaml"))
    process = poller = None
    try:
        await app.start()
        assert app.dns is not None
        server = secondary or primary or app.dns.endpoints[0]
        there = {"server": server.host, "server_port": server.port, "zone": zone}
        text = UNBOUND.format(folder=folder, host=place.host, port=place.port, options=options, **there)
        (folder / "unbound.conf").write_text(text)
        async with asyncio.timeout(60):
            while app.controller.service("sentry")["state"] != "normal":
                await asyncio.sleep(0.02)
        with (folder / "unbound.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(program("unbound"), "-d", "-c", str(folder / "unbound.conf"), stdout=log, stderr=log)
        made = Cached(app, name, place, servers)
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
