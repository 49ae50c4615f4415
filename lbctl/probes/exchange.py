"""One exchange with a member: resolve, connect, TLS, request, reply, by one hard deadline (H15), without proxies or redirects (H16, H18).

The deadline is one timer over everything, on the monotonic clock. When it strikes, what has already arrived is served first: an event loop
that was late for a moment does not make a member look dead. Phases are timed: `resolve`, `connect`, `tls`, `firstbyte`, `body`.

A name may lead to several addresses: they are tried in order, each with its share of the time that is left, and the first that can be
connected to is asked. An exchange on a kept connection that fails for whatever is not the deadline starts again at once on a fresh one.
"""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Callable

from lbctl.model.looks import Reason
from lbctl.probes.base import Tls
from lbctl.probes.engine import Engine
from lbctl.probes.names import Name, Place
from lbctl.probes.reply import Flaw, Reply, ReplyReader
from lbctl.probes.route import Route
from lbctl.probes.tls import certificate_facts
from lbctl.probes.wire import READ_BYTES, Wire, system_flaw
from lbctl.statuspage import escaped

# Far above what a whole reply may hold: bounds what never becomes one, a TLS peer that talks without end (H15).
_WIRE_BYTES_MAX = 512 * 1024
_READABLE = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
_FAILED = select.EPOLLERR | select.EPOLLHUP


