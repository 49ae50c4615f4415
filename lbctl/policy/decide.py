"""decide(settings, state, event, now, around) -> Decision: the whole policy behind one pure function.

First the event changes what is believed; then, whatever the event was, the same level-based questions are asked in the same order: what has ended
by time, is the active known, may rounds be counted, must traffic move. So no event can be lost for good: the next one asks again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lbctl.model import events as heard
from lbctl.model.commands import Command
from lbctl.model.decision import Decision
from lbctl.model.events import Around, Event
from lbctl.model.looks import ProbeResult
from lbctl.model.settings import ServiceSettings
from lbctl.model.state import Saved, State
from lbctl.policy import (
    arming,
    calm,
    conditions,
    drain,
    failover,
    families,
    follow,
    moves,
    operator,
    pool,
    pool_start,
    reload,
    returns,
    runs,
    seen,
    start,
)
from lbctl.policy.explain import reason_now
from lbctl.policy.turn import Turn


def begin(settings: ServiceSettings, saved: Saved | None, revision: int, problem: str = "") -> State:
    """The state before the first event of a life; `problem` tells why nothing could be remembered."""
    return start.begin(settings, saved, revision, problem)


def decide(settings: ServiceSettings, state: State, event: Event, now: float, around: Around) -> Decision:
    """One turn. Pure: the same arguments give the same decision; nothing is done, read or waited for here."""
    # The short way changes no reason and no wake time, so the old ones stand.
    if isinstance(event, ProbeResult) and (same := calm.again(settings, state, event)) is not None:
        return Decision(same, same.reason, wake_at=same.wake_at)
    turn = Turn(settings, state, now, around)
    # Even before `Started`: looks and syncs that come early are not lost, they only decide nothing yet.
    _take(turn, event)
    # What could not be saved is not decided again in the turn that hears of it: that turn only tells what is seen.
    if turn.state.started and not isinstance(event, heard.SaveFailed):
        # Before judging, so that nothing is allowed or stopped by a maintenance, lockout or approval that is over.
        arming.run_timers(turn)
        # A refused command must leave nothing changed; a failover beside it in the same turn would look like its work.
        if not isinstance(event, Command):
            _judge(turn)
    # After judging: what is told is what is true with this decision, not what led to it.
    held = conditions.conditions(turn.case)
    if turn.state.started:
        conditions.tell_edges(turn, held)
    reason = reason_now(turn.case, held[0])
    # A command asks for its `Tick` at once, because the questions were not asked in its own turn.
    wake = min(arming.wake_times(turn.case), default=None) if not isinstance(event, Command) else now
    # Most events change neither, and each change copies the whole state.
    if reason != turn.state.reason or wake != turn.state.wake_at:
        turn.set(reason=reason, wake_at=wake)
    return Decision(turn.state, reason, tuple(turn.looks), wake, tuple(turn.notes), turn.reply)


def _judge(turn: Turn) -> None:
    """What follows by itself. Never in the turn of a command: that does what it says, and the `Tick` it asks for is a decision of its own."""
    if turn.settings.kind == "pool":
        pool_start.watch_adoption(turn)
        arming.watch_rearming(turn)
        pool.judge(turn)
        families.judge(turn)
        return
    operator.finish_drain(turn)
    drain.watch_farewell(turn)
    start.watch_adoption(turn)
    arming.watch_rearming(turn)
    # Before the gate is read: a claim of Primary voids a resync in the very turn in which it is seen (H9).
    returns.watch_resync(turn)
    # A failover before following: who is down needs a way out first, and the lockout then stops the other move.
    failover.judge(turn)
    follow.judge(turn)
    # Last: it takes the member that the turns above have chosen.
    families.judge(turn)


def _take(turn: Turn, event: Event) -> None:
    if isinstance(event, ProbeResult):
        seen.observe(turn, event)
    elif isinstance(event, Command):
        operator.obey(turn, event)
    else:
        TAKERS[type(event)](turn, event)


def _started(turn: Turn, event: heard.Started) -> None:
    (pool_start.started if turn.settings.kind == "pool" else start.started)(turn, event)
    # After the active is known or given up: whether a promotion goes on depends on it.
    runs.restarted(turn)
    drain.restarted(turn)


def _applied(turn: Turn, event: heard.Applied) -> None:
    moves.ledger(turn, event.actuator, applied=event.epoch)


def _verified(turn: Turn, event: heard.Verified) -> None:
    known = turn.state.actuators.get(event.actuator)
    # The edge only: every epoch is verified, and only the one after an error is news.
    if known is not None and known.error:
        turn.note("applied-again", f"{event.actuator} follows again")
    moves.ledger(turn, event.actuator, applied=event.epoch, verified=event.epoch, error="", error_reason="", drift="", since=None)
    moves.landed(turn)


def _apply_failed(turn: Turn, event: heard.ApplyFailed) -> None:
    known = turn.state.actuators.get(event.actuator)
    # From the first failure on, so that retries do not make an actuator look freshly behind (H40).
    since = known.since if known is not None and known.since is not None else turn.now
    if known is not None and not known.error:
        turn.note("apply-failed", f"{event.actuator} does not follow: {event.detail}; it is tried again for ever", reason=event.reason)
    moves.ledger(turn, event.actuator, error=event.detail, error_reason=event.reason, since=since)


def _drifted(turn: Turn, event: heard.Drifted) -> None:
    known = turn.state.actuators.get(event.actuator)
    # Told when what is shown changes, not each time that it is read.
    if known is not None and known.drift != event.detail:
        moves.ledger(turn, event.actuator, drift=event.detail, since=turn.now)
        turn.note("drift", f"{event.actuator} was changed behind our back: {event.detail}", page=True)


def _sync_seen(turn: Turn, event: heard.SyncSeen) -> None:
    sight = turn.case.sight(event.member)
    # Of the same sync told again the later instant: each is at or before the true one (`drive`), so that one is nearest to it.
    if event.again(sight.sync_from, sight.sync_started) and sight.sync_started is not None:
        event = replace(event, started=max(event.started, sight.sync_started))
    # Both instants: what is proven counts from the start (SEMANTICS 3), what people are shown is the end.
    sight = replace(sight, sync_from=event.source, sync_started=event.started, sync_completed=event.completed, sync_unknown="")
    turn.set(members=seen.put(turn.state.members, event.member, sight))


def _sync_unknown(turn: Turn, event: heard.SyncUnknown) -> None:
    # The last known sync stays and ages: losing the source must not make an old copy look like one never judged.
    sight = replace(turn.case.sight(event.member), sync_unknown=event.detail)
    turn.set(members=seen.put(turn.state.members, event.member, sight))


def _version_seen(turn: Turn, event: heard.VersionSeen) -> None:
    if turn.state.versions.get(event.member) != event.version:
        turn.set(versions=seen.put(turn.state.versions, event.member, event.version))


def _save_failed(turn: Turn, event: heard.SaveFailed) -> None:
    # The next decision that is saved clears it; until then nothing automatic is acted on (H26).
    turn.set(unsaved=event.detail)


def _clock_stepped(turn: Turn, event: heard.ClockStepped) -> None:
    turn.note("clock-stepped", f"the wall clock moved by {event.seconds:+.1f} s; nothing follows from it")


def _nothing(turn: Turn, event: Any) -> None:
    """Time has passed: the questions that follow are all there is to do."""


TAKERS: dict[type[Any], Callable[[Turn, Any], None]] = {
    heard.Tick: _nothing,
    heard.Started: _started,
    heard.Applied: _applied,
    heard.Verified: _verified,
    heard.Drained: drain.heard,
    heard.ApplyFailed: _apply_failed,
    heard.Drifted: _drifted,
    heard.SyncSeen: _sync_seen,
    heard.SyncUnknown: _sync_unknown,
    heard.VersionSeen: _version_seen,
    heard.DriveStep: runs.heard,
    heard.SaveFailed: _save_failed,
    heard.ClockStepped: _clock_stepped,
    heard.Reloaded: reload.reload,
}
