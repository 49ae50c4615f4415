"""Maintenance in daily use: one at a time, extended and never cut short by mistake (H32, SEMANTICS section 7)."""

from __future__ import annotations

from typing import Any

from lbctl.model import commands as ask
from lbctl.model.commands import Code
from tests.policy.stage import Stage

WHO: dict[str, Any] = {"service": "core", "by": "ann", "reason": "switch upgrade"}
H = 3600.0


def until(stage: Stage) -> float:
    assert stage.state.saved.maintenance is not None
    return stage.state.saved.maintenance.until


def test_an_extension_is_a_later_end_and_never_an_earlier_one() -> None:
    stage = Stage().normal()
    begin = stage.now
    stage.ask(ask.MaintenanceOn(until=begin + 4 * H, **WHO))
    refused = stage.ask(ask.MaintenanceExtend(until=begin + 1 * H, **WHO))
    assert refused.code is Code.USAGE and "maintenance off" in refused.message and until(stage) == begin + 4 * H
    assert stage.ask(ask.MaintenanceExtend(until=begin + 6 * H, **WHO)).code is Code.DONE and until(stage) == begin + 6 * H


def test_a_planned_one_is_extended_from_its_beginning() -> None:
    """The most that it may last counts from then, not from now."""
    stage = Stage().normal()
    begin = stage.now + 24 * H
    stage.ask(ask.MaintenanceOn(since=begin, until=begin + 2 * H, **WHO))
    assert stage.ask(ask.MaintenanceExtend(until=begin + 8 * H, **WHO)).code is Code.DONE
    refused = stage.ask(ask.MaintenanceExtend(until=begin + 9 * H, **WHO))
    assert refused.code is Code.USAGE and "from its beginning" in refused.message and until(stage) == begin + 8 * H


def test_one_that_takes_the_place_of_a_planned_one_says_so() -> None:
    stage = Stage().normal()
    stage.ask(ask.MaintenanceOn(since=stage.now + H, until=stage.now + 2 * H, **WHO))
    reply = stage.ask(ask.MaintenanceOn(service="core", by="bob", reason="fire", until=stage.now + H / 2))
    assert reply.code is Code.DONE and reply.message.endswith("in place of the one that ann had planned (switch upgrade)")
    again = stage.ask(ask.MaintenanceOn(service="core", by="bob", reason="fire", until=stage.now + H))
    assert "in place" not in again.message


def test_one_that_ends_sooner_than_the_one_that_is_on_says_so() -> None:
    """An upgrade has eight hours; who types one hour beside it must not learn of it when failover is armed again between two versions."""
    stage = Stage().normal()
    stage.ask(ask.MaintenanceOn(until=stage.now + 8 * H, **WHO))
    reply = stage.ask(ask.MaintenanceOn(service="core", by="bob", reason="disk", until=stage.now + H))
    assert reply.code is Code.DONE and reply.message.endswith("it ends 420 min sooner than the one of ann that was on (switch upgrade)")
    assert "sooner" not in stage.ask(ask.MaintenanceOn(service="core", by="bob", reason="disk", until=stage.now + 2 * H)).message
