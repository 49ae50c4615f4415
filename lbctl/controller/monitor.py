"""Asks probes on schedule and hands on what they see: every page of every member, for ever, without a task for any of them.

One heap of times and one timer carry all pages. What is promised:

* A page is looked at every `interval`, or `fast_interval` while the policy asks for it (`pace`); jitter only shortens, by up to a tenth (H23).
* At most one look at a page is under way, with two exceptions: `look_now` starts a new one after the call, whatever is under way (a candidate
  is confirmed by such a look); and a look that is late by the page's own history starts the next ones before it times out, `fall` at most,
  so that silence is noticed as fast as refusal.
* A late look is not made up for. Extra looks (asked for, or hinted by the connection kept open) are limited for each page to a burst of two
  and one in each `fast_interval` (H23). First looks are spread to `STARTS_PER_S`.
* A look that overlaps a stall of ours is marked void (H24), never left out: it is shown, and counts for nothing.

The kept connection (`Aim.guard`) is armed after a first good look. A server that is slow while one is open may be one that serves a single
connection at a time: the connection is given up at once, in time for the look to succeed, and tried again much later.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from lbctl.clock import Clock
from lbctl.controller.stall import Stalls
from lbctl.model.looks import ProbeResult
from lbctl.model.settings import ProbeSettings
from lbctl.probes.base import Aim, Cancel, Probe, Target

Emit = Callable[[str, ProbeResult], None]

STARTS_PER_S = 2000.0
FLIGHTS_MAX = 4
EXTRA_BURST = 2.0
GUARD_REST_S = 60.0
GUARD_REST_MAX_S = 3600.0
STALL = "stall"
_BATCH = 64
_GRAIN_S = 0.001
"""uvloop rounds timers to whole milliseconds: a shorter wait would be none, and the loop would spin until the time has come."""
_NEVER = float("inf")


class Monitor:
    """Made inside a running event loop. `emit` is called for every result, with the service's name; it must not block or raise."""

    def __init__(self, clock: Clock, emit: Emit, *, stall_limit_s: float = 2.0, chance: random.Random | None = None) -> None:
        self._now = clock.now
        self._emit = emit
        self._stall_limit_s = stall_limit_s
        self._chance = (chance or random.Random()).random  # noqa: S311 - spreads load, keeps no secret
        self._loop = asyncio.get_running_loop()
        self._services: dict[str, dict[tuple[str, str], _Page]] = {}
        self._heap: list[tuple[float, int, _Page]] = []
        self._order = 0
        self._timer: asyncio.TimerHandle | None = None
        self._wake = _NEVER
        self._beating: asyncio.TimerHandle | None = None
        self._slot = 0.0
        self._flights = 0
        self.stalls = Stalls(clock.now)

    # --- what is watched

    def watch(self, service: str, probe: Probe, targets: Iterable[Target], settings: Mapping[str, ProbeSettings]) -> None:
        """From now on these pages are looked at; `settings` by member. Pages of the service that are unchanged go on undisturbed."""
        before = self._services.get(service, {})
        pages: dict[tuple[str, str], _Page] = {}
        guards: dict[str, _Guard] = {}
        for target in targets:
            key = (target.member, target.page)
            page = before.get(key)
            if page is None or page.aim.target != target or page.settings != settings[target.member] or page.probe != probe:
                page = _Page(self, service, probe, probe.aim(target), settings[target.member])
                self._first(page)
            else:
                del before[key]
            guards.setdefault(target.member, _Guard(self, page)).share(page)
            pages[key] = page
        for page in before.values():
            page.close()
        self._services[service] = pages
        self._measure()

    def unwatch(self, service: str) -> None:
        """No more looks; those under way are not reported. Unknown services are fine."""
        for page in self._services.pop(service, {}).values():
            page.close()
        self._measure()

    def close(self) -> None:
        """Ends everything."""
        for service in list(self._services):
            self.unwatch(service)
        for timer in (self._timer, self._beating):
            if timer is not None:
                timer.cancel()

    # --- what the policy asks for

    def look_now(self, service: str, member: str, page: str) -> None:
        """Starts a look after this call, at once where the page's limit allows it. Unknown pages are fine: they may have gone."""
        found = self._services.get(service, {}).get((member, page))
        if found is not None:
            self.press(found)

    def pace(self, service: str, fast: frozenset[tuple[str, str]]) -> None:
        """Those pages (member, page) are looked at every `fast_interval`, all others of the service every `interval`."""
        for key, page in self._services.get(service, {}).items():
            wanted = key in fast
            if wanted and not page.fast:
                self.schedule(page, min(page.due, max(page.started + self._step(page.settings.fast_interval_s), self._now())))
            page.fast = wanted

    @property
    def lag_s(self) -> float:
        """The event loop's longest recent lag."""
        return self.stalls.lag_s

    # --- the schedule

    def schedule(self, page: _Page, due: float) -> None:
        """The page is due then; an earlier plan is forgotten."""
        page.due = due
        self._plan(page, due)

    def press(self, page: _Page) -> None:
        """An extra look at the page, as soon as its limit allows."""
        now = self._now()
        page.forced = True
        wait = page.extra_wait(now)
        if wait > 0 or len(page.flying) >= FLIGHTS_MAX:
            self.schedule(page, min(page.due, now + wait))
        else:
            self._start(page, now)

    def landed(self, flight: _Flight, result: ProbeResult) -> None:
        """A look has ended."""
        page = flight.page
        self._left(page, flight)
        limit = min(self._stall_limit_s, page.aim.target.timeout_s / 2)
        if not result.void and self.stalls.overlap(result.started, result.ended, limit):
            result = replace(result, void=STALL)
        page.remember(result)
        if page.overdue:
            page.overdue = False
            self.schedule(page, max(self._now(), page.started + self._step(page.settings.fast_interval_s)))
        self._emit(page.service, result)

    def drop(self, page: _Page) -> None:
        """The page is not watched any more."""
        for flight in list(page.flying):
            flight.cancel()
            self._left(page, flight)
        page.due = _NEVER

    def _left(self, page: _Page, flight: _Flight) -> None:
        page.flying.remove(flight)
        self._flights -= 1

    def _first(self, page: _Page) -> None:
        self._slot = max(self._slot, self._now()) + 1 / STARTS_PER_S
        self.schedule(page, self._slot)

    def _plan(self, page: _Page, when: float) -> None:
        self._order += 1
        heapq.heappush(self._heap, (when, self._order, page))
        if when < self._wake:
            self._arm(when)

    def _arm(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._wake = when
        wait = when - self._now()
        self._timer = self._loop.call_later(max(wait, _GRAIN_S) if wait > 0 else 0, self._tick)

    def _tick(self) -> None:
        """Starts what is due, a batch at a time, so that sockets are served in between."""
        now = self._now()
        self.stalls.late(now - self._wake, now)
        self._timer, self._wake = None, -_NEVER  # nothing arms the timer meanwhile
        heap = self._heap
        for _ in range(_BATCH):
            if not heap or heap[0][0] > now + _GRAIN_S / 2:
                break
            when, _, page = heapq.heappop(heap)
            if when == page.late_at:
                self._late(page, now)
            if when == page.due:
                self._due(page, now)
        self._wake = _NEVER
        if heap:
            self._arm(heap[0][0])

    def _due(self, page: _Page, now: float) -> None:
        flying = len(page.flying)
        if flying >= FLIGHTS_MAX or (flying and not page.forced and not page.hurried(flying)):
            page.overdue, page.due = True, _NEVER
        else:
            self._start(page, now)

    def _late(self, page: _Page, now: float) -> None:
        """The look under way takes longer than this page ever needs: the next ones do not wait for its end."""
        page.late_at = _NEVER
        if not page.flying or not page.well:
            return
        page.guard.yield_place(now)
        page.hurry = True
        self.schedule(page, now)

    def _start(self, page: _Page, now: float) -> None:
        settings = page.settings
        quick = page.fast or page.hurry
        step = self._step(settings.fast_interval_s if quick else settings.interval_s)
        following = page.due + step if now - step < page.due <= now + _GRAIN_S else now + step
        if page.forced:
            page.took_extra()
        page.forced = page.overdue = False
        page.started = now
        if not page.flying:
            page.late_at = now + page.patience_s
            self._plan(page, page.late_at)
        self.schedule(page, following)
        self._flights += 1
        self._watch_ourselves()
        flight = _Flight(self, page)
        page.flying.append(flight)
        flight.begin()

    def _step(self, interval_s: float) -> float:
        return interval_s * (1 - 0.1 * self._chance())

    # --- our own attention

    def _measure(self) -> None:
        timeouts = [page.aim.target.timeout_s / 2 for pages in self._services.values() for page in pages.values()]
        self.stalls.limit_s = min([self._stall_limit_s, *timeouts])

    def _watch_ourselves(self) -> None:
        if self._beating is None:
            self._beat()

    def _beat(self) -> None:
        self.stalls.beat()
        if self._flights:
            self._beating = self._loop.call_later(self.stalls.beat_s, self._beat)
        else:
            self._beating = None
            self.stalls.rest()


class _Page:
    """One page of one member: when it is due, what is under way, how long it usually takes."""

    __slots__ = (
        "_extra", "_extra_at", "_mean", "_spread", "aim", "due", "fast", "flying", "forced", "guard", "hurry", "late_at", "monitor", "overdue",
        "probe", "service", "settings", "started", "well",
    )

    def __init__(self, monitor: Monitor, service: str, probe: Probe, aim: Aim, settings: ProbeSettings) -> None:
        self.monitor = monitor
        self.service = service
        self.probe = probe
        self.aim = aim
        self.settings = settings
        self.due = self.late_at = _NEVER
        self.started = -_NEVER
        self.fast = self.forced = self.hurry = self.overdue = self.well = False
        self.flying: list[_Flight] = []
        self.guard = _Guard(monitor, self)
        self._extra, self._extra_at = EXTRA_BURST, -_NEVER
        self._mean = self._spread = 0.0

    @property
    def patience_s(self) -> float:
        """How long a look may take before it is late: what its history makes likely and a little more; without one, a third of the timeout."""
        timeout = self.aim.target.timeout_s
        return 2 * self._mean + 8 * self._spread + timeout / 16 if self._mean else timeout / 3

    def hurried(self, flying: int) -> bool:
        """Whether another look may start beside those under way."""
        return self.hurry and flying < self.settings.fall

    def extra_wait(self, now: float) -> float:
        """How long until the page's allowance has room for an extra look; 0: now."""
        refill = self.settings.fast_interval_s
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
        if result.good and not result.void:
            took = result.ended - result.started
            self._spread += (abs(took - self._mean) - self._spread) / 8 if self._mean else took
            self._mean += (took - self._mean) / 8 if self._mean else took
            self.guard.arm()

    def close(self) -> None:
        self.monitor.drop(self)
        self.guard.close(self)
        self.aim.close()


class _Flight:
    """One look under way."""

    __slots__ = ("_cancel", "_monitor", "ended", "page")

    def __init__(self, monitor: Monitor, page: _Page) -> None:
        self._monitor = monitor
        self.page = page
        self.ended = False
        self._cancel: Cancel | None = None

    def begin(self) -> None:
        self._cancel = self.page.aim.start(self.done)

    def done(self, result: ProbeResult) -> None:
        if not self.ended:
            self.ended = True
            self._cancel = None
            self._monitor.landed(self, result)

    def cancel(self) -> None:
        self.ended = True
        if self._cancel is not None:
            self._cancel()


class _Guard:
    """The connection kept open to one member, shared by its pages; whatever ends it asks for a look at each of them."""

    __slots__ = ("_aim", "_cancel", "_monitor", "_pages", "_rest_s", "_rests_until")

    def __init__(self, monitor: Monitor, page: _Page) -> None:
        self._monitor = monitor
        self._aim = page.aim
        self._pages: list[_Page] = []
        self._cancel: Cancel | None = None
        self._rest_s = GUARD_REST_S
        self._rests_until = -_NEVER

    def share(self, page: _Page) -> None:
        """The page belongs to this member."""
        if page.guard is not self:
            page.guard.close(page)
        page.guard = self
        self._pages.append(page)

    def arm(self) -> None:
        """The member is well: the connection may be opened, unless it rests."""
        if self._cancel is None and self._aim.target.guarded and self._monitor._now() >= self._rests_until:
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

    def close(self, page: _Page) -> None:
        """The page leaves; the connection goes with it, and comes back with the next good look at another."""
        if page in self._pages:
            self._pages.remove(page)
        self.cut()

    def _tripped(self) -> None:
        for page in list(self._pages):
            self._monitor.press(page)
