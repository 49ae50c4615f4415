"""What must never be, over what was seen from outside and what the journal says of it. Each judge gives its complaints; none of them asks lbctl.

A judge is a function and a row. Clocks: all processes stand on one machine, so one time holds for all of them; `SLACK_S` is for the moment between an
event and its being written down.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from tests.chaos.journal import Line, latched_over_time, turns
from tests.chaos.plan import CORES
from tests.chaos.record import Asked, Look, Record
from tests.chaos.stage import INTERVAL_S, TIMEOUT_S

SLACK_S = 0.3
QUIET_S = 15.0
"""How long lbctl may be silent without a reason: a machine that does other work besides is none of its faults."""
FRESH_S = 2 * INTERVAL_S + TIMEOUT_S
MEDDLED_S = 40.0
FAILING = re.compile(r"failing for ([\d.]+) s")
OPERATOR_VERBS = {"failover": ("failover",), "approved": ("approve",), "switchover": ("switchover", "resume"), "resume": ("resume",)}
UNLATCHING = frozenset({"failover", "switchover", "resume", "approve", "ack", "swap-roles", "adopt"})
ACCEPTED = (0, 6)
ANSWERS = (*CORES, "silence")
AGE = re.compile(r"the last sync of (\S+) came from (\S+) and started (-?\d+) s ago")


@dataclass(slots=True)
class Evidence:
    """All that the judges have. `held`: the devices that each Core has at the end; `active`: who is told to clients then."""

    record: Record
    journal: list[Line]
    active: str
    held: dict[str, frozenset[str]] = field(default_factory=dict)


def answers_are_one_core(case: Evidence) -> Iterator[str]:
    """Never empty, never both, never anything but one of the two; and never silent without a reason."""
    record = case.record
    for answer in record.answers:
        if answer.text not in ANSWERS:
            yield f"{_at(record, answer.at)} a client is told {answer.text}"
    spoken = [answer for answer in record.answers if answer.text != "silence"]
    for before, after in pairwise(spoken):
        away = [span for span in record.overlapping(before.at, after.at, "dead", "frozen") if span.on == ("lbctl",)]
        if after.at - before.at > QUIET_S and not away:
            yield f"{_at(record, before.at)} no answer for {after.at - before.at:.1f} s and lbctl ran"


def epochs_rise_one_by_one(case: Evidence) -> Iterator[str]:
    """Each with exactly one line that says why."""
    epoch = 0
    for line in case.journal:
        if line.epoch < epoch:
            yield f"the epoch goes back from {epoch}: {line}"
        epoch = max(epoch, line.epoch)
    known = 0
    for line in turns(case.journal):
        if line.epoch != known + 1:
            yield f"epoch {known} is followed by another than {known + 1}: {line}"
        known = line.epoch
    if known != epoch:
        yield f"epoch {epoch} has no line that says why"


def changes_are_moves(case: Evidence) -> Iterator[str]:
    """Every change of the answer has one line in the journal, written before the first client heard of it; every line was heard of."""
    record, said = case.record, [(line, line.member) for line in turns(case.journal) if line.kind != "roles-swapped"]
    # Who is adopted though he is active already gets an epoch, and no client hears of it.
    told = [one for number, one in enumerate(said) if number == 0 or one[1] != said[number - 1][1]]
    position = -1
    spoken = [answer for answer in record.answers if answer.text in CORES]
    before = None
    for answer in spoken:
        if position >= 0 and answer.text == told[position][1]:
            before = answer
            continue
        step = _next_turn(told, position, answer.text)
        if step is None:
            yield f"{_at(record, answer.at)} the answer becomes {answer.text} and no line of the journal says so"
            return
        skipped, position = step - position - 1, step
        line = told[step][0]
        if line.at > answer.at + SLACK_S:
            yield f"{_at(record, answer.at)} the answer became {answer.text} before it was saved: {line}"
        hidden = before is None or answer.at - before.at > 1.0 or any(one.kind == "cancelled" for one, _ in told[step - skipped:step + 1])
        if skipped and not hidden:
            yield f"{_at(record, answer.at)} {skipped} lines of the journal were skipped by the answer that follows {line}"
        before = answer
    if spoken and position >= 0 and told[position][1] != told[-1][1] and spoken[-1].at > told[-1][0].at + 5.0:
        yield f"the answer stays {spoken[-1].text} after {told[-1][0]}"


def _next_turn(told: list[tuple[Line, str]], position: int, member: str) -> int | None:
    return next((number for number in range(position + 1, len(told)) if told[number][1] == member), None)


def restarts_change_nothing(case: Evidence) -> Iterator[str]:
    """The first answer after a restart is the last one before, unless a move was written before the end."""
    record = case.record
    for span in record.spans:
        if span.kind != "dead" or span.on != ("lbctl",):
            continue
        before = [answer for answer in record.answers if answer.text in CORES and answer.at <= span.began]
        after = [answer for answer in record.answers if answer.text in CORES and answer.asked >= span.began + SLACK_S]
        if not before or not after or before[-1].text == after[0].text:
            continue
        lives = [line.at for line in case.journal if line.kind == "started" and line.at >= span.began]
        until = min(lives, default=span.began)
        if not any(before[-1].asked - SLACK_S <= line.at <= until and line.kind == "moved" for line in case.journal):
            yield f"{_at(record, span.began)} the restart changed the answer from {before[-1].text} to {after[0].text}"


def moves_have_a_cause(case: Evidence) -> Iterator[str]:
    """An allowed one, with its evidence: a command of ours, or the rows of the gate."""
    for line in _moves(case):
        if line.trigger in ("auto", "adopt"):
            rules = line.evidence.get("rules") or {}
            if not {"active-down", "candidate-standby", "fresh-enough", "re-synced"} <= set(rules):
                yield f"no evidence: {line}"
        elif line.trigger != "operator":
            yield f"no allowed cause: {line}"
        elif not any(asked.words[0] in OPERATOR_VERBS.get(line.verb, ()) and asked.began - SLACK_S <= line.at and
                     (asked.code in (*ACCEPTED, 1, None)) for asked in case.record.asked):
            yield f"nobody asked for it: {line}"


def automatic_moves_are_right(case: Evidence) -> Iterator[str]:
    """Off a Core that failed to who stood outside as well, onto one that said Standby; against nobody, never back, never twice in a lockout."""
    lost: set[str] = set()
    last_auto: float | None = None
    for line in _moves(case):
        source = str(line.evidence.get("source", ""))
        if line.trigger != "operator":
            yield from _off_a_failing_core(case, line, source)
            if line.trigger == "auto":
                yield from _onto_a_standby(case, line)
            since = max((one.began for one in _accepted(case, UNLATCHING) if one.began <= line.at), default=0.0)
            if line.member in lost and since < _lost_at(case, line):
                yield f"traffic went back by itself: {line}"
            if last_auto is not None and since < last_auto:
                yield f"two automatic moves without anybody between: {line}"
            last_auto = line.at
            yield from _against_nobody(case, line)
        lost.add(source)


def _row(move: Line, rule: str) -> str:
    """What a row of the gate rested on."""
    return str(dict(move.evidence.get("rules") or {}).get(rule, ""))


def _lost_at(case: Evidence, move: Line) -> float:
    """When the member that gets the traffic had lost it."""
    return max((line.at for line in _moves(case) if line.at < move.at and line.evidence.get("source") == move.member), default=0.0)


def _off_a_failing_core(case: Evidence, move: Line, source: str) -> Iterator[str]:
    page = "hastatus" if " hastatus:" in _row(move, "active-down").partition(",")[0] else "status"
    failing = FAILING.search(_row(move, "active-down"))
    since = move.at - SLACK_S - (float(failing[1]) if failing else FRESH_S)
    seen = _looks(case, source, page, since, move.at)
    # What lbctl cannot reach may be well for everybody else: the guide's probe fails, and so it moves.
    if case.record.overlapping(since, move.at, "wire"):
        return
    if len(seen) > 2 and all(_is_fine(look, page) for look in seen):
        yield f"{_at(case.record, move.at)} {source} was well at all {len(seen)} looks from outside: {move}"


def _is_fine(look: Look, page: str) -> bool:
    """And soon: a page that comes late from outside may have come too late for lbctl."""
    return look.said in (("OK",) if page == "status" else ("Standby", "Primary")) and look.ended - look.began < TIMEOUT_S / 2


def _onto_a_standby(case: Evidence, move: Line) -> Iterator[str]:
    seen = _looks(case, move.member, "hastatus", move.at - FRESH_S - SLACK_S, move.at + SLACK_S)
    if len(seen) > 2 and not any(look.said == "Standby" for look in seen):
        yield f"{_at(case.record, move.at)} {move.member} did not say Standby but {sorted({look.said for look in seen})}: {move}"


def _against_nobody(case: Evidence, move: Line) -> Iterator[str]:
    """People who were told that nothing moves by itself."""
    for verb, ends in ((("hold",), (("release",),)), (("maintenance", "on"), (("maintenance", "off"), ("ack",)))):
        for asked in case.record.asked:
            stopped = asked.words[:len(verb)] == verb and asked.code == 0 and asked.ended < move.at < asked.ended + 60
            if stopped and not any(one.words[:len(end)] == end and asked.began <= one.ended and one.began <= move.at
                                   for one in case.record.asked for end in ends):
                yield f"{_at(case.record, move.at)} moved by itself against `{' '.join(asked.words)}`: {move}"


def latches_fall_by_people(case: Evidence) -> Iterator[str]:
    """Nothing but a person's word, or a move that nobody saw being taken back, unlatches (G-LB4)."""
    known: frozenset[str] = frozenset()
    for line, latched in latched_over_time(case.journal):
        gone = known - latched
        cancelled = any(one.kind == "cancelled" and one.revision == line.revision for one in case.journal)
        if gone and not cancelled and not any(one.began - SLACK_S <= line.at for one in _asked(case, UNLATCHING)):
            yield f"{', '.join(gone)} was unlatched by nobody: {line}"
        known = latched


