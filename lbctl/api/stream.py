"""Server-sent events: the journal as it grows, resumable from `Last-Event-ID`.

A stream holds a position, not a queue: the bell tells that there is more, the journal is read on from the last line sent. What a client cannot
take in `SEND_S` ends its stream; it comes back and resumes. A comment every `KEEPALIVE_S` keeps proxies from closing an idle one.
"""

from __future__ import annotations

import asyncio
import json

from aiohttp import web

from lbctl.api.base import Bell, Controller
from lbctl.api.problems import Refusal
from lbctl.api.reads import line
from lbctl.model.decision import Step

KEEPALIVE_S = 15.0
SEND_S = 10.0
BATCH = 200
STREAMS_MAX = 200


class Streams:
    """All open streams, so that the end of the server wakes every one of them."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._closing = asyncio.Event()
        self._open = 0

    def close(self) -> None:
        """Ends all streams now."""
        self._closing.set()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One stream, until either side ends it. `Last-Event-ID` or `?since=` says where to go on; without them it begins now."""
        if self._open >= STREAMS_MAX:
            raise Refusal(503, "too many streams are open", headers={"Retry-After": "5"})
        position = _position(request)
        bell = self._controller.subscribe()
        self._open += 1
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        try:
            position = await self._from(position)
            await response.prepare(request)
            if request.method != "HEAD":
                await self._run(response, bell, position, request.query.get("service"))
        except (TimeoutError, ConnectionError):
            _hang_up(request)  # gone, or does not read: it comes back and resumes
        finally:
            self._open -= 1
            bell.close()
        return response

    async def _from(self, asked: int | None) -> int:
        """After which line to go on. A number that this journal has not reached is of another one, lost or put back since: its reader would hear
        nothing more until this one is as long, so it gets the last lines there are."""
        newest = await self._controller.events(limit=1, newest=True)
        head = newest[-1].seq if newest else 0
        if asked is None or asked <= head:
            return head if asked is None else asked
        last = await self._controller.events(limit=BATCH, newest=True)
        return last[0].seq - 1 if last else 0

    async def _run(self, response: web.StreamResponse, bell: Bell, position: int, service: str | None) -> None:
        await _send(response, b": lbctl\n\n")
        while not self._closing.is_set():
            steps = await self._controller.events(position, service, limit=BATCH)
            for step in steps:
                await _send(response, _event(step))
                position = step.seq
            if len(steps) < BATCH and not await self._more(bell):
                await _send(response, b": still here\n\n")

    async def _more(self, bell: Bell) -> bool:
        """Waits for the bell or the end; False after a silence of `KEEPALIVE_S`."""
        waits = {asyncio.ensure_future(bell.wait()), asyncio.ensure_future(self._closing.wait())}
        try:
            done, _ = await asyncio.wait(waits, timeout=KEEPALIVE_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return bool(done)


def _position(request: web.Request) -> int | None:
    text = request.headers.get("Last-Event-ID") or request.query.get("since")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise Refusal(400, "Last-Event-ID and since take the number of an event")
    return int(text)


async def _send(response: web.StreamResponse, data: bytes) -> None:
    async with asyncio.timeout(SEND_S):
        await response.write(data)


def _hang_up(request: web.Request) -> None:
    """No farewell: it would wait for the reader that does not read."""
    if request.transport is not None:
        request.transport.abort()


def _event(step: Step) -> bytes:
    return f"id: {step.seq}\nevent: step\ndata: {json.dumps(line(step), default=str)}\n\n".encode()
