"""History decided again: under the same settings the same, under others a plain answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.cli.failure import Failure
from lbctl.cli.replay import changed_by
from lbctl.controller.steps import steps_of
from lbctl.model import commands as ask
from lbctl.model.decision import Step
from lbctl.model.events import Around, Drained, Event, SyncSeen, SyncUnknown
from lbctl.model.looks import Reason
from lbctl.model.settings import Freshness, ServiceSettings
from lbctl.policy import decide
from lbctl.replay import NEAR_S, Moved, Replayed, compare, near, replay
from tests.policy.stage import Stage, pair
from tests.policy.test_drain import Planned


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


class Drains(Recorded, Planned):
    """An active/standby Sentry whose planned moves wait for caches."""


def test_what_people_did_is_taken_over_also_where_it_waited_for_caches() -> None:
    """H49: a drained switchover moves when it moved, as it was saved; and history goes on from there."""
    stage = Drains()
    stage.on(10)
    stage.switchover()
    stage.hear(Drained("x", 30.0))
    stage.on(60)
    stage.verify()
    stage.on(10)
    assert stage.active == "b"
    moved = next(line.at for line in stage.lines if line.kind == "moved" and line.data["evidence"]["trigger"] == "operator")
    for count in (2, 9):
        (move,) = replay(fall(stage.settings, count), stage.lines).moves
        assert (move.at, move.source, move.target, move.trigger) == (moved, "a", "b", "operator")


def test_a_member_that_is_not_configured_any_more_is_left_out() -> None:
    lines = [*month(), Step(at=1e9, service="core", kind="moved", text="", data={"evidence": {"trigger": "operator"}, "saved": {"active": "gone"}})]
    assert len(replay(pair(), lines).moves) == 2


def test_lines_of_other_kinds_are_no_obstacle() -> None:
    """An address family's own looks, resolvers, what a later version writes."""
    way = {"member": "a", "page": "status", "way": "6", "verdict": "failed", "reason": "timeout", "started": 1.0, "ended": 2.0, "detail": ""}
    more = [Step(at=at, service="core", kind=kind, text="x", data=data)
            for at, kind, data in ((5.0, "way-look", way), (6.0, "resolver-converged", {"resolver": "r", "seconds": 1}), (7.0, "new-kind", {}),
                                   (8.0, "command", {"command": {"verb": "Strange"}, "code": 0, "rule": "", "evidence": {}}))]
    lines = month()
    assert compare(replay(pair(), lines), replay(pair(), [*more, *lines])) == "nothing would have been different"


def test_the_answer_counts_in_words_and_only_what_was_decided_by_itself() -> None:
    blip, slow, people = Moved(1.0, "a", "b", "auto", 40.0), Moved(900.0, "a", "b", "auto", None), Moved(2000.0, "b", "a", "operator")
    more = Replayed((blip, Moved(400.0, "a", "b", "auto", 12.0), slow, people), 0, 0, 0)
    assert compare(Replayed((), 0, 0, 0), more) == "3 more failovers, two of them within 40 s of a recovery"
    assert compare(more, Replayed((people,), 2, 1, 0)) == "3 fewer failovers; 2 more that were held back; 1 more approval asked for"


def test_the_same_moves_at_another_time_are_no_nothing() -> None:
    """What patience costs is seconds of service: they are the answer to `--set min_outage=…`."""
    once = Moved(100.0, "a", "b", "auto")
    assert compare(Replayed((once,), 0, 0, 0), Replayed((replace(once, at=103.6),), 0, 0, 0)) == "the same failover, 3.6 s later"
    two = (once, replace(once, at=900.0))
    faster = (replace(once, at=98.0), replace(once, at=890.0))
    assert compare(Replayed(two, 0, 0, 0), Replayed(faster, 0, 0, 0)) == "the same 2 failovers, up to 10.0 s earlier"
    assert compare(Replayed((once,), 0, 0, 0), Replayed((replace(once, at=100.4),), 0, 0, 0)) == "nothing would have been different"


def test_what_was_known_of_the_copy_is_known_again() -> None:
    """H1: with the limit as it was the old copy stops the move again; with a longer one it would have been taken."""
    def limited(minutes: float) -> ServiceSettings:
        settings = pair()
        return replace(settings, members=(settings.members[0], replace(settings.members[1], freshness=Freshness(minutes * 60))))

    stage = Recorded(limited(60), around=Around(proofs=1, watched=1))
    stage.hear(SyncUnknown("b", "not asked"))
    stage.rounds(10, a="ok/primary", b="503/standby")
    # Over the network no two readings of a clock agree: the same sync told twice is one line all the same, or a journal would get one a reading.
    stage.hear(SyncSeen("b", "a", stage.now - 90 * 60, stage.now - 89 * 60))
    stage.hear(SyncSeen("b", "a", stage.now - 90 * 60 - 0.3, stage.now - 89 * 60 - 0.3))
    stage.rounds(6, a="fail", b="503/standby")
    assert stage.active == "a" and [line.kind for line in stage.lines].count("synced") == 1
    assert not replay(limited(60), stage.lines).moves
    assert [move.target for move in replay(limited(120), stage.lines).moves] == ["b"]


