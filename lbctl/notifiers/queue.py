"""Between the decision and the people: `offer` never waits and never fails, everything slow happens behind it (H52).

Each way has a lane of its own, so that a mail server that hangs delays nobody but its readers. In a lane notices keep their order; one that does
not arrive is tried again with a growing pause until it is too old to help, then given up in the log. A lane holds `LANE_MAX` notices; when it
is full the oldest of the least severe goes, and that is counted. The same `key` within `repeat_s` is one notice, unless its end was told between.
What became of each stands in `deliveries()`, for `lbctl notify test`, the API and the page.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from lbctl.clock import Clock
from lbctl.notifiers.base import RANK, DeliveryFailed, Notice, Notifier, Severity

LANE_MAX = 1000
LOG_MAX = 500
KEYS_MAX = 4096
log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSettings:
    """All in seconds. `deadline_s` bounds one try, `expire_s` the whole of one notice, `repeat_s` is how long the same key is a repeat."""

    deadline_s: float = 15.0
    first_pause_s: float = 1.0
    longest_pause_s: float = 300.0
    expire_s: float = 4 * 3600.0
    repeat_s: float = 600.0


OUTCOMES = ("delivered", "failed", "given-up", "dropped")


@dataclass(frozen=True, slots=True)
class Delivery:
    """One line of the delivery log. `outcome`: `delivered`, `failed` (it will be tried again), `given-up`, `dropped` (the lane was full)."""

    at: float
    notifier: str
    key: str
    service: str
    kind: str
    outcome: str
    attempt: int
    detail: str = ""
    took_s: float = 0.0


class NoticeQueue:
    """All configured ways behind one `offer`. `run` is to be supervised; it ends only by being cancelled."""

    def __init__(self, notifiers: Sequence[Notifier], clock: Clock, settings: QueueSettings | None = None) -> None:
        self._clock = clock
        self._settings = settings or QueueSettings()
        self._lanes = [_Lane(notifier, self) for notifier in notifiers]
        self._replaced = asyncio.Event()
        self._keys: OrderedDict[str, float] = OrderedDict()
        self._log: deque[Delivery] = deque(maxlen=LOG_MAX)
        self.counts: Counter[tuple[str, str]] = Counter()
        """How many deliveries ended how, by (notifier, outcome); `repeat` counts swallowed repeats under the notifier ""."""

    @property
    def ids(self) -> tuple[str, ...]:
        """The configured ways."""
        return tuple(lane.notifier.id for lane in self._lanes)

    @property
    def waiting(self) -> int:
        """Notices that have not arrived yet, over all ways."""
        return sum(len(lane.notices) for lane in self._lanes)

    def offer(self, notice: Notice) -> bool:
        """Takes a notice to be told; at once, whatever the state of any receiver. False for a repeat."""
        now = self._clock.now()
        seen = self._keys.get(notice.key)
        if seen is not None and now - seen < self._settings.repeat_s and notice.ends not in self._keys:
            self.counts["", "repeat"] += 1
            return False
        self._keys.pop(notice.ends, None)
        self._keys[notice.key] = now
        self._keys.move_to_end(notice.key)
        while len(self._keys) > KEYS_MAX:
            self._keys.popitem(last=False)
        for lane in self._lanes:
            lane.put(notice)
        return True

    async def run(self) -> None:
        """Delivers for ever, one task a way."""
        while True:
            self._replaced.clear()
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(lane.run(), name=f"notify {lane.notifier.id}") for lane in self._lanes]
                await self._replaced.wait()
                for task in tasks:
                    task.cancel()

    def replace(self, notifiers: Sequence[Notifier]) -> None:
        """Other ways from now on. What still waits for one that stays (by its id) goes on waiting; a try under way is made again."""
        waiting = {lane.notifier.id: lane.notices for lane in self._lanes}
        self._lanes = [_Lane(notifier, self) for notifier in notifiers]
        for lane in self._lanes:
            lane.notices.extend(waiting.get(lane.notifier.id, ()))
        self._replaced.set()

    async def test(self, by: str) -> list[Delivery]:
        """A test notice through every way at once and past the waiting ones; one try each, with its outcome."""
        now = self._clock.now()
        notice = Notice(
            key=f"test-{now:.3f}", service="", kind="test", severity=Severity.INFO, at=now, what="This is a test notice",
            why=f"{by or 'somebody'} asked for it with `lbctl notify test`", do="Nothing: if you read this, notices reach you.",
        )
        return [tried.delivery for tried in await asyncio.gather(*(lane.attempt(notice, 1) for lane in self._lanes))]

    def deliveries(self, limit: int = 100) -> list[Delivery]:
        """The newest lines of the delivery log, newest first."""
        return [*reversed(self._log)][:limit]

    def record(self, delivery: Delivery) -> Delivery:
        """Writes one line of the delivery log; the first failure of a notice and its end also go to the process's log."""
        self._log.append(delivery)
        self.counts[delivery.notifier, delivery.outcome] += 1
        if delivery.outcome != "delivered" and (delivery.attempt <= 1 or delivery.outcome != "failed"):
            log.warning("notice", notifier=delivery.notifier, outcome=delivery.outcome, kind=delivery.kind, detail=delivery.detail)
        elif delivery.outcome == "delivered" and delivery.attempt > 1:
            log.info("notice", notifier=delivery.notifier, outcome="delivered", kind=delivery.kind, attempt=delivery.attempt)
        return delivery

    @property
    def clock(self) -> Clock:
        return self._clock

    @property
    def settings(self) -> QueueSettings:
        return self._settings


