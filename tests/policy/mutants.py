"""Planted breaks: deciders with one rule removed or one duty forgotten, each of which some invariant or law must catch.

A proof that cannot fail proves nothing. Each mutant wraps the product's `decide` from outside: it hides from it what the broken rule would read, or
undoes in its decision what the forgotten duty would have done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lbctl.model import commands as ask
from lbctl.model.decision import Decision
from lbctl.model.events import Around, Event, Started
from lbctl.model.looks import ProbeResult, Reason, Verdict
from lbctl.model.settings import ServiceSettings
from lbctl.model.state import Saved, State
from lbctl.policy.decide import decide
from tests.policy.explorer import Decide


def hiding(**hidden: Any) -> Decide:
    """The decider does not see these saved facts when it hears looks; they are put back afterwards unless it changed them."""

    def broken(settings: ServiceSettings, state: State, event: Event, now: float, around: Around) -> Decision:
        if not isinstance(event, ProbeResult):
            return decide(settings, state, event, now, around)
        blind = replace(state, saved=replace(state.saved, **hidden))
        decision = decide(settings, blind, event, now, around)
        back = {k: getattr(state.saved, k) for k, v in hidden.items() if getattr(decision.state.saved, k) == v}
        return replace(decision, state=replace(decision.state, saved=replace(decision.state.saved, **back)))

    return broken


def believing(change: Callable[[ProbeResult], ProbeResult]) -> Decide:
    """The decider hears every look changed; the state keeps the truth."""

    def broken(settings: ServiceSettings, state: State, event: Event, now: float, around: Around) -> Decision:
        if not isinstance(event, ProbeResult):
            return decide(settings, state, event, now, around)
        decision = decide(settings, state, change(event), now, around)
        sight = decision.state.members[event.member]
        page = replace(sight.pages[event.page], last=event)
        members = {**decision.state.members, event.member: replace(sight, pages={**sight.pages, event.page: page})}
        return replace(decision, state=replace(decision.state, members=members))

    return broken


def forgetting(undo: Callable[[Saved, Saved], Saved]) -> Decide:
    """The decision is made, and a duty in it undone: `undo(before, after)`."""

    def broken(settings: ServiceSettings, state: State, event: Event, now: float, around: Around) -> Decision:
        decision = decide(settings, state, event, now, around)
        return replace(decision, state=replace(decision.state, saved=undo(state.saved, decision.state.saved)))

    return broken


def under(change: Callable[[ServiceSettings], ServiceSettings]) -> Decide:
    """The decider works under other settings than those that were agreed."""
    return lambda settings, state, event, now, around: decide(change(settings), state, event, now, around)


def _unasked(settings: ServiceSettings) -> ServiceSettings:
    return replace(settings, members=tuple(replace(m, manual_approval=False) for m in settings.members))


def _hasty(settings: ServiceSettings) -> ServiceSettings:
    members = tuple(replace(m, probe=replace(m.probe, min_outage_s=0.0)) for m in settings.members)
    return replace(settings, members=members)


def _restarting(settings: ServiceSettings, state: State, event: Event, now: float, around: Around) -> Decision:
    if isinstance(event, Started):
        event = Started(tuple(replace(s, members=(state.saved.active or "a",)) for s in event.shown))
    return decide(settings, state, event, now, around)


def _attesting(settings: ServiceSettings, state: State, event: Event, now: float, around: Around) -> Decision:
    believed: Event = replace(event, attest_synced=True) if isinstance(event, ask.Resume) else event
    return decide(settings, state, believed, now, around)


def _silent(settings: ServiceSettings, state: State, event: Event, now: float, around: Around) -> Decision:
    return replace(decide(settings, state, event, now, around), reply=None)


def _moving_with_roles(settings: ServiceSettings, state: State, event: Event, now: float, around: Around) -> Decision:
    decision = decide(settings, state, event, now, around)
    if isinstance(event, ask.SwapRoles) and decision.state.saved.primary != state.saved.primary:
        saved = replace(decision.state.saved, active=state.saved.primary, latched=frozenset(), needs_resync=frozenset())
        return replace(decision, state=replace(decision.state, saved=saved))
    return decision


def _loose_approvals(before: Saved, after: Saved) -> Saved:
    return replace(after, approvals=before.approvals) if before.approvals and after.incident is None else after


def _first_is_standby(look: ProbeResult) -> ProbeResult:
    return replace(look, verdict=Verdict.STANDBY) if look.verdict is Verdict.PRIMARY and look.member != "a" else look


def _always_standby(look: ProbeResult) -> ProbeResult:
    if look.member == "a" or look.page == "status":
        return look
    return replace(look, verdict=Verdict.STANDBY, reason=Reason.OK)


def _refusing_loosely(settings: ServiceSettings, state: State, event: Event, now: float, around: Around) -> Decision:
    decision = decide(settings, state, event, now, around)
    if decision.reply is not None and decision.reply.code is ask.Code.REFUSED:
        return replace(decision, state=replace(decision.state, saved=replace(decision.state.saved, latched=frozenset())))
    return decision


def _acknowledging_back(before: Saved, after: Saved) -> Saved:
    acked = before.lockout_until is not None and after.lockout_until is None and after.active == before.active
    return replace(after, active=after.primary, latched=frozenset(), needs_resync=frozenset()) if acked else after


MUTANTS: dict[str, tuple[Decide, str, dict[str, Any]]] = {
    "the latch is not read": (hiding(latched=frozenset(), needs_resync=frozenset(), lockout_until=None), "manual-resume", {}),
    "maintenance is not read": (hiding(maintenance=None), "people-were-heard", {}),
    "a hold is not read": (hiding(hold=None), "people-were-heard", {}),
    "re-arming is not read": (hiding(rearming=False), "people-were-heard", {}),
    "approvals are not needed": (under(_unasked), "people-were-heard", {"members": 3}),
    "observing is doing": (under(lambda s: replace(s, observe=False)), "people-were-heard", {"observe": True}),
    "Primary is taken for Standby": (believing(_first_is_standby), "gate-of-the-guide", {}),
    "blindness is not seen": (believing(_always_standby), "doubts-were-heard", {"around": Around()}),
    "an outage needs no time": (under(_hasty), "min-outage", {"min_outage_s": 2.0}),
    "the epoch does not rise": (forgetting(lambda b, a: replace(a, epoch=b.epoch)), "epoch-rises", {}),
    "the active is forgotten": (forgetting(lambda b, a: replace(a, active=None)), "active-is-member", {}),
    "the active is latched": (forgetting(lambda b, a: replace(a, latched=a.latched | {a.active or ""})), "active-is-free", {}),
    "the loser is not latched": (forgetting(lambda b, a: replace(a, latched=frozenset())), "loser-is-latched", {}),
    "no lockout begins": (forgetting(lambda b, a: replace(a, lockout_until=None)), "lockout-begins", {}),
    "a latch ends by itself": (forgetting(lambda b, a: replace(a, latched=frozenset()) if b.latched else a), "latches-end-by-people", {}),
    "needs_resync fades": (forgetting(lambda b, a: replace(a, needs_resync=frozenset()) if b.needs_resync else a), "resync-ends-by-proof", {}),
    "a refusal unlatches": (_refusing_loosely, "refusals-change-nothing", {}),
    "commands go unanswered": (_silent, "commands-are-answered", {}),
    "a resume needs no sync": (_attesting, "resume_in_three_situations", {}),
    "a restart believes only itself": (_restarting, "restart_moves_nothing", {}),
    "a swap moves traffic": (_moving_with_roles, "swap_moves_nothing", {}),
    "an ack moves traffic": (forgetting(_acknowledging_back), "only_movers_move", {}),
    "roles follow traffic": (forgetting(lambda b, a: replace(a, primary=a.active or a.primary)), "roles_follow_only_people", {}),
    "approvals outlive their incident": (forgetting(_loose_approvals), "approvals_belong_to_incidents", {"members": 3}),
    "observing moves traffic": (under(lambda s: replace(s, observe=False)), "observing_is_not_doing", {"observe": True}),
}
"""Name → (the broken decider, the one invariant or law that must catch it, what makes the break reachable)."""
