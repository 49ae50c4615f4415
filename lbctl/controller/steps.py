"""The journal's lines: what was heard, what was decided, what people asked for and were told.

Enough to tell the story, and to decide it again under other settings (`replay`): every command, every outcome of an actuator, every change of
what a page says with how often it had said the same before. A look that says what the one before it said is no line; ten thousand members
that are well write nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, fields
from typing import Any

from lbctl.model.commands import Command, Reply, Shown
from lbctl.model.decision import Decision, Note, Step
from lbctl.model.events import Applied, ApplyFailed, ClockStepped, Drained, Drifted, Event, Reloaded, Started, SyncSeen, SyncUnknown, Verified
from lbctl.model.looks import ProbeResult
from lbctl.model.state import PageSight, Saved, State

NOTHING_SEEN = PageSight()
_CAPITAL = re.compile(r"(?=[A-Z])")


def steps_of(before: State, decision: Decision, event: Event, now: float) -> list[Step]:
    """The lines of one turn, in the order in which they are to be read: what was heard, what followed, what was answered."""
    after = decision.state.saved
    lines = [*_heard(before, decision.state, event), *(_noted(note) for note in decision.notes)]
    # A save without a word would be a revision that nobody can explain.
    if after is not before.saved and after != before.saved and not decision.notes:
        lines.append(("saved", decision.reason, "lbctl", {}))
    if isinstance(event, Command) and decision.reply is not None:
        lines.append(_answered(event, decision.reply))
    if not lines:
        return []
    changed = changes(before.saved, after)
    # The one that the store will give it: all lines of a decision name the same.
    revision = before.revision + bool(changed)
    made = [Step(at=now, service=after.service, kind=kind, text=text, by=by, epoch=after.epoch, revision=revision, data=data)
            for kind, text, by, data in lines]
    if changed:
        last = made[-1]
        # With the last line: whoever reads in order has then heard everything that led to it.
        made[-1] = Step(at=now, service=last.service, kind=last.kind, text=last.text, by=last.by, epoch=last.epoch, revision=revision,
                        data={**last.data, "saved": changed})
    return made


_Line = tuple[str, str, str, dict[str, Any]]


def _heard(before: State, now: State, event: Event) -> Iterator[_Line]:
    if isinstance(event, ProbeResult):
        yield from _looked(before, now, event)
    elif isinstance(event, Started):
        yield "started", f"started; {_all_shown(event.shown)}", "", {"shown": [plain(item) for item in event.shown], "revision": before.revision}
    elif isinstance(event, Applied):
        yield "applied", f"{event.actuator} took epoch {event.epoch}", "", {"actuator": event.actuator}
    elif isinstance(event, Verified):
        yield "read-back", f"{event.actuator} shows epoch {event.epoch} everywhere", "", {"actuator": event.actuator}
    elif isinstance(event, Drained):
        yield "ttl-lowered", f"{event.actuator}: caches hold older answers for {event.left_s:.0f} s more", "", {"actuator": event.actuator}
    elif isinstance(event, ApplyFailed):
        known = before.actuators.get(event.actuator)
        # By reason and not by text: tries for hours differ in their details only.
        if known is None or known.error_reason != event.reason:
            yield "apply-failed", f"{event.actuator}: {event.detail}", "", {"actuator": event.actuator, "reason": event.reason}
    elif isinstance(event, Drifted):
        yield "drifted", f"{event.actuator}: {event.detail}", "", {"actuator": event.actuator}
    elif isinstance(event, SyncSeen | SyncUnknown):
        yield from _synced(before, event)
    elif isinstance(event, Reloaded):
        yield "reloaded", f"new settings, by {event.by or 'a signal'}", event.by, {"settings": plain(event.settings)}
    elif isinstance(event, ClockStepped):
        yield "clock-stepped", f"the wall clock moved by {event.seconds:+.1f} s", "", {"seconds": event.seconds}


def _synced(before: State, event: SyncSeen | SyncUnknown) -> Iterator[_Line]:
    """A line where the source tells of another sync than it did, or cannot tell any more: what `fresh-enough` and `re-synced` rest on."""
    known = before.members.get(event.member)
    if isinstance(event, SyncUnknown):
        # The edge: a source that stays silent is news once.
        if known is None or known.sync_unknown != event.detail:
            yield "sync-unknown", f"{event.member}: {event.detail}", "", {"member": event.member, "detail": event.detail}
    elif known is None or not event.again(known.sync_from, known.sync_started):
        data = {"member": event.member, "source": event.source, "started": event.started, "completed": event.completed}
        yield "synced", f"{event.member} has synced from {event.source}", "", data


def _page(state: State, look: ProbeResult) -> PageSight:
    return state.members[look.member].pages.get(look.page, NOTHING_SEEN) if look.member in state.members else NOTHING_SEEN


def _looked(before: State, now: State, look: ProbeResult) -> Iterator[_Line]:
    """A line where the page says something else than it did; `before` counts what it replaces."""
    sight, void = _page(before, look), look.void or _page(now, look).voided
    last = sight.last
    for way, part in look.ways:
        yield from _looked_over(sight.way(way), way, part)
    # The same again: of ten thousand members that are well nothing is written.
    if last is not None and (last.verdict, last.reason) == (look.verdict, look.reason) and bool(void) == bool(sight.voided):
        return
    # Nor while nothing counts, whatever is said meanwhile: a night without a network would push the history out of its journal.
    if void and void == sight.voided:
        return
    said = "void: " + void if void else look.verdict.value if look.good else f"{look.verdict.value} ({look.reason.value})"
    data: dict[str, Any] = {
        "member": look.member, "page": look.page, "verdict": look.verdict.value, "reason": look.reason.value,
        "started": look.started, "ended": look.ended, "detail": look.detail, "void": void,
    }
    if last is not None:
        data["before"] = {"verdict": last.verdict.value, "reason": last.reason.value, "count": max(sight.good_run, sight.bad_run),
                          "last_started": last.started, "last_ended": last.ended}
    yield "look", f"{look.member} {look.page}: {said}{f': {look.detail}' if look.detail and not look.good else ''}", "", data


_WAYS = {"4": "over IPv4", "6": "over IPv6", "direct": "directly", "client": "by the clients' path"}


def _looked_over(sight: PageSight | None, way: str, look: ProbeResult) -> Iterator[_Line]:
    """A line where the page says something else over this address family or path than it did (H5, H22)."""
    last = sight.last if sight is not None else None
    # A way that was well from the beginning is no news either.
    if look.void or (last is not None and (last.verdict, last.reason) == (look.verdict, look.reason)) or (last is None and look.good):
        return
    said = look.verdict.value if look.good else f"{look.verdict.value} ({look.reason.value})"
    data = {"member": look.member, "page": look.page, "way": way, "verdict": look.verdict.value, "reason": look.reason.value,
            "started": look.started, "ended": look.ended, "detail": look.detail}
    yield "way-look", f"{look.member} {look.page} {_WAYS[way]}: {said}{f': {look.detail}' if look.detail and not look.good else ''}", "", data


def _noted(note: Note) -> _Line:
    data: dict[str, Any] = {"evidence": plain(note.evidence)} if note.evidence else {}
    if note.member:
        data["member"] = note.member
    if note.page:
        data["page"] = True
    return note.kind, note.text, note.by, data


def _answered(command: Command, reply: Reply) -> _Line:
    verb = type(command).__name__  # what replay reads; the sentence has the word that is typed
    # `by` has a place of its own in the line, and `key` is no part of what was asked.
    asked = {field.name: plain(getattr(command, field.name)) for field in fields(command) if field.name not in ("service", "by", "key")}
    data = {"command": {"verb": verb, **asked}, "code": int(reply.code), "rule": reply.rule, "evidence": plain(reply.evidence)}
    if command.key:
        data["key"] = command.key  # the store files the line under it, in the transaction that saves what was decided
    word = typed(verb)
    return "command", reply.message if reply.message.startswith(word) else f"{word}: {reply.message}", command.by, data


def typed(verb: str) -> str:
    """The command's name as an operator types it: `SetHold` is `hold`, `MaintenanceOn` is `maintenance on`, `SwapRoles` is `swap-roles`."""
    if verb == "SetHold":
        return "hold"
    parts = [part.lower() for part in _CAPITAL.split(verb) if part]
    return (" " if parts[0] in ("maintenance", "upgrade") else "-").join(parts)


def _all_shown(shown: tuple[Shown, ...]) -> str:
    return ", ".join(f"{s.actuator} shows {'+'.join(s.members) or ('nothing' if s.nothing else s.detail or 'nothing known')}" for s in shown)


def changes(before: Saved, after: Saved) -> dict[str, Any]:
    """The saved fields that became different, as JSON can say them."""
    if before is after:
        return {}
    return {f.name: plain(getattr(after, f.name)) for f in fields(after) if getattr(before, f.name) != getattr(after, f.name)}


def plain(value: Any) -> Any:
    """Frozen values as what JSON knows."""
    # Sorted, so that equal states give equal lines: the chain of hashes is over the text.
    if isinstance(value, (frozenset, set)):
        return sorted(plain(item) for item in value)
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        return plain(asdict(value))
    return value
