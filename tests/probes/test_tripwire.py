"""The connection kept open to a member (H23): a crash is told at once, an impatient server is learned, and nothing storms."""

from __future__ import annotations

import asyncio
import heapq
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from lbctl.probes.base import target_at
from lbctl.probes.core import CoreProbe, Settings
from lbctl.probes.engine import Engine
from lbctl.probes.names import Name
from lbctl.probes.route import Route
from lbctl.probes.tripwire import LIFE_MIN_S, Tripwire
from tests.probes.servers import serving

SERVER = """
import socket, sys
listening = socket.create_server(("127.0.0.1", 0))
print(listening.getsockname()[1], flush=True)
held = []
while True:
    held.append(listening.accept()[0])
    print("held", flush=True)
"""


async def test_a_killed_process_is_told_at_once(engine: Engine) -> None:
    """Between two looks: no interval has to pass."""
    server = await asyncio.create_subprocess_exec(sys.executable, "-c", SERVER, stdout=asyncio.subprocess.PIPE)
    assert server.stdout is not None
    try:
        port = int(await server.stdout.readline())
        tripped = asyncio.Event()
        aim = CoreProbe(Settings(), engine).aim(target_at(f"http://127.0.0.1:{port}", member="m", page="status"))
        cancel = aim.guard(tripped.set)
        assert await server.stdout.readline() == b"held\n"
        assert not tripped.is_set()
        os.kill(server.pid, signal.SIGKILL)
        await asyncio.wait_for(tripped.wait(), 30)
        cancel()
    finally:
        if server.returncode is None:
            server.kill()
        await server.wait()


async def test_a_wire_that_is_given_up_leaves_nothing(engine: Engine) -> None:
    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(hold) as server:
        cancel = CoreProbe(Settings(), engine).aim(target_at(f"http://127.0.0.1:{server.port}", member="m", page="status")).guard(lambda: None)
        while not server.connections:
            await asyncio.sleep(0.01)
        assert engine.sockets == 1
        cancel()
        assert engine.sockets == 0


class Time:
    """An engine whose time the test moves by hand; the sockets are real."""

    def __init__(self) -> None:
        self.at = 0.0
        self.timers: list[tuple[float, int, SimpleNamespace]] = []
        self.wire: Tripwire | None = None
        self.connections = 0

    def now(self) -> float:
        return self.at

    def later(self, seconds: float, call: Callable[[], None]) -> SimpleNamespace:
        timer = SimpleNamespace(call=call, live=True)
        timer.cancel = lambda: setattr(timer, "live", False)
        heapq.heappush(self.timers, (self.at + seconds, len(self.timers) + int(self.at * 1000) * 1000, timer))
        return timer

    def attach(self, sock: socket.socket, wire: Any) -> None:
        self.wire = wire
        self.connections += 1

    def drop(self, sock: socket.socket) -> None:
        sock.close()
        self.wire = None

    def run(self, until: float, patience: float) -> None:
        """A server that ends each connection after `patience` seconds, or takes none (0); epoll's words are spoken here."""
        ends = float("inf")
        while True:
            timer_at = self.timers[0][0] if self.timers else float("inf")
            if min(timer_at, ends) > until:
                break
            if ends < timer_at:
                self.at, ends = ends, float("inf")
                if self.wire is not None:
                    self.wire.ready(0x001 | 0x2000)
                continue
            self.at, _, timer = heapq.heappop(self.timers)
            before = self.connections
            if timer.live:
                timer.call()
            if self.wire is None:
                ends = float("inf")
            elif self.connections > before:
                self.wire.ready(0x004 if patience > 0 else 0x004 | 0x008 | 0x010)
                ends = self.at + patience if patience > 0 else float("inf")
        self.at = until


@contextmanager
def staged() -> Iterator[tuple[Time, list[float]]]:
    time, trips = Time(), []
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listening:
        place = (socket.AF_INET, listening.getsockname())
        route = Route(Name("member", place[1][1], (place,)), 3.0, None, "", b"", frozenset())
        wire = Tripwire(time, route, lambda: trips.append(time.at))  # type: ignore[arg-type]
        yield time, trips
        wire.cancel()


@pytest.mark.parametrize(("patience", "hints", "connections"), [(1, 30, 40), (20, 40, 300), (60, 20, 100), (1e9, 0, 2)])
def test_impatient_servers_are_learned_and_left_alone(patience: float, hints: int, connections: int) -> None:
    """H23: an hour beside a healthy server, whatever its patience with idle connections: few needless looks, few connections."""
    with staged() as (time, trips):
        time.run(3600, patience)
        assert len(trips) <= hints
        assert time.connections <= connections
        if patience > LIFE_MIN_S:
            time.run(3700, patience)
            assert time.wire is not None, "the wire is up nearly always"


def test_nobody_there_is_no_hint() -> None:
    """Being refused is for looks to find; the wire only waits and tries again, a while apart."""
    with staged() as (time, trips):
        time.run(600, 0)
        assert not trips and time.connections <= 30
