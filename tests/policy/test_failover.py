"""Whom the automatic part takes, and whom it asks for (SEMANTICS section 2)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lbctl.model import commands as ask
from lbctl.model.commands import Code
from lbctl.model.events import Around, SyncSeen
from lbctl.model.looks import ProbeResult, Reason, Verdict
from lbctl.model.settings import MonitorSettings, Role
from lbctl.model.state import Saved
from lbctl.policy import returns
from tests.policy.stage import PROBE, Stage, chain, member, pair

WHO: Any = {"service": "core", "by": "ann", "reason": "story"}


def _three() -> Stage:
    members = (member("a", Role.PRIMARY), member("b", syncs_from="a", manual_approval=True), member("c", syncs_from="a"))
    stage = Stage(replace(pair(), members=members))
    stage.rounds(4, a="ok/primary", b="503/standby", c="503/standby")
    return stage


def test_a_candidate_that_needs_an_approval_does_not_keep_traffic_from_one_that_does_not() -> None:
    """G-LB3: C meets every row, though B is preferred."""
    stage = _three()
    assert stage.why["if_active_failed"]["moves_to"] == "c"
    stage.rounds(4, a="fail", b="503/standby", c="503/standby")
    assert stage.active == "c" and not stage.view["approvals"]


def test_an_approval_is_asked_for_where_nobody_may_be_taken_without() -> None:
    """H10."""
    stage = _three()
    stage.rounds(4, a="fail", b="503/standby", c="fail")
    (approval,) = stage.view["approvals"]
    assert stage.active == "a" and approval["to"] == "b"


def test_an_operator_moves_traffic_during_an_upgrade() -> None:
    """SEMANTICS 3: `not-held` is no row for a failover; the upgrade stays open until its last step or `abort` (section 7)."""
    stage = Stage().normal()
    stage.ask(ask.UpgradeStart(**WHO))
    stage.rounds(5, a="fail", b="503/standby")
    assert stage.active == "a"
    assert stage.ask(ask.Failover(to="b", **WHO)).code is Code.ACCEPTED
    assert stage.active == "b" and stage.state.saved.run is not None


@pytest.mark.parametrize("way", ["failover", "forced", "approved"])
def test_a_persons_move_tells_what_it_rested_on_and_what_was_accepted(way: str) -> None:
    """H1, H35: writes that the copy lacks are lost by a person's move too; how old it was stands in the journal, and which rows did not hold."""
    members = (member("a", Role.PRIMARY), member("b", syncs_from="a", manual_approval=way == "approved"))
    stage = Stage(replace(pair(), members=members)).normal()
    stage.hear(SyncSeen("b", "a", stage.now - 600.0, stage.now - 590.0))
    if way == "failover":
        stage.ask(ask.SetHold(**WHO))
    if way != "forced":
        stage.rounds(4, a="fail", b="503/standby")
    forced: Any = {"force": True, "accept": frozenset({"active-down"})} if way == "forced" else {}
    said = ask.Approve(approval=stage.view["approvals"][0]["id"], **WHO) if way == "approved" else ask.Failover(to="b", **WHO, **forced)
    assert stage.ask(said).code is Code.ACCEPTED
    (moved,) = [note for note in stage.notes if note.kind == "moved"]
    assert "started 6" in moved.evidence["rules"]["fresh-enough"] and "came from a" in moved.evidence["rules"]["fresh-enough"]
    assert moved.evidence.get("accepted", []) == (["active-down"] if way == "forced" else [])


def test_looks_begun_while_blind_count_for_nothing_though_they_end_later() -> None:
    """H3: the path is back, and what still times out says nothing about the member."""
    stage = Stage().normal()
    stage.rounds(3, a="fail", b="fail")
    assert stage.view["state"] == "blind"
    stage.around = replace(stage.around, proofs=3, watched=3)
    stage.round(every=0.1, a="fail")
    assert stage.view["members"][0]["monitors"]["status"]["failed_in_a_row"] == 0
    stage.rounds(3, a="ok/primary", b="503/standby")
    assert stage.view["state"] == "normal"


def test_a_reply_that_ends_blindness_does_not_make_the_looks_begun_before_it_count() -> None:
    """H3: with `fall: 1` one such look would move the traffic."""
    stage = Stage(pair(replace(PROBE, fall=1))).normal()
    stage.rounds(3, a="fail", b="fail")
    begun = stage.now
    assert stage.view["state"] == "blind"
    stage.now += 0.1
    stage.look("b", "standby")
    for page in ("status", "hastatus"):
        stage.hear(ProbeResult("a", page, Verdict.FAILED, Reason.TIMEOUT, begun, stage.now))
    stage.now += 0.1
    stage.look("b", "standby")
    assert stage.active == "a" and stage.view["state"] == "normal"
    assert all(page["failed_in_a_row"] == 0 for page in stage.view["members"][0]["monitors"].values())


def test_a_void_look_elsewhere_may_be_the_event_at_which_a_wave_has_passed() -> None:
    """H24, H53: only a void look at the page of the active or of the candidate keeps a move from being decided; no invariant may think otherwise."""
    stage = Stage().normal()
    stage.around = Around(mass="wait", mass_at=stage.now)
    stage.rounds(4, a="fail", b="503/standby")
    assert stage.active == "a"
    stage.around = Around()
    stage.look("b", "503", void="stall")
    assert stage.active == "b"


