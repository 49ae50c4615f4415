"""The database of a Core: stamps that every change renews, frozen views, and what belongs to a replica."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from lbctl.core.database import Database, Origin, put_origin
from lbctl.core.fill import fill
from lbctl.core.sync import rows
from lbctl.core.tables import TABLES, Part, replicated

SETTING = TABLES["settings"]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "core.db")
    yield made
    made.close()


async def stamp(database: Database, key: int) -> int:
    query = "SELECT stamp FROM settings WHERE id = ?"
    return int(await database.file.read(lambda connection: connection.execute(query, (key,)).fetchone()[0]))


async def test_every_change_of_a_row_renews_its_stamp_and_no_other(database: Database) -> None:
    await database.insert("settings", [{"name": "a", "value": "1"}, {"name": "b", "value": "1"}])
    before = [await stamp(database, 1), await stamp(database, 2)]
    await database.update("settings", 1, {"value": "2"})
    after = [await stamp(database, 1), await stamp(database, 2)]
    assert before[0] != after[0] and before[1] == after[1]
    assert all(0 < number < 1 << 48 and number & 1 for number in (*before, *after))


async def test_a_row_that_is_deleted_and_made_again_is_another_row(database: Database) -> None:
    await database.insert("settings", [{"id": 1, "name": "a"}])
    before = await stamp(database, 1)
    await database.delete("settings", 1)
    await database.insert("settings", [{"id": 1, "name": "a"}])
    assert await stamp(database, 1) != before


async def test_a_copied_row_keeps_the_stamp_that_it_came_with(database: Database) -> None:
    await database.insert("settings", [{"id": 1, "name": "a"}])
    for _ in range(2):
        await database.file.write(lambda connection: rows.put_rows(connection, SETTING, [(1, "a", "2", 77)]))
        assert await stamp(database, 1) == 77


async def test_rows_are_added_all_or_none(database: Database) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        await database.insert("settings", [{"name": "a"}, {"name": "b"}, {"name": "a"}])
    assert await database.count("settings") == 0


async def test_a_snapshot_does_not_see_what_is_written_later(database: Database) -> None:
    await database.insert("settings", [{"name": "a"}])
    snapshot = database.snapshot()
    try:
        await snapshot.begin()
        await database.insert("settings", [{"name": "b"}])
        assert len(await snapshot.read(lambda connection: rows.bucket_sums(connection, SETTING))) == 1
        assert (await snapshot.read(lambda connection: rows.bucket_sums(connection, SETTING)))[0].rows == 1
        assert await database.count("settings") == 2
    finally:
        snapshot.close()


async def test_a_core_that_never_synced_has_no_origin_and_the_latest_one_counts(database: Database) -> None:
    assert await database.origin() is None
    for run in ("1", "2"):
        await database.file.write(lambda connection, run=run: put_origin(connection, Origin(run, "core-a", 1.0, 2.0)))
    assert await database.origin() == Origin("2", "core-a", 1.0, 2.0)


async def test_select_gives_the_newest_first_and_filters(database: Database) -> None:
    people = (("a", "admin"), ("b", "viewer"), ("c", "admin"))
    await database.insert("local_users", [{"name": name, "password_hash": "x", "role": role} for name, role in people])
    assert [row["name"] for row in await database.select("local_users", {"role": "admin"})] == ["c", "a"]
    assert [row["name"] for row in await database.select("local_users", limit=1)] == ["c"]
    assert "stamp" not in (await database.select("local_users"))[0]


async def test_the_generator_makes_as_many_devices_as_asked_and_the_same_again(database: Database, tmp_path: Path) -> None:
    await fill(database, devices=90)
    await fill(database, devices=10, start=91)
    assert await database.count("devices") == 100
    other = Database(tmp_path / "other.db")
    await fill(other, devices=90)
    assert await other.select("devices", {"id": 17}) == await database.select("devices", {"id": 17})
    other.close()


def names(*, atlas: bool, core: bool) -> set[str]:
    return {table.name for table in replicated(atlas=atlas, core=core)}


def test_replicated_are_the_admin_portal_and_of_the_system_manager_certificates_and_local_users_alone() -> None:
    """G-SY4."""
    admin = {"users", "devices", "apps", "policies", "configs", "settings", "logs", "events", "files"}
    assert names(atlas=False, core=True) == admin | {"certificates", "local_users"}
    assert {table.name for table in TABLES.values() if table.part is Part.SYSTEM} == {"certificates", "local_users"}


def test_atlas_data_is_replicated_where_both_have_it_and_on_its_own_for_atlas_only_servers() -> None:
    """G-SY4, G-AT."""
    atlas = {"atlas_reports", "atlas_metrics"}
    assert names(atlas=True, core=True) - names(atlas=False, core=True) == atlas
    assert names(atlas=True, core=False) == atlas | {"certificates", "local_users"}


async def test_sums_reach_over_negative_and_far_keys(database: Database) -> None:
    await database.insert("settings", [{"id": key, "name": str(key)} for key in (-5000, -1, 0, 4095, 4096, 1 << 50)])
    sums = await database.file.read(lambda connection: rows.bucket_sums(connection, SETTING))
    assert {bucket: known.rows for bucket, known in sums.items()} == {-2: 1, -1: 1, 0: 2, 1: 1, (1 << 50) >> 12: 1}
