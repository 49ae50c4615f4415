"""The sockets of all looks: one epoll of our own inside the event loop, because a look is only some five system calls long.

A transport, a protocol and a reader handle for each connection cost more than the look itself. Here the loop watches one descriptor, the
epoll's; when it is ready, all ready sockets are served in one batch. Sockets are registered once, edge-triggered, for everything: whoever
is told must read until there is no more. Works the same under asyncio and uvloop; Linux only, as the product is.

A socket that is dropped inside a batch is closed after it: its number cannot come back in the same batch and be taken for the old one.
"""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Callable
from typing import Protocol

from lbctl.clock import Clock
from lbctl.probes.names import Names
from lbctl.probes.tls import Contexts

# Edge-triggered and for everything: one registration for a socket's whole life, no call to change what is waited for.
_EVENTS = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
# So that the loop's timers, deadlines among them, come in between when thousands are ready at once.
_BATCH = 512
# struct linger {on, 0 s}: close sends RST and the port is free at once.
_RESET_AT_CLOSE = b"\x01\x00\x00\x00\x00\x00\x00\x00"


class Watcher(Protocol):
    """Whoever owns a socket. Must not raise."""

    def ready(self, events: int) -> None:
        """The socket has something; `events` are epoll's."""
        ...


class Engine:
    """Made inside a running event loop; one for the whole process. All kinds of probes share it."""

    def __init__(self, clock: Clock) -> None:
        self.now = clock.now
        self.clock = clock
        self.contexts = Contexts()
        self._loop = asyncio.get_running_loop()
        self.names = Names(self._loop, clock)
        self.later = self._loop.call_later
        self._epoll = select.epoll()
        self._watchers: dict[int, Watcher] = {}
        self._dropped: list[socket.socket] = []
        self._serving = False
        self._loop.add_reader(self._epoll.fileno(), self.serve)

    def attach(self, sock: socket.socket, watcher: Watcher) -> None:
        """From now on `watcher` is told whatever happens to the socket."""
        number = sock.fileno()
        # First, because it may raise: a watcher without a registered socket would wait for ever.
        self._epoll.register(number, _EVENTS)
        self._watchers[number] = watcher

    def hand_over(self, sock: socket.socket, watcher: Watcher) -> None:
        """Another watcher owns the socket now."""
        self._watchers[sock.fileno()] = watcher

    def drop(self, sock: socket.socket, *, abort: bool = True) -> None:
        """Closes the socket; with `abort` by RST, so that thousands of looks leave no thousands of TIME_WAIT behind."""
        # At once, though the socket is closed later: an event of the same batch must find nobody.
        self._watchers.pop(sock.fileno(), None)
        if abort:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
        if self._serving:
            self._dropped.append(sock)
        else:
            sock.close()

    def serve(self) -> None:
        """Serves every socket that is ready now. Also asked before a deadline strikes: what came in time counts, though the loop was late."""
        # A deadline that strikes inside a batch asks again: the outer call serves what is ready.
        if self._serving:
            return
        self._serving = True
        find = self._watchers.get
        try:
            # What does not fit is ready still, and the loop calls again: the epoll's own descriptor is level-triggered.
            for number, events in self._epoll.poll(0, _BATCH):
                watcher = find(number)
                # Dropped earlier in this very batch.
                if watcher is not None:
                    watcher.ready(events)
        finally:
            self._serving = False
            for sock in self._dropped:
                sock.close()
            self._dropped.clear()

    def deadline(self, seconds: float, strike: Callable[[], None]) -> asyncio.TimerHandle:
        """Calls `strike` after that time."""
        return self.later(seconds, strike)

    @property
    def sockets(self) -> int:
        """How many are open."""
        return len(self._watchers)

    def close(self) -> None:
        """Ends everything at once; looks under way are never reported."""
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()
        self._watchers.clear()
        self.names.close()
