"""An event loop on virtual time: a sleep of an hour ends at once, and always in the same order.

The selector is asked with the time until the next timer; instead of waiting, the clock jumps there. Work in executor threads is waited for
in real time (the store's thread). Sockets are refused: whatever needs one does not belong on virtual time. When nothing is left to happen,
the program hangs for ever, which is an error at once (`Deadlock`) and not a test that stands still.

    def test_something() -> None:
        virtual.run(story())           # `story` is a coroutine function's call; `asyncio.sleep(3600)` in it costs nothing
"""

from __future__ import annotations

import asyncio
import selectors
from collections import deque
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Deadlock(RuntimeError):
    """Every task waits and no timer is left."""


class Livelock(RuntimeError):
    """Something goes round and round while time stands still."""


TURNS_MAX = 200_000
"""Turns of the loop at one instant."""


class _Jumping(selectors.BaseSelector):
    """Polls the loop's own wake-up pipe and jumps over waiting."""

    def __init__(self) -> None:
        self._real = selectors.DefaultSelector()
        self.now = 0.0
        self.outside = 0
        self._turns = 0

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        if self._real.get_map():
            raise RuntimeError("no sockets on virtual time")
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def get_map(self) -> Any:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout == 0 and not self.outside:
            self._turns += 1
            if self._turns > TURNS_MAX:
                self._turns = 0
                raise Livelock("time stands still")
            return []
        self._turns = 0
        if self.outside or timeout is None:
            ready = self._real.select(0 if timeout is not None and timeout <= 0 else 5 if self.outside else 0)
            if ready or self.outside:
                return ready
            raise Deadlock("nothing is left to happen")
        self.now += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """`time()` starts at 0. While a thread works (`run_in_executor`, or `outside` raised by hand) time stands still."""

    _scheduled: list[asyncio.TimerHandle]
    _ready: deque[asyncio.Handle]

    def __init__(self) -> None:
        self.jumping = _Jumping()
        super().__init__(self.jumping)
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self.jumping.now

    def stall(self, seconds: float) -> None:
        """The process was not there for so long: time has passed and nothing has happened (SIGSTOP, a pause of the machine)."""
        self.jumping.now += seconds

    def rewind(self) -> None:
        """Back to 0 for the next story on the same loop; what was planned and not yet done is forgotten."""
        self.jumping.now = 0.0
        for handle in self._scheduled:
            handle.cancel()
        self._scheduled.clear()
        self._ready.clear()

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        future = super().run_in_executor(executor, func, *args)
        self.jumping.outside += 1
        future.add_done_callback(self._back)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        self.jumping.outside += 1
        await super().shutdown_default_executor()
        self.jumping.outside -= 1

    def _back(self, _: asyncio.Future[Any]) -> None:
        self.jumping.outside -= 1


def run(story: Coroutine[Any, Any, T]) -> T:
    """Runs one coroutine to its end on a fresh virtual loop; tasks left over are cancelled."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(story)
