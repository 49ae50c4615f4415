"""Start and restart: what is remembered against what is published (SEMANTICS section 6). A restart never moves traffic.

What an actuator shows is one of: a member, nothing, something strange, or it could not be read. Places that show nothing or cannot be read do not
contradict a remembered state: writing there what was true takes nothing from anybody. Everything strange ends in `uninitialised`, which waits for
an operator's `adopt`.
"""

from __future__ import annotations

from dataclasses import replace

from lbctl.model.commands import Shown
from lbctl.model.events import Started
from lbctl.model.looks import Health
from lbctl.model.settings import ServiceSettings
from lbctl.model.state import ActuatorSight, Saved, State
from lbctl.policy import families, moves
from lbctl.policy.case import HASTATUS, Case
from lbctl.policy.seen import round_over
from lbctl.policy.turn import Turn

ANYBODY = "*"
"""`State.adopting` while nothing is published: whoever alone shows itself as the serving Primary."""


def begin(settings: ServiceSettings, saved: Saved | None, revision: int, problem: str) -> State:
    """The state before the first event. `problem` tells why nothing could be remembered."""
    fresh = Saved(settings.name, primary=settings.primary, file_primary=settings.primary)
    # Before the memory is trimmed: the sentence names whom it was about.
    gone = saved.active if saved is not None else None
    saved = None if saved is None else _of_members(settings, saved)
    sights = {actuator: ActuatorSight() for actuator in settings.actuators}
    answering = {saved.active, *saved.answering} if saved is not None and settings.kind == "pool" else {saved.active} if saved is not None else set()
    # A memory whose active is no member points nowhere: such a life begins like one without memory.
    known = not answering.isdisjoint(settings.names)
    why = (
        "" if known else (problem or (f"{gone} is no member any more" if gone else "no state is remembered"))
    )
    return State(saved or fresh, revision=revision, actuators=sights, uninitialised=why, torn="" if why else problem)


def _of_members(settings: ServiceSettings, saved: Saved) -> Saved:
    """What is remembered of members that the file still has: a file may change while nobody runs, and then nobody refuses it.

    Without its active, the memory is worth its epoch and what people asked for. A primary that nobody has heard of is latched, as at a start.
    """
    names = frozenset(settings.names)
    # A pool has no latches to be pruned; what it answers is compared with what is published below.
    if not names.isdisjoint(saved.answering) and settings.kind == "pool":
        return saved
    if saved.active is not None and saved.active not in names:
        kept = replace(saved, active=None, latched=frozenset(), needs_resync=frozenset(), move=None, run=None, incident=None, approvals=())
        return kept if kept.primary in names else replace(kept, primary=settings.primary, file_primary=settings.primary, syncs_from={})
    run, move = saved.run, saved.move
    # A run on a Core that is no member any more has nobody to be driven by.
    if run is not None and not {run.source, run.target} - {""} <= names:
        run = None
    if move is not None and not {move.restore.active, move.target} <= names:
        move = None
    approvals = tuple(a for a in saved.approvals if a.to in names)
    saved = replace(saved, latched=saved.latched & names, needs_resync=saved.needs_resync & names, run=run, move=move, approvals=approvals)
    if saved.active is None or saved.primary in names:
        return saved
    lost = frozenset({settings.primary} - {saved.active})
    stale = lost if settings.monitor.modes else frozenset()
    return replace(saved, primary=settings.primary, file_primary=settings.primary, syncs_from={}, latched=saved.latched | lost,
                   needs_resync=saved.needs_resync | stale)


def started(turn: Turn, event: Started) -> None:
    """The first event of a life."""
    shown = {s.actuator: text_of(s) for s in event.shown}
    # Promoted is asked again in each life: until its pages have said so, the active is judged as after a move (SEMANTICS 1).
    turn.set(started=True, began=turn.now, shown=shown, promoted=not turn.case.modes, up_since=None)
    tell_torn(turn)
    if turn.state.uninitialised:
        _without_memory(turn, event.shown)
    else:
        _with_memory(turn, event.shown)


