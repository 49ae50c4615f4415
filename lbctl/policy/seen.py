"""What one look changes in what is believed: counts, modes, returns, promotion, blindness. No decision is taken here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from lbctl.model.looks import SILENT, Health, ProbeResult, Verdict
from lbctl.model.state import MemberSight, PageSight, State
from lbctl.policy import doubt, health
from lbctl.policy.case import HASTATUS, STATUS, Case
from lbctl.policy.turn import Turn

K = TypeVar("K")
V = TypeVar("V")


def put(mapping: Mapping[K, V], key: K, value: V) -> dict[K, V]:
    """A copy with one entry changed."""
    return {**mapping, key: value}


def observe(turn: Turn, look: ProbeResult) -> None:
    """Takes one look into account. A void one, or one begun before we were entitled to judge, leaves only its mark."""
    # A look that was under way when a reload took its member or page out.
    if look.member not in turn.settings.names or look.page not in turn.settings.monitor.pages:
        return
    case = turn.case
    # By its start: it may have begun in a maintenance or while blind and end long after (H3, H33).
    if look.void or look.started < turn.state.judged_from:
        _mark_void(turn, look, look.void or "begun too early")
        return
    # Before it is counted: what another server says must not even show as this member's last word.
    if why := doubt.mistaken(case, look):
        _mark_void(turn, look, why)
        return
    # Whether we are blind is asked as if the look counted: the silent look that completes it must not be believed first.
    counted = case.on(_with(case, look))
    if doubt.blind(counted):
        _while_blind(turn, look)
        return
    # Somebody else's answer has ended the blindness, not this look: it is still one of the blind ones.
    if turn.state.blind_since is not None and look.reason in SILENT:
        turn.set(blind_since=None, judged_from=turn.now)
        _mark_void(turn, look, "blind")
        return
    sees_from = turn.state.judged_from if turn.state.blind_since is None else turn.now  # what was begun while blind may end later
    turn.state = replace(counted.state, blind_since=None, judged_from=sees_from)
    _follow_active(turn, look, case)


def _with(case: Case, look: ProbeResult) -> State:
    sight = case.sight(look.member)
    page = sight.pages.get(look.page, PageSight())
    probe = case.member(look.member).probe
    # Neither good nor bad for who has the traffic, bad for who might take it (SEMANTICS 1, H14).
    if look.verdict is Verdict.UNKNOWN and look.member in case.answering:
        page = replace(health.neutral(page, look), ways=health.ways(page, look, probe))
    else:
        page = health.note(page, look, probe, good=look.good)
    sight = replace(_modes(case, sight, look), pages=put(sight.pages, look.page, page))
    return replace(case.state, members=put(case.state.members, look.member, sight), looked=case.state.looked | {f"{look.member}/{look.page}"})


def _modes(case: Case, sight: MemberSight, look: ProbeResult) -> MemberSight:
    """What this look tells of the member's mode and of its coming back."""
    # The status page tells only who serves; modes and returns are read from the other page.
    if look.page == STATUS and case.modes:
        # From the end of the first failed look: it may have served until then.
        quiet = None if look.good else (look.ended if sight.unserving_since is None else sight.unserving_since)
        return replace(sight, unserving_since=quiet)
    before = sight.pages.get(look.page)
    # A first look counts as a return: whether it was away before this life, nobody knows.
    if look.good and (before is None or before.last is None or not before.last.good):
        sight = replace(sight, returned_at=look.started)
    if look.verdict is Verdict.STANDBY:
        # Only a Standby ends a run of Primary: a failed look between two of Primary is no new promotion (H7).
        return replace(sight, standby_seen=look.ended, primary_since=None)
    if look.verdict is Verdict.PRIMARY and sight.primary_since is None:
        return replace(sight, primary_since=look.started)
    return sight


def _mark_void(turn: Turn, look: ProbeResult, why: str) -> None:
    sight = turn.case.sight(look.member)
    page = health.void(sight.pages.get(look.page, PageSight()), why)
    # A void look at the active is a gap in watching: "never promoted" must have been seen at every look.
    watched = turn.state.never_promoted and look.member != turn.case.active
    turn.set(members=put(turn.state.members, look.member, replace(sight, pages=put(sight.pages, look.page, page))), never_promoted=watched)


def _while_blind(turn: Turn, look: ProbeResult) -> None:
    """Entering blindness forgets the failures that led to it; during it, looks keep their text and count for nothing (H3)."""
    members = turn.state.members
    if turn.state.blind_since is None:
        # `unserving_since` too: while we could not see the active, it may have served and taken writes.
        members = {name: replace(s, pages={p: health.forget(v) for p, v in s.pages.items()}, unserving_since=None) for name, s in members.items()}
        turn.set(blind_since=turn.now)
    sight = members.get(look.member, MemberSight())
    # The look is kept as the last one: whether we are still blind is read from the same last looks.
    page = health.void(health.neutral(sight.pages.get(look.page, PageSight()), look), "blind")
    sight = replace(sight, pages=put(sight.pages, look.page, page))
    # What has to be watched without a gap begins anew; the lockout's steady time is part of that.
    turn.set(members=put(members, look.member, sight), never_promoted=False, up_since=None)


def _follow_active(turn: Turn, look: ProbeResult, before: Case) -> None:
    case = turn.case
    if look.member != case.active:
        return
    if turn.state.never_promoted and not _still_unpromoted(before, look):
        turn.set(never_promoted=False)
    # `rise` good status pages and a fresh Primary: one OK between two failures is no promotion.
    serving = case.serves(case.active) and case.page(case.active, STATUS).health is Health.UP
    if not turn.state.promoted and (not case.modes or (serving and case.primary(case.active))):
        turn.set(promoted=True)
        turn.note("promoted", f"{case.active} answers as Primary and serves", member=case.active)
    # Asked of the case after `promoted` was set: from then on another page judges the active.
    steady = turn.state.promoted and turn.case.up(case.active)
    since = turn.state.up_since
    turn.set(up_since=(turn.now if since is None else since) if steady else None)


def _still_unpromoted(before: Case, look: ProbeResult) -> bool:
    """Standby, not serving, and watched without a gap (SEMANTICS section 3, way iii)."""
    last = before.page(look.member, look.page).last
    probe = before.member(look.member).probe
    # The same measure as for freshness: what would not count as fresh was not watched.
    if last is not None and look.started - last.ended > 2 * probe.interval_s + probe.timeout_s:
        return False
    return not look.good if look.page == STATUS else look.verdict is Verdict.STANDBY


def reset_counts(state: State, now: float) -> State:
    """Forgets all counting; looks begun before now count for nothing (end of maintenance, SEMANTICS section 7)."""
    members = {n: replace(s, pages={p: health.forget(v) for p, v in s.pages.items()}) for n, s in state.members.items()}
    # `promoted` stays: what the active has shown does not become untrue by a maintenance, only counts do.
    return replace(state, members=members, judged_from=now, rounds=0, looked=frozenset(), up_since=None)


def round_over(case: Case) -> bool:
    """Every page of every member has had a real look since the last round."""
    return all(f"{name}/{page}" in case.state.looked for name in case.settings.names for page in case.settings.monitor.pages)


def candidate_health(case: Case, name: str) -> Health:
    """The health that the view shows."""
    return case.judged(name).health


__all__ = ["HASTATUS", "candidate_health", "observe", "put", "reset_counts", "round_over"]
