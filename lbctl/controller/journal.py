"""What happened, on its way to the store and to all who listen.

Lines that belong to a saved decision are stored with it, in the same transaction. All others (a look's verdict, a refused command) gather
here for a moment and are stored together, so that four thousand members that fall at once cost a few writes. Whoever saves takes along what
waits here: the looks that led to a decision stand before it. The buffer is bounded: while the disk is full the oldest lines go, and that is
counted and told.

Listeners are called at once, in order, whether or not the line could be stored: whoever is to be woken must be woken above all when the disk
is full. They cannot answer back. A stream is not a listener: it is given a bell and reads the journal itself (`api.base.Bell`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from lbctl.clock import Clock
from lbctl.controller.counts import Counts
from lbctl.controller.supervisor import Supervisor
from lbctl.errors import StoreUnavailable
from lbctl.model.decision import Step
from lbctl.stores.base import Store

BUFFER_MAX = 20_000
WRITE_MAX = 1000
"""Lines in the buffer, and in one write, at most."""
_AGAIN_S = 2.0

Listener = Callable[[Step], None]


class JournalBell:
    """See `api.base.Bell`."""

    __slots__ = ("_bells", "_rung")

    def __init__(self, bells: set[JournalBell]) -> None:
        self._rung = asyncio.Event()
        self._bells = bells
        bells.add(self)

    def ring(self) -> None:
        self._rung.set()

    async def wait(self) -> None:
        await self._rung.wait()
        self._rung.clear()

    def close(self) -> None:
        self._bells.discard(self)


class Journal:
    """`store_problem` is why nothing can be stored now, empty while all is well."""

    def __init__(self, store: Store, clock: Clock, supervisor: Supervisor, counts: Counts) -> None:
        self.store_problem = ""
        self._store = store
        self._clock = clock
        self._supervisor = supervisor
        self._counts = counts
        self._waiting: deque[Step] = deque()
        self._writer: asyncio.Task[object] | None = None
        self._listeners: list[Listener] = []
        self._bells: set[JournalBell] = set()

    def listen(self, listener: Listener) -> None:
        """Calls `listener` with each step from now on."""
        self._listeners.append(listener)

    def bell(self) -> JournalBell:
        return JournalBell(self._bells)

    def write(self, steps: Sequence[Step]) -> None:
        """Steps that change no state."""
        if not steps:
            return
        self._tell(steps)
        self._waiting.extend(steps)
        while len(self._waiting) > BUFFER_MAX:
            # The oldest: while nothing can be stored, what is happening now is worth more.
            self._waiting.popleft()
            self._counts.dropped["journal"] += 1
        self._write_on()

    def take(self) -> list[Step]:
        """What waits, for a save to store in front of its own lines (at most `WRITE_MAX`, or a mass of looks would hold up a move)."""
        return [self._waiting.popleft() for _ in range(min(len(self._waiting), WRITE_MAX))]

    def put_back(self, steps: Sequence[Step]) -> None:
        """What was taken for a save that failed: in front again and in order."""
        self._waiting.extendleft(reversed(steps))
        self._write_on()

    def stored(self, steps: Sequence[Step]) -> None:
        """Steps that a save has already stored."""
        # A save that went through is the proof that the store is well again.
        self.store_problem = ""
        self._tell(steps)
        self.ring()

    def ring(self) -> None:
        """Wakes all who read along."""
        for bell in self._bells:
            bell.ring()

    async def flush(self) -> None:
        """Waits until all is stored, or cannot be."""
        # While the disk is full it would wait for ever, and so would the end of the process.
        if self._writer is not None and not self.store_problem:
            await self._writer

    def _tell(self, steps: Sequence[Step]) -> None:
        for step in steps:
            for listener in self._listeners:
                self._supervisor.guard("listener", listener, step)

    def _write_on(self) -> None:
        # One writer: lines are numbered in the order in which they are written.
        if self._waiting and (self._writer is None or self._writer.done()):
            self._writer = self._supervisor.task("journal", self._flush())

    async def _flush(self) -> None:
        while self._waiting:
            batch = self.take()
            try:
                await self._store.append(batch)
            except StoreUnavailable as error:
                self.store_problem = str(error)
                # In front again and in order: the journal's order is the order in which things were decided.
                self._waiting.extendleft(reversed(batch))
                await self._clock.sleep(_AGAIN_S)
                continue
            self.store_problem = ""
            self.ring()