def test_a_void_look_is_void_again() -> None:
    """H24: what a stall of ours has cut off says nothing of the members, then or now; and the looks around it are as many as they were."""
    stage = Recorded(fall(pair(), 9), around=Around(proofs=1, watched=1))
    stage.rounds(30, a="ok/primary", b="503/standby")
    stage.rounds(2, a="fail", b="503/standby")
    _voided(stage, 6)
    stage.rounds(2, a="fail", b="503/standby")
    stage.rounds(30, a="ok/primary", b="503/standby")
    assert not replay(fall(pair(), 5), stage.lines).moves
    assert len(replay(fall(pair(), 4), stage.lines).moves) == 1


def test_as_many_looks_are_laid_out_as_were_made() -> None:
    """A void look counts for nothing, and so do the ones after it: a mark a page; the looks around them are no more for it."""
    stage = Recorded(pair(), around=Around(proofs=1, watched=1))
    stage.rounds(30, a="ok/primary", b="503/standby")
    _voided(stage, 6)
    stage.rounds(30, a="ok/primary", b="503/standby")
    stage.restart("a")
    assert replay(pair(), stage.lines).looks == pytest.approx(60 * 4 + 4, abs=8)


def test_a_night_in_which_nothing_can_be_seen_is_a_line_a_page_and_not_one_a_look() -> None:
    """H3, H24, H17: the journal has a bound, and what fills it pushes out the history that people need in the morning."""
    stage = Recorded(pair())
    stage.normal()
    for name, rounds in (("blind", lambda: stage.rounds(200, a="fail", b="fail")), ("stall", lambda: _voided(stage, 200))):
        before = len(stage.lines)
        rounds()
        assert len(stage.lines) - before < 20, name
        stage.rounds(5, a="ok/primary", b="503/standby")
    marks = {line.data["void"] for line in stage.lines if line.kind == "look"}
    assert marks == {"", "blind", "stall"}


def _voided(stage: Recorded, rounds: int) -> None:
    for _ in range(rounds):
        stage.now += 1.0
        for name in ("a", "b"):
            for page in ("status", "hastatus"):
                stage.look(name, page, reason=Reason.TIMEOUT, void="stall")


def test_a_run_of_failures_with_several_reasons_is_as_long_as_it_was() -> None:
    """Else `fall` would be reached by looks that nobody made."""
    stage = Recorded(fall(pair(), 9), around=Around(proofs=1, watched=1))
    stage.rounds(30, a="ok/primary", b="503/standby")
    stage.rounds(2, a="fail", b="503/standby")
    stage.rounds(2, a="refused", b="503/standby")
    stage.rounds(30, a="ok/primary", b="503/standby")
    assert not replay(fall(pair(), 5), stage.lines).moves
    assert len(replay(fall(pair(), 4), stage.lines).moves) == 1


def test_looks_of_one_life_are_not_laid_into_the_next() -> None:
    """A restart ends a stretch: what was well before it says nothing against what failed after it."""
    stage = Recorded(pair(), around=Around(proofs=1, watched=1))
    stage.rounds(60, a="ok/primary", b="503/standby")
    stage.now += 5.0
    stage.restart("a")
    stage.rounds(5, a="ok/primary", b="503/standby")
    stage.rounds(6, a="fail", b="503/standby")
    assert stage.active == "b"
    assert [(m.source, m.target) for m in replay(pair(), stage.lines).moves] == [("a", "b")]


def test_a_quiet_month_costs_what_happened_in_it_and_not_how_long_it_was() -> None:
    """Looks are laid out near what happened alone, one after the other: neither time nor memory grows with the quiet between."""
    lines = month()
    cut = next(number for number, line in enumerate(lines) if line.kind == "moved") - 10
    quiet_s, every = 30 * 86400.0, pair().member("a").probe.interval_s
    first, rest = lines[:cut], [_later(line, quiet_s, int(quiet_s / every)) for line in lines[cut:]]
    told: list[tuple[int, int]] = []
    found = replay(pair(), [*first, *rest], lambda line, of: told.append((line, of)))
    known = replay(pair(), lines)
    assert [(move.source, move.target) for move in found.moves] == [(move.source, move.target) for move in known.moves]
    assert found.looks < known.looks + 8 * NEAR_S / every * 4, "four pages, before and after the quiet"
    assert all(0 <= line <= of == len(lines) for line, of in told)


def _later(line: Step, by_s: float, looks: int) -> Step:
    """The line after `by_s` more of what was said before it."""
    data = {key: value + by_s if key in ("started", "ended") else value for key, value in line.data.items()}
    if "before" in data:
        before = data["before"]
        data["before"] = {**before, "last_ended": before["last_ended"] + by_s, "count": before["count"] + looks}
    return replace(line, at=line.at + by_s, data=data)


@given(begin=st.integers(0, 50), gap=st.integers(1, 30), count=st.integers(0, 300), moments=st.lists(st.integers(0, 9000), max_size=6))
def test_the_looks_near_something_are_those_that_one_by_one_would_find(begin: int, gap: int, count: int, moments: list[int]) -> None:
    """In whole seconds, so that what lies on the edge lies there for both."""
    moments.sort()
    one_by_one = [n for n in range(1, count + 1) if any(abs(begin + n * gap - at) <= NEAR_S for at in moments)]
    assert list(near(begin, gap, count, list(map(float, moments)))) == one_by_one
