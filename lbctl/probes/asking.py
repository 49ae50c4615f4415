"""An exchange aimed at one target, and its outcome as a `ProbeResult`: what the kinds `core`, `http` and `tcp` have in common.

Kept between looks: the prepared request, the certificate's facts, with `connection: keep` one connection. A kept connection carries at
most `KEPT_LOOKS_MAX` looks, and after any bad look the next one is fresh: what confirms a failure never rides on an old connection (H19).

Where the certificate does not verify, a second handshake within the same deadline, without verification and without a request, learns when
it ends (H20), at most once in `PEEK_EVERY_S`. Its outcome never changes the verdict.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType
from typing import TypeAlias

from lbctl.model.looks import ProbeResult, Reason, Verdict
from lbctl.probes.base import Aim, Cancel, Done, Target
from lbctl.probes.engine import Engine
from lbctl.probes.exchange import Exchange
from lbctl.probes.reply import Reply, date_seconds
from lbctl.probes.route import Route
from lbctl.probes.tripwire import Tripwire
from lbctl.probes.wire import Wire
from lbctl.statuspage import Parsed

# A kept connection never sees that a listener is gone; a hundred looks bound how long that can hide (H19).
KEPT_LOOKS_MAX = 100
# The end of a certificate does not change by the second, and a second handshake at every failed look is a load of its own.
PEEK_EVERY_S = 60.0
LOCAL = "local"

Judge: TypeAlias = Callable[[Reply], Parsed]
CONNECTED = Parsed(Verdict.OK, Reason.OK, "")
_seconds = lru_cache(maxsize=64)(date_seconds)


class Asking:
    """An `Aim` that asks by an exchange and judges the reply with `judge`; without one, being connected is enough."""

    __slots__ = ("_engine", "_judge", "_kept", "_peeked", "_route", "_target", "_void")

    def __init__(
        self, engine: Engine, target: Target, *, request: bytes = b"", expected: frozenset[int] = frozenset(), judge: Judge | None = None
    ) -> None:
        self._engine = engine
        self._target = target
        self._judge = judge
        self._kept: Wire | None = None
        # Never yet: the first failure learns at once.
        self._peeked = float("-inf")
        self._route = Route(
            engine.names.name(*target.place), target.timeout_s, target.tls if target.scheme == "https" else None,
            # The url's host and not the place connected to: a look by address must still ask for the right site (H17).
            target.tls.server_name or target.host, request, expected, target.source, target.family,
        )

    @property
    def target(self) -> Target:
        return self._target

    def start(self, done: Done) -> Cancel:
        # Taken away before it is used: two looks under way at once must not share one connection.
        kept, self._kept = self._kept, None
        looking = Looking(self, done)
        looking.exchange.begin(kept)
        return looking.cancel

    def guard(self, tripped: Callable[[], None]) -> Cancel:
        return Tripwire(self._engine, self._route, tripped).cancel

    def close(self) -> None:
        if self._kept is not None:
            self._engine.drop(self._kept.sock)
            self._kept = None

    def ready(self, events: int) -> None:
        """The kept connection stirs while nobody asks: it has ended, or speaks out of turn."""
        self.close()

    def keep(self, wire: Wire) -> None:
        """The connection has carried a good look and may carry another."""
        wire.uses += 1
        if self._target.connection == "keep" and wire.uses < KEPT_LOOKS_MAX and self._kept is None:
            # One is enough: a second look that ends beside it lets go of its own.
            self._kept = wire
            self._engine.hand_over(wire.sock, self)
        else:
            self._engine.drop(wire.sock)


class Looking:
    """One look under way: an exchange, and a second handshake where the certificate is to be learned."""

    __slots__ = ("_aim", "_done", "_peek", "exchange")

    def __init__(self, aim: Asking, done: Done) -> None:
        self._aim = aim
        self._done = done
        self._peek: Exchange | None = None
        self.exchange = Exchange(aim._engine, aim._route, self._ended)

    def cancel(self) -> None:
        self.exchange.cancel()
        if self._peek is not None:
            self._peek.cancel()

    def _ended(self, exchange: Exchange) -> None:
        aim = self._aim
        flaw = exchange.flaw
        # A renewed CA or client certificate is picked up by the look after a failure, without reading files at every look.
        aim._route.reread_files = flaw is not None and flaw.reason is Reason.TLS
        now = aim._engine.now()
        if exchange.unverified and now - aim._peeked > PEEK_EVERY_S and exchange.place is not None:
            # Before the answer is in: a server that hangs in the handshake is not asked for its certificate at every look.
            aim._peeked = now
            self._learn(exchange, now)
        else:
            self._report()

    def _learn(self, exchange: Exchange, now: float) -> None:
        route = self._aim._route
        if route.tls is None or exchange.place is None:
            return
        # The same address: behind one name there may be servers with different certificates.
        bare = replace(route, tls=replace(route.tls, verify=False, pin_sha256=None), request=b"", places=(exchange.place,), reread_files=False)
        self._peek = Exchange(self._aim._engine, bare, lambda _: self._learned(bare))
        # What is left of the same deadline: the look has one end, whatever is learned (H15).
        self._peek.begin(timeout_s=max(exchange.started + route.timeout_s - now, 0))

    def _learned(self, bare: Route) -> None:
        self._aim._route.facts = bare.facts
        self._report()

    def _report(self) -> None:
        exchange, aim = self.exchange, self._aim
        parsed = self._parsed()
        if exchange.wire is not None:
            if parsed.reason is Reason.OK:
                aim.keep(exchange.wire)
            else:
                aim._engine.drop(exchange.wire.sock)
        flaw, reader, facts = exchange.flaw, exchange.reader, aim._route.facts
        # What an earlier look learned says nothing about who refused this one. A certificate that does not verify was shown, though: it may be
        # another member's, and the look then no failure of this one (H17).
        shown = flaw is None or "tls" in exchange.phases or exchange.unverified
        self._done(ProbeResult(
            aim.target.member, aim.target.page, parsed.verdict, parsed.reason, exchange.started, aim._engine.now(), parsed.detail,
            exchange.phases, reader.status, self._skew(), facts.not_after if facts else None, reader.suspicious,
            # Want of descriptors or ports here would fail every member at once: such a look is void.
            LOCAL if flaw is not None and flaw.local else "", facts.key if facts and shown else "",
        ))

    def _parsed(self) -> Parsed:
        flaw, reply, judge = self.exchange.flaw, self.exchange.reply, self._aim._judge
        if flaw is not None:
            return Parsed(Verdict.FAILED, flaw.reason, flaw.detail)
        # Without a judge being connected was the question, and the exchange has ended without a flaw.
        return judge(reply) if judge is not None and reply is not None else CONNECTED

    def _skew(self) -> float | None:
        """The member's clock against ours in seconds. `Date` is cut to whole seconds: half of one is added, half of one is the error."""
        date = self.exchange.reader.date
        seconds = _seconds(date) if date else None
        if seconds is None:
            return None
        clock, phases = self._aim._engine.clock, self.exchange.phases
        # `Date` was written half the wait for the first byte before that byte came, and the body came after it.
        stamped = clock.now() + clock.wall_step() - phases.get("body", 0.0) - phases.get("firstbyte", 0.0) / 2
        return seconds + 0.5 - stamped


