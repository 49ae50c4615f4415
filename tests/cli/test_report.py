"""`report`: what was stopped, by what, and whether it would have been for a blip (H34)."""

from __future__ import annotations

from typing import Any

from lbctl.cli.report import unmade
from tests.cli.conftest import Terminal


def event(kind: str, second: int, service: str = "core", **data: Any) -> dict[str, Any]:
    return {"seq": second, "at": f"2027-01-15T08:00:{second:02d}Z", "service": service, "kind": kind, "text": "", "by": "", "epoch": 1, "revision": 1,
            "data": data}


WOULD = {"member": "core-b", "evidence": {"rules": ["not-in-maintenance"]}}


def test_a_move_that_was_stopped_is_paired_with_the_recovery_of_its_own_service() -> None:
    found = unmade([event("would-failover", 5, **WOULD), event("would-failover", 6, "other", **WOULD), event("down-over", 12),
                    event("would-failover", 30, **WOULD)])
    assert [(one["service"], one["well_again_s"]) for one in found] == [("core", 7.0), ("other", None), ("core", None)]
    assert found[0]["to"] == "core-b" and found[0]["stopped_by"] == ["not-in-maintenance"]


def test_it_reads_as_a_colleague_would_tell_it(terminal: Terminal) -> None:
    terminal.controller.write("would-failover", "would have moved to core-b, stopped by automation-on")
    told = terminal.type("report").stdout.splitlines()
    assert told[0] == "core: 1 move would have been made" and "not well again yet" in told[1]
    assert told[2] == "sentry: nothing that lbctl would have done was stopped"
    terminal.controller.write("down-over", "no longer down")
    assert "core: 1 move would have been made, 1 of them for an outage that was over within 60 s" in terminal.type("report", "core").stdout
    assert terminal.json("report", "sentry") == {"would": []}
    assert terminal.type("report", "cor").exit_code == 2 and terminal.type("report", "--since", "often").exit_code == 2
