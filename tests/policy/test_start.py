"""Start and restart (SEMANTICS section 6): what a file that changed meanwhile leaves of the memory, and what a new life may not say or do at once."""

from __future__ import annotations

from dataclasses import replace

from lbctl.model import commands as ask
from lbctl.model.commands import Shown
from lbctl.model.events import Started
from lbctl.model.state import Saved
from lbctl.policy import begin, gate
from tests.policy.stage import Stage, pair


def _remembered(**more: object) -> Saved:
    return replace(Saved("core", epoch=3, active="x", primary="x", file_primary="x"), **more)  # type: ignore[arg-type]


def test_an_active_that_the_file_has_no_more_is_learnt_anew_from_what_is_published() -> None:
    """H28: a member was renamed while nobody ran; what is published decides, after clean rounds, and the epoch goes on."""
    stage = Stage(saved=_remembered(primary="a", latched=frozenset("a"), needs_resync=frozenset("a")))
    assert stage.view["state"] == "uninitialised" and "x is no member any more" in stage.view["uninitialised"]
    stage.rounds(5, a="ok/primary", b="503/standby")
    assert (stage.active, stage.state.saved.epoch, stage.state.saved.latched) == ("a", 4, frozenset())


def test_a_primary_that_nobody_has_heard_of_is_latched_beside_a_remembered_active() -> None:
    """G-LB4: renaming the failed primary in the file does not make it a candidate."""
    stage = Stage(saved=_remembered(active="b", latched=frozenset("x"), needs_resync=frozenset("x")), shown="b")
    stage.rounds(5, a="503/standby", b="ok/primary")
    assert (stage.view["state"], stage.view["primary"], stage.state.saved.latched, stage.state.saved.needs_resync) == (
        "failed-over", "a", frozenset("a"), frozenset("a")
    )
    stage.rounds(6, a="503/standby", b="fail")
    assert stage.active == "b"


def test_a_latched_member_that_is_gone_is_forgotten() -> None:
    stage = Stage(saved=_remembered(active="a", primary="a", file_primary="a", latched=frozenset("x")))
    stage.normal()
    assert stage.view["state"] == "normal" and stage.state.saved.latched == frozenset()


def test_the_time_to_become_primary_begins_anew_with_a_start() -> None:
    """SEMANTICS 1: a restart long after a move pages nobody; an active that does not become Primary afterwards does (H11)."""
    stage = Stage().failed_over()
    stage.rounds(4, a="fail", b="ok/primary")
    stage.wait(3600)
    stage.notes.clear()
    stage.restart("b")
    assert not stage.told("TrafficOnUnpromoted")
    stage.rounds(2, a="fail", b="503/standby")
    stage.wait(901)
    assert stage.told("TrafficOnUnpromoted")


def test_a_member_that_never_moved_is_watched_for_its_promotion_after_a_start() -> None:
    stage = Stage()
    stage.wait(901)
    assert stage.told("TrafficOnUnpromoted")


def test_no_core_is_promoted_while_the_active_is_not_known() -> None:
    """A promotion that was under way goes on after a restart only where the memory holds; an adoption ends it."""
    driven = tuple(replace(m, driven=True) for m in pair().members)
    stage = Stage(replace(pair(), promote="drive", members=driven)).failed_over()
    run = stage.state.saved.run
    assert run is not None and run.kind == "promote"
    stage.restart("b")
    assert stage.state.driving == run.id
    stage.restart("strange")
    assert stage.view["state"] == "uninitialised" and not stage.state.driving
    stage.ask(ask.Adopt(service="core", by="ann", reason="b it is", member="b", shown=stage.last_shown))
    assert stage.state.saved.run is None and stage.active == "b"


def test_a_persons_move_is_not_completed_by_a_restart_that_can_read_nothing() -> None:
    """SEMANTICS 6: whether it was published is not known, so neither completing nor cancelling it is right: somebody is asked."""
    stage = Stage().normal()
    stage.rounds(4, a="fail", b="fail")
    stage.ask(ask.Failover(service="core", by="ann", to="b", force=True, accept=frozenset(gate.NAMES), reason="r"))
    assert stage.active == "b" and stage.state.saved.move is not None
    stage.restart("unread")
    assert stage.view["state"] == "uninitialised" and "no restart completes it" in (stage.view["uninitialised"] or "")


def test_a_torn_memory_whose_older_copy_is_used_is_told() -> None:
    """H26: a latch of the last decision may be missing, so it is never silent."""
    stage = Stage()
    stage.state = begin(stage.settings, stage.state.saved, 7, "the state of revision 7 is torn; revision 6 is used")
    stage.notes.clear()
    stage.start("a")
    assert [(note.kind, note.page) for note in stage.notes if note.kind == "memory-torn"] == [("memory-torn", True)]


def test_a_persons_move_that_nobody_was_told_is_cancelled_by_a_restart() -> None:
    """SEMANTICS 6: an operator's move is never completed by a restart, also where nothing at all is published."""
    for shown, state in (("nothing", "a"), ("partly", "b")):
        stage = Stage(replace(pair(), actuators=("x", "y"))).normal()
        stage.rounds(4, a="fail", b="fail")
        stage.ask(ask.Failover(service="core", by="ann", to="b", force=True, accept=frozenset(gate.NAMES), reason="r"))
        stage.state = begin(stage.settings, stage.state.saved, stage.state.revision)
        stage.hear(Started((Shown("x", nothing=True), Shown("y", nothing=shown == "nothing", unread=shown != "nothing", detail="silent"))))
        assert stage.active == state
        assert bool(stage.told("cancelled")) is (shown == "nothing") and bool(stage.state.uninitialised) is (shown == "partly")
