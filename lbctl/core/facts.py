"""What one Core tells another, and any tool, about itself; and the Core's own clock, which may be wrong like a real one's."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any

from lbctl.clock import Clock


@dataclass(frozen=True, slots=True)
class Facts:
    """A Core as it is now. `clock`: its own idea of UTC seconds. `cpus`, `memory_mib`: the resources that the guide wants equal in a pair.

    `serves_core`: false for a server for Atlas alone.
    """

    name: str
    version: str
    mode: str
    state: str
    ha_enabled: bool
    atlas: bool
    serves_core: bool
    clock: float
    cpus: int
    memory_mib: int

    def as_json(self) -> dict[str, Any]:
        """For the command line and the wire."""
        return asdict(self)


class OffsetClock:
    """A clock that is `offset_s` ahead of another."""

    def __init__(self, clock: Clock, offset_s: float) -> None:
        self._clock = clock
        self._offset_s = offset_s

    def now(self) -> float:
        return self._clock.now() + self._offset_s

    def wall_step(self) -> float:
        return self._clock.wall_step()

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)


def machine_memory_mib() -> int:
    """Of the machine this runs on."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20


def machine_cpus() -> int:
    """Of the machine this runs on."""
    return os.cpu_count() or 1
