"""What may happen to a service, and what may be asked of it: every action that the search tries from a state.

An action is a name and a few events in a row. Actions of members come in the order of their places in the canonical form, so that those of two
states of one form correspond.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from lbctl.model import commands as ask
from lbctl.model.commands import Shown
from lbctl.model.events import DriveStep, Event, Started, SyncSeen, Tick, Verified
from lbctl.model.looks import ProbeResult, Reason, Verdict
from lbctl.model.state import Saved, State
from lbctl.policy import runs
from tests.policy.canonical import Node

STEP = 0.0001
"""Seconds from one event to the next: instants differ, and nothing gets old by it."""
LONG = 1000.0
"""Longer than every timer of the settings."""

FACES: dict[str, tuple[tuple[str, Verdict, Reason], ...]] = {
    "gone": (("status", Verdict.FAILED, Reason.TIMEOUT), ("hastatus", Verdict.FAILED, Reason.TIMEOUT)),
    "ok/primary": (("status", Verdict.OK, Reason.OK), ("hastatus", Verdict.PRIMARY, Reason.OK)),
    "503/standby": (("status", Verdict.FAILED, Reason.STATUS), ("hastatus", Verdict.STANDBY, Reason.OK)),
    "503/primary": (("status", Verdict.FAILED, Reason.STATUS), ("hastatus", Verdict.PRIMARY, Reason.OK)),
}
MORE_FACES = {
    "ok/standby": (("status", Verdict.OK, Reason.OK), ("hastatus", Verdict.STANDBY, Reason.OK)),
    "503/odd": (("status", Verdict.FAILED, Reason.STATUS), ("hastatus", Verdict.UNKNOWN, Reason.UNKNOWN_MODE)),
    "tls": (("status", Verdict.FAILED, Reason.TLS), ("hastatus", Verdict.FAILED, Reason.TLS)),
}

Happening: TypeAlias = Event | Callable[[float], Event]
Action: TypeAlias = tuple[str, tuple[Happening, ...]]
NOBODY: frozenset[str] = frozenset()
PEOPLE = frozenset({"move", "swap", "force", "adopt", "stop"})
"""Groups of commands. `drive` belongs to Cores that lbctl has a hand on."""
WHO: dict[str, Any] = {"service": "core", "by": "ann", "reason": "test"}
ACCEPTED = frozenset({"active-down", "re-synced", "candidate-standby"})


def looks(node: Node, order: tuple[str, ...], faces: dict[str, Any]) -> Iterator[Action]:
    """Each member shows each of its faces; time passes and everybody is as before; an event that says nothing."""
    for name in order:
        for face, pages in faces.items():
            yield f"{name} {face}", tuple(_looking(name, *page) for page in pages)
    yield "tick", (Tick(),)
    if timed(node.state.saved):
        yield "time passes", (Tick(), *same_faces(node.state))


def timed(saved: Saved) -> bool:
    """Something ends by time. Where nothing does, time alone makes looks stale, and new looks of the same faces are actions of their own."""
    return saved.lockout_until is not None or saved.maintenance is not None or any(not a.denied for a in saved.approvals)


def same_faces(state: State) -> Iterator[Happening]:
    """Everybody as before, looked at again: no vote is stale (staleness has stories of its own)."""
    for name, sight in state.members.items():
        yield from (_looking(name, page, s.last.verdict, s.last.reason) for page, s in sight.pages.items() if s.last is not None)


def _looking(name: str, page: str, verdict: Verdict, reason: Reason) -> Happening:
    return lambda now: ProbeResult(name, page, verdict, reason, now, now + STEP)


def outside(node: Node, order: tuple[str, ...]) -> Iterator[Action]:
    """What is heard of actuators, of syncs, and of the hand on the Cores."""
    saved = node.state.saved
    if saved.move is not None:
        yield "verified", (Verified("x", saved.epoch),)
    for name in order:
        if name in saved.needs_resync:
            yield f"sync {name}", (_syncing(name, saved.active or ""),)
    step = runs.may_go_on(node.state)
    if step is not None and saved.run is not None:
        yield f"done {step.name}", (DriveStep(saved.run.id, step.name, True),)
        yield f"failed {step.name}", (DriveStep(saved.run.id, step.name, False, "test"),)
        yield "the rest is done", tuple(DriveStep(saved.run.id, name, True) for name in _rest(node.state, step.name))


def _syncing(name: str, source: str) -> Happening:
    return lambda now: SyncSeen(name, source, now, now + STEP)


def _rest(state: State, first: str) -> Iterator[str]:
    """The steps that are left until traffic moves, or until the run is over."""
    assert state.saved.run is not None, "asked of an open run"
    names = [step.name for step in runs.steps(state.saved.run)]
    left = names[names.index(first) :]
    return iter(left[: left.index(runs.MOVES_AFTER) + 1] if runs.MOVES_AFTER in left else left)


def restarts(node: Node, order: tuple[str, ...]) -> Iterator[tuple[str, Saved | None, Started]]:
    """A new life, with its memory or without, on each thing that may be published."""
    for saved in (node.state.saved, None):
        for shown in (*order, "nothing", "strange"):
            item = Shown("x", (shown,)) if shown in order else Shown("x", nothing=shown == "nothing", detail=shown)
            yield f"restart {'' if saved else 'without memory '}on {shown}", saved, Started((item,))


def commands(node: Node, order: tuple[str, ...], groups: frozenset[str]) -> Iterator[Action]:
    """Every command of these groups with every argument that makes a difference."""
    for group, found in (("move", _moves), ("swap", _swaps), ("force", _forces), ("adopt", _adopts), ("drive", _drives)):
        if group in groups:
            yield from found(node, order)


def _moves(node: Node, order: tuple[str, ...]) -> Iterator[Action]:
    """Moves and their ways back."""
    saved = node.state.saved
    for name in order:
        yield f"failover {name}", (ask.Failover(to=name, **WHO),)
        for attested in _words(name in saved.needs_resync):
            yield f"ack {name}{attested}", (ask.Ack(member=name, attest_synced=bool(attested), **WHO),)
    for attested in _words(saved.primary in saved.needs_resync):
        yield f"resume{attested}", (ask.Resume(attest_synced=bool(attested), **WHO),)
    yield "ack", (ask.Ack(**WHO),)
    for approval in sorted(node.state.saved.approvals, key=lambda a: order.index(a.to)):
        if not approval.denied:
            yield f"approve {approval.to}", (ask.Approve(approval=approval.id, **WHO),)
            yield f"deny {approval.to}", (ask.Deny(approval=approval.id, **WHO),)


def _swaps(node: Node, order: tuple[str, ...]) -> Iterator[Action]:
    """Who is the primary changes, and nothing else: each of three in turn makes the space six times as large."""
    for attested in _words(node.state.saved.primary in node.state.saved.needs_resync):
        yield f"swap-roles{attested}", (ask.SwapRoles(attest_synced=bool(attested), **WHO),)


def _words(stale: bool) -> tuple[str, ...]:
    """A person's word for a sync is asked for where one is needed, and else not read."""
    return ("", " attested") if stale else ("",)


