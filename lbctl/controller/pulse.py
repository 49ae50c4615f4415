"""The controller's own pulse: how late the event loop runs, and whether the wall clock was moved (H24, H30).

Steady time never steps, so a step of the wall clock moves nothing that was decided; it is shown and written down, because whoever reads
times in the journal later must know. A late loop is shown; what a look that overlaps it is worth is the monitor's to say.
"""

from __future__ import annotations

from collections.abc import Callable

from lbctl.clock import Clock
from lbctl.controller.supervisor import Heart

STEP_S = 5.0
"""The wall clock moved by more than this at once: told."""
_BEAT_S = 0.5
_FORGET = 0.9
"""How much of an old lag is still shown after each beat: a stall stays visible for the next scrapes."""


class Pulse:
    """`lag_s`: how late the loop was, at its worst lately. `steps`: how often the wall clock was moved."""

    def __init__(self, clock: Clock, stepped: Callable[[float], None], beat_s: float = _BEAT_S) -> None:
        self.lag_s = 0.0
        self.stalls = 0
        self.steps = 0
        self._clock = clock
        self._stepped = stepped
        self._beat_s = beat_s
        # From now on: what the clock was set to before this life is no step.
        self._wall = clock.wall_step()

    async def run(self, heart: Heart) -> None:
        """For ever; every beat proves that the event loop goes round."""
        while True:
            began = self._clock.now()
            await self._clock.sleep(self._beat_s)
            heart.beat()
            lag = max(0.0, self._clock.now() - began - self._beat_s)
            self.stalls += lag > 1.0
            # The worst of late: an average would hide the one second in which looks were lost.
            self.lag_s = max(lag, self.lag_s * _FORGET)
            self._watch_wall()

    def _watch_wall(self) -> None:
        wall = self._clock.wall_step()
        moved, self._wall = wall - self._wall, wall
        # Below it, slewing by a time service is the daily case.
        if abs(moved) > STEP_S:
            self.steps += 1
            self._stepped(moved)
