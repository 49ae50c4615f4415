"""The story that every layer must be able to tell: SEMANTICS section 9, row by row."""

from __future__ import annotations

from lbctl.model import commands as ask
from lbctl.model.commands import Code
from tests.policy.stage import Stage


def test_normal_is_blocked_by_active_down_alone() -> None:
    """G-LB3: nothing moves while the primary serves."""
    stage = Stage().normal()
    assert (stage.view["state"], stage.active) == ("normal", "a")
    assert stage.view["blocked_by"] == ["active-down"]


def test_the_whole_story_from_failure_to_resume() -> None:
    """G-LB3, G-LB4: A dies, B takes over, A returns and stays out, roles are returned by hand, an operator resumes."""
    stage = Stage().failed_over()
    view = stage.view
    assert (view["state"], view["epoch"], view["resume_pending"]) == ("failed-over", 2, True)
    assert view["members"][0]["latched"] and view["members"][0]["needs_resync"]
    assert view["locked_out_until"] is not None
    assert view["members"][1]["health"] == "up" and not view["members"][1]["promoted"]

    stage.rounds(3, a="fail", b="ok/primary")
    assert stage.view["state"] == "failed-over" and stage.view["promoted"]
    assert stage.told("NoEligibleStandby")

    stage.rounds(5, a="ok/primary", b="ok/primary")
    assert (stage.view["state"], stage.active) == ("failed-over", "b")
    assert stage.told("OldPrimaryReturned")
    refused = stage.ask(ask.Resume(service="core", by="ann"))
    assert (refused.code, refused.rule) == (Code.REFUSED, "active-standby")

    stage.rounds(4, a="503/standby", b="ok/primary")
    assert stage.ask(ask.Resume(service="core", by="ann")).rule == "primary-serving"
    assert stage.ask(ask.Resume(service="core", by="ann", drive=True)).rule == "drive-configured"

    stage.rounds(5, a="ok/primary", b="503/standby")
    assert (stage.view["state"], stage.active) == ("stranded", "b")
    assert not stage.state.saved.approvals
    assert stage.ask(ask.Resume(service="core", by="ann")).rule == "re-synced"
    assert stage.ask(ask.Resume(service="core", by="ann", attest_synced=True, reason="copied")).code is Code.ACCEPTED
    stage.verify()
    stage.rounds(3, a="ok/primary", b="503/standby")
    view = stage.view
    assert (view["state"], stage.active, view["epoch"]) == ("normal", "a", 3)
    assert not view["members"][0]["latched"] and not view["members"][0]["needs_resync"] and view["locked_out_until"] is None


def test_b_promoted_first_is_stranded_and_asked_for() -> None:
    """H7: the promotion race; the move becomes an approval, and `failover --to b` is the operator's answer without --force."""
    stage = Stage().normal()
    stage.rounds(5, a="fail", b="ok/primary")
    assert (stage.view["state"], stage.active) == ("stranded", "a")
    assert stage.view["blocked_by"] == ["candidate-standby"]
    (approval,) = stage.view["approvals"]
    assert approval["to"] == "b"
    assert stage.ask(ask.Failover(service="core", by="ann", to="b", reason="it serves")).code is Code.ACCEPTED
    assert stage.active == "b"


def test_a_back_while_b_was_never_promoted_opens_the_resume() -> None:
    """SEMANTICS 3 (iii): nothing was written on the other side, so nothing is lost."""
    stage = Stage().failed_over()
    stage.rounds(6, a="ok/primary", b="503/standby")
    assert stage.view["state"] == "failed-over"
    reply = stage.ask(ask.Resume(service="core", by="ann"))
    assert reply.code is Code.ACCEPTED and stage.active == "a"
    assert not stage.state.saved.needs_resync
