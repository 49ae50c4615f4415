"""Scenario 4 with real processes (G-SC4, H12): an lbctl in each of two data centres moves its own Cores' name, a global one steers between them."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.exception
import dns.message
import pytest_asyncio
import yaml

from tests.controller.pages import Pages
from tests.core.cores import hosts
from tests.outside.site import ASK_S, PATIENCE_S, POLL_S, Lbctl

QUICK = {"profile": "standard", "interval": "500ms", "fast_interval": "100ms", "timeout": "500ms", "fall": 2}
MAIN, RECOVERY = "203.0.113.9", "198.51.100.9"


class Level:
    """One lbctl process with its own loopback address, DNS server and API."""

    def __init__(self, folder: Path, name: str, services: dict[str, Any]) -> None:
        (self.host,) = hosts(1)
        self.lbctl = Lbctl(folder / f"{name}.yaml")
        self.services = services
        self._folder, self._name = folder, name

    async def start(self) -> None:
        self.lbctl.file.write_text(yaml.safe_dump({
            "controller": {"name": self._name, "state": str(self._folder / f"{self._name}.db")},
            "api": {"socket": str(self._folder / f"{self._name}.sock"), "listen": f"{self.host}:9653"},
            "authoritative": {"listen": [f"{self.host}:5300"], "zones": {"gtm.example.com": {"ns": {"ns1.gtm.example.com": self.host}}}},
            "services": self.services,
        }))
        await self.lbctl.start()

    async def answer(self, patience_s: float = ASK_S) -> str:
        try:
            reply = await dns.asyncquery.udp(dns.message.make_query("core.gtm.example.com", "A"), self.host, port=5300, timeout=patience_s)
        except (dns.exception.Timeout, OSError):
            return "silence"
        return ",".join(sorted(item.address for answer in reply.answer for item in answer))

    async def until(self, wanted: str) -> None:
        seen = ""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while (seen := await self.answer(POLL_S)) != wanted:
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"{self._name} answers {seen}, not {wanted}\n{self.lbctl.log[-2000:]}") from None


def pair(a: Pages, b: Pages, first: str, second: str) -> dict[str, Any]:
    return {"core": {"probe": QUICK, "actuators": [{"authoritative": {"name": "core.gtm.example.com"}}], "members": [
        {"name": "core-a", "role": "primary", "address": first, "url": a.url},
        {"name": "core-b", "address": second, "url": b.url, "syncs_from": "core-a"}]}}


class World:
    """Two sites with a pair each, and what stands above them."""

    def __init__(self, folder: Path, cores: list[Pages]) -> None:
        self.cores = cores
        self.main = Level(folder, "main", pair(cores[0], cores[1], "10.1.0.1", "10.1.0.2"))
        self.recovery = Level(folder, "recovery", pair(cores[2], cores[3], "10.2.0.1", "10.2.0.2"))
        members = [{"name": "main", "role": "primary", "address": MAIN, "url": f"http://{self.main.host}:9653"},
                   {"name": "recovery", "address": RECOVERY, "url": f"http://{self.recovery.host}:9653"}]
        self.above = Level(folder, "global", {"core": {
            "monitor": {"site": {"service": "core", "inner_failover": "1500ms"}}, "probe": {**QUICK, "min_outage": "8s"},
            "members": members, "actuators": [{"authoritative": {"name": "core.gtm.example.com"}}]}})

    async def close(self) -> None:
        for level in (self.above, self.main, self.recovery):
            await level.lbctl.close()
        for core in self.cores:
            await core.stop()


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path, [await Pages(mode).start() for mode in ("Primary", "Standby", "Primary", "Standby")])
    try:
        await asyncio.gather(made.main.start(), made.recovery.start())
        await asyncio.gather(made.main.until("10.1.0.1"), made.recovery.until("10.2.0.1"))
        await made.above.start()
        await made.above.until(MAIN)
        yield made
    finally:
        await made.close()


async def test_a_site_mends_itself_and_only_a_site_that_is_down_is_left(world: World) -> None:
    """G-SC4, H12: the inner failover is not seen above; the outer one comes when the site cannot help itself; the way back is a person's (G-LB4)."""
    code, told = await world.above.lbctl.say("check")
    assert code == 0 and "both would react" not in told, told
    await world.cores[0].stop()
    world.cores[1].mode = "Standby"
    await world.main.until("10.1.0.2")
    world.cores[1].mode = "Primary"
    assert await world.above.answer() == MAIN, "the site had its time"

    await world.recovery.lbctl.end(signal.SIGTERM)
    await world.recovery.start()
    await world.recovery.until("10.2.0.1")
    assert await world.above.answer() == MAIN

    await world.cores[1].stop()
    await world.above.until(RECOVERY)
    assert await world.main.answer() == "10.1.0.2", "nobody there could take over: its own answer stays"

    await world.cores[1].start()
    await _until_up(world)
    assert await world.above.answer() == RECOVERY
    code, told = await world.above.lbctl.say("resume", "core")
    assert code in (0, 6), told
    await world.above.until(MAIN)


async def _until_up(world: World) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            members = (await world.above.lbctl.service()).get("members", [])
            if members and members[0]["health"] == "up":
                return
            await asyncio.sleep(0.2)
