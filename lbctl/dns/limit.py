"""Response-rate limiting: a server of small answers must not be the hose of somebody else's flood.

Each client prefix (/24, /56) has so many UDP responses a second. Beyond that every second one is answered truncated, which a real client
turns into TCP and a forged sender cannot use, and the others are dropped (contract section 3). Loopback is exempt. The second's counts are
thrown away with the second, so the memory is bounded by what one second can bring, and by `PREFIXES_MAX`.
"""

from __future__ import annotations

import socket
from enum import Enum

PREFIXES_MAX = 20_000


class Pass(Enum):
    """What becomes of one response."""

    SEND = "send"
    TRUNCATE = "truncate"
    DROP = "drop"


class RateLimit:
    """Counts responses by prefix. `rate` a second; `dropped` and `truncated` since the start.

    `counts` is open to the hot loop, which counts in place and asks `beyond` about what exceeds the rate.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.dropped = 0
        self.truncated = 0
        self.counts: dict[bytes | str, int] = {}
        self._second = 0

    def open(self, now: float) -> None:
        """Throws away what a second before `now` (monotonic seconds) has counted."""
        if int(now) != self._second or len(self.counts) > PREFIXES_MAX:
            self._second = int(now)
            self.counts.clear()

    def beyond(self, count: int) -> Pass:
        """What becomes of the response number `count` of a second, a number above the rate."""
        if (count - self.rate) % 2:
            self.truncated += 1
            return Pass.TRUNCATE
        self.dropped += 1
        return Pass.DROP

    def judge(self, prefix: bytes | str | None, now: float) -> Pass:
        """One more response to a client of `prefix` (None: exempt) at `now`."""
        self.open(now)
        if prefix is None:
            return Pass.SEND
        count = self.counts[prefix] = self.counts.get(prefix, 0) + 1
        return Pass.SEND if count <= self.rate else self.beyond(count)


def prefix_of(host: str) -> bytes | str | None:
    """The client prefix of an address; None for loopback."""
    if ":" not in host:
        return None if host.startswith("127.") else host[: host.rindex(".")]
    packed = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    return None if packed == _LOOPBACK6 else packed[:7]


_LOOPBACK6 = socket.inet_pton(socket.AF_INET6, "::1")
