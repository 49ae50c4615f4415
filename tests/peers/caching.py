"""A caching resolver (unbound) between a client and lbctl: what a client with a cache is told, look by look, while traffic moves (H49).

The name is in the embedded server, or, with `primary`, in the zone of a BIND that lbctl changes by DNS UPDATE.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from lbctl.app import App
from lbctl.config import read
from lbctl.dns.settings import Endpoint
from lbctl.metrics import labels
from lbctl.model.commands import Command
from lbctl.model.decision import Step
from tests.peers import dns_servers
from tests.peers.dns_servers import KEY, ZONE, free_place, secret
from tests.peers.unbound import Client, asking, unbound

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
async def _greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


class Cached(Client):
    """lbctl, two members, unbound, and a client that asks it all the time."""

    def __init__(self, app: App, name: str, resolver: Endpoint, servers: dict[str, asyncio.Server]) -> None:
        super().__init__(name, resolver)
        self.app = app
        self._servers = servers

    def stop(self, member: str) -> None:
        """The member takes no more connections."""
        self._servers[member].close()

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
    try:
        await app.start()
        assert app.dns is not None
        async with asyncio.timeout(60):
            while app.controller.service("sentry")["state"] != "normal":
                await asyncio.sleep(0.02)
        async with unbound(folder, place, zone, secondary or primary or app.dns.endpoints[0], options):
            made = Cached(app, name, place, servers)
            async with asking(made):
                await made.until_told(A)
                yield made
    finally:
        await app.stop()
        for one in servers.values():
            one.close()
