"""Planned moves that let caches run out first (H49, SEMANTICS section 8)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lbctl.model import commands as ask
from lbctl.model.commands import Code
from lbctl.model.events import Drained, DriveStep
from lbctl.model.settings import MonitorSettings, ServiceSettings
from lbctl.policy import desired
from lbctl.policy.drain import GIVE_UP_S, LOW_S, ROUNDING_S
from lbctl.policy.runs import may_go_on
from tests.policy.stage import Stage, pair
from tests.policy.test_follow import Beside

WHO: dict[str, Any] = {"service": "core", "by": "ann", "reason": "test"}
TTL = 30.0


class Planned(Beside):
    """An active/standby Sentry with a TTL of 30 s; both members can serve."""

    def __init__(self, **more: Any) -> None:
        super().__init__(ttl_s=TTL, **more)
        self.settings = replace(self.settings, follows=None)
        self.verify()

    def low(self) -> Any:
        wanted = desired(self.settings, self.state, self.now)
        return wanted.low_ttl_s if wanted is not None else None

    def switchover(self, *, drain: bool = True) -> Any:
        return self.ask(ask.Switchover(to="b", drain=drain, **WHO))

    def serving(self) -> Any:
        return self.active

    def on(self, seconds: float) -> None:
        """Time passes, everybody is well."""
        for _ in range(int(seconds)):
            self.see(1, a=True, b=True, c=True)


def test_the_ttl_is_lowered_the_old_one_passes_and_then_traffic_moves() -> None:
    stage = Planned()
    reply = stage.switchover()
    assert reply.code is Code.ACCEPTED and "about 30 s" in reply.message
    assert (stage.serving(), stage.low()) == ("a", LOW_S)
    stage.on(10)
    assert stage.serving() == "a", "the TTL is not lowered yet"
    stage.hear(Drained("x", TTL))
    assert stage.state.wake_at is not None and stage.state.saved.drain is not None and stage.state.saved.drain.until == stage.now + TTL
    stage.on(TTL - 1)
    assert stage.serving() == "a"
    stage.on(2)
    assert (stage.serving(), stage.low()) == ("b", None)
    assert stage.view["drain"] is None and stage.told("moved")


def test_the_old_one_serves_until_no_cache_sends_anybody_there() -> None:
    """Zero seconds of clients sent to a member that does not serve: it is told when it may be stopped."""
    stage = Planned()
    assert stage.switchover(drain=False).code is Code.ACCEPTED
    assert stage.serving() == "b"
    stage.verify()
    stage.on(TTL + 1)
    assert not stage.told("drained"), "caches count in whole seconds"
    stage.on(2)
    assert "it may be stopped" in stage.told("drained")[0]


def test_after_a_drain_that_takes_only_the_low_ttl() -> None:
    stage = Planned()
    stage.switchover()
    stage.hear(Drained("x", 0.0))
    stage.wait(0.1)
    assert stage.serving() == "b"
    stage.verify()
    stage.on(LOW_S + ROUNDING_S + 1)
    assert stage.told("drained")


@pytest.mark.parametrize("how", ["hold", "gives-up", "restart", "target-down"])
def test_what_ends_a_drain_moves_nothing_and_says_why(how: str) -> None:
    stage = Planned()
    stage.switchover()
    epoch = stage.state.saved.epoch
    if how == "hold":
        stage.ask(ask.SetHold(**WHO))
    elif how == "gives-up":
        stage.on(GIVE_UP_S + 1)
    elif how == "restart":
        stage.restart("a")
        assert stage.state.saved.epoch == epoch + 1, "every actuator writes the configured TTL"
    else:
        stage.hear(Drained("x", 3.0))
        stage.see(5, a=True, b=False, c=True)
    assert stage.serving() == "a" and stage.state.saved.drain is None and stage.low() is None
    assert len(stage.told("drain-ended")) == 1


def test_a_failover_in_between_goes_its_way_and_ends_the_drain() -> None:
    stage = Planned()
    stage.ask(ask.Switchover(to="c", drain=True, **WHO))
    stage.see(5, a=False, b=True, c=True)
    assert stage.serving() == "b" and stage.state.saved.drain is None and not stage.told("drain-ended")


def test_one_planned_move_at_a_time() -> None:
    stage = Planned()
    stage.switchover()
    assert stage.switchover().rule == "not-held"


def test_without_a_ttl_above_the_floor_nothing_is_waited_for() -> None:
    stage = Planned()
    stage.settings = replace(stage.settings, ttl_s=LOW_S)
    assert stage.switchover().code is Code.ACCEPTED and stage.serving() == "b"


def test_resume_drains_too() -> None:
    stage = Planned()
    stage.switchover(drain=False)
    stage.verify()
    stage.on(3)
    assert stage.ask(ask.Resume(drain=True, **WHO)).code is Code.ACCEPTED
    assert stage.serving() == "b" and stage.low() == LOW_S
    stage.hear(Drained("x", 2.0))
    stage.on(3)
    assert stage.serving() == "a"


class Cores(Stage):
    """A pair that lbctl can drive."""

    def run(self) -> Any:
        return self.state.saved.run

    def serving(self) -> Any:
        return self.active


def driven() -> ServiceSettings:
    return replace(pair(ttl_s=TTL), members=tuple(replace(m, driven=True) for m in pair().members))


def test_cores_are_driven_when_the_ttl_has_passed_and_the_gap_is_announced_and_reported() -> None:
    """SEMANTICS section 3 (ii) and 8: the TTL is drained first, then the order of the run; it stays low until traffic has moved."""
    stage = Cores(driven())
    stage.normal().verify()
    assert stage.ask(ask.Switchover(to="b", drain=True, **WHO)).rule == "drive-configured"
    reply = stage.ask(ask.Switchover(to="b", drain=True, drive=True, **WHO))
    assert reply.code is Code.ACCEPTED and "clients are refused while the Cores change roles, and up to 6 s longer" in reply.message
    stage.hear(Drained("x", 10.0))
    assert stage.run() is None
    stage.rounds(11, a="ok/primary", b="503/standby")
    run = stage.run()
    assert run.kind == "switchover" and stage.view["drain"]["target"] == "b"
    while stage.run() is not None and (step := may_go_on(stage.state)) is not None:
        stage.now += 1.0
        stage.hear(DriveStep(run.id, step.name, True))
        wanted = desired(stage.settings, stage.state, stage.now)
        assert wanted is not None and (wanted.low_ttl_s == LOW_S) == (stage.serving() == "a")
    assert stage.serving() == "b" and stage.state.saved.drain is None
    assert "clients were refused for 5.0 s" in stage.told("gap")[0]


def test_a_pool_has_no_planned_moves() -> None:
    stage = Planned()
    stage.settings = replace(stage.settings, kind="pool", monitor=MonitorSettings("tcp", ("tcp",), modes=False))
    assert stage.switchover().rule == "already-active"
