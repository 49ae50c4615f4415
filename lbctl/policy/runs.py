"""Runs on the Cores: what each step is, and what its outcome means (SEMANTICS section 3, way ii).

The policy says which step comes next and when traffic moves; the hand (`lbctl.drive`) does it and reports. A failure before the move gives the
active its role back; after the move a run only waits to be finished. A restart never goes on by itself: the run stays open and pages.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from lbctl.model.commands import Abort, Code, UpgradeStart, UpgradeStep
from lbctl.model.events import DriveStep
from lbctl.model.state import Maintenance, Run, State
from lbctl.policy import moves
from lbctl.policy.case import Case
from lbctl.policy.turn import Turn


@dataclass(frozen=True, slots=True)
class RunStep:
    """One step: its name, on which of the two Cores, the guide's command (`{peer}` is the other one), and a sentence for people."""

    name: str
    on: str
    command: str
    text: str


RETURN_STEPS: tuple[RunStep, ...] = (
    # First: the last sync is the last one only if nobody writes while it runs.
    RunStep("disable-clients", "source", "failover client-connection disable", "no new client connections on the active"),
    RunStep("last-sync", "target", "failover sync {peer}", "the last sync onto the new active"),
    # Demoted before the other is promoted: for a moment neither takes writes, never both (H8).
    RunStep("demote", "source", "failover mode secondary", "the active becomes secondary"),
    RunStep("promote", "target", "failover mode primary", "the other one becomes primary"),
    # That a command succeeded is the Core's word; the pages are what traffic is judged by afterwards.
    RunStep("verify-roles", "both", "", "both pages say so"),
    RunStep("move", "", "", "traffic moves"),
    # After the move: clients that come back earlier would come to the side that was just demoted.
    RunStep("enable-clients", "target", "failover client-connection enable", "client connections are allowed again"),
)
"""The order of SEMANTICS section 3 (ii), for `resume --drive` and `switchover --drive` alike."""

RESTORE_STEPS: tuple[RunStep, ...] = (
    # Demoted before the other is promoted, for the same reason as on the way there.
    RunStep("restore-demote", "target", "failover mode secondary", "the other one is secondary again"),
    RunStep("restore-promote", "source", "failover mode primary", "the active is primary again"),
    RunStep("restore-clients", "source", "failover client-connection enable", "client connections are allowed again"),
)
"""What gives the active back its role when a step before the move has failed."""

PROMOTE_STEPS: tuple[RunStep, ...] = (RunStep("promote", "target", "failover mode primary", "the new active becomes primary"),)
"""`on_failover: {promote: drive}`: the guide's command on the new active, after the decision is saved."""

MOVES_AFTER = "verify-roles"
GAP_FROM = "gap-from"
"""The note of a run that says since when clients are refused."""
DRIVEN = frozenset({"resume", "switchover"})


def steps(run: Run) -> tuple[RunStep, ...]:
    """The steps of this run as it stands; none for what people do by hand (an upgrade)."""
    if run.kind == "promote":
        return PROMOTE_STEPS
    if run.kind not in DRIVEN:
        return ()
    return RESTORE_STEPS if run.undoing else RETURN_STEPS


def next_step(run: Run) -> RunStep | None:
    """What the hand has to do next; None: nothing more."""
    names = [step.name for step in steps(run)]
    # "begin" and a step of the other list (undoing has just begun) both mean: from the start.
    at = names.index(run.step) + 1 if run.step in names else 0
    return steps(run)[at] if at < len(names) else None


def may_go_on(state: State) -> RunStep | None:
    """The step that the hand may do now: asked for in this life, not stopped by a failure, not under way. For the controller's runner."""
    run = state.saved.run
    # Four reasons to keep the hands still; the second is what makes a restart wait for a person.
    if run is None or state.driving != run.id or run.failed or run.doing:
        return None
    return next_step(run)


def roles_seen(case: Case) -> bool:
    """Both pages say what the run has brought about: the target serves as Primary, the source is a Standby."""
    run = case.saved.run
    # Serving as well: Primary with a status page that fails is a Core that is still starting.
    return run is not None and case.serves(run.target) and case.primary(run.target) and case.standby(run.source)


