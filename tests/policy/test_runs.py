"""Driven ways back and promotions: steps in order, each saved, undone before the move, waiting after a restart (SEMANTICS 3 ii, 6)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lbctl.model import commands as ask
from lbctl.model.commands import Code
from lbctl.model.events import DriveStep, Reloaded
from lbctl.model.settings import Role
from lbctl.policy.runs import RESTORE_STEPS, RETURN_STEPS, may_go_on
from tests.policy.stage import Stage, pair


def driven(**more: object) -> Stage:
    settings = pair(**more)  # type: ignore[arg-type]
    return Stage(replace(settings, members=tuple(replace(m, driven=True) for m in settings.members)))


def returning() -> Stage:
    """B has the traffic as Primary, A waits in Standby, and a driven resume has been asked for."""
    stage = driven().failed_over()
    stage.rounds(4, a="503/standby", b="ok/primary")
    assert stage.ask(ask.Resume(service="core", by="ann", drive=True)).code is Code.ACCEPTED
    return stage


def do(stage: Stage, ok: bool = True) -> str:
    """The hand does the next step."""
    step = may_go_on(stage.state)
    assert step is not None and stage.state.saved.run is not None
    stage.hear(DriveStep(stage.state.saved.run.id, step.name, None))
    assert may_go_on(stage.state) is None
    stage.hear(DriveStep(stage.state.saved.run.id, step.name, ok, "told"))
    return step.name


def test_a_driven_resume_walks_its_steps_and_moves_traffic_after_both_are_verified() -> None:
    """SEMANTICS 3 (ii)."""
    stage = returning()
    done = [do(stage) for _ in range(5)]
    assert stage.active == "a" and done[-1] == "verify-roles"
    done.append(do(stage))
    assert [*done[:5], "move", done[5]] == [step.name for step in RETURN_STEPS]
    assert stage.state.saved.run is None and not stage.state.saved.latched and not stage.state.saved.needs_resync


@pytest.mark.parametrize("at", range(5))
def test_a_failure_before_the_move_gives_the_active_its_role_back(at: int) -> None:
    stage = returning()
    for _ in range(at):
        do(stage)
    do(stage, ok=False)
    assert [do(stage) for _ in RESTORE_STEPS] == [step.name for step in RESTORE_STEPS]
    assert stage.active == "b" and stage.state.saved.run is None


def test_nothing_automatic_moves_while_a_run_is_open() -> None:
    """SEMANTICS 7: a run holds the service."""
    stage = returning()
    stage.rounds(6, a="503/standby", b="fail")
    assert stage.active == "b" and "not-held" in stage.view["blocked_by"]


@pytest.mark.parametrize("at", range(6))
def test_a_restart_stops_the_run_until_it_is_asked_for_again(at: int) -> None:
    stage = returning()
    for _ in range(at):
        do(stage)
    stage.verify()
    stage.restart(stage.active or "")
    assert may_go_on(stage.state) is None and stage.view["run"]["failed"]
    assert stage.ask(ask.Resume(service="core", by="ann", drive=True)).code is Code.ACCEPTED
    for _ in range(6 - at):
        do(stage)
    assert stage.active == "a" and stage.state.saved.run is None


def test_a_move_that_was_never_published_is_made_again_by_the_resumed_run() -> None:
    """H25: killed between saving the move and publishing it."""
    stage = returning()
    for _ in range(5):
        do(stage)
    stage.restart("b")
    assert stage.active == "b"
    stage.ask(ask.Resume(service="core", by="ann", drive=True))
    assert [do(stage), do(stage)] == ["verify-roles", "enable-clients"]
    assert stage.active == "a"


def test_after_the_move_a_failure_waits_to_be_finished() -> None:
    stage = returning()
    for _ in range(5):
        do(stage)
    do(stage, ok=False)
    assert stage.active == "a" and stage.view["run"]["failed"]
    stage.ask(ask.Resume(service="core", by="ann", drive=True))
    assert do(stage) == "enable-clients"


def test_promotion_is_driven_after_the_decision_where_wanted() -> None:
    """on_failover: {promote: drive}; its outcome is an event."""
    stage = driven(promote="drive").failed_over()
    assert do(stage) == "promote"
    assert stage.state.saved.run is None and stage.told("run-closed")


def test_an_upgrade_holds_the_service_whatever_the_clock_says() -> None:
    """G-UP, SEMANTICS 7: maintenance before step 1, extended while the run is open, re-arming after the last."""
    stage = Stage().normal()
    assert stage.ask(ask.UpgradeStart(service="core", by="ann")).code is Code.DONE
    stage.wait(9 * 3600)
    stage.rounds(6, a="fail", b="503/standby")
    assert stage.active == "a" and stage.view["maintenance"]["on"]
    stage.ask(ask.UpgradeStep(service="core", by="ann", step="9", evidence="re-enabled", last=True))
    stage.ask(ask.MaintenanceOff(service="core", by="ann"))
    assert stage.view["run"] is None and stage.state.saved.rearming


def test_abort_leaves_the_cores_as_they_are() -> None:
    stage = returning()
    do(stage)
    assert stage.ask(ask.Abort(service="core", by="ann", reason="no")).code is Code.DONE
    assert stage.state.saved.run is None and stage.active == "b"


def test_a_reload_does_not_take_a_core_out_of_the_hands_of_an_open_run() -> None:
    """H37: the primary is taken out of the file while it is being brought back; the run would go on with a Core that nobody reaches."""
    stage = returning()
    do(stage)
    run = stage.state.saved.run
    assert run is not None and run.target == "a"
    b = replace(stage.settings.member("b"), role=Role.PRIMARY, syncs_from=None)
    new = replace(stage.settings, members=(b, replace(stage.settings.member("a"), name="c", role=Role.SECONDARY, syncs_from="b")))
    stage.hear(Reloaded(new, by="ann"))
    assert stage.reply is not None and (stage.reply.code, stage.reply.rule) == (Code.REFUSED, "not-held")
    assert stage.state.saved.run == run
    stage.ask(ask.Abort(service="core", by="ann", reason="x"))
    stage.hear(Reloaded(new, by="ann"))
    assert stage.reply is not None and stage.reply.code is Code.DONE