def _forces(node: Node, order: tuple[str, ...]) -> Iterator[Action]:
    for name in (name for name in order if name != node.state.saved.active):
        yield f"force {name}", (ask.Failover(to=name, force=True, accept=ACCEPTED, **WHO),)


def _adopts(node: Node, order: tuple[str, ...]) -> Iterator[Action]:
    """Whatever is published; by name while nobody knows, and else what it shows."""
    for name in order:
        yield f"adopt {name}", (ask.Adopt(member=name if node.state.uninitialised else None, shown=(Shown("x", (name,)),), **WHO),)
    yield "adopt", (ask.Adopt(shown=(Shown("x", nothing=True),), **WHO),)


def _drives(node: Node, order: tuple[str, ...]) -> Iterator[Action]:
    yield "resume --drive", (ask.Resume(drive=True, **WHO),)
    for name in order:
        yield f"switchover {name} --drive", (ask.Switchover(to=name, drive=True, **WHO),)
    yield "switchover", (ask.Switchover(**WHO),)
    yield "abort", (ask.Abort(**WHO),)


def stops(node: Node, groups: frozenset[str]) -> Iterator[Action]:
    """What a person may do in every state and undo: a hold; a maintenance that is extended and ends; an upgrade."""
    if "stop" not in groups:
        return
    soon: Happening = lambda now: ask.MaintenanceOn(until=now + STEP / 2, **WHO)  # noqa: E731
    longer: Happening = lambda now: ask.MaintenanceExtend(until=now + STEP / 2, **WHO)  # noqa: E731
    yield "hold, maintenance", (ask.SetHold(**WHO), ask.Release(**WHO), soon, longer)
    if "drive" in groups and node.state.saved.run is None:
        last = ask.UpgradeStep(step="9", evidence="test", last=True, **WHO)
        yield "upgrade", (ask.UpgradeStart(**WHO), ask.Resume(drive=True, **WHO), last, ask.MaintenanceOff(**WHO))


def stops_apart(node: Node, groups: frozenset[str]) -> Iterator[Action]:
    """The same as steps of their own, where the search keeps stopped states apart."""
    if "stop" not in groups:
        return
    saved = node.state.saved
    yield ("release", (ask.Release(**WHO),)) if saved.hold is not None else ("hold", (ask.SetHold(**WHO),))
    if saved.maintenance is not None:
        yield "maintenance off", (ask.MaintenanceOff(**WHO),)
    else:
        yield "maintenance on", (lambda now: ask.MaintenanceOn(until=now + LONG / 2, **WHO),)
