"""What `explain` says of a candidate that may promote itself (SEMANTICS section 2, G-HB)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lbctl.model.settings import Heartbeat
from tests.policy.stage import Stage, pair


def _promotion(beat: Heartbeat | None, failing: int = 0) -> dict[str, Any] | None:
    a, b = pair().members
    stage = Stage(replace(pair(), observe=True, members=(a, replace(b, heartbeat=beat)))).normal()
    stage.rounds(failing, a="fail", b="503/standby")
    found: dict[str, Any] | None = stage.why["candidates"][0]["promotes_itself"]
    return found


def test_the_cores_settings_say_when_a_candidate_promotes_itself() -> None:
    found = _promotion(Heartbeat(60.0, 5, 30.0))
    assert found is not None and (found["earliest_s"], found["latest_s"]) == (120.0, 330.0)
    assert "after a fails" in found["text"]


def test_a_block_ends_in_stranded_when_the_candidate_promotes_itself() -> None:
    """The time that is left counts from the active's first failed look."""
    found = _promotion(Heartbeat(60.0, 5, 30.0), failing=31)
    assert found is not None and found["text"] == "b promotes itself in 90 s to 5 min; whatever blocks a move then ends in `stranded`"


def test_a_candidate_that_keeps_in_standby_never_promotes_itself() -> None:
    found = _promotion(Heartbeat(60.0, 5, 30.0, promotes=False))
    assert found is not None and found["known"] and "never" in found["text"]


def test_unknown_settings_are_said_to_be_unknown() -> None:
    found = _promotion(None)
    assert found is not None and not found["known"] and "members[].heartbeat" in found["text"]


def test_nothing_is_said_of_who_is_primary_already() -> None:
    stage = Stage().normal()
    stage.rounds(5, a="fail", b="ok/primary")
    assert stage.why["candidates"][0]["promotes_itself"] is None
