"""DNS over TCP (RFC 7766): for what does not fit a datagram, for clients sent here by the rate limit, and for transfers.

What one client can cost is bounded in every direction: a connection that completes no question within `idle_s` is closed, a drip of bytes
does not count as activity; a full house makes room by closing the connection that has been idle longest; questions longer than
`QUESTION_MAX` end the connection; and a client that does not read its answers is not read from. Questions may be pipelined.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from typing import Protocol, cast

from lbctl.dns.settings import Endpoint

QUESTION_MAX = 4096
REPLIES_A_TURN = 16


class Source(Protocol):
    """Where the replies come from; a transfer has many for one question."""

    def stream(self, data: bytes, host: str) -> Iterator[bytes]:
        """The replies to one question from `host`; none: silence."""
        ...


class StreamServer:
    """Listens on one endpoint."""

    def __init__(self, source: Source, connections_max: int, idle_s: float) -> None:
        self.source = source
        self.idle_s = idle_s
        self.open: dict[Connection, None] = {}
        self._connections_max = connections_max
        self._server: asyncio.Server | None = None

    async def start(self, place: Endpoint, passed: socket.socket | None = None) -> None:
        """Binds, or takes a socket that is bound already; OSError where the port is taken."""
        loop = asyncio.get_running_loop()
        if passed is not None:
            self._server = await loop.create_server(lambda: Connection(self), sock=passed)
        else:
            self._server = await loop.create_server(lambda: Connection(self), place.host, place.port)

    async def close(self) -> None:
        """Closes the listener and every connection."""
        if self._server is not None:
            self._server.close()
        for connection in tuple(self.open):
            connection.abort()
        if self._server is not None:
            await self._server.wait_closed()

    def admit(self, connection: Connection) -> None:
        """A new connection; beyond the limit the one that has been idle longest goes."""
        self.open[connection] = None
        if len(self.open) > self._connections_max:
            next(iter(self.open)).abort()

    def active(self, connection: Connection) -> None:
        """A question was completed: to the back of the queue of those that go first."""
        self.open.pop(connection, None)
        self.open[connection] = None


class Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, server: StreamServer) -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._host = ""
        self._buffer = bytearray()
        self._replies: Iterator[bytes] | None = None
        self._blocked = False
        self._idle: asyncio.TimerHandle | None = None
        self._turn: asyncio.Handle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        peer = transport.get_extra_info("peername") or ("::",)
        self._host = peer[0]
        self._server.admit(self)
        self._restart_idle()

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.open.pop(self, None)
        self._transport = None
        for handle in (self._idle, self._turn):
            if handle is not None:
                handle.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._work()

    def pause_writing(self) -> None:
        self._blocked = True

    def resume_writing(self) -> None:
        self._blocked = False
        self._work()

    def abort(self) -> None:
        """Ends the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def _restart_idle(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(self._server.idle_s, self.abort)

    def _work(self) -> None:
        """Sends a bounded number of replies, then lets others run. Reading pauses while there is work or the client does not read."""
        self._turn = None
        for _ in range(REPLIES_A_TURN):
            if self._transport is None or self._transport.is_closing() or self._blocked or not self._send_next():
                break
        else:
            self._turn = asyncio.get_running_loop().call_soon(self._work)
        if self._transport is not None and not self._transport.is_closing():
            busy = self._blocked or self._turn is not None or len(self._buffer) > QUESTION_MAX
            (self._transport.pause_reading if busy else self._transport.resume_reading)()

    def _send_next(self) -> bool:
        """One reply, or the step to the next question. False: nothing to do until more arrives."""
        if self._replies is None:
            question = self._next_question()
            if question is None:
                return False
            self._server.active(self)
            self._restart_idle()
            self._replies = self._server.source.stream(question, self._host)
        reply = next(self._replies, None)
        if reply is None:
            self._replies = None
        elif self._transport is not None:
            self._transport.write(len(reply).to_bytes(2, "big") + reply)
            self._restart_idle()
        return True

    def _next_question(self) -> bytes | None:
        if len(self._buffer) < 2:
            return None
        length = int.from_bytes(self._buffer[:2], "big")
        if not 12 <= length <= QUESTION_MAX:
            self.abort()
            return None
        if len(self._buffer) < 2 + length:
            return None
        question = bytes(self._buffer[2 : 2 + length])
        del self._buffer[: 2 + length]
        return question
