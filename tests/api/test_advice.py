"""What helps now, by state: what is offered is what the controller would accept, and never what could destroy data in that state."""

from __future__ import annotations

from typing import Any

import pytest

from lbctl.api.advice import ALERTS, advice, failing
from lbctl.notifiers.words import WORDS
from tests.dashboard import shown as stories


def told(story: str, explained: dict[str, Any] | None = None, **changes: Any) -> list[dict[str, str]]:
    """The advice for one of the page's stories, with what `explain` says of it changed too where a test wants."""
    service = {**stories.STORIES[story]("core"), **changes}
    return advice(service, {**stories.explained(service, story), **(explained or {})})


def commands(ways: list[dict[str, str]]) -> list[str]:
    return [way["command"] for way in ways if way["command"]]


@pytest.mark.parametrize(("story", "typed"), [
    ("normal", []),
    ("suspect", ["lbctl status core --watch"]),
    ("stranded", ["lbctl approve core-12"]),
    ("down", ["lbctl explain core --to core-b", "lbctl failover core --to core-b --force --accept re-synced --reason …", "lbctl probe core/core-a"]),
    ("all-down", ["lbctl probe core/core-a"]),
    ("uninitialised", ["lbctl adopt core --member MEMBER --reason …"]),
    ("failed-over", ["lbctl resume core --drive", "lbctl swap-roles core --reason …"]),
    ("unpromoted", ["failover mode primary", "lbctl swap-roles core --reason …"]),
    ("running", ["lbctl status core --watch"]),
    ("partial", []),
])
def test_each_state_says_what_to_type_the_most_urgent_first(story: str, typed: list[str]) -> None:
    assert commands(told(story)) == typed


def test_a_service_that_is_well_needs_nothing() -> None:
    assert told("normal") == [] and told("maintenance") == []


def test_a_stranded_service_without_a_question_names_the_move_itself() -> None:
    """G-LB3's race: the operator's answer is `failover --to B`, without `--force` (SEMANTICS section 2)."""
    assert commands(told("stranded", approvals=[])) == ["lbctl failover core --to core-b --reason …"]


def test_what_only_stops_lbctl_is_offered_to_a_person_without_force() -> None:
    """A hold, maintenance or lockout binds no `failover` (SEMANTICS section 3)."""
    held = stories.gate("core-b", not_held=("held by alice: testing", "`lbctl release SERVICE`"))
    ways = told("down", gate=[held])
    assert "what stops lbctl from doing it by itself is not-held" in ways[0]["text"]
    assert commands(ways)[0] == "lbctl failover core --to core-b --reason …"


def test_the_nearest_candidate_of_three_is_offered() -> None:
    far = stories.gate("core-b", re_synced=("no sync", "a sync"), candidate_standby=("dead", "it answers"))
    near = stories.gate("core-c")
    assert commands(told("down", gate=[far, near]))[0] == "lbctl failover core --to core-c --reason …"


@pytest.mark.parametrize(("more", "offered"), [({}, True), ({"fresh_enough": ("too old", "a sync")}, False)], ids=["alone", "with another"])
def test_the_word_that_a_copy_may_be_lost_is_offered_where_nothing_else_stops_a_person(more: dict[str, Any], offered: bool) -> None:
    """The active is dead and the other, latched before, says Primary: neither `ack` nor a sync opens it, only `failover --force` (SEMANTICS 3)."""
    latched = stories.gate("core-b", re_synced=("no sync of core-b from core-a is known", "a sync, or an operator's word"), **more)
    ways = told("stranded", approvals=[], gate=[latched])
    assert ("lbctl failover core --to core-b --force --accept re-synced --reason …" in commands(ways)) is offered
    assert not offered or any("it is lost" in way["text"] for way in ways)


OPEN = {"resume": {"open": True, "driven": False}}


def test_while_nothing_was_written_on_the_new_side_going_back_comes_first_and_nobody_is_told_to_sync() -> None:
    """SEMANTICS 3 (iii): the active was never promoted. A sync from it would overwrite the newer copy."""
    alerts = [{"kind": "OldPrimaryReturned", "member": "core-a", "text": "…"}]
    members = stories.failed_over()["members"][:1] + stories.unpromoted()["members"][1:]
    ways = told("unpromoted", OPEN, alerts=alerts, members=members)
    assert commands(ways)[0] == "lbctl resume core" and "without loss" in ways[0]["text"]
    assert not any("sync" in way["text"] for way in ways[:2]) and commands(ways).count("lbctl resume core") == 1


