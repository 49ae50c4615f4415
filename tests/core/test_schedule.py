"""G-SY2: StartTime (GMT), Run Every, and the next-day rule."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.core.schedule import DAY_S, Schedule


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def shown(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M")


@pytest.mark.parametrize(("saved", "now", "expected"), [
    ("2026-11-23 14:00", "2026-11-23 14:00", "2026-11-24 13:00"),
    ("2026-11-23 12:00", "2026-11-23 12:00", "2026-11-23 13:00"),
    ("2026-11-23 13:00", "2026-11-23 12:59", "2026-11-23 13:00"),
    ("2026-11-23 12:00", "2026-11-23 13:00", "2026-11-23 14:30"),
    ("2026-11-23 12:00", "2026-11-23 15:59", "2026-11-23 16:00"),
    ("2026-11-23 12:00", "2026-11-30 00:10", "2026-11-30 01:00"),
], ids=["saved after StartTime: tomorrow", "saved before: today", "saved at StartTime", "then Run Every", "third run", "days later, from the first"])
def test_the_guides_next_day_rule_and_run_every(saved: str, now: str, expected: str) -> None:
    """The guide's own example: StartTime 1 pm, saved at 2 pm, so the sync runs at 1 pm of the following day."""
    assert shown(Schedule(13 * 3600, 90 * 60, at(saved)).next_run(at(now))) == expected


@given(st.integers(0, DAY_S - 1), st.integers(60, 10 * DAY_S), st.floats(0, 4e9), st.floats(0, 4e6))
def test_the_next_run_lies_ahead_and_on_the_grid(start: int, every: int, saved: float, later: float) -> None:
    schedule = Schedule(start, every, saved)
    due = schedule.next_run(saved + later)
    assert schedule.first % DAY_S == start
    assert 0 <= schedule.first - saved <= DAY_S
    assert due >= saved + later or due == schedule.first
    assert (due - schedule.first) % every == 0
    assert due == schedule.first or due - (saved + later) <= every


@pytest.mark.parametrize("wrong", [(-1, 3600), (DAY_S, 3600), (0, 59)])
def test_a_schedule_that_cannot_be_is_refused(wrong: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"time of day|one minute"):
        Schedule(*wrong, 0.0)