@dataclass(frozen=True, slots=True)
class _Tried:
    """One try: its line of the log, and after how long another makes sense (None: never)."""

    delivery: Delivery
    again_s: float | None = 0.0


class _Lane:
    """The notices of one way, in order."""

    def __init__(self, notifier: Notifier, queue: NoticeQueue) -> None:
        self.notifier = notifier
        self.notices: deque[Notice] = deque()
        self._queue = queue
        self._more = asyncio.Event()
        self._dropping = False

    def put(self, notice: Notice) -> None:
        """Queues what this way wants; a full lane loses its oldest of the least severe."""
        if RANK[Severity(notice.severity)] < RANK[self.notifier.at_least]:
            return
        self.notices.append(notice)
        if len(self.notices) > LANE_MAX:
            self._drop()
        self._more.set()

    def _drop(self) -> None:
        """Makes room; said in the logs once until the lane has been empty, and counted each time."""
        index = min(range(len(self.notices)), key=lambda i: RANK[Severity(self.notices[i].severity)])
        dropped = self.notices[index]
        del self.notices[index]
        if self._dropping:
            self._queue.counts[self.notifier.id, "dropped"] += 1
        else:
            self._dropping = True
            self._end(dropped, "dropped", 0, f"more than {LANE_MAX} notices are waiting")

    async def run(self) -> None:
        while True:
            while self.notices:
                await self._deliver(self.notices[0])
            self._dropping = False
            self._more.clear()
            await self._more.wait()

    async def attempt(self, notice: Notice, attempt: int) -> _Tried:
        """One try under the deadline; its outcome is a value and a line of the log."""
        began, again_s = self._queue.clock.now(), 0.0
        outcome, detail, hopeless = "failed", "", False
        try:
            async with asyncio.timeout(self._queue.settings.deadline_s):
                await self.notifier.send(notice)
            outcome = "delivered"
        except DeliveryFailed as failed:
            detail, hopeless, again_s = str(failed), not failed.temporary, failed.retry_after_s or 0.0
        except TimeoutError:
            detail = f"no answer within {self._queue.settings.deadline_s:g} s"
        except OSError as error:
            detail = error.strerror or type(error).__name__
        delivery = self._end(notice, outcome, attempt, detail, self._queue.clock.now() - began)
        return _Tried(delivery, None if hopeless else again_s)

    async def _deliver(self, notice: Notice) -> None:
        """Tries until it arrived, cannot arrive, is too old, or was dropped from the lane meanwhile."""
        settings, attempt = self._queue.settings, 0
        while self.notices and self.notices[0] is notice:
            attempt += 1
            tried = await self.attempt(notice, attempt)
            if tried.delivery.outcome == "delivered":
                break
            pause = min(max(settings.first_pause_s * 2.0 ** min(attempt - 1, 30), tried.again_s or 0.0), settings.longest_pause_s)
            if tried.again_s is None or self._queue.clock.now() + pause > notice.at + settings.expire_s:
                self._end(notice, "given-up", attempt, tried.delivery.detail)
                break
            await self._queue.clock.sleep(pause)
        self._forget(notice)

    def _forget(self, notice: Notice) -> None:
        if self.notices and self.notices[0] is notice:
            self.notices.popleft()

    def _end(self, notice: Notice, outcome: str, attempt: int, detail: str, took_s: float = 0.0) -> Delivery:
        return self._queue.record(Delivery(
            at=self._queue.clock.now(), notifier=self.notifier.id, key=notice.key, service=notice.service, kind=notice.kind,
            outcome=outcome, attempt=attempt, detail=detail, took_s=took_s,
        ))
