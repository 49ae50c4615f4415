"""The state file under everything that can happen to a file: torn, full, read-only, old, new, killed (H25, H26)."""

from __future__ import annotations

import asyncio
import os
import resource
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from lbctl.errors import StoreUnavailable
from lbctl.model.decision import Step
from lbctl.model.state import Saved
from lbctl.stores import JournalLimits
from lbctl.stores.sqlite import SqliteStore
from lbctl.stores.sqlite_file import open_database
from lbctl.stores.sqlite_thread import SqliteThread
from tests.stores.test_contract import broken


def step(text: str, at: float = 1.0) -> Step:
    return Step(at=at, service="core", kind="test", text=text)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest_asyncio.fixture
async def filled(path: Path) -> AsyncIterator[Path]:
    """Three revisions of one service, then closed."""
    store = SqliteStore(path)
    for n in range(3):
        await store.save(Saved(service="core", counter=n), expected=n, steps=[step(f"line {n}")])
    await store.close()
    yield path


def change(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()


async def reopened(path: Path) -> tuple[Saved | None, int, str]:
    store = SqliteStore(path)
    try:
        loaded = await store.load("core")
        return loaded.saved, loaded.revision, loaded.problem
    finally:
        await store.close()


@pytest.mark.parametrize("damage", ["text = substr(text, 1, 20)", "text = replace(text, 'core', 'fore')", "sum = 'x'", "text = '{}'"])
async def test_a_torn_state_falls_back_to_the_copy_before_it_and_says_so(filled: Path, damage: str) -> None:
    change(filled, f"UPDATE state SET {damage}")
    saved, revision, problem = await reopened(filled)
    assert saved is not None
    assert (saved.counter, revision) == (1, 3)
    assert "torn" in problem


async def test_with_both_copies_torn_the_state_is_unreadable_not_new(filled: Path) -> None:
    change(filled, "UPDATE state SET sum = 'x', old_sum = 'y'")
    saved, revision, problem = await reopened(filled)
    assert (saved, revision) == (None, 3)
    assert "copy before it" in problem


async def test_after_a_fallback_saving_goes_on(filled: Path) -> None:
    change(filled, "UPDATE state SET sum = 'x'")
    store = SqliteStore(filled)
    assert await store.save(Saved(service="core", counter=9), expected=3, steps=[]) == 4
    assert (await store.load("core")).saved == Saved(service="core", counter=9)
    await store.close()


@pytest.mark.parametrize("garbage", [b"\0" * 40_000, b"not a database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000],
                         ids=["zeros", "text", "header"])
async def test_garbage_is_moved_aside_never_deleted_and_reported(path: Path, garbage: bytes) -> None:
    path.write_bytes(garbage)
    saved, _, problem = await reopened(path)
    assert saved is None
    assert "state.db.broken-1" in problem
    assert path.with_name("state.db.broken-1").read_bytes() == garbage


async def test_a_page_overwritten_in_the_state_table_is_found_at_the_start(filled: Path) -> None:
    with sqlite3.connect(filled) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        root = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'state'").fetchone()[0]
    connection.close()
    raw = bytearray(filled.read_bytes())
    raw[(root - 1) * 4096:root * 4096] = b"\xde\xad" * 2048
    filled.write_bytes(bytes(raw))
    saved, _, problem = await reopened(filled)
    assert saved is None
    assert "broken-1" in problem


async def test_a_page_that_sqlite_can_read_and_its_own_check_does_not_pass_is_found_at_the_start(filled: Path) -> None:
    """H26: two of the page's pointers lead to one row; every question is answered, and one service is gone without a word."""
    store = SqliteStore(filled)
    await store.save(Saved(service="sentry"), expected=0, steps=[])
    await store.close()
    with sqlite3.connect(filled) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        root = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'state'").fetchone()[0]
    connection.close()
    raw, pointers = bytearray(filled.read_bytes()), (root - 1) * 4096 + 8
    raw[pointers:pointers + 2] = raw[pointers + 2:pointers + 4]
    filled.write_bytes(bytes(raw))
    saved, _, problem = await reopened(filled)
    assert saved is None and "broken-1" in problem


async def test_what_a_torn_file_left_in_its_log_is_kept_with_it(path: Path) -> None:
    """Evidence: the log may hold the only good copy; and laid over the new file it would be taken for its own."""
    for suffix in ("", "-wal"):
        path.with_name(path.name + suffix).write_bytes(b"garbage" * 100)
    await reopened(path)
    assert [path.with_name(f"state.db.broken-1{suffix}").read_bytes()[:7] for suffix in ("", "-wal")] == [b"garbage"] * 2


def test_a_commit_survives_a_power_cut_and_nobody_else_reads_the_file(path: Path) -> None:
    """H25, H54: by SQLite's own word that it waits for the disk, and whatever the umask of the one who started it."""
    before = os.umask(0)
    try:
        connection = open_database(path).connection
    finally:
        os.umask(before)
    assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2 and connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert path.stat().st_mode & 0o777 == 0o600
    connection.close()


async def test_a_second_torn_file_does_not_replace_the_first(path: Path) -> None:
    for n in (1, 2):
        path.write_bytes(f"garbage {n}".encode() * 50)
        await reopened(path)
        assert path.with_name(f"state.db.broken-{n}").exists()
        for part in path.parent.glob("state.db*"):
            if "broken" not in part.name:
                part.unlink()


async def test_a_file_of_a_newer_version_is_refused_and_left_alone(filled: Path) -> None:
    change(filled, "PRAGMA user_version = 99")
    store = SqliteStore(filled)
    loaded = await store.load("core")
    assert loaded.saved is None
    assert "version 99" in loaded.problem
    with pytest.raises(StoreUnavailable):
        await store.save(Saved(service="core"), expected=3, steps=[])
    await store.close()
    change(filled, "PRAGMA user_version = 1")
    assert (await reopened(filled))[1] == 3


async def test_a_full_disk_saves_nothing_and_is_found_well_again_by_itself(path: Path) -> None:
    store = SqliteStore(path)
    await store.save(Saved(service="core"), expected=0, steps=[])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    big = [step("x" * 1000) for _ in range(200)]
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, before[1]))
    try:
        with pytest.raises(StoreUnavailable):
            await store.save(Saved(service="core", counter=1), expected=1, steps=big)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    loaded = await store.load("core")
    assert (loaded.saved, loaded.revision) == (Saved(service="core"), 1)
    assert await store.save(Saved(service="core", counter=1), expected=1, steps=big) == 2
    assert await broken(store) is None
    await store.close()


