"""The reductions of the enumeration, held against the policy: what counts as one state must behave as one, and each check can fail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from lbctl.model.decision import Decision
from lbctl.policy.decide import decide
from tests.policy.acts import NOBODY, PEOPLE, Action
from tests.policy.canonical import Canon, Cargo, Form, Node
from tests.policy.explorer import STOPS, Explorer, let_go, settings_for

SPACES = [
    pytest.param(2, {}, PEOPLE, id="pair"),
    pytest.param(2, {"on_self_promoted": "adopt"}, PEOPLE, id="pair-that-adopts"),
    pytest.param(2, {"driven": True}, PEOPLE | {"drive"}, id="pair-driven"),
    pytest.param(3, {}, PEOPLE, id="chain"),
    pytest.param(3, {}, frozenset({"move", "swap"}), id="chain-not-forced"),
]


class Sampler:
    """A search that keeps some pairs of states of one form, drawn evenly from all that it meets."""

    def __init__(self, members: int, more: dict[str, Any], people: frozenset[str], keep: int) -> None:
        self.replies: list[Any] = []
        self.explorer = Explorer(settings_for(members, **more), (), people=people, decides=self._decide)
        self.explorer.met = self._met
        self.pairs: list[tuple[Node, Node]] = []
        self._keep, self._seen, self._dice = keep, 0, Random(members)

    def _decide(self, *given: Any) -> Decision:
        decision = decide(*given)
        if decision.reply is not None:
            self.replies.append((decision.reply.code, decision.reply.rule))
        return decision

    def _met(self, known: Node, again: Node) -> None:
        self._seen += 1
        if len(self.pairs) < self._keep:
            self.pairs.append((known, again))
        elif (at := self._dice.randrange(self._seen)) < self._keep:
            self.pairs[at] = (known, again)

    def actions(self, node: Node) -> list[Action]:
        return list(self.explorer.actions(node, self.explorer.canon.order(node.state.saved)))

    def outcome(self, node: Node, action: Action) -> tuple[Form, Cargo | None, list[Any]]:
        """Where an action leads, what is open there, and what was replied."""
        self.replies, self.explorer.by_itself = [], []
        reached = self.explorer.act(node, action)
        plain = Node(let_go(reached.state), reached.now)
        return self.explorer.canon.form(plain), self.explorer.canon.cargo(plain.state.saved), self.replies


def sample(members: int, more: dict[str, Any], people: frozenset[str], long: bool) -> Sampler:
    sampler = Sampler(members, more, people, 1500 if long else 25)
    sampler.explorer.run(limit=8000 if long else 300)
    return sampler


def unlike(sampler: Sampler) -> Iterator[str]:
    """What is answered otherwise by two states of one form."""
    for known, again in sampler.pairs:
        mine, theirs = sampler.actions(known), sampler.actions(again)
        if len(mine) != len(theirs):
            yield f"{len(mine)} actions and {len(theirs)}"
            continue
        yield from (a[0] for a, b in zip(mine, theirs, strict=True) if sampler.outcome(known, a) != sampler.outcome(again, b))


@pytest.mark.parametrize(("members", "more", "people"), SPACES)
def test_states_of_one_form_behave_alike(members: int, more: dict[str, Any], people: frozenset[str], long: bool) -> None:
    """A bisimulation, by samples: the same replies and the same forms after each action."""
    sampler = sample(members, more, people, long)
    assert list(unlike(sampler)) == []
    print(f"{len(sampler.pairs)} pairs of states of one form")


@pytest.mark.parametrize("forgotten", ["_sync", "_life"])
def test_a_form_that_forgets_too_much_is_found_out(forgotten: str) -> None:
    """What is known of a copy, and how the active is judged."""
    sampler = Sampler(2, {}, frozenset({"move", "swap"}), 200)
    sampler.explorer.canon = type("Careless", (Canon,), {forgotten: lambda *_: ()})(sampler.explorer.settings)
    sampler.explorer.run(limit=300)
    assert next(unlike(sampler), "") != ""


@pytest.mark.parametrize(("members", "more", "people"), SPACES)
def test_a_stop_holds_back_what_happens_by_itself_and_nothing_else(members: int, more: dict[str, Any], people: frozenset[str], long: bool) -> None:
    """H32-H34: a hold, a maintenance, re-arming, an upgrade. So states under them need no search of their own (`explorer`)."""
    sampler, compared = sample(members, more, people - {"stop"}, long), 0
    for node, _ in sampler.pairs:
        for action in sampler.actions(node):
            plain = sampler.outcome(node, action)
            if sampler.explorer.by_itself:
                continue
            for stop, stopped in STOPS.items():
                if stop == "upgrade" and (node.state.saved.run is not None or not _looked(action)):
                    continue  # an open run refuses other ways back, which is its own and leads nowhere
                assert sampler.outcome(Node(stopped(node), node.now), action) == plain or sampler.explorer.by_itself, f"{action[0]} under {stop}"
                compared += 1
    print(f"{compared} actions compared")
    assert compared > 1000


def _looked(action: Action) -> bool:
    return " " in action[0] and action[0].split()[1] in {"gone", "ok/primary", "503/standby", "503/primary", "passes"}


@pytest.mark.parametrize(("members", "more", "people"), SPACES)
def test_an_open_move_is_carried_and_not_read(members: int, more: dict[str, Any], people: frozenset[str], long: bool) -> None:
    """Until it is seen from outside, taken back by a restart, or overtaken by another move or an adoption."""
    sampler = sample(members, more, people, long)
    canon = sampler.explorer.canon
    for node, _ in sampler.pairs:
        if not node.state.saved.active:
            continue
        loaded = canon.loaded(node, (0, 1, 1, True))
        for bare, action in zip(sampler.actions(node), sampler.actions(loaded), strict=False):
            if action[0] == "verified" or bare[0] != action[0]:
                continue
            form, new, replies = sampler.outcome(node, bare)
            assert sampler.outcome(loaded, action)[::2] == (form, replies), action[0]
            reached = sampler.explorer.act(loaded, action)
            if new is None and not action[0].startswith("adopt"):
                assert reached.state.saved.move is loaded.state.saved.move, action[0]


@pytest.mark.slow
def test_searching_stopped_states_apart_finds_no_others() -> None:
    """With holds and maintenances as steps of their own every state found is, once let go, one that the reduced search has found."""
    apart = Explorer(settings_for(2), (), people=frozenset({"stop"}), apart=True)
    apart.run()
    reduced = Explorer(settings_for(2), (), people=frozenset({"stop"}))
    reduced.run()
    found = {reduced.canon.form(_free(place.node)) for place in apart.places}
    known = {reduced.canon.form(place.node) for place in reduced.places}
    print(f"{len(apart.places)} states apart, {len(known)} forms reduced, {len(found)} of them seen apart")
    assert found <= known


def _free(node: Node) -> Node:
    state = let_go(node.state)
    return Node(replace(state, saved=replace(state.saved, move=None)), node.now)


def test_nobody_may_still_look_on() -> None:
    """Without people no command is tried."""
    explorer = Explorer(settings_for(2), (), people=NOBODY)
    names = [name for name, _ in explorer.actions(explorer.start(), ("a", "b"))]
    assert not [name for name in names if name.startswith(("failover", "resume", "hold", "adopt"))]
