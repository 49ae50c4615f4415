"""Runs the loops, and is the only place that catches what nobody expected (H55).

A loop that falls is started again with a growing pause; whatever else falls is told and left where it was. A loop proves that it lives by
beating its `Heart`; the watchdog of the operating system is fed only while every critical heart is on time, so that a task that died
silently or waits for ever restarts the whole process instead of going unnoticed.
"""

from __future__ import annotations

import asyncio
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Self

import structlog

from lbctl.clock import Clock

log = structlog.get_logger()
_PAUSE_S, _PAUSE_MAX_S = 0.1, 5.0
"""Before the first restart of a loop, and the longest."""
_STEADY_S = 60.0
"""A loop that ran so long had recovered: its next pause is the first again."""

_CANCEL_AGAIN_S = 1.0

Fault = Callable[[str, Exception], None]


class Heart:
    """One loop's sign of life. `limit_s` is how long it may be silent."""

    __slots__ = ("_clock", "critical", "last", "limit_s", "name")

    def __init__(self, name: str, clock: Clock, limit_s: float, *, critical: bool) -> None:
        self.name = name
        self.limit_s = limit_s
        self.critical = critical
        self._clock = clock
        self.last = clock.now()

    def beat(self) -> None:
        self.last = self._clock.now()

    @property
    def late(self) -> bool:
        return self._clock.now() - self.last > self.limit_s


class Fallen:
    """The one place (see above): takes what was raised, tells the supervisor, and keeps it in `error`. Cancelling passes."""

    __slots__ = ("_name", "_supervisor", "error")

    def __init__(self, supervisor: Supervisor, name: str) -> None:
        self._supervisor = supervisor
        self._name = name
        self.error: Exception | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        # Cancelling, and the end of the process, are no surprises and must get through.
        if not isinstance(error, Exception):
            return False
        self.error = error
        # Never silent: a loop that falls and rises unseen is the fault that H55 is about.
        self._supervisor.tell(self._name, error)
        return True


class Supervisor:
    """Keeps a reference to everything that runs. `on_fault` is told of each surprise; it must not raise."""

    def __init__(self, clock: Clock, on_fault: Fault | None = None) -> None:
        self.clock = clock
        self.on_fault = on_fault
        self.faults: Counter[str] = Counter()
        self._hearts: dict[str, Heart] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, name: str, loop: Callable[[Heart], Awaitable[None]], *, critical: bool = True, limit_s: float = 30.0) -> None:
        """Runs a loop for ever, again after each fall. Returning ends it."""
        # Its heart beats in the loop and not here: a supervisor that is well proves nothing about the loop.
        self._keep(self._again(name, loop, self.heart(name, limit_s, critical=critical)), name)

    def heart(self, name: str, limit_s: float, *, critical: bool = True) -> Heart:
        """A heart for something that beats without being a loop of this supervisor's."""
        heart = self._hearts[name] = Heart(name, self.clock, limit_s, critical=critical)
        return heart

    def task(self, name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Runs something with an end, once."""
        # The set keeps the reference: a task that only the event loop knows may be collected while it runs.
        task = self._keep(self.attempt(name, work), name)
        task.add_done_callback(lambda _: work.close())  # one that was cancelled before it began was never awaited
        return task

    def guard(self, name: str, call: Callable[..., Any], *args: Any) -> Exception | None:
        """Calls something that may fall; tells and returns what it raised."""
        with Fallen(self, name) as fallen:
            call(*args)
        return fallen.error

    async def attempt(self, name: str, work: Awaitable[Any]) -> Exception | None:
        """Awaits something that may fall; tells and returns what it raised."""
        with Fallen(self, name) as fallen:
            await work
        return fallen.error

    def late(self) -> list[str]:
        """The critical loops that have not beaten in time."""
        return [heart.name for heart in self._hearts.values() if heart.critical and heart.late]

    async def stop(self) -> None:
        """Cancels everything and waits for it, also for what was begun meanwhile.

        Asked again every second: `asyncio.wait_for` of Python 3.11, on which the mail library builds, can drop a cancellation.
        """
        # Again and again: what is cancelled may start something while it ends.
        while tasks := [task for task in self._tasks if task is not asyncio.current_task()]:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=_CANCEL_AGAIN_S)
        self._hearts.clear()

    def _keep(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _again(self, name: str, loop: Callable[[Heart], Awaitable[None]], heart: Heart) -> None:
        pause = _PAUSE_S
        while True:
            began = self.clock.now()
            # Returned by itself: it has ended, and its silence must not feed the alarm.
            if await self.attempt(name, loop(heart)) is None:
                del self._hearts[name]
                return
            if self.clock.now() - began > _STEADY_S:
                pause = _PAUSE_S
            await self.clock.sleep(pause)
            pause = min(pause * 2, _PAUSE_MAX_S)

    def tell(self, name: str, error: Exception) -> None:
        """Writes down a surprise."""
        self.faults[name] += 1
        # The last place is enough to find it, and the log stays one line for each fall.
        last = traceback.extract_tb(error.__traceback__)[-1:]
        where = f"{last[0].filename.rpartition('/')[2]}:{last[0].lineno}" if last else ""
        log.error("fell", loop=name, error=f"{type(error).__name__}: {error}", where=where, times=self.faults[name])
        if self.on_fault is not None:
            self.on_fault(name, error)