def promote(turn: Turn, target: str, by: str) -> None:
    """Opens the promotion of the new active where the configuration wants it driven."""
    # An open run keeps its place: two hands on one Core would undo one another.
    if turn.settings.promote != "drive" or not turn.case.member(target).driven or turn.saved.run is not None:
        return
    run = Run(f"{turn.settings.name}-r{turn.number()}", "promote", "begin", by, "promote: drive", turn.now, "", target)
    turn.save(run=run)
    turn.set(driving=run.id)


def go_on(turn: Turn, by: str) -> bool:
    """An operator asks for the open driven run again: it goes on where it stopped. False where there is none."""
    run = turn.saved.run
    if run is None or run.kind not in DRIVEN:
        return False
    # `doing` too: a step whose outcome nobody heard is done again.
    turn.save(run=replace(run, failed="", doing=""))
    turn.set(driving=run.id)
    turn.note("run-goes-on", f"{run.kind} goes on after {run.step}", by=by, run=run.id)
    return True


def restarted(turn: Turn) -> None:
    """After a restart a run stays open and pages; only a promotion, which the saved move still needs and may be repeated, goes on by itself."""
    run = turn.saved.run
    # An upgrade waits for people at every step anyway.
    if run is None or run.kind == "upgrade":
        return
    # The move was cancelled at the start: the roles are verified again before traffic moves a second time.
    if run.step == "move" and turn.case.active != run.target:
        run = replace(run, step="promote")
    # Traffic is there already, and `mode primary` may be repeated with the same result (G-CLI).
    goes_on = run.kind == "promote" and run.target == turn.case.active and not turn.state.uninitialised
    turn.save(run=replace(run, doing="", failed="" if goes_on else "the controller was restarted: ask for it again"))
    if goes_on:
        turn.set(driving=run.id)


def heard(turn: Turn, event: DriveStep) -> None:
    """The beginning or the outcome of one step of the open run."""
    run = turn.saved.run
    # A late report of a run that was aborted or overtaken must not push on the one that is open now.
    if run is None or run.id != event.run:
        return
    if event.ok is None:
        turn.save(run=replace(run, doing=event.step, failed=""))
        return
    told = f"{run.kind} {event.step}: {'done' if event.ok else 'failed'} {event.detail}".rstrip()
    turn.note("run-step", told, by=run.by, page=not event.ok, run=run.id)
    # The target may be dead, which is why it is undone: the active gets its role back all the same.
    if event.ok or event.step == "restore-demote":
        _ended(turn, run, event)
    else:
        _failed(turn, run, event)


def _ended(turn: Turn, run: Run, event: DriveStep) -> None:
    run = replace(run, step=event.step, doing="", failed="", notes={**run.notes, event.step: event.detail})
    if event.step == "disable-clients":
        # From here clients are refused; told at the end as seconds, because it was announced as some (SEMANTICS 8).
        run = replace(run, notes={**run.notes, GAP_FROM: f"{turn.now:.3f}"})
    turn.save(run=run)
    # As an operator's move, because somebody asked for the run: the target's latch falls and no lockout begins.
    if event.step == MOVES_AFTER and run.target != turn.case.active:
        moves.begin(turn, run.target, trigger=moves.OPERATOR, verb=run.kind, by=run.by, reason=run.reason or f"{run.kind} driven on the Cores")
        turn.save(run=replace(run, step="move"))
    elif next_step(run) is None:
        _close(turn, "undone" if run.undoing else "finished")


def _failed(turn: Turn, run: Run, event: DriveStep) -> None:
    why = f"{event.step}: {event.detail or 'failed'}"
    # Closed and told, not held open: traffic stays, and `TrafficOnUnpromoted` watches what comes of it (H11).
    if run.kind == "promote":
        _close(turn, f"not done ({why})")
    # Nothing is left to fall back to: undoing failed, or clients are on the new side already. A person must look.
    elif run.undoing or run.target == turn.case.active:
        turn.save(run=replace(run, doing="", failed=why))
    else:
        # Kept in the notes: `failed` would stop the undoing itself.
        turn.save(run=replace(run, doing="", step="begin", undoing=True, notes={**run.notes, "failed": why}))


