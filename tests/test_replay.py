"""History decided again: under the same settings the same, under others a plain answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lbctl.cli.failure import Failure
from lbctl.cli.replay import changed_by
from lbctl.controller.steps import steps_of
from lbctl.model import commands as ask
from lbctl.model.decision import Step
from lbctl.model.events import Around, Event
from lbctl.model.settings import ServiceSettings
from lbctl.policy import decide
from lbctl.replay import compare, replay
from tests.policy.stage import Stage, pair


class Recorded(Stage):
    """A stage that keeps its journal as the controller would."""

    lines: list[Step]

    def hear(self, event: Event) -> None:
        self.lines = getattr(self, "lines", [])
        before = self.state
        decision = decide(self.settings, before, event, self.now, self.around)
        self.lines += steps_of(before, decision, event, self.now)
        super().hear(event)


def month(settings: ServiceSettings | None = None, **more: Any) -> list[Step]:
    """A real failover, an operator's way back, and a blip of two looks."""
    stage = Recorded(settings or pair(), around=Around(proofs=1, watched=1), **more)
    stage.rounds(60, a="ok/primary", b="503/standby")
    stage.rounds(6, a="fail", b="503/standby")
    stage.verify()
    stage.rounds(5, a="ok/primary", b="503/standby")
    stage.ask(ask.Resume(service="core", by="ann", reason="back"))
    stage.verify()
    stage.rounds(30, a="ok/primary", b="503/standby")
    stage.rounds(2, a="fail", b="503/standby")
    stage.rounds(30, a="ok/primary", b="503/standby")
    assert stage.active == "a"
    return stage.lines


def fall(settings: ServiceSettings, count: int) -> ServiceSettings:
    return replace(settings, members=tuple(replace(m, probe=replace(m.probe, fall=count)) for m in settings.members))


def test_under_the_same_settings_the_same_moves_are_made() -> None:
    moves = replay(pair(), month()).moves
    assert [(m.source, m.target, m.trigger) for m in moves] == [("a", "b", "auto"), ("b", "a", "operator")]


def test_a_lower_fall_moves_for_the_blip_and_says_so() -> None:
    lines = month()
    old, new = replay(pair(), lines), replay(fall(pair(), 2), lines)
    assert compare(old, new) == "1 more failover, which came within 1 s of a recovery"
    assert new.moves[-1].recovered_s is not None and new.moves[-1].recovered_s < 10


def test_a_higher_fall_moves_less() -> None:
    lines = month()
    assert "fewer" in compare(replay(pair(), lines), replay(fall(pair(), 9), lines))


def test_observe_counts_what_would_have_happened() -> None:
    """H34: the report of the weeks beside an old load balancer."""
    lines = month()
    found = replay(replace(pair(), observe=True), lines)
    assert found.would >= 1 and not [m for m in found.moves if m.trigger == "auto"]


def test_nothing_different_is_said_plainly() -> None:
    lines = month()
    assert compare(replay(pair(), lines), replay(pair(), lines)) == "nothing would have been different"


@pytest.mark.parametrize(("change", "found"), [("fall=2", 2), ("min_outage=10s", 10.0), ("interval=500ms", 0.5)])
def test_set_reaches_every_member(change: str, found: float) -> None:
    settings = changed_by(pair(), (change,))
    key = change.split("=")[0]
    assert {getattr(m.probe, key, None) or getattr(m.probe, f"{key}_s") for m in settings.members} == {found}


@pytest.mark.parametrize("change", ["fal=2", "fall", "fall=x", "name=y", "profile=fast", "lockout=often"])
def test_a_strange_set_is_a_usage_error(change: str) -> None:
    with pytest.raises(Failure):
        changed_by(pair(), (change,))
