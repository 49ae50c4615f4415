"""A handful of seeds in every run, hundreds on demand (`--long`): real processes and faults, judged from outside (G-LB3, G-LB4, H2, H3, H6, H24-H26).

A failing seed is named with the command that tells its story again. That the judges can fail is shown in `test_judge`.
"""

from __future__ import annotations

import asyncio

import pytest

from tests.chaos.plan import plan
from tests.chaos.story import BRIEF_S, LONG_S, Told, tell

SEEDS = (3, 17, 22)
"""lbctl killed in a move; a driven switchover and a death in it; a stopped lbctl and a Core that says 503."""
LONG = range(2000, 2200)


def _right(told: Told) -> None:
    assert not told.wrong and not told.void, "\n".join((*told.story, "", *told.wrong, told.void, f"again: {told.again}"))


@pytest.mark.netns
async def test_nothing_that_must_not_be_whatever_fails() -> None:
    """All at once: a story mostly waits."""
    for told in await asyncio.gather(*(tell(seed, BRIEF_S) for seed in SEEDS)):
        _right(told)


@pytest.mark.netns
@pytest.mark.slow
@pytest.mark.parametrize("seed", LONG)
async def test_nothing_that_must_not_be_in_hundreds_of_stories(seed: int) -> None:
    _right(await tell(seed, LONG_S))


def test_a_seed_plans_the_same_twice_and_others_plan_something_else() -> None:
    plans = [plan(seed, LONG_S) for seed in range(50)]
    assert plans == [plan(seed, LONG_S) for seed in range(50)]
    assert len({made.deeds for made in plans}) == 50
    assert all(0 <= deed.at <= 2 * LONG_S and (deed.lasts or 0) <= LONG_S for made in plans for deed in made.deeds)
