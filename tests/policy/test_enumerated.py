"""The proof: every reachable state, every action from each, every invariant and law after each; and the proof can fail.

A pair left to itself is explored to the end in every run; with every operator command, and with a DR chain behind it, as far as a suite's time goes,
and to the end with `make test-long`. The number of states is printed (`pytest -s`, or the report of a run with `-rP`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lbctl.model.events import Around
from lbctl.policy import invariants
from tests.policy.explorer import STEADY_AROUND, BrokenError, Explorer, settings_for
from tests.policy.laws import LAWS, STATE_LAWS
from tests.policy.mutants import MUTANTS


@pytest.mark.parametrize(
    ("members", "more", "around", "limit"),
    [
        pytest.param(2, {}, STEADY_AROUND, 2500, id="pair"),
        pytest.param(2, {"on_self_promoted": "adopt"}, STEADY_AROUND, 1500, id="pair-that-adopts"),
        pytest.param(2, {"on_self_promoted": "hold"}, STEADY_AROUND, 800, id="pair-that-holds"),
        pytest.param(2, {"observe": True}, STEADY_AROUND, 800, id="pair-observed"),
        pytest.param(2, {}, Around(), 1500, id="pair-alone-in-the-world"),
        pytest.param(3, {}, STEADY_AROUND, 2500, id="chain"),
    ],
)
def test_no_reachable_state_breaks_an_invariant(members: int, more: dict[str, Any], around: Around, limit: int, long: bool) -> None:
    """G-LB3, G-LB4, G-LB5, G-SC2, H1, H2, H6-H11, H25, H32-H36: breadth first, every command from each state; to the end with `--long`."""
    explorer = Explorer(settings_for(members, **more), LAWS, STATE_LAWS, around=around)
    states = explorer.run(limit=None if long else limit)
    print(f"{states} states, {explorer.edges} decisions, all invariants and laws hold")
    assert states > limit / 2


def test_a_pair_left_to_itself_is_explored_to_the_end() -> None:
    """G-LB3, G-LB4, H2, H7-H9, H25: whatever two Cores show, whatever is published at a restart, whatever sync is heard of; nobody types."""
    explorer = Explorer(settings_for(2), LAWS, STATE_LAWS, people=False)
    states = explorer.run()
    print(f"{states} states, {explorer.edges} decisions, all invariants and laws hold; there are no more")
    assert states > 1000


@pytest.mark.parametrize("name", MUTANTS)
def test_each_planted_break_is_caught(name: str) -> None:
    """A proof that cannot fail proves nothing."""
    decider, expected, more = MUTANTS[name]
    options = dict(more)
    members, around = options.pop("members", 2), options.pop("around", STEADY_AROUND)
    outage = options.pop("min_outage_s", 0.0)
    settings = settings_for(members, **options)
    settings = replace(settings, members=tuple(replace(m, probe=replace(m.probe, min_outage_s=outage)) for m in settings.members))
    with pytest.raises(BrokenError, match=expected):
        Explorer(settings, LAWS, around=around, decides=decider, only=expected).run(limit=3000)


def test_every_invariant_has_its_mutant() -> None:
    """The mutation table is complete."""
    caught = {expected for _, expected, _ in MUTANTS.values()}
    assert set(invariants.INVARIANTS) <= caught
