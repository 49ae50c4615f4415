"""A sync that is cut anywhere leaves the last complete copy, says so, and the next one succeeds (G-SY6).

Cut are: the TCP stream at chosen bytes, the source's process, the standby's process inside SQLite's own steps (kill -9 both), and the disk.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lbctl.core.database import Database
from lbctl.core.fill import fill
from lbctl.core.sqlite import SqliteFile
from lbctl.core.sync.history import Result
from lbctl.core.sync.run import run_sync
from lbctl.core.sync.transfer import Progress, spool_path
from tests.core.sync.pair import Server, Standby, connecting, contents, serving, standby
from tests.core.sync.proxy import proxied

PROCESS = Path(__file__).with_name("process.py")
CHANGE = "UPDATE devices SET status = 'Wiped', last_check_in = last_check_in + id % 777 WHERE id % 3 = 0"


@asynccontextmanager
async def behind(directory: Path) -> AsyncIterator[tuple[Server, Standby]]:
    """A standby with a complete copy, and a source that has since changed, grown and shrunk."""
    database = Database(directory / "source.db")
    await fill(database, devices=600)
    copy = await standby(directory)
    try:
        async with serving(database) as server:
            assert (await copy.sync(server.port)).result is Result.SUCCESS
            copy.progress.clear()
            await database.file.write(lambda connection: connection.execute(CHANGE))
            await database.file.write(lambda connection: connection.execute("DELETE FROM events WHERE id > 300"))
            await fill(database, devices=300, start=50_000)
            yield server, copy
    finally:
        copy.close()
        database.close()


async def old_and_new(server: Server, copy: Standby) -> tuple[object, object]:
    """What the copy holds now, and what it will hold when a sync is complete."""
    old, new = await contents(copy.database), await contents(server.database)
    return old, {**new, "atlas_reports": [], "atlas_metrics": []}


@pytest.mark.parametrize("share", [0.0, 0.004, 0.03, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 0.99, 0.999, 1.0])
async def test_a_link_cut_at_any_byte_leaves_the_old_copy_or_the_new_one(tmp_path: Path, share: float) -> None:
    async with behind(tmp_path) as (server, copy):
        old, new = await old_and_new(server, copy)
        (tmp_path / "probe").mkdir()
        shutil.copy(tmp_path / "copy.db", tmp_path / "probe" / "copy.db")
        shutil.copy(tmp_path / "copy.db-wal", tmp_path / "probe" / "copy.db-wal")
        uncut = await standby(tmp_path / "probe")
        async with proxied(server.port) as proxy:
            assert (await uncut.sync(proxy.port)).result is Result.SUCCESS
            total = proxy.counted
        uncut.close()
        async with proxied(server.port, cut_at=int(total * share)) as proxy:
            record = await copy.sync(proxy.port)
        assert await contents(copy.database) == (new if record.result is Result.SUCCESS else old)
        assert record.result is Result.FAILED or share > 0.9
        assert record.result is Result.SUCCESS or record.reason
        assert not spool_path(copy.database).exists()
        assert (await copy.sync(server.port)).result is Result.SUCCESS
        assert await contents(copy.database) == new


async def _child(*words: object) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(sys.executable, str(PROCESS), *map(str, words), stdout=asyncio.subprocess.PIPE)


@pytest.mark.parametrize("share", [0.05, 0.35, 0.7, 0.9, 0.99])
async def test_a_standby_killed_inside_the_database_keeps_the_old_copy_or_has_the_new_one(tmp_path: Path, share: float) -> None:
    """kill -9 at a chosen step of SQLite's machine, over comparing, applying and verifying."""
    async with behind(tmp_path) as (server, copy):
        old, new = await old_and_new(server, copy)
        copy.close()
        steps = await _steps_uncut(tmp_path, server.port)
        child = await _child("sync", tmp_path, server.port, max(1, int(steps * share)))
        ended = await child.wait()
        again = await standby(tmp_path)
        copy.database, copy.history = again.database, again.history
        assert ended == -signal.SIGKILL
        last = await copy.history.last()
        assert last is not None and last.completed is not None
        assert await contents(copy.database) == (new if last.result is Result.SUCCESS else old)
        assert last.result is Result.SUCCESS or "last complete copy is kept" in last.reason
        assert not spool_path(copy.database).exists()
        assert (await copy.sync(server.port)).result is Result.SUCCESS
        assert await contents(copy.database) == new


