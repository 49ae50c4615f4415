"""rise, fall, leak and the proof of an outage, against a counter so naive that it cannot be wrong."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from lbctl.model.looks import Health, ProbeResult, Reason, Verdict
from lbctl.model.settings import ProbeSettings
from lbctl.model.state import PageSight
from lbctl.policy import health

PROBE = ProbeSettings(interval_s=1.0, timeout_s=1.0, fall=3, rise=2, leak=10, min_outage_s=0.0)


def look(at: float, good: bool) -> ProbeResult:
    verdict, reason = (Verdict.OK, Reason.OK) if good else (Verdict.FAILED, Reason.TIMEOUT)
    return ProbeResult("a", "status", verdict, reason, at, at + 0.01)


def watch(results: list[bool], probe: ProbeSettings = PROBE, every: float = 1.0) -> PageSight:
    sight = PageSight()
    for number, good in enumerate(results):
        sight = health.note(sight, look(number * every, good), probe, good=good)
    return sight


def naive(results: list[bool], probe: ProbeSettings) -> Health:
    """The whole history read anew for each look; `born` is where the leaky count last began."""
    state, born = Health.UNKNOWN, 0
    for end in range(1, len(results) + 1):
        seen = results[:end]
        if len(seen) >= probe.rise and all(seen[-probe.rise :]):
            born = born if state is Health.UP else end
            state = Health.UP
        fallen = len(seen) >= probe.fall and not any(seen[-probe.fall :])
        if not seen[-1] and (fallen or _gathered(seen, probe.leak, born) >= probe.leak):
            state = Health.DOWN
    return state


def _gathered(seen: list[bool], leak: int, born: int) -> int:
    """Failures since the last `leak` good looks in a row, or since it last came up."""
    start = max((end for end in range(leak, len(seen) + 1) if all(seen[end - leak : end])), default=0)
    return seen[max(start, born) :].count(False)


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 4), st.integers(1, 4), st.integers(1, 12))
def test_counting_agrees_with_the_naive_counter(results: list[bool], fall: int, rise: int, leak: int) -> None:
    probe = replace(PROBE, fall=fall, rise=rise, leak=leak)
    assert naive(results, probe) == watch(results, probe).health


def test_slow_flapping_is_caught_by_the_leaky_count() -> None:
    """H6: every second look fails; never three in a row."""
    assert watch([False, True] * 9).health is not Health.DOWN
    assert watch([*([False, True] * 9), False]).health is Health.DOWN


def test_unknown_until_enough_real_looks() -> None:
    """H29: never up or down on first sight."""
    assert watch([True]).health is Health.UNKNOWN
    assert watch([False, False]).health is Health.UNKNOWN


def test_an_outage_is_proven_by_looks_that_span_it() -> None:
    """SEMANTICS 2: min_outage counts from the start of the first failed look, and a burst is one piece of evidence."""
    probe = replace(PROBE, min_outage_s=20.0, timeout_s=3.0)
    assert watch([False] * 20, probe).down_at is None
    assert watch([False] * 22, probe).down_at is not None
    assert watch([False] * 100, probe, every=0.1).down_at is None


def test_one_good_look_ends_the_outage() -> None:
    sight = watch([False] * 5)
    assert sight.down_at is not None
    assert health.note(sight, look(9.0, True), PROBE, good=True).down_at is None


@given(st.lists(st.booleans(), max_size=40))
def test_forgetting_leaves_no_trace_of_failures(results: list[bool]) -> None:
    """H3: what was seen while blind is discarded."""
    forgotten = health.forget(watch(results))
    assert forgotten == PageSight(last=forgotten.last, since=forgotten.since)
