"""A connection kept open to a member for nothing but its end: the kernel's FIN or RST tells of a crash within milliseconds (H23 bounds it).

It is a hint to look at once, never a verdict. No byte is sent and no TLS is spoken on it. Servers close idle connections, too: when two
ends in a row come at about the same age, that age is taken as the server's patience, and from then on the wire is renewed by us a little
before it; each quiet renewal stretches the estimate, so that nothing is believed for ever. A server with hardly any patience is left alone
for longer and longer. So a healthy member sees at most a connection in `LIFE_MIN_S` seconds, and a look that it did not deserve once in
some ten of its patiences or once in `WAIT_MAX_S`.
"""

from __future__ import annotations

import random
import select
import socket
from collections.abc import Callable

from lbctl.probes.engine import Engine
from lbctl.probes.names import Place
from lbctl.probes.route import Route

# At most one connection in ten seconds for a healthy member, however short its server's patience (H23).
LIFE_MIN_S = 10.0
LIFE_MAX_S = 3600.0
# Also the spread of the first arming: a restart must not open ten thousand connections in one moment (H23).
WAIT_MIN_S = 1.0
# A server that ends every connection is asked less and less, but never given up: its settings may change.
WAIT_MAX_S = 300.0
# A member that is down should be guarded again soon after it is back.
UNCONNECTED_MAX_S = 30.0
# Renewed this much before the server would end it, and two ends are alike when they differ by less than the rest.
_SHARE = 0.8
_STRETCH = 1.02


class Tripwire:
    """One wire. Armed a random moment after it was made, so that ten thousand do not start at once; `cancel` ends it."""

    __slots__ = ("_age", "_armed", "_connected", "_engine", "_life", "_route", "_sock", "_timer", "_tripped", "_wait")

    def __init__(self, engine: Engine, route: Route, tripped: Callable[[], None]) -> None:
        self._engine = engine
        self._route = route
        self._tripped = tripped
        self._sock: socket.socket | None = None
        # Trusting until shown otherwise: the first ends teach the server's patience.
        self._life = LIFE_MAX_S
        self._wait = WAIT_MIN_S
        self._armed = 0.0
        self._age = 0.0
        self._connected = False
        self._timer = engine.later(random.random() * WAIT_MIN_S, self._arm)  # noqa: S311 - spreads load, keeps no secret

    def cancel(self) -> None:
        """Ends it for good."""
        self._timer.cancel()
        self._drop()

    def ready(self, events: int) -> None:
        """Connected, refused, or ended. Bytes out of turn are an end: nobody asked."""
        sock = self._sock
        if sock is None:
            return
        if not self._connected:
            self._connected = not events & (select.EPOLLERR | select.EPOLLHUP)
            if not self._connected:
                self._rest(UNCONNECTED_MAX_S)
                return
        # `EPOLLOUT` alone is the connection made, or nothing at all.
        if events & (select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLERR | select.EPOLLHUP):
            self._ended()

    def _arm(self) -> None:
        self._drop()
        # Asks no name: looks keep the answer fresh, and a hint is not worth a question.
        places = self._route.addresses()
        sock = self._connect(places[0]) if places else None
        if sock is None:
            self._rest(UNCONNECTED_MAX_S)
            return
        self._sock = sock
        self._connected = False
        # From the attempt, not from the connection: the server's clock has begun at about the same time.
        self._armed = self._engine.now()
        # A tenth of chance, so that wires made together do not stay together.
        self._timer = self._engine.later(self._life * (1 - 0.1 * random.random()), self._renew)  # noqa: S311

    def _connect(self, place: Place) -> socket.socket | None:
        try:
            sock = self._route.connect(place)
        except OSError:
            return None
        try:
            self._engine.attach(sock, self)
        except OSError:
            sock.close()
            return None
        return sock

    def _renew(self) -> None:
        """It has outlived our estimate of the server's patience: a fresh one, in silence, and a little more trust."""
        self._life = min(self._life * _STRETCH, LIFE_MAX_S)
        self._wait = WAIT_MIN_S
        self._arm()

    def _ended(self) -> None:
        age, before = self._engine.now() - self._armed, self._age
        self._age = age
        # Two in a row: one end may be a crash, two at the same age are a habit.
        if abs(age - before) < (1 - _SHARE) * age:
            self._life = min(max(age * _SHARE, LIFE_MIN_S), LIFE_MAX_S)
        # It has held for a while: what ended it is news, and no impatience to be waited out.
        if age > LIFE_MIN_S:
            self._wait = WAIT_MIN_S
        # Before the hint: whoever hears it may cancel this wire, and a timer set afterwards would outlive it.
        self._rest(WAIT_MAX_S)
        self._tripped()

    def _rest(self, longest: float) -> None:
        """Waits before the next try, each time twice as long."""
        self._timer.cancel()
        self._drop()
        self._timer = self._engine.later(self._wait * (1 - 0.1 * random.random()), self._arm)  # noqa: S311
        self._wait = min(self._wait * 2, longest)

    def _drop(self) -> None:
        if self._sock is not None:
            self._engine.drop(self._sock)
            self._sock = None
