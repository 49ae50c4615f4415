"""Who may copy from whom."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lbctl.core.facts import Facts
from lbctl.core.sync.pairing import facts_from_wire, refuse_alone, refuse_pair
from tests.core.sync.pair import PRIMARY, STANDBY

CASES = {
    "a standby from its primary": (STANDBY, PRIMARY, None),
    "the DR standby from the main standby": (replace(STANDBY, name="core-dr"), STANDBY, None),
    "a demoted primary from the promoted secondary": (replace(PRIMARY, mode="Secondary", state="Standby"), replace(STANDBY, state="Active"), None),
    "G-SY1 a primary": (PRIMARY, STANDBY, "primary-mode"),
    "G-SY1 a promoted secondary": (replace(STANDBY, state="Active"), PRIMARY, "active-state"),
    "G-SY5 another version": (STANDBY, replace(PRIMARY, version="11.4.0.0"), "version"),
    "G-SY5 a version that only looks alike": (STANDBY, replace(PRIMARY, version="11.3.0"), "version"),
    "itself": (replace(STANDBY, name="core-a"), PRIMARY, "same-host"),
    "G-SY4 an Atlas-only server from a Core": (replace(STANDBY, serves_core=False), PRIMARY, "kind"),
    "G-SY4 two Atlas-only servers": (replace(STANDBY, serves_core=False), replace(PRIMARY, serves_core=False), None),
}


@pytest.mark.parametrize(("copy", "source", "rule"), CASES.values(), ids=CASES)
def test_the_guide_says_who_syncs_from_whom(copy: Facts, source: Facts, rule: str | None) -> None:
    refusal = refuse_pair(copy, source)
    assert (refusal.rule if refusal else None) == rule


def test_a_refusal_for_the_version_names_both() -> None:
    """G-SY5: a clear refusal."""
    refusal = refuse_pair(STANDBY, replace(PRIMARY, version="11.4.0.0"))
    assert refusal is not None
    assert "core-b runs 11.3.0.0, core-a runs 11.4.0.0" in refusal.message
    assert "same software version" in refusal.message


def test_a_core_knows_alone_that_it_must_not_replicate() -> None:
    """G-SY1: in table 5's words."""
    refusal = refuse_alone(PRIMARY)
    assert refusal is not None and "does not replicate with any other Core" in refusal.message
    assert refuse_alone(STANDBY) is None


def test_facts_survive_the_wire() -> None:
    assert facts_from_wire(PRIMARY.as_json()) == PRIMARY


@pytest.mark.parametrize(
    "fields",
    [None, [], {}, {**PRIMARY.as_json(), "more": 1}, {**PRIMARY.as_json(), "atlas": "yes"}, {**PRIMARY.as_json(), "name": "x" * 254},
     {**PRIMARY.as_json(), "version": None}],
    ids=["none", "list", "empty", "more", "wrong kind", "too long", "missing"],
)
def test_anything_else_is_not_facts(fields: object) -> None:
    with pytest.raises(ValueError, match="the other side"):
        facts_from_wire(fields)
