"""A sync between two databases over real SSH on loopback: everything, then only changes, from whom and to whom the guide allows."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from lbctl.core.database import Database
from lbctl.core.fill import fill
from lbctl.core.sync.history import Result, SyncOverlap
from lbctl.core.sync.run import run_sync
from lbctl.core.sync.serve import Served
from lbctl.core.sync.transfer import spool_path
from lbctl.core.tables import TABLES, Part
from tests.core.sync.pair import PRIMARY, Server, Standby, connecting, contents, serving, standby
from tests.core.sync.proxy import proxied

DEVICES = 900


@asynccontextmanager
async def pair(directory: Path, devices: int = DEVICES) -> AsyncIterator[tuple[Server, Standby]]:
    database = Database(directory / "source.db")
    await fill(database, devices=devices)
    copy = await standby(directory)
    try:
        async with serving(database) as server:
            yield server, copy
    finally:
        copy.close()
        database.close()


async def equal(server: Server, copy: Standby) -> bool:
    """Every table but Atlas, row by row."""
    there, here = await contents(server.database), await contents(copy.database)
    return all(there[name] == here[name] for name, table in TABLES.items() if table.part is not Part.ATLAS)


async def test_the_first_sync_copies_everything(tmp_path: Path) -> None:
    """G-SY1, G-SY4."""
    async with pair(tmp_path) as (server, copy):
        record = await copy.sync(server.port)
        assert (record.result, record.reason) == (Result.SUCCESS, "")
        assert await equal(server, copy)
        assert await copy.database.count("devices") == DEVICES
        assert server.served == [Served("core-b", "Success")]
        assert not spool_path(copy.database).exists()


async def test_later_syncs_copy_changes_additions_and_deletions_only(tmp_path: Path) -> None:
    """G-SY1."""
    async with pair(tmp_path) as (server, copy):
        full = await copy.sync(server.port)
        source = server.database
        await source.update("devices", 7, {"os_version": "15.0"})
        await source.update("users", 4, {"id": 4, "email": "new@example.com"})
        await source.delete("devices", 8)
        await fill(source, devices=5, start=5000)
        delta = await copy.sync(server.port)
        assert delta.result is Result.SUCCESS and await equal(server, copy)
        assert delta.received_bytes < full.received_bytes / 10
        details = {task.name: task.detail for task in (await copy.history.runs(1))[0].tasks}
        assert details["Admin Portal database: devices"] == f"6 of {DEVICES + 4} rows copied, 1 deleted"
        assert details["Admin Portal database: apps"] == "0 of 120 rows copied, 0 deleted"


async def test_a_table_that_was_emptied_is_emptied_in_the_copy(tmp_path: Path) -> None:
    async with pair(tmp_path) as (server, copy):
        await copy.sync(server.port)
        await server.database.file.write(lambda connection: connection.execute("DELETE FROM devices"))
        assert (await copy.sync(server.port)).result is Result.SUCCESS
        assert await copy.database.count("devices") == 0


async def test_names_that_wander_between_rows_arrive(tmp_path: Path) -> None:
    """A unique column must not make one row of the copy push out another."""

    def swap(connection: object) -> None:
        for number, name in ((1, "x"), (2, "setting.0"), (3, "setting.1"), (1, "setting.2")):
            connection.execute("UPDATE settings SET name = ? WHERE id = ?", (name, number))  # type: ignore[attr-defined]

    async with pair(tmp_path) as (server, copy):
        await copy.sync(server.port)
        await server.database.file.write(swap)
        assert (await copy.sync(server.port)).result is Result.SUCCESS
        assert await equal(server, copy)


async def test_the_way_back_after_a_failover_copies_only_what_differs(tmp_path: Path) -> None:
    """Table 1, third scenario: the Secondary was active; the Primary, with writes that nobody has seen, becomes equal to it."""
    async with pair(tmp_path) as (server, copy):
        full = await copy.sync(server.port)
        await server.database.update("devices", 1, {"status": "written on the old Primary, lost with it"})
        await server.database.insert("devices", [{"id": 9999, "uuid": "only-on-the-old-primary"}])
        await copy.database.update("devices", 2, {"status": "written while the Secondary was active"})
        promoted = replace(copy.facts, state="Active")
        (tmp_path / "a").mkdir()
        demoted = await standby(tmp_path / "a")
        demoted.database.close()
        demoted.database, demoted.facts = server.database, replace(PRIMARY, mode="Secondary", state="Standby")
        async with serving(copy.database, promoted) as new_source:
            back = await demoted.sync(new_source.port, "core-b")
            assert back.result is Result.SUCCESS and await equal(new_source, demoted)
        assert back.received_bytes < full.received_bytes / 10
        origin = await demoted.database.origin()
        assert origin is not None and origin.source == "core-b"
        demoted.history.close()


def _scramble(connection: sqlite3.Connection, random: Random) -> None:
    """Whatever people and devices do to a database: new rows near and far, changes, deletions, names that wander, a table emptied."""
    names = [f"name-{number}" for number in range(40)]
    for _ in range(120):
        key = random.choice((random.randrange(60), random.randrange(9000), random.randrange(-5000, 1 << 40)))
        name = random.choice(names)
        doing = random.randrange(6)
        if doing < 3:
            connection.execute("INSERT OR REPLACE INTO settings (id, name, value) VALUES (?, ?, ?)", (key, name, str(random.random())))
            connection.execute("INSERT OR IGNORE INTO logs (id, message) VALUES (?, ?)", (key, name))
        elif doing == 3:
            connection.execute("UPDATE OR REPLACE settings SET id = ?, value = 'moved' WHERE name = ?", (key, name))
        elif doing == 4:
            connection.execute("DELETE FROM settings WHERE id < ? AND id > ?", (key, key - random.choice((2, 5000))))
        else:
            connection.execute("UPDATE logs SET message = NULL, at = ? WHERE id % 7 = ?", (key, key % 7))
    if random.random() < 0.2:
        connection.execute("DELETE FROM logs")


@pytest.mark.parametrize("seed", range(12))
async def test_any_two_databases_become_equal(tmp_path: Path, seed: int) -> None:
    """Whatever happened to either since they last were: the copy is the source afterwards, and a sync after that has nothing to do."""
    random = Random(seed)
    async with pair(tmp_path, 0) as (server, copy):
        for _ in range(3):
            await server.database.file.write(lambda connection: _scramble(connection, random))
            await copy.database.file.write(lambda connection: _scramble(connection, random))
            assert (await copy.sync(server.port)).result is Result.SUCCESS
            assert await equal(server, copy)
        copy.progress.clear()
        assert (await copy.sync(server.port)).result is Result.SUCCESS
        assert copy.progress == []


async def test_nothing_but_one_hundredth_of_100_000_devices_is_on_the_wire(tmp_path: Path) -> None:
    """G-SY1: 100,000 devices, one in a hundred changed at random; the delta is under 3 % of the full copy, in TCP bytes of both directions."""

    def change(connection: object) -> None:
        keys = ((key,) for key in range(1, 100_001) if key * 2654435761 % (1 << 32) < (1 << 32) // 100)
        connection.executemany("UPDATE devices SET os_version = '15.0', last_check_in = last_check_in + id % 900 WHERE id = ?", keys)  # type: ignore[attr-defined]

    async with pair(tmp_path, 100_000) as (server, copy):
        wire_bytes = []
        for step in (lambda _: None, change):
            await server.database.file.write(step)
            async with proxied(server.port) as proxy:
                assert (await copy.sync(proxy.port)).result is Result.SUCCESS
                wire_bytes.append(proxy.counted)
        tasks = {task.name: task.detail for task in (await copy.history.runs(1))[0].tasks}
        changed = int(tasks["Admin Portal database: devices"].split()[0])
        assert 900 < changed < 1100
        assert wire_bytes[1] < 0.03 * wire_bytes[0], wire_bytes
        assert wire_bytes[0] > 10_000_000


async def test_what_is_written_during_a_sync_waits_for_the_next_one(tmp_path: Path) -> None:
    """The source is copied as it was at one moment."""
    async with pair(tmp_path) as (server, copy):
        before = await contents(server.database)
        writes: list[asyncio.Task[None]] = []

        def write_once(_: object) -> None:
            if not writes:
                writes.append(asyncio.create_task(server.database.insert("local_users", [{"name": "late", "password_hash": "x"}])))

        record = await run_sync("core-a", connecting(server.port), copy.database, copy.facts, copy.history, write_once)
        await writes[0]
        assert record.result is Result.SUCCESS
        assert (await contents(copy.database))["local_users"] == before["local_users"] == []
        await copy.sync(server.port)
        assert await equal(server, copy)


ATLAS = {"both": (True, True, 1), "source only": (True, False, 0), "copy only": (False, True, 0), "neither": (False, False, 0)}


@pytest.mark.parametrize(("there", "here", "reports"), ATLAS.values(), ids=ATLAS)
async def test_atlas_data_is_replicated_only_where_atlas_is_enabled_on_both(tmp_path: Path, there: bool, here: bool, reports: int) -> None:
    """G-SY4, G-AT."""
    async with pair(tmp_path, 20) as (server, copy):
        server.facts, copy.facts = replace(server.facts, atlas=there), replace(copy.facts, atlas=here)
        assert (await copy.sync(server.port)).result is Result.SUCCESS
        assert await copy.database.count("atlas_reports") == reports
        said = [task.detail for task in (await copy.history.runs(1))[0].tasks if task.name == "Atlas data"]
        assert said == ([] if there == here else [f"not replicated: Atlas is enabled on {'core-a' if there else 'core-b'} only"])


async def test_two_atlas_only_servers_replicate_atlas_and_the_system_managers_share(tmp_path: Path) -> None:
    """G-SY4."""
    async with pair(tmp_path, 20) as (server, copy):
        server.facts = replace(server.facts, atlas=True, serves_core=False)
        copy.facts = replace(copy.facts, atlas=True, serves_core=False)
        assert (await copy.sync(server.port)).result is Result.SUCCESS
        counts = [await copy.database.count(table) for table in ("atlas_reports", "certificates", "devices")]
        assert counts == [1, await server.database.count("certificates"), 0]


REFUSALS = {
    "G-SY5 another version": (replace(PRIMARY, version="11.4.0.0"), {}, "same software version"),
    "G-SY1 a primary": (PRIMARY, {"mode": "Primary", "state": "Active"}, "Primary mode does not replicate"),
    "G-SY1 a promoted secondary": (PRIMARY, {"state": "Active"}, "was promoted does not sync"),
    "itself": (PRIMARY, {"name": "core-a"}, "cannot sync from itself"),
}


@pytest.mark.parametrize(("there", "here", "reason"), REFUSALS.values(), ids=REFUSALS)
async def test_a_sync_that_may_not_be_is_a_failed_run_with_the_reason(tmp_path: Path, there: object, here: dict[str, str], reason: str) -> None:
    async with pair(tmp_path, 20) as (server, copy):
        server.facts, copy.facts = there, replace(copy.facts, **here)  # type: ignore[assignment,arg-type]
        record = await copy.sync(server.port)
        assert record.result is Result.FAILED and reason in record.reason
        assert await copy.database.count("devices") == 0
        last = await copy.history.last()
        assert last is not None and last.reason == record.reason


async def test_a_source_that_does_not_answer_is_a_failed_run(tmp_path: Path) -> None:
    async with pair(tmp_path, 20) as (server, copy):
        async with serving(server.database) as gone:
            port = gone.port
        record = await copy.sync(port)
        assert record.result is Result.FAILED and record.reason
        assert [task.name for task in (await copy.history.runs(1))[0].tasks] == ["Connect"]
        assert not copy.history.running


async def test_a_second_sync_is_refused_while_one_runs(tmp_path: Path) -> None:
    """G-SY2."""
    async with pair(tmp_path) as (server, copy):
        first = asyncio.create_task(copy.sync(server.port))
        while not copy.history.running:
            await asyncio.sleep(0)
        with pytest.raises(SyncOverlap):
            await copy.sync(server.port)
        assert (await first).result is Result.SUCCESS


async def test_progress_tells_task_rows_and_bytes(tmp_path: Path) -> None:
    async with pair(tmp_path) as (server, copy):
        await copy.sync(server.port)
        devices = [line for line in copy.progress if line.task == "devices"]
        assert devices[-1].rows == devices[-1].of == DEVICES
        bytes_seen = [line.received_bytes for line in copy.progress]
        assert bytes_seen == sorted(bytes_seen) and bytes_seen[0] > 0


async def test_a_cancelled_sync_leaves_the_last_complete_copy_and_the_next_one_works(tmp_path: Path) -> None:
    """G-SY6: a promotion in the middle of a sync."""
    async with pair(tmp_path, 3000) as (server, copy):
        await copy.sync(server.port)
        before = await contents(copy.database)
        await server.database.file.write(lambda connection: connection.execute("UPDATE devices SET status = 'Lost'"))
        copy.progress.clear()
        running = asyncio.create_task(copy.sync(server.port))
        while not copy.progress:
            await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        last = await copy.history.last()
        assert last is not None and last.result is Result.FAILED and "last complete copy is kept" in last.reason
        assert await contents(copy.database) == before
        assert (await copy.sync(server.port)).result is Result.SUCCESS
        assert await equal(server, copy)


async def test_the_copy_says_where_it_comes_from(tmp_path: Path) -> None:
    """H1: age and source are a part of the copy."""
    async with pair(tmp_path, 20) as (server, copy):
        record = await copy.sync(server.port)
        origin = await copy.database.origin()
        assert origin is not None
        assert (origin.run, origin.source, origin.started) == (record.run, "core-a", record.started)
        assert origin.started <= origin.applied
