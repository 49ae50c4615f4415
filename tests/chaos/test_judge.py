"""The judges can fail: one story that is right, and for each rule the same story with one thing that must not be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.journal import Line
from tests.chaos.judge import Evidence, complaints
from tests.chaos.record import Answer, Asked, Look, Record, Span, Write

BEGAN, MOVE, END = 1000.0, 1010.0, 1020.0
RULES = {
    "active-down": "core-a status: refused, down, failing for 2.0 s, 3 looks in a row", "re-synced": "ok",
    "candidate-standby": "core-b hastatus: OK (Mode: Standby), up",
    "fresh-enough": "the last sync of core-b came from core-a and started 5 s ago, limit 5400 s",
}


def line(seq: int, at: float, kind: str, epoch: int, member: str, **data: Any) -> Line:
    return Line(seq, at, kind, f"{data.pop('verb', kind)}: …", "", epoch, epoch, {"member": member, **data})


def moved(at: float, epoch: int, source: str, target: str, trigger: str = "auto", verb: str = "failover") -> Line:
    evidence = {"source": source, "trigger": trigger, "epoch": epoch, "rules": RULES}
    return line(epoch, at, "moved", epoch, target, verb=verb, evidence=evidence, saved={"latched": [source]})


def right() -> Evidence:
    """A dies at 1008 and comes back at 1015, B takes over at 1010; what A took after the sync of 1005 is lost, and the journal told so."""
    record = Record(began=BEGAN)
    ticks = [BEGAN + number / 10 for number in range(200)]
    record.answers = [Answer(at, at, "core-a" if at < MOVE + 0.05 else "core-b") for at in ticks]
    for at in ticks[::3]:
        dead = 1008.0 <= at < 1015.0
        record.looks += [Look("core-a", "status", at, at, "timeout" if dead else "OK"), Look("core-a", "hastatus", at, at, "Primary"),
                         Look("core-b", "status", at, at, "503"), Look("core-b", "hastatus", at, at, "Standby")]
    record.writes = [Write("kept", "core-a", 1002.0, 1002.1, 201), Write("lost", "core-a", 1007.0, 1007.1, 201),
                     Write("mine", "core-b", 1016.0, 1016.1, 201)]
    journal = [line(1, BEGAN, "adopted", 1, "core-a"), moved(MOVE, 2, "core-a", "core-b")]
    return Evidence(record, journal, "core-b", {"core-a": frozenset({"kept", "lost"}), "core-b": frozenset({"kept", "mine"})})


def _told(text: str) -> Callable[[Evidence], None]:
    def change(case: Evidence) -> None:
        case.record.answers[50] = replace(case.record.answers[50], text=text)
    return change


def _journal(*lines: Line) -> Callable[[Evidence], None]:
    def change(case: Evidence) -> None:
        case.journal += lines
        last = lines[-1]
        case.record.answers = [replace(one, text=last.member) if one.at > last.at else one for one in case.record.answers]
    return change


def _said(core: str, page: str, said: str) -> Callable[[Evidence], None]:
    def change(case: Evidence) -> None:
        case.record.looks = [replace(one, said=said) if (one.core, one.page) == (core, page) else one for one in case.record.looks]
    return change


def _asked(code: int | None, *words: str, at: float = 1005.0) -> Callable[[Evidence], None]:
    def change(case: Evidence) -> None:
        case.record.asked.append(Asked(words, at, at + 0.5, code, ""))
    return change


def _unheard(case: Evidence) -> None:
    del case.journal[1]


def _silent(case: Evidence) -> None:
    case.record.answers = [one for one in case.record.answers if not 1001.0 < one.at < 1018.0]


def _restarted(case: Evidence) -> None:
    case.record.spans.append(Span("dead", ("lbctl",), 1005.0, 1006.0))
    heard = [one for one in case.record.answers if not 1005.0 <= one.at < 1006.0]
    case.record.answers = [replace(one, text="core-b") if one.at > 1005.5 else one for one in heard]


def _forgotten(case: Evidence) -> None:
    case.held["core-b"] = frozenset({"kept"})


def _stale(case: Evidence) -> None:
    case.held["core-b"] = frozenset({"mine"})


def _unlatched(case: Evidence) -> None:
    case.journal.append(line(2, 1012.0, "acknowledged", 2, "core-a", saved={"latched": []}))


def _late(case: Evidence) -> None:
    case.journal[1] = replace(case.journal[1], at=MOVE + 1.0)


WRONG: dict[str, tuple[Callable[[Evidence], None], str]] = {
    "an empty answer": (_told("empty"), "a client is told empty"),
    "both": (_told("core-a+core-b"), "a client is told core-a"),
    "no answer at all": (_silent, "no answer for"),
    "a change that no line tells of": (_unheard, "no line of the journal says so"),
    "acted before it was saved": (_late, "before it was saved"),
    "a line that nobody heard of": (lambda case: case.journal.append(moved(1012.0, 3, "core-b", "core-a")), "the answer stays core-b"),
    "an epoch left out": (_journal(moved(1012.0, 4, "core-b", "core-a")), "followed by another than 3"),
    "a restart that changes the answer": (_restarted, "the restart changed the answer"),
    "a move of nobody": (_journal(moved(1012.0, 3, "core-b", "core-a", "operator")), "nobody asked for it"),
    "a move without evidence": (lambda case: case.journal[1].data["evidence"].pop("rules"), "no evidence"),
    "off a Core that was well": (_said("core-a", "status", "OK"), "was well at all"),
    "onto a Core that was no Standby": (_said("core-b", "hastatus", "Primary"), "did not say Standby"),
    "back by itself": (_journal(moved(1012.0, 3, "core-b", "core-a")), "went back by itself"),
    "against a hold": (_asked(0, "hold", "core"), "moved by itself against `hold core`"),
    "against a maintenance": (_asked(0, "maintenance", "on", "core"), "against `maintenance on core`"),
    "unlatched by nobody": (_unlatched, "core-a was unlatched by nobody"),
    "a command that never ends": (_asked(None, "ack", "core"), "ended with None"),
    "done, and not seen": (_asked(0, "failover", "core", "--to", "core-b", at=1001.0), "said done, and the answer is core-a"),
    "a policy that fell": (lambda case: case.journal.append(line(9, 1012.0, "policy-fell", 2, "")), "policy-fell"),
    "a write of the active that is gone": (_forgotten, "no move has left that Core since"),
    "a copy that was older than told": (_stale, "the copy was told to be 5 s old"),
}


def test_a_story_that_is_right_has_no_complaint() -> None:
    assert complaints(right()) == []


def test_who_is_adopted_though_he_is_active_changes_nothing_for_clients() -> None:
    case = right()
    again = line(2, MOVE - 0.3, "adopted", 2, "core-a", saved={"latched": []})
    case.journal[1:] = [again, replace(moved(MOVE, 3, "core-a", "core-b"), seq=3)]
    assert [found for found in complaints(case) if "skipped" in found] == []


@pytest.mark.parametrize(("change", "complaint"), WRONG.values(), ids=WRONG)
def test_each_wrong_is_complained_of(change: Callable[[Evidence], None], complaint: str) -> None:
    case = right()
    change(case)
    assert any(complaint in found for found in complaints(case)), complaints(case)


def test_a_commander_excuses_the_loss_that_he_accepted() -> None:
    """SEMANTICS 3: `failover` by hand loses what the copy lacks; a driven way back loses nothing."""
    for verb, words, excused in (("failover", ("failover", "core", "--to", "core-b"), True), ("resume", ("resume", "core", "--attest-synced"), True),
                                 ("resume", ("resume", "core", "--drive"), False)):
        case = right()
        case.journal[1] = moved(MOVE, 2, "core-a", "core-b", "operator", verb)
        case.record.asked.append(Asked(words, MOVE - 0.5, MOVE + 0.5, 0, ""))
        case.held["core-b"] = frozenset({"mine"})
        assert [found for found in complaints(case) if "writes" in found] == [] if excused else len(complaints(case)) == 1, (verb, words)