def _close(turn: Turn, how: str) -> None:
    run = turn.saved.run
    assert run is not None, "only an open run is closed"
    turn.save(run=None, drain=None)
    turn.set(driving="")
    if how == "finished" and GAP_FROM in run.notes:
        took = turn.now - float(run.notes[GAP_FROM])
        turn.note("gap", f"{run.kind}: clients were refused for {took:.1f} s, and longer where a cache held the old answer", by=run.by, seconds=took)
    turn.note("run-closed", f"{run.kind} is {how}", by=run.by, run=run.id)


def turning(case: Case) -> bool:
    """The roles of two Cores are being turned: a move of traffic now would meet them half-way."""
    # An upgrade turns no roles by itself: what people move during it is their own step.
    return case.saved.run is not None and case.saved.run.kind in DRIVEN


def overtaken(turn: Turn) -> None:
    """An operator moves traffic: what was being done for the old active is over. An upgrade stays open until its last step or `abort`."""
    run = turn.saved.run
    # A promotion or a driven run was for the active that is being left.
    if run is not None and run.kind != "upgrade":
        _close(turn, f"overtaken after {run.step} by a move of traffic")


def abort(turn: Turn, command: Abort) -> None:
    """Ends an open run where it stands."""
    run = turn.saved.run
    if run is None:
        turn.refuse("run-open", f"no run is open for {turn.settings.name}")
        return
    _close(turn, f"aborted after {run.step} by {command.by}: {command.reason}")
    # Nothing is undone: whoever aborts has a hand on the Cores, and two hands would fight.
    turn.answer(Code.DONE, f"{run.kind} is aborted after {run.step}; the Cores are left as they are")


def start_upgrade(turn: Turn, command: UpgradeStart) -> None:
    """Maintenance first, so that nothing automatic happens while the pair is taken apart; then the run (SEMANTICS section 7)."""
    if turn.saved.run is not None:
        turn.refuse("not-held", f"a run of {turn.saved.run.kind} is open at {turn.saved.run.step}: finish or abort it first")
        return
    # The nine steps name Primary and Secondary by their roles: on a pair that is failed over they would hit the wrong one.
    if turn.case.active != turn.saved.primary:
        turn.refuse("already-primary", f"{turn.case.active} has the traffic in the place of {turn.saved.primary}: resume or swap roles first")
        return
    until = turn.now + turn.settings.maintenance_max_s
    reason = command.reason or "upgrade"
    run = Run(f"{turn.settings.name}-r{turn.number()}", "upgrade", "begin", command.by, reason, turn.now)
    # One save: a run without its maintenance would be a failover waiting for step 4.
    turn.save(maintenance=Maintenance(command.by, reason, turn.now, until), rearming=False, run=run)
    turn.note("run-opened", f"upgrade of {turn.settings.name} begins; maintenance is on", by=command.by, run=run.id)
    turn.answer(Code.DONE, f"upgrade of {turn.settings.name} is open and maintenance is on", run=run.id)


def end_upgrade_step(turn: Turn, command: UpgradeStep) -> None:
    """One of the nine steps is done, on evidence; the last one ends the run and the maintenance, through re-arming."""
    run = turn.saved.run
    if run is None or run.kind != "upgrade":
        turn.refuse("run-open", f"no upgrade of {turn.settings.name} is open: `lbctl upgrade {turn.settings.name} start`")
        return
    told = {command.step: command.evidence} if command.evidence else {}
    turn.save(run=replace(run, step=command.step, notes={**run.notes, **command.notes, **told}))
    # The versions that are noted at the beginning come without evidence, and need no line of their own.
    if command.evidence:
        turn.note("run-step", f"upgrade {command.step}: {command.evidence}", by=command.by, run=run.id)
    if command.last:
        _close(turn, "finished")
    turn.answer(Code.DONE, f"step {command.step} is done")


__all__ = ["RESTORE_STEPS", "RETURN_STEPS", "may_go_on", "next_step", "roles_seen", "steps"]
