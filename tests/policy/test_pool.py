"""Pools: whom they answer with, whatever happens (G-SC3, G-FS)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbctl.errors import InvariantBroken
from lbctl.model import commands as ask
from lbctl.model.commands import Code, Shown
from lbctl.model.decision import Decision
from lbctl.model.events import Around, Reloaded, Started, Tick
from lbctl.model.looks import Health, ProbeResult, Reason, Verdict
from lbctl.model.settings import MemberSettings, MonitorSettings, ProbeSettings, Role, ServiceSettings
from lbctl.model.state import MemberSight, PageSight, Saved, State
from lbctl.policy import begin, decide, invariants, pool, view
from lbctl.policy.case import Case
from lbctl.policy.conditions import alerts, conditions
from tests.policy.stage import T0, Stage

QUICK = ProbeSettings("model", 1.0, 1.0, 1.0, 2, 2, 10, 0.0)
NAMES = ("a", "b", "c", "d")
WHO: dict[str, Any] = {"service": "sentry", "by": "ann", "reason": "test"}


def sentries(count: int = 3, **more: Any) -> ServiceSettings:
    members = tuple(MemberSettings(n, Role.SECONDARY, {"": (f"192.0.2.{i}",)}, QUICK, site=f"dc{i % 2 + 1}") for i, n in enumerate(NAMES[:count]))
    return ServiceSettings("sentry", members, "pool", MonitorSettings("tcp", ("tcp",), modes=False), actuators=("x",), **more)


class PoolStage(Stage):
    """A pool in the hands of a test."""

    def __init__(self, wanted: ServiceSettings, *, saved: Saved | None = None, shown: Any = "nothing", around: Around | None = None) -> None:
        super().__init__(wanted, saved=saved, shown=shown, around=around or Around(proofs=1, watched=1), remembered=False)

    def _shown(self, actuator: str, what: Any) -> Shown:
        if isinstance(what, tuple):
            return Shown(actuator, what, epoch=self.state.saved.epoch or None)
        return super()._shown(actuator, what)

    def see(self, times: int = 1, *, reason: Any = Reason.REFUSED, **up: Any) -> PoolStage:
        """So many looks at each named member, one second apart."""
        for _ in range(times):
            self.now += 1.0
            for name, good in up.items():
                verdict, why = (Verdict.OK, Reason.OK) if good else (Verdict.FAILED, reason)
                self.now += 0.001
                self.hear(ProbeResult(name, "tcp", verdict, why, self.now - 0.0005, self.now))
        return self

    def all_up(self) -> PoolStage:
        for _ in range(4):
            for name in self.settings.names:
                self.see(1, **{name: True})
        return self

    @property
    def answering(self) -> Any:
        return self.state.saved.answering

    def code(self) -> Any:
        return self.reply.code if self.reply is not None else None


def test_all_healthy_members_answer_and_a_dead_one_leaves_and_comes_back_by_itself() -> None:
    """G-SC3."""
    stage = PoolStage(sentries()).all_up()
    assert stage.answering == ("a", "b", "c")
    stage.see(2, b=False)
    assert stage.answering == ("a", "c")
    assert stage.view["state"] == "partial" and [m["active"] for m in stage.view["members"]] == [True, False, True]
    stage.see(2, b=True)
    assert stage.answering == ("a", "b", "c")
    assert stage.told("pool-changed") == ["sentry answers with a, c (out: b)", "sentry answers with a, b, c (in: b)"]


def test_one_bad_look_moves_nobody_and_min_outage_counts() -> None:
    careful = replace(sentries(), members=tuple(replace(m, probe=replace(QUICK, min_outage_s=20.0)) for m in sentries().members))
    stage = PoolStage(careful).all_up()
    for _ in range(19):
        stage.see(1, a=True, b=False, c=True)
        assert stage.answering == ("a", "b", "c")
    stage.see(4, a=True, b=False, c=True)
    assert stage.answering == ("a", "c")


def test_the_minimum_share_stays_and_the_last_answer_is_kept_when_all_are_down() -> None:
    """G-SC3, H2: never empty."""
    stage = PoolStage(sentries()).all_up().see(3, c=False)
    stage.see(3, a=True, b=False, c=False)
    assert stage.answering == ("a", "b")
    assert [(kind, name) for kind, name, _ in alerts(stage.case)] == [("PoolShort", "b"), ("MemberDown", "c")]
    stage.see(3, a=False, b=False, c=False)
    assert stage.answering == ("a", "b") and conditions(stage.case)[0] == "all-down"
    stage.see(2, a=False, b=False, c=True)
    assert stage.answering == ("a", "c")


def frozen_by(how: str, stage: PoolStage) -> None:
    if how == "not-in-maintenance":
        stage.ask(ask.MaintenanceOn(until=stage.now + 600, **WHO))
    elif how == "not-held":
        stage.ask(ask.SetHold(**WHO))
    elif how == "within-mass-move":
        stage.around = Around(proofs=1, watched=1, mass="hold")
    elif how == "automation-on":
        stage.settings = replace(stage.settings, observe=True)


@pytest.mark.parametrize("how", ["not-in-maintenance", "not-held", "within-mass-move", "automation-on"])
def test_it_is_frozen_as_a_pair_is_and_says_by_what(how: str) -> None:
    """H34, H53: what freezes a pair freezes a pool."""
    stage = PoolStage(sentries()).all_up()
    frozen_by(how, stage)
    stage.see(3, a=True, b=False, c=True)
    assert stage.answering == ("a", "b", "c")
    assert stage.view["blocked_by"] == [how] and "down" in stage.view["conditions"] and how in stage.view["reason"]


def test_after_maintenance_it_follows_again_once_rounds_are_clean() -> None:
    """H33."""
    stage = PoolStage(sentries()).all_up()
    frozen_by("not-in-maintenance", stage)
    stage.see(3, a=True, b=False, c=True)
    stage.ask(ask.MaintenanceOff(**WHO))
    stage.see(2, a=True, b=False, c=True)
    assert stage.answering == ("a", "b", "c"), "re-arming"
    stage.see(3, a=True, b=False, c=True)
    assert stage.answering == ("a", "c") and not stage.state.saved.rearming


def test_a_held_wave_is_released_by_a_person() -> None:
    """H53."""
    stage = PoolStage(sentries()).all_up()
    frozen_by("within-mass-move", stage)
    stage.see(3, a=True, b=False, c=True)
    assert "MassMoveHeld" in [kind for kind, _, _ in alerts(stage.case)]
    assert stage.ask(ask.Release(**WHO)).code is Code.DONE
    stage.wait(0.1)
    assert stage.answering == ("a", "c") and stage.state.saved.mass == ""


def test_a_controller_that_is_cut_off_changes_no_answer() -> None:
    """H3, H20: silence everywhere, or one cause for all."""
    stage = PoolStage(sentries(), around=Around()).all_up()
    stage.see(5, reason=Reason.TIMEOUT, a=False, b=False, c=False)
    assert stage.answering == ("a", "b", "c") and conditions(stage.case)[0] == "blind"
    stage = PoolStage(sentries()).all_up().see(5, reason=Reason.TLS, a=False, b=False, c=False)
    assert stage.answering == ("a", "b", "c") and "common-mode" in conditions(stage.case)


REMEMBERED = Saved("sentry", epoch=7, active="a", primary="a", file_primary="a", answering=("a", "c"))


@pytest.mark.parametrize(("shown", "after"), [
    pytest.param(("a", "c"), ("a", "c"), id="as-remembered"),
    pytest.param(("a", "b", "c"), ("a", "b", "c"), id="killed-before-the-write"),
    pytest.param("nothing", ("a", "c"), id="nothing-published"),
    pytest.param("unread", ("a", "c"), id="not-readable"),
])
def test_a_restart_takes_what_is_published_and_moves_nothing(shown: Any, after: tuple[str, ...]) -> None:
    """H25, SEMANTICS section 6."""
    stage = PoolStage(sentries(), saved=REMEMBERED, shown=shown)
    assert stage.answering == after and not stage.state.uninitialised
    stage.see(1, a=False, b=True, c=True)
    assert stage.answering == after, "nothing follows from first looks"


def test_a_restart_on_something_strange_waits_for_adopt() -> None:
    stage = PoolStage(sentries(), saved=REMEMBERED, shown="strange")
    assert conditions(stage.case)[0] == "uninitialised"
    stage.see(9, a=True, b=True, c=True)
    assert stage.answering == ("a", "c") and stage.state.uninitialised
    assert stage.ask(ask.Adopt(shown=stage.last_shown, **WHO)).rule == "published-everywhere"
    assert stage.ask(ask.Adopt(member="b", shown=stage.last_shown, **WHO)).code is Code.ACCEPTED
    assert stage.answering == ("a", "b", "c") and not stage.state.uninitialised


def test_without_memory_what_is_published_is_adopted_after_clean_rounds() -> None:
    stage = PoolStage(sentries(), shown=("a", "b"))
    stage.see(1, a=True, b=True, c=True)
    assert stage.answering == () and stage.state.adopting == "a+b"
    stage.see(3, a=True, b=False, c=True)
    assert "a" in stage.answering and stage.told("adopted") == ["sentry answers with a, b"]


def test_moves_are_refused_because_everybody_answers_already() -> None:
    stage = PoolStage(sentries()).all_up()
    for command in (ask.Failover(to="b", **WHO), ask.Switchover(to="b", **WHO), ask.Resume(**WHO), ask.SwapRoles(**WHO)):
        assert stage.ask(command).rule == "already-active"
    assert stage.answering == ("a", "b", "c")


@pytest.mark.parametrize(("change", "after"), [
    pytest.param(lambda s: replace(s, members=s.members[1:]), ("b", "c"), id="member-removed"),
    pytest.param(lambda s: replace(s, members=(replace(s.members[0], address={"": ("::1",)}), *s.members[1:])), ("a", "b", "c"), id="readdressed"),
    pytest.param(lambda s: replace(s, kind="failover"), (), id="becomes-a-pair"),
])
def test_a_reload_that_changes_the_answer_needs_a_word(change: Callable[[ServiceSettings], ServiceSettings], after: tuple[str, ...]) -> None:
    """H37."""
    stage = PoolStage(sentries()).all_up()
    epoch, new = stage.state.saved.epoch, change(stage.settings)
    stage.hear(Reloaded(new, by="ann"))
    assert stage.code() is Code.REFUSED and stage.answering == ("a", "b", "c")
    stage.hear(Reloaded(new, allow_switch=True, by="ann"))
    assert stage.code() is Code.DONE
    assert stage.answering == after and stage.state.saved.epoch == epoch + 1 and stage.state.saved.active in new.names


def test_a_new_member_answers_when_it_has_been_seen_up() -> None:
    stage = PoolStage(sentries(2)).all_up()
    new = sentries(3)
    stage.hear(Reloaded(new, by="ann"))
    stage.settings = new
    assert stage.answering == ("a", "b")
    stage.see(2, a=True, b=True, c=True)
    assert stage.answering == ("a", "b", "c")


def near(site: str) -> Around:
    return Around(proofs=1, watched=1, followed_site=site)


def test_a_pool_that_follows_answers_from_the_site_of_the_other_service_while_one_is_up_there() -> None:
    """G-FS: a, c stand at dc1, b, d at dc2."""
    stage = PoolStage(sentries(4, follows="core"), around=near("dc1")).all_up()
    assert stage.answering == ("a", "c")
    stage.around = near("dc2")
    stage.wait(0.1)
    assert stage.answering == ("b", "d")
    stage.see(3, a=True, b=False, c=True, d=True)
    assert stage.answering == ("d",), "one is enough, the share is for pools that stand everywhere"
    stage.see(3, a=True, b=False, c=True, d=False)
    assert stage.answering == ("a", "c")
    assert "FollowNotPossible" in [kind for kind, _, _ in alerts(stage.case)]
    stage.around = near("")
    stage.wait(0.1)
    assert stage.answering == ("a", "c"), "not known where the other one is: nothing follows"


def test_a_restart_does_not_take_the_answer_to_a_site_where_nobody_was_up() -> None:
    """G-FS, H25: b and d at dc2 are down, so all answer from anywhere; after a restart they are unknown, which is no reason to go there."""
    stage = PoolStage(sentries(4, minimum_share=0.5, follows="core"), around=near("dc2")).all_up()
    stage.see(3, a=False, b=True, c=True, d=True)
    stage.see(3, a=False, b=False, c=True, d=True)
    stage.see(3, a=False, b=False, c=True, d=False)
    before = stage.answering
    assert "c" in before
    stage.restart(before)
    stage.see(1, d=False)
    assert stage.answering == before


# whatever happens


def case_of(wanted: ServiceSettings, health: tuple[str, ...], before: tuple[str, ...]) -> Case:
    """A pool whose members are up, down or unknown."""
    sights = {
        name: MemberSight({"tcp": PageSight(Health(word), last=ProbeResult(name, "tcp", Verdict.OK, Reason.OK, T0, T0),
                                            down_at=T0 if word == "down" else None)})
        for name, word in zip(wanted.names, health, strict=True)
    }
    saved = Saved("sentry", epoch=1, active=before[0] if before else None, answering=before)
    return Case(wanted, State(saved, members=sights, started=True), T0, Around(proofs=1))


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_every_combination_of_healths_and_answers(count: int, share: float) -> None:
    """G-SC3, enumerated: never empty, in order, all who are up, none who is down while enough others are up."""
    wanted = sentries(count, minimum_share=share)
    least = max(1, math.ceil(share * count))
    for health in product(("up", "down", "unknown"), repeat=count):
        for chosen in product((True, False), repeat=count):
            before = tuple(n for n, yes in zip(wanted.names, chosen, strict=True) if yes)
            got = pool.answer(case_of(wanted, health, before))
            word = dict(zip(wanted.names, health, strict=True))
            up = {n for n in wanted.names if word[n] == "up"}
            assert got == tuple(n for n in wanted.names if n in got) and len(got) >= max(1, min(least, len(before)))
            assert up <= set(got)
            assert set(got) <= up | set(before) or not (up or before), "nobody is brought in who is not up, unless there is nobody else"
            assert len(got) <= least or not any(word[n] == "down" for n in got) or not (up or before), (health, before, got)


sites_seen = st.lists(st.sampled_from(["dc1", "dc2", ""]), min_size=1, max_size=4)
looks = st.lists(st.tuples(st.sampled_from(NAMES), st.booleans(), st.sampled_from([Reason.REFUSED, Reason.TIMEOUT])), max_size=60)


@settings(max_examples=400, deadline=None)
@given(looks, st.sampled_from([0.25, 0.5, 1.0]), st.sampled_from([None, "core"]), sites_seen)
def test_any_history_keeps_the_promises_of_a_pool(history: Any, share: float, follows: str | None, sites: list[str]) -> None:
    """G-SC3: invariants are asserted after each event; a restart in the middle wants what is published."""
    stage = PoolStage(sentries(4, minimum_share=share, follows=follows), around=near(sites[0])).all_up()
    for number, (name, good, reason) in enumerate(history):
        stage.around = near(sites[number % len(sites)])
        stage.wait(0)  # as whoever follows hears that the other has moved
        stage.see(1, reason=reason, **{name: good})
        assert stage.answering
    before = stage.answering
    stage.restart(before)
    assert stage.answering == before
    view(stage.settings, stage.state, stage.now, stage.around)


# the invariants can fail


def broken(stage: PoolStage, event: Any, **saved: Any) -> None:
    """The decision that follows from `event`, with something forgotten."""
    decision = decide(stage.settings, stage.state, event, stage.now, stage.around)
    spoiled = replace(decision, state=replace(decision.state, saved=replace(decision.state.saved, **saved)))
    invariants.check(stage.settings, stage.state, spoiled, event, stage.now)


SPOILED: dict[str, tuple[str, dict[str, Any]]] = {
    "an empty answer": ("pool-never-empty", {"answering": (), "epoch": 9}),
    "a stranger": ("pool-never-empty", {"answering": ("a", "z"), "epoch": 9}),
    "another order": ("pool-never-empty", {"answering": ("c", "a"), "active": "c", "epoch": 9}),
    "no new epoch": ("pool-epoch", {"answering": ("a", "c")}),
    "too few": ("pool-share", {"answering": ("a",), "epoch": 9}),
    "a healthy one leaves": ("pool-by-looks", {"answering": ("a", "b"), "epoch": 9}),
}


@pytest.mark.parametrize("name", SPOILED)
def test_each_planted_break_is_caught(name: str) -> None:
    expected, saved = SPOILED[name]
    stage = PoolStage(sentries()).all_up()
    with pytest.raises(InvariantBroken, match=expected):
        broken(stage, Tick(), **saved)


@pytest.mark.parametrize("how", ["not-in-maintenance", "not-held", "automation-on"])
def test_a_frozen_pool_that_changes_is_caught(how: str) -> None:
    stage = PoolStage(sentries()).all_up()
    frozen_by(how, stage)
    stage.see(3, a=True, b=False, c=True)
    with pytest.raises(InvariantBroken, match="pool-people-were-heard"):
        broken(stage, Tick(), answering=("a", "c"), epoch=9)


def test_a_member_that_is_down_does_not_come() -> None:
    stage = PoolStage(sentries()).all_up().see(3, a=True, b=False, c=True)
    with pytest.raises(InvariantBroken, match="pool-by-looks"):
        broken(stage, Tick(), answering=("a", "b", "c"), epoch=9)


def test_every_pool_invariant_is_broken_here() -> None:
    assert set(invariants.POOL_INVARIANTS) == {expected for expected, _ in SPOILED.values()} | {"pool-people-were-heard"}


def test_nothing_is_remembered_of_a_start_that_never_was() -> None:
    """The state before the first event answers nothing of its own."""
    state = begin(sentries(), None, 0)
    decision: Decision = decide(sentries(), state, Started(()), T0, Around())
    assert decision.state.saved.answering == () and decision.state.adopting == "*"


def test_a_held_wave_stays_held_until_somebody_releases_it() -> None:
    """H53, SEMANTICS 4: also where the wave has passed by then."""
    stage = PoolStage(sentries(4, minimum_share=0.25)).all_up()
    stage.around = replace(stage.around, mass="hold")
    stage.see(4, reason=Reason.REFUSED, a=False)
    assert stage.answering == ("a", "b", "c", "d") and stage.state.saved.mass == "held"
    stage.around = replace(stage.around, mass="open")
    stage.see(2, reason=Reason.REFUSED, a=False)
    assert stage.answering == ("a", "b", "c", "d")
    stage.ask(ask.Release(service=stage.settings.name, by="ann", reason="the cause is known"))
    stage.see(2, reason=Reason.REFUSED, a=False)
    assert stage.answering == ("b", "c", "d")


def test_a_look_that_knows_nothing_takes_nobody_out_of_the_answer() -> None:
    """H5, SEMANTICS 1: neither good nor bad for whoever answers, the first in the list or not."""
    stage = PoolStage(sentries(4, minimum_share=0.25)).all_up()
    for name in ("a", "c"):
        for _ in range(6):
            stage.now += 1.0
            page = stage.settings.monitor.pages[0]
            stage.hear(ProbeResult(name, page, Verdict.UNKNOWN, Reason.TIMEOUT, stage.now - 0.01, stage.now))
    assert stage.answering == ("a", "b", "c", "d")