async def _steps_uncut(directory: Path, port: int) -> int:
    """How many steps the same sync takes on a copy of the same files."""
    probe = directory / "probe"
    probe.mkdir()
    for name in ("copy.db", "history.db"):
        shutil.copy(directory / name, probe / name)
    child = await _child("sync", probe, port, 0)
    out, _ = await child.communicate()
    assert child.returncode == 0
    return int(out)


@pytest.mark.parametrize("frames", [1, 3, 6])
async def test_a_source_killed_in_the_middle_leaves_the_old_copy(tmp_path: Path, frames: int) -> None:
    async with behind(tmp_path) as (server, copy):
        old, new = await old_and_new(server, copy)
        child = await _child("serve", tmp_path / "source.db")
        assert child.stdout is not None
        port = int(await child.stdout.readline())
        running = asyncio.create_task(copy.sync(port))
        while len(copy.progress) < frames and not running.done():
            await asyncio.sleep(0)
        child.kill()
        record = await running
        await child.wait()
        assert await contents(copy.database) == (new if record.result is Result.SUCCESS else old)
        assert record.result is Result.FAILED and record.reason
        assert (await copy.sync(server.port)).result is Result.SUCCESS


async def test_a_disk_too_full_for_what_arrives_leaves_the_old_copy(tmp_path: Path) -> None:
    async with behind(tmp_path) as (server, copy):
        old, _ = await old_and_new(server, copy)
        spool_path(copy.database).symlink_to("/dev/full")
        record = await copy.sync(server.port)
        assert record.result is Result.FAILED and "No space left" in record.reason
        assert await contents(copy.database) == old
        assert (await copy.sync(server.port)).result is Result.SUCCESS


async def test_a_disk_too_full_for_the_new_copy_leaves_the_old_one(tmp_path: Path) -> None:
    async with behind(tmp_path) as (server, copy):
        old, _ = await old_and_new(server, copy)

        copy.database.close()
        copy.database = Narrow(tmp_path / "copy.db")
        record = await copy.sync(server.port)
        assert record.result is Result.FAILED and "full" in record.reason
        assert await contents(copy.database) == old
        copy.database.close()
        copy.database = Database(tmp_path / "copy.db")
        assert (await copy.sync(server.port)).result is Result.SUCCESS


class Narrow(Database):
    """A database that may not grow by a page."""

    def writer(self) -> SqliteFile:
        made = super().writer()
        pages = asyncio.run(made.read(lambda connection: connection.execute("PRAGMA page_count").fetchone()[0]))
        asyncio.run(made.read(lambda connection: connection.execute(f"PRAGMA max_page_count={pages}").fetchone()))
        return made


async def test_readers_see_the_old_copy_while_the_new_one_is_being_written(tmp_path: Path) -> None:
    """A large sync does not make the Core's own pages wait."""
    async with behind(tmp_path) as (server, copy):
        old = await copy.database.count("devices")
        seen: list[int] = []
        reads: list[asyncio.Task[None]] = []

        async def read() -> None:
            seen.append(await copy.database.count("devices"))

        def on_progress(now: Progress) -> None:
            if now.task == "apply":
                reads.append(asyncio.create_task(read()))

        record = await run_sync("core-a", connecting(server.port), copy.database, copy.facts, copy.history, on_progress)
        await asyncio.gather(*reads)
        assert record.result is Result.SUCCESS and reads
        assert set(seen) <= {old, await copy.database.count("devices")}


async def test_a_copy_that_was_written_to_during_the_sync_is_not_called_equal(tmp_path: Path) -> None:
    """The result is compared with the source before the commit: a foreign row makes the run fail, not the copy wrong."""
    async with behind(tmp_path) as (server, copy):
        running = asyncio.create_task(copy.sync(server.port))
        while not any(line.task == "users" for line in copy.progress) and not running.done():
            await asyncio.sleep(0)
        await copy.database.insert("users", [{"id": 77_777, "name": "foreign"}])
        record = await running
        assert record.result is Result.FAILED and "users would not be the source's" in record.reason
        assert (await copy.sync(server.port)).result is Result.SUCCESS
