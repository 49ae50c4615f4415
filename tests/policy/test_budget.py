"""Worst-case timing (H12, H23, the promotion race)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.model.looks import Health, ProbeResult, Reason, Verdict
from lbctl.model.settings import MemberSettings, ProbeSettings, Role, ServiceSettings
from lbctl.model.state import PageSight
from lbctl.policy import budget, health
from lbctl.policy.budget import Fault, Heartbeat, Publication, Winner

CAREFUL = ProbeSettings()
STANDARD = ProbeSettings("standard", 1.0, 0.25, 1.0, 3, 2, 10, 0.0)
FAST = ProbeSettings("fast", 0.05, 0.01, 0.05, 2, 2, 10, 0.0)


def pair(probe: ProbeSettings = CAREFUL) -> ServiceSettings:
    return ServiceSettings("core", (
        MemberSettings("a", Role.PRIMARY, {"": ("192.0.2.1",)}, probe),
        MemberSettings("b", Role.SECONDARY, {"": ("192.0.2.2",)}, probe, syncs_from="a"),
    ))


@pytest.mark.parametrize(("probe", "fault", "seconds"), [
    pytest.param(CAREFUL, Fault.KILLED, 21.0, id="careful-killed"),
    pytest.param(CAREFUL, Fault.WRONG, 26.0, id="careful-wrong"),
    pytest.param(CAREFUL, Fault.DROPPED, 29.0, id="careful-dropped"),
    pytest.param(STANDARD, Fault.KILLED, 0.5, id="standard-killed"),
    pytest.param(STANDARD, Fault.WRONG, 1.5, id="standard-wrong"),
    pytest.param(STANDARD, Fault.DROPPED, 4.0, id="standard-dropped"),
    pytest.param(FAST, Fault.KILLED, 0.01, id="fast-killed"),
    pytest.param(FAST, Fault.WRONG, 0.06, id="fast-wrong"),
    pytest.param(FAST, Fault.DROPPED, 0.15, id="fast-dropped"),
])
def test_detection_of_each_fault_by_each_profile(probe: ProbeSettings, fault: Fault, seconds: float) -> None:
    assert budget.detect_s(probe, fault) == pytest.approx(seconds)


def proven_after(probe: ProbeSettings, gap: float, took: float) -> float:
    """What `policy.health` itself needs when every look is bad: seconds from the first look's start to `active-down`."""
    sight, started = PageSight(health=Health.UP), 0.0
    for _ in range(100_000):
        look = ProbeResult("a", "status", Verdict.FAILED, Reason.TIMEOUT, started, started + took)
        sight = health.note(sight, look, probe, good=False)
        if sight.down_at is not None:
            return started + took
        started += gap
    raise AssertionError("never down")


@given(
    fast=st.sampled_from([0.25, 0.5, 1.0, 2.0]), timeout=st.sampled_from([0.25, 0.5, 1.0, 3.0]), fall=st.integers(1, 6),
    outage=st.sampled_from([0.0, 1.0, 5.0, 20.0]), fault=st.sampled_from([Fault.KILLED, Fault.DROPPED]),
)
def test_detection_bounds_what_the_policy_really_needs(fast: float, timeout: float, fall: int, outage: float, fault: Fault) -> None:
    probe = replace(CAREFUL, fast_interval_s=fast, timeout_s=timeout, fall=fall, min_outage_s=outage, leak=1000)
    took = timeout if fault is Fault.DROPPED else 0.0
    wait = 0.0 if fault is Fault.KILLED else probe.interval_s
    assert budget.detect_s(probe, fault) == pytest.approx(wait + proven_after(probe, max(fast, took), took))


@given(fast=st.sampled_from([0.25, 1.0]), fall=st.integers(1, 6), outage=st.sampled_from([0.0, 5.0, 20.0]))
def test_earliest_is_never_later_than_any_worst_case(fast: float, fall: int, outage: float) -> None:
    probe = replace(CAREFUL, fast_interval_s=fast, fall=fall, min_outage_s=outage)
    assert budget.earliest_s(probe) <= min(budget.detect_s(probe, fault) for fault in Fault)


def test_budget_adds_the_candidates_look_the_write_and_the_ttl() -> None:
    rows = budget.budgets(pair(STANDARD), [Publication("authoritative:x", 0.01, 30.0), Publication("rfc2136:y", 2.0, 60.0)])
    killed = next(row for row in rows if row.fault is Fault.KILLED)
    assert killed.move_s == pytest.approx(0.5 + 1.0 + budget.SAVE_S + 2.0)
    assert killed.total_s == pytest.approx(killed.move_s + 60.0)
    assert "answers changed within 3.5 s" in killed.sentence
    assert "1 min" in killed.sentence or "60 s" in killed.sentence


def test_lbctl_wins_the_race_against_the_guides_defaults() -> None:
    won = budget.race(pair(), "b", Heartbeat(60.0, 5, 30.0))
    assert won.winner is Winner.LBCTL
    assert won.earliest_s == 120.0
    assert "lbctl is first" in won.sentence


def test_an_impatient_core_leaves_the_race_open_and_is_told_how_many_failures_would_do() -> None:
    lost = budget.race(pair(), "b", Heartbeat(5.0, 2, 10.0))
    assert lost.winner is Winner.OPEN
    assert budget.race(pair(), "b", Heartbeat(5.0, lost.failures_needed, 10.0)).winner is Winner.LBCTL
    assert "stranded" in lost.sentence


def test_a_core_that_is_always_faster_wins_every_race() -> None:
    assert budget.race(pair(), "b", Heartbeat(1.0, 1, 1.0)).winner is Winner.CORE


def test_a_core_that_keeps_in_standby_runs_no_race() -> None:
    race = budget.race(pair(), "b", Heartbeat(60.0, 5, 30.0, promotes=False))
    assert race.winner is Winner.NONE
    assert "drive" in race.sentence


def test_two_layers_that_react_to_one_fault_are_found_h12() -> None:
    outer = pair(STANDARD)
    tripping = budget.layers(outer, inner_move_s=3.0, inner="site main")
    assert not tripping.holds
    patient = pair(replace(STANDARD, min_outage_s=tripping.min_outage_needed_s + 0.1))
    assert budget.layers(patient, inner_move_s=3.0, inner="site main").holds


def test_load_of_ten_thousand_tls_members_at_one_second_is_too_much_h23() -> None:
    heavy = budget.load([(STANDARD, 2, True)] * 10_000)
    assert not heavy.holds
    light = budget.load([(replace(STANDARD, interval_s=60.0, timeout_s=3.0), 1, False)] * 10_000)
    assert light.holds
    assert heavy.looks_per_s > 20_000


@pytest.mark.parametrize(("seconds", "text"), [
    (0.04, "40 ms"), (1.0, "1 s"), (4.5, "4.5 s"), (28.01, "29 s"), (60, "60 s"), (210, "3 min 30 s"), (7200, "2 h"), (float("inf"), "never"),
])
def test_durations_are_spelled_as_people_say_them(seconds: float, text: str) -> None:
    assert budget.spell(seconds) == text
