"""The only module that reads a clock or sleeps.

Two scales would invite mistakes, so there is one: *steady time*, UTC seconds as they stood when the process started, carried on by the
monotonic clock. It never steps: NTP, an operator's `date -s` or a leap second move nothing that lbctl has decided (H30). Every deadline,
saved or not, is on this scale; after a restart it is anchored at UTC anew. `wall_step()` tells how far UTC has moved against it, so that
a step can be shown and journaled.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """What everybody who needs the time is given."""

    def now(self) -> float:
        """Steady seconds (UTC scale)."""
        ...

    def wall_step(self) -> float:
        """Seconds by which the wall clock has moved away from steady time; positive: the wall is ahead."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Waits; zero or less yields once."""
        ...


class SystemClock:
    """The clock of a running product."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        return time.monotonic() + self._offset

    def wall_step(self) -> float:
        return time.time() - self.now()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(seconds, 0))


def monotonic_us() -> int:
    """The kernel's monotonic clock in microseconds: what systemd wants with `RELOADING=1` (sd_notify(3))."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


class LoopClock:
    """Time as the event loop has it: the virtual clock of the tests, where a sleep of an hour ends at once.

    Anchored at a fixed UTC instant so that a seed always tells the same story.
    """

    def __init__(self, anchor: float = 1_800_000_000.0) -> None:
        self._anchor = anchor
        self.stepped = 0.0

    def now(self) -> float:
        return self._anchor + asyncio.get_running_loop().time()

    def wall_step(self) -> float:
        return self.stepped

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(seconds, 0))
