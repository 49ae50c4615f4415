"""When a Core replicates (G-SY1 to G-SY3): the schedule on virtual time, and syncs between two real Cores."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncssh
import pytest

from lbctl.clock import LoopClock
from lbctl.core.facts import Facts
from lbctl.core.logbook import HIGH_AVAILABILITY, Logbook
from lbctl.core.notices import Notices
from lbctl.core.record import Record
from lbctl.core.replication import Replication, SyncNotAllowed, SyncStopped
from lbctl.core.settings import HaSettings
from lbctl.core.statefile import StateFile
from lbctl.core.sync.history import RunRecord, SyncOverlap
from tests import virtual
from tests.core.cores import pair, settings, until

HOUR = 3600
HA = {"enabled": True, "mode": "Secondary", "primary_host": "core-a", "run_every": 2, "run_every_unit": "hours"}


class Stage:
    """A Secondary whose Primary cannot be reached: every sync that is due leaves a record at its moment."""

    def __init__(self, base: Path, start_time: str, connect: Callable[[str], Awaitable[asyncssh.SSHClientConnection]] | None = None) -> None:
        config = settings(base, "core-b", ha={**HA, "start_time": start_time})
        config.directory.mkdir()
        self.clock = LoopClock()
        self.log = Logbook(config.directory, self.clock)
        self.record = Record(StateFile(config.directory / "state.json"), config, self.log, self.clock)
        self.record.load(config)
        notices = Notices(config, self.record, self.log, self.clock)
        self.halted = False
        self.replication = Replication(
            config.directory, self.record, self.log, self.clock, notices=notices, connect=connect or self.nobody, facts=self.facts)
        self.begun = self.clock.now()

    async def nobody(self, host: str) -> asyncssh.SSHClientConnection:
        raise ConnectionRefusedError(111, "Connection refused")

    def facts(self) -> Facts:
        role = self.record.role
        return Facts("core-b", "11.3.0.0", role.mode, role.state, role.ha_enabled, False, True, self.clock.now(), 2, 1024)

    async def starts(self) -> list[float]:
        """Hours from the beginning at which syncs started, oldest first."""
        return [round((run.started - self.begun) / HOUR, 2) for run in reversed(await self.replication.history.runs())]


def play(base: Path, start_time: str, act: Callable[[Stage], Awaitable[None]]) -> tuple[Stage, list[float]]:
    """The anchor of virtual time is 08:00 GMT."""

    async def story() -> tuple[Stage, list[float]]:
        stage = Stage(base, start_time)
        assert stage.begun % 86400 == 8 * HOUR
        task = asyncio.create_task(stage.replication.schedule(lambda: stage.halted))
        await act(stage)
        starts = await stage.starts()
        task.cancel()
        await stage.replication.close()
        return stage, starts

    return virtual.run(story())


def test_the_first_sync_is_at_start_time_and_then_every_so_often(tmp_path: Path) -> None:
    """G-SY2."""
    assert play(tmp_path, "09:30", lambda _: asyncio.sleep(6 * HOUR))[1] == [1.5, 3.5, 5.5]


def test_settings_saved_after_todays_start_time_mean_tomorrow(tmp_path: Path) -> None:
    """G-SY2: the guide's next-day rule; every Save overwrites the scheduler."""

    async def act(stage: Stage) -> None:
        await asyncio.sleep(2 * HOUR)
        stage.record.save_ha(stage.record.ha.model_copy(update={"email": "ops@example.com"}), active=False, cause="test")
        await asyncio.sleep(24 * HOUR)

    assert play(tmp_path, "09:00", act)[1] == [1, 25]


