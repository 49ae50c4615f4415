"""The same key, the same answer, whatever the order of arrival; bounded."""

from __future__ import annotations

import asyncio

import pytest

from lbctl.api.idempotency import REMEMBERED, Kept, Memory
from lbctl.api.problems import Refusal


def kept(number: int, status: int = 200) -> Kept:
    return Kept(status, str(number).encode(), "application/json", ())


async def test_a_double_click_waits_for_the_first() -> None:
    """H36: the second of two at once neither acts nor fails."""
    memory, go, acted = Memory(), asyncio.Event(), []

    async def act() -> Kept:
        acted.append(1)
        await go.wait()
        return kept(len(acted))

    both = [asyncio.create_task(memory.once("k", "r", act)) for _ in range(2)]
    await asyncio.sleep(0)
    go.set()
    first, second = await asyncio.gather(*both)
    assert first is second and acted == [1]


async def test_a_client_that_leaves_does_not_keep_its_retry_from_acting() -> None:
    """The first click's connection broke before the decision: the retry acts, `If-Match` guards against twice."""
    memory, go = Memory(), asyncio.Event()

    async def act() -> Kept:
        await go.wait()
        return kept(1)

    first = asyncio.create_task(memory.once("k", "r", act))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    go.set()
    assert await memory.once("k", "r", act) == kept(1)


async def test_another_request_under_the_same_key_is_a_mistake() -> None:
    memory = Memory()

    async def act() -> Kept:
        return kept(1)

    await memory.once("k", "r", act)
    with pytest.raises(Refusal) as refusal:
        await memory.once("k", "other", act)
    assert refusal.value.status == 422


async def test_memory_is_bounded() -> None:
    memory, acted = Memory(), []

    async def act() -> Kept:
        acted.append(1)
        return kept(len(acted))

    for number in range(REMEMBERED + 1):
        await memory.once(str(number), "r", act)
    await memory.once(str(REMEMBERED), "r", act)
    assert len(acted) == REMEMBERED + 1
    await memory.once("0", "r", act)
    assert len(acted) == REMEMBERED + 2
