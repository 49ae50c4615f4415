"""Recorded history decided again under other settings (`lbctl replay`): would `fall: 2` have served us better last month?

The journal holds every change of what a page said, how often it had said the same before, every command and every start. From that the looks are
laid out again, evenly between the instants that are known, and the product's own `decide` judges them: once under the settings as they are, so that
one can see how true the replay is, and once under the others. PURE: lines in, answer out.

What people did is a fact, not to be decided again: a move that somebody asked for, approved, drained or drove is taken over from its line as it
was saved, when it happened, so that waits for caches and for the Cores' side need not be played. What they said beside (maintenance, hold, ack) is
given again as a command.

What it cannot know: looks that other intervals would have made, ages of copies, and what people would have done otherwise.
"""

from __future__ import annotations

import bisect
import heapq
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from lbctl.model import commands as ask
from lbctl.model.commands import Command, Shown
from lbctl.model.decision import Step
from lbctl.model.events import Around, Event, Started, SyncSeen, SyncUnknown, Tick, Verified
from lbctl.model.looks import ProbeResult, Reason, Verdict
from lbctl.model.settings import ServiceSettings
from lbctl.model.state import Saved, State
from lbctl.policy import begin, decide

PEOPLE = "operator"
"""The trigger of a move that somebody asked for."""
COMMANDS: dict[str, type[Command]] = {
    kind.__name__: kind
    for kind in (
        ask.MaintenanceOn, ask.MaintenanceOff, ask.MaintenanceExtend, ask.SetHold, ask.Release, ask.Ack, ask.Deny,
    )
}
NEAR_S = 120.0
"""Looks farther than this from anything that happened are not laid out again."""
TOLD_EVERY = 5000
"""Events from one telling of how far it is to the next: a blink of an eye."""
SEEN_ELSEWHERE = Around(proofs=1, watched=1)
"""Blindness towards other services is not in one service's lines; the path counts as proven."""


@dataclass(frozen=True, slots=True)
class Moved:
    """One move in a replay. `recovered_s`: how long after it the page that had failed was good again; None where it was not."""

    at: float
    source: str
    target: str
    trigger: str
    recovered_s: float | None = None


@dataclass(frozen=True, slots=True)
class Replayed:
    """What one set of settings makes of the history. `would`: moves that maintenance, a hold or `observe` stopped; `asked`: approvals."""

    moves: tuple[Moved, ...]
    would: int
    asked: int
    looks: int


@dataclass(frozen=True, slots=True)
class _Done:
    """What people changed, as it was saved: members' names of another configuration may be among it."""

    line: Step
    saved: Mapping[str, Any]


@dataclass(slots=True)
class _Life:
    """One run through the events."""

    settings: ServiceSettings
    moves: list[Moved] = field(default_factory=list)
    would: int = 0
    asked: int = 0
    looks: int = 0


def replay(settings: ServiceSettings, lines: Iterable[Step], tell: Callable[[int, int], None] | None = None) -> Replayed:
    """Decides the history of one service again under these settings. `tell` hears now and then at which line it is, and of how many."""
    life, kept = _Life(settings), list(lines)
    times = sorted(line.at for line in kept)
    state = None
    for number, (at, event) in enumerate(_ordered(settings, kept), 1):
        if tell is not None and number % TOLD_EVERY == 0:
            tell(bisect.bisect_right(times, at), len(times))
        if isinstance(event, Started):
            state = begin(settings, state.saved if state is not None else _memory(settings, event), 1)
        if state is not None and isinstance(event, _Done):
            state = _taken_over(life, state, event)
        elif state is not None and not isinstance(event, _Done):
            life.looks += isinstance(event, ProbeResult)
            state = _turn(life, state, event, at)
            if isinstance(event, Command):
                state = _turn(life, state, Tick(), at)
    return Replayed(tuple(_recoveries(life.moves, kept)), life.would, life.asked, life.looks)


