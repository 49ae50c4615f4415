"""The ways back (SEMANTICS section 3): what opens each, and what closes it again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lbctl.model import commands as ask
from lbctl.model.commands import Code
from lbctl.model.events import SyncSeen
from tests.policy.stage import Stage, pair

WHO: Any = {"service": "core", "by": "ann", "reason": "story"}


def _driven() -> Stage:
    return Stage(replace(pair(), members=tuple(replace(m, driven=True) for m in pair().members))).failed_over()


def test_a_drive_syncs_nothing_from_an_active_that_was_never_promoted() -> None:
    """Way (iii) with --drive: the primary holds the only good data; it is moved to, never synced onto."""
    stage = _driven()
    stage.rounds(4, a="ok/primary", b="503/standby")
    assert stage.ask(ask.Resume(drive=True, **WHO)).code is Code.ACCEPTED
    assert stage.active == "a" and stage.state.saved.run is None


def test_a_void_look_at_another_member_is_no_gap_in_watching_the_active() -> None:
    """Way (iii): only the active must be watched without a gap."""
    stage = Stage().failed_over()
    stage.rounds(4, a="ok/primary", b="503/standby")
    stage.look("a", "ok", void="stall")
    stage.rounds(2, a="ok/primary", b="503/standby")
    assert stage.ask(ask.Resume(**WHO)).code is Code.ACCEPTED


def test_a_void_look_at_the_active_is_a_gap_in_watching() -> None:
    stage = Stage().failed_over()
    stage.rounds(4, a="ok/primary", b="503/standby")
    stage.look("b", "503", void="stall")
    stage.rounds(2, a="ok/primary", b="503/standby")
    assert stage.ask(ask.Resume(**WHO)).rule == "re-synced"


def test_reading_primary_beside_a_serving_active_voids_the_sync_before_it() -> None:
    """H9: what was synced before clients may have written there again proves nothing, for swap-roles neither."""
    stage = Stage().failed_over()
    stage.rounds(4, a="fail", b="ok/primary")
    stage.rounds(4, a="503/standby", b="ok/primary")
    stage.hear(SyncSeen("a", "b", stage.now, stage.now))
    stage.rounds(3, a="ok/primary", b="ok/primary")
    stage.rounds(4, a="503/standby", b="ok/primary")
    assert stage.ask(ask.SwapRoles(**WHO)).rule == "re-synced"
    stage.hear(SyncSeen("a", "b", stage.now, stage.now))
    assert stage.ask(ask.SwapRoles(**WHO)).code is Code.ACCEPTED


def test_a_refusal_does_not_show_as_there_what_it_misses() -> None:
    """Looks that are too old count no more, and the evidence says so: without it `primary-serving` would be refused with its own fulfilment."""
    stage = Stage().failed_over()
    stage.rounds(4, a="ok/primary", b="503/standby")
    stage.wait(600)
    refused = stage.ask(ask.Resume(attest_synced=True, **WHO))
    assert refused.rule == "primary-serving"
    assert refused.message.count("but that look is 600.0 s old and counts no more") == 2, refused.message
