"""For each kind of actuator: a real thing to write to. What every kind has promised is tested over this dictionary (`test_contract.py`).

A world is made with a directory and gives an actuator, and a way to silence the thing that it writes to.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lbctl.actuators import ACTUATORS, Surroundings, authoritative, haproxy, rfc2136, vip
from lbctl.actuators.base import Actuator
from lbctl.clock import SystemClock
from tests.actuators.places import command_on, make_on, running_haproxy
from tests.dns import served
from tests.netns import network
from tests.peers import dns_servers


@dataclass
class World:
    """`again` makes a second actuator on the same thing, as another controller would; `silence` ends the thing itself."""

    actuator: Actuator
    again: Callable[[], Actuator]
    silence: Callable[[], Awaitable[None]]


def make(kind: str, settings: Any, around: Surroundings) -> Actuator:
    row = ACTUATORS[kind]
    assert isinstance(settings, row.settings)
    return row.make(settings, around)


@asynccontextmanager
async def in_embedded_server(directory: Path) -> AsyncIterator[World]:
    async with served.serving(directory, names=()) as server:
        around = Surroundings(SystemClock(), server)
        settings = authoritative.Settings(served.NAME, 30)

        def again() -> Actuator:
            return make("authoritative", settings, around)

        yield World(again(), again, server.close)


@asynccontextmanager
async def in_bind(directory: Path) -> AsyncIterator[World]:
    async with dns_servers.bind_primary(directory) as peer:
        settings = rfc2136.Settings((peer.place,), dns_servers.ZONE, dns_servers.NAME, 30, dns_servers.KEY, timeout_s=5)

        def again() -> Actuator:
            return make("rfc2136", settings, Surroundings(SystemClock()))

        yield World(again(), again, peer.stop)


@asynccontextmanager
async def on_host(directory: Path) -> AsyncIterator[World]:
    with network() as net:
        host = net.host("a")
        settings = vip.Settings("10.77.0.99/32", "eth0", lease_s=60)
        made: list[Actuator] = []

        def again() -> Actuator:
            made.append(make_on(host, settings, directory / "state.db"))
            return made[-1]

        async def silence() -> None:
            host.run("ip", "link", "del", "eth0")

        yield World(again(), again, silence)
        for actuator in made:
            await actuator.close()


@asynccontextmanager
async def in_haproxy(directory: Path) -> AsyncIterator[World]:
    async with running_haproxy(directory, "192.0.2.10:443", "198.51.100.10:443") as peer:

        def again() -> Actuator:
            return make("haproxy", haproxy.Settings(str(peer.socket), "cores", {"b": "srv-b"}), Surroundings(SystemClock()))

        yield World(again(), again, peer.stop)


@asynccontextmanager
async def in_command(directory: Path) -> AsyncIterator[World]:
    settings = command_on(directory)

    def again() -> Actuator:
        return make("exec", settings, Surroundings(SystemClock()))

    async def silence() -> None:
        (directory / "read.py").write_text("raise SystemExit('gone')")

    yield World(again(), again, silence)


WORLDS: dict[str, Callable[[Path], AbstractAsyncContextManager[World]]] = {
    "authoritative": in_embedded_server, "rfc2136": in_bind, "vip": on_host, "haproxy": in_haproxy, "exec": in_command,
}
