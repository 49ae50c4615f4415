"""Ending tasks for certain.

One cancellation is not enough: `asyncio.wait_for` of Python 3.11, on which the mail and SSH libraries build, drops a cancellation that arrives
together with the result, and the task goes on as if nobody had asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any


async def end(tasks: Iterable[asyncio.Task[Any]], *, again_s: float) -> None:
    """Cancels and waits until all have ended, asking again every `again_s` seconds: longer than their own tidying up may take."""
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=again_s)
