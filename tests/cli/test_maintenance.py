"""`maintenance` on the screen: when it begins, how long it lasts, and the date where it is another day's."""

from __future__ import annotations

from typing import Any

import pytest

from lbctl.cli.maintenance import said, span
from tests.api.fake import AT
from tests.cli.conftest import Terminal


def entry(*, on: bool, since: str, until: str) -> dict[str, Any]:
    return {"on": on, "by": "ann", "reason": "patch", "since": since, "until": until}


@pytest.mark.parametrize(("found", "told"), [
    (entry(on=True, since="2027-01-15T07:00:00Z", until="2027-01-15T08:30:00Z"), ("on", "08:30Z (30m left)")),
    (entry(on=False, since="2027-01-15T09:05:00.500Z", until="2027-01-15T10:00:00Z"), ("from 09:05Z (in 1h05m)", "10:00Z")),
    (entry(on=False, since="2027-01-16T07:00:00Z", until="2027-01-16T09:00:00Z"), ("from 2027-01-16 07:00Z (in 23h)", "2027-01-16 09:00Z")),
], ids=["on", "planned", "tomorrow"])
def test_an_instant_is_told_as_people_say_it(found: dict[str, Any], told: tuple[str, str]) -> None:
    assert span(found, AT) == told
    assert said({"service": {"maintenance": found}}, AT) == f"  {'' if found['on'] else told[0] + ' '}until {told[1]}"


def test_the_answer_says_until_when(terminal: Terminal) -> None:
    found = terminal.controller.services["core"]
    terminal.controller.after = {"core": {**found, "maintenance": entry(on=True, since="2027-01-15T07:00:00Z", until="2099-01-15T08:30:00Z")}}
    told = terminal.type("maintenance", "on", "core", "--for", "2h", "--reason", "patch").stdout.splitlines()
    assert told[0].startswith("done: ") and told[1].startswith("  until 08:30Z (")
    assert "2099" not in terminal.type("maintenance", "list").stdout
