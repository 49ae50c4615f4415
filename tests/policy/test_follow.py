"""A service that stands beside another one (G-FS, scenarios 3 and 4)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lbctl.errors import InvariantBroken
from lbctl.model import commands as ask
from lbctl.model.commands import Code
from lbctl.model.events import Around, Tick
from lbctl.model.looks import ProbeResult, Reason, Verdict
from lbctl.model.settings import MemberSettings, MonitorSettings, Role, ServiceSettings
from lbctl.model.state import Saved
from lbctl.policy import decide, invariants
from lbctl.policy.conditions import alerts
from tests.policy.stage import PROBE, Stage, pair

WHO: dict[str, Any] = {"service": "sentry", "by": "ann", "reason": "test"}


def sentry(**more: Any) -> ServiceSettings:
    members = (MemberSettings("a", Role.PRIMARY, {"": ("192.0.2.1",)}, PROBE, site="dc1"),
               MemberSettings("b", Role.SECONDARY, {"": ("192.0.2.2",)}, PROBE, site="dc1"),
               MemberSettings("c", Role.SECONDARY, {"": ("192.0.2.3",)}, PROBE, site="dc2"))
    return ServiceSettings("sentry", members, monitor=MonitorSettings("tcp", ("tcp",), modes=False), actuators=("x",), follows="core", **more)


class Beside(Stage):
    """A Sentry as active/standby; the Core is at `at`."""

    def __init__(self, at: str = "dc1", **more: Any) -> None:
        super().__init__(sentry(**more), saved=Saved("sentry", epoch=1, active="a", primary="a", file_primary="a"))
        self.at(at).see(4, a=True, b=True, c=True)

    def at(self, site: str) -> Beside:
        self.around = Around(proofs=1, watched=1, followed_site=site)
        return self

    def see(self, times: int, **up: bool) -> Beside:
        for _ in range(times):
            self.now += 1.0
            for name, good in up.items():
                self.now += 0.001
                verdict, reason = (Verdict.OK, Reason.OK) if good else (Verdict.FAILED, Reason.REFUSED)
                self.hear(ProbeResult(name, "tcp", verdict, reason, self.now - 0.0005, self.now))
        return self

    def alerts(self) -> list[str]:
        return [text for kind, _, text in alerts(self.case) if kind == "FollowNotPossible"]


def test_it_moves_to_the_site_of_the_other_service() -> None:
    stage = Beside()
    assert stage.active == "a"
    stage.at("dc2").wait(0.1)
    assert stage.active == "c" and stage.state.saved.move is not None and stage.state.saved.move.verb == "follow"
    assert stage.told("moved") == ["follow: traffic of sentry moves from a to c: core is active at dc2, and c is up there"]
    assert stage.state.saved.latched == {"a"} and stage.state.saved.lockout_until is not None and not stage.alerts()


def test_it_does_not_come_back_by_itself() -> None:
    """G-LB4: the way back is a person's; until then an alert says what is in the way."""
    stage = Beside().at("dc2")
    stage.wait(0.1)
    stage.verify()
    stage.at("dc1").see(3, a=True, b=True, c=True)
    assert stage.active == "c" and "not-locked-out" in stage.alerts()[0]
    assert stage.ask(ask.Resume(**WHO)).code is Code.ACCEPTED
    assert stage.active == "a" and not stage.alerts()


@pytest.mark.parametrize(("how", "why"), [
    pytest.param("down", "candidate-standby", id="nobody-up-there"), pytest.param("hold", "not-held", id="held"),
    pytest.param("maintenance", "not-in-maintenance", id="maintenance"), pytest.param("observe", "automation-on", id="observe"),
    pytest.param("latched", "not-latched", id="latched"),
])
def test_what_stands_in_the_way_is_said_and_nothing_moves(how: str, why: str) -> None:
    stage = Beside(observe=how == "observe")
    if how == "down":
        stage.see(3, a=True, b=True, c=False)
    elif how == "hold":
        stage.ask(ask.SetHold(**WHO))
    elif how == "maintenance":
        stage.ask(ask.MaintenanceOn(until=stage.now + 600, **WHO))
    elif how == "latched":
        stage.state = replace(stage.state, saved=replace(stage.state.saved, latched=frozenset({"c"})))
    stage.at("dc2").wait(0.1)
    assert stage.active == "a" and why in stage.alerts()[0]


def test_a_failure_of_its_own_prefers_who_stands_beside_the_other() -> None:
    stage = Beside(at="dc2", observe=True)
    stage.settings = sentry()
    stage.ask(ask.SetHold(**WHO))
    stage.see(4, a=False, b=True, c=True)
    stage.ask(ask.Release(**WHO))
    stage.wait(0.1)
    assert stage.active == "c", "b comes before c in the order, and c stands where the Core is"


def test_what_a_person_moved_stays_until_the_other_service_moves_again() -> None:
    stage = Beside().at("dc2")
    stage.wait(0.1)
    stage.see(2, a=True, b=True, c=True)
    assert stage.ask(ask.Resume(**WHO)).code is Code.ACCEPTED
    stage.see(3, a=True, b=True, c=True)
    assert stage.active == "a" and "a person moved it" in stage.alerts()[0]
    stage.at("dc1").wait(0.1)
    stage.at("dc2").see(1, a=True, b=True, c=True)
    assert stage.active == "c"


def test_where_nobody_stands_there_it_stays_and_says_so() -> None:
    stage = Beside().at("dc9")
    stage.wait(0.1)
    assert stage.active == "a" and "no member stands there" in stage.alerts()[0]
    stage.at("").wait(0.1)
    assert not stage.alerts(), "not known where the other one is"


def test_a_core_never_moves_while_it_serves() -> None:
    """G-LB3 before G-FS."""
    members = tuple(replace(m, site=f"dc{n}") for n, m in enumerate(pair().members, 1))
    stage = Stage(replace(pair(follows="other"), members=members)).normal()
    stage.around = Around(proofs=1, watched=1, followed_site="dc2")
    stage.wait(0.1)
    assert stage.active == "a" and [kind for kind, _, _ in alerts(stage.case)] == ["FollowNotPossible"]


def test_following_without_a_service_to_follow_is_a_broken_invariant() -> None:
    stage = Beside().at("dc2")
    decision = decide(stage.settings, stage.state, Tick(), stage.now, stage.around)
    assert decision.state.saved.active == "c"
    with pytest.raises(InvariantBroken, match="gate-of-the-guide"):
        invariants.check(replace(stage.settings, follows=None), stage.state, decision, Tick(), stage.now)