def http_request(target: Target, path: str, headers: Mapping[str, str] = MappingProxyType({})) -> bytes:
    """The whole request for a page: asks for no compression, no cached copy, and for the connection's end unless it is to be kept."""
    port = "" if target.port == {"http": 80, "https": 443}.get(target.scheme) else f":{target.port}"
    # RFC 9110 section 7.2: an IPv6 literal stands in brackets in `Host`, though nowhere else.
    host = f"[{target.host}]" if ":" in target.host else target.host
    more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    fate = "keep-alive" if target.connection == "keep" else "close"
    return (
        # `identity`, because nothing is decompressed; `no-cache`, because a kept page is about the past (H15, H19).
        f"GET {target.path + path or '/'} HTTP/1.1\r\nHost: {host}{port}\r\nUser-Agent: lbctl\r\nAccept: */*\r\nAccept-Encoding: identity\r\n"
        f"Cache-Control: no-cache\r\n{more}Connection: {fate}\r\n\r\n"
    ).encode("ascii")


async def look(aim: Aim) -> ProbeResult:
    """One look, awaited. What was kept is let go of; being cancelled ends the look."""
    told: asyncio.Future[ProbeResult] = asyncio.get_running_loop().create_future()

    def done(result: ProbeResult) -> None:
        # A cancelled future is done: an answer that comes in the same moment is nobody's.
        if not told.done():
            told.set_result(result)

    cancel = aim.start(done)
    try:
        return await told
    # Also after an answer: cancelling a look that has ended does nothing, and a cancelled wait must free its socket.
    finally:
        cancel()
        aim.close()

