"""Ten thousand stories in every run, a million on demand (`--long`): no wrong move (H2-H9, H24-H34, H40, H53).

A failing seed is named with the command that tells its story again. That the oracle can fail is shown by planted breaks: controllers that are
given laxer rules than the oracle holds them to, and a store that says yes and forgets.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest
import structlog

from lbctl.model.decision import Step
from lbctl.model.state import Saved
from tests.simulation.oracle import WrongMove
from tests.simulation.story import tell
from tests.simulation.world import WatchedStore, World
from tests.virtual import VirtualLoop

CHUNKS, CHUNK = 50, 200
LONG_CHUNKS = 5000


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


def stories(first: int, count: int, plant: Callable[[World], None] | None = None) -> int:
    """Tells so many stories and counts their moves; fails at the first that goes wrong."""
    loop, moves = VirtualLoop(), 0
    try:
        for seed in range(first, first + count):
            try:
                moves += tell(seed, loop, plant=plant).moves
            except WrongMove as wrong:
                raise WrongMove(f"{wrong}\nagain: python -m tests.simulation {seed} -v") from wrong
    finally:
        loop.close()
    return moves


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_no_wrong_move_whatever_fails(chunk: int) -> None:
    assert stories(chunk * CHUNK, CHUNK) > CHUNK // 20, "stories in which nothing moves prove nothing"


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(CHUNKS, CHUNKS + LONG_CHUNKS))
def test_no_wrong_move_in_a_million_stories(chunk: int) -> None:
    stories(chunk * CHUNK, CHUNK)


def test_a_seed_tells_the_same_story_twice() -> None:
    loop = VirtualLoop()
    assert [tell(seed, loop) for seed in range(40)] == [tell(seed, loop) for seed in range(40)]
    loop.close()


def _hasty(world: World) -> None:
    for name, settings in world.services.items():
        members = tuple(replace(m, probe=replace(m.probe, fall=1, min_outage_s=0.0)) for m in settings.members)
        world.given[name] = replace(settings, members=members)


def _trusting(world: World) -> None:
    for name, settings in world.services.items():
        world.given[name] = replace(settings, on_self_promoted="adopt")


def _watching_only(world: World) -> None:
    for name, settings in world.services.items():
        world.given[name] = replace(settings, observe=False)
        world.services[name] = world.oracles[name].settings = replace(settings, observe=True)



class ForgetfulStore(WatchedStore):
    """Says that it saved, and did not."""

    async def save(self, saved: Saved, *, expected: int, steps: Sequence[Step]) -> int:
        return expected + 1


def _forgetful(world: World) -> None:
    world.store = ForgetfulStore


@pytest.mark.parametrize(("plant", "complaint"), [
    pytest.param(_hasty, "without a proven outage", id="moves after one bad look"),
    pytest.param(_trusting, "without having said Standby", id="takes a Primary for a Standby"),
    pytest.param(_watching_only, "not armed", id="moves though it should only observe"),
    pytest.param(_forgetful, "before it was saved", id="acts on what was not saved"),
])
def test_the_oracle_notices_a_planted_break(plant: Callable[[World], None], complaint: str) -> None:
    with pytest.raises(WrongMove, match=complaint):
        stories(1, 400, plant)
