"""What the schedule keeps for each page, each look under way and each kept connection: bookkeeping without a timer of its own."""

from __future__ import annotations

from typing import Protocol

from lbctl.model.looks import ProbeResult
from lbctl.model.settings import ProbeSettings
from lbctl.probes.base import Aim, Cancel, Probe

# Two at once: the hint of a crash, and the look that confirms a candidate, may come in the same second (H23).
EXTRA_BURST = 2.0
# Long, because the guard itself was perhaps what made the look slow; doubled each time it happens again.
GUARD_REST_S = 60.0
GUARD_REST_MAX_S = 3600.0
NEVER = float("inf")


class Schedule(Protocol):
    """What a page, a look and a kept connection ask of the monitor."""

    def now(self) -> float: ...

    def press(self, page: Page) -> None:
        """An extra look, as soon as the page's allowance has room."""
        ...

    def landed(self, flight: Flight, result: ProbeResult) -> None:
        """A look has ended."""
        ...

    def drop(self, page: Page) -> None:
        """The page is not watched any more."""
        ...


class Page:
    """One page of one member: when it is due, what is under way, how long it usually takes."""

    __slots__ = (
        "_extra", "_extra_at", "_mean", "_spread", "aim", "due", "fast", "flying", "forced", "guard", "hurry", "late_at", "overdue", "probe",
        "schedule", "service", "settings", "started", "well",
    )

    def __init__(self, schedule: Schedule, service: str, probe: Probe, aim: Aim, settings: ProbeSettings) -> None:
        self.schedule = schedule
        self.service = service
        self.probe = probe
        self.aim = aim
        self.settings = settings
        self.due = self.late_at = NEVER
        self.started = -NEVER
        self.fast = self.forced = self.hurry = self.overdue = self.well = False
        self.flying: list[Flight] = []
        self.guard = Guard(schedule, self)
        self._extra, self._extra_at = EXTRA_BURST, -NEVER
        self._mean = self._spread = 0.0

    @property
    def patience_s(self) -> float:
        """How long a look may take before it is late: what its history makes likely and a little more; without one, a third of the timeout."""
        timeout = self.aim.target.timeout_s
        # Well above what is usual, with a floor for members that answer in a millisecond, whose spread is next to nothing.
        return 2 * self._mean + 8 * self._spread + timeout / 16 if self._mean else timeout / 3

    def hurried(self, flying: int) -> bool:
        """Whether another look may start beside those under way."""
        return self.hurry and flying < self.settings.fall

    def extra_wait(self, now: float) -> float:
        """How long until the page's allowance has room for an extra look; 0: now."""
        refill = self.settings.fast_interval_s
        # Fills with time: as many as the fast pace would have made, whoever asks.
        self._extra = min(EXTRA_BURST, self._extra + (now - self._extra_at) / refill)
        self._extra_at = now
        return max((1 - self._extra) * refill, 0.0)

    def took_extra(self) -> None:
        """An extra look starts."""
        self._extra -= 1

    def remember(self, result: ProbeResult) -> None:
        """Any end ends the hurry; a good one tells how long looks take."""
        self.hurry = False
        self.well = result.good
        # Failures teach nothing about how long a good look takes: a timeout would make every later one seem in time.
        if result.good and not result.void:
            took = result.ended - result.started
            # Before the mean that it is measured against, as TCP does for its own timer (RFC 6298 section 2).
            self._spread += (abs(took - self._mean) - self._spread) / 8 if self._mean else took
            self._mean += (took - self._mean) / 8 if self._mean else took
            # Only after a good look: a member that is down needs no hint of its end.
            self.guard.arm()

    def close(self) -> None:
        self.schedule.drop(self)
        self.guard.close(self)
        self.aim.close()


class Flight:
    """One look under way."""

    __slots__ = ("_cancel", "_schedule", "ended", "page")

    def __init__(self, schedule: Schedule, page: Page) -> None:
        self._schedule = schedule
        self.page = page
        self.ended = False
        self._cancel: Cancel | None = None

    def begin(self) -> None:
        self._cancel = self.page.aim.start(self.done)

    def done(self, result: ProbeResult) -> None:
        # Cancelled or told already: a look is reported once.
        if not self.ended:
            self.ended = True
            self._cancel = None
            self._schedule.landed(self, result)

    def cancel(self) -> None:
        self.ended = True
        if self._cancel is not None:
            self._cancel()


class Guard:
    """The connection kept open to one member, shared by its pages; whatever ends it asks for a look at each of them."""

    __slots__ = ("_aim", "_cancel", "_pages", "_rest_s", "_rests_until", "_schedule")

    def __init__(self, schedule: Schedule, page: Page) -> None:
        self._schedule = schedule
        self._aim = page.aim
        self._pages: list[Page] = []
        self._cancel: Cancel | None = None
        self._rest_s = GUARD_REST_S
        self._rests_until = -NEVER

    def share(self, page: Page) -> None:
        """The page belongs to this member."""
        # A page has its own until it joins its member's: one connection to a member, not one to each page.
        if page.guard is not self:
            page.guard.close(page)
        page.guard = self
        self._pages.append(page)

    def arm(self) -> None:
        """The member is well: the connection may be opened, unless it rests."""
        # Not while it rests: it gave its place up to let looks succeed.
        if self._cancel is None and self._aim.target.guarded and self._schedule.now() >= self._rests_until:
            self._cancel = self._aim.guard(self._tripped)

    def yield_place(self, now: float) -> None:
        """A look is slow: perhaps because we hold the server's only place. Given up at once, and for longer each time."""
        if self._cancel is not None:
            self.cut()
            self._rests_until = now + self._rest_s
            self._rest_s = min(self._rest_s * 2, GUARD_REST_MAX_S)

    def cut(self) -> None:
        if self._cancel is not None:
            self._cancel()
            self._cancel = None

    def close(self, page: Page) -> None:
        """The page leaves; the connection goes with it, and comes back with the next good look at another."""
        # The connection was made by one page's aim, which may be the one that goes: opened anew at need.
        if page in self._pages:
            self._pages.remove(page)
        self.cut()

    def _tripped(self) -> None:
        for page in list(self._pages):
            self._schedule.press(page)
