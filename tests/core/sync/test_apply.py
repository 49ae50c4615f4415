"""The one durable step on its own: large tables rebuild their unique index, and whatever is wrong leaves everything as it was (G-SY6)."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lbctl.core.database import Database, Origin
from lbctl.core.fill import fill
from lbctl.core.sync import rows
from lbctl.core.sync.apply import LARGE, ApplyError, Hand, Received, apply
from lbctl.core.sync.rows import BucketSum
from lbctl.core.tables import TABLES
from tests.core.sync.pair import contents

SETTINGS = TABLES["settings"]
MANY = LARGE + 50


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "copy.db")
    yield made
    made.close()


def received(directory: Path, content: list[rows.Row]) -> Received:
    """A transfer of these settings."""
    frames = list(rows.row_frames(SETTINGS, iter(content)))
    spool = directory / "spool"
    spool.write_bytes(b"".join(frames))
    sums: dict[int, BucketSum] = {}
    for key, *_, stamp in content:
        known = sums.get(int(str(key)) >> 12, BucketSum(0, 0))
        sums[int(str(key)) >> 12] = BucketSum(known.rows + 1, known.stamps + int(str(stamp)))
    return Received(spool, hashlib.sha256(b"".join(frames)).hexdigest(), {"settings": sums}, {"settings": len(content)})


async def applied(database: Database, transfer: Received, *, stopped: bool = False) -> list[int]:
    """Applies it; how many rows were told of on the way."""
    told: list[int] = []
    hand = Hand(threading.Event(), told.append)
    if stopped:
        hand.stop.set()
    await database.file.read(lambda connection: apply(connection, transfer, Origin("r", "core-a", 1.0, 2.0), hand))
    return told


async def test_a_large_table_is_as_unique_afterwards_as_before(database: Database, tmp_path: Path) -> None:
    told = await applied(database, received(tmp_path, [(key, f"name {key}", "v", 2 * key + 1) for key in range(MANY)]))
    assert told[-1] == MANY == await database.count("settings")
    with pytest.raises(sqlite3.IntegrityError):
        await database.insert("settings", [{"name": "name 7"}])


@pytest.mark.parametrize("count", [10, MANY], ids=["small", "large"])
@pytest.mark.parametrize("wrong", ["a name twice", "stopped", "another checksum", "another sum"])
async def test_what_is_wrong_leaves_everything_as_it_was(database: Database, tmp_path: Path, count: int, wrong: str) -> None:
    await fill(database, devices=20)
    before = await contents(database)
    content: list[rows.Row] = [(key, f"name {key}", "v", 2 * key + 1) for key in range(count)]
    if wrong == "a name twice":
        content[-1] = (count - 1, "name 0", "v", 2 * count - 1)
    transfer = received(tmp_path, content)
    if wrong == "another checksum":
        transfer = Received(transfer.spool, "0", transfer.sums, transfer.rows)
    elif wrong == "another sum":
        transfer = Received(transfer.spool, transfer.sha256, {"settings": {0: BucketSum(1, 1)}}, transfer.rows)
    with pytest.raises(ApplyError):
        await applied(database, transfer, stopped=wrong == "stopped")
    assert await contents(database) == before and await database.origin() is None
    with pytest.raises(sqlite3.IntegrityError):
        await database.insert("settings", [{"name": "setting.0"}])


def test_only_what_is_mostly_new_and_large_is_rebuilt(tmp_path: Path) -> None:
    sums = {name: {0: BucketSum(3 * LARGE, 1)} for name in ("users", "devices", "logs")}
    transfer = Received(tmp_path, "", sums, {"users": 2 * LARGE, "devices": LARGE + 1, "logs": LARGE})
    assert [table.name for table in transfer.large()] == ["users"]
