"""The ring of recent looks: what it tells, and what it costs."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.controller import Charge
from lbctl.controller.recent import CELL_S, CELLS, SPAN_S, Recent, until
from lbctl.model.looks import ProbeResult, Reason, Verdict
from tests import virtual
from tests.controller.test_loop import ready
from tests.controller.world import DEAD, World, pair

NOW = 1_800_000_000.0
PAGES = ("status", "hastatus")


def look(ended: float, took: float = 0.01, *, member: str = "a", page: str = "status", verdict: Verdict = Verdict.OK, reason: Reason = Reason.OK,
         void: str = "") -> ProbeResult:
    return ProbeResult(member, page, verdict, reason, ended - took, ended, void=void)


def failed(ended: float, reason: Reason = Reason.TIMEOUT) -> ProbeResult:
    return look(ended, 1.0, verdict=Verdict.FAILED, reason=reason)


def told(ring: Recent, now: float = NOW, page: str = "status") -> list[dict[str, Any]]:
    """The cells in which something was seen."""
    columns = ring.shown("a", now)[page]
    rows = [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
    assert len(rows) == CELLS
    return [row for row in rows if row["good"] is not None]


def test_a_cell_tells_the_fastest_the_slowest_and_the_worst_that_was_said() -> None:
    ring = Recent(PAGES)
    for one in (look(NOW, 0.002), failed(NOW + 1, Reason.REFUSED), look(NOW + 2, 0.080), look(NOW + 3, 0.004)):
        ring.saw(one)
    (cell,) = told(ring, NOW + 4)
    assert (cell["good"], cell["failed"], cell["verdict"], cell["reason"]) == (3, 1, "failed", "refused")
    assert cell["fastest_s"] == pytest.approx(0.002, rel=0.03) and cell["slowest_s"] == pytest.approx(0.080, rel=0.03)
    assert told(ring, NOW + 4, "hastatus") == []


def test_what_is_older_than_the_span_is_gone_even_where_nothing_was_written_over_it() -> None:
    ring = Recent(PAGES)
    ring.saw(look(NOW))
    assert len(told(ring, NOW + SPAN_S - CELL_S)) == 1
    assert told(ring, NOW + SPAN_S) == [] and told(ring, NOW + 9 * SPAN_S) == []
    ring.saw(look(NOW + SPAN_S, 0.5))
    (cell,) = told(ring, NOW + SPAN_S)
    assert cell["good"] == 1, "the cell of a turn before is begun anew"


def test_a_void_look_and_a_page_that_is_not_watched_leave_no_trace() -> None:
    """H24: what overlapped a stall of ours says nothing of the member."""
    ring = Recent(PAGES)
    ring.saw(look(NOW, void="stall"))
    ring.saw(look(NOW, page="other"))
    assert told(ring) == []


def test_counts_end_at_255_and_durations_at_two_minutes() -> None:
    ring = Recent(PAGES)
    for _ in range(300):
        ring.saw(look(NOW, 3600.0))
        ring.saw(failed(NOW))
    (cell,) = told(ring)
    assert (cell["good"], cell["failed"]) == (255, 255) and 100 < cell["slowest_s"] < 130


def test_new_settings_keep_who_stays_and_forget_who_goes() -> None:
    ring = Recent(PAGES)
    ring.saw(look(NOW))
    ring.follow(PAGES, ["a", "b"])
    assert len(told(ring)) == 1
    ring.follow(PAGES, ["b"])
    assert told(ring) == []
    ring.saw(look(NOW))
    ring.follow(("tcp",), ["a"])
    assert ring.shown("a", NOW)["tcp"]["good"] == [None] * CELLS


def test_the_newest_cell_ends_after_now() -> None:
    assert until(NOW) == (NOW // CELL_S + 1) * CELL_S > NOW


@given(st.lists(st.tuples(st.floats(0, 3 * SPAN_S), st.floats(1e-4, 100), st.sampled_from(list(Verdict)))))
def test_every_look_of_the_span_is_counted_once_in_its_cell(looks: list[tuple[float, float, Verdict]]) -> None:
    """Against lists that forget nothing."""
    ring, last = Recent(PAGES), NOW + 3 * SPAN_S
    for at, took, verdict in sorted(looks):
        ring.saw(look(NOW + at, took, verdict=verdict))
    first = last // CELL_S - CELLS + 1
    kept = [(at, took, verdict) for at, took, verdict in looks if (NOW + at) // CELL_S >= first]
    good = [took for _, took, verdict in kept if verdict in (Verdict.OK, Verdict.STANDBY, Verdict.PRIMARY)]
    cells = told(ring, last)
    assert sum(cell["good"] for cell in cells) == len(good) and sum(cell["failed"] for cell in cells) == len(kept) - len(good)
    if good:
        assert max(cell["slowest_s"] or 0 for cell in cells) == pytest.approx(max(good), rel=0.03)
        assert min(cell["fastest_s"] or 1e9 for cell in cells) == pytest.approx(min(good), rel=0.03)


def test_ten_thousand_members_with_two_pages_cost_less_than_ten_megabytes() -> None:
    """GOALS: the whole controller has 83 MB for them."""
    rings = [Recent(PAGES) for _ in range(5_000)]
    looks = [look(NOW, member=member, page=page) for member in "ab" for page in PAGES]
    tracemalloc.start()
    for ring in rings:
        for one in looks:
            ring.saw(one)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken < 10e6, f"{taken / 1e6:.1f} MB"


def test_the_controller_keeps_looks_through_a_reload_and_says_what_a_person_s_move_would_be_refused_by() -> None:
    async def story() -> None:
        world = await ready(World())
        world.say("a", dict(DEAD))
        await world.rounds(1)
        shown = world.controller.looks("core", "a")["status"]
        assert sum(filter(None, shown["good"])) > 2 and sum(filter(None, shown["failed"])) == 1 and shown["reason"][-1] == "refused"
        reply = await world.controller.reload([Charge(replace(pair(), lockout_s=77.0), (world.actuators["dns:core"],))])
        assert reply.code == 0 and world.controller.looks("core", "a")["status"]["failed"] == shown["failed"]
        (candidate,) = world.controller.explain("core")["candidates"]
        assert [row["rule"] for row in candidate["for_failover"]] == ["active-down"], "one look is no outage yet"
        assert all(row["rule"] != "active-down" and not row["holds"] for row in candidate["for_switchover"])
        await world.controller.stop()

    virtual.run(story())
