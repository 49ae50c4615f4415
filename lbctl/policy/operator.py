"""What each operator command does, through the same gate and the same memory as everything else (SEMANTICS section 3).

Every command is answered: done, refused by a named rule with its evidence, or a conflict with what somebody else did first. A move is answered with
`ACCEPTED` and its epoch; it is done when the actuators have verified that epoch, which the controller waits for.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from lbctl.model import commands as ask
from lbctl.model.commands import Code, Command, Reply
from lbctl.model.decision import RuleResult
from lbctl.model.state import Approval, Hold, Maintenance
from lbctl.policy import arming, drain, failover, gate, moves, pool_start, returns, runs, seconds, start
from lbctl.policy.turn import Turn


def obey(turn: Turn, command: Command) -> None:
    """Answers one command."""
    if command.revision is not None and command.revision != turn.state.revision:
        text = f"{turn.settings.name} has changed meanwhile: revision {turn.state.revision}, you saw {command.revision}"
        turn.answer(Code.CONFLICT, text, rule="revision", revision=turn.state.revision)
        return
    if seconds.wanted(turn, command) and not isinstance(command, ask.Approve):
        refused = _refusal(turn, command)
        if refused is None:
            seconds.leave(turn, command)
        else:
            turn.reply = refused
        return
    _handle(turn, command)


def _refusal(turn: Turn, command: Command) -> Reply | None:
    """How this command would be refused now. Nobody is woken as a second person for one that would; it is judged again when it is done."""
    rehearsal = Turn(turn.settings, turn.state, turn.now, turn.around)
    _handle(rehearsal, command)
    reply = rehearsal.reply
    return reply if reply is not None and reply.code not in (Code.DONE, Code.ACCEPTED) else None


def _handle(turn: Turn, command: Command) -> None:
    handler: Callable[[Turn, Any], None] = HANDLERS[type(command)]
    handler(turn, command)


def _known(turn: Turn, member: str) -> bool:
    if member in turn.settings.names:
        return True
    hint = _near(member, turn.settings.names)
    # A usage error and no refusal: no rule can be opened that would make this name right.
    turn.answer(Code.USAGE, f"{turn.settings.name} has no member {member}{f'; did you mean {hint}?' if hint else ''}")
    return False


def _near(name: str, names: Sequence[str]) -> str:
    return next(iter(difflib.get_close_matches(name, names, 1)), "")


def _near_rule(name: str) -> str:
    hint = _near(name, gate.NAMES)
    return f"{name} (did you mean {hint}?)" if hint else name


def _initialised(turn: Turn) -> bool:
    # Every move is relative to an active: moving from nobody knows where would latch the wrong member.
    if turn.case.active and not turn.state.uninitialised:
        return True
    turn.refuse("armed", f"the active member is not known ({turn.state.uninitialised}): `lbctl adopt {turn.settings.name}` first")
    return False


def _is_pool(turn: Turn) -> bool:
    """Moves are for pairs: whom a pool answers with follows from health."""
    if turn.settings.kind != "pool":
        return False
    text = f"{turn.settings.name} is a pool: every healthy member answers already; to take one out, take it out of the configuration (`lbctl reload`)"
    turn.refuse("already-active", text, answering=list(turn.saved.answering))
    return True


def _told(rows: Iterable[RuleResult]) -> dict[str, str]:
    return {row.rule: row.evidence for row in rows}


def _blocked(turn: Turn, rows: tuple[RuleResult, ...], accepted: frozenset[str]) -> bool:
    """Refuses with the first row that neither holds nor was accepted by name."""
    failing = [row for row in rows if not row.holds and row.rule not in accepted]
    if not failing:
        return False
    # The table's order makes the answer the same each time; all the others are in the evidence.
    first = failing[0]
    text = f"refused by {first.rule}: {first.evidence}; opened by {first.opens}"
    turn.refuse(first.rule, text, rules=_told(failing))
    return True


def _failover(turn: Turn, command: ask.Failover) -> None:
    if not _known(turn, command.to) or _is_pool(turn) or not _initialised(turn):
        return
    # A misspelt rule must not pass for an accepted one that happened to hold.
    strange = command.accept - set(gate.NAMES)
    if strange or (command.accept and not command.force):
        turn.answer(Code.USAGE, f"no such rule: {', '.join(map(_near_rule, sorted(strange)))}" if strange else "--accept goes with --force")
    elif command.to == turn.case.active:
        turn.refuse("already-active", f"{command.to} has the traffic already")
    # A row that people's moves waive, but not for this: half-turned Cores have no side that may take writes.
    elif runs.turning(turn.case) and "not-held" not in command.accept:
        turn.refuse("not-held", "a run is open on the Cores: finish or abort it, or --force --accept not-held")
    elif not _blocked(turn, rows := gate.operator_rows(turn.case, command.to), command.accept if command.force else frozenset()):
        # Before the move, so that what was under way for the old active cannot go on against the new one.
        runs.overtaken(turn)
        # `begin` makes the move an operator's: latch and `needs_resync` of the target fall, and so does the lockout.
        _go(turn, command.to, "failover", command, rows)
        runs.promote(turn, command.to, command.by)


def _go(turn: Turn, target: str, verb: str, command: Command, rows: tuple[RuleResult, ...] = ()) -> None:
    # As for an automatic move: how old the copy was that took over must be known afterwards too, whoever decided (H1). What did not hold and was
    # accepted is named beside it.
    seen: dict[str, Any] = {"rules": _told(rows)} if rows else {}
    if overridden := sorted(row.rule for row in rows if not row.holds):
        seen["accepted"] = overridden
    moves.begin(turn, target, trigger=moves.OPERATOR, verb=verb, by=command.by, reason=command.reason or "asked for by an operator", **seen)
    turn.answer(Code.ACCEPTED, f"{verb}: traffic of {turn.settings.name} moves to {target}", epoch=turn.saved.epoch, active=target)


def _switchover(turn: Turn, command: ask.Switchover) -> None:
    if (command.to is not None and not _known(turn, command.to)) or _is_pool(turn) or not _initialised(turn):
        return
    # The next in order, without asking whether its rows hold: the answer names what is in its way.
    target = command.to or next(iter(turn.case.others()), "")
    if target == turn.case.active or not target:
        turn.refuse("already-active", f"{target or 'nobody else'} has the traffic already")
        return
    if turn.case.run_open():
        turn.refuse("not-held", "a run is open on the Cores: finish or abort it first")
        return
    # No force: a planned move that needs one is an unplanned one, and `failover` says so aloud (SEMANTICS 3).
    if _blocked(turn, gate.switchover_rows(turn.case, target), frozenset()):
        return
    if drain.refused(turn) or (turn.case.modes and returns.undrivable(turn, "switchover", turn.case.active, target, command.drive)):
        return
    # Only after all checks: a TTL must not be lowered for a move that would be refused at its end.
    if drain.begin(turn, "switchover", target, command):
        return
    if not turn.case.modes:
        _go(turn, target, "switchover", command)
    else:
        returns.drive(turn, "switchover", turn.case.active, target, command.drive, command)


def _resume(turn: Turn, command: ask.Resume) -> None:
    if _is_pool(turn) or not _initialised(turn):
        return
    # Before what is missing is asked: an open run is itself what would be missing.
    if command.drive and runs.go_on(turn, command.by):
        turn.answer(Code.ACCEPTED, "the open run goes on where it stopped", run=turn.state.driving)
        return
    missing = returns.missing(turn.case, drive=command.drive, attested=command.attest_synced)
    if missing is not None:
        turn.refuse(missing.rule, f"resume refused by {missing.rule}: {missing.evidence}; opened by {missing.opens}", rules=_told([missing]))
    elif drain.refused(turn) or drain.begin(turn, "resume", turn.saved.primary, command):
        return
    # Where the roles are right already there is nothing to drive: the Cores are left alone and traffic just moves.
    elif command.drive and not (returns.by_hand(turn.case, command.attest_synced) or returns.never_promoted(turn.case)):
        returns.drive(turn, "resume", turn.case.active, turn.saved.primary, command.drive, command)
    else:
        _go(turn, turn.saved.primary, "resume", command)


def finish_drain(turn: Turn) -> None:
    """A drain whose time has come: its command is judged again, and done."""
    command = drain.due(turn)
    if command is None:
        return
    # The turn is some look's or tick's: what its own sender hears must not be the answer to this old command.
    reply = turn.reply
    _handle(turn, command)
    said, turn.reply = turn.reply, reply
    # Refused now by a row that held when it was asked: TTLs go back and people are told, nothing is tried again.
    if said is None or said.code is not Code.ACCEPTED:
        drain.cancel(turn, said.message if said is not None else "it was not answered")


def _swap_roles(turn: Turn, command: ask.SwapRoles) -> None:
    if _is_pool(turn) or not _initialised(turn):
        return
    missing = returns.swap_missing(turn.case, attested=command.attest_synced)
    if missing is not None:
        turn.refuse(missing.rule, f"swap-roles refused by {missing.rule}: {missing.evidence}; opened by {missing.opens}", rules=_told([missing]))
        return
    returns.swap(turn, command.by, command.reason)
    turn.answer(Code.ACCEPTED, f"{turn.saved.primary} is the primary now; traffic has not moved", epoch=turn.saved.epoch)


def _maintenance_on(turn: Turn, command: ask.MaintenanceOn) -> None:
    # Never in the past: a maintenance that began before it was asked for would excuse what happened meanwhile.
    since = turn.now if command.since is None else max(command.since, turn.now)
    if _bad_end(turn, since, command.until):
        return
    planned = since > turn.now
    # There is one span: a planned one would silently end the one that is on.
    if planned and turn.case.in_maintenance():
        turn.refuse("not-in-maintenance", f"{turn.settings.name} is in maintenance: extend it, or end it before the next one is planned")
        return
    before, was_on = turn.saved.maintenance, turn.case.in_maintenance()
    # A maintenance that starts now ends re-arming; its own end begins it anew. A planned one leaves it be.
    turn.save(maintenance=Maintenance(command.by, command.reason, since, command.until), rearming=turn.saved.rearming and planned)
    text = f"maintenance of {turn.settings.name} {'is planned' if planned else 'is on'}: {command.reason}"
    if before is not None and before.since > turn.now:  # one at a time: who planned must learn that theirs is gone
        text += f"; in place of the one that {before.by} had planned ({before.reason})"
    elif was_on and before is not None and command.until < before.until:  # an upgrade's hours, perhaps: said aloud
        text += f"; it ends {(before.until - command.until) / 60:.0f} min sooner than the one of {before.by} that was on ({before.reason})"
    turn.note("maintenance-on", text, by=command.by, since=since, until=command.until)
    turn.answer(Code.DONE, text, until=command.until)


def _bad_end(turn: Turn, since: float, until: float) -> bool:
    longest = turn.settings.maintenance_max_s
    if until <= max(since, turn.now):
        turn.answer(Code.USAGE, "the end of a maintenance lies in the future, after its beginning")
    # Extending is a second decision by somebody awake, and that is the point (H32).
    elif until - since > longest:
        begin = "now" if since <= turn.now else "its beginning"
        turn.answer(Code.USAGE, f"longer than maintenance_max ({longest / 3600:g} h) from {begin}: extend it later")
    else:
        return False
    return True


def _maintenance_extend(turn: Turn, command: ask.MaintenanceExtend) -> None:
    span = turn.saved.maintenance
    if span is None:
        turn.refuse("not-in-maintenance", f"{turn.settings.name} is not in maintenance: `lbctl maintenance on`")
    elif command.until < span.until:
        turn.answer(Code.USAGE, "it ends later than that already: `lbctl maintenance off` ends it, `lbctl maintenance on` gives it another end")
    elif not _bad_end(turn, max(turn.now, span.since), command.until):
        turn.save(maintenance=Maintenance(command.by, command.reason or span.reason, span.since, command.until))
        turn.note("maintenance-extended", f"maintenance of {turn.settings.name} is extended", by=command.by, until=command.until)
        turn.answer(Code.DONE, f"maintenance of {turn.settings.name} is extended", until=command.until)


def _maintenance_off(turn: Turn, command: ask.MaintenanceOff) -> None:
    if turn.saved.maintenance is None:
        # Done and not refused: what was asked for is so. A repetition must not look like a failure (H36).
        turn.answer(Code.DONE, f"{turn.settings.name} is not in maintenance")
        return
    arming.end_maintenance(turn, command.reason or "switched off", by=command.by)
    turn.answer(Code.DONE, f"maintenance of {turn.settings.name} is over" + ("; re-arming" if turn.saved.rearming else ""))


def _hold(turn: Turn, command: ask.SetHold) -> None:
    # A hold stops what would happen by itself, and a drained move is about to.
    drain.cancel(turn, f"held by {command.by}")
    turn.save(hold=Hold(command.by, command.reason, turn.now))
    turn.note("held", f"{turn.settings.name} is held: {command.reason}", by=command.by)
    turn.answer(Code.DONE, f"{turn.settings.name} makes no automatic move until released")


def _release(turn: Turn, command: ask.Release) -> None:
    if turn.saved.hold is None and turn.saved.mass != "held":
        turn.answer(Code.DONE, f"{turn.settings.name} is not held")
        return
    turn.save(hold=None)
    # One verb for both: whoever is called at night types what the page says and need not know which of the two it was.
    failover.release(turn)
    turn.note("released", f"{turn.settings.name} may move by itself again", by=command.by)
    turn.answer(Code.DONE, f"{turn.settings.name} is released and judged anew")


def _ack(turn: Turn, command: ask.Ack) -> None:
    if not _initialised(turn) or (command.member is not None and not _known(turn, command.member)):
        return
    # Refused as a whole: an `ack` that ends the lockout but not the latch would look like a success.
    if command.member is not None and not _unlatch(turn, command.member, command.attest_synced):
        return
    turn.save(lockout_until=None)
    # A person's word replaces the clean rounds (SEMANTICS 7).
    arming.arm(turn, "acknowledged", by=command.by)
    who = f", {command.member} may be chosen again" if command.member else ""
    turn.note("acknowledged", f"{turn.settings.name} is acknowledged{who}: {command.reason}", by=command.by, member=command.member or "")
    turn.answer(Code.DONE, f"{turn.settings.name} is armed and not locked out{who}")


def _unlatch(turn: Turn, member: str, attested: bool) -> bool:
    missing = returns.unlatch_missing(turn.case, member, attested=attested)
    if missing is not None:
        turn.refuse(missing.rule, f"ack refused by {missing.rule}: {missing.evidence}; opened by {missing.opens}", rules=_told([missing]))
        return False
    turn.save(latched=turn.saved.latched - {member}, needs_resync=turn.saved.needs_resync - {member})
    return True


def _adopt(turn: Turn, command: ask.Adopt) -> None:
    if command.member is not None and not _known(turn, command.member):
        return
    if turn.settings.kind == "pool":
        pool_start.adopt(turn, command)
        return
    where: dict[str, list[str]] = {}
    for item in command.shown:
        # "unread" is an answer of its own: a place that cannot be read is not known to agree.
        where.setdefault("+".join(item.members) or ("nothing" if item.nothing else "unread" if item.unread else "strange"), []).append(item.actuator)
    # Above all that is published: actuators refuse what is not newer than what they hold (H27, H41).
    epoch = max((item.epoch for item in command.shown if item.epoch is not None), default=0) + 1
    # Naming another member here would be a move without gate, latch or lockout.
    if command.member is not None and not turn.state.uninitialised and set(where) != {command.member}:
        turn.refuse("uninitialised", f"{turn.settings.name} knows its active member, and adopt never moves traffic: `lbctl failover`", shown=where)
    elif command.member is not None:
        others = sorted(a for what, places in where.items() if what != command.member for a in places)
        start.adopt(turn, command.member, by=command.by, epoch=epoch)
        turn.answer(Code.ACCEPTED, f"{command.member} is adopted; written: {', '.join(others) or 'nothing'}", epoch=turn.saved.epoch, writes=others)
    elif len(where) == 1 and next(iter(where)) in turn.settings.names:
        start.adopt(turn, next(iter(where)), by=command.by, epoch=epoch)
        turn.answer(Code.DONE, f"{turn.saved.active} is accepted as the active member", epoch=turn.saved.epoch)
    else:
        told = "; ".join(f"{what}: {', '.join(places)}" for what, places in where.items()) or "nothing is published"
        turn.refuse(
            "published-everywhere", f"not one member everywhere ({told}): name it, `lbctl adopt {turn.settings.name} --member M`", shown=where
        )


def _find(turn: Turn, name: str) -> Approval | None:
    # An approval ends with its incident: a yes to the question of last night finds nothing to move (H10).
    found = next((a for a in turn.saved.approvals if a.id == name and not a.denied), None)
    if found is None:
        turn.refuse("approval-pending", f"{name} is not pending: answered, expired, or its incident is over")
    return found


def _approve(turn: Turn, command: ask.Approve) -> None:
    approval = _find(turn, command.approval)
    if approval is None or seconds.same_person(turn, approval, command.by):
        return
    if approval.command is not None:
        # Taken away before it is done: whether it is refused or not, the two yeses are used up.
        turn.save(approvals=tuple(a for a in turn.saved.approvals if a.id != approval.id))
        _handle(turn, seconds.revive(turn, approval, command))
        return
    if not _initialised(turn):
        return
    if runs.turning(turn.case):
        turn.refuse("not-held", "a run is open on the Cores: finish or abort it first")
        return
    # Judged again at the yes: between question and answer the active may have come back (H10).
    rows = gate.operator_rows(turn.case, approval.to)
    if _blocked(turn, rows, frozenset()):
        return
    # After the rows: nobody is woken as a second person for a move that would be refused.
    if seconds.wanted(turn, command) and not approval.first_yes:
        seconds.keep_first_yes(turn, approval, command.by)
        return
    runs.overtaken(turn)
    # A verb of its own: the journal must tell a move that lbctl proposed from one that somebody thought of.
    _go(turn, approval.to, "approved", command, rows)
    runs.promote(turn, approval.to, command.by)


def _deny(turn: Turn, command: ask.Deny) -> None:
    approval = _find(turn, command.approval)
    if approval is not None:
        # A proposal's no is kept until the incident ends, or it would be asked again; a command's no just ends the command.
        if approval.command is None:
            failover.deny(turn, approval, command.by)
        else:
            turn.save(approvals=tuple(a for a in turn.saved.approvals if a.id != approval.id))
        turn.note("denied", f"{approval.id} is denied: traffic stays on {turn.case.active}", by=command.by, member=approval.to)
        turn.answer(Code.DONE, f"{approval.id} is denied for this incident")


HANDLERS: dict[type[Command], Callable[[Turn, Any], None]] = {
    ask.Failover: _failover,
    ask.Switchover: _switchover,
    ask.Resume: _resume,
    ask.SwapRoles: _swap_roles,
    ask.MaintenanceOn: _maintenance_on,
    ask.MaintenanceExtend: _maintenance_extend,
    ask.MaintenanceOff: _maintenance_off,
    ask.SetHold: _hold,
    ask.Release: _release,
    ask.Ack: _ack,
    ask.Adopt: _adopt,
    ask.Approve: _approve,
    ask.Deny: _deny,
    ask.UpgradeStart: runs.start_upgrade,
    ask.UpgradeStep: runs.end_upgrade_step,
    ask.Abort: runs.abort,
}
