"""What waits for a service's loop while it saves, in order and bounded.

When it is full, ticks go first, then the oldest looks: the next tick and the next look say the same. Commands, and what actuators tell, are
never dropped; they are few, because those who send them wait for the answer.
"""

from __future__ import annotations

import asyncio

from lbctl.model.commands import Reply
from lbctl.model.events import Event, Tick
from lbctl.model.looks import ProbeResult

LIMIT = 256

Waiting = tuple[Event, "asyncio.Future[Reply] | None"]


class Inbox:
    """A queue of events, each with the future of whoever waits for its reply. `dropped` counts what a full one let go of."""

    __slots__ = ("_events", "dropped")

    def __init__(self) -> None:
        self._events: list[Waiting] = []  # a deque takes 700 bytes when empty, as it nearly always is
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._events)

    def put(self, event: Event, future: asyncio.Future[Reply] | None = None) -> None:
        """At the end; may drop something older, or the event itself where it is a tick."""
        if len(self._events) >= LIMIT:
            # The newest tick is the least of all: one that waits says the same.
            if isinstance(event, Tick):
                self.dropped += 1
                return
            self._drop()
        self._events.append((event, future))

    def put_back(self, event: Event, future: asyncio.Future[Reply] | None) -> None:
        """At the front: it is to be judged again before anything else."""
        # Beyond the limit if need be: it was in already when the save began.
        self._events.insert(0, (event, future))

    def pop(self) -> Waiting:
        return self._events.pop(0)

    def clear(self) -> list[Waiting]:
        """Empties it; returns what was there."""
        left = list(self._events)
        self._events.clear()
        return left

    def _drop(self) -> None:
        # The oldest first: of two looks at a page the newer one says more.
        for kind in (Tick, ProbeResult):
            for position, (event, _) in enumerate(self._events):
                if isinstance(event, kind):
                    del self._events[position]
                    self.dropped += 1
                    return
