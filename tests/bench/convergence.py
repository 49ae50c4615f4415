"""How long a client behind a cache (unbound) is still sent to the old member: unplanned and planned, with and without `--drain` (GOALS, H49).

Counted from the decision to the last old answer that the client was told. The old member of a planned move serves all that time; that of an
unplanned one is dead. The cache has just been filled when the cause comes: its worst phase.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import tempfile
from pathlib import Path

import structlog

from lbctl.model.commands import Switchover
from tests.peers.caching import A, B, Cached, cached

TTL_S = 30
ROWS = ("unplanned, min_outage 0 s", "unplanned, min_outage 20 s", "planned, at once", "planned, --drain")


async def _moved(world: Cached) -> tuple[float, float]:
    """(when it was decided, when the last old answer was told), loop time."""
    await world.until_told(B, within_s=TTL_S * 4)
    steps = {step.kind: step.at for step in await world.app.controller.events()}
    return steps["moved"] - (world.app.clock.now() - world.now()), world.last(A)


async def measure(row: str) -> tuple[float, float]:
    """(seconds from the cause to the decision, seconds from the decision to the client's last old answer)."""
    outage = "20s" if "20 s" in row else "0s"
    with tempfile.TemporaryDirectory() as folder:
        async with cached(Path(folder), ttl_s=TTL_S, min_outage=outage) as world:
            began = world.now()
            if row.startswith("unplanned"):
                world.stop("a")
            else:
                await world.submit(Switchover(service="sentry", by="bench", to="b", drain="drain" in row))
            decided, last = await _moved(world)
            return decided - began, max(0.0, last - decided)


async def main() -> int:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    print(f"TTL {TTL_S} s, unbound in between, a question every 20 ms")
    print(f"{'':28}{'decided after':>16}{'old answers after that':>26}")
    found = await asyncio.gather(*(measure(row) for row in ROWS))
    for row, (decided, old) in zip(ROWS, found, strict=True):
        print(f"{row:28}{decided:14.1f} s{old:24.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
