"""The HTTPS ports: open, closed, or open to nobody.

A fault must look from outside as it does on a real server. Closed means that the kernel refuses; hung means that the kernel accepts and
that no byte ever comes, not even of TLS. So the door changes what listens behind the port, and connections that are already open go with
it: cut where the port closes, silent where it hangs. The port number is kept, so that what comes back is the same server.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import cast

from aiohttp import web

from lbctl.core.settings import Endpoint

BACKLOG = 512


def bound(endpoint: Endpoint) -> socket.socket:
    """A listening socket at that place, or OSError."""
    family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((endpoint.host, endpoint.port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"{endpoint}: {error.strerror}") from None
    return sock


class Door:
    """One port with a web application behind it. `endpoint` has the real port once it was opened."""

    def __init__(self, endpoint: Endpoint, runner: web.AppRunner, context: ssl.SSLContext) -> None:
        self.endpoint = endpoint
        self.runner = runner
        self._context = context
        self._socket: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._held: set[asyncio.Transport] = set()

    async def open(self) -> None:
        """Serves the application. Raises OSError where the port is taken."""
        await self._listen(lambda: _Serving(self), self._context)

    async def hang(self) -> None:
        """Accepts and never answers, as a stopped process does. Open connections stay open; the pages behind them fall silent by themselves."""
        await self._listen(lambda: _Silent(self._held), None)

    def close(self) -> None:
        """Refuses, and cuts what is open."""
        self._replace_server(None)
        if self._socket:
            self._socket.close()
            self._socket = None
        if self.runner.server:
            for connection in self.runner.server.connections:
                connection.force_close()

    @property
    def closed(self) -> bool:
        return self._socket is None

    async def _listen(self, factory: Callable[[], asyncio.BaseProtocol], context: ssl.SSLContext | None) -> None:
        """Each server gets a copy of the one socket, so that the port is never closed in between: who connects then waits in the backlog."""
        if self._socket is None:
            self._socket = bound(self.endpoint)
            self.endpoint = self.endpoint.model_copy(update={"port": self._socket.getsockname()[1]})
        self._replace_server(None)
        loop = asyncio.get_running_loop()
        self._replace_server(await loop.create_server(factory, sock=self._socket.dup(), ssl=context, backlog=BACKLOG))

    def _replace_server(self, server: asyncio.Server | None) -> None:
        if self._server:
            self._server.close()
        for transport in list(self._held):
            transport.abort()
        self._server = server


class _Serving(web.RequestHandler):
    """One connection to the application. Its handshake may end after the door was closed: then it is cut as the others were."""

    def __init__(self, door: Door) -> None:
        assert door.runner.server is not None
        super().__init__(door.runner.server, loop=asyncio.get_running_loop())
        self._door = door

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self._door.closed:
            self.force_close()


class _Silent(asyncio.Protocol):
    """Holds a connection and says nothing."""

    def __init__(self, held: set[asyncio.Transport]) -> None:
        self._held = held

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's do not derive from it
        self._transport.pause_reading()
        self._held.add(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._held.discard(self._transport)