def tell_torn(turn: Turn) -> None:
    """What an older copy does not know may be a latch: never silently (H26)."""
    if turn.state.torn:
        text = f"{turn.state.torn}; compare with `lbctl history {turn.settings.name}`: latches and holds of the last decision may be missing"
        turn.note("memory-torn", text, page=True)


def text_of(shown: Shown) -> str:
    """What one actuator shows, in a word."""
    if shown.members:
        return "+".join(shown.members)
    return "nothing" if shown.nothing else f"unread: {shown.detail}" if shown.unread else f"strange: {shown.detail}"


def _facts(shown: tuple[Shown, ...]) -> tuple[set[str], list[str], int]:
    """Members that are published somewhere, actuators that show something strange, the highest epoch found."""
    # Two members' addresses in one answer are no member of a pair: that is strange, whoever put them there.
    members = {s.members[0] for s in shown if len(s.members) == 1}
    strange = [s.actuator for s in shown if len(s.members) > 1 or not (s.members or s.nothing or s.unread)]
    return members, strange, max((s.epoch for s in shown if s.epoch is not None), default=0)


def _with_memory(turn: Turn, shown: tuple[Shown, ...]) -> None:
    saved = turn.saved
    members, strange, epoch = _facts(shown)
    move = saved.move
    # Restored from a snapshot, or another controller has acted: the older memory never writes (H27).
    if epoch > saved.epoch:
        uninitialise(turn, f"epoch {epoch} is published and only {saved.epoch} remembered: the state is older than what was done with it")
    # Before the open move is looked at: half published is a disagreement, and people say which half is true.
    elif strange or len(members) > 1:
        uninitialise(turn, f"{saved.active} is remembered, and what is published is something else or not the same everywhere: {listed(turn)}")
    # Going on would complete an operator's move by a restart, cancelling might take back what clients already have.
    elif move is not None and move.trigger == moves.OPERATOR and not members and any(item.unread for item in shown):
        unknown = f"the {move.verb} to {move.target} was under way and not everything can be read: nobody knows whether it was published"
        uninitialise(turn, f"{unknown}, and no restart completes it")
    # Nobody is told anything, so nobody has seen the move either.
    elif move is not None and move.trigger == moves.OPERATOR and shown and not members:
        moves.cancel(turn, "the controller ended between deciding and publishing; ask for it again if it is still wanted")
    # Empty as well: writing there what was true takes nothing from anybody.
    elif members <= {saved.active}:
        _settle_ledger(turn, shown)
    # The answer of before: we were killed between saving and publishing, and no client has seen the move (H25).
    elif move is not None and members == {move.restore.active}:
        anew = "ask for it again if it is still wanted" if move.trigger == moves.OPERATOR else "it is judged anew by fresh looks"
        moves.cancel(turn, f"the controller ended between deciding and publishing; {anew}")
        _settle_ledger(turn, shown)
    else:
        uninitialise(turn, f"{saved.active} is remembered, but something else is published: {listed(turn)}")


def listed(turn: Turn) -> str:
    """What each actuator shows, for a sentence."""
    return ", ".join(f"{actuator} shows {text}" for actuator, text in turn.state.shown.items())


def uninitialise(turn: Turn, why: str) -> None:
    """Nobody knows who is active, and nothing is written until a person says."""
    # Not saved: the memory may be needed once a person knows more, and the next start compares again.
    turn.set(uninitialised=why, adopting="")
    turn.note("uninitialised", f"{why}; nothing is overwritten: `lbctl adopt {turn.settings.name}`", page=True)


def _settle_ledger(turn: Turn, shown: tuple[Shown, ...]) -> None:
    """What is already published as wanted counts as verified at the epoch that the place itself names."""
    for item in shown:
        # A place with another epoch is written again, so that its marker stops the stale writers (H41).
        if item.members == (turn.saved.active,) and (item.epoch is None or item.epoch == turn.saved.epoch):
            moves.ledger(turn, item.actuator, applied=turn.saved.epoch, verified=turn.saved.epoch)
    # A move that every place shows already is over: nobody will report it a second time.
    moves.landed(turn)


