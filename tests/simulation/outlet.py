"""A simulated place that is written to and read from, and outlives every controller: two name servers behind one actuator."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from lbctl.actuators.base import Actual, Place, wanted
from lbctl.clock import Clock
from lbctl.errors import ActuatorError, Superseded
from lbctl.model.decision import Desired


class Outlet:
    """`shown` by place: addresses and epoch. `refuses`, `hangs`, `deaf` (places that cannot be reached) are faults that a story sets."""

    def __init__(self, name: str, places: int, clock: Clock, hazard: Callable[[str], bool]) -> None:
        self.id = name
        self.view = ""
        self.clock = clock
        self.shown: list[tuple[frozenset[str], int]] = [(frozenset(), 0)] * places
        self.refuses = False
        self.hangs = False
        self.deaf: set[int] = set()
        self.wrote: Callable[[Desired, frozenset[str]], None] = lambda desired, addresses: None
        self._hazard = hazard

    async def read(self) -> Actual:
        if self.hangs:
            await asyncio.sleep(3600)
        return Actual(tuple(
            Place(f"ns{n}", None, error_reason="timeout", error="silent") if n in self.deaf else Place(f"ns{n}", addresses, epoch or None)
            for n, (addresses, epoch) in enumerate(self.shown)))

    async def apply(self, desired: Desired) -> None:
        if self.hangs:
            await asyncio.sleep(3600)
        if self.refuses:
            raise ActuatorError("refused", "not today")
        newest = max(epoch for _, epoch in self.shown)
        if newest > desired.epoch:
            raise Superseded("a newer epoch stands", found_epoch=newest)
        addresses = wanted(desired, self.view)
        for number in range(len(self.shown)):
            if number in self.deaf:
                continue
            if self._hazard("write"):
                await asyncio.Event().wait()
            self.wrote(desired, addresses)
            self.shown[number] = (addresses, desired.epoch)
            if self._hazard("written"):
                await asyncio.Event().wait()
        if self.deaf:
            raise ActuatorError("timeout", "one place is silent")

    async def close(self) -> None:
        """What is published stays."""
