"""The embedded authoritative server: sockets around the zones.

UDP is read straight from the socket, up to 64 datagrams for each wake-up of the loop, on asyncio and uvloop alike: no transport, no task,
no callback for each packet (`dns.datagrams`). TCP stands in `dns.stream`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import structlog

from lbctl.clock import Clock
from lbctl.dns.answers import Responder
from lbctl.dns.datagrams import Desk, reader
from lbctl.dns.limit import RateLimit
from lbctl.dns.notify import Notifier
from lbctl.dns.register import Register
from lbctl.dns.settings import Endpoint, ServerSettings, ZoneSettings
from lbctl.dns.stream import StreamServer
from lbctl.dns.transfer import Source
from lbctl.dns.zone import Zone

log = structlog.get_logger()
RECEIVE_BUFFER = 4 << 20
PRIVILEGED = "a port below 1024 needs lbctl-dns.socket, or the drop-in port53.conf"
"""What to do where the unit runs without rights (deploy/systemd)."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts since the start: answers by (transport, question type, reply code), and what got none; transfers by (zone, whole or difference)."""

    answers: Mapping[tuple[str, str, str], int]
    malformed: int
    rate_dropped: int
    rate_truncated: int
    unsent: int
    tcp_connections: int
    transfers: Mapping[tuple[str, str], int]


class Server:
    """Serves the zones of `settings` from `start()` to `close()`; `register` says what. All methods belong to the event loop's thread."""

    def __init__(self, settings: ServerSettings, clock: Clock, *, passed: Iterable[socket.socket] = ()) -> None:
        """`passed`: sockets that somebody holds for us over a restart (systemd); each is used for the address that it is bound to."""
        self.settings = settings
        self._passed = list(passed)
        self.endpoints: tuple[Endpoint, ...] = ()
        self.clock = clock
        self._responder = Responder()
        self._source = Source(self._responder, clock)
        self.notifier = Notifier(clock)
        self.register = Register(settings, self._responder, clock)
        self._desk = Desk(self._responder.templates, self._source.datagram, self._responder.truncated, clock.now)
        self._desk.limit = RateLimit(settings.rate_limit) if settings.rate_limit else None
        self._started = False
        self._sockets: list[socket.socket] = []
        self._streams: list[StreamServer] = []
        self.register.on_change = self._changed

    async def start(self) -> None:
        """Binds every address, UDP and TCP on the same port (port 0: any free one, told by `endpoints`). OSError where one is taken.

        Every name must have been declared before (`register.declare`, which making the actuators does): a zone without them would be handed out.
        """
        await self.register.save()
        try:
            for wish in self.settings.listen:
                await self._listen(wish)
        except BaseException:
            await self.close()
            raise
        for sock in self._passed:  # whoever asks there waits for ever: two files that must say the same do not
            log.warning("lbctl-dns.socket has an address that authoritative.listen does not", address="{}:{}".format(*sock.getsockname()[:2]))
        self._started = True
        for zone in self._responder.zones.values():
            self.notifier.changed(zone)

    async def close(self) -> None:
        """Stops answering and writes the copy. Changes nothing of what is published."""
        loop = asyncio.get_running_loop()
        for sock in self._passed:
            sock.close()
        for sock in self._sockets:
            loop.remove_reader(sock.fileno())
            sock.close()
        for stream in self._streams:
            await stream.close()
        self._started, self._sockets, self._streams, self._passed = False, [], [], []
        await self.notifier.close()
        await self.register.close()

    async def reload(self, zones: Iterable[ZoneSettings], rate_limit: int | None) -> None:
        """Takes new zones and a new rate limit while answering goes on. Other listen addresses need a restart."""
        self._desk.limit = RateLimit(rate_limit) if rate_limit else None
        self.register.configure(zones)
        await self.register.save()

    def _changed(self, zone: Zone) -> None:
        if self._started:
            self.notifier.changed(zone)

    def statistics(self) -> Statistics:
        """Counts for the metrics."""
        dropped, truncated = (limit.dropped, limit.truncated) if (limit := self._desk.limit) else (0, 0)
        connections = sum(len(stream.open) for stream in self._streams)
        return Statistics(self._responder.counts(), self._responder.dropped, dropped, truncated, self._desk.unsent, connections,
                          self._source.transfers)

    @property
    def zones(self) -> tuple[Zone, ...]:
        """What is served, in the order of the configuration."""
        return tuple(self._responder.zones.values())

    async def _listen(self, wish: Endpoint) -> None:
        """One address. With port 0 the UDP port that was given may be taken for TCP: then another is tried."""
        for attempt in range(20):
            sock = self._given(wish, socket.SOCK_DGRAM) or _udp_socket(wish)
            place = Endpoint(wish.host, sock.getsockname()[1])
            stream = StreamServer(self._source, self.settings.tcp_connections_max, self.settings.tcp_idle_s)
            try:
                await stream.start(place, self._given(wish, socket.SOCK_STREAM))
            except OSError:
                sock.close()
                if wish.port or attempt == 19:
                    raise
                continue
            self._sockets.append(sock)
            self._streams.append(stream)
            self.endpoints += (place,)
            asyncio.get_running_loop().add_reader(sock.fileno(), reader(sock, self._desk))
            return

    def _given(self, wish: Endpoint, kind: socket.SocketKind) -> socket.socket | None:
        """The passed socket that is bound to this address, if there is one."""
        for sock in self._passed:
            if sock.type == kind and sock.getsockname()[:2] == (wish.host, wish.port):
                self._passed.remove(sock)
                sock.setblocking(False)
                return sock
        return None


def _udp_socket(wish: Endpoint) -> socket.socket:
    family = socket.AF_INET6 if ":" in wish.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        sock.bind((wish.host, wish.port))
    except OSError as error:
        sock.close()
        hint = f"; {PRIVILEGED}" if isinstance(error, PermissionError) else ""
        raise OSError(error.errno, f"DNS cannot listen on {wish.host} port {wish.port}: {error.strerror}{hint}") from error
    return sock
