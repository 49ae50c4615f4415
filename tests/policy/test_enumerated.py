"""The proof: every reachable state, every action from each, every invariant and law after each; and the proof can fail.

A pair is explored to the end in every run, with every command, holds and maintenances. With a DR chain behind it, it is explored to the end
under one group of commands at a time by `make test-long` (half an hour each), and every run explores the beginning of all and of pairs with other
settings. The numbers of states and decisions are printed (`pytest -s`, or the report of a run with `-rP`). A form is what the search tells apart,
and a state is a form with one of the open moves that it is reached with, or with none (`canonical`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lbctl.model.events import Around
from lbctl.policy import invariants
from tests.policy.acts import FACES, MORE_FACES, NOBODY, PEOPLE
from tests.policy.explorer import STEADY_AROUND, BrokenError, Explorer, settings_for
from tests.policy.laws import LAWS, STATE_LAWS
from tests.policy.mutants import MUTANTS

COMMANDED = PEOPLE - {"stop"}
THREE_FACES = {name: face for name, face in FACES.items() if name != "503/primary"}


def explore(explorer: Explorer, limit: int | None = None) -> int:
    states, said = 0, 0
    while not explorer.ended and (limit is None or said < limit):  # a search of half an hour says how far it is
        said = min(said + 2_000, limit or said + 2_000)
        states = explorer.run(limit=said)
        print(f"{states} states in {len(explorer.places)} forms so far, {explorer.waiting} of them to go on from")
    end = "there are no more" if explorer.ended else "and more behind them"
    print(f"{states} states in {len(explorer.places)} forms, {explorer.decisions} decisions, all invariants and laws hold; {end}")
    assert explorer.ended or limit is not None
    return states


def test_a_pair_is_explored_to_the_end() -> None:
    """G-LB3, G-LB4, G-LB5, H1, H2, H6-H11, H25, H32-H36: whatever two Cores show, whatever is published at a restart with memory or without,
    whatever sync is heard of, whatever people type, hold and maintain."""
    assert explore(Explorer(settings_for(2), LAWS, STATE_LAWS, people=PEOPLE)) > 30_000


@pytest.mark.parametrize(
    ("members", "more", "people", "around", "faces", "limit"),
    [
        pytest.param(2, {"on_self_promoted": "adopt"}, PEOPLE, STEADY_AROUND, FACES, 400, id="pair-that-adopts"),
        pytest.param(2, {"on_self_promoted": "hold"}, PEOPLE, STEADY_AROUND, FACES, 200, id="pair-that-holds"),
        pytest.param(2, {"observe": True}, PEOPLE, STEADY_AROUND, FACES, 200, id="pair-observed"),
        pytest.param(2, {}, PEOPLE, Around(), FACES, 400, id="pair-alone-in-the-world"),
        pytest.param(2, {"driven": True, "promote": "drive"}, COMMANDED | {"drive"}, STEADY_AROUND, FACES, 400, id="pair-driven"),
        pytest.param(2, {}, NOBODY, STEADY_AROUND, {**FACES, **MORE_FACES}, 400, id="pair-of-seven-faces"),
        pytest.param(3, {}, PEOPLE, STEADY_AROUND, FACES, 600, id="chain"),
    ],
)
def test_the_beginning_of_a_larger_space(
    members: int, more: dict[str, Any], people: frozenset[str], around: Around, faces: dict[str, Any], limit: int, long: bool
) -> None:
    """H3, H7, H10, G-SC2 beside those of the pair: breadth first as far as a suite's time goes; with `--long` twenty times as far."""
    explorer = Explorer(settings_for(members, **more), LAWS, STATE_LAWS, people=people, around=around, faces=faces)
    assert explore(explorer, 20 * limit if long else limit) >= limit


@pytest.mark.slow
@pytest.mark.parametrize(
    ("people", "faces"),
    [
        pytest.param(NOBODY, FACES, id="left-to-itself"),
        *(pytest.param(frozenset({group}), THREE_FACES, id=group) for group in sorted(PEOPLE - {"force"})),
    ],
)
def test_a_chain_is_explored_to_the_end(people: frozenset[str], faces: dict[str, Any]) -> None:
    """G-SC2, H10: a pair and a DR Core behind it; left alone, and with each group of commands: moves, approvals and ways back; changes of roles;
    adoptions; holds and maintenances. All of them together, forced moves too, are explored to their end for the pair."""
    assert explore(Explorer(settings_for(3), LAWS, STATE_LAWS, people=people, faces=faces)) > 10_000


@pytest.mark.parametrize("name", MUTANTS)
def test_each_planted_break_is_caught(name: str) -> None:
    """A proof that cannot fail proves nothing."""
    decider, expected, more = MUTANTS[name]
    options = dict(more)
    members, around = options.pop("members", 2), options.pop("around", STEADY_AROUND)
    outage = options.pop("min_outage_s", 0.0)
    people = PEOPLE if expected == "people-were-heard" else COMMANDED
    settings = settings_for(members, **options)
    settings = replace(settings, members=tuple(replace(m, probe=replace(m.probe, min_outage_s=outage)) for m in settings.members))
    with pytest.raises(BrokenError, match=expected):
        Explorer(settings, LAWS, people=people, around=around, decides=decider, only=expected).run(limit=3000)


def test_every_invariant_has_its_mutant() -> None:
    """The mutation table is complete."""
    caught = {expected for _, expected, _ in MUTANTS.values()}
    assert set(invariants.INVARIANTS) | {law.__name__ for law in LAWS} <= caught
