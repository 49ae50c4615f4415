"""Two people for what is configured so (H39)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lbctl.model import commands as ask
from lbctl.model.commands import Code, Command, Shown
from lbctl.policy.seconds import KINDS, verb_of
from tests.policy.stage import Stage, chain, pair


def waiting(stage: Stage) -> str:
    return str(stage.view["approvals"][0]["id"])


def test_a_forced_failover_waits_for_somebody_else() -> None:
    stage = Stage(pair(second_person=frozenset({"failover --force"}))).normal()
    forced = ask.Failover(service="core", by="ann", to="b", force=True, accept=frozenset({"active-down"}), reason="now")
    assert stage.ask(forced).code is Code.ACCEPTED and stage.active == "a"
    ident = waiting(stage)
    assert stage.ask(ask.Approve(service="core", by="ann", approval=ident)).rule == "second-person"
    assert stage.ask(ask.Approve(service="core", by="bob", approval=ident)).code is Code.ACCEPTED
    assert stage.active == "b" and "ann and bob" in stage.notes[-1].by + "".join(note.by for note in stage.notes)


def test_what_the_second_approves_is_judged_anew() -> None:
    """H10: the gate is asked at execution."""
    stage = Stage(pair(second_person=frozenset({"failover"}))).normal()
    stage.ask(ask.SetHold(service="core", by="ann", reason="r"))
    stage.rounds(4, a="fail", b="503/standby")
    stage.ask(ask.Failover(service="core", by="ann", to="b", reason="x"))
    stage.rounds(4, a="ok/primary", b="503/standby")
    reply = stage.ask(ask.Approve(service="core", by="bob", approval=waiting(stage)))
    assert (reply.code, reply.rule) == (Code.REFUSED, "active-down")


@pytest.mark.parametrize(("command", "code", "rule"), [
    (ask.Failover(service="core", by="ann", to="a", force=True, accept=frozenset({"armed"}), reason="x"), Code.REFUSED, "already-active"),
    (ask.Failover(service="core", by="ann", to="b", reason="x"), Code.REFUSED, "active-down"),
    (ask.Failover(service="core", by="ann", to="b", force=True, accept=frozenset({"nonsense"}), reason="x"), Code.USAGE, ""),
    (ask.Resume(service="core", by="ann", reason="x"), Code.REFUSED, "already-primary"),
], ids=["to the active member", "nothing is down", "a misspelt rule", "nothing to resume"])
def test_nobody_is_woken_as_a_second_person_for_what_would_be_refused(command: Command, code: Code, rule: str) -> None:
    stage = Stage(pair(second_person=frozenset({"failover", "resume"}))).normal()
    stage.rounds(4, a="ok/primary", b="503/standby")
    before = stage.state.saved
    reply = stage.ask(command)
    assert (reply.code, reply.rule) == (code, rule)
    assert stage.state.saved == before and not stage.view["approvals"]


def test_an_approval_may_want_two() -> None:
    stage = Stage(chain(second_person=frozenset({"approve"}))).normal()
    stage.rounds(4, a="ok/primary", b="503/standby", dr="503/standby")
    stage.rounds(5, a="fail", b="fail", dr="503/standby")
    ident = waiting(stage)
    assert stage.ask(ask.Approve(service="core", by="ann", approval=ident)).code is Code.ACCEPTED and stage.active == "a"
    assert stage.ask(ask.Approve(service="core", by="ann", approval=ident)).rule == "second-person"
    assert stage.ask(ask.Approve(service="core", by="bob", approval=ident)).code is Code.ACCEPTED and stage.active == "dr"


def test_a_waiting_command_outlives_the_end_of_an_incident_but_not_its_time() -> None:
    stage = Stage(pair(second_person=frozenset({"switchover", "failover"}))).normal()
    stage.ask(ask.SetHold(service="core", by="ann", reason="r"))
    stage.rounds(4, a="fail", b="503/standby")
    stage.ask(ask.Failover(service="core", by="ann", to="b", reason="x"))
    stage.rounds(4, a="ok/primary", b="503/standby")
    assert stage.view["incident"] is None and stage.view["approvals"]
    stage.wait(1801)
    assert not stage.view["approvals"]


@pytest.mark.parametrize("verb", sorted(KINDS))
def test_every_word_of_the_list_means_a_command(verb: str) -> None:
    made = {"failover": ask.Failover(service="s", by="a", to="b"), "failover --force": ask.Failover(service="s", by="a", to="b", force=True)}
    plain = made.get(verb) or KINDS[verb](service="s", by="a", **({"approval": "x"} if verb == "approve" else {}))
    assert verb_of(plain) == verb


def test_the_second_yes_to_an_adopt_goes_by_what_is_published_then() -> None:
    """H39: the actuators are read again when somebody else says yes; accepting what was known already is no broken promise."""
    stage = Stage(replace(pair(), second_person=frozenset({"adopt"})), shown="strange")
    waiting = stage.ask(ask.Adopt(service="core", by="ann", reason="as published", shown=(Shown("x", ("b",), epoch=1),))).evidence["approval"]
    shown = (Shown("x", ("a",), epoch=1),)
    reply = stage.ask(ask.Approve(service="core", by="bob", approval=waiting, shown=shown))
    assert (reply.code, stage.active, stage.state.uninitialised) == (Code.DONE, "a", "")


def test_a_denied_command_is_forgotten() -> None:
    """It belongs to no incident whose end would take it away."""
    stage = Stage(replace(pair(), second_person=frozenset({"release"}))).normal()
    for _ in range(3):
        waiting = stage.ask(ask.Release(service="core", by="ann")).evidence["approval"]
        assert stage.ask(ask.Deny(service="core", by="bob", approval=waiting)).code is Code.DONE
    assert stage.state.saved.approvals == ()


def test_asking_twice_for_the_same_leaves_one_approval() -> None:
    """H36: a double click, or a script that tries again."""
    stage = Stage(replace(pair(), second_person=frozenset({"failover --force"}))).normal()
    forced = ask.Failover(service="core", by="ann", to="b", force=True, accept=frozenset({"active-down", "re-synced"}), reason="now")
    first, again = stage.ask(forced), stage.ask(forced)
    assert first.evidence["approval"] == again.evidence["approval"] and len(stage.view["approvals"]) == 1
    assert stage.ask(replace(forced, by="bob")).evidence["approval"] != first.evidence["approval"]


def test_a_misspelt_rule_is_told_with_the_nearest() -> None:
    stage = Stage(pair()).normal()
    reply = stage.ask(ask.Failover(service="core", by="ann", to="b", force=True, accept=frozenset({"fresh-enuogh"}), reason="x"))
    assert (reply.code, reply.message) == (Code.USAGE, "no such rule: fresh-enuogh (did you mean fresh-enough?)")