def test_a_site_is_not_left_before_its_canaries_were_asked() -> None:
    """SEMANTICS 4: the quick active and its site fail together, and the canaries are looked at every five seconds only."""
    settings = pair()
    settings = replace(settings, members=(replace(settings.members[0], site="dc1"), settings.members[1]))
    stage = Stage(settings).normal()
    stage.around = replace(stage.around, site_answered=stage.now)
    stage.rounds(5, a="fail", b="503/standby")
    assert stage.active == "a" and "site-not-cut" in stage.view["blocked_by"] and not stage.view["approvals"]
    unsure, stage.around = stage.around, replace(stage.around, sites_cut=frozenset({"dc1"}))
    stage.round(a="fail", b="503/standby")
    assert stage.active == "a" and stage.view["approvals"], "the canaries fail too: somebody is asked"
    stage.around = replace(unsure, site_answered=stage.now)
    stage.round(a="fail", b="503/standby")
    assert stage.active == "b", "a canary answers: the site is not cut"


def test_what_an_old_look_said_is_called_old() -> None:
    """A row that fails for want of a fresh look says so."""
    stage = Stage().normal()
    stage.rounds(4, a="fail", b="fail")
    stage.wait(60)
    row = next(row for row in stage.view["gate"][0]["rules"] if row["rule"] == "active-down")
    assert not row["holds"] and "counts no more" in row["evidence"]
    assert "serves" not in stage.view["reason"]


def test_a_member_that_promoted_itself_does_not_hide_one_whose_gate_is_open() -> None:
    """SEMANTICS 2: where all rows hold, traffic moves; nobody is asked about another one instead."""
    members = (member("a", Role.PRIMARY), member("b", syncs_from="a"), member("c", syncs_from="a"))
    stage = Stage(replace(pair(), members=members))
    stage.rounds(4, a="ok/primary", b="503/standby", c="503/standby")
    stage.round(a="fail", b="ok/primary", c="503/standby")
    stage.rounds(4, a="fail", b="ok/primary", c="503/standby")
    assert stage.active == "c" and not stage.view["approvals"]


def test_waiting_for_its_turn_is_no_move_that_somebody_stopped() -> None:
    """H53, H34: a wave is counted, or other news waits in the inbox; then the question is asked, and no would-be move told."""
    stage = Stage().failed_over()
    stage.rounds(3, a="ok/primary", b="ok/primary")
    stage.state = replace(stage.state, saved=replace(stage.state.saved, latched=frozenset(), needs_resync=frozenset()))
    stage.rounds(3, a="503/standby", b="ok/primary")
    assert stage.state.saved.lockout_until is not None
    stage.notes.clear()
    stage.around = Around(proofs=1, watched=1, mass="wait", mass_at=stage.now + 100)
    stage.rounds(5, a="503/standby", b="fail")
    assert not stage.told("would-failover") and not stage.told("ApprovalPending")
    stage.around = Around(proofs=1, watched=1)
    stage.round(a="503/standby", b="fail")
    assert not stage.told("would-failover") and len(stage.told("ApprovalPending")) == 1


def test_a_source_of_which_only_old_looks_are_left_is_not_known_to_be_down() -> None:
    """SEMANTICS 4: a vote older than two intervals counts for nobody. The DR Core may lead to the active only through members that *are* down."""
    stage = Stage(chain())
    stage.rounds(5, a="ok/primary", b="fail", dr="503/standby")
    stage.around = Around(proofs=1, watched=1)
    assert stage.case.follows("dr")
    for _ in range(5):
        stage.round(a="ok/primary", dr="503/standby")
        for page in ("status", "hastatus"):
            stage.look("b", page, reason=Reason.TIMEOUT, void="stall")
    assert stage.case.down("b") and not stage.case.follows("dr")


def test_a_member_without_modes_of_which_only_old_looks_are_left_is_not_resumed_to() -> None:
    """The same of the way back: a Sentry that was up a minute ago is not known to be up."""
    settings = replace(pair(), monitor=MonitorSettings("tcp", ("tcp",), modes=False))
    stage = Stage(settings, saved=Saved("core", epoch=2, active="b", primary="a", file_primary="a", latched=frozenset({"a"})), shown="b")

    def rounds(count: int, void: str) -> None:
        for _ in range(count):
            stage.now += 1.0
            for name in ("a", "b"):
                void_here = void if name == "a" else ""
                stage.hear(ProbeResult(name, "tcp", Verdict.OK, Reason.OK, stage.now - 0.01, stage.now, void=void_here))

    rounds(5, "")
    assert returns.missing(stage.case, drive=False, attested=False) is None
    rounds(5, "stall")
    lack = returns.missing(stage.case, drive=False, attested=False)
    assert lack is not None and lack.rule == "primary-serving"
    lack = returns.unlatch_missing(stage.case.on(replace(stage.state, saved=replace(stage.state.saved, primary="b"))), "a", attested=False)
    assert lack is not None and lack.rule == "candidate-standby"
