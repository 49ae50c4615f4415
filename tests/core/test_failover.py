"""The heartbeat at work, on virtual time: when it looks, what it logs, what it does (G-HB)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lbctl.clock import LoopClock
from lbctl.core.failover import Failover
from lbctl.core.logbook import HIGH_AVAILABILITY, Logbook
from lbctl.core.record import Record
from lbctl.core.settings import HaSettings
from lbctl.core.statefile import StateFile
from lbctl.core.watch import Look
from tests import virtual
from tests.core.cores import settings

HA = {"enabled": True, "mode": "Secondary", "primary_host": "core-a", "heartbeat_interval": 60, "heartbeat_failures": 3, "recheck_interval": 20}


class Told:
    """A notifier that remembers."""

    def __init__(self) -> None:
        self.notices: list[bool] = []

    def failure_detected(self, primary: str, detail: str, *, promoted: bool) -> None:
        self.notices.append(promoted)


class Stage:
    """One Secondary, its record on disk, and a Primary that is dead at the given times (seconds from the start)."""

    def __init__(self, tmp_path: Path, dead: list[tuple[float, float]], **ha: object) -> None:
        config = settings(tmp_path, "core-b", ha={**HA, **ha})
        config.directory.mkdir()
        self.clock = LoopClock()
        self.log = Logbook(config.directory, self.clock)
        self.record = Record(StateFile(config.directory / "state.json"), config, self.log, self.clock)
        self.record.load(config)
        self.told = Told()
        self.dead = dead
        self.looks: list[float] = []
        self.unsaved = 0
        self.promoted_at: float | None = None
        self.begun = self.clock.now()
        self.loop = Failover(self.record, self.log, self.clock, self.told, self.look, lambda: False, self.promote)

    @property
    def time(self) -> float:
        return round(self.clock.now() - self.begun, 3)

    async def look(self, host: str) -> Look:
        self.looks.append(self.time)
        return Look(not any(start <= self.time < end for start, end in self.dead), "seen", 0.0)

    async def promote(self, cause: str) -> None:
        if self.unsaved:
            self.unsaved -= 1
            raise OSError(28, "No space left on device")
        self.record.promote(cause)
        self.promoted_at = self.time


def play(tmp_path: Path, seconds: float, dead: list[tuple[float, float]], *, unsaved: int = 0, **ha: object) -> Stage:
    async def story() -> Stage:
        stage = Stage(tmp_path, dead, **ha)
        stage.unsaved = unsaved
        task = asyncio.create_task(stage.loop.run())
        await asyncio.sleep(seconds)
        task.cancel()
        return stage

    return virtual.run(story())


def test_it_looks_at_the_interval_and_after_a_failure_at_the_recheck_interval(tmp_path: Path) -> None:
    """G-HB: Heartbeat Interval, Re-check interval."""
    assert play(tmp_path, 230, [(100, 150)]).looks == [0, 60, 120, 140, 160, 220]


def test_promote_to_primary_promotes_at_the_configured_failure_and_then_watches_nobody(tmp_path: Path) -> None:
    """G-HB, G-ST table 1: Primary down, the Secondary is promoted; the scheduler stops."""
    stage = play(tmp_path, 1000, [(61, 1e9)], if_failure_detected="promote")
    assert stage.promoted_at == 160
    assert (stage.record.role.mode, stage.record.role.state, stage.record.role.scheduler) == ("Secondary", "Active", False)
    assert stage.looks[-1] == 160
    assert stage.told.notices == [True]


def test_keep_in_standby_notifies_once_an_outage_and_stays(tmp_path: Path) -> None:
    """G-HB: the failover process gets initiated, notifications are completed, but the Secondary stays in standby mode."""
    stage = play(tmp_path, 1000, [(61, 300), (500, 700)], if_failure_detected="keep-standby")
    assert stage.record.role.standby
    assert stage.told.notices == [False, False]
    assert any("kept in Standby" in line for line in stage.log.tail(HIGH_AVAILABILITY))


def test_a_primary_that_is_gone_for_less_than_the_configured_failures_is_no_failover(tmp_path: Path) -> None:
    stage = play(tmp_path, 1000, [(119, 155), (239, 275)], if_failure_detected="promote")
    assert stage.promoted_at is None
    assert stage.told.notices == []


def test_a_promotion_that_cannot_be_saved_has_not_happened_and_is_tried_again(tmp_path: Path) -> None:
    """G-ST: saved first, shown afterwards."""
    stage = play(tmp_path, 1000, [(61, 1e9)], unsaved=2, if_failure_detected="promote")
    assert stage.promoted_at == 200
    assert stage.told.notices == [True]
    assert sum("not saved" in line for line in stage.log.tail(HIGH_AVAILABILITY)) == 2


def test_saving_the_settings_forgets_the_failures_so_far(tmp_path: Path) -> None:
    """The looks so far may have belonged to another Primary."""

    async def story() -> Stage:
        stage = Stage(tmp_path, [(0, 1e9)], if_failure_detected="promote")
        task = asyncio.create_task(stage.loop.run())
        await asyncio.sleep(30)
        another = HaSettings.model_validate({**HA, "primary_host": "core-c", "if_failure_detected": "promote"})
        stage.record.save_ha(another, active=False, cause="test")
        await asyncio.sleep(29)
        assert stage.record.role.standby
        task.cancel()
        return stage

    assert virtual.run(story()).looks == [0, 20, 30, 50]


@pytest.mark.parametrize("ha", [{"enabled": False}, {"mode": "Primary"}, {"primary_host": ""}], ids=["HA disabled", "a Primary", "no Primary chosen"])
def test_without_a_standby_that_has_a_primary_there_is_no_heartbeat(tmp_path: Path, ha: dict[str, object]) -> None:
    """G-HA: disabling HA stops it."""

    async def story() -> Stage:
        stage = Stage(tmp_path, [], **ha)
        task = asyncio.create_task(stage.loop.run())
        await asyncio.sleep(1000)
        task.cancel()
        return stage

    assert virtual.run(story()).looks == []