async def test_where_nothing_can_be_opened_loading_tells_and_saving_raises(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = SqliteStore(tmp_path / "file" / "state.db")
    loaded = await store.load("core")
    assert loaded.saved is None
    assert loaded.problem
    with pytest.raises(StoreUnavailable):
        await store.save(Saved(service="core"), expected=0, steps=[])
    await store.close()


_WRITER = """
import asyncio, sys
from lbctl.model.decision import Step
from lbctl.model.state import Saved
from lbctl.stores.sqlite import SqliteStore
from lbctl.stores.sqlite_file import open_database
from lbctl.stores.sqlite_thread import SqliteThread

async def main():
    store = SqliteStore(sys.argv[1])
    n = 0
    while True:
        await store.save(Saved(service="core", counter=n), expected=n, steps=[Step(at=float(n), service="core", kind="t", text=str(n))])
        n += 1
        print(n, flush=True)

asyncio.run(main())
"""


async def test_killed_at_any_moment_every_save_that_was_told_is_there(path: Path) -> None:
    """H25: kill -9 in the middle of saving."""
    for _ in range(3):
        for part in path.parent.glob("state.db*"):
            part.unlink()
        with subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout
            told = 0
            while told < 20:
                told = int(writer.stdout.readline())
            writer.kill()
            told = max([told, *(int(line) for line in writer.stdout if line.endswith("\n"))])
        saved, revision, problem = await reopened(path)
        assert problem == ""
        assert revision >= told
        assert saved == Saved(service="core", counter=revision - 1)


@pytest.mark.parametrize("tampering", [
    pytest.param("UPDATE journal SET text = 'other' WHERE seq = 2", id="changed"),
    pytest.param("DELETE FROM journal WHERE seq = 2", id="taken out"),
    pytest.param("UPDATE journal SET at = 2.5 WHERE seq = 2", id="moved in time"),
])
async def test_the_chain_names_the_first_line_that_was_touched(filled: Path, tampering: str) -> None:
    change(filled, tampering)
    store = SqliteStore(filled)
    assert await broken(store) == 2
    await store.close()


async def test_a_journal_cut_short_at_its_end_is_seen(filled: Path) -> None:
    change(filled, "DELETE FROM journal WHERE seq = 3")
    store = SqliteStore(filled)
    assert await broken(store) == 3
    await store.close()


async def test_old_lines_go_and_what_is_left_is_a_whole_chain(path: Path) -> None:
    store = SqliteStore(path, JournalLimits(keep_s=100))
    for n in range(400):
        await store.append([step(str(n), at=float(n))])
    kept = await store.steps(limit=1000)
    assert 100 <= len(kept) < 350
    assert kept[-1].text == "399"
    assert await broken(store) is None
    await store.close()


async def test_the_journal_stays_within_its_size(path: Path) -> None:
    store = SqliteStore(path, JournalLimits(size_max_bytes=400_000))
    for n in range(300):
        await store.append([step("x" * 500, at=float(n)) for _ in range(20)])
    assert path.stat().st_size < 3_000_000
    assert await broken(store) is None
    assert (await store.steps(limit=1, newest=True))[0].seq == 6000
    await store.close()


async def test_following_the_chain_passes_over_what_was_dropped_meanwhile(path: Path) -> None:
    """The far end of the journal goes while it is followed."""
    store = SqliteStore(path, JournalLimits(keep_s=100))
    await store.append([step(str(n), at=float(n)) for n in range(400)])
    found = await store.verify(limit=50)
    for n in range(400, 800):
        await store.append([step(str(n), at=float(n))])
    assert (await store.steps(limit=1))[0].seq > found.upto + 1
    found = await store.verify(found.upto, limit=10_000)
    assert (found.broken_at, found.upto, found.head) == (None, 800, 800)
    assert (await store.verify(900)).broken_at == 900
    await store.close()


async def test_a_value_that_cannot_be_stored_is_refused_and_the_store_goes_on(path: Path) -> None:
    """H26: half a surrogate must not end the thread, or every later save would be refused."""
    store = SqliteStore(path)
    try:
        with pytest.raises(StoreUnavailable, match="surrogates"):
            await store.save(Saved("core"), expected=0, steps=[step("\ud800")])
        assert await store.save(Saved("core"), expected=0, steps=[step("well")]) == 1
    finally:
        await store.close()


async def test_a_disk_that_hangs_does_not_keep_the_process_from_ending(path: Path) -> None:
    well = threading.Event()

    def connect() -> sqlite3.Connection:
        well.wait(60)
        return sqlite3.connect(path, check_same_thread=False, isolation_level=None)

    thread = SqliteThread(connect, ending_s=0.1)
    asked = asyncio.create_task(thread.call(lambda connection: connection.execute("SELECT 1").fetchone(), writes=False))
    await asyncio.sleep(0)
    async with asyncio.timeout(20):
        await thread.close()
        await asyncio.get_running_loop().shutdown_default_executor()  # as the end of a loop does: a thread that joins the stuck one would be in it
    with pytest.raises(StoreUnavailable):
        await thread.call(lambda connection: None, writes=False)
    well.set()
    assert await asked == (1,), "what was queued before the end is done"
