"""What came between the look and the command: bookkeeping, a person, a move (H36)."""

from __future__ import annotations

from typing import Any

import pytest

from lbctl.model.decision import Step
from tests.api.fake import AT, service
from tests.cli.conftest import Terminal


def saved(terminal: Terminal, by: str = "", text: str = "an incident is open", **changes: Any) -> None:
    """The service has another revision, and the journal tells whose it is."""
    revision = terminal.controller.services["core"]["revision"] + 1
    terminal.controller.services["core"] = service("core", **{"revision": revision, **changes})
    journal = terminal.controller.journal
    journal.append(Step(AT, "core", "incident", text, by, 7, revision, {}, len(journal) + 1))


@pytest.mark.parametrize("typed", ["hold core --reason audit", "maintenance on --all --for 2h --reason patch"])
def test_whoever_typed_alone_is_not_told_that_another_changed_it(terminal: Terminal, typed: str) -> None:
    """What lbctl saves by itself in that moment is nobody's command; the gate judges by what is known then."""
    terminal.controller.meanwhile = [lambda: saved(terminal)]
    result = terminal.type(*typed.split())
    assert result.exit_code == 0, result.output
    assert terminal.controller.commands[0].revision == 42


def test_of_two_people_the_second_conflicts_and_is_told_what_the_first_did(terminal: Terminal) -> None:
    """H36: exit code 4."""
    terminal.controller.meanwhile = [lambda: saved(terminal, "vera", "core is held: rebuild")]
    result = terminal.type("release", "core")
    assert result.exit_code == 4 and "vera: core is held: rebuild" in result.stderr and terminal.controller.commands == []


def test_after_a_move_of_traffic_nothing_is_sent_again(terminal: Terminal) -> None:
    terminal.controller.meanwhile = [lambda: saved(terminal, epoch=8, active="core-b")]
    result = terminal.type("hold", "core", "--reason", "x")
    assert result.exit_code == 4 and "traffic has moved: it is on core-b now" in result.stderr and terminal.controller.commands == []


def test_a_person_who_comes_in_before_the_second_try_is_a_conflict(terminal: Terminal) -> None:
    terminal.controller.meanwhile = [lambda: saved(terminal), lambda: saved(terminal, "vera")]
    assert terminal.type("hold", "core", "--reason", "x").exit_code == 4 and terminal.controller.commands == []


def test_more_lines_than_are_looked_through_are_a_conflict(terminal: Terminal) -> None:
    def much() -> None:
        saved(terminal, "vera")
        for _ in range(60):
            saved(terminal)
    terminal.controller.meanwhile = [much]
    assert terminal.type("hold", "core", "--reason", "x").exit_code == 4 and terminal.controller.commands == []
