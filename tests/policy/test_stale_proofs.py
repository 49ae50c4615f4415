"""What was proven once is not proven for ever: syncs, approvals and words of before the last move (H9, H10, SEMANTICS sections 3 and 6)."""

from __future__ import annotations

from typing import Any

from lbctl.model import commands as ask
from lbctl.model.commands import Code
from lbctl.model.events import SyncSeen
from tests.policy.stage import Stage, chain

WHO: dict[str, Any] = {"service": "core", "by": "ann", "reason": "test"}


def test_a_sync_of_an_earlier_time_does_not_prove_a_copy_after_the_next_failover() -> None:
    """H9: the standby's status page has failed for weeks, and the primary's last sync from it is newer than that; it knows nothing of this outage."""
    stage = Stage().failed_over()
    stage.rounds(3, b="ok/primary", a="fail")
    stage.rounds(3, a="503/standby", b="503/primary")
    stage.hear(SyncSeen("a", "b", stage.now - 0.1, stage.now))
    stage.rounds(3, a="ok/primary", b="503/standby")
    assert stage.ask(ask.Resume(**WHO)).code is Code.ACCEPTED
    stage.verify()
    stage.rounds(3, a="ok/primary", b="503/standby")
    stage.wait(4000)
    stage.rounds(3, a="ok/primary", b="503/standby")
    stage.rounds(4, a="fail", b="503/standby")
    assert stage.active == "b"
    assert stage.state.saved.needs_resync == {"a"}
    stage.rounds(3, a="fail", b="ok/primary")
    stage.rounds(3, a="ok/primary", b="503/standby")
    assert stage.ask(ask.Resume(**WHO)).rule == "re-synced"


def test_an_approval_does_not_execute_while_the_active_is_not_known() -> None:
    """SEMANTICS 6: what is published is something else, and nothing overwrites it but an `adopt`; `failover` is refused for the same reason."""
    stage = Stage().normal()
    stage.rounds(4, a="fail", b="ok/primary")
    approval = stage.state.saved.approvals[0].id
    stage.restart("strange")
    stage.rounds(4, a="fail", b="ok/primary")
    assert stage.ask(ask.Approve(approval=approval, **WHO)).rule == "armed"
    assert (stage.active, bool(stage.state.uninitialised)) == ("a", True)


def test_a_cancelled_move_takes_the_approvals_of_its_time_with_it() -> None:
    """H10: an approval never proposes a member that lost the traffic."""
    stage = Stage(chain())
    stage.rounds(4, a="ok/primary", b="503/standby", dr="503/standby")
    stage.rounds(4, a="fail", b="503/standby", dr="503/standby")
    stage.verify()
    stage.rounds(4, a="fail", b="fail", dr="503/standby")
    stage.ask(ask.Approve(approval=stage.state.saved.approvals[0].id, **WHO))
    stage.verify()
    stage.rounds(3, a="ok/primary", b="503/standby", dr="503/standby")
    assert stage.ask(ask.Resume(attest_synced=True, **WHO)).code is Code.ACCEPTED
    stage.rounds(3, a="ok/primary", b="503/standby", dr="503/standby")
    assert stage.ask(ask.Ack(member="b", attest_synced=True, **WHO)).code is Code.DONE
    stage.rounds(4, a="fail", b="ok/primary", dr="503/standby")
    assert [a.to for a in stage.state.saved.approvals] == ["b"]
    stage.restart("dr")
    assert stage.state.saved.latched == {"a", "b"}
    assert stage.state.saved.approvals == ()


def test_who_was_chosen_and_never_published_has_not_had_the_traffic_in_this_incident() -> None:
    """SEMANTICS 6: a restart cancels the move to b that nobody was told; when b then promotes itself, `adopt` must be free to take it."""
    stage = Stage().normal()
    stage.rounds(4, a="fail", b="503/standby")
    assert stage.active == "b" and stage.state.saved.incident is not None and stage.state.saved.incident.actives == ("a", "b")
    stage.restart("a")
    assert stage.told("cancelled") and stage.active == "a"
    assert stage.state.saved.incident is not None and stage.state.saved.incident.actives == ("a",)
