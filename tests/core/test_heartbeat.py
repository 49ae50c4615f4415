"""G-HB: interval, consecutive failures, re-check interval; once an outage."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lbctl.core.heartbeat import Beat, Settings, step

SETTINGS = Settings(interval_s=60, failures=3, recheck_s=20)


def test_after_a_failure_the_next_look_comes_at_the_recheck_interval() -> None:
    assert step(SETTINGS, Beat(), True).wait_s == 60
    assert step(SETTINGS, Beat(), False).wait_s == 20


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 6))
def test_the_failover_begins_once_in_each_outage_at_the_configured_failure(looks: list[bool], failures: int) -> None:
    """Against a naive reading of the history: a run of failures that reaches the number, and no other, begins it."""
    beat, began = Beat(), []
    for number, alive in enumerate(looks):
        after = step(Settings(failures=failures), beat, alive)
        beat = after.beat
        if after.fail_over:
            began.append(number)
    run, expected = 0, []
    for number, alive in enumerate(looks):
        run = 0 if alive else run + 1
        if run == failures:
            expected.append(number)
    assert began == expected
