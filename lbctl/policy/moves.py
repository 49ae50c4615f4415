"""What a move of traffic changes in what is saved: active, epoch, latches, lockout; and how it is taken back (SEMANTICS section 2).

Every move off a member except `resume` latches it and sets its `needs_resync`; an operator's move onto a member clears both for it. An automatic
move begins a lockout; an operator's ends it. What a move had set is kept with it until it is seen from outside, so that a cancelled one restores it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lbctl.model.state import Incident, Move, Restore, Saved
from lbctl.policy import drain, families
from lbctl.policy.seen import put
from lbctl.policy.turn import Turn

OPERATOR, AUTO, ADOPT = "operator", "auto", "adopt"
PLANNED = frozenset({"switchover", "resume"})


def begin(turn: Turn, target: str, *, trigger: str, verb: str, by: str, reason: str, **evidence: Any) -> None:
    """Decides a move. It is done only once it is saved, and over only once it is seen from outside."""
    saved, source = turn.saved, turn.saved.active or ""
    latched, stale = _latches(turn, source, target, trigger, verb)
    turn.save(
        active=target,
        # Raised with the pointer, in one save: no writer can hold the new answer under the old number (H41).
        epoch=saved.epoch + 1,
        latched=latched,
        needs_resync=stale,
        # One automatic move a lockout: a pair that flaps is moved once and then people are asked (H6).
        lockout_until=None if trigger == OPERATOR else turn.now + turn.settings.lockout_s,
        moved_at=turn.now,
        # Whatever was asked was asked about another active.
        approvals=(),
        mass="",
        # What a person moved stays until the followed service moves again; `follow` would undo it in the next turn.
        unfollowed=turn.around.followed_site if trigger == OPERATOR and turn.settings.follows else saved.unfollowed,
        incident=_incident(saved, source, target, trigger),
        move=Move(trigger, verb, source, target, saved.epoch + 1, turn.now, by, reason, _restore(saved), _ttl(turn)),
        # Any move ends a drain; the new epoch brings the configured TTL back.
        drain=None,
        farewell=None,
        withheld=families.brought(turn.case, target),
    )
    # `never_promoted` is assumed and disproved by looks: a resume goes to a Primary, of which it cannot be true.
    turn.set(promoted=not turn.case.modes, up_since=None, never_promoted=verb != "resume", asked={}, uninitialised="", adopting="")
    # At once, whatever the schedule: the first thing wanted of a new active is how it is (H11).
    turn.look(target)
    # An operator's move pages nobody: somebody is awake.
    text = f"{verb}: traffic of {saved.service} moves from {source or 'nowhere'} to {target}: {reason}"
    turn.note("moved", text, member=target, by=by, page=trigger != OPERATOR, source=source, trigger=trigger, epoch=turn.saved.epoch, **evidence)


def _ttl(turn: Turn) -> float:
    """How long caches may hold the answer of before the move."""
    low = drain.low_ttl_s(turn.case)
    return turn.settings.ttl_s if low is None else min(low, turn.settings.ttl_s)


def _latches(turn: Turn, source: str, target: str, trigger: str, verb: str) -> tuple[frozenset[str], frozenset[str]]:
    saved = turn.saved
    latched, stale = saved.latched, saved.needs_resync
    # After a resume the other one is a Standby in its place, the roles are as configured: nothing is to be guarded.
    if source and verb != "resume":
        latched, stale = latched | {source}, stale | {source} if turn.case.modes else stale
    # An operator's move onto a member is the word that unlatches it (SEMANTICS 2).
    if trigger == OPERATOR:
        latched, stale = latched - {target}, stale - {target}
    return latched, stale


def _incident(saved: Saved, source: str, target: str, trigger: str) -> Incident | None:
    # People have taken it in hand; what fails next is another incident.
    if saved.incident is None or trigger == OPERATOR:
        return None
    # Remembered so that `adopt` does not go back to who lost the traffic in it.
    return replace(saved.incident, actives=(*saved.incident.actives, target))


def _uncounted(incident: Incident | None, target: str) -> Incident | None:
    """Whoever was chosen and never answered to anybody has not had the traffic in this incident."""
    if incident is None or incident.actives[-1:] != (target,):
        return incident
    return replace(incident, actives=incident.actives[:-1])


def _restore(saved: Saved) -> Restore:
    return Restore(saved.active or "", saved.latched, saved.needs_resync, saved.lockout_until, saved.moved_at)


def cancel(turn: Turn, why: str) -> None:
    """Takes back a move that no reader has seen (killed between save and apply). What it had set is restored; the epoch still rises."""
    move = turn.saved.move
    assert move is not None, "only an open move can be cancelled"
    back = move.restore
    turn.save(
        active=back.active,
        # Higher still: some place may hold the cancelled number, and would refuse the old answer under it.
        epoch=turn.saved.epoch + 1,
        latched=back.latched,
        needs_resync=back.needs_resync,
        lockout_until=back.lockout_until,
        moved_at=back.moved_at,
        incident=_uncounted(turn.saved.incident, move.target),
        move=None,
        approvals=tuple(a for a in turn.saved.approvals if a.command is not None),
        run=None if turn.saved.run is not None and turn.saved.run.kind == "promote" else turn.saved.run,
    )
    turn.note("cancelled", f"the {move.verb} to {move.target} was never published and is cancelled: {why}", member=back.active, page=True)


def landed(turn: Turn) -> None:
    """A move that every actuator has verified is over."""
    move = turn.saved.move
    ledgers = turn.state.actuators
    # Verified, not applied: a server may take an update and go on answering with what it had before (H40).
    if move is None or any(ledgers.get(a) is None or ledgers[a].verified < turn.saved.epoch for a in turn.settings.actuators):
        return
    turn.save(move=None)
    if move.trigger == OPERATOR and move.verb in PLANNED:
        # Of a planned move only: after a failover nobody is to be sent to the old member, and it serves nobody.
        drain.farewell(turn, move.source, move.ttl_s)
    took = turn.now - move.at
    turn.note("verified", f"{move.target} is seen everywhere, {took:.1f} s after the decision", member=move.target, seconds=took, epoch=move.epoch)


def ledger(turn: Turn, actuator: str, **changes: Any) -> None:
    """Changes one actuator's ledger."""
    known = turn.state.actuators
    # An actuator that a reload has removed may still report what it was told before.
    if actuator in known:
        turn.set(actuators=put(known, actuator, replace(known[actuator], **changes)))
