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
    if isinstance(event, ProbeResult) and (same := calm.again(settings, state, event)) is not None:
        return Decision(same, same.reason, wake_at=same.wake_at)
    turn = Turn(settings, state, now, around)
    _take(turn, event)
    if turn.state.started:
        arming.run_timers(turn)
        if not isinstance(event, Command):
            _judge(turn)
    held = conditions.conditions(turn.case)
    if turn.state.started:
        conditions.tell_edges(turn, held)
    reason = reason_now(turn.case, held[0])
    wake = min(arming.wake_times(turn.case), default=None) if not isinstance(event, Command) else now
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
    returns.watch_resync(turn)
    failover.judge(turn)
    follow.judge(turn)
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
    runs.restarted(turn)
    drain.restarted(turn)


def _applied(turn: Turn, event: heard.Applied) -> None:
    moves.ledger(turn, event.actuator, applied=event.epoch)


def _verified(turn: Turn, event: heard.Verified) -> None:
    known = turn.state.actuators.get(event.actuator)
    if known is not None and known.error:
        turn.note("applied-again", f"{event.actuator} follows again")
    moves.ledger(turn, event.actuator, applied=event.epoch, verified=event.epoch, error="", error_reason="", drift="", since=None)
    moves.landed(turn)


def _apply_failed(turn: Turn, event: heard.ApplyFailed) -> None:
    known = turn.state.actuators.get(event.actuator)
    since = known.since if known is not None and known.since is not None else turn.now
    if known is not None and not known.error:
        turn.note("apply-failed", f"{event.actuator} does not follow: {event.detail}; it is tried again for ever", reason=event.reason)
    moves.ledger(turn, event.actuator, error=event.detail, error_reason=event.reason, since=since)


def _drifted(turn: Turn, event: heard.Drifted) -> None:
    known = turn.state.actuators.get(event.actuator)
    if known is not None and known.drift != event.detail:
        moves.ledger(turn, event.actuator, drift=event.detail, since=turn.now)
        turn.note("drift", f"{event.actuator} was changed behind our back: {event.detail}", page=True)


def _sync_seen(turn: Turn, event: heard.SyncSeen) -> None:
    sight = turn.case.sight(event.member)
    sight = replace(sight, sync_from=event.source, sync_started=event.started, sync_completed=event.completed, sync_unknown="")
    turn.set(members=seen.put(turn.state.members, event.member, sight))


def _sync_unknown(turn: Turn, event: heard.SyncUnknown) -> None:
    sight = replace(turn.case.sight(event.member), sync_unknown=event.detail)
    turn.set(members=seen.put(turn.state.members, event.member, sight))


def _version_seen(turn: Turn, event: heard.VersionSeen) -> None:
    if turn.state.versions.get(event.member) != event.version:
        turn.set(versions=seen.put(turn.state.versions, event.member, event.version))


def _save_failed(turn: Turn, event: heard.SaveFailed) -> None:
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
