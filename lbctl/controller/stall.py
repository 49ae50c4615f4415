"""Was this process there while the look was under way? (H24)

A look that overlaps a time in which the event loop did not turn (a pause of the machine, `SIGSTOP`, a slow disk, too much work) says more
about us than about the member. While looks are under way a heartbeat measures the gaps between its beats; a look whose own result comes
before the late beat is measured against the last beat. All stalls longer than the limit are seen; the beat is a quarter of it, so some
from three quarters on are, too: to call a good look void costs a look, to believe a bad one may cost a failover.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

REMEMBERED = 64
_PEAK_WINDOW_S = 30.0


class Stalls:
    """Gaps in our own attention, on the clock's scale. `limit_s` is the smallest limit that anybody will ask about."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._gaps: deque[tuple[float, float]] = deque(maxlen=REMEMBERED)
        self._last: float | None = None
        self._peak = self._peak_before = 0.0
        self._window_ends = 0.0
        self.limit_s = 2.0
        self.count = 0

    @property
    def beat_s(self) -> float:
        """How often to beat while looks are under way."""
        return min(max(self.limit_s / 4, 0.002), 0.5)

    def beat(self) -> None:
        """The loop turns."""
        now = self._now()
        if self._last is not None:
            self.late(now - self._last - self.beat_s, now)
            # The whole gap from beat to beat: nobody knows where within it the loop stood.
            if now - self._last > self.limit_s:
                self.count += 1
                self._gaps.append((self._last, now))
        self._last = now

    def rest(self) -> None:
        """Nothing is under way: until the next beat nobody needs to know."""
        # Without looks under way nothing is judged: a gap from now on is nobody's.
        self._last = None

    def late(self, seconds: float, now: float) -> None:
        """A timer of ours came so much too late."""
        if now > self._window_ends:
            self._peak_before, self._peak = self._peak, 0.0
            self._window_ends = now + _PEAK_WINDOW_S
        self._peak = max(self._peak, seconds)

    @property
    def lag_s(self) -> float:
        """The longest lag of the last half a minute to a minute."""
        return max(self._peak, self._peak_before)

    def overlap(self, started: float, ended: float, limit_s: float) -> bool:
        """Whether a gap longer than that lies over the look, the one that may be ending just now included."""
        now = self._now()
        # The beat itself is late: this look's result may come before it in the same batch.
        if self._last is not None and now - self._last > limit_s and self._last < ended:
            return True
        return any(end - begin > limit_s and begin < ended and end > started for begin, end in self._gaps)