@pytest.mark.parametrize("change", ["disable", "promote"])
def test_disabling_ha_or_a_promotion_stops_the_schedule(tmp_path: Path, change: str) -> None:
    """G-HA, G-SY1."""

    async def act(stage: Stage) -> None:
        await asyncio.sleep(2 * HOUR)
        stage.record.enable(False, "test") if change == "disable" else stage.record.promote("test")
        await asyncio.sleep(24 * HOUR)
        stage.record.demote("test")
        await asyncio.sleep(24 * HOUR)

    stage, starts = play(tmp_path, "09:00", act)
    assert starts == [1]
    assert stage.replication.next_run is None


def test_enabling_ha_starts_the_schedule_anew(tmp_path: Path) -> None:
    """G-HA: Enable starts the scheduling process."""

    async def act(stage: Stage) -> None:
        stage.record.enable(False, "test")
        await asyncio.sleep(2 * HOUR)
        stage.record.enable(True, "test")
        await asyncio.sleep(24 * HOUR)

    assert play(tmp_path, "09:00", act)[1] == [25]


def test_a_moment_that_passes_while_the_core_is_off_is_not_caught_up(tmp_path: Path) -> None:
    async def act(stage: Stage) -> None:
        stage.halted = True
        stage.record.wake()
        await asyncio.sleep(4 * HOUR)
        stage.halted = False
        stage.record.wake()
        await asyncio.sleep(2 * HOUR)

    assert play(tmp_path, "09:00", act)[1] == [5]


def test_syncs_never_overlap_and_a_moment_under_a_long_sync_is_left_out(tmp_path: Path) -> None:
    """G-SY2: a sync of five hours, due every two."""

    async def story() -> list[float]:
        async def slow(host: str) -> asyncssh.SSHClientConnection:
            await asyncio.sleep(5 * HOUR)
            raise ConnectionRefusedError(111, "Connection refused")

        stage = Stage(tmp_path, "09:00", slow)
        task = asyncio.create_task(stage.replication.schedule(lambda: False))
        await asyncio.sleep(2 * HOUR)
        with pytest.raises(SyncOverlap):
            await stage.replication.run("core-a", "Run Sync Now")
        await asyncio.sleep(11.5 * HOUR)
        starts = await stage.starts()
        task.cancel()
        await stage.replication.close()
        return starts

    assert virtual.run(story()) == [1, 7, 13]


async def test_run_sync_now_copies_and_the_history_has_every_task(tmp_path: Path) -> None:
    """G-SY1, G-SY3: the first copies everything, the next only what changed; Last Sync Status."""
    async with pair(tmp_path) as (a, b):
        await a.replication.database.insert("devices", [{"uuid": f"device-{n}"} for n in range(2000)])
        first = await b.run_sync("127.0.0.1", "test")
        await a.replication.database.insert("devices", [{"uuid": "one more"}])
        second = await b.run_sync("127.0.0.1", "test")
        assert (first.result, second.result) == ("Success", "Success")
        assert second.received_bytes * 5 < first.received_bytes
        assert await b.replication.database.count("devices") == 2001
        last = await b.replication.history.last()
        assert last is not None
        assert last.completed is not None
        assert last.run == second.run
        assert all(task.result == "Success" for task in last.tasks)


@pytest.mark.parametrize("active", [True, False], ids=["promoted Secondary", "Primary"])
async def test_only_a_standby_syncs(tmp_path: Path, active: bool) -> None:
    """G-SY1."""
    async with pair(tmp_path) as (a, b):
        node = b if active else a
        await node.promote("test")
        with pytest.raises(SyncNotAllowed, match="does not replicate" if not active else "Active"):
            await node.run_sync("127.0.0.1", "test")


async def test_different_software_versions_are_refused_with_both_named(tmp_path: Path) -> None:
    """G-SY5: made for real, two Cores of different versions."""
    async with pair(tmp_path) as (a, b):
        object.__setattr__(a.settings, "version", "11.4.0.0")
        run = await b.run_sync("127.0.0.1", "test")
        assert run.result == "Failed"
        assert "11.3.0.0" in run.reason
        assert "11.4.0.0" in run.reason


