"""Each of the guide's nine steps, done and not done, by what the Cores say (G-UP)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from lbctl.model.looks import Reason
from lbctl.model.state import Maintenance, Run
from lbctl.readiness.facts import Audit
from lbctl.upgrade.steps import STEPS, Walk, step_after
from tests.readiness.test_practices import _config, _core, _run, _saved, _stage, good

Change = Callable[[Audit], Audit]
NOTES = {"version.a": "11.2", "version.b": "11.2"}
"""What ran when the upgrade began; now it is 11.3."""


def same(audit: Audit) -> Audit:
    return audit


def silent(audit: Audit) -> Audit:
    """No Core can be asked."""
    return replace(audit, cores={})


def missing(number: str, change: Change, **notes: str) -> str:
    audit = change(good())
    row = next(row for row in STEPS if row.number == number)
    return row.missing(Walk(Run("r", "upgrade", "begin", "", "", audit.case.now, notes={**NOTES, **notes}), audit))


MAINTAINED = _saved(maintenance=Maintenance("ann", "11.3", 0.0, 1e12))


@pytest.mark.parametrize(("number", "change"), [
    ("1", _core("b", ha_enabled=False)), ("2", same), ("3", MAINTAINED), ("4", same), ("5", same), ("6", same), ("7", same), ("8", same), ("9", same),
], ids=lambda value: value if isinstance(value, str) else "")
def test_a_step_that_is_done_misses_nothing(number: str, change: Change) -> None:
    assert missing(number, change) == ""


NOT_DONE: dict[str, tuple[str, Change, str]] = {
    "HA is enabled still": ("1", same, "HA is still enabled on b"),
    "never synced": ("2", _core("b", runs=[]), "never synced"),
    "the sync failed": ("2", _run("Failed"), "Result Failed"),
    "the sync runs": ("2", _run("Running", None), "Completed no"),
    "no maintenance": ("3", same, "not in maintenance"),
    "the old version": ("4", _core("b", version="11.2"), "b still runs 11.2"),
    "promoted still": ("4", _core("b", state="Active"), "failover mode secondary"),
    "another mode": ("4", _core("b", mode="Primary"), "failover mode secondary"),
    "the Primary is old": ("5", _core("a", version="11.2"), "a runs 11.2, the standby 11.3"),
    "the Primary does not serve": ("5", _stage(lambda stage: stage.look("a", "status", reason=Reason.STATUS)), "does not yet serve"),
    "HA is disabled still": ("6", _core("b", ha_enabled=False), "HA is still disabled on b"),
    "no good sync": ("7", _run("Failed"), "no sync of b has succeeded"),
    "not in Standby": ("7", _stage(lambda stage: stage.look("b", "hastatus", reason=Reason.REFUSED)), "does not say Mode: Standby"),
    "too often": ("8", _config(run_every=15), "interval-an-hour"),
}


@pytest.mark.parametrize("name", NOT_DONE)
def test_a_step_that_is_not_done_says_what_it_misses(name: str) -> None:
    number, change, word = NOT_DONE[name]
    assert word in missing(number, change)


def test_a_sync_of_before_step_6_proves_nothing() -> None:
    """Only one since HA was enabled again shows that the pair works with the new software."""
    at = good().cores["b"].runs[0]["started"]
    assert missing("7", same, **{"6.at": str(at - 1)}) == ""
    assert "since HA was enabled again" in missing("7", same, **{"6.at": str(at + 1)})


@pytest.mark.parametrize("number", ["1", "2", "4", "5", "6", "7"])
def test_nothing_is_taken_for_done_while_a_core_cannot_be_asked(number: str) -> None:
    assert "no drive" in missing(number, silent)


def test_the_steps_come_in_the_guides_order() -> None:
    assert [row.number for row in STEPS] == [str(number) for number in range(1, 10)]
    assert [step_after(done).number for done in ("begin", "1", "8")] == ["1", "2", "9"]
