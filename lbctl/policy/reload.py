"""New settings for a running service: what may follow at once, and what is refused (H28, H37, SEMANTICS section 3).

A reload never moves traffic unless it is told so. Saved roles win until the file's roles *change*; such a change is a `swap-roles` and passes the
same refusal. History belongs to an address: a member whose address or probe target changed is unknown again, its latch stays.
"""

from __future__ import annotations

from dataclasses import replace

from lbctl.model.commands import Code
from lbctl.model.events import Reloaded
from lbctl.model.settings import ServiceSettings
from lbctl.model.state import ActuatorSight, State
from lbctl.policy import returns
from lbctl.policy.turn import Turn


def moves_traffic(old: ServiceSettings, new: ServiceSettings, state: State) -> str:
    """Why these settings would move traffic; "" if they would not."""
    active = state.saved.active
    # Nobody has the traffic, as far as is known: no settings can take it from anybody.
    if active is None:
        return ""
    if new.kind != old.kind:
        return f"it becomes a {new.kind}"
    if new.kind == "pool":
        return _pool_moves(old, new, state)
    if active not in new.names:
        return f"{active} has the traffic and is no member any more"
    # The same name at another address is another place for clients: a move by another word (H37).
    if new.member(active).address != old.member(active).address:
        return f"the address of {active}, which has the traffic, changes"
    return ""


def _pool_moves(old: ServiceSettings, new: ServiceSettings, state: State) -> str:
    gone = [name for name in state.saved.answering if name not in new.names]
    if gone:
        return f"{', '.join(gone)} answers and is no member any more"
    moved = [n for n in state.saved.answering if n in old.names and new.member(n).address != old.member(n).address]
    return f"the address of {', '.join(moved)}, which answers, changes" if moved else ""


def _stays(old: ServiceSettings, new: ServiceSettings, state: State) -> tuple[str, ...]:
    """Of those that clients are sent to, the ones that the new settings still have, in their order."""
    now = state.saved.answering if old.kind == "pool" else (state.saved.active,)
    return tuple(name for name in new.names if name in now)


def reload(turn: Turn, event: Reloaded) -> None:
    """Takes new settings, or refuses them and keeps the old."""
    new, old = event.settings, turn.settings
    why = moves_traffic(old, new, turn.state)
    active = turn.saved.active
    stays = _stays(old, new, turn.state)
    # Allowed or not: without anybody who stays there is nobody to publish.
    if why and (not event.allow_switch or not stays):
        hint = "or --allow-switch" if stays else "move it first with `lbctl failover`"
        turn.refuse("traffic-unmoved", f"reload refused: {why} ({hint})")
        return
    run = turn.saved.run
    # With its member the run would lose its hand half-way, and the Cores stay as they happen to be.
    if run is not None and not {run.source, run.target} - {""} <= set(new.names):
        turn.refuse("not-held", f"reload refused: a {run.kind} is open on {run.source or run.target} and {run.target}; finish or abort it first")
        return
    # From here the case speaks of the new members, which a change of roles is judged by.
    turn.settings = new
    if not _roles(turn, event):
        # Refused as a whole: half of a file is a configuration that nobody has written.
        turn.settings = old
        return
    if new.kind == "pool" and stays:
        turn.save(active=stays[0], answering=stays)
    elif why:
        turn.save(active=active if active in stays else stays[0], answering=())
    if why:
        # Clients are told something else, so it has a number of its own that no stale writer can undo (H41).
        turn.save(epoch=turn.saved.epoch + 1)
        turn.note("readdressed", f"{why}: allowed by {event.by}", member=active or "", by=event.by)
    turn.state = _forget_changed(old, new, turn.state)
    turn.answer(Code.DONE, f"{new.name} follows the new configuration")


def _roles(turn: Turn, event: Reloaded) -> bool:
    saved, new = turn.saved, event.settings
    # A pool has no roles that traffic depends on: the file's are taken as they stand.
    if new.kind == "pool":
        turn.save(primary=new.primary, file_primary=new.primary)
        return True
    # The file has not changed its mind: roles that were swapped by command win over it (SEMANTICS 3).
    if new.primary == saved.file_primary and saved.primary in new.names:
        return True
    # The file now says what is so already: the drift is over, and its own `syncs_from` hold again.
    if new.primary == saved.primary or saved.active is None:
        turn.save(primary=new.primary, file_primary=new.primary, syncs_from={})
        return True
    # Roles may only follow the traffic: any other primary would make this a failover by file (H37).
    if new.primary != saved.active:
        turn.refuse("primary-is-active", f"reload refused: roles change only to the member that has the traffic ({saved.active}), not {new.primary}")
        return False
    # Nobody can attest in a file: the swap needs a real sync, or the command with a person's word.
    missing = returns.swap_missing(turn.case, attested=False) if saved.primary in new.names else None
    if missing is not None:
        turn.refuse(missing.rule, f"reload refused, the roles change and {missing.rule} fails: {missing.evidence}; opened by {missing.opens}")
        return False
    returns.swap(turn, event.by, "the configuration's roles changed")
    turn.save(file_primary=new.primary, syncs_from={})
    return True


def _forget_changed(old: ServiceSettings, new: ServiceSettings, state: State) -> State:
    # Any difference, not the address alone: what was counted under another `fall` or page is another history (H28).
    same = {m.name for m in new.members if m.name in old.names and old.member(m.name) == m}
    sights = {name: sight for name, sight in state.members.items() if name in same}
    # A new actuator begins behind and is written; a removed one is no longer waited for.
    ledgers = {a: state.actuators.get(a, ActuatorSight()) for a in new.actuators}
    gone = set(new.names)
    # A latch ends only with its member: never because an address or a probe has changed (H28).
    saved = replace(state.saved, latched=state.saved.latched & gone, needs_resync=state.saved.needs_resync & gone)
    approvals = tuple(a for a in saved.approvals if a.to in gone)
    return replace(state, saved=replace(saved, approvals=approvals), members=sights, actuators=ledgers)
