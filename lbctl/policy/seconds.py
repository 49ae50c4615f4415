"""A second person's yes, for moves that the configuration wants it for (H39, `second_person`).

Whoever asks first leaves the command as a pending approval; it is done when somebody else approves it, and is then judged anew like any other. The
same person cannot be both; for an approval that wants two, the first yes is kept beside it.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from lbctl.model import commands as ask
from lbctl.model.commands import Code, Command
from lbctl.model.state import Approval, Saved
from lbctl.policy.turn import Turn

KINDS: dict[str, type[Command]] = {
    "failover": ask.Failover,
    "failover --force": ask.Failover,
    "switchover": ask.Switchover,
    "resume": ask.Resume,
    "swap-roles": ask.SwapRoles,
    "adopt": ask.Adopt,
    "ack": ask.Ack,
    "release": ask.Release,
    "approve": ask.Approve,
}
"""What `second_person` may name."""


def verb_of(command: Command) -> str:
    """The word under which a command is listed; "" for what never needs a second person."""
    if isinstance(command, ask.Failover):
        # Told apart, so that a second person can be wanted for the forced one alone (H35).
        return "failover --force" if command.force else "failover"
    return next((verb for verb, kind in KINDS.items() if type(command) is kind), "")


def wanted(turn: Turn, command: Command) -> bool:
    """Whether somebody else must say yes to this. Plain `failover` in the list covers the forced one."""
    verb, listed = verb_of(command), turn.settings.second_person
    # Adding --force must never be a way around the second person.
    return verb in listed or (verb == "failover --force" and "failover" in listed)


def leave(turn: Turn, command: Command) -> None:
    """The first of two has asked: the command waits for the other."""
    verb = verb_of(command)
    # Only for people to read: what is done is what was asked for, kept below.
    target = str(getattr(command, "to", None) or getattr(command, "member", None) or turn.saved.primary)
    # Without `revision`: the asking itself raises it. Without `shown`: it is read again at the second yes.
    kept = {field.name: _plain(getattr(command, field.name)) for field in fields(command) if field.name not in ("service", "by", "revision", "shown")}
    asked = {"verb": verb, **kept}
    # Somebody who types it twice has not become two people, and the other must not find two to choose from (H36).
    same = next((a for a in turn.saved.approvals if a.command is not None and dict(a.command) == asked and a.first_yes == command.by), None)
    if same is not None:
        turn.answer(Code.ACCEPTED, f"{verb} waits for a second person already: `lbctl approve {same.id}`", approval=same.id)
        return
    until = turn.now + turn.settings.approval_expires_s
    text = f"{verb}: {command.reason or 'no reason given'}"
    ident = f"{turn.settings.name}-{turn.number()}"
    # No incident: it must not end because the active comes back, only by an answer or its time.
    waiting = Approval(ident, target, turn.now, until, "", ("second-person",), text, command.by, command=asked)
    turn.save(approvals=(*turn.saved.approvals, waiting))
    turn.note("second-person", f"{command.by} asks for {verb}; somebody else must `lbctl approve {ident}`", by=command.by, member=target)
    turn.answer(Code.ACCEPTED, f"{verb} waits for a second person: `lbctl approve {ident}`", approval=ident)


def _plain(value: Any) -> Any:
    # A set has no JSON; sorted, so that the same command is found again as the same.
    return sorted(value) if isinstance(value, frozenset) else value


def same_person(turn: Turn, approval: Approval, by: str) -> bool:
    """Refuses whoever wants to be both."""
    if approval.first_yes != by:
        return False
    turn.refuse("second-person", f"{by} has said yes already: somebody else must")
    return True


def goes_by_what_is_published(saved: Saved, command: Command) -> bool:
    """An `adopt`, or the second person's yes to one: the actuators are read before it is judged."""
    if not isinstance(command, ask.Approve):
        return isinstance(command, ask.Adopt)
    return any(a.id == command.approval and a.command is not None and a.command["verb"] == "adopt" for a in saved.approvals)


def revive(turn: Turn, approval: Approval, command: ask.Approve) -> Command:
    """The first one's command, in the name of both."""
    assert approval.command is not None, "only a command that waits can be revived"
    kept = dict(approval.command)
    kind = KINDS[kept.pop("verb")]
    if "accept" in kept:
        # JSON gave a list back; the gate takes sets.
        kept["accept"] = frozenset(kept["accept"])
    if kind is ask.Adopt:
        kept["shown"] = command.shown
    # Both in the journal: each stands for it (H39).
    return kind(service=turn.settings.name, by=f"{approval.first_yes} and {command.by}", **kept)


def keep_first_yes(turn: Turn, approval: Approval, by: str) -> None:
    """An approval that wants two has its first yes."""
    turn.save(approvals=tuple(replace(a, first_yes=by) if a.id == approval.id else a for a in turn.saved.approvals))
    turn.note("second-person", f"{by} says yes to {approval.id}; a second person must as well", by=by, member=approval.to)
    turn.answer(Code.ACCEPTED, f"{approval.id} waits for a second person", approval=approval.id)
