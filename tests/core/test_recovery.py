"""Table 1 of the guide, end to end with real processes: the Primary dies, the Secondary takes over, everything is brought back by hand.

All by the guide's own commands over SSH and by devices over HTTPS; kill -9 on the way, and nothing that was written is lost (G-ST).
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lbctl.statuspage import HASTATUS_PATH, STATUS_PATH
from tests.core.cores import Process, hosts, trusted

OK = (200, b"MOBILEIRON-STATUS: OK\n")
PRIMARY = (200, b"MOBILEIRON-STATUS: OK (Mode: Primary)\n")
STANDBY = (200, b"MOBILEIRON-STATUS: OK (Mode: Standby)\n")
FAST = {"heartbeat_interval": "200ms", "heartbeat_failures": 3, "recheck_interval": "100ms", "enabled": True}


@pytest.fixture
async def cores(tmp_path: Path) -> AsyncIterator[tuple[Process, Process]]:
    """A pair with exchanged keys; the Secondary promotes itself fast."""
    at_a, at_b = hosts(2)
    a = Process(tmp_path, "core-a", {**FAST, "mode": "Primary", "primary_host": at_b}, host=at_a, trusted_hosts=trusted(tmp_path, **{"core-b": at_b}))
    secondary = {**FAST, "mode": "Secondary", "primary_host": at_a, "if_failure_detected": "promote"}
    b = Process(tmp_path, "core-b", secondary, host=at_b, trusted_hosts=trusted(tmp_path, **{"core-a": at_a}))
    try:
        await a.start()
        await b.start()
        yield a, b
    finally:
        await a.close()
        await b.close()


async def said(core: Process, line: str) -> dict[str, Any]:
    """Types a line that must succeed; the status afterwards."""
    code, text = await core.type(line)
    assert code == 0, text
    return await core.status()


async def devices(core: Process) -> int:
    code, text = await core.type("show devices")
    assert code == 0
    return int(text.splitlines()[0].removeprefix("devices: "))


async def test_the_three_scenarios_of_table_1_with_nothing_lost(cores: tuple[Process, Process]) -> None:
    """G-ST: Primary up; Primary down, Secondary promoted; Primary up again, synced by hand, roles swapped back."""
    a, b = cores
    # Primary server is up.
    assert [await a.enroll(f"before-{n}") for n in range(5)] == [201] * 5
    assert await b.enroll("refused") == 503
    await said(b, f"failover sync {a.host}")
    assert (await a.page(STATUS_PATH), await a.page(HASTATUS_PATH), await b.page(HASTATUS_PATH)) == (OK, PRIMARY, STANDBY)
    # Primary server is down: the Secondary is automatically promoted and starts responding to requests.
    await a.end(signal.SIGKILL)
    promoted = await b.until(state="Active")
    assert (promoted["mode"], promoted["node_status"], promoted["scheduler"]) == ("Secondary", "Active", False)
    assert (await b.page(STATUS_PATH), await b.page(HASTATUS_PATH)) == (OK, PRIMARY)
    assert [await b.enroll(f"during-{n}") for n in range(3)] == [201] * 3
    await b.end(signal.SIGKILL)
    assert "(Secondary/Active)" in await b.start()
    # Primary is up again: it still believes that it is Primary, and the promoted Secondary does not give way by itself.
    await a.start()
    assert (await a.page(HASTATUS_PATH), await b.page(HASTATUS_PATH)) == (PRIMARY, PRIMARY)
    assert (await b.type(f"failover sync {a.host}"))[0] == 3
    # The administrator syncs the Primary from the Secondary, by hand.
    back = await said(a, "failover mode secondary")
    assert (back["state"], back["scheduler"]) == ("Standby", False)
    await said(b, "failover client-connection disable")
    assert await b.enroll("too late") == 503
    await said(a, f"failover sync {b.host}")
    assert await devices(a) == await devices(b) == 8
    # Swaps roles with the Secondary and returns to an Active state; Secondary returns to Standby state.
    await said(b, "failover mode secondary")
    returned = await said(a, "failover mode primary")
    await said(b, "failover client-connection enable")
    assert (returned["mode"], returned["state"]) == ("Primary", "Active")
    assert (await a.page(STATUS_PATH), await a.page(HASTATUS_PATH), await b.page(HASTATUS_PATH)) == (OK, PRIMARY, STANDBY)
    assert await a.enroll("after") == 201
    await said(b, f"failover sync {a.host}")
    assert await devices(b) == 9


async def test_dr_watches_the_main_sites_secondary_and_not_its_status_page(tmp_path: Path) -> None:
    """G-SC2: the DR Core sees the main site's Secondary as its Primary; it stays while that one lives, in whatever role, and no longer."""
    at_a, at_b, at_c = hosts(3)
    a = Process(tmp_path, "core-a", {**FAST, "mode": "Primary"}, host=at_a)
    b = Process(tmp_path, "core-b", {**FAST, "mode": "Secondary", "primary_host": at_a, "if_failure_detected": "promote"}, host=at_b)
    c = Process(tmp_path, "core-dr", {**FAST, "mode": "Secondary", "primary_host": at_b, "if_failure_detected": "promote"}, host=at_c)
    try:
        for core in (a, b, c):
            await core.start()
        assert (await c.until(state="Standby"))["heartbeat"]["running"]
        await a.end(signal.SIGKILL)
        await b.until(state="Active")
        await asyncio.sleep(0.5)
        assert (await c.until(state="Standby"))["heartbeat"] == {
            "running": True, "failures": 0, "failure_detected": False, "last": "Mode: Primary"}
        await b.end(signal.SIGKILL)
        await c.until(state="Active")
    finally:
        for core in (a, b, c):
            await core.close()
