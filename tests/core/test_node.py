"""A whole Core: what it shows, how it fails on purpose, and what it still knows after kill -9."""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
import sys
import time
from email.utils import parsedate_to_datetime
from pathlib import Path

import aiohttp
import pytest

from lbctl.clock import SystemClock
from lbctl.core.faults import Fault
from lbctl.core.node import AlreadyRunning, Node
from lbctl.core.statefile import StateUnreadable
from lbctl.statuspage import HASTATUS_PATH, STATUS_PATH
from tests.core.cores import FAST, Process, page, pair, running, settings, until

OK, DOWN = b"MOBILEIRON-STATUS: OK\n", b"MOBILEIRON-STATUS: DOWN\n"
PRIMARY, STANDBY = b"MOBILEIRON-STATUS: OK (Mode: Primary)\n", b"MOBILEIRON-STATUS: OK (Mode: Standby)\n"


@pytest.mark.parametrize("port", ["https", "portal"])
async def test_both_pages_follow_the_role_on_443_and_on_8443(tmp_path: Path, port: str) -> None:
    """G-PG and the table of SEMANTICS section 1."""
    async with running(settings(tmp_path, "core-b", ha={"enabled": True, "mode": "Secondary"})) as node:
        assert await page(node, STATUS_PATH, port=port) == (503, DOWN)
        assert await page(node, HASTATUS_PATH, port=port) == (200, STANDBY)
        node.record.set_service("test", tomcat=True)
        assert await page(node, STATUS_PATH, port=port) == (200, OK)
        await node.promote("test")
        assert await page(node, STATUS_PATH, port=port) == (200, OK)
        assert await page(node, HASTATUS_PATH, port=port) == (200, PRIMARY)
        node.record.enable(False, "test")
        assert await page(node, HASTATUS_PATH, port=port) == (200, PRIMARY)
        node.record.set_service("test", tomcat=False)
        assert await page(node, STATUS_PATH, port=port) == (503, DOWN)


async def test_disabling_client_connections_leaves_the_pages_alone(tmp_path: Path) -> None:
    """G-CLI: only new devices are turned away; nothing else of the Core changes."""
    async with running(settings(tmp_path, "core-a")) as node:
        node.record.set_service("test", clients=False)
        assert await page(node, STATUS_PATH) == (200, OK)


@pytest.mark.parametrize("offset_s", [0.0, 90.0, -3600.0])
async def test_the_date_header_is_the_cores_own_clock(tmp_path: Path, offset_s: float) -> None:
    """G-BP: a skew that can be seen from outside, made for real."""
    async with running(settings(tmp_path, "core-a", clock_offset=offset_s)) as node:
        connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=str(node.certificates.ca)))
        url = f"https://127.0.0.1:{node.endpoints()['https'].port}{STATUS_PATH}"
        async with aiohttp.ClientSession(connector=connector) as session, session.get(url) as response:
            seen = parsedate_to_datetime(response.headers["Date"]).timestamp()
        assert abs(seen - time.time() - offset_s) < 30


async def looked(node: Node, timeout_s: float = 10.0) -> object:
    """What a strict client meets: a reply, or the kind of its failure."""
    try:
        return await page(node, HASTATUS_PATH, timeout_s=timeout_s)
    except aiohttp.ClientConnectorCertificateError as error:
        return "expired" if "expired" in str(error) else "certificate"
    except aiohttp.ClientConnectorError:
        return "refused"
    except TimeoutError:
        return "timeout"


@pytest.mark.parametrize(("fault", "expected"), [
    (Fault.STOPPED, "refused"), (Fault.REFUSE, "refused"), (Fault.HUNG, "timeout"), (Fault.SLOW_DRIP, "timeout"),
    (Fault.UNAVAILABLE, (503, DOWN)), (Fault.WRONG_TEXT, (200, b"<html><body>MOBILEIRON-STATUS: OKAY</body></html>\n")),
    (Fault.EXPIRED_CERTIFICATE, "expired"),
], ids=lambda value: str(value) if isinstance(value, Fault) else "")
async def test_each_fault_fails_as_a_real_core_does_and_heals_on_the_same_port(tmp_path: Path, fault: Fault, expected: object) -> None:
    """Stopped, hung, 503, wrong text, slow drip, expired certificate, refuse: told apart by a client, not by us."""
    async with running(settings(tmp_path, "core-a", ha={"enabled": True})) as node:
        port = node.endpoints()["https"].port
        await node.set_fault(fault)
        assert await looked(node, 1.0 if expected == "timeout" else 10.0) == expected
        await node.set_fault(Fault.NONE)
        assert await looked(node) == (200, PRIMARY)
        assert node.endpoints()["https"].port == port


async def test_a_hung_core_accepts_and_sends_not_one_byte(tmp_path: Path) -> None:
    async with running(settings(tmp_path, "core-a")) as node:
        await node.set_fault(Fault.HUNG)
        reader, writer = await asyncio.open_connection("127.0.0.1", node.endpoints()["https"].port)
        writer.write(b"\x16\x03\x01")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await reader.read(1)
        writer.close()