def _taken_over(life: _Life, state: State, done: _Done) -> State:
    """The saved half as people left it. Who is not configured now is left out; a move to such a member is none."""
    names = frozenset(life.settings.names)
    saved = {key: kind(done.saved[key]) for key, kind in _FIELDS.items() if key in done.saved}
    for key in ("latched", "needs_resync"):
        if key in saved:
            saved[key] &= names
    if not {saved.get(key, state.saved.primary) for key in ("active", "primary")} <= names:
        return state
    target = saved.get("active", state.saved.active)
    if done.line.kind == "moved" and target != state.saved.active:
        life.moves.append(Moved(done.line.at, str(state.saved.active), str(target), PEOPLE))
    after = replace(state.saved, **saved, epoch=state.saved.epoch + 1, run=None, drain=None, farewell=None, move=None)
    return _seen_everywhere(life, replace(state, saved=after), done.line.at)


def _turn(life: _Life, state: State, event: Event, at: float) -> State:
    """One event; what it publishes is seen everywhere at once."""
    decision = decide(life.settings, state, event, at, SEEN_ELSEWHERE)
    _take_notes(life, decision.notes, at)
    after = decision.state
    return _seen_everywhere(life, after, at) if after.saved.epoch != state.saved.epoch else after


def _seen_everywhere(life: _Life, state: State, at: float) -> State:
    for actuator in life.settings.actuators:
        state = decide(life.settings, state, Verified(actuator, state.saved.epoch), at, SEEN_ELSEWHERE).state
    return state


def _take_notes(life: _Life, notes: Iterable[Any], at: float) -> None:
    for note in notes:
        if note.kind == "moved":
            life.moves.append(Moved(at, str(note.evidence.get("source")), note.member, str(note.evidence.get("trigger"))))
        life.would += note.kind == "would-failover"
        life.asked += note.kind == "ApprovalPending"


def _memory(settings: ServiceSettings, event: Started) -> Saved | None:
    """What was remembered at the first start is taken from what was published then."""
    shown = next((s.members[0] for s in event.shown if len(s.members) == 1), None)
    if shown is None:
        return None
    latched = frozenset({settings.primary}) if shown != settings.primary else frozenset()
    return Saved(settings.name, epoch=1, active=shown, primary=settings.primary, file_primary=settings.primary, latched=latched, needs_resync=latched)


def _ordered(settings: ServiceSettings, lines: list[Step]) -> Iterator[tuple[float, Event | _Done]]:
    """All events by time, one after the other: a month has more looks than memory should. A start where the history begins in the middle."""
    told = sorted((pair for line in lines for pair in _events(settings, line)), key=_when)
    stream = heapq.merge(told, sorted(_done(lines), key=_when), *_looks(settings, lines), key=_when)
    first = next(stream, None)
    if first is None:
        return
    begins = first[0] - 1.0
    if not isinstance(first[1], Started):
        yield begins, Started(tuple(Shown(actuator, (settings.primary,)) for actuator in settings.actuators))
        yield from ((begins, event) for event in _untold(settings))
    latest = begins
    for at, event in itertools.chain((first,), stream):
        latest = max(at, latest)  # a clock that was set back among the lines takes no time back
        yield latest, event


def _when(event: tuple[float, Any]) -> float:
    return event[0]


def _untold(settings: ServiceSettings) -> Iterator[Event]:
    """Until the history tells of a sync, nobody could tell its age: older histories do not."""
    yield from (SyncUnknown(member.name, "not recorded") for member in settings.members if member.freshness is not None)


def _events(settings: ServiceSettings, line: Step) -> Iterator[tuple[float, Event]]:
    data = line.data
    if line.kind == "started":
        yield line.at, Started(tuple(_shown(item) for item in data.get("shown", ())))
        yield from ((line.at, event) for event in _untold(settings))
    elif line.kind == "synced" and data["member"] in settings.names:
        yield line.at, SyncSeen(data["member"], data["source"], data["started"], data["completed"])
    elif line.kind == "sync-unknown" and data["member"] in settings.names:
        yield line.at, SyncUnknown(data["member"], data["detail"])
    elif line.kind == "command":
        command = _command(line)
        if command is not None:
            yield line.at, command