def _without_memory(turn: Turn, shown: tuple[Shown, ...]) -> None:
    members, strange, epoch = _facts(shown)
    if epoch > turn.saved.epoch:
        turn.save(epoch=epoch)  # what is adopted must be newer than what stands, or every actuator refuses it for ever (H27)
    if strange or len(members) > 1:
        uninitialise(turn, f"{turn.state.uninitialised}, and actuators disagree: {listed(turn)}")
        return
    unread = [s.actuator for s in shown if s.unread]
    if not members and unread:
        uninitialise(turn, f"{turn.state.uninitialised}, and {', '.join(unread)} cannot be read")
        return
    # What is published is the truth about where clients go, better than any file (SEMANTICS 6).
    watch(turn, next(iter(members), ANYBODY))


def watch(turn: Turn, whom: str) -> None:
    """From now on `whom` is watched, to be believed after enough clean rounds."""
    turn.set(adopting=whom)
    told = "nothing is published" if whom == ANYBODY else f"{whom} is published"
    turn.note("adopting", f"{turn.state.uninitialised}; {told}: watching {turn.settings.rearm_rounds} rounds before believing it")


def watch_adoption(turn: Turn) -> None:
    """Counts clean rounds while the active is not known, and adopts after enough of them."""
    if turn.state.adopting and round_over(turn.case):
        found = _found(turn.case, turn.state.adopting)
        if watched(turn, clean=bool(found)):
            adopt(turn, found, by="lbctl", epoch=0)


def watched(turn: Turn, *, clean: bool) -> bool:
    """Whether the round that is over was the last one that was wanted."""
    # In a row: a round that is not clean begins the count anew.
    turn.set(rounds=turn.state.rounds + 1 if clean else 0, looked=frozenset())
    return clean and turn.state.rounds >= turn.settings.rearm_rounds


def _found(case: Case, whom: str) -> str:
    """The member that this round shows as the one to adopt; "" where the round is not clean."""
    if whom != ANYBODY:
        # `rise` looks and not one: it is judged as after a move, and nobody is active yet.
        return whom if case.page(whom, case.decisive(whom)).health is Health.UP else ""
    names = case.settings.names
    if not case.modes:
        # Nothing tells who had the traffic, so the order of the file does; anybody else needs a person's word.
        return case.saved.primary if case.serves(case.saved.primary) else ""
    serving = [name for name in names if case.serves(name) and case.primary(name)]
    # One member that is silent is one that may be serving somewhere we do not see: then a person says.
    if len(serving) != 1 or not all(case.says_standby_up(name) for name in names if name != serving[0]):
        return ""
    return serving[0] if case.page(serving[0], HASTATUS).health is Health.UP else ""


def adopt(turn: Turn, member: str, *, by: str, epoch: int) -> None:
    """Accepts `member` as the active. Moves no traffic. Who is not where the roles say is latched, as after a failover."""
    case, saved = turn.case, turn.saved
    primary = saved.primary if saved.primary in turn.settings.names else turn.settings.primary
    latched, stale = saved.latched - {member}, saved.needs_resync - {member}
    if member != primary:
        # It was left once, by whom or why nobody remembers: the guide's manual resume must survive lost state (G-LB4).
        lost = {primary} | {n for n in turn.settings.names if n != member and case.syncs_from(n) != member}
        latched, stale = latched | lost, stale | lost if case.modes else stale
    turn.save(
        active=member,
        primary=primary,
        # Newer than ours and than what is published: the places take it, and stale writers of before do not get in (H41).
        epoch=max(saved.epoch + 1, epoch),
        latched=latched,
        needs_resync=stale,
        # Counts as a move for `promote_timeout`: nobody knows since when it has been there.
        moved_at=turn.now,
        move=None,
        # Approvals and incident were about an active that may have been another one.
        incident=None,
        approvals=(),
        # A promotion was meant for who was active then; a driven run stays open and pages, people decide.
        run=None if saved.run is not None and saved.run.kind == "promote" else saved.run,
        withheld=families.brought(case, member),
    )
    turn.set(uninitialised="", adopting="", rounds=0, looked=frozenset(), promoted=not case.modes, never_promoted=False, up_since=None)
    turn.state = replace(turn.state, asked={})
    turn.note("adopted", f"{member} is accepted as the active member of {saved.service}", member=member, by=by, latched=sorted(latched))
