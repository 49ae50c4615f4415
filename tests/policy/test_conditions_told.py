"""What is told once, and when it is told to be over."""

from __future__ import annotations

from typing import Any

from lbctl.model import commands as ask
from tests.policy.stage import Stage

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