def commands_are_answered(case: Evidence) -> Iterator[str]:
    """In time, with a code of the contract; a move that was answered as done was seen by the reader."""
    record = case.record
    for asked in record.asked:
        words = " ".join(asked.words)
        if asked.code is None or asked.code not in range(9):
            yield f"{_at(record, asked.began)} `{words}` ended with {asked.code} after {asked.ended - asked.began:.1f} s: {asked.text[-300:]}"
        if "Traceback" in asked.text:
            yield f"{_at(record, asked.began)} `{words}`: {asked.text[-1500:]}"
        if asked.code == 0 and asked.words[0] == "failover":
            told = [answer for answer in record.answers if asked.ended - SLACK_S <= answer.at <= asked.ended + 1.0 and answer.text in CORES]
            moved = any(asked.began <= line.at <= asked.ended + 1.0 and line.member != asked.words[3] for line in turns(case.journal))
            if told and asked.words[3] not in {answer.text for answer in told} and not moved:
                yield f"{_at(record, asked.began)} `{words}` said done, and the answer is {told[-1].text}"
        moves = [line for line in case.journal if line.kind == "moved" and line.trigger == "operator"]
        if asked.code == 3 and any(asked.began <= line.at <= asked.ended for line in moves):
            others = [one for one in _accepted(case, UNLATCHING) if one.began <= asked.ended and one is not asked]
            if not others:
                yield f"{_at(record, asked.began)} `{words}` was refused, and yet traffic moved"


