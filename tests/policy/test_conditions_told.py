"""What is told once, and when it is told to be over."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lbctl.model import commands as ask
from lbctl.model.events import SyncSeen, SyncUnknown
from lbctl.model.settings import Freshness
from tests.policy.stage import Stage, pair

WHO: Any = {"service": "core", "by": "ann", "reason": "story"}


def test_what_a_maintenance_mutes_is_not_told_to_be_over() -> None:
    """SEMANTICS 7: muted, not mended; it is over when it is."""
    stage = Stage().normal()
    stage.rounds(4, a="ok/primary", b="fail")
    assert stage.told("StandbyDown")
    stage.notes.clear()
    stage.ask(ask.MaintenanceOn(until=stage.now + 3600, **WHO))
    stage.rounds(2, a="ok/primary", b="fail")
    assert not stage.told("StandbyDown-over")
    stage.rounds(4, a="ok/primary", b="503/standby")
    assert len(stage.told("StandbyDown-over")) == 1


def _watched(rule: Freshness) -> Stage:
    settings = pair()
    return Stage(replace(settings, members=(settings.members[0], replace(settings.members[1], freshness=rule)))).normal()


def test_a_standby_whose_copy_is_too_old_is_nobody_who_could_take_over() -> None:
    """H1: its pages are well, and the gate is shut to it; a new sync opens it."""
    stage = _watched(Freshness(3600.0))
    assert not stage.told("NoEligibleStandby"), "what the source has not told yet is no alarm"
    stage.hear(SyncSeen("b", "a", stage.now - 3500, stage.now - 3490))
    stage.rounds(2, a="ok/primary", b="503/standby")
    assert not stage.told("NoEligibleStandby")
    stage.hear(SyncSeen("b", "a", stage.now - 3700, stage.now - 3690))
    assert len(stage.told("NoEligibleStandby")) == 1
    stage.hear(SyncSeen("b", "a", stage.now - 20, stage.now - 10))
    assert len(stage.told("NoEligibleStandby-over")) == 1


def test_a_copy_of_unknown_age_counts_as_the_gate_counts_it() -> None:
    """H1: `unknown: allow | block`."""
    for blocks in (False, True):
        stage = _watched(Freshness(3600.0, unknown_blocks=blocks))
        stage.hear(SyncUnknown("b", "no answer"))
        assert bool(stage.told("NoEligibleStandby")) is blocks