async def test_a_promotion_cuts_a_running_sync_first_and_keeps_the_last_complete_copy(tmp_path: Path) -> None:
    """G-SY1, G-SY6: never replicate over an active Core's data."""
    async with pair(tmp_path) as (a, b):
        await a.replication.database.insert("devices", [{"uuid": f"device-{n}", "model": "x" * 200} for n in range(20_000)])
        syncing = asyncio.create_task(b.run_sync("127.0.0.1", "test"))
        await until(lambda: b.replication.progress, "the transfer")
        await b.promote("test")
        with pytest.raises(SyncStopped):
            await syncing
        assert not b.role.standby
        assert not b.replication.running
        assert await b.replication.database.count("devices") == 0
        last = await b.replication.history.last()
        assert last is not None
        assert last.result == "Failed"


@pytest.mark.parametrize(("on_a", "on_b", "copied"), [(True, True, 3), (True, False, 0), (False, True, 0)], ids=["both", "source only", "copy only"])
async def test_atlas_data_is_replicated_only_where_it_is_enabled_on_both(tmp_path: Path, on_a: bool, on_b: bool, copied: int) -> None:
    """G-AT, G-SY4: Settings > Services > Atlas on each."""
    async with pair(tmp_path) as (a, b):
        await a.replication.database.insert("atlas_metrics", [{"name": f"m{n}", "value": n} for n in range(3)])
        a.record.set_atlas(on_a, "test")
        b.record.set_atlas(on_b, "test")
        assert (await b.run_sync("127.0.0.1", "test")).result == "Success"
        assert await b.replication.database.count("atlas_metrics") == copied


async def test_an_atlas_only_pair_replicates_atlas_and_local_users(tmp_path: Path) -> None:
    """G-SY4: Atlas set up on its own server."""
    async with pair(tmp_path, core_services=False, atlas=True) as (a, b):
        await a.replication.database.insert("atlas_metrics", [{"name": "m", "value": 1.0}])
        assert (await b.run_sync("127.0.0.1", "test")).result == "Success"
        assert await b.replication.database.count("atlas_metrics") == 1


async def test_what_is_the_system_managers_own_is_not_replicated(tmp_path: Path) -> None:
    """G-SY4: mode, HA Configuration, trusted hosts and keys stay; the local users come."""
    async with pair(tmp_path) as (a, b):
        password = (a.settings.directory / "admin-password").read_text().strip()
        before = (b.record.saved, b.trust.hosts(), b.trust.local_key)
        assert not await b.users.verify("admin", password)
        await b.run_sync("127.0.0.1", "test")
        assert (b.record.saved, b.trust.hosts(), b.trust.local_key) == before
        assert await b.users.verify("admin", password)


def test_the_log_says_why_a_scheduled_sync_was_left_out(tmp_path: Path) -> None:
    async def story() -> list[str]:
        async def slow(host: str) -> asyncssh.SSHClientConnection:
            await asyncio.sleep(HOUR)
            raise ConnectionRefusedError(111, "Connection refused")

        stage = Stage(tmp_path, "09:00", slow)
        task = asyncio.create_task(stage.replication.schedule(lambda: False))
        await asyncio.sleep(HOUR - 10)
        by_hand: asyncio.Task[RunRecord] = asyncio.create_task(stage.replication.run("core-a", "Run Sync Now"))
        await asyncio.sleep(20)
        task.cancel()
        by_hand.cancel()
        await stage.replication.close()
        return stage.log.tail(HIGH_AVAILABILITY)

    assert any("left out: a sync is running already" in line for line in virtual.run(story()))


def test_ha_settings_know_their_schedule() -> None:
    ha = HaSettings.model_validate({"start_time": "13:30", "run_every": 2, "run_every_unit": "days"})
    schedule = ha.schedule(0.0)
    assert (schedule.start_s, schedule.every_s) == (13 * HOUR + 1800, 48 * HOUR)