def nothing_fell(case: Evidence) -> Iterator[str]:
    """No event was void by a fault of lbctl's own."""
    for line in case.journal:
        if line.kind in ("policy-fell", "invariant-broken"):
            yield str(line)


def writes_are_kept_or_told(case: Evidence) -> Iterator[str]:
    """A write that a Core acknowledged is on who is active in the end, or a line of the journal accepted that it is not."""
    gone = [write for write in case.record.writes if write.code == 201 and write.uuid not in case.held[case.active]]
    blamed: dict[str, list[float]] = {}
    for write in gone:
        why = _excuse(case, write.core, write.ended)
        if why:
            blamed.setdefault(f"{write.core}: {why}", []).append(write.ended - case.record.began)
    for why, times in blamed.items():
        yield f"{len(times)} acknowledged writes at {times[0]:.2f} .. {times[-1]:.2f} are gone from {case.active}: {why}"


def _excuse(case: Evidence, core: str, at: float) -> str:
    """Why a write that `core` took then may not be lost; "" where some line of the journal accepted it."""
    moves = _moves(case)
    # It had lost the traffic already: whoever still comes with an old answer is told of by its latch (SEMANTICS 3).
    had = [line for line in moves if line.at <= at and core in (line.member, line.evidence.get("source"))]
    if had and had[-1].member != core:
        return ""
    left = next((line for line in moves if line.at >= at - SLACK_S and line.evidence.get("source") == core), None)
    if left is None:
        # The Core's own administrator has thrown its data away by a sync onto it.
        synced = any(one.words[0] == core and "sync" in one.words and one.ended >= at for one in case.record.administered)
        return "" if synced else "no move has left that Core since"
    if left.trigger == "operator":
        return _excused_by_people(case, left)
    told = AGE.search(_row(left, "fresh-enough"))
    if told is None or told[1] != left.member or told[2] != core:
        return ""
    # The age is told in whole seconds.
    age_s, write_s = int(told[3]), left.at - at
    return "" if write_s <= age_s + 1.0 else f"the copy was told to be {age_s} s old, the write was {write_s:.1f} s old: {left}"