def test_with_a_standby_as_active_and_the_way_back_shut_nobody_is_told_to_sync_or_to_promote() -> None:
    """Who took the last writes is not known then: the wrong sync loses them for good, and a promotion makes two that take more."""
    alerts = [{"kind": "OldPrimaryReturned", "member": "core-a", "text": "…"}]
    members = stories.failed_over()["members"][:1] + stories.unpromoted()["members"][1:]
    ways = told("unpromoted", alerts=alerts, members=members)
    assert "find out which of them took the last writes before anything is synced" in ways[0]["text"]
    assert commands(ways) == ["lbctl resume core --attest-synced --reason …"]
    assert ways[1]["text"] == "If core-b has them: `failover mode secondary` on core-a first, then `failover mode primary` on core-b."


def test_after_roles_were_returned_by_hand_nobody_is_told_to_exchange_them_again() -> None:
    """SEMANTICS 3 (i): A says Primary again, B, which has the traffic and was promoted, says Standby: `stranded`. Demoting A would undo the work."""
    back = stories.failed_over()["members"][0]
    demoted = {**stories.unpromoted()["members"][1], "health": "down", "verdict": "failed", "promoted": True}
    lacks = {"resume": {"open": False, "driven": True, "rule": "re-synced", "evidence": "no sync is known", "opens": "--attest-synced"}}
    state = {"state": "stranded", "conditions": ["stranded", "failed-over"]}
    ways = told("failed-over", lacks, **state, members=[back, demoted], alerts=stories.failed_over()["alerts"])
    assert not any("failover mode secondary" in way["text"] or "--drive" in way["command"] for way in ways)
    assert any("not open yet, re-synced: no sync is known. It opens with: --attest-synced" in way["text"] for way in ways)


def test_while_lbctl_promotes_nobody_is_told_to() -> None:
    run = {**stories.running()["run"], "kind": "promote", "target": "core-b"}
    ways = told("unpromoted", run=run)
    assert ways[0]["text"].startswith("lbctl makes core-b the Primary itself") and "failover mode primary" not in commands(ways)


def test_one_trouble_is_not_told_twice() -> None:
    """The state and its alerts know of the same: the command stands where it is most urgent."""
    late = [{"kind": "TrafficOnUnpromoted", "member": "core-b", "text": "…"}]
    assert sum("Promote core-b" in way["text"] for way in told("unpromoted", alerts=late)) == 1
    raced = [{"kind": "SelfPromotedNotAdopted", "member": "core-b", "text": "…"}]
    assert commands(told("stranded", approvals=[], alerts=raced)) == ["lbctl failover core --to core-b --reason …"]


@pytest.mark.parametrize(("driven", "offered"), [(True, True), (False, False)], ids=["with a hand on both", "without"])
def test_a_drive_is_offered_only_where_lbctl_has_a_hand_on_both_cores(driven: bool, offered: bool) -> None:
    resume = {**stories.EXPLAINED["failed-over"]["resume"], "driven": driven}
    assert ("lbctl resume core --drive" in commands(told("failed-over", {"resume": resume}))) is offered


def test_a_dead_old_primary_is_to_be_repaired_and_no_way_back_is_discussed() -> None:
    down = {**stories.failed_over()["members"][0], "health": "down", "verdict": "failed"}
    ways = told("failed-over", alerts=[], members=[down, stories.failed_over()["members"][1]])
    assert [way["text"].split(":")[0] for way in ways] == ["Repair core-a", "Or let core-b be the primary; traffic stays"]


def test_an_active_that_fails_is_seen_only_while_no_condition_tells_of_it() -> None:
    """H10: until `min_outage` is over the state is `normal`."""
    assert (failing(stories.suspect()) or {})["name"] == "core-a"
    assert failing(stories.normal()) is None and failing(stories.down()) is None and failing(stories.pool()) is None


def test_an_active_that_answers_again_is_not_said_to_fail() -> None:
    """Down until `rise` good looks: the last one was good."""
    back = {**stories.suspect()["members"][0], "verdict": "ok"}
    ways = told("suspect", members=[back, stories.suspect()["members"][1]])
    assert ways[0]["text"].startswith("Nothing to type: core-a answers again, not yet often enough to count as up")


def test_an_outage_comes_before_the_way_back_and_is_not_told_twice() -> None:
    alerts = [{"kind": kind, "member": "core-b", "text": "…"} for kind in ("StandbyDown", "NoEligibleStandby")]
    assert commands(told("all-down", alerts=alerts)) == ["lbctl probe core/core-a"]
    ways = told("failed-over", state="down", conditions=["down"], alerts=[])
    assert not any("way back" in way["text"] for way in ways)


def test_every_alert_says_what_helps_as_its_notice_does() -> None:
    elsewhere = {"ApprovalPending", "NoEligibleStandby", "OldPrimaryReturned"}
    assert set(ALERTS) == {kind for kind in WORDS if kind[0].isupper()} - elsewhere
    for kind in ALERTS:
        (way,) = told("normal", alerts=[{"kind": kind, "member": "core-b", "text": "…"}])
        assert way["text"] and "{" not in f"{way['text']}{way['command']}" and "MEMBER" not in way["command"]