def _done(lines: Iterable[Step]) -> Iterator[tuple[float, _Done]]:
    """Moves and exchanges of roles by people; what a turn saved stands at its last line."""
    asked: list[Step] = []
    for line in lines:
        if line.kind == "roles-swapped" or (line.kind == "moved" and line.data.get("evidence", {}).get("trigger") == PEOPLE):
            asked.append(line)
        asked = [one for one in asked if (one.at, one.revision) == (line.at, line.revision)]
        if "saved" in line.data and asked:
            yield line.at, _Done(asked[0], line.data["saved"])


_FIELDS: Mapping[str, Callable[[Any], Any]] = {
    "active": str, "primary": str, "file_primary": str, "syncs_from": dict, "latched": frozenset, "needs_resync": frozenset,
    "moved_at": lambda at: at, "lockout_until": lambda at: at,
}
"""What of the saved half people's moves leave behind, out of JSON."""


def _looks(settings: ServiceSettings, lines: list[Step]) -> list[Iterator[tuple[float, Event]]]:
    """Every page's looks laid out again: as many as there were where that is known, else one an interval."""
    pages: dict[tuple[str, str], list[Step]] = {}
    for line in lines:
        if line.kind == "look" and line.data.get("member") in settings.names:
            pages.setdefault((line.data["member"], line.data["page"]), []).append(line)
    moments = sorted(line.at for line in lines if line.kind in ("look", "command", "started"))
    starts = sorted(line.at for line in lines if line.kind == "started")
    return [_page(changes, starts, moments, settings.member(member).probe.interval_s) for (member, _), changes in pages.items()]


def _page(changes: list[Step], starts: list[float], moments: list[float], every: float) -> Iterator[tuple[float, Event]]:
    for change, after in itertools.zip_longest(changes, changes[1:]):
        # A life ends without a word of how often a page had said the same: its looks go on until the next one begins, and not into it.
        next_life = bisect.bisect_right(starts, change.at)
        until = starts[next_life] if next_life < len(starts) else moments[-1] + NEAR_S
        yield from _stretch(change, after.data.get("before") if after is not None else None, until, moments, every)


def _stretch(change: Step, end: Mapping[str, Any] | None, until: float, moments: list[float], every: float) -> Iterator[tuple[float, Event]]:
    """The look that began it and the ones that said the same, but only near something that happened: in between they decide nothing."""
    look = _look(change.data)
    yield look.ended, look
    # What follows a void look counts the real ones of before it: they are laid out already, and of void ones one leaves the same mark as many.
    if look.void:
        return
    last = end["last_ended"] if end else until
    count = end["count"] - _earlier(look, change.data.get("before")) - 1 if end else int((last - look.ended) / every)
    gap = (last - look.ended) / count if count > 0 else 0.0
    for number in near(look.ended, gap, count, moments) if 0 <= gap <= 2 * every else ():
        ended = look.ended + number * gap
        yield ended, replace(look, started=ended - (look.ended - look.started), ended=ended)


def near(begin: float, gap: float, count: int, moments: list[float]) -> Iterator[int]:
    """Which of `count` looks are near a moment. From one moment to the next in a step, and not look by look through a quiet month."""
    number = 1
    while number <= count:
        at = begin + number * gap
        place = bisect.bisect_left(moments, at - NEAR_S)
        if place == len(moments):
            return
        if moments[place] <= at + NEAR_S:
            yield number
            number += 1
        elif gap:
            number = max(number + 1, math.ceil((moments[place] - NEAR_S - begin) / gap))
        else:
            return


def _earlier(look: ProbeResult, before: Mapping[str, Any] | None) -> int:
    """How many looks its run had before: a run of failures goes on where their reason changes, or where void looks stood between."""
    if before is None or (before["verdict"] == Verdict.FAILED) is look.good:
        return 0
    return int(before["count"])


def _look(data: Mapping[str, Any]) -> ProbeResult:
    return ProbeResult(
        data["member"], data["page"], Verdict(data["verdict"]), Reason(data["reason"]), data["started"], data["ended"], data.get("detail", ""),
        void=data.get("void", ""))