def _excused_by_people(case: Evidence, move: Line) -> str:
    words = [asked.words for asked in case.record.asked if asked.words[0] in OPERATOR_VERBS.get(move.verb, ()) and asked.began - SLACK_S <= move.at]
    if move.verb in ("failover", "approved"):
        # Accepted by a person, and told as for an automatic move: how old the copy was.
        return "" if "fresh-enough" in dict(move.evidence.get("rules") or {}) else f"the journal does not tell how old the copy was: {move}"
    if any("--attest-synced" in one for one in words):
        return ""
    # Roles that a stranger turns in the middle of a return are nobody's promise.
    if any(one.ended > move.at - MEDDLED_S and one.began < move.at for one in case.record.administered):
        return ""
    return f"nobody accepted a loss: {move}"


def _moves(case: Evidence) -> list[Line]:
    """Those that were published: one that was cancelled has moved nobody."""
    all_turns = turns(case.journal)
    return [line for number, line in enumerate(all_turns)
            if line.kind == "moved" and not (number + 1 < len(all_turns) and all_turns[number + 1].kind == "cancelled")]


def _asked(case: Evidence, verbs: frozenset[str]) -> list[Asked]:
    return [asked for asked in case.record.asked if asked.words[0] in verbs]


def _accepted(case: Evidence, verbs: frozenset[str]) -> list[Asked]:
    return [asked for asked in _asked(case, verbs) if asked.code in (*ACCEPTED, 1, None)]


def _looks(case: Evidence, core: str, page: str, began: float, ended: float) -> list[Look]:
    return [look for look in case.record.looks if (look.core, look.page) == (core, page) and look.ended >= began and look.began <= ended]


def _at(record: Record, at: float) -> str:
    return f"at {at - record.began:.2f}"


JUDGES: tuple[Callable[[Evidence], Iterator[str]], ...] = (
    answers_are_one_core, epochs_rise_one_by_one, changes_are_moves, restarts_change_nothing, moves_have_a_cause, automatic_moves_are_right,
    latches_fall_by_people, commands_are_answered, nothing_fell, writes_are_kept_or_told,
)


def complaints(case: Evidence) -> list[str]:
    return [f"{judge.__name__}: {found}" for judge in JUDGES for found in judge(case)]
