"""*Test Connection* (G-SSH, G-TP task 1): whether the three ports of the guide's table 3 answer, and whether each side trusts the other's key."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import asyncssh

from lbctl.clock import Clock
from lbctl.core.facts import Facts
from lbctl.core.sync.pairing import facts_from_wire
from lbctl.core.trust import Trust
from lbctl.core.watch import answers
from lbctl.errors import LbctlError

TEST_COMMAND = "facts"
"""The SSH exec command by which a trusted host asks for `Facts`, as JSON."""
TEST_S = 15.0
SUCCESS = "Test was successful"

Connect = Callable[[str], Awaitable[asyncssh.SSHClientConnection]]
Port = Callable[[str, str], int]


@dataclass(frozen=True, slots=True)
class Check:
    """One port: what was tried, whether it was well, and what was seen."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Tested:
    """The *HA - Test Connectivity* window. `peer` are the other Core's facts where SSH worked."""

    host: str
    checks: tuple[Check, ...]
    peer: Facts | None

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks)

    @property
    def message(self) -> str:
        failed = ", ".join(check.name for check in self.checks if not check.ok)
        return f"Test failed: {failed}" if failed else SUCCESS


class Connectivity:
    """Tests the way to a peer. `port` gives the number of `https`, `portal` or `ssh` there."""

    def __init__(self, trust: Trust, connect: Connect, port: Port, clock: Clock) -> None:
        self._trust = trust
        self._connect = connect
        self._port = port
        self._clock = clock

    async def test(self, host: str) -> Tested:
        """All three ports of a trusted host at once; never raises."""
        if self._trust.find(host) is None:
            return Tested(host, (Check("trusted host", False, f"{host} is not a trusted host: add its key first"),), None)
        https, portal, (ssh, peer) = await asyncio.gather(self._page(host, "https"), self._page(host, "portal"), self._ssh(host))
        return Tested(host, (https, portal, ssh), peer)

    async def _page(self, host: str, name: str) -> Check:
        port = self._port(host, name)
        ok, detail = await _timed(lambda: answers(host, port))
        return Check(f"{'443' if name == 'https' else '8443'} ({host}:{port})", ok, detail)

    async def _ssh(self, host: str) -> tuple[Check, Facts | None]:
        found: list[Facts] = []

        async def ask() -> str:
            found.append(await self.facts_of(host))
            skew = found[0].clock - self._clock.now()
            return f"{found[0].name} {found[0].version} {found[0].mode}/{found[0].state}, clock {skew:+.1f} s"

        ok, detail = await _timed(ask)
        return Check(f"22 ({host}:{self._port(host, 'ssh')})", ok, detail), found[0] if found else None

    async def facts_of(self, host: str) -> Facts:
        """A trusted host's facts over SSH. Raises `NotTrusted`, asyncssh.Error, OSError, ValueError."""
        connection = await self._connect(host)
        try:
            done = await connection.run(TEST_COMMAND, check=True)
        finally:
            connection.abort()
        return facts_from_wire(json.loads(str(done.stdout)))


async def _timed(test: Callable[[], Awaitable[str]]) -> tuple[bool, str]:
    try:
        async with asyncio.timeout(TEST_S):
            return True, await test()
    except TimeoutError:
        return False, f"no answer within {TEST_S:g} s"
    except (LbctlError, asyncssh.Error, OSError, ValueError) as error:
        return False, (" ".join(str(error).split()) or type(error).__name__)[:200]