def _shown(item: Mapping[str, Any]) -> Shown:
    return Shown(item["actuator"], tuple(item["members"]), item["nothing"], item["unread"], None, item["detail"])


def _command(line: Step) -> Command | None:
    kept = dict(line.data["command"])
    kind = COMMANDS.get(kept.pop("verb"))
    if kind is None:
        return None
    names = {f.name for f in fields(kind)}
    values: dict[str, Any] = {key: frozenset(value) if key == "accept" else value for key, value in kept.items() if key in names}
    values |= {"service": line.service, "by": line.by, "revision": None}
    return kind(**values)


def _recoveries(moves: Iterable[Moved], lines: Iterable[Step]) -> Iterator[Moved]:
    """When the member that lost the traffic was good again after each move."""
    good: dict[str, list[float]] = {}
    for line in lines:
        if line.kind == "look" and line.data.get("verdict") in ("ok", "primary", "standby"):
            good.setdefault(line.data["member"], []).append(line.at)
    for times in good.values():
        times.sort()
    for move in moves:
        times = good.get(move.source, [])
        place = bisect.bisect_left(times, move.at)
        yield replace(move, recovered_s=times[place] - move.at if place < len(times) else None)


def compare(old: Replayed, new: Replayed, soon_s: float = 60.0) -> str:
    """The plain answer: how many more or fewer failovers, and how many of the new ones were for a blip. What people did is the same in both."""
    before, now = _by_itself(old.moves), _by_itself(new.moves)
    extra, fewer = _unmatched(now, before), _unmatched(before, now)
    blips = [move for move in extra if move.recovered_s is not None and move.recovered_s <= soon_s]
    parts = [f"{len(extra)} more failover{'s' * (len(extra) != 1)}"] if extra else []
    if blips:
        parts[0] += f", {_some(len(blips), len(extra))} within {max(1, math.ceil(max(m.recovered_s or 0 for m in blips)))} s of a recovery"
    if fewer:
        parts.append(f"{len(fewer)} fewer" + ("" if extra else f" failover{'s' * (len(fewer) != 1)}"))
    if new.would != old.would:
        parts.append(f"{abs(new.would - old.would)} {'more' if new.would > old.would else 'fewer'} that were held back")
    if new.asked != old.asked:
        many = abs(new.asked - old.asked)
        parts.append(f"{many} {'more' if new.asked > old.asked else 'fewer'} approval{'s' * (many != 1)} asked for")
    return "; ".join(parts) or _shifted(before, now) or "nothing would have been different"


def _shifted(before: list[Moved], now: list[Moved], told_s: float = 1.0) -> str:
    """Seconds of service are what a more patient setting costs, also where it moves as often: that is a difference."""
    shifts = [new.at - old.at for old, new in zip(before, now, strict=False) if (old.source, old.target) == (new.source, new.target)]
    most = max(shifts, key=abs, default=0.0)
    many = "the same failover" if len(now) == 1 else f"the same {len(now)} failovers"
    return f"{many}, {'up to ' if len(now) > 1 else ''}{abs(most):.1f} s {'later' if most > 0 else 'earlier'}" if abs(most) >= told_s else ""


def _by_itself(moves: Iterable[Moved]) -> list[Moved]:
    return [move for move in moves if move.trigger != PEOPLE]


_WORDS = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def _some(part: int, whole: int) -> str:
    if whole == 1:
        return "which came"
    return "all of them" if part == whole else f"{_WORDS[part] if part < len(_WORDS) else part} of them"


def _unmatched(moves: Iterable[Moved], others: Iterable[Moved], near_s: float = 120.0) -> list[Moved]:
    """Moves that have no partner with the same ends nearby in the other replay."""
    rest = list(others)
    left = []
    for move in moves:
        partner = next((o for o in rest if (o.source, o.target) == (move.source, move.target) and abs(o.at - move.at) <= near_s), None)
        if partner is None:
            left.append(move)
        else:
            rest.remove(partner)
    return left