@pytest.mark.parametrize("fault", [Fault.STOPPED, Fault.REFUSE])
async def test_a_core_that_closes_its_port_cuts_open_connections(tmp_path: Path, fault: Fault) -> None:
    """A connection kept open to a Core that dies ends: whoever watches it is told at once."""
    async with running(settings(tmp_path, "core-a")) as node:
        context = ssl.create_default_context(cafile=str(node.certificates.ca))
        reader, writer = await asyncio.open_connection("127.0.0.1", node.endpoints()["https"].port, ssl=context)
        await node.set_fault(fault)
        async with asyncio.timeout(10):
            assert await reader.read() == b""
        writer.close()


async def test_a_stopped_core_neither_watches_nor_promotes_itself(tmp_path: Path) -> None:
    async with pair(tmp_path, ha_b={**FAST, "if_failure_detected": "promote"}) as (a, b):
        await until(lambda: b.failover.last, "a first heartbeat")
        await b.set_fault(Fault.STOPPED)
        await a.set_fault(Fault.STOPPED)
        await asyncio.sleep(0.5)
        assert b.role.standby
        await b.set_fault(Fault.NONE)
        await until(lambda: not b.role.standby, "the promotion after it came back")


async def test_only_one_process_runs_in_a_directory(tmp_path: Path) -> None:
    config = settings(tmp_path, "core-a")
    async with running(config):
        second = Node(config, SystemClock())
        with pytest.raises(AlreadyRunning):
            await second.start()
        await second.stop()


async def test_a_damaged_state_file_stops_the_core_instead_of_making_it_a_new_one(tmp_path: Path) -> None:
    """G-ST: a promoted Secondary that forgot its promotion would replicate over the data it alone has."""
    config = settings(tmp_path, "core-b", ha={"mode": "Secondary"})
    async with running(config) as node:
        await node.promote("test")
    (config.directory / "state.json").write_text('{"role": {"mode"')
    node = Node(config, SystemClock())
    with pytest.raises(StateUnreadable, match=r"state\.json"):
        await node.start()
    await node.stop()


async def test_the_role_survives_kill_9_and_sigterm_ends_in_good_order(tmp_path: Path) -> None:
    """G-ST, G-HA: what was saved wins over the file."""
    core = Process(tmp_path, "core-b", {"enabled": True, "mode": "Secondary"})
    try:
        assert "(Secondary/Standby)" in await core.start()
        await core.type("failover mode primary")
        assert await core.end(signal.SIGKILL) == -signal.SIGKILL
        assert "(Secondary/Active)" in await core.start()
        assert (await core.page(HASTATUS_PATH))[1] == PRIMARY
        assert await core.end(signal.SIGTERM) == 0
    finally:
        await core.close()


STAGES = ["before", "half-written", "written", "renamed", "saved"]

CRASHING = """
import asyncio, os, signal, sys
from pathlib import Path
from lbctl.clock import SystemClock
from lbctl.core.node import Node
from lbctl.core.settings import load

async def change_role(settings, stage, change):
    armed = []
    def on_stage(name):
        if armed and name == stage:
            os.kill(os.getpid(), signal.SIGKILL)
    node = Node(settings, SystemClock(), on_stage=on_stage)
    await node.start()
    armed.append(True)
    await node.promote("crash test") if change == "promote" else node.record.demote("crash test")

file, change, *stages = sys.argv[1:]
settings = load(Path(file))
state = settings.directory / "state.json"
first = state.read_bytes()
for stage in stages:
    state.write_bytes(first)
    child = os.fork()
    if child == 0:
        asyncio.run(change_role(settings, stage, change))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    (settings.directory / stage).write_bytes(state.read_bytes())
    assert os.WIFSIGNALED(status), stage
"""


@pytest.mark.parametrize("change", ["promote", "demote"])
async def test_kill_9_at_every_stage_of_a_role_change_leaves_the_old_role_or_the_new_one(tmp_path: Path, change: str) -> None:
    """G-ST: never a mixture, never a file that cannot be read; until the rename the old role, from then on the new one."""
    old, new = ("Standby", "Active") if change == "promote" else ("Active", "Standby")
    config = settings(tmp_path, "core", ha={"enabled": True, "mode": "Secondary" if change == "promote" else "Primary"})
    async with running(config):
        pass
    file = tmp_path / "core.json"  # JSON is YAML
    file.write_text(config.model_dump_json(exclude_defaults=True))
    crashing = await asyncio.create_subprocess_exec(sys.executable, "-c", CRASHING, str(file), change, *STAGES)
    assert await crashing.wait() == 0
    for stage in STAGES:
        left = json.loads((config.directory / stage).read_bytes())
        assert left["role"]["state"] == (new if stage in ("renamed", "saved") else old), stage
    async with running(config) as node:
        assert node.role.state == new
        assert (await page(node, HASTATUS_PATH))[1] == (PRIMARY if new == "Active" else STANDBY)
