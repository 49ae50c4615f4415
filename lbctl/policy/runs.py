"""Runs on the Cores: what each step is, and what its outcome means (SEMANTICS section 3, way ii).

The policy says which step comes next and when traffic moves; the hand (`lbctl.drive`) does it and reports. A failure before the move gives the
active its role back; after the move a run only waits to be finished. A restart never goes on by itself: the run stays open and pages.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from lbctl.model.events import DriveStep
from lbctl.policy import moves
from lbctl.policy.turn import Turn


@dataclass(frozen=True, slots=True)
class RunStep:
    """One step: its name, on which of the two Cores, the guide's command (`{peer}` is the other one), and a sentence for people."""

    name: str
    on: str
    command: str
    text: str


RETURN_STEPS: tuple[RunStep, ...] = (
    RunStep("disable-clients", "source", "failover client-connection disable", "no new client connections on the active"),
    RunStep("last-sync", "target", "failover sync {peer}", "the last sync onto the new active"),
    RunStep("demote", "source", "failover mode secondary", "the active becomes secondary"),
    RunStep("promote", "target", "failover mode primary", "the other one becomes primary"),
    RunStep("verify-roles", "both", "", "both pages say so"),
    RunStep("move", "", "", "traffic moves"),
    RunStep("enable-clients", "target", "failover client-connection enable", "client connections are allowed again"),
)
"""The order of SEMANTICS section 3 (ii), for `resume --drive` and `switchover --drive` alike."""

RESTORE_STEPS: tuple[RunStep, ...] = (
    RunStep("restore-demote", "target", "failover mode secondary", "the other one is secondary again"),
    RunStep("restore-promote", "source", "failover mode primary", "the active is primary again"),
    RunStep("restore-clients", "source", "failover client-connection enable", "client connections are allowed again"),
)
"""What gives the active back its role when a step before the move has failed."""

DRIVEN = frozenset({"resume", "switchover"})


def heard(turn: Turn, event: DriveStep) -> None:
    """The outcome of one step of the open run."""
    run = turn.saved.run
    if run is None or run.id != event.run:
        return
    if event.ok is None:
        turn.save(run=replace(run, step=event.step, failed=""))
        return
    turn.note("run-step", f"{run.kind} {event.step}: {'done' if event.ok else 'failed'} {event.detail}".rstrip(), by=run.by, run=run.id)
    if not event.ok:
        turn.save(run=replace(run, step=event.step, failed=event.detail or "failed"))
    elif run.kind in DRIVEN:
        _driven(turn, event)
    else:
        turn.save(run=replace(run, step=event.step, notes={**run.notes, event.step: event.detail}))


def _driven(turn: Turn, event: DriveStep) -> None:
    run = turn.saved.run
    assert run is not None, "heard() has looked"
    turn.save(run=replace(run, step=event.step, failed="", notes={**run.notes, event.step: event.detail}))
    if event.step == "verify-roles" and turn.case.active == run.source:
        saved = turn.saved.run
        moves.begin(turn, run.target, trigger=moves.OPERATOR, verb=run.kind, by=run.by, reason=run.reason or f"{run.kind} driven on the Cores")
        turn.save(run=saved)
    elif event.step in ("enable-clients", "restore-clients"):
        turn.save(run=None)
        turn.note("run-closed", f"{run.kind} is {'finished' if event.step == 'enable-clients' else 'undone'}", by=run.by, run=run.id)
