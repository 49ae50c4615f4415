"""One connection of the API: what aiohttp would answer by itself, before any of our code is asked, leaves as a problem document too (RFC 9457).

Four kinds of answers arise below the application: a request that cannot be parsed, an `Expect` that nobody knows (RFC 9110 section 10.1.1), a handler
that falls, and one that takes too long. aiohttp says them in plain text that repeats what the stranger sent; here each has its status, fixed words,
and nothing of the request: a header that is one character too long may be a token (H54).

A socket holds `CONNECTIONS_MAX` connections: files that strangers keep open are files that looks cannot open (H55). The Unix socket has a `Door` of
its own, so that the operator on the host gets in while the other is full.
"""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMethod, BadStatusLine, HttpProcessingError, LineTooLong

from lbctl.api.problems import Refusal, from_http

LINE_MAX, FIELD_MAX, HEADERS_MAX = 8 * 1024, 16 * 1024, 100
"""Longest request line, longest header (bytes), and how many headers. The first two differ, so that an error tells which it was."""
IDLE_S = 75.0
"""How long a connection may be silent, the first request's headers included."""
LINGER_S = 2.0
"""How long what a refused request still sends is read and thrown away, so that its sender can read the answer."""
CONNECTIONS_MAX = 512


def unparsed(error: BaseException | None) -> Refusal:
    """What a request that is none is told."""
    if isinstance(error, LineTooLong) and error.args[1] == LINE_MAX:
        return Refusal(414, f"the request line is longer than {LINE_MAX} bytes")
    if isinstance(error, LineTooLong):
        return Refusal(431, f"a header is longer than {FIELD_MAX} bytes")
    if isinstance(error, BadHttpMethod):
        return Refusal(501, "this method is not known here, or this is not HTTP")
    if isinstance(error, BadStatusLine):
        return Refusal(505, "this speaks HTTP/1.1")
    if isinstance(error, HttpProcessingError) and error.message.startswith("Too many headers"):
        return Refusal(431, f"more than {HEADERS_MAX} headers")
    return Refusal(400, "this is not a well-formed HTTP request")


class Connection(web.RequestHandler):
    """See above; made by its `Door`."""

    __slots__ = ("_door",)

    def __init__(self, door: Door, server: web.Server, loop: asyncio.AbstractEventLoop, logger: logging.Logger) -> None:
        super().__init__(
            server, loop=loop, logger=logger, access_log=None,  # type: ignore[arg-type]  # None switches it off
            keepalive_timeout=IDLE_S, lingering_time=LINGER_S, auto_decompress=False,
            max_line_size=LINE_MAX, max_field_size=FIELD_MAX, max_headers=HEADERS_MAX)
        self._door = door

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._door.open += 1
        if self._door.open > self._door.most:
            self.force_close()

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self._door.open -= 1

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """The document instead of aiohttp's text. Only our own faults are logged: anybody can send what is not HTTP, and so fill a disk."""
        if request.writer.output_size > 0:
            raise ConnectionError("half an answer is sent already; another cannot follow")
        if status == HTTPStatus.INTERNAL_SERVER_ERROR:
            self.log_exception("a request fell", exc_info=exc)
            refusal = Refusal(500, "lbctl made a mistake here; its log tells which")
        elif status == HTTPStatus.GATEWAY_TIMEOUT:
            refusal = Refusal(504, "this took too long; whether it was done, the journal tells")
        else:
            refusal = unparsed(exc)
        response = refusal.response()
        response.force_close()
        return response

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Not for a body that breaks its own framing after it was refused: that is its sender's fault."""
        if not isinstance(kw.get("exc_info"), (web.RequestPayloadError, HttpProcessingError)):
            super().log_exception(*args, **kw)

    async def finish_response(self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None) -> tuple[web.StreamResponse, bool]:
        """aiohttp's own errors that never passed the middleware (an unknown `Expect`) in our form."""
        if isinstance(resp, web.HTTPException) and resp.status >= HTTPStatus.BAD_REQUEST:
            resp = from_http(resp).response()
        return await super().finish_response(request, resp, start_time)


class Door:
    """Makes the connections of one socket; what asyncio calls a protocol factory. `open` is how many there are now, `most` how many may be."""

    def __init__(self, server: web.Server, logger: logging.Logger, most: int = CONNECTIONS_MAX) -> None:
        self._server = server
        self._logger = logger
        self.most = most
        self.open = 0

    def __call__(self) -> Connection:
        return Connection(self, self._server, asyncio.get_running_loop(), self._logger)
