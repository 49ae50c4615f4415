"""kill -9 of whole Cores in the middle of a sync: what the survivor and the restarted one hold and say (G-SY6)."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from lbctl.core.database import Database
from lbctl.core.fill import fill
from tests.core.cores import Process, hosts, trusted, until

DEVICES = 6000
CHANGE = "UPDATE devices SET status = 'Wiped'"


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[tuple[Process, Process]]:
    """A Secondary with a complete copy of a Primary on which every device has changed since."""
    at_a, at_b = hosts(2)
    a = Process(tmp_path, "core-a", {"enabled": True, "mode": "Primary"}, host=at_a, trusted_hosts=trusted(tmp_path, **{"core-b": at_b}))
    b = Process(tmp_path, "core-b", {"enabled": True, "mode": "Secondary"}, host=at_b, trusted_hosts=trusted(tmp_path, **{"core-a": at_a}))
    try:
        await a.start()
        await b.start()
        await _in_database_of(a, devices=DEVICES)
        code, text = await b.type(f"failover sync {at_a}")
        assert code == 0, text
        await _in_database_of(a)
        yield a, b
    finally:
        await a.close()
        await b.close()


async def _in_database_of(core: Process, devices: int = 0) -> None:
    database = Database(core.directory / "portal.db")
    if devices:
        await fill(database, devices=devices)
    else:
        await database.file.write(lambda connection: connection.execute(CHANGE))
    await asyncio.to_thread(database.close)


def _wiped(core: Process) -> tuple[int, int]:
    """Devices of its database, and how many of them have changed."""
    with closing(sqlite3.connect(core.directory / "portal.db")) as connection:
        return tuple(connection.execute("SELECT count(*), sum(status = 'Wiped') FROM devices").fetchone())


def _under_way(core: Process, task: str) -> bool:
    with closing(sqlite3.connect(core.directory / "history.db", timeout=30)) as connection:
        found = connection.execute("SELECT name FROM tasks WHERE completed IS NULL").fetchall()
    return any(task in name for (name,) in found)


@pytest.mark.parametrize("task", ["devices", "Verify and apply"])
async def test_a_secondary_killed_in_a_sync_has_one_copy_or_the_other_and_says_which(pair: tuple[Process, Process], task: str) -> None:
    a, b = pair
    running = asyncio.create_task(b.type(f"failover sync {a.host}"))
    await until(lambda: _under_way(b, task) or running.done(), task)
    await b.end(signal.SIGKILL)
    with contextlib.suppress(Exception):
        await running
    await b.start()
    last = (await b.status())["last_sync"]
    assert _wiped(b) == (DEVICES, DEVICES if last["result"] == "Success" else 0)
    assert last["completed"] is not None
    assert last["result"] == "Success" or "last complete copy is kept" in last["reason"]
    assert not (b.directory / "portal.db.incoming").exists()
    assert (await b.type(f"failover sync {a.host}"))[0] == 0
    assert _wiped(b) == (DEVICES, DEVICES)


async def test_a_primary_killed_in_a_sync_leaves_the_last_complete_copy(pair: tuple[Process, Process]) -> None:
    a, b = pair
    running = asyncio.create_task(b.type(f"failover sync {a.host}"))
    await until(lambda: _under_way(b, "devices") or running.done(), "devices")
    await a.end(signal.SIGKILL)
    code, text = await running
    last = (await b.status())["last_sync"]
    assert (code == 0) == (last["result"] == "Success"), text
    assert _wiped(b) == (DEVICES, DEVICES if last["result"] == "Success" else 0)
    await a.start()
    assert (await b.type(f"failover sync {a.host}"))[0] == 0
    assert _wiped(b) == (DEVICES, DEVICES)
