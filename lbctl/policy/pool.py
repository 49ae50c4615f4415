"""A pool: all healthy members answer (G-SC3). Never empty, never fewer than the minimum share, and members come back by themselves.

A member leaves the answer when it is down and may leave only while enough others remain; who has to stay although it is down is whoever answered
last in the order of preference. Doubt, maintenance and hold freeze the answer as they freeze a pair. A pool that `follows` another service answers
with the members of that service's site as long as one of them is up (G-FS).
"""

from __future__ import annotations

import math

from lbctl.model.looks import Health
from lbctl.policy import doubt
from lbctl.policy.case import Case
from lbctl.policy.turn import Turn


def judge(turn: Turn) -> None:
    """Makes the answer follow the members' health."""
    case = turn.case
    if not case.saved.answering:
        _first_answer(turn)
        return
    if frozen(case):
        return
    wanted = answer(case)
    if wanted != case.saved.answering:
        gone = sorted(set(case.saved.answering) - set(wanted))
        come = sorted(set(wanted) - set(case.saved.answering))
        turn.save(answering=wanted, active=wanted[0], epoch=case.saved.epoch + 1, moved_at=turn.now)
        told = "; ".join(t for t in (f"out: {', '.join(gone)}" if gone else "", f"in: {', '.join(come)}" if come else "") if t)
        turn.note("pool-changed", f"{case.settings.name} answers with {', '.join(wanted)} ({told})", out=gone, came=come, epoch=turn.saved.epoch)


def _first_answer(turn: Turn) -> None:
    """Nothing is known to be published: all members, once each has been looked at (no answer before knowledge)."""
    case = turn.case
    if any(case.judged(name).health is Health.UNKNOWN for name in case.settings.names):
        return
    wanted = answer(case)
    turn.save(answering=wanted, active=wanted[0], epoch=case.saved.epoch + 1)
    turn.set(uninitialised="", adopting="", promoted=True)
    turn.note("adopted", f"{case.settings.name} answers with {', '.join(wanted)}")


def frozen(case: Case) -> str:
    """Why the answer must stay as it is; "" if it may change."""
    if case.in_maintenance():
        return "not-in-maintenance"
    if case.saved.hold is not None:
        return "not-held"
    if case.settings.observe:
        return "automation-on"
    if doubt.blind(case):
        return "not-blind"
    if doubt.common_mode(case) is not None:
        return "no-common-mode"
    if case.around.mass != "open" and case.saved.mass != "released":
        return "within-mass-move"
    return ""


def answer(case: Case) -> tuple[str, ...]:
    """The members to answer with, in order of preference."""
    names = case.settings.names
    before = set(case.saved.answering or names)
    keep = {n for n in names if case.up(n) or (n in before and not case.down(n))}
    site = case.around.followed_site
    near = {n for n in keep if case.member(n).site == site} if site and case.settings.follows else set()
    if near:
        keep = near
    else:
        least = max(1, math.ceil(case.settings.minimum_share * len(names)))
        for name in sorted(set(names) - keep, key=lambda n: (n not in before, names.index(n))):
            if len(keep) < least:
                keep.add(name)
    return tuple(n for n in names if n in keep)