class Exchange:
    """`ended` is called once with the exchange itself; then `reply` or `flaw` is set."""

    __slots__ = (
        "_bytes", "_deadline", "_ended", "_engine", "_kept", "_left", "_mark", "_route", "_share", "_state", "finished", "flaw", "phases", "place",
        "reader", "reply", "started", "unverified", "wire",
    )

    def __init__(self, engine: Engine, route: Route, ended: Callable[[Exchange], None]) -> None:
        self._engine = engine
        self._route = route
        self._ended = ended
        self._share: Callable[[], None] | None = None
        self._kept = False
        self._bytes = 0
        self._state = ""
        self.reader = ReplyReader(route.expected)
        self.phases: dict[str, float] = {}
        self.place: Place | None = None
        self.wire: Wire | None = None
        self.reply: Reply | None = None
        self.flaw: Flaw | None = None
        self.unverified = False
        self.finished = False

    def begin(self, kept: Wire | None = None, timeout_s: float | None = None) -> None:
        """Starts now, on a kept connection where there is one."""
        # One deadline, armed before anything else: no step of the look can outlive it.
        self.started = self._mark = self._engine.now()
        self._deadline = self._engine.deadline(self._route.timeout_s if timeout_s is None else timeout_s, self._strike)
        if kept is None:
            self._resolve()
        else:
            # Resolving, connecting and the handshake were proven by an earlier look; the request goes out at once.
            self._kept, self.wire = True, kept
            self._engine.hand_over(kept.sock, self)
            self._ask()

    def cancel(self) -> None:
        """Ends it without a word."""
        if not self.finished:
            self._close()

    # --- resolve and connect

    def _resolve(self) -> None:
        self._state = "resolve"
        name = self._route.name
        # Asked anew in the background while the look goes on with what is known (H21).
        if name.places:
            self._engine.names.refresh(name)
            self._resolved(name)
        else:
            self._engine.names.refresh(name, self._resolved)

    def _resolved(self, name: Name) -> None:
        # The deadline may have struck while the resolver was still thinking.
        if self.finished:
            return
        # By the family that is asked for: an IPv6 look must not be saved by an IPv4 address (H22).
        self._left = list(self._route.addresses())
        if not self._left:
            self._fail(Flaw(Reason.DNS, escaped(f"{name.host}: {name.problem or 'no address of this family'}")))
            return
        self._phase("resolve")
        self._connect()

    def _connect(self) -> None:
        """To the next address. Several share the time that is left."""
        self._state = "connect"
        self.place = self._left.pop(0)
        flaw = self._open(self.place)
        if flaw is not None:
            self._unconnected(flaw)
        # The last address has all the time that is left.
        elif self._left:
            left = self.started + self._route.timeout_s - self._engine.now()
            self._share = self._engine.later(left / (len(self._left) + 1), self._too_slow).cancel

    def _open(self, place: Place) -> Flaw | None:
        try:
            sock = self._route.connect(place)
        except OSError as problem:
            return system_flaw(problem.errno)
        try:
            self._engine.attach(sock, self)
        except OSError as problem:
            # Not yet the engine's: nobody else would close it.
            sock.close()
            return system_flaw(problem.errno)
        self.wire = Wire(sock)
        return None

    def _too_slow(self) -> None:
        # What has come in meanwhile counts, though the timer was served first.
        if not self.finished and self._state == "connect":
            self._engine.serve()
        if not self.finished and self._state == "connect":
            self._unconnected(Flaw(Reason.TIMEOUT, "no connection in its share of the time"))

    def _unconnected(self, flaw: Flaw) -> None:
        # The share was this address's: left running, it would cut the next one's short.
        if self._share is not None:
            self._share()
            self._share = None
        self._drop()
        # Want of our own descriptors or ports would fail the next address as well.
        if self._left and not flaw.local:
            self._connect()
        else:
            self._fail(flaw)

    # --- what the socket says

    def ready(self, events: int) -> None:
        if self._state == "connect":
            self._connected(events)
        # Not `else`: one event may tell of the connection and of the first bytes, and edge-triggered it comes once.
        if events & _READABLE and self._state != "connect":
            self._receive(events)

    def _connected(self, events: int) -> None:
        wire = self.wire
        assert wire is not None
        # Asked only where epoll speaks of an error: one system call less for each look that goes well.
        number = wire.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) if events & _FAILED else 0
        if number:
            self._unconnected(system_flaw(number))
            return
        if self._share is not None:
            self._share()
        self._phase("connect")
        if self._route.tls is not None:
            self._secure(self._route.tls, wire)
        else:
            self._ask()

    def _secure(self, tls: Tls, wire: Wire) -> None:
        self._state = "tls"
        try:
            # Files are read here for the first time: what is wrong with them is ours, and the look is void.
            wire.secure(self._engine.contexts.context(tls, again=self._route.reread_files), self._route.server_name)
        except (OSError, ValueError) as problem:
            self._fail(Flaw(Reason.TLS, escaped(f"own TLS settings: {problem}"), local=True))
            return
        self._shake(wire)

    def _receive(self, events: int) -> None:
        """Reads until there is no more: the engine tells each change once."""
        while not self.finished and self.wire is not None:
            try:
                data = self.wire.sock.recv(READ_BYTES)
            except BlockingIOError:
                return
            except OSError as problem:
                self._fail(system_flaw(problem.errno))
                return
            self._bytes += len(data)
            # Before it is handed on: what is too much is not even decrypted.
            if self._bytes > _WIRE_BYTES_MAX:
                self._fail(Flaw(Reason.TOO_LARGE, f"more than {_WIRE_BYTES_MAX} bytes on the wire"))
                return
            if self._state == "tls":
                self._handshake_data(data)
            else:
                self._read(data)
            # A short read has emptied the socket (epoll(7)); unless the end was told with it, which no later edge repeats.
            if not data or (len(data) < READ_BYTES and not events & select.EPOLLRDHUP):
                return

    # --- TLS

    def _handshake_data(self, data: bytes) -> None:
        assert self.wire is not None
        if data:
            self.wire.take(data)
            self._shake(self.wire)
        else:
            self._fail(Flaw(Reason.RESET, "closed in the middle of the TLS handshake"))

    def _shake(self, wire: Wire) -> None:
        try:
            if wire.shake():
                self._shaken(wire)
        # Told apart from every other failure of TLS, because only here a second handshake learns when it ends (H20).
        except ssl.SSLCertVerificationError as problem:
            self.unverified = True
            self._fail(Flaw(Reason.TLS, escaped(f"certificate: {problem.verify_message}")))
        except ssl.SSLError as problem:
            self._fail(_tls_flaw(problem))
        except OSError as problem:
            self._fail(system_flaw(problem.errno))

    def _shaken(self, wire: Wire) -> None:
        assert wire.tls is not None
        self._phase("tls")
        # Taken before the pin is judged: expiry and key are shown also for a server that is refused.
        der = wire.tls.getpeercert(binary_form=True)
        if der:
            self._route.facts = certificate_facts(der, self._route.facts)
        pin, facts = self._route.tls and self._route.tls.pin_sha256, self._route.facts
        # No certificate is no pinned one.
        if pin and (not der or facts is None or facts.spki_sha256 != pin):
            self._fail(Flaw(Reason.TLS, f"the key's digest is {facts.spki_sha256.hex() if facts else 'unknown'}, not the pinned one"))
        else:
            self._ask()

    # --- request and reply

    def _ask(self) -> None:
        assert self.wire is not None
        # `tcp`: being connected, or the handshake, was the question.
        if not self._route.request:
            self._finish()
            return
        self._state = "reply"
        try:
            self.wire.send(self._route.request)
        except ssl.SSLError as problem:
            self._fail(_tls_flaw(problem))
        except OSError as problem:
            self._fail(system_flaw(problem.errno))

    def _read(self, data: bytes) -> None:
        if "firstbyte" not in self.phases:
            self._phase("firstbyte")
        wire = self.wire
        assert wire is not None
        if wire.tls is None:
            self._heard(self.reader.feed(data) if data else self.reader.end())
        # Cut without close_notify: somebody in between may have cut it, so what came is no reply (RFC 8446 section 6.1).
        elif not data:
            self._fail(Flaw(Reason.RESET, "closed without the end of TLS" if self.reader.began else "closed without a reply"))
        else:
            self._decrypt(wire, data)

    def _decrypt(self, wire: Wire, data: bytes) -> None:
        try:
            wire.take(data)
            while not self.finished and (clear := wire.clear()) is not None:
                self._heard(self.reader.feed(clear) if clear else self.reader.end())
        except ssl.SSLError as problem:
            self._fail(_tls_flaw(problem))
        except OSError as problem:
            self._fail(system_flaw(problem.errno))

    def _heard(self, answer: Reply | Flaw | None) -> None:
        if isinstance(answer, Reply):
            self.reply = answer
            self._finish()
        elif answer is not None:
            self._fail(answer)

    # --- the end

    def _strike(self) -> None:
        if not self.finished:
            self._engine.serve()
        if self.finished:
            return
        # Whoever never got an address has not asked the member: that speaks of our resolver (H21).
        reason = Reason.DNS if self._state == "resolve" else Reason.TIMEOUT
        # No second try on a fresh connection: the time is over. The next look will be one.
        self._kept = False
        self._fail(Flaw(reason, f"no end of `{self._state}` in time"))

    def _fail(self, flaw: Flaw) -> None:
        if self.finished:
            return
        if self._kept:
            self._again()
            return
        self.flaw = flaw
        self._finish()

    def _again(self) -> None:
        """The kept connection may have been as old as the failure it shows: only a fresh one can tell."""
        self._drop()
        self._kept = False
        # A new exchange in all but its deadline: `started` stays, since when the member was asked.
        self._bytes = 0
        self.reader = ReplyReader(self._route.expected)
        self.phases.clear()
        self._resolve()

    def _finish(self) -> None:
        if self.finished:
            return
        if self.reply is not None:
            self._phase("body")
        # After a complete reply only: what is still on its way would be read as the next one's beginning.
        keep = self.reply is not None and self.reader.reusable and self.wire
        # Before it is told: whoever hears of the end may start the next look in the same breath.
        self._close(keep=bool(keep))
        self._ended(self)

    def _close(self, *, keep: bool = False) -> None:
        self.finished = True
        self._deadline.cancel()
        if self._share is not None:
            self._share()
        if not keep:
            self._drop()

    def _drop(self) -> None:
        if self.wire is not None:
            self._engine.drop(self.wire.sock)
            self.wire = None

    def _phase(self, name: str) -> None:
        now = self._engine.now()
        self.phases[name] = now - self._mark
        self._mark = now


def _tls_flaw(problem: ssl.SSLError) -> Flaw:
    return Flaw(Reason.TLS, escaped((problem.reason or str(problem)).lower().replace("_", " ")))
