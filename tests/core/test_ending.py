"""Tasks end, also those that miss a cancellation."""

from __future__ import annotations

import asyncio

from lbctl.core.ending import end
from tests import virtual


def test_a_task_that_swallows_cancellations_is_asked_again() -> None:
    """As a library does whose answer arrives in the same moment."""

    async def story() -> tuple[int, float, bool]:
        swallowed = 0

        async def deaf() -> None:
            nonlocal swallowed
            while True:
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    swallowed += 1
                    if swallowed == 3:
                        raise

        async def good() -> None:
            await asyncio.sleep(3600)

        tasks = [asyncio.create_task(deaf()), asyncio.create_task(good())]
        await asyncio.sleep(1)
        await end(tasks, again_s=5)
        return swallowed, asyncio.get_running_loop().time(), all(task.cancelled() for task in tasks)

    assert virtual.run(story()) == (3, 11, True)


def test_nothing_to_end_ends_at_once() -> None:
    async def story() -> float:
        task = asyncio.create_task(asyncio.sleep(0))
        await task
        await end([task], again_s=5)
        await end([], again_s=5)
        return asyncio.get_running_loop().time()

    assert virtual.run(story()) == 0
