"""Worst-case timing (H12, H23, the promotion race)."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.model.looks import Health, ProbeResult, Reason, Verdict
from lbctl.model.settings import Heartbeat, MemberSettings, ProbeSettings, Role, ServiceSettings
from lbctl.model.state import PageSight
from lbctl.policy import budget, health
from lbctl.policy.budget import Fault, Publication, Winner

CAREFUL = ProbeSettings()
STANDARD = ProbeSettings("standard", 1.0, 0.25, 1.0, 3, 2, 10, 0.0)
FAST = ProbeSettings("fast", 0.05, 0.01, 0.05, 2, 2, 10, 0.0)


def pair(probe: ProbeSettings = CAREFUL) -> ServiceSettings:
    return ServiceSettings(
        "core",
        (
            MemberSettings("a", Role.PRIMARY, {"": ("192.0.2.1",)}, probe),
            MemberSettings("b", Role.SECONDARY, {"": ("192.0.2.2",)}, probe, syncs_from="a"),
        ),
    )


@pytest.mark.parametrize(
    ("probe", "fault", "seconds"),
    [
        pytest.param(CAREFUL, Fault.KILLED, 24.0, id="careful-killed"),
        pytest.param(CAREFUL, Fault.WRONG, 29.0, id="careful-wrong"),
        pytest.param(CAREFUL, Fault.DROPPED, 31.0, id="careful-dropped"),
        pytest.param(STANDARD, Fault.KILLED, 0.5, id="standard-killed"),
        pytest.param(STANDARD, Fault.WRONG, 1.5, id="standard-wrong"),
        pytest.param(STANDARD, Fault.DROPPED, 2 + 1 / 3 + 0.25, id="standard-dropped"),
        pytest.param(FAST, Fault.KILLED, 0.01, id="fast-killed"),
        pytest.param(FAST, Fault.WRONG, 0.06, id="fast-wrong"),
        pytest.param(FAST, Fault.DROPPED, 0.1 + 0.05 / 3, id="fast-dropped"),
    ],
)
def test_detection_of_each_fault_by_each_profile(probe: ProbeSettings, fault: Fault, seconds: float) -> None:
    assert budget.detect_s(probe, fault) == pytest.approx(seconds)


def proven_after(probe: ProbeSettings, gaps: Iterator[float], took: float) -> float:
    """What `policy.health` itself needs when every look is bad: seconds from the first look's start to `active-down`."""
    sight, started = PageSight(health=Health.UP), 0.0
    while sight.down_at is None:
        look = ProbeResult("a", "status", Verdict.FAILED, Reason.TIMEOUT, started, started + took)
        sight = health.note(sight, look, probe, good=False)
        started += next(gaps)
    return sight.down_at


def jittered(chance: random.Random, gap: float) -> Iterator[float]:
    while True:
        yield gap * (1 - 0.1 * chance.random())


def silent(probe: ProbeSettings) -> Iterator[float]:
    """Starts of looks that all end by timeout: the next ones beside the first once it is late, then one after the other."""
    starts = [0.0, *(probe.timeout_s / 3 + n * probe.fast_interval_s for n in range(min(probe.fall, budget.ABREAST) - 1))]
    starts = [start for start in starts if start < probe.timeout_s]
    yield from (after - before for before, after in itertools.pairwise(starts))
    while True:
        yield max(probe.timeout_s + 1e-6, probe.fast_interval_s)  # a look that has ended is a little more than a timeout old


PROBES = st.builds(
    ProbeSettings,
    st.just("own"),
    st.just(5.0),
    st.sampled_from([0.25, 0.5, 1.0, 2.0]),
    st.sampled_from([0.25, 0.5, 1.0, 3.0]),
    st.integers(1, 6),
    st.just(2),
    st.just(1000),
    st.sampled_from([0.0, 1.0, 5.0, 20.0]),
)


@given(probe=PROBES, seed=st.integers(0, 1000))
def test_the_bound_holds_for_looks_that_fail_at_once_whatever_the_jitter(probe: ProbeSettings, seed: int) -> None:
    needed = proven_after(probe, jittered(random.Random(seed), probe.fast_interval_s), 0.0)
    assert needed <= budget.detect_s(probe, Fault.KILLED) + 1e-9
    assert needed >= budget.earliest_s(probe) - 1e-9


@given(probe=PROBES)
def test_the_bound_holds_for_looks_that_time_out(probe: ProbeSettings) -> None:
    assert probe.interval_s + proven_after(probe, silent(probe), probe.timeout_s) <= budget.detect_s(probe, Fault.DROPPED) + 1e-3


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


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "40 ms"),
        (1.0, "1 s"),
        (4.5, "4.5 s"),
        (28.01, "29 s"),
        (60, "60 s"),
        (210, "3 min 30 s"),
        (7200, "2 h"),
        (float("inf"), "never"),
    ],
)
def test_durations_are_spelled_as_people_say_them(seconds: float, text: str) -> None:
    assert budget.spell(seconds) == text
