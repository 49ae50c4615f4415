"""Maintenance, its end, and arming again; lockouts and approvals running out (SEMANTICS sections 2 and 7).

Timers are data: whatever ends by time is a saved instant, compared here at each event, and named by `wake_times` so that the loop sends a `Tick`.
The end of a maintenance never fires anything: it passes through re-arming, which counts clean rounds (H33).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lbctl.model.looks import Verdict
from lbctl.policy import drain, follow, pool, seen
from lbctl.policy.case import HASTATUS, Case
from lbctl.policy.turn import Turn

STEADY_S = 300.0
"""How long the active must be promoted and up before a lockout may end by time."""

WARN_BEFORE_S = 900.0
"""Maintenance is about to end: told this long before (H32)."""

HELD_LONG_S = 8 * 3600.0
"""A hold older than this is told again every hour."""

HOUR_S = 3600.0


def run_timers(turn: Turn) -> None:
    """Everything that ends by itself."""
    _maintenance(turn)
    _lockout(turn)
    _approvals(turn)
    _hold(turn)


def _maintenance(turn: Turn) -> None:
    span = turn.saved.maintenance
    if span is not None and turn.now >= span.until:
        # A run holds the service until step 9 or `abort`, whatever the clock says: no failover into a half-upgraded pair.
        if turn.saved.run is not None and turn.saved.run.kind == "upgrade":
            # Paged each time: an upgrade that outlives its maintenance has probably been forgotten (H32).
            turn.save(maintenance=replace(span, until=turn.now + turn.settings.maintenance_max_s))
            turn.note("maintenance-extended", f"an upgrade of {turn.settings.name} is open: maintenance goes on", page=True)
            return
        end_maintenance(turn, "its time is over", by="lbctl")


def end_maintenance(turn: Turn, why: str, *, by: str) -> None:
    """Maintenance is over: all counting begins anew, and nothing automatic happens before clean rounds."""
    span = turn.saved.maintenance
    if span is None:
        return
    # It never began, so nothing was missed and nothing has to be re-armed.
    if span.since > turn.now:
        turn.save(maintenance=None)
        turn.note("maintenance-cancelled", f"the planned maintenance of {turn.settings.name} is cancelled: {why}", by=by)
        return
    # Saved together: between the two a crash would leave a service that is armed on the counts of the maintenance (H33).
    turn.save(maintenance=None, rearming=True)
    turn.state = seen.reset_counts(turn.state, turn.now)
    text = f"maintenance of {turn.settings.name} ended ({why}); re-arming after {turn.settings.rearm_rounds} clean rounds"
    turn.note("maintenance-ended", text, by=by)


def _lockout(turn: Turn) -> None:
    # `up_since` is of this life: a restart makes the lockout longer, never shorter.
    until, steady = turn.saved.lockout_until, turn.state.up_since
    if until is not None and turn.now >= until and steady is not None and turn.now - steady >= STEADY_S:
        turn.save(lockout_until=None)
        turn.note("lockout-ended", f"the lockout is over and {turn.case.active} is steady")


def _approvals(turn: Turn) -> None:
    # A no does not run out: it ends with the incident, or the same question would come back every half hour.
    over = [a for a in turn.saved.approvals if not a.denied and turn.now >= a.expires]
    if not over:
        return
    turn.save(approvals=tuple(a for a in turn.saved.approvals if a not in over))
    for approval in over:
        turn.note("approval-expired", f"nobody answered {approval.id} (move to {approval.to})", member=approval.to)


def _hold(turn: Turn) -> None:
    """A hold that nobody lifts is told again every hour; its first time is an alert like any other."""
    hold = turn.saved.hold
    hours = 0 if hold is None else int((turn.now - hold.since - HELD_LONG_S) // HOUR_S)
    if hold is None or hours < 1 or (key := f"!held:{hold.since}:{hours}") in turn.state.noted:
        return
    # The alert itself tells the first time; without this both would say it in the same turn.
    first = "HeldLong:" not in turn.state.noted
    # Only the newest mark is kept, so that a hold of months does not grow the state.
    turn.set(noted=frozenset(k for k in turn.state.noted if not k.startswith("!held:")) | {key})
    if not first:
        turn.note("HeldLong", f"held by {hold.by} for more than {8 + hours} hours: {hold.reason}")


def watch_rearming(turn: Turn) -> None:
    """Counts clean rounds after a maintenance, and arms after enough of them."""
    # A new maintenance during re-arming: rounds are counted again when that one is over.
    if not turn.saved.rearming or turn.case.in_maintenance() or not seen.round_over(turn.case):
        return
    # One dirty round begins the count anew: clean rounds must be in a row.
    dirty = unclean(turn.case)
    turn.set(rounds=0 if dirty else turn.state.rounds + 1, looked=frozenset())
    if turn.state.rounds >= turn.settings.rearm_rounds:
        arm(turn, f"{turn.settings.rearm_rounds} clean rounds", by="lbctl")


def arm(turn: Turn, why: str, *, by: str) -> None:
    """Automatic moves may happen again."""
    if turn.saved.rearming:
        turn.save(rearming=False)
        turn.set(rounds=0, looked=frozenset())
        turn.note("armed", f"{turn.settings.name} is armed: {why}", by=by)


def unclean(case: Case) -> str:
    """Why this round is not clean; "" if it is. A standby that is down does not block: its alert speaks for itself."""
    # Of a pool one is enough: it serves.
    if not any(case.up(name) for name in case.answering):
        return f"{' and '.join(case.answering) or 'nobody'} is not up"
    # A rogue counts here, though it is no `dual-primary`: arming while anybody else is Primary is never urgent.
    wrong = [n for n in case.others() if n not in case.saved.latched and _last_said_primary(case, n)]
    if wrong:
        return f"{' and '.join(wrong)} says Primary beside the active"
    # Versions that are not known do not count: without a source for them a pair would never arm again (G-UP).
    versions = {case.state.versions[name] for name in case.settings.names if name in case.state.versions}
    return f"versions differ: {', '.join(sorted(versions))}" if len(versions) > 1 else ""


def _last_said_primary(case: Case, name: str) -> bool:
    """By its last real look, however old: a round in which we were too slow to look often is no proof that it became Secondary (H33)."""
    last = case.page(name, HASTATUS).last
    return case.modes and last is not None and last.verdict is Verdict.PRIMARY


def wake_times(case: Case) -> Iterator[float]:
    """All instants at which something ends by itself."""
    saved, now = case.saved, case.now
    yield from drain.wake_times(case)
    if saved.maintenance is not None:
        # The past is left out: an instant that has been would ask for a tick at once, for ever.
        yield from (t for t in (saved.maintenance.since, saved.maintenance.until - WARN_BEFORE_S, saved.maintenance.until) if t > now)
    # Without a steady active there is no instant to name: the look that makes it steady comes by here again.
    if saved.lockout_until is not None and case.state.up_since is not None:
        yield max(saved.lockout_until, case.state.up_since + STEADY_S)
    yield from (a.expires for a in saved.approvals if not a.denied)
    if (promote_by := case.promote_by()) is not None and promote_by > now:
        yield promote_by
    # Only for who wants to move: the others would all wake at each step of a wave that is not theirs.
    if case.around.mass == "wait" and (case.active_down() or pool.stuck(case) or follow.astray(case)):
        yield case.around.mass_at
    if saved.hold is not None:
        yield saved.hold.since + HELD_LONG_S + HOUR_S * max(0, (now - saved.hold.since - HELD_LONG_S) // HOUR_S + 1)
