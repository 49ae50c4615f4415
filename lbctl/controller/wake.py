"""One timer a service, for `Decision.wake_at`.

Nearly every look moves the instant a little later; cancelling and arming a timer each time would cost more than the look's decision. So a timer
that is early is left alone: when it fires before the time it arms itself for the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from lbctl.clock import Clock

_PAST_S = 1.0
"""An instant that has already passed is asked for again after so long, and not at once for ever."""
_EARLY_S = 0.001


class Alarm:
    """Calls `ring` at or shortly after the instant that was set last (steady seconds)."""

    __slots__ = ("_at", "_clock", "_handle", "_handle_at", "_ring")

    def __init__(self, clock: Clock, ring: Callable[[], None]) -> None:
        self._clock = clock
        self._ring = ring
        self._at: float | None = None
        self._handle: asyncio.TimerHandle | None = None
        self._handle_at = 0.0

    def set(self, at: float | None, now: float) -> None:
        """None: no ring is wanted."""
        # What has passed was judged in this very turn: asked again at once, it would spin.
        if at is not None and at <= now:
            at = now + _PAST_S
        self._at = at
        # An early timer costs one look at the clock; cancelling and arming at every look costs more.
        if at is None or (self._handle is not None and self._handle_at <= at):
            return
        self._arm(at, now)

    def cancel(self) -> None:
        self._at = None
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _arm(self, at: float, now: float) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._handle_at = at
        self._handle = asyncio.get_running_loop().call_later(at - now, self._fire)

    def _fire(self) -> None:
        self._handle = None
        at, now = self._at, self._clock.now()
        if at is None:
            return
        # A timer may fire a moment early by the loop's own rounding.
        if now < at - _EARLY_S:
            self._arm(at, now)
            return
        self._at = None
        self._ring()
