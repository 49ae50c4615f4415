"""A pool: all healthy members answer (G-SC3). Never empty, never fewer than the minimum share, and members come back by themselves.

A member leaves the answer when its outage is proven (`fall` or leak, and `min_outage`) and may leave only while enough others remain; who has to
stay although it is down is whoever answered last, in the order of preference; nobody who is not up is brought in. It comes back with `rise` good
looks: all members of a pool serve alike, so nothing is lost by that, and there is no latch. Doubt, maintenance, hold, re-arming and a wave of moves
freeze the answer as they freeze a pair.

A pool that `follows` another service answers with the members of that service's site as long as one of them is up (G-FS), and then the minimum share
counts for nothing: who is near matters more than how many. While it is not known where the other service is (a restart), the site that the answer
already has is kept, so that starting moves nothing.
"""

from __future__ import annotations

import math

from lbctl.policy import doubt
from lbctl.policy.case import Case
from lbctl.policy.turn import Turn


def judge(turn: Turn) -> None:
    """Makes the answer follow the members' health."""
    case = turn.case
    # Without a first answer nothing is taken away and nothing added: that is the start's part.
    if turn.state.uninitialised or not case.saved.answering:
        return
    wanted = answer(case)
    if wanted == case.saved.answering:
        # The wave has passed without us: the next one is held anew.
        if case.saved.mass:
            turn.save(mass="")
        return
    if frozen(case):
        if frozen(case) == "within-mass-move" and case.around.mass == "hold" and case.saved.mass != "held":
            turn.save(mass="held")
        return
    _change(turn, wanted)


def _change(turn: Turn, wanted: tuple[str, ...]) -> None:
    before = turn.saved.answering
    gone = [name for name in before if name not in wanted]
    come = [name for name in wanted if name not in before]
    # `active` names one of them for everything that shows one name; the answer is `answering`.
    turn.save(answering=wanted, active=wanted[0], epoch=turn.saved.epoch + 1, moved_at=turn.now, mass="")
    told = "; ".join(t for t in (f"out: {', '.join(gone)}" if gone else "", f"in: {', '.join(come)}" if come else "") if t)
    text = f"{turn.settings.name} answers with {', '.join(wanted)} ({told})"
    turn.note("pool-changed", text, out=gone, came=come, epoch=turn.saved.epoch)


def frozen(case: Case) -> str:
    """The rule by which the answer must stay as it is; "" if it may change."""
    if rule := doubt.freezes(case):
        return rule
    # Only leaving: members that come back after a wave must not wait for a person.
    if case.saved.mass != "released" and (case.around.mass != "open" or case.saved.mass == "held") and leaving(case):
        # Held stays held until somebody releases it, also where the wave has passed by then (H53).
        return "within-mass-move"
    return ""


def leaving(case: Case) -> frozenset[str]:
    """Who answers now and would not by the members' health: what a wave of moves is counted by. Coming back is no wave."""
    return frozenset(case.saved.answering) - frozenset(answer(case))


def stuck(case: Case) -> str:
    """The rule that keeps another answer from being given; "" where the answer is the one that is wanted, or may change."""
    if case.settings.kind != "pool" or not case.saved.answering or answer(case) == case.saved.answering:
        return ""
    return frozen(case)


def least(case: Case) -> int:
    """The fewest members that answer."""
    # Never none, whatever the share: an empty answer is an outage for everybody (G-SC3, H41).
    return max(1, math.ceil(case.settings.minimum_share * len(case.settings.names)))


def lost(case: Case, name: str) -> bool:
    """Its outage is proven, and the proof is fresh."""
    # Coming needs `rise`, leaving the whole proof: between the two a member stays where it is.
    return case.judged(name).down_at is not None and case.fresh(name, case.decisive(name))


def short(case: Case) -> tuple[str, ...]:
    """Members that answer although they are down, because too few others are up."""
    return tuple(name for name in case.saved.answering if name in case.settings.names and lost(case, name)) if not frozen(case) else ()


def site(case: Case) -> str:
    """The site to answer from: where the followed service is, or, while that is not known, where the answer is now; "" for anywhere."""
    if not case.settings.follows:
        return ""
    now = {case.member(name).site or "" for name in case.saved.answering if name in case.settings.names}
    return case.around.followed_site or (next(iter(now)) if len(now) == 1 else "")


def answer(case: Case) -> tuple[str, ...]:
    """The members to answer with, in order of preference."""
    names = case.settings.names
    before = set(case.saved.answering)
    # Unknown keeps who is in and brings in nobody: after a start or a reload the answer stays.
    keep = {n for n in names if case.up(n) or (n in before and not lost(case, n))}
    at = site(case)
    # Empty where nobody there is up: then anybody anywhere is better than the right site.
    there = {n for n in names if case.member(n).site == at} if at else set()
    near = keep & there
    # To go there somebody must be seen to be up there: after a restart nobody is known to be down, and an answer from anywhere stays as it was.
    if near and (before <= there or any(case.up(n) for n in near)):
        keep = near
    else:
        last = [n for n in names if n in before and n not in keep]
        keep |= set(last[: max(0, least(case) - len(keep))])
    # All of them where nothing is left to choose from: some answer, and clients try (G-SC3).
    return tuple(n for n in names if n in (keep or names))
