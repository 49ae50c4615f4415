"""Start and restart of a pool: what is remembered against what is published (SEMANTICS section 6). A restart never moves traffic.

As for a pair, with sets of members in the place of one. Whatever consists of members of ours and of nothing else is an answer that a pool may give,
so what is published is taken for the truth, also where something else is remembered (killed between save and apply); from there it is judged anew by
real looks. Places or actuators that disagree, strangers' addresses and a newer epoch end in `uninitialised`, which waits for `lbctl adopt`.
"""

from __future__ import annotations

from lbctl.model.commands import Adopt, Code, Shown
from lbctl.model.events import Started
from lbctl.policy import families, moves, pool, start
from lbctl.policy.case import Case
from lbctl.policy.seen import round_over
from lbctl.policy.start import ANYBODY, listed, text_of, uninitialise
from lbctl.policy.turn import Turn


def started(turn: Turn, event: Started) -> None:
    """The first event of a life."""
    start.tell_torn(turn)
    turn.set(started=True, shown={s.actuator: text_of(s) for s in event.shown}, promoted=True, up_since=None)
    # Sets of members in their order: two places with the same ones agree.
    answers = {s.members for s in event.shown if s.members}
    strange = [s.actuator for s in event.shown if not (s.members or s.nothing or s.unread)]
    unread = [s.actuator for s in event.shown if s.unread]
    epoch = max((s.epoch for s in event.shown if s.epoch is not None), default=0)
    if turn.state.uninitialised:
        if epoch > turn.saved.epoch:
            turn.save(epoch=epoch)  # what is adopted must be newer than what stands, or every actuator refuses it for ever (H27)
        _without_memory(turn, answers, strange, unread)
    # Our memory is the older one, and an older one never writes (H27).
    elif epoch > turn.saved.epoch:
        uninitialise(turn, f"epoch {epoch} is published and only {turn.saved.epoch} remembered: the state is older than what was done with it")
    elif strange or len(answers) > 1:
        uninitialise(turn, f"what is published is not the same everywhere, or not ours: {listed(turn)}")
    else:
        _with_memory(turn, next(iter(answers), ()), event.shown)


def _with_memory(turn: Turn, published: tuple[str, ...], shown: tuple[Shown, ...]) -> None:
    saved, names = turn.saved, turn.settings.names
    # A service that was a pair until now remembers only its active: that is its answer.
    known = tuple(n for n in names if n in saved.answering) or tuple(n for n in names if n == saved.active)
    # Nothing or unreadable is no contradiction: writing what was true takes nothing from anybody.
    if not published or published == known:
        if known != saved.answering:
            turn.save(answering=known, active=known[0], epoch=saved.epoch + 1)
        _settle_ledger(turn, shown)
        return
    # Other than for a pair: members serve alike, so what clients already get is as good, and looks correct it soon.
    turn.save(answering=published, active=published[0], epoch=saved.epoch + 1)
    turn.note("adopted", f"{', '.join(published)} is published and not {', '.join(known)}, which is remembered: judged anew from what is published")


def _settle_ledger(turn: Turn, shown: tuple[Shown, ...]) -> None:
    """What is already published as wanted counts as verified at the epoch that the place itself names."""
    for item in shown:
        if item.members == turn.saved.answering and (item.epoch is None or item.epoch == turn.saved.epoch):
            moves.ledger(turn, item.actuator, applied=turn.saved.epoch, verified=turn.saved.epoch)


def _without_memory(turn: Turn, answers: set[tuple[str, ...]], strange: list[str], unread: list[str]) -> None:
    if strange or len(answers) > 1:
        uninitialise(turn, f"{turn.state.uninitialised}, and what is published is not the same everywhere, or not ours: {listed(turn)}")
        return
    # An answer that cannot be read may still be there: publishing over it is left to a person.
    if not answers and unread:
        uninitialise(turn, f"{turn.state.uninitialised}, and {', '.join(unread)} cannot be read")
        return
    start.watch(turn, "+".join(next(iter(answers))) if answers else ANYBODY)


def watch_adoption(turn: Turn) -> None:
    """Counts clean rounds while the answer is not known; clean is a round in which a member of it is up."""
    if turn.state.adopting and round_over(turn.case):
        found = _found(turn.case, turn.state.adopting)
        if start.watched(turn, clean=bool(found)):
            accept(turn, found, by="lbctl", epoch=0)


def _found(case: Case, whom: str) -> tuple[str, ...]:
    names = case.settings.names
    if whom == ANYBODY:
        # One that is up is enough to begin with; the others join as they rise.
        return pool.answer(case) if any(case.up(name) for name in names) else ()
    # In the file's order: the answer's order is part of what is compared everywhere.
    published = tuple(name for name in names if name in whom.split("+"))
    return published if any(case.up(name) for name in published) else ()


def accept(turn: Turn, members: tuple[str, ...], *, by: str, epoch: int) -> None:
    """These members answer. Moves no traffic where they are what is published."""
    # Each member brings along only the families that were seen to answer (H22).
    withheld = frozenset[str]().union(*(families.brought(turn.case, name) for name in members))
    turn.save(answering=members, active=members[0], epoch=max(turn.saved.epoch + 1, epoch), moved_at=turn.now, move=None, withheld=withheld)
    turn.set(uninitialised="", adopting="", rounds=0, looked=frozenset())
    turn.note("adopted", f"{turn.settings.name} answers with {', '.join(members)}", by=by)


def adopt(turn: Turn, command: Adopt) -> None:
    """An operator accepts what is published, or, where nothing is known, names a member that answers."""
    shown = {item.members for item in command.shown}
    epoch = max((item.epoch for item in command.shown if item.epoch is not None), default=0) + 1
    # Naming members here would change the answer without the looks that it follows.
    if command.member is not None and not turn.state.uninitialised:
        turn.refuse("uninitialised", f"{turn.settings.name} knows who answers, and adopt never moves traffic")
    elif command.member is not None:
        case = turn.case
        # The named one even if it is not up, because a person says so; the others only by their looks.
        accept(turn, tuple(n for n in turn.settings.names if n == command.member or case.up(n)), by=command.by, epoch=epoch)
        turn.answer(Code.ACCEPTED, f"{', '.join(turn.saved.answering)} is adopted", epoch=turn.saved.epoch)
    elif len(shown) == 1 and next(iter(shown)):
        accept(turn, next(iter(shown)), by=command.by, epoch=epoch)
        turn.answer(Code.DONE, f"{', '.join(turn.saved.answering)} is accepted as the answer", epoch=turn.saved.epoch)
    else:
        told = "; ".join(f"{item.actuator} shows {text_of(item)}" for item in command.shown) or "nothing is published"
        turn.refuse("published-everywhere", f"not one answer everywhere ({told}): name a member, `lbctl adopt {turn.settings.name} --member M`")
