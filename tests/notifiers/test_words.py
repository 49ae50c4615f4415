"""From a journal line to what people read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from lbctl.metrics import ALERTS
from lbctl.model.decision import Note, Step
from lbctl.notifiers import text
from lbctl.notifiers.base import Severity
from lbctl.notifiers.words import WORDS, from_note, from_step
from lbctl.policy import conditions
from lbctl.policy.conditions import PAGED, PAGED_ALERTS

RUNBOOKS = Path(__file__).parents[2] / "deploy" / "runbooks"


def test_an_automatic_move_pages_and_says_what_why_do_and_undo() -> None:
    note = Note("moved", "failover: traffic of core moves from core-a to core-b", member="core-b", by="lbctl", page=True,
                evidence={"source": "core-a", "trigger": "auto", "reason": "core-a failed 3 looks (timeout)"})
    told = from_note(note, service="core", at=5.0, epoch=8)
    assert told is not None and told.severity == Severity.PAGE
    assert told.what == note.text and told.why.startswith("core-a failed 3 looks (timeout)")
    assert "lbctl status core" in told.do and "lbctl resume core" in told.undo and told.runbook == "Failover"
    assert told.evidence["epoch"] == 8 and told.evidence["source"] == "core-a"


def test_a_planned_move_is_told_and_pages_nobody() -> None:
    told = from_note(Note("moved", "switchover: …", member="core-b", by="alice", page=False), service="core", at=5.0, epoch=8)
    assert told is not None and told.severity == Severity.INFO


def test_a_kind_without_a_row_is_silent_unless_it_asks_for_somebody_to_be_woken() -> None:
    assert from_note(Note("never-heard", "x"), service="core", at=5.0) is None
    told = from_note(Note("never-heard", "x", page=True), service="core", at=5.0)
    assert told is not None and told.severity == Severity.PAGE and told.do == "lbctl explain core"


def test_the_end_of_a_trouble_ends_its_notice_and_wakes_nobody() -> None:
    begun = from_note(Note("down", "core is down", page=True), service="core", at=5.0, epoch=7)
    over = from_note(Note("down-over", "over: down"), service="core", at=9.0, epoch=8)
    assert begun is not None and over is not None
    assert over.ends == begun.key and over.severity == Severity.TICKET and over.do == ""


def test_nobody_is_told_to_sync_from_a_member_that_was_never_promoted() -> None:
    """SEMANTICS 3 (iii): nothing was written there, and the sync would overwrite the newer copy. The notice cannot know, so it says both."""
    do = WORDS["OldPrimaryReturned"].do
    assert do.index("if the active member serves as Primary") < do.index("sync from the active member")
    assert do.endswith("if it was never promoted, lbctl resume {service}, no sync")


def test_the_same_level_is_the_same_key_whatever_its_sentence() -> None:
    one = from_note(Note("MaintenanceEnding", "in 15 minutes"), service="core", at=5.0)
    two = from_note(Note("MaintenanceEnding", "in 14 minutes"), service="core", at=6.0)
    other = from_note(Note("MaintenanceEnding", "in 15 minutes"), service="web", at=5.0)
    assert one is not None and two is not None and other is not None
    assert one.key == two.key != other.key


def test_two_moves_are_two_notices() -> None:
    keys = {notice.key for epoch in (8, 9) if (notice := from_note(Note("moved", "x", page=True), service="core", at=5.0, epoch=epoch))}
    assert len(keys) == 2


@pytest.mark.parametrize("data", [
    {"member": "core-b", "page": True, "evidence": {"reason": "it failed"}}, {"member": "core-b", "page": True, "reason": "it failed"},
], ids=["nested", "flat"])
def test_a_journal_line_tells_the_same_as_its_note(data: dict[str, object]) -> None:
    step = Step(at=5.0, service="core", kind="moved", text="traffic moves", by="lbctl", epoch=8, revision=41, data=data)
    note = Note("moved", "traffic moves", member="core-b", by="lbctl", page=True, evidence={"reason": "it failed"})
    assert from_step(step) == from_note(note, service="core", at=5.0, epoch=8, revision=41)


@pytest.mark.parametrize("kind", sorted(WORDS))
def test_every_kind_has_a_command_and_its_runbook_exists(kind: str) -> None:
    words = WORDS[kind]
    told = from_note(Note(kind, "text", member="core-b"), service="core", at=5.0)
    assert told is not None and told.do and told.why
    assert "{" not in told.do + told.undo + told.why
    assert not words.runbook or (RUNBOOKS / f"{words.runbook}.md").is_file()


def test_everything_that_the_policy_tells_as_a_level_has_a_row() -> None:
    source = (Path(conditions.__file__)).read_text()
    told = set(re.findall(r'yield "(\w+)"', source)) | set(conditions.STATES) - {"normal"}
    assert told <= {kind for kind, words in WORDS.items() if words.level}


def test_a_line_that_would_wake_somebody_names_a_runbook() -> None:
    assert not [kind for kind, words in WORDS.items() if words.severity is Severity.PAGE and not words.runbook]


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40), st.dictionaries(st.text(max_size=10), st.text(max_size=10), max_size=70))
def test_no_text_breaks_the_words_or_the_mail(kind: str, said: str, member: str, evidence: dict[str, str]) -> None:
    for name in (kind, *WORDS):
        told = from_note(Note(name, said, member=member, page=True, evidence=evidence), service="{service}", at=5.0)
        assert told is not None
        assert text.body(told) and not re.search(r"[\r\n]", text.subject(told).replace(said, "")), "one line"


RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((Path(__file__).parents[2] / "deploy/prometheus/lbctl.rules.yml").read_text())["groups"]
    for rule in group["rules"]
]
WAKES = {rule["alert"]: rule["labels"]["severity"] == "page" for rule in RULES}
ASKED = [(word, rule["alert"]) for rule in RULES for word in re.findall(r'lbctl_alert\{alert="(\w+)"\}', rule["expr"])]
LASTING = {"failed-over", "re-arming"}
"""States that wake nobody as such; how long they last is Prometheus' to tell."""


@pytest.mark.parametrize("word", ALERTS)
def test_whom_lbctl_wakes_prometheus_wakes_and_nobody_else(word: str) -> None:
    """One truth: the policy's paging set, the words of the notice, and the severity of the rule, the one that is made of it and the one it names."""
    rules = {WORDS[word].runbook, *(alert for asked, alert in ASKED if asked == word)}
    assert {WAKES[alert] for alert in rules} == {word in PAGED_ALERTS} == {WORDS[word].severity is Severity.PAGE}


def test_nothing_is_in_the_paging_set_that_is_never_told() -> None:
    assert set(ALERTS) >= PAGED_ALERTS
    assert {word for word, _ in ASKED} <= set(ALERTS)


def test_a_state_that_wakes_somebody_does_so_by_either_way() -> None:
    asked = [(state, rule["alert"]) for rule in RULES for state in re.findall(r'lbctl_service_state\{state="([a-z-]+)"\} == 1', rule["expr"])]
    assert {state for state, _ in asked} >= PAGED
    assert [state for state, alert in asked if state not in LASTING and WAKES[alert] != (state in PAGED)] == []
