"""What ends by time (SEMANTICS sections 2 and 7): maintenance and arming again, holds."""

from __future__ import annotations

from typing import Any

from lbctl.model import commands as ask
from lbctl.model.commands import Code
from tests.policy.stage import Stage

WHO: Any = {"service": "core", "by": "ann", "reason": "story"}
HOUR = 3600.0


def test_a_maintenance_that_is_planned_does_not_end_the_one_that_is_on() -> None:
    """H33: nothing leaves maintenance but through re-arming."""
    stage = Stage().normal()
    stage.ask(ask.MaintenanceOn(until=stage.now + HOUR, **WHO))
    reply = stage.ask(ask.MaintenanceOn(since=stage.now + 9 * HOUR, until=stage.now + 10 * HOUR, **WHO))
    assert (reply.code, reply.rule) == (Code.REFUSED, "not-in-maintenance")
    assert stage.view["maintenance"]["on"]


def test_the_end_of_a_maintenance_pages_nobody_while_all_is_well() -> None:
    """SEMANTICS 7: counters are reset, which alone is no reason to wake somebody."""
    stage = Stage().normal()
    stage.ask(ask.MaintenanceOn(until=stage.now + HOUR, **WHO))
    stage.ask(ask.MaintenanceOff(**WHO))
    assert stage.view["state"] == "re-arming"
    stage.rounds(6, a="ok/primary", b="503/standby")
    assert stage.view["state"] == "normal" and not stage.told("NotArmed")


def test_a_service_that_cannot_arm_pages() -> None:
    """SEMANTICS 7: until the rounds are clean it stays un-armed and pages, also where nothing but void looks come in."""
    for way in ("fail", "void"):
        stage = Stage().normal()
        stage.ask(ask.MaintenanceOn(until=stage.now + HOUR, **WHO))
        stage.ask(ask.MaintenanceOff(**WHO))
        if way == "fail":
            stage.rounds(4, a="fail", b="503/standby")
        else:
            stage.look("a", "ok", void="stall")
        assert stage.told("NotArmed")


def test_a_hold_is_told_every_hour_after_eight() -> None:
    """SEMANTICS 7; a second hold is told as the first was."""
    stage = Stage().normal()
    for _ in range(2):
        stage.ask(ask.SetHold(**WHO))
        stage.notes.clear()
        for _ in range(6 * 11):
            stage.wait(600)
        assert len(stage.told("HeldLong")) == 4
        assert stage.state.wake_at is not None and stage.state.wake_at - stage.now <= HOUR
        stage.ask(ask.Release(**WHO))
        stage.wait(1)


def test_a_round_with_old_looks_is_no_proof_that_the_other_became_secondary() -> None:
    """H33: B said Primary the last time that anybody could look; that the look is old by now does not make the round clean."""
    stage = Stage().normal()
    stage.ask(ask.MaintenanceOn(until=stage.now + HOUR, **WHO))
    stage.rounds(3, a="ok/primary", b="ok/primary")
    stage.ask(ask.MaintenanceOff(**WHO))
    for _ in range(6):
        stage.round(b="ok/primary")
        stage.wait(10)
        stage.round(a="ok/primary")
    assert "re-arming" in stage.view["conditions"]
    stage.rounds(4, a="ok/primary", b="503/standby")
    assert stage.view["state"] == "normal"
