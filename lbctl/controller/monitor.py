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
from lbctl.controller.watched import NEVER, Flight, Guard, Page
from lbctl.model.looks import ProbeResult
from lbctl.model.settings import ProbeSettings
from lbctl.probes.base import Probe, Target
from lbctl.probes.ways import aim

Emit = Callable[[str, ProbeResult], None]

# A start of ten thousand members takes five seconds instead of one spike that looks like a stall (H23).
STARTS_PER_S = 2000.0
# A member that hangs must not gather looks without end; `budget.ABREAST` counts on the same number.
FLIGHTS_MAX = 4
STALL = "stall"
# Starts cost more than anything else here: replies that are waiting are served between two batches.
_BATCH = 64
_GRAIN_S = 0.001
"""uvloop rounds timers to whole milliseconds: a shorter wait would be none, and the loop would spin until the time has come."""


class Monitor:
    """Made inside a running event loop. `emit` is called for every result, with the service's name; it must not block or raise."""

    def __init__(self, clock: Clock, emit: Emit, *, stall_limit_s: float = 2.0, chance: random.Random | None = None) -> None:
        self.now = clock.now
        self._emit = emit
        self._stall_limit_s = stall_limit_s
        self._chance = (chance or random.Random()).random  # noqa: S311 - spreads load, keeps no secret
        self._loop = asyncio.get_running_loop()
        self._services: dict[str, dict[tuple[str, str], Page]] = {}
        self._heap: list[tuple[float, int, Page]] = []
        self._order = 0
        self._timer: asyncio.TimerHandle | None = None
        self._wake = NEVER
        self._beating: asyncio.TimerHandle | None = None
        self._slot = 0.0
        self._flights = 0
        self.stalls = Stalls(clock.now)

    # --- what is watched

    def watch(self, service: str, probe: Probe, targets: Iterable[Target], settings: Mapping[str, ProbeSettings]) -> None:
        """From now on these pages are looked at; `settings` by member. Pages of the service that are unchanged go on undisturbed."""
        before = self._services.get(service, {})
        pages: dict[tuple[str, str], Page] = {}
        guards: dict[str, Guard] = {}
        for target in targets:
            key = (target.member, target.page)
            page = before.get(key)
            # Compared by value: a reload that changes nothing for a page loses none of its history (H28).
            if page is None or page.aim.target != target or page.settings != settings[target.member] or page.probe != probe:
                # A new aim: what was kept open to the old place says nothing about the new one.
                page = Page(self, service, probe, aim(probe, target), settings[target.member])
                self._first(page)
            else:
                del before[key]
            guards.setdefault(target.member, Guard(self, page)).share(page)
            pages[key] = page
        # What is left is in the new settings no more.
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
        # The page may have gone in a reload since the decision that asks for it.
        if found is not None:
            self.press(found)

    def pace(self, service: str, fast: frozenset[tuple[str, str]]) -> None:
        """Those pages (member, page) are looked at every `fast_interval`, all others of the service every `interval`."""
        for key, page in self._services.get(service, {}).items():
            wanted = key in fast
            # Only ever earlier, and counted from its last start: switching to and fro must not make more looks (H23).
            if wanted and not page.fast:
                self.schedule(page, min(page.due, max(page.started + self._step(page.settings.fast_interval_s), self.now())))
            page.fast = wanted

    @property
    def lag_s(self) -> float:
        """The event loop's longest recent lag."""
        return self.stalls.lag_s

    # --- the schedule

    def schedule(self, page: Page, due: float) -> None:
        """The page is due then; an earlier plan is forgotten."""
        page.due = due
        self._plan(page, due)

    def press(self, page: Page) -> None:
        """An extra look at the page, as soon as its limit allows."""
        now = self.now()
        page.forced = True
        wait = page.extra_wait(now)
        # Asked for and not lost: it comes as soon as the allowance has room.
        if wait > 0 or len(page.flying) >= FLIGHTS_MAX:
            self.schedule(page, min(page.due, now + wait))
        else:
            self._start(page, now)

    def landed(self, flight: Flight, result: ProbeResult) -> None:
        """A look has ended."""
        page = flight.page
        self._left(page, flight)
        # Of a short timeout half is enough to have missed the reply (H24).
        limit = min(self._stall_limit_s, page.aim.target.timeout_s / 2)
        # Each way by itself: the stall may lie over one of the looks and not over the other.
        if result.ways:
            result = replace(result, ways=tuple((way, self._marked(part, limit)) for way, part in result.ways))
        result = self._marked(result, limit)
        # Marked first: how long a look took while we slept is no history of the member.
        page.remember(result)
        # It was due while this one was under way: not made up for, only taken up again.
        if page.overdue:
            page.overdue = False
            self.schedule(page, max(self.now(), page.started + self._step(page.settings.fast_interval_s)))
        self._emit(page.service, result)

    def _marked(self, result: ProbeResult, limit: float) -> ProbeResult:
        return replace(result, void=STALL) if not result.void and self.stalls.overlap(result.started, result.ended, limit) else result

    def drop(self, page: Page) -> None:
        """The page is not watched any more."""
        # A copy: each that is cancelled leaves the list.
        for flight in list(page.flying):
            flight.cancel()
            self._left(page, flight)
        page.due = NEVER

    def _left(self, page: Page, flight: Flight) -> None:
        page.flying.remove(flight)
        self._flights -= 1

    def _first(self, page: Page) -> None:
        # One slot after the other, also over several services: all of them start in the same second.
        self._slot = max(self._slot, self.now()) + 1 / STARTS_PER_S
        self.schedule(page, self._slot)

    def _plan(self, page: Page, when: float) -> None:
        self._order += 1
        # An older plan of the page stays in the heap; it is known by its time, which is not the page's any more.
        heapq.heappush(self._heap, (when, self._order, page))
        if when < self._wake:
            self._arm(when)

    def _arm(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._wake = when
        wait = when - self.now()
        self._timer = self._loop.call_later(max(wait, _GRAIN_S) if wait > 0 else 0, self._tick)

    def _tick(self) -> None:
        """Starts what is due, a batch at a time, so that sockets are served in between."""
        now = self.now()
        # This timer is the finest measure of our own lateness there is.
        self.stalls.late(now - self._wake, now)
        self._timer, self._wake = None, -NEVER  # nothing arms the timer meanwhile
        heap = self._heap
        for _ in range(_BATCH):
            if not heap or heap[0][0] > now + _GRAIN_S / 2:
                break
            when, _, page = heapq.heappop(heap)
            if when == page.late_at:
                self._late(page, now)
            # Both may be true at once, and plans that were given up match neither.
            if when == page.due:
                self._due(page, now)
        self._wake = NEVER
        if heap:
            self._arm(heap[0][0])

    def _due(self, page: Page, now: float) -> None:
        flying = len(page.flying)
        # A look under way, and nothing speaks for a second one: the next is due when it has ended.
        if flying >= FLIGHTS_MAX or (flying and not page.forced and not page.hurried(flying)):
            page.overdue, page.due = True, NEVER
        else:
            self._start(page, now)

    def _late(self, page: Page, now: float) -> None:
        """The look under way takes longer than this page ever needs: the next ones do not wait for its end."""
        page.late_at = NEVER
        # A member that failed last time is slow for a known reason: hurrying would only add looks.
        if not page.flying or not page.well:
            return
        # Before the next looks start: the place that it gives up may be the one they need.
        page.guard.yield_place(now)
        page.hurry = True
        self.schedule(page, now)

    def _start(self, page: Page, now: float) -> None:
        settings = page.settings
        quick = page.fast or page.hurry
        step = self._step(settings.fast_interval_s if quick else settings.interval_s)
        # From when it was due and not from now, or each lateness would move the schedule on; unless it is too late for that.
        following = page.due + step if now - step < page.due <= now + _GRAIN_S else now + step
        if page.forced:
            page.took_extra()
        page.forced = page.overdue = False
        page.started = now
        # Only the first of several decides when to hurry: the others start because of it.
        if not page.flying:
            page.late_at = now + page.patience_s
            self._plan(page, page.late_at)
        self.schedule(page, following)
        self._flights += 1
        self._watch_ourselves()
        flight = Flight(self, page)
        page.flying.append(flight)
        flight.begin()

    def _step(self, interval_s: float) -> float:
        # Only shorter: the bounds of `budget` are promises about the longest time (SEMANTICS 2).
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
        # Nobody is judged while nothing is under way, and an idle controller sleeps.
        if self._flights:
            self._beating = self._loop.call_later(self.stalls.beat_s, self._beat)
        else:
            self._beating = None
            self.stalls.rest()
